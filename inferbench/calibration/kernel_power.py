"""Fit the energies of kernels alone in a loop: a baseline, joules per operation and per byte.

`P = min(P0 + eF F/t + eB B/t, limit)`. Kernels of one kind share P0 and eB, each format has an eF of its own;
attention has one for all formats, as its readings can't tell them apart. Joules per byte are the memory's:
the first kind fixes them, and later ones take them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.kernels import Kernel, kernels
from inferbench.calibration.steps import FOLDS, scipy_optimize
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.intervals import INTERVAL, conformal_logs
from inferbench.num import Array
from inferbench.records.chip import Chip
from inferbench.records.fit import FitPart
from inferbench.records.free import Free
from inferbench.records.measurement import Measurement

__all__ = ["KernelEnergies", "fit_kernel_energies"]

# Exponent of a limit that has a slope, for the search only.
SOFT = 20.0
ROBUST = 0.1
# Kinds of which all formats share one energy of an operation.
ONE = ("attention",)


@attrs.frozen(eq=False)
class Readings:
    """Readings of one kind as arrays over rows: key, group left out together, counts per second, watts.

    Attributes:
        spelled: Precision as the source writes it, by key: two spellings of a format are two kernels.
        rates: Action to counts per second.
        files: Names of the files.
    """

    keys: Array
    groups: Array
    rates: Mapping[str, Array]
    watts: Array
    files: Array

    def of(self, mask: Any) -> Readings:
        """Some of them."""
        rates = {name: rate[mask] for name, rate in self.rates.items()}
        return Readings(self.keys[mask], self.groups[mask], rates, self.watts[mask], self.files[mask])


@attrs.frozen(eq=False)
class KernelEnergies:
    """What was fitted.

    Attributes:
        energies: `baseline`, `ops` or `bytes.<level>`, to key to watts or joules.
        errors: Key to the log standard error of mean power.
        parts: Key to how well it does.
        files: Name of each file to its rows that took part.
        left: Rows that were not taken, by reason.
    """

    energies: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, float]
    parts: Mapping[str, FitPart]
    files: Mapping[str, int]
    left: Mapping[str, int]


def fit_kernel_energies(
    rows: Sequence[tuple[str, Measurement]],
    chip: Chip,
    registry: Registry,
    frees: Sequence[Free],
    software: Sequence[str],
    spellings: Sequence[str],
    kinds: Sequence[str],
) -> KernelEnergies:
    """Fit all kinds of kernels whose power was read.

    Args:
        rows: Each with its file's name.
        chip: Whose rows to fit.
        registry: For aliases, architectures and fabrics.
        frees: Baseline, operation, byte: from the power model, in this order.
        software: Beginnings of the software's names; none: all.
        spellings: Precisions to keep, as the source writes them; none: all. All are fitted: the board is one.
        kinds: Beginnings of the kernels' keys; none: all.

    Raises:
        InferBenchError: No row has a reading of power, or too few.
    """
    left: Counter[str] = Counter()
    sorted_rows, spelled = _readings(rows, chip, registry, frees, software, kinds, left)
    if not sorted_rows:
        said = "; ".join(f"{count} {why}" for why, count in left.most_common(4))
        raise InferBenchError.at(
            "--power",
            f"no kernel of {chip.name} has a reading of power: {said or 'no row'}",
            "name another chip",
        )
    energies: dict[str, dict[str, float]] = {free.table: {} for free in frees}
    errors, parts, files = dict[str, float](), dict[str, FitPart](), Counter[str]()
    byte: float | None = None
    for kind, some in sorted(sorted_rows.items(), key=lambda pair: (pair[0] != "gemm", pair[0])):
        found, own_parts, own_errors = _study(some, frees, byte, chip.power.tdp, kind)
        byte = found[1 + len(set(some.keys))] if byte is None else byte
        for i, name in enumerate(sorted(set(some.keys))):
            key = _kept(name, spelled, spellings)
            if key is None or key in errors:
                left[f"of {name}, fitted with the others and not asked for"] += int(np.sum(some.keys == name))
                continue
            for free, value in zip(frees, (found[0], found[1 + i], byte), strict=True):
                energies[free.table][key] = float(value)
            errors[key], parts[key] = own_errors[name], own_parts[name]
            files += Counter(some.files[some.keys == name].tolist())
    return KernelEnergies(energies, errors, parts, files, dict(left))


def _kept(name: str, spelled: Mapping[str, tuple[str, str]], spellings: Sequence[str]) -> str | None:
    """The key under which a kernel is written; None for one in a spelling that was not asked for."""
    key, spelling = spelled[name]
    return key if not spellings or not spelling or spelling in spellings else None


def _readings(
    rows: Sequence[tuple[str, Measurement]],
    chip: Chip,
    registry: Registry,
    frees: Sequence[Free],
    software: Sequence[str],
    kinds: Sequence[str],
    left: Counter[str],
) -> tuple[dict[str, Readings], dict[str, tuple[str, str]]]:
    """Readings by kind, and for each kernel in them its key and its precision as the source writes it."""
    read = [row for _, row in rows if row.op and np.isfinite(row.power_w)]
    left["without a reading of power that can be used"] += len(rows) - len(read)
    places = {id(row): file for file, row in rows}
    columns: dict[str, list[tuple[str, str, list[float], float, str]]] = {}
    spelled: dict[str, tuple[str, str]] = {}
    for spelling in dict.fromkeys(row.precision for row in read):
        for kernel in _some(
            [row for row in read if row.precision == spelling], chip, registry, software, left
        ):
            if kinds and not any(kernel.key.startswith(kind) for kind in kinds):
                left[f"of {kernel.key}, which was not asked for"] += len(kernel.rows)
                continue
            one = kernel.variant.startswith(ONE)
            name = kernel.variant if one else f"{kernel.key} ({spelling})"
            spelled[name] = (kernel.variant, "") if one else (kernel.key, spelling)
            rates = [_count(kernel, free.table) for free in frees[1:]]
            columns.setdefault(kernel.variant, []).extend(
                (name, group, [float(rate[i]) for rate in rates], row.power_w, places[id(row)])
                for i, (group, row) in enumerate(zip(kernel.groups, kernel.rows, strict=True))
            )
    return {kind: _arrays(some, frees) for kind, some in columns.items()}, spelled


def _some(
    rows: Sequence[Measurement], chip: Chip, registry: Registry, software: Sequence[str], left: Counter[str]
) -> list[Kernel]:
    """Kernels of rows in one spelling; none where none can be costed."""
    try:
        found, why = kernels(rows, chip, registry, software)
    except InferBenchError as error:
        left[error.faults[0].found] += len(rows)
        return []
    left.update(why)
    return found


def _count(kernel: Kernel, action: str) -> Array:
    """Counts of an action per second, of shape (rows,)."""
    total: Any = 0.0
    for op, cost in zip(kernel.ops, kernel.bare, strict=True):
        total = total + np.asarray(cost.actions.get(action, 0.0)) * op.repeat
    return np.asarray(np.broadcast_to(total, (1, len(kernel.measured)))[0] / kernel.measured)


def _arrays(some: Sequence[tuple[str, str, list[float], float, str]], frees: Sequence[Free]) -> Readings:
    names, groups, rates, watts, files = zip(*some, strict=True)
    table = np.array(rates)
    by_action = {free.table: table[:, i] for i, free in enumerate(frees[1:])}
    return Readings(np.array(names), np.array(groups), by_action, np.array(watts), np.array(files))


def _fit(some: Readings, frees: Sequence[Free], byte: float | None, limit: float) -> Array:
    """Baseline, energy of an operation per key in sorted order, joules per byte unless given."""
    baseline, op, moved = frees
    names = sorted(set(some.keys))
    which = np.array([names.index(name) for name in some.keys])
    chosen = [baseline, *[op] * len(names), *([moved] if byte is None else [])]
    scale = np.array([free.start for free in chosen])
    ops, touched = (some.rates[free.table] for free in (op, moved))

    def off(x: Array) -> Array:
        y = x * scale
        demand = y[0] + y[1 + which] * ops + (y[-1] if byte is None else byte) * touched
        return np.asarray(np.log(demand / (1 + (demand / limit) ** SOFT) ** (1 / SOFT) / some.watts))

    low, high = (np.array([getattr(free, end) for free in chosen]) / scale for end in ("low", "high"))
    found = scipy_optimize("least_squares")(
        off, np.ones(len(chosen)), bounds=(low, high), loss="soft_l1", f_scale=ROBUST, x_scale=1.0
    )
    return np.asarray(found.x * scale)


def _watts(
    found: Array,
    names: Sequence[str],
    some: Readings,
    frees: Sequence[Free],
    byte: float | None,
    limit: float,
) -> Array:
    """Mean power of every row."""
    which = np.array([names.index(name) for name in some.keys])
    each = found[-1] if byte is None else byte
    demand = found[0] + found[1 + which] * some.rates[frees[1].table] + each * some.rates[frees[2].table]
    return np.asarray(np.minimum(demand, limit))


def _left_out(some: Readings, folds: Any, frees: Sequence[Free], byte: float | None, limit: float) -> Array:
    """log(predicted / measured) of every row by the fit without its fold; NaN where a key is in one fold."""
    logs = np.full(len(some.watts), np.nan)
    for fold in sorted(set(folds.tolist())):
        out = folds == fold
        rest = some.of(~out)
        names = sorted(set(rest.keys))
        known = out & np.isin(some.keys, names)
        if known.any():
            test = some.of(known)
            model = _watts(_fit(rest, frees, byte, limit), names, test, frees, byte, limit)
            logs[known] = np.log(model / test.watts)
    return logs


def _study(
    some: Readings, frees: Sequence[Free], byte: float | None, limit: float, kind: str
) -> tuple[Array, dict[str, FitPart], dict[str, float]]:
    """Fit a kind, and score each of its kernels on groups and on rows left out.

    Raises:
        InferBenchError: Fewer than two rows per parameter.
    """
    names = sorted(set(some.keys))
    parameters = len(names) + (2 if byte is None else 1)
    if len(some.watts) < 2 * parameters:
        wanted = "; ".join(f"{free.table}: {free.settled}" for free in frees)
        raise InferBenchError.at(
            f"--power: {kind}",
            f"{len(some.watts)} rows for {parameters} parameters; at least {2 * parameters} were expected",
            f"measure what would settle them ({wanted})",
        )
    found = _fit(some, frees, byte, limit)
    groups = _left_out(some, some.groups, frees, byte, limit)
    rows = _left_out(some, np.arange(len(some.watts)) % FOLDS, frees, byte, limit)
    parts, errors = {}, {}
    for name in names:
        mine = (some.keys == name) & np.isfinite(groups)
        errors[name] = _width(groups[mine], some.groups[mine]) / INTERVAL
        parts[name] = FitPart(
            rows=int(np.sum(some.keys == name)),
            scored=int(mine.sum()),
            error=_mape(groups[mine]),
            error_rows=_mape(rows[mine & np.isfinite(rows)]),
            constant=_mape(_constant(some, name)),
            sd=float(np.sqrt(np.mean(np.square(groups[mine])))),
            coverage=_covered(groups[mine], some.groups[mine]) / max(int(mine.sum()), 1),
        )
    return found, parts, errors


def _constant(some: Readings, name: str) -> Array:
    """Logs of the geometric mean of a kernel's rows of other groups, over what was measured."""
    logs = np.log(some.watts)
    mine = some.keys == name
    found = []
    for group in sorted(set(some.groups[mine].tolist())):
        here, others = mine & (some.groups == group), mine & (some.groups != group)
        if others.any():
            found.append(logs[others].mean() - logs[here])
    return np.concatenate(found) if found else np.empty(0)


def _width(logs: Array, groups: Array) -> float:
    """Half width in logs of a 90% interval, stretched by `sqrt(1 + 1/g)` for g groups."""
    return float(conformal_logs(logs) * np.sqrt(1 + 1 / len(set(groups.tolist()))))


def _covered(logs: Array, groups: Array) -> int:
    """Rows inside intervals whose width comes from the errors of the other groups alone."""
    hits = 0
    for group in sorted(set(groups.tolist())):
        mine = groups == group
        if not mine.all():
            hits += int(np.sum(np.abs(logs[mine]) <= _width(logs[~mine], groups[~mine])))
    return hits


def _mape(logs: Array) -> float:
    """Mean absolute error in per cent; NaN of no rows."""
    return 100.0 * float(np.mean(np.abs(np.expm1(logs)))) if len(logs) else float("nan")
