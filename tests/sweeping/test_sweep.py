"""Sweeps: planned in chunks, the same numbers as point by point, what they refuse, what they leave on
disk.
"""

from __future__ import annotations

import errno
import json
import math

import numpy as np
import pytest

from inferbench.discovery.registry import installed
from inferbench.errors import InferBenchError
from inferbench.face.run import run
from inferbench.model.document import flatten, results
from inferbench.specs.ranges import parse
from inferbench.sweeping.execute import in_memory, sweep
from inferbench.sweeping.plan import chunk_points, plan
from inferbench.sweeping.request import Request, workloads

pq = pytest.importorskip("pyarrow.parquet", reason="the extra inferbench-core[sweep] is not installed")


def request(systems, works, precisions=("fp8",), memory=512e6, **axes):
    points = {name: parse(text, name) for name, text in axes.items()}
    return Request(
        systems=tuple(systems),
        workloads=tuple(works),
        axes=points,
        precisions=tuple(precisions),
        memory=memory,
        scenario="toy" if systems == ["toy-chip"] else "reference",
    )


def toy_plan(toy, memory=512e6, **axes):
    return plan(request(["toy-chip"], ["toy-net/decode"], ("bf16", "fp8"), memory, **axes), toy)


def rows_of(columns):
    """The rows of a chunk as dictionaries, unknown numbers as None."""
    table = {name: columns.values(name).tolist() for name in columns.order}
    for row in zip(*table.values(), strict=True):
        yield {
            name: None if isinstance(v, float) and math.isnan(v) else v
            for name, v in zip(table, row, strict=True)
        }


def key(row):
    return (row["system"], row["workload"], row["precision"], *(row[a] or 0.0 for a in ("batch", "context")))


def test_a_chunk_by_hand(toy):
    """5 products of a batch with 10^8 weights of 1 byte at 1 TB/s: 0.5 ms and 5 x 2 x 10^4 bytes per sequence
    more.
    """
    (columns,) = in_memory(toy_plan(toy, batch="1,8"), toy)
    found = {key(row)[2:]: row for row in rows_of(columns)}
    assert columns.rows == 4
    assert found["fp8", 1.0, 16.0]["tpot_s"] == pytest.approx(5e-4 + 1e-7, rel=1e-12)
    assert found["fp8", 8.0, 16.0]["tpot_s"] == pytest.approx(5e-4 + 8e-7, rel=1e-12)
    assert found["fp8", 8.0, 16.0]["bound"] == "memory.hbm"
    # In bf16 the weights take 10^9 bytes, the chip has 6 x 10^8.
    wide = found["bf16", 1.0, 16.0]
    assert (wide["feasible"], wide["tpot_s"], wide["bound"], wide["reason_code"]) == (
        False,
        None,
        None,
        "capacity",
    )
    assert wide["reason"] == "needs 1.00 GB, has 600 MB: 2 chips or more for the weights alone (1.00 GB)"


SAME = [
    ("h100-sxm", "llama3-70b/decode", "bf16,fp8,int4", {"batch": "1:256:x4", "context": "128:32768:x4"}),
    ("8xh100-sxm", "llama3-70b/decode", "bf16,fp8", {"batch": "1:512:x8", "context": "1024:131072:x4"}),
    ("groq-lpu", "llama3-8b/prefill", "fp16,int8,fp64", {"batch": "1,2", "context": "128,512"}),
    (
        "b200",
        "dense-130b/generate",
        "fp8,fp4",
        {"batch": "1,100", "context": "777,40000", "output": "10,128"},
    ),
    ("tpu-v5p", "resnet-50/forward", "bf16", {"batch": "1:8:x2"}),
]


