"""A discrete-event simulation of continuous batching, request by request and step by step.

It knows the durations of single steps (from the operator model) and none of the steady-state formulas:
batches rise and fall, contexts grow, outputs differ in length, prompts queue.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

import attrs
import numpy as np

__all__ = ["Durations", "Measured", "apart", "together"]


@attrs.frozen(eq=False)
class Durations:
    """Seconds of steps.

    Attributes:
        decode: Of so many sequences at a mean context.
        mixed: The same with a piece of a prompt in it; None: whole prompts.
        prefill: Of one prompt, or of one piece without any decoding sequence.
        chunks: Pieces of a prompt.
    """

    decode: Callable[[float, float], float]
    prefill: float
    mixed: Callable[[float, float], float] | None = None
    chunks: int = 1


@attrs.frozen
class Measured:
    """Means after the warm-up: requests per second, seconds per token, seconds to the first token."""

    rate: float
    tpot: float
    ttft: float


class Requests:
    """Who asks when: so many users who ask again at once, or Poisson arrivals; outputs of half to one and a
    half the mean.
    """

    def __init__(self, prompt: float, output: float, users: int, rate: float, seed: int) -> None:
        self.prompt, self.output, self.users, self.rate = prompt, output, users, rate
        self.random = np.random.default_rng(seed)
        self.waiting: deque[float] = deque([0.0] * users)
        self.next = self.random.exponential(1.0 / rate) if rate else np.inf
        self.done: list[tuple[float, float, float, int]] = []

    def arrive(self, now: float) -> None:
        """Let everyone in who came until now."""
        while self.next <= now:
            self.waiting.append(self.next)
            self.next += self.random.exponential(1.0 / self.rate)

    def length(self) -> int:
        """Tokens of one output."""
        return int(self.random.integers(round(0.5 * self.output), round(1.5 * self.output) + 1))

    def finish(self, arrived: float, first: float, now: float, tokens: int) -> None:
        """Note a finished request; its user asks again."""
        self.done.append((arrived, first, now, tokens))
        if self.users:
            self.waiting.append(now)

    def measured(self, warm: int) -> Measured:
        """Means over all requests that finished after the first `warm`."""
        kept = np.array(self.done[warm:])
        start, end = self.done[warm - 1][2], self.done[-1][2]
        tpot = (kept[:, 2] - kept[:, 1]).sum() / (kept[:, 3] - 1).sum()
        return Measured(len(kept) / (end - start), tpot, float((kept[:, 1] - kept[:, 0]).mean()))


class Slots:
    """The sequences that decode together."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def add(self, arrived: float, first: float, tokens: int) -> None:
        """Take in a sequence whose first token is out."""
        self.rows.append([arrived, first, tokens, 1.0])

    def context(self, prompt: float) -> float:
        """Mean positions that the next tokens attend to."""
        return prompt + sum(row[3] for row in self.rows) / len(self.rows)

    def step(self, now: float, requests: Requests) -> None:
        """Everyone gets a token."""
        left = []
        for row in self.rows:
            row[3] += 1.0
            if row[3] >= row[2]:
                requests.finish(row[0], row[1], now, int(row[2]))
            else:
                left.append(row)
        self.rows = left


def together(
    durations: Durations,
    prompt: float,
    output: float,
    *,
    users: int = 0,
    rate: float = 0.0,
    finish: int,
    seed: int = 1,
) -> Measured:
    """Simulate one replica that processes prompts and tokens: interleaved, or chunked if `mixed` is given."""
    requests, slots = Requests(prompt, output, users, rate, seed), Slots()
    now, piece = 0.0, 0
    while len(requests.done) < finish:
        requests.arrive(now)
        decoding = len(slots.rows)
        if not requests.waiting and not decoding:
            now = requests.next
            continue
        if durations.mixed is None:
            now = _interleaved(durations, requests, slots, now)
            continue
        if requests.waiting:
            now += durations.mixed(decoding, slots.context(prompt)) if decoding else durations.prefill
            piece += 1
        else:
            now += durations.decode(decoding, slots.context(prompt))
        slots.step(now, requests)
        if piece == durations.chunks:
            slots.add(requests.waiting.popleft(), now, requests.length())
            piece = 0
    return requests.measured(finish // 3)


def _interleaved(durations: Durations, requests: Requests, slots: Slots, now: float) -> float:
    if requests.waiting:
        now += durations.prefill
        slots.add(requests.waiting.popleft(), now, requests.length())
        return now
    now += durations.decode(len(slots.rows), slots.context(requests.prompt))
    slots.step(now, requests)
    return now


def apart(
    durations: Durations,
    prompt: float,
    output: float,
    split: tuple[int, int],
    *,
    users: int = 0,
    rate: float = 0.0,
    finish: int,
    seed: int = 1,
) -> Measured:
    """Simulate replicas for prompts and replicas for tokens; a request goes to the emptiest of the latter."""
    requests = Requests(prompt, output, users, rate, seed)
    free, busy = split[0], [Slots() for _ in range(split[1])]
    events: list[tuple[float, int, str, float, int]] = []
    running = [False] * split[1]
    now, count = 0.0, 0

    def push(time: float, kind: str, arrived: float = 0.0, which: int = 0) -> None:
        nonlocal count
        count += 1
        heapq.heappush(events, (time, count, kind, arrived, which))

    while len(requests.done) < finish:
        requests.arrive(now)
        while free and requests.waiting:
            free -= 1
            push(now + durations.prefill, "prompt", requests.waiting.popleft())
        for k, slots in enumerate(busy):
            if slots.rows and not running[k]:
                running[k] = True
                push(now + durations.decode(len(slots.rows), slots.context(prompt)), "step", which=k)
        if not events or requests.next < events[0][0]:
            now = requests.next
            continue
        now, _, kind, arrived, k = heapq.heappop(events)
        if kind == "prompt":
            free += 1
            k = min(range(len(busy)), key=lambda i: len(busy[i].rows))
            # Who comes during a step takes part from the next one on.
            busy[k].rows.append([arrived, now, requests.length(), 0.0 if running[k] else 1.0])
        else:
            running[k] = False
            busy[k].step(now, requests)
    return requests.measured(finish // 3)
