"""Fit what ships again, from the tables that ship, and say figure by figure whether it comes out the same."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.fits import fit_recipe
from inferbench.calibration.outcome import FittedStack
from inferbench.calibration.recipe import Recipe
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.records.fit import Fit
from inferbench.records.stack import Stack
from inferbench.specs.options import structured_tuning
from inferbench.specs.toml import read_toml

__all__ = ["Again", "Figure", "fit_again", "fitted_names"]

# Figures are written in about four digits, and so equal to the last or not at all.
TOLERANCE = 1e-9
# Where rows can't tell parameters apart, a search may end at another point of the same valley. Then what the
# parameters give counts: times of all rows must agree within the kernel's own standard error, or this.
TIMES = 0.02
# Errors of rows left out come from many fits, each of fewer rows.
ERRORS = 0.05
OWNED = ("time", "host", "energy", "kernel_energy", "tuning", "fit")
NOT_FITTED = ("files", "parts", "domain")


@attrs.frozen
class Figure:
    """One figure that ships, and what the fit gives again.

    Attributes:
        path: Where it stands: `host.step`, `time.launch.gemm.fp8`.
        shipped, again: In SI units; NaN where one of them has none.
        tolerance: Up to which relative difference they are the same.
    """

    path: str
    shipped: float
    again: float
    tolerance: float = TOLERANCE

    @property
    def difference(self) -> float:
        """Relative difference; infinite where one of them has none."""
        missing = math.isnan(self.shipped), math.isnan(self.again)
        if self.shipped == self.again or all(missing):
            return 0.0
        if any(missing):
            return math.inf
        size = max(abs(self.shipped), abs(self.again))
        return abs(self.again - self.shipped) / size if math.isfinite(size) else math.inf

    @property
    def same(self) -> bool:
        """Whether they agree."""
        return self.difference <= self.tolerance


@attrs.frozen(eq=False)
class Again:
    """A shipped fit, made again.

    Attributes:
        name: Of the stack, or of the power model and the chip (`linear/h100-sxm`).
        commands: That made it.
        figures: All that was fitted.
        times: Kernel to the largest relative difference of the times of its rows.
        limits: Kernel to the log standard error of its time: within it times are the same.
        warnings: Files that are others than the cited ones.
    """

    name: str
    commands: tuple[str, ...]
    figures: tuple[Figure, ...]
    times: Mapping[str, float] = attrs.field(factory=dict)
    limits: Mapping[str, float] = attrs.field(factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def moved(self) -> tuple[Figure, ...]:
        """Figures that came out otherwise."""
        return tuple(figure for figure in self.figures if not figure.same)

    @property
    def same(self) -> bool:
        """Whether all agree, or where kernels' do not, at least the times of all their rows."""
        moved = [figure for figure in self.moved if not (self.times and figure.tolerance == TOLERANCE)]
        return not moved and all(
            times <= max(TIMES, self.limits.get(key, 0.0)) for key, times in self.times.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "same": self.same,
            "commands": list(self.commands),
            "figures": [
                {"path": f.path, "shipped": _plain(f.shipped), "again": _plain(f.again), "same": f.same}
                for f in self.figures
            ],
            "times": dict(self.times),
            "warnings": list(self.warnings),
        }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def fitted_names(registry: Registry) -> list[str]:
    """Names of everything that ships and says the command that fits it: stacks, and chips of power models."""
    names = [
        stack.name
        for stack in registry.stacks()
        if _commands(stack) or _architecture_figures(stack, registry)
    ]
    for name in registry.names("power_models"):
        names += [f"{name}/{chip}" for chip in sorted(registry.get("power_models", name).fitted())]
    return names


def fit_again(name: str, registry: Registry, progress: Callable[[str], None] | None = None) -> Again:
    """Fit something that ships by its own command, on the tables that ship.

    Args:
        name: A stack, or a power model and a chip: `linear/h100-sxm`.
        registry: Of plugins; it brings the tables.
        progress: Told what is fitted before it is.

    Raises:
        InferBenchError: An unknown name, one that was not fitted, or a table that no package ships.
    """
    with tempfile.TemporaryDirectory() as folder:
        if "/" in name:
            return _energies_again(name, registry, Path(folder), progress)
        stack = registry.stack(name)
        refits = _architecture_figures(stack, registry)
        if refits is not None:
            return Again(name, (stack.fit.command,), refits)
        commands = _commands(stack)
        if not commands:
            raise _not_fitted(name, registry)
        figures: list[Figure] = []
        times: dict[str, float] = {}
        warnings: list[str] = []
        for fit in commands:
            found, doubts = _again(fit, registry, Path(folder), progress)
            figures += _compared(stack, found)
            times |= _times(stack, found)
            warnings += doubts
    cited = tuple(fit.command for fit in commands)
    return Again(name, cited, tuple(figures), times, stack.fit.kernels, tuple(warnings))


