"""`Roofline`: efficiencies, overlap and launches, the time model that suits any chip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from inferbench.num import Numeric
from inferbench.records.cost import Cost
from inferbench.records.free import Free
from inferbench.records.immutable import frozen
from inferbench.records.kernel_tables import (
    EfficiencyByKernel,
    Engine,
    ExponentByKernel,
    SecondsByKernel,
)
from inferbench.records.lookup import Lookup
from inferbench.records.overlap import maximum_of, one_path, power_sum
from inferbench.records.time_model import TimeModel

__all__ = ["ROOFLINE", "Roofline", "RooflineFigures"]

COMPUTE = Free("efficiency.compute", 0.7, 0.005, 1.0, 1.0, "shapes so large that arithmetic takes longest")
MEMORY = Free("efficiency.memory", 0.8, 0.05, 1.0, 1.0, "shapes of many bytes and little arithmetic")
NETWORK = Free("efficiency.network", 0.8, 0.02, 1.0, 1.0, "messages of a hundred megabytes")
OVERLAP = Free("overlap", 2.0, 1.0, 12.0, math.inf, "shapes whose arithmetic and bytes take about as long")
LAUNCH = Free(
    "launch", 5e-6, 0.0, 1e-3, 0.0, "shapes so small that nothing but the launch takes time", unit="s"
)
COMBINE = Free(
    "efficiency.memory", 0.5, 0.02, 1.0, 1.0, "many tokens to narrow experts", of="elementwise.experts"
)


@frozen
class RooflineFigures:
    """What a roofline needs of software.

    Attributes:
        efficiency: Engine (`compute`, `memory`, `memory.hbm`, `network`) to fractions of the datasheet's rate
            that kernels reach.
        overlap: Exponents p of `(sum busy^p)^(1/p)`, which joins the engines; `inf`, the default, is a plain
            maximum, 1 a plain sum.
        launch: Seconds to start one kernel.
    """

    efficiency: Mapping[Engine, EfficiencyByKernel] = attrs.field(factory=dict)
    overlap: ExponentByKernel = attrs.field(factory=dict)
    launch: SecondsByKernel = attrs.field(factory=dict)


class Roofline(TimeModel):
    """`|busy_i / efficiency_i|_p + exposed + launch`, with |.|_p the p-norm of the engines.

    Levels of memory are one engine, the slowest of them: the same bytes stream through all.

    Example:
        >>> from inferbench import Cost, Gemm, Precision, RooflineFigures, Stack
        >>> half = RooflineFigures(efficiency={"memory": {"gemm": 0.5}}, launch={"default": 1.0})
        >>> op = Gemm(name="up", precision=Precision.of(["bf16"]), m=1.0, n=8.0, k=8.0)
        >>> Stack(name="s", title="S", figures=half).time(Cost(busy={"memory.hbm": 3.0}), op)
        7.0
    """

    name: ClassVar[str] = "roofline"
    title: ClassVar[str] = "efficiencies by engine, overlap and launches"
    figures: ClassVar[type] = RooflineFigures

    def time(self, cost: Cost, figures: Any, at: Lookup) -> Numeric:
        """Return the seconds of one execution."""
        return self.joined(list(self.engines(cost, figures, at).values()), cost, figures, at)

    def engines(self, cost: Cost, figures: RooflineFigures, at: Lookup) -> dict[str, Numeric]:
        """Busy seconds of each engine at the rates that software reaches."""
        return one_path(
            {engine: self._over(seconds, engine, figures, at) for engine, seconds in cost.busy.items()}
        )

    def joined(self, parts: list[Numeric], cost: Cost, figures: RooflineFigures, at: Lookup) -> Numeric:
        """Seconds of parts that run side by side, with what is exposed and the launch after them."""
        p = at.find("overlap", figures.overlap, math.inf)
        plain = math.isinf(p) if isinstance(p, float) else np.all(np.isinf(p))
        together = maximum_of(parts) if plain else power_sum(parts, p)
        return exposed(together, cost) + at.find("launch", figures.launch, 0.0)

    def neutral(self, figures: Any) -> bool:
        """Whether there is no figure at all."""
        return not self.tables(figures)

    def frees(self, variant: str, narrow: bool = False, tiled: bool = False) -> tuple[Free, ...]:
        """Rates, overlap and launch; of an exchange the links' rate."""
        if variant.startswith("collective"):
            return (NETWORK, OVERLAP, LAUNCH)
        common = (COMPUTE, MEMORY, OVERLAP, LAUNCH)
        if not variant.startswith("gemm.experts"):
            return common
        return (*common, attrs.evolve(COMBINE, of=f"elementwise{variant.removeprefix('gemm')}"))

    @staticmethod
    def _over(seconds: Numeric, engine: str, figures: RooflineFigures, at: Lookup) -> Numeric:
        table = figures.efficiency.get(engine)
        if table is None:
            table = figures.efficiency.get(engine.split(".")[0])
        return seconds if table is None else seconds / at.find(engine, table, 1.0)


def exposed(together: Numeric, cost: Cost) -> Numeric:
    """Seconds with what overlaps with nothing after them."""
    for seconds in cost.exposed.values():
        together = together + seconds
    return together


ROOFLINE = Roofline()
