"""The published JSON Schemas are current, and hold for documents that they were not made from."""

from __future__ import annotations

import json

import docs_json
import pytest

import docs

jsonschema = pytest.importorskip("jsonschema", reason="the development tools are not installed")

OTHERS = """
inferbench run 8xh200 deepseek-v3/decode --batch 1,128 --precision fp8
inferbench run groq-lpu llama3-70b/decode
inferbench run h100 sdxl/image --option cfg=true
inferbench compare h100-sxm mi300x -w llama3-8b/decode --stack trtllm-1.3
inferbench op b200 elementwise --elements 1000000
inferbench op tpu-v5p gemm --m 8 --n 1024 --k 1024 --precision bf16,int8
inferbench frontier 4xh200 -w llama3-70b --context 2048 --batch 1,16
inferbench size llama3-70b/decode --tpot 20ms --users 100 --chips h200,b200
inferbench explain h100 llama3-8b/decode --measured 20ms --stack vllm-h100
inferbench show tpu-v5p
inferbench show llama3-8b
inferbench show reference --kind scenarios
inferbench show imc --kind architectures
inferbench list chips
inferbench claims A
inferbench plot breakdown b200 -w llama3-8b/decode
inferbench plot factors b200 groq-lpu -w llama3-70b/decode
inferbench record b200 -w vit-l/forward
"""


@pytest.mark.slow
def test_the_schemas_are_current():
    stale = []
    for name, text in docs_json.schemas().items():
        path = docs.ROOT / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
    assert stale == [], "run python tools/docs.py --write"
    assert {path.name for path in (docs.ROOT / docs_json.FOLDER).iterdir()} == {
        name.rpartition("/")[2] for name in docs_json.schemas()
    }


@pytest.mark.parametrize("line", OTHERS.strip().splitlines())
def test_another_document_keeps_its_schema(line):
    document = json.loads(docs_json.answer(line))
    path = docs.ROOT / docs_json.FOLDER / docs_json.file_name(document["schema"])
    jsonschema.Draft202012Validator(json.loads(path.read_text("utf-8"))).validate(document)


def test_a_schema_says_what_may_be_missing_and_what_may_be_null():
    found = docs_json.infer([{"a": 1, "b": None}, {"a": 2.5, "b": "x", "c": [True]}])
    assert found["required"] == ["a", "b"]
    assert found["properties"]["a"] == {"type": ["null", "number"]}
    assert found["properties"]["b"] == {"type": ["null", "string"]}
    assert found["properties"]["c"] == {"type": "array", "items": {"type": "boolean"}}
