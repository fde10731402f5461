"""Walk the tutorial from wheels alone: build them, install them in an environment of its own, and type every
command of docs/tutorial/your-first-chip.md as it stands there.

    python tools/from_wheels.py [PYTHON]    3.11 by default

Nothing of the checkout is imported: what works here works for somebody who installed the packages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/tutorial/your-first-chip.md"
_STEP = re.compile(
    r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<text>.*?)```|```console\n(?P<shown>.*?)```"
    r"|(?P<typed>(?:^    [^\n]+\n)+)",
    re.DOTALL | re.MULTILINE,
)
FINDS = "inferbench check "
"""A command that ends with 1 where it finds what the tutorial shows."""


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a reader does: a file and its text, or an empty name and a command.

    Example:
        >>> list(steps("```console\\n$ ls\\na\\n```\\n"))
        [('', 'ls')]
    """
    for found in _STEP.finditer(text):
        if found["file"]:
            yield found["file"], found["text"]
            continue
        lines = (found["shown"] or found["typed"]).splitlines()
        marked = [line[2:] for line in lines if line.startswith("$ ")] if found["shown"] else lines
        yield from (("", line.strip()) for line in marked)


def install(folder: Path, python: str) -> Path:
    """Build all wheels, and install them with what they need into a new environment; return its commands."""
    wheels, home = folder / "wheels", folder / "environment"
    build = ["uv", "build", "-q", "--all-packages", "--wheel", "--out-dir", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True)
    subprocess.run(["uv", "venv", "-q", "--python", python, str(home)], check=True)
    chosen = ["--python", str(home / "bin/python"), "--find-links", str(wheels)]
    packages = ["inferbench-core[all,testing]", "pip"]
    subprocess.run(["uv", "pip", "install", "-q", *chosen, *packages], cwd=folder, check=True)
    return home / "bin"


def walk(folder: Path, commands: Path) -> int:
    """Do every step in a folder; return how many commands there were.

    Raises:
        SystemExit: A command failed.
    """
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    around = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(commands.parent), "COLUMNS": "80"}
    around.pop("PYTHONPATH", None)
    count = 0
    for name, text in steps(PAGE.read_text("utf-8")):
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
            continue
        done = subprocess.run(text, shell=True, cwd=folder, env=around, capture_output=True, text=True)
        if done.returncode not in ((0, 1) if text.startswith(FINDS) else (0,)):
            print(done.stdout, done.stderr, sep="\n")
            raise SystemExit(f"exit code {done.returncode}: {text}")
        count += 1
    return count


def main(arguments: list[str]) -> int:
    """Build, install, walk."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        commands = install(folder, arguments[0] if arguments else "3.11")
        started = time.monotonic()
        work = folder / "work"
        work.mkdir()
        count = walk(work, commands)
        print(f"{count} commands in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
