"""Fit the energies of kernels alone in a loop on the B200, and print the errors beside those of trivial
predictors.

    python plugins/inferbench-power/tools/fit_kernel_power.py [--write]

Rows: the tables gemm and attention of inferbench-data, mean board power of single kernels of TensorRT-
LLM (ai-dynamo/aiconfigurator), counted as the core counts them. A reading is trusted if it was averaged
over 0.25 s or more (a sensor needs that long) and its source doesn't suspect it. The second rule looks
at the power itself: suspects are those that draw little. The error with them in stands beside.

Model: `P = min(P0 + eF F/t + eB B/t, TDP)`. One P0 and one eB for all matrix products, one eF per format;
context attention has a P0 and an eF of its own and the products' eB, as it moves too few bytes to tell.
P0 is no smaller than a board with weights resident (194 W), eB than the memory devices alone (48 pJ/B).
Groups that are left out: for products all rows of one (n, k), for attention all of one pair of heads.
Energy per byte of L2 or operand traffic was tried and is not identified: it grows with the operations
(errors 12.9 instead of 13.0 percent), so it is inside their energy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import inferbench_data
import numpy as np
from scipy.optimize import least_squares

import inferbench as ib

Array = np.ndarray
Line = Mapping[str, float | str]
LIMIT, RESIDENT, DEVICE = 1000.0, 194.0, 48e-12
SHORTEST = 0.25
SOFT = 20.0  # exponent of a limit that has a slope, for the search only
LEVEL, INTERVAL = 0.90, 1.6449
FORMATS = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "nvfp4": "nvfp4"}
# Kernel by the tables' spelling -> stack and key that it is written under.
HOMES = {
    "bfloat16": ("trtllm-1.3-b200", "gemm"),
    "fp8": ("trtllm-1.3-b200", "gemm.fp8"),
    "nvfp4": ("trtllm-1.3-b200", "gemm.nvfp4"),
    "fp8_block": ("trtllm-1.3-b200-block", "gemm.fp8"),
    "context": ("trtllm-1.3-b200", "attention.context"),
}
MARK = "# Energies of kernels alone in a loop, written by plugins/inferbench-power/tools/fit_kernel_power.py."
STACKS = Path(__file__).parents[3] / "specs" / "inferbench_specs" / "stacks"


@attrs.frozen(eq=False)
class Rows:
    """Readings as arrays: kernel by its spelling, group left out together, operations and bytes per second,
    watts, trust.
    """

    kernel: Array
    group: Array
    ops: Array
    bytes: Array
    watts: Array
    trusted: Array

    def of(self, mask: Array) -> Rows:
        """Some of them."""
        return Rows(**{field.name: getattr(self, field.name)[mask] for field in attrs.fields(Rows)})


def product(line: Line, seconds: float) -> tuple[str, str, float, float]:
    """Kernel, group, operations and bytes per second of a matrix product."""
    m, n, k = (float(line[key]) for key in "mnk")
    kernel = str(line["precision"])
    op = ib.Gemm(name="g", precision=ib.Precision.of([FORMATS[kernel]]), m=m, n=n, k=k)
    return kernel, f"{n:g} x {k:g}", float(op.useful) / seconds, float(np.ravel(op.bytes.total)[0]) / seconds


def attention(line: Line, seconds: float) -> tuple[str, str, float, float]:
    """The same of causal attention over a prompt."""
    batch, keys, heads, kv, width = (
        float(line[key]) for key in ("batch", "input_len", "num_heads", "kv_heads", "head_dim")
    )
    precision = "fp8" if line["precision"] == "fp8" else "w16a16kv8" if line["kv_dtype"] == "fp8" else "bf16"
    op = ib.Attention(
        name="a",
        precision=ib.Precision.of([precision]),
        batch=batch,
        heads=heads,
        kv_heads=kv,
        queries=keys,
        keys=keys,
        pairs=keys * (keys + 1) / 2,
        qk_dim=width,
        v_dim=width,
    )
    return (
        "context",
        f"{heads:g} of {kv:g}",
        float(op.useful) / seconds,
        float(np.ravel(op.bytes.total)[0]) / seconds,
    )


def read(table: str, count: Callable[[Line, float], tuple[str, str, float, float]]) -> Rows:
    """Readings of a table's B200 rows; generation attention is left out: no reading of it is fit to use
    (docs/explanation/power.md).
    """
    found = []
    for line in inferbench_data.table(table).rows():
        watts = float(line["power_w"])
        if str(line["chip"]).startswith("B200") and not np.isnan(watts) and line["phase"] != "decode":
            long = float(line["power_window_s"]) >= SHORTEST
            counted = count(line, float(line["latency_s"]))
            found.append((*counted, watts, long, long and line["power_suspect"] == 0.0))
    kernel, group, ops, moved, watts, long, trusted = (
        np.array(column) for column in zip(*found, strict=True)
    )
    return Rows(kernel, group, ops, moved, watts, trusted).of(long)


@attrs.frozen(eq=False)
class Energies:
    """Watts of the baseline, joules per operation by kernel, joules per byte."""

    baseline: float
    ops: dict[str, float]
    byte: float

    def watts(self, rows: Rows) -> Array:
        """Mean power of every row."""
        each = np.array([self.ops[kernel] for kernel in rows.kernel])
        return np.minimum(self.baseline + each * rows.ops + self.byte * rows.bytes, LIMIT)


def fit(rows: Rows, byte: float = float("nan")) -> Energies:
    """Least soft-L1 error of log power within physical bounds.

    Args:
        rows: To fit.
        byte: Joules per byte where another fit gives them; NaN: fitted.
    """
    kernels = sorted(set(rows.kernel))
    which = np.array([kernels.index(kernel) for kernel in rows.kernel])
    free = bool(np.isnan(byte))

    def split(x: Array) -> Energies:
        return Energies(
            x[0],
            dict(zip(kernels, x[1 : len(kernels) + 1] * 1e-12, strict=True)),
            x[-1] * 1e-12 if free else byte,
        )

    def off(x: Array) -> Array:
        one = split(x)
        demand = one.baseline + x[1 + which] * 1e-12 * rows.ops + one.byte * rows.bytes
        return np.log(demand / (1 + (demand / LIMIT) ** SOFT) ** (1 / SOFT) / rows.watts)

    low = [RESIDENT, *[0.0] * len(kernels), *[DEVICE * 1e12] * free]
    start = [RESIDENT + 50.0, *[0.5] * len(kernels), *[150.0] * free]
    high = [LIMIT, *[50.0] * len(kernels), *[1000.0] * free]
    found = least_squares(
        off, start, bounds=(low, high), loss="soft_l1", f_scale=0.1, x_scale=np.array(start)
    )
    return split(found.x)


def predicted(rows: Rows, folds: Array, byte: float = float("nan")) -> Array:
    """Every row by the fit on the others' trusted rows, its own fold left out."""
    out = np.empty(len(rows.watts))
    for fold in sorted(set(folds)):
        mine = folds == fold
        out[mine] = fit(rows.of(~mine & rows.trusted), byte).watts(rows.of(mine))
    return out


