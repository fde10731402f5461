"""ResNet with bottleneck blocks: the convolution case (He et al. 2016, stride in the 3 x 3 filter)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import inferbench as ib
from inferbench_vision.builder import OpBuilder, Options, axis
from inferbench_vision.config import read_resnet


@ib.frozen
class ResNetParams:
    """Hyper-parameters as in Hugging Face's `ResNetConfig`; `reduction` is block width / inner width."""

    hidden_sizes: tuple[int, ...]
    depths: tuple[int, ...]
    embedding_size: int = 64
    reduction: int = 4
    num_channels: int = 3
    num_labels: ib.WholeOrNone = 1000


class ResNet(ib.Workload):
    """Classification of square images by convolutions: a stem, stages of bottleneck blocks, pooling, a
    classifier.

    Sides must be a multiple of 32, the reduction of the whole network. Tensor parallelism is not modelled:
    every chip of a group does all of it.
    """

    name = "resnet"
    title = "Residual convolution network"
    params = ResNetParams
    options = Options
    phases = (ib.Phase("forward", "latency_s", "image", {"batch": 1.0, "pixels": 224.0}),)

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Options) -> Iterator[ib.Op]:
        """Yield stem, stages, pooling and classifier."""
        net: ResNetParams = network.params
        halvings = len(net.depths) + 1
        why = f"{network.name} halves images {halvings} times, sides are multiples of {2**halvings}"
        pixels = axis(at, "pixels", 224.0)
        ib.plugin.whole_units("pixels", pixels, 2**halvings, why)
        builder, batch, side = OpBuilder(at.precision, options), axis(at, "batch", 1.0), pixels / 2
        yield from _stem(builder, net, batch, side)
        channels, side = net.embedding_size, side / 2
        for stage, (width, depth) in enumerate(zip(net.hidden_sizes, net.depths, strict=True)):
            first = 2 if stage else 1
            side = side / first
            yield from _block(
                builder.on(f"stage{stage + 1}.first."), batch, side, channels, width, net, first
            )
            rest = builder.on(f"stage{stage + 1}.", depth - 1)
            yield from _block(rest, batch, side, width, width, net, 0)
            channels = width
        yield ib.Reduce(
            name="pool", precision=at.precision, elements=batch * side**2 * channels, results=batch * channels
        )
        if options.head:
            out = batch * net.num_labels * at.precision.activations
            yield from builder.on("head.").linear(
                "classifier", batch, channels, net.num_labels, split=(), graph_bytes=out
            )

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Images."""
        return axis(at, "batch", 1.0)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_resnet(config)


def _stem(builder: OpBuilder, net: ResNetParams, batch: ib.Numeric, side: ib.Numeric) -> Iterator[ib.Op]:
    """Write the 7 x 7 convolution with stride 2, and a pooling with stride 2."""
    if not builder.options.embedding:
        return
    image = batch * 4 * side**2 * net.num_channels * builder.precision.activations
    yield from _conv(
        builder.on("stem."),
        "conv",
        batch,
        side,
        net.num_channels,
        net.embedding_size,
        7,
        2,
        graph_bytes=image,
    )
    size = batch * side**2 * net.embedding_size
    yield ib.Reduce(name="stem.pool", precision=builder.precision, elements=size, results=size / 4)


def _block(
    builder: OpBuilder,
    batch: ib.Numeric,
    side: ib.Numeric,
    channels: int,
    width: int,
    net: ResNetParams,
    stride: int,
) -> Iterator[ib.Op]:
    """Write bottleneck blocks: 1 x 1 down, 3 x 3, 1 x 1 up, residual; `stride` > 0 adds the projected
    shortcut.
    """
    if not builder.repeat:
        return
    inner, step = width // net.reduction, max(stride, 1)
    if stride:
        yield from _conv(builder, "shortcut", batch, side, channels, width, 1, step, relu=False)
    yield from _conv(builder, "down", batch, side * step, channels, inner, 1, 1)
    yield from _conv(builder, "spatial", batch, side, inner, inner, 3, step)
    yield from _conv(builder, "up", batch, side, inner, width, 1, 1, relu=False)
    yield from builder.each("residual", batch * side**2 * width, reads=2.0)
    yield from builder.each("relu", batch * side**2 * width)


def _conv(
    builder: OpBuilder,
    name: str,
    batch: ib.Numeric,
    side: ib.Numeric,
    channels: int,
    width: int,
    size: int,
    stride: int,
    relu: bool = True,
    graph_bytes: ib.Numeric = 0.0,
) -> Iterator[ib.Op]:
    """Write a convolution without bias, its normalisation and activation."""
    yield ib.Conv2d(
        name=builder.prefix + name,
        precision=builder.precision,
        repeat=builder.repeat,
        unit=builder.unit,
        batch=batch,
        height=side,
        width=side,
        in_channels=float(channels),
        out_channels=float(width),
        kernel=(size, size),
        stride=(stride, stride),
        graph_bytes=graph_bytes,
    )
    results = batch * side**2 * width
    yield from builder.each(f"{name}.norm", results, stored=2 * width)
    if relu:
        yield from builder.each(f"{name}.relu", results)
