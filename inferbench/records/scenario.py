"""`Scenario`: the economics a comparison assumes, and `Suite`: a named list of workload points."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

import attrs
import numpy as np

from inferbench.num import Numeric
from inferbench.records.facts import Fact, Source
from inferbench.records.immutable import frozen
from inferbench.records.rules import Ruled
from inferbench.records.system import System
from inferbench.units import (
    DollarsPerKilowattHour,
    Factor,
    GramsPerKilowattHour,
    Range,
    Share,
    Span,
)

__all__ = [
    "HourlyCost",
    "Scenario",
    "ScenarioFile",
    "Suite",
    "SuiteFile",
    "SuitePoint",
    "SuiteSpace",
    "Term",
    "shared_term",
    "term_beside",
]

End = Literal["low", "mid", "high"]


class Term(StrEnum):
    """On what terms an hour of a chip is paid. Figures of two terms are different quantities.

    `PURCHASE` is bought, written off and powered, by the scenario; `OWNERSHIP` is somebody's published cost
    of owning it; the others are rates for an hour without commitment, and with one for one or three years.
    """

    PURCHASE = "purchase"
    OWNERSHIP = "ownership"
    ON_DEMAND = "on_demand"
    RESERVED_1Y = "reserved_1y"
    RESERVED_3Y = "reserved_3y"

    @property
    def said(self) -> str:
        """How rows call it."""
        return _TITLES[self]

    @property
    def path(self) -> str:
        """Where its price stands in a chip's file."""
        return f"price.{self}" if self in (Term.PURCHASE, Term.OWNERSHIP) else f"price.rental.{self}"


_TITLES: Mapping[Term, str] = {
    Term.PURCHASE: "ownership",
    Term.OWNERSHIP: "published TCO",
    Term.ON_DEMAND: "rental on demand",
    Term.RESERVED_1Y: "rental reserved 1 year",
    Term.RESERVED_3Y: "rental reserved 3 years",
}
_LACKING: Mapping[Term, str] = {
    Term.PURCHASE: "no purchase price",
    Term.OWNERSHIP: "no published cost of ownership",
    Term.ON_DEMAND: "no on-demand rate",
    Term.RESERVED_1Y: "no rate for one year",
    Term.RESERVED_3Y: "no rate for three years",
}


@frozen(kw_only=True)
class Scenario(Ruled):
    """What an hour costs beside the chip.

    .. versionadded:: 0.1

    Attributes:
        depreciation: Time over which the purchase price is written off, linearly.
        electricity: US dollars per kWh.
        pue: Facility power over IT power.
        system_factor: Price of the system over the price of its chips (host, network, rack).
        utilization: Share of the hours in which the fleet earns.
        carbon_intensity: Grams of CO2 per kWh of the grid; NaN where the scenario has none.

    Example:
        A chip of 30,000 dollars in a system of 1.5 times its price, written off over three years that earn
        80% of their hours: 2.14 dollars an hour.

        >>> from inferbench.records.chip import Chip, Price
        >>> chip = Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
        ...             price=Price(purchase=Range(30e3, 30e3)))
        >>> scenario = Scenario(name="s", title="S", depreciation=3 * 365 * 86400.0, electricity=0.08,
        ...                     pue=1.25, system_factor=1.5, utilization=0.8)
        >>> round(float(scenario.cost(System(chip), 0.0).capital.mid), 2)
        2.14
    """

    name: str
    title: str
    depreciation: Span
    electricity: DollarsPerKilowattHour
    pue: Factor
    system_factor: Factor
    utilization: Share
    carbon_intensity: GramsPerKilowattHour = math.nan
    facts: Mapping[str, Fact] = attrs.field(factory=dict, eq=False)
    note: str = ""
    origin: str = ""

    def kilowatts(self, system: System, watts: Numeric, limit: float = math.nan) -> Numeric:
        """Kilowatts that the facility draws for a system: at the wall, times the PUE."""
        return system.wall(watts, limit) * self.pue / 1000.0

    def cost(self, system: System, watts: Numeric, limit: float = math.nan) -> HourlyCost:
        """US dollars per hour of a system on every term: the one place in which money is computed.

        Ownership per earning hour = (price x system factor / depreciation + kilowatts x price of energy) /
        utilization; a price that holds its system takes no system factor. Rates are as listed, times the
        chips.

        Args:
            system: With its chip's prices and node.
            watts: Mean power of all its chips at the boundary of the chip's spec, broadcastable.
            limit: Watts at most of one chip where the spec has none.
        """
        price = system.chip.price
        factor = 1.0 if price.includes_system else self.system_factor
        share = system.count * factor / (self.depreciation / 3600.0) / self.utilization
        power = self.kilowatts(system, watts, limit)
        return attrs.evolve(
            HourlyCost.of_rates(system),
            capital=price.purchase.times(share),
            electricity=power * self.electricity / self.utilization,
        )

    def carbon(self, system: System, watts: Numeric, limit: float = math.nan) -> Numeric:
        """Grams of CO2 per hour that a system runs; what making it took is not in it."""
        return self.kilowatts(system, watts, limit) * self.carbon_intensity


