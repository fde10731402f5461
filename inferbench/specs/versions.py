"""Which core a file or a package is for."""

from __future__ import annotations

import re

from inferbench._version import DISTRIBUTION, __version__
from inferbench.errors import InferBenchError

__all__ = ["CORE", "newer", "refuse_newer"]

CORE = "core"
"""Key of the versions of the core that a file is written for."""
_VERSION = re.compile(r"(>=|~=|==|>)\s*(\d+(?:\.\d+)*)")


def refuse_newer(wanted: object, where: str) -> None:
    """Refuse a file of a newer core by a sentence, and not by each key that this one doesn't know.

    Args:
        wanted: The range of versions, as the file has it.
        where: How messages call the file.

    Raises:
        InferBenchError: No range; or this core is too old for it.
    """
    if not isinstance(wanted, str) or not _VERSION.search(wanted):
        found, remedy = f"{wanted!r} is no range of versions", f'write {CORE} = ">={__version__}"'
        raise InferBenchError.at(f"{where}: {CORE}", found, remedy)
    if bound := newer(wanted):
        found = f"it was written for {DISTRIBUTION} {bound}, and this is {__version__}"
        raise InferBenchError.at(where, found, f"update {DISTRIBUTION}, or take an older file")


def newer(wanted: str) -> str:
    """The bound in a range of versions that this core is too old for; empty where there is none.

    Example:
        >>> newer(">=0.1,<0.2"), newer(">=9.1")
        ('', '>=9.1')
    """
    for sign, bound in _VERSION.findall(wanted):
        lowest, ours = _numbers(bound), _numbers(__version__)
        wide = max(len(lowest), len(ours))
        low, have = (part + (0,) * (wide - len(part)) for part in (lowest, ours))
        if have < low or (sign == ">" and have == low):
            return f"{sign}{bound}"
    return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part[:9]) for part in re.findall(r"\d+", text)[:3])
