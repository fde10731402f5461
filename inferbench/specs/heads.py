"""What a stack's file says of where it applies, read without its figures: choosing software looks at all
stacks and needs the figures of a few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from inferbench.records.immutable import frozen
from inferbench.records.roofline import ROOFLINE
from inferbench.records.stack import Stack
from inferbench.specs.assemble_stack import energies_alone, family_of
from inferbench.specs.toml import read_toml

__all__ = ["Head", "HeadDomain", "HeadFit", "Headed", "head_from"]


@frozen
class HeadDomain:
    """Where a stack was fitted."""

    chips: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()


@frozen
class HeadFit:
    """How many rows it was fitted on."""

    rows: int = 0


@frozen
class Head:
    """The part of a stack that says where it applies; fields are those of `Stack`.

    Attributes:
        name: Its stem.
        model: Name of the time model that its figures are of.
        schedules: Whether it says how its engine takes requests.
    """

    name: str
    architectures: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    family: str = ""
    grade: str = ""
    based_on: str = ""
    block_scales_of: str = ""
    domain: HeadDomain = HeadDomain()
    fit: HeadFit = HeadFit()
    model: str = ROOFLINE.name
    schedules: bool = False


Headed: TypeAlias = Stack | Head


def head_from(text: bytes, name: str, where: str, find: Callable[[str], Headed | None]) -> Head:
    """Read a head. A value of another type counts as absent: the whole file is checked when it is used.

    Args:
        text: The file.
        name: Its stem.
        where: How messages call it.
        find: The head of another stack by name, None where there is none.

    Raises:
        InferBenchError: No TOML.

    Example:
        >>> text = b'software = ["vLLM 0.6"]' + bytes([10]) + b'[domain]' + bytes([10]) + b'chips = ["h200"]'
        >>> head = head_from(text, "mine", "mine.toml", lambda name: None)
        >>> head.family, head.domain.chips, head.fit.rows
        ('vllm', ('h200',), 0)
    """
    raw, _ = read_toml(text, where)
    base = find(based_on) if (based_on := _text(raw.get("based_on"))) else None
    scales_of = _text(raw.get("block_scales_of"))
    if base is not None and (energies_alone(raw) or _text(raw.get("kernels"))):
        return attrs.evolve(_head(base), name=name, based_on=based_on, block_scales_of=scales_of)
    software, domain, fit = _texts(raw.get("software")), _table(raw.get("domain")), _table(raw.get("fit"))
    rows, own = fit.get("rows"), _texts(raw.get("architectures"))
    theirs = base is not None and _head(base).schedules
    return Head(
        name,
        own or (base.architectures if base is not None else ()),
        _texts(raw.get("vendors")),
        software,
        _texts(raw.get("versions")),
        _text(raw.get("family")) or family_of(software),
        _text(raw.get("grade")),
        based_on,
        scales_of,
        HeadDomain(_texts(domain.get("chips")), _texts(domain.get("phases"))),
        HeadFit(rows if isinstance(rows, int) else 0),
        _text(_table(raw.get("time")).get("model")) or (ROOFLINE.name if base is None else _head(base).model),
        bool(raw.get("scheduler")) or theirs,
    )


def _head(stack: Headed) -> Head:
    """The head of a record."""
    if isinstance(stack, Head):
        return stack
    own = ("name", "architectures", "vendors", "software", "versions", "family", "grade", "based_on")
    return Head(
        **{name: getattr(stack, name) for name in (*own, "block_scales_of")},
        domain=HeadDomain(tuple(stack.domain.chips), tuple(stack.domain.phases)),
        fit=HeadFit(stack.fit.rows),
        model=stack.time_model.name,
        schedules=stack.scheduler is not None,
    )


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _texts(found: object) -> tuple[str, ...]:
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _table(found: object) -> Mapping[str, object]:
    return found if isinstance(found, dict) else {}
