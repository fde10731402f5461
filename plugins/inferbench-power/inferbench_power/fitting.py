"""What readings of power may fix of the linear model, within which bounds, and the figures that ship."""

from __future__ import annotations

import math
from collections.abc import Mapping

import inferbench as ib
from inferbench_power.coefficients import Coefficients, Figure, Own, classes, own, own_of, resolve

__all__ = ["Figures", "given", "shipped", "steps_frees", "kernels_frees"]

# Joules per byte that no board was seen to exceed; joules per operation likewise.
MOST_BYTE, MOST_BYTE_ALONE, MOST_OP = 300e-12, 1000e-12, 50e-12
START_OP = 1e-12
START_LOGIT, MOST_LOGIT = 50e-9, 1e-6
# Metres: the process of the products whose energy no step's operation falls below (`Classes.product`).
PRODUCT_NODE = 4e-9
_SOURCE = ib.Source(title="figures of the stack", basis="measured")


@ib.frozen(kw_only=True)
class Figures:
    """A stack's `[power.linear]`; NaN where it takes the chip's.

    Attributes:
        baseline: With clocks up and weights resident, nothing running.
        op: Per 16-bit operation.
        bytes: Memory level, or `network`, to joules per byte.
        logits: Per logit that is sorted to draw a token.
        log_error: Log standard error of mean power on networks left out of the fit.
    """

    baseline: ib.Watts = math.nan
    op: ib.JoulesPerOp = math.nan
    bytes: Mapping[str, ib.JoulesPerByte] = ib.field(factory=dict)
    logits: ib.Joules = math.nan
    log_error: float = math.nan


def given(chip: ib.Chip, figures: Figures) -> Own:
    """Figures of a chip as if they shipped; what is not given is as it ships, or as its class has it."""
    known = resolve(chip)
    levels = {name: known.bytes[name] for name in known.bytes} | dict(figures.bytes)
    mine = own_of(chip)
    return Own(
        calibrated=True,
        domain="",
        error="",
        baseline=_or(figures.baseline, known.baseline),
        op=_or(figures.op, known.ops["bf16"]),
        bytes={name: Figure(value, _SOURCE) for name, value in levels.items()},
        floor=mine.floor if mine else {},
        logits=_or(figures.logits, known.actions["logits"]),
        log_error=None if math.isnan(figures.log_error) else Figure(figures.log_error, _SOURCE),
        rates=mine.rates if mine else {},
    )


def _or(value: float, other: float) -> Figure:
    return Figure(other if math.isnan(value) else value, _SOURCE)


def steps_frees(chip: ib.Chip) -> tuple[ib.Free, ...]:
    """Parameters of whole steps. The baseline is none: over its whole range the loss hardly changes, the
    energy of a byte making up for it. A logit's is one where tokens were drawn by sorting.

    An operation takes no more than lets the board sustain the fastest rate that it was seen to sustain, or
    else its peak, within its limit. A board whose own figures name no such rate has no such bound: decoding
    spends more per operation than products do, and the limit cuts what exceeds it. It takes no less than
    products of the B200 alone, on a process that is no finer. A byte takes no less than the memory's devices
    alone.
    """
    known, mine = resolve(chip), own_of(chip)
    rate = mine.sustained.value if mine and mine.sustained else chip.peak.get("bf16", math.nan)
    most = (known.limit - known.baseline) / rate if mine is None or mine.sustained else MOST_OP
    least = classes().device.value
    known_process = chip.silicon.node >= PRODUCT_NODE  # NaN: not known
    least_op = min(classes().product.value, most) if known_process else 0.0
    return (
        ib.Free(
            "op",
            max(min(most / 2.0, START_OP), least_op),
            least_op,
            most,
            least_op,
            "batches that do much arithmetic per byte",
            unit="J/OP",
        ),
        ib.Free(f"bytes.{chip.main}", 150e-12, least, MOST_BYTE, least, "steps of few sequences", unit="J/B"),
        ib.Free(
            "logits",
            START_LOGIT,
            0.0,
            MOST_LOGIT,
            0.0,
            "large batches whose tokens are drawn by sorting",
            unit="J",
            action="logits",
        ),
    )


def kernels_frees(chip: ib.Chip) -> tuple[ib.Free, ...]:
    """Parameters of kernels alone in a loop, as a stack's `kernel_energy` has them."""
    known: Coefficients = resolve(chip)
    low, least = known.baseline, classes().device.value
    return (
        ib.Free("baseline", low + 50.0, low, known.limit, low, "kernels that hardly load the chip", unit="W"),
        ib.Free("ops", 0.5e-12, 0.0, MOST_OP, 0.0, "large products", unit="J/OP"),
        ib.Free(
            f"bytes.{chip.main}",
            150e-12,
            least,
            MOST_BYTE_ALONE,
            least,
            "products of few rows",
            unit="J/B",
        ),
    )


def shipped() -> dict[str, tuple[ib.Fit, dict[str, float]]]:
    """Chip to the record of its fit and the figures that it gave."""
    return {
        chip: (
            record.fit,
            {"op": record.op.value}
            | {f"bytes.{level}": figure.value for level, figure in record.bytes.items()}
            | ({"logits": record.logits.value} if record.logits else {})
            | ({"log_error": record.log_error.value} if record.log_error else {}),
        )
        for chip, record in own().items()
        if record.fit.command
    }