def constant(rows: Rows) -> Array:
    """The geometric mean of the kernel's trusted rows of other groups."""
    out = np.empty(len(rows.watts))
    for kernel, group in sorted(set(zip(rows.kernel, rows.group, strict=True))):
        mine = (rows.kernel == kernel) & (rows.group == group)
        others = (rows.kernel == kernel) & (rows.group != group) & rows.trusted
        out[mine] = np.exp(np.log(rows.watts[others]).mean())
    return out


def width(logs: Array, groups: Array) -> float:
    """Half width in logs of a 90% interval: the `(n + 1) 0.9`-th smallest, stretched by `sqrt(1 + 1/g)` for g
    groups.
    """
    rank = min(len(logs), int(np.ceil((len(logs) + 1) * LEVEL)))
    return float(np.sort(np.abs(logs))[rank - 1] * np.sqrt(1 + 1 / len(set(groups))))


def covered(logs: Array, groups: Array) -> int:
    """Rows inside intervals whose width comes from the errors of the other groups alone."""
    return sum(
        int(np.sum(np.abs(logs[groups == group]) <= width(logs[groups != group], groups[groups != group])))
        for group in sorted(set(groups))
    )


def mape(model: Array, rows: Rows, mask: Array) -> float:
    """Mean absolute error in per cent."""
    return 100 * float(np.mean(np.abs(model[mask] / rows.watts[mask] - 1)))


