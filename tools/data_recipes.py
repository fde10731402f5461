"""The rules by which tables of `inferbench-data` are made: data_recipes.toml, and what needs code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import attrs
from data_settings import SETTINGS, setting

__all__ = ["Recipe", "Row", "number", "recipes"]

Row = Mapping[str, str]
Rule = Callable[[Row], str]
HERE = Path(__file__).parent


def number(text: str, shift: int = 0) -> str:
    """Write a number in the shortest way that reads back the same, its point moved; empty stays empty.

    Example:
        >>> number("16.7639", -3), number("2.0"), number("")
        ('0.0167639', '2', '')
    """
    return repr(float(Decimal(text).scaleb(shift))).removesuffix(".0") if text else ""


def rule(text: str) -> Rule:
    """Return what a rule of data_recipes.toml says.

    Example:
        >>> rule("latency_ms e-3")({"latency_ms": "16.7639"}), rule("a + b")({"a": "1", "b": "1023"})
        ('0.0167639', '1024')
    """
    if text.startswith("= "):
        return lambda row: text[2:]
    if text.startswith("@"):
        return CODED[text[1:]]
    if " | " in text:
        names = text.split(" | ")
        return lambda row: next((row[name] for name in names if row[name]), "").removesuffix(".0")
    if " + " in text:
        return lambda row: _sum([row[name] for name in text.split(" + ")])
    name, _, shift = text.partition(" e")
    return (lambda row: number(row[name], int(shift))) if shift else (lambda row: row[name].strip())


def _sum(cells: list[str]) -> str:
    return number(str(sum(float(cell) for cell in cells))) if all(cells) else ""


@attrs.frozen
class Recipe:
    """How a table is made: its file, the rule of each column, and which rows belong to it."""

    file: str
    columns: Mapping[str, Rule]
    keep: Callable[[Row], bool]


def recipes() -> dict[str, Recipe]:
    """Read all recipes, by the table's name."""
    raw = tomllib.loads((HERE / "data_recipes.toml").read_text("utf-8"))
    found = {}
    for name, table in raw["tables"].items():
        rules = {**raw["usual"], **raw["sets"].get(table.get("set", ""), {}), **table.get("rules", {})}
        columns = {column: rule(rules[column]) for column in table["columns"].split()}
        found[name] = Recipe(table["file"], columns, KEEP[table.get("keep", "")])
    return found


KEEP: dict[str, Callable[[Row], bool]] = {
    "": lambda row: True,
    "operators": lambda row: row["phase"] == "op",
    # The documentation of AWS Neuron is under a licence of its own (CC-BY-SA), so its figures have a table.
    "neuron": lambda row: row["source"].startswith("aws-neuron/"),
    "vendors": lambda row: not row["source"].startswith("aws-neuron/") and row["phase"] != "op",
    # Bandwidths and latencies of links are facts of a chip, not measurements of work.
    "rates": lambda row: row["unit"] in ("tok/s", "img/s", "ms", "s"),
}
# What the free text of a row says that a reader of its figures must know, in one word.
SAID = {
    "prefill inside": "prefill_in_tpot",
    "prefill is inside": "prefill_in_tpot",
    "latency / output_len": "prefill_in_tpot",
    "queue inside": "queue_in_ttft",
    "latency computed": "latency_computed",
    "latency_ms = batch / rate": "latency_computed",
    "rate is per instance": "rate_of_one_instance",
    "steps not stated": "steps_assumed",
    "lengths 0.8 to 1.0": "lengths_drawn",
    "true mean lengths not stated": "lengths_unknown",
    "512-token prompt assumed": "prompt_assumed",
    "averaged over the whole run": "whole_run",
    "all prompts at once": "all_at_once",
}
BOUNDARIES = {
    "": "",
    "whole system, wall (AC)": "wall",
    "16 cards (42 W each)": "board",
    "device, average in streaming mode (on-board sensor)": "chip",
}
CACHES = {
    "Weight = fp16, KV Cache = fp8": "KV cache = fp8",
    "Weight = fp16, KV Cache = int8": "KV cache = int8",
}
# Mean tokens of a prompt that ML.ENERGY gives of its tasks (blog of January 2026, "Energy by Architecture").
PROMPTS = {"gpqa": "224", "lm-arena-chat": "634"}
VISION = {
    "aitemplate_vit": "facebookincubator/AITemplate",
    "aitemplate_sd": "facebookincubator/AITemplate",
    "fastertransformer_vit": "NVIDIA/FasterTransformer",
}
PARTS = {
    "CLIP text enc": "text encoder",
    "UNet (1 step, CFG=2 samples)": "unet",
    "VAE decode": "vae decoder",
    "Pipeline": "pipeline",
}
BASES = {
    "R": "file of the source",
    "W": "web page or abstract",
    "K": "recalled",
    "W, vendor claim": "vendor's claim",
}


