"""Mixtral and DeepSeek V3 by hand, shipped networks against published totals, and what a layout does to
experts.
"""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_moe import MixtureOfExperts, MoeOptions, active_parameters

import inferbench as ib

PHASES = ("decode", "prefill", "generate")


def test_mixtral_operations_per_token(mixtral):
    """Two operations per active weight without the input embedding, and 4 x 32 x 128 x 32 per position."""
    one = mixtral()
    active = active_parameters(one.network)
    assert active == 12_879_925_248
    weights = active - 32000 * 4096 - 65 * 4096
    assert one.flops("decode", options=MoeOptions(attention=False)) == pytest.approx(2 * weights, rel=1e-14)
    assert round(2 * weights / 1e9, 1) == 25.5
    for context, expected in ((2048.0, 26.6), (4096.0, 27.6), (8192.0, 29.8)):
        flops = one.flops("decode", context=[context])
        assert flops == pytest.approx(2 * weights + 524_288 * context, rel=1e-14)
        assert round(flops / 1e9, 1) == expected


@pytest.mark.parametrize(
    ("batch", "intensity"), [(1.0, 1.0), (2.0, 1.2), (4.0, 1.6), (8.0, 2.4), (16.0, 4.4), (32.0, 8.8)]
)
def test_mixtral_intensity_grows_once_all_experts_are_read(mixtral, batch, intensity):
    """Operations per byte of bf16 weights: 2 experts of 8 are read for one token, 8 (1 - 0.75^B) for B."""
    given = {"options": MoeOptions(attention=False, kv=False), "batch": [batch]}
    read = mixtral().total("decode", lambda op: op.bytes.weights * op.repeat, **given)
    assert mixtral().flops("decode", **given) / read == pytest.approx(intensity, abs=0.05)


def test_mixtral_holds_all_experts_and_reads_those_touched(mixtral):
    assert mixtral().parameters() == 46_702_792_704
    up = mixtral().ops("decode", batch=[2.0])["experts_up"]
    matrix = 2 * 14336 * 4096
    assert np.squeeze(up.bytes.weights) == 3.5 * matrix * 2
    assert up.parameters == 8 * matrix
    assert np.squeeze(up.useful) == 2 * 2 * 2 * matrix  # two tokens, two experts each
    prompt = mixtral().ops("prefill")["experts_up"]
    assert np.squeeze(prompt.count) == pytest.approx(8.0, rel=1e-12)
    assert np.squeeze(prompt.m) == pytest.approx(2048 * 2 / 8)


def test_deepseek_cache_and_weights(deepseek):
    """61 layers x (512 + 64) elements x 2 bytes; 671B parameters, the same in both forms of latent
    attention.
    """
    one = deepseek()
    for phase in PHASES:
        assert one.parameters(phase) == 671_026_419_200
    assert one.cache(context=[1.0]) == 70_272
    assert one.cache("prefill", context=[1000.0]) == 70_272_000


def test_deepseek_decode_attention_by_hand(deepseek):
    """Absorbed: per head 128 x 512 twice, then 576 + 512 wide products with every position's latent."""
    ops = deepseek().ops("decode", context=[1000.0])
    heads = 128
    assert np.squeeze(ops["k_absorb"].useful) == np.squeeze(ops["v_absorb"].useful) == 2 * heads * 128 * 512
    assert np.squeeze(ops["attention"].useful) == 2 * heads * (576 + 512) * 1000
    assert np.squeeze(ops["attention"].bytes.state) == 576 * 1000 * 2
    assert "kv_b" not in ops


def test_deepseek_prompt_expands_keys_and_values(deepseek):
    ops = deepseek().ops("prefill", context=[1000.0])
    assert np.squeeze(ops["kv_b"].useful) == 2 * 1000 * 512 * 128 * (128 + 128)
    assert np.squeeze(ops["attention"].useful) == 2 * 128 * (192 + 128) * 1000 * 1001 / 2
    assert "k_absorb" not in ops
    # a chunk expands what earlier chunks left in the cache too: 500 + 1000 positions in two chunks
    chunked = deepseek().ops("prefill", context=[1000.0], options=MoeOptions(chunk=500.0))["kv_b"]
    assert np.squeeze(chunked.m * chunked.repeat) == 61 * 1500


