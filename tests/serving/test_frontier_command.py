"""`inferbench frontier`: what it prints and writes, and every kind of bad input."""

from __future__ import annotations

import csv
import io
import json

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/groq-lpu", "networks/llama3-8b", "networks/sd3-medium")

ASK = ("frontier", "8xb200", "1xgroq-lpu", "-w", "llama3-70b", "--context", "8192")


@pytest.mark.slow
def test_json_holds_every_point_and_says_which_are_on_a_frontier(cli):
    code, out, _ = cli(*ASK, "--slo-tpot", "20ms", "--format", "json")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == "inferbench.frontier/1"
    assert (document["prompt_tokens"], document["output_tokens"], document["limits"]["tpot_s"]) == (
        8192,
        1024,
        0.02,
    )
    rows = document["results"]
    assert {row["policy"] for row in rows} == {"interleaved", "chunked", "disaggregated"}
    best = [row for row in rows if "tokens_per_s_per_chip" in row["pareto"]]
    for one in best:
        beaten = [
            row
            for row in rows
            if row["tokens_per_s_per_user"] > one["tokens_per_s_per_user"]
            and row["tokens_per_s_per_chip"] > one["tokens_per_s_per_chip"]
        ]
        assert beaten == []
    good = document["goodput"]["8xb200"]
    assert good["tpot_s"] <= 0.02
    assert good["tokens_per_s_per_chip"] == max(
        row["tokens_per_s_per_chip"] for row in rows if row["tpot_s"] <= 0.02
    )
    assert document["goodput"]["groq-lpu"] is None
    assert document["infeasible"]["groq-lpu"] == {"weights and one request don't fit": 1}


def test_csv_has_a_line_per_point(cli):
    code, out, _ = cli(*ASK, "--batch", "1,8", "--chunk", "none", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["policy"] for row in rows} == {"interleaved", "disaggregated"}
    assert {float(row["batch"]) for row in rows} == {1.0, 8.0}


def test_the_screen_names_why_nothing_fits_and_what_is_unknown(cli):
    code, out, _ = cli("frontier", "8xmi355x", "1xgroq-lpu", "-w", "llama3-70b")
    assert code == 0
    assert "groq-lpu: weights and one request don't fit" in out
    assert "no purchase price" in out


def test_a_limit_that_nothing_meets_says_the_least(cli):
    code, out, _ = cli(*ASK[:2], *ASK[3:], "--slo-tpot", "1us", "--stack", "ideal")
    assert code == 0
    assert "time per token is 1.28 ms at the least" in out


@pytest.mark.slow
def test_tighter_limits_never_yield_more(cli):
    goods = []
    for limit in ("2ms", "5ms", "50ms"):
        _, out, _ = cli(*ASK[:2], *ASK[3:], "--slo-tpot", limit, "--stack", "ideal", "--format", "json")
        goods.append(json.loads(out)["goodput"]["8xb200"]["tokens_per_s_per_chip"])
    assert goods == sorted(goods)


@pytest.mark.slow
def test_a_plot_is_written(cli, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    path = tmp_path / "frontier.png"
    code, _, _ = cli(*ASK, "--plot", str(path))
    assert code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-w", "sd3-medium"), "has no prompts and tokens to serve"),
        (("-w", "llama3-8b/decode"), "write --workload llama3-8b"),
        (("-w", "lama3-8b"), "did you mean 'llama3-8b'"),
        (("-w", "llama3-8b", "--slo-tpot", "20"), "is a number without unit"),
        (("-w", "llama3-8b", "--slo-ttft", "soon"), "is not a number"),
        (("-w", "llama3-8b", "--output", "1"), "--output: 1 is out of range"),
        (("-w", "llama3-8b", "--output", "1,2"), "is not one whole number"),
        (("-w", "llama3-8b", "--context", "0"), "--context: 0 is out of range"),
        (("-w", "llama3-8b", "--batch", "0"), "--batch: 0 is out of range"),
        (("-w", "llama3-8b", "--batch", "x"), "--batch: 'x' is not a list of numbers"),
        (("-w", "llama3-8b", "--chunk", "a"), "--chunk: 'a' is not a list of numbers"),
        (("-w", "llama3-8b", "--axis", "steps=3"), "No such option"),
        (("-w", "llama3-8b", "--stack", "nosuch"), "nosuch"),
        (("-w", "llama3-8b", "--plot", "/nowhere/x.png"), "can't be written"),
        (("-w", "llama3-8b", "--plot", "x.nosuch"), "is no kind of image"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(cli, arguments, message):
    if "--plot" in arguments:
        pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    code, out, err = cli("frontier", "b200", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert "bug of InferBench" not in err


def test_loads_go_on_until_nothing_more_fits(cli):
    """A B200 holds thousands of short sequences of an 8B network; 512 was the ceiling once."""
    ask = ("frontier", "b200", "-w", "llama3-8b", "--context", "256", "--output", "256", "--format", "json")
    _, out, _ = cli(*ask)
    batches = [point["batch"] for point in json.loads(out)["results"]]
    # 172 GB beside the weights over 65,536 B of cache a position, 384 positions: 6,835 sequences at most.
    assert 4096 <= max(batches) <= 6835
    _, out, _ = cli(*ask, "--batch", "1,64")
    assert {point["batch"] for point in json.loads(out)["results"]} <= {1, 64}


@pytest.mark.needs_plugins("chips/h200", "networks/deepseek-v3")
def test_deepseek_on_eight_gpus_is_served_with_attention_over_ranks(cli):
    """TPOT up to 50 ms: a rank's own cache instead of a copy on each chip, as every engine does it."""
    _, out, _ = cli(
        *("frontier", "8xh200", "-w", "deepseek-v3", "--context", "1024", "--output", "1024"),
        *("--slo-tpot", "50ms", "--format", "json", "--stack", "ideal"),
    )
    best = json.loads(out)["goodput"]["8xh200"]
    layout = ib.Layout.parse(best["layout"])
    assert (layout.dp, layout.ep) == (8, 8)
    assert best["tpot_s"] <= 0.05
    # aiconfigurator predicts 3,074 tokens/s and GPU at 7.45 tokens/s and user from measured kernels.
    assert best["tokens_per_s_per_chip"] > 3074
