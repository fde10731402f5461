"""`ActivityCounts` of a whole step, and the `Energy` a power model makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np

from inferbench.num import Numeric
from inferbench.records.immutable import frozen
from inferbench.records.precision import Precision

__all__ = ["Energy", "ActivityCounts"]


@frozen(eq=False)
class ActivityCounts:
    """Everything that happened in one step, on all chips together.

    Attributes:
        actions: Action to count (`ops`, `bytes.hbm`, `bytes.network`, …), whole system. `logits` are those
            that are sorted to draw tokens.
        seconds: Duration of the step.
        chips: Number of chips.
        precision: The precision axis (an operation's energy depends on its width).
        formats: Compute format per precision on this chip.
        factors: Action to a factor on what the chip spends for it: what the software spends beside what
            is counted. It changes joules and watts, never what the power limit does to time.
        energies: Action to joules per count, `baseline` to watts of one chip, that the software's own
            readings put in the place of the chip's; NaN at points where it has none. As with factors,
            time doesn't depend on them.
    """

    actions: Mapping[str, Numeric]
    seconds: Numeric
    chips: int
    precision: Precision
    formats: tuple[str, ...] = ()
    factors: Mapping[str, Numeric] = attrs.field(factory=dict)
    energies: Mapping[str, Numeric] = attrs.field(factory=dict)

    def each(self, action: str, chips_own: Numeric) -> Numeric:
        """Energy of an action, or watts of the `baseline`: the software's own where it has one, else the
        chip's.

        Example:
            >>> from inferbench import Precision
            >>> float(ActivityCounts({}, 1.0, 1, Precision.of(["bf16"]),
            ...     energies={"baseline": 215.0}).each("baseline", 194.0))
            215.0
        """
        own = self.energies.get(action)
        return chips_own if own is None else np.where(np.isnan(own), chips_own, own)

    def spent(self, action: str) -> Numeric:
        """Count of an action times its factor.

        Example:
            >>> from inferbench import Precision
            >>> ActivityCounts({"ops": 4.0}, 1.0, 1, Precision.of(["bf16"]),
            ...     factors={"ops": 2.5}).spent("ops")
            10.0
        """
        factor = self.factors.get(action)
        return self.actions[action] if factor is None else self.actions[action] * factor


@frozen(eq=False)
class Energy:
    """What a power model answers for a step of the whole system.

    Attributes:
        joules: Energy of the step, after throttling; NaN where not known.
        watts: Mean power while it runs; NaN where not known.
        throttle: Factor >= 1 by which the power cap stretches the step.
        why: Why it is not known, or what it rests on ("coefficients estimated, not calibrated for this
            chip").
        estimated: Whether the coefficients were not calibrated on this very chip.
        boundary: Where the watts are counted: `chip`, `board`, `server`, `wall`.
        limit: Watts at most of one chip that the model reckons with; NaN: the chip's own, if it has one.
        parts: Name of the share (`idle`, `ops`, `bytes.hbm`) to joules. `idle` is what passing time alone
            costs.
        log_error: Log standard error of `watts` at the step's true duration, which is what the coefficients
            leave open; NaN where not known or not asked for. The core joins it with the error of the
            duration.
    """

    joules: Numeric
    watts: Numeric
    throttle: Numeric = 1.0
    why: str = ""
    estimated: bool = False
    boundary: str = "board"
    limit: float = math.nan
    parts: Mapping[str, Numeric] = attrs.field(factory=dict)
    log_error: Numeric = math.nan