def test_latent_cache_is_not_split_over_chips(deepseek):
    attention = deepseek().ops("decode")["attention"]
    mine = attention.shard(ib.Layout(tp=8))
    assert mine.heads == 16
    assert mine.resident.state == attention.resident.state
    for name in ("k_absorb", "v_absorb"):
        op = deepseek().ops("decode")[name]
        assert op.shard(ib.Layout(tp=8)).parameters * 8 == op.parameters


def test_dense_layers_come_first(deepseek):
    ops = deepseek().ops("decode")
    assert (ops["dense_gate_up"].repeat, ops["experts_up"].repeat, ops["shared_down"].repeat) == (
        3.0,
        58.0,
        58.0,
    )
    assert ops["dense_gate_up"].n == 2 * 18432
    assert ops["shared_gate_up"].n == 2 * 2048


# Published active parameters and half their rounding; Qwen3-30B's 3.3B is 1.6% below its shapes, see its
# spec.
ACTIVE = {
    "mixtral-8x7b": (12.9e9, 0.05e9),
    "mixtral-8x22b": (39e9, 0.5e9),
    "deepseek-v3": (37e9, 0.5e9),
    "qwen3-235b": (22e9, 0.5e9),
    "qwen3-30b-a3b": (3.3e9, 0.06e9),
    "gpt-oss-120b": (5.13e9, 0.005e9),
    "gpt-oss-20b": (3.61e9, 0.005e9),
}


@pytest.mark.parametrize("name", ACTIVE)
def test_published_totals(name):
    pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")
    network = ib.installed().network(name)
    at = ib.Grid.of({"batch": [1.0], "context": [1.0], "output": [2.0]}, ["bf16"]).at
    for phase in PHASES:
        ops = MixtureOfExperts().graph(network, at, phase, MoeOptions())
        total = float(np.squeeze(sum(op.parameters * op.instances for op in ops)))
        assert total == pytest.approx(network.published.parameters, rel=network.published.rounding)
        assert total == pytest.approx(network.published.parameters, rel=0.005)
    published, half = ACTIVE[name]
    assert network.published.active == published
    assert active_parameters(network) == pytest.approx(published, abs=half)


@pytest.mark.parametrize(("name", "gibibytes"), [("gpt-oss-120b", 60.8), ("gpt-oss-20b", 12.8)])
def test_size_of_mxfp4_checkpoints(name, gibibytes):
    """Model card (arXiv 2508.10925), table 1: checkpoint sizes; ours stores the experts' biases in MXFP4
    too.
    """
    pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")
    network = ib.installed().network(name)
    at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16", "fp8", "fp4", "w4a16"]).at
    ops = list(MixtureOfExperts().graph(network, at, "decode", MoeOptions()))
    sizes = np.ravel(sum(op.resident.weights * op.instances for op in ops))
    assert sizes[0] / 2**30 == pytest.approx(gibibytes, rel=0.002)
    experts = next(op for op in ops if op.name == "experts_up").precision
    assert [point.weights for point in experts.points] == ["mxfp4", "mxfp4", "fp4", "int4"]
    assert [point.compute for point in experts.points] == ["bf16", "fp8", "fp4", "bf16"]


def test_experts_inside_a_tensor_parallel_group(mixtral):
    """Eight chips hold two experts each, cut in two: all have all tokens, and one sum joins what they add."""
    ops = mixtral().ops("decode", batch=[64.0])
    layout = ib.Layout(tp=8, ep=4)
    up, down = ops["experts_up"].shard(layout), ops["experts_down"].shard(layout)
    assert up.parameters * 8 == ops["experts_up"].parameters
    assert down.parameters * 8 == ops["experts_down"].parameters
    assert not list(up.exchanges(layout))
    (summed,) = down.exchanges(layout)
    assert (summed.collective, summed.group) == ("all_reduce", 8)
    assert np.squeeze(summed.payload) == 64 * 4096 * 2


