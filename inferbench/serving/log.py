"""What a replay writes down, and what it remembers of earlier prompts."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from inferbench.serving.requests import HASHED, Requests

__all__ = ["Log", "Prefixes"]


class Log:
    """What happened: per request when its first and last token came, per step how long it took."""

    def __init__(self, requests: Requests) -> None:
        count = len(requests)
        self.requests = requests
        self.arrival = requests.arrival.tolist()
        self.prompt = [int(x) for x in requests.prompt]
        self.output = [int(x) for x in requests.output]
        self.first = [np.nan] * count
        self.done = [np.nan] * count
        self.grown = [0] * count
        self.hit = [0] * count
        self.preempted = 0
        self.gaps: list[tuple[float, int]] = []
        self.steps: list[tuple[float, float, float]] = []
        self.finished = 0


class Prefixes:
    """Positions of earlier prompts that are still there, the longest unused given up first."""

    def __init__(self) -> None:
        self.kept: OrderedDict[object, int] = OrderedDict()
        self.total = 0

    def known(self, log: Log, i: int) -> int:
        """Positions of a prompt that are there already; at least one token is always processed."""
        asked = log.requests
        found = 0
        if asked.hashes:
            for one in asked.hashes[i]:
                if one not in self.kept:
                    break
                self.kept.move_to_end(one)
                found += HASHED
        elif asked.session is not None and asked.history is not None:
            key = ("session", int(asked.session[i]))
            if key in self.kept:
                self.kept.move_to_end(key)
                found = min(self.kept[key], int(asked.history[i]))
        return min(found, log.prompt[i] - 1)

    def keep(self, log: Log, i: int, room: float) -> None:
        """Take in what a finished request leaves, as far as there is room."""
        asked = log.requests
        if asked.hashes:
            for one in asked.hashes[i]:
                self._put(one, HASHED)
        elif asked.session is not None:
            self._put(("session", int(asked.session[i])), log.prompt[i] + log.output[i])
        self.shrink(room)

    def _put(self, key: object, size: int) -> None:
        self.total += size - self.kept.pop(key, 0)
        self.kept[key] = size

    def shrink(self, room: float) -> None:
        """Give up the longest unused until the rest fits."""
        while self.total > room and self.kept:
            self.total -= self.kept.popitem(last=False)[1]
