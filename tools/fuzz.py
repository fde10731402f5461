"""Throw damaged input at every door, and say where it ends in a bug message.

    python tools/fuzz.py [--seed 1] [--seconds 120] [--inputs N] [--door NAME …]     exit code 1 if one does

Two minutes for every change; at night `--seconds 36000 --inputs 10000`, which is over 10^5 inputs.

Each input is a good one with a few changes: bytes flipped, cut out or doubled, numbers and words replaced
by awkward ones, tables nested or emptied. It goes through the command line in this process. Whatever ends
in 0, 1 or 2 with a message is fine; "this is a bug" is not, nor is an input that takes over two seconds of
processor time, nor 300 MB beyond what the good ones take. One that doesn't end is stopped after ten seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
from fuzz_doors import Door, doors, silent
from limits import ENDLESS, Usage, peak, stopped

BUG = "this is a bug"
NUMBERS = (
    *("0", "-1", "1e400", "-0.0", "nan", "inf", "0.5", "1e-320", "18446744073709551616", "9" * 400),
    *(
        '"1e400 TB/s"',
        '"-5 W"',
        '"8 TB/s"',
        "true",
        '""',
        "[]",
        "{}",
        '"\\u202e"',
        "null",
        '{ missing = "x" }',
    ),
)  # what a number is replaced by
WORDS = ("", "\x1b[31m", "\u202e", "=1+1", "../..", "None", "x" * 3000, "é", "0", "[bold]", "ﷺ")
JUNK = (
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\r",
    b"[",
    b"{",
    b"'",
    b'"',
    b"=",
    b"\n\n",
    "é".encode("latin-1"),
)
_NUMBER = re.compile(rb"-?\b[0-9][0-9_.eE+-]*\b")
_QUOTED = re.compile(rb'"[^"\n]{0,60}"')


def damaged(draw: random.Random, good: bytes) -> bytes:
    """A good input with one to four changes."""
    data = good
    for _ in range(draw.randint(1, 4)):
        data = draw.choice(CHANGES)(draw, data)
    return data


def _cut(draw: random.Random, data: bytes) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[min(len(data), at + draw.choice((1, 8, 80, 10**6))) :]


def _junk(draw: random.Random, data: bytes) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice(JUNK) + data[at:]


def _lines(draw: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    if draw.random() < 0.5:
        lines.insert(other, lines[one])
    else:
        del lines[one]
    return b"".join(lines)


def _replaced(draw: random.Random, data: bytes, pattern: re.Pattern[bytes], words: Sequence[str]) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data
    one = draw.choice(found)
    return data[: one.start()] + draw.choice(words).encode(errors="surrogatepass") + data[one.end() :]


def _number(draw: random.Random, data: bytes) -> bytes:
    return _replaced(draw, data, _NUMBER, NUMBERS)


def _word(draw: random.Random, data: bytes) -> bytes:
    return _replaced(draw, data, _QUOTED, [json.dumps(word) for word in WORDS])


def _swap(draw: random.Random, data: bytes) -> bytes:
    """Put one quoted text in another's place: a value of another kind."""
    found = list(_QUOTED.finditer(data))
    if len(found) < 2:
        return data
    one, other = draw.sample(found, 2)
    return data[: one.start()] + other[0] + data[one.end() :]


def _nested(draw: random.Random, data: bytes) -> bytes:
    deep = draw.choice((3, 2000))
    return data + draw.choice((b"[" * deep, b'{"a":' * deep, b"\n" + b"a." * deep + b"b = 1\n"))


CHANGES = (_cut, _junk, _lines, _number, _number, _number, _word, _swap, _nested)


@attrs.frozen
class Bug:
    """An input that ended badly.

    Attributes:
        door: Which.
        number: Of the input, counted from 0: the seed and this give it again.
        said: What was printed, or how long it took.
    """

    door: str
    number: int
    said: str


def thrown(door: str, seed: int, number: int, known: dict[str, Door], folder: Path) -> Bug | None:
    """Throw one input at a door."""
    way = known[door]
    draw = random.Random(f"{seed} {door} {number}")
    path = folder / f"input{way.ending or draw.choice(('.json', '.csv', '.log', '.jsonl', ''))}"
    path.write_bytes(damaged(draw, draw.choice(way.good)))
    kept = path.read_bytes()
    usage = Usage()
    try:
        with stopped(ENDLESS):
            code, said = silent(way.command(str(path)))
    except BaseException as error:
        code, said = -1, f"{type(error).__name__}: {error}"
    path.unlink(missing_ok=True)
    beyond = usage.beyond() if number else ""  # the first at a door imports what it needs
    if BUG not in said and code in (0, 1, 2) and not beyond:
        return None
    (Path(tempfile.gettempdir()) / f"fuzz-{door}-{number}{path.suffix}").write_bytes(kept)
    return Bug(door, number, beyond or said.strip().partition("\n")[0][:300] or f"exit code {code}")


def fuzz(seed: int, seconds: float, names: Sequence[str] = (), inputs: int = 10**9) -> Iterator[Bug | str]:
    """Throw inputs at doors in turn; yield the door of each that ended well, and every bug.

    Args:
        seed: Gives the same inputs again.
        seconds: After which no other input is thrown.
        names: Of doors; none: all.
        inputs: At each door at most.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        known = doors(folder)
        until = time.monotonic() + seconds
        for number in range(inputs):
            for door in names or known:
                if time.monotonic() > until:
                    return
                yield thrown(door, seed, number, known, folder) or door


def main(arguments: Sequence[str]) -> int:
    """Print how many inputs each door took, and every bug."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--inputs", type=int, default=10**9, help="at each door at most")
    parser.add_argument("--door", action="append", default=[])
    given = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    bugs: list[Bug] = []
    most = 0.0
    for one in fuzz(given.seed, given.seconds, given.door, given.inputs):
        counts[one.door if isinstance(one, Bug) else one] += 1
        most = max(most, peak())
        if isinstance(one, Bug):
            bugs.append(one)
            print(f"{one.door} {one.number}: {one.said}")
    print(", ".join(f"{door} {count}" for door, count in counts.items()))
    spent = f"{time.process_time():,.0f} s of processor time, at most {most:,.0f} MB"
    print(f"{sum(counts.values())} inputs, {len(bugs)} bugs; {spent}")
    return 1 if bugs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
