"""Fit diffusion stacks on published seconds per image, print errors of left-out networks, write stacks.

    python -m inferbench_data diffusion_energy
    python tools/fit_diffusion.py diffusion_energy.csv [--write]

An image is `(t^6 + (n tau)^6)^(1/6)`: t the sum of its kernels, n their number, tau what Python takes to
launch one. Two figures are free per chip and software: the bandwidth that element-wise kernels and
convolutions reach, as a share of the datasheet's, and tau. They are searched on a grid by soft-L1 of the
log error: no start, no local minimum.

Power is the chip's model, with the energy of an operation times a factor: the coefficients are those of
decoding, and eager kernels keep a chip busier than their counts say. The factor is the one figure that
power frees.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

import inferbench as ib
from inferbench.evidence.importing import read_measurements
from inferbench.evidence.matching import Situation, situate
from inferbench.model.case import prepare
from inferbench.model.evaluate import evaluate
from inferbench.model.intervals import INTERVAL, conformal, held
from inferbench.records.measurement import Measurement
from inferbench.records.stack import Stack

Array = Any
CHIPS = {"a100-sxm-40gb": "a100", "h100-sxm": "h100", "b200": "b200"}
OUT = Path(__file__).parents[1] / "specs/inferbench_specs/stacks"
SCALE = 0.05
SHARES = np.geomspace(0.05, 1.0, 25)
FINE = np.geomspace(0.05, 1.0, 200)
FACTORS = np.arange(0.5, 12.0, 0.05)
TAUS = np.arange(0.0, 120.5, 0.5) * 1e-6


@attrs.frozen
class Power:
    """Mean watts measured, watts of the baseline, joules of operations and of everything else, watts at
    most.
    """

    measured: float
    baseline: float
    ops: float
    rest: float
    limit: float

    def watts(self, factor: float, seconds: float) -> float:
        """Mean power of an image batch that lasts so long."""
        return min(self.baseline + (factor * self.ops + self.rest) / seconds, self.limit)


@attrs.frozen(eq=False)
class Line:
    """One image batch: seconds of the chip at every share in SHARES, kernels launched, seconds measured."""

    chip: str
    software: str
    network: str
    batch: float
    seconds: Array
    kernels: float
    measured: float
    power: Power
    floor: float

    def at(self, shares: Array) -> Array:
        """Seconds of the chip at other shares."""
        return np.exp(np.interp(np.log(shares), np.log(SHARES), np.log(self.seconds)))


def stack_at(base: Stack, share: float) -> Stack:
    """The kernel stack with element-wise kernels and convolutions at a share of the bandwidth."""
    memory = {**base.efficiency["memory"], "default": share}
    return attrs.evolve(base, efficiency={**base.efficiency, "memory": memory})


def lines_of(file: Path, registry: Any) -> list[Line]:
    """Every image of a table whose chip and network are known."""
    groups: dict[Any, list[tuple[Measurement, Situation]]] = {}
    for m in read_measurements(file, registry):
        chip = registry.alias("chips", m.chip)
        s = situate(m, registry, f"eager-kernels-{CHIPS[chip]}") if chip in CHIPS else None
        if isinstance(s, Situation):
            other = tuple(sorted((name, value) for name, value in m.axes.items() if name != "batch"))
            groups.setdefault((s.key, m.software, other), []).append((m, s))
    return [line for group in groups.values() for line in _lines(group, registry)]


def _lines(group: Sequence[tuple[Measurement, Situation]], registry: Any) -> list[Line]:
    """Images of one network, chip and software, all batches in one call."""
    first, s = group[0]
    assert s.network is not None
    batches = sorted({m.axes["batch"] for m, _ in group})
    axes = {**registry.workload(s.network.type).defaults(s.network, first.phase), **first.axes}
    points = {name: [value] for name, value in axes.items()} | {"batch": batches}
    grid, runs = ib.Grid.of(points, [s.precision]), []
    for share in SHARES:
        stack = stack_at(s.stack, float(share))
        case = prepare(s.system, s.network, first.phase, stack=stack, registry=registry, options=s.options)
        runs.append(evaluate(case, grid))
    seconds = np.array([np.ravel(run.values(run.seconds)) for run in runs])
    floor = np.ravel(runs[-1].values(runs[-1].roofline))
    kernels = sum(float(np.ravel(op.repeat)[0]) for op in case.graph(grid.at))
    parts = {name: np.ravel(runs[-1].values(joules)) for name, joules in runs[-1].energy.parts.items()}
    lines = []
    for m, _ in group:
        k = batches.index(m.axes["batch"])
        rest = sum(float(joules[k]) for name, joules in parts.items() if name not in ("idle", "ops"))
        idle = float(parts["idle"][k] / seconds[-1, k])
        power = Power(m.power_w, idle, float(parts["ops"][k]), rest, s.system.chip.power.tdp)
        name, chip = s.network.name, s.system.chip.name
        lines.append(
            Line(
                chip,
                m.software,
                name,
                batches[k],
                seconds[:, k],
                kernels,
                m.latency_s,
                power,
                float(floor[k]),
            )
        )
    return lines


def fit(lines: Sequence[Line]) -> tuple[float, float]:
    """Share and tau of least soft-L1 error."""
    total = np.zeros((len(FINE), len(TAUS)))
    for line in lines:
        t, host = line.at(FINE)[:, None], line.kernels * TAUS[None, :]
        error = np.log((t**6 + host**6) ** (1 / 6) / line.measured) / SCALE
        total += np.sqrt(1 + error**2) - 1
    i, j = np.unravel_index(np.argmin(total), total.shape)
    return float(FINE[i]), float(TAUS[j])


def predict(line: Line, share: float, tau: float) -> float:
    """Seconds of an image batch."""
    t = float(line.at(np.array([share]))[0])
    return float((t**6 + (line.kernels * tau) ** 6) ** (1 / 6))


def fit_power(lines: Sequence[Line]) -> float:
    """Factor on the energy of an operation of least soft-L1 error, at the measured times."""
    total = np.zeros(len(FACTORS))
    for line in lines:
        modelled = np.array([line.power.watts(factor, line.measured) for factor in FACTORS])
        total += np.sqrt(1 + (np.log(modelled / line.power.measured) / SCALE) ** 2) - 1
    return float(FACTORS[int(np.argmin(total))])


@attrs.frozen(eq=False)
class Unseen:
    """An image batch predicted by the fits on the other networks, mean power at the predicted seconds."""

    line: Line
    seconds: float
    watts: float

    @property
    def power(self) -> float:
        """Error of mean power."""
        return self.watts / self.line.power.measured - 1

    @property
    def joules(self) -> float:
        """Error of energy."""
        return self.watts * self.seconds / (self.line.power.measured * self.line.measured) - 1


def unseen(lines: Sequence[Line]) -> list[Unseen]:
    """Every line by the fits on the other networks."""
    found = []
    for network in sorted({line.network for line in lines}):
        others = [line for line in lines if line.network != network]
        times, factor = fit(others), fit_power(others)
        for line in lines:
            if line.network == network:
                t = predict(line, *times)
                found.append(Unseen(line, t, line.power.watts(factor, t)))
    return found


def joules_left_out(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Error in energy of every line, seconds and power both by the fits on the other networks."""
    return [(one.line, one.joules) for one in unseen(lines)]


