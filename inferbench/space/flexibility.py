"""The whole workload space as arrays, and the flexibility scores over it.

A space is one matrix per quantity, systems down and points across, so that every question about it is one
array expression. Every listed point weighs the same: on axes listed in factors of two that is a uniform
weight on log axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from inferbench.errors import InferBenchError
from inferbench.num import Array, Column, Mask, Numeric, numbered
from inferbench.records.roles import ROLES, Role
from inferbench.records.run import Metric, Run
from inferbench.records.system import System
from inferbench.space.alignment import aligned, dependent, keys
from inferbench.space.texts import Text, joined

__all__ = [
    "DEFINITIONS",
    "Definition",
    "Space",
    "densified",
    "figures",
    "flexibility",
    "label",
    "passes",
    "plain",
    "share_by",
    "thinned",
]

LABELS = ("network", "phase", "precision")
COORDINATES = ("batch", "context")


@attrs.frozen(eq=False)
class Space:
    """Systems by points.

    Attributes:
        systems: Names, the rows.
        chips: Chips of each system, shape (systems, 1).
        axes: Axis to the coordinate of every point, each of shape (points,): text for `network`, `phase` and
            `precision`, float64 for the others.
        feasible: Boolean, (systems, points).
        values: Metric's name to float64, (systems, points); NaN where infeasible or not known.
        metrics: Role to the metric that plays it.

    Example:
        >>> mfu = Metric("mfu", "MFU", "", "higher", lambda run: 0.0, role="utilization")
        >>> space = Space(("a", "b"), np.ones((2, 1)), {"batch": np.array([1.0, 2.0])}, np.ones((2, 2), bool),
        ...               {"mfu": np.array([[0.4, 0.6], [0.1, 0.2]])}, {"utilization": mfu})
        >>> space.count, passes(space, DEFINITIONS["peak"]).tolist()
        (2, [[False, True], [False, False]])
    """

    systems: tuple[str, ...]
    chips: Array
    axes: Mapping[str, Column]
    feasible: Mask
    values: Mapping[str, Array]
    metrics: Mapping[Role, Metric] = attrs.field(factory=dict)

    def has(self, *roles: Role) -> bool:
        """Whether it has the quantities of some roles."""
        return all(role in self.metrics and self.metrics[role].name in self.values for role in roles)

    def of(self, role: Role) -> Array:
        """Values of the metric of a role, (systems, points).

        Raises:
            InferBenchError: No installed metric has the role, or its column is not there.
        """
        if not self.has(role):
            found = f"no metric is the {role} of a system: {ROLES[role]}"
            raise InferBenchError.at(role, found, "pip install inferbench-metrics")
        return self.values[self.metrics[role].name]

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.feasible.shape[1])

    def phases(self) -> list[str]:
        """Phases, in the order of the points."""
        return list(dict.fromkeys(self.axes["phase"].tolist())) if "phase" in self.axes else []

    def select(self, mask: Mask) -> Space:
        """Return the points of a mask alone."""
        return attrs.evolve(
            self,
            axes={name: values[mask] for name, values in self.axes.items()},
            feasible=self.feasible[:, mask],
            values={name: values[:, mask] for name, values in self.values.items()},
        )

    @classmethod
    def of_columns(cls, columns: Mapping[str, Column | Text], metrics: Mapping[Role, Metric]) -> Space:
        """Build from flat columns, one row per system and point: what a sweep's Parquet holds.

        Args:
            columns: `system`, `chips`, `feasible`, coordinates, and metrics by their names.
            metrics: Which of them are taken, by their roles.

        Raises:
            InferBenchError: Systems that don't cover the same points.
        """
        named = columns["system"]
        named = named if isinstance(named, Text) else Text.of(named.tolist())
        systems = tuple(named.words)
        axes = {
            name: columns[name]
            for name in (*LABELS, *COORDINATES)
            if name in columns and not _unknown(columns[name])
        }
        if "batch" in axes and dependent(axes, len(systems)):
            del axes["batch"]
        where = np.stack(aligned(systems, named.codes, *keys(axes)))
        feasible = np.asarray(columns["feasible"], dtype=bool)[where]
        values = {
            name: np.where(feasible, np.asarray(columns[name], dtype=np.float64)[where], np.nan)
            for name in (metric.name for metric in metrics.values())
            if name in columns
        }
        chips = np.asarray(columns["chips"], dtype=np.float64)[where[:, :1]]
        taken = {name: plain(axis)[where[0]] for name, axis in axes.items()}
        return cls(systems, chips, taken, feasible, values, metrics)

    @classmethod
    def of_runs(cls, runs: Sequence[Run], metrics: Mapping[Role, Metric]) -> Space:
        """Build from runs: every system on the same workloads over the same grids.

        Args:
            runs: In any order.
            metrics: Of `Registry.roles`.
        """
        parts = [_columns(run, list(metrics.values())) for run in runs]
        return cls.of_columns(joined(parts), metrics)


def plain(values: Column | Text) -> Column:
    """A column spelled out."""
    return values.values() if isinstance(values, Text) else np.asarray(values)


def _unknown(values: Column | Text) -> bool:
    return not isinstance(values, Text) and values.dtype != object and bool(np.isnan(values).all())


def label(system: System) -> str:
    """Name a system as it was asked for: with its layout where that was given and not searched.

    Two layouts of the same chips are two systems of a space.

    Example:
        >>> import inferbench
        >>> label(System(inferbench.installed().chip("b200"), 8, inferbench.Layout(tp=8)))
        '8xb200:tp8'
    """
    return f"{system}:{system.layout}" if system.layout else str(system)


def _columns(run: Run, metrics: Sequence[Metric]) -> dict[str, Column | Text]:
    size = run.grid.size

    def flat(values: Numeric | Mask) -> Array:
        return np.asarray(run.values(np.asarray(values))).reshape(-1)

    at = run.grid.at
    texts = {"system": label(run.system), "network": run.network.name, "phase": run.phase}
    columns: dict[str, Column | Text] = {
        name: Text(np.zeros(size, np.int32), {text: 0}) for name, text in texts.items()
    }
    code = at.precision.along_axis([float(i) for i in range(len(run.grid.precisions))])
    written = {name: i for i, name in enumerate(run.grid.precisions)}
    columns["precision"] = Text(flat(code).astype(np.int32), written)
    for name in COORDINATES:
        columns[name] = flat(at[name]) if name in at.coordinates else np.full(size, np.nan)
    columns["chips"], columns["feasible"] = np.full(size, run.system.count), flat(run.feasible)
    for metric in metrics:
        columns[metric.name] = flat(np.asarray(metric.of(run), dtype=np.float64))
    return columns


@attrs.frozen
class Definition:
    """One reading of "flexibility": a point passes if useful TOPS exceed a threshold times a yardstick.

    Attributes:
        name: As written in JSON.
        title: What is compared with what.
        best: Whether the yardstick is the system's own best useful TOPS; else the datasheet peak of the
            format.
        within: Axes inside which the best is taken: `("phase", "precision")` takes one best for each pair of
            them.
    """

    name: str
    title: str
    best: bool = False
    within: tuple[str, ...] = ()


DEFINITIONS: Mapping[str, Definition] = {
    one.name: one
    for one in (
        Definition("peak", "utilization of the format's peak"),
        Definition("best", "of its own best useful TOPS", best=True),
        Definition(
            "best-per-precision", "of its own best at the precision", best=True, within=("precision",)
        ),
        Definition("best-per-phase", "of its own best in the phase", best=True, within=("phase",)),
        Definition(
            "best-per-phase-and-precision",
            "of its own best in the phase at the precision",
            best=True,
            within=("phase", "precision"),
        ),
        Definition(
            "best-per-network",
            "of its own best on the network, phase and precision",
            best=True,
            within=("network", "phase", "precision"),
        ),
    )
}
"""The first is the definition line of the design note, an early proposal of this benchmark, the second the
sentence below that line; the others are what else the second could mean.
"""


def passes(space: Space, definition: Definition, threshold: float = 0.5) -> Mask:
    """Which points pass, (systems, points); an infeasible or unknown point fails.

    Args:
        space: With utilization and useful operations.
        definition: What the useful TOPS are compared with.
        threshold: Fraction that must be exceeded.
    """
    if not definition.best:
        return above(space.of("utilization"), threshold)
    useful = np.where(space.feasible, space.of("useful"), np.nan)
    return above(useful, threshold * _best(space, useful, definition.within))


def above(values: Array, bar: Numeric) -> Mask:
    """Whether values exceed a bar; an unknown one doesn't."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values > bar)


