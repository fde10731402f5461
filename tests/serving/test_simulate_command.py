"""`inferbench simulate`: what it prints and writes, laws, and every kind of bad input."""

from __future__ import annotations

import csv
import io
import json
import time

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins(
    "chips/h100-sxm", "networks/llama3-8b", "networks/sd3-medium", "stacks/vllm-h100"
)
ASK = ("simulate", "h100@vllm-h100", "llama3-8b", "--precision", "bf16")
LOOP = (*ASK, "--concurrency", "16", "--requests", "100", "--output", "128")


def results(out):
    document = json.loads(out)
    assert document["schema"] == "inferbench.simulation/1"
    return document["results"][0]


def test_json_has_percentiles_with_their_intervals(cli):
    code, out, _ = cli(*LOOP, "--format", "json")
    row = results(out)
    assert code == 0
    assert set(row["times"]) == {"ttft_s", "tpot_s", "itl_s", "e2e_s"}
    for times in row["times"].values():
        assert times["p50"] <= times["p90"] <= times["p95"] <= times["p99"]
        assert times["mean_low"] < times["mean"] < times["mean_high"]
    assert len(row["power_over_time_w"]) == 100
    assert row["grade"] in ("calibrated", "transferred")


def test_csv_has_one_line(cli):
    _, out, _ = cli(*LOOP, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert float(row["ttft_s.p99"]) > 0


def test_a_bound_has_no_interval_and_says_so(cli):
    _, out, _ = cli(*LOOP[:1], "h100@ideal", *LOOP[2:])
    assert "a bound: no prediction" in out


def test_one_user_alone_sees_the_steps_of_run():
    """TTFT is the prefill of the prompt, TPOT a decode step in the middle of the answer."""
    asked = {"concurrency": 1, "requests": 20, "output": 129, "precision": "bf16"}
    found = ib.simulate("h100@ideal", "llama3-8b", **asked)
    times = found.to_times()
    prompt = ib.run("h100@ideal", "llama3-8b/prefill", context=1024, precision="bf16")["ttft_s"]
    step = ib.run("h100@ideal", "llama3-8b/decode", context=1024 + 64, precision="bf16")["tpot_s"]
    assert times["ttft_s"]["mean"] == pytest.approx(float(prompt.ravel()[0]), rel=0.01)
    assert times["tpot_s"]["mean"] == pytest.approx(float(step.ravel()[0]), rel=0.01)


def test_engines_add_what_lies_between_a_user_and_the_scheduler():
    """30 ms until it knows of a request, and a step until its first token is seen."""
    asked = {"concurrency": 1, "requests": 400, "output": 17, "precision": "bf16"}
    first = ib.simulate("h100@vllm-h100", "llama3-8b", **asked).to_times()["ttft_s"]["mean"]
    prompt = ib.run("h100@vllm-h100", "llama3-8b/prefill", context=1024, precision="bf16")["ttft_s"]
    step = ib.run("h100@vllm-h100", "llama3-8b/decode", context=1025, precision="bf16")["tpot_s"]
    assert first == pytest.approx(float((prompt + step).ravel()[0]) + 0.03, rel=0.05)


def test_goodput_falls_with_tighter_limits(cli):
    shares = []
    for limit in ("20ms", "200ms", "20s"):
        _, out, _ = cli(*LOOP, "--slo-ttft", limit, "--format", "json")
        shares.append(results(out)["good"])
    assert shares == sorted(shares)


def test_a_thousand_requests_take_less_than_two_seconds(cli):
    cli(*LOOP)
    began = time.process_time()
    cli(*ASK, "--concurrency", "64", "--requests", "1000")
    assert time.process_time() - began < 2.0


def test_replicas_for_prompts_alone(cli):
    code, out, _ = cli(
        *(
            "simulate",
            "4xh100@vllm-h100",
            "llama3-8b",
            "--prefill",
            "2xtp1",
            "--decode",
            "1xtp2",
            "--rate",
            "2",
        ),
        *("--requests", "60", "--precision", "bf16", "--format", "json"),
    )
    assert (code, results(out)["how"]) == (0, "disaggregated 2×tp1 + 1×tp2")


def test_a_loop_larger_than_the_cache_says_how_many_it_holds(cli):
    code, out, _ = cli(*ASK, "--concurrency", "2000", "--requests", "2000", "--output", "64")
    assert code == 0
    assert "of 2,000 requests at once; the others wait" in out


def test_a_trace_faster_than_the_system_ends_and_says_so(cli, tmp_path):
    path = tmp_path / "trace.jsonl"
    record = {"input_length": 4000, "output_length": 400}
    path.write_text("".join(json.dumps({"timestamp": k, **record}) + "\n" for k in range(200)))
    code, out, _ = cli(*ASK, "--trace", str(path))
    assert code == 0
    assert "waiting grows to its end" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--rate: no load was given"),
        (("--rate", "4", "--concurrency", "4"), "--rate: more than one load was given"),
        (("--rate", "0"), "--rate: '0' is no rate above 0"),
        (("--rate", "fast"), "--rate: 'fast' is no rate"),
        (("--rate", "5000/s"), "/s, and h100-sxm sustains "),
        (("--concurrency", "0"), "--concurrency: 0 is out of range"),
        (("--concurrency", "4", "--prompt", "0"), "--prompt: a length of 0 tokens"),
        (("--concurrency", "4", "--output", "uniform:9:2"), "--output: 'uniform:9:2' ends before it begins"),
        (("--concurrency", "4", "--prompt", "3e6"), "tokens; the cache of a replica holds"),
        (("--concurrency", "4", "--policy", "magic"), "--policy: unknown policy 'magic'"),
        (("--concurrency", "4", "--reserve", "120%"), "--reserve: '120%' is no share below 1"),
        (("--concurrency", "4", "--prefill", "tp1"), "--prefill: 'tp1' is no number of replicas"),
        (("--concurrency", "4", "--prefill", "1xtp1"), "leaves none of 1 chips to decode"),
        (("--concurrency", "4", "--requests", "1e9"), "--requests"),
        (("--trace", "/nowhere.jsonl"), "can't be read"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(cli, arguments, message):
    code, out, err = cli(*ASK, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("inferbench: ") == 1
    assert "Traceback" not in err


def test_what_has_no_prompts_and_tokens_is_refused(cli):
    code, _, err = cli("simulate", "h100", "sd3-medium", "--concurrency", "4")
    assert code == 2
    assert "has no prompts and tokens to serve" in err
