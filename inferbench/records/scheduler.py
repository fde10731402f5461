"""`Scheduler`: how a serving engine takes requests by default, as a stack's file says it."""

from __future__ import annotations

import math
from typing import Literal

import attrs

__all__ = ["Scheduler"]


# Tokens of a step: the `chunked_prefill_size` of SGLang, the `max_num_tokens` of TensorRT-LLM.
USUAL = 8192.0


def _amount(_: object, field: attrs.Attribute[float], value: float) -> None:
    """Refuse an amount below 0, and one without end."""
    if not (value >= 0.0 and math.isfinite(value)):
        raise ValueError(f"{value:g} is no number of at least 0\nwrite {field.name} = 8192, or leave it out")


@attrs.frozen(kw_only=True)
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
        >>> Scheduler(policy="interleaved", computed_batch=32.0).compiled
        True
    """

    policy: Literal["chunked", "interleaved"] = "chunked"
    chunk: float = attrs.field(default=0.0, validator=_amount)
    longest: bool = False
    whole: bool = False
    turns: bool = False
    computed_batch: float = attrs.field(default=0.0, validator=_amount)
    computed_positions: float = attrs.field(default=0.0, validator=_amount)

    @property
    def tokens(self) -> float:
        """Tokens of prompts in one step at most, where the longest request is not known."""
        return self.chunk or self.computed_positions or USUAL

    @property
    def compiled(self) -> bool:
        """Whether steps compute a batch that was compiled, however few are there."""
        return self.computed_batch > 0.0
