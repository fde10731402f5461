"""Hyper-parameters of a language model with layers of several kinds, and the options of its workloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs
from inferbench_llm import Size, TransformerParams
from inferbench_moe import MoeOptions

import inferbench as ib
from inferbench_layered.attention import Attention, Latent
from inferbench_layered.block import Block, check_whole
from inferbench_layered.compressed import Compressed
from inferbench_layered.feed import Dense, Experts
from inferbench_layered.recurrent import Delta, Mamba, SelectiveScan
from inferbench_layered.vision import Vision

__all__ = ["LayeredOptions", "LayeredParams", "Prediction"]

_KINDS = ("attention", "latent", "compressed", "delta", "mamba", "scan", "dense", "experts")


@attrs.frozen(kw_only=True)
class Prediction:
    """Multi-token prediction: one layer, run once per drafted token on the last hidden state and the last
    token.

    Source: DeepSeek-AI 2024, "DeepSeek-V3" (arXiv 2412.19437), section 2.2.

    Attributes:
        blocks: Names of the network's blocks that its layer is made of.
        layers: Layers of this kind, each with weights of its own.
    """

    blocks: tuple[str, ...]
    layers: ib.Count = 1.0


@attrs.frozen(kw_only=True)
class LayeredParams:
    """A decoder whose layers differ: each kind of part is a named block that says in how many layers it
    stands.

    The order of the layers changes no sum, and is not kept. Blocks of one layer may run side by side
    (attention and Mamba in Falcon-H1, a dense part and experts in Gemma 4).

    Attributes:
        hidden_size: Width of the residual stream.
        num_hidden_layers: Layers, of which pipeline stages take whole ones.
        vocab_size: Rows of the embedding and of the output head.
        tie_word_embeddings: The head reads the embedding's table.
        max_position_embeddings: Longest context it was made for; beyond it a warning.
        norm: `rms` has a scale per channel, `layer` a scale and a shift.
        attention, latent, compressed, delta, mamba, scan, dense, experts: Blocks by name, one table per kind.
        streams: Residual streams that each block mixes (hyper-connections of DeepSeek V4); 1: an ordinary
            one.
        lookback: Blocks between the states that every block may look back to (attention residuals of Kimi
            K3); 0: none.
        vision: The image encoder.
        prediction: The multi-token-prediction module.

    Example:
        >>> params = LayeredParams(hidden_size=64.0, num_hidden_layers=4.0, vocab_size=1000.0,
        ...     dense={"feed": Dense(layers=4.0, intermediate_size=128.0)},
        ...     attention={"full": Attention(layers=4.0, num_attention_heads=4.0, num_key_value_heads=2.0,
        ...     head_dim=16.0)})
        >>> sorted(params.blocks)
        ['feed', 'full']
    """

    hidden_size: ib.Count
    num_hidden_layers: ib.Count
    vocab_size: ib.Count
    tie_word_embeddings: bool = False
    max_position_embeddings: Size = 0.0
    norm: Literal["rms", "layer"] = "rms"
    attention: Mapping[str, Attention] = attrs.field(factory=dict)
    latent: Mapping[str, Latent] = attrs.field(factory=dict)
    compressed: Mapping[str, Compressed] = attrs.field(factory=dict)
    delta: Mapping[str, Delta] = attrs.field(factory=dict)
    mamba: Mapping[str, Mamba] = attrs.field(factory=dict)
    scan: Mapping[str, SelectiveScan] = attrs.field(factory=dict)
    dense: Mapping[str, Dense] = attrs.field(factory=dict)
    experts: Mapping[str, Experts] = attrs.field(factory=dict)
    streams: ib.Count = 1.0
    lookback: Size = 0.0
    vision: Vision | None = None
    prediction: Prediction | None = None

    def __attrs_post_init__(self) -> None:
        """Check what no single value shows.

        Raises:
            ValueError: No blocks, equal names, more layers than there are; the second line is the remedy.
        """
        check_whole(self)
        names = [name for _, name, _ in self._listed()]
        if not names:
            raise ValueError(
                "no block is given; at least one was expected\nadd one, like [network.attention.full]"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two blocks are called {twice[0]}; different names were expected\nrename one of them"
            )
        for kind, name, block in self._listed():
            if block.layers > self.num_hidden_layers:
                raise ValueError(
                    f"{kind}.{name}.layers is {block.layers:g}; at most num_hidden_layers, "
                    f"{self.num_hidden_layers:g}, was expected\ngive the layers that have this block"
                )
        for name in self.prediction.blocks if self.prediction else ():
            if name not in names:
                raise ValueError(
                    f"prediction.blocks names {name}, which is no block; {', '.join(names)} are\n"
                    "name the blocks that the layer is made of"
                )

    def _listed(self) -> Iterator[tuple[str, str, Block]]:
        for kind in _KINDS:
            for name, block in getattr(self, kind).items():
                yield kind, name, block

    @property
    def blocks(self) -> dict[str, Block]:
        """All blocks by name, token mixers before feed-forward parts."""
        return {name: block for _, name, block in self._listed()}

    @property
    def trunk(self) -> TransformerParams:
        """What embedding, norms and head need, as a dense network for its builder."""
        return TransformerParams(
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=1.0,
            num_key_value_heads=1.0,
            head_dim=1.0,
            intermediate_size=1.0,
            vocab_size=self.vocab_size,
            tie_word_embeddings=self.tie_word_embeddings,
            max_position_embeddings=self.max_position_embeddings,
            norm=self.norm,
        )


def _count(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1e4 or value % 1:
        raise ValueError(f"{attribute.name} is {value:g}; a whole number from 0 to 10,000 was expected")


def _format(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if value and value not in ib.FORMATS:
        raise ValueError(f"{attribute.name} is '{value}'; one of {', '.join(ib.FORMATS)} was expected")


@attrs.frozen(kw_only=True)
class LayeredOptions(MoeOptions):
    """Options of a language model with layers of several kinds.

    Attributes:
        images: Images per sequence, encoded in prefill; their tokens are part of `context`.
        mtp: The multi-token-prediction module is resident, and drafts the tokens of `draft`.
        state: Number format of recurrent states; empty: the network's.
    """

    images: float = attrs.field(default=0.0, validator=_count)
    mtp: bool = False
    state: str = attrs.field(default="", validator=_format)

    def __attrs_post_init__(self) -> None:
        """Check what no single value shows.

        Raises:
            ValueError: A module that drafts nothing; the second line is the remedy.
        """
        super().__attrs_post_init__()
        if self.mtp and not self.draft:
            raise ValueError(
                "mtp is given without draft; the tokens that it drafts per step were expected\n"
                "add draft, or leave mtp out"
            )
