"""Plain CSV: what each column means for each kind of row."""

import math

import inferbench_data
import pytest

import inferbench as ib

HEAD = "source,chip,n_chips,model,phase,batch,input_len,output_len,latency_ms,tokens_per_s,power_w,energy_j\n"


def test_rate_of_whole_requests_is_told_from_that_of_output(read):
    total, output = read("table.csv")[:2]
    # 4 x (100 + 100) tokens in 2 s are 400/s, of which 200/s are generated; the second row says 200 itself.
    assert (total.tokens_per_s, output.tokens_per_s) == (200.0, 200.0)
    assert (total.phase, total.latency_s, total.power_w, total.energy_j) == ("generate", 2.0, 500.0, 1000.0)
    assert total.precision == "bf16"
    assert total.extra["assumed"] == ["weight_precision"]
    assert total.source == "made up (table.csv: row 1)"


def test_joules_per_token_become_joules_of_the_step(read):
    row = read("table.csv")[2]
    assert row.energy_j == pytest.approx(10.0)  # 1.25 J x 8 sequences = 1000 W x 10 ms
    assert (row.tpot_s, row.axes, row.chips) == (0.010, {"batch": 8.0, "context": 1100.0}, 2)


def test_gemm_power_only_where_trusted(read):
    doubtful, trusted = read("table.csv")[3:5]
    assert doubtful.axes == trusted.axes == {"m": 128.0, "n": 256.0, "k": 512.0}
    assert math.isnan(doubtful.power_w)
    assert doubtful.caveats == ("power refused: power_ok is not set",)
    assert doubtful.extra["power_w"] == "600"
    assert (trusted.power_w, trusted.energy_j, trusted.latency_s) == (600.0, 0.3, 0.0005)


def test_power_over_a_window_that_a_sensor_cannot_resolve_is_refused(tmp_path):
    file = tmp_path / "attention.csv"
    head = (
        "chip,phase,op,latency_ms,batch,input_len,num_heads,kv_heads,power_w,power_suspect,power_window_s\n"
    )
    rows = "B200,prefill,context_attention,0.0143,1,128,4,1,456.5,0.0,{}\n"
    file.write_text(head + rows.format("0.043") + rows.format("0.25"))
    short, enough = ib.read_measurements(file, ib.installed())
    assert math.isnan(short.power_w)
    assert short.caveats == ("power refused: averaged over 43 ms, less than 250",)
    assert enough.power_w == 456.5


def test_generation_attention_has_one_query_on_its_cache(read):
    row = read("table.csv")[5]
    assert (row.phase, row.op) == ("op", "attention")
    assert (row.axes["queries"], row.axes["keys"], row.axes["kv_heads"]) == (1.0, 4096.0, 8.0)
    assert row.extra["kv_dtype"] == "fp8"
    assert row.extra["variant"] == "generation"


def test_collective_and_closed_loop(read):
    collective, served = read("table.csv")[6:8]
    assert (collective.op, collective.extra["variant"]) == ("collective", "all_to_all")
    assert collective.axes == {"payload": 1048576.0, "group": 4.0}
    assert served.queueing
    assert served.axes == {"context": 1024.0, "output": 128.0, "concurrency": 16.0}
    assert served.extra["batch"] == "16"


@pytest.mark.parametrize(
    ("column", "value", "seconds"),
    [
        ("latency_s", "0.25", 0.25),
        ("latency_ms", "0.25", 0.00025),
        ("latency_us", "0.25", 0.25e-6),
        ("latency_ns", "7", 7e-9),
    ],
)
def test_unit_is_in_the_columns_name(written, read, column, value, seconds):
    (row,) = read(written(f"chip,phase,op,m,n,k,{column}\nH100,op,gemm,1,2,3,{value}\n"))
    assert row.latency_s == seconds


def test_rate_that_nothing_explains_stays_aside(written, read):
    (row,) = read(written(HEAD + "s,H100,1,n,e2e,4,100,50,1000,7777,,\n"))
    assert math.isnan(row.tokens_per_s)
    assert row.extra["tokens_per_s"] == "7777"


def test_energy_without_time_or_unit_stays_aside(written, read):
    (row,) = read(written(HEAD + "s,A100,1,n,e2e,4,,,,,290,0.35\n"))
    assert (row.power_w, row.extra["energy_j"]) == (290.0, "0.35")
    assert math.isnan(row.energy_j)


def test_power_of_one_of_many_chips(written, read):
    with pytest.raises(
        ib.InferBenchError, match=r"power_w: 500 W x 2 s is 1/8 of 8000 J: the power is of one of 8 chips"
    ):
        read(written(HEAD + "s,H100,8,n,e2e,4,100,50,2000,,500,8000\n"))
    (row,) = read(written("chip,n_chips,phase,latency_ms,power_per_chip_w\nH100,8,decode,10,500\n"))
    assert row.power_w == 4000.0


