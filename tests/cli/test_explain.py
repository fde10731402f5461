"""Where a measured time goes: factors that multiply, gaps that name their cause, messages that teach."""

from __future__ import annotations

import json
import math

import pytest

import inferbench as ib
from inferbench.records.measurement import Measurement
from inferbench.validation.reconcile import Split, gap, measured_split

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")

HEAD = "chip,framework,model,phase,batch,input_len,output_len,latency_ms"
ROW = HEAD + "\nH100,vLLM,llama3-8b,e2e,16,1024,512,{}\n"


def test_the_parts_multiply_to_the_whole():
    one = measured_split(
        Measurement(
            source="s",
            chip="H100",
            software="vLLM",
            network="llama3-8b",
            phase="decode",
            axes={"batch": 8.0, "context": 2048.0},
            tpot_s=0.012,
        ),
        ib.installed(),
    )
    assert one.work / (one.algorithm * one.hardware * one.software) == pytest.approx(0.012)
    assert one.work <= one.roofline <= one.model <= one.stack
    assert one.software == pytest.approx(one.model / 0.012)
    assert sum(op.stack for op in one.operators) + one.host == pytest.approx(one.stack)


def test_a_gap_names_its_cause():
    """The same point, twice as slow as the run: all of it is software."""
    other = Split(title="x", metric="tpot_s", work=1.0, roofline=2.0, model=2.5, stack=4.0, measured=10.0)
    result = {
        "metrics": {"algorithm": 0.5, "hardware": 0.8, "software": 0.5, "utilization": 0.2, "tpot_s": 5.0}
    }
    found = gap(result, other)
    assert found == pytest.approx(
        {"work": 1.0, "algorithm": 1.0, "hardware": 1.0, "software": 2.0, "all": 2.0}
    )


def test_operators_of_the_source_stand_beside_ours():
    one = measured_split(
        Measurement(
            source="s",
            chip="H100",
            software="vLLM",
            network="llama3-8b",
            phase="decode",
            tpot_s=0.012,
            axes={"batch": 8.0, "context": 2048.0},
            extra={"operators": {"attention": 0.002}},
        ),
        ib.installed(),
    )
    measured = {op.name: op.measured for op in one.operators}
    assert measured["attention"] == 0.002
    assert math.isnan(measured["qkv"])


def test_a_run_and_a_file_are_compared(cli, tmp_path):
    pytest.importorskip("inferbench_importers")
    run, table = tmp_path / "run.json", tmp_path / "table.csv"
    table.write_text(ROW.format(7000))
    point = ("llama3-8b/generate", "--batch", "16", "--context", "1024", "--axis", "output=512")
    assert cli("run", "h100-sxm", *point, "--format", "json", "--out", str(run))[0] == 0
    code, out, err = cli("explain", str(run), str(table), "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    ran = json.loads(run.read_text())["results"][0]["metrics"]["latency_s"]
    assert found["gap"]["all"] == pytest.approx(7.0 / ran)
    assert found["gap"]["algorithm"] == pytest.approx(1.0)
    assert found["gap"]["software"] == pytest.approx(found["gap"]["all"], rel=1e-6)


@pytest.fixture(scope="module")
def document():
    run = ib.run("h100-sxm", "llama3-8b/generate", batch=16, context=1024, output=512)
    return json.dumps(run.to_dict())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(results=5), "its results are no list"),
        (lambda d: d.update(results=["x"]), "result 1 is not as run writes it"),
        (lambda d: d["results"][0].update(metrics=[]), "result 1 is not as run writes it"),
        (lambda d: d["results"][0].update(axes="16"), "result 1 is not as run writes it"),
        (lambda d: d["results"][0]["metrics"].update(algorithm="\u202e"), "its result has no algorithm"),
        (lambda d: d["results"][0]["metrics"].update(hardware=10**400), "its result has no hardware"),
        (lambda d: d["results"][0]["metrics"].update(software=True), "its result has no software"),
        (lambda d: d["results"][0]["metrics"].update(utilization=-0.1), "its result has no utilization"),
        (lambda d: d["results"][0]["metrics"].update(latency_s=math.inf), "its result has no latency"),
    ],
)
def test_a_damaged_run_is_told_in_one_message(cli, tmp_path, document, change, said):
    pytest.importorskip("inferbench_importers")
    damaged = json.loads(document)
    change(damaged)
    run, table = tmp_path / "run.json", tmp_path / "table.csv"
    run.write_text(json.dumps(damaged))
    table.write_text(ROW.format(7000))
    code, out, err = cli("explain", str(run), str(table))
    assert (code, out) == (2, "")
    assert said in err
    assert "bug" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("h100", "llama3-8b/decode"), "no measured time"),
        (("h100", "llama3-8b/decode", "--measured", "8 W"), "--measured"),
        (("nowhere.json", "x.csv"), "can't be read"),
    ],
)
def test_what_is_missing_is_said(cli, arguments, said):
    code, out, err = cli("explain", *arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--batch", "1,2"), "--batch: 2 points are given, and one time was measured"),
        (("--precision", "bf16,fp8"), "--precision: 2 points are given, and one time was measured"),
        (("--row", "2"), "--row 2: changes nothing where a system and its measured time are given"),
        (("--result", "3"), "--result 3: changes nothing where a system and its measured time are given"),
        (("--chip", "h200"), "--chip h200: changes nothing where a system and its measured time are given"),
    ],
)
def test_what_would_change_nothing_is_refused(cli, more, said):
    code, out, err = cli("explain", "h100", "llama3-8b/decode", "--measured", "8.4ms", *more)
    assert (code, out) == (2, "")
    assert err.startswith(f"inferbench: {said}\n")


@pytest.mark.parametrize(
    "more", [("--measured", "8 ms"), ("--option", "kv=false"), ("--ignore-capacity",), ("--reserve", "5%")]
)
def test_a_run_that_was_written_takes_no_option_of_another(cli, tmp_path, more):
    path = tmp_path / "run.json"
    path.write_text("{}")
    code, _, err = cli("explain", str(path), str(path), *more)
    assert code == 2
    assert "changes nothing beside a run that was written" in err


def test_validate_reads_files_and_lists_what_is_not_scored(cli, tmp_path):
    pytest.importorskip("inferbench_importers")
    table = tmp_path / "table.csv"
    table.write_text(ROW.format(5500) + "H1000,vLLM,llama3-8b,e2e,16,1024,512,7000\n")
    code, out, _ = cli("validate", str(table))
    assert code == 0
    assert "H1000: unknown chip" in out
    assert "vllm-h100" in out
    code, out, _ = cli("validate", str(table), "--format", "json")
    assert [one["scored"] for one in json.loads(out)["rows"]] == [True, False]
