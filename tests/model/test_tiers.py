"""Levels of memory are filled by need, and an engine's reserve is taken off first."""

from __future__ import annotations

import json

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inferbench as ib
from inferbench.records.chip import MemoryLevel
from inferbench.records.reserve import Reserve

pytestmark = pytest.mark.needs_plugins("chips/h200", "chips/rtx-4090", "networks/mixtral-8x7b")

GB = 1e9


def chip(hbm: float = 80 * GB, **more: MemoryLevel) -> ib.Chip:
    """An H100's arithmetic behind 80 GB at 3 TB/s, and whatever is added."""
    own = {"hbm": MemoryLevel(hbm, 3e12), "l2": MemoryLevel(50e6, 6e12)}
    return attrs.evolve(ib.installed().chip("h100-sxm"), memory={**own, **more})


def seconds(of: ib.Chip, workload: str = "llama3-8b/decode", **more) -> np.ndarray:
    run = ib.run(
        ib.System(of), workload, **{"precision": "fp8", "stack": "ideal", "scenario": "reference", **more}
    )
    return run.values(run.seconds).ravel(), run


def test_a_cache_is_no_tier_and_the_fastest_memory_comes_first():
    host = MemoryLevel(512 * GB, 64e9)
    assert chip(host=host).tiers == ("hbm", "host")
    assert chip(host=host).main == "hbm"
    assert chip(host=host).outermost == "host"
    assert chip(host=host).capacity == 592 * GB
    told = MemoryLevel(512 * GB, 64e9, cache=True)
    assert chip(told=told).tiers == ("hbm", "told")  # the largest level always holds data
    pinned = MemoryLevel(0.5 * GB, 20e12, cache=False)
    assert chip(sram=pinned).tiers == ("sram", "hbm")


@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 40),
    context=st.integers(1, 8000),
    bandwidth=st.floats(1e9, 2.9e12),
    size=st.floats(1e9, 1e12),
)
def test_a_slower_tier_never_slows_what_fits_in_the_first(batch, context, bandwidth, size):
    alone, plain = seconds(chip(), batch=batch, context=context)
    beside, run = seconds(chip(host=MemoryLevel(size, bandwidth)), batch=batch, context=context)
    assert bool(np.all(plain.feasible))
    assert beside == alone
    assert "spilled" not in run.flags


def test_what_spills_is_read_from_where_it_lies():
    """By hand: 8.03 GB of weights, 0.525 GB of them the table of which one row is read; 5 GB near, the rest
    over 10 GB/s. The table is last to be placed, the cache before it.
    """
    of = chip(hbm=5 * GB, host=MemoryLevel(100 * GB, 10e9))
    found, run = seconds(of, batch=1, context=1)
    weights = float(np.squeeze(run.footprint.weights))
    table = 128_256 * 4096
    beyond = weights - table - (5 * GB - float(np.squeeze(run.footprint.activations)))
    assert found == pytest.approx(beyond / 10e9, rel=1e-3)
    assert bool(np.all(run.feasible))
    assert "spilled" in run.flags
    assert any(
        "don't fit into memory.hbm and are read from memory.host" in said for said in run.notes.values()
    )
    assert float(np.squeeze(run.away)) == pytest.approx(float(np.squeeze(run.needed)) - 5 * GB, rel=1e-9)


def test_what_spills_is_named_whichever_of_the_slower_memories_holds_it():
    """What is left of the cache, and tables of embeddings, lie with the host; the disk stays empty."""
    slow = {"host": MemoryLevel(512 * GB, 64e9), "disk": MemoryLevel(8000 * GB, 1e9)}
    _, run = seconds(chip(**slow), batch=100, context=16000)
    (said,) = [note for note in run.notes.values() if "don't fit into memory.hbm" in note]
    assert "per chip (cache, tables) don't fit" in said
    assert said.endswith("are read from memory.host and memory.disk")


def test_the_cache_spills_before_the_weights_that_every_step_reads():
    """Llama 3 8B in fp8: 65,536 bytes a position. At 200 sequences of 8,192 the cache is 107 GB."""
    of = chip(host=MemoryLevel(1000 * GB, 50e9))
    _, run = seconds(of, batch=200, context=8192)
    cache = 200 * 8192 * 65_536
    room = 80 * GB - float(np.squeeze(run.needed - run.footprint.state)) + 128_256 * 4096
    assert float(np.squeeze(run.bound_seconds)) == pytest.approx((cache - room) / 50e9, rel=1e-3)


def test_experts_spill_before_the_cache():
    of = chip(hbm=30 * GB, host=MemoryLevel(1000 * GB, 50e9))
    _, run = seconds(of, "mixtral-8x7b/decode", batch=1, context=4096)
    shares = run.chain["placement"].level_shares
    assert float(np.min(shares["state"]["hbm"])) == 1.0
    assert float(np.min(shares["weights"]["hbm"])) == 1.0
    assert 0 < float(np.squeeze(shares["experts"]["host"])) < 1


@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 400), hbm=st.floats(4e9, 90e9), more=st.floats(1e8, 5e10))
def test_more_of_the_fast_memory_is_never_slower_but_for_the_bandwidth_of_the_other(batch, hbm, more):
    """Both levels are read at the same time: 60 GB/s beside 3 TB/s are worth 2 % at most."""
    host = MemoryLevel(2000 * GB, 60e9)
    small, _ = seconds(chip(hbm=hbm, host=host), batch=batch, context=2048)
    large, _ = seconds(chip(hbm=hbm + more, host=host), batch=batch, context=2048)
    assert large <= small * (1 + 60e9 / 3e12)


