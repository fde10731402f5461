"""Fit the waiting per layer, `tau`, to published rates: `python -m inferbench_dataflow.fit`.

`t = W / (tp BW) + L tau` is linear in `tau`, so that the least sum of squared relative errors has a
closed form: with `x = L / t` and `y = 1 - reading / t`, `tau = sum(x y) / sum(x^2)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import inferbench as ib
from inferbench_dataflow.published import CEREBRAS_2024, GROQ_2023, GROQ_2024, PublishedRate

__all__ = ["Fitted", "errors", "fit", "left_out", "predict", "shipped", "sync"]

# Student's t, two-sided 95%, by degrees of freedom; few rows are all there is.
STUDENT_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571}


@ib.frozen
class Fitted:
    """`tau` in seconds per layer with its 95% interval; the interval is NaN for a single row."""

    tau: float
    low: float
    high: float
    rows: int


def predict(row: PublishedRate, tau: float) -> float:
    """Return seconds per token: `W / (tp BW) + L tau`.

    Example:
        >>> round(1 / predict(GROQ_2024[0],
        ...     0.0))              # a bandwidth-only roofline of 36 chips per layer
        41739
    """
    return row.reading + row.layers * tau


def fit(rows: Sequence[PublishedRate]) -> Fitted:
    """Fit one `tau` to the rows by least squares on relative errors."""
    xs = [row.layers / row.seconds for row in rows]
    ys = [1.0 - row.reading / row.seconds for row in rows]
    tau = sum(x * y for x, y in zip(xs, ys, strict=True)) / sum(x * x for x in xs)
    freedom = len(rows) - 1
    if freedom == 0:
        return Fitted(tau, math.nan, math.nan, 1)
    residual = sum((y - tau * x) ** 2 for x, y in zip(xs, ys, strict=True)) / freedom
    half = STUDENT_95[freedom] * math.sqrt(residual / sum(x * x for x in xs))
    return Fitted(tau, tau - half, tau + half, len(rows))


def sync(rows: Sequence[PublishedRate]) -> float:
    """Return the software's share of `tau` at one of a layer's two reductions: what a stack's
    `[tuning.dataflow]` takes.
    """
    return (fit(rows).tau - sum(row.hops for row in rows) / len(rows)) / 2.0


def shipped(stack: str) -> dict[str, float] | None:
    """Field of `[tuning.dataflow]` to its fitted value, in the digits of a stack of this package; None for
    others.

    Example:
        >>> shipped("groq-2024")
        {'sync': 1.94e-05}
    """
    rows = {"groq-2024": GROQ_2024, "cerebras-2024": (CEREBRAS_2024,)}.get(stack)
    return None if rows is None else {"sync": float(f"{sync(rows):.3g}")}


def errors(rows: Sequence[PublishedRate], tau: float) -> list[float]:
    """Relative errors of the predicted rates, row by row: positive where the model is too fast."""
    return [row.seconds / predict(row, tau) - 1.0 for row in rows]


def left_out(rows: Sequence[PublishedRate]) -> list[float]:
    """Relative error of each row's rate under the `tau` fitted on the others, one network left out at a
    time.
    """
    return [errors([row], fit([other for other in rows if other is not row]).tau)[0] for row in rows]


def report() -> Iterator[str]:
    """Yield the lines that the module prints."""
    fitted = fit(GROQ_2024)
    yield (
        f"Groq 2024: tau = {fitted.tau * 1e6:.1f} us per layer, 95% {fitted.low * 1e6:.1f} to "
        f"{fitted.high * 1e6:.1f} us, {fitted.rows} rows; sync = {sync(GROQ_2024) * 1e6:.1f} us"
    )
    for row, seen, unseen in zip(GROQ_2024, errors(GROQ_2024, fitted.tau), left_out(GROQ_2024), strict=True):
        yield _line(row, fitted.tau) + f"  fitted {seen:+.1%}  left out {unseen:+.1%}"
    yield (
        _line(GROQ_2023, fitted.tau)
        + f"  {errors([GROQ_2023], fitted.tau)[0]:+.0%}, earlier software, not fitted"
    )
    yield f"  its own tau would be {fit([GROQ_2023]).tau * 1e6:.1f} us"
    wafer = fit([CEREBRAS_2024])
    yield (
        f"Cerebras 2024: tau = {wafer.tau * 1e6:.2f} us per layer, fitted on the one row there is; no"
        " validation"
    )
    yield _line(CEREBRAS_2024, wafer.tau)


def _line(row: PublishedRate, tau: float) -> str:
    return (
        f"  {row.network:<12} {row.chips:>4} chips tp{row.tp:<3} published {row.rate:6.0f}/s  model "
        f"{1 / predict(row, tau):6.0f}/s  bandwidth only {1 / row.reading:8.0f}/s "
        f"({row.seconds / row.reading:.0f}x)"
    )


if __name__ == "__main__":
    print("\n".join(report()))
