"""Fit the power limits of chips by their kind, and print how far off a chip is that the fit has not seen.

    python plugins/inferbench-power/tools/fit_tdp.py

Chips: every installed one whose power is published for the chip or its board and that is shipped, not
    announced.
"""

from __future__ import annotations

import math

import numpy as np
from inferbench_power.limits import beside, eight_bit_rate

import inferbench as ib

Array = np.ndarray
NORMAL_90 = 1.6449


def known(registry: ib.Registry) -> dict[str, list[ib.Chip]]:
    """Chips with a published limit, by kind: `outside` with memory beside the die, `inside` without."""
    kinds: dict[str, list[ib.Chip]] = {"outside": [], "inside": []}
    for name, entry in registry.entries("chips").items():
        chip = registry.chip(name)
        if entry.owner != "inferbench-specs" or chip.note.startswith("Announced"):
            continue
        if math.isnan(chip.power.tdp) or chip.power.boundary == "system" or math.isnan(eight_bit_rate(chip)):
            continue
        kinds["outside" if beside(chip) != 0.0 else "inside"].append(chip)
    return kinds


def table(chips: list[ib.Chip], outside: bool) -> tuple[Array, Array]:
    """Columns of logarithms, and logarithms of watts."""
    columns = [np.ones(len(chips)), np.log([eight_bit_rate(chip) / 1e14 for chip in chips])]
    if outside:
        columns.append(np.log([beside(chip) / 1e12 for chip in chips]))
    return np.stack(columns, axis=1), np.log([chip.power.tdp for chip in chips])


def left_out(x: Array, y: Array) -> Array:
    """Error in logarithms of each chip under the fit of all others."""
    errors = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        errors.append(y[i] - x[i] @ np.linalg.lstsq(x[rest], y[rest], rcond=None)[0])
    return np.array(errors)


def main() -> None:
    """Print both laws as they stand in `limits.toml`, with error and coverage."""
    for kind, chips in known(ib.installed()).items():
        x, y = table(chips, kind == "outside")
        found = np.linalg.lstsq(x, y, rcond=None)[0]
        errors = left_out(x, y)
        rms = float(np.sqrt(np.mean(errors**2)))
        covered = float(np.mean(np.abs(errors) <= NORMAL_90 * rms))
        constant = float(np.sqrt(np.mean(left_out(x[:, :1], y) ** 2)))
        print(f"[{kind}]  # {len(chips)} chips; 90% intervals cover {covered:.0%} of those left out")
        print(f"# a constant errs by {constant:.2f}")
        print(f"watts = {math.exp(found[0]):.0f}")
        print(f"ops = {found[1]:.3f}")
        print(f"bytes = {found[2] if len(found) > 2 else 0.0:.3f}")
        print(f"log_error = {rms:.2f}")
        for i in np.argsort(-np.abs(errors))[:4]:
            print(f"#   {chips[i].name}: {math.exp(errors[i]):.2f} times the prediction")


if __name__ == "__main__":
    main()
