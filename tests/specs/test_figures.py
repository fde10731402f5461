"""Which figures of a measurement are comparable, and why the others are not: none is dropped."""

from __future__ import annotations

import pytest

from inferbench.evidence.operators import regime
from inferbench.records.measurement import Measurement
from inferbench.specs.figures import left_out, settled, targets
from inferbench.specs.figures import served as loops
from inferbench.specs.measurement_sets import set_from
from inferbench.specs.plausible import faults

SHAPE = {"context": 1000.0, "output": 100.0}


def served(**fields):
    common = {
        "source": "s",
        "chip": "c",
        "phase": "generate",
        "queueing": True,
        "ttft_s": 0.2,
        "tpot_s": 0.01,
        "latency_s": 1.19,
    }
    return Measurement(**{**common, **fields})


def test_first_tokens_may_be_of_a_run_with_shorter_answers():
    one = served(axes={**SHAPE, "concurrency": 16.0}, extra={"ttft_output_len": 1.0, "requests": 64.0})
    found = {t.metric: t.axes for t in loops(one)}
    assert found["ttft_s"] == {**SHAPE, "output": 1.0, "concurrency": 16.0, "requests": 64.0}
    assert found["tpot_s"]["output"] == SHAPE["output"]


def test_a_loop_of_one_under_an_engine_that_computes_more_is_still_a_loop():
    alone = served(axes={**SHAPE, "concurrency": 1.0})
    padded = served(axes={**SHAPE, "concurrency": 1.0}, extra={"computed_batch": 32.0})
    assert settled(alone).axes["batch"] == 1.0
    assert settled(padded) is padded


# As phases say it of their own time.
WAITS = {"ttft_s": "a first token waits for others"}


def figures(m):
    return {t.metric: t for t in (*targets(m), *left_out(m, WAITS))}


def test_one_request_at_a_time_is_a_batch_of_one_and_waits_for_nobody():
    found = figures(served(axes={**SHAPE, "concurrency": 1.0}, tokens_per_s=84.0))
    assert {name: one.code for name, one in found.items()} == {"ttft_s": "", "tpot_s": "", "latency_s": ""}
    assert all(one.axes["batch"] == 1.0 and not one.regime for one in found.values())
    assert found["tpot_s"].axes["context"] == 1050.0


def test_of_a_closed_loop_only_the_step_is_compared_in_a_regime_of_its_own():
    found = figures(served(axes={**SHAPE, "concurrency": 16.0}, power_w=500.0, tokens_per_s=1500.0))
    step = found.pop("tpot_s")
    assert (step.regime, step.axes["batch"], step.code) == ("closed loop", 16.0, "")
    assert set(found) == {"ttft_s", "latency_s", "power_w", "tokens_per_s"}
    assert all(one.code == "not-comparable" for one in found.values())
    assert found["ttft_s"].why == "in a closed loop of 16 requests: a first token waits for others"


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"request_rate": 4.0}, "in an open loop requests arrive at a rate of their own"),
        ({"request_rate": 4.0, "concurrency": 64.0}, "in an open loop"),
        ({}, "under a load whose requests in flight are not bounded or not given"),
        ({"in_flight": 7.3}, "under a load whose requests in flight are not bounded"),
    ],
)
def test_other_loads_have_no_batch(axes, said):
    found = figures(served(axes={**SHAPE, **axes}))
    assert all(one.code == "not-comparable" and one.why.startswith(said) for one in found.values())
    assert set(found) == {"ttft_s", "tpot_s", "latency_s"}


def test_an_average_batch_is_a_steady_state_and_not_a_static_batch():
    (step,) = targets(
        Measurement(
            source="s",
            chip="c",
            phase="decode",
            tpot_s=0.02,
            axes={"batch": 7.9, "context": 500.0},
            conditions={"steady-state"},
        )
    )
    assert step.regime == "steady state"


@pytest.mark.parametrize(
    ("fields", "metric", "code"),
    [
        ({"phase": "generate", "tokens_per_s": 400.0}, "tokens_per_s", "rate-only"),
        ({"phase": "generate", "refused": {"tokens_per_s": (7.0, "unclear")}}, "tokens_per_s", "rate-only"),
        ({"phase": "op", "op": "gemm", "refused": {"power_w": (9.0, "doubted")}}, "power_w", "power-refused"),
        (
            {"phase": "op", "op": "gemm", "refused": {"energy_j": (9.0, "doubted")}},
            "energy_j",
            "power-refused",
        ),
        ({"phase": "decode", "refused": {"row": (9.0, "columns shifted")}}, "row", "damaged"),
        ({"phase": "decode", "refused": {"tpot_s": (9.0, "speculative")}}, "tpot_s", "not-comparable"),
        ({"phase": "decode", "tpot_s": 0.01, "ttft_s": 0.3}, "ttft_s", "not-comparable"),
        ({"phase": "decode", "tpot_s": 0.01, "latency_s": 0.5}, "latency_s", "not-comparable"),
        ({"phase": "image", "latency_s": 2.0, "tpot_s": 0.1}, "tpot_s", "not-comparable"),
    ],
)
def test_what_is_not_compared_says_by_which_rule(fields, metric, code):
    found = {one.metric: one for one in left_out(Measurement(source="s", chip="c", **fields))}
    assert found[metric].code == code
    assert found[metric].why


