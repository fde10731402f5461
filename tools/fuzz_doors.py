"""The doors that `tools/fuzz.py` throws damaged input at, each with good input."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import attrs

from inferbench.cli.app import run
from inferbench.discovery.registry import installed

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "specs" / "inferbench_specs"
FIXTURES = ROOT / "plugins" / "inferbench-importers" / "tests" / "fixtures"
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
        "suite": Door(".toml", specs("suites", 1), lambda f: ("compare", "h100-sxm", "--suite", f)),
        "set": Door(".toml", specs("measurements", 1), lambda f: ("validate", f)),
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
    bring_claims(folder)
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
        "claims": Door(".toml", [_CLAIMS], lambda f: ("claims", "S1", "S2")),
        "manifest": Door("", read(space / "manifest.json"), manifest),
        "sql": Door(".sql", [sql], query),
    }


def bring_claims(folder: Path) -> None:
    """Let a plugin bring the folder's TOML as a set of claims: it is read again whenever claims are asked."""
    (folder / "input.toml").write_bytes(_CLAIMS)
    plugin = folder / "claiming.py"
    plugin.write_text(_CLAIMING.format(str(folder)))
    installed().load_file(str(plugin))


_MEASURED = b"""source,chip,n_chips,framework,model,weight_precision,phase,batch,input_len,output_len,tpot_ms
somebody,H100,1,vllm-0.11,meta-llama/Meta-Llama-3-8B,bf16,decode,8,256,1,9.5
"""
_CLAIMS = b"""title = "Claims"

[sources]
press = { title = "Invented for a test", basis = "published" }

[runs.step]
system = "h100-sxm"
workload = "llama3-8b/decode"

[[claims]]
id = "S1"
quote = "A step takes 5 ms"
said = "5 ms"
verdict = "UNVERIFIED"
assumption = "none"
expression = "step(batch=8).seconds"

[[claims]]
id = "S2"
quote = "Eight parameters a layer"
said = "8.0"
verdict = "ASSUMPTION"
assumption = "none"
expression = "params.llama3_8b / (network.llama3_8b.num_hidden_layers * 2 + 1) - chip.b200.power.tdp ** 2"
"""
_CLAIMING = """from pathlib import Path
import inferbench as ib

@ib.hookimpl
def inferbench_claims():
    yield Path({!r})
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
