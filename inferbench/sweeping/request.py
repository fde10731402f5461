"""`Request`: what a sweep was asked for, as plain data that can be hashed, stored and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.specs.ranges import Points, parse

__all__ = ["GRIDS", "SCHEMA", "Named", "Request", "workloads"]

SCHEMA = "inferbench.space/1"


@attrs.frozen
class Named:
    """A grid with a name.

    Attributes:
        workloads: Patterns over installed networks, `dense-*/decode`.
        axes: Axis to its points as written; each applies to the phases that have it.
        precisions: Names.
    """

    workloads: tuple[str, ...]
    axes: Mapping[str, str]
    precisions: tuple[str, ...]


_AXES = {"batch": "1:512:x2", "context": "128:32768:x2"}
_PRECISIONS = ("fp16", "fp8", "int4")
GRIDS: Mapping[str, Named] = {
    "default": Named(("dense-*/prefill", "dense-*/decode"), _AXES, _PRECISIONS),
    "reference": Named(
        ("dense-*/prefill", "dense-*/decode", "dense-*/generate"), {**_AXES, "output": "128"}, _PRECISIONS
    ),
}
"""The reference grid is the workload space of the project's definition: 1B to 200B, batch 1 to 512, context
128 to
32K, three precisions, three phases."""


@attrs.frozen(kw_only=True)
class Request:
    """What was asked for. Equal requests give equal bytes.

    Attributes:
        systems: As written: `b200`, `8xh100:tp8`, `h100@vllm`.
        workloads: `network/phase`, patterns resolved.
        axes: Axis to points; one that only some phases have applies to those.
        precisions: Names along the precision axis.
        stack: Software of the systems that name none: a stack's name or TOML, a family, `best`.
        scenario: Its name.
        options: Of the workload.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself; None: what it usually keeps.
        prefer: Which layout is taken where several fit: `latency` or `throughput`.
        memory: Bytes that one worker may use for a chunk.

    Example:
        >>> Request(systems=("b200",), workloads=("llama3-70b/decode",), axes={}, precisions=("fp8",)).stack
        'ideal'
    """

    systems: tuple[str, ...]
    workloads: tuple[str, ...]
    axes: Mapping[str, Points]
    precisions: tuple[str, ...]
    stack: str = "ideal"
    scenario: str = "reference"
    options: Mapping[str, object] = attrs.field(factory=dict)
    ignore_capacity: bool = False
    reserve: str | float | None = None
    prefer: str = "latency"
    memory: float = 512e6

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        table = attrs.asdict(self, recurse=False)
        lists = {name: list(table[name]) for name in ("systems", "workloads", "precisions")}
        return {**table, **lists, "axes": {name: str(points) for name, points in self.axes.items()}}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Request:
        """Read what `plain` wrote."""
        tuples = {name: tuple(table[name]) for name in ("systems", "workloads", "precisions")}
        axes = {name: parse(text, name) for name, text in table["axes"].items()}
        return cls(**{**table, **tuples, "axes": axes})


def workloads(patterns: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """Resolve `dense-*/decode` to all networks it means, in the order of their names' numbers.

    Raises:
        InferBenchError: No slash, or a pattern that no installed network matches.
    """
    found: list[str] = []
    for pattern in patterns:
        name, _, phase = pattern.rpartition("/")
        if not name:
            raise InferBenchError.at(
                pattern, "a workload is written network/phase", f"for example {pattern}/PHASE"
            )
        if not any(mark in name for mark in "*?["):
            found.append(pattern)
            continue
        names = [known for known in registry.names("networks") if fnmatchcase(known, name)]
        if not names:
            raise InferBenchError.at(
                pattern,
                "no installed network matches",
                suggest(name, registry.names("networks"))
                or "inferbench list networks · pip install inferbench-llm",
            )
        found += [f"{known}/{phase}" for known in sorted(names, key=_by_number)]
    return tuple(dict.fromkeys(found))


def _by_number(name: str) -> list[Any]:
    """Sort `dense-2b` before `dense-16b`."""
    digits = "".join(c if c.isdigit() else " " for c in name).split()
    return [[int(part) for part in digits], name]


def digest(*tables: Mapping[str, object]) -> str:
    """SHA-256 of plain tables, keys sorted."""
    text = json.dumps(tables, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
