"""What hostile or damaged files and places do to commands: one message and exit 2, and nothing is lost."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading

import pytest

import inferbench as ib

SPEC = 'title = "Mine"\nvendor = "V"\n[architecture]\ntype = "toy"\n[peak]\nbf16 = "1 TOP/s"\n'
NETWORK = 'type = "toy-mlp"\ntitle = "N"\n[network]\nlayers = 2\n'
STACK = 'title = "S"\n[time]\nmodel = "roofline"\n'
SCENARIO = 'title = "S"\n'
RUN = ("run", "toy-chip", "toy-net/decode", "--scenario", "toy")
DOORS = {
    "chip": ("mine.toml", lambda path: ("run", path, "toy-net/decode", "--scenario", "toy")),
    "network": ("mine.toml", lambda path: ("run", "toy-chip", f"{path}/decode", "--scenario", "toy")),
    "config": ("mine.json", lambda path: ("run", "toy-chip", f"{path}/decode", "--scenario", "toy")),
    "stack": ("mine.toml", lambda path: (*RUN, "--stack", path)),
    "scenario": ("mine.toml", lambda path: (*RUN[:3], "--scenario", path)),
    "system": ("mine.toml", lambda path: (*RUN, "--set", f"system={path}")),
    "suite": ("mine.toml", lambda path: ("compare", "toy-chip", "--suite", path)),
    "operators": ("mine.csv", lambda path: ("op", "toy-chip", "gemm", "--csv", path)),
    "results": ("mine.csv", lambda path: ("validate", path)),
    "kernels": ("mine.csv", lambda path: ("calibrate", path, "--chip", "toy-chip", "--stack", "m")),
    "run": ("mine.json", lambda path: ("explain", path, path)),
    "trace": ("mine.csv", lambda path: ("simulate", "toy-chip", "toy-net", "--trace", path)),
    "sweep": ("mine.parquet", lambda path: ("query", path, "select 1")),
    "plugin": ("mine.py", lambda path: ("-p", path, "list", "chips")),
}
DAMAGE = {
    "empty": b"",
    "blank": b" \n\r\n\t",
    "nothing but a mark": b"\xef\xbb\xbf",
    "UTF-16": "title = 'x'".encode("utf-16"),
    "Latin-1": 'title = "caf\xe9"'.encode("latin-1"),
    "NUL": b"a = 1\0",
    "nested tables": b"a = " + b"[" * 20_000,
    "nested objects": b'{"a":' * 20_000,
    "nested in a row": b"[" * 20_000 + b"]" * 20_000,
    "a key of many parts": b".".join([b"a"] * 5_000) + b" = 1",
    "many keys": b"".join(b"k%d = 1\n" % i for i in range(20_000)),
    "one long line": b"x" * 2_000_000,
    "many commas": b"m,n,k\n" + b"," * 200_000,
    "a short row": b"m,n,k\n1\n",
    "a row without a precision": b"m,n,k,precision\n1,2,3\n",
    "a long row": b"m,n,k\n1,2,3,4,5\n",
    "no figures": b"m,n,k\nx,,\xff\n",
    "10**400": b"m,n,k\n1,2," + b"9" * 400,
    "infinite": b'{"schema": "inferbench.run/1", "results": Infinity, "a": NaN}',
    "a list": b"[1, 2]",
    "a text": b'"x"',
    "null": b"null",
}


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("door", DOORS)
def test_a_file_that_is_no_good_is_one_message(toy_cli, tmp_path, monkeypatch, door, data):
    name, command = DOORS[door]
    (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    code, out, err = toy_cli(*command(name))
    assert code == 2 or (door == "plugin" and code == 0), out
    assert err.startswith("inferbench: ") or code == 0
    assert "is a bug" not in err
    assert "Traceback" not in err
    assert len(err) < 20_000
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == [name]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", ["nothing", "a folder", "a circle of links", "a name without an end"])
def test_a_name_that_leads_nowhere_is_one_message(toy_cli, tmp_path, monkeypatch, door, what):
    if door == "sweep":
        pytest.importorskip("duckdb", reason="duckdb is not installed: pip install 'inferbench-core[sweep]'")
    name, command = DOORS[door]
    monkeypatch.chdir(tmp_path)
    if what == "a folder":
        (tmp_path / name).mkdir()
    elif what == "a circle of links":
        (tmp_path / name).symlink_to(name)
    elif what == "a name without an end":
        name = "x" * 300 + name
    code, out, err = toy_cli(*command(name))
    assert (code, out) == (2, "")
    assert name[:200] in err
    assert "is a bug" not in err


@pytest.mark.parametrize("door", ["chip", "network", "stack", "scenario", "system", "config"])
def test_a_mark_at_the_start_of_a_file_changes_nothing(toy_cli, tmp_path, monkeypatch, door):
    """The message about a file's contents is the same with and without the mark that editors write."""
    name, command = DOORS[door]
    monkeypatch.chdir(tmp_path)
    said = []
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / name).write_bytes(mark + (b'{"a": 1}' if name.endswith("json") else b'titel = "x"\n'))
        said.append(toy_cli(*command(name)))
    assert said[0] == said[1]
    assert said[0][0] == 2


