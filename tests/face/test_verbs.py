"""The verbs beside `run` and `compare` give what the commands of the same name write."""

from __future__ import annotations

import json

import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h200", "networks/llama3-8b")


def data(cli, *line):
    code, out, err = cli(*line, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_op(cli):
    table = ib.op("h100-sxm", "gemm", m=[1, 128], n=8192, k=8192)
    assert table.to_dict() == data(
        cli, "op", "h100-sxm", "gemm", "--m", "1,128", "--n", "8192", "--k", "8192"
    )
    assert repr(table) == "<OpTable of gemm on h100-sxm, stack trtllm-1.3: 2 rows>"


def test_op_reads_rows_from_a_file(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("m,n,k,precision\n1,64,64,fp8\n128,64,64,bf16\n")
    rows = ib.op("h100-sxm", "gemm", csv=file).to_dict()["rows"]
    assert [(row["m"], row["precision"]) for row in rows] == [(1.0, "fp8"), (128.0, "bf16")]


def test_frontier(cli):
    found = ib.frontier("8xb200", "llama3-8b", batch=[1, 64], chunk=None, slo_tpot=0.02)
    line = ["frontier", "8xb200", "-w", "llama3-8b", "--batch", "1,64", "--chunk", "none"]
    assert found.to_dict() == data(cli, *line, "--slo-tpot", "20ms")
    assert {row["policy"] for row in found.to_dict()["results"]} == {"interleaved", "disaggregated"}
    assert {row["chunk"] for row in found.to_dict()["results"]} == {None}


@pytest.mark.slow
def test_size(cli):
    found = ib.size("llama3-70b/decode", ["b200", "h200"], users=200, tpot="20ms", context=4096)
    line = ["size", "llama3-70b/decode", "--chips", "b200,h200", "--users", "200", "--tpot", "20ms"]
    assert found.to_dict() == data(cli, *line, "--context", "4096")
    assert found.table() == cli(*line, "--context", "4096")[1]


def test_sweep(cli, tmp_path):
    asked = {"batch": "1:64:x2", "context": [2048, 8192]}
    found = ib.sweep(["b200", "h100-sxm"], "llama3-8b/decode", precision="fp8", **asked)
    line = ["sweep", "b200", "h100-sxm", "-w", "llama3-8b/decode", "--precision", "fp8"]
    assert found.to_dict() == data(cli, *line, "--batch", "1:64:x2", "--context", "2048,8192")
    assert found.plan.size == 2 * 7 * 2
    assert found.space.feasible.all()


def test_a_sweep_s_frame_has_a_row_per_point_and_all_columns_of_its_file(tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    asked = {"workload": "llama3-8b/decode", "precision": "fp8", "batch": [1, 8], "context": 2048}
    here = ib.sweep("b200", **asked).to_frame("pandas")
    kept = ib.sweep("b200", **asked, out=tmp_path / "space.parquet").to_frame("pandas")
    assert here.shape[0] == kept.shape[0] == 2
    assert set(here.columns) < set(kept.columns)
    assert "tpot_s" in kept.columns


def test_the_largest_batch_is_found_at_every_point():
    found = ib.sweep("b200", "llama3-8b/decode", precision="fp8", batch="max", context=[2048, 4096])
    run = ib.run("b200", "llama3-8b/decode", precision="fp8", batch="max", context=[2048, 4096])
    assert found.parts[0]["batch"].tolist() == np.ravel(run.values(run.batch)).tolist()
    (suite,) = [row for row in ib.compare("b200").to_dict()["results"] if row["batch"] not in (1.0, None)]
    assert suite["batch"] > 1


def test_explain(cli):
    found = ib.explain("h100", "llama3-8b/decode", measured=0.0084, stack="vllm-h100", batch=4)
    line = ["explain", "h100", "llama3-8b/decode", "--measured", "8.4ms", "--stack", "vllm-h100"]
    assert found.to_dict() == data(cli, *line, "--batch", "4")
    one = found.split
    assert one.algorithm * one.hardware * one.software == pytest.approx(one.work / 0.0084)
    assert found.warnings == ()


def test_a_time_that_is_far_off_is_doubted():
    found = ib.explain("h100", "llama3-8b/decode", measured=8.4, batch=4)
    assert [(fault.place, "units right?" in fault.found) for fault in found.warnings] == [("measured", True)]


def test_validate(tmp_path):
    head = "framework,chip,network,phase,precision,batch,context,tpot_ms\n"
    file = tmp_path / "mine.csv"
    file.write_text(head + "vLLM,h100-sxm,llama3-8b,decode,bf16,8,1024,9\n")
    found = ib.validate(file)
    (row,) = found.rows
    assert (row.measured, row.chip, row.stack) == (0.009, "h100-sxm", "vllm-h100")
    assert found.to_dict()["rows"][0]["predicted"] == row.predicted
    assert repr(found) == f"<Validation of {file}: 1 of 1 figures scored>"


def test_shares_of_a_space_lie_between_none_and_all_of_it():
    space = ib.sweep(["b200", "h100-sxm"], "llama3-8b/decode", precision="fp8", batch=[1, 64], context=2048)
    assert space.flexibility("peak", threshold=0.0) == {"b200": 1.0, "h100-sxm": 1.0}
    assert space.flexibility("peak", threshold=1.0) == {"b200": 0.0, "h100-sxm": 0.0}
    assert sum(space.winners("tokens", "chips").values()) == pytest.approx(1.0)
    with pytest.raises(ib.InferBenchError, match="definition: 'peek' is none\n  did you mean 'peak'"):
        space.flexibility("peek")


BAD = [
    (lambda: ib.run("b200", "llama3-8b/decode", batch=0), "batch: 0 is out of range\n", "batch='max' takes"),
    (lambda: ib.run("b200", "llama3-8b/decode", batchs=3), "batchs: 'decode' has no axis", "mean 'batch'?"),
    (lambda: ib.run("b200", "llama3-8b/decode", batch="mx"), "batch: 'mx' is not a list", "give batch='1,8"),
    (lambda: ib.run("b200", "llama3-8b/decode", batch=[]), "batch: the axis has no points", "give batch=[1"),
    (lambda: ib.run("b200", "llama3-8b/decode", batch=object()), "is not a number", "give batch=[1"),
    (lambda: ib.run("b200", "llama3-8b"), "workload llama3-8b: a workload is written", "for example"),
    (
        lambda: ib.run("b200", "llama3-8b/decode", stack="idael"),
        "stack idael: no stack and no family",
        "'ideal'?",
    ),
    (lambda: ib.run("b200x", "llama3-8b/decode"), "system b200x: unknown chip", "inferbench list chips"),
    (
        lambda: ib.run("groq-lpu", "llama3-8b/decode", stack="vllm-h100"),
        "stack vllm-h100: 'vllm",
        "served by groq-2024",
    ),
    (lambda: ib.compare("b200", suite="x"), "suite x: unknown suite", "inferbench list suites"),
    (lambda: ib.op("b200", "gemm", m=3), "gemm: n, k must be given", "add n"),
    (lambda: ib.op("b200", "gemm", m=0, n=3, k=3), "m: 0 is out of range", "at least 1"),
    (lambda: ib.size("llama3-8b/decode", "b200", users=2), "tpot: no limit was given", "give tpot='20ms'"),
    (lambda: ib.size("llama3-8b/decode", "b200", 2, tpot="1s", batch=8), "batch: the number", "users=200"),
    (
        lambda: ib.frontier("b200", "llama3-8b/decode"),
        "workload llama3-8b/decode: serv",
        "workload='llama3-8b'",
    ),
    (lambda: ib.sweep("b200", memory="half"), 'memory: "half" is not a number', "give memory='512 MB'"),
    (lambda: ib.sweep("b200", workers=3), "workers: needs a place", "add out='space.parquet'"),
    (lambda: ib.explain("b200", "llama3-8b/decode"), "measured: no measured time", "add measured='8.4 ms'"),
    (lambda: ib.validate("none.csv"), "none.csv: can't be read", "give the path of a file"),
    (lambda: ib.validate("none.csv", chip="b2000"), "chip b2000: unknown chip", "inferbench list chips"),
    (lambda: ib.sweep("b200", grid="x"), "grid: unknown grid 'x'", "known are default"),
]


@pytest.mark.parametrize(("call", "found", "remedy"), BAD)
def test_bad_input_names_the_argument_its_value_and_what_to_do(call, found, remedy):
    with pytest.raises(ib.InferBenchError) as caught:
        call()
    text = str(caught.value)
    assert found in text
    assert remedy in text
    assert "--" not in text


@pytest.mark.slow
def test_calibrate(tmp_path):
    """Products that take a launch of 5 us and twice the roofline of the datasheet are fitted as such."""
    pytest.importorskip("scipy")
    rows = ["chip,framework,weight_precision,phase,op,latency_us,m,n,k"]
    for m in (1, 8, 64, 256, 1024, 4096, 16384):
        for n in (1024, 4096, 10240, 28672):
            for k in (1024, 4096, 14336):
                work, moved = 2.0 * m * n * k / 989e12, 2.0 * (n * k + m * k + m * n) / 3.35e12
                seconds = 5e-6 + 2.0 * (work**3 + moved**3) ** (1 / 3)
                rows.append(f"H100,Lib-1.0,bfloat16,op,gemm,{1e6 * seconds:.9g},{m},{n},{k}")
    file = tmp_path / "gemm.csv"
    file.write_text("\n".join(rows) + "\n")
    found = ib.calibrate(file, chip="h100-sxm", software="Lib")
    assert repr(found).startswith("<Calibrated mine on h100-sxm")
    path = _written(found, tmp_path)
    (row,) = ib.op("h100-sxm", "gemm", stack=str(path), m=4096, n=4096, k=4096).to_dict()["rows"]
    work, moved = 2.0 * 4096**3 / 989e12, 2.0 * 3 * 4096**2 / 3.35e12
    assert row["time_s"] == pytest.approx(5e-6 + 2.0 * (work**3 + moved**3) ** (1 / 3), rel=0.05)


def _written(found, folder):
    found.write(folder / "mine.toml")
    return folder / "mine.toml"


def test_calibrate_takes_one_kind_of_files():
    for files, serving in (((), ()), ("a.csv", "b.csv")):
        with pytest.raises(ib.InferBenchError, match=r"files: .*\n  give either measured kernels"):
            ib.calibrate(files, serving=serving)
