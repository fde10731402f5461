"""What the code of plugins hands back is looked at once: numbers that can be, or a message with its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from inferbench.errors import PluginError
from inferbench.num import Numeric
from inferbench.records.cost import Cost
from inferbench.records.energy import Energy
from inferbench.text import short

__all__ = ["RETURNS", "refuse_no_cost", "refuse_no_energy", "refuse_no_number", "refuse_other_shape"]

_KINDS = "fiu"
"""NumPy's letters of kinds of real numbers."""


def refuse_no_number(found: Any, where: str, what: str = "it", least: float = 0.0) -> None:
    """Refuse what is no real number or array of them, or below what it can be; NaN is not known, and passes.

    Args:
        found: What came back.
        where: Package, record and method.
        what: What it is of the answer.
        least: What it is at least.

    Raises:
        PluginError: With the place.

    Example:
        >>> refuse_no_number(float("nan"), "acme: wires.cost")
        >>> refuse_no_number(-1.0, "acme: wires.cost", "busy 'network'")
        Traceback (most recent call last):
        inferbench.errors.PluginError: acme: wires.cost: busy 'network' is -1; at least 0 was expected
          the formula is at fault
    """
    if type(found) is float and found >= least:
        return
    array = np.asarray(found) if isinstance(found, int | float | np.ndarray | np.generic) else None
    if array is None or array.dtype.kind not in _KINDS:
        kind = type(found).__name__ if array is None or array.dtype == object else str(array.dtype)
        _refuse(where, f"{what} is {kind} {short(repr(found))}; a number, or an array of them, was expected")
    elif (array < least).any():
        _refuse(where, f"{what} is {np.nanmin(array):g}; at least {least:g} was expected")


def _refuse(where: str, found: str) -> None:
    raise PluginError.at(where, found, "the formula is at fault")


def _refuse_other(found: Any, kind: type, where: str) -> None:
    if not isinstance(found, kind):
        said = f"it returned {short(repr(found))}; an inferbench.{kind.__name__} was expected"
        _refuse(where, said)


def _refuse_names(names: Mapping[Any, Any], where: str, what: str) -> None:
    for name, amount in names.items():
        if not isinstance(name, str):
            _refuse(where, f"{what} has the key {short(repr(name))}; a text was expected")
        refuse_no_number(amount, where, f"{what} '{name}'")


def refuse_no_cost(found: Any, where: str) -> None:
    """Refuse what is no cost, or one of negative seconds or counts; arguments as of `refuse_no_number`."""
    _refuse_other(found, Cost, where)
    for part in ("busy", "exposed", "actions"):
        _refuse_names(getattr(found, part), where, part)


def refuse_no_energy(found: Any, where: str) -> None:
    """Refuse what is no energy, or one below nothing; arguments as of `refuse_no_number`."""
    _refuse_other(found, Energy, where)
    for part, least in (("joules", 0.0), ("watts", 0.0), ("throttle", 1.0)):
        refuse_no_number(getattr(found, part), where, part, least)
    _refuse_names(found.parts, where, "parts")


def refuse_other_shape(found: Numeric, shape: tuple[int, ...], where: str) -> None:
    """Refuse an answer that does not broadcast to a grid.

    Args:
        found: Numbers.
        shape: Of the grid.
        where: As for `refuse_no_number`.

    Raises:
        PluginError: With both shapes.
    """
    try:
        fits = np.ndim(found) == 0 or np.broadcast_shapes(np.shape(found), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        _refuse(where, f"an answer of shape {np.shape(found)} does not broadcast to the grid's {shape}")


RETURNS: Mapping[str, Callable[[Any, str], None]] = {
    **dict.fromkeys(("peak", "items", "passes", "eager", "layers", "log_error", "time"), refuse_no_number),
    "cost": refuse_no_cost,
    "energy": refuse_no_energy,
}
"""Method of a plugin's class to what looks at its answer."""
