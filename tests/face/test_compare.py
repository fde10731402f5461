"""`inferbench.compare`: the command's columns, notes and remarks, from Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

import inferbench as ib

TOY = {"scenario": "toy", "precision": "bf16"}


class TestToy:
    def test_a_chip_that_is_too_small_becomes_the_smallest_system_that_fits(self, toy):
        table = ib.compare(["toy-chip"], "toy-net/decode", registry=toy, **TOY)
        (column,) = table.columns[0]
        # 1 GB of weights on chips of 600 MB: two, each with half of every product.
        assert (column.run.system.count, bool(column.run.feasible.all())) == (2, True)
        assert "2 is the smallest number with a valid layout (the fastest: tp2)" in column.notes[0]
        assert column.notes[0] in table.notes

    def test_a_count_is_taken_at_its_word(self, toy):
        table = ib.compare(["1xtoy-chip"], "toy-net/decode", registry=toy, **TOY)
        assert not np.any(table.runs[0].feasible)

    def test_a_layout_that_is_refused_is_an_infeasible_column_that_says_why(self, toy):
        table = ib.compare(["2xtoy-chip:tp2", "2xtoy-chip:tp2ep2"], "toy-net/decode", registry=toy, **TOY)
        good, bad = table.to_dict()["results"]
        assert (good["feasible"], bad["feasible"]) == (True, False)
        assert "no experts to spread" in bad["reason"]

    def test_one_name_is_a_list_of_one(self, toy):
        table = ib.compare("2xtoy-chip", "toy-net/decode", registry=toy, **TOY)
        assert table.systems == ("2xtoy-chip",)

    def test_no_system_is_refused(self, toy):
        with pytest.raises(ib.InferBenchError, match="systems: no system was named"):
            ib.compare([], "toy-net/decode", registry=toy)

    def test_the_text_is_short(self, toy):
        table = ib.compare(["2xtoy-chip"], "toy-net/decode", registry=toy, batch=[1, 2], **TOY)
        assert repr(table) == "<Comparison of 2xtoy-chip on toy-net/decode: 2 points>"

    def test_a_frame_has_a_row_per_system_and_point(self, toy):
        pytest.importorskip("pandas")
        table = ib.compare(["2xtoy-chip", "4xtoy-chip"], "toy-net/decode", registry=toy, batch=[1, 2], **TOY)
        frame = table.to_frame("pandas")
        assert list(frame["chips"]) == [2, 2, 4, 4]


@pytest.mark.needs_plugins("chips/groq-lpu", "chips/tpu-v5p")
def test_it_gives_the_command_s_table_data_and_remarks(cli):
    systems = ["b200", "8xtpu-v5p", "576xgroq-lpu"]
    table = ib.compare(systems, "llama3-70b/decode", batch=[1, 64], stack="ideal")
    line = ["compare", *systems, "-w", "llama3-70b/decode", "--batch", "1,64", "--stack", "ideal"]
    assert table.to_dict() == json.loads(cli(*line, "--format", "json")[1])
    assert table.table() == cli(*line)[1]
    assert any("7 to 400 times lower" in note for note in table.notes)
    assert all(note in cli(*line)[1].replace("\n", " ") for note in table.notes)


@pytest.mark.needs_plugins("chips/h100-sxm", "stacks/trtllm-1.3")
def test_a_chip_that_is_resized_stands_in_the_fastest_layout_of_its_size():
    asked = {"precision": "bf16", "batch": [1, 32], "context": 8192}
    (bare,) = ib.compare(["h100@trtllm-1.3"], "llama3.3-70b/decode", **asked).runs
    count = bare.system.count
    assert count > 1
    for layout in (f"tp{count}", f"pp{count}"):
        (fixed,) = ib.compare([f"{count}xh100:{layout}@trtllm-1.3"], "llama3.3-70b/decode", **asked).runs
        assert np.all(bare.values(bare.seconds) <= fixed.values(fixed.seconds) * (1 + 1e-12))


@pytest.mark.needs_plugins("chips/trainium2", "chips/b200")
def test_a_chip_that_is_too_slow_for_a_speed_is_doubled_until_it_is_fast_enough():
    asked = {"prompt": 8000, "output": 1000}
    found = ib.users_at(["b200", "trainium2", "1xtrainium2"], "llama3.3-70b", "30tok/s", **asked)
    enough, doubled, alone = found.to_dict()["results"]
    assert (enough["chips"], alone["chips"], alone["feasible"]) == (1, 1, False)
    assert doubled["feasible"]
    assert doubled["tokens_per_s_per_user"] >= 30
    half = ib.users_at([f"{doubled['chips'] // 2}xtrainium2"], "llama3.3-70b", "30tok/s", **asked)
    assert not half.to_dict()["results"][0]["feasible"]


@pytest.mark.needs_plugins("chips/b200", "chips/h200", "stacks/vllm-h100", "workloads/transformer")
def test_the_width_of_intervals_stands_once_on_a_screen(cli):
    for command in (("run", "b200", "llama3-8b/decode", "--batch", "1,64"), ("compare", "b200", "h200")):
        code, out, _ = cli(*command)
        assert code == 0
        assert " ".join(out.split()).replace(" %", "%").count("90%") == 1


@pytest.mark.needs_plugins("chips/mi355x", "chips/b200", "chips/tpu-v5p", "chips/groq-lpu")
def test_a_missing_figure_says_why_and_what_else_is_published(cli):
    """The MI355X has a published cost of ownership and a rate for three years, and none on demand."""
    said = " ".join(cli("compare", "b200", "groq-lpu", "mi355x")[1].split())
    assert "only TCO 1.69 USD/h, 3 years 2.1 USD/h published; give one with --price" in said
    said = " ".join(cli("card", "b200", "groq-lpu", "mi355x", "tpu-v5p")[1].split())
    assert "only TCO 1.69 USD/h" in said
    assert "rental on demand, the others ownership" in said


@pytest.mark.needs_plugins("chips/corsair", "chips/metis", "power_models/imc")
def test_no_shipped_chip_that_holds_the_network_is_without_joules(cli):
    """Neither idle power nor, for one of them, any limit is published: a class stands for both."""
    rows = [line for line in cli("compare", "corsair", "metis")[1].splitlines() if "J/token, wall" in line]
    assert len(rows) == 3
    assert all(line.count("[") == 2 for line in rows)


@pytest.mark.needs_plugins("chips/tpu-v7", "stacks/trtllm-serving-b200")
def test_a_chip_that_the_software_does_not_serve_is_not_said_to_be_too_small(cli):
    words = ("--stack", "trtllm-serving-b200", "-w", "llama3-70b/decode")
    out = cli("compare", "b200", "tpu-v7", *words)[1]
    assert "not served" in out
    assert "does not fit" not in out


@pytest.mark.needs_plugins("chips/hailo-8", "chips/b200", "suites/reference")
def test_a_chip_whose_memory_has_no_published_size_does_not_end_a_comparison(cli):
    code, out, _ = cli("compare", "hailo-8", "b200")
    assert code == 0
    assert "¹ whether it fits isn't known; batch 1, as hailo-8.toml lacks memory.sram.capacity" in " ".join(
        out.split()
    )
    speeds = next(line for line in out.splitlines() if "tokens/s per user" in line)
    assert speeds.count("≤") == 1, "a bound, as a chip without room for the network has no speed"
    table = ib.compare(["hailo-8", "b200"])
    batches = [float(np.ravel(column.run.values(column.run.batch))[0]) for column in table.columns[1]]
    assert batches[0] == 1 < batches[1]


THREES = (
    ("b200", "groq-lpu", "tpu-v5p"),
    ("h100", "mi355x", "trainium2"),
    ("max-1550", "gh200", "rtx-4090"),
    ("gb200", "max-1550", "trainium1"),
    ("b200", "groq-lpu", "wse-3"),
)


@pytest.mark.needs_plugins(*(f"chips/{name}" for three in THREES for name in three if name != "h100"))
@pytest.mark.parametrize("three", THREES, ids=" ".join)
def test_three_systems_stand_side_by_side_in_80_columns_and_40_lines(cli, three):
    out = cli("compare", *three)[1]
    assert out.count("single-user decode") == 1
    assert len(out.splitlines()) <= 40


@pytest.mark.needs_plugins("chips/mi355x", "chips/tpu-v7", "chips/trainium2", "chips/gaudi-3", "chips/wse-3")
def test_seven_systems_stand_side_by_side_in_160_columns(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    seven = ("b200", "mi355x", "tpu-v7", "trainium2", "gaudi-3", "groq-lpu", "wse-3")
    out = cli("compare", *seven)[1]
    assert out.count("single-user decode") == 1
    asked = ("-w", "llama3.3-70b", "--users-at", "30tok/s", "--prompt", "8000", "--output", "1000")
    assert cli("compare", *seven, *asked)[1].count("tokens/s per chip") == 1
