"""Laws of time models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inferbench.records.stack import Stack
from inferbench.testing.laws.law import Broken, Subject, law
from inferbench.testing.laws.sample import CHIP, Sample
from inferbench.testing.laws.trials import CLOSE, ideal_time, tried

__all__: list[str] = []

VARIANTS = ("gemm", "gemm.experts", "attention.context", "attention.generation", "collective.all_reduce.8")


@law("time_models", quick=True)
def kernels_take_at_least_their_cost(subject: Subject) -> Iterator[Broken]:
    """Under the defaults of its figures, a time model makes no kernel faster than its cost, and no hole."""
    # A tuning, so that the model is asked even if its figures change nothing.
    stack = Stack(name="tried", title="Tried", time_model=subject.record, tuning={"none": {"any": 1.0}})
    for one in tried(Sample(), CHIP):
        least, time = one.full(ideal_time(one.cost)), one.full(stack.time(one.cost, one.op))
        mask = ~(time >= least * (1 - CLOSE)) | np.isinf(time)
        if mask.any():
            index = one.first(mask)
            yield Broken(
                one.place,
                f"{time[index]:.4g} s at {one.at(index)}, the cost alone {least[index]:.4g} s",
                "add to the longest engine and to what is exposed, never cut",
            )


@law("time_models")
def what_is_freed_is_a_figure(subject: Subject) -> Iterator[Broken]:
    """What a time model lets `calibrate` fit is a table of its figures or a field of the tuning, and starts
    within its range.
    """
    for variant in VARIANTS:
        for free in subject.record.frees(variant, narrow=True, tiled=True):
            if subject.record.mark(free.table) is None and not free.table.startswith("tuning."):
                text = f"'{free.table}' is no table by kernel of {subject.record.figures.__name__}"
                yield Broken(f"frees({variant})", text, "name a field that is marked with ib.ByKernel")
            elif not free.low <= free.start <= free.high:
                text = f"{free.table} starts at {free.start:g}, its range is {free.low:g} to {free.high:g}"
                yield Broken(f"frees({variant})", text, "start within the range")
