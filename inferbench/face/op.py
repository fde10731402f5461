"""`op`: single operators on one chip."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from csv import Error as CsvError
from csv import reader as read_csv
from pathlib import Path

import attrs
import numpy as np

from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError
from inferbench.face.answer import Answer
from inferbench.face.asked import find, listed, refuse_many
from inferbench.face.verb import verb
from inferbench.files import read_text
from inferbench.model.choice import BEST, choose
from inferbench.model.operators import OpResult, cost_rows, product_rows
from inferbench.num import Array
from inferbench.records.chip import Chip
from inferbench.records.choice import Choice
from inferbench.records.kinds import Kind, op_kind
from inferbench.records.stack import Stack
from inferbench.records.system import SystemName
from inferbench.report.model import Report
from inferbench.report.operators import operators_report
from inferbench.specs.ranges import parse

__all__ = ["OpTable", "op"]

MOST_ROWS = 1_000_000


@attrs.frozen(eq=False, repr=False)
class OpTable(Answer):
    """Operators of one kind, costed on one chip.

    Attributes:
        kind: Of the operators.
        chip: The chip.
        choice: Software, and why this one.
        results: Rows, one group per precision and per value of what one call must have in common.
    """

    kind: str
    chip: Chip
    choice: Choice
    results: tuple[OpResult, ...]

    @property
    def stack(self) -> Stack:
        """The software."""
        return self.choice.stack

    def report(self, verbose: bool = False) -> Report:
        """Return one table with a row per operator."""
        return operators_report(self.chip, self.choice, self.kind, self.results, verbose)

    def summary(self) -> str:
        """Name the kind, the chip and the software."""
        rows = sum(len(result.seconds) for result in self.results)
        return f"of {self.kind} on {self.chip.name}, stack {self.stack.name}: {rows} rows"


@verb
def op(
    chip: str,
    kind: str,
    *,
    precision: str | Sequence[str] = "bf16",
    stack: str = BEST,
    csv: str | Path | None = None,
    registry: Registry | None = None,
    **fields: float | Sequence[float] | str,
) -> OpTable:
    """Cost single operators on one chip: every combination of the fields, or the rows of a file.

    Args:
        chip: Name of a chip, perhaps with its software: `h100@vllm`.
        kind: `gemm`, `attention`, `conv2d`, or any other that the core or a plugin defines.
        precision: One name or several.
        stack: Software of a chip that names none: `best` (the nearest that was measured), `ideal`, a stack,
            its TOML file or a family.
        csv: File of rows: columns are the field names, and `precision` if it varies.
        registry: Of plugins; everything installed by default.
        **fields: Numbers (`m=[1, 128]`, `n=8192`, …) and words (`collective="all_gather"`).

    Raises:
        InferBenchError: Unknown names and fields, values out of range, a file that can't be read.

    Example:
        >>> import inferbench as ib
        >>> table = ib.op("h100-sxm@ideal", "gemm", m=[1, 128], n=8192, k=8192)
        >>> [row["bound"] for row in table.to_dict()["rows"]]
        ['memory.hbm', 'memory.hbm']
    """
    known = registry or installed()
    known.wake()  # any plugin may define kinds
    parsed, named = find("chip", chip, SystemName.parse), find("kind", kind, op_kind)
    the_chip = find("chip", parsed.chip, known.chip)
    formats = [known.alias("precisions", name) for name in listed(precision)]
    work = the_chip, None, "op", formats, known
    if parsed.stack:
        choice = choose(parsed.stack, *work, kind=kind)
    else:
        choice = find("stack", stack, lambda name: choose(name, *work, where=name, kind=kind))
    words = {name: str(value) for name, value in fields.items() if name in named.words}
    numbers = {name: values for name, values in fields.items() if name not in named.words}
    columns, of_row = _read_csv(Path(csv), named) if csv else (_given(numbers), None)
    results = [
        cost_rows(kind, part, known.alias("precisions", name), the_chip, choice.stack, known, words)
        for name, rows in _groups(columns, of_row, listed(precision))
        for part in _same(named, rows)
    ]
    return OpTable(kind, the_chip, choice, tuple(results))


def _given(fields: Mapping[str, float | Sequence[float] | str]) -> dict[str, Array]:
    lists = {name: _numbers(values, name) for name, values in fields.items()}
    refuse_many(math.prod(len(values) for values in lists.values()), MOST_ROWS)
    return product_rows(lists) if lists else {}


def _numbers(values: float | Sequence[float] | str, name: str) -> Array:
    if isinstance(values, str):
        return parse(values, name, 0.0).values()
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        found = f"{values!r:.60} is not a number or a list of numbers"
        raise InferBenchError.of_argument(name, found, **{name: [1, 128]}) from None


def _read_csv(path: Path, kind: Kind) -> tuple[dict[str, Array], list[str] | None]:
    """Read shapes; every bad cell is named with its line."""
    try:
        reader = read_csv(io.StringIO(read_text(path), newline=""))
        head = [name.strip() for name in next(reader, [])]
        body = [row for row in reader if row]
    except CsvError as error:
        found = f"can't be read: {error}"
        raise InferBenchError.of_argument("csv", found, "save it as a plain CSV file", str(path)) from None
    except OSError as error:
        found = f"can't be read: {error.strerror}"
        raise InferBenchError.of_argument("csv", found, "give the path of a CSV file", str(path)) from None
    wanted = [name for name in head if name in kind.fields]
    if not wanted or not body:
        remedy = f"the columns of {kind.name} are {', '.join(kind.fields)}"
        raise InferBenchError.of_argument("csv", "no rows with fields of this kind", remedy, str(path))
    for line, row in enumerate(body, start=2):
        if len(row) != len(head):
            found = f"{len(row)} cells, the header has {len(head)}"
            raise InferBenchError.at(f"{path}: line {line}", found, "give each column one cell")
    columns = {}
    for name in wanted:
        place = head.index(name)
        try:
            columns[name] = np.array([float(row[place]) for row in body])
        except (ValueError, IndexError):
            line = next(i for i, row in enumerate(body) if not _is_number(row, place))
            raise InferBenchError.at(
                f"{path}: line {line + 2}, {name}", "not a number", "write a number"
            ) from None
    return columns, [row[head.index("precision")] for row in body] if "precision" in head else None


def _is_number(row: Sequence[str], place: int) -> bool:
    try:
        float(row[place])
    except (ValueError, IndexError):
        return False
    return True


def _groups(
    columns: dict[str, Array], of_row: list[str] | None, names: Sequence[str]
) -> list[tuple[str, dict[str, Array]]]:
    """Rows by precision: the CSV's own column, or all rows for each precision asked."""
    if of_row is None:
        return [(name, columns) for name in names]
    labels = np.array(of_row)
    return [
        (name, {key: values[labels == name] for key, values in columns.items()})
        for name in dict.fromkeys(of_row)
    ]


def _same(kind: Kind, rows: dict[str, Array]) -> list[dict[str, Array]]:
    """Rows cut so that the numbers of which an operator takes one value are the same in each part."""
    parts = [rows]
    for name in kind.same:
        parts = [
            {key: values[part[name] == value] for key, values in part.items()}
            for part in parts
            for value in (dict.fromkeys(part[name].tolist()) if name in part else ())
        ] or parts
    return parts
