"""Operations, state and parameters of every kind of block against closed forms worked by hand."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pytest
from inferbench_layered import (
    Attention,
    Compressed,
    Delta,
    Dense,
    Experts,
    Indexer,
    Latent,
    LayeredOptions,
    LayeredParams,
    Mamba,
    Prediction,
    Projection,
    Recurrence,
    SelectiveScan,
    Vision,
)

import inferbench as ib

HIDDEN = 64.0
TRUNK = 100.0 * 64.0 * 2.0 + 64.0  # embedding and head of 100 words, the final norm


def network(**blocks: Any) -> ib.Network:
    params = LayeredParams(hidden_size=HIDDEN, num_hidden_layers=4.0, vocab_size=100.0, **blocks)
    return ib.Network(name="n", title="n", type="layered", params=params)


HEADS = {"num_attention_heads": 4.0, "num_key_value_heads": 2.0, "head_dim": 16.0}


class TestAttention:
    def test_what_lies_in_a_chunk_is_seen(self, bench):
        graph = bench(network(attention={"a": Attention(layers=1.0, **HEADS, chunk=1024.0)}))
        # The 2,500th token sees 2,500 - 2 x 1,024 = 452 positions: 2 x (16 + 16) x 4 heads operations each.
        assert graph.ops("decode", context=[2500.0])["a.attention"].useful.item() == 452 * 2 * 32 * 4
        # 2,048 tokens are two chunks: 2 x 1,024 x 1,025 / 2 pairs.
        assert graph.ops("prefill")["a.attention"].useful.item() == 1024 * 1025 * 2 * 32 * 4
        assert graph.cache(context=[2500.0]) == 1024 * 2 * 2 * 16 * 2

    def test_layers_of_a_pattern_add_up(self, bench):
        full, local = Attention(layers=1.0, **HEADS), Attention(layers=3.0, **HEADS, window=100.0)
        graph = bench(network(attention={"full": full, "local": local}))
        per_position = 2 * 2 * 16 * 2.0
        assert graph.cache(context=[2000.0]) == (2000 + 3 * 100) * per_position

    def test_a_gate_and_a_shared_projection(self, bench):
        plain = bench(network(attention={"a": Attention(layers=2.0, **HEADS)}))
        gated = bench(network(attention={"a": Attention(layers=2.0, **HEADS, output_gate="channel")}))
        shared = bench(network(attention={"a": Attention(layers=2.0, **HEADS, keys_as_values=True)}))
        assert gated.parameters() - plain.parameters() == 2 * HIDDEN * 4 * 16
        assert plain.parameters() - shared.parameters() == 2 * HIDDEN * 2 * 16
        assert shared.cache() == plain.cache()

    def test_chips_share_the_cache_with_the_heads(self, bench):
        graph = bench(network(attention={"a": Attention(layers=1.0, **HEADS)}))
        op = graph.ops("decode")["a.attention"]
        assert op.shard(ib.Layout(tp=2)).resident.state * 2 == op.resident.state
        latent = bench(network(latent={"a": Latent(layers=1.0, **LATENT)})).ops("decode")["a.attention"]
        assert latent.shard(ib.Layout(tp=2)).resident.state == latent.resident.state

    def test_limits_exclude_each_other(self):
        with pytest.raises(ValueError, match="window, chunk and indexer"):
            Attention(layers=1.0, **HEADS, window=8.0, chunk=8.0)


LATENT = {
    "num_attention_heads": 4.0,
    "q_lora_rank": 24.0,
    "kv_lora_rank": 32.0,
    "qk_nope_head_dim": 16.0,
    "qk_rope_head_dim": 8.0,
    "v_head_dim": 16.0,
}
INDEXER = Indexer(num_heads=2.0, head_dim=8.0, top_k=128.0)


class TestSparse:
    def test_a_new_token_reads_what_it_chose_and_scores_everything(self, bench):
        graph = bench(network(latent={"a": Latent(layers=2.0, **LATENT, indexer=INDEXER)}))
        ops = graph.ops("decode", context=[4096.0])
        # Scores: 2 heads x 8 against 4,096 keys; attention: 128 latents of 40, values of 32, by 4 heads.
        assert ops["a.index_scores"].useful.item() == 2 * 2 * 8 * 4096
        assert ops["a.attention"].useful.item() == 2 * 4 * 128 * (40 + 32)
        assert ops["a.attention"].bytes.state.item() == 128 * 40 * 2
        assert ops["a.index_scores"].bytes.state.item() == 4096 * 8 * 2
        assert graph.cache(context=[4096.0]) == 2 * 4096 * (40 + 8) * 2

    def test_a_prompt_takes_the_lesser_work(self, bench):
        graph = bench(network(latent={"a": Latent(layers=1.0, **LATENT, indexer=INDEXER)}))
        # A short one expands keys of 24 and values of 16, and attends to all that came before.
        short = graph.ops("prefill", context=[128.0])["a.attention"].useful.item()
        assert short == pytest.approx(2 * 4 * (24 + 16) * 128 * 129 / 2)
        # A long one attends to 128 chosen latents: keys of 40 and values of 32.
        long = graph.ops("prefill", context=[1128.0])["a.attention"].useful.item()
        assert long == 2 * 4 * (40 + 32) * (128 * 129 / 2 + 1000 * 128)

    def test_a_prompt_of_ordinary_heads_shorter_than_the_choice_sees_all(self, bench):
        graph = bench(network(attention={"a": Attention(layers=1.0, **HEADS, indexer=INDEXER)}))
        dense = bench(network(attention={"a": Attention(layers=1.0, **HEADS)}))
        for context, seen in ((128.0, 128 * 129 / 2), (1128.0, 128 * 129 / 2 + 1000 * 128)):
            ops = [one.ops("prefill", context=[context])["a.attention"] for one in (graph, dense)]
            share = seen / (context * (context + 1) / 2)
            assert ops[0].useful.item() == pytest.approx(share * ops[1].useful.item())

    def test_weights(self, bench):
        graph = bench(network(latent={"a": Latent(layers=1.0, **LATENT, indexer=INDEXER)}))
        latent = 64 * (24 + 40) + 24 + 32 + 24 * 4 * 24 + 4 * 32 * (16 + 16) + 4 * 16 * 64
        indexer = 24 * 2 * 8 + 64 * (8 + 2)
        assert graph.parameters() == TRUNK + 64 + latent + indexer

    def test_layers_that_reuse_a_choice(self, bench):
        reused = Indexer(num_heads=2.0, head_dim=8.0, top_k=128.0, layers=1.0)
        graph = bench(network(latent={"a": Latent(layers=4.0, **LATENT, indexer=reused)}))
        assert graph.cache(context=[1000.0]) == 1000 * (4 * 40 + 8) * 2

    def test_pooled_positions(self, bench):
        shape = {"num_attention_heads": 4.0, "head_dim": 16.0, "q_lora_rank": 24.0, "o_groups": 2.0}
        few = Compressed(
            layers=1.0, **shape, o_lora_rank=8.0, window=128.0, ratio=4.0, overlap=True, indexer=INDEXER
        )
        graph = bench(network(compressed={"a": few}))
        ops = graph.ops("decode", context=[8192.0])
        # The window's 128 positions and 128 of 2,048 entries; keys are values, so 16 elements each.
        assert ops["a.attention"].useful.item() == 2 * 4 * 256 * 32
        assert ops["a.attention"].bytes.state.item() == 256 * 16 * 2
        # Entries of 4 positions, keys of the indexer alike; 8 slots of 2 x 16 and of 2 x 8 being pooled.
        pooling = 8 * 2 * (16 + 8)
        assert graph.cache(context=[8192.0]) == (128 * 16 + 2048 * (16 + 8) + pooling) * 2
        weights = 64 * (24 + 16) + 24 + 16 + 24 * 64 + 4  # q and k, their norms, q per head, sinks
        weights += 64 * 2 * 32 + 4 * 32 + 16 + 64 * 2 * 16 + 4 * 16 + 8  # pooling, and the indexer's
        weights += 24 * 2 * 8 + 64 * 2 + 2 * (32 * 8) + 16 * 64  # indexer; output in two groups
        assert graph.parameters() == TRUNK + 64 + weights


class TestRecurrent:
    DELTA: ClassVar = {
        "key_heads": 2.0,
        "value_heads": 4.0,
        "key_dim": 8.0,
        "value_dim": 16.0,
        "conv_kernel": 4.0,
    }

    def test_gated_delta_net(self, bench):
        graph = bench(network(delta={"a": Delta(layers=3.0, **self.DELTA, state_format="fp32")}))
        channels = 2 * 2 * 8 + 4 * 16
        weights = 64 * (channels + 64 + 4 + 4) + channels * 4 + 4 + 4 + 16 + 64 * 64
        assert graph.parameters() == TRUNK + 3 * (64 + weights)
        state = 4 * 8 * 16 * 4 + channels * 3 * 2
        assert graph.cache(context=[10.0]) == graph.cache(context=[1e6]) == 3 * state
        assert graph.moved() == 3 * 2 * state
        assert graph.ops("decode")["a.scan"].useful.item() == 3 * 2 * 4 * 8 * 16

    def test_an_engine_may_store_states_in_another_format(self, bench):
        graph = bench(network(delta={"a": Delta(layers=3.0, **self.DELTA, state_format="fp32")}))
        less = graph.cache() - graph.cache(options=LayeredOptions(state="bf16"))
        assert less == 3 * 4 * 8 * 16 * 2
        with pytest.raises(ValueError, match="state is 'bf61'; one of"):
            LayeredOptions(state="bf61")

    def test_a_prompt_passes_its_state_once_and_does_the_work_of_its_tokens(self, bench):
        graph = bench(network(delta={"a": Delta(layers=1.0, **self.DELTA)}))
        prompt, token = graph.ops("prefill", context=[777.0])["a.scan"], graph.ops("decode")["a.scan"]
        assert prompt.useful.item() == 777 * token.useful.item()
        assert prompt.bytes.state.item() == token.bytes.state.item()

    def test_chips_share_the_positions_of_a_prompt_and_else_sequences(self, bench):
        layout = ib.Layout(tp=2, cp=4)
        graph = bench(network(delta={"a": Delta(layers=1.0, **self.DELTA, state_format="fp32")}))
        prompt, step = (graph.ops(phase, batch=[8.0])["a.scan"] for phase in ("prefill", "decode"))
        mine = prompt.shard(layout)
        assert mine.useful * 8 == prompt.useful
        # Each hands on what its piece made of 2 of 4 states of 8 x 16 in fp32 for all 8 sequences.
        (passed,) = mine.exchanges(layout)
        assert (passed.collective, passed.group, passed.stride) == ("all_gather", 4, 2)
        assert passed.payload.item() == 4 * 8 * 2 * 8 * 16 * 4
        mine = step.shard(layout)
        assert mine.useful * 8 == step.useful
        assert mine.resident.state * 8 == step.resident.state
        assert not list(mine.exchanges(layout))
        window = graph.ops("decode", batch=[8.0])["a.convolution"]
        assert window.shard(layout).resident.state * 8 == window.resident.state

    def test_kimi_delta_attention_has_two_ranks_and_a_decay_per_channel(self, bench):
        shape = {"key_heads": 4.0, "value_heads": 4.0, "key_dim": 8.0, "value_dim": 8.0, "conv_kernel": 4.0}
        fine = Delta(layers=1.0, **shape, decay="channel", decay_rank=8.0, gate_rank=8.0)
        inner = 4 * 8
        weights = 64 * (3 * inner + 4) + 2 * (64 * 8 + 8 * inner) + 3 * inner * 4 + inner + 4 + 8 + inner * 64
        assert bench(network(delta={"a": fine})).parameters() == TRUNK + 64 + weights

    def test_mamba_2(self, bench):
        mamba = Mamba(layers=2.0, heads=4.0, head_dim=16.0, state_size=32.0, groups=2.0, conv_kernel=4.0)
        graph = bench(network(mamba={"a": mamba}))
        channels = 64 + 2 * 2 * 32
        weights = 64 * (64 + channels + 4) + channels * 5 + 3 * 4 + 64 + 64 * 64
        assert graph.parameters() == TRUNK + 2 * (64 + weights)
        assert graph.cache() == 2 * (4 * 16 * 32 + channels * 3) * 2
        assert graph.ops("decode")["a.scan"].useful.item() == 2 * 2 * 4 * 16 * 32

    def test_mamba_1(self, bench):
        scan = SelectiveScan(
            layers=1.0, channels=128.0, state_size=16.0, step_rank=4.0, conv_kernel=4.0, step_norms=True
        )
        graph = bench(network(scan={"a": scan}))
        weights = 64 * 256 + 128 * 5 + 128 * (4 + 32) + 4 + 32 + 4 * 128 + 128 + 128 * 16 + 128 + 128 * 64
        assert graph.parameters() == TRUNK + 64 + weights
        assert graph.cache() == (128 * 16 + 128 * 3) * 2

    def test_speculation_and_generation_hold_one_state(self, bench):
        graph = bench(network(delta={"a": Delta(layers=2.0, **self.DELTA)}))
        once = graph.cache()
        assert graph.cache("generate", output=[50.0]) == once
        assert graph.cache(options=LayeredOptions(draft=3.0, acceptance=0.7)) == once
        # 50 single tokens read and write the state each, the prompt once.
        assert graph.moved("generate", output=[50.0]) == 51 * 2 * once


class TestRecurrencePrimitive:
    OP = Recurrence(
        name="s",
        precision=ib.Precision.of(["bf16", "fp8"]),
        repeat=7.0,
        batch=3.0,
        tokens=5.0,
        heads=8.0,
        key_dim=16.0,
        value_dim=32.0,
        products=3.0,
        operands=800.0,
        element_bytes=4.0,
    )

    def test_it_lowers_without_losing_work_bytes_or_state(self):
        (part,) = self.OP.lower()
        assert isinstance(part, ib.Gemm)
        assert part.repeat == 1.0
        assert part.useful == self.OP.useful
        assert part.bytes is self.OP.bytes
        assert part.resident.state == self.OP.resident.state

    def test_chips_share_heads_and_their_states(self):
        mine = self.OP.shard(ib.Layout(tp=4))
        assert mine.useful == self.OP.useful  # nothing may be cut unless the workload says so
        mine = attrs.evolve(self.OP, split=("heads",)).shard(ib.Layout(tp=4))
        assert mine.useful * 4 == self.OP.useful
        assert mine.resident.state * 4 == self.OP.resident.state
        assert mine.bytes.state * 4 == self.OP.bytes.state


class TestFeeds:
    def test_experts_in_a_latent_width(self, bench):
        experts = Experts(
            layers=1.0,
            num_experts=8.0,
            num_experts_per_tok=2.0,
            moe_intermediate_size=24.0,
            latent_size=16.0,
            shared_width=40.0,
            gated=False,
            router_bias=True,
        )
        weights = 64 * 8 + 8 + 2 * 64 * 16 + 8 * 2 * 16 * 24 + 2 * 64 * 40
        assert bench(network(experts={"e": experts})).parameters() == TRUNK + 64 + weights

    def test_no_more_layers_than_there_are(self):
        with pytest.raises(ValueError, match=r"dense.d.layers is 5; at most num_hidden_layers, 4"):
            network(dense={"d": Dense(layers=5.0, intermediate_size=8.0)})

    def test_names_of_blocks_are_unique(self):
        with pytest.raises(ValueError, match="two blocks are called x"):
            network(
                dense={"x": Dense(layers=1.0, intermediate_size=8.0)},
                attention={"x": Attention(layers=1.0, **HEADS)},
            )


class TestVision:
    VISION = Vision(
        layers=2.0,
        hidden_size=32.0,
        num_attention_heads=4.0,
        intermediate_size=48.0,
        bias=True,
        patch_elements=12.0,
        position_elements=320.0,
        patches=64.0,
        merge=4.0,
        projections={"merge": Projection(inputs=128.0, outputs=64.0, bias=True, norm=64.0)},
    )

    def test_images_are_encoded_in_prefill_alone(self, bench):
        graph = bench(network(attention={"a": Attention(layers=1.0, **HEADS)}, vision=self.VISION))
        text = bench(network(attention={"a": Attention(layers=1.0, **HEADS)}))
        weights = 12 * 32 + 32 + 320 + 2 * (4 * 32 + 4 * 32 * 33 + 2 * 32 * 48 + 48 + 32) + 128 * 64 + 64 + 64
        seen = LayeredOptions(images=3.0)
        for phase in ("decode", "prefill"):
            assert graph.parameters(phase) - text.parameters(phase) == weights
            assert graph.parameters(phase, options=seen) - text.parameters(phase) == weights
            assert graph.flops(phase) == text.flops(phase)
        assert graph.flops("decode", options=seen) == text.flops("decode")
        # Per patch 2 per weight of a matrix, and in attention 4 x 32 per pair; per token the merger.
        layer = 4 * 32 * 32 + 2 * 32 * 48
        image = 64 * 2 * (12 * 32 + 2 * layer) + 2 * 64 * 64 * 4 * 32 + 16 * 2 * 128 * 64
        assert graph.flops("prefill", options=seen) - text.flops("prefill") == 3 * image


class TestPrediction:
    def graph(self, bench: Any) -> Any:
        return bench(
            network(
                attention={"a": Attention(layers=3.0, **HEADS)},
                dense={"d": Dense(layers=3.0, intermediate_size=96.0)},
                prediction=Prediction(blocks=("a", "d")),
            )
        )

    def test_the_module_is_one_layer_more(self, bench):
        graph = self.graph(bench)
        options = LayeredOptions(mtp=True, draft=2.0, acceptance=0.5)
        layer = 64 * (4 + 2 * 2) * 16 + 4 * 16 * 64 + 3 * 64 * 96 + 2 * 64
        join = 2 * 64 * 64 + 3 * 64
        assert graph.parameters(options=options) - graph.parameters() == layer + join
        assert graph.cache(options=options) == pytest.approx(
            graph.cache(options=LayeredOptions(draft=2.0)) * 4 / 3, rel=1e-3
        )

    def test_it_runs_once_per_drafted_token(self, bench):
        graph = self.graph(bench)
        options = LayeredOptions(mtp=True, draft=2.0, acceptance=0.5)
        ops = graph.ops("decode", options=options)
        steps = 1 / (1 + 0.5 + 0.25)  # verifying steps per token: one over the tokens that one yields
        assert ops["a.qkv"].repeat == pytest.approx(3 * steps)
        assert ops["mtp.a.qkv"].repeat == pytest.approx(2 * steps)
        assert ops["mtp.lm_head"].repeat == pytest.approx(2 * steps)

    def test_it_needs_something_to_draft(self):
        with pytest.raises(ValueError, match="mtp is given without draft"):
            LayeredOptions(mtp=True)


def test_a_recurrence_is_said_by_its_numbers():
    op = ib.op_kinds()["recurrence"].op({"heads": 32.0, "batch": 4.0}, ib.Precision.of(["bf16"]))
    assert op.useful == 4 * 32 * 3 * 2 * 128 * 128
    assert op.resident.state == 4 * 32 * 128 * 128 * 2
