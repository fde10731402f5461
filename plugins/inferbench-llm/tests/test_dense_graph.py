"""Counts of Llama 3 70B against arithmetic by hand, and every shipped network against its published total."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_llm import Options, Transformer

import inferbench as ib

GIGA, TERA = 1e9, 1e12
LINEAR = 2 * 68_451_041_280  # operations of a token: 80 x (8192 x 10240 + 8192 x 8192 + 3 x 8192 x 28672) MAC
HEAD = 2 * 128_256 * 8192
EVERY_PHASE = ("decode", "prefill", "generate")


def test_decode_operations_of_llama3_70b(bench):
    one = bench()
    plain = Options(lm_head=False, attention=False)
    assert one.flops("decode", options=plain) == LINEAR  # 136.90 G
    assert one.flops("decode", options=Options(attention=False)) == LINEAR + HEAD  # 139.00 G
    # attention: 4 x 64 x 128 per position and layer, 2048 positions
    assert one.flops("decode") == LINEAR + HEAD + 80 * 32768 * 2048
    assert round(one.flops("decode") / GIGA, 1) == 144.4


def test_prefill_operations_of_llama3_70b(bench):
    one = bench()
    assert round(one.flops("prefill") / TERA, 2) == 285.88
    everything = Options(causal=False, lm_head=False)
    assert round(one.flops("prefill", options=everything) / TERA, 2) == 291.37
    # logits of every token: 2047 more rows of the head
    more = one.flops("prefill", options=Options(lm_head_all=True)) - one.flops("prefill")
    assert more == 2047 * HEAD


def test_weights_and_cache_of_llama3_70b(bench):
    one = bench()
    for phase in EVERY_PHASE:
        assert one.parameters(phase) == 70_553_706_496
    assert one.cache(context=[1.0]) == 327_680
    assert one.cache(context=[8192.0]) == 2_684_354_560
    assert one.cache(context=[8192.0], precision="w4a16kv8") == 2_684_354_560 / 2
    assert one.cache(options=Options(kv=False)) == 0.0


def test_options_drop_parts(bench):
    everything = set(bench().ops("decode"))
    assert everything == {
        "embed",
        "norm",
        "qkv",
        "attention",
        "o",
        "gate_up",
        "activation",
        "down",
        "final_norm",
        "lm_head",
    }
    dropped = {
        "lm_head": {"lm_head"},
        "embedding": {"embed"},
        "elementwise": {"norm", "activation", "final_norm"},
    }
    for option, names in dropped.items():
        assert everything - set(bench().ops("decode", options=Options(**{option: False}))) == names
    neither = bench().ops("decode", options=Options(attention=False, kv=False))
    assert "attention" not in neither


@pytest.mark.parametrize(("norms", "passes"), [(2.0, 4.0), (4.0, 6.0)])
def test_two_additions_of_a_layer_read_and_write_beside_its_norms(bench, norms, passes):
    """Each norm reads its tensor and writes it, and so does each of two additions: 80 layers."""
    op = bench(norms_per_layer=norms).ops("decode")["norm"]
    assert float(op.repeat) * float(op.reads) == 80 * passes
    assert float(op.repeat) * float(op.writes) == 80 * passes


def test_cache_is_read_even_if_attention_is_not_counted(bench):
    """Published figures often count the bytes of the cache and only the operations of the linear layers."""
    op = bench().ops("decode", options=Options(attention=False))["attention"]
    assert op.useful == 0.0
    assert np.squeeze(op.bytes.state) * 80 == 2048 * 327_680


def test_only_attention_knows_the_context_in_decode(bench):
    ops = bench().ops("decode", batch=[1.0, 8.0], context=[1.0, 2.0, 4.0])
    for name, op in ops.items():
        sizes = np.broadcast_shapes(*(np.shape(x) for x in (op.useful, op.bytes.total)))
        assert (3 in sizes) == (name == "attention"), name


def test_tied_head_is_read_but_not_held_twice(bench):
    tied, untied = bench(tie_word_embeddings=True), bench()
    assert untied.parameters() - tied.parameters() == 128_256 * 8192
    head = tied.ops("decode")["lm_head"]
    assert np.squeeze(head.bytes.weights) == 128_256 * 8192 * 2


def test_biases_and_norms_count_as_parameters(bench):
    base = bench().parameters()
    assert bench(attention_bias=True).parameters() - base == 80 * (64 + 16) * 128
    assert bench(output_bias=True).parameters() - base == 80 * 8192
    assert bench(mlp_bias=True).parameters() - base == 80 * (2 * 28672 + 8192)
    assert bench(qk_norm=True).parameters() - base == 80 * 2 * 128
    assert bench(norm="layer").parameters() - base == 161 * 8192
    assert bench(norms_per_layer=4.0).parameters() - base == 160 * 8192
    assert bench(learned_positions=100.0).parameters() - base == 100 * 8192
    assert bench(gated_mlp=False).parameters() - base == -80 * 8192 * 28672
    assert bench(lm_head_bias=True).parameters() - base == 128_256


def test_sharded_shares_make_the_whole(bench):
    for name, op in bench().ops("decode").items():
        mine = op.shard(ib.Layout(tp=8))
        if op.split and not isinstance(op, ib.Attention):
            assert np.squeeze(mine.parameters) * 8 == np.squeeze(op.parameters), name
        if isinstance(op, ib.Attention):
            assert np.squeeze(mine.resident.state) * 8 == np.squeeze(op.resident.state)
    # 16 chips and 8 key/value heads: every head is held twice
    attention = bench().ops("decode")["attention"]
    assert attention.shard(ib.Layout(tp=16)).resident.state * 8 == attention.resident.state


def test_items(bench):
    at = ib.Grid.of({"batch": [4.0], "context": [100.0], "output": [7.0]}, ["bf16"]).at
    counts = [float(np.squeeze(Transformer().items(bench().network, at, phase))) for phase in EVERY_PHASE]
    assert counts == [4.0, 400.0, 28.0]


def test_warning_beyond_the_longest_context(bench):
    network, workload = bench().network, Transformer()
    assert not list(workload.warnings(network, {"batch": 1.0, "context": 8192.0}, "decode"))
    (line,) = workload.warnings(network, {"batch": 1.0, "context": 8193.0}, "decode")
    assert line == "context 8,193 is beyond the network's maximum of 8,192"
    assert list(workload.warnings(network, {"batch": 1.0, "context": 8192.0, "output": 1.0}, "generate"))


def test_bad_hyper_parameters_are_refused(bench):
    with pytest.raises(ValueError, match="num_key_value_heads is 7; a divisor of the 64 attention heads"):
        bench(num_key_value_heads=7.0)
    with pytest.raises(ValueError, match="global_every is given without sliding_window"):
        bench(global_every=6.0)
    with pytest.raises(ValueError, match="kv_lora_rank is given"):
        bench(kv_lora_rank=512.0)


def test_no_integers_on_the_path(bench):
    for op in bench().ops("prefill", batch=[4096.0], context=[1e6]).values():
        for value in (op.useful, op.bytes.total, op.repeat):
            assert np.asarray(value).dtype == np.float64


def test_published_totals_of_every_shipped_network():
    pytest.importorskip("inferbench_specs", reason="the package of specs is not installed")
    at = ib.Grid.of({"batch": [1.0], "context": [1.0], "output": [2.0]}, ["bf16"]).at
    registry, checked = ib.installed(), 0
    for network in map(registry.network, registry.names("networks")):
        if network.type != "transformer" or np.isnan(network.published.parameters):
            continue  # a synthetic network has no published count
        for phase in EVERY_PHASE:
            ops = Transformer().graph(network, at, phase, Options())
            total = float(np.squeeze(sum(op.parameters * op.instances for op in ops)))
            published = network.published
            assert total == pytest.approx(published.parameters, rel=published.rounding), (network.name, phase)
        checked += 1
    assert checked >= 45


def test_latent_attention_reads_queries_and_latents_in_one_product(bench):
    """DeepSeek-V3's first product has 1,536 columns of queries, 512 of latents and 64 rotated ones."""
    shape = {"q_lora_rank": 1536.0, "kv_lora_rank": 512.0, "qk_rope_head_dim": 64.0}
    one = bench(**shape, qk_nope_head_dim=128.0, v_head_dim=128.0, num_attention_heads=128.0)
    ops = one.ops("decode")
    assert (ops["qkv_a"].n, ops["qkv_a"].k) == (2112.0, 8192.0)
    assert (ops["q_b"].n, ops["q_b"].k) == (128 * 192.0, 1536.0)
