"""Context parallelism: chips share the positions of a sequence; closed forms by hand."""

from __future__ import annotations

import inferbench_llm as llm
import numpy as np
import pytest

import inferbench as ib

PARAMS = llm.TransformerParams(
    hidden_size=4096.0,
    num_hidden_layers=32.0,
    num_attention_heads=32.0,
    num_key_value_heads=8.0,
    head_dim=128.0,
    intermediate_size=14336.0,
    vocab_size=128256.0,
)
NETWORK = ib.Network(name="n", title="n", type="transformer", params=PARAMS)
CP4 = ib.Layout(cp=4)


def ops(phase, batch=1.0, context=8192.0):
    at = ib.Grid.of({"batch": [batch], "context": [context]}, ["bf16"]).at
    return {op.name: op for op in llm.Transformer().graph(NETWORK, at, phase, llm.Options())}


def test_a_prompt_passes_keys_round():
    """A quarter of 8,192 queries each; keys and values of 8 heads for all of them, 2 x 8 x 128 x 2 bytes."""
    op = ops("prefill")["attention"]
    mine = op.shard(CP4)
    assert np.squeeze(mine.useful) * 4 == np.squeeze(op.useful)
    assert np.squeeze(mine.queries) == 2048
    assert np.squeeze(mine.resident.state) == 8192 / 4 * 2 * 8 * 128 * 2
    keys, queries, merge = mine.exchanges(CP4)
    assert (keys.collective, keys.group) == ("all_gather", 4)
    assert np.squeeze(keys.payload) == 8192 * 2 * 8 * 128 * 2
    assert np.squeeze(keys.repeat) == 32
    assert np.squeeze(queries.repeat) == np.squeeze(merge.repeat) == 0


def test_a_token_passes_its_query_and_merges_the_results():
    """Each chip reads a quarter of the cache; queries and results of 32 heads x 128 x 2 bytes move."""
    op = ops("decode", batch=8.0)["attention"]
    mine = op.shard(CP4)
    assert np.squeeze(mine.bytes.state) == 8 * 8192 / 4 * 2 * 8 * 128 * 2
    assert np.squeeze(mine.resident.state) == np.squeeze(op.resident.state) / 4
    assert np.squeeze(mine.useful) * 4 == np.squeeze(op.useful)
    keys, queries, merge = mine.exchanges(CP4)
    assert np.squeeze(keys.repeat) == 0
    assert (queries.collective, merge.collective) == ("all_gather", "reduce_scatter")
    assert np.squeeze(queries.payload) == np.squeeze(merge.payload) == 8 * 32 * 128 * 2


def test_chips_share_rows_and_hold_all_weights():
    """Eight rows of a token step over four chips, two each; a single one can't be shared."""
    for batch, rows in ((8.0, 2.0), (1.0, 1.0)):
        mine = ops("decode", batch=batch)["gate_up"].shard(CP4)
        assert np.squeeze(mine.m) == rows
        assert mine.parameters == 2 * 14336 * 4096


def test_heads_and_positions_are_cut_apart():
    op = ops("decode", batch=8.0)["attention"]
    layout = ib.Layout(tp=2, cp=4)
    mine = op.shard(layout)
    assert np.squeeze(mine.heads) == 16
    assert np.squeeze(mine.resident.state) == np.squeeze(op.resident.state) / 8
    assert all(one.stride == 2 for one in mine.exchanges(layout) if one.group == 4)


@pytest.mark.needs_plugins("chips/h200", "networks/deepseek-v3")
def test_latents_are_split_by_ranks_and_positions_and_not_by_heads():
    """576 values for each of 61 layers and 8 x 8,192 positions: whole under tp, an eighth under dp and cp."""
    cache = 61 * 576 * 8 * 8192
    weights = {}
    for name in ("tp8", "tp8ep8", "dp8ep8", "cp8ep8"):
        few, many = (
            ib.run(
                f"8xh200:{name}",
                "deepseek-v3/decode",
                precision="fp8",
                batch=8,
                context=context,
                stack="ideal",
            )
            for context in (1024, 8192)
        )
        grown = float(np.squeeze(many.needed) - np.squeeze(few.needed))
        weights[name] = grown / (cache * 7 / 8)
    assert weights["tp8"] == weights["tp8ep8"] == pytest.approx(1.0, rel=1e-3)
    assert weights["dp8ep8"] == pytest.approx(1 / 8, rel=1e-3)
    assert weights["cp8ep8"] == pytest.approx(1 / 8, rel=1e-3)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
def test_a_long_prompt_is_shared_with_fewer_bytes_than_heads_are():
    """Keys of 8 heads go round instead of sums over all 4,096 columns twice a layer."""
    shared, cut = (
        ib.run(
            f"8xh100-sxm:{name}", "llama3-8b/prefill", precision="bf16", batch=1, context=32768, stack="ideal"
        )
        for name in ("cp8", "tp8")
    )
    assert float(np.squeeze(shared.busy["network"])) < 0.5 * float(np.squeeze(cut.busy["network"]))
    assert float(np.squeeze(shared.useful / shared.seconds)) > float(np.squeeze(cut.useful / cut.seconds))
