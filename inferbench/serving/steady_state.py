"""Steady-state continuous batching: what one replica yields at a load, from the durations of its steps.

A replica holds B sequences that decode together, one token each per step; a sequence that ends makes room
for the next request, whose prompt of S tokens must be processed first. Three policies say where the
prompt goes:

- interleaved: whole prompts between decode steps, all other sequences wait;
- chunked: a chunk of a prompt rides along with a decode step (Agrawal et al. 2023, arXiv 2308.16369);
- disaggregated: on replicas of its own (Zhong et al. 2024, arXiv 2401.09670).

Every formula broadcasts over loads. Derivations and what is left out: docs/explanation/serving.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Mask, Numeric

__all__ = ["Service", "Steps", "Traffic", "at_users", "chunked", "disaggregated", "interleaved", "queue"]

FULLEST = 0.999


def _at_least(lowest: float) -> Callable[[object, attrs.Attribute[float], float], None]:
    def check(_: object, attribute: attrs.Attribute[float], value: float) -> None:
        if not lowest <= value < math.inf:
            raise InferBenchError.of_argument(
                attribute.name, f"{value:g} is out of range", f"at least {lowest:g} was expected"
            )

    return check


@attrs.frozen(kw_only=True)
class Traffic:
    """Equal requests, arriving at random.

    Attributes:
        prompt: Tokens of a prompt.
        output: Tokens to generate; the prompt's processing yields the first of them.

    Example:
        >>> Traffic(prompt=8192.0, output=1024.0).context
        8704.0
    """

    prompt: float = attrs.field(validator=_at_least(1.0))
    output: float = attrs.field(validator=_at_least(2.0))

    @property
    def steps(self) -> float:
        """Decode steps of a request: every token but the first."""
        return self.output - 1.0

    @property
    def context(self) -> float:
        """Mean tokens in the cache during those steps: token t attends to prompt + t - 1 positions, t = 2 …
        output.
        """
        return self.prompt + 0.5 * self.output


@attrs.frozen(eq=False, kw_only=True)
class Steps:
    """Durations of a replica's steps, seconds; arrays broadcast over loads.

    Attributes:
        batch: Sequences that decode together.
        decode: A decode step of `batch` sequences at the mean context.
        prefill: One prompt, from its start to the first token.
        occupancy: Time that one prompt keeps the replica from other work: `prefill`, or less where a
            pipeline holds several prompts.
        mixed: A step of `batch` decoding sequences and one chunk of a prompt in each lane; NaN without
            chunking.
        chunks: Chunks of a prompt.
        lanes: Microbatches of a step, each with room for a chunk.
    """

    batch: Numeric
    decode: Numeric
    prefill: Numeric
    occupancy: Numeric
    mixed: Numeric = math.nan
    chunks: float = 1.0
    lanes: Numeric = 1.0


@attrs.frozen(eq=False, kw_only=True)
class Service:
    """What comes out at a load.

    Attributes:
        rate: Requests per second.
        tpot: Mean seconds between two tokens of a request.
        ttft: Mean seconds from arrival to the first token, under Poisson arrivals at `rate`.
        users: Requests in the system, waiting ones included (Little's law).
        share: Fraction of the time in which prompts (or, chunked, mixed steps) are processed.
        sustained: Where the prompts keep up with the decoding.
    """

    rate: Numeric
    tpot: Numeric
    ttft: Numeric
    users: Numeric
    share: Numeric
    sustained: Mask


def queue(load: Numeric, service: Numeric, servers: Numeric = 1.0) -> Numeric:
    """Mean wait for a server under Poisson arrivals and constant service times.

    Exact for one server (Pollaczek 1930, Khinchine 1932: rho s / (2 (1 - rho))); for several Sakasegawa's
    approximation (Ann. Inst. Stat. Math. 29, 1977), which contains it.

    Args:
        load: Utilization of the servers, below 1.
        service: Seconds.
        servers: Number of them.

    Returns:
        Seconds; infinite from a load of 1 on.

    Example:
        >>> float(queue(0.5, 2.0))
        1.0
    """
    below = np.minimum(load, 1.0)
    with np.errstate(divide="ignore"):
        wait = (
            0.5
            * service
            * below ** (np.sqrt(2.0 * (np.asarray(servers) + 1.0)) - 1.0)
            / (servers * (1.0 - below))
        )
    return np.where(np.asarray(load) < 1.0, wait, np.inf)


def interleaved(steps: Steps, traffic: Traffic) -> Service:
    """Whole prompts before anything else; every decoding sequence waits meanwhile.

    A cycle in which all B sequences are renewed once takes `(O - 1) d + B q` seconds: the decode steps of
    one, the prompts of all. A sequence sees the prompts of the B - 1 others pass. A new one waits for the
    step in progress and for the prompts before it (M/D/1 with decode steps as vacations), if there are
    others.

    Example:
        4 sequences, 11 tokens, steps of 10 ms, prompts of 50 ms: 0.1 + 0.2 s per cycle.

        >>> steps = Steps(batch=4.0, decode=0.01, prefill=0.05, occupancy=0.05)
        >>> served = interleaved(steps, Traffic(prompt=100.0, output=11.0))
        >>> round(float(served.rate), 6), round(float(served.tpot), 6)
        (13.333333, 0.025)
    """
    cycle = traffic.steps * steps.decode + steps.batch * steps.occupancy
    rate = steps.batch / cycle
    share = rate * steps.occupancy
    tpot = steps.decode + (steps.batch - 1.0) * steps.occupancy / traffic.steps
    others = (steps.batch - 1.0) / steps.batch
    ttft = steps.prefill + others * (queue(share, steps.occupancy) + 0.5 * steps.decode)
    users = rate * (ttft + traffic.steps * tpot)
    return Service(rate=rate, tpot=tpot, ttft=ttft, users=users, share=share, sustained=np.isfinite(rate))


def chunked(steps: Steps, traffic: Traffic) -> Service:
    """A chunk of a prompt rides along with a decode step, in so many of the steps as the arriving prompts
    need.

    Each step ends `B / (O - 1)` requests, so that a share f = B n / ((O - 1) lanes) of the steps carries
    chunks of their successors' prompts: a step lasts `(1 - f) d + f m`. Above f = 1 the prompts don't
    keep up.

    Example:
        2 sequences, 11 tokens, prompts in 2 chunks: 2 of 5 steps are mixed, 0.6 x 10 + 0.4 x 20 ms.

        >>> steps = Steps(batch=2.0, decode=0.01, prefill=0.05, occupancy=0.05, mixed=0.02, chunks=2.0)
        >>> round(float(chunked(steps, Traffic(prompt=100.0, output=11.0)).tpot), 6)
        0.014
    """
    mixing = steps.batch * steps.chunks / (traffic.steps * steps.lanes)
    sustained = np.isfinite(steps.mixed) & (mixing <= FULLEST)
    step = (1.0 - mixing) * steps.decode + mixing * steps.mixed
    rate = steps.batch / (traffic.steps * step)
    share = mixing * steps.mixed / step
    others = (steps.batch - 1.0) / steps.batch
    wait = queue(share, steps.chunks * steps.mixed, steps.lanes) + 0.5 * steps.decode
    wait = np.where(others > 0.0, wait, 0.0)  # one sequence alone waits for nobody, whatever the share
    ttft = steps.chunks * steps.mixed + others * wait
    users = rate * (ttft + traffic.steps * step)
    return Service(rate=rate, tpot=step, ttft=ttft, users=users, share=share, sustained=sustained)


def disaggregated(
    prompts: Steps, tokens: Steps, traffic: Traffic, split: tuple[Numeric, Numeric], transfer: Numeric = 0.0
) -> Service:
    """Prompts on some replicas, tokens on others; the cache moves from one to the other.

    Args:
        prompts: Of a replica that processes prompts.
        tokens: Of a replica that decodes.
        split: Numbers of the two.
        transfer: Seconds to move one prompt's cache; the second token waits for it.

    Returns:
        For all replicas together; `share` is the utilization of those that process prompts.

    Example:
        >>> both = Steps(batch=4.0, decode=0.01, prefill=0.05, occupancy=0.05)
        >>> served = disaggregated(both, both, Traffic(prompt=100.0, output=11.0), (2.0, 1.0))
        >>> round(float(served.rate), 6), round(float(served.share), 6)
        (40.0, 1.0)
    """
    lanes = split[0] * (prompts.prefill / prompts.occupancy)
    rate = split[1] * tokens.batch / (traffic.steps * tokens.decode)
    share = rate * prompts.occupancy / split[0]
    tpot = tokens.decode + transfer / traffic.steps
    ttft = prompts.prefill + queue(share, prompts.prefill, lanes)
    users = rate * (ttft + traffic.steps * tpot)
    sustained = np.asarray(share <= FULLEST)
    return Service(rate=rate, tpot=tpot, ttft=ttft, users=users, share=share, sustained=sustained)


def at_users(users: float, batch: Numeric, served: Service, inside: Numeric) -> tuple[float, float]:
    """Requests per second and time per token of a closed loop: so many users, each asking again at once.

    Users that don't decode have their prompt processed or wait for that; who waits adds nothing, so that
    beyond the load at which prompts stop keeping up the rate stays.

    Args:
        users: Of one replica (disaggregated: of all).
        batch: Sequences in decoding, rising.
        served: At those.
        inside: Mean number of requests in processing of their prompt, at those.

    Example:
        >>> steps = Steps(batch=np.array([1.0, 4.0]), decode=0.01, prefill=0.05, occupancy=0.05)
        >>> served = interleaved(steps, Traffic(prompt=100.0, output=11.0))
        >>> round(at_users(4.0, steps.batch, served, 0.0)[0], 6)
        13.333333
    """
    good = np.flatnonzero(np.broadcast_to(served.sustained, np.shape(batch)))
    at = (np.asarray(batch) + inside)[good]
    rate, tpot = (np.broadcast_to(value, np.shape(batch))[good] for value in (served.rate, served.tpot))
    return float(np.interp(users, at, rate)), float(np.interp(users, at, tpot))