def test_a_figure_said_twice_counts_once():
    twice = Measurement(source="s", chip="c", phase="decode", tpot_s=0.01, latency_s=0.01)
    assert [one.metric for one in (*targets(twice), *left_out(twice))] == ["tpot_s"]
    rate = Measurement(source="s", chip="c", phase="decode", tpot_s=0.01, tokens_per_s=100.0)
    assert [one.metric for one in (*targets(rate), *left_out(rate))] == ["tpot_s"]


def test_what_does_not_queue_is_left_as_it_is():
    static = served(queueing=False, axes={**SHAPE, "batch": 8.0})
    assert settled(static) is static


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"axes": {"batch": 0.0}}, "batch is 0; at least 1 was expected"),
        ({"axes": {"batch": 2.5}}, "batch is 2.5; a whole number was expected"),
        ({"axes": {"context": 0.0}, "phase": "prefill"}, "context is 0; at least 1 was expected"),
        ({"axes": {"output": float("inf")}}, "output is inf; at least 1 was expected"),
        ({"axes": {"request_rate": 0.0}}, "request_rate is 0; a finite number above 0 was expected"),
        ({"layout": "tp4"}, "layout tp4 takes 4 chips, the row says 1"),
        ({"layout": "tp2pp2", "chips": 2}, "layout tp2pp2 takes 4 chips, the row says 2"),
    ],
)
def test_rows_that_can_not_be(fields, said):
    found = [fault.found for fault in faults(Measurement(source="s", chip="c", latency_s=1.0, **fields))]
    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize(
    "fields",
    [
        {"axes": {"batch": 7.9}, "conditions": {"steady-state"}},
        {"axes": {"batch": 7.9}, "queueing": True},
        {"axes": {"context": 0.5}, "phase": "decode"},  # one token after nothing
        {"axes": {"context": 812.4, "output": 101.7}},  # means over requests
        {"axes": {"m": float("nan")}, "op": "gemm"},  # not given: a rule's matter
        {"layout": "tp4", "chips": 4},
    ],
)
def test_rows_that_can_be(fields):
    assert not list(faults(Measurement(source="s", chip="c", latency_s=1.0, **fields)))


def test_axes_of_a_shipped_set_are_checked_as_those_of_a_file():
    text = (
        'title = "T"\n[sources.p]\ntitle = "P"\nbasis = "measured"\n[[series]]\nsource = "p"\nwhere ='
        ' "t"\nchip = "H100"\nphase = "decode"\ncolumns = ["batch", "tpot (ms)"]\nrows = [[0, 7]]\n'
    )
    with pytest.raises(Exception, match=r"series.0.rows.0: batch is 0"):
        set_from(text.encode(), "t", "t.toml")


@pytest.mark.parametrize(
    ("op", "axes", "variant", "name"),
    [
        ("gemm", {"m": 1.0}, "", "gemm"),
        ("moe", {"tokens": 1.0}, "", "moe"),
        (
            "attention",
            {"queries": 64.0, "heads": 32.0, "kv_heads": 8.0, "causal": 1.0},
            "",
            "attention.context",
        ),
        (
            "attention",
            {"queries": 1.0, "heads": 32.0, "kv_heads": 8.0, "causal": 1.0},
            "",
            "attention.generation",
        ),
        (
            "attention",
            {"queries": 1.0, "heads": 32.0, "kv_heads": 32.0, "causal": 1.0},
            "",
            "attention.generation.mha",
        ),
        ("attention", {"queries": 64.0, "heads": 16.0, "causal": 0.0}, "", "attention.encoder"),
        ("attention", {"heads": 16.0}, "", "attention"),  # the row doesn't tell
        ("collective", {"group": 8.0}, "all_gather", "collective.all_gather.8"),
    ],
)
def test_an_operator_is_of_the_regime_under_which_a_stack_knows_it(op, axes, variant, name):
    assert regime(Measurement(source="s", chip="c", op=op, axes=axes, extra={"variant": variant})) == name