def test_a_row_may_say_that_its_power_is_of_one_chip_or_a_peak(written, read):
    head = "chip,n_chips,phase,latency_ms,power_w,power_kind\n"
    lines = "H100,8,decode,10,500,mean per-GPU over run\nH100,8,decode,10,500,peak per-GPU over run\n"
    mean, peak = read(written(head + lines))
    assert mean.power_w == 4000.0
    assert math.isnan(peak.power_w)
    assert peak.refused["power_w"][0] == 4000.0


def test_speculation_is_named(written, read):
    (row,) = read(written("chip,phase,tpot_ms,spec_decode\nX1,decode,1,yes\n"))
    assert row.caveats[0].startswith("speculative decoding")


@pytest.mark.parametrize(
    ("kind", "counted", "axes", "rate"),
    [
        ("concurrency", "output, system", {"concurrency": 64.0}, 900.0),
        ("concurrency", "input+output, system", {"concurrency": 64.0}, 300.0),
        (
            "max_num_seqs (= prompts offered at once)",
            "output, system (inferred)",
            {"concurrency": 64.0},
            900.0,
        ),
        ("shared service, load unknown", "output, per user", {}, math.nan),
    ],
)
def test_a_servers_batch_is_its_users_where_the_row_says_so(tmp_path, kind, counted, axes, rate):
    """1000 tokens in and 500 out: of 900 tokens per second that count both 300 are generated."""
    file = tmp_path / "served.csv"
    head = (
        "chip,n_chips,software,model,phase,batch,batch_kind,tokens_counted,input_len,output_len,tokens_per_s"
    )
    file.write_text(f'{head}\nmi355x,8,ATOM,qwen3-235b,serving,64,"{kind}","{counted}",1000,500,900\n')
    (row,) = ib.read_measurements(file, ib.installed())
    assert (row.phase, row.queueing) == ("generate", True)
    assert row.axes == {"context": 1000.0, "output": 500.0, **axes}
    assert row.tokens_per_s == pytest.approx(rate, nan_ok=True)


def test_experts_that_are_cut_across_ranks_of_attention_are_refused_by_name(tmp_path):
    file = tmp_path / "loops.csv"
    head = "chip,n_chips,tp,dp,ep,moe_tp,software,model,phase,concurrency,input_len,output_len,tpot_ms\n"
    row = "H100,{},trtllm-1.3,gpt-oss-120b,e2e,64,1000,1000,50\n"
    file.write_text(head + "".join(row.format(one) for one in ("8,1,8,8,1", "4,1,4,1,4", "4,1,4,2,2")))
    whole, *cut = ib.read_measurements(file, ib.installed())
    assert ib.Layout.parse(whole.layout) == ib.Layout(dp=8, ep=8)
    for one, degree in zip(cut, (4, 2), strict=True):
        assert f"experts are cut in {degree} while attention is data parallel over 4" in one.refused["row"][1]


def test_rows_with_a_rate_alone_are_kept_with_why_it_is_refused(written, read):
    whole, other = read(
        written(HEAD + "s,H100,1,n,e2e,4,100,50,,7777,,\ns,H100,1,n,e2e,4,100,50,1000,200,,\n")
    )
    assert whole.refused["tokens_per_s"][0] == 7777.0
    assert "nothing tells whether the prompt is counted" in whole.refused["tokens_per_s"][1]
    assert other.tokens_per_s == 200.0


def test_refused_power_keeps_its_figure_and_reason(read):
    doubtful = read("table.csv")[3]
    assert doubtful.refused["power_w"] == (600.0, "power refused: power_ok is not set")


def test_joules_of_an_unknown_unit_are_named(written, read):
    text = HEAD.strip() + ",energy_unit\ns,H100,1,n,decode,8,100,50,10,,500,5,J per step\n"
    (row,) = read(written(text))
    value, why = row.refused["energy_j"]
    assert math.isnan(value)
    assert why == "energy refused: 'j per step' is no known unit; 5 is given"
    assert row.power_w == 500.0


@pytest.mark.parametrize("sign", [";", "\t"])
def test_semicolons_tabs_and_capitals(written, read, sign):
    text = "Chip,Model,Phase,Batch,Latency_ms\nH100,n,decode,8,7\n".replace(",", sign)
    (row,) = read(written(text))
    assert (row.chip, row.latency_s, row.axes["batch"]) == ("H100", 0.007, 8.0)


def test_a_decimal_comma_is_told(written, read):
    with pytest.raises(ib.InferBenchError, match="write decimals with a point"):
        read(written("chip;phase;latency_ms\nH100;decode;7,5\n"))


def test_a_row_of_empty_cells_ends_a_spreadsheet(written, read):
    assert len(read(written("chip,phase,latency_ms\nH100,decode,7\n,,\n , ,\n"))) == 1


def test_columns_of_one_name(written, read):
    with pytest.raises(ib.InferBenchError, match="columns 2 and 4 are both called 'latency_ms'"):
        read(written("chip,latency_ms,phase,latency_ms\nH100,7,decode,8\n"))


def test_a_table_without_a_chip_is_read(written, read):
    path = written("model,phase,batch,latency_ms\nn,decode,8,7\n")
    assert read(path)[0].chip == ""
    assert read(path, given={"chip": "h100"})[0].chip == "h100"


