"""`inferbench list`: chips and stacks with a line of figures each."""

from __future__ import annotations

import json
from types import ModuleType, SimpleNamespace

import pytest

import inferbench as ib

CHIP = ("chips/b200", "chips/groq-lpu", "chips/sn40l", "stacks/trtllm-1.3-b200", "networks/llama3-70b")


def entries(cli, *words):
    code, out, _ = cli("list", *words, "--format", "json")
    assert code == 0
    return {row["name"]: row for row in json.loads(out)["entries"]}


@pytest.mark.needs_plugins(*CHIP)
def test_chips_have_the_figures_of_their_datasheets(cli):
    found = entries(cli, "chips")
    b200 = found["b200"]
    assert (b200["vendor"], b200["year"], b200["memory_bytes"]) == (
        "NVIDIA",
        2024,
        183_359 * 2**20,
    )  # as nvidia-smi reports it
    assert (b200["peak_8_bit_ops_per_s"], b200["peak_8_bit_format"], b200["tdp_w"]) == (4.5e15, "fp8", 1000.0)
    assert b200["usd_purchase"] == 41_500.0
    # The SN40L computes in no format of eight bits; the LPU in int8 alone: 750 TOPS.
    assert found["sn40l"]["peak_8_bit_ops_per_s"] is None
    assert (found["groq-lpu"]["peak_8_bit_format"], found["groq-lpu"]["peak_8_bit_ops_per_s"]) == (
        "int8",
        7.5e14,
    )


@pytest.mark.needs_plugins(*CHIP)
def test_a_chip_has_the_grade_of_its_best_stack(cli):
    found = entries(cli, "chips")
    assert (found["b200"]["best_stack"], found["b200"]["grade"]) == ("vllm-serving-b200", "calibrated")
    assert found["b300"]["grade"] == "transferred"
    assert found["gaudi-3"]["grade"] == "calibrated"
    assert found["l4"]["grade"] == "class"


@pytest.mark.needs_plugins(*CHIP)
@pytest.mark.parametrize(("kind", "width"), [("chips", 80), ("stacks", 120)])
def test_each_has_one_line(cli, monkeypatch, kind, width):
    monkeypatch.setenv("COLUMNS", str(width))
    names = set(entries(cli, kind))
    lines = cli("list", kind)[1].splitlines()
    first = [line.split(" ")[0] for line in lines]
    assert all(first.count(name) == 1 for name in names if name not in ("stacks", "chips"))
    # Nothing but title, heads, legend and what to do next beside one line each.
    assert len([line for line in lines if line]) <= len(names) + 7


def test_a_column_says_whose_a_chip_is_that_is_not_of_the_project(cli, monkeypatch):
    class Toy(ib.Architecture):
        name, title, params = "toy", "Toy", ib.NoParams

    def package(owner, kind, record):
        module = ModuleType(owner)
        hook = f"inferbench_{kind}"
        setattr(module, hook, ib.hookimpl(lambda: iter([record]), specname=hook))
        about = SimpleNamespace(name=owner, version="1.0")
        return SimpleNamespace(name=owner, load=lambda: module, value=owner, dist=about)

    def chip(name):
        memory = {"hbm": ib.MemoryLevel(1e9, 1e12)}
        about = {"name": name, "title": name, "vendor": "V", "memory": memory}
        return ib.Chip(architecture_type="toy", architecture=None, **about)

    points = [
        package("inferbench-simt", "architectures", Toy()),
        package("inferbench-specs", "chips", chip("ours-1")),
        package("inferbench-mine", "chips", chip("mine-1")),
    ]
    monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: points)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = cli("list", "chips")
    assert (code, err) == (0, "")
    lines = {line.split(" ")[0]: line.split() for line in out.splitlines() if line}
    assert lines["chip"][-1] == "of"
    assert lines["mine-1"][-1] == "1"
    assert lines["ours-1"][-1] != "1"
    assert "1 inferbench-mine" in out


@pytest.mark.needs_plugins(*CHIP)
def test_more_columns_are_for_chips_and_stacks_alone(cli):
    assert "TCO $/h" in cli("list", "chips", "--long")[1]
    code, _, err = cli("list", "metrics", "--long")
    assert code == 2
    assert "inferbench list chips or stacks --long" in err


@pytest.mark.needs_plugins(*CHIP)
def test_a_stack_says_on_what_and_how_well(cli):
    found = entries(cli, "stacks")
    assert found["trtllm-1.3-b200"]["chips"] == ["b200"]
    assert found["trtllm-1.3-b200"]["software_version"] == "1.3"
    assert 0.01 < found["trtllm-1.3-b200"]["error"] < 0.2
    assert (found["ideal"]["rows"], found["ideal"]["error"]) == (0, None)


@pytest.mark.needs_plugins(*CHIP)
def test_a_package_that_is_left_out_costs_only_what_needs_it(cli, monkeypatch):
    """Without any workload the chips of an architecture that is there are listed still."""
    monkeypatch.setenv("INFERBENCH_PLUGINS", "specs,simt")
    found = entries(cli, "chips")
    assert "b200" in found
    assert "groq-lpu" not in found
