"""Bad input: the exact message, exit code 2, no traceback, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

RUN = ("run", "toy-chip", "toy-net/decode", "--scenario", "toy")


def with_run(*more):
    return (*RUN, *more)


LEAST = "whole numbers of at least 1 were expected; --batch max takes the largest that fits"
CASES = [
    (
        ("run", "toy-chp", "toy-net/decode"),
        "toy-chp: unknown chip; installed are toy-chip\n  did you mean 'toy-chip'? · inferbench list chips",
    ),
    (
        ("run", "toy-chip", "toy-nit/decode"),
        (
            "toy-nit: unknown network; installed are toy-net\n  did you mean 'toy-net'? · inferbench list"
            " networks"
        ),
    ),
    (
        ("run", "toy-chip", "toy-net/decod", "--scenario", "toy"),
        "toy-net/decod: 'decod' is no phase of toy-mlp\n  phases are decode",
    ),
    (
        ("run", "toy-chip", "toy-net"),
        "toy-net: a workload is written network/phase\n  for example toy-net/decode",
    ),
    (
        ("run", "toy-chip", "toy-net/decode", "--scenario", "tyo"),
        (
            "--scenario tyo: unknown scenario; installed are toy\n  did you mean 'toy'? · inferbench list"
            " scenarios"
        ),
    ),
    (with_run("--precision", "fp9"), "--precision: unknown precision 'fp9'\n  did you mean 'fp8'?"),
    (with_run("--precision", ","), "--precision: no name was given\n  write one, or several with commas"),
    (with_run("--format", "jsn"), "--format: unknown format 'jsn'\n  did you mean 'json'?"),
    (
        with_run("--stack", "idael"),
        (
            "--stack idael: no stack and no family is called 'idael'\n"
            "  did you mean 'ideal'? · toy-chip is served by best, ideal"
        ),
    ),
    (with_run("--option", "haed=false"), "options of toy-mlp: haed: unknown key\n  did you mean 'head'?"),
    (with_run("--option", "head"), "--option: 'head' has no value\n  write it like --option kv=false"),
    (with_run("--option", "head=nan"), "options of toy-mlp: head: nan is not true or false"),
    (with_run("--option", "head=1e999"), "options of toy-mlp: head: inf is not true or false"),
    (
        with_run("--axis", "contxt=3"),
        "--axis contxt: 'decode' has no axis 'contxt'\n  did you mean 'context'?",
    ),
    (with_run("--axis", "context"), "--axis: 'context' has no values\n  write it like --axis steps=20,28"),
    (
        with_run("--batch", "0,8"),
        (
            "--batch: 0 is out of range\n  whole numbers of at least 1 were expected; --batch max takes the"
            " largest that fits"
        ),
    ),
    (with_run("--batch", "-1"), f"--batch: -1 is out of range\n  {LEAST}"),
    (with_run("--batch", "1.5"), f"--batch: 1.5 is out of range\n  {LEAST}"),
    (with_run("--batch", "nan"), f"--batch: nan is out of range\n  {LEAST}"),
    (with_run("--batch", "many"), "--batch: 'many' is not a list of numbers\n  write --batch 1,8,32"),
    (with_run("--batch", ","), "--batch: the axis has no points\n  write --batch 1,8,32"),
    (with_run("--context", "0"), "--context: 0 is out of range\n  whole numbers of at least 1 were expected"),
    (
        with_run("--context", "-1"),
        "--context: -1 is out of range\n  whole numbers of at least 1 were expected",
    ),
    (with_run("--batch", "1e30"), "--batch: 1e+30 is out of range\n  at most 1,000,000,000 was expected"),
    (
        with_run("--axis", "context=2e9"),
        "--context: 2e+09 is out of range\n  at most 1,000,000,000 was expected",
    ),
    (
        ("run", "2xtoy-chip:tp2ep2", "toy-net/decode", "--scenario", "toy"),
        "2xtoy-chip:tp2ep2: ep2: toy-net has no experts to spread\n  leave ep out: 2xtoy-chip:tp2",
    ),
    (
        ("run", "0xtoy-chip", "toy-net/decode"),
        "0xtoy-chip: 0 chips is out of range\n  a system has 1 to 1,000,000 chips",
    ),
    (
        ("run", "1000000000xtoy-chip", "toy-net/decode"),
        "1000000000xtoy-chip: 1000000000 chips is out of range\n  a system has 1 to 1,000,000 chips",
    ),
    (
        ("run", "8xtoy-chip:tp4", "toy-net/decode"),
        "8xtoy-chip:tp4: layout tp4 takes 4 chips, the system has 8\n"
        "  make tp x cp x pp x dp equal to the count",
    ),
    (
        ("run", "toy-chip", "config.json/decode"),
        (
            "config.json: can't be read: No such file or directory\n  give the path of a Hugging Face"
            " config.json"
        ),
    ),
    (("list", "chps"), "chps: no such kind of record\n  did you mean 'chips'?"),
    (("show", "toy-chp"), "toy-chp: no spec and no plugin has this name\n  did you mean 'toy-chip'?"),
    (("shwo", "toy-chip"), "shwo: no such command\n  did you mean 'show'?"),
    (("run", "toy-chip"), "Missing argument 'NETWORK/PHASE'.\n  inferbench run --help"),
    (
        ("compare", "toy-chip"),
        "--suite reference: no suite is installed\n  pip install 'inferbench-core[all]'",
    ),
]


@pytest.mark.parametrize(
    ("args", "said"), CASES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_message(toy_cli, args, said):
    assert toy_cli(*args) == (2, "", f"inferbench: {said}\n")


@pytest.mark.parametrize(
    ("command", "option"),
    [("list", "-v"), ("doctor", "-v"), ("show", "--batch"), ("size", "--batch"), ("frontier", "--axis")],
)
def test_options_that_would_change_nothing_are_not_there(toy_cli, command, option):
    code, out, err = toy_cli(command, option, "8")
    assert (code, out) == (2, "")
    assert "No such option" in err
    assert option in err


def test_without_any_plugin_it_says_what_to_install(cli, monkeypatch):
    monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: ())
    for args, said in (
        (
            ("compare", "b200"),
            "--suite reference: no suite is installed\n  pip install 'inferbench-core[all]'",
        ),
        (
            ("run", "b200", "llama3-70b/decode"),
            "b200: no chip is installed\n  pip install 'inferbench-specs'",
        ),
    ):
        assert cli(*args) == (2, "", f"inferbench: {said}\n")
    code, out, err = cli("list")
    assert (code, err) == (0, "")
    assert "pip install 'inferbench-core[all]'" in out
    code, out, err = cli("doctor")  # nothing is broken, and it says what is not there
    assert (code, err) == (0, "")
    assert "pip install 'inferbench-core[all]'" in " ".join(out.split())


def test_an_unwritable_out_leaves_nothing(toy_cli, tmp_path):
    path = tmp_path / "no" / "run.json"
    assert toy_cli(*RUN, "--out", str(path)) == (
        2,
        "",
        (
            f"inferbench: --out {path}: can't be written: No such file or directory\n  name a file in a"
            " folder you may write to\n"
        ),
    )
    code, _, err = toy_cli(*RUN, "--out", str(tmp_path))
    assert (code, err) == (
        2,
        (
            f"inferbench: --out {tmp_path}: can't be written: Is a directory\n  name a file in a folder you"
            " may write to\n"
        ),
    )
    assert list(tmp_path.iterdir()) == []
    assert [
        file.name for file in tmp_path.parent.iterdir() if file.name.startswith(f".{tmp_path.name}")
    ] == []


def test_a_failed_write_keeps_the_old_file(toy_cli, tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    code, _, err = toy_cli(*RUN, "--out", str(path), "--force")
    assert code == 2
    assert err.startswith(f"inferbench: --out {path}: can't be written: No space left on device")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def plugin(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(f"import inferbench as ib\n{text}")
    return str(path)


def test_a_missing_plugin_file(toy_cli, tmp_path):
    code, out, err = toy_cli("-p", str(tmp_path / "none.py"), "list")
    assert (code, out) == (2, "")
    assert (
        err == f"inferbench: -p: '{tmp_path / 'none.py'}' is not a Python file\n"
        "  give the path of a .py file with @inferbench.hookimpl functions\n"
    )


def test_a_plugin_file_that_raises_at_import(toy_cli, tmp_path):
    path = plugin(tmp_path, "raise RuntimeError('no driver')\n")
    assert toy_cli("-p", path, "list") == (
        2,
        "",
        f"inferbench: {path}: RuntimeError: no driver\n  fix the file\n",
    )


def test_a_plugin_that_raises_in_a_hook_costs_only_itself(toy_cli, tmp_path):
    path = plugin(tmp_path, "@ib.hookimpl\ndef inferbench_chips():\n    raise RuntimeError('no driver')\n")
    code, out, err = toy_cli("-p", path, "list", "chips")
    assert code == 0
    assert "toy-chip" in out
    assert err == f"inferbench: 1 problem(s) with {path}; see `inferbench doctor`\n"
    code, out, _ = toy_cli("-p", path, "doctor")
    assert code == 1
    assert "RuntimeError: no driver" in out
    assert "nothing of this hook is kept" in " ".join(out.split())


FORMULA = """
@ib.hookimpl
def inferbench_architectures():
    class Mine(ib.Architecture):
        name, title, params = "mine", "Mine", ib.NoParams
        def gemm(self, op, site):
            {body}
    yield Mine()

