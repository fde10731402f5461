"""Measurement sets: published figures in TOML, a citation per set, to `Measurement`s."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from inferbench.errors import Fault, InferBenchError, suggest
from inferbench.records.facts import Source
from inferbench.records.measurement import Boundary, Condition, Measurement
from inferbench.records.typed import fits
from inferbench.specs.plausible import faults as faults_of
from inferbench.specs.structure import structure
from inferbench.specs.toml import read_toml, walk

__all__ = ["MeasurementSet", "set_from"]

# Column heads that hold figures: name without unit -> (field, unit -> factor to SI).
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
FIGURES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "latency": ("latency_s", SECONDS),
    "ttft": ("ttft_s", SECONDS),
    "tpot": ("tpot_s", SECONDS),
    "rate": ("tokens_per_s", {"tokens/s": 1.0}),
    "power": ("power_w", {"W": 1.0, "mW": 1e-3, "kW": 1e3}),
    "energy": ("energy_j", {"J": 1.0, "kJ": 1e3, "Wh": 3600.0}),
}


@attrs.frozen(kw_only=True)
class Series:
    """Rows that share a chip, a software and a network.

    Attributes:
        source: Key of the set's `[sources]`.
        where: Place in the source: a file, a table.
        columns: Axis names, and figures with their unit: `latency (ms)`. A missing figure of a row is `nan`.
        rows: One list of numbers per point.
        axes: What is the same in all rows.
        options: Options of the workload that was measured (guidance, text encoder).
        conditions: Under which all rows were measured: `steady-state`, `speculative`, `disaggregated`,
            `quantised-cache`.
        fitted: Whether the rows took part in fitting a shipped stack.
    """

    source: str
    where: str
    chip: str
    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    chips: int = 1
    layout: str = ""
    software: str = ""
    network: str = ""
    phase: str = ""
    op: str = ""
    precision: str = ""
    boundary: Boundary = "board"
    statistic: str = "mean"
    queueing: bool = False
    axes: Mapping[str, float] = attrs.field(factory=dict)
    options: Mapping[str, bool] = attrs.field(factory=dict)
    conditions: tuple[Condition, ...] = ()
    caveats: tuple[str, ...] = ()
    fitted: bool = False


@attrs.frozen(kw_only=True)
class SetFile:
    """The layout of a measurement set's TOML."""

    title: str
    note: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    series: tuple[Series, ...] = ()


@attrs.frozen(kw_only=True)
class MeasurementSet:
    """Published figures with their sources.

    Attributes:
        rows: In the file's order.
        sources: Cited by the rows' `source`.
    """

    name: str
    title: str
    rows: tuple[Measurement, ...]
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    note: str = ""
    origin: str = ""


def set_from(text: bytes, name: str, where: str) -> MeasurementSet:
    """Build a measurement set.

    Args:
        text: The file.
        name: Its stem.
        where: How messages call it.

    Raises:
        InferBenchError: With every fault of the file.

    Example:
        A row `[8, 0.5]` under `columns = ["batch", "latency (ms)"]` is 0.0005 s at batch 8.
    """
    raw, rows_of = _without_rows(read_toml(text, where)[0])
    walked = walk(raw, SetFile, where)
    if walked.faults:
        raise InferBenchError(walked.faults)
    head: SetFile = structure(walked.values, SetFile, where)
    sources = {key: source for key, source in walked.sources.items() if source is not None}
    faults: list[Fault] = []
    rows: list[Measurement] = []
    for i, series in enumerate(head.series):
        rows += _rows(series, rows_of[i], sources, f"{where}: series.{i}", faults)
    if faults:
        raise InferBenchError(faults)
    return MeasurementSet(
        name=name, title=head.title, rows=tuple(rows), sources=sources, note=head.note, origin=where
    )


def _without_rows(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[object]]:
    """A file whose series have no rows, and the rows: `nan` is a figure there, and nowhere else in a spec."""
    series = raw.get("series", [])
    if not isinstance(series, list) or not all(isinstance(one, dict) and "rows" in one for one in series):
        return raw, []  # walking it says what is wrong
    return {**raw, "series": [{**one, "rows": []} for one in series]}, [one["rows"] for one in series]


def _rows(
    series: Series, rows: object, sources: Mapping[str, Source], at: str, faults: list[Fault]
) -> Iterator[Measurement]:
    if series.source not in sources:
        faults.append(
            Fault(f"{at}.source", f"'{series.source}' is not in [sources]", suggest(series.source, sources))
        )
        return
    columns = [_column(head, at, faults) for head in series.columns]
    if faults:
        return
    if not isinstance(rows, list):
        faults.append(
            Fault(f"{at}.rows", f"{rows!r:.60} stands where a list was expected", "write [[1, 2.5]]")
        )
        return
    for i, row in enumerate(rows):
        place = f"{at}.rows.{i}"
        if not fits(row, Sequence[float]):
            faults.append(
                Fault(place, f"{row!r:.60} is no list of numbers", "write one number for each column")
            )
            continue
        if any(abs(one) > sys.float_info.max for one in row if isinstance(one, int)):
            faults.append(Fault(place, "a number is too large", f"write at most {sys.float_info.max:.2g}"))
            continue
        if len(row) != len(columns):
            faults.append(Fault(place, f"{len(row)} numbers, {len(columns)} columns"))
            continue
        yield _measurement(series, sources[series.source], columns, row, i, place, faults)


def _column(head: str, at: str, faults: list[Fault]) -> tuple[str, float, bool]:
    """Field or axis name, factor to SI, whether it is a figure."""
    name, _, unit = head.partition(" (")
    if not unit:
        return name, 1.0, False
    field, units = FIGURES.get(name, ("", {}))
    factor = units.get(unit.rstrip(")"), math.nan)
    if not field or math.isnan(factor):
        known = ", ".join(f"{k} ({u})" for k, (_, us) in FIGURES.items() for u in us)
        faults.append(Fault(f"{at}.columns", f"'{head}' is no known figure", f"known are {known}"))
    return field, factor, True


def _measurement(
    series: Series,
    source: Source,
    columns: list[tuple[str, float, bool]],
    row: Sequence[float],
    i: int,
    place: str,
    faults: list[Fault],
) -> Measurement:
    axes: dict[str, float] = dict(series.axes)
    figures: dict[str, Any] = {}
    for (name, factor, figure), value in zip(columns, row, strict=True):
        if not figure:
            axes[name] = value
        elif not math.isnan(value):
            figures[name] = value * factor
    made = Measurement(
        source=f"{source.title}, {series.where}, row {i + 1}",
        chip=series.chip,
        chips=series.chips,
        layout=series.layout,
        software=series.software,
        network=series.network,
        phase=series.phase,
        op=series.op,
        precision=series.precision,
        axes=axes,
        boundary=series.boundary,
        statistic=series.statistic,
        queueing=series.queueing,
        conditions=frozenset(series.conditions),
        caveats=series.caveats,
        fitted=series.fitted,
        extra={"options": dict(series.options)} if series.options else {},
        **figures,
    )
    faults.extend(attrs.evolve(fault, where=place) for fault in faults_of(made))
    return made
