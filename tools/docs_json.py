"""The JSON documents: a published JSON Schema of each, and a reference page, from what commands write.

A schema is what all samples of a document have in common: keys that all have are required, a value that is
null in one may be null. Tests hold other outputs against it.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from docs_formats import GENERATED
from inferbench_data.__main__ import main as write_tables

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "docs/reference/schemas"
# What is run for the samples, each with `--format json`, in order and in one folder.
SAMPLES = """
inferbench run h100-sxm llama3-8b/decode --stack vllm-h100 --batch 1,64,8192
inferbench run b200 vit-l/forward --option head=false --axis pixels=224,448
inferbench run h100-sxm llama3-8b/decode --stack vllm-h100 -v --set power.tdp=600W
inferbench compare b200 groq-lpu tpu-v5p -w llama3-70b/decode -w llama3-8b/prefill
inferbench op h100-sxm gemm --m 1,128 --n 8192 --k 8192
inferbench op h200 elementwise --elements 4096
inferbench op h100-sxm attention --batch 1,8 --heads 32 --queries 1 --keys 1024 --stack trtllm-1.3
inferbench frontier h100-sxm tpu-v5p -w llama3-8b --context 1024 --output 256 --batch 1:64:x4
inferbench frontier h100-sxm -w llama3-8b --context 1024 --slo-tpot 30ms --slo-ttft 2s --batch 1,8
inferbench compare h100-sxm tpu-v5p -w llama3-8b --users-at 40tok/s --prompt 1024 --output 256
inferbench size llama3-8b/decode --tpot 30ms --users 20 --chips h100-sxm,tpu-v5p
inferbench size vit-l/forward --latency 30ms --users 20 --chips h100-sxm
inferbench simulate h100-sxm llama3-8b --concurrency 8 --requests 50 --output 64 --slo-ttft 1s
inferbench simulate tpu-v5p llama3-8b --rate 2 --requests 50 --output 64 --stack ideal
inferbench sweep h100-sxm -w llama3-8b/decode --batch 1,8 --context 1024 --out space.parquet --executor inline
inferbench query space.parquet "select chip, batch, tpot_s from space"
inferbench calibrate gemm.csv --chip h100-sxm --stack mine --software TRTLLM-1.3 --precision fp8
inferbench explain h100 llama3-8b/decode --measured 8.4ms --stack vllm-h100
inferbench validate
inferbench claims
inferbench show b200
inferbench show vllm-h100
inferbench show qwen3-8b
inferbench show simt
inferbench show tpot_s
inferbench list
inferbench list chips
inferbench list stacks
inferbench list --coverage
inferbench doctor
inferbench plugins
inferbench check inferbench-importers
inferbench check inferbench-specs
inferbench plot roofline h100-sxm tpu-v5p -w llama3-8b/decode --batch 1,8
inferbench plot memory h100-sxm -w llama3-8b/decode
inferbench plot space h100-sxm -w llama3-8b/decode --batch 1,8 --context 512,2048
inferbench plot frontier h100-sxm -w llama3-8b --context 1024 --output 256 --batch 1,8
inferbench record h100-sxm -w llama3-8b/decode --batch 1,8 --precision fp8
inferbench record b200 -w llama3-8b/decode
inferbench verify record.json
inferbench verify changed.json
"""
# Tables whose keys are names of records, packages, metrics or rules.
FREE = (
    "metrics",
    "brings",
    "files",
    "refused",
    "not_taken",
    "parts",
    "unknown",
    "axes",
    "options",
    "packages",
    "specs",
    "stacks",
    "rules",
    "unscored",
    "infeasible",
    "goodput",
    "stacks",
    "trivial",
    "about",
    "systems_by",
    "extra",
)
# Such a sign stands in names of records, never in a key of ours.
_FREE = re.compile(r"[^a-z0-9_.]")
MEANINGS = {
    "schema": "name and version of the document; the number rises when a key goes or changes its meaning",
    "provenance": "versions of the program and of all packages, hashes of the specs, the economic scenario",
    "results": "one entry a point of the grid",
    "metrics": "metric to value; null where not known or not feasible; `_low`, `_high`: a 90% interval",
    "unknown": "metric to the reason why it is null",
    "feasible": "whether the network fits",
    "reason": "why the point is infeasible",
    "domain": "what the point rests on: a bound, inside or outside of what was calibrated",
    "grade": "what the number rests on: calibrated, transferred, class or bound",
    "rests_on": "the chips that the stack was fitted on, or the class of a prior; empty of a bound",
    "outside": "what of the point lies outside the box in which its stack was fitted, in words",
    "flags": "codes of what is doubtful about the point",
    "notes": "sentences for the reader",
    "layout": "how the network is spread over the chips",
    "fitted": "whether the row took part in fitting the stack",
    "predicted": "SI units; null where the row is not scored",
    "low": "lower end of the 90% interval of the prediction",
    "high": "upper end of the 90% interval of the prediction",
    "why_not": "why the row is not scored",
    "rule": "code of the rule that keeps the row from being scored",
    "measured": "SI units",
}  # fmt: skip


def infer(values: list[Any], key: str = "") -> dict[str, Any]:
    """The JSON Schema that all values have in common.

    Example:
        >>> infer([1, None])
        {'type': ['integer', 'null']}
    """
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    kinds = {names.get(type(value), "null") for value in values}
    if "number" in kinds:
        kinds = kinds - {"integer"} | {"null"}  # what is not a count may be unknown
    schema: dict[str, Any] = {"type": sorted(kinds)[0] if len(kinds) == 1 else sorted(kinds)}
    tables = [value for value in values if isinstance(value, dict)]
    items = [item for value in values if isinstance(value, list) for item in value]
    if tables and (key in FREE or any(_FREE.search(name) for table in tables for name in table)):
        inner = [item for table in tables for item in table.values()]
        schema["additionalProperties"] = infer(inner) if inner else True
    elif tables:
        properties = list(dict.fromkeys(name for table in tables for name in table))
        schema["properties"] = {
            name: infer([table[name] for table in tables if name in table], name) for name in properties
        }
        schema["required"] = [name for name in properties if all(name in table for table in tables)]
    if items:
        schema["items"] = infer(items, key)
    if key in MEANINGS:
        schema["description"] = MEANINGS[key]
    return schema


def answer(line: str) -> str:
    """Standard output of one command line."""
    from inferbench.cli.app import run

    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        run([*shlex.split(line)[1:], "--format", "json"])
    return out.getvalue()


@cache
def documents() -> dict[str, list[tuple[str, Any]]]:
    """Schema name to the command lines that write such a document, with what they wrote."""
    found: dict[str, list[tuple[str, Any]]] = {}
    before = os.environ.get("INFERBENCH_STRICT")
    os.environ["INFERBENCH_STRICT"] = ""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(io.StringIO()):
        write_tables(["gemm"])
        for line in SAMPLES.strip().splitlines():
            document = json.loads(answer(line))
            found.setdefault(document["schema"], []).append((line, document))
            if line.startswith("inferbench record"):
                _keep(document)
    if before is not None:
        os.environ["INFERBENCH_STRICT"] = before
    return dict(sorted(found.items()))


def _keep(record: dict[str, Any]) -> None:
    """Write a record, and one with a changed time, for `inferbench verify`."""
    Path("record.json").write_text(json.dumps(record), "utf-8")
    changed = json.loads(json.dumps(record))
    changed["results"][0]["metrics"]["tpot_s"] *= 2.0
    Path("changed.json").write_text(json.dumps(changed), "utf-8")


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a document."""
    inferred = infer([document for _, document in documents()[name]])
    inferred["properties"]["schema"] = {"const": name, "description": MEANINGS["schema"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **inferred}


def file_name(name: str) -> str:
    """`inferbench.run/1` is published as `run-1.json`."""
    return re.sub(r"^inferbench\.", "", name).replace("/", "-") + ".json"


def schema_file(name: str) -> str:
    """The text of a published schema."""
    return json.dumps(schema(name), indent=1, ensure_ascii=False) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _rows(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """A row a key, tables inside it as dotted paths, entries of lists as `[]`."""
    for name, inner in schema.get("properties", {}).items():
        key = f"{path}{name}"
        there = "always" if name in schema.get("required", ()) else "sometimes"
        yield f"| `{key}` | {inner.get('const') or _kind(inner)} | {there} | {inner.get('description', '')} |"
        yield from _rows(inner, f"{key}.")
        if "items" in inner:
            yield from _rows(inner["items"], f"{key}[].")
        if isinstance(inner.get("additionalProperties"), dict):
            yield from _rows(inner["additionalProperties"], f"{key}.NAME.")


PAGE = """# JSON documents

{generated}

Every command writes JSON with `--format json`: the same numbers as the table, to the last bit. Times are
seconds, rates are per second; another unit stands in the key. `null` means not known, and the reason stands
beside it. The key `schema` names the document and its version. A new key may appear without a new version. A
key that goes or changes its meaning raises the version. Each document has a
[JSON Schema](https://json-schema.org), draft 2020-12.
"""


def json_page() -> str:
    """Write docs/reference/json.md."""
    lines = PAGE.format(generated=GENERATED).splitlines()
    lines += ["", "| document | schema | written by |", "|---|---|---|"]
    for name, samples in documents().items():
        commands = ", ".join(dict.fromkeys(f"`inferbench {line.split()[1]}`" for line, _ in samples))
        lines.append(f"| `{name}` | [{file_name(name)}](schemas/{file_name(name)}) | {commands} |")
    for name in documents():
        lines += ["", f"## `{name}`", "", "| key | value | there | meaning |", "|---|---|---|---|"]
        lines += list(_rows(schema(name)))
    return "\n".join(lines).rstrip() + "\n"


def schemas() -> dict[str, str]:
    """Path and text of every published schema."""
    return {f"{FOLDER}/{file_name(name)}": schema_file(name) for name in documents()}
