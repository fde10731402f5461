"""What software adds to the time of its kernels: gaps, waits, the host, and how far operators overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from inferbench.num import Numeric
from inferbench.records.free import Free
from inferbench.records.immutable import frozen
from inferbench.records.overlap import power_sum
from inferbench.units import Exponent, Fraction, Seconds

__all__ = ["Across", "Host"]


@frozen
class Host:
    """What a step takes beside its kernels: `step` and `sequence` are the CPU's and waited for; `kernel` runs
    beside the chip and shows where it is longer; `gap` and `exchange` pass on the chip.

    Attributes:
        step: Once per pass over the network.
        sequence: Per sequence of the batch and pass: scheduling, sampling.
        kernel: Per kernel launched one by one (no CUDA graph).
        gap: Per kernel of the step: what lies between it and the next one in a graph, small kernels that are
            no operator among it. Tables of kernels alone in a loop don't show it; those of layers measured as
            one do, so that such a layer counts once.
        exchange: Per exchange between chips: waiting for the last of them.
        eager: Per kernel of a pass that processes prompts: no graph is captured for their many shapes, and
            the CPU launches kernel after kernel.
        reserve: Share of a chip's memory that the engine keeps from weights, cache and activations: graphs,
            workspaces, fragments. None: what engines on such chips usually keep.
        overlap: Exponent p that joins the chip's time with the time to launch all kernels, `(t^p + (n
            kernel)^p)^(1/p)`.
        free: What measured steps may fix of it, by path.
    """

    free: ClassVar[Mapping[str, Free]] = {
        free.table: free
        for free in (
            Free("host.step", 1e-3, 0.0, 1.0, 0.0, "steps of small batches and networks", unit="s"),
            Free("host.sequence", 1e-5, 0.0, 0.1, 0.0, "the same step at several batches", unit="s"),
            Free(
                "host.kernel",
                1e-5,
                0.0,
                1.2e-4,
                0.0,
                "networks of many small kernels beside some of few large ones",
                ticks=241,
                unit="s",
            ),
            Free("host.gap", 1e-6, 0.0, 1e-3, 0.0, "networks of many and of few layers", unit="s"),
            Free(
                "host.exchange",
                1e-6,
                0.0,
                1e-3,
                0.0,
                "networks of many and of few layers on one and several chips",
                unit="s",
            ),
            Free("host.eager", 1e-5, 0.0, 1e-3, 0.0, "closed loops of short answers", unit="s"),
        )
    }

    step: Seconds = 0.0
    sequence: Seconds = 0.0
    kernel: Seconds = 0.0
    gap: Seconds = 0.0
    exchange: Seconds = 0.0
    eager: Seconds = 0.0
    overlap: Exponent = 6.0
    reserve: Fraction | None = None

    def add(
        self,
        seconds: Numeric,
        kernels: Numeric,
        passes: Numeric,
        batch: Numeric,
        exchanges: Numeric = 0.0,
        eager: Numeric = 0.0,
        joined: Numeric = 0.0,
    ) -> Numeric:
        """Return a step's duration with the host in it.

        Args:
            seconds: Of the chip.
            kernels: Launched in the step.
            passes: Over the network in the step.
            batch: Sequences.
            exchanges: Between chips, in the step.
            eager: Kernels of the step that are launched outside of a graph.
            joined: Kernels of the step before which no gap lies that their own times don't have.

        Example:
            Two passes of 2 ms and 0.1 ms for each of 8 sequences.

            >>> Host(step=2e-3, sequence=1e-4).add(0.02, 0.0, 2.0, 8.0)
            0.0256
        """
        if self.kernel:
            seconds = power_sum([seconds, kernels * self.kernel], self.overlap)
        for each, count in ((self.gap, kernels - joined), (self.exchange, exchanges), (self.eager, eager)):
            if each:
                seconds = seconds + count * each
        if not (self.step or self.sequence):
            return seconds
        return seconds + passes * (self.step + self.sequence * batch)


@frozen
class Across:
    """How far operators overlap with each other: two-batch overlap, prefetched weights, fused kernels.

    Attributes:
        share: Of the time that a perfect overlap would save (`Run.bound_seconds` against `Run.model`); 0:
            operators run one after the other.
    """

    share: Fraction = 0.0

    def shorten(self, seconds: Numeric, bound: Numeric) -> Numeric:
        """Return a step's duration with the overlap in it.

        Args:
            seconds: Of the operators one after the other.
            bound: Bound of the step over the duration of its operators in sequence on ideal software.

        Example:
            Half of the 40 % that could be saved:

            >>> Across(share=0.5).shorten(10.0, 0.6)
            8.0
        """
        return seconds * (1.0 - self.share * (1.0 - bound)) if self.share else seconds
