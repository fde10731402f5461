"""Foreign names of our records, read from the `aliases.toml` of each package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from inferbench.discovery.border import quiet
from inferbench.discovery.entries import Entry, said
from inferbench.specs import toml

__all__ = ["pairs_of", "read_aliases", "yielded"]


def read_aliases(
    implementations: Iterable[Any],
    owner_of: Callable[[str], tuple[str, str]],
    names: Mapping[str, Mapping[str, Entry]],
    problem: Callable[..., None],
) -> dict[str, dict[str, str]]:
    """Foreign name to ours, by kind; an alias has one owner, and is never the name of somebody else's record.

    Args:
        implementations: Of the hook, the most trusted first.
        owner_of: Distribution and version of a plugin.
        names: What is installed, by kind and name.
        problem: Takes owner, hook, message and remedy of what is broken.
    """
    tables: dict[str, dict[str, str]] = {}
    owners: dict[tuple[str, str], str] = {}
    for impl in implementations:
        owner, _ = owner_of(impl.plugin_name)
        try:
            pairs = pairs_of(impl, owner)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem(owner, "inferbench_aliases", said(error), f"fix or update {owner}")
            continue
        for kind, foreign, ours in pairs:
            record = names.get(kind, {}).get(foreign.lower()) if kind != "systems" else None
            other = owners.setdefault((kind, foreign.lower()), record.owner if record else owner)
            if other == owner:
                tables.setdefault(kind, {}).setdefault(foreign.lower(), ours)
                tables[kind][foreign] = ours
                continue
            message = f"the alias '{foreign}' already belongs to {other}"
            problem(owner, "inferbench_aliases", message, f"remove it from {owner}")
    return tables


def yielded(impl: Any) -> Iterator[Any]:
    """Call one hook implementation; wrappers would see nothing to wrap, so they are refused."""
    if impl.wrapper or impl.hookwrapper:
        raise TypeError("hook wrappers are not supported; yield records")
    yield from impl.function()


def pairs_of(impl: Any, owner: str) -> list[tuple[str, str, str]]:
    """What one hook implementation brings: kind, foreign name and ours.

    Args:
        impl: The implementation.
        owner: Its distribution, for messages.
    """
    with quiet():
        files = list(yielded(impl))
    return [pair for file in files for pair in _alias_pairs(file, owner)]


def _alias_pairs(file: Any, owner: str) -> Iterator[tuple[str, str, str]]:
    for kind, table in toml.read_toml(file.read_bytes(), f"{owner}: {file.name}")[0].items():
        if not isinstance(table, dict):
            raise TypeError(f"{file.name}: {kind} stands where a table of names was expected")
        yield from ((kind, foreign, str(ours)) for foreign, ours in table.items())
