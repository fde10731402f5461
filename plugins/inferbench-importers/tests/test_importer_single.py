"""Benchmarks of one process or a steady state: llama-bench, optimum-benchmark, ML.ENERGY, Zeus."""

import json
import math
import shutil

import pytest

import inferbench as ib


def test_llama_bench_prompt_decode_and_both(read):
    prompt, decode, both = read("llama_bench.json")
    assert (prompt.phase, prompt.ttft_s, prompt.axes) == ("prefill", 0.0512, {"batch": 1.0, "context": 512.0})
    assert (prompt.chip, prompt.chips) == ("NVIDIA GeForce RTX 4090", 2)
    # 1.024 s for 128 tokens are 8 ms each; n_batch (2048) is a chunk of the prompt and no batch.
    assert (decode.phase, decode.tpot_s, decode.latency_s) == ("decode", 0.008, 0.008)
    assert decode.axes == {"batch": 1.0, "context": 1024 + 64.0}
    assert decode.extra["n_batch"] == 2048
    assert (both.phase, both.latency_s, both.tokens_per_s) == ("generate", 6.4, 20.0)
    assert both.chip == "ACME CPU"  # no layer on the GPU
    # 4.913 GB for 8.03 billion parameters: the mean width of a mixed file.
    assert prompt.precision == "wq4.89a16"
    (table,) = read("llama_bench.csv")
    assert table.tpot_s == 0.008


def test_llama_bench_time_of_another_unit(fixtures, written, read):
    record = json.loads((fixtures / "llama_bench.json").read_text())[1]
    with pytest.raises(
        ib.InferBenchError, match=r"test 1: avg_ns: 1.25e\+05 tokens/s follow from it, avg_ts says 125"
    ):
        read(written(json.dumps([{**record, "avg_ns": 1024000}])))


def test_optimum_kilowatt_hours_and_steps(read):
    prefill, decode = read("optimum/benchmark_report.json")
    assert (prefill.phase, prefill.ttft_s) == ("prefill", 0.04)
    assert prefill.energy_j == pytest.approx(10.8)  # 3e-6 kWh; the GPU's alone
    assert math.isnan(prefill.tokens_per_s)  # its throughput counts prompt tokens
    # All of decoding takes 1.27 s and 1.27e-4 kWh for the 127 tokens after the first.
    assert decode.tpot_s == pytest.approx(0.010)
    assert decode.energy_j == pytest.approx(3.6)
    assert decode.tokens_per_s == 400.0
    assert decode.axes == {"batch": 4.0, "context": 256 + 64.0}
    assert (decode.chip, decode.precision) == ("NVIDIA A100-SXM4-80GB", "bfloat16")


def test_optimum_without_its_configuration_uses_the_token_times(fixtures, tmp_path, read):
    shutil.copy(fixtures / "optimum/benchmark_report.json", tmp_path)
    _, decode = read(tmp_path / "benchmark_report.json")
    assert decode.tpot_s == 0.0101
    report = json.loads((tmp_path / "benchmark_report.json").read_text())
    del report["per_token"]
    (tmp_path / "benchmark_report.json").write_text(json.dumps(report))
    with pytest.raises(ib.InferBenchError, match=r"decode: latency: of all tokens together"):
        read(tmp_path / "benchmark_report.json")


def test_ml_energy_run_is_a_sum_over_gpus(read):
    (row,) = read("ml_energy_run.json")
    assert (row.chips, row.power_w) == (2, 1000.0)  # 20 kJ in 20 s
    assert row.tpot_s == pytest.approx(0.020)
    assert row.ttft_s == pytest.approx(0.3)  # the failed request is left out
    # 0.5 J per token at 1000 W are 2000 tokens/s; at 20 ms each, 40 run at a time (the limit is 64).
    # Three steps on 100 positions and half of three tokens, two on 100 and half of two: 506.5 / 5.
    assert row.axes == {"batch": pytest.approx(40.0), "context": pytest.approx(101.3)}
    assert row.energy_j == pytest.approx(20.0)


def test_ml_energy_rows(read):
    text, image = read("ml_energy_rows.json")
    assert (text.phase, text.power_w, text.tpot_s, text.layout) == ("decode", 1000.0, 0.020, "tp2")
    assert text.energy_j == pytest.approx(text.power_w * text.latency_s)
    assert (image.phase, image.latency_s, image.energy_j, image.power_w) == ("image", 4.0, 2400.0, 600.0)
    assert image.axes == {"batch": 4.0, "steps": 20.0, "pixels": 1024.0}


def test_ml_energy_power_of_one_gpu(fixtures, written, read):
    rows = json.loads((fixtures / "ml_energy_rows.json").read_text())["configurations"][:1]
    rows[0]["avg_power_watts"] = 500.0
    with pytest.raises(
        ib.InferBenchError, match=r"0.5 J per token at 2000 tokens/s is 1000 W, avg_power_watts says 500"
    ):
        read(written(json.dumps(rows)))


def test_zeus_windows(read, written):
    first, second = read("zeus.csv")
    assert (first.energy_j, first.power_w, first.chips) == (1240.0, 620.0, 2)
    assert (second.power_w, second.extra["window_name"]) == (410.0, "decode")
    cut = "start_time,window_name,elapsed_time,gpu0_energy,gpu1_energy\n1,a,2.0,600.0\n"
    with pytest.raises(ib.InferBenchError, match=r"row 1: gpu1_energy: no energy: a sum without one GPU"):
        read(written(cut))
