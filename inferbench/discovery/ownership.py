"""Who may own a name: the project, then a vendor of record, then everybody else.

The packages of record stand in `packages.toml`, which ships with the core. Whoever is on it loads before
strangers, so that a stranger's claim to a name that is taken is always the second one, whatever sorts first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import cache
from importlib.metadata import Distribution
from importlib.resources import files
from typing import Any

from inferbench._version import DISTRIBUTION
from inferbench.discovery.entries import Entry, Problem
from inferbench.errors import suggest
from inferbench.records.immutable import frozen
from inferbench.specs import toml
from inferbench.specs.versions import newer

__all__ = ["Choice", "Trust", "named", "namesake", "needs_newer_core", "packages", "settled", "trust"]

_NAME, _VERSION = (re.compile(rf"^{field}: *(.+)$", re.MULTILINE) for field in ("Name", "Version"))
_WANTS = re.compile(rf"^Requires-Dist: *{DISTRIBUTION}(?:\[[^]]*\])?(?![\w-])(.*)$", re.MULTILINE)


class Trust(IntEnum):
    """Whose claim to a name counts more; the lower wins."""

    CORE = 0
    PROJECT = 1
    VENDOR = 2
    STRANGER = 3

    def __str__(self) -> str:
        return self.name.lower()


@cache
def packages() -> Mapping[str, Mapping[str, Any]]:
    """The packages of record by name, each with `by`, `brings` and, of a vendor, `vendor`."""
    file = files("inferbench") / "discovery" / "packages.toml"
    return toml.read_toml(file.read_bytes(), "packages.toml")[0]


@cache
def trust(owner: str) -> Trust:
    """How far a distribution is trusted with names.

    Example:
        >>> trust("inferbench-specs"), trust("inferbench-somebody")
        (<Trust.PROJECT: 1>, <Trust.STRANGER: 3>)
    """
    if owner == DISTRIBUTION:
        return Trust.CORE
    return Trust[packages().get(owner, {"by": "stranger"})["by"].upper()]


def namesake(owner: str, name: str) -> bool:
    """Whether a package is named after a record, or after the maker that the record's name starts with.

    Example:
        >>> namesake("inferbench-acme", "acme-x1"), namesake("inferbench-acme", "x1")
        (True, False)
    """
    own = owner.removeprefix("inferbench-")
    return name == own or name.startswith(f"{own}-")


def settled(hook: str, first: Entry | None, second: Entry) -> tuple[Entry, Problem | None]:
    """Say who owns a name that two claim: the better trusted, then its namesake, then the first.

    Args:
        hook: Where it was claimed.
        first: Who came before; None where nobody did.
        second: Who comes now.

    Returns:
        The owner's entry, and what is wrong with the other one.
    """
    if first is None:
        return second, None
    equal = trust(first.owner) == trust(second.owner)
    if equal and namesake(second.owner, second.name) and not namesake(first.owner, first.name):
        first, second = second, first
    stays = "the first one stays" if equal else f"{first.owner} owns the name"
    message = f"'{second.name}' is already provided by {first.owner}"
    return first, Problem(second.owner, hook, message, f"rename it in {second.owner}; {stays}")


def named(distribution: Any) -> tuple[str, str]:
    """Name and version of a distribution, from the head of its metadata: reading all of it as mail takes
    twenty times as long, at every start.

    Args:
        distribution: Of `importlib.metadata`.
    """
    whole = distribution.read_text("METADATA") if isinstance(distribution, Distribution) else ""
    head = (whole or "").partition("\n\n")[0]
    name, version = _NAME.search(head), _VERSION.search(head)
    if name is None or version is None:
        return distribution.name, distribution.version
    return name[1].strip(), version[1].strip()


def needs_newer_core(distribution: Distribution) -> str:
    """The lowest version of the core that a distribution asks for, if this core is older; empty otherwise."""
    for wanted in _WANTS.findall(distribution.read_text("METADATA") or ""):
        if bound := newer(wanted):
            return bound
    return ""


@frozen
class Choice:
    """Which installed plugins are loaded, by name of the plugin or of its package.

    Attributes:
        allowed: Those alone; None for all.
        disabled: Not these.
    """

    allowed: frozenset[str] | None = None
    disabled: frozenset[str] = frozenset()

    @classmethod
    def of_environment(cls) -> Choice:
        """Read `INFERBENCH_PLUGINS` and `INFERBENCH_DISABLE`, each names with commas between them."""
        given = {key: _names(os.environ.get(f"INFERBENCH_{key}")) for key in ("PLUGINS", "DISABLE")}
        return cls(given["PLUGINS"], given["DISABLE"] or frozenset())

    def takes(self, plugin: str, owner: str) -> bool:
        """Whether a plugin is to be loaded."""
        known = _called(plugin, owner)
        return (self.allowed is None or bool(known & self.allowed)) and not known & self.disabled

    def unknown(self, known: Iterable[tuple[str, str]]) -> list[Problem]:
        """Say which names no installed plugin has.

        Args:
            known: Plugin and package of each installed one.
        """
        names = {name for pair in known for name in _called(*pair)}
        found = []
        for variable, given in (
            ("INFERBENCH_PLUGINS", self.allowed),
            ("INFERBENCH_DISABLE", self.disabled),
        ):
            for name in sorted((given or frozenset()) - names):
                remedy = suggest(name, names) or "inferbench plugins says what is installed"
                found.append(Problem(variable, name, "no installed plugin has this name", remedy))
        return found


def _called(plugin: str, owner: str) -> set[str]:
    """What a user may call a plugin: by its name, by its package, or by what is special in that."""
    return {plugin, owner, owner.removeprefix("inferbench-")}


def _names(text: str | None) -> frozenset[str] | None:
    """Names of a list; None where there is no list."""
    found = frozenset(part.strip() for part in (text or "").split(",") if part.strip())
    return found or None
