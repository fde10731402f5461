"""Attention beside a latent: how rows, the command and stacks say it."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.evidence.matching import read_rows
from inferbench.records.kinds import op_kind
from inferbench.records.precision import Precision
from inferbench.records.variants import variants

BF16 = Precision.of(["bf16"])


def attention(**numbers):
    return op_kind("attention").op(numbers, BF16)


def test_a_token_reads_one_latent_for_all_heads():
    """DeepSeek V3: 128 heads read 512 + 64 numbers of 2 bytes per position; 2 x 128 x (576 + 512) a pair."""
    op = attention(heads=128.0, kv_heads=1.0, keys=1000.0, head_dim=576.0, v_dim=512.0, latent=576.0)
    assert op.bytes.state == 1000 * 576 * 2
    assert op.useful == 1000 * 2 * 128 * (576 + 512)
    assert op.latent
    assert variants(op)[0][0][0] == "attention.generation.mla"


def test_a_prompt_beside_a_latent_is_a_kind_of_its_own():
    op = attention(
        heads=1.0,
        kv_heads=1.0,
        queries=64.0,
        keys=64.0,
        head_dim=192.0,
        v_dim=128.0,
        latent=576.0,
        causal=1.0,
    )
    assert variants(op)[0][0][:2] == ("attention.context.mla", "attention.context")


def test_values_are_as_wide_as_keys_unless_it_is_said():
    plain = attention(heads=8.0, keys=10.0, head_dim=64.0)
    assert (plain.v_dim, plain.width, plain.latent) == (64.0, None, False)
    assert attention(heads=8.0, keys=10.0).v_dim == 128.0
    assert variants(plain)[0][0][0] == "attention.generation.mha"
    one = op_kind("attention").checked({"heads": np.array([8.0]), "keys": np.array([9.0])})
    assert one["v_dim"] == 128.0


@pytest.mark.needs_plugins("stacks/trtllm-1.3-mla", "stacks/trtllm-1.3", "chips/h100-sxm")
def test_only_a_stack_with_figures_of_latents_covers_them():
    """The grouped heads of others run in another kernel beyond 32 heads per key head."""
    op = attention(
        heads=128.0, kv_heads=1.0, keys=1000.0, head_dim=576.0, v_dim=512.0, latent=576.0, batch=8.0
    )
    known = ib.installed()
    assert bool(known.stack("trtllm-1.3-mla").covers(op))
    assert not bool(known.stack("trtllm-1.3").covers(op))


@pytest.mark.needs_plugins("importers/csv")
def test_rows_of_latent_attention_are_read(tmp_path):
    file = tmp_path / "mla.csv"
    head = "chip,software,precision,kv_dtype,phase,op,batch,queries,input_len,num_heads,latency_s\n"
    rows = ("mla_generation,4,1,100,16", "mla_context,4,100,100,16", "mla_context,4,1,1,16")
    file.write_text(head + "".join(f"h100,S,bfloat16,fp8,op,{row},1e-4\n" for row in rows))
    token, prompt, lone = read_rows(str(file), ib.installed())
    assert (token.op, token.axes["kv_heads"], token.axes["head_dim"]) == ("attention", 1.0, 576.0)
    assert (prompt.axes["kv_heads"], prompt.axes["v_dim"], prompt.axes["queries"]) == (16.0, 128.0, 100.0)
    assert lone.op == "mla_context"
