"""Rows of a validation to tables of errors, each beside what a predictor without a model gets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from inferbench.num import Array
from inferbench.validation.rows import Row
from inferbench.validation.rules import RULES, SCREENED

__all__ = ["SCHEMA", "Score", "document", "flat_records", "row_record", "scores"]

SCHEMA = "inferbench.validation/1"


@attrs.frozen(kw_only=True)
class Score:
    """Errors of one group of rows; fractions, NaN where nothing can be said.

    Rows of `chip`, `stack`, `phase`, `metric`, `network`, `precision` and `domain` alike, as the rows
    themselves have them.

    Attributes:
        regime: `closed loop` or `steady state` of a server, empty for static batches.
        n: Rows scored.
        fitted: How many of them the stack was fitted on; None if that can't be known of some.
        mape, median: Mean and median of |predicted / measured - 1|.
        bias: Mean of predicted / measured - 1.
        coverage: Share of measurements inside their intervals; `intervals` rows have one.
        screened: Rows that a rule kept out although there is a prediction; `mape_all` has them in.
        unscored: Rows without a score, by code.
        constant: MAPE of the geometric mean of the group's other rows.
        bandwidth, tdp: MAPE of weights (of an operator: bytes) over bandwidth; of the power limit.
    """

    chip: str
    stack: str
    phase: str
    metric: str
    network: str
    precision: str
    domain: str
    regime: str
    n: int
    fitted: int | None
    mape: float
    median: float
    bias: float
    coverage: float
    intervals: int
    screened: int
    mape_all: float
    unscored: Mapping[str, int]
    constant: float
    bandwidth: float
    tdp: float


def scores(rows: Iterable[Row], by_network: bool = True) -> list[Score]:
    """Group rows by chip, stack, phase, metric, network, precision and whether they lie inside the stack's
    box.

    The phase of an operator is the name under which a stack knows it, so context, generation and encoder
    attention are apart, and so are collectives and sizes of their groups; closed loops are a phase of
    their own.

    Args:
        rows: Of `validate`.
        by_network: False: networks and precisions of a group together.

    Example:
        Two rows predicted 10% high and 10% low: MAPE 10%, bias 0.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        what = (row.network, row.precision) if by_network else ("", "")
        groups.setdefault((row.chip, row.stack, row.phase, row.metric, *what, row.domain), []).append(row)
    return [_score(key, group) for key, group in sorted(groups.items())]


def _score(key: tuple[str, ...], group: Sequence[Row]) -> Score:
    chip, stack, phase, metric, network, precision, domain = key
    counted = [row for row in group if row.scored]
    screened = [row for row in group if row.code in SCREENED and math.isfinite(row.predicted)]
    errors = np.array([row.error for row in counted])
    everything = np.array([row.error for row in (*counted, *screened)])
    bounded = [row for row in counted if math.isfinite(row.low)]
    unscored: dict[str, int] = {}
    for row in group:
        if row.code:
            unscored[row.code] = unscored.get(row.code, 0) + 1
    measured = np.array([row.measured for row in counted])
    return Score(
        chip=chip,
        stack=stack,
        phase=phase,
        metric=metric,
        network=network,
        precision=precision,
        domain=domain,
        regime=group[0].regime,
        n=len(counted),
        fitted=_fitted(counted),
        mape=_mean(np.abs(errors)),
        median=float(np.median(np.abs(errors))) if counted else math.nan,
        bias=_mean(errors),
        coverage=_mean(np.array([float(row.covered) for row in bounded])),
        intervals=len(bounded),
        screened=len(screened),
        mape_all=_mean(np.abs(everything)),
        unscored=unscored,
        constant=_mean(np.abs(_others(measured) / measured - 1.0)) if len(counted) > 1 else math.nan,
        bandwidth=_trivial("bandwidth", counted),
        tdp=_trivial("tdp", counted),
    )


def _fitted(rows: Sequence[Row]) -> int | None:
    """Count of rows that were fitted; None if one may have been."""
    known = [row.fitted for row in rows if row.fitted is not None]
    return sum(known) if len(known) == len(rows) else None


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _others(measured: Array) -> Array:
    """Geometric mean of all rows but each one's own."""
    logs = np.log(measured)
    return np.asarray(np.exp((np.sum(logs) - logs) / (len(logs) - 1)))


def _trivial(name: str, rows: Sequence[Row]) -> float:
    return _mean(
        np.array([abs(row.trivial[name] / row.measured - 1.0) for row in rows if name in row.trivial])
    )


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """Build the JSON document: tables, every row, the rules."""
    return {
        "schema": SCHEMA,
        "scored": sum(row.scored for row in rows),
        "unscored": _counts(rows),
        "rules": dict(RULES),
        "tables": [_plain(attrs.asdict(score)) for score in scores(rows)],
        "rows": [row_record(row) for row in rows],
    }


def row_record(row: Row) -> dict[str, Any]:
    """One row as a JSON record; null for what is not known. Its first fields are those of the table that it
    is in.
    """
    record = attrs.asdict(row)
    code, why = record.pop("code"), record.pop("why")
    known = math.isfinite(row.predicted)
    flat: dict[str, Any] = _plain(
        {
            **record,
            "domain": row.domain,
            "error": row.error if known else math.nan,
            "scored": row.scored,
            "covered": row.covered if math.isfinite(row.low) else None,
            "rule": code or None,
            "why_not": why or None,
        }
    )
    return flat


def flat_records(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Records of plain cells, all with the same columns: `axes.batch`, `trivial.bandwidth`.

    Args:
        records: Of `row_record`.

    Example:
        >>> flat_records([{"axes": {"batch": 8.0}, "trivial": {}, "caveats": ("a", "b")}])
        ({'caveats': 'a; b', 'axes.batch': 8.0},)
    """
    nested = ("axes", "trivial")
    names = {field: dict.fromkeys(name for one in records for name in one[field]) for field in nested}
    return tuple(
        {
            **{key: value for key, value in one.items() if key not in nested},
            "caveats": "; ".join(one["caveats"]),
            **{f"{field}.{name}": one[field].get(name) for field in nested for name in names[field]},
        }
        for one in records
    )


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        if row.code:
            counts[row.code] = counts.get(row.code, 0) + 1
    return counts


def _plain(value: object) -> Any:
    """The value with null for what is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value
