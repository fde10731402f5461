"""Measured rows to kernels: which rows are taken, which operator each is, and which are not to be scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.operators import Sort, cost, typed_tuning
from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.evidence.operators import lacking, operators_of, regime, unknown_routing
from inferbench.num import Array, Mask, Numeric
from inferbench.records.chip import Chip
from inferbench.records.cost import Cost
from inferbench.records.free import Free
from inferbench.records.kinds import op_kinds
from inferbench.records.lookup import PerKernel
from inferbench.records.measurement import EXPERTS, Measurement
from inferbench.records.op import Op
from inferbench.records.precision import FORMATS, Precision, stored
from inferbench.records.stack import IDEAL, Stack
from inferbench.records.time_model import TimeModel
from inferbench.records.variants import EXPERT_PRODUCTS

__all__ = ["FASTER", "SHORT", "Kernel", "kernels"]

# Below this a timer and the host show as much as the kernel.
SHORT = 10e-6
# Collectives are scored from here on, and fitted on all sizes: a kernel of a few microseconds is all latency.
MESSAGE = 64 * 1024
PLAIN = ("bf16", "fp16")
AMOUNTS = ("batch", "tokens", "m")
FASTER = "faster than the roofline"


@attrs.frozen(eq=False)
class Kernel:
    """Measurements of one kind of kernel in one precision, costed once.

    Attributes:
        variant: As stacks know it: `attention.generation`.
        precision: Our name of it.
        spelled: As the source writes it.
        key: Under which a stack holds it: the variant, with the precision after it unless that is plain 16
            bits.
        ops, costs: What was measured together, each with arrays of shape (1, rows).
        bare: The costs without any tuning: what the hardware does by itself.
        formats: What the chip computes in.
        model: What turns costs into seconds, with the parameters that may be fitted.
        measured: Seconds, of shape (rows,).
        groups: What a row belongs to when whole groups are left out: a shape, heads, a network.
        screened: Why a row is neither fitted nor scored; empty if it is.
        unscored: Rows that are fitted, but not scored.
        fields: What was measured, as columns of shape (rows,).
        software: Under which.
        rows: As they were read.
        tiled: Whether the tuning given counts tiles and waves for it.
        recost: Costs under other values of the tuning's fields.
        beside: Entries of other kinds, by table, from what the stack is based on; see `entries.beside`.
    """

    variant: str
    precision: str
    spelled: str
    key: str
    ops: tuple[Op, ...]
    costs: tuple[Cost, ...]
    bare: tuple[Cost, ...]
    formats: tuple[str, ...]
    model: TimeModel
    measured: Array
    groups: tuple[str, ...]
    screened: tuple[str, ...]
    unscored: Mask
    fields: Mapping[str, Array]
    software: str = ""
    rows: tuple[Measurement, ...] = ()
    tiled: bool = False
    recost: Callable[[Mapping[str, float]], tuple[Cost, ...]] | None = None
    beside: Mapping[str, PerKernel] = attrs.field(factory=dict)

    def time(self, stack: Stack, tuning: Mapping[str, float] | None = None) -> Array:
        """Seconds under a stack, of shape (rows,); `tuning` replaces fields of the architecture's."""
        return self._sum(stack, self.recost(tuning) if tuning and self.recost is not None else self.costs)

    def _sum(self, stack: Stack, costs: tuple[Cost, ...]) -> Array:
        total: Numeric = 0.0
        for op, one in zip(self.ops, costs, strict=True):
            total = total + stack.time(one, op, self.formats) * op.repeat
        every: Array = np.broadcast_to(np.asarray(total, dtype=np.float64), (1, len(self.measured)))[0]
        return every

    @property
    def roofline(self) -> Array:
        """Seconds under ideal software: the floor."""
        return self._sum(IDEAL, self.bare)

    @property
    def fitted(self) -> Mask:
        """Mask of the rows to fit."""
        return np.array([not why for why in self.screened])

    @property
    def taken(self) -> list[Measurement]:
        """The rows to fit, as they were read."""
        return [row for row, why in zip(self.rows, self.screened, strict=True) if not why]

    @property
    def scored(self) -> Mask:
        """Mask of the rows to score: the fitted ones but those that are fitted only, unless there are no
        others.
        """
        some = self.fitted & ~self.unscored
        return some if some.any() else self.fitted

    @property
    def shapes(self) -> int:
        """How many different things were measured among the rows to fit."""
        columns = np.nan_to_num(np.stack([values[self.fitted] for values in self.fields.values()]))
        return len(set(zip(*columns.tolist(), strict=True)))

    def tiled_as(self, values: Mapping[str, float]) -> Kernel:
        """The kernel under a tuning that another one has fitted: a chip's products have one."""
        if self.recost is None or not values:
            return self
        return attrs.evolve(self, costs=self.recost(values), tiled=False, recost=None)

    @property
    def terms(self) -> tuple[Free, ...]:
        """What of its form stands in the tables of a stack: all but the figures of its tuning."""
        frees = self.model.frees(self.variant, self.narrow, self.tiled)
        return tuple(free for free in frees if not free.table.startswith("tuning."))

    @property
    def suffix(self) -> str:
        """What the key adds to the variant: a dot and the precision, or nothing."""
        return self.key.removeprefix(self.variant)

    @property
    def narrow(self) -> bool:
        """Whether activations are stored in fewer than 16 bits."""
        return bool(self.ops[0].precision.activations.max() < 2.0)


