"""Files that can't be read: the message says what, where and what to do."""

import json

import pytest

import inferbench as ib

TABLE = "chip,phase,latency_ms\n"


def refusal(read, path):
    with pytest.raises(ib.InferBenchError) as caught:
        read(path)
    return str(caught.value)


def test_a_file_that_nobody_knows_lists_who_declined_and_why(written, read, registry):
    said = refusal(read, written('{"architectures": ["Llama"], "hidden_size": 4096}'))
    assert "no importer knows this file; tried 16:" in said
    for name in registry.names("importers"):
        assert f"\n    {name}: " in said
    assert 'vllm: no key "num_prompts" in the first 64 KiB' in said
    assert "zeus: no column 'window_name' in its first line" in said


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["vllm.json", "inferencex.json", "guidellm.json", "llama_bench.json"])
def test_json_cut_short_is_said_so_or_declined(fixtures, written, read, name, keep):
    text = (fixtures / name).read_text().rstrip()
    said = refusal(read, written(text[: int(len(text) * keep)]))
    assert "cut short" in said or "no importer knows this file" in said


def test_json_cut_in_the_second_record(fixtures, written, read):
    text = (fixtures / "vllm_spec.json").read_text().rstrip()
    said = refusal(read, written(text[:-1]))
    assert "not valid JSON; line 2: the file ends in the middle of a value: it is cut short" in said
    assert "1 whole records" in said


def test_json_broken_in_the_middle_is_not_called_cut(fixtures, written, read):
    said = refusal(
        read, written((fixtures / "vllm.json").read_text().replace('"label": null', '"label": oops'))
    )
    assert "not valid JSON; line 1: Expecting value" in said


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "vllm.json: mean_ttft_ms: nan is not a finite number"),
        (0.0, "vllm.json: mean_ttft_ms: 0 where a figure above 0 was expected"),
        (-3.0, "vllm.json: mean_ttft_ms: -3 where a figure above 0 was expected"),
        ("fast", "vllm.json: mean_ttft_ms: 'fast' is not a finite number"),
        (True, "vllm.json: mean_ttft_ms: True is not a finite number"),
    ],
)
def test_times_that_are_none(fixtures, written, read, value, message):
    record = json.loads((fixtures / "vllm.json").read_text())
    said = refusal(read, written(json.dumps({**record, "mean_ttft_ms": value}), "vllm.json"))
    assert message in said
    assert "leave it out where it was not measured" in said


def test_every_bad_row_is_listed(written, read):
    bad = "H100,decode,nan\nH100,decode,0\nH100,decode,-1\n"
    said = refusal(read, written(TABLE + bad, "t.csv"))
    assert "t.csv: row 1: latency_ms: 'nan' is not a finite number" in said
    assert "t.csv: row 2: latency_ms: 0 where" in said
    assert "t.csv: row 3: latency_ms: -1 where" in said


def test_bad_rows_among_good_ones_are_kept_with_their_reason(written, read):
    """Rows are refused, never files."""
    rows = read(written(TABLE + "H100,decode,nan\nH100,decode,7\nH100,decode,0\n", "t.csv"))
    assert [row.latency_s for row in rows if not row.refused] == [0.007]
    assert [row.source for row in rows if row.refused] == ["t.csv: row 1", "t.csv: row 3"]
    assert "latency_ms: 0 where a figure above 0" in rows[2].refused["row"][1]


@pytest.mark.parametrize(
    "name", ["csv", "vllm", "nvidia-smi", "prometheus", "mlperf", "console", "amd-smi", "zeus"]
)
@pytest.mark.parametrize("text", ["{}", "[1, 2]", "a,b\n1,2\n", "x", "{", "- a: 1\n", "a: [1\n", "| a |\n"])
def test_an_importer_that_is_forced_on_any_text_says_what_is_wrong(written, read, name, text):
    assert refusal(lambda path: read(path, importer=name), written(text))


def test_a_csv_row_cut_short(written, read):
    assert "t.csv: line 3: 2 cells, the header has 3" in refusal(
        read, written(TABLE + "H100,decode,7\nH100,dec", "t.csv")
    )


