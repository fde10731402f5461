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
    own = result(cli, "run", f"2x{chip}:tp2", f"{network}/decode")["results"][0]["metrics"]
    assert own["tpot_s"] == ib.run("2xh200:tp2", "llama3-8b/decode")["tpot_s"].ravel()[0]
    changed = result(cli, "run", str(chip), f"{network}/decode", "--set", "memory.hbm.bandwidth=1TB/s")
    assert changed["results"][0]["metrics"]["tpot_s"] > own["tpot_s"]


def test_a_file_that_is_not_there(cli):
    code, out, err = cli("run", "./nope.toml", "llama3-8b/decode")
    assert (code, out) == (2, "")
    assert err == (
        "inferbench: ./nope.toml: can't be read: No such file or directory\n  give the path of a TOML file\n"
    )
