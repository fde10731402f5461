"""Asking hooks for their records, one plugin after another; who breaks the rules is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from inferbench.discovery.aliases import yielded
from inferbench.discovery.border import quiet
from inferbench.discovery.entries import Entry, said
from inferbench.discovery.kinds import expanded
from inferbench.discovery.ownership import settled
from inferbench.errors import InferBenchError, interruptible

__all__ = ["LOADING", "busy_with", "collect", "not_while"]

LOADING = "loading"
"""What the import of a plugin is a part of."""

_BUSY: ContextVar[frozenset[object]] = ContextVar("_BUSY", default=frozenset())


@contextmanager
def busy_with(what: object) -> Iterator[None]:
    """Mark something as begun, until it ends; `not_while` refuses what must not be asked meanwhile.

    Args:
        what: Anything that can be told from others.
    """
    before = _BUSY.set(_BUSY.get() | {what})
    try:
        yield
    finally:
        _BUSY.reset(before)


def not_while(what: object, place: str, found: str) -> None:
    """Refuse what a plugin asks for while it is itself a part of it.

    Args:
        what: As for `busy_with`.
        place: What was asked.
        found: What is wrong with asking.

    Raises:
        InferBenchError: It has begun, and has not ended.

    Example:
        >>> not_while("b200", "installed()", "it is read at the moment")
        >>> with busy_with("b200"):
        ...     not_while("b200", "installed()", "it is read at the moment")
        Traceback (most recent call last):
        inferbench.errors.InferBenchError: installed(): it is read at the moment
          ask inside of the function that needs it
    """
    if what in _BUSY.get():
        raise InferBenchError.at(place, found, "ask inside of the function that needs it")


def collect(
    kind: str,
    brought: Iterable[Entry],
    implementations: Iterable[Any],
    owner_of: Callable[[str], tuple[str, str]],
    problem: Callable[[str, str, str, str], None],
    noticed: Callable[[str, str, str], None],
    tell: Callable[[str, str], None],
) -> dict[str, Entry]:
    """Name to entry of a kind.

    Args:
        kind: `chips`, `metrics`, …
        brought: What the core brings itself; it owns its names.
        implementations: Of the hook, the most trusted first.
        owner_of: Distribution and version of a plugin.
        problem: Takes owner, hook, message and remedy of what is broken.
        noticed: Takes owner, hook and what was printed.
        tell: Called with hook and owner before each is asked.
    """
    found = {entry.name: entry for entry in brought}
    spelled = {name.lower(): name for name in found}
    hook = f"inferbench_{kind}"
    for impl in implementations:
        owner, version = owner_of(impl.plugin_name)
        tell(hook, owner)
        try:
            with quiet(deep=True) as aside, interruptible():
                records = list(yielded(impl))
            noticed(owner, hook, aside.text)
            entries = [entry for one in records for entry in expanded(kind, one, owner, version)]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem(owner, hook, said(error), f"nothing of this hook is kept; update {owner}")
            continue
        for entry in entries:
            before = found.get(entry.name) or found.get(spelled.get(entry.name.lower(), ""))
            if before is not None and before.name != entry.name and before.owner == entry.owner:
                before = None  # a package may spell two of its own names alike
            mine, fault = settled(hook, before, entry)
            if before is not None and mine is entry:
                del found[before.name]
            found[mine.name] = mine
            spelled[mine.name.lower()] = mine.name
            if fault is not None:
                problem(fault.owner, fault.where, fault.message, fault.remedy)
    return found