def _flag(row: Row) -> str:
    """The marks of whoever compiled the file, each one word."""
    own = re.sub(r"parallelism_fixed[^|]*", "parallelism_corrected", row["flag"])
    return re.sub(r"[|;\s]+", " ", own).replace("check: 40x the batch-1 rate", "rate_unlikely").strip()


def _flags(row: Row) -> str:
    """The marks of a row, and what its free text says."""
    said = [word for phrase, word in SAID.items() if phrase in row["notes"]]
    return " ".join(
        dict.fromkeys([*_flag(row).split(), *said, *(["degree_in_parts"] if _in_parts(row) else [])])
    )


def _in_parts(row: Row) -> bool:
    """Whether a degree counts cores or halves of chips, not chips."""
    return bool(row["tp"] and row["n_chips"]) and float(row["tp"]) > float(row["n_chips"])


def _place(row: Row) -> tuple[str, str]:
    """A citation as the repository at its revision, and the file there."""
    source, mark, file = row["source"].partition(":")
    return (source, file) if "@" in source and mark else (row["source"], "")


def _degree(name: str) -> Rule:
    """A degree of attention; where the source multiplied it by that of the experts, the number of chips."""

    def take(row: Row) -> str:
        if "attn_dp" not in row:
            return number({"tp": _tp_of_a_rank, "attn_dp": _ranks}[name](row))
        twice = row["flag"].startswith("parallelism_fixed") and float(row[name]) > 1
        return number(row["n_chips"] if twice else row[name])

    return take


def _ranks(row: Row) -> str:
    """Ranks of attention with sequences of their own where a source has no column of them: users over the
    batch of a rank.
    """
    return str(float(row["concurrency"]) / float(row["batch"])) if row["batch"] else "1"


def _tp_of_a_rank(row: Row) -> str:
    """Tensor parallelism of attention: what a source writes counts the chips of all ranks."""
    return str(float(row["tp"]) / float(_ranks(row)))


def _mean(name: str) -> Rule:
    """Mean of lengths that are drawn from 0.8 to 1.0 of the nominal one (`random_range_ratio`)."""
    return lambda row: number(str(round(0.9 * float(row[name]), 1)))


# Rows whose tokens come more than a tenth faster under answers of 8,192 tokens than of 1,024 at equal
# prompts, four at a time, and in half the time of the same engine a release later: they were drafted.
DRAFTED = (
    ("H200-SXM-141GB", "trtllm-1.1.0rc2.post2"),
    ("B200-SXM-180GB", "trtllm-1.1.0rc2.post2"),
    ("B200-SXM-180GB", "sglang-0.5.9"),
)


def _drafted(row: Row) -> str:
    """`suspected` where the rates of a series can only be those of drafted tokens."""
    ours = "DeepSeek" in row["model"] and (row["chip"], row["framework"]) in DRAFTED
    return "suspected" if ours else ""


# Engines that compute what they were compiled for: at least so many sequences, and so many positions of each
# that are read, however few are in use. 0: as many as the row has, in the bucket of the whole answer.
PADDED = {"Transformers NeuronX": (0, 0), "optimum-neuron": (32, 4096), "JetStream": (0, 2048)}


def _padded(row: Row) -> tuple[int, int] | None:
    return next((sizes for name, sizes in PADDED.items() if row["framework"].startswith(name)), None)


def _computed_batch(row: Row) -> str:
    """Sequences that an engine computes; empty where it computes those that are there."""
    sizes = _padded(row)
    return number(str(max(float(row["batch"]), sizes[0]))) if sizes and row["batch"] else ""


