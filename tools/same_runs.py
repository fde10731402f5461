"""Compare the JSON of a fixed set of commands between two states of the code, bit by bit.

    python tools/same_runs.py write before.json      run every command of tests/data/runs.txt and keep
    what it prints python tools/same_runs.py compare before.json    run them again and name each command
    whose output differs

Run `write` before a change that must not alter results, `compare` after it.
"""

from __future__ import annotations

import io
import json
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

COMMANDS = Path(__file__).resolve().parent.parent / "tests" / "data" / "runs.txt"


def output(command: str) -> str:
    """Return what a command prints, its errors and its exit code."""
    from inferbench.cli.app import run

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(shlex.split(command))
    return f"{code}\n{out.getvalue()}\n{err.getvalue()}"


def outputs() -> dict[str, str]:
    """Run every command of the set."""
    lines = COMMANDS.read_text("utf-8").splitlines()
    return {line: output(line) for line in lines if line and not line.startswith("#")}


def main(verb: str, file: str) -> int:
    """Write the outputs, or compare them with a file of outputs."""
    found = outputs()
    if verb == "write":
        Path(file).write_text(json.dumps(found, indent=1), "utf-8")
        print(f"{len(found)} outputs written")
        return 0
    before = json.loads(Path(file).read_text("utf-8"))
    changed = [line for line in before if found.get(line) != before[line]]
    print(*changed, sep="\n")
    print(f"{len(before) - len(changed)} of {len(before)} outputs are the same")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
