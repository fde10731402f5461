"""What a stack was fitted on, how well, and the box in which it was seen to hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.num import Mask, Numeric
from inferbench.records.immutable import frozen
from inferbench.records.op import Op
from inferbench.records.variants import variants
from inferbench.units import Deviation

__all__ = ["field_of", "Domain", "Fit", "FitFile", "FitPart"]


@frozen
class Domain:
    """The box in which a fitted stack was seen to hold; empty means nowhere.

    Attributes:
        chips: Chips it was fitted on.
        counts: Fewest and most chips at once; empty: any number.
        precisions: Precision names.
        phases: Phases of workloads, `op` for single operators; empty: any.
        axes: Grid axis or op field to (lowest, highest).
        widening: Axis to the log standard errors that are added per doubling below and above its range, where
            rows near its ends were left out to see them; other axes take what is usual.
        loaded: Whether servers under load were fitted, and not batches that start and end together.
        ops: Op kind or variant (`attention.generation`) to the ranges of its fields; `group` is query heads
            per KV head.
    """

    chips: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    precisions: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    axes: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    ops: Mapping[str, Mapping[str, tuple[float, float]]] = attrs.field(factory=dict)
    widening: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    loaded: bool = False

    def __attrs_post_init__(self) -> None:
        """Check that ranges are ranges.

        Raises:
            ValueError: One that is empty; the second line is the remedy.
        """
        ranges = [*self.axes.items(), *(one for box in self.ops.values() for one in box.items())]
        if self.counts:
            ranges.append(("counts", (self.counts[0], self.counts[-1])))
        for name, (low, high) in ranges:
            if not low <= high:
                raise ValueError(f"{name} runs from {low:g} to {high:g}\nwrite the lower end first")
        if self.counts and min(self.counts) < 1:
            raise ValueError(f"counts begins at {min(self.counts)}\na system has at least 1 chip")

    def holds(self, op: Op) -> Mask:
        """Whether an operator lies in the box of its variant, at each point; True where no box is given."""
        inside: Mask = np.asarray(True)
        for names, mask in variants(op):
            box = next((self.ops[name] for name in names if name in self.ops), {})
            for field, (low, high) in box.items():
                value = field_of(op, field)
                if value is not None:
                    inside = inside & (((value >= low) & (value <= high)) | ~np.asarray(mask))
        return inside


def field_of(op: Any, field: str) -> Numeric | None:
    """A field of an operator by its name in a box; None where it has none."""
    if field == "group":
        return np.asarray(op.heads / op.kv_heads) if hasattr(op, "kv_heads") else np.asarray(op.group)
    value = getattr(op, field, None)
    return None if value is None else np.asarray(value)


@frozen
class FitPart:
    """How one kind of kernel in one precision was fitted.

    Attributes:
        rows: Measurements fitted.
        scored: How many of them the errors are of: collectives are fitted on all sizes and scored from 64 KiB
            on.
        screened: Left out by the stated rules.
        error: MAPE with whole groups of rows left out (shapes, heads, networks); NaN where there is one
            group. All MAPE are in percent.
        error_rows: MAPE with random rows left out.
        error_all: MAPE with the screened rows scored as well.
        constant, roofline: MAPE of the two trivial predictors: a constant, the roofline alone.
        sd: Standard deviation of the logarithm of left-out residuals.
        log_error: Log standard error of the interval: `sd`, or where tails are so heavy that its interval
            would hold fewer than nine in ten left-out rows, their conformal quantile (the `(n + 1)
            0.9`-th smallest of n, 50 or more) over 1.645.
        chips: Chips that the rows are of; of a prior alone, as `between` and `software`.
        between, software: Standard deviations of the logarithm between chips, and between versions of
            software on a chip; `sd` is what is left.
        coverage: Share of the scored rows, groups left out, within 1.645 of it: what a 90% interval really
            holds.
        regimes: The same by what takes longest: an engine, or `latency`.
        parameters: Key paths of what was fitted.
        deviations: Their relative standard errors.
        correlation: Their correlation, in the same order.
        defaults: Key paths that the data could not fix; they take their defaults.
        at_bound: Key paths that ended at the end of their physical range.
    """

    rows: int = 0
    scored: int = 0
    screened: int = 0
    error: Deviation = math.nan
    error_rows: Deviation = math.nan
    error_all: Deviation = math.nan
    constant: Deviation = math.nan
    roofline: Deviation = math.nan
    sd: Deviation = math.nan
    log_error: Deviation = math.nan
    chips: int = 0
    between: Deviation = math.nan
    software: Deviation = math.nan
    coverage: Deviation = math.nan
    regimes: Mapping[str, Deviation] = attrs.field(factory=dict)
    parameters: tuple[str, ...] = ()
    deviations: tuple[float, ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ()
    defaults: tuple[str, ...] = ()
    at_bound: tuple[str, ...] = ()


@frozen
class FitFile:
    """A file that a stack was fitted on.

    Attributes:
        name: Its name, without a folder.
        sha256: Hash of its bytes, hexadecimal.
        rows: How many of its rows took part.

    Example:
        >>> FitFile("gemm.csv", "e8c73aa3", 376).rows
        376
    """

    name: str
    sha256: str
    rows: int = 0


@frozen
class Fit:
    """What a stack was fitted on.

    Attributes:
        rows: Number of measurements.
        on: What they were: source and selection, for people.
        files: The files that they stand in.
        command: What fits them again.
        date: When.
        error: MAPE on left-out rows, percent.
        kernel: Relative standard error of one kernel's time (log).
        kernels: The same by op kind, variant and precision, looked up like efficiencies.
        step: Relative standard error of a whole step beside the kernels' (log).
        steps: The same by phase, where phases differ.
        power, energy: Relative standard errors of a step's mean power and joules (log), errors of its
            duration in them, where the stack has energies of its own; NaN: the power model's, joined with
            the duration's.
        kernel_power: Relative standard error of one kernel's mean power at its true duration (log), by op
            kind, variant and precision, where the stack has `kernel_energy`.
        parts: Kind and precision (`gemm.fp8`) to how it was fitted.
    """

    rows: int = 0
    on: str = ""
    files: tuple[FitFile, ...] = ()
    command: str = ""
    date: str = ""
    error: Deviation = math.nan
    kernel: Deviation = math.nan
    kernels: Mapping[str, Deviation] = attrs.field(factory=dict)
    step: Deviation = math.nan
    steps: Mapping[str, Deviation] = attrs.field(factory=dict)
    power: Deviation = math.nan
    energy: Deviation = math.nan
    kernel_power: Mapping[str, Deviation] = attrs.field(factory=dict)
    parts: Mapping[str, FitPart] = attrs.field(factory=dict)
