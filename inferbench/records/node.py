"""`Node`: what a server adds to its chips: fixed watts, conversion, host and links."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from inferbench.num import Numeric
from inferbench.records.facts import Fact, Source
from inferbench.records.immutable import frozen
from inferbench.units import Deviation, Factor, Fraction, Watts

__all__ = ["Node", "NodeFile"]

NAN = math.nan


@frozen(kw_only=True)
class Node:
    """A server or a rack as it is sold, seen from the wall: `wall = fixed + factor x watts of its boards`.

    .. versionadded:: 0.1

    Attributes:
        name: The spec's file stem.
        title: How screens write it.
        vendor: Who sells it.
        chips_per_node: Chips of one node; None for a class of nodes, whose fixed watts are a share of the
            chips' limit.
        fixed: Watts of one node at no draw of its boards: fans, switches, processors.
        fixed_of_tdp: The same as a share of the power limit of all its chips, where `fixed` is not known.
        factor: Watts at the wall per watt at the boundary of its chips' specs: conversion, fans that follow
            the load, and the rest of the board where the specs speak of bare chips.
        log_error: Log standard error of the wall's watts at given watts of the boards.
        host: Its processors.
        link: How its chips are joined, and what leaves it.

    Example:
        Eight boards of 500 W in a server of 1.7 kW and a factor of 1.1: 6.1 kW.

        >>> node = Node(name="n", title="N", chips_per_node=8, fixed=1700.0, factor=1.1)
        >>> node.wall(4000.0, chips=8, limit=math.nan)
        6100.0
    """

    name: str
    title: str
    vendor: str = ""
    chips_per_node: int | None = None
    fixed: float = NAN
    fixed_of_tdp: float = NAN
    factor: float = 1.0
    log_error: float = NAN
    host: str = ""
    link: str = ""
    facts: Mapping[str, Fact] = attrs.field(factory=dict, eq=False)
    note: str = ""
    origin: str = ""

    def fixed_watts(self, chips: int, limit: float) -> float:
        """Fixed watts that so many chips carry; of a part of a node, its part.

        Args:
            chips: How many.
            limit: Watts at most of one chip; read only where the node states a share.
        """
        if self.chips_per_node and not math.isnan(self.fixed):
            return self.fixed * chips / self.chips_per_node
        return self.fixed_of_tdp * limit * chips

    def wall(self, watts: Numeric, chips: int, limit: float) -> Numeric:
        """Watts at the wall.

        Args:
            watts: Of all boards together, broadcastable.
            chips: How many they are.
            limit: Watts at most of one chip; read only where the node states a share.
        """
        return self.fixed_watts(chips, limit) + self.factor * watts


@frozen(kw_only=True)
class NodeFile:
    """The layout of a node's TOML, in a folder `systems`."""

    title: str
    vendor: str = ""
    note: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    chips_per_node: int | None = None
    fixed: Watts = NAN
    fixed_of_tdp: Fraction = NAN
    factor: Factor
    log_error: Deviation = NAN
    host: str = ""
    link: str = ""

    def __attrs_post_init__(self) -> None:
        if math.isnan(self.fixed) and math.isnan(self.fixed_of_tdp):
            raise ValueError(
                'neither `fixed` nor `fixed_of_tdp` is given\nwrite fixed = "1.7 kW", or fixed_of_tdp = 0.3'
            )
        if not math.isnan(self.fixed) and self.chips_per_node is None:
            raise ValueError("fixed watts are of a node of so many chips\nwrite chips_per_node = 8")