def kernels(
    rows: Sequence[Measurement],
    chip: Chip,
    registry: Registry,
    software: Sequence[str] = (),
    spellings: Sequence[str] = (),
    tuning: Mapping[str, Any] | None = None,
    model: TimeModel | None = None,
    without: Sequence[str] = (),
) -> tuple[list[Kernel], dict[str, int]]:
    """Sort the rows of a chip into kernels.

    Args:
        rows: Of any chips and software.
        chip: Whose rows to take.
        registry: For aliases, the architecture and fabrics.
        software: Beginnings of the software's names, any case; where two measured the same, the first one
            counts. None: all, which must then be one.
        spellings: Precisions as the source writes them; none: all, one spelling per precision of ours.
        tuning: The stack's `[tuning.<architecture>]`: how the architecture tiles products.
        model: The stack's time model; None: the one that the architecture names.
        without: Beginnings of the names that the source gives its kernels, to leave out.

    Returns:
        The kernels, and how many rows were not taken, by reason.

    Raises:
        InferBenchError: No row is left; rows of several software versions measure the same thing.
    """
    left: Counter[str] = Counter()
    taken = _taken(rows, chip, registry, software, spellings, without, left)
    if not taken:
        said = "; ".join(f"{count} {why}" for why, count in left.most_common(6))
        raise InferBenchError.at(
            chip.name,
            f"no row can be fitted: {said or 'the file has none'}",
            "name another chip, software or file",
        )
    sorts: dict[Sort, list[Measurement]] = {}
    for sort, row in taken:
        sorts.setdefault(sort, []).append(row)
    for sort in _doubled(sorts):
        why = (
            f"of {sort.variant} written '{sort.spelled}', where others say the same in other words: fit them"
            " alone"
        )
        left[why] += len(sorts.pop(sort))
    for sort, some in sorts.items():
        sorts[sort] = _one_software(sort, some, software, left)
    chosen = model or registry.time_model(registry.architecture(chip.architecture_type).time_model)
    return [_kernel(sort, some, chip, registry, tuning or {}, chosen) for sort, some in sorts.items()], dict(
        left
    )


def _one_software(
    sort: Sort, rows: Sequence[Measurement], software: Sequence[str], left: Counter[str]
) -> list[Measurement]:
    """Rows of one version: where several measured the same, of the first that was asked for."""
    versions = sorted({row.software for row in rows})
    if len(versions) == 1:
        return list(rows)
    asked = [[v for v in versions if v.lower().startswith(one.lower())] for one in software]
    first = next((some for some in asked if some), [])
    if len(first) != 1 or len(asked) < 2:
        found, give = f"measured under {', '.join(versions)}", (("software", versions[0]),)
        raise InferBenchError([Fault(sort.variant, found, "choose one, as in {give}", give=give)])
    for row in rows:
        if row.software != first[0]:
            left[f"of {sort.variant} under {row.software}: {first[0]} was asked for first"] += 1
    return [row for row in rows if row.software == first[0]]


def _taken(
    rows: Sequence[Measurement],
    chip: Chip,
    registry: Registry,
    software: Sequence[str],
    spellings: Sequence[str],
    without: Sequence[str],
    left: Counter[str],
) -> list[tuple[Sort, Measurement]]:
    taken = []
    for row in rows:
        if registry.alias("chips", row.chip) != chip.name:
            left[f"of the chip {row.chip}"] += 1
        elif software and not any(row.software.lower().startswith(one.lower()) for one in software):
            left[f"under {row.software or 'software that is not named'}"] += 1
        elif spellings and row.precision not in spellings:
            left[f"in {row.precision}"] += 1
        elif any(str(row.extra.get("kernel", "")).startswith(one) for one in without):
            left[f"of the kernel {row.extra['kernel']}"] += 1
        elif not row.latency_s > 0:
            left["without a time"] += 1
        else:
            sort = _sort(row, registry)
            if isinstance(sort, str):
                left[sort] += 1
            else:
                taken.append((sort, row))
    return taken


def _doubled(sorts: Iterable[Sort]) -> list[Sort]:
    """Those whose precision another spelling gives too: our own spelling is taken, else the first."""
    best: dict[tuple[str, str], Sort] = {}
    every = sorted(sorts, key=lambda sort: (sort.spelled.lower() != sort.precision, sort.spelled))
    return [sort for sort in every if best.setdefault((sort.variant, sort.suffix), sort) is not sort]