@pytest.mark.needs_plugins("networks/dense-130b")
@pytest.mark.parametrize(
    ("system", "workload", "precisions", "axes"), SAME, ids=lambda value: str(value)[:24]
)
def test_columns_are_the_json_results(system, workload, precisions, axes):
    """The same evaluation told twice: as one dictionary per point, and as arrays."""
    known, names = installed(), precisions.split(",")
    made = plan(request([system], [workload], names, **axes), known)
    given = {name: parse(text, name).values().tolist() for name, text in axes.items()}
    told = run(system, workload, precision=names, registry=known, stack="ideal", **given)
    expected = {(*key(row), row.get("output")): row for row in map(flatten, results(told, known.metrics()))}
    found = {
        (*key(row), row.get("output")): row for columns in in_memory(made, known) for row in rows_of(columns)
    }
    assert set(found) == set(expected)
    for point, told_here in expected.items():
        mine = found[point]
        assert {name: mine[name] for name in told_here} == told_here
        assert (mine["reason_code"] is None) == told_here["feasible"]


@pytest.mark.needs_plugins("networks/dense-1b")
def test_an_operator_that_is_impossible_is_a_reason_not_an_end(monkeypatch):
    from inferbench.errors import UnsupportedOp
    from inferbench.sweeping import work

    evaluate = work.evaluate

    def refuse(case, grid, **more):
        if case.system.chip.name == "h200":
            raise UnsupportedOp.at("simt: attention", "'attention' is impossible")
        return evaluate(case, grid, **more)

    monkeypatch.setattr(work, "evaluate", refuse)
    made = plan(request(["h100-sxm", "h200"], ["dense-1b/decode"], batch="1,2"), installed())
    (columns,) = in_memory(made, installed())
    rows = list(rows_of(columns))
    assert [row["feasible"] for row in rows] == [True, True, False, False]
    assert {row["reason"] for row in rows[2:]} == {"simt: attention: 'attention' is impossible"}
    assert {row["reason_code"] for row in rows[2:]} == {"unsupported"}
    assert [(row["batch"], row["precision"], row["tpot_s"]) for row in rows[2:]] == [
        (1.0, "fp8", None),
        (2.0, "fp8", None),
    ]


@pytest.mark.needs_plugins("networks/dense-1b")
def test_the_largest_batch_may_stand_for_the_axis():
    made = plan(request(["h100-sxm"], ["dense-8b/decode"], batch="max", context="2048,4096"), installed())
    (columns,) = in_memory(made, installed())
    told = run("h100-sxm@ideal", "dense-8b/decode", precision="fp8", batch="max", context=[2048.0, 4096.0])
    assert sorted(columns.values("batch")) == sorted(np.ravel(told.values(told.batch)))
    assert columns.feasible.all()


@pytest.mark.parametrize("memory", [1e5, 1e6, 1e8])
def test_chunks_cover_the_space_once_and_stay_small(toy, memory):
    made = toy_plan(toy, memory, batch="1:100:+1", context="1:77:+1")
    assert sum(chunk.points for chunk in made.chunks) == made.size == 100 * 77 * 2
    assert max(chunk.points for chunk in made.chunks) <= chunk_points(memory)
    seen = {(*key(row),) for columns in in_memory(made, toy) for row in rows_of(columns)}
    assert len(seen) == made.size


def test_the_size_of_the_chunks_changes_no_number(toy):
    def by_point(memory):
        made = toy_plan(toy, memory, batch="1:40:+1", context="1:9:+1")
        return {key(row): row for columns in in_memory(made, toy) for row in rows_of(columns)}

    assert by_point(1e5) == by_point(1e9)


def test_patterns_take_every_network_in_order_of_size(bare, plugin):
    import inferbench as ib

    made = [
        ib.Network(name=name, title=name, type="x", params=None)
        for name in ("dense-16b", "dense-2b", "other")
    ]
    bare.load("p", lambda: plugin(inferbench_networks=lambda: iter(made)), "p", "1")
    assert workloads(["dense-*/decode", "other/decode"], bare) == (
        "dense-2b/decode",
        "dense-16b/decode",
        "other/decode",
    )
    with pytest.raises(InferBenchError, match="wide-\\*/decode: no installed network matches"):
        workloads(["wide-*/decode"], bare)


