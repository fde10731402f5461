"""The figures of a measurement: which phase yields each at which axes, and which of them must not be
compared.

No figure is dropped: what `targets` doesn't yield, `left_out` yields with a rule and a reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import attrs

from inferbench.records.measurement import DECODE, GENERATE, PREFILL, Condition, Measurement

__all__ = ["LOOP", "OPEN", "STEADY", "Target", "left_out", "served", "settled", "targets"]

# Regimes that are never mixed with batches which start and end together.
LOOP, STEADY, OPEN = "closed loop", "steady state", "open loop"
TIMES = ("latency_s", "ttft_s", "tpot_s")
# Rules of figures that a source gives and that must not be used; others are rates.
CODES: Mapping[str, str] = {
    **dict.fromkeys(("power_w", "energy_j"), "power-refused"),
    "row": "damaged",
    **dict.fromkeys(TIMES, "not-comparable"),
}
# How far apart two spellings of one figure may be.
SAME = 0.01
NOTHING: Mapping[str, str] = {}
UNKNOWN_BATCH = "the batch is what the scheduler makes of them"


@attrs.frozen
class Target:
    """One figure of a measurement: which phase yields it, at which axes, how much it is.

    Attributes:
        regime: `closed loop`: so many requests in flight, replayed where lengths are known, else a decode
            step with as many sequences, which a server only approaches; `open loop`: requests at a rate;
            `steady state`: with the average number of running requests; empty: as the axes say.
        code, why: The rule that keeps it from being compared, and why; empty if none does.
    """

    metric: str
    phase: str
    axes: Mapping[str, float]
    measured: float
    regime: str = ""
    code: str = ""
    why: str = ""


def settled(m: Measurement) -> Measurement:
    """Take a closed loop of one request for what it is: a batch of one that waits for nobody.

    Not under an engine that computes a larger batch all the same.

    Example:
        >>> one = Measurement(source="s", chip="c", queueing=True, axes={"concurrency": 1.0,
        ...     "context": 100.0})
        >>> settled(one).queueing, settled(one).axes["batch"]
        (False, 1.0)
    """
    computed = m.extra.get("computed_batch", 1.0)
    alone = not (isinstance(computed, int | float) and computed > 1.0)
    if m.queueing and alone and m.axes.get("concurrency") == 1.0:
        return attrs.evolve(m, queueing=False, axes={**m.axes, "batch": 1.0})
    return m


def targets(m: Measurement) -> Iterator[Target]:
    """Yield the figures of a measurement that can be compared.

    TTFT of a generation is the prefill of its prompt, TPOT a decode step in the middle of the answer. Of
    a closed loop of several requests only TPOT is comparable, with the requests in flight as its batch.

    Example:
        >>> one = Measurement(source="s", chip="c", phase="generate", axes={"context": 100.0,
        ...     "output": 20.0}, tpot_s=0.01)
        >>> next(targets(one)).axes["context"]
        110.0
    """
    m = settled(m)
    steady = Condition.STEADY_STATE in m.conditions
    for target in _figures(m):
        one = _in_loop(m, target) if m.queueing else attrs.evolve(target, regime=STEADY if steady else "")
        if one is not None:
            yield one


def served(m: Measurement) -> Iterator[Target]:
    """Yield the figures of a server under load that a replay can predict: its lengths and its load are known.

    Axes are the lengths, and `concurrency` or `request_rate`; `requests` where their number is known.

    Example:
        >>> axes = {"context": 100.0, "output": 20.0, "concurrency": 8.0}
        >>> one = Measurement(source="s", chip="c", phase="generate", queueing=True, axes=axes, ttft_s=0.5)
        >>> [(figure.metric, figure.phase, figure.regime) for figure in served(one)]
        [('ttft_s', 'prefill', 'closed loop')]
    """
    m = settled(m)
    axes = m.axes
    known = axes.get("context", 0.0) >= 1.0 and axes.get("output", 0.0) >= 1.0
    if m.phase != "generate" or not m.queueing or not known or m.op:
        return
    if "request_rate" in axes and "concurrency" not in axes:
        regime = OPEN
    elif "concurrency" in axes and "request_rate" not in axes:
        regime = LOOP
    else:
        return
    kept = {name: axes[name] for name in ("context", "output", "concurrency", "request_rate") if name in axes}
    count = m.extra.get("requests")
    if isinstance(count, int | float) and count >= 1:
        kept["requests"] = float(count)
    phases = {"ttft_s": "prefill", "tpot_s": "decode", "latency_s": "generate", "tokens_per_s": "generate"}
    for metric, phase in phases.items():
        value = getattr(m, metric)
        if (
            not math.isnan(value)
            and metric not in m.refused
            and not (metric == "tpot_s" and axes["output"] < 2)
        ):
            yield Target(metric, phase, _asked(m, metric, kept), value, regime=regime)


def _asked(m: Measurement, metric: str, axes: Mapping[str, float]) -> Mapping[str, float]:
    """The load of a figure: first tokens may have been timed in a run of shorter answers."""
    length = m.extra.get("ttft_output_len") if metric == "ttft_s" else None
    return {**axes, "output": float(length)} if isinstance(length, int | float) and length >= 1 else axes


def left_out(m: Measurement, waits: Mapping[str, str] = NOTHING) -> Iterator[Target]:
    """Yield the figures of a measurement that can't be compared, each with its rule.

    Args:
        m: One row.
        waits: Figure to what it waits for under load, as the phases say whose time it is.

    Example:
        >>> one = Measurement(source="s", chip="c", phase="generate", tokens_per_s=400.0)
        >>> [(figure.metric, figure.code) for figure in left_out(one)]
        [('tokens_per_s', 'rate-only')]
    """
    m = settled(m)
    for name, (value, why) in m.refused.items():
        code = CODES.get(name, "rate-only")
        yield Target(name, m.phase, m.axes, value, code=code, why=why)
    figures = list(_figures(m))
    if m.queueing:
        for target in figures:
            if _in_loop(m, target) is None:
                yield attrs.evolve(target, code="not-comparable", why=_waiting(m, target, waits))
    yield from _beside(m, {target.metric: target.measured for target in figures}, waits)


def _figures(m: Measurement) -> Iterator[Target]:
    axes = {
        name: value
        for name, value in m.axes.items()
        if name not in ("concurrency", "request_rate", "in_flight")
    }
    if m.phase == GENERATE:
        prompt = {name: value for name, value in axes.items() if name != "output"}
        middle = {**prompt, "context": prompt.get("context", math.nan) + axes.get("output", math.nan) / 2.0}
        yield from _some(m.ttft_s, "ttft_s", PREFILL, prompt)
        yield from _some(m.tpot_s, "tpot_s", DECODE, middle)
        yield from _some(m.latency_s, "latency_s", GENERATE, axes)
    elif m.phase in (PREFILL, DECODE):
        name = "ttft_s" if m.phase == PREFILL else "tpot_s"
        own = getattr(m, name)
        yield from _some(m.latency_s if math.isnan(own) else own, name, m.phase, axes)
    else:
        yield from _some(m.latency_s, "latency_s", m.phase, axes)
    yield from _some(m.power_w, "power_w", m.phase, axes)
    yield from _some(m.energy_j, "energy_j", m.phase, axes)


def _some(value: float, metric: str, phase: str, axes: Mapping[str, float]) -> Iterator[Target]:
    if not math.isnan(value):
        yield Target(metric, phase, axes, value)


def _in_loop(m: Measurement, target: Target) -> Target | None:
    """A figure of a server under load, if it is comparable: a step whose batch was measured, or is bounded by
    the loop.
    """
    if target.phase != DECODE:
        return None
    if "batch" in m.axes:
        return attrs.evolve(target, regime=STEADY)
    if target.metric != "tpot_s" or "concurrency" not in m.axes or "request_rate" in m.axes:
        return None
    return attrs.evolve(target, regime=LOOP, axes={**target.axes, "batch": m.axes["concurrency"]})


def _waiting(m: Measurement, target: Target, waits: Mapping[str, str]) -> str:
    """Why a figure of a server under load is another quantity."""
    if "request_rate" in m.axes:
        load = "in an open loop requests arrive at a rate of their own"
    elif "concurrency" in m.axes:
        load = f"in a closed loop of {m.axes['concurrency']:g} requests"
    else:
        load = "under a load whose requests in flight are not bounded or not given"
    mixed = {name: f"{name.split('_')[0]} is of prompts and steps mixed" for name in ("power_w", "energy_j")}
    return f"{load}: {({**mixed, **waits}).get(target.metric, UNKNOWN_BATCH)}"


def _beside(m: Measurement, found: Mapping[str, float], waits: Mapping[str, str]) -> Iterator[Target]:
    """Figures that the phase has no use for, unless another one says the same."""
    for name in TIMES:
        value = getattr(m, name)
        same = any(abs(value / other - 1.0) <= SAME for key, other in found.items() if key in TIMES)
        if not math.isnan(value) and name not in found and not same:
            figure = Target(name, m.phase, m.axes, value, code="not-comparable")
            why = (
                _waiting(m, figure, waits) if m.queueing else f"beside a figure of '{m.phase}', and not of it"
            )
            yield attrs.evolve(figure, why=why)
    if math.isnan(m.tokens_per_s) or "tokens_per_s" in m.refused:
        return
    if m.queueing:
        why = f"{_waiting(m, Target('tokens_per_s', '', {}, 0.0), waits)}; a rate of the whole server"
        yield Target("tokens_per_s", m.phase, m.axes, m.tokens_per_s, code="not-comparable", why=why)
    elif not any(name in found for name in TIMES):
        why = "tokens per second without a time: give latency, or TPOT where batches are static"
        yield Target("tokens_per_s", m.phase, m.axes, m.tokens_per_s, code="rate-only", why=why)
