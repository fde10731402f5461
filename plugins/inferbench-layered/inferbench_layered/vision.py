"""The image encoder of a vision-language model: a transformer over patches, and its projections to the text's
width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs
from inferbench_llm import Size

import inferbench as ib
from inferbench_layered.block import check_whole

__all__ = ["Projection", "Vision"]


@attrs.frozen(kw_only=True)
class Projection:
    """One product behind the encoder.

    Attributes:
        inputs, outputs: Its widths.
        rows: Once per `token` handed to the language model, or once per `patch`.
        count: Projections of this shape, each with weights of its own.
        bias: Whether it has one.
        norm: Elements of norms that go with it, all `count` together.
    """

    inputs: ib.Count
    outputs: ib.Count
    rows: Literal["token", "patch"] = "token"
    count: ib.Count = 1.0
    bias: bool = False
    norm: Size = 0.0


@attrs.frozen(kw_only=True)
class Vision:
    """An image encoder.

    Attributes:
        layers, hidden_size, num_attention_heads, intermediate_size: Of its transformer.
        gated_mlp: Three matrices in its feed-forward part instead of two.
        bias: Biases of all its matrices.
        patch_bias: Whether the product of the patches has one too.
        norms_per_layer: 2, or 4 where results are normalised too.
        norm: `rms` has a scale per channel, `layer` a scale and a shift.
        qk_norm: Elements of the norms of queries and keys in a layer.
        patch_elements: Numbers of an image that make a patch.
        position_elements: Learned positions and other tables.
        patches: Patches of one image by default.
        window: Patches that attend to each other in layers with windows; 0: all of an image's.
        full_layers: Layers without windows, where there are windows.
        merge: Patches per token handed to the language model.
        projections: What turns patches into tokens.

    Example:
        1,024 patches, four to a token: an image is 256 tokens of the prompt.

        >>> Vision(layers=2.0, hidden_size=64.0, num_attention_heads=4.0, intermediate_size=128.0,
        ...     patch_elements=768.0, patches=1024.0, merge=4.0).tokens
        256.0
    """

    layers: ib.Count
    hidden_size: ib.Count
    num_attention_heads: ib.Count
    intermediate_size: ib.Count
    gated_mlp: bool = False
    bias: bool = False
    patch_bias: bool = True
    norms_per_layer: ib.Count = 2.0
    norm: Literal["rms", "layer"] = "layer"
    qk_norm: Size = 0.0
    patch_elements: ib.Count
    position_elements: Size = 0.0
    patches: ib.Count
    merge: ib.Count = 1.0
    window: Size = 0.0
    full_layers: Size = 0.0
    projections: Mapping[str, Projection] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_whole(self)

    @property
    def tokens(self) -> float:
        """Tokens of one image."""
        return self.patches / self.merge

    def ops(self, precision: ib.Precision, batch: ib.Numeric, images: float) -> Iterator[ib.Op]:
        """Yield the encoding of `images` images per sequence; with none, one operator that holds its weights.

        Args:
            precision: The precision axis.
            batch: Sequences.
            images: Images per sequence.
        """
        work = list(self._work(_Encoder(self, precision, batch * max(images, 1.0))))
        if images:
            yield from work
        else:
            stored = sum(float(op.parameters) * float(op.instances) for op in work)
            yield ib.Move(name="vision", precision=precision, unit="embedding", elements=0.0, stored=stored)

    def _work(self, build: _Encoder) -> Iterator[ib.Op]:
        yield build.gemm(
            "patches",
            1.0,
            self.hidden_size,
            self.patch_elements,
            bias=self.bias and self.patch_bias,
            stored=self.position_elements,
        )
        yield from build.layers()
        for name, projection in self.projections.items():
            yield build.projection(name, projection)


@attrs.frozen(eq=False)
class _Encoder:
    """Builds the encoder's operators for so many images."""

    vision: Vision
    precision: ib.Precision
    images: ib.Numeric

    def gemm(
        self,
        name: str,
        copies: float,
        n: float,
        k: float,
        *,
        tokens: bool = False,
        bias: bool | None = None,
        stored: float = 0.0,
        split: tuple[str, ...] = (),
    ) -> ib.Op:
        """Return a product of all patches, or of all tokens, with `copies` weight matrices, one after the
        other.
        """
        extra = n if (self.vision.bias if bias is None else bias) else 0.0
        rows = self.images * (self.vision.tokens if tokens else self.vision.patches)
        return ib.Gemm(
            name=f"vision.{name}",
            precision=self.precision,
            repeat=copies,
            copies=copies,
            unit="embedding",
            split=split,
            m=rows,
            n=n,
            k=k,
            bias=extra + stored / copies,
        )

    def projection(self, name: str, shape: Projection) -> ib.Op:
        """Return what turns patches into tokens."""
        return self.gemm(
            name,
            shape.count,
            shape.outputs,
            shape.inputs,
            tokens=shape.rows == "token",
            bias=shape.bias,
            stored=shape.norm,
        )

    def elementwise(self, name: str, copies: float, width: float, stored: float, reads: float = 1.0) -> ib.Op:
        """Return per-element work on every patch."""
        return ib.Elementwise(
            name=f"vision.{name}",
            precision=self.precision,
            repeat=copies,
            copies=copies,
            unit="embedding",
            elements=self.images * self.vision.patches * width,
            stored=stored,
            reads=reads,
        )

    def attention(self, name: str, copies: float, together: float) -> ib.Op:
        """Return attention of patches to each other, so many `together`."""
        heads = self.vision.num_attention_heads
        head = self.vision.hidden_size / heads
        return ib.Attention(
            name=f"vision.{name}",
            precision=self.precision,
            repeat=copies,
            copies=copies,
            unit="embedding",
            split=("heads",),
            batch=self.images * self.vision.patches / together,
            heads=heads,
            kv_heads=heads,
            queries=together,
            keys=together,
            pairs=together * together,
            qk_dim=head,
            v_dim=head,
            cached=False,
        )

    def layers(self) -> Iterator[ib.Op]:
        """Yield the transformer: an image's patches attend to each other."""
        v, layers, hidden = self.vision, self.vision.layers, self.vision.hidden_size
        scale = hidden * (2.0 if v.norm == "layer" else 1.0)
        yield self.elementwise("norm", v.norms_per_layer * layers, hidden, scale)
        yield self.gemm("qkv", layers, 3.0 * hidden, hidden, split=("n",), stored=v.qk_norm * layers)
        windowed = layers - v.full_layers if v.window else 0.0
        if layers > windowed:
            yield self.attention("attention", layers - windowed, v.patches)
        if windowed:
            yield self.attention("window_attention", windowed, min(v.window, v.patches))
        yield self.gemm("o", layers, hidden, hidden, split=("k",))
        inner = v.intermediate_size * (2.0 if v.gated_mlp else 1.0)
        yield self.gemm("up", layers, inner, hidden, split=("n",))
        yield self.elementwise("activation", layers, v.intermediate_size, 0.0, inner / v.intermediate_size)
        yield self.gemm("down", layers, hidden, v.intermediate_size, split=("k",))
