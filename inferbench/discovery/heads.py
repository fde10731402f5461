"""Heads of all stacks: each is read once, and one that can't be read is left out and reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol

from inferbench.discovery.entries import Entry, said
from inferbench.discovery.kept import Kept
from inferbench.errors import InferBenchError
from inferbench.records.stack import Stack
from inferbench.specs.heads import Head, Headed, head_from

__all__ = ["heads"]

_ALL = "heads", ""
"""Under which kind and name all heads are kept together."""


class Known(Protocol):
    """What the registry answers."""

    def entries(self, kind: str) -> Mapping[str, Entry]:
        """Everything of a kind by name."""

    def names(self, kind: str) -> list[str]:
        """All names of a kind."""

    def stack(self, name: str) -> Stack:
        """A stack by name."""


def heads(
    known: Known,
    records: MutableMapping[tuple[str, str], tuple[Entry, Any]],
    kept: Kept | None,
    report: Callable[[str, str, str, str], None],
) -> Iterator[Headed]:
    """Yield the heads of the stacks whose time models are installed.

    Args:
        known: The registry.
        records: What it has read so far.
        kept: What earlier starts have read.
        report: Takes owner, place, message and remedy of what can't be read.
    """
    whole: Any = None if kept is None else records.get(_ALL) or kept.get(*_ALL, None)
    if whole is not None:  # no package that brings a stack needs to be imported
        records[_ALL] = whole
        yield from (known.stack(name) if one is None else one for name, one in whole[0])
        return
    entries, models = known.entries("stacks"), known.entries("time_models")
    usable: list[tuple[str, Head | None]] = []
    broken = False

    def head(name: str) -> Headed | None:
        entry = entries.get(name)
        if entry is None or entry.record is not None:
            return None if entry is None else known.stack(name)
        found = records.get(("heads", name))
        if found is None or found[0] is not entry:
            old = None if kept is None else kept.get("heads", name, entry.file)
            if old is not None:
                records["heads", name] = (entry, old[0])
                return old[0]  # type: ignore[no-any-return]
            try:
                made: Headed | None = head_from(entry.file.read_bytes(), name, entry.file.name, head)
                if kept is not None:
                    kept.add("heads", name, entry.file, made)
            except (InferBenchError, OSError, RecursionError) as error:
                report(entry.owner, f"stacks/{name}", said(error), "inferbench doctor says more")
                made = None
            found = records["heads", name] = (entry, made)
        return found[1]

    for name in known.names("stacks"):
        one = head(name)
        broken = broken or one is None
        if one is not None and (not isinstance(one, Head) or one.model in models):
            usable.append((name, one if isinstance(one, Head) else None))
            yield one
    if kept is not None and not broken:  # what is broken is reported at every start
        kept.add(*_ALL, None, tuple(usable))
