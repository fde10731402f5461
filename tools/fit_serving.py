"""Fit the host time of serving stacks on published static batches, print errors of left-out networks, write
stacks.

    python -m inferbench_data llm_end_to_end llm_ttft_tpot
    python tools/fit_serving.py llm_end_to_end.csv llm_ttft_tpot.csv [--write]

A step is the sum of its kernels and `h0 + h1 batch` of host time. The data free h0 and h1 of each chip
and nothing else: both enter linearly, so the fit is a non-negative least-squares problem on relative
errors, solved again with the weights of a soft-L1 loss until it stands.

The kernels are those of the kernel stack beneath, which was measured with a newer library. Where the
measured software is known to run another kernel, figures are transferred from one that behaves alike,
never fitted (`transferred`). Beside it stands the fit to the kernels as they are.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from scipy.optimize import nnls

import inferbench as ib
from inferbench.evidence.importing import read_measurements
from inferbench.evidence.matching import Situation, situate, targets
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.model.intervals import INTERVAL, conformal, held
from inferbench.records.measurement import Measurement
from inferbench.records.stack import TABLES, TIMES, Host, Stack
from inferbench.records.system import System

Array = Any
CHIPS = {"a100-sxm-40gb": "a100", "h100-sxm": "h100"}
KERNELS = {"a100-sxm-40gb": "trtllm-1.0", "h100-sxm": "trtllm-1.3"}
FRAMEWORKS = {"TensorRT-LLM": "tensorrt-llm", "vLLM": "vllm"}
OUT = Path(__file__).parents[1] / "specs/inferbench_specs/stacks"
SCALE = 0.05
# Frameworks whose measured version reads keys once per query head.
APART = ("TensorRT-LLM",)
GROUPED, ALONE = "attention.generation", "attention.generation.mha"
# Plain loads of an A100 pass one sector of 32 bytes per slice and cycle, 2560 bytes a cycle and 3.61 of the
# 7.22 TB/s (smallscientist1/cuda_microbenchmark, analysis_A100.md). The H100's bandwidth is a measured one
# already.
CACHE = {"a100-sxm-40gb": 0.5, "h100-sxm": 1.0}
# A figure counts for a phase if that phase is most of what was measured: a generation is nearly all decode
# steps.
SEEN = {"latency_s": ("decode", "generate"), "tpot_s": ("decode",), "ttft_s": ("prefill",)}


@attrs.frozen(eq=False)
class Line:
    """One figure, linear in what is fitted: `fixed + passes (h0 + h1 batch)` seconds; `plain` with kernels as
    they are.
    """

    file: str
    chip: str
    framework: str
    network: str
    metric: str
    batch: float
    fixed: float
    plain: float
    passes: float
    measured: float
    floor: float


@attrs.frozen(eq=False)
class Found:
    """A fit: per chip h0 and h1 in seconds."""

    host: dict[str, tuple[float, float]]

    def predict(self, lines: Sequence[Line]) -> Array:
        """Seconds of each line."""
        hosts = [self.host[line.chip] for line in lines]
        return np.array(
            [
                line.fixed + line.passes * (h0 + h1 * line.batch)
                for line, (h0, h1) in zip(lines, hosts, strict=True)
            ]
        )


def transferred(base: Stack, chip: str, framework: str) -> Stack:
    """Give a kernel stack what the measured software is known to do otherwise; nothing here is fitted.

    - Attention of a new token reads its keys at the share of the bandwidth that is measured where every query
    head has
      keys of its own. Where heads share keys, the tables have runs faster than the memory, and their figure
      is too good.
    - TensorRT-LLM 0.11 (the benchmark's requirements.txt) runs the kernel for heads with keys of their own
    for heads
      that share them too, and loads the keys once per query head, from the cache where they are there
      (NVIDIA/TensorRT-LLM#407). So all figures are that kernel's. vLLM's (vllm-flash-attn 2.6.1) shares.
    - Element-wise kernels, which no table has, reach the share of the bandwidth that products reach.
    """
    efficiency = {engine: dict(table) for engine, table in base.efficiency.items()}
    memory = efficiency["memory"]
    memory |= {GROUPED: memory[ALONE], "elementwise": memory["gemm"], "reduce": memory["gemm"]}
    if framework not in APART:
        return attrs.evolve(base, efficiency=efficiency, host=Host())
    for table in efficiency.values():
        _as_alone(table)
    efficiency["memory.l2"] = {"default": CACHE[chip]}
    tables: dict[str, Any] = {name: dict(getattr(base, name)) for name in TABLES}
    for table in tables.values():
        _as_alone(table)
    tuning = {"simt": {**base.tuning.get("simt", {}), "shares_keys": False}}
    return attrs.evolve(base, efficiency=efficiency, **tables, tuning=tuning, host=Host())


def _as_alone(table: dict[str, Any]) -> None:
    """Take the figure of heads with keys of their own for heads that share them, also where there is none."""
    if ALONE in table:
        table[GROUPED] = table[ALONE]


def lines_of(file: Path, registry: Any) -> list[Line]:
    """Every comparable figure of a table, with what the kernels take."""
    found: list[Line] = []
    for m in read_measurements(file, registry):
        chip = registry.alias("chips", m.chip)
        if m.software not in FRAMEWORKS or chip not in CHIPS:
            continue
        s = situate(m, registry, KERNELS[chip])
        if isinstance(s, Situation):
            found += [line for line in _lines(file.name, m, s, registry) if line.measured >= line.floor]
    return found


def _lines(file: str, m: Measurement, s: Situation, registry: Any) -> Iterator[Line]:
    assert s.network is not None
    chip = s.system.chip.name
    base: Stack = attrs.evolve(registry.stack(KERNELS[chip]), host=Host())
    for target in targets(m):
        if target.metric in ("power_w", "energy_j"):
            continue
        grid = ib.Grid.of({name: [value] for name, value in target.axes.items()}, [s.precision])
        system = System(s.system.chip, 1)
        cases = [
            prepare(system, s.network, target.phase, stack=stack, registry=registry)
            for stack in (transferred(base, chip, m.software), base)
        ]
        runs = [evaluate(case, grid) for case in cases]
        if not bool(np.all(runs[0].feasible)):
            continue
        fixed, plain = (float(np.ravel(run.seconds)[0]) for run in runs)
        passes = cases[0].workload.passes(s.network, grid.at, target.phase, cases[0].options)
        yield Line(
            file,
            chip,
            m.software,
            s.network.name,
            target.metric,
            target.axes["batch"],
            fixed,
            plain,
            float(np.ravel(passes)[0]),
            target.measured,
            float(np.ravel(runs[0].roofline)[0]),
        )


def fit(lines: Sequence[Line]) -> Found:
    """Non-negative least squares on relative errors, soft-L1 by reweighting."""
    chips = sorted({line.chip for line in lines})
    columns = []
    for chip in chips:
        here = np.array([line.chip == chip for line in lines], dtype=float)
        columns += [here * np.array([line.passes for line in lines])]
        columns += [here * np.array([line.passes * line.batch for line in lines])]
    measured = np.array([line.measured for line in lines])
    a = np.stack(columns, axis=1) / measured[:, None]
    b = 1.0 - np.array([line.fixed for line in lines]) / measured
    weights, x = np.ones(len(lines)), np.zeros(a.shape[1])
    for _ in range(30):
        root = np.sqrt(weights)
        x = nnls(a * root[:, None], b * root)[0]
        weights = 1.0 / np.sqrt(1.0 + ((a @ x - b) / SCALE) ** 2)
    return Found({chip: (float(x[2 * i]), float(x[2 * i + 1])) for i, chip in enumerate(chips)})


def left_out(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Error of every line by the fit on the other networks."""
    errors: list[tuple[Line, float]] = []
    for network in sorted({line.network for line in lines}):
        found = fit([line for line in lines if line.network != network])
        test = [line for line in lines if line.network == network and line.chip in found.host]
        errors += [
            (line, float(p / line.measured - 1)) for line, p in zip(test, found.predict(test), strict=True)
        ]
    return errors


def rows_left_out(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Error of every line by the fit on four fifths of the rows, its own fifth left out."""
    errors: list[tuple[Line, float]] = []
    for fold in range(5):
        found = fit([line for i, line in enumerate(lines) if i % 5 != fold])
        test = lines[fold::5]
        errors += [
            (line, float(p / line.measured - 1)) for line, p in zip(test, found.predict(test), strict=True)
        ]
    return errors


def parts(
    lines: Sequence[Line],
    errors: Sequence[tuple[Line, float]],
    random: Sequence[tuple[Line, float]],
    covered: Mapping[int, bool],
) -> str:
    """How well each figure is met, as tables of the fit."""
    text = ""
    for metric, phase in (("latency_s", "generate"), ("tpot_s", "decode"), ("ttft_s", "prefill")):
        mine = [line for line in lines if line.metric == metric]
        if not mine:
            continue
        out, rows = (np.array([error for line, error in some if line in mine]) for some in (errors, random))
        measured = np.array([line.measured for line in mine])
        floor = np.array([line.floor for line in mine])
        share = np.mean([covered[id(line)] for line in mine])
        text += (
            f"\n[fit.parts.{phase}]\nrows = {len(mine)}\nerror = {100 * np.abs(out).mean():.2f}\nerror_rows ="
            f" {100 * np.abs(rows).mean():.2f}\n"
        )
        text += (
            f"roofline = {100 * np.abs(floor / measured - 1).mean():.2f}\nsd = {np.std(np.log1p(out)):.4f}\n"
        )
        text += f"coverage = {share:.4f}\n"
        if len(mine) > 1:
            logs = np.log(measured)
            others = np.exp((logs.sum() - logs) / (len(logs) - 1))
            text += f"constant = {100 * np.abs(others / measured - 1).mean():.2f}\n"
    return text


def half_width(errors: Sequence[tuple[Line, float]]) -> float:
    """Half width of a 90% interval around another network's figure, in logs."""
    return conformal([error for _, error in errors], len({line.network for line, _ in errors}))


def inside(errors: Sequence[tuple[Line, float]]) -> list[bool]:
    """Whether each left-out row lies in an interval whose width comes from the errors of the other networks
    alone.
    """
    found: list[bool] = held([e for _, e in errors], [line.network for line, _ in errors]).tolist()
    return found


def report(name: str, errors: Sequence[tuple[Line, float]]) -> None:
    """Print MAPE per table, figure and chip."""
    keys = sorted({(line.file, line.metric, line.chip) for line, _ in errors})
    for key in keys:
        here = np.array([error for line, error in errors if (line.file, line.metric, line.chip) == key])
        print(
            f"  {name:14} {key[0]:20} {key[1]:10} {key[2]:14} n {len(here):3} MAPE"
            f" {100 * np.abs(here).mean():5.2f} bias {100 * here.mean():+5.2f}"
        )


def total(errors: Sequence[tuple[Line, float]]) -> None:
    """Print MAPE per table and figure over all stacks."""
    for file, metric in sorted({(line.file, line.metric) for line, _ in errors}):
        here = np.array([error for line, error in errors if (line.file, line.metric) == (file, metric)])
        print(
            f"  all            {file:20} {metric:10} n {len(here):3} MAPE {100 * np.abs(here).mean():5.2f}"
            f" median {100 * np.median(np.abs(here)):5.2f}"
        )


def write(
    framework: str,
    chip: str,
    found: Found,
    lines: Sequence[Line],
    errors: Sequence[tuple[Line, float]],
    files: Sequence[Path],
    registry: Any,
) -> None:
    """Write a stack's TOML."""
    mine = [line for line in lines if line.chip == chip]
    own = [(line, error) for line, error in errors if line.chip == chip]
    base = registry.stack(KERNELS[chip])
    text = f'''title = "{framework} serving static batches on {CHIPS[chip].upper()}"
based_on = "{KERNELS[chip]}"
software = ["{framework}"]
family = "{FAMILIES[framework]}"
note = """{NOTES[framework]}"""

[host]
step = "{found.host[chip][0] * 1e6:.1f} us"
sequence = "{found.host[chip][1] * 1e6:.2f} us"
{otherwise(transferred(base, chip, framework), base)}
'''
    covered = {id(line): hit for (line, _), hit in zip(errors, inside(errors), strict=True)}
    random = [one for one in rows_left_out(lines) if one[0].chip == chip]
    text += box(chip, mine) + record(mine, own, errors, files, base) + parts(mine, own, random, covered)
    (OUT / f"{FRAMEWORKS[framework]}-{CHIPS[chip]}.toml").write_text(text)


def box(chip: str, mine: Sequence[Line]) -> str:
    """Where the rows lie."""
    seen = {phase for line in mine for phase in SEEN[line.metric]}
    phases = [phase for phase in ("prefill", "decode", "generate") if phase in seen]
    return f"""[domain]
chips = ["{chip}"]
counts = [1, 1]
precisions = ["bf16", "fp16"]
phases = {json.dumps(phases)}

[domain.axes]
batch = [1, {max(line.batch for line in mine):g}]
context = [128, 4096]
output = [128, 4096]

[domain.ops."attention.generation"]
group = [1, 4]

"""


def record(
    mine: Sequence[Line],
    own: Sequence[tuple[Line, float]],
    errors: Sequence[tuple[Line, float]],
    files: Sequence[Path],
    base: Stack,
) -> str:
    """What the stack was fitted on; a step's error has that of its kernels in it."""
    hashes = ", ".join(
        f"{file.name} sha256:{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}" for file in files
    )
    mape = float(np.mean([abs(error) for _, error in own]))
    zeros = "\n".join(f'"{name}" = 0.0' for name in base.fit.kernels if not name.startswith("collective"))
    return f"""[fit]
rows = {len(mine)}
on = "argonne-lcf/LLM-Inference-Bench, static batches; {hashes}"
date = "{datetime.date.today()}"
error = {100 * mape:.2f}
step = {half_width(errors) / INTERVAL:.4f}

[fit.kernels]
{zeros}
"""


def otherwise(stack: Stack, base: Stack) -> str:
    """The tables in which a stack differs from the one it is based on."""
    tables: dict[str, Mapping[str, Any]] = {f"efficiency.{_key(e)}": t for e, t in stack.efficiency.items()}
    before: dict[str, Mapping[str, Any]] = {f"efficiency.{_key(e)}": t for e, t in base.efficiency.items()}
    tables |= {name: getattr(stack, name) for name in TABLES}
    before |= {name: getattr(base, name) for name in TABLES}
    text = ""
    for name, table in tables.items():
        new = {key: value for key, value in table.items() if before.get(name, {}).get(key) != value}
        if new:
            text += f"\n[{name}]\n" + "".join(f"{_key(k)} = {_value(name, v)}\n" for k, v in new.items())
    return text + ("\n[tuning.simt]\nshares_keys = false\n" if stack.tuning != base.tuning else "")


def _key(name: str) -> str:
    return name if name.isalnum() else f'"{name}"'


def _value(table: str, value: float) -> str:
    if math.isinf(value):
        return "inf"
    unit = " s" if table in TIMES else " B" if table == "ramp_bytes" else ""
    return f'"{value:.6g}{unit}"' if unit else f"{value:.6g}"


FAMILIES = {"TensorRT-LLM": "trtllm", "vLLM": "vllm"}
NOTES = {
    "TensorRT-LLM": (
        """Host time fitted on whole batches; nothing else is. The kernels are those of the stack it is based on. TensorRT-LLM 0.11,
which was measured, runs the kernel for heads with keys of their own where heads share keys too, and loads the keys once per
query head (NVIDIA/TensorRT-LLM#407): attention of a new token has that kernel's figures, and the L2 cache is in its way.
Element-wise kernels, which were not measured, reach the share of the bandwidth that products reach. The error of a step
has that of its kernels in it. Written by tools/fit_serving.py."""
    ),
    "vLLM": (
        """Host time fitted on whole batches; nothing else is. The kernels are those of the stack it is based on; attention of a new
token reads its keys at the share of the bandwidth measured where every query head has keys of its own. Element-wise kernels,
which were not measured, reach the share that products reach. The error of a step has that of its kernels in it. Written by
tools/fit_serving.py."""
    ),
}


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    registry = ib.installed()
    lines = [line for file in given.files for line in lines_of(file, registry)]
    for plain in (True, False):
        print("kernels as they are" if plain else "kernels of the measured software")
        everything: list[tuple[Line, float]] = []
        for framework in FRAMEWORKS:
            mine = [line for line in lines if line.framework == framework]
            if plain:
                mine = [attrs.evolve(line, fixed=line.plain) for line in mine]
            errors, found = left_out(mine), fit(mine)
            report(framework, errors)
            hosts = {c: (round(a * 1e3, 3), round(b * 1e6, 1)) for c, (a, b) in found.host.items()}
            print(
                f"  {framework}: ms per step, us per sequence {hosts}, covered {sum(inside(errors))} of"
                f" {len(errors)}"
            )
            everything += errors
            if given.write and not plain:
                for chip in found.host:
                    write(framework, chip, found, mine, errors, given.files, registry)
        total(everything)


if __name__ == "__main__":
    main()
