"""Configs as published: what is read from them, and what is refused by name."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from inferbench_layered import active_parameters

import inferbench as ib

GROUPED = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}


def slope(bench: Any, start: float = 2.0**17) -> float:
    """Bytes that one more position costs."""
    return (bench.cache(context=[2 * start]) - bench.cache(context=[start])) / start


def pattern(layers: int, every: int, often: str, rare: str) -> list[str]:
    return [rare if (i + 1) % every == 0 else often for i in range(layers)]


class TestPatterns:
    QWEN3: ClassVar = {
        "model_type": "qwen3",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "intermediate_size": 12288,
        "vocab_size": 151936,
        "max_position_embeddings": 262144,
        "tie_word_embeddings": False,
        **GROUPED,
        "use_sliding_window": True,
        "sliding_window": 4096,
        "max_window_layers": 24,
    }

    def test_24_of_32_layers_see_everything(self, read):
        kinds = ["full_attention"] * 24 + ["sliding_attention"] * 8
        graph = read(self.QWEN3, layer_types=kinds)
        assert graph.cache(context=[131072.0]) == 24 * 4096 * 131072 + 8 * 4096 * 4096
        # The same without the list: layers from `max_window_layers` on have a window.
        assert read(self.QWEN3).cache(context=[131072.0]) == graph.cache(context=[131072.0])

    def test_a_window_that_is_switched_off_is_none(self, read):
        kinds = ["full_attention"] * 24 + ["sliding_attention"] * 8
        assert slope(read(self.QWEN3, layer_types=kinds, use_sliding_window=False)) == 32 * 4096

    def test_lists_that_contradict_the_layers(self, read):
        with pytest.raises(
            ib.InferBenchError, match=r"layer_types: 20 entries; one for each of the 32 layers"
        ):
            read(self.QWEN3, layer_types=["full_attention"] * 20)

    def test_kinds_that_can_t_be_represented_are_named(self, read):
        kinds = [*["full_attention"] * 31, "hash_attention"]
        with pytest.raises(ib.InferBenchError, match=r"layer_types: 'hash_attention' \(layer 31\) can't be"):
            read(self.QWEN3, layer_types=kinds)


class TestScatteredExperts:
    MOE: ClassVar = {
        "model_type": "qwen3_moe",
        "hidden_size": 64,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 96,
        "moe_intermediate_size": 24,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 100,
        "tie_word_embeddings": False,
    }

    def weights(self, dense: int) -> int:
        attention = 64 * (4 + 4) * 16 + 4 * 16 * 64 + 2 * 16 + 2 * 64
        experts = 64 * 8 + 8 * 3 * 64 * 24
        return 2 * 64 * 100 + 64 + 6 * attention + dense * 3 * 64 * 96 + (6 - dense) * experts

    @pytest.mark.parametrize(
        ("changes", "dense"),
        [
            ({"mlp_only_layers": [0, 1], "decoder_sparse_step": 1}, 2),
            ({"mlp_only_layers": [2, 4]}, 2),
            ({"decoder_sparse_step": 2}, 3),
            ({"decoder_sparse_step": 2, "mlp_only_layers": [1]}, 4),
        ],
    )
    def test_layers_are_dense_where_the_file_says_so(self, read, changes, dense):
        network = read(self.MOE, **changes).network
        workload = ib.installed().workload(network.type)
        at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16"]).at
        ops = list(workload.graph(network, at, "decode", workload.options()))
        assert sum(op.parameters * op.instances for op in ops) == self.weights(dense)

    def test_a_layer_that_is_not_there(self, read):
        with pytest.raises(
            ib.InferBenchError, match=r"mlp_only_layers: \[9\] is not a list of layers from 0 to 5"
        ):
            read(self.MOE, mlp_only_layers=[9])


class TestGatedDelta:
    QWEN3_5: ClassVar = {
        "model_type": "qwen3_5",
        "text_config": {
            "model_type": "qwen3_5_text",
            "hidden_size": 5120,
            "num_hidden_layers": 64,
            "num_attention_heads": 24,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "intermediate_size": 17408,
            "full_attention_interval": 4,
            "linear_num_key_heads": 16,
            "linear_num_value_heads": 48,
            "linear_key_head_dim": 128,
            "linear_value_head_dim": 128,
            "linear_conv_kernel_dim": 4,
            "attn_output_gate": True,
            "vocab_size": 248320,
            "tie_word_embeddings": False,
        },
    }

    def test_16_of_64_layers_have_a_cache(self, read):
        graph = read(self.QWEN3_5)
        assert slope(graph) == 65536
        # 48 states of 48 x 128 x 128, and three positions of 10,240 channels, 2 bytes each.
        states = 48 * (48 * 128 * 128 + 3 * 10240) * 2
        assert graph.cache(context=[262144.0]) == 16384 * 2**20 + states

    def test_the_format_of_the_state_is_the_file_s(self, read):
        text = {**self.QWEN3_5["text_config"], "mamba_ssm_dtype": "float32"}
        more = read(self.QWEN3_5, text_config=text).cache() - read(self.QWEN3_5).cache()
        assert more == 48 * 48 * 128 * 128 * 2

    def test_a_key_that_is_missing(self, read):
        text = {
            key: value for key, value in self.QWEN3_5["text_config"].items() if key != "linear_num_key_heads"
        }
        with pytest.raises(ib.InferBenchError, match=r"text_config: linear_num_key_heads: missing"):
            read(self.QWEN3_5, text_config=text)

    def test_kimi_linear_lists_its_layers_from_1(self, read):
        config = {
            "model_type": "kimi_linear",
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 27,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "kv_lora_rank": 512,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
            "moe_intermediate_size": 1024,
            "num_experts": 256,
            "num_experts_per_token": 8,
            "num_shared_experts": 1,
            "first_k_dense_replace": 1,
            "vocab_size": 163840,
            "linear_attn_config": {
                "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
                "head_dim": 128,
                "num_heads": 32,
                "kda_layers": [i for i in range(1, 27) if i % 4],
                "short_conv_kernel_size": 4,
            },
        }
        graph = read(config)
        assert slope(graph) == 7 * 576 * 2
        assert graph.parameters() == pytest.approx(48e9, rel=0.03)  # "48B"
        config["linear_attn_config"]["kda_layers"].remove(5)
        with pytest.raises(
            ib.InferBenchError, match=r"full_attn_layers, kda_layers: layer 5 stands in neither"
        ):
            read(config)


class TestMamba:
    NEMOTRON: ClassVar = {
        "model_type": "nemotron_h",
        "hidden_size": 64,
        "hybrid_override_pattern": "M-M*E",
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 96,
        "mamba_num_heads": 4,
        "mamba_head_dim": 32,
        "ssm_state_size": 16,
        "n_groups": 2,
        "conv_kernel": 4,
        "vocab_size": 100,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "moe_shared_expert_intermediate_size": 40,
        "moe_latent_size": 16,
        "tie_word_embeddings": False,
    }

    def test_every_layer_is_one_part(self, read):
        graph = read(self.NEMOTRON)
        channels = 128 + 2 * 2 * 16
        mamba = 64 * (128 + channels + 4) + channels * 5 + 3 * 4 + 128 + 128 * 64
        attention, dense = 64 * (4 + 4) * 16 + 64 * 64, 2 * 64 * 96
        experts = 64 * 8 + 8 + 2 * 64 * 16 + 8 * 2 * 16 * 24 + 2 * 64 * 40
        trunk = 2 * 64 * 100 + 64 + 5 * 64
        assert graph.parameters() == trunk + 2 * mamba + attention + dense + experts
        assert slope(graph) == 2 * 2 * 16 * 2

    def test_a_convolution_is_four_wide_where_nobody_says(self, read):
        assert read(self.NEMOTRON, conv_kernel=None).parameters() == read(self.NEMOTRON).parameters()
        wider = read(self.NEMOTRON, conv_kernel=8).parameters() - read(self.NEMOTRON).parameters()
        assert wider == 2 * 4 * (128 + 2 * 2 * 16)  # two Mamba layers, four more taps of every channel

    def test_a_list_instead_of_a_pattern(self, read):
        words = ["mamba", "mlp", "mamba", "attention", "moe"]
        listed = read(self.NEMOTRON, hybrid_override_pattern=None, layers_block_type=words)
        assert listed.parameters() == read(self.NEMOTRON).parameters()
        with pytest.raises(ib.InferBenchError, match="the pattern and the list differ"):
            read(self.NEMOTRON, layers_block_type=words[::-1])
        with pytest.raises(ib.InferBenchError, match="5 kinds of layers are listed for 6 layers"):
            read(self.NEMOTRON, num_hidden_layers=6)

    def test_a_layer_may_lack_a_part_and_have_its_own_width(self, read):
        """Widths are 2/3 of the factor times the trunk's, up to a multiple of 256: 224 -> 256, 554 -> 768."""
        off = {"no_op": True}
        config = {
            "model_type": "nemotron-nas",
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "head_dim": 16,
            "vocab_size": 100,
            "tie_word_embeddings": False,
            "block_configs": [
                {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 5.25}},
                {"attention": off, "ffn": {"ffn_mult": 13.0}},
                {"attention": {"n_heads_in_group": 4}, "ffn": off},
            ],
        }
        graph = read(config)
        attention = 64 * (4 + 2 * 2) * 16 + 64 * (4 + 2 * 1) * 16 + 2 * 64 * 64
        dense, norms = 3 * 64 * (256 + 768), (2 + 2 + 1) * 64
        assert graph.parameters() == 2 * 64 * 100 + norms + attention + dense
        assert slope(graph) == (2 + 1) * 2 * 16 * 2

    def test_jamba(self, read):
        config = {
            "model_type": "jamba",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 65536,
            "num_experts": 16,
            "num_experts_per_tok": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "attn_layer_period": 8,
            "attn_layer_offset": 4,
            "mamba_d_state": 16,
            "mamba_d_conv": 4,
            "mamba_expand": 2,
            "mamba_dt_rank": 256,
            "tie_word_embeddings": False,
        }
        graph = read(config)
        assert graph.parameters() == pytest.approx(52e9, rel=0.01)  # "52B total"
        assert active_parameters(graph.network) == pytest.approx(12e9, rel=0.05)  # "12B active"
        assert slope(graph) == 4 * 8 * 128 * 2 * 2
        with pytest.raises(
            ib.InferBenchError, match="attn_layer_offset: 8 is not below attn_layer_period, 8"
        ):
            read(config, attn_layer_offset=8)


