"""Points of a serving frontier as columns, each with its title, its unit and what it is for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs
import numpy as np

from inferbench.model.expected import Estimate
from inferbench.model.intervals import INTERVAL
from inferbench.num import Array, Column
from inferbench.records.scenario import Term

__all__ = ["ABOUT", "MONEY", "PAIRS", "QUANTITIES", "TABLE", "Points", "Quantity"]


@attrs.frozen
class Quantity:
    """What a column of points holds.

    Attributes:
        name: Of the column, in `Points`, JSON and CSV.
        title: Of its row or column on screens; empty: it has none.
        unit: SI symbol for screens.
        place: Its place in a frontier's table; 0: it has none.
        lower: Whether less of it is better.
        rival: Whether tokens per second and user are set against it.
        term: Terms of a price; None where it is none.
        per: What a price is of.
        doubt: Column of its log standard error; empty: it has none.
    """

    name: str
    title: str = ""
    unit: str = ""
    place: int = 0
    lower: bool = False
    rival: bool = False
    term: Term | None = None
    per: Literal["", "hour", "million tokens"] = ""
    doubt: str = ""


@attrs.frozen(eq=False, kw_only=True)
class Points:
    """Points of one system: arrays of equal length, NaN where not known; by name as in a mapping too.

    Attributes:
        policy: How prompts go between tokens: interleaved, chunked or disaggregated.
        layout, prompt_layout: Of a replica for tokens, and of one for prompts where these are others.
        batch: Sequences of a replica; `users`: of all of them, on average, with those that wait.
        power_w: Of all chips, at the boundary of their spec; so is `joules_per_token`, while
            `wall_joules_per_token` counts servers too.
        chunk: Tokens of a chunk of a prompt; NaN where prompts are whole.
        tpot_s_low, tpot_s_high: Ends of the 90% interval, NaN under a bound; of the others likewise.
        grade: What the point rests on.
        grams_co2_per_hour: Of all chips, by the scenario's grid.
        log_error: Log standard error of times and rates, errors of prompts and tokens taken as alike;
            `ttft_log_error`, `power_log_error`, `joules_log_error`, `wall_log_error`, `usd_log_error`,
            `usd_cloud_log_error` those of the others, ranges of prices in the last two. NaN under software
            without an interval.
        declared: Values of the metrics that ask to stand in a frontier.
    """

    policy: Column = attrs.field()
    layout: Column = attrs.field()
    prompt_layout: Column = attrs.field()
    precision: Column = attrs.field()
    batch: Array = attrs.field()
    users: Array = attrs.field(metadata={"title": "users", "place": 3})
    requests_per_s: Array = attrs.field(metadata={"doubt": "log_error", "title": "requests/s"})
    ttft_s: Array = attrs.field(
        metadata={"doubt": "ttft_log_error", "title": "first token", "unit": "s", "place": 4}
    )
    tpot_s: Array = attrs.field(
        metadata={"doubt": "log_error", "title": "per token", "unit": "s", "place": 5}
    )
    tokens_per_s_per_user: Array = attrs.field(
        metadata={"doubt": "log_error", "title": "tokens/s per user", "place": 1}
    )
    tokens_per_s: Array = attrs.field(metadata={"doubt": "log_error"})
    tokens_per_s_per_chip: Array = attrs.field(
        metadata={"doubt": "log_error", "title": "tokens/s per chip", "place": 2, "rival": True}
    )
    power_w: Array = attrs.field(metadata={"doubt": "power_log_error", "title": "power (chips)", "unit": "W"})
    joules_per_token: Array = attrs.field(metadata={"doubt": "joules_log_error", "unit": "J"})
    wall_joules_per_token: Array = attrs.field(
        metadata={
            "doubt": "wall_log_error",
            "title": "J/token, wall",
            "unit": "J",
            "place": 8,
            "lower": True,
            "rival": True,
        }
    )
    replicas: Array = attrs.field()
    prompt_replicas: Array = attrs.field()
    chunk: Array = attrs.field()
    prompt_chips_per_token_chip: Array = attrs.field(metadata={"title": "P:D", "place": 9})
    usd_per_hour: Array = attrs.field(metadata={"term": Term.PURCHASE, "per": "hour"})
    usd_per_mtok: Array = attrs.field(
        metadata={
            "doubt": "usd_log_error",
            "title": "own $/Mtok",
            "place": 6,
            "lower": True,
            "rival": True,
            "term": Term.PURCHASE,
            "per": "million tokens",
        }
    )
    usd_per_hour_cloud: Array = attrs.field(metadata={"term": Term.ON_DEMAND, "per": "hour"})
    usd_per_mtok_cloud: Array = attrs.field(
        metadata={
            "doubt": "usd_cloud_log_error",
            "title": "on demand $/Mtok",
            "place": 7,
            "lower": True,
            "term": Term.ON_DEMAND,
            "per": "million tokens",
        }
    )
    tpot_s_low: Array = attrs.field()
    tpot_s_high: Array = attrs.field()
    ttft_s_low: Array = attrs.field()
    ttft_s_high: Array = attrs.field()
    tokens_per_s_low: Array = attrs.field()
    tokens_per_s_high: Array = attrs.field()
    grade: Column = attrs.field()
    grams_co2_per_hour: Array = attrs.field()
    log_error: Array = attrs.field()
    ttft_log_error: Array = attrs.field()
    power_log_error: Array = attrs.field()
    joules_log_error: Array = attrs.field()
    wall_log_error: Array = attrs.field()
    usd_log_error: Array = attrs.field()
    usd_cloud_log_error: Array = attrs.field()
    declared: Mapping[str, Column] = attrs.field(factory=dict)

    def __len__(self) -> int:
        """Return their number."""
        return len(self.tpot_s)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns, the declared metrics after the texts."""
        names = [one.name for one in QUANTITIES]
        return iter([*names[:_TEXTS], *self.declared, *names[_TEXTS:]])

    def at(self, i: int) -> dict[str, Any]:
        """Return one point: name of each column to its value."""
        return {name: self[name][i] for name in self}

    def __getitem__(self, name: str) -> Column:
        """Return a column by its name."""
        found: Column = self.declared[name] if name in self.declared else getattr(self, name)
        return found

    def between(self, what: Quantity, i: int) -> tuple[float, float]:
        """Ends of the 90 % interval of a point's figure; NaN where it has none."""
        value, error = float(self[what.name][i]), float(self[what.doubt][i]) if what.doubt else math.nan
        return value * math.exp(-INTERVAL * error), value * math.exp(INTERVAL * error)

    def estimate(self, what: Quantity, i: int, most: float = math.nan) -> Estimate:
        """A point's figure with its interval; that of the power ends at `most`, what all chips may draw."""
        value, (low, high) = float(self[what.name][i]), self.between(what, i)
        limit = most if what.name == ABOUT.power_w.name else math.nan
        return Estimate(value, low, min(high, max(limit, value)) if math.isfinite(limit) else high, limit)

    def joined(self, others: Points) -> Points:
        """These points and others of the same system."""
        return Points.of({name: np.concatenate([self[name], others[name]]) for name in self})

    @classmethod
    def of(cls, columns: Mapping[str, Column]) -> Points:
        """Build from columns by name; those of no field are values of declared metrics."""
        names = [one.name for one in QUANTITIES]
        own = {name: columns.get(name, np.empty(0)) for name in names}
        return cls(**own, declared={name: values for name, values in columns.items() if name not in own})


QUANTITIES: tuple[Quantity, ...] = tuple(
    Quantity(field.name, **field.metadata) for field in attrs.fields(Points) if field.name != "declared"
)
_TEXTS = 4
ABOUT = attrs.fields(Points)
"""The fields, for whoever writes a column by its name."""
TABLE: tuple[Quantity, ...] = tuple(
    sorted((one for one in QUANTITIES if one.place), key=lambda one: one.place)
)
"""Columns of a frontier's table, in order."""
MONEY: tuple[Quantity, ...] = tuple(one for one in QUANTITIES if one.term is not None)
"""Columns that hold prices."""
PAIRS: tuple[Quantity, ...] = (
    *(one for one in QUANTITIES if one.rival and not one.lower),
    *(one for one in MONEY if one.rival),
    *(one for one in QUANTITIES if one.rival and one.lower and one.term is None),
)
"""What tokens per second and user are set against: throughput, cost, energy."""
