"""Fit the waiting per layer, `tau`, to measured latencies: `python -m inferbench_cgra.fit`.

`t = floor + waits tau` is linear in `tau`; the least sum of squared relative errors has a closed form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import inferbench as ib
from inferbench_cgra.published import LLAMA2_7B, LLAMA3_8B, SOCKETS, Measured

__all__ = ["Fitted", "errors", "fit", "left_out", "plain_errors", "plain_tau", "shipped"]

# Student's t, two-sided 95%, by degrees of freedom.
STUDENT_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


@ib.frozen
class Fitted:
    """`tau` in seconds per layer with its 95% interval; the interval is NaN for a single row."""

    tau: float
    low: float
    high: float


def fit(rows: Sequence[Measured]) -> Fitted:
    """Fit one `tau`: with x = waits / t and y = 1 - floor / t it is sum(x y) / sum(x^2)."""
    return _through_origin(
        [row.waits / row.seconds for row in rows], [1.0 - row.floor / row.seconds for row in rows]
    )


def plain_tau(rows: Sequence[Measured]) -> Fitted:
    """Fit the shortest formula, `t = W / (n BW) + L tau` per token with all weights and nothing else."""
    return _through_origin(
        [row.layers / row.per_token for row in rows], [1.0 - row.streaming / row.per_token for row in rows]
    )


def _through_origin(xs: Sequence[float], ys: Sequence[float]) -> Fitted:
    square = sum(x * x for x in xs)
    tau = sum(x * y for x, y in zip(xs, ys, strict=True)) / square
    freedom = len(xs) - 1
    if freedom == 0:
        return Fitted(tau, math.nan, math.nan)
    residual = sum((y - tau * x) ** 2 for x, y in zip(xs, ys, strict=True)) / freedom
    half = STUDENT_95[freedom] * math.sqrt(residual / square)
    return Fitted(tau, tau - half, tau + half)


def errors(rows: Sequence[Measured], tau: float) -> list[float]:
    """Relative errors of the predicted latencies: positive where the model is too slow."""
    return [(row.floor + row.waits * tau) / row.seconds - 1.0 for row in rows]


def plain_errors(rows: Sequence[Measured], tau: float) -> list[float]:
    """The same of the shortest formula."""
    return [(row.streaming + row.layers * tau) / row.per_token - 1.0 for row in rows]


def left_out(rows: Sequence[Measured]) -> list[float]:
    """Relative error of each row under the `tau` fitted on the others."""
    return [errors([row], fit([other for other in rows if other is not row]).tau)[0] for row in rows]


def shipped(stack: str) -> dict[str, float] | None:
    """Field of `[tuning.cgra]` to its fitted value, in the digits of a stack of this package; None for
    others.

    Example:
        >>> shipped("sn40l-2024")
        {'tau': 1.2e-05}
    """
    return {"tau": float(f"{fit(LLAMA3_8B).tau:.3g}")} if stack == "sn40l-2024" else None


def report() -> Iterator[str]:
    """Yield the lines that the module prints."""
    fitted, plain = fit(LLAMA3_8B), plain_tau(LLAMA3_8B)
    yield f"{SOCKETS} sockets, Llama 3 8B, batch 1: tau = {_us(fitted)} per layer"
    yield f"with W / (n BW) + L tau alone: tau = {_us(plain)}"
    columns = (errors(LLAMA3_8B, fitted.tau), left_out(LLAMA3_8B), plain_errors(LLAMA3_8B, plain.tau))
    for row, seen, unseen, short in zip(LLAMA3_8B, *columns, strict=True):
        yield _line(row, seen) + f"  left out {unseen:+.1%}  short formula {short:+.1%}"
    yield "Llama 2 7B, smaller and slower: another software state, not fitted"
    for row, error in zip(LLAMA2_7B, errors(LLAMA2_7B, fitted.tau), strict=True):
        yield _line(row, error) + f"  its own tau {fit([row]).tau * 1e6:.0f} us"


def _us(fitted: Fitted) -> str:
    return f"{fitted.tau * 1e6:.1f} us (95% {fitted.low * 1e6:.1f} to {fitted.high * 1e6:.1f})"


def _line(row: Measured, error: float) -> str:
    return (
        f"  {row.network} {row.length:>5} + {row.length:<5} {row.per_token * 1e3:.3f} ms per token, "
        f"floor {row.floor / row.length * 1e3:.3f}  model {error:+.1%}"
    )


if __name__ == "__main__":
    print("\n".join(report()))
