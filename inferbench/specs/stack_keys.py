"""The keys of a stack's tables: a misspelt one would be found by no operator, which then ran on ideal
software.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from inferbench.errors import Fault, InferBenchError, suggest
from inferbench.records.op import Op
from inferbench.records.precision import FORMATS, PrecisionName
from inferbench.records.stack import Stack
from inferbench.records.variants import NAMED, OPEN

__all__ = ["key_faults"]

# Kinds of the core; those of installed plugins come beside.
KINDS = ("default", "gemm", "attention", "elementwise", "reduce", "move", "collective", "conv2d")
_CACHE = re.compile(r"kv\d+(\.\d+)?$")


def key_faults(stack: Stack, where: str) -> list[Fault]:
    """Return a fault for each key that no operator can have.

    A kind that nobody installed knows is one of a package that isn't here, unless it is a slip away from a
    known one.

    Args:
        stack: As its file has it.
        where: How messages call the file.

    Example:
        >>> from inferbench.records.roofline import RooflineFigures
        >>> from inferbench.records.stack import Stack
        >>> figures = RooflineFigures(overlap={"gem": 4.0})
        >>> stack = Stack(name="s", title="S", figures=figures)
        >>> [(fault.where, fault.remedy) for fault in key_faults(stack, "s.toml")]
        [('s.toml: time.overlap.gem', "did you mean 'gemm'?")]
    """
    named = {**dict.fromkeys(KINDS, ()), **dict(_kinds(Op)), **NAMED}
    faults = []
    for table, keys in _tables(stack):
        for key in keys:
            found = _fault(key, named)
            if found is not None:
                faults.append(Fault(f"{where}: {table}.{key}", *found))
    return faults


def _tables(stack: Stack) -> Iterator[tuple[str, Iterable[str]]]:
    """Every table that has an entry per kind of kernel."""
    yield from ((f"time.{path}", table) for path, (table, _) in stack.tables.items())
    yield from ((f"kernel_energy.{action}", table) for action, table in stack.kernel_energy.items())
    yield from (("fit.kernels", stack.fit.kernels), ("fit.kernel_power", stack.fit.kernel_power))
    yield "domain.ops", stack.domain.ops


def _kinds(kind: type[Op]) -> Iterator[tuple[str, Sequence[str]]]:
    """Kinds of operators that are defined by now, with their variants; plugins are loaded before any stack
    is read.
    """
    for one in kind.__subclasses__():
        yield one.kind, one.named
        yield from _kinds(one)


def _fault(key: str, named: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """What is wrong with a key, and the remedy."""
    kind, _, rest = key.partition(".")
    if kind not in named:
        near = [known for known in sorted(named) if _distance(kind, known) <= (1 if len(known) < 6 else 2)]
        return (f"'{kind}' is no kind of operator", f"did you mean '{near[0]}'?") if near else None
    if not rest or kind in OPEN:
        return None
    variant = next((one for one in named[kind] if rest == one or rest.startswith(f"{one}.")), "")
    rest = rest.removeprefix(variant).lstrip(".")
    if not rest or _precision(rest, kind):
        return None
    name = f"{kind}.{variant}" if variant else kind
    more = () if variant else tuple(named[kind])
    close = suggest(rest, (*more, *FORMATS), models=False)
    listed = ", ".join((*more, "precisions like fp8 or w8a16"))
    return f"'{rest}' is neither a variant of {name} nor a precision", close or f"{name} has {listed}"


def _precision(text: str, kind: str) -> bool:
    """Whether it is a format, a precision or, for attention, the width of the cache."""
    if kind == "attention" and _CACHE.match(text):
        return True
    try:
        PrecisionName.parse(text)
    except InferBenchError:
        return False
    return True


def _distance(one: str, other: str) -> int:
    """Letters to insert, leave out, replace, or swap with their neighbour (Damerau 1964), between two
    words.
    """
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        rows.append([i])
        for j, b in enumerate(other, 1):
            cost = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[i - 2][j - 2] + 1)
            rows[i].append(cost)
    return rows[-1][-1]
