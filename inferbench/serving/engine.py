"""`Engine`: one replica's scheduler: continuous batching, prompts in chunks, a paged cache, preemption,
prefixes.

Steps in which nobody comes and nobody ends are taken together: a replay costs as many events as there are
requests, not tokens.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque

import attrs
import numpy as np

from inferbench.serving.log import Log, Prefixes
from inferbench.serving.tabulated import StepTable

__all__ = ["Engine", "Rules"]


@attrs.frozen(kw_only=True)
class Rules:
    """How a scheduler decides.

    Attributes:
        policy: `chunked`: prompts ride along with decode steps; `interleaved`: they go between them, whole;
            `prompts` and `tokens`: replicas of one kind each.
        chunk: Tokens of prompts in one step at most, per lane.
        joint: Whether the tokens of those who decode count among them.
        block: Positions of a block of the cache.
        most: Sequences at once at most.
        reuse: Whether prefixes of prompts stay in what is free of the cache.
        whole: Whether a request is let in only when its answer has room to its end, so that none is put off.
        entry: Mean seconds until the scheduler knows of a request: sent, received, cut into tokens.
        lag: Steps by which a token reaches its user after the step that made it: engines plan one step ahead,
            and what they write is decoded and sent beside the next ones.
        wait: Steps that prompts wait for more of them while others decode; 0: none.
        enough: Share of `chunk` at which they wait no longer, the tokens of those who decode among them.
        poll: Decode steps after which the scheduler looks for new requests; after prompts it always does.
        turns: Whether those who decode have a step between two steps of prompts alone.
        compiled: Sequences and positions that a step computes at least, however few are there; 0: those that
            are. Each prompt takes all positions.
    """

    policy: str = "chunked"
    chunk: float = 8192.0
    block: int = 16
    most: float = np.inf
    reuse: bool = True
    joint: bool = False
    whole: bool = False
    entry: float = 0.0
    lag: float = 0.0
    wait: int = 0
    enough: float = 1.0
    poll: int = 1
    turns: bool = False
    compiled: tuple[float, float] = (0.0, 0.0)


class Engine:
    """One replica.

    Attributes:
        place: Among all replicas.
        busy: Seconds in which steps ran, `joules` what they took, `read` those of steps with prompts,
            `weighted` seconds times sequences.
        turn: Number of the plan in force: an event of an older one is void.
    """

    def __init__(self, table: StepTable, rules: Rules, log: Log, place: int) -> None:
        self.table, self.rules, self.log, self.place = table, rules, log, place
        self.blocks = table.room / rules.block
        self.waiting: deque[int] = deque()
        self.reading: list[list[int]] = []  # request, tokens processed, tokens in all
        self.ends: list[tuple[int, int, int]] = []  # step of the last token, order, request
        self.alive: OrderedDict[int, int] = OrderedDict()  # request to order, newest last
        self.residues = [0] * rules.block
        self.used, self.positions, self.step, self.order = 0.0, 0, 0, 0
        self.promised: dict[int, int] = {}  # blocks of requests that are here, to the end of their answers
        self.due = 0
        self.prefixes = Prefixes()
        self.plan: tuple[float, int, list[tuple[int, int]]] | None = None
        self.until, self.turn = 0.0, 0
        self.busy = self.joules = self.read = self.weighted = self.stalled = 0.0
        self.peak = 0
        # Decode steps that prompts have waited, and those since the scheduler looked for new ones.
        self.held = self.unheard = 0
        self.read_last = False

    @property
    def load(self) -> float:
        """Requests here, by which a router chooses."""
        return len(self.waiting) + len(self.reading) + len(self.alive)

    def _blocks(self, positions: int) -> int:
        return -(-positions // self.rules.block)

    def _admit(self) -> None:
        """Let the first of those who wait in while there is room: in the cache and among the sequences."""
        log, rules = self.log, self.rules
        reading = sum(one[2] - one[1] for one in self.reading)
        budget = rules.chunk * self.table.lanes(len(self.alive)) if rules.policy != "tokens" else np.inf
        while self.waiting and (reading < budget or rules.policy == "tokens"):
            i = self.waiting[0]
            whole = log.prompt[i] + log.grown[i]
            need = self._blocks(whole - (rules.policy == "tokens"))
            alone = not (self.alive or self.reading)
            if len(self.alive) + len(self.reading) >= rules.most or not self._has_room(i, need, alone):
                return
            if not alone and rules.policy == "interleaved" and self.reading and reading + whole > budget:
                return
            self.waiting.popleft()
            self.used += need
            if rules.whole:
                self.promised[i] = self._to_the_end(i)
                self.due += self.promised[i]
            known = self.prefixes.known(log, i) if rules.reuse and rules.policy != "tokens" else 0
            log.hit[i] = max(log.hit[i], known)
            self.prefixes.shrink((self.blocks - self.used) * rules.block)
            if rules.policy == "tokens":
                self._decode(i)
                continue
            self.reading.append([i, known, whole])
            reading += whole - known

    def _has_room(self, i: int, need: int, alone: bool) -> bool:
        """Whether a request may come in: now, or to the end of its answer."""
        if self.rules.whole:
            return alone or self.due + self._to_the_end(i) <= self.blocks
        return self.used + need + (0.0 if alone else 0.01 * self.blocks) <= self.blocks

    def _to_the_end(self, i: int) -> int:
        answer = self.log.output[i] if self.rules.policy != "prompts" else 0
        return self._blocks(self.log.prompt[i] + answer)

    def _decode(self, i: int) -> None:
        """Let a sequence whose prompt is processed decode, its next token being out."""
        log = self.log
        log.grown[i] = max(log.grown[i], 1)
        stored = log.prompt[i] + log.grown[i] - 1
        left = log.output[i] - log.grown[i]
        self.order += 1
        self.alive[i] = self.order
        heapq.heappush(self.ends, (self.step + left, self.order, i))
        self.residues[(stored - self.step) % self.rules.block] += 1
        self.positions += stored + 1

    def _leave(self, i: int) -> None:
        """Take a sequence out, and its blocks."""
        log = self.log
        del self.alive[i]
        stored = log.prompt[i] + log.grown[i] - 1
        self.residues[(stored - self.step) % self.rules.block] -= 1
        self.positions -= stored + 1
        self.used -= self._blocks(stored)

    def _growth(self, steps: int) -> int:
        """Blocks that so many steps take."""
        block = self.rules.block
        whole, rest = divmod(steps, block)
        more = sum(self.residues[-(self.step + j) % block] for j in range(rest))
        return whole * len(self.alive) + more

    def _room_for(self, steps: int) -> int:
        """Of so many steps those that the cache has room for."""
        if self.used + self._growth(steps) <= self.blocks:
            return steps
        low, high = 0, steps
        while high - low > 1:
            middle = (low + high) // 2
            fine = self.used + self._growth(middle) <= self.blocks
            low, high = (middle, high) if fine else (low, middle)
        return low

    def _preempt(self) -> None:
        """Give the newest sequence's blocks to the others; it begins again, its tokens part of its prompt."""
        i = next(reversed(self.alive))
        log = self.log
        order = self.alive[i]
        end = next(one[0] for one in self.ends if one[1] == order)
        log.grown[i] = log.output[i] - (end - self.step)
        self._leave(i)
        self.ends = [one for one in self.ends if one[1] != order]
        heapq.heapify(self.ends)
        self.waiting.appendleft(i)
        log.preempted += 1

    def start(self, now: float) -> float | None:
        """Plan the next step, or the next ones in which nothing changes; return their end, None if idle."""
        if self.plan is not None:
            return None
        if not (self.alive or self.reading):
            self.unheard = 0
        if not self.unheard:
            self._admit()
        batch = len(self.alive)
        self.peak = max(self.peak, batch)
        chunks = [] if self._holds(batch) else self._chunks(batch)
        if chunks:
            return self._with_prompts(now, batch, chunks)
        if not batch:
            return None
        steps = self.ends[0][0] - self.step
        room = self._room_for(steps)
        while room < 1 and len(self.alive) > 1:
            self._preempt()
            steps = self.ends[0][0] - self.step
            room = self._room_for(steps)
        return self._with_tokens(now, self._undisturbed(room))

    def _holds(self, batch: int) -> bool:
        """Whether prompts wait for more of them."""
        if not batch or not self.reading:
            return False
        if self.rules.turns and self.read_last:
            return True
        if self.held >= self.rules.wait:
            return False
        tokens = sum(whole - known for _, known, whole in self.reading)
        return tokens + batch < self.rules.enough * self.rules.chunk

    def _undisturbed(self, steps: int) -> int:
        """Of so many decode steps those until a prompt that waits may be taken, or a request is found."""
        if self.waiting and self.rules.poll > 1:
            steps = min(steps, self.rules.poll - self.unheard)
        if self.reading and self.rules.turns:
            steps = 1
        elif self.reading and self.rules.wait:
            steps = min(steps, self.rules.wait - self.held)
        return max(steps, 1)

    def _chunks(self, batch: int) -> list[tuple[int, int]]:
        """Which prompts go into the next step: place among those being read, tokens."""
        if not self.reading:
            return []
        left = int(self.rules.chunk * self.table.lanes(batch))
        if self.rules.joint:
            left -= batch
        found: list[tuple[int, int]] = []
        for place, (_, known, whole) in enumerate(self.reading):
            take = min(left, whole - known, int(self.rules.chunk))
            if self.rules.policy == "interleaved":
                take = whole - known
            if take <= 0 or (left <= 0 and found):
                break
            found.append((place, take))
            left -= take
        return found

    def _with_prompts(self, now: float, batch: int, chunks: list[tuple[int, int]]) -> float:
        tokens = sum(take for _, take in chunks)
        pairs = sum(take * (self.reading[place][1] + 0.5 * take) for place, take in chunks)
        past = pairs / tokens - 0.5 * tokens / self.table.side(batch, len(chunks))
        joint = batch and self.rules.policy == "chunked"
        if joint:
            while self._room_for(1) < 1 and len(self.alive) > 1:
                self._preempt()
            batch = len(self.alive)
            side = self.table.side(batch, len(chunks))
            seconds, watts = self.table.of_both(batch, self.positions / batch, tokens / side, past)
        else:
            seconds, watts = self.table.of_prompts(tokens, past, len(chunks))
        self.plan = (now, 1 if joint else 0, chunks)
        self._note(now, seconds, watts, batch, reads=True)
        if joint:
            self.log.gaps.append((seconds, batch))
        elif batch:
            self.stalled += seconds
        return self._ends_at(now + seconds)

    def _with_tokens(self, now: float, steps: int) -> float:
        self.plan = (now, steps, [])
        seconds, _ = self._duration(steps)
        return self._ends_at(now + seconds)

    def _duration(self, steps: int) -> tuple[float, float]:
        """Seconds of so many decode steps, each one position longer, and watts."""
        batch = len(self.alive)
        each, watts = self.table.of_tokens(batch, self.positions / batch + 0.5 * (steps - 1))
        return steps * each, watts

    def _ends_at(self, until: float) -> float:
        self.until = until
        self.turn += 1
        return until

    def _note(self, now: float, seconds: float, watts: float, batch: int, reads: bool) -> None:
        self.busy += seconds
        self.joules += seconds * watts
        self.weighted += seconds * batch
        self.read += seconds if reads else 0.0
        self.log.steps.append((now, seconds, watts))

    def interrupt(self, now: float) -> float | None:
        """Let who came take part from the next step on: return when the step in progress ends, None if no
        plan is shortened.
        """
        if self.plan is None or self.plan[2] or self.plan[1] <= 1 or len(self.waiting) > 1:
            return None  # who comes behind others waits as they do
        began, steps, _ = self.plan
        whole = self.until - began
        done = min(steps, int((now - began) / whole * steps) + 1)
        seconds = self._duration(done)[0]
        while done < steps and began + seconds < now:
            done += 1
            seconds = self._duration(done)[0]
        if done == steps:
            return None
        self.plan = (began, done, [])
        return self._ends_at(began + seconds)

    def finish(self, now: float) -> list[int]:
        """End the plan in force; return requests that are through with this replica."""
        assert self.plan is not None
        began, steps, chunks = self.plan
        if steps and not chunks:
            seconds, watts = self._duration(steps)
            batch = len(self.alive)
            self._note(began, seconds, watts, batch, reads=False)
            each = seconds / steps
            if self.stalled:
                self.log.gaps.append((each + self.stalled, batch))
                steps_left, self.stalled = steps - 1, 0.0
            else:
                steps_left = steps
            if steps_left:
                self.log.gaps.append((each, steps_left * batch))
        self.plan = None
        self.held = 0 if chunks or not self.reading else self.held + steps
        self.read_last = bool(chunks)
        self.unheard = 0 if chunks else (self.unheard + steps) % self.rules.poll
        through = self._advance(steps, now)
        for place, take in chunks:
            self.reading[place][1] += take
        read = [one[0] for one in self.reading if one[1] >= one[2]]
        if read:
            self.reading = [one for one in self.reading if one[1] < one[2]]
            through += [i for i in read if self._first_token(i, now)]
        return through

    def _advance(self, steps: int, now: float) -> list[int]:
        """Everyone gets so many tokens; return who has all."""
        if not steps:
            return []
        self.used += self._growth(steps)
        self.step += steps
        self.positions += steps * len(self.alive)
        through = []
        while self.ends and self.ends[0][0] <= self.step:
            i = heapq.heappop(self.ends)[2]
            self.log.grown[i] = self.log.output[i]
            self._leave(i)
            self._end(i, now)
            through.append(i)
        return through

    def _first_token(self, i: int, now: float) -> bool:
        """A prompt is through: its next token is out; return whether the request leaves this replica."""
        log = self.log
        if np.isnan(log.first[i]):
            log.first[i] = now + self._later()
        log.grown[i] += 1
        stored = log.prompt[i] + log.grown[i] - 1
        if log.grown[i] >= log.output[i]:
            self.used -= self._blocks(stored)
            self._end(i, now)
            return True
        if self.rules.policy == "prompts":
            self.used -= self._blocks(stored)
            self.due -= self.promised.pop(i, 0)
            self._remember(i)
            return True
        self._decode(i)
        return False

    def _later(self) -> float:
        """Seconds by which a token reaches its user after the step that made it."""
        if not self.rules.lag:
            return 0.0
        batch = max(len(self.alive), 1)
        return self.rules.lag * self.table.of_tokens(batch, self.positions / batch)[0]

    def _end(self, i: int, now: float) -> None:
        # The last token of two and more comes as late after the first one as it was made.
        self.log.done[i] = max(now + self._later(), self.log.first[i])
        self.due -= self.promised.pop(i, 0)
        self.log.finished += 1
        self._remember(i)

    def _remember(self, i: int) -> None:
        if self.rules.reuse and (self.log.requests.hashes or self.log.requests.session is not None):
            self.prefixes.keep(self.log, i, (self.blocks - self.used) * self.rules.block)
