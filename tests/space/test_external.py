"""Flexibility from outside: laws on chips that have something taken away, and shares counted by hand."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inferbench as ib
from inferbench.face.card import _flexibility, _marks, _runs
from inferbench.space.external import marks, share

KNOWN = pytest.mark.needs_plugins("chips/mi300x", "chips/tpu-v6e", "power_models/linear", "suites/reference")


def test_half_of_the_best_passes():
    """Of four points: half exactly, below half, impossible, and one that no reference does."""
    best = marks([np.array([2.0, 2.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.5, np.nan])])
    assert best.tolist() == [2.0, 2.0, 1.0, 0.0]
    assert share(np.array([1.0, 0.9, 0.0, 0.1]), best) == 0.5


def test_without_a_price_nothing_is_known():
    assert np.isnan(share(np.array([np.nan, 0.0]), np.array([1.0, 1.0])))


def score(chip, registry):
    suite = registry.get("suites", "reference")
    runs = _runs(registry, ib.System(chip), suite.space, "reference")
    return _flexibility(runs, _marks(registry, "reference", "reference"), runs[0].cost.proxy)


@KNOWN
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    compute=st.sampled_from([1.0, 0.5, 0.1, 0.01]),
    bandwidth=st.sampled_from([1.0, 0.5, 0.2]),
    capacity=st.sampled_from([1.0, 0.5]),
    formats=st.sampled_from([(), ("fp4",), ("fp8", "fp4")]),
)
@pytest.mark.slow
def test_taking_a_capability_away_never_raises_the_score(compute, bandwidth, capacity, formats):
    """Whatever is taken away: arithmetic, bandwidth, memory, number formats."""
    registry = ib.installed()
    chip = registry.chip("b200")
    hbm = chip.memory["hbm"]
    less = attrs.evolve(
        chip,
        peak={name: peak * compute for name, peak in chip.peak.items() if name not in formats},
        memory={
            "hbm": attrs.evolve(hbm, bandwidth=hbm.bandwidth * bandwidth, capacity=hbm.capacity * capacity)
        },
    )
    before, after = score(chip, registry), score(less, registry)
    assert after.per_dollar <= before.per_dollar
    assert after.per_watt <= before.per_watt
    assert after.fits <= before.fits


# One chip of each architecture, each with the level of memory in which its weights live.
BASES = ("b200", "gaudi-3", "corsair", "wse-3", "sn40l")


def scaled(chip, peak=1.0, bandwidth=1.0, capacity=1.0, arrays=1.0, drop=()):
    """A chip with other rates, at a fixed price and power: what it can do alone makes the difference."""
    memory = {
        name: attrs.evolve(level, bandwidth=level.bandwidth * bandwidth, capacity=level.capacity * capacity)
        for name, level in chip.memory.items()
    }
    structure = chip.architecture
    if hasattr(structure, "arrays"):
        fewer = max(1, type(structure.arrays)(structure.arrays * arrays))
        structure = attrs.evolve(structure, arrays=fewer)
    return attrs.evolve(
        chip,
        peak={name: one * peak for name, one in chip.peak.items() if name not in drop},
        memory=memory,
        architecture=structure,
        price=attrs.evolve(chip.price, purchase=ib.Range(20e3, 20e3)),
        power=attrs.evolve(chip.power, tdp=500.0 if np.isnan(chip.power.tdp) else chip.power.tdp),
    )


@pytest.mark.needs_plugins(*(f"chips/{name}" for name in BASES), "power_models/linear", "suites/reference")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    base=st.sampled_from(BASES),
    grown=st.tuples(st.floats(0.3, 10.0), st.floats(0.3, 10.0), st.sampled_from([1.0, 10.0, 100.0])),
    peak=st.sampled_from([1.0, 0.5, 0.1, 0.01]),
    bandwidth=st.sampled_from([1.0, 0.5, 0.1]),
    capacity=st.sampled_from([1.0, 0.5, 0.1]),
    arrays=st.sampled_from([1.0, 0.5, 0.25]),
    without=st.booleans(),
)
@pytest.mark.slow
def test_the_law_holds_for_random_chips_of_every_architecture(
    base, grown, peak, bandwidth, capacity, arrays, without
):
    """A random chip against the same with less of anything: arithmetic, memory, arrays, a number format."""
    registry = ib.installed()
    chip = scaled(registry.chip(base), *grown)
    drop = sorted(chip.peak)[:1] if without and len(chip.peak) > 1 else ()
    less = scaled(chip, peak, bandwidth, capacity, arrays, drop)
    before, after = score(chip, registry), score(less, registry)
    assert not after.per_dollar > before.per_dollar  # not known where the chip's power is not
    assert not after.per_watt > before.per_watt
    assert after.fits <= before.fits


# Each is at least as good as the plain chip in three of the four metrics, and useless in the fourth.
ADVERSARIES = {
    "dear": ({"price": 100.0}, "dollar"),
    "hot": ({"watts": 30.0}, "watt"),
    "slow": ({"peak": 0.01, "bandwidth": 0.01, "price": 0.01, "watts": 0.01}, "tops"),
    "narrow": ({"peak": 0.02, "bandwidth": 4.0, "capacity": 0.38}, "flexibility"),
}


def adversary(chip, name, peak=1.0, bandwidth=1.0, capacity=1.0, price=1.0, watts=1.0):
    power, hbm = chip.power, chip.memory["hbm"]
    return attrs.evolve(
        chip,
        name=name,
        peak={each: one * peak for each, one in chip.peak.items()},
        memory={
            "hbm": attrs.evolve(hbm, bandwidth=hbm.bandwidth * bandwidth, capacity=hbm.capacity * capacity)
        },
        price=attrs.evolve(chip.price, purchase=chip.price.purchase.times(price), includes_system=True),
        power=attrs.evolve(power, tdp=power.tdp * watts, idle=power.idle * watts, boundary="system"),
    )


@KNOWN
def test_all_four_metrics_are_necessary():
    """Leave any metric out, and a chip that nobody wants is as good as the best in all that is left."""
    registry = ib.installed()
    chip = registry.chip("b200")
    made = [
        adversary(chip, "plain"),
        *(adversary(chip, name, **how) for name, (how, _) in ADVERSARIES.items()),
    ]
    found = ib.card([f"{one.name}@ideal" for one in made], registry=registry.with_records("chips", made))
    works = [one["works"]["single-user decode"] for one in found.to_dict()["systems"]]
    figures = {
        one.name: {
            "tops": work["useful_tops_per_chip_bound"],
            "dollar": work["useful_tops_per_usd_hour_bound"],
            "watt": work["useful_tops_per_watt_wall_bound"],
            # Where money or power is what fails, flexibility is asked about the other of the two.
            "flexibility": max(flexible.per_dollar, flexible.per_watt),
        }
        for one, work, flexible in zip(made, works, found.flexibility, strict=True)
    }
    plain = figures.pop("plain")
    for name, (_, fails) in ADVERSARIES.items():
        beside = {metric: value / plain[metric] for metric, value in figures[name].items()}
        assert beside.pop(fails) < 0.5, name
        assert min(beside.values()) > 0.6, name


@KNOWN
def test_a_chip_with_a_hundredth_of_its_arithmetic_loses_most_of_its_score():
    registry = ib.installed()
    chip = registry.chip("b200")
    less = attrs.evolve(chip, peak={name: peak / 100 for name, peak in chip.peak.items()})
    assert score(less, registry).per_dollar < 0.5 * score(chip, registry).per_dollar


@KNOWN
class TestTheCard:
    def test_all_four_metrics_stand_together(self, cli):
        code, out, _ = cli("card", "b200", "mi300x")
        assert code == 0
        for label in (
            "useful TOPS/chip",
            "TOPS per $/h",
            "TOPS/W at wall",
            "flexibility",
            "per dollar",
            "per watt",
        ):
            assert label in out

    def test_bounds_are_limits_and_lie_above_what_one_gets(self):
        works = ib.card(["b200"]).to_dict()["systems"][0]["works"]
        for figures in works.values():
            assert figures["useful_tops_per_chip"] < figures["useful_tops_per_chip_bound"]
            assert figures["useful_tops_per_chip_low"] < figures["useful_tops_per_chip"]

    def test_a_suite_without_a_space_says_what_to_add(self, cli, tmp_path):
        folder = tmp_path / "suites"
        folder.mkdir()
        point = '[[points]]\ntitle = "one"\nnetwork = "llama3-8b"\nphase = "decode"\n'
        (folder / "bare.toml").write_text(f'title = "Bare"\n{point}')
        plugin = tmp_path / "mine.py"
        plugin.write_text(
            "from pathlib import Path\nimport inferbench as ib\n\n@ib.hookimpl\ndef inferbench_suites():\n"
            "    yield Path(__file__).parent / 'suites'\n"
        )
        code, _, err = cli("-p", str(plugin), "card", "b200", "--suite", "bare")
        assert code == 2
        assert err == (
            "inferbench: bare: the suite has no space to judge flexibility on\n"
            "  add [space] with works, batch, context and against to its file\n"
        )