def test_parquet_holds_what_memory_held(toy, tmp_path):
    made = toy_plan(toy, 1e5, batch="1:30:+1", context="1:9:+1")
    sweep(made, toy, str(tmp_path / "space.parquet"))
    table = pq.read_table(tmp_path / "space.parquet").to_pylist()
    assert len(made.chunks) > 1
    assert table == [row for columns in in_memory(made, toy) for row in rows_of(columns)]
    assert [path.name for path in tmp_path.iterdir()] == ["space.parquet"]


def test_a_folder_names_request_hash_schema_and_chunks(toy, tmp_path):
    made = toy_plan(toy, 1e5, batch="1:30:+1", context="1:9:+1")
    done = sweep(made, toy, str(tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (done.points, done.reused) == (540, 0)
    assert (manifest["schema"], manifest["rows"], manifest["hash"]) == (
        "inferbench.space/1",
        "inferbench.run/1",
        made.hash,
    )
    assert sum(chunk["points"] for chunk in manifest["chunks"]) == manifest["points"] == 540
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        *(chunk["file"] for chunk in manifest["chunks"]),
    ]
    assert Request.of(manifest["request"]) == made.request


@pytest.mark.slow
def test_both_executors_write_the_same_bytes(toy_file, tmp_path, process):
    """A plugin in a file goes with the work to other processes."""
    for name in ("inline", "processes"):
        done = process(
            "-p",
            str(toy_file),
            "sweep",
            "toy-chip",
            "-w",
            "toy-net/decode",
            "--scenario",
            "toy",
            "--batch",
            "1:60:+1",
            "--context",
            "1:9:+1",
            "--precision",
            "bf16,fp8",
            "--memory",
            "0.3 MB",
            "--executor",
            name,
            "--out",
            str(tmp_path / name),
        )
        assert done.returncode == 0, done.stderr
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("inline", "processes")
    )
    assert len(one) > 3
    assert one == other


def test_a_full_disk_is_told_and_leaves_nothing_half_written(toy, tmp_path, monkeypatch):
    made = toy_plan(toy, 1e5, batch="1:30:+1", context="1:9:+1")
    real, opened = open, []

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            self.file.write(bytes(data)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    def filling(path, *mode):
        opened.append(path)
        return Full(real(path, *mode)) if len(opened) > 3 else real(path, *mode)

    monkeypatch.setattr("inferbench.files.open", filling, raising=False)
    with pytest.raises(InferBenchError) as caught:
        sweep(made, toy, str(tmp_path / "out"))
    assert (
        str(caught.value) == f"{tmp_path}/out: the disk is full; the chunks that were finished are kept\n"
        "  free some space and give the same command again, it goes on from there"
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "part-000000.parquet",
        "part-000001.parquet",
    ]
    monkeypatch.undo()
    done = sweep(made, toy, str(tmp_path / "out"))
    assert done.reused == sum(chunk.points for chunk in made.chunks[:2])


def test_rows_that_cannot_be_told_apart_are_written_alike(toy):
    """Reasons are written once per rounding; where that is undecided each number is written by itself."""
    from inferbench.records.placement import Reason
    from inferbench.sweeping.columns import Text
    from inferbench.sweeping.reasons import _sentences

    need = np.array(
        [70.65e9, 70.649999e9, 70.651e9, 1e9, 999.5e6, 999.4999e6, 0.0, np.nan, 12345.0, 9.995e15]
    )
    reason = Reason(
        "c", "needs {need:B}, {bound} chips", {"need": need, "bound": np.arange(10.0) * 1000}, True
    )
    text = Text(np.zeros(10, np.int32))
    codes = _sentences(reason, (10,), np.arange(10), text)
    words = list(text.words)
    assert [words[code] for code in codes] == [reason.at((i,)) for i in range(10)]
