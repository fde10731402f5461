"""The power limit of a chip that publishes none, from what chips of its kind draw.

Two kinds, because they scale differently: chips with memory beside the die, where bandwidth tells more than
arithmetic,

    TDP = watts x (R / 100 TOP/s)^ops x (B / 1 TB/s)^bytes,

and chips that keep everything on the die, where only arithmetic is left. R is the dense rate at 8 bits
(twice the 16-bit rate, or half the 4-bit rate, where there is none), B the bandwidth of the memory beside
the die. `tools/fit_tdp.py` fits both by least squares of logarithms over the chips whose power is
published, and says how far off a chip is that the fit has not seen.
"""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib.resources import files

import inferbench as ib

__all__ = ["Law", "beside", "eight_bit_rate", "estimate", "laws"]

OUTSIDE = ("hbm", "ddr")
# Bytes per operation below which memory beside the die holds what is loaded once, and does not feed the
# arithmetic. GPUs and TPUs have 0.5e-3 to 10e-3, the in-memory chips with a DRAM beside them 0.16e-3.
FED = 0.3e-3


@ib.frozen
class Law:
    """Watts of one kind of chips.

    Attributes:
        watts: Of a chip of 100 TOP/s at 8 bits and 1 TB/s.
        ops: Exponent of the 8-bit rate.
        bytes: Exponent of the bandwidth beside the die; 0 for chips that keep everything on it.
        log_error: Standard error in logarithms for a chip that the fit has not seen.

    Example:
        >>> round(Law(watts=200.0, ops=0.5, bytes=0.5, log_error=0.3)(400e12, 4e12))
        800
    """

    watts: float
    ops: float
    bytes: float
    log_error: float

    def __call__(self, rate: float, bandwidth: float) -> float:
        """Watts at a rate (OP/s) and a bandwidth (B/s); the latter is not read where its exponent is 0."""
        arithmetic = math.pow(rate / 1e14, self.ops)
        return self.watts * arithmetic * (math.pow(bandwidth / 1e12, self.bytes) if self.bytes else 1.0)


def eight_bit_rate(chip: ib.Chip) -> float:
    """Dense operations per second at 8 bits, or what the nearest format implies; NaN without any.

    Example:
        >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="simt", architecture=None,
        ...                peak={"bf16": 1e14})
        >>> eight_bit_rate(chip)
        200000000000000.0
    """
    for width, factor in ((1.0, 1.0), (2.0, 2.0), (0.5, 0.5)):
        rates = [rate for name, rate in chip.peak.items() if ib.FORMATS[name] == width and rate > 0]
        if rates:
            return factor * max(rates)
    return math.nan


def beside(chip: ib.Chip) -> float:
    """Bandwidth of the memory beside the die, B/s; 0 where there is none that feeds it, NaN where it is not
    published.
    """
    bandwidth = sum((chip.memory[level].bandwidth for level in OUTSIDE if level in chip.memory), 0.0)
    return 0.0 if bandwidth < FED * eight_bit_rate(chip) else bandwidth


@cache
def laws() -> dict[str, Law]:
    """The fitted laws: `outside` with memory beside the die, `inside` without."""
    raw = tomllib.loads(files(__package__).joinpath("limits.toml").read_text())
    return {name: Law(**raw[name]) for name in ("outside", "inside")}


def estimate(chip: ib.Chip) -> tuple[float, float]:
    """Watts that chips like this one are built for, and the standard error of its logarithm; NaN without a
    peak.

    Example:
        >>> chip = ib.Chip(name="x", title="X", vendor="V", architecture_type="systolic", architecture=None,
        ...                peak={"fp8": 1299e12}, memory={"hbm": ib.MemoryLevel(96e9, 2.9e12)})
        >>> watts, error = estimate(chip)  # a Trainium2, of which third parties say 500 W
        >>> 350 < watts < 750 and 0.2 < error < 0.5
        True
    """
    rate, bandwidth = eight_bit_rate(chip), beside(chip)
    law = laws()["outside" if bandwidth != 0.0 else "inside"]
    return law(rate, bandwidth), law.log_error
