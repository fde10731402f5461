"""`Scheduler`: how a serving engine takes requests by default, as a stack's file says it."""

from __future__ import annotations

from typing import Literal

from inferbench.records.immutable import frozen
from inferbench.units import WholeOrNone

__all__ = ["Scheduler"]

# Tokens of a step: the `chunked_prefill_size` of SGLang, the `max_num_tokens` of TensorRT-LLM.
USUAL = 8192


@frozen(kw_only=True)
class Scheduler:
    """What an engine does where its server is told nothing else.

    Attributes:
        policy: `chunked`: tokens of prompts ride along with those who decode; `interleaved`: prompts have
            steps of their own.
        chunk: Tokens of prompts in one step at most. 0: those that were compiled, else 8192.
        longest: Whether a step takes as many tokens as the longest request has, where that is known.
        whole: Whether a request is let in only when its answer has room to its end.
        turns: Whether those who decode have a step between two steps of prompts alone.
        computed_batch: Sequences that a step computes at least, as they were compiled; 0: those that are
            there.
        computed_positions: Positions of each of them, likewise; a prompt takes all.

    Example:
        >>> Scheduler(policy="interleaved", computed_batch=32).compiled
        True
    """

    policy: Literal["chunked", "interleaved"] = "chunked"
    chunk: WholeOrNone = 0
    longest: bool = False
    whole: bool = False
    turns: bool = False
    computed_batch: WholeOrNone = 0
    computed_positions: WholeOrNone = 0

    @property
    def tokens(self) -> float:
        """Tokens of prompts in one step at most, where the longest request is not known."""
        return float(self.chunk or self.computed_positions or USUAL)

    @property
    def compiled(self) -> bool:
        """Whether steps compute a batch that was compiled, however few are there."""
        return self.computed_batch > 0
