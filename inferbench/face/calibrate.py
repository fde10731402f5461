"""`calibrate`: a stack fitted to measurements, and scored on rows left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import attrs

from inferbench import files
from inferbench.calibration.fits import FittedStack, fit_recipe
from inferbench.calibration.recipe import Kind, Recipe
from inferbench.calibration.shipped import Again, fit_again, fitted_names
from inferbench.calibration.writing import Labels, energy_toml, scheduler_toml, without_energies
from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import listed
from inferbench.face.verb import verb
from inferbench.records.stack import Stack
from inferbench.report.calibration import again_report, fit_report
from inferbench.report.model import Report

KINDS: tuple[Kind, ...] = ("kernels", "serving", "power", "class")

__all__ = ["Calibrated", "Refits", "calibrate"]


@attrs.frozen(eq=False, repr=False)
class Calibrated(Answer):
    """A stack fitted to measurements.

    Attributes:
        fitted: The fit: parameters, errors on rows left out, rows that were not taken, doubts.
        registry: Of plugins.
    """

    fitted: FittedStack
    registry: Registry

    @property
    def stack(self) -> Stack:
        """The stack as a record."""
        return self.fitted.stack

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes one doubt."""
        return self.fitted.warnings

    def report(self, verbose: bool = False) -> Report:
        """Return the errors per kernel or part; `verbose` adds every parameter of kernels."""
        return fit_report(self.fitted, verbose, ())

    def summary(self) -> str:
        """Name the stack, the chip and the number of parameters."""
        return f"{self.stack.name} on {self.fitted.chip.name}: {len(self.fitted.parameters)} parameters"

    def write(self, path: str | Path, force: bool = False) -> tuple[str, ...]:
        """Write the stack's file, which `stack=PATH` reads back.

        Energies of kernels that stand in a file which is replaced are kept, and how its engine takes
        requests. Energies that were fitted take their place in it, and the rest of the file stays.

        Args:
            path: Of the file.
            force: Whether to replace a file that is there.

        Returns:
            What a reader must know of it: energies that were kept, or that are missing.

        Raises:
            InferBenchError: The file is there already.
            OSError: It can't be written.
        """
        target = Path(path)
        if not self.fitted.energies:  # energies are added to a file, everything else replaces it
            files.refuse_existing(target, force, "path")
        old = target.read_text("utf-8") if files.has_content(target) else ""
        if self.fitted.energies and old:
            files.write(target, without_energies(old) + self.fitted.energies)
            return ()
        kept = energy_toml(old) if old and self.fitted.kernels is not None else ""
        files.write(target, self.fitted.toml + scheduler_toml(old) + kept)
        if kept:
            return (f"kept the energies of kernels that stood in {path}",)
        return self._without() if self.fitted.kernels is not None else ()

    def _without(self) -> tuple[str, ...]:
        """What is lost where an installed stack of this name has energies of kernels."""
        name, known = self.fitted.recipe.name, self.registry
        if name not in known.names("stacks") or not known.stack(name).kernel_energy:
            return ()
        said = f"{name} has energies of kernels; a calibration fits none, so this file has none"
        return (f"{said} (see docs/explanation/power.md)",)


@attrs.frozen(eq=False, repr=False)
class Refits(Answer):
    """Fits that ship, made again from the tables that ship.

    Attributes:
        fits: Figure by figure, in the order asked for.
    """

    fits: tuple[Again, ...]

    @property
    def same(self) -> bool:
        """Whether all came out the same."""
        return all(one.same for one in self.fits)

    def report(self, verbose: bool = False) -> Report:
        """Return one row per fit; `verbose` adds every figure, and not only those that moved."""
        return again_report(self.fits, verbose)

    def summary(self) -> str:
        """Name the fits and whether they are the same."""
        return ", ".join(f"{one.name}: {'the same' if one.same else 'another'}" for one in self.fits)


@overload
def calibrate(
    *,
    shipped: str | Sequence[str],
    watch: Callable[[str], None] | None = None,
    registry: Registry | None = None,
) -> Refits: ...


@overload
def calibrate(
    files: str | Path | Sequence[str | Path] = (), *, registry: Registry | None = None, **asked: Any
) -> Calibrated: ...


