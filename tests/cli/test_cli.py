"""The command line: what it answers, and the JSON contract to the last key."""

from __future__ import annotations

import csv
import io
import json
import os
import re

import numpy as np
import pytest

import inferbench as ib

RESULT = [
    "system",
    "chip",
    "chips",
    "layout",
    "network",
    "workload",
    "phase",
    "stack",
    "grade",
    "rests_on",
    "precision",
    "batch",
    "context",
    "feasible",
    "reason",
    "memory",
    "domain",
    "outside",
    "metrics",
    "unknown",
    "flags",
    "notes",
]
METRICS = {
    "ttft_s",
    "tpot_s",
    "tokens_per_s_per_user",
    "tokens_per_s_per_chip",
    "utilization",
    "algorithm",
    "hardware",
    "software",
    "useful_tops",
    "arithmetic_intensity",
    "ridge_point",
    "bound",
    "power_w",
    "joules_per_token",
    "tokens_per_s_per_w",
    "usd_per_hour",
    "usd_per_hour_cloud",
    "usd_per_mtok",
    "usd_per_mtok_cloud",
    "latency_s",
    "items_per_s",
    "joules_per_item",
}
RUN = ("run", "toy-chip", "toy-net/decode", "--scenario", "toy")
usual = pytest.mark.needs_plugins("chips/tpu-v5p", "chips/groq-lpu", "suites/reference", "stacks/reference")


def data(answer):
    code, out, err = answer
    assert (code, err) == (0, "")
    return json.loads(out)


def test_version(toy_cli, process):
    code, out, _ = toy_cli("--version")
    assert (code, out) == (0, f"inferbench {ib.__version__}\n")
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"inferbench {ib.__version__}\n", "")


def test_help_names_every_command(toy_cli):
    code, out, _ = toy_cli("--help")
    assert code == 0
    for command in ("compare", "run", "list", "show", "doctor"):
        assert command in out


@pytest.mark.parametrize("command", ["compare", "run", "list", "show", "doctor"])
def test_help_of_each_command_has_an_example(toy_cli, command):
    code, out, _ = toy_cli(command, "--help")
    assert code == 0
    assert f"Example: inferbench {command}" in out


def test_run_of_a_file_plugin_end_to_end(toy_cli):
    document = data(toy_cli(*RUN, "--batch", "1,200", "--precision", "fp8", "--format", "json"))
    assert list(document) == ["schema", "provenance", "results"]
    assert document["schema"] == "inferbench.run/1"
    one, many = document["results"]
    assert list(one) == RESULT
    assert one["metrics"] == {"tpot_s": pytest.approx(500.1e-6), "bound": "memory.hbm"}
    assert many["metrics"] == {"tpot_s": pytest.approx(1e-3), "bound": "compute"}
    assert (one["system"], one["chip"], one["chips"], one["layout"]) == ("toy-chip", "toy-chip", 1, "tp1")
    assert (one["workload"], one["phase"], one["precision"]) == ("toy-net/decode", "decode", "fp8")
    assert (one["batch"], one["context"], one["feasible"], one["reason"]) == (1.0, 16.0, True, None)
    assert one["domain"] == "ideal: software without losses, no prediction"
    assert (one["flags"], one["notes"], one["unknown"]) == ([], [], {})


def test_what_does_not_fit_is_null_with_a_reason(toy_cli):
    (row,) = data(toy_cli(*RUN, "--format", "json"))["results"]
    said = "needs 1.00 GB, has 600 MB: 2 chips or more for the weights alone (1.00 GB)"
    assert (row["feasible"], row["reason"], row["metrics"]) == (False, said, {"tpot_s": None, "bound": None})
    assert row["unknown"] == {"tpot_s": said}
    (row,) = data(toy_cli(*RUN, "--format", "json", "--ignore-capacity"))["results"]
    assert (row["feasible"], row["reason"]) == (True, None)


def test_a_context_beyond_the_maximum_is_noted(toy_cli):
    code, out, _ = toy_cli(*RUN, "--precision", "fp8", "--context", "33")
    assert code == 0
    assert "¹ context 33 is beyond the 32 positions of Toy net" in out
    (row,) = data(toy_cli(*RUN, "--context", "33", "--format", "json"))["results"]
    assert row["notes"] == ["context 33 is beyond the 32 positions of Toy net"]


def test_csv_and_markdown_have_the_same_numbers(toy_cli):
    more = (*RUN, "--precision", "fp8", "--batch", "1,200")
    rows = list(csv.DictReader(io.StringIO(toy_cli(*more, "--format", "csv")[1])))
    assert [float(row["tpot_s"]) for row in rows] == [
        row["metrics"]["tpot_s"] for row in data(toy_cli(*more, "--format", "json"))["results"]
    ]
    code, out, _ = toy_cli(*more, "--format", "markdown")
    assert code == 0
    assert "| batch 1 | yes | HBM | 500 µs |" in " ".join(out.split())


