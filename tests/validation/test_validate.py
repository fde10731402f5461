"""Validation: every figure is scored or says why not; errors and intervals follow their definitions."""

from __future__ import annotations

import json
import math

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.face.validate import digests_of, from_files
from inferbench.model.citing import cited
from inferbench.model.intervals import conformal
from inferbench.records.measurement import Measurement
from inferbench.records.stack import Domain, Fit, Host, Stack
from inferbench.specs.figures import left_out, targets
from inferbench.specs.measurement_sets import set_from
from inferbench.validation.scoring import document, scores
from inferbench.validation.validate import RULES, Row, validate

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")

SET = """
title = "Two figures"
[sources.paper]
title = "A paper"
basis = "measured"
[[series]]
source = "paper"
where = "table 1"
chip = "H100"
software = "vLLM"
network = "llama3-8b"
phase = "generate"
precision = "bf16"
axes = { context = 1024, output = 512 }
columns = ["batch", "latency (ms)", "power (W)"]
rows = [[1, 4000, 370], [16, 5000, nan]]
"""


def generate(**fields):
    common = {
        "source": "here",
        "chip": "H100",
        "software": "vLLM",
        "network": "llama3-8b",
        "phase": "generate",
        "axes": {"batch": 1.0, "context": 1024.0, "output": 512.0},
        "latency_s": 4.0,
    }
    return Measurement(**{**common, **fields})


def only(measurement, **options):
    (row,) = validate({"s": [measurement]}, ib.installed(), **options)
    return row


def test_a_set_is_read_into_si_units_with_its_citation():
    found = set_from(SET.encode(), "two", "two.toml")
    first, second = found.rows
    assert first.latency_s == 4.0
    assert first.power_w == 370.0
    assert math.isnan(second.power_w)
    assert second.axes == {"context": 1024.0, "output": 512.0, "batch": 16.0}
    assert second.source == "A paper, table 1, row 2"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"latency (ms)"', '"latency (hours)"', "no known figure"),
        ("[1, 4000, 370]", "[1, 4000]", "2 numbers, 3 columns"),
        ("[1, 4000, 370]", "[1, 0, 370]", "a figure above 0 was expected"),
        ('source = "paper"', 'source = "papr"', "is not in [sources]"),
        ('chip = "H100"', 'chop = "H100"', "unknown key"),
        ("[1, 4000, 370]", "[1, nan, nan]", "measures nothing"),
        ("[1, 4000, 370]", '["1", 4000, 370]', "series.0.rows.0"),
        ("[1, 4000, 370]", "[true, 4000, 370]", "series.0.rows.0"),
        ("[1, 4000, 370]", "8", "series.0.rows.0"),
        ("[[series]]", "[[series]]\nqueueing = 'no'", "series.0.queueing"),
        ("[[series]]", "[[series]]\nchips = 'eight'", "series.0.chips"),
        ("[[series]]", "[series]", "series: "),
    ],
)
def test_faults_of_a_set_say_where_and_what(old, new, said):
    with pytest.raises(ib.InferBenchError, match=said.replace("[", r"\[").replace("]", r"\]")):
        set_from(SET.replace(old, new).encode(), "two", "two.toml")


def test_every_shipped_set_is_read_and_cites_a_source():
    registry = ib.installed()
    sets = [registry.get("measurements", name) for name in registry.names("measurements")]
    assert sum(len(one.rows) for one in sets) >= 150
    assert all(source.url.startswith("https://") for one in sets for source in one.sources.values())
    assert all(row.software and row.chip for one in sets for row in one.rows)