@ib.hookimpl
def inferbench_chips():
    yield ib.Chip(name="mine", title="Mine", vendor="M", architecture_type="mine", architecture=ib.NoParams(),
                  peak={{"bf16": 1e12}}, memory={{"hbm": ib.MemoryLevel(1e12, 1e12)}})
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "return ib.Cost(busy={'compute': 1.0 if op.m > 2 else 2.0})",
            (
                "ValueError: The truth value of an array with more than one element is ambiguous. Use a.any()"
                " or a.all()"
            ),
        ),
        ("return ib.Cost(busy={'compute': [][1]})", "IndexError: list index out of range"),
        ("return ib.Cost(busy={'compute': site.chip.memory['sram'].bandwidth})", "KeyError: 'sram'"),
        (
            "return ib.Cost(busy={'compute': op.rows})",
            "AttributeError: 'Gemm' object has no attribute 'rows'",
        ),
    ],
)
def test_a_plugin_that_raises_in_a_formula_is_named(toy_cli, tmp_path, body, said):
    path = plugin(tmp_path, FORMULA.format(body=body))
    code, out, err = toy_cli(
        "-p", path, "run", "mine", "toy-net/decode", "--scenario", "toy", "--batch", "1,8"
    )
    assert (code, out) == (2, "")
    assert err.startswith(f"inferbench: inferbench_file_mine: mine.gemm(layer): {said}\n")
    assert "Traceback" not in err