@frozen(eq=False)
class HourlyCost:
    """US dollars per hour of a system, by term.

    Attributes:
        capital: Write-off of the purchase price per earning hour; NaN where no price is known.
        electricity: Per earning hour, with cooling; NaN where watts at the wall are not known.
        listed: Published rates of the whole system.
        missing: Why a price is not known, by term; read only where it isn't.
    """

    capital: Range
    electricity: Numeric
    listed: Mapping[Term, Range]
    missing: Mapping[Term, str] = attrs.field(factory=dict)

    @classmethod
    def of_rates(cls, system: System) -> HourlyCost:
        """What is listed for a system, without a scenario: no ownership, as nothing says over how long."""
        chip, price = system.chip, system.chip.price
        rental = price.rental
        rates: dict[Term, Range] = {
            Term.OWNERSHIP: price.ownership,
            Term.ON_DEMAND: rental.on_demand,
            Term.RESERVED_1Y: rental.reserved_1y,
            Term.RESERVED_3Y: rental.reserved_3y,
        }
        return cls(
            capital=Range(math.nan, math.nan),
            electricity=math.nan,
            listed={term: one.times(system.count) for term, one in rates.items()},
            missing={term: f"{_LACKING[term]}: {chip.missing(term.path)}" for term in Term},
        )

    @classmethod
    def under(
        cls, scenario: Scenario | None, system: System, watts: Numeric, limit: float = math.nan
    ) -> HourlyCost:
        """What a system costs under a scenario; without one what is listed.

        Args:
            scenario: Economics; None: no ownership is known.
            system: With its chip's prices and node.
            watts: Mean power of all its chips, broadcastable.
            limit: Watts at most of one chip where the spec has none.
        """
        return cls.of_rates(system) if scenario is None else scenario.cost(system, watts, limit)

    def of(self, term: Term, end: End = "mid") -> Any:
        """Dollars per hour on a term, shaped as the watts for a purchase; NaN where not known."""
        if term is Term.PURCHASE:
            return getattr(self.capital, end) + self.electricity
        return getattr(self.listed[term], end)

    def per_million(self, term: Term, rate: Numeric, end: End = "mid") -> Any:
        """Dollars per million items at a rate in items per second."""
        return self.of(term, end) / 3600.0 / rate * 1e6

    def why(self, term: Term) -> str:
        """Why a term's price is not known; empty where it is, also where only the watts are not."""
        known = self.capital if term is Term.PURCHASE else self.listed[term]
        return self.missing.get(term, "not known") if math.isnan(known.mid) else ""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms on which an hour's price is known; ownership needs watts at the wall too."""
        return tuple(term for term in Term if self._knows(term))

    def _knows(self, term: Term) -> bool:
        if term is Term.PURCHASE:
            powered = not np.all(np.isnan(np.asarray(self.electricity)))
            return powered and not math.isnan(self.capital.mid)
        return not math.isnan(self.listed[term].mid)

    @property
    def proxy(self) -> Term | None:
        """The term to take where one figure must do: ownership, else the on-demand rate, which must be
        labelled so.
        """
        return term_beside(self.terms, None)


def shared_term(known: Iterable[Collection[Term]]) -> Term | None:
    """Return the term on which most systems have a price; of several the first, in the order of `Term`.

    Only like is compared with like, so a comparison takes the term that leaves the fewest systems out.

    Args:
        known: The terms of each system's prices.

    Returns:
        None where no system has a price.

    Example:
        >>> shared_term([{Term.PURCHASE, Term.OWNERSHIP}, {Term.OWNERSHIP, Term.ON_DEMAND}, set()])
        <Term.OWNERSHIP: 'ownership'>
    """
    counts = Counter(term for one in known for term in one)
    return max(Term, key=lambda term: counts[term]) if counts else None


def term_beside(known: Collection[Term], shared: Term | None) -> Term | None:
    """Return the term to show a system on beside others: the one they share, else ownership, else on demand.

    Args:
        known: The terms of its own prices.
        shared: What `shared_term` found for all.

    Returns:
        None where it has none of these.

    Example:
        >>> term_beside({Term.ON_DEMAND}, Term.PURCHASE), term_beside({Term.OWNERSHIP}, Term.PURCHASE)
        (<Term.ON_DEMAND: 'on_demand'>, None)
    """
    return next((term for term in (shared, Term.PURCHASE, Term.ON_DEMAND) if term in known), None)


@frozen(kw_only=True)
class ScenarioFile:
    """The layout of a scenario's TOML."""

    title: str
    note: str = ""
    source: str = ""
    sources: Mapping[str, Source] = attrs.field(factory=dict)
    depreciation: Span
    electricity: DollarsPerKilowattHour
    pue: Factor
    system_factor: Factor
    utilization: Share
    carbon_intensity: GramsPerKilowattHour = math.nan


@frozen(kw_only=True)
class SuitePoint:
    """One column of work.

    Attributes:
        title: How the column is called.
        network: Name of a network.
        phase: Of its workload.
        batch: Sequences at once, or `max` for the largest batch that fits.
        context: Tokens in the cache (decode) or in the prompt.
        precision: Number format.
    """

    title: str
    network: str
    phase: str
    batch: float | Literal["max"] = 1.0
    context: float = 2048.0
    precision: str = "fp8"


@frozen(kw_only=True)
class SuiteSpace:
    """The workload points and the reference systems by which flexibility is judged.

    Attributes:
        works: `network/phase`; each is asked at every batch and context.
        batch, context: Axes.
        precision: Of all points.
        against: Reference systems, fixed and named: the best of them at a point sets its mark.
    """

    works: tuple[str, ...]
    batch: tuple[float, ...]
    context: tuple[float, ...]
    precision: str = "fp8"
    against: tuple[str, ...]


@frozen(kw_only=True)
class Suite:
    """A named list of workload points that everyone runs alike, and the space that judges flexibility.

    .. versionadded:: 0.1
    """

    name: str
    title: str
    points: tuple[SuitePoint, ...]
    space: SuiteSpace | None = None
    note: str = ""
    origin: str = ""


@frozen(kw_only=True)
class SuiteFile:
    """The layout of a suite's TOML: `[[points]]` tables and, for flexibility, one `[space]`."""

    title: str
    note: str = ""
    points: tuple[SuitePoint, ...]
    space: SuiteSpace | None = None