def test_list_doctor_and_show_on_a_file_plugin(toy_cli):
    listed = data(toy_cli("list", "--format", "json"))
    assert listed["schema"] == "inferbench.list/1"
    found = {(entry["kind"], entry["name"]) for entry in listed["entries"]}
    assert {
        ("chips", "toy-chip"),
        ("networks", "toy-net"),
        ("stacks", "ideal"),
        ("plugins", "file:toy.py"),
    } <= found
    doctor = data(toy_cli("doctor", "--format", "json"))
    assert doctor["schema"] == "inferbench.doctor/1"
    # Nothing is wrong with the file; what a core beside it lacks is said.
    assert {one["state"] for one in doctor["findings"]} <= {"missing"}
    code, out, _ = toy_cli("show", "toy-chip")
    assert code == 0
    assert "Toy chip (toy-chip)" in out


def test_out_writes_the_file_and_nothing_else(toy_cli, tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")
    code, out, err = toy_cli(*RUN, "--format", "json", "--out", str(path))
    said = (
        f"inferbench: --out {path}: is there already\n  name another file, or write --force to replace it\n"
    )
    assert (code, out, err, path.read_text()) == (2, "", said, "old")
    code, out, err = toy_cli(*RUN, "--format", "json", "--out", str(path), "--force")
    assert (code, out, err) == (0, "", "")
    assert json.loads(path.read_text("utf-8"))["schema"] == "inferbench.run/1"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    assert path.stat().st_mode & 0o444 == 0o444 & ~_umask()


def _umask():
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_proposed_command_keeps_the_plugin_file(toy_cli, tmp_path):
    path = tmp_path / "more plugins.py"
    path.write_text("")
    code, out, _ = toy_cli("-p", str(path), "list", "chips")
    assert code == 0
    assert f" -p '{path}' show toy-chip · inferbench -p " in " ".join(out.split())


def numbers(text):
    return set(re.findall(r"\d[\d,.]*", text))


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_loses_no_number(toy_cli, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", "200")
    more = (*RUN, "--precision", "fp8,int8", "--batch", "1,64,4096", "-v")
    wide = toy_cli(*more)[1]
    monkeypatch.setenv("COLUMNS", str(width))
    code, narrow, _ = toy_cli(*more)
    assert code == 0
    assert max(map(len, narrow.splitlines())) <= width or width == 20
    assert numbers(wide) <= numbers(narrow)
    assert "…" not in narrow


@usual
def test_compare_on_40_columns_loses_no_number(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    wide = cli("compare", "b200", "groq-lpu", "tpu-v5p")[1]
    monkeypatch.setenv("COLUMNS", "40")
    code, narrow, _ = cli("compare", "b200", "groq-lpu", "tpu-v5p")
    assert code == 0
    assert max(map(len, narrow.splitlines())) <= 40
    assert numbers(wide) <= numbers(narrow)


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}])
def test_a_pipe_gets_no_escape_codes(process, toy_file, env):
    ideal = ("--stack", "ideal")
    done = process("-p", str(toy_file), *RUN[:3], "--scenario", "toy", "--precision", "fp8", *ideal, **env)
    assert done.returncode == 0
    assert "500 µs" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_an_ascii_terminal_still_gets_the_answer(process, toy_file):
    asked = ("--scenario", "toy", "--precision", "fp8", "--stack", "ideal")
    done = process("-p", str(toy_file), *RUN[:3], *asked, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "500 ?s" in done.stdout


@usual
class TestInstalled:
    def test_the_contract_has_every_key(self, cli):
        document = data(
            cli(
                *("compare", "b200@ideal", "-w", "llama3-70b/decode", "-w", "llama3-70b/prefill"),
                *("--precision", "fp8", "--format", "json"),
            )
        )
        assert list(document) == ["schema", "provenance", "results"]
        for row in document["results"]:
            assert list(row) == RESULT
            assert set(row["metrics"]) >= METRICS
            assert set(row["unknown"]) == {k for k, v in row["metrics"].items() if v is None and k != "bound"}
            assert all(row["unknown"].values())
        decode, prefill = document["results"]
        assert (decode["metrics"]["ttft_s"], prefill["metrics"]["tpot_s"]) == (None, None)
        assert decode["metrics"]["tpot_s"] == pytest.approx(8.73e-3, rel=1e-3)

    def test_provenance_names_packages_and_hashes_specs(self, cli):
        provenance = data(cli("run", "b200@ideal", "llama3-70b/decode", "--format", "json"))["provenance"]
        assert list(provenance) == ["inferbench", "packages", "specs", "python", "numpy", "scenario"]
        assert {"inferbench-core", "inferbench-specs", "inferbench-llm"} <= set(provenance["packages"])
        assert set(provenance["specs"]) == {"chips/b200", "networks/llama3-70b"}
        assert re.fullmatch("sha256:[0-9a-f]{64}", provenance["specs"]["chips/b200"])

    def test_json_is_the_number_to_the_last_bit(self, cli):
        (row,) = data(
            cli("run", "b200@ideal", "llama3-70b/decode", "--precision", "fp8", "--format", "json")
        )["results"]
        run = ib.run("b200", "llama3-70b/decode", precision="fp8", stack="ideal")
        assert row["metrics"]["tpot_s"] == float(np.ravel(run.seconds)[0])

    def test_ranks_without_a_sequence_are_one_message(self, cli):
        code, out, err = cli("run", "4xh100:dp4", "llama3-8b/decode", "--batch", "1,2")
        assert code == 2
        assert "4xh100:dp4: dp4 has more ranks than the batch has sequences (2)" in err
        assert "take --batch 4 or more" in err
        assert not out
        assert cli("run", "4xh100:dp4", "llama3-8b/decode", "--batch", "2,4")[0] == 0

    def test_a_reserve_is_taken_off_and_a_bad_one_refused(self, cli):
        code, out, _ = cli("run", "h100", "llama3-8b/decode", "--reserve", "8GB", "--format", "json")
        assert code == 0
        assert json.loads(out)["results"][0]["memory"]["reserve_bytes"] == 8e9
        code, _, err = cli("run", "h100", "llama3-8b/decode", "--reserve", "lots")
        assert code == 2
        assert "--reserve" in err

    def test_compare_runs_the_suite_and_resizes_what_does_not_fit(self, cli):
        code, out, _ = cli("compare", "b200", "groq-lpu", "tpu-v5p", "--stack", "ideal")
        assert code == 0
        assert out.count("hardware against hardware (stack: ideal)") == 3
        assert "Groq LPU ×336 tp" in out
        flat = " ".join(out.split())
        assert (
            "one chip holds 230 MB of the 70.9 GB needed: 307 chips or more for the weights alone, "
            "309 with KV cache, 336 is the smallest number with a valid layout"
        ) in flat
        assert "TPU v5p: 8 bits are int8, its fastest format of that width" in flat

    def test_list_names_packages(self, cli):
        entries = data(cli("list", "chips", "--format", "json"))["entries"]
        (b200,) = (entry for entry in entries if entry["name"] == "b200")
        assert {name: b200[name] for name in ("kind", "name", "package", "version")} == {
            "kind": "chips",
            "name": "b200",
            "package": "inferbench-specs",
            "version": ib.__version__,
        }

    def test_show_lists_every_number_with_its_source_and_missing_ones_in_place(self, cli):
        facts = {fact["key"]: fact for fact in data(cli("show", "b200", "--format", "json"))["facts"]}
        bandwidth = facts["memory.hbm.bandwidth"]
        assert (bandwidth["value"], bandwidth["unit"], bandwidth["basis"]) == (8e12, "B/s", "datasheet")
        assert bandwidth["source"]
        assert facts["silicon.area"]["value"] is None
        assert facts["silicon.area"]["missing"]
        code, out, _ = cli("show", "b200")
        assert code == 0
        assert "8.000 TB/s" in out

    @pytest.mark.slow
    def test_doctor_finds_nothing_broken(self, cli):
        code, out, _ = cli("doctor", "--format", "json")
        assert code == 0, out
        assert not [found for found in json.loads(out)["findings"] if found["state"] == "broken"]


COMMAND = """
import click
import inferbench as ib

@click.command("greet")
@click.argument("name")
def greet(name):
    "Greet somebody."
    click.echo(f"hello {name}")

@ib.hookimpl
def inferbench_commands():
    yield greet
"""


def test_a_file_may_bring_a_command_of_its_own(toy_cli, tmp_path):
    path = tmp_path / "greeting.py"
    path.write_text(COMMAND)
    assert toy_cli("-p", str(path), "greet", "you") == (0, "hello you\n", "")
    assert "greet" in toy_cli("-p", str(path), "--help")[1]


THREADS = """
import os, sys
from inferbench.cli import main
sys.argv = ["inferbench", "list", "stacks"]
try:
    main()
except SystemExit:
    import numpy
    print(len(os.listdir("/proc/self/task")), os.environ["OPENBLAS_NUM_THREADS"], file=sys.stderr)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="Linux alone lists threads there")
def test_numpy_starts_no_threads_that_nobody_needs(process, monkeypatch):
    """OpenBLAS has one per core, unless told otherwise."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert process("-c", THREADS).stderr.split() == ["1", "1"]
    assert process("-c", THREADS, OPENBLAS_NUM_THREADS="2").stderr.split()[1] == "2"
