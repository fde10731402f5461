"""The `layered` workload: prefill, decode and generate of a network with layers of several kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
from inferbench_llm import Layers, Sweep, Transformer, context_warnings, sweeps
from inferbench_moe import ExpertGemm, MixtureOfExperts

import inferbench as ib
from inferbench_layered.params import LayeredOptions, LayeredParams
from inferbench_layered.read import read_layered

__all__ = ["Layered", "active_parameters"]


class Layered(Transformer):
    """A decoder whose layers are of several kinds, with an image encoder and a prediction module where it has
    them.

    Example:
        >>> import inferbench
        >>> network = inferbench.installed().network("qwen3-next-80b")                    # doctest: +SKIP
        >>> [op.name for op in Layered().graph(network, at, "decode", LayeredOptions())]  # doctest: +SKIP
        ['embed', 'norm', 'full.qkv', 'full.qk_norm', 'full.attention', 'full.gate', 'full.o', 'linear.qkv',
        …]
    """

    name: ClassVar[str] = "layered"
    title: ClassVar[str] = "language model with layers of several kinds"
    params: ClassVar[type] = LayeredParams
    options: ClassVar[type] = LayeredOptions

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Any) -> Iterator[ib.Op]:
        """Yield the operators of one step: images, embedding, blocks (`repeat`), head; per sweep."""
        params: LayeredParams = network.params
        trunk = params.trunk
        for sweep in sweeps(at, phase, options):
            build = Layers(trunk, sweep, at.precision, options, network.precision, network.formats)
            if params.vision and sweep.weights:
                images = 0.0 if sweep.decoding else options.images
                yield from params.vision.ops(build.of("vision").precision, sweep.batch, images)
            yield from build.embed()
            yield from _stream(params, build)
            yield from _blocks(params, build, list(params.blocks))
            yield from build.head()
            if params.prediction and options.mtp and not sweep.prefix.endswith("draft."):
                yield from _prediction(params, build)

    def warnings(self, network: ib.Network, at: Mapping[str, float], phase: str) -> Iterable[str]:
        """Yield a line for a context beyond the network's maximum."""
        return context_warnings(network.params.trunk, at, phase)

    def remarks(self, network: ib.Network, options: Any, layouts: Sequence[ib.Layout]) -> Iterable[str]:
        """Say how unevenly tokens fall on chips with experts of their own."""
        return MixtureOfExperts().remarks(network, options, layouts) if network.params.experts else ()

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a Hugging Face `config.json` of a known family into a `[network]` table, else None."""
        return read_layered(config)


def _blocks(
    params: LayeredParams, build: Layers, names: Iterable[str], layers: float = 0.0
) -> Iterator[ib.Op]:
    """Yield the operators of some blocks; `layers` overrides how many layers have them."""
    for name in names:
        block = params.blocks[name]
        if layers:
            block = block.resized(layers)
        named = attrs.evolve(build.sweep, prefix=f"{build.sweep.prefix}{name}.")
        yield from block.ops(attrs.evolve(build.of(block.part), sweep=named))


def _stream(params: LayeredParams, build: Layers) -> Iterator[ib.Op]:
    """Yield what surrounds the blocks: norms with residual additions, mixing of streams, looking back."""
    blocks = params.blocks.values()
    places = sum(block.layers for block in blocks)
    norms = sum(block.layers * block.norms for block in blocks)
    if build.options.elementwise and norms:
        passes = (norms + places) / norms  # a norm reads and writes once, and so does an addition
        width = build.params.norm_width
        yield build.elementwise("norm", norms, params.hidden_size, width, reads=passes, writes=passes)
    count = params.streams
    if count > 1.0:
        mixing, wide = count * (2.0 + count), count * params.hidden_size
        yield build.gemm("streams_mix", places, mixing, wide, bias=mixing + 3.0)
        yield build.gemm("streams_out", 1.0, count, wide, bias=count + 1.0)
        if build.options.elementwise:
            # Collapse the streams to a block's input; then mix them and add its result.
            yield build.elementwise(
                "streams", places, wide, reads=2.0 + 1.0 / count, writes=1.0 + 1.0 / count
            )
    if params.lookback:
        yield build.gemm("look_back", places, 1.0, params.hidden_size, bias=build.params.norm_width)
        if build.options.elementwise:
            seen = 0.5 * (np.ceil(places / params.lookback) + 1.0)  # states that a block sees, the mean
            yield build.elementwise("look_back_sum", places, params.hidden_size, reads=float(seen))


def _prediction(params: LayeredParams, build: Layers) -> Iterator[ib.Op]:
    """Yield the prediction module: once per drafted token in decode, once over a prompt; its weights
    always.
    """
    assert params.prediction
    sweep, layers = build.sweep, params.prediction.layers
    drafts = build.options.draft / layers if sweep.decoding else 1.0
    times = attrs.evolve(
        sweep,
        rate=sweep.rate * drafts,
        drafted=0.0,
        head_times=sweep.head_times * drafts,
        prefix=sweep.prefix + "mtp.",
    )
    mine = attrs.evolve(build, sweep=times)
    hidden, width = params.hidden_size, build.params.norm_width
    yield mine.gemm("join", layers, hidden, 2.0 * hidden)
    if mine.options.elementwise:
        norms = layers * sum(params.blocks[name].norms for name in params.prediction.blocks)
        # Of the hidden state, of the embedding, and before the head.
        yield mine.elementwise("norm", norms + 3.0 * layers, hidden, width)
    yield from _blocks(params, mine, params.prediction.blocks, layers)
    if sweep.decoding:
        yield from _draft_head(mine, times)


def _draft_head(build: Layers, sweep: Sweep) -> Iterator[ib.Op]:
    """Yield the network's own head on the drafted token; its weights are counted where it is."""
    if build.options.lm_head:
        vocabulary, hidden = build.params.vocab_size, build.params.hidden_size
        yield ib.Gemm(
            name=sweep.prefix + "lm_head",
            precision=build.of("head").precision,
            repeat=sweep.executions,
            copies=0.0,
            unit="head",
            split=("vocab",),
            m=sweep.batch,
            n=vocabulary,
            k=hidden,
        )


def active_parameters(network: ib.Network) -> float:
    """Parameters that one token uses, counted as the network's publisher counts (`active_counts` of its
    experts).

    Of the routed experts those that a token goes to; the image encoder not at all; everything else whole, the
    input embedding included or not.

    Example:
        >>> import inferbench
        >>> network = inferbench.installed().network("qwen3-next-80b")  # doctest: +SKIP
        >>> round(active_parameters(network) / 1e9, 1)  # doctest: +SKIP
        3.9
    """
    params: LayeredParams = network.params
    plain = any(block.active_counts != "all" for block in params.experts.values())
    point = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16"]).at
    total: Any = 0.0
    for op in Layered().graph(network, point, "decode", LayeredOptions()):
        if op.name.startswith("vision.") or (op.unit == "embedding" and plain):
            continue
        used = op.chosen / op.experts if isinstance(op, ExpertGemm) else 1.0
        total = total + op.parameters * op.instances * used
    return float(np.squeeze(total))
