"""What importers need at the edge: take numbers in their unit, name what is wrong, keep the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from inferbench.errors import Fault, InferBenchError
from inferbench.records.measurement import Measurement

__all__ = ["Row", "gather_rows"]


class Row:
    """One record of a file; remembers which of its fields were used.

    Args:
        values: Field to value.
        where: File and row, for messages.

    Example:
        >>> row = Row({"mean_ttft_ms": 40.0, "note": "x"}, "bench.json")
        >>> row.positive("mean_ttft_ms", unit=1e-3), row.extra()
        (0.04, {'note': 'x'})
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where
        self.used: set[str] = set()

    def get(self, *keys: str) -> Any:
        """Return the first of the fields that is there and not null; None if there is none."""
        for key in keys:
            value = self.values.get(key)
            if value is not None and value != "":
                self.used.add(key)
                return value
        return None

    def text(self, *keys: str) -> str:
        """Return a field as text, empty if absent."""
        value = self.get(*keys)
        return "" if value is None else str(value)

    def number(self, *keys: str, unit: float = 1.0) -> float:
        """Return a number in SI units, NaN if absent.

        Args:
            keys: Names of the field, the preferred one first.
            unit: How many SI units one of the file's is: 1e-3 for milliseconds.

        Raises:
            InferBenchError: There, but no finite number.
        """
        value = self.get(*keys)
        if value is None:
            return math.nan
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise self.fault(
                self._name(keys),
                f"{value!r:.40} is not a finite number",
                (
                    "write decimals with a point"
                    if re.fullmatch(r"\s*-?\d+,\d+\s*", str(value))
                    else "leave it out where it was not measured"
                ),
            )
        # Division by a whole number rounds correctly: 16.7639 ms are 0.0167639 s and not
        # 0.016763899999999998.
        return found * unit if unit >= 1.0 else found / round(1.0 / unit)

    def positive(self, *keys: str, unit: float = 1.0) -> float:
        """Return a number above zero in SI units, NaN if absent: a time, a rate, a power, an energy.

        Raises:
            InferBenchError: There, but zero, negative or no finite number.
        """
        value = self.number(*keys, unit=unit)
        if value <= 0.0:
            raise self.fault(
                self._name(keys),
                f"{value / unit:g} where a figure above 0 was expected",
                "leave it out where it was not measured",
            )
        return value

    def count(self, *keys: str, default: int = 1) -> int:
        """Return a whole number of at least 1, `default` if absent.

        Raises:
            InferBenchError: There, but no whole number of at least 1.
        """
        value = self.number(*keys)
        if math.isnan(value):
            return default
        if value < 1 or value != int(value):
            raise self.fault(self._name(keys), f"{value:g} is no whole number of at least 1", "correct it")
        return int(value)

    def axes(self, **keys: str | tuple[str, ...]) -> dict[str, float]:
        """Return the axes that the record has: our name to one or more names of the field."""
        found = {ours: self.number(*((k,) if isinstance(k, str) else k)) for ours, k in keys.items()}
        return {ours: value for ours, value in found.items() if not math.isnan(value)}

    def extra(self) -> dict[str, Any]:
        """Return what nobody used."""
        return {k: v for k, v in self.values.items() if k not in self.used and v is not None and v != ""}

    def fault(self, key: str, found: str, remedy: str = "") -> InferBenchError:
        """Build an error about one field of this record."""
        return InferBenchError.at(f"{self.where}: {key}" if key else self.where, found, remedy)

    def _name(self, keys: tuple[str, ...]) -> str:
        return next((k for k in keys if k in self.used), keys[0])


def gather_rows(
    path: Path,
    records: Iterable[Mapping[str, Any]],
    build: Callable[[Row], Measurement | Iterable[Measurement]],
    word: str = "record",
) -> list[Measurement]:
    """Build measurements of all records; a bad one among good ones is kept without figures, with the reason.

    Where none is good, every record's fault is raised.

    Args:
        path: For messages and as the row's source.
        records: What the file holds.
        build: From one record to one or more measurements.
        word: What a record is called in messages, with its number after it; empty where there is only one.

    Returns:
        Rows in the file's order.

    Raises:
        InferBenchError: No record is good: with every fault.

    Example:
        >>> def build(row):
        ...     seconds = row.positive("ms", unit=1e-3)
        ...     return Measurement(source=row.where, chip=row.text("gpu"), tpot_s=seconds)
        >>> good, bad = gather_rows(Path("mine.csv"), [{"gpu": "b200", "ms": "8.1"}, {"ms": "0"}], build)
        >>> good.tpot_s, good.source, bad.refused["row"][1]
        (0.0081, 'mine.csv: record 1', 'mine.csv: record 2: ms: 0 where a figure above 0 was expected')
    """
    rows: list[Measurement] = []
    faults: list[Fault] = []
    good = False
    for number, values in enumerate(records, start=1):
        where = f"{path.name}: {word} {number}" if word else path.name
        try:
            made = build(Row(values, where))
            found = [made] if isinstance(made, Measurement) else list(made)
        except InferBenchError as error:
            faults.extend(error.faults)
            rows.append(_damaged(where, "; ".join(f"{one.place}: {one.found}" for one in error.faults)))
            continue
        good = good or bool(found)
        rows.extend(found)
    if faults and not good:
        raise InferBenchError(faults)
    return rows


def _damaged(where: str, why: str) -> Measurement:
    """What stands for a row that can't be used: no figures, and why."""
    return Measurement(source=where, chip="", refused={"row": (math.nan, why)})
