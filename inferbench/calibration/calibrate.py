"""Fit a stack's kernels to measurements: efficiencies, launches and overlap, each with its error on rows left
out.

Chip facts are never touched: a fit says which fraction of the datasheet's rate software reaches, and no
fraction is above one. Needs SciPy (`pip install 'inferbench-core[calibrate]'`).
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.entries import beside
from inferbench.calibration.fitting import Fitted, fit
from inferbench.calibration.kernels import FASTER, Kernel, kernels
from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.evidence.matching import read_rows
from inferbench.num import Array
from inferbench.records.chip import Chip
from inferbench.records.fit import Domain, Fit, FitFile, field_of
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel
from inferbench.records.variants import NAMED

__all__ = ["Calibration", "calibrate", "file_of"]

# Shares of rows faster than the roofline above which the chip is doubted, and the fit refused. The
# published tables have at most a tenth (caches hold what is counted as read from memory).
DOUBTED, REFUSED = 0.3, 0.5
# Measured over roofline, in the median of a kernel, above which the unit is doubted; published ones are at 17
# at most.
SLOW = 30.0


@attrs.frozen(eq=False)
class Calibration:
    """What was fitted, and everything that was not.

    Attributes:
        chip: Fitted on.
        fits: One per kind of kernel and precision.
        refused: Kernels with too few rows: key to what was said.
        left: Rows not taken, by reason.
        files: What was read, with how many rows of each were fitted.
        software: As the rows name it.
        tuning: As given.
        warnings: What makes one doubt that the rows are of this chip, or in the unit that is taken.
        base: What the stack is based on.
    """

    chip: Chip
    fits: tuple[Fitted, ...]
    refused: dict[str, str]
    left: dict[str, int]
    files: tuple[FitFile, ...]
    software: tuple[str, ...]
    tuning: Mapping[str, Any] = attrs.field(factory=dict)
    warnings: tuple[str, ...] = ()
    base: Stack | None = None

    @property
    def domain(self) -> Domain:
        """The box in which the rows lie."""
        precisions = dict.fromkeys(
            fitted.kernel.precision
            for fitted in self.fits
            if not fitted.kernel.variant.startswith("collective")
        )
        ops: dict[str, dict[str, tuple[float, float]]] = {}
        for fitted in self.fits:
            box = ops.setdefault(_family(fitted.kernel.variant), {})
            for field, (low, high) in _ranges(fitted.kernel).items():
                known = box.get(field, (low, high))
                box[field] = (min(low, known[0]), max(high, known[1]))
        return Domain(chips=(self.chip.name,), precisions=tuple(sorted(precisions)), ops=ops)

    @property
    def fit(self) -> Fit:
        """The record of the fit: errors weighted by rows; a kind that the base has a figure of keeps that."""
        weights = np.array([fitted.part.rows for fitted in self.fits], dtype=np.float64)
        sds = np.array([fitted.part.log_error for fitted in self.fits])
        errors = np.array([fitted.part.error for fitted in self.fits])
        seen = np.isfinite(errors)
        kinds = dict.fromkeys(fitted.kernel.key.partition(".")[0] for fitted in self.fits)
        of = {kind: np.array([f.kernel.key.partition(".")[0] == kind for f in self.fits]) for kind in kinds}
        theirs = self.base.fit.kernels if self.base is not None else {}
        pooled = [kind for kind in kinds if kind not in theirs and kind in POOLED]
        kernels = {kind: _rms(sds[of[kind]], weights[of[kind]]) for kind in pooled}
        kernels |= {fitted.kernel.key: fitted.part.log_error for fitted in self.fits}
        rows = int(weights.sum())
        return Fit(
            rows=rows,
            on=f"{rows} rows of {self.chip.name} under {', '.join(self.software)}",
            files=self.files,
            date=datetime.date.today().isoformat(),
            error=float(np.average(errors[seen], weights=weights[seen])) if seen.any() else math.nan,
            kernel=_rms(sds, weights),
            kernels=kernels,
            parts={fitted.kernel.key: fitted.part for fitted in self.fits},
        )


def calibrate(
    files: Sequence[str | Path],
    chip: Chip,
    registry: Registry,
    *,
    software: Sequence[str] = (),
    spellings: Sequence[str] = (),
    kinds: Sequence[str] = (),
    without: Sequence[str] = (),
    tuning: Mapping[str, Any] | None = None,
    base: Stack | None = None,
    progress: Callable[[str], None] | None = None,
) -> Calibration:
    """Fit every kind of kernel that the files have rows of.

    Args:
        files: Anything an importer reads.
        chip: Whose rows to fit.
        registry: For importers, aliases, architectures and fabrics.
        software: Beginnings of the software's names; needed where the rows are of several.
        spellings: Precisions to take, as the source writes them; none: all.
        kinds: Beginnings of the kernels' keys to take (`gemm`, `attention.context`); none: all.
        without: Beginnings of the names that the source gives its kernels (column `kernel`), to leave out:
            where one library has several for one layer.
        tuning: The stack's `[tuning.<architecture>]`; its tiles are taken as given, how they fill is
            fitted. What it leaves open is as the architecture says is usual.
        base: What the stack will be based on: its entries of other kinds hold in the fit too. Its time model
            is fitted, unless the one that the architecture names extends it.
        progress: Told the key of each kernel before it is fitted.

    Raises:
        InferBenchError: No row, software that is not one, SciPy missing, no kernel with enough rows, or
            more than half of the rows faster than the chip's roofline.

    Example:
        >>> calibrate(["gemm.csv"], chip, registry).fit.error               # doctest: +SKIP
        4.3
    """
    read = {file: read_rows(file, registry, given={"chip": chip.name}) for file in files}
    rows = [row for some in read.values() for row in some]
    architecture = registry.architecture(chip.architecture_type)
    tuning = {**architecture.usual, **(tuning or {})}
    model = _time_model(registry.time_model(architecture.time_model), base)
    found, left = kernels(rows, chip, registry, software, spellings, tuning, model, without)
    wanted = _wanted(found, kinds, left)
    doubts = _doubts(wanted, chip)
    fits, refused = _fits(wanted, chip, base, progress)
    taken = {id(row) for fitted in fits for row in fitted.kernel.taken}
    cited = tuple(file_of(file, sum(id(row) in taken for row in some)) for file, some in read.items())
    versions = tuple(dict.fromkeys(fitted.kernel.software for fitted in fits))
    if all(fitted.kernel.variant.startswith("collective") for fitted in fits):
        tuning = {}  # exchanges know no tiles
    doubts = (*doubts, *(said for fitted in fits for said in _strange(fitted)))
    return Calibration(chip, tuple(fits), refused, left, cited, versions, tuning, doubts, base)


def _time_model(usual: TimeModel, base: Stack | None) -> TimeModel:
    """The model to fit: that of the base, unless the architecture's has all that this one has."""
    if base is None or issubclass(usual.figures, base.time_model.figures):
        return usual
    return base.time_model


