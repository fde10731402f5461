"""The set of claims that ships: the numbers of an early proposal of this benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import inferbench as ib


@ib.hookimpl
def inferbench_claims() -> Iterator[Traversable]:
    """Yield the folder of the shipped set."""
    yield files(__package__) / "sets"