def test_debug_shows_the_traceback(toy_cli, tmp_path):
    path = plugin(tmp_path, FORMULA.format(body="return 1 / 0"))
    from inferbench.errors import InferBenchError

    with pytest.raises(InferBenchError, match="ZeroDivisionError"):
        toy_cli("--debug", "-p", path, "run", "mine", "toy-net/decode", "--scenario", "toy")


def test_ctrl_c_in_the_middle_exits_with_130(toy_cli, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("inferbench.cli.run_command.run_once", interrupted)
    assert toy_cli(*RUN) == (130, "", "\ninferbench: interrupted\n")


def test_ctrl_c_on_a_process_exits_with_130_and_no_traceback(tmp_path):
    path = plugin(
        tmp_path,
        "import sys, time\n@ib.hookimpl\ndef inferbench_chips():\n"
        "    print('waiting', file=sys.stderr, flush=True)\n    time.sleep(30)\n    yield\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "inferbench", "-p", path, "list", "chips"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A shell's job in the background ignores interrupts, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "\ninferbench: interrupted\n")


def test_a_closed_pipe_is_no_error(process, toy_file):
    done = subprocess.run(
        f"{sys.executable} -m inferbench -p {toy_file} list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_an_unknown_kind_of_operator_is_told_the_known_ones(toy_cli):
    code, out, err = toy_cli("op", "toy-chip", "fourier")
    assert (code, out) == (2, "")
    known = "kinds are gemm, attention, elementwise, collective, conv2d"
    assert err.startswith(f"inferbench: fourier: no such operator kind\n  {known}")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("run", "toy-chip", "toy-net/decode"),
            "100,000,000 points are too many at once; 1,000,000 are the most",
        ),
        (
            ("compare", "toy-chip", "2xtoy-chip", "-w", "toy-net/decode"),
            "points are too many at once; 500 are",
        ),
    ],
)
def test_a_grid_that_nobody_could_read_is_refused_before_it_is_computed(toy_cli, args, said):
    code, out, err = toy_cli(*args, "--scenario", "toy", "--batch", "1:10000:+1", "--context", "1:10000:+1")
    assert (code, out) == (2, "")
    assert said in err
    assert "inferbench sweep" in err


def test_a_table_has_no_million_rows(toy_cli):
    code, out, err = toy_cli(
        *("run", "toy-chip", "toy-net/decode", "--scenario", "toy"),
        *("--batch", "1:200:+1", "--context", "1:200:+1"),
    )
    assert (code, out) == (2, "")
    assert "40,000 points are too many for a table of run" in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize(
    "command",
    [
        ("run", "pipe.toml", "toy-net/decode"),
        ("run", "toy-chip", "pipe.toml/decode"),
        ("run", "toy-chip", "pipe.json/decode"),
        with_run("--stack", "pipe.toml"),
        ("run", "toy-chip", "toy-net/decode", "--scenario", "pipe.toml"),
        ("op", "toy-chip", "gemm", "--csv", "pipe.toml"),
        ("simulate", "toy-chip", "toy-net", "--trace", "pipe.toml"),
        ("explain", "pipe.toml", "pipe.json"),
        ("validate", "pipe.toml"),
        ("query", "pipe.toml", "select 1"),
        ("check", "pipe.toml"),
    ],
    ids=" ".join,
)
def test_nobody_waits_for_a_named_pipe(toy_cli, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for name in ("pipe.toml", "pipe.json"):
        os.mkfifo(name)
    code, out, err = toy_cli(*command)
    assert (code, out) == (2, "")
    assert "pipe" in err
    assert "is a bug" not in err
