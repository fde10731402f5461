"""A figure in a wrong unit is far from those of all chips of record."""

from __future__ import annotations

import attrs
import pytest

import inferbench as ib
from inferbench.testing.laws import Subject
from inferbench.testing.laws.specs import figures_fit_those_of_record

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "architectures/simt", "chips/wse-3")

SLIPS = {
    "kilowatts": ("power.tdp", {"power.tdp": "700 kW"}),
    "milliwatts": ("power.idle", {"power.idle": "70 mW"}),
    "square metres": ("silicon.area", {"silicon.area": "814 m2"}),
    "micrometres": ("silicon.node", {"silicon.node": "4 um"}),
    "another century": ("silicon.year", {"silicon.year": "1998"}),
    "dollars for thousands": ("price.purchase", {"price.purchase": "30 USD"}),
    "dollars a month": ("price.rental.on_demand", {"price.rental.on_demand": "2000 USD/h"}),
    "terabytes": ("interconnect.scale_up.bandwidth", {"interconnect.scale_up.bandwidth": "450 TB/s"}),
    "gigabytes": ("memory.hbm.bandwidth", {"memory.hbm.bandwidth": "3.35 GB/s"}),
}


def doubts(chip):
    subject = Subject(ib.installed(), "inferbench-mine", "chips", chip.name, chip)
    return [broken.where for broken in figures_fit_those_of_record(subject)]


@pytest.fixture(scope="module")
def h100():
    return attrs.evolve(ib.installed().chip("h100-sxm"), name="h100-of-mine")


def test_a_chip_as_its_datasheet_says_is_in_no_doubt(h100):
    assert doubts(h100) == []


@pytest.mark.parametrize(("place", "change"), SLIPS.values(), ids=SLIPS)
def test_a_slip_of_the_unit_is_doubted(h100, place, change):
    changed = ib.override(h100, change)
    assert place in doubts(attrs.evolve(changed, facts={}))  # without the note that it was changed
