"""What every architecture must satisfy, whatever it models."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferbench.discovery.registry import installed
from inferbench.errors import UnsupportedOp
from inferbench.records.chip import Chip, MemoryLevel
from inferbench.records.convolution import Conv2d
from inferbench.records.cost import Cost
from inferbench.records.grid import Grid
from inferbench.records.interfaces import Architecture
from inferbench.records.op import Gemm, Op
from inferbench.records.placement import Site
from inferbench.testing.ops import Recipe, at_points, ideal_time, ops_at, recipes, same, site_for, snapshot

__all__ = ["ArchitectureContract"]

_BATCHES = st.lists(st.integers(1, 4096).map(float), min_size=1, max_size=3, unique=True)
_QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])


class ArchitectureContract:
    """Inherit it, name an architecture and a chip (an installed one, or a `Chip`).

    Attributes:
        architecture: The plugin's object.
        chip: Name of an installed chip of this architecture, or a chip.
        precisions: Formats the chip computes; they make the precision axis.
    """

    architecture: ClassVar[Architecture]
    chip: ClassVar[str | Chip]
    precisions: ClassVar[tuple[str, ...]] = ("bf16", "fp8")

    def the_chip(self) -> Chip:
        """The chip, looked up if it was named."""
        if not isinstance(self.chip, str):
            return self.chip
        if self.chip not in installed().entries("chips"):
            pytest.skip(f"the chip {self.chip} is not installed")
        return installed().chip(self.chip)

    def site(self, chip: Chip | None = None) -> Site:
        """A site on one chip under the ideal stack."""
        return site_for(self.architecture, chip or self.the_chip())

    def supported(self, op: Op, site: Site) -> Cost:
        """Cost an operator, or skip it where the architecture says that it can't."""
        try:
            return self.architecture.cost(op, site)
        except UnsupportedOp as error:
            pytest.skip(str(error))

    @_QUICK
    @given(recipe=recipes(), batches=_BATCHES, contexts=_BATCHES)
    def test_grid_equals_points(self, recipe: Recipe, batches: list[float], contexts: list[float]) -> None:
        """A grid in one call equals its points one by one."""
        site = self.site()
        grid, points = at_points(batches, contexts, list(self.precisions))
        whole = grid.full(ideal_time(self.supported(ops_at(recipe, grid.at), site)))
        for point, index in points:
            alone = point.full(ideal_time(self.supported(ops_at(recipe, point.at), site)))
            assert same(whole[index], alone[0, 0, 0])

    @_QUICK
    @given(recipe=recipes(), batches=_BATCHES)
    def test_never_faster_than_the_roofline(self, recipe: Recipe, batches: list[float]) -> None:
        """No operator beats its operations over the peak, nor its weights and state over the bandwidth of
        their home.
        """
        site = self.site()
        grid, _ = at_points(batches, [512.0], list(self.precisions))
        op = ops_at(recipe, grid.at)
        time = np.asarray(ideal_time(self.supported(op, site)))
        floor = np.nan_to_num(op.useful / site.rate(op))
        for role in ("weights", "state"):
            level = site.placement.homes.get(role)
            if level is not None:
                floor = np.maximum(floor, np.nan_to_num(getattr(op.bytes, role) / site.bandwidth(level)))
        assert np.all((time >= floor * (1 - 1e-9)) | np.isnan(time))

    @_QUICK
    @given(recipe=recipes(), batches=_BATCHES)
    def test_parts_are_not_negative(self, recipe: Recipe, batches: list[float]) -> None:
        """Times and action counts are float64, finite where the chip's figures are known, and at least
        zero.
        """
        site = self.site()
        cost = self.supported(ops_at(recipe, at_points(batches, [512.0], list(self.precisions))[0].at), site)
        for group in (cost.busy, cost.exposed, cost.actions):
            for name, value in group.items():
                array = np.asarray(value)
                assert array.dtype == np.float64, f"{name} is {array.dtype}"
                assert np.all((array >= 0) | np.isnan(array)), name
                assert not np.any(np.isinf(array)), name
        assert all(name == "network" or name.split(".")[0] in ("compute", "memory") for name in cost.busy)

    @_QUICK
    @given(recipe=recipes(), batches=_BATCHES)
    def test_deterministic_and_pure(self, recipe: Recipe, batches: list[float]) -> None:
        """The same question gets the same answer, and the operator comes back unchanged."""
        site = self.site()
        op = ops_at(recipe, at_points(batches, [512.0], list(self.precisions))[0].at)
        before = snapshot(op)
        first = ideal_time(self.supported(op, site))
        assert same(first, ideal_time(self.supported(op, site)))
        assert all(
            same(value, getattr(op, name))
            for name, value in before.items()
            if isinstance(value, float | np.ndarray)
        )

    @_QUICK
    @given(recipe=recipes(), batch=st.integers(1, 2048).map(float))
    def test_more_work_takes_no_less_time(self, recipe: Recipe, batch: float) -> None:
        """At a fixed chip, time rises with batch and with context."""
        site = self.site()
        grid, _ = at_points([batch, 2 * batch], [256.0, 512.0], list(self.precisions))
        time = grid.full(ideal_time(self.supported(ops_at(recipe, grid.at), site)))
        assert np.all((np.diff(time, axis=0) >= -1e-12 * time[:1]) | np.isnan(time[:1]))
        assert np.all((np.diff(time, axis=1) >= -1e-12 * time[:, :1]) | np.isnan(time[:, :1]))

    @_QUICK
    @given(recipe=recipes(), batch=st.integers(1, 2048).map(float), factor=st.floats(1.1, 4.0))
    def test_more_bandwidth_is_never_slower(self, recipe: Recipe, batch: float, factor: float) -> None:
        """A chip with faster memories takes no longer."""
        chip = self.the_chip()
        faster = attrs.evolve(
            chip,
            memory={
                name: MemoryLevel(level.capacity, level.bandwidth * factor)
                for name, level in chip.memory.items()
            },
        )
        self._no_slower(recipe, batch, chip, faster)

    @_QUICK
    @given(recipe=recipes(), batch=st.integers(1, 2048).map(float), factor=st.floats(1.1, 4.0))
    def test_more_peak_is_never_slower(self, recipe: Recipe, batch: float, factor: float) -> None:
        """A chip with a higher peak takes no longer."""
        chip = self.the_chip()
        faster = attrs.evolve(chip, peak={name: peak * factor for name, peak in chip.peak.items()})
        self._no_slower(recipe, batch, chip, faster)

    def _no_slower(self, recipe: Recipe, batch: float, chip: Chip, faster: Chip) -> None:
        at = at_points([batch], [512.0], list(self.precisions))[0].at
        slow, fast = (
            np.asarray(ideal_time(self.supported(ops_at(recipe, at), self.site(c)))) for c in (chip, faster)
        )
        assert np.all((fast <= slow * (1 + 1e-9)) | np.isnan(slow))

    @_QUICK
    @given(recipe=recipes(), batch=st.integers(1, 2048).map(float))
    def test_two_copies_cost_twice_one(self, recipe: Recipe, batch: float) -> None:
        """A cost is of one execution: how often an operator repeats does not change it, so that two take
        twice as long.
        """
        site = self.site()
        op = ops_at(recipe, at_points([batch], [512.0], list(self.precisions))[0].at)
        once, twice = (ideal_time(self.supported(attrs.evolve(op, repeat=n), site)) * n for n in (1.0, 2.0))
        assert same(twice, 2.0 * np.asarray(once))

    @_QUICK
    @given(recipe=recipes(), batch=st.integers(1, 2048).map(float))
    def test_a_narrower_format_is_never_slower(self, recipe: Recipe, batch: float) -> None:
        """Where a format stores no more bytes and computes no slower than the one before it, it takes no
        longer.
        """
        site = self.site()
        op = ops_at(recipe, at_points([batch], [512.0], list(self.precisions))[0].at)
        shape = np.broadcast_shapes(
            np.shape(op.precision.weights), np.shape(ideal_time(self.supported(op, site)))
        )
        time = np.broadcast_to(ideal_time(self.supported(op, site)), shape).ravel()
        stored, rate = np.ravel(op.precision.weights), np.ravel(site.rate(op))
        for i in range(1, len(self.precisions)):
            if stored[i] <= stored[i - 1] and rate[i] >= rate[i - 1]:
                assert time[i] <= time[i - 1] * (1 + 1e-9) or np.isnan(time[i - 1])

    @_QUICK
    @given(batch=st.integers(1, 64).map(float), channels=st.integers(1, 512).map(float))
    def test_lowered_is_never_cheaper_than_native(self, batch: float, channels: float) -> None:
        """A convolution as the product it lowers to costs at least what the architecture's own model of it
        says.
        """
        site = self.site()
        at = Grid.of({"batch": [batch]}, list(self.precisions)).at
        op = Conv2d(
            name="conv",
            precision=at.precision,
            batch=at["batch"],
            height=56.0,
            width=56.0,
            in_channels=channels,
            out_channels=64.0,
        )
        native = np.asarray(ideal_time(self.supported(op, site)))
        lowered = sum(np.asarray(ideal_time(self.supported(part, site))) * part.repeat for part in op.lower())
        assert np.all((lowered >= native * (1 - 1e-9)) | np.isnan(native))

    def test_no_integer_overflow(self) -> None:
        """4096 x 10^6 x 16384^2 operations are counted in float64, and do not wrap."""
        at = Grid.of({"batch": [4096.0 * 1e6], "context": [1.0]}, [self.precisions[0]]).at
        op = Gemm(name="huge", precision=at.precision, m=at["batch"], n=16384.0, k=16384.0)
        assert np.asarray(op.useful).dtype == np.float64
        assert float(np.max(op.useful)) == pytest.approx(2 * 4096e6 * 16384.0**2, rel=1e-12)
        time = np.asarray(ideal_time(self.supported(op, self.site())))
        assert np.all((time > 0) | np.isnan(time))

    def test_an_unknown_kind_is_one_clear_message(self) -> None:
        """A kind that is neither modelled nor lowers says so, with the remedy."""

        class Unheard(Op):
            """A kind nobody knows."""

        op = Unheard(name="x", precision=Grid.of({}, [self.precisions[0]]).at.precision)
        with pytest.raises(UnsupportedOp, match="'unheard' are not modelled and do not lower"):
            self.architecture.cost(op, self.site())

    def test_pickles(self) -> None:
        """Executors send architectures and chips to other processes."""
        chip = self.the_chip()
        assert repr(pickle.loads(pickle.dumps(chip)).architecture) == repr(chip.architecture)
        assert type(pickle.loads(pickle.dumps(self.architecture))) is type(self.architecture)

    def test_names_itself(self) -> None:
        """A plugin says what it is called, and structures its table with attrs."""
        kind: Any = type(self.architecture)
        assert kind.name
        assert kind.title
        assert attrs.has(kind.params)
        assert attrs.has(kind.tuning)