# Row counts as in the tables' own README; phases as they were published.
COUNTS = {
    "gemm": 6876,
    "attention": 5167,
    "encoder_attention": 883,
    "moe": 2303,
    "collectives": 1377,
    "llm_end_to_end": 167,
    "llm_ttft_tpot": 103,
    "serving": 658,
    "llm_energy": 27,
    "diffusion_energy": 86,
    "vision_published": 66,
    "a100_power_runs": 11,
}


# Tables of other things than work on a chip.
OTHERS = ("systolic_cycles", "imc_macros")


@pytest.mark.parametrize(("name", "rows"), COUNTS.items())
def test_every_row_of_the_published_tables_is_read(registry, read, published, name, rows):
    assert len(read(published(name))) == rows
    assert registry.warnings == []


@pytest.mark.parametrize("name", [name for name in inferbench_data.names() if name not in OTHERS])
def test_every_table_that_ships_is_read(read, published, name):
    assert len(read(published(name))) == inferbench_data.info(name).rows


def test_a_rate_of_images_without_a_time_is_kept_with_why_it_is_refused(written, read):
    head = "chip,phase,batch,latency_ms,items_per_s\n"
    alone, timed = read(written(head + "X1,e2e,4,,800\nX1,e2e,4,5,800\n"))
    assert alone.refused["items_per_s"] == (800.0, "of images or requests: give the time of a batch")
    assert timed.refused == {}
    assert timed.extra["items_per_s"] == "800"


# ML.ENERGY's steps are medians and its watts and batches means: the product is off by up to 15%.
@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("gemm", 0.01),
        ("llm_end_to_end", 0.01),
        ("llm_energy", 0.16),
        ("diffusion_energy", 0.01),
    ],
)
def test_energy_is_power_times_time_in_the_published_tables(read, published, name, off):
    ratios = [row.power_w * row.latency_s / row.energy_j for row in read(published(name)) if row.energy_j > 0]
    ratios = [ratio for ratio in ratios if not math.isnan(ratio)]
    assert len(ratios) >= 20
    assert max(abs(ratio - 1.0) for ratio in ratios) < off


def test_six_thousand_rows_are_read(benchmark, read, published):
    """A benchmark: half a second is the target."""
    path = published("gemm")
    assert len(benchmark(read, path)) == 6876


LOOP = "chip,n_chips,software,model,phase,concurrency,input_len,output_len,tpot_ms"
ROW = "h100,1,vLLM,llama3-8b,serving,8,1000,100,10"


def test_what_a_server_was_told_is_read_as_numbers(tmp_path):
    file = tmp_path / "loops.csv"
    file.write_text(f"{LOOP},wait_steps,wait_share,requests\n{ROW},40,0.8,80\n")
    (row,) = ib.read_measurements(file, ib.installed())
    assert {name: row.extra[name] for name in ("wait_steps", "wait_share", "requests")} == {
        "wait_steps": 40.0,
        "wait_share": 0.8,
        "requests": 80.0,
    }


def test_requests_at_a_rate_are_no_closed_loop(tmp_path):
    file = tmp_path / "loops.csv"
    file.write_text(f"{LOOP},request_rate\n{ROW},2.5\n")
    (row,) = ib.read_measurements(file, ib.installed())
    assert row.axes == {"context": 1000.0, "output": 100.0, "request_rate": 2.5}


def test_a_setting_that_is_no_number_is_told(tmp_path):
    file = tmp_path / "loops.csv"
    file.write_text(f"{LOOP},poll_steps\n{ROW},-3\n")
    with pytest.raises(ib.InferBenchError, match="poll_steps: -3"):
        ib.read_measurements(file, ib.installed())


def test_layers_that_chips_share_say_phase_places_and_how_tokens_fell(tmp_path):
    """Even routing of a few tokens is not taken: the benchmark gave the kernel other experts than it says."""
    file = tmp_path / "wide.csv"
    head = "chip,software,precision,phase,op,batch,tp,ep,hidden,inter,topk,experts,slots,distribution,"
    shape = "7168,2048,8,256"
    file.write_text(
        f"{head}tokens_first_rank,latency_s\n"
        f"B200,S 1,fp8,op,wideep_moe_eplb,64,1,32,{shape},288,power_law_1.2_eplb,19,0.0001\n"
        f"B200,S 1,fp8,op,moe_context,4096,1,32,{shape},,uniform,,0.0001\n"
        f"B200,S 1,fp8,op,moe_context,2048,1,32,{shape},,uniform,,0.0001\n"
        f"B200,S 1,fp8,op,moe_generation,32,1,32,{shape},,uniform,,0.0001\n"
        f"B200,S 1,fp8,op,moe_generation,16,1,32,{shape},,uniform,,0.0001\n"
    )
    found = ib.read_measurements(file, ib.installed())
    assert [row.op for row in found] == ["moe", "moe", "moe_context", "moe", "moe_generation"]
    assert [row.extra["variant"] for row in found[:2]] == ["wide", "wide.context"]
    assert (found[0].axes["slots"], found[0].axes["came"]) == (288.0, 19.0)
