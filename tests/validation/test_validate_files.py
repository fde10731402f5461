"""`inferbench validate FILES`: files apart, names given and meant, bad rows alone, tables that a reader can
follow.
"""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

import inferbench as ib
from inferbench.records.measurement import Measurement
from inferbench.validation.validate import Row, validate

pytestmark = [
    pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100", "importers/csv"),
]

HEAD = "chip,framework,model,phase,batch,input_len,output_len,latency_ms\n"
ROW = "H100,vLLM,llama3-8b,e2e,{},1024,512,5500\n"
GEMM = "chip,framework,op,phase,weight_precision,m,n,k,latency_ms,power_w,power_ok\n"
PRODUCT = "H100,TRTLLM-1.3.0,gemm,op,bfloat16,{},{},{}\n"


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


def document(cli, *arguments):
    code, out, err = cli("validate", *arguments, "--format", "json")
    assert code == 0, err
    return json.loads(out), err


def test_files_of_one_name_are_kept_apart(cli, write):
    one = write("a/t.csv", HEAD + ROW.format(16) + ROW.format(8))
    two = write("b/t.csv", HEAD + ROW.format(4))
    found, _ = document(cli, one, two)
    assert [row["set"] for row in found["rows"]] == ["a/t.csv", "a/t.csv", "b/t.csv"]


def test_one_file_twice_is_refused_and_a_copy_is_warned_about(cli, write, tmp_path):
    one, copy = write("t.csv", HEAD + ROW.format(16)), write("u.csv", HEAD + ROW.format(16))
    for again in (one, f"{tmp_path}/./t.csv"):
        code, out, err = cli("validate", one, again)
        assert (code, out) == (2, "")
        assert "given twice" in err
    found, err = document(cli, one, copy)
    assert len(found["rows"]) == 2
    assert "a copy of" in err


def test_rates_and_refused_power_are_listed_with_their_reasons(cli, write):
    rates = "chip,framework,model,phase,batch,input_len,output_len,tokens_per_s\n" + ROW.format(16)
    found, _ = document(cli, write("r.csv", rates))
    assert [(row["metric"], row["rule"], row["measured"]) for row in found["rows"]] == [
        ("tokens_per_s", "rate-only", 5500.0)
    ]
    found, _ = document(cli, write("g.csv", GEMM + PRODUCT.format(4096, 4096, "4096,0.25,500,")))
    time, power = found["rows"]
    assert (time["scored"], power["rule"], power["measured"]) == (True, "power-refused", 500.0)
    assert power["why_not"] == "power refused: power_ok is not set"
    assert power["caveats"] == [power["why_not"]]
    assert (power["boundary"], power["statistic"]) == ("board", "mean")


def test_a_bad_operator_is_alone_with_its_reason():
    def product(m):
        return Measurement(
            source=f"m {m}",
            chip="H100",
            software="TRTLLM-1.3.0",
            phase="op",
            op="gemm",
            precision="bf16",
            axes={"m": m, "n": 4096.0, "k": 4096.0},
            latency_s=2.5e-4,
        )

    rows = validate({"s": [product(m) for m in (4096.0, -1.0, 2048.0, math.nan, 1024.0)]}, ib.installed())
    assert [row.code for row in rows] == ["", "not-modelled", "", "not-modelled", ""]
    assert rows[1].why == "m: -1 is out of range"


def test_an_operator_without_a_field_does_not_take_the_others_with_it():
    def product(**axes):
        return Measurement(
            source="s",
            chip="H100",
            software="TRTLLM-1.3.0",
            phase="op",
            op="gemm",
            precision="bf16",
            axes={"m": 4096.0, "n": 4096.0, **axes},
            latency_s=2.5e-4,
        )

    good, bad = validate({"s": [product(k=4096.0), product()]}, ib.installed())
    assert (good.code, bad.code) == ("", "incomplete")
    assert bad.why == "gemm: k must be given"


