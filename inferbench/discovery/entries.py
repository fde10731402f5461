"""What the registry keeps: who provides a name, and what is broken."""

from __future__ import annotations

from typing import Any

import pluggy

from inferbench.discovery import hookspecs
from inferbench.errors import InferBenchError, closest
from inferbench.files import read
from inferbench.records.immutable import frozen

__all__ = ["FILE", "Entry", "Problem", "near_hook", "said", "spec_file"]

FILE = "file"
"""Version of what the user loads from a file."""
PREFIX = "inferbench_"
"""How the names of all hooks begin."""


@frozen
class Problem:
    """What is broken, and whose it is."""

    owner: str
    where: str
    message: str
    remedy: str = ""


@frozen
class Entry:
    """One name: its owner and either the record or the file that describes it."""

    name: str
    owner: str
    version: str
    record: Any = None
    file: Any = None


def said(error: BaseException) -> str:
    """One line of an exception: its type and first line, all lines where pluggy explains a signature."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = lines if isinstance(error, pluggy.PluginValidationError) else lines[:1]
    return f"{type(error).__name__}: {'; '.join(kept)}" if kept else type(error).__name__


def near_hook(manager: pluggy.PluginManager, plugin: object) -> str:
    """Ask whether a hook was meant that is close to one which a plugin implements and nobody specifies; else
    empty.
    """
    mine = [name for name in dir(plugin) if manager.parse_hookimpl_opts(plugin, name) is not None]
    hooks = {name.removeprefix(PREFIX) for name in vars(hookspecs) if name.startswith(PREFIX)}
    for wrong in (name.removeprefix(PREFIX) for name in mine):
        near = "" if wrong in hooks else closest(wrong, hooks)
        if near:
            return f"did you mean '{PREFIX}{near}'?"
    return ""


def spec_file(path: str) -> bytes:
    """The bytes of a spec that is named by its path."""
    try:
        return read(path)
    except OSError as error:
        remedy = "give the path of a TOML file"
        raise InferBenchError.at(path, f"can't be read: {error.strerror}", remedy) from None