def test_experts_over_data_parallel_ranks(mixtral):
    """Eight ranks of 8 tokens: a token's two experts lie on two chips, less where both are on one of them."""
    ops = mixtral().ops("decode", batch=[64.0], options=MoeOptions(imbalance=1.0))
    layout = ib.Layout(dp=8, ep=8)
    up, down = ops["experts_up"].shard(layout), ops["experts_down"].shard(layout)
    assert up.parameters * 8 == ops["experts_up"].parameters
    (dispatch,), (combine,) = up.exchanges(layout), down.exchanges(layout)
    for exchange in (dispatch, combine):
        assert (exchange.collective, exchange.group) == ("all_to_all", 8)
        assert np.squeeze(exchange.payload) == 8 * 4096 * 2
        assert np.squeeze(exchange.sent(8.0)) == pytest.approx(2 * 8 * 4096 * 2)
        assert np.squeeze(exchange.sent(4.0)) == pytest.approx(4 * (1 - 6 / 8 * 5 / 7) * 8 * 4096 * 2)


def test_the_busiest_chip_has_more_rows_than_the_mean(mixtral):
    layout = ib.Layout(tp=8, ep=8)
    even, uneven = (
        mixtral().ops("decode", batch=[64.0], options=MoeOptions(imbalance=ratio))["experts_up"].shard(layout)
        for ratio in (1.0, 1.5)
    )
    assert np.squeeze(uneven.useful) == pytest.approx(1.5 * np.squeeze(even.useful))
    assert uneven.bytes.weights == pytest.approx(even.bytes.weights)
    assert uneven.busiest == 1.5


def test_experts_beyond_a_group_have_places_for_hot_ones_twice(deepseek):
    """DeepSeek's deployment: 256 experts in 288 places on 72 or 144 chips."""
    up = deepseek().ops("decode")["experts_up"]
    assert [np.squeeze(up.shard(ib.Layout(dp=n, ep=n)).stored) for n in (64, 72, 144)] == [4, 4, 2]


def test_more_chips_than_experts_are_refused(mixtral):
    with pytest.raises(ib.InferBenchError, match="ep16 has more chips than the 8 experts of a layer"):
        mixtral().ops("decode")["experts_up"].shard(ib.Layout(dp=16, ep=16))


def test_a_layer_has_two_collectives(deepseek):
    """Tensor parallel: a sum after attention, one after experts, shared ones in it. Data parallel: dispatch
    and combine.
    """

    def named(**degrees):
        layout, found = ib.Layout(**degrees), []
        for name, op in deepseek().ops("decode", batch=[64.0]).items():
            if op.unit == "layer" and not name.startswith("dense"):
                found += [exchange.name for exchange in op.shard(layout).exchanges(layout)]
        return found

    assert named(tp=8) == named(tp=8, ep=8) == ["o.all_reduce", "experts_down.all_reduce"]
    assert named(dp=8, ep=8) == ["experts_up.all_to_all", "experts_down.all_to_all"]
    assert named(dp=8) == []


def test_tensor_parallel_experts_sum_one_vector_per_token(mixtral):
    layout = ib.Layout(tp=8)
    ops = mixtral().ops("decode", batch=[64.0])
    assert not list(ops["experts_up"].shard(layout).exchanges(layout))
    (summed,) = ops["experts_down"].shard(layout).exchanges(layout)
    assert (summed.collective, summed.group) == ("all_reduce", 8)
    assert np.squeeze(summed.payload) == pytest.approx(64 * 4096 * 2)


def test_a_step_waits_for_at_least_one_expert(mixtral):
    """One token, two experts, eight chips: a quarter expert per chip on average, but some chip runs a whole
    one.
    """
    up = mixtral().ops("decode")["experts_up"].shard(ib.Layout(tp=8, ep=8))
    assert np.squeeze(up.count) == 1.0
    assert (
        np.squeeze(mixtral().ops("decode", batch=[512.0])["experts_up"].shard(ib.Layout(tp=4, ep=4)).count)
        == 2.0
    )


def test_experts_that_do_not_divide(mixtral):
    with pytest.raises(ib.InferBenchError) as caught:
        mixtral().ops("decode")["experts_up"].shard(ib.Layout(tp=3, ep=3))
    assert (
        str(caught.value)
        == "layout tp3ep3: 8 experts do not divide over ep3\n  choose ep so that it divides 8"
    )


