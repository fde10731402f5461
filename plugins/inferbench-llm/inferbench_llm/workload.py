"""The `transformer` workload: prefill, decode and generate of a dense network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs

import inferbench as ib
from inferbench_llm.config import read_dense
from inferbench_llm.layers import Layers
from inferbench_llm.params import Options, TransformerParams
from inferbench_llm.sweep import Sweep

__all__ = ["PHASES", "Transformer", "context_warnings", "items", "passes", "sweeps"]

PHASES = (
    ib.Phase("decode", "tpot_s", "token", {"batch": 1.0, "context": 2048.0}, role="token"),
    ib.Phase(
        "prefill",
        "ttft_s",
        "token",
        {"batch": 1.0, "context": 2048.0},
        role="prompt",
        waiting="a first token waits for other requests' prompts and steps",
    ),
    ib.Phase(
        "generate",
        "latency_s",
        "token",
        {"batch": 1.0, "context": 2048.0, "output": 128.0},
        waiting="a request waits for others' prompts and steps",
    ),
)
_DEFAULTS = {phase.name: phase.axes for phase in PHASES}


def _axis(at: ib.Point, phase: str, name: str) -> ib.Numeric:
    return at.coordinates.get(name, _DEFAULTS[phase][name])


def _prompt(batch: ib.Numeric, length: ib.Numeric, options: Options, history: ib.Numeric = 0.0) -> Sweep:
    """Tokens of a prompt that are not cached already, whole or in chunks; the last one's logits or all.

    Args:
        batch: Sequences.
        length: New tokens, and of the first turn's those that are cached as well.
        options: With what is cached.
        history: Positions of earlier turns.
    """
    if options.prefix_hit and _nothing(history):
        fresh = ib.maximum(length * (1.0 - options.prefix_hit), 1.0)
    elif options.cached and _nothing(history):
        fresh = ib.maximum(length - options.cached, 1.0)
    else:
        fresh = length
    chunks = ib.ceil_div(fresh, options.chunk) if options.chunk else 1.0
    known = options.prefix_hit or options.cached
    return Sweep(
        batch=batch,
        start=history + length - fresh if known else history,
        tokens=fresh / chunks if options.chunk else fresh,
        times=chunks,
        causal=options.causal,
        logits=fresh if options.lm_head_all else 1.0,
        decoding=False,
    )


def _nothing(history: ib.Numeric) -> bool:
    """Whether it is a conversation's first turn."""
    return isinstance(history, float) and history == 0.0


def _tokens(batch: ib.Numeric, start: ib.Numeric, times: ib.Numeric, options: Options) -> Iterator[Sweep]:
    """One new token per sequence, `times` in a row; under speculation a verifying sweep and what drafting
    costs.
    """
    plain = Sweep(batch=batch, start=start, tokens=1.0, times=times, head_times=times)
    if not options.draft:
        yield plain
        return
    rate = 1.0 / options.accepted
    yield attrs.evolve(
        plain, drafted=options.draft, rate=rate, head_times=times * rate, logits=1.0 + options.draft
    )
    if options.draft_cost:
        effort = options.draft * options.draft_cost * rate
        yield attrs.evolve(
            plain, rate=effort, head_times=times * effort, weights=False, cache=False, prefix="draft."
        )


def sweeps(at: ib.Point, phase: str, options: Options) -> Iterator[Sweep]:
    """Yield what goes through the layers in one step of a phase.

    A generation is the prompt and then `output` single tokens, token t attending to `context + t`
    positions; the cost is linear in that, so the mean over the tokens is exact. Weights and cache are
    resident once.
    """
    batch, context = _axis(at, phase, "batch"), _axis(at, phase, "context")
    if options.turns > 1.0 and phase != "generate":
        raise ib.InferBenchError.at(
            "--option turns",
            f"{options.turns:g} turns were asked for in {phase}; a conversation is a generation",
            "use the phase generate, or cached for the positions of earlier turns",
        )
    if phase == "prefill":
        yield _prompt(batch, context, options)
    elif phase == "decode":
        yield from _tokens(batch, context - 1.0, 1.0, options)
    else:
        yield from _conversation(batch, context, _axis(at, phase, "output"), options)


