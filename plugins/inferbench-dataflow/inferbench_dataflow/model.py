"""What one operator costs where weights never leave on-chip memory.

Two things set the time of a small batch: how fast the resident bytes are read, and how often all chips
that share a layer must wait for each other. The first is `bytes / bandwidth`; the second happens at every
reduction, that is at every operator whose contracted dimension is cut (`"k" in op.split`), because its
result is a sum over everything that was computed apart. A dense transformer layer has two: after the
attention's output projection and after the second matrix of the MLP. With `tau` the waiting of one layer,

    t_token = W / (tp * BW) + L * tau,        tau = 2 * (hops + sync).

`hops` is hardware and belongs to the fabric, which is asked for the all-reduce of the same operator;
where the chip's spec gives no link to ask, this model charges `hop` instead, so that a hop is never
counted twice. `sync` is software (how the compiler schedules, how chips agree on time), stands in a
stack's `[tuning.dataflow]` and is 0 under `ideal`.

On a chip of many small cores a product is spread over a region of them: its operands must reach all of the
region, and its sums come back. A larger region reads faster and takes longer to cross. With T the time of
the whole chip and D that of a crossing of the whole chip, a region of the share x of its cores takes

    T / x + D sqrt(x),        least at x = (2 T / D)^(2/3).

No placement is faster, so this much of the waiting is hardware.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping

import inferbench as ib

__all__ = ["Dataflow", "DataflowParams", "DataflowTuning", "crossing"]

# The least that an all-reduce can do in sequence: every chip sends its partial sums straight to all others.
HOPS_OF_A_REDUCTION = 1.0


@ib.frozen
class DataflowParams:
    """The `[architecture]` table of a dataflow chip.

    Attributes:
        home: Memory level in which weights, KV cache and activations live.
        hop: Seconds from chip to neighbouring chip, without software. Read only where the spec has no
            `[interconnect]`; missing counts as 0 there, which flatters the chip.
        cores: Cores of a square mesh on the chip, each with memory of its own; not given: the chip is one.
        core_hop: Seconds from core to neighbouring core; missing counts as 0, which flatters the chip.
        install: Bytes of weights per second that enter the multiplying units; missing: they load as fast as
            memory delivers them.

    Example:
        >>> DataflowParams(hop=0.7e-6).home
        'sram'
    """

    home: str = "sram"
    hop: ib.Seconds = math.nan
    cores: int | None = None
    core_hop: ib.Seconds = math.nan
    install: ib.BytesPerSecond = math.nan

    def __attrs_post_init__(self) -> None:
        if self.cores is not None and self.cores < 1:
            raise ValueError(f"cores is {self.cores}; a chip has at least 1")

    @property
    def crossing(self) -> float:
        """Seconds from one corner of the mesh to the opposite one; 0 where that is not known."""
        if self.cores is None or math.isnan(self.core_hop):
            return 0.0
        return 2.0 * (math.sqrt(self.cores) - 1.0) * self.core_hop


@ib.frozen
class DataflowTuning:
    """The `[tuning.dataflow]` table of a stack.

    Attributes:
        sync: Seconds that software adds wherever the chips of a group combine partial sums, twice per
            layer of a dense transformer.

    Example:
        >>> DataflowTuning().sync
        0.0
    """

    sync: ib.Seconds = 0.0


class Dataflow(ib.Architecture):
    """Spatially placed networks: one SRAM level holds everything, with a hard capacity."""

    name = "dataflow"
    title = "SRAM-resident dataflow"
    params = DataflowParams
    tuning = DataflowTuning

    def refit(self, stack: str) -> Mapping[str, float] | None:
        """The tuning of this package's stacks, fitted again to the rows that it ships."""
        from inferbench_dataflow.fit import shipped

        return shipped(stack)

    def remarks(self, chip: ib.Chip, tuning: DataflowTuning) -> Iterator[str]:
        """Say that waiting for each other is the software's, and what that leaves out under ideal
        software.
        """
        if tuning.sync == 0:
            yield (
                f"{chip.title}: synchronisation counts as software and is zero under the ideal stack;"
                " published single-user rates are 7 to 400 times lower"
                " (docs/explanation/architectures/dataflow.md)"
            )

    def place(self, graph: ib.Graph, chip: ib.Chip, layout: ib.Layout) -> ib.Placement:
        """Put weights, KV cache and activations into `home`; what does not fit does not run.

        Raises:
            InferBenchError: `home` names no memory level of the chip.
        """
        home = chip.architecture.home
        if home not in chip.memory:
            close = difflib.get_close_matches(home, chip.memory, n=1, cutoff=0.5) or list(chip.memory)
            raise ib.InferBenchError.at(
                f"{chip.name}: architecture.home",
                f"'{home}' is no memory level of this chip; one of {', '.join(chip.memory)} was expected",
                f'write home = "{close[0]}"',
            )
        return ib.Placement.everything_in(home, graph, chip)

    def gemm(self, op: ib.Gemm, site: ib.Site) -> ib.Cost:
        """Cost matrix products: the resident matrix streams past the multipliers once per execution.

        `max(useful / rate, bytes / bandwidth)`, and the wait at a reduction if the contracted dimension is
        cut.
        """
        busy: dict[str, ib.Numeric] = {"compute": op.useful / site.rate(op)}
        install = site.chip.architecture.install
        if not math.isnan(install):
            busy["compute.load"] = op.bytes.weights / install
        return self._cost(op, site, busy)

    def attention(self, op: ib.Attention, site: ib.Site) -> ib.Cost:
        """Cost attention: every held position is read once from the same SRAM."""
        return self._cost(op, site, {"compute": op.useful / site.rate(op)})

    def elementwise(self, op: ib.Elementwise, site: ib.Site) -> ib.Cost:
        """Cost element by element work: activations read and written in SRAM; its arithmetic is not
        counted.
        """
        return self._cost(op, site, {})

    def reduce(self, op: ib.Reduce, site: ib.Site) -> ib.Cost:
        """Cost a reduction on one chip: its elements are read in SRAM."""
        return self._cost(op, site, {})

    def move(self, op: ib.Move, site: ib.Site) -> ib.Cost:
        """Cost a lookup or a copy in SRAM."""
        return self._cost(op, site, {})

    def _cost(self, op: ib.Op, site: ib.Site, compute: dict[str, ib.Numeric]) -> ib.Cost:
        reductions = float("k" in op.split)
        hops = reductions * uncharged_hops(site)
        exposed: dict[str, ib.Numeric] = {}
        if reductions:
            hop = site.chip.architecture.hop
            exposed["sync"] = reductions * site.tuning.sync
            exposed["hops"] = hops * (0.0 if math.isnan(hop) else hop)
        busy = {**compute, **site.memory_time(op)}
        diameter = site.chip.architecture.crossing
        if compute and diameter:
            exposed["crossing"] = crossing(_longest(busy), diameter)
        actions: dict[str, ib.Numeric] = {"ops": op.useful}
        actions |= {f"bytes.{level}": amount for level, amount in site.traffic(op).items()}
        detail: dict[str, ib.Numeric] = {"reductions": reductions, "hops": hops} if reductions else {}
        return ib.Cost(busy=busy, exposed=exposed, actions=actions, detail=detail)