def _best(space: Space, useful: Array, within: Sequence[str]) -> Array:
    """Each system's highest value among the points that agree on the axes `within`; shape as `useful`."""
    filled = np.where(np.isnan(useful), -np.inf, useful)
    within = [name for name in within if name in space.axes]
    if not within:
        return np.asarray(filled.max(axis=1, keepdims=True))
    _, groups = numbered(keys({name: space.axes[name] for name in within})[0])
    best = np.full((len(space.systems), groups.max() + 1), -np.inf)
    for row, values in zip(best, filled, strict=True):
        np.maximum.at(row, groups, values)
    return best[:, groups]


def flexibility(
    space: Space, definition: Definition, threshold: float = 0.5, phase: str | None = None
) -> Array:
    """Share of the points that pass, (systems,): every listed point weighs the same, infeasible ones fail.

    Args:
        space: All points, or those of a selection.
        definition: Which of the readings.
        threshold: Fraction that must be exceeded.
        phase: Count the points of this phase alone; the yardstick stays that of the whole space.
    """
    passed = passes(space, definition, threshold)
    if phase is not None:
        passed = passed[:, space.axes["phase"] == phase]
    return np.asarray(passed.mean(axis=1))


def share_by(space: Space, passed: Array | Mask, rows: str, columns: str) -> tuple[Column, Column, Array]:
    """Map a mask: mean over all other axes at every pair of coordinates.

    Args:
        space: Whose points they are.
        passed: (points,), of one system.
        rows, columns: Axes.

    Returns:
        Coordinates of the rows, of the columns, and the shares (rows, columns); NaN where the space has no
        point.
    """
    down, i = np.unique(space.axes[rows], return_inverse=True)
    across, j = np.unique(space.axes[columns], return_inverse=True)
    shape = (len(down), len(across))
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (i.reshape(-1), j.reshape(-1)), passed)
    np.add.at(count, (i.reshape(-1), j.reshape(-1)), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return down, across, total / count


def thinned(space: Space, axes: Sequence[str] = COORDINATES) -> Space:
    """Keep every second value of some axes, the first among them: the same space at half the density."""
    keep = np.ones(space.count, dtype=bool)
    for name in (axis for axis in axes if axis in space.axes):
        values, codes = np.unique(space.axes[name], return_inverse=True)
        if len(values) > 2:
            keep &= codes.reshape(-1) % 2 == 0
    return space.select(keep)


def densified(values: Array) -> Array:
    """List an axis twice as densely: the geometric middle of any two neighbours, rounded to a whole number,
    is added.

    Example:
        >>> densified(np.array([1.0, 2.0, 4.0, 8.0])).tolist()
        [1.0, 2.0, 3.0, 4.0, 6.0, 8.0]
    """
    values = np.unique(values)
    return np.unique(np.concatenate([values, np.rint(np.sqrt(values[1:] * values[:-1]))]))


def figures(space: Space) -> dict[str, Array]:
    """The four figures of merit of every system, (systems,): useful TOPS, the same per dollar and hour and
    per watt, each at the system's best point, and the flexibility.

    A figure taken at the best point is what a vendor would quote; NaN where nothing fits or a price is not
    known.

    Returns:
        Keys are the name of the metric of useful operations, alone and with what divides it.
    """
    useful, name = space.of("useful"), space.metrics["useful"].name
    rates = {
        name: useful,
        f"{name}_per_usd_per_hour": useful / space.of("cost"),
        f"{name}_per_w": useful / space.of("power"),
    }
    best = {name: np.where(np.isnan(values), -np.inf, values).max(axis=1) for name, values in rates.items()}
    found = {name: np.where(np.isinf(values), np.nan, values) for name, values in best.items()}
    return {**found, "flexibility": flexibility(space, DEFINITIONS["peak"])}
