"""`calibrate`: a stack fitted to measurements, and scored on rows left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from inferbench import files
from inferbench.calibration.fits import FittedStack, fit_recipe
from inferbench.calibration.recipe import Kind, Recipe
from inferbench.calibration.writing import Labels
from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import listed
from inferbench.records.stack import Stack
from inferbench.report.calibration import fit_report
from inferbench.report.model import Report

__all__ = ["Calibrated", "calibrate"]


@attrs.frozen(eq=False, repr=False)
class Calibrated(Answer):
    """A stack fitted to measurements.

    Attributes:
        fitted: The fit: parameters, errors on rows left out, rows that were not taken, doubts.
    """

    fitted: FittedStack

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

    def write(self, path: str | Path, force: bool = False) -> None:
        """Write the stack's file, which `stack=PATH` reads back.

        Args:
            path: Of the file.
            force: Whether to replace a file that is there.

        Raises:
            InferBenchError: The file is there already.
            OSError: It can't be written.
        """
        files.refuse_existing(path, force, "path")
        files.write(path, self.fitted.toml)


def calibrate(
    files: str | Path | Sequence[str | Path] = (),
    *,
    serving: str | Path | Sequence[str | Path] = (),
    power: str | Path | Sequence[str | Path] = (),
    chip: str | None = None,
    stack: str = "mine",
    software: str | Sequence[str] = (),
    precision: str | Sequence[str] = (),
    kind: str | Sequence[str] = (),
    free: str | Sequence[str] = (),
    phase: str | Sequence[str] = (),
    pool: Mapping[str, str] | None = None,
    tuning: str | None = None,
    based_on: str | None = None,
    title: str = "",
    note: str = "",
    cite: str = "",
    url: str = "",
    watch: Callable[[str], None] | None = None,
    registry: Registry | None = None,
) -> Calibrated:
    """Fit a stack's kernels, or what whole steps add to them, and score it on rows left out.

    Args:
        files: Measured kernels; anything an importer reads.
        serving: Measured whole steps instead: host time is fitted on top of the kernels of `based_on`.
        power: Readings of power instead: energies of whole steps, or of kernels alone.
        chip: Whose rows to fit; kernels need it.
        stack: Name of the stack.
        software: Beginnings of the software's names in the rows.
        precision: Precisions to take, as the rows write them.
        kind: Kernels to take: beginnings of their keys.
        free: Parameters of a step to fit (`host.step`).
        phase: Phases that the stack is for; by default those of the rows.
        pool: Other chips, each with its kernel stack: fitted alike, their errors count too.
        tuning: Stack whose `[tuning]` says how products are tiled.
        based_on: Stack that fills in what these rows don't fix.
        title, note, cite, url: What the stack's file says of itself and of its source.
        watch: Told what is fitted before it is.
        registry: Of plugins; everything installed by default.

    Raises:
        InferBenchError: Files of both kinds or of none, unknown names, too few rows; SciPy is missing.

    Example:
        >>> import inferbench as ib
        >>> found = ib.calibrate("gemm.csv", chip="h100-sxm", software="TRTLLM-1.3")     # doctest: +SKIP
        >>> found.write("mine.toml")                                            # doctest: +SKIP
    """
    given: dict[Kind, tuple[str, ...]] = {
        "kernels": _paths(files),
        "serving": _paths(serving),
        "power": _paths(power),
    }
    kinds = [one for one, paths in given.items() if paths]
    if len(kinds) != 1:
        found = "no file to fit" if not kinds else f"files of {' and of '.join(kinds)} at once"
        remedy = "give either measured kernels (files), measured steps (serving) or readings of power (power)"
        raise InferBenchError.of_argument("files", found, remedy)
    recipe = Recipe(
        kind=kinds[0],
        files=given[kinds[0]],
        chip=chip,
        stack=stack,
        based_on=based_on,
        software=listed(software),
        precisions=listed(precision),
        kinds=listed(kind),
        tuning=tuning,
        free=listed(free),
        phases=listed(phase),
        pool=dict(pool or {}),
    )
    labels = Labels(title, note, cite=cite, url=url)
    return Calibrated(fit_recipe(recipe, registry or installed(), labels, watch))


def _paths(files: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return (str(files),) if isinstance(files, str | Path) else tuple(str(one) for one in files)
