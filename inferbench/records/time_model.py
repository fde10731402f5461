"""`TimeModel`: what turns the cost of a kernel into seconds, by figures of the software."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Mask, Numeric
from inferbench.records.cost import Cost
from inferbench.records.free import Free
from inferbench.records.immutable import frozen
from inferbench.records.kernel_tables import ByKernel, kernel_tables, mark_of, table_names
from inferbench.records.lookup import Lookup, PerKernel
from inferbench.records.op import Op
from inferbench.records.owned import Owned
from inferbench.units import Deviation

__all__ = ["TimeModel", "Unfitted"]


@frozen
class Unfitted:
    """Log standard errors of kernels that a stack was not fitted on; NaN where nobody has measured any.

    Attributes:
        kernel: Of a kernel that computes and that the stack has no figure of: its time is the roofline's.
        movement: The same of one that only moves data.
        other: Of an operator for which software takes another kernel than the one that was fitted.
    """

    kernel: Deviation = math.nan
    movement: Deviation = math.nan
    other: Deviation = math.nan


class TimeModel(Owned, ABC):
    """How software turns the cost of a kernel into seconds. Sees one operator; knows no workload.

    A stack names its model in `[time] model`; the other keys of `[time]` are read as `figures`.

    .. versionadded:: 0.1

    Attributes:
        name: As stacks write it.
        title: One line.
        figures: Attrs class of the keys of a stack's `[time]`. A field may be a table by kind of kernel:
            `Annotated[PerKernel, ByKernel(unit)]`. All fields need defaults.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    figures: ClassVar[type]

    @abstractmethod
    def time(self, cost: Cost, figures: Any, at: Lookup) -> Numeric:
        """Return the seconds of one execution, never fewer than its longest engine and what is exposed.

        Args:
            cost: On hardware alone.
            figures: A stack's, of the class `figures`.
            at: Finds the entries of tables for the operator: `at.find("launch", figures.launch, 0.0)`; the
                operator itself is `at.op`.

        Returns:
            Broadcastable to the grid.
        """

    def neutral(self, figures: Any) -> bool:
        """Whether figures change nothing: the time is the longest engine's, and what is exposed."""
        return False

    def unfitted(self, figures: Any) -> Unfitted:
        """Say how far kernels are off that a fitted stack has no figure of; not known by default."""
        return Unfitted()

    def other_kernel(self, op: Op, figures: Any) -> tuple[Mask, str]:
        """Say where software runs another kernel than those that are fitted, and why; nowhere by default."""
        return np.asarray(False), ""

    def frees(self, variant: str, narrow: bool = False, tiled: bool = False) -> tuple[Free, ...]:
        """Say what measured kernels may fix, within which bounds; nothing by default.

        Args:
            variant: Kind and variant of the kernel: `gemm`, `attention.generation.mha`.
            narrow: Whether its activations are stored in fewer than 16 bits.
            tiled: Whether the architecture says how it tiles such work, by the tuning that is given.

        Returns:
            Parameters whose tables are tables of `figures`, or fields of the tuning (`tuning.prologue`).
        """
        return ()

    def tables(self, figures: Any) -> dict[str, tuple[PerKernel, ByKernel]]:
        """The tables by kind of kernel that have entries, by path: `launch`, `efficiency.memory`."""
        return kernel_tables(figures)

    def mark(self, path: str) -> ByKernel | None:
        """How entries of a table are written; None where the model has no such table."""
        return mark_of(self.figures, path)

    def with_entry(self, figures: Any, path: str, key: str, value: float) -> Any:
        """Figures with one entry more.

        Args:
            figures: Of the model.
            path: Of the table: `efficiency.memory`.
            key: Kind of kernel.
            value: Of the entry.

        Raises:
            InferBenchError: The model has no such table.
        """
        name, _, engine = path.partition(".")
        if self.mark(path) is None:
            tables = ", ".join(table_names(self.figures)) or "none"
            raise InferBenchError.at(path, f"no table of the time model {self.name}", f"it has {tables}")
        table = getattr(figures, name)
        changed = {**table.get(engine, {}), key: value} if engine else value
        return attrs.evolve(figures, **{name: {**table, engine or key: changed}})

    def record(self, tables: Mapping[str, PerKernel]) -> Any:
        """Build figures from tables by path: `efficiency.memory` is the table `memory` in `efficiency`."""
        fields: dict[str, Any] = {}
        for path, table in tables.items():
            name, _, key = path.partition(".")
            if key:
                fields.setdefault(name, {})[key] = table
            else:
                fields[name] = table
        return self.figures(**fields)
