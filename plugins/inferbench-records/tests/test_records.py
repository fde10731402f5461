"""A record is computed again to the last bit, and a tampered one names its field."""

from __future__ import annotations

import copy
import json

import attrs
import pytest
from inferbench_records.checking import verified
from inferbench_records.documents import digest, made, read

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("networks/llama3-8b", "stacks/trtllm-1.3-b200")
ASKED = {
    "systems": ["b200"],
    "workload": ["llama3-8b/decode"],
    "axes": {"batch": "1,8"},
    "precision": ["fp8"],
}


@pytest.fixture(scope="module")
def document():
    return made(ib.installed(), ASKED)


def changed(document, path, value, rehash=True):
    """A copy with another value at a path, its hash made good again unless told otherwise."""
    other = copy.deepcopy(document)
    at = other
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    if rehash:
        other["sha256"] = digest(other)
    return other


def fields(document):
    return [one.field for one in verified(document, ib.installed()) if one.matters]


def test_a_record_is_equal_to_the_last_bit_after_a_trip_through_a_file(document, tmp_path):
    path = tmp_path / "b200.json"
    path.write_text(json.dumps(document), "utf-8")
    assert verified(read(path), ib.installed()) == []


def test_a_record_holds_every_spec_by_value_and_hash(document):
    kinds = [key.partition("/")[0] for key in document["specs"]]
    assert set(kinds) >= {"chips", "networks", "stacks", "scenarios"}
    assert kinds.count("stacks") >= 1
    assert 'title = "B200"' in document["specs"]["chips/b200"]["text"]


@pytest.mark.parametrize(
    "path",
    [
        ("results", 0, "metrics", "tpot_s"),
        ("results", 1, "metrics", "usd_per_mtok_low"),
        ("results", 1, "grade"),
        ("results", 0, "memory", "needed_bytes"),
    ],
)
def test_a_tampered_result_is_named_even_with_a_good_hash(document, path):
    at = document
    for key in path:
        at = at[key]
    value = at * (1 + 2**-50) if isinstance(at, float) else "calibrated!"
    name = f"results[{path[1]}].{'.'.join(path[2:])}"
    assert fields(changed(document, path, value)) == [name]


def test_a_change_without_a_new_hash_is_named_too(document):
    assert fields(changed(document, ("results", 0, "metrics", "tpot_s"), 1.0, rehash=False)) == [
        "sha256",
        "results[0].metrics.tpot_s",
    ]


def test_a_tampered_argument_shows_in_the_results(document):
    found = fields(changed(document, ("arguments", "axes", "batch"), "1,16"))
    assert "results[1].batch" in found
    assert not any(field.startswith("results[0]") for field in found)


def test_a_tampered_spec_is_named_by_its_key_and_changes_its_results(document):
    key = ("specs", "chips/b200", "text")
    text = document["specs"]["chips/b200"]["text"]
    assert '"8 TB/s"' in text
    found = fields(changed(document, key, text.replace('"8 TB/s"', '"9 TB/s"', 1)))
    assert "specs.chips/b200.sha256" in found
    assert any(field.startswith("specs.chips/b200.memory.hbm.bandwidth") for field in found)
    assert "results[0].metrics.bound_s" in found


def test_other_versions_are_told_and_allow_the_last_digits(document):
    value = document["results"][0]["metrics"]["tpot_s"]
    other = changed(document, ("made", "numpy"), "1.0.0")
    other = changed(other, ("results", 0, "metrics", "tpot_s"), value * (1 + 1e-13))
    found = verified(other, ib.installed())
    assert [(one.field, one.matters) for one in found] == [("made.numpy", False)]
    other = changed(other, ("results", 0, "metrics", "tpot_s"), value * (1 + 1e-11))
    assert fields(other) == ["results[0].metrics.tpot_s"]


def test_a_package_that_adds_a_metric_is_told_and_changes_no_record(document):
    one = ib.Metric("eggs", "eggs", "", "higher", lambda run: 2.0 * run.items)
    known = ib.installed().with_records("metrics", [one])
    known.entries("metrics")["eggs"] = attrs.evolve(known.entries("metrics")["eggs"], owner="inferbench-eggs")
    found = verified(document, known)
    assert [(one.field, one.matters) for one in found] == [("made.packages.inferbench-eggs", False)]


def test_measurements_keep_their_boundary(tmp_path):
    from inferbench_records.documents import measured

    path = tmp_path / "mine.csv"
    path.write_text(
        "chip,network,phase,precision,batch,context,tpot_s,power_w,boundary,source\n"
        "b200,llama3-8b,decode,fp8,1,2048,0.004,500,wall,ours\n"
    )
    try:
        rows = measured(path, ib.installed())
    except ib.InferBenchError:
        pytest.skip("no importer of plain CSV is installed")
    assert rows[0]["boundary"] == "wall"
    assert rows[0]["tpot_s"] == 0.004


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ('{"schema": "inferbench.record/1", "results": [NaN]}', "NaN is no number of JSON"),
        ('{"schema": "inferbench.record/1", "results": [-1e400]}', "-1e400 is no number of JSON"),
        (f'{{"schema": "inferbench.record/1", "results": [{"9" * 5000}]}}', "is no JSON"),
        ("[]", "schema None is not 'inferbench.record/1'"),
        ('{"schema": "inferbench.record/9"}', "make the record again with this version"),
        ('{"schema": "inferbench.record/1"}', "lacks arguments, made, results, specs, sha256"),
        (
            '{"schema": "inferbench.record/1", "arguments": [], "made": {}, "results": [], "specs": {},'
            ' "sha256": ""}',
            "arguments: of another type",
        ),
    ],
)
def test_what_is_no_record_is_refused(cli, tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    code, out, err = cli("verify", str(path))
    assert (code, out) == (2, "")
    assert message in err
    assert "bug of InferBench" not in err


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("specs", "networks/llama3-8b"), {"sha256": "0"}, "specs.networks/llama3-8b"),
        (("specs", "networks/llama3-8b", "text"), 5, "specs.networks/llama3-8b"),
        (("specs", "networks/llama3-8b"), ["text"], "specs.networks/llama3-8b"),
        (("specs", "chips/\x1b[31m"), None, "specs.chips/␛[31m"),
        (("made", "packages"), [1, 2], "made.packages"),
        (("made", "packages"), None, "made.packages"),
    ],
)
def test_what_lies_deeper_in_a_record_has_its_type_too(cli, tmp_path, document, path, value, named):
    file = tmp_path / "x.json"
    file.write_text(json.dumps(changed(document, path, value)))
    code, out, err = cli("verify", str(file))
    assert (code, out) == (2, "")
    assert f"{named}: of another type than expected" in err
    assert "\x1b" not in err
    assert "this is a bug" not in err


def test_the_commands_agree(cli, tmp_path):
    path = tmp_path / "b200.json"
    ask = ("record", "b200", "-w", "llama3-8b/decode", "--precision", "fp8", "-o", str(path))
    assert cli(*ask)[0] == 0
    code, out, _ = cli("verify", str(path))
    assert code == 0
    assert "all 1 results agree" in out
    path.write_text(path.read_text().replace('"grade": "', '"grade": "un', 1))
    code, out, _ = cli("verify", str(path), "--format", "json")
    assert code == 1
    data = json.loads(out)
    assert not data["agrees"]
    assert "results[0].grade" in [one["field"] for one in data["differences"]]


def test_an_argument_of_a_stranger_s_record_is_no_traceback(document):
    other = changed(document, ("arguments", "registry"), "x")
    with pytest.raises(ib.InferBenchError, match="arguments: registry"):
        verified(other, ib.installed())
