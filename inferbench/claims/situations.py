"""Situations that a claim describes: a run on a chip with the claim's own facts, weights and options."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.model.case import Case, prepare
from inferbench.model.evaluate import evaluate
from inferbench.records.chip import Chip, ChipFile
from inferbench.records.claim import ClaimRun
from inferbench.records.grid import Grid, Point
from inferbench.records.interfaces import Workload
from inferbench.records.network import Network
from inferbench.records.op import Op
from inferbench.records.run import Run
from inferbench.records.system import System, SystemName
from inferbench.units import Range, Unit, parse

__all__ = ["Situation", "override"]


@attrs.define(eq=False)
class Situation:
    """A run that is evaluated only if a column needs it; its operators cost far less."""

    case: Case
    grid: Grid
    _run: Run | None = None
    _ops: tuple[Op, ...] | None = None

    @classmethod
    def of(cls, run: ClaimRun, at: Mapping[str, float], registry: Registry, where: str) -> Situation:
        """Look everything up, put in what the claim gives."""
        parsed = SystemName.parse(run.system)
        chip = override(registry.chip(parsed.chip), run.chip, where)
        network, _, phase = run.workload.rpartition("/")
        case = prepare(
            System(chip, parsed.count or 1, parsed.layout),
            registry.network(network),
            phase,
            stack=registry.stack(run.stack),
            registry=registry,
            options=run.options,
            ignore_capacity=True,
            scenario=registry.get("scenarios", "reference") if registry.entries("scenarios") else None,
        )
        if not math.isnan(run.weights):
            case = attrs.evolve(case, workload=_Given(case.workload, run.weights))
        axes = {**case.phase.axes, **run.at, **at}
        for axis in axes:
            if axis not in case.phase.axes:
                raise InferBenchError.at(
                    where,
                    f"'{run.workload}' has no axis '{axis}'",
                    suggest(axis, case.phase.axes) or f"its axes are {', '.join(case.phase.axes)}",
                )
        return cls(case, Grid.of({axis: [value] for axis, value in axes.items()}, [run.precision]))

    @property
    def run(self) -> Run:
        """The evaluated run."""
        if self._run is None:
            self._run = evaluate(self.case, self.grid)
        return self._run

    @property
    def ops(self) -> tuple[Op, ...]:
        """The operators of the whole network."""
        if self._ops is None:
            self._ops = self.case.graph(self.grid.at)
        return self._ops


class _Given(Workload):
    """A workload whose weights take as many bytes per step as somebody says: every element is as wide as that
    needs.
    """

    def __init__(self, inner: Workload, weights: float) -> None:
        self.inner, self.weights = inner, weights

    def graph(self, network: Network, at: Point, phase: str, options: Any) -> Iterator[Op]:
        """Yield the operators with the width of a weight adapted."""
        ops = tuple(self.inner.graph(network, at, phase, options))
        width = self.weights / sum(op.bytes.weights * op.repeat for op in ops)
        adapted: dict[int, Any] = {}
        for op in ops:
            wide = adapted.setdefault(
                id(op.precision), attrs.evolve(op.precision, weights=op.precision.weights * width)
            )
            yield attrs.evolve(op, precision=wide)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def items(self, network: Network, at: Point, phase: str) -> Any:
        """The workload's own."""
        return self.inner.items(network, at, phase)

    def layers(self, network: Network) -> int:
        """The workload's own."""
        return self.inner.layers(network)


def override(chip: Chip, facts: Mapping[str, str], where: str) -> Chip:
    """Return the chip with other facts.

    Args:
        chip: As specified.
        facts: Key path to text with a unit: `{"peak.fp8": "2250 TOP/s"}`.
        where: For messages.

    Raises:
        InferBenchError: Unknown key path, wrong unit.
    """
    hints = typing.get_type_hints(ChipFile, include_extras=True)
    for path, text in facts.items():
        head, *rest = path.split(".")
        at = f"{where}: chip.{path}"
        if head not in ("peak", "memory", "interconnect", "power", "price", "silicon") or not rest:
            raise InferBenchError.at(at, "unknown key", suggest(head, hints) or 'write "peak.fp8" = "…"')
        chip = attrs.evolve(chip, **{head: _replaced(getattr(chip, head), hints[head], rest, text, at)})
    return chip


def _replaced(record: Any, hint: Any, path: Sequence[str], text: str, where: str) -> Any:
    """Return a record, or table of records, with one number replaced; units are those of its type."""
    if typing.get_origin(hint) is typing.Annotated:
        kind, unit = typing.get_args(hint)[:2]
        assert isinstance(unit, Unit)
        try:
            value = parse(text, unit)
        except ValueError as error:
            raise InferBenchError.at(where, str(error)) from None
        return Range(value, value) if kind is Range else value
    table = record if isinstance(record, Mapping) else attrs.asdict(record, recurse=False)
    if not path:
        *most, last = table
        which = f"{', '.join(most)} or {last}" if most else last
        raise InferBenchError.at(where, "holds several numbers", f"write {which} behind it")
    if not isinstance(record, Mapping) and path[0] not in table:
        raise InferBenchError.at(where, "unknown key", suggest(path[0], table))
    if isinstance(record, Mapping):
        inner = typing.get_args(hint)[1]
        if path[0] not in table and attrs.has(inner):
            raise InferBenchError.at(where, "unknown key", suggest(path[0], table))
        return {**record, path[0]: _replaced(table.get(path[0]), inner, path[1:], text, where)}
    inner = typing.get_type_hints(type(record), include_extras=True)[path[0]]
    return attrs.evolve(record, **{path[0]: _replaced(table[path[0]], inner, path[1:], text, where)})
