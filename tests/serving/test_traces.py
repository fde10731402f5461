"""Traces as Mooncake and Azure publish them, and every way in which one is wrong."""

from __future__ import annotations

import json

import pytest

from inferbench.errors import InferBenchError
from inferbench.serving.traces import read_trace


def written(tmp_path, text, name="trace"):
    path = tmp_path / name
    path.write_text(text)
    return path


def lines(*records):
    return "".join(json.dumps(one) + "\n" for one in records)


def test_mooncake(tmp_path):
    text = lines(
        {"timestamp": 3000, "input_length": 655, "output_length": 52, "hash_ids": [46, 47]},
        {"timestamp": 3500, "input_length": 700, "output_length": 1, "hash_ids": [46, 48]},
    )
    found = read_trace(written(tmp_path, text))
    assert found.arrival.tolist() == [0.0, 0.5]
    assert (found.prompt.tolist(), found.output.tolist()) == ([655.0, 700.0], [52.0, 1.0])
    assert found.hashes == ((46, 47), (46, 48))


def test_azure_with_ticks_and_with_a_zone(tmp_path):
    head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    old = read_trace(
        written(tmp_path, head + "2023-11-16 18:17:03.9799600,374,44\n2023-11-16 18:17:05.4799600,9,2\n")
    )
    assert old.arrival.tolist() == pytest.approx([0.0, 1.5])
    text = head + "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01.009930+00:00,2399,6\n"
    new = read_trace(written(tmp_path, text))
    assert (new.arrival.tolist(), new.prompt.tolist()) == (pytest.approx([0.0, 1.0]), [2162.0, 2399.0])
    assert new.hashes == ()


def test_only_the_first_requests(tmp_path):
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(f"{k}.5,10,5\n" for k in range(9))
    assert len(read_trace(written(tmp_path, text), most=4)) == 4


GOOD = {"timestamp": 5, "input_length": 9, "output_length": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(GOOD, {**GOOD, "timestamp": 2}), r"trace: line 2: its time is 0.003 s before that of line 1"),
        (lines(GOOD, {**GOOD, "output_length": 0}), r"line 2: output_length is 0; at least 1 token"),
        (lines({**GOOD, "input_length": 1.5}), r"line 1: input_length is 1.5; a whole number was expected"),
        (lines({"timestamp": 5, "input_length": 9}), r"line 1: no 'output_length'"),
        (lines({**GOOD, "timestamp": "soon"}), r"line 1: timestamp is 'soon'"),
        (lines(GOOD) + '{"timestamp": 6', r"line 2: no JSON object"),
        (lines(GOOD) + '{"timestamp": ' + "[" * 100_000, r"line 2: no JSON object"),
        ("a,b\n1,2\n", r"no trace: neither JSON lines .* nor a column 'timestamp'"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", r"there is no request in it"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,5,5\n", r"line 2: 'yesterday' is no time"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n1,5\n", r"line 2: 2 cells, the header has 3"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n1,5,0\n2,0,5\n", r"line 2: GeneratedTokens is 0"),
    ],
)
def test_a_trace_that_is_wrong_says_where(tmp_path, text, message):
    with pytest.raises(InferBenchError, match=message):
        read_trace(written(tmp_path, text))


def test_all_lines_that_are_wrong_are_named_at_once(tmp_path):
    with pytest.raises(InferBenchError) as caught:
        read_trace(written(tmp_path, lines(*[{**GOOD, "output_length": 0}] * 3)))
    assert len(caught.value.faults) == 3


def test_a_file_that_is_not_there():
    with pytest.raises(InferBenchError, match="can't be read"):
        read_trace("/nowhere/trace.jsonl")
