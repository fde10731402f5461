"""Comparisons of two systems: a page for each pair, with ratios, odds and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import attrs

import inferbench as ib
from inferbench_site.pages import Book, Chart, address, rows_table

__all__ = ["Pair", "pairs", "ratios", "write_pair"]

MOST = 66
"""Pairs of twelve systems; of more, only those with the first have pages."""
FIGURES = {
    "tokens_per_s_per_user": ("tokens/s per user", True),
    "tokens_per_s_per_chip": ("tokens/s per chip", True),
    "ttft_s": ("first token, s", False),
    "usd_per_mtok": ("$/Mtok, owned", False),
    "usd_per_mtok_cloud": ("$/Mtok, rented", False),
    "wall_joules_per_token": ("J/token, wall", False),
}
"""What is set against each other: its title, and whether more of it is better."""
PICTURES = ("roofline", "cost", "energy")
Z = NormalDist().inv_cdf(0.95)


@attrs.frozen
class Pair:
    """Two systems of a comparison.

    Attributes:
        first, second: Their places.
        names: As they are written.
        page: Address of their page.
    """

    first: int
    second: int
    names: tuple[str, str]
    page: str


def pairs(names: Sequence[str]) -> list[Pair]:
    """Pairs that get a page: all of them, or those with the first system where there would be too many.

    Example:
        >>> [pair.page for pair in pairs(["B200", "8×TPU v5p"])]
        ['pairs/b200-and-8x-tpu-v5p.html']
    """
    every = list(combinations(range(len(names)), 2))
    kept = every if len(every) <= MOST else [pair for pair in every if pair[0] == 0]
    taken: set[str] = set()
    return [
        Pair(a, b, (names[a], names[b]), f"pairs/{address(f'{names[a]} and {names[b]}', taken)}")
        for a, b in kept
    ]


def ratios(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each figure of two results at the same work, their ratio with its interval, and who is better.

    The errors of two systems are taken as independent. A bound is no prediction, so that it has no odds.

    Args:
        first, second: Flat results of a comparison.

    Yields:
        Flat rows with `first`, `second`, `ratio`, `ratio_low`, `ratio_high` and `odds`, the probability
        that the first is better.
    """
    bound = "bound" in (first.get("grade"), second.get("grade"))
    for key, (title, more) in FIGURES.items():
        a, b = first.get(key), second.get(key)
        if not a or not b or not (first["feasible"] and second["feasible"]):
            continue
        row: dict[str, Any] = {"work": first["work"], "figure": title, "ratio": a / b}
        for name, one in (("first", first), ("second", second)):
            row |= {f"{name}{end}": one.get(f"{key}{end}") for end in ("", "_low", "_high")}
        error = math.hypot(_log_error(first, key), _log_error(second, key))
        if math.isfinite(error) and not bound:
            far = math.exp(Z * error)
            row |= {"ratio_low": a / b / far, "ratio_high": a / b * far}
            row["odds"] = NormalDist().cdf((1 if more else -1) * math.log(a / b) / error) if error else None
        yield row


def _log_error(row: Mapping[str, Any], key: str) -> float:
    """Standard error of a figure's logarithm; NaN where it has no interval."""
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    return math.log(high / low) / (2.0 * Z) if low and high else math.nan


def write_pair(
    book: Book,
    pair: Pair,
    found: ib.Comparison,
    rows: Sequence[Mapping[str, Any]],
    links: Sequence[tuple[str, str]],
    charts: Sequence[Chart],
) -> None:
    """Write the page of a pair.

    Args:
        book: The site.
        pair: Of which systems.
        found: Their comparison alone.
        rows: Flat results of all systems, work by work.
        links: Names of the two with the addresses of their pages.
        charts: Pictures of both.
    """
    count = len(rows) // len(found.works)
    works = [rows[start : start + count] for start in range(0, len(rows), count)]
    compared = [row for work in works for row in ratios(work[pair.first], work[pair.second])]
    names = [ib.short(name, 24) for name in pair.names]
    columns = {
        "work": ("work", ""),
        "figure": ("figure", ""),
        "first": (names[0], ""),
        "second": (names[1], ""),
        "ratio": (f"{names[0]} : {names[1]}", ""),
        "odds": (f"odds that {names[0]} is better", "odds"),
    }
    book.write(
        pair.page,
        "pair.html",
        f"{names[0]} and {names[1]}",
        tables=found.tables(),
        table=rows_table(compared, columns),
        choices={
            index: list(dict.fromkeys(row[name] for row in compared))
            for index, name in enumerate(("work", "figure"))
        },
        links=links,
        charts=charts,
        notes=found.notes,
    )
