"""Kernels of linear attention: how rows, networks and stacks say them."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.evidence.matching import read_rows
from inferbench.evidence.operators import regime
from inferbench.records.kinds import op_kind
from inferbench.records.precision import Precision
from inferbench.records.variants import variants

pytestmark = pytest.mark.needs_plugins("workloads/layered")
BF16 = Precision.of(["bf16"])
HEAD = (
    "chip,software,kernel,stage,phase,op,batch,queries,k_heads,k_dim,v_heads,v_dim,state_dim,num_heads,"
    "head_dim,groups,latency_s\n"
)


def operator(kind, words=None, **numbers):
    return op_kind(kind).op(numbers, BF16, words)


def names(op):
    ((found, mask),) = variants(op)
    assert mask is True
    return found


def test_a_prompt_and_a_step_of_a_rule_are_kernels_of_their_own():
    prompt = operator("recurrence", {"rule": "delta"}, heads=32.0, tokens=100.0)
    assert names(prompt) == ("recurrence.context.delta", "recurrence.context", "recurrence")
    step = operator("recurrence", {"rule": "kda"}, heads=32.0)
    assert names(step) == ("recurrence.generation.kda", "recurrence.generation", "recurrence")
    assert names(operator("recurrence", heads=32.0)) == ("recurrence.generation", "recurrence")


def test_a_short_convolution_reads_and_writes_its_channels_and_three_positions():
    """Two sequences of 100 positions, 64 channels, 4 taps, in 16 bits."""
    op = operator("convolution", batch=2.0, tokens=100.0, channels=64.0)
    assert op.bytes.inputs == op.bytes.outputs == 2 * 100 * 64 * 2
    assert op.bytes.state == 2 * (2 * 64 * 3 * 2)  # in and out
    assert op.bytes.weights == 64 * 4 * 2
    wanted = ("elementwise.convolution.context", "elementwise.convolution", "elementwise")
    assert names(op) == wanted
    assert names(operator("convolution", channels=64.0))[0] == "elementwise.convolution.generation"


def test_a_misspelt_rule_is_refused(tmp_path):
    file = tmp_path / "s.toml"
    text = 'title = "S"\n[time]\nmodel = "roofline"\n[time.launch]\n"recurrence.contex.delta" = "1 us"\n'
    file.write_text(text)
    with pytest.raises(ib.InferBenchError, match=r"did you mean 'context\.delta'"):
        ib.installed().stack(str(file))


@pytest.mark.needs_plugins("importers/csv")
def test_rows_of_linear_attention_are_read(tmp_path):
    """A state of 16 bits under the gated rule; convolved are the channels of its keys."""
    file = tmp_path / "linear.csv"
    delta, mamba = "16,128,64,128,,,,,1e-4", ",,,,128,64,32,8,1e-4"
    rows = (
        f"chunk_gated_delta_rule,context,op,gdn,4,100,{delta}",
        f"chunk_gated_delta_rule,context,op,gdn,4,1,{delta}",
        f"causal_conv1d_fn,context,op,gdn,4,100,{delta}",
        f"causal_conv1d_update,generation,op,mamba2,4,1,{mamba}",
    )
    file.write_text(HEAD + "".join(f"h100,S,{row}\n" for row in rows))
    scan, lone, convolved, updated = read_rows(str(file), ib.installed())
    assert regime(scan) == "recurrence.context.delta"
    assert (scan.precision, scan.axes["heads"], scan.axes["element_bytes"]) == ("bf16", 64.0, 2.0)
    assert lone.op == "gdn"  # a prompt of one token runs in the prompts' kernel
    assert (convolved.op, convolved.axes["channels"]) == ("convolution", 16 * 128)
    assert regime(updated) == "elementwise.convolution.generation"
    assert updated.axes["channels"] == 32 * 64 + 2 * 8 * 128


@pytest.mark.needs_plugins("stacks/trtllm-1.3-linear", "networks/qwen3-next-80b", "networks/nemotron-h-56b")
def test_a_stack_of_gated_delta_nets_covers_no_mamba():
    known = ib.installed()
    stack = known.stack("trtllm-1.3-linear")
    workload = known.workload("layered")
    at = ib.Grid.of({"batch": [16.0], "context": [1024.0]}, ["bf16"]).at

    def covered(network):
        graph = workload.graph(known.network(network), at, "decode", workload.options())
        return {op.kind: bool(np.all(stack.covers(op))) for op in graph if op.kind == "recurrence"}

    assert covered("qwen3-next-80b") == {"recurrence": True}
    assert covered("nemotron-h-56b") == {"recurrence": False}


@pytest.mark.needs_plugins("stacks/trtllm-1.3-linear", "stacks/trtllm-1.3-b200-linear", "chips/b200")
@pytest.mark.parametrize(
    ("chip", "stack", "published"),
    [("h100-sxm", "trtllm-1.3-linear", 1096e-6), ("b200", "trtllm-1.3-b200-linear", 540.2e-6)],
)
def test_a_step_of_512_states_takes_what_nvidia_measured(chip, stack, published):
    """64 heads of 128 x 128, gated delta rule; ai-dynamo/aiconfigurator, TensorRT-LLM 1.3.0rc20."""
    from inferbench.calibration.operators import cost

    known = ib.installed()
    op = operator("recurrence", {"rule": "delta"}, heads=64.0, batch=512.0)
    found, formats = cost(op, known.chip(chip), known)
    assert float(np.ravel(known.stack(stack).time(found, op, formats))[0]) == pytest.approx(
        published, rel=0.05
    )