def file_of(path: str | Path, rows: int) -> FitFile:
    """A file that was fitted on, by its hash.

    Args:
        path: Where it is.
        rows: How many of its rows took part.
    """
    return FitFile(Path(path).name, hashlib.sha256(Path(path).read_bytes()).hexdigest(), rows)


def _fits(
    wanted: Sequence[Kernel], chip: Chip, base: Stack | None, progress: Callable[[str], None] | None
) -> tuple[list[Fitted], dict[str, str]]:
    """Fit one kernel after the other; the first tiled one fits the tuning of all.

    Raises:
        InferBenchError: None could be fitted.
    """
    fits, refused, faults, tuned = [], dict[str, str](), list[Fault](), dict[str, float]()
    for kernel in wanted:
        if progress is not None:
            progress(kernel.key)
        try:
            _possible([kernel], chip)
            fits.append(fit(attrs.evolve(kernel.tiled_as(tuned), beside=beside(base, kernel))))
        except InferBenchError as error:
            refused[kernel.key] = str(error)
            faults += error.faults
        else:
            tuned |= fits[-1].tuned
    if faults and not fits:
        raise InferBenchError(faults)
    if not fits:
        raise InferBenchError.of_argument(
            "kind", "no kernel of this kind in the files", "leave it out to see which there are"
        )
    return fits, refused


