"""Try every package from its wheel alone: its own tests at the oldest and the newest versions of what it
needs, under each Python that is here. Outside of `.ci/run`, since it takes more than an hour.

    python tools/bounds.py [--python 3.11 3.12] [--only NAME …] [--jobs 2] [--keep FILE] [--write]

uv builds each wheel from its source archive. The environment of a package holds its wheel, the core's, those
it depends on and what its tests need; nothing of the checkout is imported. Where a plugin's tests are skipped
for want of other packages, they run once more beside all of the project's. `oldest` is the lowest version
that a requirement allows and that has a wheel for this Python. With `--write`, docs/results/versions.md says
what came out; `--keep FILE` remembers results, so that a run can be ended and gone on with.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.parser import Parser
from itertools import product
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/results/versions.md"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
AGES = {"oldest": "lowest-direct", "newest": "highest"}
CORE = "inferbench-core"
ALWAYS = (f"{CORE}[testing]", "inferbench-data", "pytest-benchmark>=4.0")
CORES_OWN = (f"{CORE}[calibrate,frames,sweep,testing]",)
"""The core's own tests need its extras that bring no plugin."""
EVERYTHING = (f"{CORE}[all]",)
COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
SKIPPED = re.compile(r"^SKIPPED \[(\d+)\] \S+ (.+)$", re.MULTILINE)
UNREACHABLE = "no such Python here"


class Wheels:
    """What was built: names of distributions, their wheels, and what each needs."""

    def __init__(self, folder: Path) -> None:
        """Read the wheels of a folder."""
        self.files: dict[str, Path] = {}
        self.needs: dict[str, list[Requirement]] = {}
        for wheel in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
                about = Parser().parsestr(archive.read(path).decode())
            self.files[about["Name"]] = wheel
            self.needs[about["Name"]] = [Requirement(one) for one in about.get_all("Requires-Dist") or ()]

    def closure(self, wanted: Iterable[str]) -> tuple[list[Path], list[str]]:
        """Wheels of ours and requirements of others' that some requirements lead to.

        Ours stand there as files, so that no index is asked for them. Others' are named one by one, so that
        the lowest version counts for all of them.
        """
        ours: set[str] = set()
        others: set[str] = set()
        seen: set[str] = set()
        todo = [Requirement(one) for one in wanted]
        while todo:
            one = todo.pop()
            if str(one) in seen:
                continue
            seen.add(str(one))
            if one.name not in self.files:
                others.add(f"{one.name}{one.specifier}{f'; {one.marker}' if one.marker else ''}")
                continue
            ours.add(one.name)
            extras = [{"extra": extra} for extra in ("", *one.extras)]
            for need in self.needs[one.name]:
                if need.marker is None or any(need.marker.evaluate(extra) for extra in extras):
                    todo.append(Requirement(str(need).partition(";")[0]))
        return [self.files[name] for name in sorted(ours)], sorted(others)


def homes() -> Iterator[Path]:
    """Folders of all packages that have tests."""
    for pattern in (".", "specs", "specs/*", "plugins/*", "contrib/*"):
        for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml")):
            if any(file.parent.glob("tests/**/test_*.py")):
                yield file.parent


