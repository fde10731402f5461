"""Which regime a measured operator is of: the name under which a stack knows it."""

from __future__ import annotations

import math

from inferbench.records.attention import Attention
from inferbench.records.measurement import Measurement
from inferbench.records.op import Collective, Op
from inferbench.records.precision import Precision
from inferbench.records.variants import variants

__all__ = ["regime"]

_ANY = Precision.of(["bf16"])


def regime(m: Measurement) -> str:
    """Return the most special name that a stack has for a measured operator; its kind where the row doesn't
    tell.

    Example:
        >>> one = Measurement(source="s", chip="c", op="collective", axes={"payload": 4096.0, "group": 8.0},
        ...                   extra={"variant": "all_gather"})
        >>> regime(one)
        'collective.all_gather.8'
    """
    op = _built(m)
    return variants(op)[0][0][0] if op is not None else m.op


def _built(m: Measurement) -> Op | None:
    """The operator, of the fields that its regime depends on; None where one is missing or the kind has one
    regime.
    """

    def axis(name: str) -> float:
        return m.axes.get(name, math.nan)

    if m.op == "attention" and not any(map(math.isnan, (axis("queries"), axis("heads")))):
        heads = axis("heads")
        held = heads if math.isnan(axis("kv_heads")) else axis("kv_heads") or heads
        return Attention(
            name=m.op,
            precision=_ANY,
            batch=1.0,
            heads=heads,
            kv_heads=held,
            queries=axis("queries"),
            keys=1.0,
            pairs=1.0,
            qk_dim=1.0,
            v_dim=1.0,
            cached=m.axes.get("causal", 1.0) != 0.0,
        )
    if m.op == "collective" and axis("group") >= 1.0:
        kind = str(m.extra.get("variant", "")) or "all_reduce"
        return Collective(name=kind, precision=_ANY, collective=kind, payload=1.0, group=int(axis("group")))
    return None
