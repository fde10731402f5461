"""Kill sweeps at random moments and damage their chunks; count what is resumed, left over and noticed.

    python tools/kill_sweeps.py [--kills 20] [--damages 20] [--seed 1]     exit code 1 if one isn't

Each sweep is a real process with two workers. It gets KILL, TERM or HUP, somewhere between its start and its
last chunk. Its workers must end, and the same command must give the bytes of a sweep that nobody killed. Then
eight bytes of a chunk are changed, twenty times: a query must name the chunk, and the same command mend it.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SWEEP = (
    *(sys.executable, "-m", "inferbench", "sweep", "h100-sxm", "-w", "llama3-8b/decode", "--stack", "ideal"),
    *("--batch", "1:500:+1", "--context", "1:200:+1", "--memory", "20 MB"),
    *("--executor", "processes", "--workers", "2", "--out"),
)
QUERY = (sys.executable, "-m", "inferbench", "query")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 60.0
"""Seconds in which a sweep must have made progress, or its workers have ended."""


def quiet(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def members(group: int) -> list[int]:
    """Living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, owner = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it has just ended
        if int(owner) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def killed(folder: Path, after: int, number: signal.Signals) -> tuple[int, int]:
    """Kill a sweep once it has so many chunks: how many it had, and processes that did not end.

    Args:
        folder: Of the sweep.
        after: Chunks.
        number: Of the signal.
    """
    child = subprocess.Popen(
        [*SWEEP, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # a shell may let it be ignored
    )
    until = time.monotonic() + PATIENCE
    while len(list(folder.glob("part-*.parquet"))) < after and child.poll() is None:
        if time.monotonic() > until:
            break
        time.sleep(0.002)
    child.send_signal(number)
    child.wait()
    until = time.monotonic() + PATIENCE
    while (left := members(child.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    return len(list(folder.glob("part-*.parquet"))), len(left)


def damaged(folder: Path, whole: dict[str, bytes], draw: random.Random) -> bool:
    """Change eight bytes of a chunk: whether a query names it and the same sweep mends it."""
    name = draw.choice(sorted(name for name in whole if name.startswith("part-")))
    data = bytearray(whole[name])
    at = draw.randrange(len(data) - 8)
    data[at : at + 8] = bytes(byte ^ draw.randrange(1, 256) for byte in data[at : at + 8])
    (folder / name).write_bytes(data)
    asked = quiet(*QUERY, str(folder), "select count(*) from space")
    again = quiet(*SWEEP, str(folder))
    named = asked.returncode == 2 and name in asked.stderr
    return named and again.returncode == 0 and contents(folder) == whole


def main(arguments: Sequence[str]) -> int:
    """Print a line per kill and per damage, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--damages", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    draw = random.Random(given.seed)
    same = left = noticed = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "whole"
        if (made := quiet(*SWEEP, str(folder))).returncode:
            print(made.stderr)
            return 1
        whole = contents(folder)
        chunks = sum(name.startswith("part-") for name in whole)
        for kill in range(given.kills):
            torn, number = Path(place) / f"torn{kill}", SIGNALS[kill % len(SIGNALS)]
            kept, orphans = killed(torn, draw.randrange(chunks), number)
            resumed = quiet(*SWEEP, str(torn)).returncode == 0 and contents(torn) == whole
            same, left = same + resumed, left + orphans
            verdict = "resumed byte-identical" if resumed else "NOT the same"
            print(f"{number.name} with {kept} of {chunks} chunks: {verdict}, {orphans} processes left")
        for _ in range(given.damages):
            noticed += damaged(folder, whole, draw)
    print(f"{same} of {given.kills} kills resumed byte-identical, {left} processes left")
    print(f"{noticed} of {given.damages} damaged chunks noticed and mended")
    return 0 if (same, left, noticed) == (given.kills, 0, given.damages) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
