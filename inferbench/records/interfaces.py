"""The few classes a plugin author writes: `Workload`, `Architecture`, `Fabric`, `PowerModel`, and small
records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, Literal, TypeAlias

from inferbench.errors import UnsupportedOp
from inferbench.num import Numeric
from inferbench.records.chip import Chip, Link
from inferbench.records.cost import Cost, add
from inferbench.records.energy import ActivityCounts, Energy
from inferbench.records.fit import Fit
from inferbench.records.free import Free
from inferbench.records.grid import Point
from inferbench.records.immutable import frozen
from inferbench.records.network import Network
from inferbench.records.op import Collective, Op
from inferbench.records.owned import Owned
from inferbench.records.placement import Graph, Placement, Site
from inferbench.records.roofline import ROOFLINE
from inferbench.records.system import Layout, System

PRIMITIVES = ("gemm", "attention", "elementwise", "reduce", "move")
__all__ = ["Architecture", "Fabric", "NoParams", "Phase", "PowerModel", "Renderer", "Support", "Workload"]


class Support(Enum):
    """How well an architecture handles an operator kind."""

    FULL = "full"
    LOWERED = "lowered"
    NOT_MODELLED = "not modelled"
    IMPOSSIBLE = "impossible"


@frozen
class NoParams:
    """An empty parameter class."""


@frozen
class Phase:
    """One thing a workload can do: decode, prefill, generate, forward.

    Attributes:
        name: As written after the slash: `decode`.
        latency: JSON key of a step's duration: `tpot_s`, `ttft_s` or `latency_s`.
        item: What it yields: `token`, `image`.
        axes: Axis name to default value; axes not listed are errors. `batch` is the one that data
            parallelism and pipeline microbatches divide.
        role: What serving takes it for: `prompt` reads prompts of `context` tokens, `token` writes one more
            token of every sequence. A workload that has both can be served.
        waiting: What its time waits for on a server under load, so that it is another quantity there; empty:
            its batch is unknown.
    """

    name: str
    latency: str
    item: str
    axes: Mapping[str, float]
    role: Literal["", "prompt", "token"] = ""
    waiting: str = ""


class Workload(Owned, ABC):
    """A generator of operator graphs: network + phase + point -> the whole model, unsharded. Knows no
    chip.

    .. versionadded:: 0.1
    """

    name: ClassVar[str]
    title: ClassVar[str]
    params: ClassVar[type]
    options: ClassVar[type] = NoParams
    phases: ClassVar[tuple[Phase, ...]]

    @abstractmethod
    def graph(self, network: Network, at: Point, phase: str, options: Any) -> Iterator[Op]:
        """Yield the operators of one step at all points of `at`, in execution order, `repeat` instead of
        unrolled layers.
        """

    @abstractmethod
    def items(self, network: Network, at: Point, phase: str) -> Numeric:
        """Items that one step yields, all sequences together: tokens of a decode step = batch."""

    @classmethod
    def of_role(cls, role: Literal["prompt", "token"]) -> Phase | None:
        """The phase that serving takes for reading prompts, or for writing tokens; None if it has none."""
        return next((one for one in cls.phases if one.role == role), None)

    def measured_with(self, network: Network, phase: str) -> Mapping[str, object]:
        """Options under which published figures of a phase are measured: all that a pipeline runs.

        Args:
            network: Whose spec says what there is: text encoders, a decoder.
            phase: Name.

        Returns:
            Option to value; empty where the defaults are what is measured.
        """
        return {}

    def defaults(self, network: Network, phase: str) -> Mapping[str, float]:
        """Axes of a phase with their default values; a network may have its own (steps, image size)."""
        return next(one.axes for one in self.phases if one.name == phase)

    def passes(self, network: Network, at: Point, phase: str, options: Any) -> Numeric:
        """How often the host starts the whole network in one step: 1; in a generation once per token."""
        return 1.0

    def eager(self, network: Network, at: Point, phase: str, options: Any) -> Numeric:
        """How many of the passes process prompts: engines capture no graph for their many shapes."""
        prompt = self.of_role("prompt")
        own = prompt is not None and prompt.name == phase
        return self.passes(network, at, phase, options) if own else 0.0

    def layers(self, network: Network) -> int:
        """Equal layers that pipeline stages may divide; ops of unit `layer` repeat over them."""
        return 1

    def warnings(self, network: Network, at: Mapping[str, float], phase: str) -> Iterable[str]:
        """Yield what is odd about a point: a context beyond the network's maximum."""
        return ()

    def remarks(self, network: Network, options: Any, layouts: Sequence[Layout]) -> Iterable[str]:
        """Yield what a reader of any result must know: what is assumed about the work in these layouts."""
        return ()

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a Hugging Face `config.json` into a raw `[network]` table, or None if it is not for this
        generator.

        `precision` and `formats` beside the table's keys say how the network is stored (see `Network`). A
        value that can't be represented is refused by its key: `config.json: KEY` is where it stands.
        """
        return None


Coster: TypeAlias = Callable[[Op, Site], Cost]


class Architecture(Owned, ABC):
    """A performance model: pure hardware, no efficiencies. Sees operators, never workloads.

    A subclass writes a method per operator kind it models (`def gemm(self, op, site) -> Cost`); kinds it
    does not know are lowered to primitives and their costs added. A subclass that models no primitive at all
    is a roofline.

    .. versionadded:: 0.1

    Example:
        >>> import inferbench as ib
        >>> class Mine(ib.Architecture):
        ...     name, title, params = "mine", "Mine", ib.NoParams
        >>> Mine().support(ib.Gemm)
        <Support.FULL: 'full'>

    Attributes:
        usual: Fields of the tuning that `calibrate` takes where it is given none: how common kernels tile
            work. A stack that was fitted says them; `ideal` has none of it.
        reserve: Share of the memory that engines on such chips keep for themselves, where a stack doesn't
            say.
        time_model: Name of the time model that `calibrate` fits for its chips.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    params: ClassVar[type]
    tuning: ClassVar[type] = NoParams
    usual: ClassVar[Mapping[str, Any]] = {}
    reserve: ClassVar[float] = 0.0
    time_model: ClassVar[str] = ROOFLINE.name
    impossible: ClassVar[Mapping[str, str]] = {}

    def peak(self, chip: Chip, precision: str) -> float:
        """Dense operations per second at a format; NaN where the chip lacks it."""
        return chip.peak.get(precision, float("nan"))

    def place(self, graph: Graph, chip: Chip, layout: Layout) -> Placement:
        """Say where each role lives: in the fastest memory that is no cache, and beyond its capacity in the
        next slower one.
        """
        return Placement.over_tiers(graph, chip)

    def site(
        self,
        chip: Chip,
        graph: Graph = Graph.EMPTY,
        layout: Layout | None = None,
        *,
        tuning: Any = None,
        placement: Placement | None = None,
    ) -> Site:
        """Return where operators are costed: a chip, its layout and tuning, and what lives where.

        Args:
            chip: The chip.
            graph: What `place` places; by default nothing.
            layout: One chip by default.
            tuning: A record of the class `tuning`; None: its defaults.
            placement: Taken instead of what `place` says.

        Example:
            >>> import inferbench as ib
            >>> known = ib.installed()
            >>> site = known.architecture("simt").site(known.chip("h100-sxm"))
            >>> site.computes_in("fp4"), site.placement.homes["weights"]
            ('fp8', 'hbm')
        """
        layout = layout or Layout()
        placed = self.place(graph, chip, layout) if placement is None else placement
        settled = self.tuning() if tuning is None else tuning
        return Site(chip, layout, placed, settled, lambda precision: self.peak(chip, precision))

    def plan(self, ops: tuple[Op, ...], site: Site) -> Iterable[Op]:
        """Rewrite the operators before they are costed (fusion); identity here."""
        return ops

    def support(self, kind: type[Op]) -> Support:
        """Say how an operator kind is handled: a method of its name, a lowering of its own, or not at all."""
        key = kind.kind
        if key in self.impossible:
            return Support.IMPOSSIBLE
        if callable(getattr(self, key, None)) or (key in PRIMITIVES and self._empty):
            return Support.FULL
        return Support.LOWERED if kind.lower is not Op.lower else Support.NOT_MODELLED

    @property
    def _empty(self) -> bool:
        """Whether it models no primitive, and so is a roofline."""
        return not any(callable(getattr(self, kind, None)) for kind in PRIMITIVES)

    def roofline(self, op: Op, site: Site) -> Cost:
        """Operations over the format's peak, beside the bytes of each role at the bandwidth of its home.

        Args:
            op: Any primitive.
            site: Where it runs.
        """
        moved = {f"bytes.{level}": amount for level, amount in site.traffic(op).items()}
        if isinstance(op.useful, float) and op.useful == 0.0:
            return Cost(busy=site.memory_time(op), actions=moved)
        compute = {"compute": op.useful / site.rate(op)}
        return Cost(busy={**compute, **site.memory_time(op)}, actions={"ops": op.useful, **moved})

    def remarks(self, chip: Chip, tuning: Any) -> Iterable[str]:
        """Yield what a reader of any of its results must know: what is left out, what is estimated."""
        return ()

    def refit(self, stack: str) -> Mapping[str, float] | None:
        """Fit the tuning of a stack that ships with this architecture again, from rows that ship with it.

        Args:
            stack: Its name.

        Returns:
            Field of the tuning to its value in SI units, in the digits that the stack has; None where the
            stack is none of this package's.
        """
        return None

    def cost(self, op: Op, site: Site) -> Cost:
        """Cost one execution: dispatch to the method named like the op's kind, else lower.

        Raises:
            UnsupportedOp: The kind is impossible here, or is neither modelled nor lowers.
        """
        if op.kind in self.impossible:
            found = f"'{op.kind}' is impossible on {self.title}: {self.impossible[op.kind]}"
            raise UnsupportedOp.at(f"{self.name}: {op.name}", found)
        method: Coster | None = getattr(self, op.kind, None)
        if method is not None:
            return method(op, site)
        if op.kind in PRIMITIVES and self._empty:
            return self.roofline(op, site)
        parts = tuple(op.lower())
        if parts == (op,):
            found = f"operators of kind '{op.kind}' are not modelled and do not lower to primitives"
            mine, theirs = type(self).__name__, type(op).__name__
            remedy = f"give {mine} a method `{op.kind}(self, op, site)`, or {theirs} a `lower`"
            raise UnsupportedOp.at(f"{self.name}: {op.name}", found, remedy)
        return add([(self.cost(part, site), part.repeat) for part in parts])