def left_out(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Error of every line by the fit on the other networks."""
    errors = []
    for network in sorted({line.network for line in lines}):
        found = fit([line for line in lines if line.network != network])
        errors += [
            (line, predict(line, *found) / line.measured - 1) for line in lines if line.network == network
        ]
    return errors


def rows_left_out(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Error of every line by the fit on four fifths of the rows, its own fifth left out."""
    errors = []
    for fold in range(5):
        found = fit([line for i, line in enumerate(lines) if i % 5 != fold])
        errors += [(line, predict(line, *found) / line.measured - 1) for line in lines[fold::5]]
    return errors


def parts_of(
    lines: Sequence[Line],
    errors: Sequence[tuple[Line, float]],
    pooled: Sequence[tuple[Line, float]],
    spent: Sequence[Unseen],
) -> str:
    """How well seconds, watts and joules are met on networks left out, as tables of the fit."""
    rows = np.array([error for _, error in rows_left_out(lines)])
    out = np.array([error for _, error in errors])
    measured = np.array([line.measured for line in lines])
    logs = np.log(measured)
    others = np.exp((logs.sum() - logs) / (len(logs) - 1))
    floor = np.array([line.floor for line in lines])
    text = f"""
[fit.parts.image]
rows = {len(lines)}
error = {100 * np.abs(out).mean():.2f}
error_rows = {100 * np.abs(rows).mean():.2f}
roofline = {100 * np.abs(floor / measured - 1).mean():.2f}
constant = {100 * np.abs(others / measured - 1).mean():.2f}
sd = {np.std(np.log1p(out)):.4f}
coverage = {share_inside(lines, pooled):.4f}
"""
    for what in ("power", "joules"):
        every = [(one.line, float(getattr(one, what))) for one in spent]
        mine = np.array([error for line, error in every if line in lines])
        text += f"""
[fit.parts."image.{what}"]
rows = {len(lines)}
error = {100 * np.abs(mine).mean():.2f}
sd = {np.std(np.log1p(mine)):.4f}
coverage = {share_inside(lines, every):.4f}
"""
    return text


def share_inside(lines: Sequence[Line], pooled: Sequence[tuple[Line, float]]) -> float:
    """Share of some lines that lie in intervals made of the other networks' errors on all chips."""
    return float(
        np.mean([hit for (line, _), hit in zip(pooled, inside(pooled), strict=True) if line in lines])
    )


def half_width(errors: Sequence[tuple[Line, float]]) -> float:
    """Half width of a 90% interval around another network's figure, in logs."""
    return conformal([error for _, error in errors], len({line.network for line, _ in errors}))


def write(
    software: str,
    chip: str,
    lines: Sequence[Line],
    errors: Sequence[tuple[Line, float]],
    file: Path,
    pooled: Sequence[tuple[Line, float]],
    spent: Sequence[Unseen],
) -> None:
    """Write a stack's TOML."""
    text = described(software, chip, lines) + record(lines, errors, file, pooled, spent)
    text += parts_of(lines, errors, pooled, spent)
    (OUT / f"{software.lower()}-{CHIPS[chip]}.toml").write_text(text)


def described(software: str, chip: str, lines: Sequence[Line]) -> str:
    """What the stack is, its figures and the box of its rows."""
    share, tau = fit(lines)
    short = CHIPS[chip]
    return f'''title = "{software} making images on {short.upper()}"
based_on = "eager-kernels-{short}"
software = ["{software}"]
note = """Fitted on whole images, text encoders and decoder included where they are modelled: the bandwidth of element-wise kernels and
convolutions, and the time to launch a kernel from Python. A low share also holds what is not counted: padding, copies, autotuning.
Written by tools/fit_diffusion.py."""

[host]
kernel = "{tau * 1e6:.2f} us"
overlap = 6

[efficiency.memory]
default = {share:.3f}

[energy]
ops = {fit_power(lines):.2f}

[domain]
chips = ["{chip}"]
counts = [1, 1]
precisions = ["bf16", "fp16"]
phases = ["image"]

[domain.axes]
batch = [1, {max(line.batch for line in lines):g}]
pixels = [512, 1024]
steps = [20, 50]

'''


def record(
    lines: Sequence[Line],
    errors: Sequence[tuple[Line, float]],
    file: Path,
    pooled: Sequence[tuple[Line, float]],
    spent: Sequence[Unseen],
) -> str:
    """What it was fitted on, and how far whole steps are off."""
    mape = float(np.mean([abs(error) for _, error in errors]))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return f"""[fit]
rows = {len(lines)}
on = "ml-energy/leaderboard, {", ".join(sorted({line.network for line in lines}))}; {file.name} sha256:{digest}"
date = "{datetime.date.today()}"
error = {100 * mape:.2f}
step = {half_width(pooled) / INTERVAL:.4f}
power = {half_width([(one.line, one.power) for one in spent]) / INTERVAL:.4f}
energy = {half_width([(one.line, one.joules) for one in spent]) / INTERVAL:.4f}
"""


def table(
    lines: Sequence[Line], errors: Sequence[tuple[Line, float]], joules: Sequence[tuple[Line, float]]
) -> None:
    """Print errors per network."""
    for network in sorted({line.network for line in lines}):
        t, e = (
            np.array([error for line, error in some if line.network == network]) for some in (errors, joules)
        )
        print(f"   {network:14} n {len(t):2} seconds {_said(t)}   joules {_said(e)}")


def _said(errors: Array) -> str:
    return f"MAPE {100 * np.abs(errors).mean():5.1f} bias {100 * errors.mean():+5.1f}"


def inside(pooled: Sequence[tuple[Line, float]]) -> list[bool]:
    """Whether each left-out row lies in an interval whose width comes from the errors of the other networks
    alone.
    """
    found: list[bool] = held([e for _, e in pooled], [line.network for line, _ in pooled]).tolist()
    return found


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    lines = lines_of(given.file, ib.installed())
    for software in sorted({line.software for line in lines}):
        mine = {
            chip: [one for one in lines if (one.chip, one.software) == (chip, software)] for chip in CHIPS
        }
        mine = {chip: some for chip, some in mine.items() if some}
        errors = {chip: left_out(some) for chip, some in mine.items()}
        others = {chip: unseen(some) for chip, some in mine.items()}
        joules = {chip: [(one.line, one.joules) for one in some] for chip, some in others.items()}
        together = [one for some in others.values() for one in some]
        pooled = [one for some in errors.values() for one in some]
        spent = np.array([error for some in joules.values() for _, error in some])
        for chip, some in mine.items():
            share, tau = fit(some)
            print(
                f"{software} on {chip}: share {share:.3f}, tau {tau * 1e6:.1f} us, operation x"
                f" {fit_power(some):.2f}"
            )
            table(some, errors[chip], joules[chip])
            if given.write:
                write(software, chip, some, errors[chip], given.file, pooled, together)
        print(
            f"{software}: {len(pooled)} rows, seconds {_said(np.array([e for _, e in pooled]))}, joules"
            f" {_said(spent)}, seconds in their intervals {sum(inside(pooled))} of {len(pooled)}"
        )
        for what in ("power", "joules"):
            some = [(one.line, getattr(one, what)) for one in together]
            print(f"   {what} in their intervals {sum(inside(some))} of {len(some)}")


if __name__ == "__main__":
    main()
