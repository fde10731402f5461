"""`System` = count x chip, and `Layout` = how the work is spread over the chips."""

from __future__ import annotations

import math
import re

import attrs

from inferbench.errors import InferBenchError
from inferbench.num import Numeric
from inferbench.records.chip import Chip
from inferbench.records.immutable import frozen
from inferbench.records.typed import typed

__all__ = ["Layout", "System", "SystemName"]

MOST_CHIPS = 1_000_000
_SYSTEM = re.compile(r"(?:(?P<count>[0-9]+)x)?(?P<chip>.+?)(?::(?P<layout>[a-z0-9]+))?")
_LAYOUT = re.compile(r"(tp|cp|pp|dp|ep)([0-9]{1,18})")


@frozen
class Layout:
    """How a network is spread: attention and experts are cut apart.

    Attributes:
        tp: Tensor parallelism: chips that share the heads and the columns or rows of matrices.
        cp: Context parallelism: chips that share the positions of a sequence; weights are replicated.
        pp: Pipeline stages.
        dp: Data parallelism: ranks with sequences of their own.
        ep: Chips that share the experts of a layer. Up to `tp` they share them inside a tensor-parallel
            group, each expert cut over the tp / ep chips that remain. Beyond, the experts span
            ep / (tp x cp) data-parallel ranks: attention sees a rank's sequences, experts see those of all
            these ranks. Ranks that no expert group joins are replicas.

    Chips = tp x cp x pp x dp.

    Example:
        >>> Layout.parse("tp4pp2").chips, str(Layout(tp=4, pp=2))
        (8, 'tp4pp2')
        >>> Layout.parse("tp2dp8ep16").sharing, Layout.parse("dp72ep8").replicas
        (8, 9)
    """

    tp: int = 1
    cp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1

    def __attrs_post_init__(self) -> None:
        for name in ("tp", "cp", "pp", "dp", "ep"):
            degree = getattr(self, name)
            if not isinstance(degree, int) or degree < 1:
                found = f"{degree!r} is out of range"
                raise InferBenchError.at(
                    f"layout: {name}", found, "a whole number of at least 1 was expected"
                )

    @property
    def chips(self) -> int:
        """Chips the layout takes."""
        return self.tp * self.cp * self.pp * self.dp

    @property
    def sharing(self) -> int:
        """Data-parallel ranks that share one set of experts; 1 where experts stay inside a rank."""
        return max(1, self.ep // (self.tp * self.cp))

    @property
    def replicas(self) -> int:
        """Copies of the whole network: groups of ranks that exchange nothing."""
        return self.dp // self.sharing

    @property
    def stage(self) -> int:
        """Chips of one pipeline stage."""
        return self.tp * self.cp * self.dp

    @classmethod
    @typed
    def parse(cls, text: str, where: str = "layout") -> Layout:
        """Read `tp8`, `tp4pp2`, `dp8ep8`, …; `where` is what messages call it."""
        parts = _LAYOUT.findall(text)
        degrees = {key: int(value) for key, value in parts}
        if (
            not parts
            or "".join(k + v for k, v in parts) != text
            or len(degrees) != len(parts)
            or min(degrees.values()) < 1
        ):
            raise InferBenchError.at(
                where, f"'{text}' is not a layout", "write it like tp8, tp4pp2, tp8ep8 or dp8ep8"
            )
        layout = cls(**degrees)
        said = layout.contradiction
        if said:
            raise InferBenchError.at(where, *said)
        return layout

    @property
    def contradiction(self) -> tuple[str, str] | None:
        """What is wrong with the degree of expert parallelism, and what to do; None if nothing is."""
        if self.ep <= self.tp:
            if self.tp % self.ep == 0:
                return None
            return f"ep{self.ep} does not divide tp{self.tp}", "inside a group, ep divides tp"
        each = self.tp * self.cp
        if self.ep % each == 0 and self.dp % self.sharing == 0:
            return None
        names = f"tp{self.tp}" + (f" x cp{self.cp}" if self.cp > 1 else "") + f" x dp{self.dp}"
        if (each * self.dp) % self.ep:
            return f"ep{self.ep} does not divide {names}", "experts are spread over the chips of one stage"
        return (
            f"ep{self.ep} joins no whole number of ranks of {each} chips",
            "beyond tp, ep is a multiple of tp x cp",
        )

    def __str__(self) -> str:
        return "".join(f"{key}{value}" for key, value in attrs.asdict(self).items() if value > 1) or "tp1"


@frozen
class SystemName:
    """What a user wrote, `[COUNTx]CHIP[:LAYOUT][@STACK]`; what is not written is None.

    Attributes:
        count: Chips.
        chip: Name or alias.
        layout: None: searched.
        stack: Software: a stack's name or file, a family (`vllm`), `best` or `ideal`.

    Example:
        >>> SystemName.parse("8xh100:tp4pp2@vllm")
        SystemName(count=8, chip='h100', layout=Layout(tp=4, cp=1, pp=2, dp=1, ep=1), stack='vllm')
    """

    count: int | None
    chip: str
    layout: Layout | None
    stack: str | None = None

    @classmethod
    @typed
    def parse(cls, written: str) -> SystemName:
        """Split `8xh100:tp4pp2@vllm` into its parts and check that they agree.

        Raises:
            InferBenchError: It is no system; parts that disagree; an `@` without a stack, or two of them.
        """
        text, sign, stack = written.partition("@")
        if sign and (not stack.strip() or "@" in stack):
            found = "'@' stands twice" if stack.strip() else "no software stands after '@'"
            raise InferBenchError.at(
                written, found, f"write one stack, like {text.strip() or 'CHIP'}@best or @ideal"
            )
        match = _SYSTEM.fullmatch(text)
        if match is None or re.fullmatch("[0-9]+x", match["chip"]):
            shown = text if text.isprintable() and text.strip() else repr(text)
            raise InferBenchError.at(shown, "no system", "write it like CHIP, 8xCHIP or 8xCHIP:tp4pp2")
        layout = Layout.parse(match["layout"], text) if match["layout"] else None
        count = _count(match["count"]) if match["count"] else (layout.chips if layout else None)
        if count is not None and not 1 <= count <= MOST_CHIPS:
            said = f"{count} chips is" if count < math.inf else "that many chips is"
            raise InferBenchError.at(text, f"{said} out of range", f"a system has 1 to {MOST_CHIPS:,} chips")
        if layout and layout.chips != count:
            raise InferBenchError.at(
                text,
                f"layout {layout} takes {layout.chips} chips, the system has {count}",
                "make tp x cp x pp x dp equal to the count",
            )
        return cls(None if count is None else int(count), match["chip"], layout, stack.strip() or None)


def _count(digits: str) -> float:
    """Read a count; Python refuses to read thousands of digits, and nobody has so many chips."""
    return int(digits) if len(digits) < 20 else math.inf


@frozen
class System:
    """A number of equal chips.

    Example:
        >>> import inferbench
        >>> str(System(inferbench.installed().chip("h100-sxm"), 8))
        '8xh100-sxm'
    """

    chip: Chip
    count: int = 1
    layout: Layout | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.count, int) or not 1 <= self.count <= MOST_CHIPS:
            found = f"{self.count!r} chips is out of range"
            raise InferBenchError.at(self.chip.name, found, f"a system has 1 to {MOST_CHIPS:,} chips")
        if self.layout is not None and self.layout.chips != self.count:
            found = f"layout {self.layout} takes {self.layout.chips} chips, the system has {self.count}"
            raise InferBenchError.at(self.chip.name, found, "make tp x cp x pp x dp equal to the count")

    def wall(self, watts: Numeric, limit: float = math.nan) -> Numeric:
        """Watts at the wall when the power model counts so many: the one definition that cost and
        efficiency use.

        A chip whose published watts hold its whole system has nothing added; any other goes through its
        node. The cooling of the building is not in it: that is the scenario's PUE.

        Args:
            watts: Of all chips together, at the boundary of the chip's spec.
            limit: Watts at most of one chip where the spec has none and the power model took another.

        Returns:
            Broadcast as `watts`; NaN where no facts of a node are known.

        Example:
            Two boards of 300 W on a part of a server: 2/8 of 800 W, and 1.1 times 600 W.

            >>> from inferbench.records.node import Node
            >>> node = Node(name="n", title="N", chips_per_node=8, fixed=800.0, factor=1.1)
            >>> chip = Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
            ...             node=node)
            >>> round(System(chip, 2).wall(600.0))
            860
        """
        if self.chip.power.boundary == "system":
            return watts
        if self.chip.node is None:
            return watts * math.nan
        tdp = self.chip.power.tdp
        return self.chip.node.wall(watts, self.count, limit if math.isnan(tdp) else tdp)

    def boards_share(self, watts: Numeric, limit: float = math.nan) -> Numeric:
        """Share of the watts at the wall that follows what the chips draw; the rest is fixed.

        Args:
            watts, limit: As for `wall`.

        Example:
            Of 860 W at the wall 660 W follow two boards of 300 W.

            >>> from inferbench.records.node import Node
            >>> node = Node(name="n", title="N", chips_per_node=8, fixed=800.0, factor=1.1)
            >>> chip = Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
            ...             node=node)
            >>> round(System(chip, 2).boards_share(600.0), 3)
            0.767
        """
        node = self.chip.node
        whole = self.chip.power.boundary == "system" or node is None
        return watts / self.wall(watts, limit) * (1.0 if whole or node is None else node.factor)

    @property
    def wall_log_error(self) -> float:
        """Log standard error of the watts at the wall at given watts of the chips; NaN where nobody says."""
        if self.chip.power.boundary == "system":
            return 0.0
        return math.nan if self.chip.node is None else self.chip.node.log_error

    def __str__(self) -> str:
        return f"{self.count}x{self.chip.name}" if self.count > 1 else self.chip.name