def test_no_figure_is_dropped():
    registry = ib.installed()
    sets = {name: registry.get("measurements", name).rows for name in registry.names("measurements")}
    rows = validate(sets, registry)
    assert len(rows) == sum(1 for some in sets.values() for m in some for _ in (*targets(m), *left_out(m)))
    assert all(row.scored == (row.code == "") for row in rows)
    assert {row.code for row in rows if row.code} <= set(RULES)
    assert all(row.why for row in rows if not row.scored)
    assert all(math.isfinite(row.predicted) for row in rows if row.scored)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"chip": "H1000"}, "name"),
        ({"network": "llama9"}, "name"),
        ({"precision": "float11"}, "name"),
        ({"software": "secretLLM"}, "no-stack"),
        ({"axes": {"batch": 1.0, "output": 512.0}}, "incomplete"),
        ({"queueing": True}, "not-comparable"),
        ({"conditions": {"quantised-cache"}}, "not-comparable"),
        ({"conditions": {"speculative"}}, "not-comparable"),
        ({"axes": {"batch": 4096.0, "context": 8192.0, "output": 512.0}}, "infeasible"),
        ({"latency_s": 0.5}, "beats-floor"),
        ({"axes": {"batch": 1.0, "context": 1024.0, "output": 512.0, "steps": 3.0}}, "not-modelled"),
    ],
)
def test_a_row_that_is_not_scored_says_by_which_rule(fields, code):
    row = only(generate(**fields))
    assert row.code == code
    assert not row.scored


def test_a_log_has_no_work_and_a_short_operator_is_launching():
    log = Measurement(source="log", chip="H100", phase="log", power_w=300.0)
    assert only(log).code == "incomplete"
    small = Measurement(
        source="k",
        chip="H100",
        phase="op",
        op="gemm",
        precision="bf16",
        software="x",
        latency_s=8e-6,
        axes={"m": 64.0, "n": 1024.0, "k": 1024.0},
    )
    assert only(small, stack="ideal").code == "launch-bound"


def test_the_floor_is_the_weights_over_the_bandwidth():
    """8.03e9 parameters of 2 bytes, less the embedding, 512 times at 3.35 TB/s take 2.3 s: below is no
    measurement.
    """
    assert only(generate(latency_s=2.2)).code == "beats-floor"
    assert only(generate(latency_s=2.6)).scored


def test_ttft_and_tpot_of_a_generation_are_a_prompt_and_a_step_in_the_middle():
    found = {t.metric: t for t in targets(generate(ttft_s=0.4, tpot_s=0.01))}
    assert found["ttft_s"].phase == "prefill"
    assert found["ttft_s"].axes == {"batch": 1.0, "context": 1024.0}
    assert found["tpot_s"].phase == "decode"
    assert found["tpot_s"].axes["context"] == 1024 + 256
    assert found["latency_s"].axes["output"] == 512


TABLE = "chip,framework,model,phase,batch,input_len,output_len,latency_ms\n"
LINES = ("H100,vLLM,llama3-8b,e2e,16,1024,512,5500\n", "A100,vLLM,llama3-8b,e2e,16,1024,512,9000\n")


@pytest.fixture
def cites(tmp_path, monkeypatch):
    """Validate a table under a stack that was fitted on the H100 rows of a table with the given digest."""
    pytest.importorskip("inferbench_importers")

    def run(digest=None):
        table = tmp_path / "table.csv"
        table.write_text(TABLE + "".join(LINES))
        registry = ib.installed()
        stack = registry.stack("vllm-h100")
        own = digest or digests_of([str(table)])[str(table)]
        fit = attrs.evolve(stack.fit, files=(ib.FitFile("table.csv", own, 2),))
        monkeypatch.setattr(
            registry, "stack", lambda name: attrs.evolve(stack, fit=fit) if name == "mine" else stack
        )
        sets = from_files([str(table)], registry, "", {})
        return validate(sets, registry, "mine", digests=digests_of([str(table)]))

    return run


def test_rows_of_the_table_a_stack_was_fitted_on_are_marked(cites):
    assert [row.fitted for row in cites()] == [True, False]


def test_a_table_that_the_stack_does_not_cite_may_hold_the_same_rows(cites):
    rows = cites("0123456789ab")
    assert [row.fitted for row in rows] == [None, False]
    assert document(rows)["rows"][0]["fitted"] is None
    assert {score.chip: score.fitted for score in scores(rows)}["h100-sxm"] is None


