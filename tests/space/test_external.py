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
    return _flexibility(
        _runs(registry, ib.System(chip), suite.space, "reference"), _marks(registry, "reference", "reference")
    )


@KNOWN
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    compute=st.sampled_from([1.0, 0.5, 0.1, 0.01]),
    bandwidth=st.sampled_from([1.0, 0.5, 0.2]),
    capacity=st.sampled_from([1.0, 0.5]),
    formats=st.sampled_from([(), ("fp4",), ("fp8", "fp4")]),
)
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
