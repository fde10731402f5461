"""optimum-benchmark: `benchmark_report.json` beside `benchmark_config.json`, or `benchmark.json` with
both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import inferbench as ib
from inferbench_importers.record import MILLI, NAN, Row, gather, lacks, objects

__all__ = ["IMPORTER"]

PHASES = {
    "prefill": "prefill",
    "decode": "decode",
    "per_token": "decode",
    "forward": "forward",
    "call": "image",
}
TIME = {"s": 1.0, "ms": MILLI}
ENERGY = {"kWh": 3.6e6, "Wh": 3.6e3, "J": 1.0}


def _sniff(path: Path, text: str) -> str:
    return lacks(text, tuple(PHASES), "latency", ("max_ram", "max_global_vram", "efficiency"))


def _build(row: Row) -> Iterable[ib.Measurement]:
    report = row.values.get("report")
    targets = report if isinstance(report, dict) else row.values
    config = row.values.get("config")
    setup = _Setup(Row(config if isinstance(config, dict) else {}, row.where))
    # The time of each token is measured, that of all of decoding has to be divided: one of them, not both.
    skipped = {"decode"} if _latency(targets.get("per_token")) and not setup.tokens else {"per_token"}
    if "decode" not in targets:
        skipped = set()
    rest = {name: value for name, value in targets.items() if name not in PHASES and name != "overall"}
    for target, phase in PHASES.items():
        if target in skipped or not _latency(targets.get(target)):
            continue
        yield _one(Row(targets[target], f"{row.where}: {target}"), target, phase, setup, rest)


def _latency(target: Any) -> bool:
    return isinstance(target, dict) and isinstance(target.get("latency"), dict)


class _Setup:
    """What the configuration says: shapes, chip, software."""

    def __init__(self, config: Row) -> None:
        scenario, backend = _part(config, "scenario"), _part(config, "backend")
        environment = _part(config, "environment")
        shapes, generated = _part(scenario, "input_shapes"), _part(scenario, "generate_kwargs")
        self.shapes = shapes.axes(batch="batch_size", context="sequence_length")
        self.output = generated.number("max_new_tokens", "min_new_tokens")
        called = _part(scenario, "call_kwargs").axes(steps="num_inference_steps", pixels="height")
        self.called = {"batch": self.shapes.get("batch", 1.0), **called}
        gpus = environment.values.get("gpu") or []
        self.gpus = [str(gpu) for gpu in gpus] if isinstance(gpus, list) else [str(gpus)]
        on_gpu = backend.text("device") in ("", "cuda", "rocm")
        self.chip = self.gpus[0] if self.gpus and on_gpu else environment.text("cpu").strip()
        ids = str(backend.values.get("device_ids") or "0").split(",")
        self.chips = len(ids) if on_gpu else 1
        name, version = backend.text("name"), backend.text("version")
        self.software = f"{name}-{version}" if name and version else name
        self.network = backend.text("model")
        self.precision = backend.text("quantization_scheme", "torch_dtype", "dtype")
        self.config = dict(config.values)

    @property
    def tokens(self) -> float:
        """Tokens after the first one that a decode target's time is of; 0 if unknown."""
        return 0.0 if math.isnan(self.output) else self.output - 1.0

    def axes(self, phase: str) -> dict[str, float]:
        if phase == "prefill":
            return self.shapes
        if phase == "decode":
            axes = {key: value for key, value in self.shapes.items() if key == "batch"}
            if "context" in self.shapes and self.tokens:
                axes["context"] = self.shapes["context"] + self.output / 2.0
            return axes
        return self.called


def _part(row: Row, name: str) -> Row:
    value = row.values.get(name)
    return Row(value if isinstance(value, dict) else {}, f"{row.where}: {name}")


def _one(row: Row, target: str, phase: str, setup: _Setup, rest: Mapping[str, Any]) -> ib.Measurement:
    latency = Row(row.get("latency"), row.where)
    unit = _unit(latency, "latency", TIME)
    steps = setup.tokens if target == "decode" else 1.0
    if not steps:
        raise row.fault(
            "latency",
            "of all tokens together, and how many they are is not known",
            "keep benchmark_config.json (max_new_tokens) beside the report",
        )
    seconds = latency.positive("mean", unit=unit) / steps
    rate = row.get("throughput")
    tokens = Row(rate, row.where) if isinstance(rate, dict) and rate.get("unit") == "tokens/s" else None
    return ib.Measurement(
        source=row.where,
        chip=setup.chip,
        chips=setup.chips,
        software=setup.software,
        network=setup.network,
        phase=phase,
        precision=setup.precision,
        axes=setup.axes(phase),
        latency_s=seconds,
        ttft_s=seconds if phase == "prefill" else NAN,
        tpot_s=seconds if phase == "decode" else NAN,
        # Throughput of a prefill counts prompt tokens.
        tokens_per_s=tokens.positive("value") if tokens and phase == "decode" else NAN,
        energy_j=_energy(row) / steps,
        boundary="board",
        extra={**row.extra(), "config": setup.config, "targets": dict(rest)},
    )


def _unit(row: Row, what: str, known: Mapping[str, float]) -> float:
    unit = row.text("unit")
    if unit not in known:
        raise row.fault(
            f"{what}.unit", f"'{unit}' is no known unit", f"one of {', '.join(known)} was expected"
        )
    return known[unit]


def _energy(row: Row) -> float:
    """Joules of the GPUs; the total would mix in an estimate for the rest of the machine."""
    energy = row.values.get("energy")
    if not isinstance(energy, dict) or not energy.get("gpu"):
        return NAN
    part = Row(energy, f"{row.where}: energy")
    return part.positive("gpu", unit=_unit(part, "energy", ENERGY))


def _read(path: Path) -> list[ib.Measurement]:
    found = objects(path)
    beside = path.with_name("benchmark_config.json")
    if len(found) == 1 and "report" not in found[0] and path.name != beside.name and beside.is_file():
        found = [{"report": found[0], "config": objects(beside)[0]}]
    return gather(path, found, _build, "report" if len(found) > 1 else "")


IMPORTER = ib.Importer("optimum", "optimum-benchmark report", _sniff, _read)
