"""Foreign names of our records, read from the `aliases.toml` of each package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from inferbench.discovery.border import quiet
from inferbench.discovery.entries import Entry, said
from inferbench.discovery.ownership import trust
from inferbench.errors import interruptible
from inferbench.records.immutable import frozen
from inferbench.specs import toml

__all__ = ["Claim", "claims", "pairs_of", "read_aliases", "without_taken", "yielded"]

HOOK = "inferbench_aliases"


@frozen
class Claim:
    """A foreign name that a package gives to a record.

    Attributes:
        owner: Distribution.
        kind: `chips`, …
        foreign: The name as others write it.
        ours: The record's.
    """

    owner: str
    kind: str
    foreign: str
    ours: str


def claims(
    implementations: Iterable[Any],
    owner_of: Callable[[str], tuple[str, str]],
    problem: Callable[..., None],
) -> list[Claim]:
    """Every alias that some package brings, as it stands there.

    Args:
        implementations: Of the hook, the most trusted first.
        owner_of: Distribution and version of a plugin.
        problem: Takes owner, hook, message and remedy of what is broken.
    """
    found: list[Claim] = []
    for impl in implementations:
        owner, _ = owner_of(impl.plugin_name)
        try:
            with interruptible():
                found += [Claim(owner, *pair) for pair in pairs_of(impl, owner)]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem(owner, HOOK, said(error), f"fix or update {owner}")
    return found


def read_aliases(
    claimed: Iterable[Claim], names: Mapping[str, Mapping[str, Entry]], problem: Callable[..., None]
) -> dict[str, dict[str, str]]:
    """Foreign name to ours, by kind; an alias has one owner, and is never the name of somebody else's record.

    Args:
        claimed: By the most trusted first.
        names: What is installed, by kind and name.
        problem: Takes owner, hook, message and remedy of what is broken.
    """
    tables: dict[str, dict[str, str]] = {}
    owners: dict[tuple[str, str], str] = {}
    spelled = {kind: {name.lower(): one.owner for name, one in all_.items()} for kind, all_ in names.items()}
    for one in claimed:
        foreign = one.foreign.lower()
        record = spelled.get(one.kind, {}).get(foreign) if one.kind != "systems" else None
        other = owners.setdefault((one.kind, foreign), record or one.owner)
        if other == one.owner:
            tables.setdefault(one.kind, {}).setdefault(foreign, one.ours)
            tables[one.kind][one.foreign] = one.ours
            continue
        message = f"the alias '{one.foreign}' already belongs to {other}"
        problem(one.owner, HOOK, message, f"remove it from {one.owner}")
    return tables


def without_taken(
    kind: str, entries: Mapping[str, Entry], claimed: Iterable[Claim], problem: Callable[..., None]
) -> dict[str, Entry]:
    """Entries without those whose name, in any spelling, is an alias of a better trusted package's record.

    Args:
        kind: `chips`, …
        entries: By name.
        claimed: Aliases, those of the most trusted first.
        problem: Takes owner, hook, message and remedy of what is broken.
    """
    first: dict[str, Claim] = {}
    for one in claimed:
        if one.kind == kind and kind != "systems":
            first.setdefault(one.foreign.lower(), one)
    kept = {}
    for name, entry in entries.items():
        alias = first.get(name.lower())
        if alias is None or trust(alias.owner) >= trust(entry.owner):
            kept[name] = entry
            continue
        message = f"'{name}' already belongs to {alias.owner}, which calls '{alias.ours}' so"
        problem(entry.owner, f"inferbench_{kind}", message, f"rename it in {entry.owner}")
    return kept


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
