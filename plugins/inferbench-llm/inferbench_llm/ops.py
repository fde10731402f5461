"""Attention with one field more: how many positions stay resident, where that is not what one execution
touches.
"""

from __future__ import annotations

from functools import cached_property

import attrs

import inferbench as ib

__all__ = ["CachedAttention"]


@attrs.frozen(kw_only=True, slots=False, eq=False)
class CachedAttention(ib.Attention):
    """Attention whose cache holds another number of positions than one execution touches.

    A windowed layer reads all of a prompt and keeps the window; a generation touches its mean context and
    keeps the last one. Costs are those of `Attention`.

    Attributes:
        stored: Positions resident per sequence when the step ends.
    """

    stored: ib.Numeric

    @cached_property
    def resident(self) -> ib.Bytes:
        """The KV cache at the end of the step."""
        return ib.Bytes(state=self.batch * self.stored / self.cp_ranks * self.state_width * self.precision.kv)
