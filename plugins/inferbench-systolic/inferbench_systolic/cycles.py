"""Cycles and SRAM accesses of matrix products on systolic arrays: pure functions that know no chip.

An (m x k) by (k x n) product is cut into *folds*, each as large as the array of R rows and C columns. The
dataflow says which operand stays in the cells:

    ws   weights stay:  ceil(k/R) ceil(n/C) folds, m rows stream through each
    is   inputs stay:   ceil(k/R) ceil(m/C) folds, n columns of weights stream through each
    os   results stay:  ceil(m/R) ceil(n/C) folds, k pairs of operands stream through each
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs
import numpy as np

import inferbench as ib

__all__ = ["Dataflow", "Loading", "Shape", "Work", "cycles", "sram_reads", "sram_writes", "unfold"]

Dataflow: TypeAlias = Literal["ws", "os", "is"]
Loading: TypeAlias = Literal["serial", "double"]


@attrs.frozen
class Shape:
    """One array and how it is fed.

    Attributes:
        rows, columns: Cells, R and C.
        loading: Whether the next stationary tile is loaded while the present one is used (`double`) or before
            each fold (`serial`).
        weight_rows_per_cycle: Rows of the stationary tile that enter the array per cycle, w; SCALE-Sim has 1.

    Example:
        >>> Shape(128, 128, weight_rows_per_cycle=8).load
        16.0
    """

    rows: int
    columns: int
    loading: Loading = "serial"
    weight_rows_per_cycle: int = 1

    @property
    def load(self) -> float:
        """Cycles to bring one stationary tile into the cells: ceil(R/w)."""
        return float(-(-self.rows // self.weight_rows_per_cycle))


@attrs.frozen(eq=False)
class Work:
    """What one array has to do.

    Attributes:
        folds: Array-sized pieces, one after the other.
        chains: How often the array fills and drains: once where the next tile loads behind the stream,
            whichever product it belongs to; else once per product.
        streamed: Rows that pass through the array per fold.
        load: Cycles to load a stationary tile; 0 if results are what stays.
        skew: R + C - 2, cycles between the first operand in and the last result out, beyond the stream.
        double: Whether loading overlaps streaming.

    Example:
        Two folds of 10 rows on a 4 x 4 array, weights loaded before each: 2 (4 + 10 + 6) - 1 cycles.

        >>> float(Work(folds=2.0, chains=1.0, streamed=10.0, load=4.0, skew=6.0, double=False).cycles)
        39.0
    """

    folds: ib.Numeric
    chains: ib.Numeric
    streamed: ib.Numeric
    load: float
    skew: float
    double: bool

    @property
    def alone(self) -> ib.Numeric:
        """Cycles of a fold that overlaps with no other; the first cycle counts as cycle 0, hence the -1."""
        return self.load + self.streamed + self.skew - 1.0

    @property
    def streaming(self) -> ib.Numeric:
        """Cycles if loading the next tile never held up the stream (serial: all cycles)."""
        if self.double:
            return self.chains * self.alone + (self.folds - self.chains) * self.streamed
        return self.folds * (self.alone + 1.0) - self.chains

    @property
    def loading(self) -> ib.Numeric:
        """Cycles if streaming never held up the next load; 0 where the two don't overlap."""
        if self.double:
            return self.chains * self.alone + (self.folds - self.chains) * self.load
        return 0.0

    @property
    def cycles(self) -> ib.Numeric:
        """Cycles in all: double-buffered, each further fold takes the longer of streaming and loading."""
        return ib.maximum(self.streaming, self.loading)