WRITES = {
    "run": RUN,
    "list": ("list", "chips"),
    "show": ("show", "toy-chip"),
    "op": ("op", "toy-chip", "gemm", "--m", "8", "--n", "8", "--k", "8"),
}
posix = pytest.mark.skipif(sys.platform == "win32", reason="no links, modes and devices")


@posix
@pytest.mark.parametrize("command", WRITES)
class TestPlaces:
    """Where `--out` leads: every command writes by one function, and each is tried at each kind of place."""

    def test_a_file_keeps_its_mode_its_names_and_its_link(self, toy_cli, tmp_path, command):
        there, other, link = tmp_path / "there.json", tmp_path / "other", tmp_path / "link.json"
        there.write_text("old" * 10_000)
        there.chmod(0o600)
        os.link(there, other)
        link.symlink_to(there)
        assert toy_cli(*WRITES[command], "--out", str(link))[0] == 2
        assert there.read_text() == "old" * 10_000
        assert toy_cli(*WRITES[command], "--out", str(link), "--force")[0] == 0
        assert there.read_text().startswith("{")
        assert (stat.S_IMODE(there.stat().st_mode), link.is_symlink()) == (0o600, True)
        assert other.read_text() == there.read_text()

    @pytest.mark.parametrize("place", ["/dev/full", "/proc/self/mem", "/sys/none.json", ".", "no/such.json"])
    def test_a_place_that_takes_nothing_is_named(self, toy_cli, tmp_path, monkeypatch, command, place):
        monkeypatch.chdir(tmp_path)
        code, out, err = toy_cli(*WRITES[command], "--out", place, "--format", "json")
        assert (code, out) == (2, "")
        assert err.startswith(f"inferbench: --out {place}: can't be written: ")
        assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr", "/dev/null"])
def test_what_a_shell_has_open_is_written_to(process, toy_file, place):
    words = ("-p", str(toy_file), "show", "toy-chip", "--out", place, "--format", "json", "--force")
    done = process(*words, INFERBENCH_PLUGINS="none")
    assert done.returncode == 0, done.stderr
    wanted = {"/dev/null": "", "/dev/stderr": done.stderr}.get(place, done.stdout)
    assert wanted.startswith("{") or place == "/dev/null"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@posix
