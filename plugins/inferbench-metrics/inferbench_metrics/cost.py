"""Dollars per hour and per million tokens on each term, and useful operations per dollar.

All money is computed by the scenario (`Run.cost`). A row holds one term and names it; a chip without a
price on that term has no figure there, so that only like stands beside like. Where a single figure must do
and nothing is sold, the on-demand rate stands for ownership, in a row that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import inferbench as ib
from inferbench_metrics.energy import wall_why
from inferbench_metrics.speed import useful_rate, yields_tokens

__all__ = ["METRICS", "capital", "electricity"]

End = Literal["low", "mid", "high"]
# Term to the key of its columns, and the place of its rows; those of 200 and more come with -v.
KEYS: dict[ib.Term, tuple[str, int, int]] = {
    ib.Term.PURCHASE: ("", 80, 90),
    ib.Term.ON_DEMAND: ("_cloud", 85, 91),
    ib.Term.RESERVED_1Y: ("_reserved_1y", 286, 294),
    ib.Term.RESERVED_3Y: ("_reserved_3y", 86, 94),
    ib.Term.OWNERSHIP: ("_published_ownership", 288, 296),
}
# End of a price's range to what it adds to the column's key, the row's name and its place.
ENDS: dict[End, tuple[str, str, int]] = {
    "mid": ("", "", 0),
    "low": ("_low", ", low", 201),
    "high": ("_high", ", high", 202),
}


def capital(run: ib.Run, end: End = "mid") -> Any:
    """Write-off of the purchase price per earning hour, US dollars."""
    return getattr(run.cost.capital, end)


def electricity(run: ib.Run) -> Any:
    """Electricity with cooling per earning hour, US dollars."""
    return run.cost.electricity


def _why(run: ib.Run, term: ib.Term) -> str:
    """Why dollars per hour on a term are not known; empty where they are."""
    if term is not ib.Term.PURCHASE:
        return run.cost.why(term)
    if run.scenario is None:
        return "needs an economic scenario"
    return run.cost.why(term) or wall_why(run)


def _of_term(term: ib.Term) -> Callable[[ib.Run], bool]:
    """Whether a row of a term is shown: always of the main ones, else only for chips that have a price."""
    if term in (ib.Term.PURCHASE, ib.Term.ON_DEMAND):
        return lambda run: True
    return lambda run: not run.cost.why(term)


def _per_hour(term: ib.Term, end: End) -> ib.Metric:
    key, order, _ = KEYS[term]
    suffix, said, shift = ENDS[end]
    owned = term is ib.Term.PURCHASE and end == "mid"
    return ib.Metric(
        f"usd_per_hour{key}{suffix}",
        f"{term.said}, $/h{said}",
        "",
        "lower",
        lambda run: run.cost.of(term, end),
        lambda run: _why(run, term),
        _of_term(term),
        order + shift,
        role="cost" if owned else None,
        chain="cost" if owned else None,
    )


def _per_mtok(term: ib.Term, end: End) -> ib.Metric:
    """Dollars per million tokens: of the prompt in a prefill, of the output in decoding."""
    key, _, order = KEYS[term]
    suffix, said, shift = ENDS[end]
    shown = _of_term(term)

    def compute(run: ib.Run) -> Any:
        if run.item != "token":
            return np.nan
        return run.cost.per_million(term, run.items / run.seconds, end)

    def why(run: ib.Run) -> str:
        tokens = "" if run.item == "token" else f"a step of {run.phase} yields {run.item}s, not tokens"
        return tokens or _why(run, term)

    return ib.Metric(
        f"usd_per_mtok{key}{suffix}",
        f"{term.said}, $/Mtok{said}",
        "",
        "lower",
        compute,
        why,
        lambda run: yields_tokens(run) and shown(run),
        order + shift,
        interval="time" if end == "mid" else None,
        spec_range=_range(term),
        chain="cost" if term is ib.Term.PURCHASE and end == "mid" else None,
    )


def _range(term: ib.Term) -> Callable[[ib.Run], tuple[Any, Any]]:
    """Low and high factor of a price that its source gives as a range."""
    return lambda run: (
        run.cost.of(term, "low") / run.cost.of(term),
        run.cost.of(term, "high") / run.cost.of(term),
    )


def _rows(term: ib.Term) -> list[ib.Metric]:
    """Per hour and per million tokens, with the ends of a price of the main terms."""
    main = term in (ib.Term.PURCHASE, ib.Term.ON_DEMAND)
    ends: tuple[End, ...] = ("mid", "low", "high") if main else ("mid",)
    return [row(term, end) for end in ends for row in (_per_hour, _per_mtok)]


def _per_dollar(term: ib.Term) -> tuple[Callable[[ib.Run], Any], Callable[[ib.Run], str]]:
    return (lambda run: useful_rate(run) / 1e12 / run.cost.of(term)), (lambda run: _why(run, term))


METRICS = (
    *(metric for term in KEYS for metric in _rows(term)),
    ib.Metric(
        "usd_per_hour_capital",
        "of it capital, $/h",
        "",
        "lower",
        capital,
        lambda run: "needs an economic scenario" if run.scenario is None else run.cost.why(ib.Term.PURCHASE),
        order=283,
    ),
    ib.Metric(
        "usd_per_hour_electricity",
        "of it electricity, $/h",
        "",
        "lower",
        electricity,
        lambda run: "needs an economic scenario" if run.scenario is None else wall_why(run),
        order=284,
    ),
    ib.Metric(
        "cost_efficiency",
        "useful TOPS per $/h, ownership",
        "",
        "higher",
        *_per_dollar(ib.Term.PURCHASE),
        order=92,
        interval="rate",
        spec_range=lambda run: _range(ib.Term.PURCHASE)(run)[::-1],
    ),
    ib.Metric(
        "cost_efficiency_cloud",
        "useful TOPS per $/h, rental on demand",
        "",
        "higher",
        *_per_dollar(ib.Term.ON_DEMAND),
        order=93,
        interval="rate",
        spec_range=lambda run: _range(ib.Term.ON_DEMAND)(run)[::-1],
    ),
)