def test_bad_hyper_parameters_are_refused(mixtral):
    with pytest.raises(ValueError, match="num_experts_per_tok is 9; at most the 8 experts was expected"):
        mixtral(num_experts_per_tok=9.0)
    with pytest.raises(ValueError, match="first_k_dense_replace is 33; at most the 32 layers"):
        mixtral(first_k_dense_replace=33.0)
    with pytest.raises(ValueError, match="expert_format is 'fp5'; one of"):
        mixtral(expert_format="fp5")
    with pytest.raises(ValueError, match="routing is -1; an exponent between 0 and 10 was expected"):
        MoeOptions(routing=-1.0)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "options", [MoeOptions(), MoeOptions(chunk=7.0, routing=1.2), MoeOptions(draft=2.0, acceptance=0.5)]
)
def test_grid_equals_points(deepseek, phase, options):
    one, batches, contexts = deepseek(), [1.0, 3.0], [4.0, 33.0, 100.0]
    given = {"options": options, "output": [9.0]}
    for get in (lambda op: op.useful * op.repeat, lambda op: op.bytes.total * op.repeat):
        grid = one.total(phase, get, batch=batches, context=contexts, **given)
        for i, batch in enumerate(batches):
            for j, context in enumerate(contexts):
                assert grid[i, j] == one.total(phase, get, batch=[batch], context=[context], **given)


def test_chips_of_a_tensor_parallel_group_see_rows_of_experts_elsewhere(mixtral):
    """Mixtral, eight tokens to two experts each, experts over four of eight chips: 12 of 16 rows are away,
    two chips share an expert of 14,336: (6 x 7,168 + 2 x 4,096) x 2 bytes each. Beyond the group tokens are
    sent.
    """
    whole = mixtral().ops("decode", batch=[8.0])["combine"]
    assert np.squeeze(whole.elsewhere) == 0.0
    mine = whole.shard(ib.Layout(tp=8, ep=4))
    assert np.squeeze(mine.elsewhere) == 12 * (6 * 7168 + 2 * 4096) * 2
    assert np.squeeze(whole.shard(ib.Layout(tp=1, dp=8, ep=8)).elsewhere) == 0.0
    assert np.squeeze(whole.shard(ib.Layout(tp=8)).elsewhere) == 0.0


@pytest.mark.parametrize(
    ("degrees", "rows"),
    [
        # Of 64 tokens each has two experts: half of them lie on a chip, or half of the tokens do.
        ({"tp": 2, "ep": 2}, 64.0),
        ({"cp": 2, "ep": 2}, 64.0),
        ({"cp": 2}, 64.0),
        ({"tp": 2}, 128.0),
    ],
)
def test_experts_of_a_chip_have_the_rows_of_its_tokens(mixtral, degrees, rows):
    """What a chip multiplies are two rows for each of its tokens, parted among its experts."""
    given = {"batch": [64.0], "options": MoeOptions(imbalance=1.0)}
    mine = mixtral().ops("decode", **given)["experts_up"].shard(ib.Layout(**degrees))
    assert np.squeeze(mine.m * mine.count) == pytest.approx(rows)


@pytest.mark.parametrize(("phase", "named"), [("decode", "generation"), ("prefill", "context")])
def test_experts_that_ranks_share_are_of_a_kind_of_their_own(mixtral, phase, named):
    """Beyond a tensor-parallel group tokens are sent, and software runs other kernels; inside it doesn't."""
    ops = mixtral().ops(phase, batch=[8.0])
    for name in ("experts_up", "experts_down"):
        assert ops[name].shard(ib.Layout(tp=1, dp=8, ep=8)).variant == f"experts.wide.{named}"
        assert ops[name].shard(ib.Layout(tp=8, ep=4)).variant == ""
    assert ops["combine"].shard(ib.Layout(tp=1, dp=8, ep=8)).of == f"experts.wide.{named}"
    assert ops["combine"].shard(ib.Layout(tp=8, ep=4)).of == "experts"


def test_the_weighted_sum_reads_every_chosen_expert_and_what_all_tokens_share(mixtral, deepseek):
    """Two experts of Mixtral; eight of DeepSeek V3 beside the shared one."""
    for network, reads in ((mixtral, 2.0), (deepseek, 9.0)):
        assert network().ops("decode", batch=[4.0])["combine"].reads == reads