def done(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def tried(home: Path, wheels: Wheels, python: str, age: str, folder: Path) -> dict[str, str]:
    """Install a package at one age, and run its tests: what came out, and the versions that were taken."""
    table: dict[str, Any] = tomllib.loads((home / "pyproject.toml").read_text("utf-8"))
    name = table["project"]["name"]
    more = list(CORES_OWN) if home == ROOT else table.get("dependency-groups", {}).get("test", [])
    wanted = [*ALWAYS, name, *more]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        if done(["uv", "venv", "-q", "--python", python, f"{place}/e"], folder).returncode:
            return {"result": UNREACHABLE}
        commands = Path(place) / "e/bin"
        alone = in_environment(home, wheels.closure(wanted), commands, age, folder)
        if home == ROOT or alone.get("log") or "skipped" not in alone["result"]:
            return alone
        beside = in_environment(home, wheels.closure([*wanted, *EVERYTHING]), commands, age, folder)
    return {
        **beside,
        "result": f"{alone['result']}; beside all: {beside['result']}",
        "skipped": alone["skipped"],
        "skipped_beside": beside.get("skipped", ""),
    }


def in_environment(
    home: Path, needs: tuple[list[Path], list[str]], commands: Path, age: str, folder: Path
) -> dict[str, str]:
    """Run a package's tests in an environment of its own.

    Args:
        home: Folder of the package.
        needs: Wheels of ours, and requirements of others'.
        commands: Folder of the environment's programs.
        age: Of others' packages.
        folder: With the checkout to take tests from.
    """
    ours, others = needs
    install = ["uv", "pip", "install", "-q", "--python", str(commands / "python"), "--no-build"]
    got = done([*install, "--resolution", AGES[age], *map(str, ours), *others], folder)
    if got.returncode:
        return {"result": "does not install", "log": got.stderr}
    tests = str((home / "tests").relative_to(ROOT))
    command = [str(commands / "pytest"), "-q", "-p", "no:cacheprovider", "--rootdir", ".", tests]
    command += ["--ignore", "tests/docs"] if home == ROOT else []
    # Old versions of others' packages warn of newer Pythons; those of today may not.
    command += ["-o", "filterwarnings=default"] if age == "oldest" else []
    ran = done(command, folder / "checkout")
    freeze = done(["uv", "pip", "freeze", "-q", "--python", str(commands / "python")], folder).stdout
    last = ran.stdout.strip().splitlines()[-1:] or [ran.stderr[-200:]]
    said = ", ".join(f"{number} {what}" for number, what in COUNTS.findall(last[0])) or last[0]
    named = {Requirement(one).name for one in others}
    pairs = [line for line in freeze.split() if line.partition("==")[0] in named]
    log = "" if ran.returncode in (0, 5) else ran.stdout
    return {"result": said, "versions": " ".join(pairs), "log": log, "skipped": reasons(ran.stdout)}


def reasons(output: str) -> str:
    """Why tests were skipped, the most frequent reason first; missing records are one reason."""
    counts: Counter[str] = Counter()
    missing: list[str] = []
    for number, why in SKIPPED.findall(output):
        before, found, record = why.partition("no installed package provides ")
        if found and not before:
            missing += [record] if record not in missing else []
            why = ""
        counts[why] += int(number)
    named = ", ".join(f"`{one}`" for one in missing[:3]) + (" …" if len(missing) > 3 else "")
    said = [f"{number}: {why or f'no {named} installed'}" for why, number in counts.most_common()]
    return "; ".join([*said[:3], *([f"{sum(counts.values())} in all"] if len(said) > 3 else [])])


def page(found: dict[str, dict[str, dict[str, str]]]) -> str:
    """The page: a row per package, a column per Python and age."""
    columns = [f"{python} {age}" for python in PYTHONS for age in AGES]
    here = [one for one in columns if any(row.get(one, {}).get("versions") for row in found.values())]
    gone = [one for one in PYTHONS if not any(column.startswith(one) for column in here)]
    lines = [
        "# Tested versions",
        "",
        "Every package is built, installed from its wheel and tested by its own tests, under each Python.",
        "`oldest` takes the lowest version of each requirement that has a wheel for that Python, `newest`",
        "the highest. `python tools/bounds.py --write` does it and writes this page.",
        "",
        "A package's environment holds the core and what it depends on. Tests that need other packages are",
        "skipped there. A plugin's run once more beside all packages of the project, at the same versions.",
        "The core's do not: beside all they are the whole suite, which every change runs.",
        "",
    ]
    if gone:
        lines += [f"Python {', '.join(gone)} was not tested: no interpreter could be had.", ""]
    lines += [f"| package | {' | '.join(here)} |", f"|---{'|---' * len(here)}|"]
    for name, row in found.items():
        cells = [row.get(one, {}).get("result", "") for one in here]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    failures = [
        f"- `{name}`, {column}: {', '.join(FAILED.findall(cell['log'])) or 'see the log'}."
        for name, row in found.items()
        for column, cell in row.items()
        if cell.get("log")
    ]
    lines += ["", "## What failed", "", *failures] if failures else []
    lines += ["", "## What was skipped, and why", "", *skips(found)]
    lines += [
        "",
        "## Oldest versions",
        "",
        "What `oldest` took. A requirement that stands twice was raised while this page was made.",
        "",
    ]
    for python in (one for one in PYTHONS if f"{one} oldest" in here):
        rows = [row.get(f"{python} oldest", {}).get("versions", "").split() for row in found.values()]
        pairs = sorted({pair.replace("==", " ") for row in rows for pair in row})
        lines += [f"Python {python}:", "", *(f"- {pair}" for pair in pairs), ""]
    return "\n".join(lines).rstrip() + "\n"


def skips(found: dict[str, dict[str, dict[str, str]]]) -> Iterator[str]:
    """A line per package whose tests were skipped: the last column's reasons, alone and beside all."""
    for name, row in found.items():
        cells = [cell for cell in row.values() if cell.get("skipped")]
        if cells:
            beside = cells[-1].get("skipped_beside", "")
            yield f"- `{name}`, alone: {cells[-1]['skipped']}.{f' Beside all: {beside}.' if beside else ''}"


def build(folder: Path) -> Wheels:
    """Lay out what is committed, and build every package of it: its source archive, and a wheel from that."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    (folder / "checkout").mkdir()
    subprocess.run(["tar", "x", "-C", str(folder / "checkout")], input=archive, check=True)
    command = ["uv", "build", "-q", "--all-packages", "--out-dir", str(folder / "wheels")]
    subprocess.run(command, cwd=folder / "checkout", check=True)
    return Wheels(folder / "wheels")


def sound(cell: dict[str, str] | None) -> bool:
    """Whether a kept result need not be had again."""
    return cell is not None and "versions" in cell and not cell.get("log")


def main(arguments: list[str]) -> int:
    """Build, install, test; 1 if something fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--python", nargs="*", default=PYTHONS)
    parser.add_argument("--age", nargs="*", default=list(AGES), choices=list(AGES))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--jobs", type=int, default=1, help="environments at a time")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep", help="file of results: what it has is not tried again")
    given = parser.parse_args(arguments)
    kept = Path(given.keep) if given.keep else None
    found = json.loads(kept.read_text()) if kept is not None and kept.is_file() else {}
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        wheels = build(Path(place))
        names = {home: tomllib.loads((home / "pyproject.toml").read_text("utf-8")) for home in homes()}
        cells = [
            (home, table["project"]["name"], python, age)
            for python, age in product(given.python, given.age)
            for home, table in names.items()
            if not given.only or table["project"]["name"] in given.only
            if not sound(found.get(table["project"]["name"], {}).get(f"{python} {age}"))
        ]
        with ThreadPoolExecutor(given.jobs) as pool:
            work = [
                pool.submit(tried, home, wheels, python, age, Path(place)) for home, _, python, age in cells
            ]
            for (_, name, python, age), one in zip(cells, work, strict=True):
                result = found.setdefault(name, {})[f"{python} {age}"] = one.result()
                print(f"{name} {python} {age}: {result['result']}", flush=True)
                if result.get("log"):
                    failed += 1
                    print(result["log"][-4000:], flush=True)
                if kept is not None:
                    kept.write_text(json.dumps(found, indent=1))
    if given.write:
        PAGE.write_text(page(found), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
