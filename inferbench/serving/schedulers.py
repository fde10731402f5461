"""How serving engines schedule by default, by family of software.

Policies and sizes are the engines' own defaults. vLLM (V1) and TensorRT-LLM put tokens of prompts into steps
of those who decode. vLLM's are taken 2,048 at a time: `max_num_batched_tokens` of small chips. On those of
70 GiB and more a server takes 8,192, and yet replays with 8,192 are worse (docs/results/serving.md).
TensorRT-LLM takes `max_num_tokens`: 8,192, but servers are told the length of the longest request
(SemiAnalysisAI/InferenceX, `benchmarks/70b_fp8_h200_trt_slurm.sh`: `--max_num_tokens $MAX_MODEL_LEN`).
ai-dynamo/aiconfigurator writes about the same, and adds the sequences, whose tokens count too. SGLang
processes prompts first, 8,192 tokens at a time (`chunked_prefill_size`), unless told to mix.

TensorRT-LLM lets a request in only when its answer has room to its end (`GUARANTEED_NO_EVICT`, the default of
its `SchedulerConfig`). vLLM and SGLang let it in when its prompt has room, and put the newest off where the
cache overflows. ATOM (`Scheduler.schedule`) tries prompts first, and decodes where none is ready.

optimum-neuron runs graphs of fixed shapes (`optimum/neuron/vllm/ARCHITECTURE_VLLM_SERVING.md`). A step of
tokens computes all sequences that it was compiled for, a prompt all positions (`pad_to_max_compiled_seq`).
Prompts go one by one, and those who decode have a step between. Its benchmarks compile 32 sequences of 4,096
positions.

What lies between a user and the scheduler is one pair of figures for all engines, fitted on times to first
tokens in closed loops: docs/results/serving.md has the rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from inferbench.records.stack import Stack
from inferbench.serving.engine import Rules

__all__ = ["ENTRY", "LAG", "compiles", "rules_of"]

# Seconds until a scheduler knows of a request, and steps by which tokens come later than they were made.
ENTRY, LAG = 0.03, 1.0
POLICIES: Mapping[str, str] = dict.fromkeys(("sglang", "atom", "optimum", "neuronx"), "interleaved")
CHUNKS: Mapping[str, float] = {"vllm": 2048.0}
CHUNK = 8192.0
# Engines whose chunks are as long as the longest request, where it is known, and that put nobody off.
WHOLE = ("trtllm", "tensorrt")
COMPILED: Mapping[str, tuple[float, float]] = dict.fromkeys(("optimum", "neuronx"), (32.0, 4096.0))
FAMILIES = (*POLICIES, *CHUNKS, *WHOLE)


def rules_of(
    stack: Stack,
    rules: Rules | None = None,
    policy: str = "",
    chunk: float | None = None,
    software: str = "",
    longest: float = 0.0,
) -> Rules:
    """Return the rules of a stack's engine; under a bound nothing lies between a user and the chip.

    Args:
        stack: The software.
        rules: Of what no engine has a default of its own here: blocks, sequences at most, waiting. What it
            says was compiled counts before the engine's default.
        policy, chunk: Asked for instead of the engine's.
        software: That really ran, where a stack of other software stands for it.
        longest: Tokens of the longest request with its answer; 0 where it is not known.

    Example:
        >>> import inferbench as ib
        >>> rules_of(ib.installed().stack("vllm-h100")).chunk
        2048.0
    """
    family = _family(stack, software)
    given = rules or Rules()
    compiled = given.compiled if any(given.compiled) else COMPILED.get(family, given.compiled)
    usual = longest if longest and family in WHOLE else CHUNKS.get(family, compiled[1] or CHUNK)
    found = attrs.evolve(
        given,
        policy=policy or POLICIES.get(family, "chunked"),
        chunk=chunk or usual,
        whole=family in WHOLE,
        compiled=compiled,
        most=min(given.most, compiled[0] or given.most),
        turns=family in COMPILED,
    )
    return found if stack.ideal else attrs.evolve(found, entry=ENTRY, lag=LAG)


def compiles(stack: Stack) -> bool:
    """Whether a stack's engine computes the batch that it was compiled for."""
    return _family(stack, "") in COMPILED


def _family(stack: Stack, software: str) -> str:
    return next((one for one in FAMILIES if software.lower().startswith(one)), stack.family)
