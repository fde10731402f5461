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
import io
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import attrs
from limits import ENDLESS, Usage, peak, stopped

from inferbench.cli.app import run

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "specs" / "inferbench_specs"
FIXTURES = ROOT / "plugins" / "inferbench-importers" / "tests" / "fixtures"
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
_FOR_GPUS = b'architectures = ["simt"]'
_LANGUAGE = ("transformer", "moe", "layered")
_DIFFUSION = ("dit", "mmdit", "unet", "video-dit", "video-mmdit")
_VISION = ("clip", "resnet", "siglip", "vit")
_NETWORK, _POINT = "llama3-8b", ("--batch", "1,8", "--context", "256")


@attrs.frozen
class Door:
    """A way in: the file's ending, good inputs, and the command that reads the file."""

    ending: str
    good: Sequence[bytes]
    command: Callable[[str], Sequence[str]]


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


def doors(folder: Path) -> dict[str, Door]:
    """Every door with good inputs."""
    return {**spec_doors(), **file_doors(folder)}


def read(*paths: Path) -> list[bytes]:
    """The bytes of some files."""
    return [path.read_bytes() for path in paths]


def specs(kind: str, every: int, *types: str) -> list[bytes]:
    """Every so manieth shipped spec of a kind, or of some types of it."""
    found = read(*sorted((SPECS / kind).glob("*.toml")))
    wanted = [f'type = "{one}"'.encode() for one in types]
    return [one for one in found if not wanted or any(type in one for type in wanted)][::every]


def spec_doors() -> dict[str, Door]:
    """Doors of what describes something: chips, networks, stacks, configs."""

    def network(file: str, *more: str) -> tuple[str, ...]:
        return ("run", "b200", f"{file}/decode", *_POINT, "--stack", "ideal", *more)

    def picture(file: str, phase: str) -> tuple[str, ...]:
        return ("run", "b200", f"{file}/{phase}", "--batch", "1,8", "--stack", "ideal")

    def chip(file: str) -> tuple[str, ...]:
        return ("run", file, f"{_NETWORK}/decode", *_POINT, "--stack", "ideal")

    def stack(file: str) -> tuple[str, ...]:
        return ("run", "h100-sxm", f"{_NETWORK}/decode", *_POINT, "--stack", file)

    def priced(file: str) -> tuple[str, ...]:
        return ("run", "b200", f"{_NETWORK}/decode", *_POINT, "--scenario", file)

    def housed(file: str) -> tuple[str, ...]:
        return ("run", "8xb200", f"{_NETWORK}/decode", *_POINT, "--set", f"system={file}")

    return {
        "chip": Door(".toml", specs("chips", 6), chip),
        "scenario": Door(".toml", specs("scenarios", 1), priced),
        "system": Door(".toml", specs("systems", 2), housed),
        "words": Door("", _COMMANDS, lambda f: _typed(Path(f).read_bytes())),
        "network": Door(".toml", specs("networks", 7, *_LANGUAGE), lambda f: network(f, "--ignore-capacity")),
        "diffusion": Door(".toml", specs("networks", 3, *_DIFFUSION), lambda f: picture(f, "denoise")),
        "vision": Door(".toml", specs("networks", 1, *_VISION), lambda f: picture(f, "forward")),
        "stack": Door(".toml", [one for one in specs("stacks", 1) if _FOR_GPUS in one][::5], stack),
        "config": Door(".json", [_CONFIG], network),
    }