def _computed_positions(row: Row) -> str:
    """Positions that an engine reads; empty where it reads those that are there."""
    sizes = _padded(row)
    if sizes is None or sizes[1]:
        return str(sizes[1]) if sizes else ""
    return _sum([row["input_len"], row["output_len"] or "0"]) if row["input_len"] else ""


def _prompts_at_once(row: Row) -> str:
    """1 where prompts of a batch are processed one by one, as Tenstorrent's tables say of theirs."""
    return "1" if row["framework"].startswith("tt-metal") else ""


def _watts(kind: str) -> Rule:
    return lambda row: number(row["power_w"]) if row["power_kind"].startswith(kind) else ""


def _rate(metric: str, unit: str, shift: int = 0) -> Rule:
    """The value of rows of one metric and unit."""
    return lambda row: number(row["value"], shift) if row["unit"] == unit and metric in row["metric"] else ""


def _rate_basis(row: Row) -> str:
    return BASES["W, vendor claim"] if "vendor" in row["provenance"] else BASES[row["provenance"][0]]


CODED: dict[str, Rule] = {
    "flag": _flag,
    "flags": _flags,
    "software": lambda row: row["framework"].removesuffix("-nan"),
    "attention_tp": _degree("tp"),
    "attention_dp": _degree("attn_dp"),
    "drafted": _drafted,
    "computed_batch": _computed_batch,
    "computed_positions": _computed_positions,
    "prompts_at_once": _prompts_at_once,
    **{name: setting(name) for name in SETTINGS},
    "mean_input": _mean("input_len"),
    "mean_output": _mean("output_len"),
    "attention_phase": lambda row: "prefill" if row["op_name"].startswith("context") else "decode",
    "collective": lambda row: {"alltoall": "all_to_all"}.get(row["op"], row["op"]),
    "cache": lambda row: CACHES.get(row["notes"], ""),
    "task_prompt": lambda row: PROMPTS.get(row["task"], ""),
    "mean_power": _watts("mean"),
    "peak_power": _watts("peak"),
    "place": lambda row: _place(row)[0],
    "place_file": lambda row: _place(row)[1],
    "whole_tp": lambda row: "" if _in_parts(row) else number(row["tp"]),
    "parts_tp": lambda row: number(row["tp"]) if _in_parts(row) else "",
    "kv_precision": lambda row: "" if row["kv_precision"] == "(default)" else row["kv_precision"],
    "tokens_counted": lambda row: row["tokens_counted"].replace(" (inferred: see README)", " (inferred)"),
    "boundary": lambda row: BOUNDARIES[row["power_boundary"]],
    "averaged": lambda row: "steady state" if row["batch_kind"].startswith("mean") else "",
    "energy_unit": lambda row: f"J per {row['energy_per']}" if row["energy_per"] else "",
    "rate_basis": _rate_basis,
    "rate_precision": lambda row: row["precision"].replace("?", " (assumed)"),
    "rate_phase": lambda row: {"s": "e2e", "img/s": "forward"}.get(row["unit"], "decode"),
    "rate_length": lambda row: row["metric"].partition("in=out=")[2],
    "rate_latency": _rate("latency", "s"),
    "rate_tpot": _rate("ms/token", "ms", -3),
    "rate_tokens": _rate("tok/s/user", "tok/s"),
    "rate_images": _rate("images/s", "img/s"),
    "vision_source": lambda row: VISION[row["source"]],
    "vision_part": lambda row: PARTS.get(row["op"], row["op"]),
    "run_precision": lambda row: "mxfp4" if row["model"].startswith("gpt-oss") else "bf16",
    "mlperf_source": lambda row: (
        "mlcommons/" + row["source"].removeprefix("mlperf_").replace("_v", "_results_v")
    ),
    # Two logs have -2 W, a reading that failed.
    "above_zero": lambda row: number(row["idle_min_w"]) if float(row["idle_min_w"] or 0) > 0 else "",
    "macro_basis": lambda row: BASES.get(row["provenance"], "partly recalled"),
    "macro_kind": lambda row: row["kind"].split()[0],
    "macro_cell": lambda row: row["kind"].split()[1].lower(),
}
