"""`inferbench sweep` on the command line: what it answers, what it refuses and how it says so, progress and
Ctrl-C.
"""

from __future__ import annotations

import io
import json
import sys

import pytest

import inferbench as ib
from inferbench.cli import progress
from inferbench.errors import InferBenchError

pytest.importorskip("pyarrow", reason="the extra inferbench-core[sweep] is not installed")
TOY = ("sweep", "toy-chip", "-w", "toy-net/decode", "--scenario", "toy")


def test_the_summary_counts_what_fits(toy_cli):
    """In bf16 the network needs 1 GB and the chip has 600 MB: half of the space."""
    code, out, err = toy_cli(*TOY, "--precision", "bf16,fp8", "--batch", "1:8:x2", "--format", "json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["schema"], told["request"]["axes"]["batch"]) == ("inferbench.sweep/1", "1:8:x2")
    # batch 4 values, context of the default grid 9 values, two formats
    assert [(one["system"], one["points"], one["feasible"]) for one in told["systems"]] == [
        ("toy-chip", 72, 0.5)
    ]


def test_layouts_are_searched_point_by_point(toy_cli, tmp_path):
    """Two chips read half the weights each at batch 1; at 512 they compute, and splitting a product costs
    exchanges.
    """
    out = str(tmp_path / "space.parquet")
    assert (
        toy_cli(
            *TOY, "2xtoy-chip", "--precision", "fp8", "--batch", "1,512", "--context", "16", "--out", out
        )[0]
        == 0
    )
    asked = "select system, batch, layout from space order by system, batch"
    _, told, _ = toy_cli("query", out, asked, "--format", "csv")
    assert told.splitlines()[1:] == [
        "2xtoy-chip,1.0,tp2",
        "2xtoy-chip,512.0,dp2",
        "toy-chip,1.0,tp1",
        "toy-chip,512.0,tp1",
    ]


def test_two_layouts_of_the_same_chips_are_two_systems(toy_cli, tmp_path):
    """Given ones are named with their layout, the searched one is not; the same one twice is refused."""
    out = str(tmp_path / "space.parquet")
    pair = (
        "sweep",
        "2xtoy-chip:tp2",
        "2xtoy-chip:dp2",
        "2xtoy-chip",
        *TOY[2:],
        "--precision",
        "fp8",
        "--batch",
        "1",
    )
    for more in ((), ("--out", out)):
        code, told, err = toy_cli(*pair, "--context", "16", "--format", "json", *more)
        assert (code, err) == (0, "")
        names = [one["system"] for one in json.loads(told)["systems"]]
        assert names == ["2xtoy-chip:tp2", "2xtoy-chip:dp2", "2xtoy-chip"]
    _, told, _ = toy_cli("query", out, "select system, layout from space order by system", "--format", "csv")
    assert told.splitlines()[1:] == ["2xtoy-chip,tp2", "2xtoy-chip:dp2,dp2", "2xtoy-chip:tp2,tp2"]
    code, _, err = toy_cli(*pair, "2xtoy-chip:tp2", "--context", "16")
    assert (code, "2xtoy-chip:tp2: stands twice" in err) == (2, True)


@pytest.mark.needs_plugins("chips/b200", "chips/mi355x", "chips/tpu-v5p", "networks/dense-1b")
def test_a_price_that_is_not_published_is_no_share_of_zero(cli):
    """MI355X and TPU v5p have no purchase price: B200 is compared with nobody. Power has a figure for all,
    the TPU's by the limit of its class.
    """
    asked = (
        "sweep",
        "b200",
        "mi355x",
        "tpu-v5p",
        "-w",
        "dense-1b/decode",
        "--batch",
        "1",
        "--context",
        "128,256",
    )
    code, out, _ = cli(*asked, "--precision", "fp8", "-v", "--format", "json")
    assert code == 0
    told = json.loads(out)
    rows = {one["system"]: one for one in told["systems"]}
    assert [rows[name]["wins_equal_cost"] for name in ("b200", "mi355x", "tpu-v5p")] == [None] * 3
    assert rows["mi355x"]["unknown"] == {
        "wins_equal_cost": "not compared, no purchase price: not found in public sources"
    }
    assert set(rows["tpu-v5p"]["unknown"]) == {"wins_equal_cost"}
    assert rows["b200"]["unknown"]["wins_equal_cost"] == "not compared, no rival that fits has a figure"
    by_cost = next(one for one in told["space"]["winners"] if one["equal"] == "cost")
    assert (by_cost["shares"]["mi355x"], by_cost["unknown"]["mi355x"]) == (
        None,
        "no purchase price: not found in public sources",
    )
    table = cli(*asked, "--precision", "fp8")[1]
    assert "not compared, no purchase price: not found in public sources" in table
    (line,) = [line for line in table.splitlines() if line.startswith("mi355x") and "–" in line]
    assert line.count("–") == 1
    header, *lines = cli(*asked, "--precision", "fp8", "--format", "csv")[1].splitlines()
    assert [line.split(",")[header.split(",").index("wins_equal_cost")] for line in lines] == [""] * 3


MEMORY = (
    '--memory: "half" is not a number; an amount of memory is written like "512 MB"\n  write --memory'
    " '512 MB'"
)
BAD = [
    (("--batch", ","), "--batch: the axis has no points\n  write --batch 1,8,32"),
    (
        ("--batch", "8:1:x2"),
        "--batch: the range '8:1:x2' has no points: it starts beyond its end\n  write --batch 1:8:x2",
    ),
    (
        ("--batch", "0,1"),
        (
            "--batch: 0 is out of range\n  whole numbers of at least 1 were expected; --batch max takes the"
            " largest that fits"
        ),
    ),
    (
        ("--axis", "step=1"),
        "--axis step: no phase of this sweep has an axis 'step'\n  axes are batch, context",
    ),
    (
        ("--axis", "contex=1"),
        "--axis contex: no phase of this sweep has an axis 'contex'\n  did you mean 'context'?",
    ),
    (("--axis", "context"), "--axis: 'context' has no values\n  write it like --axis steps=20,28"),
    (("--grid", "refrence"), "--grid: unknown grid 'refrence'\n  did you mean 'reference'?"),
    (("--memory", "half"), MEMORY),
    (
        ("--executor", "nope"),
        "--executor nope: unknown executor; installed are inline, processes\n  inferbench list executors",
    ),
    (
        ("--executor", "proceses"),
        "--executor proceses: unknown executor; installed are inline, processes\n  did you mean 'processes'?",
    ),
    (
        ("--scheduler", "tcp://127.0.0.1:1"),
        "--scheduler: the executor 'inline' has no scheduler\n  add --executor dask",
    ),
]


@pytest.mark.parametrize(
    ("args", "said"), BAD, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_bad_input(toy_cli, tmp_path, args, said):
    code, out, err = toy_cli(*TOY, "--precision", "fp8", "--out", str(tmp_path / "out"), *args)
    assert (code, out, err) == (2, "", f"inferbench: {said}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("--executor", "proceses"),
            (
                "--executor proceses: unknown executor; installed are inline, processes\n  did you mean"
                " 'processes'?"
            ),
        ),
        (("--executor", "processes"), "--executor: needs a place for all points\n  add --out space.parquet"),
        (
            ("--scheduler", "tcp://127.0.0.1:1"),
            "--scheduler: needs a place for all points\n  add --out space.parquet",
        ),
        (("--workers", "2"), "--workers: needs a place for all points\n  add --out space.parquet"),
    ],
)
def test_what_would_be_ignored_without_a_place_is_refused(toy_cli, args, said):
    assert toy_cli(*TOY, "--precision", "fp8", "--batch", "1", *args) == (2, "", f"inferbench: {said}\n")