def file_doors(folder: Path) -> dict[str, Door]:
    """Doors of measured files, results and sweeps."""
    result, space, record = folder / "good.json", folder / "space", folder / "record.json"
    table = folder / "measured.csv"
    table.write_bytes(_MEASURED)
    silent(["run", "h100-sxm", f"{_NETWORK}/decode", *_POINT, "--format", "json", "--out", str(result)])
    silent(["record", "h100-sxm", "-w", f"{_NETWORK}/decode", "--batch", "1", "--out", str(record)])
    silent(["sweep", "b200", "-w", f"{_NETWORK}/decode", *_POINT, "--out", str(space)])
    gemm = b"m,n,k\n" + b"".join(b"%d,4096,8192\n" % m for m in (1, 16, 256, 4096))
    kernels = b"chip,phase,op,precision,software,m,n,k,latency_s\n" + b"".join(
        b"h100-sxm,op,gemm,bf16,lib-1,%d,4096,%d,%g\n" % (m, k, 2e-5 + m * k * 1e-11)
        for m in (1, 64, 512, 4096)
        for k in (1024, 4096, 8192)
    )
    measured = read(*sorted(path for path in FIXTURES.iterdir() if path.is_file()))
    sql = b"select chip, max(tokens_per_s_per_chip) from space where batch > 1 group by 1 limit 5"

    def calibrate(file: str) -> tuple[str, ...]:
        return ("calibrate", file, "--chip", "h100-sxm", "--stack", "mine")

    def manifest(file: str) -> tuple[str, ...]:
        return ("query", _as_sweep(file, space), "select count(*) from space")

    def query(file: str) -> tuple[str, ...]:
        return ("query", str(space), Path(file).read_text(errors="replace").replace("\0", ""))

    return {
        "validate": Door("", measured, lambda f: ("validate", f)),
        "explain": Door(".json", read(result), lambda f: ("explain", f, str(table))),
        "gap": Door(".csv", [_MEASURED], lambda f: ("explain", str(result), f)),
        "verify": Door(".json", read(record), lambda f: ("verify", f)),
        "op": Door(".csv", [gemm], lambda f: ("op", "h100-sxm", "gemm", "--csv", f)),
        "calibrate": Door(".csv", [kernels], calibrate),
        "manifest": Door("", read(space / "manifest.json"), manifest),
        "sql": Door(".sql", [sql], query),
    }


_MEASURED = b"""source,chip,n_chips,framework,model,weight_precision,phase,batch,input_len,output_len,tpot_ms
somebody,H100,1,vllm-0.11,meta-llama/Meta-Llama-3-8B,bf16,decode,8,256,1,9.5
"""
# No word that a cut could turn into `-o`: nothing is written.
_COMMANDS = (
    b"run h100 llama3-8b/decode --batch 1,8 --context 1:512:x2 --precision fp8 --set power.tdp=500W",
    b"compare b200 h100 mi300x -w llama3-8b/decode --stack ideal --price on_demand=2.5USD/h",
    b"compare b200 -w llama3-8b --users-at 30tok/s --prompt 8000",
    b"op h100 gemm --m 1,16 --n 4096 --k 8192 --precision bf16",
    b"size llama3-8b/decode --tpot 20ms --users 100 --chips h200,b200",
    b"frontier h100 -w llama3-8b --slo-tpot 33.3ms --batch 1,8,64",
    b"explain h100 llama3-8b/decode --measured 8.4ms --stack vllm-h100 --batch 4",
    b"show b200 --format json",
    b"list chips",
)
_CONFIG = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_hidden_layers": 32,
        "vocab_size": 128256,
        "torch_dtype": "bfloat16",
        "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
        "rope_scaling": {"factor": 8.0},
        "max_position_embeddings": 131072,
        "head_dim": 128,
    },
    indent=1,
).encode()


def _typed(line: bytes) -> list[str]:
    """The words of a damaged command line; its verb stays what it was."""
    words = line.decode(errors="replace").replace("\0", "").split()
    verbs = [good.split()[0].decode() for good in _COMMANDS]
    return words if words and words[0] in verbs else [verbs[0], *words]


def _as_sweep(manifest: str, whole: Path) -> str:
    """A folder with this manifest and the good chunks."""
    folder = Path(manifest).with_name("damaged")
    folder.mkdir(exist_ok=True)
    for part in whole.glob("part-*.parquet"):
        (folder / part.name).write_bytes(part.read_bytes())
    (folder / "manifest.json").write_bytes(Path(manifest).read_bytes())
    return str(folder)


def silent(command: Sequence[str]) -> tuple[int, str]:
    """Run a command line; its exit code and what it said on stderr."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        code = run(list(command))
    return code, said.getvalue()


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