def _conversation(
    batch: ib.Numeric, context: ib.Numeric, output: ib.Numeric, options: Options
) -> Iterator[Sweep]:
    """Yield prompt and tokens of every turn, each for its share of the mean turn.

    Weights are resident in the first sweep, the cache in the last turn's tokens.
    """
    turns = int(options.turns)
    for turn in range(turns):
        history = turn * (context + output) if turn else 0.0
        name = f"turn{turn + 1}." if turns > 1 else ""
        prompt = attrs.evolve(_prompt(batch, context, options, history), weights=turn == 0, cache=False)
        yield _shared(attrs.evolve(prompt, prefix=f"{name}prefill."), turns)
        for sweep in _tokens(batch, history + context, output, options):
            last = sweep.cache and turn == turns - 1
            prefix = name + (sweep.prefix or "decode.")
            yield _shared(attrs.evolve(sweep, weights=False, cache=last, prefix=prefix), turns)


def _shared(sweep: Sweep, turns: int) -> Sweep:
    """Return a sweep's share of the mean of so many turns."""
    if turns == 1:
        return sweep
    return attrs.evolve(sweep, rate=sweep.rate / turns, head_times=sweep.head_times / turns)


def items(at: ib.Point, phase: str) -> ib.Numeric:
    """Tokens that a step yields: processed by prefill, new ones else."""
    batch = _axis(at, phase, "batch")
    if phase == "decode":
        return batch
    return batch * _axis(at, phase, "context" if phase == "prefill" else "output")


def passes(at: ib.Point, phase: str, options: Options) -> ib.Numeric:
    """Return how often the network is started in a step: chunks of a prompt, tokens generated; drafting is
    another's.
    """
    total: ib.Numeric = 0.0
    for sweep in sweeps(at, phase, options):
        total = total + (0.0 if sweep.prefix.endswith("draft.") else sweep.executions)
    return total


def context_warnings(params: TransformerParams, at: Mapping[str, float], phase: str) -> Iterator[str]:
    """Yield a line if the context is longer than the network was made for."""
    defaults = _DEFAULTS[phase]
    longest = at.get("context", defaults["context"])
    longest += at.get("output", defaults["output"]) if phase == "generate" else 0.0
    if params.max_position_embeddings and longest > params.max_position_embeddings:
        yield (
            f"context {longest:,.0f} is beyond the network's maximum of {params.max_position_embeddings:,.0f}"
        )


class Transformer(ib.Workload):
    """A dense decoder-only transformer.

    Example:
        >>> network = ib.installed().network("llama3-70b")
        >>> point = ib.Grid.of({"batch": [1.0], "context": [2048.0]}, ["bf16"]).at
        >>> [op.name for op in Transformer().graph(network, point, "decode", Options())]
        ['embed', 'norm', 'qkv', 'attention', 'o', 'gate_up', 'activation', 'down', 'final_norm', 'lm_head']
    """

    name: ClassVar[str] = "transformer"
    title: ClassVar[str] = "dense language model"
    params: ClassVar[type] = TransformerParams
    options: ClassVar[type] = Options
    phases: ClassVar[tuple[ib.Phase, ...]] = PHASES

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Any) -> Iterator[ib.Op]:
        """Yield the operators of one step: embedding, all layers (`repeat`), head; per sweep."""
        params: TransformerParams = network.params
        for sweep in sweeps(at, phase, options):
            layers = Layers(params, sweep, at.precision, options, network.precision, network.formats)
            yield from layers.embed()
            yield from layers.norms()
            yield from layers.attention()
            yield from layers.mlp(float(params.num_hidden_layers), params.intermediate_size)
            yield from layers.head()

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Tokens: `batch` in decode, `batch x context` in prefill, `batch x output` in generate."""
        return items(at, phase)

    def passes(self, network: ib.Network, at: ib.Point, phase: str, options: Any) -> ib.Numeric:
        """One, per chunk of a prompt or token generated."""
        return passes(at, phase, options)

    def eager(self, network: ib.Network, at: ib.Point, phase: str, options: Any) -> ib.Numeric:
        """Chunks of the prompt."""
        return 0.0 if phase == "decode" else passes(at, "prefill", options)

    def layers(self, network: ib.Network) -> int:
        """Layers that pipeline stages may divide."""
        return int(network.params.num_hidden_layers)

    def warnings(self, network: ib.Network, at: Mapping[str, float], phase: str) -> Iterable[str]:
        """Yield a line for a context beyond the network's maximum."""
        return context_warnings(network.params, at, phase)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a Hugging Face `config.json` of a dense transformer into a `[network]` table, else None."""
        return read_dense(config)
