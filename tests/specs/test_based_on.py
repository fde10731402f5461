"""Chips that are based on another: what their files leave out is that chip's, with its sources."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

import inferbench as ib
from inferbench.discovery.hashes import spec_hashes
from inferbench.errors import InferBenchError
from inferbench.specs.assemble_chip import chip_from

BASE = b"""title = "X1"
vendor = "X"
note = "The first."
source = "sheet"
[sources]
sheet = { title = "X1 datasheet", basis = "datasheet" }
[architecture]
type = "toy"
units = 4
clock = "1.5 GHz"
[peak]
bf16 = "100 TOP/s"
fp8 = "200 TOP/s"
[memory.hbm]
capacity = "80 GB"
bandwidth = "2 TB/s"
[power]
tdp = "700 W"
idle = "70 W"
"""


@ib.frozen
class Toy:
    units: int
    clock: ib.Hertz = math.nan


@ib.frozen
class Grid:
    cells: int


ON_X1 = 'title = "X2"\nbased_on = "x1"\n'
FILES = {"x1": BASE}
MODELS = {
    "toy": SimpleNamespace(name="toy", params=Toy),
    "grid": SimpleNamespace(name="grid", params=Grid),
}


def build(text, name="x2", **files):
    known = FILES | {one: other.encode() for one, other in files.items()}
    return chip_from(text.encode(), name, f"{name}.toml", MODELS.__getitem__, print, known.__getitem__)


def complaint(text, **files):
    with pytest.raises(InferBenchError) as caught:
        build(text, **files)
    return str(caught.value)


def test_a_title_and_one_figure_make_a_chip():
    """The same chip at half the limit: all else is as in the other file."""
    chip, base = (
        build('title = "X1, low"\nbased_on = "x1"\n[power]\ntdp = "350 W"'),
        build(BASE.decode(), "x1"),
    )
    assert (chip.name, chip.title, chip.based_on) == ("x2", "X1, low", "x1")
    assert (chip.power.tdp, chip.power.idle) == (350.0, 70.0)
    for kept in ("vendor", "architecture_type", "architecture", "peak", "memory", "note"):
        assert repr(getattr(chip, kept)) == repr(getattr(base, kept))  # NaN included


def test_numbers_keep_the_sources_of_their_own_files():
    """Both files call a source `sheet`; each means its own, and a number without one has none."""
    text = """title = "X2"
based_on = "x1"
[sources]
sheet = { title = "X2 brief", basis = "published" }
[memory.hbm]
bandwidth = "3 TB/s [sheet]"
[power]
tdp = "350 W"
"""
    facts = build(text).facts
    assert (facts["memory.hbm.bandwidth"].value, facts["memory.hbm.capacity"].value) == (3e12, 80e9)
    assert facts["memory.hbm.bandwidth"].source.title == "X2 brief"
    assert facts["memory.hbm.capacity"].source.title == "X1 datasheet"
    assert facts["power.tdp"].source is None


def test_figures_are_added_replaced_and_said_to_be_missing():
    text = """title = "X2"
based_on = "x1"
[architecture]
units = 8
[peak]
fp4 = "400 TOP/s"
fp8 = "150 TOP/s"
[memory.sram]
capacity = "1 GB"
bandwidth = "50 TB/s"
[power]
idle = { missing = "not measured" }
"""
    chip = build(text)
    assert chip.architecture == Toy(8, 1.5e9)
    assert chip.peak == {"bf16": 100e12, "fp8": 150e12, "fp4": 400e12}
    assert list(chip.memory) == ["hbm", "sram"]
    assert math.isnan(chip.power.idle)
    assert chip.missing("power.idle") == "not measured"


def test_another_architecture_takes_nothing_of_the_old_ones_table():
    chip = build('title = "X2"\nbased_on = "x1"\n[architecture]\ntype = "grid"\ncells = 9')
    assert (chip.architecture_type, chip.architecture) == ("grid", Grid(9))
    assert not [
        path for path in chip.facts if path.startswith("architecture.") and path != "architecture.cells"
    ]
    assert "architecture.cells: missing key" in complaint(
        'title = "X2"\nbased_on = "x1"\n[architecture]\ntype = "grid"'
    )


def test_a_chip_may_stand_on_one_that_stands_on_another():
    middle = 'title = "X2"\nbased_on = "x1"\n[power]\ntdp = "350 W"\nidle = "60 W"'
    chip = build('title = "X3"\nbased_on = "x2"\n[power]\nidle = "50 W"', "x3", x2=middle)
    assert (chip.power.tdp, chip.power.idle, chip.peak["bf16"]) == (350.0, 50.0, 100e12)


def test_what_is_wrong_is_told_with_both_files():
    wrong = complaint('based_on = "x1"')
    assert wrong == "x2.toml: title: missing key\n  add `title`: screens show both chips"
    assert "x2.toml: power.tpd: unknown key" in complaint(f'{ON_X1}[power]\ntpd = "1 W"')
    broken = complaint('title = "a"\nbased_on = "x3"', x3=f'{ON_X1}[power]\ntdp = "5"')
    assert broken.startswith("x2.toml: based_on: x3.toml: power.tdp: ")
    assert "x2.toml: based_on: 5 is not text" in complaint('title = "a"\nbased_on = 5')


def test_a_circle_is_told_with_its_way():
    files = {"x3": 'title = "b"\nbased_on = "x4"', "x4": 'title = "c"\nbased_on = "x3"'}
    assert "goes in a circle: x3 on x4 on x3" in complaint('title = "a"\nbased_on = "x3"', **files)


@pytest.mark.needs_plugins("chips/b200")
def test_a_file_of_the_user_may_be_based_on_an_installed_chip(tmp_path):
    own = tmp_path / "slow.toml"
    own.write_text('title = "B200, slow"\nbased_on = "b200"\n[memory.hbm]\nbandwidth = "4 TB/s"')
    known = ib.installed()
    chip = known.chip(str(own))
    assert chip.memory["hbm"].capacity == known.chip("b200").memory["hbm"].capacity
    assert chip.memory["hbm"].bandwidth == 4e12
    assert chip.node is known.chip("b200").node
    own.write_text('title = "a"\nbased_on = "b200x"')
    with pytest.raises(InferBenchError, match="based_on: b200x: unknown chip"):
        known.chip(str(own))


def test_a_chip_made_by_code_has_no_file_to_stand_on(bare, plugin):
    made = ib.Chip(
        name="made", title="Made", vendor="X", architecture_type="toy", architecture=Toy(1),
        memory={"hbm": ib.MemoryLevel(1e9, 1e12)},
    )  # fmt: skip
    bare = bare.with_records("chips", [made])
    with pytest.raises(InferBenchError, match="made by code"):
        bare.chip_file("made")


@pytest.mark.needs_plugins("stacks/trtllm-serving-h100")
def test_an_answer_names_the_files_below_its_own():
    """A stack of a server stands on one of kernels, and that on figures of collectives."""
    found = spec_hashes(ib.installed(), [("stacks", "trtllm-serving-h100")])
    assert {"stacks/trtllm-serving-h100", "stacks/trtllm-1.3"} <= set(found)