def crossing(whole: ib.Numeric, diameter: float) -> ib.Numeric:
    """Seconds that the fastest region of a chip takes beyond what the whole chip would without any wires.

    Args:
        whole: Seconds of the whole chip, all cores side by side.
        diameter: Seconds from one of its corners to the opposite one.

    Returns:
        `T/x + D sqrt(x) - T` at the best share x of the cores, at most all of them; like `whole`.

    Example:
        4 ns of the whole chip, 1 us across it: 4 % of the cores take 100 ns and are crossed in 200.

        >>> round(float(crossing(4e-9, 1e-6)) * 1e9)
        296
    """
    share = ib.minimum((2.0 * whole / diameter) ** (2.0 / 3.0), 1.0)
    some = ib.maximum(share, 1e-30)
    return ib.where(share > 0, whole / some + diameter * some**0.5 - whole, 0.0)


def _longest(busy: Mapping[str, ib.Numeric]) -> ib.Numeric:
    longest: ib.Numeric = 0.0
    for seconds in busy.values():
        longest = ib.maximum(longest, seconds)
    return longest


def uncharged_hops(site: ib.Site) -> float:
    """Count the hops of one reduction that no fabric accounts for.

    Returns:
        0 on a single chip and wherever the chip has a link (the fabric charges its latency with the
        collective), else 1.
    """
    group = site.layout.tp
    return 0.0 if group == 1 or site.link(group) is not None else HOPS_OF_A_REDUCTION
