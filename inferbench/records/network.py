"""`Network`: the hyper-parameters of a published network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from inferbench.errors import raise_if
from inferbench.records.facts import Fact, Source
from inferbench.records.immutable import frozen
from inferbench.records.rules import broken
from inferbench.units import Count, Deviation

__all__ = ["Network", "Published"]


@frozen
class Published:
    """Figures its publisher states, which the operator graph must reproduce.

    Attributes:
        parameters: Total parameter count.
        active: Parameters used per token, by the publisher's own convention (`active_counts` says which).
        rounding: Relative half-width of the published figure's rounding ("70.6B" is 0.05/70.6).
    """

    parameters: Count = math.nan
    active: Count = math.nan
    rounding: Deviation = 0.005


@frozen(kw_only=True)
class Network:
    """Hyper-parameters, typed by the workload plugin that reads them.

    .. versionadded:: 0.1

    Attributes:
        name: The spec's file stem, or the path of a Hugging Face `config.json`.
        title: How screens write it.
        type: Name of the workload plugin that turns it into operators.
        params: Structured by that plugin's `params` class.
        precision: In which it is published, as one writes a precision; what a run takes that asks for none.
        formats: Part of the network to the format that its weights are published in, where that is another;
            holds where a run's precision is `precision`. The workload knows which parts there are.
        block_scales: Whether its fp8 checkpoint has a scale per block of weights, which runs in other kernels
            than one per tensor.
        unread: Parts that its config describes and its figures leave out, as the config names them.
        published: What the graph's totals are checked against.
    """

    name: str
    title: str
    type: str
    params: Any
    precision: str = ""
    formats: Mapping[str, str] = attrs.field(factory=dict)
    block_scales: bool = False
    unread: tuple[str, ...] = ()
    published: Published = Published()
    facts: Mapping[str, Fact] = attrs.field(factory=dict, eq=False)
    note: str = ""
    origin: str = ""

    def __attrs_post_init__(self) -> None:
        faults = [*broken(self)]
        if attrs.has(type(self.params)):
            faults += broken(self.params, "network")
        raise_if(attrs.evolve(fault, where=f"{self.name}: {fault.where}") for fault in faults)


@frozen(kw_only=True)
class NetworkFile:
    """The layout of a network's TOML; `[network]` is walked along the plugin's own class."""

    title: str
    note: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    precision: str = ""
    block_scales: bool = False
    formats: Mapping[str, str] = attrs.field(factory=dict)
    network: Mapping[str, Any]
    published: Published = Published()