@attrs.frozen
class Result:
    """What is written for one kernel: energies and the log standard error."""

    baseline: float
    op: float
    byte: float
    error: float


def study(rows: Rows, byte: float = float("nan")) -> dict[str, Result]:
    """Fit, print errors per kernel and over all, and say how wide intervals are and what they cover."""
    found = fit(rows.of(rows.trusted), byte)
    out = predicted(rows, rows.group, byte)
    random = predicted(rows, np.random.default_rng(0).integers(0, 5, len(rows.watts)), byte)
    flat, results, hits = constant(rows), {}, 0
    for kernel in [*sorted(set(rows.kernel)), ""]:
        mine = (rows.kernel == kernel) | (kernel == "")
        some = mine & rows.trusted
        shown = {
            "groups left out": mape(out, rows, some),
            "rows left out": mape(random, rows, some),
            "constant": mape(flat, rows, some),
            "TDP": mape(np.full(len(flat), LIMIT), rows, some),
            "with suspects": mape(out, rows, mine),
        }
        said = ", ".join(f"{name} {value:.1f}%" for name, value in shown.items())
        if not kernel:
            print(f"all: {int(some.sum())} rows, {said}; {hits} in their intervals")
            continue
        logs = np.log(out[some] / rows.watts[some])
        inside = covered(logs, rows.group[some])
        hits += inside
        results[kernel] = Result(
            found.baseline, found.ops[kernel], found.byte, width(logs, rows.group[some]) / INTERVAL
        )
        print(
            f"{kernel}: {int(some.sum())} rows, P0 {found.baseline:.1f} W, {found.ops[kernel] * 1e12:.3f}"
            f" pJ/OP, {found.byte * 1e12:.1f} pJ/B\n   {said}; log error {results[kernel].error:.4f},"
            f" {inside} in intervals made from other groups"
        )
    return results


def block(results: dict[str, Result], stack: str) -> str:
    """The tables of one stack."""
    mine = {HOMES[kernel][1]: one for kernel, one in results.items() if HOMES[kernel][0] == stack}
    tables = {
        "kernel_energy.baseline": {key: f'"{one.baseline:.1f} W"' for key, one in mine.items()},
        "kernel_energy.ops": {key: f'"{one.op * 1e12:.4f} pJ/OP"' for key, one in mine.items()},
        'kernel_energy."bytes.hbm"': {key: f'"{one.byte * 1e12:.1f} pJ/B"' for key, one in mine.items()},
        "fit.kernel_power": {key: f"{one.error:.4f}" for key, one in mine.items()},
    }
    lines = [MARK]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f'"{key}" = {value}' for key, value in table.items())]
    return "\n".join([*lines, ""])


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    results = study(read("gemm", product))
    results |= study(read("attention", attention), next(iter(results.values())).byte)
    for stack in sorted({stack for stack, _ in HOMES.values()}) if given.write else ():
        file = STACKS / f"{stack}.toml"
        file.write_text(file.read_text().partition(MARK)[0].rstrip() + "\n\n" + block(results, stack))


if __name__ == "__main__":
    main()
