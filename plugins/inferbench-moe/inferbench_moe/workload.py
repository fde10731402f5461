"""The `moe` workload: prefill, decode and generate of a mixture-of-experts network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from inferbench_llm import Layers, Transformer, sweeps

import inferbench as ib
from inferbench_moe.config import read_moe
from inferbench_moe.experts import ExpertGemm, ExpertLayers
from inferbench_moe.params import MoeOptions, MoeParams

__all__ = ["MixtureOfExperts", "active_parameters"]


class MixtureOfExperts(Transformer):
    """A decoder-only transformer with routed and shared experts.

    Example:
        >>> network = ib.installed().network("mixtral-8x7b")
        >>> point = ib.Grid.of({"batch": [1.0], "context": [2048.0]}, ["bf16"]).at
        >>> ops = MixtureOfExperts().graph(network, point, "decode", MoeOptions())
        >>> [op.name for op in ops if op.name.startswith("experts")]
        ['experts_up', 'experts_down']
    """

    name: ClassVar[str] = "moe"
    title: ClassVar[str] = "mixture-of-experts language model"
    params: ClassVar[type] = MoeParams
    options: ClassVar[type] = MoeOptions

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Any) -> Iterator[ib.Op]:
        """Yield the operators of one step: embedding, attention of all layers, dense and sparse layers,
        head.
        """
        params: MoeParams = network.params
        for sweep in sweeps(at, phase, options):
            layers = Layers(params, sweep, at.precision, options, network.precision, network.formats)
            yield from layers.embed()
            yield from layers.norms()
            yield from layers.attention()
            if params.first_k_dense_replace:
                yield from layers.mlp(float(params.first_k_dense_replace), params.intermediate_size, "dense_")
            yield from ExpertLayers(params, layers, options).ops()
            yield from layers.head()

    def remarks(self, network: ib.Network, options: Any, layouts: Sequence[ib.Layout]) -> Iterator[str]:
        """Say how unevenly tokens fall on chips with experts of their own."""
        if any(layout.ep > 1 for layout in layouts):
            yield (
                f"the busiest chip's experts get {options.imbalance:g} times the mean's tokens"
                " (--option imbalance=…, docs/explanation/workloads/moe.md)"
            )

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a Hugging Face `config.json` of a mixture of experts into a `[network]` table, else None."""
        return read_moe(config)


def active_parameters(network: ib.Network) -> float:
    """Parameters that one token uses, counted as the network's publisher counts (`active_counts`).

    Of the routed experts those that a token goes to; everything else whole, the input embedding included or
    not.

    Example:
        >>> import inferbench
        >>> round(active_parameters(inferbench.installed().network("mixtral-8x7b")) / 1e9, 2)
        12.88
    """
    params: MoeParams = network.params
    point = ib.Grid.of({"batch": [1.0], "context": [1.0]}, ["bf16"]).at
    total: Any = 0.0
    for op in MixtureOfExperts().graph(network, point, "decode", MoeOptions()):
        if op.unit == "embedding" and params.active_counts == "no input embedding":
            continue
        used = op.chosen / op.experts if isinstance(op, ExpertGemm) else 1.0
        total = total + op.parameters * op.instances * used
    return float(np.squeeze(total))