class Fabric(Owned, ABC):
    """How a group of chips communicates: switch, ring, torus, mesh, dragonfly.

    .. versionadded:: 0.1
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def cost(self, collective: Collective, link: Link, layout: Layout) -> Cost:
        """Cost one collective: bytes in `busy["network"]` and in `actions`, latency in `exposed`."""

    def remarks(self, link: Link) -> Iterable[str]:
        """Yield what a reader of any result on this link must know: a latency that is assumed."""
        return ()


class PowerModel(Owned, ABC):
    """Turns action counts and time into joules. Never sees formulas of an architecture.

    .. versionadded:: 0.1

    Attributes:
        fidelity: Among those that accept a chip, the highest serves it, those of packages of record first.
        figures: Attrs class of what readings of power may fix: a stack's `[power.<name>]`.
        architectures: Types of chips it is made for; empty for all.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    fidelity: ClassVar[int] = 0
    figures: ClassVar[type] = NoParams
    architectures: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def accepts(self, chip: Chip) -> str:
        """Why it can't serve this chip; empty if it can."""

    @abstractmethod
    def energy(self, counts: ActivityCounts, system: System) -> Energy:
        """Joules, watts and throttle of a step."""

    def log_error(self, counts: ActivityCounts, system: System, energy: Energy) -> Numeric:
        """Log standard error of the watts that the coefficients leave open, the duration taken as true.

        Asked only where an interval is wanted: under stacks that were fitted. NaN, the default, is not known.

        Args:
            counts: What `energy` was asked about.
            system: Its chips.
            energy: What it answered.

        Returns:
            Broadcastable to the grid.
        """
        return float("nan")

    def frees(self, chip: Chip, alone: bool = False) -> tuple[Free, ...]:
        """Say what readings of power may fix on a chip, within which bounds; nothing by default.

        Args:
            chip: Whose readings they are.
            alone: Whether they are of single kernels in a loop. Then the parameters are `baseline` (W) and
                joules per count of actions, `ops` and `bytes.<level>`.

        Returns:
            Parameters whose tables are paths of `figures`.
        """
        return ()

    def under(self, chip: Chip, figures: Any) -> PowerModel:
        """Return a model that computes with these figures for a chip, instead of what it knows of it.

        Args:
            chip: Whose they are.
            figures: Record of the class `figures`; NaN where one is not given.
        """
        return self

    def fitted(self) -> Mapping[str, tuple[Fit, Mapping[str, float]]]:
        """Say which chips' figures were fitted, so that `calibrate --shipped` can fit them again.

        Returns:
            Chip to the record of the fit, with its command, and to the figures by the paths of `frees`.
        """
        return {}


@frozen
class Renderer:
    """A way to write a report.

    .. versionadded:: 0.1

    Attributes:
        name: As given to `--format`.
        render: Report and width in columns to text, or to bytes that only a file can take.
        suffixes: Extensions of `--out` that ask for it, without the dot.
        draws: Whether it draws `Report.figures`, and nothing else.
    """

    name: str
    render: Callable[[Any, int], str | bytes]
    suffixes: tuple[str, ...] = ()
    draws: bool = False
