"""Hashes of the files that an answer rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from inferbench.discovery.entries import Entry
from inferbench.specs.toml import read_toml

__all__ = ["spec_hashes"]

BELOW = ("based_on", "kernels", "collectives")
"""Keys of a file that name others of its kind, whose figures it takes."""


class Known(Protocol):
    """What the registry answers."""

    def entries(self, kind: str) -> Mapping[str, Entry]:
        """Everything of a kind by name."""

    def alias(self, kind: str, name: str) -> str:
        """Our name for a foreign one."""


def spec_hashes(known: Known, named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The hash of each record's file, and of those that it is based on; none for a record without a file.

    Args:
        known: The registry.
        named: Kind and name of each.

    Returns:
        `chips/b200` to `sha256:…`.

    Example:
        >>> import inferbench
        >>> list(spec_hashes(inferbench.installed(), [("chips", "b200"), ("stacks", "ideal")]))
        ['chips/b200']
    """
    found: dict[str, str] = {}
    waiting = list(reversed(list(named)))
    while waiting:
        kind, name = waiting.pop()
        entry = known.entries(kind).get(name) or known.entries(kind).get(known.alias(kind, name))
        if entry is None or entry.file is None or f"{kind}/{entry.name}" in found:
            continue
        text = entry.file.read_bytes()
        found[f"{kind}/{entry.name}"] = f"sha256:{hashlib.sha256(text).hexdigest()}"
        if kind in ("chips", "stacks"):
            raw, _ = read_toml(text, entry.name)
            waiting += [(kind, one) for key in BELOW for one in _listed(raw.get(key))]
    return found


def _listed(names: object) -> list[str]:
    """One name or several."""
    return [one for one in (names if isinstance(names, list) else [names]) if isinstance(one, str)]
