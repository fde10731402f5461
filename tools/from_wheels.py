"""Walk the tutorial from wheels alone: build them, install them in an environment of its own, and type every
command of docs/tutorial/your-first-chip.md as it stands there. Then write a new package of every kind, and
build, install and test all of them in the same way.

    python tools/from_wheels.py [PYTHON]    3.11 by default

Nothing of the checkout is imported: what works here works for somebody who installed the packages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/tutorial/your-first-chip.md"
_STEP = re.compile(
    r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<text>.*?)```|```console\n(?P<shown>.*?)```"
    r"|(?P<typed>(?:^    [^\n]+\n)+)",
    re.DOTALL | re.MULTILINE,
)
LICENCES = ("Apache-2.0", "MIT", "LicenseRef-Proprietary")
HOSTS = ("github", "gitlab", "none")
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


def kinds(commands: Path) -> tuple[str, ...]:
    """The kinds of packages that `inferbench new` knows, as its help names them."""
    shown = subprocess.run([commands / "inferbench", "new"], capture_output=True, text=True).stderr
    return tuple(shown.partition("KIND is ")[2].strip().split(", "))


def author(folder: Path, commands: Path) -> int:
    """Write a package of every kind, build all, install the wheels beside each other, run their tests, and
    look for their records; return how many there were.

    Raises:
        SystemExit: A command failed, a wheel lacks licence or types, or a record is not listed.
    """
    packages = [folder / f"inferbench-new-{kind}" for kind in kinds(commands)]
    for kind, licence, host in zip(kinds(commands), cycle(LICENCES), cycle(HOSTS), strict=False):
        chosen = ["--licence", licence, "--ci", host]
        typed([commands / "inferbench", "new", kind, f"new-{kind}", *chosen], folder)
    for package in packages:
        typed(["uv", "build", "-q", "--wheel", "--out-dir", "wheels", package], folder)
    wheels = sorted((folder / "wheels").glob("*.whl"))
    for wheel in wheels:
        names = " ".join(zipfile.ZipFile(wheel).namelist())
        if "licenses/LICENSE" not in names or "py.typed" not in names:
            raise SystemExit(f"{wheel.name} has no licence, or no types")
    chosen = ["--python", str(commands / "python"), *map(str, wheels), "pytest-xdist"]
    typed(["uv", "pip", "install", "-q", *chosen], folder)
    for package in packages:  # the tests alone: what they import is what was installed
        shutil.copytree(package / "tests", folder / "tests" / package.name / "tests")
    typed([commands / "pytest", "-q", "-n", "2", "--import-mode=importlib", "."], folder / "tests")
    listed = typed([commands / "inferbench", "list", "--format", "csv"], folder)
    lost = [one.name for one in packages if listed.count(f",{one.name},0.1.0") < 2]
    if lost or len(wheels) != len(packages) or not packages:
        raise SystemExit(f"not built, or not listed: {lost}")
    return len(packages)


def typed(command: Sequence[str | Path], folder: Path) -> str:
    """What a command prints; if it fails, all of it, and the end."""
    around = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(f"exit code {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Build, install, walk, and do what authors do."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        commands = install(folder, arguments[0] if arguments else "3.11")
        started = time.monotonic()
        work = folder / "work"
        work.mkdir()
        count = walk(work, commands)
        print(f"{count} commands in {time.monotonic() - started:.0f} s")
        started = time.monotonic()
        fresh = folder / "new"
        fresh.mkdir()
        count = author(fresh, commands)
        print(f"{count} new packages built, installed and tested in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
