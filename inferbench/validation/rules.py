"""The rules that keep a figure from being scored; none of them looks at how well a prediction does."""

from __future__ import annotations

import math
from collections.abc import Mapping

from inferbench.validation.rows import KINDS, Row

__all__ = ["HOST_BOUND", "LAUNCH_BOUND", "RULES", "SCREENED", "boundary_mismatch", "operator_rule"]

# Code -> rule. The first two are about names, the rest about what a figure means.
RULES: Mapping[str, str] = {
    "name": "a chip, network, precision or layout that no alias resolves",
    "no-stack": "no stack is fitted for this software",
    "damaged": "a row that can't be read or contradicts itself; the others of its file stand",
    "incomplete": "the row doesn't say what is needed to compute it (a context, a shape)",
    "not-modelled": "no installed model computes this phase or operator",
    "infeasible": "the model says that it doesn't fit, so it ran in parts or elsewhere",
    "not-comparable": (
        "not the modelled quantity: queueing delay, unknown batch size, speculative decoding, quantised"
        " caches or part of a pipeline"
    ),
    "rate-only": "tokens per second alone: which tokens they count, or at which batch, is not told",
    "power-refused": "power or energy that the source itself doubts, or of an unknown unit",
    "launch-bound": "an operator measured below 10 us: launching it takes as long",
    "host-bound": "under a stack without host time, less than 5 us of chip time per kernel",
    "beats-floor": "faster than operations at peak and compulsory bytes at full bandwidth allow",
    "no-power": "no power model serves the chip",
    "boundary": (
        "power or energy counted at another boundary than the model's, with no figure that converts one to"
        " the other"
    ),
}
LAUNCH_BOUND = 10e-6
HOST_BOUND = 5e-6
SCREENED = ("launch-bound", "host-bound", "beats-floor", "infeasible")

# What would turn the first boundary's figure into the board's; a scenario's overheads are assumptions, not
# this machine's.
CONVERTS: Mapping[str, str] = {
    "chip": "the board's memory and regulators beside the chip",
    "board": "the share of the chip in its board's power",
    "server": "the power of host, fans and network beside the boards",
    "wall": "the losses of the power supplies, and the power of host and fans",
    "facility": "the facility's PUE, the losses of the power supplies, and the power of host and fans",
}


def boundary_mismatch(measured: str, predicted: str) -> tuple[str, str]:
    """Code and reason of the rule for boundaries, empty where they agree: figures of different ones never
    meet without conversion.

    Example:
        >>> boundary_mismatch("wall", "board")[0], boundary_mismatch("board", "board")[0]
        ('boundary', '')
    """
    if measured == predicted:
        return "", ""
    return (
        "boundary",
        f"measured at the {measured}, predicted at the {predicted}; {CONVERTS[measured]} would convert it",
    )


def operator_rule(row: Row, floor: float) -> tuple[str, str]:
    """Code and reason of the first rule that keeps a predicted operator out; empty if none does.

    Args:
        row: With its prediction.
        floor: Seconds at peak and full bandwidth.
    """
    timed = row.metric not in KINDS
    if math.isnan(row.predicted):
        return ("not-modelled" if timed else "no-power"), "the model gives no figure"
    if timed and row.measured < LAUNCH_BOUND:
        return "launch-bound", f"measured {row.measured * 1e6:.3g} us"
    if timed and row.measured < floor:
        return "beats-floor", f"the physical floor is {floor * 1e6:.4g} us"
    return "", ""
