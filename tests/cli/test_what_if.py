"""What if: other facts of a chip by `--set`, chips and networks by the path of a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h200", "networks/llama3-8b")
SPECS = Path(__file__).parents[2] / "specs" / "inferbench_specs"


def result(cli, *args):
    code, out, err = cli(*args, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def test_twice_the_bandwidth_halves_a_step_that_memory_binds(cli):
    """B200: 8 TB/s to 16 TB/s; decode of one sequence is bound by memory to 99.9 %."""
    run = ("run", "b200", "llama3-8b/decode", "--stack", "ideal")
    plain = result(cli, *run)["results"][0]["metrics"]["tpot_s"]
    document = result(cli, *run, "--set", "memory.hbm.bandwidth=16TB/s")
    assert document["results"][0]["metrics"]["tpot_s"] == pytest.approx(plain / 2, rel=0.01)
    assert document["changes"] == ["memory.hbm.bandwidth=16TB/s"]


def test_the_title_says_what_was_changed(cli):
    _, out, _ = cli("compare", "b200", "h100", "-w", "llama3-8b/decode", "--set", "power.tdp=600W")
    assert "* if power.tdp=600W" in out
    assert "B200*" in out
    assert "H100 SXM*" in out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("power.tpd=1.2kW", "--set.power.tpd: unknown key\n  did you mean 'tdp'?"),
        ("power.tdp", "--set: 'power.tdp' has no value\n  write it like --set power.tdp=1.2kW"),
    ],
)
def test_a_bad_change_is_one_message(cli, change, said):
    assert cli("run", "b200", "llama3-8b/decode", "--set", change) == (2, "", f"inferbench: {said}\n")


def test_a_chip_and_a_network_may_be_files(cli, tmp_path):
    chip, network = tmp_path / "mine.toml", tmp_path / "net.toml"
    shutil.copy(SPECS / "chips" / "h200.toml", chip)
    shutil.copy(SPECS / "networks" / "llama3-8b.toml", network)
    own = result(cli, "run", f"2x{chip}:tp2@ideal", f"{network}/decode")["results"][0]["metrics"]
    assert own["tpot_s"] == ib.run("2xh200:tp2@ideal", "llama3-8b/decode")["tpot_s"].ravel()[0]
    changed = result(cli, "run", f"{chip}@ideal", f"{network}/decode", "--set", "memory.hbm.bandwidth=1TB/s")
    assert changed["results"][0]["metrics"]["tpot_s"] > own["tpot_s"]


def test_a_file_that_is_not_there(cli):
    code, out, err = cli("run", "./nope.toml", "llama3-8b/decode")
    assert (code, out) == (2, "")
    assert err == (
        "inferbench: ./nope.toml: can't be read: No such file or directory\n  give the path of a TOML file\n"
    )


def test_a_change_may_be_of_one_chip_alone(cli):
    compare = ("compare", "b200", "h200@ideal", "-w", "llama3-8b/decode", "--set", "b200.power.tdp=600W")
    _, out, _ = cli(*compare)
    assert "B200*" in out
    assert "H200 SXM*" not in out


def test_the_provenance_says_what_was_changed(cli):
    changes = ("--set", "scenario.electricity=0.16USD/kWh", "--price", "on_demand=2.5USD/h")
    document = result(cli, "run", "h100-sxm", "llama3-8b/decode", *changes)
    assert document["provenance"]["changes"] == {
        "chips/h100-sxm": {"price.rental.on_demand": "2.5USD/h"},
        "scenarios/reference": {"electricity": "0.16USD/kWh"},
    }
    assert document["results"][0]["metrics"]["usd_per_hour_cloud"] == 2.5


def test_dear_electricity_costs_in_proportion(cli):
    """0.16 $/kWh in place of 0.08 doubles what electricity costs, and nothing else."""
    run = ("run", "h100-sxm", "llama3-8b/decode")
    plain, dear = (
        result(cli, *run, *more)["results"][0]["metrics"]
        for more in ((), ("--set", "scenario.electricity=0.16USD/kWh"))
    )
    assert dear["usd_per_hour_electricity"] == pytest.approx(2 * plain["usd_per_hour_electricity"])
    assert dear["usd_per_hour_capital"] == plain["usd_per_hour_capital"]


def test_a_network_of_half_the_layers_is_twice_as_fast(cli):
    """Memory binds decode: without the head, half the layers read half the bytes."""
    run = ("run", "h100@ideal", "llama3-8b/decode", "--option", "lm_head=false")
    whole, half = (
        result(cli, *run, *more)["results"][0]["metrics"]["tpot_s"]
        for more in ((), ("--set", "network.num_hidden_layers=16"))
    )
    assert half == pytest.approx(whole / 2, rel=1e-3)


def test_a_scenario_and_a_system_may_be_files(cli, tmp_path):
    scenario, system = tmp_path / "sc.toml", tmp_path / "box.toml"
    text = (SPECS / "scenarios" / "reference.toml").read_text("utf-8")
    scenario.write_text(text.replace("0.08 USD/kWh", "0.8 USD/kWh"), "utf-8")
    shutil.copy(SPECS / "systems" / "dgx-a100.toml", system)
    run = ("run", "h100-sxm", "llama3-8b/decode")
    plain = result(cli, *run)["results"][0]["metrics"]
    dear = result(cli, *run, "--scenario", str(scenario))["results"][0]["metrics"]
    assert dear["usd_per_hour_electricity"] == pytest.approx(10 * plain["usd_per_hour_electricity"])
    # A DGX A100 has 960 W for 8 chips and 1.08 W at the wall per watt of a board.
    boxed = result(cli, *run, "--set", f"system={system}")["results"][0]["metrics"]
    assert boxed["wall_power_w"] == pytest.approx(960 / 8 + 1.08 * boxed["power_w"])
    assert boxed["wall_power_w"] < plain["wall_power_w"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--price", "2.5USD/h"), "'2.5USD/h' has no term\n  write it like --price on_demand=2.5USD/h"),
        (("--price", "on_demand=2.5"), '--price on_demand: "2.5" is a number without unit'),
        (("--price", "purchase=2.5USD/h"), '--price purchase: "2.5USD/h" is a rental rate'),
        (("--price", "on_demand=0USD/h"), '--price on_demand: "0USD/h" is zero; a price must be above 0'),
        (("--price", "reserved_1y=1e-3205USD/h"), '"1e-3205USD/h" is zero; a price must be above 0'),
        (("--price", "purchase=0USD"), '--price purchase: "0USD" is zero; a price must be above 0'),
        (("--set", "price.rental.on_demand=0USD/h"), "is zero; a rental rate must be above 0"),
        (("--price", "ondemand=2.5USD/h"), "unknown term 'ondemand'\n  did you mean 'on_demand'?"),
        (("--set", "scenario.elektricity=1USD/kWh"), "unknown key\n  did you mean 'electricity'?"),
        (("--set", "network.num_layers=3"), "unknown key\n  did you mean 'num_hidden_layers'?"),
        (("--set", "price.rental=3USD/h"), "holds several numbers"),
    ],
)
def test_bad_changes_are_one_message(cli, words, said):
    code, out, err = cli("run", "h100-sxm", "llama3-8b/decode", *words)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    "words",
    [
        ("size", "llama3-8b/decode", "--tpot", "20ms", "--users", "8", "--chips", "b200"),
        ("sweep", "b200", "-w", "llama3-8b/decode", "--batch", "1", "--context", "1024"),
        ("explain", "b200", "llama3-8b/decode", "--measured", "9ms"),
        ("frontier", "b200", "-w", "llama3-8b", "--batch", "8", "--chunk", "none"),
        ("card", "b200"),
        ("op", "b200", "gemm", "--m", "8", "--n", "8", "--k", "8"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_takes_other_facts_and_says_so(cli, words):
    code, out, err = cli(*words, "--set", "power.tdp=600W")
    assert (code, err) == (0, "")
    assert "* if power.tdp=600W" in " ".join(out.split())
    document = result(cli, *words, "--set", "power.tdp=600W")
    assert document["changes"] == ["power.tdp=600W"]
    assert document["provenance"]["changes"]["chips/b200"] == {"power.tdp": "600W"}
