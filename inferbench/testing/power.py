"""What every power model must satisfy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from inferbench.discovery.registry import installed
from inferbench.records.chip import Chip
from inferbench.records.energy import ActivityCounts, Energy
from inferbench.records.grid import Grid
from inferbench.records.interfaces import PowerModel
from inferbench.records.system import System

__all__ = ["PowerModelContract"]


class PowerModelContract:
    """Inherit it, name a power model and a chip it accepts.

    Attributes:
        power_model: The plugin's object.
        chip: Name of an installed chip.
        actions: Counts of one step to try, as arrays over four points of rising work.
    """

    power_model: ClassVar[PowerModel]
    chip: ClassVar[str]
    actions: ClassVar[dict[str, float]] = {"ops": 1e14, "bytes.hbm": 1e11}

    def the_chip(self) -> Chip:
        """The chip, if it is installed."""
        if self.chip not in installed().entries("chips"):
            pytest.skip(f"the chip {self.chip} is not installed")
        return installed().chip(self.chip)

    def energy(self, seconds: float = 0.1, chips: int = 1) -> Energy:
        """Energy at four points of rising work in the same time."""
        chip = self.the_chip()
        at = Grid.of({}, ["bf16"]).at
        scale = np.array([0.0, 0.1, 1.0, 100.0])
        actions = {name: count * scale * chips for name, count in self.actions.items()}
        return self.power_model.energy(
            ActivityCounts(actions, seconds, chips, at.precision, ("bf16",)), System(chip, chips)
        )

    def test_accepts_its_chip(self) -> None:
        """It serves the chip it is tested on."""
        assert self.power_model.accepts(self.the_chip()) == ""

    def test_more_work_takes_no_less_power(self) -> None:
        """Power rises with work done in the same time."""
        assert np.all(np.diff(np.asarray(self.energy().watts)) >= -1e-9)

    def test_power_stays_below_the_cap(self) -> None:
        """Mean power never exceeds the thermal design power, or the limit that the model takes where none is
        published; the step is stretched instead.
        """
        energy = self.energy()
        tdp = self.the_chip().power.tdp
        limit = energy.limit if np.isnan(tdp) else tdp
        assert np.all(np.asarray(energy.watts) <= limit * (1 + 1e-9))
        assert np.all(np.asarray(energy.throttle) >= 1.0)

    def test_joules_are_watts_times_seconds(self) -> None:
        """Energy is mean power times the stretched step."""
        energy = self.energy()
        np.testing.assert_allclose(
            energy.joules, np.asarray(energy.watts) * 0.1 * np.asarray(energy.throttle), rtol=1e-9
        )

    def test_its_error_is_an_error(self) -> None:
        """Where it says how far power may be off, that is a standard error: not negative, of the shape of the
        watts.
        """
        chip = self.the_chip()
        at = Grid.of({}, ["bf16"]).at
        scale = np.array([0.0, 0.1, 1.0, 100.0])
        counts = ActivityCounts(
            {name: n * scale for name, n in self.actions.items()}, 0.1, 1, at.precision, ("bf16",)
        )
        energy = self.power_model.energy(counts, System(chip))
        log_error = np.asarray(self.power_model.log_error(counts, System(chip), energy), dtype=np.float64)
        assert np.all(np.isnan(log_error) | (log_error >= 0.0))
        assert np.broadcast_shapes(log_error.shape, np.shape(energy.watts)) == np.shape(energy.watts)

    def test_chips_add_up(self) -> None:
        """Eight chips that do the same draw eight times as much."""
        np.testing.assert_allclose(self.energy(chips=8).watts, 8 * np.asarray(self.energy().watts), rtol=1e-9)