def test_a_decode_step_of_less_than_a_microsecond_warns(written, read, registry):
    text = "chip,model,phase,latency_ms\nH100,n,decode,0.0009\nH100,n,decode,0.0008\nH100,n,decode,7\n"
    assert len(read(written(text, "t.csv"))) == 3
    # A step's latency and its time per token are one figure: one warning.
    (step,) = registry.warnings
    assert step.where == "t.csv: row 1"
    assert "a decode step of 9e-07 s can't be right for a language model" in step.found
    assert "(and 1 more rows)" in step.found
    assert "seconds, milliseconds or nanoseconds" in step.remedy


def test_milliseconds_read_as_seconds_warn(written, read, registry):
    read(written("chip,model,phase,ttft_s,tpot_s\nH100,n,e2e,200,70.5\n"))
    assert "a time per output token of 70.5 s can't be right" in registry.warnings[0].found


def test_a_run_without_completed_requests(fixtures, written, read):
    record = json.loads((fixtures / "vllm.json").read_text())
    assert "completed: no request was completed" in refusal(
        read, written(json.dumps({**record, "completed": 0}))
    )


@pytest.mark.parametrize(
    ("head", "row", "said"),
    [
        ("batch,latency_ms", "0,7", "batch is 0; at least 1 was expected"),
        ("batch,latency_ms", "-4,7", "batch is -4; at least 1 was expected"),
        ("batch,latency_ms", "1.5,7", "batch is 1.5; a whole number was expected"),
        ("batch,input_len,output_len,latency_ms", "1,0,9,7", "context is 0; at least 1 was expected"),
        ("batch,input_len,output_len,latency_ms", "1,9,0,7", "output is 0; at least 1 was expected"),
        ("n_chips,tp,latency_ms", "1,4,7", "layout tp4 takes 4 chips, the row says 1"),
        ("latency_ms,latency_s", "7,0.7", "latency_ms says 0.007 s"),
    ],
)
def test_axes_and_degrees_that_can_not_be(written, read, head, row, said):
    text = f"chip,model,phase,{head}\nH100,llama3-8b,e2e,{row}\n"
    assert said in refusal(read, written(text, "t.csv"))


def test_a_fraction_of_a_batch_is_an_average_where_the_source_says_so(written, read):
    text = "chip,phase,batch,latency_ms,conditions\nH100,decode,7.9,7,steady-state\n"
    (row,) = read(written(text, "t.csv"))
    assert row.axes["batch"] == 7.9
    assert any(caveat.startswith("steady state") for caveat in row.caveats)


def test_one_time_in_two_units(written, read):
    head = "chip,phase,latency_ms,latency_s\n"
    assert read(written(f"{head}H100,decode,7,0.007\n", "t.csv"))[0].latency_s == 0.007
    said = refusal(read, written(f"{head}H100,decode,7,0.7\n", "t.csv"))
    assert "latency_s: 0.7 s, and latency_ms says 0.007 s" in said


def test_parts_that_do_not_make_the_whole_warn(written, read, registry):
    """10 ms x 99 and 50 ms are 1.04 s: with milliseconds in a column of seconds they would be 990 s."""
    head = (
        "chip,model,phase,batch,input_len,output_len,latency_s,ttft_s,tpot_s\nH100,n,e2e,1,100,100,1.04,0.05,"
    )
    read(written(f"{head}0.01\n", "t.csv"))
    assert registry.warnings == []
    read(written(f"{head}10\n", "t.csv"))
    assert [fault.found.split(":")[0] for fault in registry.warnings] == [
        "ttft + tpot x (output - 1) is 990 s, latency is 1.04 s"
    ]


def test_a_file_nested_too_deeply(written, read):
    said = refusal(
        read,
        written('{"num_prompts": 1, "model_id": 1, "completed": 1, "duration": ' + "[" * 200000, "deep.json"),
    )
    assert "nested too deeply" in said or "cut short" in said
