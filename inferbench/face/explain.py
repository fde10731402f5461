"""`explain`: where a measured time goes: algorithm, hardware, software."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import attrs

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import Fault, InferBenchError
from inferbench.evidence.matching import Situation, read_rows, situate, targets
from inferbench.face.answer import Answer
from inferbench.face.asked import listed, one_number
from inferbench.face.run import run
from inferbench.face.validate import given_of
from inferbench.face.verb import verb
from inferbench.files import read_text
from inferbench.model.choice import BEST
from inferbench.model.document import SCHEMA
from inferbench.records.grid import Grid
from inferbench.records.measurement import Measurement
from inferbench.report.model import Report
from inferbench.report.reconcile import reconciliation
from inferbench.specs.ranges import Axis
from inferbench.units import Seconds, Unit, parse
from inferbench.validation.reconcile import Split, gap, measured_split, split
from inferbench.validation.validate import UNITS

__all__ = ["Explanation", "differences", "explain"]

_SECONDS: Unit = get_args(Seconds)[1]


@attrs.frozen(eq=False, repr=False)
class Explanation(Answer):
    """A measured time in its parts.

    Attributes:
        split: The parts, and the operators where they are known.
        factors: By how much the measurement is slower than a run's result; None where no run was given.
        differs: What the run and the measurement are not alike in: what each has.
        warnings: Doubts about the comparison.
    """

    split: Split
    factors: Mapping[str, float] | None = None
    differs: Mapping[str, tuple[str, str]] | None = None
    warnings: tuple[Fault, ...] = ()

    def report(self, verbose: bool = False) -> Report:
        """Return the chain from operations at peak to the measurement, the gap, the operators."""
        return reconciliation(self.split, self.factors, self.differs)

    def summary(self) -> str:
        """Give the three factors."""
        one = self.split
        parts = ("algorithm", "hardware", "software")
        said = ", ".join(f"{name} {100 * getattr(one, name):.3g} %" for name in parts)
        return f"of {one.title}: {one.measured:.4g} s; {said}"


@verb
def explain(
    first: str | Path,
    second: str | Path,
    *,
    measured: str | float | None = None,
    row: int = 1,
    result: int = 1,
    precision: str | Sequence[str] | None = None,
    stack: str | None = None,
    chip: str | None = None,
    network: str | None = None,
    software: str | None = None,
    figure: str | None = None,
    scenario: str | None = "reference",
    options: Mapping[str, object] | None = None,
    ignore_capacity: bool = False,
    reserve: str | float | None = None,
    registry: Registry | None = None,
    **axes: Axis,
) -> Explanation:
    """Say where a measured time goes.

    Args:
        first: A system; or the JSON file of a run.
        second: `network/phase`, to a system; or a file of measurements, to a run's JSON.
        measured: What was measured on the system, seconds or text like `8.4 ms`.
        row: Which row of the file of measurements, counted from 1.
        result: Which result of the run's JSON, counted from 1.
        precision: Of the workload on the system, bf16 if none is given; of a measurement that doesn't say it.
        stack: Software; by default the nearest that was measured, for a row of measurements that of its
            software.
        chip, network, software: Of a measurement that doesn't say it; a chip may be a system (`8xh200:tp8`).
        figure: Which time of the measurement: `ttft`, `tpot` or `latency`; the first by default.
        scenario: Economics; None: no figure in dollars is asked for.
        options: The workload's options.
        ignore_capacity: Pretend that everything fits.
        reserve: Memory that the engine keeps for itself, `0.1` or `"8 GB"` of each chip; None: what it
            usually keeps.
        registry: Of plugins; everything installed by default.
        **axes: `batch=4`, `context=2048`, ….

    Raises:
        InferBenchError: No measured time, unknown names, files that can't be read or have no such row.

    Example:
        >>> import inferbench as ib
        >>> found = ib.explain("h100", "llama3-8b/decode", measured="8.4ms", stack="vllm-h100", batch=4)
        >>> 0 < found.split.software < 1
        True
    """
    known = registry or installed()
    if str(first).endswith(".json") or (Path(first).exists() and not Path(first).is_dir()):
        of_a_run = {"measured": measured, "options": options, "reserve": reserve}
        _refuse_idle(of_a_run | {"ignore_capacity": ignore_capacity or None}, "beside a run that was written")
        named = {"chip": chip, "network": network, "software": software, "precision": _one(precision)}
        given = given_of(named, known) | ({"axes": one_each(axes)} if axes else {})
        m = _measurement(str(second), row, known, given)
        return _against_a_run(_result(Path(first), result), m, known, stack, figure)
    of_a_file: dict[str, object] = {"chip": chip, "network": network, "software": software, "figure": figure}
    of_a_file |= {name: value for name, value in (("row", row), ("result", result)) if value != 1}
    _refuse_idle(of_a_file, "where a system and its measured time are given")
    seconds = _time(measured)
    found = run(
        str(first),
        str(second),
        precision=precision or "bf16",
        stack=stack or BEST,
        scenario=scenario,
        options=options,
        ignore_capacity=ignore_capacity,
        reserve=reserve,
        breakdown=True,
        registry=known,
        **axes,
    )
    _refuse_grid(found.grid)
    one = split(found, seconds, found.latency)
    return Explanation(one, warnings=tuple(_far(one, Fault("", "", argument="measured"))))


def _refuse_idle(given: Mapping[str, object], where: str) -> None:
    """Refuse arguments that would change nothing."""
    for name, value in given.items():
        if value is not None and value != {}:
            shown = "" if isinstance(value, bool | Mapping) else f"{value}"
            raise InferBenchError.of_argument(name, f"changes nothing {where}", "leave it out", shown)


def _refuse_grid(grid: Grid) -> None:
    """Refuse more than one point: one time was measured, at one of them."""
    asked = {**{name: len(values) for name, values in grid.axes.items()}, "precision": len(grid.precisions)}
    for name, count in asked.items():
        if count > 1:
            found = f"{count} points are given, and one time was measured"
            raise InferBenchError.of_argument(name, found, "give the one at which it was measured")


def _one(precision: str | Sequence[str] | None) -> str | None:
    """The precision of a measurement, which has one."""
    names = listed(precision)
    if len(names) > 1:
        raise InferBenchError.of_argument("precision", "a measurement has one precision", "", ",".join(names))
    return names[0] if names else None


def one_each(axes: Mapping[str, Axis]) -> dict[str, float]:
    """Axes of a measurement, one number each."""
    return {name: one_number(value, name, 1.0) for name, value in axes.items()}


def _against_a_run(
    predicted: Mapping[str, Any], m: Measurement, known: Registry, stack: str | None, figure: str | None
) -> Explanation:
    one = measured_split(m, known, stack, figure)
    warnings = (*_loop(m), *_far(one, Fault(m.source, "")))
    return Explanation(one, gap(predicted, one), differences(predicted, m, known, stack), warnings)


def _far(one: Split, at: Fault) -> Iterator[Fault]:
    """A measured time so far from the prediction that a unit is likelier than an error."""
    predicted = one.model if math.isnan(one.stack) else one.stack
    if not 1.0 / UNITS <= one.measured / predicted <= UNITS:
        found = f"{one.measured:.3g} s were measured, {predicted:.3g} s are predicted: are the units right?"
        yield attrs.evolve(at, found=found, remedy="check the units")


def _loop(m: Measurement) -> Iterator[Fault]:
    """What a step of a server under load is compared with."""
    regimes = {target.regime for target in targets(m)} - {""}
    if regimes:
        found = (
            f"{regimes.pop()}: a decode step at the requests in flight is compared; prompts run between"
            " measured ones"
        )
        yield Fault(m.source, found)


def _time(time: str | float | None) -> float:
    example = "8.4 ms"
    if time is None:
        found = "no measured time was given"
        raise InferBenchError.of_argument("measured", found, "add {give}", measured=example)
    try:
        seconds = parse(time, _SECONDS) if isinstance(time, str) else float(time)
    except ValueError as error:
        remedy = "write it like {give}"
        raise InferBenchError.of_argument("measured", str(error), remedy, measured=example) from None
    if not 0 < seconds < math.inf:
        found = f"{time} is no duration"
        raise InferBenchError.of_argument("measured", found, "a time above 0 was expected")
    return seconds


def _result(file: Path, number: int) -> Mapping[str, Any]:
    try:
        document = json.loads(read_text(file))
    except OSError as error:
        raise InferBenchError.at(str(file), f"can't be read: {error.strerror}", "give a run's JSON") from None
    except (ValueError, RecursionError) as error:
        remedy = "write it again with run --format json"
        raise InferBenchError.at(str(file), f"not valid JSON: {error}", remedy) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InferBenchError.at(str(file), f"no {SCHEMA} document", "write one with run --format json --out")
    results, again = document.get("results", []), "write it again with run --format json"
    if not isinstance(results, list):
        raise InferBenchError.at(str(file), "its results are no list", again)
    if not 1 <= number <= len(results):
        found = f"{number} of {len(results)} results"
        raise InferBenchError.of_argument("result", found, "count from 1")
    one = results[number - 1]
    tables = [one, one.get("metrics", {}), one.get("axes", {})] if isinstance(one, dict) else [one]
    if not all(isinstance(table, dict) for table in tables):
        raise InferBenchError.at(str(file), f"result {number} is not as run writes it", again)
    found_result: Mapping[str, object] = one
    return found_result


def _measurement(file: str, row: int, known: Registry, given: Mapping[str, object]) -> Measurement:
    rows = read_rows(file, known, "", given)
    if not 1 <= row <= len(rows):
        raise InferBenchError.of_argument("row", f"{row} of {len(rows)} rows", "count from 1")
    return rows[row - 1]


def differences(
    predicted: Mapping[str, Any], m: Measurement, known: Registry, stack: str | None = None
) -> dict[str, tuple[str, str]]:
    """What a run's result and a measurement are not alike in: name to what the run has and what was measured.

    Args:
        predicted: One of the `results` of a run's JSON document.
        m: The measurement.
        known: For aliases.
        stack: As given to `measured_split`.

    Example:
        A run of batch 16 and a measurement of batch 1: `{"batch": ("16", "1")}`.
    """
    found = situate(m, known, stack)
    if not isinstance(found, Situation):
        found = situate(m, known, "ideal")
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


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and abs(value) < 1e300 else str(value)