@settings(max_examples=10, deadline=None)
@given(hbm=st.floats(4e9, 90e9), layout=st.sampled_from(["", ":tp2", ":pp2", ":dp2"]))
def test_the_identity_and_the_order_of_bounds_hold_where_data_spill(hbm, layout):
    of = chip(hbm=hbm, host=MemoryLevel(2000 * GB, 60e9))
    one = ib.System(of, 2, ib.SystemName.parse(f"2xh100-sxm{layout}").layout)
    run = ib.run(one, "llama3-8b/decode", precision="fp8", batch=[1, 64], context=[512, 32768], stack="ideal")
    for low, high in ((run.roofline, run.model), (run.bound_seconds, run.model), (run.model, run.seconds)):
        assert bool(np.all(np.asarray(low) <= np.asarray(high) * (1 + 1e-12)))


def test_a_grid_equals_its_points_where_some_of_them_spill():
    of = chip(host=MemoryLevel(1000 * GB, 50e9))
    batches = [1, 50, 150, 300]
    whole, _ = seconds(of, batch=batches, context=8192)
    assert whole.tolist() == [seconds(of, batch=one, context=8192)[0][0] for one in batches]


def test_levels_without_room_for_it_say_what_is_needed():
    _, run = seconds(chip(hbm=4 * GB, host=MemoryLevel(2 * GB, 50e9)), batch=1, context=1)
    assert not run.feasible.any()
    assert run.reasons[0].numbers["has"] == 6 * GB


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.1", 8e9), ("10%", 8e9), ("10 %", 8e9), ("8 GB", 8e9), ("8GiB", 8 * 2**30), (0, 0.0), ("0", 0.0)],
)
def test_a_reserve_is_a_share_or_an_amount(text, expected):
    assert Reserve.parse(text).of(80e9) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["1", "100%", "150 %", "much", "8 GB/s", "-1GB", "nan"])
def test_a_bad_reserve_is_one_message(text):
    with pytest.raises(ib.InferBenchError) as told:
        Reserve.parse(text)
    assert "reserve" in str(told.value)


def test_what_an_engine_keeps_is_taken_from_the_capacity():
    """Ideal software keeps nothing, an engine a tenth, and what is asked comes first."""
    kept = {
        asked: ib.run("h200", "llama3-8b/decode", stack=stack, **more).memory["reserve_bytes"]
        for asked, stack, more in (
            ("ideal", "ideal", {}),
            ("usual", "best", {}),
            ("asked", "best", {"reserve": "2 GB"}),
            ("none", "best", {"reserve": 0}),
            ("of ideal", "ideal", {"reserve": 0.25}),
        )
    }
    size = 143_771 * 2**20
    assert kept == pytest.approx(
        {"ideal": 0.0, "usual": 0.1 * size, "asked": 2e9, "none": 0.0, "of ideal": 0.25 * size}
    )


def cached_tokens(system: str, network: str, precision: str, **more) -> float:
    """Tokens that the cache holds at the largest batch of single positions."""
    run = ib.run(system, f"{network}/decode", precision=precision, batch="max", context=64, **more)
    return float(np.squeeze(run.batch)) * 64


def test_a_14b_on_two_consumer_cards_caches_what_vllm_reported():
    """DeepSeek-R1-Distill-Qwen-14B, of the shapes of Qwen2.5-14B, on two RTX 4090: vLLM 0.7 had room for
    81,536 tokens (vllm-project/vllm issue 13061).
    """
    assert cached_tokens("2xrtx-4090:tp2", "qwen2.5-14b", "bf16", reserve="10%") == pytest.approx(
        81_536, rel=0.1
    )


def test_a_405b_on_eight_gpus_caches_what_vllm_reported(tmp_path):
    """Meta's first checkpoint in fp8, with 16 key and value heads and attention in 16 bits, on eight H100:
    vLLM had room for 79,392 tokens (vllm-project/vllm issue 6746). What it keeps is of another network's log.
    """
    attention = [f"model.layers.{i}.self_attn.{name}_proj" for i in range(126) for name in "qkvo"]
    ends = [f"model.layers.{i}.mlp.{name}_proj" for i in (0, 125) for name in ("gate", "up", "down")]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 16384,
        "intermediate_size": 53248,
        "num_attention_heads": 128,
        "num_hidden_layers": 126,
        "num_key_value_heads": 16,
        "vocab_size": 128256,
        "torch_dtype": "bfloat16",
        "quantization_config": {
            "quant_method": "fbgemm_fp8",
            "modules_to_not_convert": [*attention, *ends, "lm_head"],
        },
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    run = ib.run("8xh100-sxm:tp8", f"{file}/decode", batch="max", context=64, stack="vllm-h100")
    assert run.memory["weights_bytes"] == pytest.approx(57.752 * 2**30, rel=0.02)  # as the same log says
    assert float(np.squeeze(run.batch)) * 64 == pytest.approx(79_392, rel=0.1)
    assert str(run.reserve) == "10 % and 5.20 GB"


def test_one_chip_has_no_workspace_of_exchanges():
    kept = [ib.run(name, "llama3-8b/decode", stack="vllm-h100").reserve for name in ("h100", "2xh100:tp2")]
    assert [one.size for one in kept] == [0.0, 5.2e9]