def unfold(
    dataflow: Dataflow,
    m: ib.Numeric,
    n: ib.Numeric,
    k: ib.Numeric,
    shape: Shape,
    count: ib.Numeric = 1.0,
    arrays: int = 1,
) -> Work:
    """Return what the busiest of `arrays` equal arrays does for `count` products of (m x k) by (k x n).

    All folds of all products are dealt out evenly: ceil(folds count / arrays) to the busiest array, which
    works on ceil(count / arrays) products. Double-buffered, the first fold of a product follows the last one
    of another as it follows one of its own, because no fold waits for another's results. Partial sums of
    folds along k meet in accumulators outside, so that every fold may go to any array.

    Args:
        dataflow: `ws`, `is` or `os`.
        m, n, k: Sizes, broadcastable; may be expectations, hence fractional.
        shape: The array.
        count: Independent products.
        arrays: Arrays on the chip.

    Returns:
        Its folds, chains and streamed rows; `Work.cycles` has the shape that the arguments broadcast to.

    Example:
        256 x 256 weights on two 128 x 128 arrays: two of the four folds each.

        >>> float(unfold("ws", 8.0, 256.0, 256.0, Shape(128, 128), arrays=2).folds)
        2.0
    """
    rows, columns = shape.rows, shape.columns
    if dataflow == "ws":
        each, streamed = ib.ceil_div(k, rows) * ib.ceil_div(n, columns), m
    elif dataflow == "is":
        each, streamed = ib.ceil_div(k, rows) * ib.ceil_div(m, columns), n
    else:
        each, streamed = ib.ceil_div(m, rows) * ib.ceil_div(n, columns), k
    folds = ib.ceil_div(each * count, arrays)
    stays = dataflow != "os"
    double = stays and shape.loading == "double"
    return Work(
        folds=folds,
        chains=ib.minimum(1.0 if double else ib.ceil_div(count, arrays), folds),
        streamed=streamed,
        load=shape.load if stays else 0.0,
        skew=rows + columns - 2.0,
        double=double,
    )


def cycles(
    dataflow: Dataflow,
    m: ib.Numeric,
    n: ib.Numeric,
    k: ib.Numeric,
    rows: int,
    columns: int,
    loading: Loading = "serial",
    w: int = 1,
) -> ib.Numeric:
    """Return the cycles of one (m x k) by (k x n) product on one array.

    With L = ceil(R/w), F the number of folds and T the streamed rows (m, n or k):

        ws, is serial:  F (L + R + C + T - 2) - 1
        ws, is double:  L + (F - 1) max(T, L) + (T + R + C - 2) - 1
        os:             F (R + C + k - 2) - 1

    Args:
        dataflow: `ws`, `is` or `os`.
        m, n, k: Sizes of the product, broadcastable.
        rows, columns: Of the array, R and C.
        loading: `serial` or `double`; no matter for `os`, which loads nothing.
        w: Rows of the stationary tile loaded per cycle.

    Returns:
        Cycles, float64. Serial with w = 1 equals SCALE-Sim v3 exactly (370 of 370 runs).

    Example:
        >>> float(cycles("ws", 64.0, 64.0, 64.0, 64, 64)), float(cycles("ws", 64.0, 64.0, 64.0, 128, 128))
        (253.0, 445.0)
    """
    return unfold(dataflow, m, n, k, Shape(rows, columns, loading, w)).cycles


def sram_reads(
    dataflow: Dataflow, m: ib.Numeric, n: ib.Numeric, k: ib.Numeric, rows: int, columns: int
) -> tuple[ib.Numeric, ib.Numeric]:
    """Return elements read from the input (m x k) and from the filter (k x n) buffer.

    What stays in the cells is read once; what streams is read once per fold along the dimension that it
    lacks.

    Args:
        dataflow: `ws`, `is` or `os`.
        m, n, k: Sizes of the product, broadcastable.
        rows, columns: Of the array.

    Returns:
        Input reads and filter reads, in elements; equal to SCALE-Sim's counters.

    Example:
        >>> [float(reads) for reads in sram_reads("ws", 10.0, 256.0, 512.0, 128, 128)]
        [10240.0, 131072.0]
    """
    inputs, filters = np.asarray(m) * k, np.asarray(n) * k
    if dataflow == "ws":
        return inputs * ib.ceil_div(n, columns), filters
    if dataflow == "is":
        return inputs, filters * ib.ceil_div(m, columns)
    return inputs * ib.ceil_div(n, columns), filters * ib.ceil_div(m, rows)


def sram_writes(dataflow: Dataflow, m: ib.Numeric, n: ib.Numeric, k: ib.Numeric, rows: int) -> ib.Numeric:
    """Return elements written to the output buffer, partial sums included.

    `ws` and `is` write a partial sum per fold along k. `os` accumulates in the cells and writes each result
    once, m n; SCALE-Sim's own counter for `os` is higher (by two rows per fold where folds are full).

    Example:
        >>> float(sram_writes("ws", 1.0, 512.0, 512.0, 128)), float(sram_writes("os", 1.0, 512.0, 512.0, 128))
        (2048.0, 512.0)
    """
    results: ib.Numeric = np.asarray(m) * n
    return results if dataflow == "os" else results * ib.ceil_div(k, rows)
