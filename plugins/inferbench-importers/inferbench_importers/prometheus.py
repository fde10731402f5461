"""DCGM metrics in Prometheus' text format: one scrape, or several one after the other with time stamps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

import inferbench as ib
from inferbench_importers.power import Trace, check_counter, drawn, integrate
from inferbench_importers.record import MILLI, mean

__all__ = ["IMPORTER"]

POWER = "DCGM_FI_DEV_POWER_USAGE"  # W
ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"  # mJ since the driver was loaded
# The parser is lenient with what follows a value: a line that was cut must not pass for a whole one.
_WHOLE = re.compile(r"^DCGM_FI_\w+\s*\{.*\}\s+\S+(?:\s+-?\d+)?\s*$")
_STAMP = re.compile(r"\}\s+\S+\s+(-?\d+)\s*$")


@attrs.frozen
class Sample:
    """One line: metric, device, product, value, seconds (NaN without a time stamp)."""

    metric: str
    device: str
    product: str
    value: float
    seconds: float


def _sniff(path: Path, text: str) -> str:
    return "" if re.search(rf"^{POWER}\s*\{{", text, re.MULTILINE) else f"no line that starts with {POWER}{{"


def _samples(path: Path) -> Iterator[Sample]:
    from prometheus_client.parser import text_string_to_metric_families

    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("DCGM_FI_"):
            continue
        where = f"{path.name}: line {number}"
        try:
            found = [one for family in text_string_to_metric_families(line + "\n") for one in family.samples]
        except (ValueError, KeyError, IndexError):
            found = []
        if len(found) != 1 or not _WHOLE.match(line):
            raise ib.InferBenchError.at(where, f"'{line[:60]}' is not a whole sample", "remove the line")
        sample = found[0]
        value = float(sample.value)
        if sample.name in (POWER, ENERGY) and not math.isfinite(value):
            said = f"'{line.split('}')[-1].split()[0]}' is not a finite number"
            raise ib.InferBenchError.at(where, said, "remove the line")
        if sample.name == POWER:
            drawn(value, where)
        stamp = _STAMP.search(line)
        yield Sample(sample.name, *_who(sample.labels), value, float(stamp[1]) * MILLI if stamp else math.nan)


def _who(labels: Mapping[str, str]) -> tuple[str, str]:
    # The index is unique on one host only, the UUID everywhere.
    device = labels.get("UUID") or f"{labels.get('Hostname', '')}/{labels.get('gpu', '?')}"
    return device, labels.get("modelName", "")


def _read(path: Path) -> list[ib.Measurement]:
    samples = list(_samples(path))
    power = [one for one in samples if one.metric == POWER]
    if not power:
        found = f"no line that starts with {POWER}{{"
        raise ib.InferBenchError.at(path.name, found, "give what DCGM's exporter answers")
    products = sorted({one.product for one in power})
    if len(products) > 1:
        raise ib.InferBenchError.at(
            path.name, f"different products in one log: {', '.join(products)}", "log each product by itself"
        )
    others = {one.metric for one in samples} - {POWER, ENERGY}
    extra = {name: mean(one.value for one in samples if one.metric == name) for name in sorted(others)}
    timed = all(not math.isnan(one.seconds) for one in power)
    fields = _integrated(power, samples, path) if timed and _repeated(power) else _instant(power)
    fields["extra"] = {**fields.get("extra", {}), **extra}
    return [ib.Measurement(source=path.name, chip=products[0], **fields)]


def _repeated(power: Sequence[Sample]) -> bool:
    return len({one.seconds for one in power}) > 1


def _by_device(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for one in samples:
        found.setdefault(one.device, []).append(one)
    return found


def _instant(power: Sequence[Sample]) -> dict[str, Any]:
    """Without time stamps: the sum over devices of each one's mean; no energy."""
    devices = _by_device(power)
    return {
        "phase": "log",
        "chips": len(devices),
        "power_w": math.fsum(mean(one.value for one in found) for found in devices.values()),
        "caveats": ("no time stamps: the power is of the moments of the scrapes, not a mean over time",),
    }


def _integrated(power: Sequence[Sample], samples: Sequence[Sample], path: Path) -> dict[str, Any]:
    traces = [
        Trace.of(device, [(one.seconds, one.value) for one in found])
        for device, found in _by_device(power).items()
    ]
    log = integrate(traces, path.name)
    for device, found in _by_device([one for one in samples if one.metric == ENERGY]).items():
        whole = [one for one in found if log.start <= one.seconds <= log.end]
        if (
            device in log.joules
            and len(whole) > 1
            and (whole[0].seconds, whole[-1].seconds) == (log.start, log.end)
        ):
            check_counter(log.joules[device], (whole[-1].value - whole[0].value) * MILLI, device, path.name)
    return log.fields()


IMPORTER = ib.Importer("prometheus", "DCGM metrics, Prometheus text", _sniff, _read)
