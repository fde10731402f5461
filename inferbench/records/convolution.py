"""Convolution as an operator kind of its own, which lowers to a product by implicit im2col."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import ClassVar

import attrs

from inferbench.num import Numeric
from inferbench.records.op import Bytes, Gemm, Op

__all__ = ["Conv2d", "GatheredGemm"]


@attrs.frozen(kw_only=True, slots=False, eq=False)
class GatheredGemm(Gemm):
    """A product whose streamed operand is gathered on the fly from a smaller tensor (implicit im2col).

    Attributes:
        read: Elements of the tensor that the streamed operand is gathered from; None: the operand itself.
    """

    read: Numeric | None = None

    @cached_property
    def bytes(self) -> Bytes:
        """The matrix and the result once, and the tensor once instead of its im2col copy."""
        plain = super().bytes
        if self.read is None:
            return plain
        return Bytes(
            weights=plain.weights, inputs=self.read * self.precision.activations, outputs=plain.outputs
        )


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Conv2d(Op):
    """A two-dimensional convolution; one dimension of 1 makes it one-dimensional.

    Attributes:
        batch: Images.
        height, width: Of the result, in positions.
        in_channels, out_channels: Channels.
        kernel: Height and width of the filter.
        stride: Positions of the input per position of the result, down and across.
        groups: Independent groups of channels; `in_channels` of them make it depth-wise.
        bias: Whether each output channel has one.

    Example:
        The stem of ResNet-50, 7 x 7 over 224 x 224 x 3 with stride 2: 118 million multiply-adds.

        >>> from inferbench import Precision
        >>> stem = Conv2d(name="stem", precision=Precision.of(["bf16"]), batch=1.0, height=112.0, width=112.0,
        ...               in_channels=3, out_channels=64, kernel=(7, 7), stride=(2, 2))
        >>> stem.useful / 2
        118013952.0
    """

    batch: Numeric
    height: Numeric
    width: Numeric
    in_channels: Numeric
    out_channels: Numeric
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    groups: Numeric = 1.0
    bias: bool = False

    divides: ClassVar[Mapping[str, tuple[str, ...]]] = {"n": ("out_channels",), "k": ("in_channels",)}

    @cached_property
    def taps(self) -> Numeric:
        """Multiply-adds per element of the result: channels of a group x filter positions."""
        return self.in_channels / self.groups * self.kernel[0] * self.kernel[1]

    @cached_property
    def useful(self) -> Numeric:
        """2 x results x taps."""
        return 2.0 * self.batch * self.height * self.width * self.out_channels * self.taps

    @cached_property
    def bytes(self) -> Bytes:
        """Input, filters and result once each."""
        act = self.precision.activations
        return Bytes(
            weights=self.out_channels * self.taps * self.precision.weights,
            inputs=self._read * act,
            outputs=self.batch * self.height * self.width * self.out_channels * act,
        )

    @cached_property
    def parameters(self) -> Numeric:
        """Filters and biases."""
        return self.out_channels * (self.taps + float(self.bias))

    @cached_property
    def _read(self) -> Numeric:
        """Elements of the input tensor that some filter position touches, without the padding."""
        down, across = (min(step, size) for step, size in zip(self.stride, self.kernel, strict=True))
        return self.batch * self.height * down * self.width * across * self.in_channels

    def lower(self) -> Iterator[Op]:
        """Yield the product of positions x taps by taps x output channels, per group."""
        yield GatheredGemm(
            name=self.name,
            precision=self.precision,
            unit=self.unit,
            m=self.batch * self.height * self.width,
            n=self.out_channels / self.groups,
            k=self.taps,
            count=self.groups,
            bias=self.out_channels / self.groups if self.bias else 0.0,
            read=self._read,
        )
