"""What a screen says, before anyone decides how it looks: tables of cells with footnotes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import attrs

from inferbench.records.immutable import frozen
from inferbench.text import all_visible, visible

if TYPE_CHECKING:
    from inferbench.records.figure import Figure

__all__ = ["Cell", "Next", "Report", "Table"]

DASH = "–"
PROGRAM = "inferbench"


@frozen
class Cell:
    """One cell.

    Attributes:
        text: What stands there, three significant digits.
        notes: Footnotes, whole sentences; equal ones share a number.
        best: Best of its row, where all columns have a value.
        unsure: Missing or not applicable.
    """

    text: str = attrs.field(converter=visible)
    notes: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    best: bool = False
    unsure: bool = False


@frozen
class Table:
    """A titled table.

    Attributes:
        title: Left part of the headline, the point asked about.
        aside: Right part, on what terms.
        columns: Headers; the first heads the labels.
        rows: Each as long as `columns`; the first cell is the label.
        numeric: Whether cells are numbers to be aligned on the decimal.
        notes: Doubts about the table as a whole; they have no number, as no cell has their mark.
        legend: Unnumbered lines below: what marks mean, sources.
        packed: Whether to save lines, for a table that must hold on one screen: short footnotes share one.
    """

    title: str = attrs.field(converter=visible)
    columns: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    aside: str = attrs.field(default="", converter=visible)
    numeric: bool = False
    notes: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    legend: tuple[str, ...] = attrs.field(default=(), converter=all_visible)
    packed: bool = False


@frozen
class Next:
    """A command that may be run next; whoever renders a report writes it.

    Attributes:
        command: Of `inferbench`; empty: the command just run, with more arguments.
        arguments: As they are given, without quotes.
        why: What the arguments are for.
        program: Whose command it is.

    Example:
        >>> str(Next("run", ("b200", "a b")))
        "inferbench run b200 'a b'"
        >>> str(Next(arguments=("-v",), why="for operators"))
        'the same with -v for operators'
    """

    command: str = ""
    arguments: tuple[str, ...] = ()
    why: str = ""
    program: str = PROGRAM

    def line(self, options: Sequence[str] = ()) -> str:
        """Write it out.

        Args:
            options: Of `inferbench`, before the command: files of plugins.
        """
        given = options if self.program == PROGRAM else ()
        head = [self.program, *given, self.command] if self.command else []
        words = visible(shlex.join([*head, *self.arguments]))
        return " ".join(part for part in ("" if self.command else "the same with", words, self.why) if part)

    def __str__(self) -> str:
        return self.line()


class Later(Mapping[str, Any]):
    """Data that are made when somebody reads them: a table needs none.

    Example:
        >>> data = Later(lambda: {"schema": "mine/1"})
        >>> data["schema"], len(data)
        ('mine/1', 1)
    """

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        """Remember how they are made."""
        self._make = make

    @cached_property
    def _made(self) -> Mapping[str, Any]:
        return self._make()

    def __getitem__(self, key: str) -> Any:
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class LaterRows(Sequence[Mapping[str, Any]]):
    """Rows that are made when somebody reads them.

    Example:
        >>> list(LaterRows(lambda: [{"batch": 1.0}]))
        [{'batch': 1.0}]
    """

    def __init__(self, make: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        """Remember how they are made."""
        self._make = make

    @cached_property
    def _made(self) -> Sequence[Mapping[str, Any]]:
        return self._make()

    @overload
    def __getitem__(self, at: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, at: int | slice) -> Any:
        return self._made[at]

    def __len__(self) -> int:
        return len(self._made)


@frozen
class Report:
    """A whole answer.

    Attributes:
        tables: In order.
        data: The same as a JSON document, to the last bit.
        rows: Flat records for CSV.
        next: What to do next, at most two commands.
        options: What `inferbench` is given before each of them: files of plugins.
        figures: Pictures of the same, for renderers that draw.
    """

    tables: tuple[Table, ...]
    data: Mapping[str, Any] = attrs.field(factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    next: tuple[Next, ...] = ()
    options: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()

    @property
    def after(self) -> str:
        """What to do next, in one line."""
        return " · ".join(one.line(self.options) for one in self.next)
