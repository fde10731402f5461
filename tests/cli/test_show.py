"""`inferbench show`: values of specs as one reads them, and what a plugin reads."""

from __future__ import annotations

import json

import pytest


def flat(text):
    return " ".join(text.split())


@pytest.mark.needs_plugins("networks/llama3-8b")
def test_whole_numbers_are_whole(cli):
    code, out, _ = cli("show", "llama3-8b")
    assert code == 0
    assert "published.parameters 8,030,261,248 ●" in flat(out)
    assert "network.num_hidden_layers 32 ●" in flat(out)
    assert "network.tie_word_embeddings false" in flat(out)
    facts = {
        fact["key"]: fact["value"]
        for fact in json.loads(cli("show", "llama3-8b", "--format", "json")[1])["facts"]
    }
    assert facts["published.parameters"] == 8030261248.0


@pytest.mark.needs_plugins("chips/b200")
def test_a_year_is_no_quantity(cli):
    assert "silicon.year 2024" in flat(cli("show", "b200")[1])


@pytest.mark.needs_plugins("workloads/transformer")
def test_a_config_belongs_to_its_file(cli, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        '{"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,'
        ' "vocab_size": 9}'
    )
    code, out, _ = cli("show", str(path))
    assert code == 0
    assert "network · file" in flat(out)
    assert "network.intermediate_size 16,384" in flat(out)


@pytest.mark.needs_plugins("architectures/simt", "architectures/imc")
def test_an_architecture_says_what_chips_and_stacks_give_it(cli):
    code, out, _ = cli("show", "simt")
    assert code == 0
    assert "architecture · inferbench-simt" in out
    assert "sms whole number must be given" in flat(out)
    assert "clock Hz not known" in flat(out)
    assert "tail number 1" in flat(out)
    code, out, _ = cli("show", "imc")
    assert "kind analog, digital must be given" in flat(out)
    assert "inferbench show imc --kind power_models" in flat(out)


@pytest.mark.needs_plugins("workloads/transformer")
def test_a_workload_has_phases_axes_and_options(cli):
    document = json.loads(cli("show", "transformer", "--format", "json")[1])
    assert document["schema"] == "inferbench.plugin/1"
    assert (
        document["about"]["phase generate"]
        == "axes batch 1, context 2,048, output 128; takes latency_s, yields tokens"
    )
    fields = {(row["group"], row["key"]): (row["unit"], row["default"]) for row in document["fields"]}
    assert fields["[network] of a network", "hidden_size"] == ("count", "must be given")
    assert fields["[network] of a network", "norm"] == ("rms, layer", "rms")
    assert fields["--option", "causal"] == ("true, false", "true")


@pytest.mark.needs_plugins("fabrics/switch", "power_models/linear", "metrics/tpot_s")
def test_fabrics_power_models_and_metrics(cli):
    assert 'fabric = "switch" in [interconnect.…] of a chip' in flat(cli("show", "switch")[1])
    assert "architectures any" in flat(cli("show", "linear")[1])
    assert "unit s better lower shown always" in flat(cli("show", "tpot_s")[1])


@pytest.mark.needs_plugins("stacks/trtllm-1.3")
def test_an_exponent_without_end_is_json_all_the_same(cli):
    code, out, _ = cli("show", "trtllm-1.3", "--format", "json")
    assert code == 0
    assert "inf" in {
        fact["value"] for fact in json.loads(out)["facts"] if fact["key"].startswith("time.overlap")
    }


@pytest.mark.needs_plugins("stacks/trtllm-serving-h100", "stacks/neuronx")
def test_a_stack_says_how_its_engine_takes_requests(cli):
    said = flat(cli("show", "trtllm-serving-h100")[1])
    assert "scheduler chunked; as many tokens of prompts a step as the longest request has" in said
    assert "computes 32 sequences of 4,096 positions" in flat(cli("show", "neuronx")[1])


@pytest.mark.needs_plugins("stacks/trtllm-1.3-b200")
def test_a_stack_leads_with_what_it_was_fitted_on(cli):
    code, out, _ = cli("show", "trtllm-1.3-b200")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) <= 70
    assert "fitted on" in "\n".join(lines[:12])
    assert "rows left out" in flat("\n".join(lines[:12]))
    # Every number stands behind a flag, and in JSON.
    assert len(cli("show", "trtllm-1.3-b200", "-v")[1].splitlines()) > 200
    assert len(json.loads(cli("show", "trtllm-1.3-b200", "--format", "json")[1])["facts"]) > 200


@pytest.mark.needs_plugins("stacks/class-simt")
def test_a_prior_says_how_far_chips_and_versions_differ(cli):
    out = flat(cli("show", "class-simt")[1])
    assert "prior of a class of chips" in out
    assert "chips between software rest" in out


@pytest.mark.needs_plugins("networks/llama3-8b", "networks/vit-b", "networks/flux1-dev")
@pytest.mark.parametrize("name", ["llama3-8b", "vit-b", "flux1-dev"])
def test_the_command_that_follows_a_network_runs_as_written(cli, name):
    following = cli("show", name)[1].rpartition("Next: inferbench ")[2].split()
    code, out, err = cli(*following)
    assert (code, err) == (0, "")
    assert out