class TestSparse:
    GLM5: ClassVar = {
        "model_type": "glm_moe_dsa",
        "hidden_size": 6144,
        "num_hidden_layers": 78,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "q_lora_rank": 2048,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 192,
        "qk_rope_head_dim": 64,
        "v_head_dim": 256,
        "index_n_heads": 32,
        "index_head_dim": 128,
        "index_topk": 2048,
        "intermediate_size": 12288,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "vocab_size": 154880,
        "num_nextn_predict_layers": 1,
        "tie_word_embeddings": False,
    }

    def test_latents_and_keys_of_the_indexer_are_cached(self, read):
        graph = read(self.GLM5)
        assert slope(graph) == 78 * ((512 + 64) * 2 + 132)
        assert graph.parameters() == pytest.approx(744e9, rel=0.001)  # "744B"
        # At 131,072 positions a token reads 2,048 latents per layer, and all keys of the indexer.
        assert graph.moved(context=[131072.0]) == 78 * (2048 * 576 * 2 + 131072 * 132)

    def test_layers_that_share_a_choice_cache_no_keys(self, read):
        kinds = ["full"] * 3 + (["shared"] * 3 + ["full"]) * 18 + ["shared"] * 3
        graph = read(self.GLM5, indexer_types=kinds, index_topk_freq=4)
        assert slope(graph) == 78 * 576 * 2 + 21 * 132
        with pytest.raises(ib.InferBenchError, match="index_topk_freq: given without indexer_types"):
            read(self.GLM5, index_topk_freq=4)

    def test_dense_layers_that_contradict(self, read):
        kinds = ["dense"] * 5 + ["sparse"] * 73
        with pytest.raises(ib.InferBenchError, match="mlp_layer_types, first_k_dense_replace"):
            read(self.GLM5, mlp_layer_types=kinds)


