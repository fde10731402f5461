"""Other people's distributions that install what ours does: the package or the command `inferbench`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions

from inferbench._version import DISTRIBUTION
from inferbench.discovery.entries import Problem

__all__ = ["strangers"]

NAME = "inferbench"


def strangers(found: Iterable[Distribution] | None = None) -> Iterator[Problem]:
    """Yield a problem for each other distribution with a module or a command `inferbench`.

    Two such distributions overwrite each other's files, and removing one removes the other's. Reading every
    distribution's list of files takes a while, so only `inferbench doctor` asks.

    Args:
        found: Distributions to look at; all installed ones by default.

    Example:
        >>> from importlib.metadata import distribution
        >>> list(strangers([distribution("numpy")]))
        []
    """
    for one in distributions() if found is None else found:
        if one.name == DISTRIBUTION:
            continue
        brings = []
        if any(file.parts[0] == NAME for file in one.files or ()):
            brings.append(f"the import package `{NAME}`")
        if any(point.group == "console_scripts" and point.name == NAME for point in one.entry_points):
            brings.append(f"the command `{NAME}`")
        if brings:
            yield Problem(
                f"{one.name} {one.version}",
                f"distribution {one.name}",
                f"it also installs {' and '.join(brings)}; {DISTRIBUTION} is ours",
                f"pip uninstall {one.name}, then pip install --force-reinstall {DISTRIBUTION}",
            )
