"""Reasons as text for many points: every different sentence is written once, and points refer to it."""

from __future__ import annotations

import math

import numpy as np

from inferbench.num import Array, Column, Indices, Mask, numbered
from inferbench.records.placement import Reason
from inferbench.records.run import Run
from inferbench.space.texts import Text

__all__ = ["reasons"]

_TIE = 1e-6
_LEAST, _MOST = 1e-20, 1e30
_POWERS = 10.0 ** (2.0 - np.array([*range(31), *range(-21, 0)], dtype=np.float64))
"""What brings a number of decimal exponent i (negative ones count from the end) to three digits before the
point.
"""


def reasons(run: Run, feasible: Mask, codes: Text, texts: Text, rows: slice) -> None:
    """Write code and sentence of the first reason that holds at every infeasible point.

    Args:
        run: With its reasons.
        feasible: Per row.
        codes, texts: Columns to write to.
        rows: Where the run stands in them.
    """
    left = ~feasible
    into_codes, into_texts = codes.codes[rows], texts.codes[rows]
    for reason in run.reasons:
        here = np.flatnonzero(left & np.broadcast_to(reason.where, run.grid.shape).reshape(-1))
        if not len(here):
            continue
        into_codes[here] = codes.code(reason.code)
        into_texts[here] = _sentences(reason, run.grid.shape, here, texts)
        left[here] = False


def _sentences(reason: Reason, shape: tuple[int, ...], here: Indices, texts: Text) -> Column:
    """Code of the sentence at each of the points `here`."""
    group: Column = np.zeros(len(here), dtype=np.int64)
    units = reason.units
    for name, numbers in reason.numbers.items():
        unit = units.get(name, "")
        values = np.asarray(numbers, dtype=np.float64)
        whole = values.size == math.prod(shape)  # no axis is saved: look at the infeasible points alone
        looks, inverse = _looks(unit, np.broadcast_to(values, shape).reshape(-1)[here] if whole else values)
        if looks > 1:
            along = inverse if whole else np.broadcast_to(inverse, shape).reshape(-1)[here]
            _, group = numbered(group * looks + along)
    firsts, group = numbered(group)
    at_first = {
        name: np.broadcast_to(np.asarray(numbers, dtype=np.float64), shape).reshape(-1)[here[firsts]]
        for name, numbers in reason.numbers.items()
    }
    filled = Reason(reason.code, reason.template, at_first, reason.where)
    codes: Column = texts.many([filled.at((i,)) for i in range(len(firsts))])
    return np.asarray(codes[group])


def _looks(unit: str, values: Array) -> tuple[int, Column]:
    """Number values so that equal numbers are written alike: three significant digits, whole ones for counts.

    A value that lies between two roundings keeps a number of its own: which way it is written is not decided
    here.
    """
    flat = values.reshape(-1)
    if not unit:
        firsts, inverse = numbered(flat)
        return len(firsts), inverse.reshape(values.shape)
    plain = (flat > _LEAST) & (flat < _MOST)
    exponent = np.floor(np.log10(np.where(plain, flat, 1.0)))
    digits = flat * _POWERS[exponent.astype(np.intp)]
    rounded = np.rint(digits)
    plain &= np.abs(np.abs(digits - rounded) - 0.5) > _TIE
    key = exponent * 1000.0 + rounded
    firsts, codes = numbered(np.where(plain, key, 0.0))
    if plain.all():
        return len(firsts), codes.reshape(values.shape)
    odd, own = np.unique(flat[~plain], return_inverse=True)
    codes[~plain] = len(firsts) + own
    return len(firsts) + len(odd), codes.reshape(values.shape)
