"""Kinds of operators by name: which numbers say one, so that commands, fits and scores take any kind.

A kind needs no entry here: the numbers of a class of its own are read off its attrs fields. Where those are
not what people write (a filter of 3 x 3, causal attention), the class says it in `described`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from inferbench.errors import Fault, InferBenchError, suggest
from inferbench.num import Array, Mask, Numeric
from inferbench.records.attention import Attention
from inferbench.records.convolution import Conv2d
from inferbench.records.op import Collective, Elementwise, Gemm, Op
from inferbench.records.precision import Precision

__all__ = ["Field", "Kind", "op_kind", "op_kinds"]

Columns = Mapping[str, Numeric]
Words = Mapping[str, str]


@attrs.frozen
class Field:
    """A number that says an operator.

    Attributes:
        default: What it is where nothing is said, nor the number that it is like; None: it must be given, or
            is like another.
        least: The smallest value that makes sense.
        like: The number that it equals where nothing is said.
    """

    default: float | None = None
    least: float = 1.0
    like: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether it must be given."""
        return self.default is None and self.like is None


@attrs.frozen(eq=False)
class Kind:
    """A kind of operators, as flags, CSV columns and measured rows say it.

    Attributes:
        name: `gemm`.
        fields: Number to what it may be.
        build: Columns (arrays of shape (1, rows)), precision and words to an operator.
        words: Text that says more, with its default: which collective.
        same: Numbers that are the same in all rows of one call, as the operator takes one value.
        decisive: Numbers that a kernel's variant depends on, and that must be given to tell it.
        together: From columns to what numbers may not be beside each other: the number at fault, where,
            and what was expected.

    Example:
        >>> op_kind("gemm").op({"m": 8.0, "n": 64.0, "k": 32.0}, Precision.of(["bf16"])).useful
        32768.0
    """

    name: str
    fields: Mapping[str, Field]
    build: Callable[[Columns, Precision, Words], Op]
    words: Words = attrs.field(factory=dict)
    same: Sequence[str] = ()
    decisive: Sequence[str] = ()
    together: Callable[[Columns], Iterable[tuple[str, Mask, str]]] | None = None

    def op(self, columns: Columns, precision: Precision, words: Words | None = None) -> Op:
        """Build an operator; numbers that are not given take their default."""
        own = ((name, field.default) for name, field in self.fields.items() if not field.like)
        defaults = {name: default for name, default in own if default is not None}
        full: dict[str, Numeric] = {**defaults, **columns}
        full |= {n: full[field.like] for n, field in self.fields.items() if field.like and n not in full}
        return self.build(full, precision, {**self.words, **(words or {})})

    def checked(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Fill in the defaults and check every number.

        Args:
            columns: Field to float64 array of shape (rows,).

        Raises:
            InferBenchError: A field that the kind hasn't, one that must be given, a value out of range.
        """
        for name in columns:
            if name not in self.fields:
                remedy = suggest(name, self.fields) or f"its fields are {', '.join(self.fields)}"
                raise InferBenchError.of_argument(name, f"{self.name} has no field '{name}'", remedy)
        missing = [n for n, field in self.fields.items() if field.wanted and n not in columns]
        if missing:
            found, give = f"{', '.join(missing)} must be given", ((missing[0], None),)
            raise InferBenchError([Fault(self.name, found, "add {give}", give=give, code="missing-field")])
        rows = max((len(values) for values in columns.values()), default=1)
        full = {
            name: np.asarray(_given(columns, name, field, rows), dtype=np.float64)
            for name, field in self.fields.items()
        }
        for name, values in full.items():
            _refuse_outside(name, values, self.fields[name].least)
        for name, bad, expected in self.together(full) if self.together is not None else ():
            if bad.any():
                row = int(np.argmax(bad))
                found = f"{full[name][row]:g} does not go with the other numbers (row {row + 1})"
                raise InferBenchError.of_argument(name, found, f"{expected} was expected")
        return full


def _given(columns: Mapping[str, Array], name: str, field: Field, rows: int) -> Array:
    like = columns.get(name, columns.get(field.like or name))
    return np.full(rows, field.default) if like is None else like


def _refuse_outside(name: str, values: Array, least: float) -> None:
    bad = ~(values >= least) | ~np.isfinite(values)
    if bad.any():
        fault = Fault(
            "",
            f"{values[bad][0]:g} is out of range",
            f"numbers of at least {least:g} were expected",
            name,
            detail=f"row {int(np.argmax(bad)) + 1}",
        )
        raise InferBenchError([fault])


def _gemm(c: Columns, precision: Precision, words: Words) -> Op:
    return Gemm(name="gemm", precision=precision, m=c["m"], n=c["n"], k=c["k"], count=c["count"])


def _attention(c: Columns, precision: Precision, words: Words) -> Op:
    queries, keys, causal = c["queries"], c["keys"], np.asarray(c["causal"])
    whole = queries * keys
    return Attention(
        name="attention",
        precision=precision,
        batch=c["batch"],
        heads=c["heads"],
        kv_heads=c["kv_heads"],
        queries=queries,
        keys=keys,
        pairs=np.where(causal > 0, whole - queries * (queries - 1.0) / 2.0, whole),
        qk_dim=c["head_dim"],
        v_dim=c["v_dim"],
        width=c["latent"] if np.any(np.asarray(c["latent"]) > 0) else None,
        cached=bool(np.any(causal > 0)),
    )


def _attention_together(c: Columns) -> Iterator[tuple[str, Mask, str]]:
    heads, kv_heads, queries, keys = (
        np.asarray(c[name]) for name in ("heads", "kv_heads", "queries", "keys")
    )
    yield "kv_heads", heads % kv_heads != 0, "a number that divides heads"
    causal = np.asarray(c["causal"]) > 0
    yield "keys", causal & (keys < queries), "at least as many keys as queries, each of which sees itself,"


def _elementwise(c: Columns, precision: Precision, words: Words) -> Op:
    return Elementwise(
        name="elementwise", precision=precision, elements=c["elements"], reads=c["reads"], writes=c["writes"]
    )


def _collective(c: Columns, precision: Precision, words: Words) -> Op:
    which, group = words["collective"], int(np.ravel(np.asarray(c["group"]))[0])
    return Collective(name=which, precision=precision, collective=which, payload=c["payload"], group=group)


def _conv2d(c: Columns, precision: Precision, words: Words) -> Op:
    kernel, stride = (int(np.ravel(np.asarray(c[name]))[0]) for name in ("kernel", "stride"))
    return Conv2d(
        name="conv2d",
        precision=precision,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        batch=c["batch"],
        height=c["height"],
        width=c["width"],
        in_channels=c["in_channels"],
        out_channels=c["out_channels"],
        groups=c["groups"],
    )


_ONE, _MAY_BE_ZERO, _WANTED = Field(1.0), Field(1.0, 0.0), Field()
DESCRIBED: tuple[Kind, ...] = (
    Kind("gemm", {"m": _WANTED, "n": _WANTED, "k": _WANTED, "count": _ONE}, _gemm),
    Kind(
        "attention",
        {
            "batch": _ONE,
            "heads": _WANTED,
            "kv_heads": Field(like="heads"),
            "queries": _ONE,
            "keys": _WANTED,
            "head_dim": Field(128.0),
            "v_dim": Field(128.0, like="head_dim"),
            "latent": Field(0.0, 0.0),
            "causal": _MAY_BE_ZERO,
        },
        _attention,
        decisive=("queries", "heads"),
        together=_attention_together,
    ),
    Kind("elementwise", {"elements": _WANTED, "reads": _MAY_BE_ZERO, "writes": _MAY_BE_ZERO}, _elementwise),
    Kind(
        "collective",
        {"payload": _WANTED, "group": _WANTED},
        _collective,
        {"collective": "all_reduce"},
        same=("group",),
        decisive=("group",),
    ),
    Kind(
        "conv2d",
        {
            "batch": _ONE,
            "height": _WANTED,
            "width": _WANTED,
            "in_channels": _WANTED,
            "out_channels": _WANTED,
            "kernel": Field(3.0),
            "stride": _ONE,
            "groups": _ONE,
        },
        _conv2d,
        same=("kernel", "stride"),
    ),
)


def op_kinds() -> dict[str, Kind]:
    """Every kind that the core or a loaded plugin defines, by name.

    Example:
        >>> list(op_kinds())[:2]
        ['gemm', 'attention']
    """
    known = {one.name: one for one in DESCRIBED}
    for cls in _classes(Op):
        described = getattr(cls, "described", None)
        if isinstance(described, Kind):
            known[described.name] = described
        elif cls.kind not in known:
            known[cls.kind] = _of_class(cls)
    return known


def op_kind(name: str) -> Kind:
    """Return a kind by name.

    Raises:
        InferBenchError: Nobody defines it.
    """
    known = op_kinds()
    if name not in known:
        raise InferBenchError.at(name, "no such operator kind", f"kinds are {', '.join(known)}")
    return known[name]


def _classes(cls: type[Op]) -> Iterator[type[Op]]:
    for one in cls.__subclasses__():
        yield one
        yield from _classes(one)


def _of_class(cls: type[Op]) -> Kind:
    """The kind that a class's own attrs fields say: numbers without a default must be given."""
    common = {one.name for one in attrs.fields(Op)}
    fields = {}
    for one in attrs.fields(cls):
        wanted = one.default is attrs.NOTHING
        number = isinstance(one.default, int | float) and not isinstance(one.default, bool)
        if one.name not in common and (wanted or number):
            value = None if wanted else float(one.default)
            fields[one.name] = Field(value, 0.0 if value is not None and value < 1.0 else 1.0)

    make: Callable[..., Op] = cls

    def build(columns: Columns, precision: Precision, words: Words) -> Op:
        return make(name=cls.kind, precision=precision, **columns)

    return Kind(cls.kind, fields, build)
