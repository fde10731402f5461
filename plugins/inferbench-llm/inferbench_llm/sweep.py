"""`Sweep`: tokens going once through all layers, so often per step; decode, prefill and chunks are settings
of it.
"""

from __future__ import annotations

from functools import cached_property

import attrs
import numpy as np

import inferbench as ib

__all__ = ["Sweep"]


def _pairs_up_to(position: ib.Numeric, window: float) -> ib.Numeric:
    """Query-key pairs of the first `position` tokens, each seeing itself and at most `window` positions in
    all.
    """
    if not window:
        return 0.5 * position * (position + 1.0)
    inside = ib.minimum(position, window)
    return 0.5 * inside * (inside + 1.0) + (position - inside) * inside


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Sweep:
    """New tokens of every sequence going through all layers, `times` in a row, each time behind the last.

    Attributes:
        batch: Sequences.
        start: Positions in the cache before the first execution.
        tokens: New tokens per sequence and execution.
        times: Executions per step: 1, the chunks of a prompt, the tokens to generate.
        drafted: Speculative tokens verified beside each of `tokens`.
        rate: Executions scaled by this (1 / accepted tokens under speculation, so that a step yields one
            token).
        causal: False: every new token attends to all positions up to the end.
        logits: Rows of the head per sequence and execution of the head.
        head_times: Executions of the head per step.
        weights, cache: Whether the weights and the KV cache count as resident here: once per graph.
        prefix: Put before op names where a graph has several sweeps.
        decoding: False: the tokens are a prompt's.

    Example:
        A prompt of 4 in two chunks of 2: 10 causal pairs, 5 per chunk; the chunks read 2 and 4 positions.

        >>> chunks = Sweep(batch=1.0, start=0.0, tokens=2.0, times=2.0)
        >>> chunks.pairs(0.0), chunks.keys(0.0)
        (5.0, 3.0)
    """

    batch: ib.Numeric
    start: ib.Numeric
    tokens: ib.Numeric
    times: ib.Numeric = 1.0
    drafted: float = 0.0
    rate: float = 1.0
    causal: bool = True
    logits: ib.Numeric = 1.0
    head_times: ib.Numeric = 1.0
    weights: bool = True
    cache: bool = True
    prefix: str = ""
    decoding: bool = True

    @cached_property
    def executions(self) -> ib.Numeric:
        """Executions of a layer per step."""
        return self.times * self.rate

    @cached_property
    def queries(self) -> ib.Numeric:
        """Query positions per sequence and execution."""
        return self.tokens + self.drafted

    @cached_property
    def rows(self) -> ib.Numeric:
        """Rows of the streamed operand of every matrix product."""
        return self.batch * self.queries

    @cached_property
    def end(self) -> ib.Numeric:
        """Positions held after the last execution."""
        return self.start + self.tokens * self.times

    def pairs(self, window: float) -> ib.Numeric:
        """Query-key pairs per sequence, head and execution, the mean over the executions.

        A causal prompt of S has S (S + 1) / 2; each further query of a speculative step sees one position
        more.
        """
        if not self.causal:
            return self.tokens * (ib.minimum(self.end, window) if window else self.end)
        seen = (_pairs_up_to(self.end, window) - _pairs_up_to(self.start, window)) / self.times
        if not self.drafted:
            return seen
        queries = 1.0 + self.drafted
        verified = queries * seen + 0.5 * queries * self.drafted
        return ib.minimum(verified, queries * window) if window else verified

    def keys(self, window: float) -> ib.Numeric:
        """Positions whose keys and values are touched per sequence and execution, the mean over the
        executions.

        Execution j of `tokens` d reads `start + j d` positions, with a window w at most `d + w - 1`; the
        sum over j is closed: the first `whole` ones grow, the others are full.
        """
        if not window:
            return self.start + 0.5 * self.tokens * (self.times + 1.0) + self.drafted
        reach = self.tokens + window - 1.0
        if isinstance(self.times, float) and self.times == 1.0:
            return ib.minimum(self.start + self.tokens, reach) + self.drafted
        whole = np.clip(np.floor((reach - self.start) / self.tokens), 0.0, self.times)
        growing = whole * self.start + 0.5 * self.tokens * whole * (whole + 1.0)
        return (growing + (self.times - whole) * reach) / self.times + self.drafted

    def stored(self, window: float) -> ib.Numeric:
        """Positions resident per sequence when the step ends."""
        final = self.end + self.drafted
        return ib.minimum(final, window) if window else final