def _sort(row: Measurement, registry: Registry) -> Sort | str:
    """What a row is of, or why it can't be fitted."""
    if row.op != EXPERTS and row.op not in op_kinds():
        return f"of '{row.op or row.network or 'nothing named'}', which is no kernel that can be fitted"
    if lacking(row):
        return f"without the {lacking(row)} that {row.op} needs"
    name = registry.alias("precisions", row.precision)
    width = registry.alias("precisions", str(row.extra.get("kv_dtype", ""))) or name
    try:
        point = Precision.of([name]).points[0]
    except InferBenchError:
        return f"in {row.precision}, which is no precision of ours"
    if unknown_routing(row):
        return f"routed as '{unknown_routing(row)}', which is not known"
    spelled, suffix = row.precision, "" if name in PLAIN else name
    variant = _variant(row)
    if row.op == "attention" and width in FORMATS and FORMATS[width] != stored(point.kv):
        bits = f"kv{8 * FORMATS[width]:g}"
        name, suffix, spelled = f"w16a16{bits}", bits, f"{row.precision} with KV in {width}"
        if point.activations not in PLAIN:
            return f"in {spelled}, which is no precision of ours"
    return Sort(variant, name, spelled, suffix)


def _variant(row: Measurement) -> str:
    if row.op != EXPERTS:
        return regime(row)
    shared = str(row.extra.get("variant", ""))
    return f"{EXPERT_PRODUCTS[0]}.{shared}" if shared else EXPERT_PRODUCTS[0]


def _kernel(
    sort: Sort,
    rows: Sequence[Measurement],
    chip: Chip,
    registry: Registry,
    tuning: Mapping[str, Any],
    model: TimeModel,
) -> Kernel:
    names = {name for row in rows for name in row.axes}
    fields = {name: np.array([row.axes.get(name, np.nan) for row in rows]) for name in sorted(names)}
    precision = Precision.of([sort.precision], (-1, 1))
    ops = operators_of(rows, precision)

    def costs(table: Mapping[str, Any]) -> tuple[Cost, ...]:
        typed = typed_tuning(chip, registry, table)
        return tuple(cost(op, chip, registry, typed)[0] for op in ops)

    bare, tuned = costs({}), costs(tuning)
    tiled = sort.variant == "gemm" and _differ(bare, tuned)
    grouped = sort.variant.startswith(EXPERT_PRODUCTS[0]) and any(one.waves is not None for one in tuned)
    formats = cost(ops[0], chip, registry)[1]
    key = f"{sort.variant}.{sort.suffix}" if sort.suffix else sort.variant
    measured = np.array([row.latency_s for row in rows])
    kernel = Kernel(
        sort.variant,
        sort.precision,
        sort.spelled,
        key,
        ops,
        tuned,
        bare,
        formats,
        model,
        measured,
        _groups(rows),
        ("",) * len(rows),
        np.zeros(len(rows), dtype=bool),
        fields,
        rows[0].software,
        tuple(rows),
        tiled or grouped,
        (lambda values: costs({**tuning, **values})) if tiled else None,
    )
    return _screen(kernel)


def _differ(some: Sequence[Cost], others: Sequence[Cost]) -> bool:
    """Whether a tuning changes what arithmetic costs."""
    pairs = zip(some, others, strict=True)
    return any(
        bool(np.any(one.busy.get("compute", 0.0) != other.busy.get("compute", 0.0))) for one, other in pairs
    )


def _screen(kernel: Kernel) -> Kernel:
    """Mark rows that say nothing about the kernel, by rules that don't look at any fit."""
    why = np.full(len(kernel.measured), "", dtype=object)
    collective = kernel.variant.startswith("collective")
    if not collective:
        why[kernel.measured < SHORT] = f"shorter than {SHORT * 1e6:g} us"
    why[kernel.measured < kernel.roofline] = FASTER
    other, said = kernel.model.other_kernel(kernel.ops[0], kernel.model.figures())
    why[np.broadcast_to(other, (1, len(why)))[0]] = said
    small = kernel.fields["payload"] < MESSAGE if collective else np.zeros(len(why), dtype=bool)
    return attrs.evolve(kernel, screened=tuple(why), unscored=small)


def _groups(rows: Sequence[Measurement]) -> tuple[str, ...]:
    """What every row belongs to; of one network's experts that chips share, how many chips do."""
    found = tuple(_group(row) for row in rows)
    if len(set(found)) > 1 or not all(row.op == EXPERTS and row.extra.get("variant") for row in rows):
        return found
    return tuple(f"{name} on {row.axes['ep']:g} chips" for name, row in zip(found, rows, strict=True))


def _group(row: Measurement) -> str:
    """What is left out together: a shape without its rows, the heads, a network, a size of message."""
    axes = row.axes
    if row.op == "gemm":
        return f"n {axes['n']:g}, k {axes['k']:g}"
    if row.op == "attention":
        return f"{axes['heads']:g} heads, {axes['kv_heads']:g} of keys, width {axes['head_dim']:g}"
    if row.op == "collective":
        return f"{axes['payload']:g} bytes"
    if row.op != EXPERTS:  # another batch or length of the same shape would vouch for a row that is left out
        return ", ".join(f"{name} {value:g}" for name, value in axes.items() if name not in AMOUNTS)
    return (
        f"hidden {axes['hidden']:g}, inner {axes['inter']:g}, {axes['topk']:g} of {axes['experts']:g} experts"
    )