def test_trivial_predictors_are_of_the_figure_they_stand_beside():
    one = Measurement(
        source="s",
        chip="H100",
        software="TRTLLM-1.3.0",
        phase="op",
        op="gemm",
        precision="bf16",
        power_w=500.0,
        energy_j=0.125,
        axes={"m": 4096.0, "n": 4096.0, "k": 4096.0},
        latency_s=2.5e-4,
    )
    rows = {row.metric: row.trivial for row in validate({"s": [one]}, ib.installed())}
    # Three matrices of 4096 x 4096 in two bytes at 3.35 TB/s; a board of 700 W.
    assert rows["latency_s"] == {"bandwidth": pytest.approx(3 * 4096 * 4096 * 2 / 3.35e12)}
    assert rows["power_w"] == {"tdp": 700.0}
    assert rows["energy_j"] == {}


CLOSED_HEAD = "chip,framework,model,phase,input_len,output_len,concurrency,ttft_ms,tpot_ms,latency_ms"
CLOSED = CLOSED_HEAD + "\nH100,vLLM,llama3-8b,e2e,1024,512,{},60,8,4150\n"


def test_a_server_with_one_request_at_a_time_is_scored(cli, write):
    found, _ = document(cli, write("one.csv", CLOSED.format(1)))
    assert [(row["phase"], row["scored"]) for row in found["rows"]] == [
        ("prefill", True),
        ("decode", True),
        ("generate", True),
    ]
    assert all(row["axes"]["batch"] == 1.0 for row in found["rows"])


def test_a_closed_loop_is_replayed_and_a_group_of_its_own(cli, write):
    found, _ = document(cli, write("both.csv", CLOSED.format(16) + CLOSED.format(1).split("\n")[1] + "\n"))
    step = next(row for row in found["rows"] if row["phase"] == "decode (closed loop)")
    assert (step["scored"], step["domain"]) == (True, "extrapolated")
    assert step["low"] < step["predicted"] < step["high"]
    assert step["axes"] == {"context": 1024.0, "output": 512.0, "concurrency": 16.0}
    assert sorted(table["phase"] for table in found["tables"] if table["n"]) == [
        "decode",
        "decode (closed loop)",
        "generate",
        "generate (closed loop)",
        "prefill",
        "prefill (closed loop)",
    ]


def test_rows_and_tables_join(cli, write):
    lines = PRODUCT.format(4096, 4096, "4096,0.25,500,1") + PRODUCT.format(8192, 4096, "4096,0.45,500,")
    found, _ = document(cli, write("g.csv", GEMM + lines), write("t.csv", HEAD + ROW.format(16)))
    keys = ("chip", "stack", "phase", "metric", "network", "precision", "domain")
    for table in found["tables"]:
        mine = [row for row in found["rows"] if all(row[key] == table[key] for key in keys)]
        assert sum(row["scored"] for row in mine) == table["n"]
        assert len(mine) == table["n"] + sum(table["unscored"].values())


def test_regimes_of_attention_are_apart(cli, write):
    head = "chip,framework,phase,op,weight_precision,batch,input_len,num_heads,kv_heads,head_dim,latency_ms\n"
    row = "H100,TRTLLM-1.3.0,op,{},bfloat16,8,4096,32,8,128,2\n"
    text = head + row.format("context_attention") + row.format("generation_attention")
    found, _ = document(cli, write("a.csv", text))
    assert {table["phase"] for table in found["tables"]} == {"attention.context", "attention.generation"}


def test_a_name_is_read_as_the_one_that_it_means(cli, write):
    text = (HEAD + ROW.format(16)).replace("llama3-8b", "llama 8B F16")
    path = write("t.csv", text)
    found, _ = document(cli, path)
    assert found["rows"][0]["rule"] == "name"
    found, _ = document(cli, path, "--rename", "llama 8B F16=llama3-8b")
    assert (found["rows"][0]["scored"], found["rows"][0]["network"]) == (True, "llama3-8b")
    code, out, err = cli("validate", path, "--rename", "lama 8B F16=llama3-8b")
    assert (code, out) == (2, "")
    assert "did you mean 'llama 8B F16'?" in err
    code, _, err = cli("validate", path, "--rename", "llama")
    assert code == 2
    assert "write it like" in err


def test_names_that_are_given_must_be_known_even_if_no_row_needs_them(cli, write):
    path = write("t.csv", HEAD + ROW.format(16))
    for flag, wrong, near in (("--chip", "h100-smx", "h100-sxm"), ("--network", "lama3-8b", "llama3-8b")):
        code, out, err = cli("validate", path, flag, wrong)
        assert (code, out) == (2, "")
        assert f"{flag} {wrong}" in err
        assert f"did you mean '{near}'?" in err


