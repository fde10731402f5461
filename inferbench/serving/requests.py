"""Requests for a replay: who asks when, how long prompts and answers are, and what of a prompt is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Array

__all__ = ["HASHED", "Lengths", "Requests", "at_a_rate", "in_a_loop"]

HASHED = 512
"""Tokens that one hash of a prompt stands for, as in Mooncake's traces."""

_WRITTEN = "write it like 1024, uniform:512:2048, lognormal:1024:0.8 or exponential:1024"
LONGEST = 1e7


@attrs.frozen
class Lengths:
    """A distribution of lengths in tokens.

    Attributes:
        kind: `fixed`, `uniform` (both ends included), `lognormal` or `exponential`.
        first: The length, the least length, or the mean.
        second: The greatest length; of a lognormal the standard deviation of the logarithm.

    Example:
        >>> Lengths.parse("uniform:512:2048").mean
        1280.0
    """

    kind: str
    first: float
    second: float = 0.0

    @classmethod
    def parse(cls, text: str | float, argument: str = "prompt") -> Lengths:
        """Read `1024`, `uniform:512:2048`, `lognormal:1024:0.8` (mean, sigma) or `exponential:1024`.

        Raises:
            InferBenchError: Another word; lengths below 1 or that are no numbers; ends the wrong way round.
        """
        kind, *rest = str(text).strip().split(":")
        needed = {"uniform": 2, "lognormal": 2, "exponential": 1}
        if kind not in needed:
            kind, rest = "fixed", [kind, *rest]
        try:
            numbers = [float(one.replace(",", "")) for one in rest]
        except ValueError:
            numbers = []
        if len(numbers) != needed.get(kind, 1) or not all(map(math.isfinite, numbers)):
            raise InferBenchError.of_argument(argument, f"'{text}' is no length", _WRITTEN)
        if not 1.0 <= numbers[0] <= LONGEST:
            raise InferBenchError.of_argument(
                argument, f"a length of {numbers[0]:g} tokens", f"between 1 and {LONGEST:,.0f} were expected"
            )
        made = cls(kind, *numbers)
        if kind == "uniform" and made.second < made.first:
            raise InferBenchError.of_argument(
                argument, f"'{text}' ends before it begins", "write the least length first"
            )
        if kind == "lognormal" and not 0.0 <= made.second <= 4.0:
            raise InferBenchError.of_argument(
                argument, f"a standard deviation of {made.second:g} in logs", "0 to 4 were expected"
            )
        return made

    @property
    def mean(self) -> float:
        """Mean tokens."""
        return 0.5 * (self.first + self.second) if self.kind == "uniform" else self.first

    def draw(self, count: int, random: np.random.Generator) -> Array:
        """Whole numbers of at least 1, shape (count,)."""
        if self.kind == "uniform":
            return random.integers(round(self.first), round(self.second) + 1, count).astype(np.float64)
        if self.kind == "lognormal":
            middle = math.log(self.first) - 0.5 * self.second**2
            drawn = random.lognormal(middle, self.second, count)
        elif self.kind == "exponential":
            drawn = random.exponential(self.first, count)
        else:
            drawn = np.full(count, self.first)
        return np.maximum(np.round(drawn), 1.0)

    def __str__(self) -> str:
        if self.kind == "fixed":
            return f"{self.first:,.0f}"
        ends = (
            f"{self.first:,.0f} to {self.second:,.0f}"
            if self.kind == "uniform"
            else f"mean {self.first:,.0f}"
        )
        return f"{self.kind}, {ends}"


