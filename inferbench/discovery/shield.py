"""What plugins' code raises names the plugin: one guard around every method and function that they bring.

Where a call can be named more closely (which operator is costed, which graph is built), the core names it
there and no guard is put here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType, GeneratorType
from typing import Any

import attrs
import numpy as np

from inferbench.errors import blame, passes
from inferbench.records.interfaces import Architecture, Fabric, PowerModel, Workload
from inferbench.records.owned import Owned, own
from inferbench.records.returned import RETURNS, refuse_no_number, refuse_other_shape
from inferbench.records.run import Run
from inferbench.records.time_model import TimeModel

__all__ = ["shielded"]

METHODS: Mapping[str, tuple[type, frozenset[str]]] = {
    "architectures": (Architecture, frozenset({"place", "plan", "cost"})),
    "workloads": (Workload, frozenset({"graph", "read_config"})),
    "fabrics": (Fabric, frozenset()),
    "power_models": (PowerModel, frozenset()),
    "time_models": (TimeModel, frozenset()),
}
"""Kind to its class, and the methods whose callers name them."""
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "metrics": ("compute", "applies", "spec_range"),
    "renderers": ("render",),
    "executors": ("open",),
    "plots": ("ask", "draw"),
}
"""Kind to the fields of its records that are functions, but for those whose callers name them."""


def _figures(found: Any, where: str, run: Run) -> Any:
    """What a metric computes: one number per point."""
    refuse_no_number(found, where, least=-np.inf)
    refuse_other_shape(found, run.grid.shape, where)
    return found


MADE: Mapping[str, Callable[..., Any]] = {
    "applies": lambda found, where, run: bool(found),
    "compute": _figures,
}
"""Function of a record to what makes its answer of what it returned, where, and for which run."""
OURS = "inferbench."
"""How the modules of the core begin: its own code needs no guard."""


def shielded(kind: str, record: Any, owner: str) -> Any:
    """Return a record whose code names its package, the record and itself in whatever it raises.

    Args:
        kind: `metrics`, …
        record: Of a class of plugins, whose methods are guarded in place; or with functions, of which a copy
            has guarded ones.
        owner: Distribution.
    """
    if kind in METHODS and isinstance(record, METHODS[kind][0]) and isinstance(record, Owned):
        _guard(type(record), *METHODS[kind])
        own(record)
        return record
    wrapped = {
        name: _function(call, f"{owner}: {kind} {record.name}.{name}", MADE.get(name))
        for name in FUNCTIONS.get(kind, ())
        if callable(call := getattr(record, name, None)) and not _ours(call)
    }
    return attrs.evolve(record, **wrapped) if wrapped else record


def _ours(call: Any) -> bool:
    return str(getattr(call, "__module__", "")).startswith(OURS)


def _guard(cls: type, kind: type, named: frozenset[str]) -> None:
    """Guard the methods of a class, and of those that it is made of, which a kind of plugin has."""
    wanted = {name for name in vars(kind) if not name.startswith("_")} - named
    for one in cls.__mro__:
        if one.__module__.startswith(OURS) or not issubclass(one, kind):
            continue
        for name in wanted & set(vars(one)):
            method = vars(one)[name]
            if isinstance(method, FunctionType) and not hasattr(method, "shielded"):
                setattr(one, name, _method(method))


def _method(method: FunctionType) -> Callable[..., Any]:
    refuse = RETURNS.get(method.__name__)

    @wraps(method)
    def guarded(self: Any, *given: Any, **named: Any) -> Any:
        try:
            found = method(self, *given, **named)
        except BaseException as error:
            if passes(error):
                raise
            raise blame(_place(self, method), error) from error
        if refuse is not None:
            refuse(found, _place(self, method))
        return _items(found, _place(self, method)) if isinstance(found, GeneratorType) else found

    guarded.shielded = True  # type: ignore[attr-defined]
    return guarded


def _place(record: Any, method: FunctionType) -> str:
    return f"{type(record).__module__}: {record.name}.{method.__name__}"


def _function(
    call: Callable[..., Any], where: str, made: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    @wraps(call)
    def guarded(*given: Any, **named: Any) -> Any:
        try:
            found = call(*given, **named)
            return found if made is None else made(found, where, *given, **named)
        except BaseException as error:
            if passes(error):
                raise
            raise blame(where, error) from error

    return guarded


def _items(found: Any, where: str) -> Any:
    """What a generator yields; it fails where it is read."""
    try:
        yield from found
    except BaseException as error:
        if passes(error):
            raise
        raise blame(where, error) from error
