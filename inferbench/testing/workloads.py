"""What every workload generator must satisfy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
import pytest

from inferbench.discovery.registry import installed
from inferbench.records.grid import Grid
from inferbench.records.interfaces import Workload
from inferbench.records.network import Network
from inferbench.records.op import Op
from inferbench.records.system import Layout

__all__ = ["WorkloadContract"]


_KEPT: tuple[tuple[str, Callable[[Op], Any]], ...] = (
    ("operations", lambda op: op.useful),
    ("bytes of weights", lambda op: op.bytes.weights),
    ("bytes of state", lambda op: op.bytes.state),
    ("state held", lambda op: op.resident.state),
)


class WorkloadContract:
    """Inherit it, name a workload and networks (installed ones, or `Network` records).

    Attributes:
        workload: The plugin's object.
        networks: Names of installed networks of this type, or networks.
        axes: Axis name to two values to try, beside the phase's defaults.
    """

    workload: ClassVar[Workload]
    networks: ClassVar[tuple[str | Network, ...]]
    axes: ClassVar[dict[str, tuple[float, float]]] = {"batch": (1.0, 3.0)}
    precisions: ClassVar[tuple[str, ...]] = ("bf16", "fp8", "w4a16")

    def cases(self) -> Iterable[tuple[Network, str, Any]]:
        """Every network in every phase."""
        for name in self.networks:
            if isinstance(name, str) and name not in installed().entries("networks"):
                pytest.skip(f"the network {name} is not installed")
            network = installed().network(name) if isinstance(name, str) else name
            for phase in self.workload.phases:
                yield network, phase.name, phase.axes

    def graph(self, network: Network, grid: Grid, phase: str) -> list[Op]:
        """The operators under default options."""
        return list(self.workload.graph(network, grid.at, phase, self.workload.options()))

    def _grid(self, defaults: dict[str, float]) -> Grid:
        axes = {name: list(self.axes.get(name, (value,))) for name, value in defaults.items()}
        return Grid.of(axes, list(self.precisions))

    def test_grid_equals_points(self) -> None:
        """Operations and bytes of a grid equal those of its points one by one."""
        for network, phase, defaults in self.cases():
            grid = self._grid(defaults)
            whole = [
                (grid.full(op.useful * op.repeat), grid.full(op.bytes.total * op.repeat))
                for op in self.graph(network, grid, phase)
            ]
            for index in np.ndindex(*whole[0][0].shape):
                axes = {
                    name: [float(values[i])]
                    for (name, values), i in zip(grid.axes.items(), index[:-1], strict=True)
                }
                point = Grid.of(axes, [grid.precisions[index[-1]]])
                for (useful, total), op in zip(whole, self.graph(network, point, phase), strict=True):
                    np.testing.assert_allclose(useful[index], np.max(op.useful * op.repeat), rtol=1e-12)
                    np.testing.assert_allclose(total[index], np.max(op.bytes.total * op.repeat), rtol=1e-12)

    def test_figures_are_float64_and_not_negative(self) -> None:
        """No integer on the path, nothing below zero."""
        for network, phase, defaults in self.cases():
            for op in self.graph(network, self._grid(defaults), phase):
                for value in (op.useful, op.bytes.total, op.parameters, op.resident.total, op.repeat):
                    array = np.asarray(value)
                    assert array.dtype == np.float64, f"{network.name}/{phase} {op.name}: {array.dtype}"
                    assert np.all(array >= 0), f"{network.name}/{phase} {op.name}"

    def test_names_are_unique(self) -> None:
        """A breakdown can name each operator."""
        for network, phase, defaults in self.cases():
            names = [op.name for op in self.graph(network, self._grid(defaults), phase)]
            assert len(set(names)) == len(names), f"{network.name}/{phase}: {names}"

    def test_parameters_equal_the_published_total(self) -> None:
        """Weights held by the graph add up to the published count, to half a per cent or its rounding."""
        for network, phase, defaults in self.cases():
            if np.isnan(network.published.parameters) or phase != self.workload.phases[0].name:
                continue
            ops = self.graph(network, self._grid(defaults), phase)
            total = float(np.max(sum(op.parameters * op.instances for op in ops)))
            allowed = max(0.005, network.published.rounding)
            deviation = total / network.published.parameters - 1
            assert abs(deviation) <= allowed, (
                f"{network.name}: {total:.6g} against {network.published.parameters:.6g} ({deviation:+.2%})"
            )

    def test_shards_lose_no_work(self) -> None:
        """The chips of a tensor-parallel group together do at least the whole model's work, and hold all
        weights.
        """
        layout = Layout(tp=2)
        for network, phase, defaults in self.cases():
            for op in self.graph(network, self._grid(defaults), phase):
                mine = op.shard(layout)
                assert np.all(np.asarray(mine.useful) * 2 >= np.asarray(op.useful) * (1 - 1e-9)), op.name
                assert np.all(np.asarray(mine.parameters) * 2 >= np.asarray(op.parameters) * (1 - 1e-9)), (
                    op.name
                )

    def test_lowering_keeps_work_and_state(self) -> None:
        """An operator of the plugin's own kind lowers to primitives that do as much and hold as much."""
        for network, phase, defaults in self.cases():
            for op in self.graph(network, self._grid(defaults), phase):
                parts = tuple(op.lower())
                if parts == (op,):
                    continue
                for what, get in _KEPT:
                    total = sum(get(part) * part.repeat for part in parts)
                    np.testing.assert_allclose(total, get(op), rtol=1e-9, err_msg=f"{op.name}: {what}")
