"""Where a figure is taken and where it isn't: one request, a tenth, a quarter, a factor of two."""

import json
import math

import pytest

import inferbench as ib

RUN = "mlperf/results/acme-8xH200/llama2-70b/Server/performance/run_1"
HEAD = "chip,n_chips,phase,latency_ms,power_w,energy_j\n"


@pytest.mark.parametrize(("count", "known"), [(0, False), (1, True)])
def test_a_mean_over_no_request_is_none(fixtures, written, read, count, known):
    report = json.loads((fixtures / "guidellm.json").read_text())
    report["benchmarks"][0]["metrics"]["request_latency"]["successful"]["count"] = count
    alone = read(written(json.dumps(report), "report.json"))[0]
    assert math.isfinite(alone.latency_s) == known


def test_wall_power_is_over_the_time_between_the_marks(read):
    (row,) = read(f"{RUN}/mlperf_log_summary.txt")
    assert row.extra["log_seconds"] == pytest.approx(2.0)


@pytest.mark.parametrize("ratio", [0.92, 1.08])
def test_power_of_one_of_four_chips_within_a_tenth(written, read, ratio):
    """4 chips, 2 s and 8,000 J are 4,000 W; a quarter of that is of one."""
    with pytest.raises(ib.InferBenchError, match="is 1/4 of 8000 J: the power is of one of 4 chips"):
        read(written(f"{HEAD}H100,4,decode,2000,{1000 * ratio},8000\n"))


@pytest.mark.parametrize(("watts", "said"), [(1150, 1), (2000, 1), (3040, 0), (4960, 0), (5040, 1)])
def test_power_and_energy_a_quarter_apart_disagree(written, read, watts, said):
    (row,) = read(written(f"{HEAD}H100,4,decode,2000,{watts},8000\n"))
    assert (row.power_w, row.energy_j) == (watts, 8000.0)
    assert sum("power and energy disagree" in caveat for caveat in row.caveats) == said


def test_power_of_a_single_chip_is_that_of_all(written, read):
    (row,) = read(written(f"{HEAD}H100,1,decode,2000,4000,8000\n"))
    assert (row.power_w, row.caveats) == (4000.0, ())


@pytest.mark.parametrize(
    ("nanoseconds", "right"), [(5.2e8, True), (1.95e9, True), (4.9e8, False), (2.1e9, False)]
)
def test_a_time_within_twice_of_what_the_rate_says(fixtures, written, read, nanoseconds, right):
    """128 tokens at 125 a second take 1.024 s."""
    record = json.loads((fixtures / "llama_bench.json").read_text())[1]
    file = written(json.dumps([{**record, "avg_ns": nanoseconds}]), "bench.json")
    if right:
        assert read(file)[0].tpot_s == pytest.approx(nanoseconds * 1e-9 / 128)
    else:
        with pytest.raises(ib.InferBenchError, match="avg_ns"):
            read(file)


def test_llama_bench_as_json_lines_and_as_csv_is_the_same(fixtures, written, read):
    records = json.loads((fixtures / "llama_bench.json").read_text())
    lines = read(written("\n".join(json.dumps(one) for one in records), "bench.jsonl"))
    assert [row.latency_s for row in lines] == [row.latency_s for row in read("llama_bench.json")]


def test_a_prompt_after_tokens_that_are_held_says_so(fixtures, written, read):
    record = json.loads((fixtures / "llama_bench.json").read_text())[0]
    first, after = (
        read(written(json.dumps([{**record, "n_depth": depth}]), f"{depth}.json"))[0] for depth in (0, 4096)
    )
    assert not any("held" in caveat for caveat in first.caveats)
    assert "a prompt after 4096 tokens that are held already" in after.caveats


def test_sizes_of_a_printed_table_are_read_by_their_units(written, read):
    """4.58 GiB are 4.918e9 bytes; over 8.03e9 parameters 4.90 bits; 1.10 TiB over 1.10 T are
    8 x 2**40 / 1e12."""
    head = "| model | size | params | backend | ngl | test | t/s |\n|---|---:|---:|---|--:|---:|---:|\n"
    rows = "".join(
        f"| llama X Q4 | {size} | {many} | CUDA | 99 | tg128 | 100.00 ± 0.5 |\n"
        for size, many in (
            ("4.58 GiB", "8.03 B"),
            ("469.00 MiB", "803.00 M"),
            ("1.10 TiB", "1.10 T"),
            ("469.00 KiB", "803.00 K"),
        )
    )
    found = [row.precision for row in read(written(head + rows, "table.md"))]
    assert found == ["wq4.90a16", "wq4.90a16", "wq8.80a16", "wq4.78a16"]
