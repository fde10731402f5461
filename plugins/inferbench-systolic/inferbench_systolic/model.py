"""The systolic model: cycles of the busiest array at the beat that the stored peak implies, bytes at their
homes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs
import numpy as np

import inferbench as ib
from inferbench_systolic.cycles import Dataflow, Loading, Shape, Work, unfold

__all__ = ["Params", "Systolic", "documented_peak"]


@attrs.frozen
class Params:
    """A systolic chip's `[architecture]` table.

    Attributes:
        rows, columns: Cells of one array.
        arrays: Arrays per chip.
        clock: In Hz; the stored peaks decide times (see `Systolic.beat`), this checks them and serves
            `native`.
        dataflow: Which operand stays in the cells: weights `ws`, results `os`, inputs `is`.
        loading: Whether the next stationary tile loads behind the present one (`double`) or before it
            (`serial`).
        weight_rows_per_cycle: Rows of the stationary tile that enter an array per cycle; not given:
            loading keeps up with memory, so that it never binds.
        native: Format of which a cell does one multiply-accumulate per cycle; a chip without a stored
            peak for it gets `2 rows columns arrays clock`. Empty: peaks are stored, never derived.
        exponentials: Results per second of the engine beside the arrays that softmax needs; NaN where it is
            not published: softmax takes no time.

    Example:
        >>> Params(rows=128, columns=128, arrays=4, clock=1.5e9).dataflow
        'ws'
    """

    rows: int
    columns: int
    arrays: int
    clock: ib.Hertz = math.nan
    dataflow: Dataflow = "ws"
    loading: Loading = "double"
    weight_rows_per_cycle: int | None = None
    native: str = ""
    exponentials: ib.OpsPerSecond = math.nan

    def __attrs_post_init__(self) -> None:
        for name in ("rows", "columns", "arrays", "weight_rows_per_cycle"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise ValueError(f"{name} is {given}; expected at least 1")
        if self.weight_rows_per_cycle is not None and self.weight_rows_per_cycle > self.rows:
            raise ValueError(
                f"weight_rows_per_cycle is {self.weight_rows_per_cycle}; an array of {self.rows} rows loads "
                f"at most {self.rows} per cycle"
            )
        if self.native and self.native not in ib.FORMATS:
            raise ValueError(f"native is '{self.native}'; expected one of {', '.join(ib.FORMATS)}")

    @property
    def shape(self) -> Shape:
        """One of the arrays; a tile takes one cycle where nobody says how fast it loads."""
        return Shape(self.rows, self.columns, self.loading, self.weight_rows_per_cycle or self.rows)

    @property
    def operations(self) -> float:
        """Operations of all arrays per beat: 2 rows columns arrays."""
        return 2.0 * self.rows * self.columns * self.arrays


def documented_peak(params: Params) -> float:
    """Return what the documented arrays and clock multiply out to, in operations per second (1 MAC = 2).

    NaN without a clock. Compare it with the stored peak: TPU v6e's arrays reach theirs only at an
    implausible clock, so one of its documented figures doesn't describe the silicon.

    Example:
        >>> documented_peak(Params(rows=128, columns=128, arrays=8, clock=1.75e9)) / 1e12
        458.752
    """
    return params.operations * params.clock


class Systolic(ib.Architecture):
    """Systolic arrays behind a memory hierarchy; products count cycles, everything else moves bytes."""

    name = "systolic"
    title = "Systolic array"
    params = Params
    reserve = 0.1  # what vLLM and TensorRT-LLM keep unless told otherwise

    def peak(self, chip: ib.Chip, precision: str) -> float:
        """Return the stored peak; without one, the arrays' own for their native format, else NaN."""
        params: Params = chip.architecture
        derived = documented_peak(params) if precision == params.native else math.nan
        return chip.peak.get(precision, derived)

    def remarks(self, chip: ib.Chip, tuning: ib.NoParams) -> Iterator[str]:
        """Say that the loading of weights into the arrays is not limited where no figure is published."""
        params: Params = chip.architecture
        if params.weight_rows_per_cycle is None and params.dataflow != "os":
            yield (
                f"{chip.title}: how fast weights load into the arrays is not published; loading is taken to"
                " keep up with memory"
            )

    def beat(self, op: ib.Op, site: ib.Site) -> ib.Numeric:
        """Return array steps per second at the op's precision: stored peak / (2 rows columns arrays).

        It is the clock where the documented figures multiply out. At int8 with twice the bf16 peak it is
        twice the clock: two half-wide operands share a wire and a cell, in loading as in streaming.
        """
        params: Params = site.chip.architecture
        return site.rate(op) / params.operations

    def gemm(self, op: ib.Gemm, site: ib.Site) -> ib.Cost:
        """Cost a matrix product: cycles of the busiest array.

        Args:
            op: One execution, already sharded.
            site: The chip; no tuning.

        Returns:
            `compute` (streaming) and, double-buffered at a known rate, `compute.load` (loading stationary
            tiles): the longer of the two is the time in the arrays. `detail` has `cycles` and `folds` of the
            busiest array. Shapes broadcast from the op's fields and the precision axis. NaN where the chip
            has no peak.

        Example:
            One token, 8192 x 8192 weights, 8 arrays of 128 x 128 that load a row a cycle: 512 folds each,
            each held up by 128 rows of weights: 65,790 cycles of which 512 would be enough.
        """
        return self._cost(op, site, [self._unfold(site, op.m, op.n, op.k, op.count)])

    def attention(self, op: ib.Attention, site: ib.Site) -> ib.Cost:
        """Cost attention as two products per sequence and KV head: queries with keys, weights with values.

        The query heads that share a KV head stream together (m = queries heads / kv_heads). Of causally
        masked keys only the mean number per query counts (pairs / queries): masked folds are skipped.
        Every pair takes an exponential: where that is longer, `compute.exp` is what they take.
        """
        m, keys = op.queries * op.heads / op.kv_heads, op.pairs / op.queries
        count = op.batch * op.kv_heads
        scores = self._unfold(site, m, keys, op.qk_dim, count)
        values = self._unfold(site, m, op.v_dim, keys, count)
        cost, rate = self._cost(op, site, [scores, values]), site.chip.architecture.exponentials
        seconds = op.batch * op.heads * op.pairs / rate
        longer = seconds > cost.busy["compute"]
        if math.isnan(rate) or not np.any(longer):
            return cost
        return attrs.evolve(cost, busy={**cost.busy, "compute.exp": ib.where(longer, seconds, 0.0)})

    def elementwise(self, op: ib.Elementwise, site: ib.Site) -> ib.Cost:
        """Cost element-wise work: its bytes; vector units keep up with memory."""
        return _moved(op, site)

    def reduce(self, op: ib.Reduce, site: ib.Site) -> ib.Cost:
        """Cost a reduction: its bytes."""
        return _moved(op, site)

    def move(self, op: ib.Move, site: ib.Site) -> ib.Cost:
        """Cost moved bytes."""
        return _moved(op, site)

    def _unfold(self, site: ib.Site, m: ib.Numeric, n: ib.Numeric, k: ib.Numeric, count: ib.Numeric) -> Work:
        params: Params = site.chip.architecture
        return unfold(params.dataflow, m, n, k, params.shape, count, params.arrays)

    def _cost(self, op: ib.Op, site: ib.Site, works: list[Work]) -> ib.Cost:
        """Cost products that run one after the other."""
        beat = self.beat(op, site)
        cycles, streaming, loading = (
            sum((getattr(work, part) for work in works[1:]), start=getattr(works[0], part))
            for part in ("cycles", "streaming", "loading")
        )
        # The longer engine carries all cycles: for several products the longest sum may be less than the sum
        # of the longest.
        streams = streaming >= loading
        # An output-stationary 1 x 1 array counts its first cycle as 0 and would beat its own peak by it.
        busy = {"compute": ib.maximum(ib.where(streams, cycles, streaming) / beat, op.useful / site.rate(op))}
        params: Params = site.chip.architecture
        if works[0].double and params.weight_rows_per_cycle is not None:
            busy["compute.load"] = ib.where(streams, loading, cycles) / beat
        return ib.Cost(
            busy={**busy, **site.memory_time(op)},
            actions={"ops": op.useful, **_bytes(op, site)},
            detail={"cycles": cycles, "folds": sum((work.folds for work in works), start=0.0)},
        )


def _moved(op: ib.Op, site: ib.Site) -> ib.Cost:
    return ib.Cost(busy=site.memory_time(op), actions=_bytes(op, site))


def _bytes(op: ib.Op, site: ib.Site) -> dict[str, ib.Numeric]:
    return {f"bytes.{level}": amount for level, amount in site.traffic(op).items()}
