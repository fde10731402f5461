"""The operators that measured rows are of: one way for fits, for scores, and for the names of kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inferbench.errors import Fault, InferBenchError
from inferbench.evidence.experts import expert_layer, exponent
from inferbench.num import Array
from inferbench.records.kinds import Kind, op_kind, op_kinds
from inferbench.records.measurement import EXPERTS, Measurement
from inferbench.records.op import Op
from inferbench.records.precision import Precision
from inferbench.records.variants import variants

__all__ = ["columns_of", "lacking", "operators_of", "regime", "unknown_routing", "words_of"]

_ANY = Precision.of(["bf16"])
_LAYER = ("tokens", "hidden", "inter", "topk", "experts")
_SPREAD = ("tp", "ep")


def operators_of(rows: Sequence[Measurement], precision: Precision) -> tuple[Op, ...]:
    """Build what was measured together: one operator, or those of a layer of experts.

    Args:
        rows: Of one kind, with the same numbers given.
        precision: Of its products.

    Returns:
        Operators with arrays of shape (1, rows).

    Raises:
        InferBenchError: A kind that nobody defines, or a layer of experts that is not described whole.

    Example:
        >>> row = Measurement(source="s", chip="c", op="gemm", axes={"m": 8.0, "n": 64.0, "k": 32.0})
        >>> operators_of([row], _ANY)[0].useful
        array([[32768.]])
    """
    if rows[0].op == EXPERTS:
        return tuple(expert_layer(_layer(rows), precision, rows))
    kind = op_kind(rows[0].op)
    columns = {name: values[None, :] for name, values in columns_of(rows).items()}
    return (kind.op(columns, precision, words_of(rows[0])),)


def columns_of(rows: Sequence[Measurement]) -> dict[str, Array]:
    """The numbers that say operators of one kind, where all rows have them; arrays of shape (rows,)."""
    names = [name for name in op_kind(rows[0].op).fields if all(name in row.axes for row in rows)]
    return {name: np.array([row.axes[name] for row in rows]) for name in names}


def words_of(row: Measurement) -> dict[str, str]:
    """The words that say an operator beside its numbers: which collective."""
    variant = str(row.extra.get("variant", ""))
    return dict.fromkeys(op_kind(row.op).words, variant) if variant else {}


def _layer(rows: Sequence[Measurement]) -> dict[str, Array]:
    """The numbers of layers of experts, of shape (1, rows); spread over one chip where nothing is said."""
    columns = {name: np.array([[row.axes.get(name, math.nan) for row in rows]]) for name in _LAYER}
    columns |= {name: np.array([[row.axes.get(name, 1.0) for row in rows]]) for name in _SPREAD}
    for name, values in columns.items():
        if not np.all(values >= 1.0):
            fault = Fault(EXPERTS, f"{name} must be given", f"add the column {name}", code="missing-field")
            raise InferBenchError([fault])
    return columns


def unknown_routing(row: Measurement) -> str:
    """The name of a layer's routing, where it is not known; else an empty text."""
    name = str(row.extra.get("distribution", "")) if row.op == EXPERTS else ""
    return name if exponent(name) is None else ""


def lacking(row: Measurement) -> str:
    """The first number that must say a row's operator and that the row doesn't give; else an empty text.

    Example:
        >>> lacking(Measurement(source="s", chip="c", op="gemm", axes={"m": 8.0, "n": 64.0}))
        'k'
    """
    kind = op_kinds().get(row.op)
    wanted = [] if kind is None else [name for name, field in kind.fields.items() if field.wanted]
    return next((n for n in wanted if kind and not _said(row.axes.get(n, math.nan), kind, n)), "")


def regime(m: Measurement) -> str:
    """Return the most special name that a stack has for a measured operator; its kind where the row doesn't
    tell.

    Example:
        >>> one = Measurement(source="s", chip="c", op="collective", axes={"payload": 4096.0, "group": 8.0},
        ...                   extra={"variant": "all_gather"})
        >>> regime(one)
        'collective.all_gather.8'
    """
    kind = op_kinds().get(m.op)
    given = {} if kind is None else {n: v for n, v in m.axes.items() if _said(v, kind, n)}
    if kind is None or not kind.decisive or any(name not in given for name in kind.decisive):
        return m.op
    wanted = {name: 1.0 for name, field in kind.fields.items() if field.wanted}
    return variants(kind.op({**wanted, **given}, _ANY, words_of(m)))[0][0][0]


def _said(value: float, kind: Kind, name: str) -> bool:
    """Whether a number says something: none of another kind, and 0 only where it may be."""
    return name in kind.fields and (value > 0.0 or (value == 0.0 and kind.fields[name].least == 0.0))
