"""Serving benchmarks: units, queueing, per-GPU rates, speculation."""

import json
import math

import pytest

import inferbench as ib

RUN = "mlperf/results/acme-8xH200/llama2-70b/Server/performance/run_1"


def changed(fixtures, written, name, **changes):
    record = json.loads((fixtures / name).read_text().splitlines()[0])
    return written(json.dumps({**record, **changes}), "changed.json")


def test_vllm_milliseconds_become_seconds(read):
    (row,) = read("vllm.json")
    assert (row.ttft_s, row.tpot_s, row.latency_s) == (0.040, 0.008, 0.840)
    # E2E = TTFT + (output - 1) x TPOT, by the definition of TPOT: 40 + 100 x 8 = 840 ms.
    assert row.latency_s == pytest.approx(row.ttft_s + (row.axes["output"] - 1) * row.tpot_s)
    assert (row.chip, row.chips, row.layout, row.software) == ("H100", 2, "tp2", "vLLM-0.9.1")
    assert row.axes == {"context": 1024.0, "output": 101.0, "concurrency": 2.0}
    assert row.tokens_per_s == 202.0  # output alone; total_token_throughput stays aside
    assert row.queueing
    assert row.extra["total_token_throughput"] == 2250.0
    assert row.extra["p99_ttft_ms"] == 50.0


def test_vllm_appended_runs_old_files_and_speculation(read):
    first, second = read("vllm_spec.json")
    assert first.caveats[0].startswith("speculative decoding: 2.5 tokens")
    assert first.caveats[1] == "failed requests: 1 beside 2 completed"
    assert math.isnan(first.tpot_s)  # one token per request: the zero is none
    assert first.software == ""  # `openai` is the client's protocol, not the server
    assert first.axes["request_rate"] == 4.0
    assert second.statistic == "median"
    assert (second.ttft_s, second.tpot_s) == (0.010, 0.005)
    assert math.isnan(second.latency_s)
    assert "request_rate" not in second.axes


def test_vllm_summary_in_seconds_is_caught_by_the_array(fixtures, written, read):
    path = changed(fixtures, written, "vllm.json", mean_ttft_ms=0.04)
    with pytest.raises(
        ib.InferBenchError, match=r"ttfts: the array's mean is 0.04 s, the summary says 4e-05 s"
    ):
        read(path)


def test_sglang_lines(read):
    first, second = read("sglang.jsonl")
    assert (first.latency_s, first.ttft_s, first.tpot_s) == (1.9, 0.325, 0.025)
    assert first.axes == {"context": 512.0, "output": 64.0, "concurrency": 8.0}
    assert first.caveats == ()
    assert first.extra["total_output_tokens_retokenized"] == 1020
    assert second.axes["request_rate"] == 2.0
    assert second.caveats == (
        "speculative decoding: 3.1 tokens accepted per step; a time per token is not a step",
    )


def test_inferencex_seconds_and_sums_over_gpus(read):
    row = read("inferencex.json")[0]
    assert (row.latency_s, row.ttft_s, row.tpot_s) == (13.0, 0.25, 0.0125)
    assert (row.chips, row.layout) == (4, "tp4")
    assert row.tokens_per_s == 1000.0  # 250 per GPU
    assert row.power_w == 2800.0  # 700 W per GPU
    assert row.energy_j == 2500.0  # of one request


def test_inferencex_power_of_another_schema_is_refused(read):
    row = read("inferencex.json")[1]
    assert math.isnan(row.power_w)
    assert math.isnan(row.energy_j)
    assert row.caveats[0] == "speculative decoding: mtp; a time per token is not a step"
    assert row.caveats[1].startswith("power refused: schema version missing, 2 was expected")
    assert row.extra["avg_power_w"] == 750.0
    assert row.layout == "tp4ep4"


def test_inferencex_disaggregated_output_is_per_decode_gpu(read):
    row = read("inferencex.json")[2]
    assert row.chips == 12
    assert row.tokens_per_s == 800.0  # 100 x 8 decode GPUs, not x 12
    assert row.statistic == "median"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean_tpot": 12.5}, "row 1: mean_tpot: 12.5 s does not agree with an interactivity of 80 tokens/s"),
        ({"avg_total_gpu_power_w": 700.0}, "700 W is not 4 GPUs at 700 W"),
        ({"score": 0.9, "task": "gsm8k"}, "an evaluation's score, no timing"),
        ({"tp": None}, "row 1: tp: missing"),
        ({"tp": 0}, "row 1: tp: 0 is no whole number of at least 1"),
    ],
)
def test_inferencex_contradictions(fixtures, written, read, changes, message):
    record = json.loads((fixtures / "inferencex.json").read_text())[0]
    with pytest.raises(ib.InferBenchError) as caught:
        read(written(json.dumps({**record, **changes})))
    assert message in str(caught.value)