def test_kernels_beyond_the_box_and_their_power_took_part_in_no_fit(tmp_path, monkeypatch):
    """Cited table, H100 products: one in the box, one of 4 us, one beyond the box, and one with power."""
    pytest.importorskip("inferbench_importers")
    table, registry = tmp_path / "gemm.csv", ib.installed()
    head = "chip,framework,op,phase,weight_precision,m,n,k,latency_ms,power_w\n"
    rows = ("1024,8192,8192,0.25,500", "1,1024,1024,0.004,", "4194304,8192,8192,900,")
    table.write_text(head + "".join(f"H100,TRTLLM-1.3.0,gemm,op,bfloat16,{row}\n" for row in rows))
    digests = digests_of([str(table)])
    stack = registry.stack("trtllm-1.3")
    files = (ib.FitFile("gemm.csv", digests[str(table)], 3),)
    mine = attrs.evolve(stack, fit=attrs.evolve(stack.fit, files=files))
    ideal = registry.stack("ideal")
    monkeypatch.setattr(registry, "stack", lambda name: ideal if name == "ideal" else mine)
    found = validate(from_files([str(table)], registry, "", {}), registry, "mine", digests=digests)
    assert [(row.metric, row.fitted) for row in found] == [
        ("latency_s", True),
        ("power_w", False),
        ("latency_s", False),
        ("latency_s", False),
    ]


MOE = (
    "chip,framework,model,phase,op,latency_ms,weight_precision,batch,tp,ep,hidden,inter,topk,experts,distribution\n"
    "H100,TRTLLM-1.3.0,Mixtral-8x7B,op,moe,{},bfloat16,{},1,1,4096,14336,2,8,{}\n"
)


def layer(tmp_path, tokens, milliseconds, routing="balanced"):
    pytest.importorskip("inferbench_importers")
    table = tmp_path / "moe.csv"
    table.write_text(MOE.format(milliseconds, tokens, routing))
    (row,) = validate(from_files([str(table)], ib.installed(), "", {}), ib.installed(), "ideal")
    return row


def test_a_layer_of_experts_takes_what_its_products_take(tmp_path):
    """Mixtral's experts are 3 x 4096 x 14336 weights. 16,384 tokens to two each: 11.5 TFLOP at 989
    TFLOP/s.
    """
    row = layer(tmp_path, 16384, 20)
    assert row.scored
    assert row.predicted == pytest.approx(16384 * 2 * 2 * 3 * 4096 * 14336 / 989e12, rel=0.1)


def test_few_tokens_read_the_experts_they_touch(tmp_path):
    """Eight tokens to two of eight experts, balanced: all eight are read, 2.8 GB at 3.35 TB/s."""
    row = layer(tmp_path, 8, 2)
    assert row.scored
    assert row.predicted == pytest.approx(8 * 3 * 4096 * 14336 * 2 / 3.35e12, rel=0.05)


def test_an_unknown_routing_is_not_scored(tmp_path):
    row = layer(tmp_path, 8, 2, "zipf")
    assert row.code == "not-modelled"
    assert "zipf" in row.why


def row(measured, predicted, **fields):
    common = {
        "set": "s",
        "source": "x",
        "chip": "c",
        "chips": 1,
        "software": "w",
        "stack": "t",
        "network": "n",
        "phase": "decode",
        "op": "",
        "metric": "tpot_s",
        "precision": "bf16",
        "axes": {},
    }
    return Row(**{**common, "measured": measured, "predicted": predicted, **fields})


def test_errors_follow_their_definitions():
    high = row(1.0, 1.1, low=0.9, high=1.2, trivial={"bandwidth": 0.5})
    low = row(4.0, 3.2, low=3.0, high=3.5, trivial={"bandwidth": 1.0})
    kept_out = row(1.0, 2.0, code="beats-floor", why="why")
    (score,) = scores([high, low, kept_out])
    assert (score.n, score.screened) == (2, 1)
    assert score.mape == pytest.approx((0.1 + 0.2) / 2)
    assert score.bias == pytest.approx((0.1 - 0.2) / 2)
    assert score.mape_all == pytest.approx((0.1 + 0.2 + 1.0) / 3)
    assert score.coverage == 0.5
    # The other row of two is 4 times as long, or a quarter: 300% and 75%.
    assert score.constant == pytest.approx((3.0 + 0.75) / 2)
    assert score.bandwidth == pytest.approx((0.5 + 0.75) / 2)
    assert score.unscored == {"beats-floor": 1}


