"""What every time model must satisfy."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

from inferbench.num import Array
from inferbench.records.cost import Cost
from inferbench.records.grid import Grid
from inferbench.records.op import Op
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel
from inferbench.specs.assemble_stack import stack_from
from inferbench.testing.ops import Recipe, ideal_time, ops_at

__all__ = ["TimeModelContract"]

KINDS: tuple[Recipe, ...] = tuple(
    (kind, (512.0, 2048.0, 7.0, 64.0)) for kind in ("gemm", "attention", "elementwise", "reduce", "move")
)
BATCHES, CONTEXTS, PRECISIONS = (1.0, 8.0, 512.0), (128.0, 4096.0), ("bf16", "fp8")
VARIANTS = (
    *("gemm", "gemm.experts", "attention.context", "attention.encoder", "attention.generation"),
    *("collective.all_reduce.8", "elementwise", "conv2d"),
)
each_kind = pytest.mark.parametrize("recipe", KINDS, ids=[kind for kind, _ in KINDS])


class TimeModelContract:
    """Inherit it, name a time model and figures of a stack.

    Attributes:
        time_model: The plugin's object.
        figures: A record of its class `figures`, with every term that it has.
    """

    time_model: ClassVar[TimeModel]
    figures: ClassVar[Any]

    def stack(self, figures: Any = None) -> Stack:
        """A stack of nothing but the model and figures."""
        chosen = self.figures if figures is None else figures
        return Stack(name="contract", title="Contract", time_model=self.time_model, figures=chosen)

    def cost(self, op: Op, waves: bool = True) -> Cost:
        """What hardware of 1 POP/s and 1 TB/s would need, in tiles of which 132 run at a time."""
        moved = op.bytes.total
        return Cost(
            busy={"compute": op.useful / 1e15, "memory.hbm": moved / 1e12},
            exposed={"fill": 1e-7},
            actions={"ops": op.useful, "bytes.hbm": moved},
            waves=moved / 1e6 / 132.0 if waves else None,
        )

    def times(self, recipe: Recipe, grid: Grid) -> Array:
        """Seconds of one operator over a grid."""
        op = ops_at(recipe, grid.at)
        return grid.full(np.asarray(self.stack().time(self.cost(op), op)))

    @each_kind
    @pytest.mark.parametrize("waves", [True, False], ids=["tiled", "untiled"])
    def test_software_never_beats_the_hardware(self, recipe: Recipe, waves: bool) -> None:
        """No kernel takes less than its longest engine, and what is exposed after it."""
        op = ops_at(recipe, Grid.of({"batch": BATCHES, "context": CONTEXTS}, PRECISIONS).at)
        cost = self.cost(op, waves)
        assert np.all(self.stack().time(cost, op) >= ideal_time(cost) * (1.0 - 1e-12))

    @each_kind
    def test_more_work_takes_no_less_time(self, recipe: Recipe) -> None:
        """Engines that are busy twice as long never make a kernel faster."""
        op = ops_at(recipe, Grid.of({"batch": BATCHES, "context": CONTEXTS}, PRECISIONS).at)
        once = self.cost(op)
        twice = attrs.evolve(once, busy={engine: 2.0 * busy for engine, busy in once.busy.items()})
        seconds, longer = (np.asarray(self.stack().time(cost, op)) for cost in (once, twice))
        assert np.all(longer >= seconds * (1.0 - 1e-12))

    @each_kind
    def test_a_grid_equals_its_points(self, recipe: Recipe) -> None:
        """Every point of a grid has the seconds that it has alone."""
        whole = self.times(recipe, Grid.of({"batch": BATCHES, "context": CONTEXTS}, PRECISIONS))
        for i, batch in enumerate(BATCHES):
            for j, context in enumerate(CONTEXTS):
                for k, name in enumerate(PRECISIONS):
                    alone = self.times(recipe, Grid.of({"batch": [batch], "context": [context]}, [name]))
                    assert float(alone.ravel()[0]) == pytest.approx(float(whole[i, j, k]), rel=1e-12)

    @each_kind
    def test_figures_that_change_nothing_give_the_roofline(self, recipe: Recipe) -> None:
        """Where a model calls figures neutral, the time is the longest engine's and what is exposed."""
        plain = self.time_model.figures()
        if not self.time_model.neutral(plain):
            return
        op = ops_at(recipe, Grid.of({"batch": BATCHES, "context": CONTEXTS}, PRECISIONS).at)
        stack = attrs.evolve(self.stack(plain), tuning={"none": {"any": 1.0}})  # else the model is not asked
        np.testing.assert_allclose(stack.time(self.cost(op), op), ideal_time(self.cost(op)), rtol=1e-12)

    def test_a_file_names_it(self) -> None:
        """A stack's file with nothing but the model's name is read as its figures without any entry."""
        text = f'title = "S"\n[time]\nmodel = "{self.time_model.name}"\n'
        stack = stack_from(text.encode(), "s", "s.toml", lambda name: None, lambda name: self.time_model)
        assert stack.time_model is self.time_model
        assert stack.figures == self.time_model.figures()

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_what_it_frees_is_its_own(self, variant: str) -> None:
        """Parameters stand in tables of the figures, or in the tuning, and start within their range."""
        for narrow in (False, True):
            frees = self.time_model.frees(variant, narrow, tiled=True)
            assert len({free.path for free in frees}) == len(frees)
            for free in frees:
                own = self.time_model.mark(free.table) is not None
                assert own or free.table.startswith("tuning."), free.table
                assert free.low <= free.start <= free.high