def test_a_pipe_that_somebody_reads_is_written_to(process, toy_file, tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    words = ("-p", str(toy_file), "show", "toy-chip", "--out", str(pipe), "--format", "json")
    assert process(*words, INFERBENCH_PLUGINS="none").returncode == 0
    reader.join(30)
    assert read[0].startswith("{")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(toy_cli, tmp_path):
    tmp_path.chmod(0o500)
    code, out, err = toy_cli(*RUN, "--out", str(tmp_path / "x.json"))
    tmp_path.chmod(0o700)
    assert (code, out) == (2, "")
    assert "can't be written: Permission denied" in err


@pytest.mark.parametrize("axis", ["batch", "context"])
@pytest.mark.parametrize("value", [0, -1, 0.5, float("nan"), float("inf"), 10**400, "0", [8, 0]])
def test_no_value_of_an_axis_means_something_else(toy, axis, value):
    """Zero once meant the largest batch, and skipped the checks of all other axes."""
    for other in ({}, {"context" if axis == "batch" else "batch": -1e6}):
        with pytest.raises(ib.InferBenchError, match=axis if not other else "batch|context"):
            ib.run("toy-chip", "toy-net/decode", scenario="toy", registry=toy, **{axis: value}, **other)


REMEDIES = [
    ("--batch", "1:0:x2"),
    ("--batch", "many"),
    ("--batch", ","),
    ("--batch", "1:10:x1"),
    ("--batch", "0"),
    ("--reserve", "much"),
    ("--precision", "fp9"),
    ("--option", "head"),
    ("--axis", "context"),
    ("--axis", "contxt=3"),
    ("--scenario", "tyo"),
    ("--stack", "idael"),
]


@pytest.mark.parametrize("bad", REMEDIES, ids=" ".join)
def test_what_a_message_says_to_write_is_accepted(toy_cli, bad):
    option, value = bad
    code, _, err = toy_cli(*RUN, *bad)
    assert code == 2
    remedy = err.splitlines()[1]
    if "did you mean" in remedy:
        value = value.replace(value.partition("=")[0], re.findall(r"'([^']+)'", remedy)[0])
        words = [option, value]
    elif found := re.search(r"--[a-z]+ (?:max|\S*\d\S*|kv=false)", remedy):
        words = found[0].split()
    else:
        words = [option, "1"]
    _, _, err = toy_cli(*RUN, *words)
    assert not err.startswith(f"inferbench: {option}:")
    assert "leads nowhere" not in err
    assert "is not a list" not in err


BRINGS = ("chips", "networks", "stacks", "scenarios", "suites", "systems", "measurements", "claims")


@pytest.mark.parametrize("text", ["x = ", "title = 3\n", "a = " + "[" * 20_000, "\xff\xfe"])
@pytest.mark.parametrize("kind", BRINGS)
def test_a_bad_file_of_a_package_costs_only_what_needs_it(toy_cli, tmp_path, kind, text):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bad.toml").write_text(text, "latin-1")
    plugin = tmp_path / "brings.py"
    plugin.write_text(
        "from pathlib import Path\nimport inferbench as ib\n\n@ib.hookimpl\n"
        f"def inferbench_{kind}():\n    yield Path(__file__).parent / 'data'\n"
    )
    for command in (
        RUN,
        ("list", "chips"),
        ("show", "toy-chip"),
        ("plugins",),
        ("validate", "--chip", "toy-chip"),
    ):
        code, _, err = toy_cli("-p", str(plugin), *command)
        assert code in (0, 2 if command[0] == "validate" else 0), (command, err)
        assert "is a bug" not in err
        assert "bad.toml" not in err.splitlines()[:1] or code == 0


def test_two_files_of_one_name_are_two_plugins(toy_cli, tmp_path):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(
            "import inferbench as ib\n\n@ib.hookimpl\ndef inferbench_chips():\n"
            f"    yield ib.Chip(name='{folder}-1', title='T', vendor='V', architecture_type='toy',"
            " architecture=None, peak={'bf16': 1e12},"
            " memory={'hbm': ib.MemoryLevel(1e9, 1e9)})\n"
        )
    words = [word for folder in "abc" for word in ("-p", str(tmp_path / folder / "mine.py"))]
    code, out, err = toy_cli(*words, "list", "chips", "--format", "csv")
    assert code == 0, err
    assert all(f"{folder}-1" in out for folder in "abc")


NO_MEMORY = """
import inferbench as ib
from inferbench_file_toy import Params

@ib.hookimpl
def inferbench_chips():
    yield ib.Chip(name="bare", title="B", vendor="V", architecture_type="toy", architecture=Params(),
                  peak={"bf16": 1e12})
"""


@pytest.mark.parametrize(
    "command",
    [
        ("run", "bare", "toy-net/decode", "--scenario", "toy"),
        ("run", "bare", "toy-net/decode", "--scenario", "toy", "--batch", "max"),
        ("compare", "bare", "toy-chip", "-w", "toy-net/decode", "--scenario", "toy"),
        ("op", "bare", "gemm", "--m", "1", "--n", "8", "--k", "8"),
        ("sweep", "bare", "-w", "toy-net/decode", "--scenario", "toy"),
        ("size", "toy-net/decode", "--chips", "bare", "--tpot", "1s", "--users", "2", "--scenario", "toy"),
        ("explain", "bare", "toy-net/decode", "--measured", "8ms", "--scenario", "toy"),
    ],
    ids=lambda words: words[0],
)
def test_a_chip_without_memory_is_one_message(toy_cli, tmp_path, command):
    (tmp_path / "bare.py").write_text(NO_MEMORY)
    code, out, err = toy_cli("-p", str(tmp_path / "bare.py"), *command)
    assert (code, out) == (2, "")
    assert "bare: memory: the chip has no level of memory" in err
    code, out, _ = toy_cli("-p", str(tmp_path / "bare.py"), "list", "chips")
    assert code == 0
    assert "toy-chip" in out
