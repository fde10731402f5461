"""`ExpertSum`: the weighted sum of experts' results, and rows whose experts other chips hold."""

from __future__ import annotations

from functools import cached_property

import attrs

from inferbench.num import Numeric
from inferbench.records.immutable import frozen
from inferbench.records.op import Elementwise, Op
from inferbench.records.system import Layout

__all__ = ["ExpertSum"]


@frozen(kw_only=True, slots=False, eq=False)
class ExpertSum(Elementwise):
    """The weighted sum of a layer's experts, which knows what a chip's tokens do on other chips.

    Attributes:
        rows: Of all tokens that the chip has, one per expert chosen.
        inner: Width of an expert on this chip.
        hidden: Width of the network.
        away: Share of the rows whose experts other chips hold; 0 where tokens are sent to their experts.
        phase: `context` or `generation` where that is known; software may run shared experts in other
            kernels for prompts than for new tokens.

    Example:
        Eight rows, half of them elsewhere, experts of 100 in a network of 10.

        >>> from inferbench.records.precision import Precision
        >>> ExpertSum(name="sum", precision=Precision.of(["bf16"]), elements=40.0, rows=8.0, inner=100.0,
        ...           hidden=10.0, away=0.5).elsewhere
        4960.0
    """

    rows: Numeric
    inner: Numeric
    hidden: Numeric
    away: Numeric = 0.0
    phase: str = ""

    @cached_property
    def elsewhere(self) -> Numeric:
        """Bytes of these rows in 16 bits, if software moves them all the same: the results of both products
        written, the activation's read and written, and every row read by the next step.
        """
        return self.away * self.rows * (6.0 * self.inner + 2.0 * self.hidden) * 2.0

    def shard(self, layout: Layout) -> Op:
        """Return one chip's share. Chips of a tensor-parallel group have all its tokens, each for its own
        experts; beyond the group tokens are sent.
        """
        mine = super().shard(layout)
        if layout.ep == 1 or not isinstance(mine, ExpertSum):
            return mine
        if layout.ep > layout.tp:
            return attrs.evolve(mine, of=".".join(filter(None, ("experts.wide", self.phase))))
        return attrs.evolve(
            mine, inner=self.inner / (layout.tp // layout.ep), away=1.0 - 1.0 / float(layout.ep)
        )