def test_mlperf_nanoseconds_system_and_wall_power(read):
    (row,) = read(f"{RUN}/mlperf_log_summary.txt")
    assert (row.latency_s, row.ttft_s, row.tpot_s) == (9.2, 0.45, 0.035)
    assert (row.chip, row.chips, row.network) == ("NVIDIA H200-SXM-141GB", 8, "llama2-70b")
    assert row.tokens_per_s == 30000.0
    assert row.queueing
    # From 1 to 3 s, 3000 W rising to 5000 W over two seconds and level after: (4000+5000)/2 + 5000 = 9500 J.
    # The day stands first in one log and second in the other.
    assert row.power_w == pytest.approx(4750.0)
    assert row.boundary == "wall"
    assert row.extra["log_energy_j"] == pytest.approx(9500.0)


def test_mlperf_invalid_is_said(fixtures, written, read):
    text = (fixtures / RUN / "mlperf_log_summary.txt").read_text().replace("VALID", "INVALID")
    (row,) = read(written(text))
    assert row.caveats[1] == "invalid: MLPerf's checks say INVALID"
    assert row.chip == ""


def test_mlperf_power_log_of_another_day_fails(fixtures, tmp_path, read):
    for name in ("mlperf_log_summary.txt", "mlperf_log_detail.txt", "spl.txt"):
        text = (fixtures / RUN / name).read_text()
        (tmp_path / name).write_text(text.replace("04-03-2025", "05-03-2025"))
    with pytest.raises(ib.InferBenchError, match=r"check the clocks of log and benchmark"):
        read(tmp_path / "mlperf_log_summary.txt")


def test_aiperf_sums_gpus_and_reads_each_unit(read):
    (row,) = read("aiperf.json")
    assert (row.latency_s, row.ttft_s, row.tpot_s) == (1.6, 0.1, 0.01)
    assert (row.power_w, row.chips, row.boundary) == (810.0, 2, "board")
    assert row.axes == {"context": 550.0, "output": 151.0, "concurrency": 8.0}
    (nested,) = read("aiperf_records.json")
    assert (nested.latency_s, nested.ttft_s, nested.tpot_s) == (1.6, 0.1, 0.01)  # s, us and ms
    assert math.isnan(nested.power_w)
    assert nested.caveats == (
        "failed requests: 3",
        "cancelled: the run did not end by itself",
        "power refused: one mean without its GPUs; it may be of one GPU or of all",
    )


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("sec", 1.0), ("seconds", 1.0)],
)
def test_aiperf_reads_every_spelling_of_a_time(fixtures, written, read, unit, seconds):
    path = changed(fixtures, written, "aiperf.json", request_latency={"unit": unit, "avg": 1.6 / seconds})
    assert read(path)[0].latency_s == pytest.approx(1.6)


def test_aiperf_unknown_unit(fixtures, written, read):
    path = changed(fixtures, written, "aiperf.json", request_latency={"unit": "fortnights", "avg": 1.0})
    with pytest.raises(
        ib.InferBenchError, match=r"request_latency.unit: 'fortnights' is no known unit of time"
    ):
        read(path)


def test_guidellm_seconds_beside_milliseconds(read):
    alone, loaded = read("guidellm.json")
    assert (alone.latency_s, alone.ttft_s) == (1.05, 0.034)
    assert (
        alone.tpot_s == 0.008
    )  # inter_token_latency; its time_per_output_token (8.2 ms) counts the first token
    assert (alone.network, alone.queueing, loaded.queueing) == ("acme/tiny-8b", False, True)
    assert alone.axes["batch"] == 1.0  # synchronous: one request at a time
    assert "batch" not in loaded.axes
    assert loaded.latency_s == 1.4  # successful requests alone
    assert loaded.caveats == ("incomplete requests: 7, left out", "errored requests: 2, left out")


def test_one_stream_of_mlperf_is_a_batch_of_one(fixtures, written, read):
    text = (fixtures / RUN / "mlperf_log_summary.txt").read_text()
    (row,) = read(written(text.replace("Server", "SingleStream")))
    assert (row.axes, row.queueing) == ({"batch": 1.0}, False)
    assert read(f"{RUN}/mlperf_log_summary.txt")[0].axes == {}


def test_disaggregated_rows_and_refused_power_say_so(read):
    together, refused, separate = read("inferencex.json")
    assert not any(caveat.startswith("disaggregated") for caveat in together.caveats)
    assert any(caveat.startswith("disaggregated") for caveat in separate.caveats)
    assert set(refused.refused) == {"power_w", "energy_j"}


def test_aiperf_requests_at_a_rate_are_no_closed_loop(fixtures, written, read):
    config = json.loads((fixtures / "aiperf.json").read_text())["input_config"]
    path = changed(fixtures, written, "aiperf.json", input_config={**config, "request_rate": 3.0})
    assert read(path)[0].axes["request_rate"] == 3.0
    assert "power_w" in read("aiperf_records.json")[0].refused


