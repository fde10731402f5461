"""Layers of experts that many chips share: what the busiest one gets, with copies and placement, by the rules
of the benchmark that measured them.

ai-dynamo/aiconfigurator (Apache-2.0) draws loads of experts, copies and places them, and times the chip with
most of the load alone. A row says of how many tokens that chip got at least one expert's share.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np

from inferbench.num import Array

__all__ = ["Spread", "fallen"]

DRAWS = 16
SEED = 7
# Draws that count where a row says how many tokens came: those nearest to it.
NEAREST = 4


@attrs.frozen
class Spread:
    """A layer of experts on several chips.

    Attributes:
        tokens: Of all chips together.
        chosen: Experts per token.
        experts, slots: Experts, and places for them; where there are more, experts that get much have copies.
        chips: That share the places.
        power: Exponent of the loads' density; 0: all experts get the same.
        evened: Whether places were dealt to chips so that loads are alike.
    """

    tokens: int
    chosen: int
    experts: int
    slots: int
    chips: int
    power: float = 0.0
    evened: bool = False


@lru_cache(maxsize=4096)
def fallen(layer: Spread, came: float = 0.0) -> tuple[float, float, float]:
    """Experts touched on the busiest chip, rows that they get, and tokens that the chip gets.

    A token of which several experts lie on the chip is one token and several rows. Medians of 16 draws; where
    `came` says how many tokens there were, of the four draws nearest to it, with that many.

    Args:
        layer: The layer.
        came: Tokens of the busiest chip as the row says it; 0: it doesn't.

    Example:
        Eight tokens to two of eight experts each, on two chips: 8 of 16 rows on either, and all four experts.
        Four experts of two rows each are two rows of every token, or one of each.

        >>> fallen(Spread(8, 2, 8, 8, 2))
        (4.0, 8.0, 8.0)
    """
    every = layer.tokens * layer.chosen
    if layer.power == 0.0:
        received = max(every / layer.chips, 1.0)
        return float(min(layer.slots // layer.chips, received)), received, min(received, float(layer.tokens))
    found = np.array([_busiest(layer, loads) for loads in _loads(layer)])
    if came > 0:
        found = found[np.argsort(np.abs(found[:, 2] - came), kind="stable")[:NEAREST]]
    touched, tokens = float(np.median(found[:, 0])), came or float(np.median(found[:, 2]))
    received = float(np.median(found[:, 1] / found[:, 2])) * tokens
    return min(touched, received), received, tokens


def _loads(layer: Spread) -> Array:
    """Rows of every expert, of shape (draws, experts): from the density x^-power between 1 and 0.8 tokens
    (0.01 and 2 where there are fewer rows than experts), scaled to the sum and rounded; an expert has at most
    one row of a token.
    """
    every, bound = layer.tokens * layer.chosen, layer.tokens
    low, high = (1.0, max(0.8 * bound, 1.0 + 1e-9)) if every > layer.experts else (0.01, 2.0)
    uniform = np.random.default_rng(SEED).random((DRAWS, layer.experts))
    end = 1.0 - layer.power if layer.power != 1.0 else 1e-9
    wanted = ((high**end - low**end) * uniform + low**end) ** (1.0 / end)
    rounded = np.rint(wanted / wanted.sum(axis=1, keepdims=True) * every)
    counts: Array = np.minimum(rounded, bound)
    for one in counts:
        _settle(one, every, bound)
    return counts


def _settle(counts: Array, every: int, bound: int) -> None:
    """Change counts by one at a time until they sum up: more for the least loaded, less for the most loaded.

    Of experts that are loaded alike, neighbours come one after the other. So a few tokens fall to experts of
    one chip, as they did in the measurements.
    """
    short = int(every - counts.sum())
    step = 1 if short > 0 else -1
    for _ in range(abs(short)):
        counts[counts.argmin() if step > 0 else counts.argmax()] += step


def _busiest(layer: Spread, loads: Array) -> tuple[float, float, float]:
    """Experts touched, rows and tokens of the chip that has most rows."""
    if layer.evened:
        rows, chip = _dealt(layer, loads)
    else:
        rows, chip = loads, np.repeat(np.arange(layer.chips), layer.experts // layer.chips)
    sums = np.bincount(chip, weights=rows, minlength=layer.chips)
    mine = chip == sums.argmax()
    return float((rows[mine] > 0).sum()), float(sums.max()), _reached(rows, mine, layer.tokens)


def _dealt(layer: Spread, loads: Array) -> tuple[Array, Array]:
    """Rows of every place and the chip that it is on: a copy more for whom has most rows per copy, and the
    fullest place first to the emptiest chip that has one free.
    """
    copies = np.ones(layer.experts)
    for _ in range(layer.slots - layer.experts):
        copies[np.argmax(loads / copies)] += 1
    each = np.repeat(loads / copies, copies.astype(int))
    free, sums = np.full(layer.chips, layer.slots // layer.chips), np.zeros(layer.chips)
    chip = np.zeros(layer.slots, dtype=int)
    for place in np.argsort(-each, kind="stable"):
        chip[place] = np.where(free > 0, sums, np.inf).argmin()
        sums[chip[place]] += each[place]
        free[chip[place]] -= 1
    # Rows that copies share unevenly: places of the fullest chip come first where parts are alike.
    whole, later = np.floor(each), chip != sums.argmax()
    more = int(layer.tokens * layer.chosen - whole.sum())
    whole[np.lexsort((later, np.round(whole - each, 9)))[: max(more, 0)]] += 1
    return whole, chip


def _reached(rows: Array, mine: Array, tokens: int) -> float:
    """Tokens that have a row on the chip, where places take the tokens one after the other, round and round,
    the fullest place first.
    """
    order = np.argsort(-rows, kind="stable")
    ends = np.cumsum(rows[order]).astype(int)
    line = np.zeros(tokens + 1)
    for end, count in zip(ends[mine[order]], rows[order][mine[order]].astype(int), strict=True):
        if count >= tokens:
            return float(tokens)
        if count > 0:
            first, last = (end - count) % tokens, (end - 1) % tokens + 1
            np.add.at(line, [first, last], [1.0, -1.0])
            line[0] += first >= last
    return float((np.cumsum(line[:-1]) > 0).sum())
