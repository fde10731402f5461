"""Number formats that a config says, of the forms that publishers use."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from inferbench_llm import Options, stored

import inferbench as ib

LLAMA_70B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8192,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 28672,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
SIXTEEN = {"embedding": "bf16", "head": "bf16"}


def said(table: dict[str, Any], layers: int = 4, **text: Any) -> tuple[str, dict[str, str]]:
    found = stored({}, {"num_hidden_layers": layers, "quantization_config": table, **text})
    return found["precision"], {part: form for part, form in found["formats"].items() if part != "vision"}


def network(tmp_path: Any, config: dict[str, Any]) -> ib.Network:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return ib.installed().network(str(path))


def weights(network: ib.Network, precision: str) -> float:
    workload = ib.installed().workload(network.type)
    at = ib.Grid.of({"batch": [1.0], "context": [1.0]}, [precision]).at
    ops = list(workload.graph(network, at, "decode", Options()))
    return float(sum(op.parameters * op.instances * op.precision.weights for op in ops).item())


class TestWhatIsHeld:
    AWQ: ClassVar = {
        "quant_method": "awq",
        "bits": 4,
        "group_size": 128,
        "zero_point": True,
        "version": "gemm",
    }

    def test_four_bits_in_groups_with_head_and_embedding_in_sixteen(self, tmp_path):
        found = network(tmp_path, {**LLAMA_70B, "quantization_config": self.AWQ})
        assert found.precision == "wint4g128a16"
        tables = 2 * 8192 * 128256
        rest = 70_553_706_496 - tables
        assert weights(found, found.precision) == pytest.approx(tables * 2 + rest * 66.5 / 128, rel=1e-9)
        assert weights(found, found.precision) == pytest.approx(39.8e9, rel=0.002)

    def test_another_precision_that_is_asked_for_holds_everywhere(self, tmp_path):
        found = network(tmp_path, {**LLAMA_70B, "quantization_config": self.AWQ})
        assert weights(found, "fp8") == 70_553_706_496
        assert weights(found, "bf16") == 2 * 70_553_706_496

    @pytest.mark.needs_plugins("chips/h100-sxm")
    def test_a_run_takes_it_by_default(self, tmp_path):
        network(tmp_path, {**LLAMA_70B, "quantization_config": self.AWQ})
        run = ib.run("2xh100", f"{tmp_path}/config.json/decode", stack="ideal")
        assert run.grid.precisions == ("wint4g128a16",)

    @pytest.mark.needs_plugins("chips/h100-sxm")
    def test_utilization_is_of_the_peak_that_the_precision_has(self, tmp_path):
        """Embedding and head are in 16 bits, all else in FP8."""
        table = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}
        network(tmp_path, {**LLAMA_70B, "quantization_config": {"quant_method": "modelopt", **table}})
        own = ib.run("1xh200", f"{tmp_path}/config.json/decode")
        asked = ib.run("1xh200", f"{tmp_path}/config.json/decode", precision="fp8")
        assert own.network.formats["embedding"] == "bf16"
        assert own.peak.item() == asked.peak.item() > 1.9e15

    def test_a_plain_config_runs_in_its_dtype(self, tmp_path):
        assert network(tmp_path, LLAMA_70B).precision == "bf16"
        assert network(tmp_path, {**LLAMA_70B, "torch_dtype": "float16"}).precision == "fp16"

    def test_a_file_beside_it(self, tmp_path):
        beside = {"producer": {}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
        (tmp_path / "hf_quant_config.json").write_text(json.dumps(beside))
        found = network(tmp_path, LLAMA_70B)
        assert (found.precision, found.formats) == ("fp8", {"embedding": "bf16"})


class TestMethods:
    def test_blocks_of_fp8(self):
        table = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
        assert said(table) == ("fp8kv16", SIXTEEN)
        assert said(table, expert_dtype="fp4") == ("fp8kv16", {**SIXTEEN, "experts": "mxfp4"})

    def test_norms_and_routers_that_are_kept_are_no_part(self):
        kept = [
            f"model.layers.{i}.{name}" for i in range(4) for name in ("mlp.gate", "post_attention_layernorm")
        ]
        assert said({"quant_method": "fp8", "modules_to_not_convert": ["lm_head", *kept]}) == (
            "fp8kv16",
            SIXTEEN,
        )

    @pytest.mark.parametrize(
        ("layers", "kept"), [(1, {}), (2, {"attention": "bf16"}), (4, {"attention": "bf16"})]
    )
    def test_what_half_of_the_four_layers_keep_counts_as_kept(self, layers, kept):
        names = [f"model.layers.{i}.self_attn.q_proj" for i in range(layers)]
        found = said({"quant_method": "fp8", "modules_to_not_convert": ["lm_head", *names]})
        assert found == ("fp8kv16", {**SIXTEEN, **kept})

    def test_experts_alone(self):
        group = {"weights": {"num_bits": 4, "type": "int", "group_size": 32}, "input_activations": None}
        ignore = ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|down)_proj.*"]
        table = {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, "ignore": ignore}
        parts = ("attention", "dense", "shared")
        assert said(table) == ("wint4g32a16", {**SIXTEEN, **dict.fromkeys(parts, "bf16")})

    def test_blocks_of_four_bits_with_attention_kept_layer_by_layer(self):
        ignore = ["lm_head", *(f"model.layers.{i}.self_attn*" for i in range(4)), "model.layers.0*"]
        table = {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 8}}
        assert said({**table, "ignore": ignore}) == ("nvfp4kv8", {**SIXTEEN, "attention": "bf16"})

    def test_an_algorithm_per_module(self):
        modules = {f"layers.{i}.mlp.experts.{j}": {"quant_algo": "NVFP4"} for i in range(4) for j in range(3)}
        modules |= {f"layers.{i}.self_attn.q_proj": {"quant_algo": "FP8"} for i in range(4)}
        table = {"quant_algo": "MIXED_PRECISION", "quantized_layers": modules}
        precision, formats = said(table)
        assert precision == "nvfp4kv16"
        assert formats["attention"] == "fp8"
        assert formats["head"] == "bf16"
        assert "experts" not in formats

    @pytest.mark.parametrize(
        ("table", "named"),
        [
            ({"quant_method": "quip"}, "quant_method: 'quip' is not known; known are fp8"),
            (
                {"quant_method": "awq", "bits": 3, "group_size": 128},
                "bits, group_size: 3 bits in groups of 128",
            ),
            ({"quant_method": "modelopt", "quant_algo": "W2A2"}, "quant_algo: 'W2A2' is not known"),
            ({"quant_method": "compressed-tensors", "config_groups": {}}, "config_groups: {} is not a table"),
        ],
    )
    def test_what_can_t_be_represented_is_named(self, table, named):
        with pytest.raises(ib.InferBenchError) as caught:
            said(table)
        assert f"config.json: quantization_config: {named}" in str(caught.value)


@pytest.mark.parametrize(("size", "name"), [(16, "nvfp4"), (32, "mxfp4")])
def test_floats_of_four_bits_are_called_by_their_groups(size, name):
    """NVIDIA's scales stand per 16 elements, those of microscaling per 32; the cache has 16 bits."""
    group = {"num_bits": 4, "type": "float", "group_size": size}
    table = {"quant_method": "compressed-tensors"}
    whole = {**table, "config_groups": {"g": {"weights": group, "input_activations": group}}}
    assert said(whole)[0] == f"{name}kv16"
    alone = {**table, "config_groups": {"g": {"weights": group, "input_activations": None}}}
    assert said(alone)[0] == f"w{name}a16"
