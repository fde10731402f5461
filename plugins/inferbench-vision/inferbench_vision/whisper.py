"""Whisper: a convolutional front, an encoder of 30-second windows, a decoder of text (Radford et al.
2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

import inferbench as ib
from inferbench_vision.builder import OpBuilder, Options, axis, layer, perceptron
from inferbench_vision.config import read_whisper


@ib.frozen
class WhisperParams:
    """Hyper-parameters as in Hugging Face's `WhisperConfig`."""

    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_layers: int
    decoder_attention_heads: int
    decoder_ffn_dim: int
    num_mel_bins: int
    vocab_size: int
    max_source_positions: int = 1500
    max_target_positions: int = 448


class Whisper(ib.Workload):
    """Speech recognition.

    `encode` runs the encoder over a window of 30 s and projects its output to the keys and values that
    every decoder layer attends to, once. `decode` makes one token at position `context`. `transcribe` is a
    whole window: `encode`, then `tokens` decoding steps over a growing context.
    """

    name = "whisper"
    title = "Speech encoder-decoder"
    params = WhisperParams
    options = Options
    phases = (
        ib.Phase("transcribe", "latency_s", "window", {"batch": 1.0, "tokens": 128.0}),
        ib.Phase("encode", "ttft_s", "window", {"batch": 1.0}),
        ib.Phase("decode", "tpot_s", "token", {"batch": 1.0, "context": 128.0}),
    )

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Options) -> Iterator[ib.Op]:
        """Yield encoder, decoder or both."""
        net: WhisperParams = network.params
        builder, batch = OpBuilder(at.precision, options), axis(at, "batch", 1.0)
        if phase != "decode":
            yield from _front(builder, net, batch)
            yield from _encoder(builder, net, batch)
        if phase == "decode":
            yield from _decoder(builder, net, batch, axis(at, "context", 128.0))
        elif phase == "transcribe":
            steps = axis(at, "tokens", 128.0)
            # A step at position t attends to t keys; the mean over 1..n is (n + 1) / 2.
            yield from _decoder(attrs.evolve(builder, loops=steps), net, batch, (steps + 1) / 2)

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Windows, or tokens of one step."""
        return axis(at, "batch", 1.0)

    def warnings(self, network: ib.Network, at: Mapping[str, float], phase: str) -> Iterable[str]:
        """Yield a warning if the decoder has no position that far."""
        most = network.params.max_target_positions
        for name in ("context", "tokens"):
            if at.get(name, 0.0) > most:
                yield f"{name} {at[name]:g} is beyond the {most} positions of {network.name}"

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_whisper(config)


def _front(builder: OpBuilder, net: WhisperParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write two convolutions over time; the second halves the frames."""
    if not builder.options.embedding:
        return
    frames = (2.0 * net.max_source_positions, 1.0 * net.max_source_positions)
    for index, (width, channels) in enumerate(zip(frames, (net.num_mel_bins, net.d_model), strict=True)):
        mel = batch * frames[0] * channels * builder.precision.activations
        yield ib.Conv2d(
            name=f"front.conv{index + 1}",
            precision=builder.precision,
            unit="embedding",
            batch=batch,
            height=1.0,
            width=width,
            in_channels=float(channels),
            out_channels=float(net.d_model),
            kernel=(1, 3),
            stride=(1, index + 1),
            bias=True,
            graph_bytes=0.0 if index else mel,
        )
        yield from builder.on("front.").each(f"gelu{index + 1}", batch * width * net.d_model)
    rows = batch * net.max_source_positions * net.d_model
    yield from builder.on("front.").each(
        "positions", rows, reads=2.0, stored=net.max_source_positions * net.d_model
    )


def _encoder(builder: OpBuilder, net: WhisperParams, batch: ib.Numeric) -> Iterator[ib.Op]:
    """Write encoder layers (keys have no bias), and the keys and values of the decoder's cross attention."""
    width, source = net.d_model, float(net.max_source_positions)
    body = builder.on("encoder.", net.encoder_layers)
    yield from layer(
        body, batch, source, width, net.encoder_attention_heads, net.encoder_ffn_dim, key_bias=False
    )
    yield from builder.on("encoder.").each("norm", batch * source * width, stored=2 * width)
    cross = builder.on("cross.", net.decoder_layers)
    yield from cross.linear("kv", batch * source, width, 2 * width, bias=0.5)


def _decoder(
    builder: OpBuilder, net: WhisperParams, batch: ib.Numeric, context: ib.Numeric
) -> Iterator[ib.Op]:
    """Write one decoding step: lookup, causal and cross attention, perceptron, vocabulary (tied to the
    lookup).
    """
    width = net.d_model
    if builder.options.embedding:
        yield ib.Move(
            name="decoder.lookup",
            precision=builder.precision,
            repeat=builder.loops,
            copies=1.0,
            unit="embedding",
            split=("vocab",),
            elements=batch * width,
            stored=float(net.vocab_size * width),
        )
        spots = net.max_target_positions * width
        yield from builder.on("decoder.").each("positions", batch * width, reads=2.0, stored=spots)
    yield from _attentions(builder.on("decoder.", net.decoder_layers), net, batch, context)
    yield from perceptron(builder.on("decoder.", net.decoder_layers), batch, width, net.decoder_ffn_dim)
    yield from builder.on("decoder.").each("norm", batch * width, stored=2 * width)
    if builder.options.head:
        head = builder.on("head.", unit="head")
        out = batch * net.vocab_size * builder.precision.activations
        yield from head.linear(
            "vocabulary", batch, width, net.vocab_size, bias=0.0, split=("vocab",), tied=True, graph_bytes=out
        )


def _attentions(
    builder: OpBuilder, net: WhisperParams, batch: ib.Numeric, context: ib.Numeric
) -> Iterator[ib.Op]:
    """Write causal attention over the cache and cross attention over the encoder's output."""
    width, heads = net.d_model, net.decoder_attention_heads
    dim = width / heads
    yield from builder.each("norm1", batch * width, stored=2 * width)
    yield from builder.linear("qkv", batch, width, 3 * width, bias=2 / 3)
    yield from builder.attend("attention", batch, heads, 1.0, context, dim, cached=True)
    yield from builder.linear("out", batch, width, width, split=("k",))
    yield from builder.each("residual1", batch * width, reads=2.0)
    yield from builder.each("norm_cross", batch * width, stored=2 * width)
    yield from builder.linear("cross_q", batch, width, width)
    source = float(net.max_source_positions)
    yield from builder.attend("cross", batch, heads, 1.0, source, dim, cached=True)
    yield from builder.linear("cross_out", batch, width, width, split=("k",))
    yield from builder.each("residual_cross", batch * width, reads=2.0)