def _strange(fitted: Fitted) -> Iterator[str]:
    """What can't well be: times so long that a wrong unit is likelier than bad software."""
    key, kernel = fitted.kernel.key, fitted.kernel
    times = float(np.median((kernel.measured / kernel.roofline)[kernel.fitted]))
    if times > SLOW:
        yield (
            f"{key}: the median row takes {times:,.0f} times as long as the roofline of the chip: are its"
            " times in the unit that their column says?"
        )
    for free, value in zip(fitted.frees, fitted.values, strict=True):
        if free.table.startswith("efficiency.") and value <= free.low * 1.05:
            yield (
                f"{key}: {free.path} ends at {value:.2g}, the lowest that is thought possible: no software is"
                " so slow; check the unit of the times, and the chip"
            )


def _wanted(found: Sequence[Kernel], kinds: Sequence[str], left: dict[str, int]) -> list[Kernel]:
    """Kernels of the kinds that were asked for; the rows of others are counted."""
    wanted = []
    for kernel in sorted(found, key=lambda one: one.key):
        if kinds and not any(kernel.key.startswith(kind) for kind in kinds):
            left[f"of {kernel.key}, which was not asked for"] = len(kernel.measured)
        else:
            wanted.append(kernel)
    return wanted


def _faster(some: Sequence[Kernel], chip: Chip) -> tuple[float, str]:
    """Share of the rows that are faster than the roofline, and the sentence that says so."""
    rows = sum(len(kernel.measured) for kernel in some)
    beaten = sum(kernel.screened.count(FASTER) for kernel in some)
    said = f"{beaten:,} of {rows:,} rows are faster than the roofline of {chip.name}: is this the right chip?"
    return beaten / max(rows, 1), said


def _possible(some: Sequence[Kernel], chip: Chip) -> None:
    """Refuse what can't have been measured on the chip."""
    share, said = _faster(some, chip)
    if share > REFUSED:
        raise InferBenchError.of_argument(
            "chip", said, "name the chip that was measured, or correct its spec"
        )


def _doubts(some: Sequence[Kernel], chip: Chip) -> tuple[str, ...]:
    """What to warn of: all rows together, else each kernel alone.

    Raises:
        InferBenchError: More than half of all rows are faster than the roofline.
    """
    _possible(some, chip)
    share, said = _faster(some, chip)
    if share > DOUBTED:
        return (said,)
    alone = [(kernel.key, *_faster([kernel], chip)) for kernel in some]
    return tuple(f"{key}: {said}" for key, share, said in alone if share > DOUBTED)


def _family(variant: str) -> str:
    """A variant without the size of its group."""
    return variant.rpartition(".")[0] if variant.startswith("collective") else variant


def _rms(values: Array, weights: Array) -> float:
    return float(np.sqrt(np.average(np.square(values), weights=weights)))


FIELDS = ("m", "n", "k", "batch", "heads", "keys", "qk_dim", "payload", "group")
# Of kinds of plugins, where the operator has them under these names.
THEIRS = ("tokens", "key_dim", "value_dim", "sequences", "channels")
# Kinds whose kernels are so alike that one without a figure takes another's, with its error.
POOLED = (*NAMED, "collective")


def _ranges(kernel: Kernel) -> dict[str, tuple[float, float]]:
    """Lowest and highest of each field of the operator among the rows that were fitted."""
    fields = {name: values[kernel.fitted] for name, values in kernel.fields.items()}
    if "kv_heads" in fields:
        fields["group"] = fields["heads"] / fields["kv_heads"]
    op = kernel.ops[0]
    fields |= {
        name: np.ravel(np.broadcast_to(getattr(op, name), (1, len(kernel.measured))))[kernel.fitted]
        for name in THEIRS
        if hasattr(op, name)
    }
    ours = {OURS.get(name, name): values for name, values in fields.items()}
    return {
        name: (float(values.min()), float(values.max()))
        for name, values in ours.items()
        if name in (*FIELDS, *THEIRS) and field_of(op, name) is not None
    }


# Fields of attention have other names in the operator.
OURS = {"head_dim": "qk_dim"}
