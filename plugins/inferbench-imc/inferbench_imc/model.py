"""The in-memory-compute model: passes of the arrays, bytes that move, rows that must be written."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

import inferbench as ib
from inferbench_imc.energy import cell_operations, stored_cells, write_row
from inferbench_imc.macro import (
    Macro,
    cells,
    conversions,
    exact_bits,
    operations_per_second,
    outputs,
    passes,
    t_pass,
)
from inferbench_imc.placement import ArrayPlacement, place

__all__ = ["InMemoryCompute"]

WIDTHS = {"int4": 4.0, "int8": 8.0}


@attrs.frozen(eq=False)
class Operands:
    """What the operands' widths make of the macro, each an array along the precision axis.

    Attributes:
        native: Whether the format is an integer that the geometry is known for.
        outputs, passes: Results per array and pass; passes per input vector.
        columns, cells: Columns and devices per weight.
        cell_ops: Cell operations per MAC.
    """

    native: Any
    outputs: ib.Array
    passes: ib.Array
    columns: ib.Array
    cells: ib.Array
    cell_ops: ib.Array


@attrs.frozen(eq=False)
class Product:
    """`count` products of (m x k) by (k x n), of which a share must be written first.

    Attributes:
        m, n, k, count: Shapes.
        away: Share of the k x n operands that is not in the arrays.
        new_n, new_k: Part of an operand in the arrays that is new: a cache's new positions, 0 for weights.
    """

    m: ib.Numeric
    n: ib.Numeric
    k: ib.Numeric
    count: ib.Numeric
    away: ib.Numeric
    new_n: ib.Numeric = 0.0
    new_k: ib.Numeric = 0.0


class InMemoryCompute(ib.Architecture):
    """Analog and digital in-memory compute: weights are written into arrays, input vectors pass through them.

    A result that lives in the arrays is limited by passes; weights that don't fit are read from the outermost
    memory and written row by row, which nothing overlaps. Operators without products move activations.
    """

    name = "imc"
    title = "In-memory compute"
    params = Macro

    def peak(self, chip: ib.Chip, precision: str) -> float:
        """Return operations per second from geometry and bits for integers, else the chip's stored peak.

        NaN where operands are wider than the chip's; the stored peak where the geometry is not known.
        """
        macro: Macro = chip.architecture
        if precision not in WIDTHS or not macro.known:
            return chip.peak.get(precision, math.nan)
        return operations_per_second(macro, WIDTHS[precision], WIDTHS[precision])

    def place(self, graph: ib.Graph, chip: ib.Chip, layout: ib.Layout) -> ib.Placement:
        """Put weights into the arrays where they fit, else into the outermost memory (`ArrayPlacement`)."""
        return place(graph, chip)

    def gemm(self, op: ib.Gemm, site: ib.Site) -> ib.Cost:
        """Cost a matrix product.

        A k x n operand takes `tiles = count ceil(k / rows) ceil(n / outputs)` arrays; each input vector takes
        `passes` passes through them, all arrays at once, in `waves = ceil(tiles / arrays)` turns:

            compute = m passes t_pass waves write   = away waves min(k, rows) t_row        exposed; away:
            share not in the arrays

        Rewritten weights come from the outermost memory (`memory.<level>`); weights in banks behind the
        cells are read at the home level's bandwidth. A product of two activations writes its second operand
        each time.

        Args:
            op: One execution, already sharded.
            site: The chip.

        Returns:
            `detail`: passes, tiles, waves, the filled share of the arrays, and for analog chips the converter
            bits that a lossless sum would need and those dropped. NaN where the chip has no peak.
        """
        away = 1.0 if op.second == "inputs" else _shares(site).weights_away
        return self._cost(op, site, [Product(op.m, op.n, op.k, op.count, away)])

    def attention(self, op: ib.Attention, site: ib.Site) -> ib.Cost:
        """Cost attention as two products per sequence and KV head: queries by keys, weights by values.

        Keys and values are the operands in the arrays. A KV cache at home has only its new positions written;
        otherwise all positions are written each time.
        """
        groups = op.batch * op.kv_heads
        rows = op.pairs / op.keys * op.heads / op.kv_heads
        fresh = ib.minimum(op.queries, op.keys) if op.cached else op.keys
        away = _shares(site).state_away
        return self._cost(
            op,
            site,
            [
                Product(rows, op.keys, op.qk_dim, groups, away, new_n=fresh, new_k=op.qk_dim),
                Product(rows, op.v_dim, op.keys, groups, away, new_n=op.v_dim, new_k=fresh),
            ],
        )

    def elementwise(self, op: ib.Elementwise, site: ib.Site) -> ib.Cost:
        """Cost vector work beside the arrays: the bytes it moves."""
        return self._cost(op, site, [])

    def reduce(self, op: ib.Reduce, site: ib.Site) -> ib.Cost:
        """Cost a reduction: the bytes it moves."""
        return self._cost(op, site, [])

    def move(self, op: ib.Move, site: ib.Site) -> ib.Cost:
        """Cost a lookup or a transpose: the bytes it moves."""
        return self._cost(op, site, [])

    def _cost(self, op: ib.Op, site: ib.Site, products: list[Product]) -> ib.Cost:
        moved = _traffic(op, site)
        busy: dict[str, ib.Numeric] = {
            f"memory.{level}": amount / site.bandwidth(level) for level, amount in moved.items()
        }
        actions: dict[str, ib.Numeric] = {f"bytes.{level}": amount for level, amount in moved.items()}
        if not products:
            return ib.Cost(busy=busy, actions=actions)
        macro: Macro = site.chip.architecture
        operands = _operands(op, site)
        counts = [_actions(product, macro, operands) for product in products]
        return ib.Cost(
            busy={"compute": sum(_compute(p, site, operands, site.rate(op)) for p in products), **busy},
            exposed={"write": sum(_write(p, site, operands) for p in products)},
            actions={"ops": op.useful, **{key: sum(c[key] for c in counts) for key in counts[0]}, **actions},
            detail=_detail(products, macro, operands),
        )


def _shares(site: ib.Site) -> ArrayPlacement:
    placement, home = site.placement, site.chip.architecture.home
    if isinstance(placement, ArrayPlacement):
        return placement
    away = {role: float(placement.homes.get(role, home) != home) for role in ("weights", "state", "inputs")}
    return ArrayPlacement(
        placement.homes,
        placement.resident,
        weights_away=away["weights"],
        state_away=away["state"],
        activations_away=away["inputs"],
    )


def _traffic(op: ib.Op, site: ib.Site) -> dict[str, ib.Numeric]:
    share, home, outer = _shares(site), site.chip.architecture.home, site.chip.outermost
    activations = op.bytes.inputs + op.bytes.outputs
    outside = (
        share.weights_away * op.bytes.weights
        + share.state_away * op.bytes.state
        + share.activations_away * activations
    )
    inside = (
        share.banked * op.bytes.weights
        + (1.0 - share.state_away) * op.bytes.state
        + (1.0 - share.activations_away) * activations
    )
    return {home: inside + outside} if home == outer else {home: inside, outer: outside}


def _operands(op: ib.Op, site: ib.Site) -> Operands:
    macro: Macro = site.chip.architecture
    formats = [site.computes_in(point.compute) for point in op.precision.points]
    bits = [8.0 * ib.FORMATS[name] for name in formats]
    along_axis = op.precision.along_axis
    native = [name in WIDTHS and macro.known for name in formats]
    return Operands(
        native=along_axis([float(flag) for flag in native]) > 0,
        outputs=along_axis([outputs(macro, width) for width in bits]),
        passes=along_axis([passes(macro, width) for width in bits]),
        columns=along_axis([cells(macro, width) for width in bits]),
        cells=along_axis([stored_cells(macro, width) for width in bits]),
        cell_ops=along_axis([cell_operations(macro, width, width) for width in bits]),
    )


def _tiles(product: Product, macro: Macro, operands: Operands) -> ib.Numeric:
    across = ib.ceil_div(product.n, operands.outputs)
    return product.count * ib.ceil_div(product.k, macro.rows) * across


def _written(product: Product, operands: Operands) -> ib.Numeric:
    new = (1.0 - product.away) * product.new_n * product.new_k + product.away * product.n * product.k
    return product.count * new * operands.cells


def _compute(product: Product, site: ib.Site, operands: Operands, rate: ib.Array) -> ib.Numeric:
    macro: Macro = site.chip.architecture
    waves = ib.ceil_div(_tiles(product, macro, operands), macro.arrays)
    counted = product.m * operands.passes * t_pass(macro) * waves
    useful = 2.0 * product.count * product.m * product.n * product.k
    return np.where(operands.native, counted, useful / rate)


def _write(product: Product, site: ib.Site, operands: Operands) -> ib.Numeric:
    macro: Macro = site.chip.architecture
    new = attrs.evolve(product, n=product.new_n, k=product.new_k)
    rows = (1.0 - product.away) * _rows(new, macro, operands) + product.away * _rows(product, macro, operands)
    through = _written(product, operands) / 8.0 / site.bandwidth(macro.home)
    return np.where(operands.native, rows * write_row(macro), through)


def _rows(product: Product, macro: Macro, operands: Operands) -> ib.Numeric:
    turns = ib.ceil_div(_tiles(product, macro, operands), macro.arrays)
    return turns * ib.minimum(product.k, macro.rows)


def _actions(product: Product, macro: Macro, operands: Operands) -> dict[str, ib.Numeric]:
    macs = product.count * product.m * product.n * product.k
    counted: dict[str, ib.Numeric] = {
        "array.cell_ops": macs * operands.cell_ops,
        "array.writes": _written(product, operands),
    }
    if macro.kind == "analog":
        sums = product.count * product.m * product.n * ib.ceil_div(product.k, macro.rows)
        counted["adc.conversions"] = sums * operands.columns * operands.passes * conversions(macro)
    return counted


def _detail(products: list[Product], macro: Macro, operands: Operands) -> dict[str, ib.Numeric]:
    tiles = sum(_tiles(product, macro, operands) for product in products)
    waves = sum(ib.ceil_div(_tiles(product, macro, operands), macro.arrays) for product in products)
    weights = sum(product.count * product.n * product.k for product in products)
    detail: dict[str, ib.Numeric] = {
        "passes": operands.passes,
        "tiles": tiles,
        "waves": waves,
        "filled": weights / (waves * macro.arrays * macro.rows * operands.outputs),
    }
    if macro.kind == "analog":
        detail["bits.exact"] = exact_bits(macro)
        detail["bits.dropped"] = float(
            ib.maximum(exact_bits(macro) - macro.adc_bits * conversions(macro), 0.0)
        )
    return detail