def _commands(stack: Stack) -> list[Fit]:
    """The fits of a stack that `calibrate` can make again; not those of the stack that it is a variant of."""
    known = [fit for fit in (stack.fit, stack.energy_fit) if Recipe.reads(fit.command)]
    base = stack.based_on
    return [fit for fit in known if not base or Recipe.parse(fit.command).stack != base]


def _not_fitted(name: str, registry: Registry) -> InferBenchError:
    names = fitted_names(registry)
    return InferBenchError.at(
        name,
        "no command of calibrate says how it was fitted",
        suggest(name, names) or f"fitted are {', '.join(names[:8])}, …",
    )


def _again(
    fit: Fit, registry: Registry, folder: Path, progress: Callable[[str], None] | None
) -> tuple[FittedStack, list[str]]:
    """Run a command on the tables that ship, and say which of them are others than the cited ones."""
    recipe = Recipe.parse(fit.command)
    cited = {file.name: file.sha256 for file in fit.files}
    paths, doubts = [], []
    for file in recipe.files:
        table = registry.get("tables", Path(file).stem)
        paths.append(str(table.write(folder)))
        if cited.get(file) != table.sha256:
            doubts.append(f"{file} is another table than the one that was fitted on")
    return fit_recipe(attrs.evolve(recipe, files=tuple(paths)), registry, progress=progress), doubts


def _architecture_figures(stack: Stack, registry: Registry) -> tuple[Figure, ...] | None:
    """Figures of a stack whose architecture fits it itself; None where it does not."""
    name = stack.architectures[0] if len(stack.architectures) == 1 else ""
    if name not in registry.names("architectures"):
        return None
    found = registry.architecture(name).refit(stack.name)
    if found is None:
        return None
    tuning = structured_tuning(registry.architecture(name), stack)
    return tuple(
        Figure(f"tuning.{name}.{field}", float(getattr(tuning, field)), value)
        for field, value in found.items()
    )


def _energies_again(
    name: str, registry: Registry, folder: Path, progress: Callable[[str], None] | None
) -> Again:
    model, _, chip = name.partition("/")
    known = registry.get("power_models", model).fitted()
    if chip not in known:
        raise _not_fitted(name, registry)
    fit, values = known[chip]
    found, doubts = _again(fit, registry, folder, progress)
    again = {one.path: float(f"{one.value:.4g}") for one in found.parameters}
    figures = [Figure(path, values.get(path, math.nan), value) for path, value in again.items()]
    figures.append(Figure("rows", float(fit.rows), float(found.fit.rows)))
    return Again(name, (fit.command,), tuple(figures), warnings=tuple(doubts))


def _compared(stack: Stack, found: FittedStack) -> Iterator[Figure]:
    """Every figure that the file of a fit has, beside the shipped one."""
    raw, _ = read_toml(found.toml.encode(), f"{found.recipe.name}.toml")
    for table in OWNED:
        for path in _paths(raw.get(table, {}), (table,)):
            again = _at(found.stack, path)
            if isinstance(again, int | float) and not isinstance(again, bool):
                shipped = _at(stack, path)
                left_out = path[0] == "fit" and path[1] != "rows"
                tolerance = ERRORS if left_out else TOLERANCE
                known = float(shipped) if isinstance(shipped, int | float) else math.nan
                yield Figure(".".join(path), known, float(again), tolerance)


def _paths(raw: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths of everything that is no table; what was not fitted is left out."""
    if not isinstance(raw, Mapping):
        yield path
        return
    for key, value in raw.items():
        if key not in NOT_FITTED:
            yield from _paths(value, (*path, key))


def _at(record: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path; NaN where nothing does."""
    for key in path:
        record = record.get(key, math.nan) if isinstance(record, Mapping) else getattr(record, key, math.nan)
    return record


def _times(stack: Stack, found: FittedStack) -> dict[str, float]:
    """Largest relative difference of the times of each kernel's rows under the two stacks."""
    if found.kernels is None:
        return {}
    differences = {}
    for fitted in found.kernels.fits:
        both = []
        for one in (stack, found.stack):
            table: Mapping[str, Any] = one.tuning.get(found.chip.architecture_type, {})
            tuning = {name: float(table.get(name, value)) for name, value in fitted.tuned.items()}
            both.append(fitted.kernel.time(one, tuning)[fitted.kernel.fitted])
        differences[fitted.kernel.key] = float(np.max(np.abs(both[1] / both[0] - 1.0)))
    return differences
