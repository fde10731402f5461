"""Print `--with-editable PATH` for the workspace packages that a package and its tests depend on, so that it
installs without a registry.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def needed(package: Path, seen: set[str]) -> list[str]:
    """Paths of first-party dependencies, deepest first; at the top those of the group `test` too."""
    table = tomllib.loads((package / "pyproject.toml").read_text())
    found: list[str] = []
    tests = [] if seen else table.get("dependency-groups", {}).get("test", [])
    for requirement in [*table["project"].get("dependencies", []), *tests]:
        name = re.split(r"[<>=\[ ;]", requirement)[0]
        home = ROOT / "specs" if name == "inferbench-specs" else ROOT / "plugins" / name
        if name == "inferbench-data":
            home = ROOT / "specs" / name
        if name != "inferbench-core" and name not in seen and home.is_dir():
            seen.add(name)
            found += [*needed(home, seen), str(home)]
    return found


if __name__ == "__main__":
    print(" ".join(f"--with-editable {path}" for path in needed(ROOT / sys.argv[1], set())))
