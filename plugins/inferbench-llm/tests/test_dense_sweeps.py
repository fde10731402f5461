"""Windows, chunks, prefixes, generations and speculation against sums written out token by token."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_llm import Options, Sweep

import inferbench as ib

SMALL = {"num_hidden_layers": 6.0, "sliding_window": 5.0}


def explicit(start: int, tokens: int, times: int, window: int) -> tuple[float, float]:
    """Mean pairs and touched positions per execution, by enumeration."""
    pairs = touched = 0
    for j in range(times):
        mine = range(start + j * tokens + 1, start + (j + 1) * tokens + 1)
        seen: set[int] = set()
        for position in mine:
            visible = range(max(1, position - window + 1) if window else 1, position + 1)
            pairs += len(visible)
            seen |= set(visible)
        touched += len(seen)
    return pairs / times, touched / times


@pytest.mark.parametrize("window", [0, 1, 4, 7, 100])
@pytest.mark.parametrize(
    ("start", "tokens", "times"), [(0, 12, 1), (0, 3, 4), (5, 3, 4), (9, 1, 1), (2, 1, 9), (20, 2, 3)]
)
def test_pairs_and_positions_by_enumeration(start, tokens, times, window):
    sweep = Sweep(batch=1.0, start=float(start), tokens=float(tokens), times=float(times))
    pairs, touched = explicit(start, tokens, times, window)
    assert float(sweep.pairs(float(window))) == pytest.approx(pairs, rel=1e-14)
    assert float(sweep.keys(float(window))) == pytest.approx(touched, rel=1e-14)
    # the same arithmetic over an array
    array = Sweep(
        batch=1.0, start=np.array([float(start)]), tokens=float(tokens), times=np.array([float(times)])
    )
    assert float(array.keys(float(window))[0]) == pytest.approx(touched, rel=1e-14)


def test_local_layers_hold_a_window(bench):
    one = bench(**SMALL, global_every=3.0)
    ops = one.ops("decode", context=[100.0])
    assert (ops["attention"].repeat, ops["attention_local"].repeat) == (2.0, 4.0)
    assert np.squeeze(ops["attention_local"].keys) == 5.0
    width = 2 * 8 * 128 * 2  # bytes per position and layer
    assert one.cache(context=[100.0]) == width * (2 * 100 + 4 * 5)
    assert one.cache("prefill", context=[100.0]) == width * (2 * 100 + 4 * 5)
    # a prompt's local layer reads all of its keys, though it keeps five
    assert np.squeeze(one.ops("prefill", context=[100.0])["attention_local"].keys) == 100.0
    assert set(bench(**SMALL).ops("decode")) & {"attention", "attention_local"} == {"attention_local"}


def test_gemma3_27b_has_ten_global_layers(bench):
    """Gemma 3 technical report (arXiv 2503.19786): five local layers for every global one, local first; 62
    layers.
    """
    params = bench(num_hidden_layers=62.0, sliding_window=1024.0, global_every=6.0).network.params
    assert (params.global_layers, params.local_layers) == (10.0, 52.0)


def test_chunks_do_the_same_work_and_read_the_weights_again(bench):
    one, chunked = bench(), Options(chunk=512.0)
    assert one.flops("prefill", options=chunked) == pytest.approx(one.flops("prefill"), rel=1e-14)
    read = {
        name: one.total("prefill", lambda op: op.bytes.weights * op.repeat, options=options)
        for name, options in (
            ("whole", Options(embedding=False)),
            ("four", Options(embedding=False, chunk=512.0)),
        )
    }
    head = 2 * (128_256 + 1) * 8192  # read once: logits are wanted of the last token only
    assert read["four"] - head == 4 * (read["whole"] - head)
    assert one.parameters("prefill", options=chunked) == one.parameters("prefill")
    assert one.cache("prefill", options=chunked) == one.cache("prefill")
    whole = one.ops("prefill", options=Options(chunk=4096.0))["qkv"]
    assert (np.squeeze(whole.m), np.squeeze(whole.repeat)) == (2048.0, 80.0)


def test_cached_prefix_leaves_the_rest_to_compute(bench):
    """Of 2048 tokens 1536 are cached: 512 rows, each attending to the prefix and what came before it."""
    ops = bench().ops("prefill", options=Options(prefix_hit=0.75))
    assert np.squeeze(ops["gate_up"].m) == 512.0
    assert np.squeeze(ops["attention"].pairs) == 2048 * 2049 / 2 - 1536 * 1537 / 2
    assert np.squeeze(ops["attention"].keys) == 2048.0
    assert bench().cache("prefill", options=Options(prefix_hit=0.75)) == bench().cache("prefill")


def test_generation_is_the_prompt_and_every_token(bench):
    one, output = bench(**SMALL, global_every=3.0), 6
    parts = one.flops("prefill", context=[3.0])
    parts += sum(one.flops("decode", context=[3.0 + t]) for t in range(1, output + 1))
    assert one.flops("generate", context=[3.0], output=[float(output)]) == pytest.approx(parts, rel=1e-14)

    def touched(op: ib.Op) -> object:
        return op.bytes.total * op.repeat

    moved = one.total("prefill", touched, context=[3.0])
    moved += sum(one.total("decode", touched, context=[3.0 + t]) for t in range(1, output + 1))
    got = one.total("generate", touched, context=[3.0], output=[float(output)])
    assert got == pytest.approx(moved, rel=1e-14)


def test_generation_holds_weights_once_and_the_final_cache(bench):
    given = {"context": [1000.0], "output": [24.0]}
    assert bench().parameters("generate", **given) == 70_553_706_496
    assert bench().cache("generate", **given) == 1024 * 327_680


def test_speculation_by_hand(bench):
    """Five drafts accepted at 0.8: 3.689 tokens per step (Leviathan et al. 2023, fig. 2); six rows are
    verified.
    """
    options = Options(draft=5.0, acceptance=0.8)
    assert options.accepted == pytest.approx(1 + 0.8 + 0.64 + 0.512 + 0.4096 + 0.32768, rel=1e-12)
    ops = bench().ops("decode", options=options)
    assert np.squeeze(ops["qkv"].m) == 6.0
    assert float(np.squeeze(ops["qkv"].repeat)) == pytest.approx(80 / 3.68928)
    assert np.squeeze(ops["attention"].pairs) == sum(2048 + i for i in range(6))
    assert float(np.squeeze(ops["lm_head"].repeat)) == pytest.approx(1 / 3.68928)
    assert np.squeeze(ops["lm_head"].m) == 6.0
    assert bench().parameters(options=options) == 70_553_706_496
    assert bench().cache(options=options) == (2048 + 5) * 327_680
    assert Options(draft=3.0, acceptance=1.0).accepted == 4.0
    assert Options(draft=3.0, acceptance=0.0).accepted == 1.0


def test_drafting_costs_its_share_of_plain_steps(bench):
    free, paid = (Options(draft=4.0, acceptance=0.7, draft_cost=cost) for cost in (0.0, 0.1))
    more = bench().flops("decode", options=paid) - bench().flops("decode", options=free)
    assert more == pytest.approx(4 * 0.1 * bench().flops("decode") / paid.accepted, rel=1e-12)
    assert bench().parameters(options=paid) == 70_553_706_496


@pytest.mark.parametrize(
    ("option", "value", "span"),
    [
        ("prefix_hit", 1.0, r"a number in \[0, 1\)"),
        ("acceptance", 1.5, r"a number in \[0, 1\]"),
        ("chunk", -1.0, "a whole number from 0 to 1,000,000,000"),
    ],
)
def test_options_out_of_range(option, value, span):
    with pytest.raises(ValueError, match=f"{option} is {value:g}; {span} was expected"):
        Options(**{option: value})


@pytest.mark.parametrize("phase", ["decode", "prefill", "generate"])
@pytest.mark.parametrize(
    "options", [Options(), Options(chunk=7.0, prefix_hit=0.3), Options(draft=3.0, acceptance=0.6)]
)
def test_grid_equals_points(bench, phase, options):
    one = bench(**SMALL, global_every=3.0)
    batches, contexts = [1.0, 3.0], [4.0, 33.0, 100.0]
    given = {"options": options, "output": [9.0]}
    for get in (lambda op: op.useful * op.repeat, lambda op: op.bytes.total * op.repeat):
        grid = one.total(phase, get, batch=batches, context=contexts, **given)
        for i, batch in enumerate(batches):
            for j, context in enumerate(contexts):
                point = one.total(phase, get, batch=[batch], context=[context], **given)
                assert grid[i, j] == point


class TestConversations:
    def test_a_cached_prefix_is_read_and_not_computed(self, bench):
        rest = bench().ops("prefill", context=[8192.0], options=Options(cached=6144.0))
        # 2,048 new tokens see the 6,144 before them, and half of themselves.
        pairs = 2048 * 6144 + 2048 * 2049 / 2
        assert rest["attention"].useful.item() == 2 * 64 * 256 * pairs
        assert rest["qkv"].m.item() == 2048
        assert rest["attention"].resident.state.item() == 8192 * 2 * 8 * 128 * 2

    def test_all_but_one_position_may_be_cached(self, bench):
        assert bench().ops("prefill", options=Options(cached=1e6))["qkv"].m.item() == 1

    def test_turns_are_prompts_behind_what_came_before(self, bench):
        network, options = bench(), Options(turns=3.0)
        ops = network.ops("generate", context=[1000.0], output=[100.0], options=options)
        # Turn 3 starts behind two turns of 1,100 positions; each turn is a third of the step.
        third = ops["turn3.prefill.attention"]
        assert third.useful.item() == 2 * 64 * 256 * (1000 * 2200 + 1000 * 1001 / 2)
        assert third.repeat == pytest.approx(80 / 3)
        token = ops["turn3.decode.attention"]
        assert token.keys.item() == 3200 + 101 / 2
        # The last turn's cache alone stays, the weights once.
        assert (
            network.cache("generate", context=[1000.0], output=[100.0], options=options) == 3300 * 80 * 4096
        )
        assert network.parameters("generate", options=options) == network.parameters()

    def test_one_turn_of_the_mean_is_a_generation(self, bench):
        axes = {"context": [500.0], "output": [50.0]}
        assert bench().flops("generate", **axes, options=Options(turns=1.0)) == bench().flops(
            "generate", **axes
        )

    def test_contradictions_are_named(self, bench):
        with pytest.raises(ValueError, match="cached and prefix_hit are given together"):
            Options(cached=100.0, prefix_hit=0.5)
        with pytest.raises(ib.InferBenchError, match="2 turns were asked for in decode"):
            bench().ops("decode", options=Options(turns=2.0))
        with pytest.raises(ValueError, match="a whole number from 1 to 256"):
            Options(turns=1.5)
