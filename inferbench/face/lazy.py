"""Names that load on first use, written once: as imports for type checkers."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["homes"]

_IMPORT = re.compile(r"^    from (?P<home>[\w.]+) import (?P<name>\w+) as (?P=name)$", re.MULTILINE)


def homes(file: str, package: str) -> dict[str, str]:
    """Read which names a module has, and where they are at home.

    Args:
        file: Of the module; below `if TYPE_CHECKING:` it imports each name as itself, a line each.
        package: Name of the module; modules of its own are left out.

    Example:
        >>> import inferbench
        >>> homes(inferbench.__file__, "inferbench")["run"]
        'inferbench.face.run'
    """
    text = Path(file).with_suffix(".py").read_text("utf-8")
    found = _IMPORT.finditer(text)
    return {one["name"]: one["home"] for one in found if one["home"] != package}
