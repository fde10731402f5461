"""`inferbench explain`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import attrs
import click
import rich_click

from inferbench.cli import common
from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.evidence.matching import Situation, read_rows, situate, targets
from inferbench.face.run import run as run_once
from inferbench.model.document import SCHEMA
from inferbench.records.measurement import Measurement
from inferbench.report.model import DASH, Cell, Report, Table
from inferbench.report.reconcile import reconciliation
from inferbench.units import Seconds, Unit, parse
from inferbench.validation.reconcile import Split, gap, measured_split, split
from inferbench.validation.validate import UNITS

__all__ = ["command"]

_SECONDS: Unit = get_args(Seconds)[1]
# A host time of less than this share of the step is what rounding leaves, no time.
ROUNDING = 1e-9


@click.command("explain", cls=rich_click.RichCommand)
@click.argument("first", metavar="RUN.json|SYSTEM")
@click.argument("second", metavar="MEASUREMENT|NETWORK/PHASE")
@click.option("--measured", metavar="TIME", help="What was measured, for SYSTEM NETWORK/PHASE: '8.4 ms'.")
@click.option("--row", default=1, show_default=True, help="Which row of the measurement's file.")
@click.option("--result", default=1, show_default=True, help="Which result of RUN.json.")
@common.point_options
@common.output_options
def command(
    first: str,
    second: str,
    measured: str | None,
    row: int,
    result: int,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Say where a measured time goes: algorithm, hardware, software.

    Example: inferbench explain h100 llama3-8b/decode --measured 8.4ms --stack vllm-h100 --batch 4

    With RUN.json, what `run --format json` wrote, and a file of measurements also the gap between the two,
    as factors of work, algorithm, hardware and software.
    """
    registry = common.the_registry()
    if first.endswith(".json") or Path(first).is_file():
        predicted = _result(Path(first), result)
        chosen = "" if asked.stack == "ideal" else asked.stack
        m = _measurement(second, row, registry)
        one = measured_split(m, registry, chosen)
        registry.warnings.extend([*_loop(m), *_far(one, m.source)])
        report = _warned(_report(one, gap(predicted, one)), differences(predicted, m, registry, chosen))
    else:
        seconds = _time(measured)
        run = run_once(
            first,
            second,
            precision=common.names(asked.precision),
            stack=asked.stack,
            scenario=asked.scenario,
            options=common.options_of(asked.pairs),
            ignore_capacity=asked.ignore_capacity,
            breakdown=True,
            registry=registry,
            **common.axes_from(asked.batch, asked.context, asked.axes),
        )
        one = split(run, seconds, run.latency)
        registry.warnings.extend(_far(one, "--measured"))
        report = _report(one)
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _far(one: Split, where: str) -> Iterator[Fault]:
    """A measured time so far from the prediction that a unit is likelier than an error."""
    predicted = one.model if math.isnan(one.stack) else one.stack
    if not 1.0 / UNITS <= one.measured / predicted <= UNITS:
        found = f"{one.measured:.3g} s were measured, {predicted:.3g} s are predicted: are the units right?"
        yield Fault(where, found, "check the units")


def _loop(m: Measurement) -> Iterator[Fault]:
    """What a step of a server under load is compared with."""
    regimes = {target.regime for target in targets(m)} - {""}
    if regimes:
        found = (
            f"{regimes.pop()}: a decode step at the requests in flight is compared; prompts run between"
            " measured ones"
        )
        yield Fault(m.source, found)


def _time(text: str | None) -> float:
    if text is None:
        raise InferBenchError.at("--measured", "no measured time was given", "add --measured '8.4 ms'")
    try:
        seconds = parse(text, _SECONDS)
    except ValueError as error:
        raise InferBenchError.at("--measured", str(error), "write it like --measured '8.4 ms'") from None
    if not seconds > 0:
        raise InferBenchError.at("--measured", f"{text} is no duration", "a time above 0 was expected")
    return seconds


def _result(file: Path, number: int) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig", errors="replace"))
    except OSError as error:
        raise InferBenchError.at(str(file), f"can't be read: {error.strerror}", "give a run's JSON") from None
    except (ValueError, RecursionError) as error:
        raise InferBenchError.at(
            str(file), f"not valid JSON: {error}", "write it again with run --format json"
        ) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InferBenchError.at(str(file), f"no {SCHEMA} document", "write one with run --format json --out")
    results = document.get("results", [])
    if not 1 <= number <= len(results):
        raise InferBenchError.at("--result", f"{number} of {len(results)} results", "count from 1")
    found: Mapping[str, Any] = results[number - 1]
    return found


def _measurement(file: str, row: int, registry: Registry) -> Measurement:
    rows = read_rows(file, registry)
    if not 1 <= row <= len(rows):
        raise InferBenchError.at("--row", f"{row} of {len(rows)} rows", "count from 1")
    return rows[row - 1]


def differences(
    predicted: Mapping[str, Any], m: Measurement, registry: Registry, stack: str = ""
) -> dict[str, tuple[str, str]]:
    """What a run's result and a measurement are not alike in: name to what the run has and what was measured.

    Args:
        predicted: One of the `results` of a run's JSON document.
        m: The measurement.
        registry: For aliases.
        stack: As given to `measured_split`.

    Example:
        A run of batch 16 and a measurement of batch 1: `{"batch": ("16", "1")}`.
    """
    found = situate(m, registry, stack)
    if not isinstance(found, Situation):
        found = situate(m, registry, "ideal")
    if not isinstance(found, Situation) or found.network is None:
        return {}
    timed = [target for target in targets(m) if target.metric not in ("power_w", "energy_j")]
    ours = {
        "chip": found.system.chip.name,
        "chips": found.system.count,
        "network": found.network.name,
        "phase": timed[0].phase if timed else m.phase,
        "precision": found.precision,
    }
    ours |= dict(timed[0].axes) if timed else {}
    theirs = {**predicted, **predicted.get("axes", {})}
    return {
        name: (_said(theirs[name]), _said(value))
        for name, value in ours.items()
        if theirs.get(name) is not None and _said(theirs[name]) != _said(value)
    }


def _said(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _warned(report: Report, differs: Mapping[str, tuple[str, str]]) -> Report:
    """The report with what differs at its top: a gap between two points is not of software."""
    data = {**report.data, "differs": {name: list(pair) for name, pair in differs.items()}}
    if not differs:
        return attrs.evolve(report, data=data)
    title = f"Warning: the run and the measurement differ in {', '.join(differs)}"
    rows = tuple((Cell(name), Cell(run), Cell(measured)) for name, (run, measured) in differs.items())
    first = Table(title, (Cell(""), Cell("run"), Cell("measured")), rows)
    return attrs.evolve(report, tables=(first, *report.tables), data=data)


def _report(one: Split, factors: Mapping[str, float] | None = None) -> Report:
    """The reconciliation; a host time that is only what rounding leaves shows as none."""
    if not 0.0 < one.host < ROUNDING * one.stack:
        return reconciliation(one, factors)
    report = reconciliation(attrs.evolve(one, host=0.0), factors)
    *others, last = report.tables
    none = tuple(Cell(text) for text in ("host", *[DASH] * (len(last.columns) - 1)))
    return attrs.evolve(report, tables=(*others, attrs.evolve(last, rows=(*last.rows, none))))