class TestArchitectures:
    KIMI_K2: ClassVar = {
        "hidden_size": 7168,
        "num_hidden_layers": 61,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 384,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "vocab_size": 163840,
        "tie_word_embeddings": False,
    }
    TOWER: ClassVar = {
        "vt_hidden_size": 1152,
        "vt_intermediate_size": 4304,
        "vt_num_attention_heads": 16,
        "vt_num_hidden_layers": 27,
        "patch_size": 14,
        "merge_kernel_size": [2, 2],
        "init_pos_emb_height": 64,
        "init_pos_emb_width": 64,
    }

    @pytest.mark.parametrize(
        "named", [{"model_type": "kimi_k2"}, {"model_type": "x", "architectures": ["DeepseekV3ForCausalLM"]}]
    )
    def test_a_form_under_a_new_name(self, read, named):
        network = read({**named, **self.KIMI_K2}).network
        assert network.type == "moe"
        assert network.params.num_experts == 384

    def test_an_encoder_beside_the_same_form(self, read):
        config = {
            "model_type": "kimi_k25",
            "text_config": {"model_type": "kimi_k2", **self.KIMI_K2},
            "vision_config": self.TOWER,
        }
        graph = read(config)
        assert slope(graph) == 61 * 576 * 2
        layer = 4 * 1152 * 1153 + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
        tower = 27 * layer + 3 * 14 * 14 * 1152 + 1152 + 64 * 64 * 1152 + 2 * 1152
        tower += 2 * 1152 + 4608 * 4609 + 4608 * 7168 + 7168
        text = read({"model_type": "kimi_k2", **self.KIMI_K2}).network
        assert graph.ops("decode")["vision"].parameters == tower
        assert text.params.vocab_size == graph.network.params.vocab_size