def test_console_blocks_of_both_servers(read):
    vllm, sglang = read("console.log")
    assert (vllm.ttft_s, vllm.tpot_s, vllm.tokens_per_s) == (0.06, 0.03, 256.0)
    assert vllm.axes == {"context": 512.0, "output": 128.0, "concurrency": 8.0}
    assert vllm.caveats == ("failed requests: 2 beside 40 completed",)
    assert (sglang.software, sglang.latency_s, sglang.axes["request_rate"]) == ("SGLang", 0.5, 4.0)


def test_one_request_in_all_is_a_loop_of_one(fixtures, written, read):
    changes = {"completed": 1, "max_concurrency": None, "request_rate": "inf"}
    lengths = {"total_input_tokens": 512, "total_output_tokens": 101}
    (row,) = read(changed(fixtures, written, "vllm.json", **changes, **lengths))
    assert row.axes["concurrency"] == 1.0


def test_requests_all_at_once_are_a_loop_of_all(fixtures, written, read):
    (row,) = read(changed(fixtures, written, "vllm.json", max_concurrency=None, request_rate="inf"))
    assert row.axes["concurrency"] == row.extra["requests"]


def test_sglang_tells_of_its_server(fixtures, written, read):
    server = {"model_path": "acme/tiny-8b", "tp_size": 2, "quantization": "fp8", "dtype": "auto"}
    off = {"speculative_algorithm": None, "disaggregation_mode": "null"}
    path = changed(fixtures, written, "sglang.jsonl", server_info={**server, **off}, accept_length=None)
    (row,) = read(path)
    assert (row.network, row.chips, row.layout, row.precision) == ("acme/tiny-8b", 2, "tp2", "fp8")
    assert row.conditions == frozenset()
    path = changed(fixtures, written, "sglang.jsonl", server_info={"speculative_algorithm": "EAGLE"})
    assert ib.Condition.SPECULATIVE in read(path)[0].conditions


@pytest.mark.parametrize(
    ("name", "chip"),
    [("mi300x-amds", "mi300x"), ("gb200-nvl72-x", "gb200"), ("h100", "h100"), ("h100-pcie-a", "h100")],
)
def test_pools_of_runners_are_named_after_their_chip(fixtures, written, read, name, chip):
    record = json.loads((fixtures / "inferencex.json").read_text())[0]
    assert read(written(json.dumps({**record, "hw": name})))[0].chip == chip


def test_data_parallel_attention_and_context_parallelism(fixtures, written, read):
    record = json.loads((fixtures / "inferencex.json").read_text())[0]

    def made(**more):
        return read(written(json.dumps([record, {**record, **more}])))[1]

    assert made(dp_attention="true", ep=4).layout == "dp4ep4"
    assert made(pcp_size=2, avg_total_gpu_power_w=5600.0).layout == "tp4cp2"
    assert "experts are cut over ep1" in made(dp_attention=True, ep=1).refused["row"][1]
    assert "decode context parallelism" in made(dcp_size=2).refused["row"][1]


def test_aiconfigurator_measured_rows_and_its_own_predictions(read):
    plain, wide, apart, mixed = read("silicon.csv")
    assert (plain.chip, plain.chips, plain.layout, plain.precision) == ("h200", 4, "tp4", "fp8")
    assert (plain.ttft_s, plain.tpot_s, plain.axes["concurrency"]) == (0.25, 0.02, 64.0)
    assert (wide.layout, wide.chips, wide.precision) == ("dp8ep8", 8, "nvfp4")
    assert (apart.chips, apart.conditions) == (16, {ib.Condition.DISAGGREGATED})
    assert "experts are cut in 4" in mixed.refused["row"][1]
    (point,) = read("pareto.csv")
    assert set(point.refused) == {"ttft_s", "tpot_s", "tokens_per_s"}
    assert point.refused["tpot_s"][1] == "a prediction of aiconfigurator, no measurement"


def test_guidellm_of_2025_has_its_strategy_under_args(read):
    (row,) = read("guidellm.yaml")
    assert (row.network, row.axes["concurrency"], row.tpot_s) == ("acme/tiny-8b", 16.0, 0.0086)


def test_exports_as_csv_are_the_same_records(read):
    first, second = read("vllm_runs.csv")
    assert (first.ttft_s, first.axes["concurrency"]) == (0.06, 8.0)
    assert (second.axes["concurrency"], second.tokens_per_s) == (1.0, 85.0)


def test_llama_bench_prints_a_table(read):
    prompt, decode = read("llama_bench.md")
    assert (prompt.ttft_s, prompt.axes["context"]) == (pytest.approx(0.05), 512.0)
    assert (decode.tpot_s, decode.axes["context"]) == (pytest.approx(0.008), 1024 + 64.0)
    # 4.58 GiB for 8.03 billion parameters.
    assert decode.precision == "wq4.90a16"
