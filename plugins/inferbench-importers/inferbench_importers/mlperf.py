"""MLPerf Inference: `mlperf_log_summary.txt` in nanoseconds, with `spl.txt` (wall power) beside it or
alone.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.power import GAP, Log, Trace, drawn, integrate
from inferbench_importers.record import NAN, NANO, Row, gather

__all__ = ["IMPORTER"]

TOKENS = ("Tokens per second", "Completed tokens per second")
SAMPLES = ("Samples per second", "Completed samples per second")
EPOCH = datetime(2000, 1, 1)
# A power log says day or month first without telling which; loadgen's own log has the month first.
DAY_FIRST, MONTH_FIRST = "%d-%m-%Y %H:%M:%S.%f", "%m-%d-%Y %H:%M:%S.%f"


def _sniff(path: Path, text: str) -> str:
    if _power_log(text):
        return ""
    for key in ("SUT name", "Scenario", "Result is"):
        if not re.search(rf"^{key}\s*:", text, re.MULTILINE):
            return f"no line '{key} : …' and no line 'Time,…,Watts,…'"
    return ""


def _power_log(text: str) -> bool:
    return re.match(r"\s*Time,[^,]+,Watts,", text) is not None


def _read(path: Path) -> list[ib.Measurement]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if _power_log(text):
        log = integrate([_spl(text, path, DAY_FIRST)], path.name)
        return [ib.Measurement(source=path.name, chip="", boundary="wall", **{**log.fields(), "chips": 1})]
    pairs = (line.split(":", 1) for line in text.splitlines() if re.match(r"[^:]*\S\s*:\s*\S", line))
    values = {key.strip(): value.strip() for key, value in pairs}
    return gather(path, [values], lambda row: _build(row, path), "")


def _build(row: Row, path: Path) -> ib.Measurement:
    scenario, result = row.text("Scenario"), row.text("Result is")
    system, network = _place(path)
    first, step = _time(row, "First Token latency", "mean"), _time(row, "Time to Output Token", "mean")
    tokens = row.positive(*TOKENS)
    fields = {
        **system,
        "network": network,
        "phase": "generate" if tokens > 0 else "",
        "latency_s": _time(row, "latency", "mean"),
        "ttft_s": first,
        "tpot_s": step,
        "tokens_per_s": tokens,
        # One query at a time is a batch of one.
        "axes": {"batch": 1.0} if scenario in ("SingleStream", "Single Stream") and tokens > 0 else {},
        # Every query of Offline waits from the start; Server and Interactive arrive at random.
        "queueing": scenario not in ("SingleStream", "Single Stream", "MultiStream", "Multistream"),
        **_power(path),
    }
    fields.setdefault("extra", {})
    fields["extra"] = {
        **row.extra(),
        **fields["extra"],
        "scenario": scenario,
        "samples_per_s": row.number(*SAMPLES),
    }
    caveats = (f"{scenario}: rates are of the whole system under MLPerf's load",)
    invalid = (f"invalid: MLPerf's checks say {result}",) if result != "VALID" else ()
    return ib.Measurement(source=row.where, caveats=(*caveats, *invalid), **fields)


def _time(row: Row, name: str, statistic: str) -> float:
    """`Mean First Token latency (ns)`, `Mean latency (ns)`: always nanoseconds, and the key says so."""
    wanted = f"{statistic} {name} (ns)".lower()
    key = next((one for one in row.values if one.lower() == wanted), "")
    return row.positive(key, unit=NANO) if key else NAN


def _place(path: Path) -> tuple[dict[str, Any], str]:
    """Chip, count and software from `systems/<system>.json` of the submission's tree; network from the
    folder's name.
    """
    for folder in path.absolute().parents:
        file = folder.parent.parent / "systems" / f"{folder.name}.json"
        if file.is_file():
            system = Row(json.loads(file.read_text(encoding="utf-8")), file.name)
            chips = system.count("accelerators_per_node", default=1) * system.count(
                "number_of_nodes", default=1
            )
            inside = path.absolute().relative_to(folder).parts
            fields = {
                "chip": system.text("accelerator_model_name"),
                "chips": chips,
                "software": system.text("framework"),
            }
            return fields, inside[0] if len(inside) > 1 else ""
    return {"chip": ""}, ""


def _power(path: Path) -> dict[str, Any]:
    """Mean power between loadgen's own marks; nothing where there is no power log."""
    spl, detail = path.with_name("spl.txt"), path.with_name("mlperf_log_detail.txt")
    if not spl.is_file():
        return {}
    text = spl.read_text(encoding="utf-8", errors="replace")
    window = _window(detail) if detail.is_file() else None
    if window is None:
        log = integrate([_spl(text, spl, DAY_FIRST)], spl.name)
        span = "the whole log: no power_begin and power_end in mlperf_log_detail.txt"
    else:
        log, span = _aligned(text, spl, window), "power_begin to power_end"
    return {
        "power_w": log.power_w,
        "boundary": "wall",
        "extra": {"log_energy_j": log.energy_j, "log_seconds": log.end - log.start, "power_window": span},
    }


def _aligned(text: str, spl: Path, window: tuple[float, float]) -> Log:
    """Read the dates so that the log covers the window; what is then wrong with it is of the log."""
    read = [_spl(text, spl, form) for form in (MONTH_FIRST, DAY_FIRST)]
    covering = [trace for trace in read if _covers(trace, window)]
    return integrate([(covering or read)[0]], spl.name, window)


def _covers(trace: Trace, window: tuple[float, float]) -> bool:
    seconds = trace.seconds
    return bool(seconds.size) and bool(seconds[0] <= window[0] + GAP and seconds[-1] >= window[1] - GAP)


def _window(detail: Path) -> tuple[float, float] | None:
    marks: dict[str, float] = {}
    for line in detail.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(":::MLLOG") and ("power_begin" in line or "power_end" in line):
            entry = json.loads(line.removeprefix(":::MLLOG"))
            marks[entry["key"]] = (datetime.strptime(entry["value"], MONTH_FIRST) - EPOCH).total_seconds()
    return (marks["power_begin"], marks["power_end"]) if len(marks) == 2 else None


def _spl(text: str, path: Path, form: str) -> Trace:
    samples = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(",")]
        pairs = dict(zip(cells[::2], cells[1::2], strict=False))
        try:
            moment = _moment(pairs["Time"], form)
            watts = float(pairs["Watts"])
        except (KeyError, ValueError):
            raise ib.InferBenchError.at(
                f"{path.name}: line {number}",
                f"'{line[:60]}' is no line 'Time,<date>,Watts,<number>,…'",
                "remove the line",
            ) from None
        samples.append(((moment - EPOCH).total_seconds(), drawn(watts, f"{path.name}: line {number}")))
    return Trace.of("analyzer", samples)


def _moment(text: str, form: str) -> datetime:
    try:
        return datetime.strptime(text, form)
    except ValueError:  # a day above 12 tells that it is the other way round
        return datetime.strptime(text, DAY_FIRST if form == MONTH_FIRST else MONTH_FIRST)


IMPORTER = ib.Importer("mlperf", "MLPerf summary and power log", _sniff, _read)