@verb  # type: ignore[misc]  # the second overload names no argument twice
def calibrate(
    files: str | Path | Sequence[str | Path] = (),
    *,
    serving: str | Path | Sequence[str | Path] = (),
    power: str | Path | Sequence[str | Path] = (),
    of_class: str | Path | Sequence[str | Path] = (),
    chip: str | None = None,
    stack: str | None = None,
    software: str | Sequence[str] = (),
    precision: str | Sequence[str] = (),
    network: str | Sequence[str] = (),
    kind: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    free: str | Sequence[str] = (),
    phase: str | Sequence[str] = (),
    pool: Mapping[str, str] | None = None,
    join: Mapping[str, str] | None = None,
    tuning: str | None = None,
    based_on: str | None = None,
    title: str = "",
    note: str = "",
    cite: str = "",
    url: str = "",
    shipped: str | Sequence[str] = (),
    watch: Callable[[str], None] | None = None,
    registry: Registry | None = None,
) -> Calibrated | Refits:
    """Fit a stack's kernels, or what whole steps add to them, and score it on rows left out.

    With `shipped` alone it fits again what ships, and says whether it comes out the same.

    Args:
        files: Measured kernels; anything an importer reads.
        serving: Measured whole steps instead: host time is fitted on top of the kernels of `based_on`.
        power: Readings of power instead: energies of whole steps, or of kernels alone.
        of_class: Published times of whole steps instead: the prior of a class of chips, which `stack` names,
            or with `chip` a stack of few figures that is drawn to it.
        chip: Whose rows to fit; kernels need it.
        stack: Name of the stack; `mine` where none is given.
        software: Beginnings of the software's names in the rows.
        precision: Precisions to take, as the rows write them.
        network: Networks to take, where whole steps are fitted.
        kind: Kernels to take: beginnings of their keys.
        without: Kernels to leave out: beginnings of the names in the rows' column `kernel`.
        free: Parameters of a step to fit (`host.step`).
        phase: Phases that the stack is for; by default those of the rows.
        pool: Other chips, each with its kernel stack: fitted alike, their errors count too.
        join: Other chips, each with its kernel stack: fitted together, with one set of parameters.
        tuning: Stack whose `[tuning]` says how products are tiled.
        based_on: Stack that fills in what these rows don't fix.
        title, note, cite, url: What the stack's file says of itself and of its source.
        shipped: Stacks, energies like `linear/h100-sxm`, or `all`, to fit again from the tables that ship.
        watch: Told what is fitted before it is.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Files of both kinds or of none, unknown names, too few rows; SciPy is missing.

    Example:
        >>> import inferbench as ib
        >>> found = ib.calibrate("gemm.csv", chip="h100-sxm", software="TRTLLM-1.3")     # doctest: +SKIP
        >>> found.write("mine.toml")                                            # doctest: +SKIP
        >>> ib.calibrate(shipped="vllm-h100").same                              # doctest: +SKIP
        True
    """
    known = registry or installed()
    if shipped:
        return _again(listed(shipped), known, watch)
    given = {"serving": _paths(serving), "power": _paths(power), "class": _paths(of_class)}
    what, paths = _kind(kernels=_paths(files), **given)
    recipe = Recipe(
        kind=what,
        files=paths,
        chip=chip,
        stack=stack,
        based_on=based_on,
        software=listed(software),
        networks=listed(network),
        precisions=listed(precision),
        kinds=listed(kind),
        without=listed(without),
        tuning=tuning,
        free=listed(free),
        phases=listed(phase),
        pool=dict(pool or {}),
        join=dict(join or {}),
    )
    return Calibrated(fit_recipe(recipe, known, Labels(title, note, cite=cite, url=url), watch), known)


def _kind(**given: tuple[str, ...]) -> tuple[Kind, tuple[str, ...]]:
    """Which one kind of file was given, and the files."""
    kinds = [one for one in KINDS if given[one]]
    if len(kinds) != 1:
        found = f"files for {' and for '.join(kinds)}" if kinds else "no file to fit"
        remedy = (
            "give either measured kernels (files), measured steps (serving, of_class) or readings of power"
            " (power)"
        )
        raise InferBenchError.of_argument("files", found, remedy)
    return kinds[0], given[kinds[0]]


def _again(names: Sequence[str], known: Registry, watch: Callable[[str], None] | None) -> Refits:
    """Fit again what ships: the names, or all that says the command that fits it."""
    chosen = fitted_names(known) if tuple(names) == ("all",) else names
    return Refits(tuple(fit_again(name, known, watch) for name in chosen))


def _paths(files: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return (str(files),) if isinstance(files, str | Path) else tuple(str(one) for one in files)
