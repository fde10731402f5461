"""What a metric may declare: the screens it shows on, what scores take it for, the chain that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

__all__ = ["ROLES", "SCREENS", "Chain", "Role"]

# Screens that a metric may show on: the answer of `compare`, its table of all rows, `run`, and `frontier`.
SCREENS = frozenset({"answer", "compare", "run", "frontier"})
Role = Literal["utilization", "useful", "power", "cost", "tokens", "items"]
ROLES: Mapping[Role, str] = {
    "utilization": "useful operations over the format's peak",
    "useful": "useful operations per second of the whole system, in tera",
    "power": "watts of the whole system at the wall",
    "cost": "US dollars per hour of ownership of the whole system",
    "tokens": "tokens per second and chip",
    "items": "items per second of the whole system, where a step yields no tokens",
}
"""What scores over a space are made of: each is the metric that declares it."""
Chain = Literal["time", "energy", "cost"]