def test_inline_needs_no_place(toy_cli):
    code, _, err = toy_cli(
        *TOY, "--precision", "fp8", "--batch", "1", "--executor", "inline", "--workers", "1"
    )
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    "axes",
    [
        ("--batch", "1:1000000:+1", "--context", "1:1000000:+1"),
        ("--batch", "1:1000:+1", "--context", "1:1000000000:+1"),
    ],
)
def test_a_trillion_points_are_told_before_they_are_made(toy_cli, tmp_path, axes):
    """210 bytes a point; 5 x 10^5 points written and 2 x 10^6 layouts tried a second and worker:
    1.25 x 10^6 s on two.
    """
    code, out, err = toy_cli(
        *TOY,
        "--precision",
        "fp8",
        *axes,
        "--executor",
        "processes",
        "--workers",
        "2",
        "--out",
        str(tmp_path / "out"),
    )
    assert (code, out) == (2, "")
    assert (
        err
        == "inferbench: sweep: 1,000,000,000,000 points take about 210 TB on disk, 14 days on 2 workers and"
        " 512 MB of memory per worker\n  add --yes if that is what you want\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", [(), ("--out", "space"), ("--out", "space.parquet")])
def test_more_points_than_memory_keeps_are_summed_as_they_come(toy_cli, tmp_path, monkeypatch, out):
    """The same figures whether all points are kept, or blocks of both systems are summed."""
    monkeypatch.chdir(tmp_path)
    args = (*TOY, "2xtoy-chip", "--precision", "fp8", "--batch", "1:90:+1", "--context", "1:100:+1")
    code, kept, err = toy_cli(*args, "--format", "json")
    assert (code, err) == (0, "")
    monkeypatch.setattr("inferbench.face.sweep.LARGEST_SUMMARY", 100)
    monkeypatch.setattr("inferbench.sweeping.plan.BLOCK", 1000)
    code, summed, err = toy_cli(*args, *out, "--format", "json")
    assert (code, err) == (0, "")
    one, other = (json.loads(text)["systems"] for text in (kept, summed))
    assert [{**row, "interval": pytest.approx(row["interval"])} for row in one] == other


