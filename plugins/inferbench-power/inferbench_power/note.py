"""The design note's power formula, kept so that its claims can be checked; it serves no chip."""

from __future__ import annotations

import math
from typing import ClassVar

import inferbench as ib

__all__ = ["NoteLinear"]


@ib.frozen
class NoteLinear(ib.PowerModel):
    """`P = idle + alpha x ops/s + beta x bytes/s`, without baseline or limit, as the note gives it.

    Attributes:
        idle: Watts of a chip; NaN: the spec's idle power.
        op: alpha, joules per operation (0.2 mW per GFLOP/s).
        byte: beta, joules per byte of memory (50 mW per GB/s).

    Example:
        The note's own point for an A100, 2 TB/s and nothing else: 160 W, where it says 250.

        >>> counts = ib.ActivityCounts({"bytes.hbm": 2e12}, 1.0, 1, ib.Precision.of(["bf16"]))
        >>> NoteLinear(idle=60.0).watts(counts)
        160.0
    """

    name: ClassVar[str] = "note-linear"
    title: ClassVar[str] = "the design note's formula"
    fidelity: ClassVar[int] = -1

    idle: ib.Watts = math.nan
    op: ib.JoulesPerOp = 0.2e-12
    byte: ib.JoulesPerByte = 50e-12

    def accepts(self, chip: ib.Chip) -> str:
        """Decline every chip: the formula contradicts its own calibration points
        (docs/explanation/power.md).
        """
        return "note-linear is the design note's formula, kept for its claims; it is used by name only"

    def watts(self, counts: ib.ActivityCounts, idle: float = math.nan) -> ib.Numeric:
        """Mean watts of all chips; `idle` is that of a chip where the model has none."""
        base = idle if math.isnan(self.idle) else self.idle
        total: ib.Numeric = base * counts.chips
        for action in counts.actions:
            if action == "ops":
                total = total + self.op * counts.spent(action) / counts.seconds
            elif action.startswith("bytes.") and action != "bytes.network":
                total = total + self.byte * counts.spent(action) / counts.seconds
        return total

    def energy(self, counts: ib.ActivityCounts, system: ib.System) -> ib.Energy:
        """Joules and watts of a step; never throttles."""
        watts = self.watts(counts, system.chip.power.idle)
        return ib.Energy(watts * counts.seconds, watts, 1.0, self.accepts(system.chip), estimated=True)