def test_the_document_is_json_and_has_every_row():
    rows = validate({"s": [generate(), generate(chip="H1000")]}, ib.installed())
    found = json.loads(json.dumps(document(rows), allow_nan=False))
    assert found["schema"] == "inferbench.validation/1"
    assert [one["scored"] for one in found["rows"]] == [True, False]
    assert found["rows"][0]["low"] < found["rows"][0]["predicted"] < found["rows"][0]["high"]
    assert found["rows"][1]["rule"] == "name"
    assert found["unscored"] == {"name": 1}


def test_the_stack_of_the_chip_scores_and_a_kindred_one_is_extrapolated():
    registry = ib.installed()
    h100, mi300x = registry.chip("h100-sxm"), registry.chip("mi300x")
    assert cited(registry, h100, "vLLM 0.6", "generate").name == "vllm-h100"
    assert cited(registry, h100, "unheard of", "generate") is None
    other = cited(registry, mi300x, "vLLM", "generate")
    assert other.software == ("vLLM",)
    # The H200 has the H100's die, the A100 of 80 GB that of 40 GB; the GB200 is a B200 beside a CPU.
    for chip, software, phase, stack in (
        ("h200", "vLLM", "decode", "vllm-serving-h200"),
        ("a100-sxm-80gb", "TensorRT-LLM", "decode", "tensorrt-llm-a100"),
        ("gb200", "TRTLLM-1.3.0", "op", "trtllm-1.3-b200"),
    ):
        assert cited(registry, registry.chip(chip), software, phase).name == stack
    # A sibling of the same vendor comes before a newer stack of another one.
    assert cited(registry, registry.chip("mi250x"), "vLLM", "generate").name == "vllm-mi300x"
    foreign = only(generate(chip="max-1550", latency_s=9.0))
    assert not foreign.inside
    # No kernel of such a vendor's chip was fitted: nine in ten published ones lie within ten times the
    # roofline.
    assert foreign.high / foreign.predicted >= 10
    assert (
        only(generate(chip="H200", latency_s=9.0)).high / only(generate(chip="H200", latency_s=9.0)).predicted
        < 2
    )


def test_conformal_intervals_take_the_rank_and_stretch_for_few_networks():
    """19 errors: rank 18 of 19; two networks stretch by sqrt(1.5)."""
    errors = [math.expm1(0.01 * i) for i in range(1, 20)]
    assert conformal(errors, 2) == pytest.approx(0.18 * math.sqrt(1.5))


FITTED = Stack(
    name="fitted",
    title="F",
    host=Host(step=1e-3),
    fit=Fit(rows=9, step=0.04),
    domain=Domain(chips=("h100-sxm",), precisions=("bf16",), phases=("decode",), axes={"batch": (1.0, 64.0)}),
)


def log_error(stack=FITTED, system="h100-sxm", precision="bf16", phase="decode", **axes):
    registry = ib.Registry()
    registry.entries("stacks")["fitted"] = attrs.evolve(
        registry.entries("stacks")["ideal"], name="fitted", record=stack
    )
    return ib.run(
        system, f"llama3-8b/{phase}", stack="fitted", precision=precision, registry=registry, **axes
    )