def test_a_frame_of_more_points_than_memory_keeps_names_the_way_out(toy, monkeypatch):
    monkeypatch.setattr("inferbench.face.sweep.LARGEST_SUMMARY", 2)
    found = ib.sweep(["toy-chip"], "toy-net/decode", batch=[1, 2, 3], context=8, scenario="toy", registry=toy)
    assert "9 points" in repr(found)
    with pytest.raises(InferBenchError, match="too many to keep in memory"):
        found.to_frame()


def test_more_than_the_disk_has_wants_a_yes(toy_cli, tmp_path, monkeypatch):
    monkeypatch.setattr("inferbench.sweeping.limits._free", lambda path: 1e6)
    args = (
        *TOY,
        "--precision",
        "fp8",
        "--batch",
        "1:300:+1",
        "--context",
        "1:100:+1",
        "--out",
        str(tmp_path / "out"),
    )
    code, _, err = toy_cli(*args)
    assert code == 2
    assert (
        err
        == f"inferbench: --out {tmp_path}/out: 30,000 points take about 6.30 MB on disk, 1 s on 1 worker and"
        " 45.0 MB of memory, and 1.00 MB are free\n  add --yes to try nevertheless\n"
    )
    assert toy_cli(*args, "--yes")[0] == 0


def test_a_place_that_cannot_be_written_to(toy_cli, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = toy_cli(*TOY, "--precision", "fp8", "--out", str(tmp_path / "file" / "out"))
    assert code == 2
    assert (
        err
        == f"inferbench: --out {tmp_path}/file/out: can't be written: Not a directory\n  name a folder you"
        " may write to\n"
    )


def test_ctrl_c_says_what_is_kept(toy_cli, tmp_path, monkeypatch):
    def interrupt(self, done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.Progress, "update", interrupt)
    out = tmp_path / "out"
    args = (
        *TOY,
        "--precision",
        "fp8",
        "--batch",
        "1:300:+1",
        "--context",
        "1:100:+1",
        "--memory",
        "3 MB",
        "--out",
        str(out),
    )
    code, _, err = toy_cli(*args)
    assert code == 130
    assert (
        err == f"inferbench: what was finished is kept in {out}; the same command goes on from"
        " there\n\ninferbench: interrupted\n"
    )
    assert len(list(out.glob("part-*.parquet"))) > 5
    monkeypatch.undo()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watched(monkeypatch, stream, seconds):
    """What a progress bar writes when updates come at these times."""
    now = iter(seconds)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_now", lambda: next(now))
    with progress.Progress("sweep") as bar:
        bar.update(0, 4_000_000)
        bar.update(2_000_000, 4_000_000)
    return stream.getvalue()


def test_a_bar_appears_after_two_seconds_with_its_rate(monkeypatch):
    times = [0.0, 0.1, 4.0]
    told = watched(monkeypatch, Terminal(), times)
    assert "sweep" in told
    assert "0.51 M points/s" in told
    assert "50%" in told


def test_no_bar_for_short_waits_and_none_in_a_pipe(monkeypatch):
    assert watched(monkeypatch, Terminal(), [0.0, 0.1, 1.9]) == ""
    assert watched(monkeypatch, io.StringIO(), [0.0, 3.0, 9.0]) == ""


def test_without_the_extra_it_says_what_to_install(toy_cli, tmp_path, monkeypatch):
    for name in ("pyarrow", "pyarrow.parquet", "pyarrow.dataset", "duckdb"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = toy_cli(*TOY, "--precision", "fp8", "--out", str(tmp_path / "out"))
    assert (code, err) == (
        2,
        "inferbench: pyarrow: is not installed\n  pip install 'inferbench-core[sweep]'\n",
    )
    assert toy_cli("query", str(tmp_path / "out"), "select 1")[2].endswith(
        "pip install 'inferbench-core[sweep]'\n"
    )
    assert toy_cli(*TOY, "--precision", "fp8")[0] == 0