def test_a_misspelt_name_in_a_file_is_answered_with_the_nearest(cli, write):
    found, _ = document(cli, write("t.csv", (HEAD + ROW.format(16)).replace("llama3-8b", "Lama3-8b")))
    assert found["rows"][0]["why_not"].endswith("unknown network; did you mean 'llama3-8b'?")


def test_what_a_table_lacks_can_be_given(cli, write):
    path = write("t.csv", "framework,phase,batch,tpot_ms\nvLLM,decode,8,9\n")
    found, _ = document(cli, path)
    assert found["rows"][0]["why_not"] == "no chip is given; name one for all rows (chip)"
    found, _ = document(cli, path, "--chip", "h100", "--network", "llama3-8b")
    assert found["rows"][0]["why_not"] == "no context is given; name it for all rows (axis)"
    found, _ = document(cli, path, "--chip", "h100", "--network", "llama3-8b", "--axis", "context=1024")
    assert found["rows"][0]["scored"]


def test_seconds_for_milliseconds_are_doubted(cli, write):
    """A step of 9 ms, written into a column of seconds."""
    head = "chip,framework,model,phase,batch,input_len,tpot_{}\nH100,vLLM,llama3-8b,decode,8,1024,9\n"
    assert "are the units right?" not in document(cli, write("ms.csv", head.format("ms")))[1]
    _, err = document(cli, write("s.csv", head.format("s")))
    assert "tpot_s of 9 is predicted as 0.00" in err
    assert "are the units right?" in err
    _, _, err = cli("explain", "h100", "llama3-8b/decode", "--measured", "9s")
    assert "are the units right?" in err


def test_explain_takes_a_run_whatever_its_file_is_called(cli, write, tmp_path):
    run = tmp_path / "mine.run"
    point = ("llama3-8b/generate", "--batch", "16", "--context", "1024", "--axis", "output=512")
    assert cli("run", "h100-sxm", *point, "--format", "json", "--out", str(run))[0] == 0
    assert cli("explain", str(run), write("t.csv", HEAD + ROW.format(16)))[0] == 0


def test_csv_output_has_plain_cells(cli, write):
    code, out, _ = cli("validate", write("t.csv", HEAD + ROW.format(16)), "--format", "csv")
    assert code == 0
    (record,) = csv.DictReader(io.StringIO(out))
    assert (record["axes.batch"], record["axes.output"]) == ("16.0", "512.0")
    assert float(record["trivial.bandwidth"]) > 0
    assert not [cell for cell in record.values() if cell.startswith(("{", "["))]


def test_what_comes_next_can_be_typed_and_stands_only_after_scores(cli, write, monkeypatch, tmp_path):
    write("t.csv", HEAD + ROW.format(16))
    write("none.csv", (HEAD + ROW.format(16)).replace("vLLM", "unheard"))
    monkeypatch.chdir(tmp_path)
    _, out, _ = cli("validate", "t.csv")
    assert out.splitlines()[-1] == "Next: inferbench validate t.csv --format json --out rows.json"
    assert "Next:" not in cli("validate", "none.csv")[1]


@pytest.mark.parametrize("columns", ["80", "160"])
def test_a_line_of_errors_says_what_it_is_of_at_any_width(cli, write, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    _, out, _ = cli(
        "validate", write("t.csv", HEAD + ROW.format(16) + ROW.format(8)), write("c.csv", CLOSED.format(16))
    )
    assert "Errors of vllm-h100 on h100-sxm, bf16" in out
    head = next(line for line in out.splitlines() if " MAPE " in line)
    assert head.split() == ["n", "MAPE", "trivial", "median", "bias", "in", "90%"]
    assert "llama3-8b generate latency" in out
    assert "llama3-8b decode (closed loop) tpot¹" in out
    assert all(len(line) <= int(columns) for line in out.splitlines())


def test_the_domain_of_a_row_is_empty_without_a_fitted_stack():
    common = {
        "set": "s",
        "source": "x",
        "chip": "c",
        "chips": 1,
        "software": "w",
        "network": "n",
        "phase": "decode",
        "op": "",
        "metric": "tpot_s",
        "precision": "bf16",
        "axes": {},
        "measured": 1.0,
    }
    assert [Row(**common, stack=stack).domain for stack in ("", "ideal", "mine")] == ["", "", "extrapolated"]