@attrs.frozen(eq=False, kw_only=True)
class Requests:
    """Requests in the order in which they are asked; arrays of shape (requests,).

    Attributes:
        arrival: Seconds, rising; NaN: after the request that it follows.
        prompt, output: Tokens, whole numbers of at least 1.
        users: Of a closed loop, each of which asks again at once; 0: requests come by themselves.
        follows: Request whose answer this one waits for, -1 for none; of conversations.
        think: Seconds between that answer and this request.
        session: Conversation of each request, -1 for none.
        history: Tokens of a prompt that the session's earlier turns had.
        drawn: Whether they come at a rate that somebody asked for; a trace has what it has.
        hashes: Hash of every whole `HASHED` tokens of each prompt, from its start; empty where there are
            none.
    """

    arrival: Array
    prompt: Array
    output: Array
    users: int = 0
    follows: Array | None = None
    think: float = 0.0
    session: Array | None = None
    history: Array | None = None
    drawn: bool = False
    hashes: Sequence[Sequence[int]] = ()

    def __len__(self) -> int:
        return len(self.prompt)

    @property
    def rate(self) -> float:
        """Mean requests per second of an open loop; NaN of a closed one, and of requests all at once."""
        known = self.arrival[np.isfinite(self.arrival)]
        if self.users or len(known) < 2 or known[-1] <= known[0]:
            return math.nan
        return (len(self) - 1) / float(known[-1] - known[0])

    @property
    def longest(self) -> float:
        """Tokens of the longest request, its answer included."""
        return float((self.prompt + self.output).max())

    def at_once(self) -> Requests:
        """The same requests, all asked at the beginning."""
        return attrs.evolve(self, arrival=np.zeros(len(self)), users=0, follows=None)

    def repeated(self, times: int) -> Requests:
        """Requests of an open loop so many times one after the other; copies know nothing of each other.

        Args:
            times: At least 1.
        """

        def apart(values: Array | None, step: float) -> Array | None:
            if values is None:
                return None
            more = np.repeat(np.arange(times), len(self)) * step
            return np.where(np.tile(values, times) < 0, -1.0, np.tile(values, times) + more)

        return attrs.evolve(
            self,
            arrival=np.tile(self.arrival, times),
            prompt=np.tile(self.prompt, times),
            output=np.tile(self.output, times),
            follows=apart(self.follows, len(self)),
            session=apart(self.session, 0.0 if self.session is None else float(self.session.max()) + 1.0),
            history=None if self.history is None else np.tile(self.history, times),
            hashes=tuple(
                tuple(one + (copy << 64) for one in each) for copy in range(times) for each in self.hashes
            ),
        )


def at_a_rate(
    rate: float,
    count: int,
    prompt: Lengths,
    output: Lengths,
    *,
    turns: int = 1,
    think: float = 0.0,
    seed: int = 1,
) -> Requests:
    """Draw requests with Poisson arrivals; of conversations it is the first turns that arrive so.

    Args:
        rate: Requests per second, all turns together.
        count: Requests.
        prompt: New tokens of a prompt, beside what earlier turns left.
        output: Tokens to generate.
        turns: Of a conversation.
        think: Seconds from an answer to the next turn.
        seed: Of the random numbers.

    Example:
        >>> drawn = at_a_rate(2.0, 1000, Lengths("fixed", 10.0), Lengths("fixed", 5.0))
        >>> round(drawn.rate, 1)
        2.0
    """
    random = np.random.default_rng(seed)
    made = _drawn(count, prompt, output, turns, think, random)
    first = np.ones(count, dtype=bool) if made.follows is None else made.follows < 0
    times = np.full(count, np.nan)
    times[first] = np.cumsum(random.exponential(turns / rate, int(first.sum())))
    return attrs.evolve(made, arrival=times, drawn=True)


def in_a_loop(
    users: int,
    count: int,
    prompt: Lengths,
    output: Lengths,
    *,
    turns: int = 1,
    think: float = 0.0,
    seed: int = 1,
) -> Requests:
    """Draw requests of so many users, all of whom ask at the beginning and again after each answer."""
    made = _drawn(count, prompt, output, turns, think, np.random.default_rng(seed))
    return attrs.evolve(made, users=min(users, count))


def _drawn(
    count: int, prompt: Lengths, output: Lengths, turns: int, think: float, random: np.random.Generator
) -> Requests:
    """Lengths, and the order of conversations: request k is turn k % turns of conversation k // turns."""
    prompts, outputs = prompt.draw(count, random), output.draw(count, random)
    plain = Requests(arrival=np.zeros(count), prompt=prompts, output=outputs)
    if turns == 1:
        return plain
    place = np.arange(count)
    history = np.zeros(count)
    for k in range(1, count):
        if k % turns:
            history[k] = prompts[k - 1] + outputs[k - 1]
            prompts[k] += history[k]
    return attrs.evolve(
        plain,
        prompt=prompts,
        follows=np.where(place % turns > 0, place - 1.0, -1.0),
        think=think,
        session=(place // turns).astype(np.float64),
        history=history,
    )
