"""Published batch-1 decoding rates of dataflow systems, transcribed, with what they leave open.

Rates are tokens per second of one user, plain decoding. Speculative decoding is another algorithm and is not
listed.
"""

from __future__ import annotations

import inferbench as ib
from inferbench_dataflow.model import crossing

__all__ = ["CEREBRAS_2024", "GROQ_2023", "GROQ_2024", "PublishedRate"]

GROQ_BANDWIDTH = 80e12  # B/s per chip, "up to 80 TB/s": TechPowerUp on the Groq LPU, February 2024
# s, estimate: "under 3 us end to end" over 10,440 chips (Abts et al., ISCA 2022) taken as four hops
GROQ_HOP = 0.7e-6
WAFER_BANDWIDTH = 21e15  # B/s: The Next Platform on the WSE-3, 14 March 2024
WAFER_PEAK = 15.84e15  # op/s in 16 bits: estimate of the chip's file, 900,000 cores x 8 FMA x 2 x 1.1 GHz
# s per layer of Llama 3.1 8B: crossings of the wafer (`crossing`), 900,000 cores with hops of 1 ns, for the
# operations of its products and of attention to 2,048 positions (they take longer than their bytes)
WAFER_CROSSINGS = sum(
    float(crossing(operations / WAFER_PEAK, 2 * (900_000**0.5 - 1) * 1e-9))
    for operations in (
        2 * 4096 * 6144,
        4 * 32 * 128 * 2048,
        2 * 4096 * 4096,
        2 * 4096 * 28_672,
        2 * 14_336 * 4096,
    )
)


@ib.frozen
class PublishedRate:
    """One published rate.

    Attributes:
        network: As the publisher names it.
        weights: Bytes of all weights in the stated format.
        layers: Decoder layers.
        rate: Tokens per second of one user.
        bandwidth: Bytes per second of one chip's memory.
        chips: Chips that serve it; `layout` says whether that is published.
        tp: Chips that share a layer in the assumed layout.
        hops: Seconds per layer that hardware needs: hops of its two reductions, crossings of the chip.
        layout: The assumed layout and where the chip count comes from.
        source: Who published it.
    """

    network: str
    weights: float
    layers: int
    rate: float
    bandwidth: float
    chips: int
    tp: int
    hops: float
    layout: str
    source: str

    @property
    def seconds(self) -> float:
        """Time per token."""
        return 1.0 / self.rate

    @property
    def reading(self) -> float:
        """Seconds to read all weights once: every stage of a pipeline reads its own share, one after the
        other.
        """
        return self.weights / (self.tp * self.bandwidth)


_FEBRUARY = "TechPowerUp news, figures given by Groq, February 2024 (techpowerup.com)"
_576 = (
    "576 chips published (Hacker News 39435411, SemiWiki 20412); tp36pp16 assumed, 5 whole layers per stage"
)
_SMALL = "chips not published; tp16pp2 is the smallest layout that holds the INT8 weights and a 2,048 cache"

GROQ_2024 = (
    PublishedRate(
        "Llama 2 70B",
        69.0e9,
        80,
        300.0,
        GROQ_BANDWIDTH,
        576,
        36,
        2 * GROQ_HOP,
        _576,
        _FEBRUARY + ", 4,096 context",
    ),
    PublishedRate(
        "Llama 2 7B",
        6.74e9,
        32,
        750.0,
        GROQ_BANDWIDTH,
        32,
        16,
        2 * GROQ_HOP,
        _SMALL,
        _FEBRUARY + ", 2,048 context",
    ),
    PublishedRate(
        "Llama 3 8B",
        8.03e9,
        32,
        800.0,
        GROQ_BANDWIDTH,
        40,
        4,
        2 * GROQ_HOP,
        "chips not published; tp4pp10 is the smallest layout that holds the INT8 weights and a 2,048 cache",
        "VentureBeat, May 2024 (uuaa.net/ainews/jKaZNBD2)",
    ),
)
"""The same generation of software: one `tau` is fitted on these."""

GROQ_2023 = PublishedRate(
    "Llama 2 70B",
    69.0e9,
    80,
    100.0,
    GROQ_BANDWIDTH,
    576,
    36,
    2 * GROQ_HOP,
    _576.replace("published", "published in 2024"),
    "Moor Insights & Strategy, August 2023",
)
"""An earlier software state: reported, never fitted."""

CEREBRAS_2024 = PublishedRate(
    "Llama 3.1 8B",
    16.06e9,
    32,
    1800.0,
    WAFER_BANDWIDTH,
    1,
    1,
    WAFER_CROSSINGS,
    "one wafer, as published",
    "cerebras.ai/blog/introducing-cerebras-inference-ai-at-instant-speed, 2024, 16-bit weights",
)
"""The only row of a single wafer with plain decoding: a `tau` fitted on it validates nothing."""