def test_intervals_widen_outside_the_box_by_the_stated_rule():
    inside = log_error(batch=64.0)
    assert float(np.ravel(inside.log_error)[0]) == pytest.approx(0.04)
    assert not bool(np.ravel(inside.flags["extrapolated"])[0])
    beyond = log_error(batch=256.0, context=128.0)
    assert float(np.ravel(beyond.log_error)[0]) == pytest.approx(math.hypot(0.04, 0.2))
    assert bool(np.ravel(beyond.flags["extrapolated"])[0])
    four = log_error(
        attrs.evolve(FITTED, domain=attrs.evolve(FITTED.domain, counts=(1, 1))), system="4xh100-sxm:tp4"
    )
    assert float(np.ravel(four.log_error)[0]) == pytest.approx(math.hypot(0.04, 0.2))
    unseen = log_error(system="b200", precision="fp8", batch=1.0)
    assert float(np.ravel(unseen.log_error)[0]) == pytest.approx(math.sqrt(0.04**2 + 2 * 0.25**2))


def test_results_carry_the_interval_of_a_latency(cli):
    code, out, err = cli("run", "h100-sxm", "llama3-8b/decode", "--stack", "vllm-h100", "--format", "json")
    assert (code, err) == (0, "")
    metrics = json.loads(out)["results"][0]["metrics"]
    step = ib.installed().stack("vllm-h100").fit.step
    assert math.log(metrics["tpot_s_high"] / metrics["tpot_s"]) >= 1.64 * step
    assert metrics["tpot_s_low"] * metrics["tpot_s_high"] == pytest.approx(metrics["tpot_s"] ** 2)
    _, out, _ = cli("run", "h100-sxm", "llama3-8b/decode", "--stack", "vllm-h100")
    said = " ".join(out.split())
    assert "90 % interval" in said
    assert "inside calibrated domain" in said
    _, out, _ = cli("run", "h100-sxm@ideal", "llama3-8b/decode", "--format", "json")
    assert "tpot_s_low" not in out


def test_json_that_is_cut_before_its_keys_is_called_cut_short(cli, tmp_path):
    pytest.importorskip("inferbench_importers")
    cut = tmp_path / "cut.json"
    cut.write_text('{"date": "2026-01-01",\n "model_id": "llam')
    code, out, err = cli("validate", str(cut))
    assert (code, out) == (2, "")
    assert "line 2: the file ends in the middle of a value: it is cut short" in err
    cut.write_text('{"date": "2026-01-01"}')  # whole, and of nobody's format
    assert "no importer knows this file" in cli("validate", str(cut))[2]


def test_a_run_of_another_point_is_warned_about(cli, tmp_path):
    pytest.importorskip("inferbench_importers")
    run, table = tmp_path / "run.json", tmp_path / "table.csv"
    table.write_text(TABLE + LINES[0] + LINES[1])
    point = ("llama3-8b/generate", "--batch", "8", "--context", "1024", "--axis", "output=512")
    assert cli("run", "h100-sxm", *point, "--format", "json", "--out", str(run))[0] == 0
    first = cli("explain", str(run), str(table))[1]
    assert first.strip().startswith("Warning: the run and the measurement differ in batch")
    _, out, _ = cli("explain", str(run), str(table), "--row", "2", "--format", "json")
    assert json.loads(out)["differs"]["batch"] == ["8", "16"]
    assert json.loads(out)["differs"]["chip"][0] == "h100-sxm"
    assert "context" not in json.loads(out)["differs"]


def test_what_rounding_leaves_is_no_host_time(cli):
    """An ideal stack has no host: the whole is the sum of its operators, but for rounding."""
    point = ("h100@ideal", "llama3-8b/decode", "--measured", "8.4ms", "--batch", "1", "--context", "1024")
    _, out, _ = cli("explain", *point)
    assert " fs" not in out
    host = next(line for line in out.splitlines() if line.startswith("host"))
    assert set(host.removeprefix("host").split()) == {"–"}
    assert json.loads(cli("explain", *point, "--format", "json")[1])["host"] == 0.0


def test_the_usage_of_explain_stands_on_one_line(cli):
    out = " ".join(cli("explain", "--help")[1].split())
    assert "Usage: inferbench explain [OPTIONS] RUN.json|SYSTEM MEASUREMENT|NETWORK/PHASE" in out
