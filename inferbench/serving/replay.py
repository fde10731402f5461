"""Replay of requests, event by event: arrivals, and ends of steps, in a heap."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np

from inferbench.serving.engine import Engine, Rules
from inferbench.serving.log import Log
from inferbench.serving.requests import Requests
from inferbench.serving.tabulated import StepTable

__all__ = ["Watch", "replay_disaggregated", "replay"]

Watch = Callable[[int, int], None]
_ARRIVES, _ENDS, _MOVED = range(3)
SEED = 7


def replay(
    requests: Requests, tables: Sequence[StepTable], rules: Rules, watch: Watch | None = None
) -> tuple[Log, list[Engine]]:
    """Replay requests on replicas that process prompts and tokens alike.

    Args:
        requests: In the order in which they are asked.
        tables: Steps, one per replica; a request goes to the one with the fewest.
        rules: How they schedule.
        watch: Called with the requests that are done, and all.

    Returns:
        What happened, and the replicas.
    """
    log = Log(requests)
    engines = [Engine(table, rules, log, place) for place, table in enumerate(tables)]
    _Loop(log, engines, [], 0.0, watch).run()
    return log, engines


def replay_disaggregated(
    requests: Requests,
    prompts: Sequence[StepTable],
    tokens: Sequence[StepTable],
    rules: tuple[Rules, Rules],
    transfer: float,
    watch: Watch | None = None,
) -> tuple[Log, list[Engine]]:
    """Replay requests on replicas for prompts and replicas for tokens.

    Args:
        requests: In the order in which they are asked.
        prompts, tokens: Steps, one per replica.
        rules: Of the two kinds.
        transfer: Seconds to move the cache of one position.
        watch: Called with the requests that are done, and all.
    """
    log = Log(requests)
    first = [Engine(table, rules[0], log, place) for place, table in enumerate(prompts)]
    second = [Engine(table, rules[1], log, len(first) + place) for place, table in enumerate(tokens)]
    _Loop(log, first, second, transfer, watch).run()
    return log, [*first, *second]


class _Loop:
    """The heap of events, and who is woken by what."""

    def __init__(
        self, log: Log, first: list[Engine], second: list[Engine], transfer: float, watch: Watch | None
    ) -> None:
        self.log, self.first, self.second = log, first, second
        self.transfer, self.watch = transfer, watch
        self.events: list[tuple[float, int, int, int, int]] = []
        self.order = count()
        self.random = np.random.default_rng(SEED)
        self.engines = [*first, *second]
        self.followers: dict[int, int] = {}
        self.queue: list[int] = []
        self.heads: list[int] = []

    def _push(self, time: float, kind: int, which: int, turn: int = 0) -> None:
        heapq.heappush(self.events, (time, next(self.order), kind, which, turn))

    def _ask(self) -> None:
        """Put in who comes by themselves; of a closed loop the first request of each user."""
        asked, log = self.log.requests, self.log
        if asked.follows is not None:
            self.followers = {
                int(before): i for i, before in enumerate(asked.follows.tolist()) if before >= 0
            }
        if asked.users:
            later = set(self.followers.values())
            firsts = [i for i in range(len(asked)) if i not in later]
            for i in firsts[: asked.users]:
                self._asks(0.0, i)
            self.heads = firsts[asked.users :][::-1]
            return
        for i, time in enumerate(log.arrival):
            if not math.isnan(time):
                self._asks(time, i)

    def run(self) -> None:
        """Go through all events."""
        self._ask()
        log, total, told = self.log, len(self.log.prompt), 0
        while self.events:
            now = self.events[0][0]
            touched: dict[Engine, None] = {}
            while self.events and self.events[0][0] <= now:
                _, _, kind, which, turn = heapq.heappop(self.events)
                self._happens(now, kind, which, turn, touched)
            for engine in touched:
                self._wake(engine, now)
            if self.watch and log.finished - told >= 50:
                told = log.finished
                self.watch(told, total)

    def _happens(self, now: float, kind: int, which: int, turn: int, touched: dict[Engine, None]) -> None:
        if kind == _ENDS:
            engine = self.engines[which]
            if turn != engine.turn or engine.plan is None:
                return
            touched[engine] = None
            for i in engine.finish(now):
                self._through(i, now, engine)
            return
        pool = self.first if kind == _ARRIVES else self.second
        engine = min(pool, key=lambda one: one.load) if len(pool) > 1 else pool[0]
        engine.waiting.append(which)
        touched[engine] = None

    def _wake(self, engine: Engine, now: float) -> None:
        until = engine.start(now) if engine.plan is None else engine.interrupt(now)
        if until is not None:
            self._push(until, _ENDS, engine.place, engine.turn)

    def _through(self, i: int, now: float, engine: Engine) -> None:
        """A request leaves a replica: it goes on to decode elsewhere, or its user asks again."""
        log = self.log
        if np.isnan(log.done[i]):
            self._push(now + self.transfer * log.prompt[i], _MOVED, i)
            return
        seen = max(now, log.done[i])
        following = self.followers.get(i)
        if following is not None:
            self._asks(seen + log.requests.think, following)
        elif log.requests.users and self.heads:
            self._asks(seen, self.heads.pop())

    def _asks(self, when: float, i: int) -> None:
        """A user asks; the scheduler knows of it a little later."""
        self.log.arrival[i] = when
        entry = self.first[0].rules.entry
        self._push(when + (self.random.exponential(entry) if entry else 0.0), _ARRIVES, i)
