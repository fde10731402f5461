"""A decode step with a chunk of a prompt in it, as a workload of its own.

Such a step is a graph like any other: the products with weights see the rows of both, attention is that of
both, and the road from graph to seconds is the usual one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import numpy as np

from inferbench.num import Numeric
from inferbench.records.attention import Attention
from inferbench.records.grid import Point
from inferbench.records.interfaces import NoParams, Phase, Workload
from inferbench.records.network import Network
from inferbench.records.op import Op

__all__ = ["Mixed"]


@attrs.frozen(eq=False)
class Mixed(Workload):
    """A decode step with a chunk of a prompt in it; asked like a decode phase.

    Attributes:
        inner: The network's own workload.
        prompt: Tokens of the whole prompt.
        chunk: Tokens of a chunk.
        chunking: The workload's options for chunks of this size.
    """

    name: ClassVar[str] = "mixed"
    title: ClassVar[str] = "decoding sequences and a chunk of a prompt"
    params: ClassVar[type] = NoParams
    phases: ClassVar[tuple[Phase, ...]] = ()

    inner: Workload
    prompt: float
    chunk: float
    chunking: Numeric

    def graph(self, network: Network, at: Point, phase: str, options: Any) -> Iterator[Op]:
        """Yield the operators: weights once for the rows of both, attention of each, logits of the decoding
        ones.
        """
        alone = tuple(self.inner.graph(network, at, phase, options))
        rows = at["batch"] + self.chunk * at.coordinates.get("ranks", 1.0)
        together = self.inner.graph(network, at.replace(batch=rows), phase, options)
        for op, joint in zip(alone, together, strict=True):
            own = isinstance(op, Attention) or op.unit == "head"
            yield op if own else joint
        names = {op.name for op in alone}
        times = np.ceil(self.prompt / self.chunk)
        one = at.replace(batch=np.ones_like(at["batch"]), context=np.asarray(self.prompt))
        reads = self.inner.of_role("prompt")
        assert reads is not None
        for op in self.inner.graph(network, one, reads.name, self.chunking):
            if isinstance(op, Attention):
                yield attrs.evolve(op, name=f"chunk.{op.name}", repeat=op.repeat / times)
            elif op.name not in names:
                yield attrs.evolve(op, name=f"chunk.{op.name}", repeat=op.repeat / times, copies=0.0)

    def eager(self, network: Network, at: Point, phase: str, options: Any) -> Numeric:
        """All of it: the prompt's chunk has a shape of its own."""
        return self.passes(network, at, phase, options)

    def items(self, network: Network, at: Point, phase: str) -> Numeric:
        """New tokens of the decoding sequences."""
        return self.inner.items(network, at, phase)

    def layers(self, network: Network) -> int:
        """Layers that pipeline stages may divide."""
        return self.inner.layers(network)
