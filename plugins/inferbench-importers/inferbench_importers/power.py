"""Power logs to joules: trapezoids per device over a window, with the rules that make a log trustworthy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

import inferbench as ib

__all__ = ["GAP", "Log", "Trace", "check_counter", "drawn", "integrate", "pace"]

# Longest time between samples, and between a window's edge and the nearest sample, in seconds.
GAP = 3.0
# Most that an energy counter may differ from the integral of power.
COUNTER = 0.05


@attrs.frozen(eq=False)
class Trace:
    """What one device drew.

    Attributes:
        device: Its name in the log.
        seconds: When, on any clock that all traces share; ascending.
        watts: How much.
    """

    device: str
    seconds: NDArray[np.float64]
    watts: NDArray[np.float64]

    @classmethod
    def of(cls, device: str, samples: Iterable[tuple[float, float]]) -> Trace:
        """Sort samples by time; of samples at the same time the last one stands.

        Raises:
            InferBenchError: A power that is negative or not finite; readers say in which line (`drawn`).
        """
        unique = dict(samples)
        for moment, watts in unique.items():
            drawn(watts, f"device {device} at {moment:g} s")
        times = sorted(unique)
        return cls(device, np.array(times, dtype=float), np.array([unique[t] for t in times], dtype=float))


def drawn(watts: float, where: str) -> float:
    """Return the power of a sample.

    Args:
        watts: As read.
        where: File and line, for messages.

    Raises:
        InferBenchError: Negative or not finite.

    Example:
        >>> drawn(412.3, "log.csv: line 2")
        412.3
    """
    if not 0.0 <= watts < math.inf:
        raise ib.InferBenchError.at(
            where, f"{watts:g} W; a power of at least 0 was expected", "remove the line"
        )
    return watts


def pace(traces: Sequence[Trace]) -> float:
    """Longest time between samples that is allowed: 3 s, or half more than a log's own even pace.

    Example:
        >>> pace([Trace.of("0", [(5.0 * k, 300.0) for k in range(12)])])
        7.5
    """
    steps = [float(np.median(np.diff(trace.seconds))) for trace in traces if trace.seconds.size > 2]
    return max(GAP, 1.5 * max(steps, default=0.0))


@attrs.frozen
class Log:
    """A log integrated over a window.

    Attributes:
        start, end: The window, seconds.
        joules: Device to energy.
        peak_w: Largest sum over devices at a sample of any.
        step: Longest time between two samples, seconds.
    """

    start: float
    end: float
    joules: Mapping[str, float]
    peak_w: float
    step: float = 0.0

    @property
    def energy_j(self) -> float:
        """All devices together."""
        return math.fsum(self.joules.values())

    @property
    def power_w(self) -> float:
        """Mean of all devices together."""
        return self.energy_j / (self.end - self.start)

    def fields(self) -> dict[str, Any]:
        """The fields of a measurement of a log: power, energy, devices, and the window in `extra`."""
        return {
            "phase": "log",
            "chips": len(self.joules),
            "power_w": self.power_w,
            "energy_j": self.energy_j,
            "latency_s": self.end - self.start,
            "caveats": self._caveats,
            "extra": {"joules_by_device": dict(self.joules), "peak_w": self.peak_w},
        }

    @property
    def _caveats(self) -> tuple[str, ...]:
        if self.step <= GAP:
            return ()
        return (f"sampled every {self.step:.3g} s: what changes faster is not in the mean",)


def integrate(
    traces: Sequence[Trace],
    where: str,
    window: tuple[float, float] | None = None,
    devices: Iterable[str] = (),
    gap: float = GAP,
) -> Log:
    """Integrate power per device by trapezoids, interpolating at the window's edges.

    Args:
        traces: One per device.
        where: File, for messages.
        window: Start and end in the traces' clock; None: the time that every device covers.
        devices: Those that must be there; empty: those that are.
        gap: Longest time without a sample, seconds.

    Raises:
        InferBenchError: A device is missing, does not cover the window, or is silent for longer than `gap`.

    Example:
        >>> log = integrate([Trace.of("0", [(0.0, 100.0), (2.0, 300.0)])], "log.csv", window=(0.0, 1.0))
        >>> log.energy_j, log.power_w
        (150.0, 150.0)
    """
    present = {trace.device: trace for trace in traces if trace.seconds.size}
    wanted = [*devices] or [trace.device for trace in traces]
    missing = [device for device in wanted if device not in present]
    if missing or not present:
        found = f"no power of device {', '.join(missing)}" if missing else "no power of any device"
        remedy = "log all devices that take part; a sum without one is too small"
        raise ib.InferBenchError.at(where, found, remedy)
    chosen = [present[device] for device in wanted]
    start, end = window or _common(chosen, where, gap)
    if not end > start:
        raise ib.InferBenchError.at(
            where, f"a window of {end - start:g} s", "at least two samples are needed"
        )
    joules = {trace.device: _joules(trace, start, end, gap, where) for trace in chosen}
    step = max(float(np.diff(trace.seconds).max()) for trace in chosen if trace.seconds.size > 1)
    return Log(start, end, joules, _peak(chosen, start, end), step)


def _common(traces: Sequence[Trace], where: str, gap: float) -> tuple[float, float]:
    """The time that every device covers; one that starts later or ends earlier than the rest by a gap is
    missing.
    """
    first, last = [t.seconds[0] for t in traces], [t.seconds[-1] for t in traces]
    for trace in traces:
        late, early = trace.seconds[0] - min(first), max(last) - trace.seconds[-1]
        if late > gap or early > gap:
            when = f"for the first {late:.3g} s" if late > gap else f"for the last {early:.3g} s"
            raise ib.InferBenchError.at(
                where,
                f"no power of device {trace.device} {when} of the log",
                "cut the log to the time that all devices cover",
            )
    return float(max(first)), float(min(last))


def _joules(trace: Trace, start: float, end: float, gap: float, where: str) -> float:
    seconds, watts = trace.seconds, trace.watts
    if start < seconds[0] or end > seconds[-1]:
        raise ib.InferBenchError.at(
            where,
            f"device {trace.device} has samples from {seconds[0]:.3f} to {seconds[-1]:.3f} s, the window is "
            f"{start:.3f} to {end:.3f} s",
            "check the clocks of log and benchmark (zone, date), or log for longer",
        )
    # The samples around the window count for gaps: a value at the edge is interpolated between them.
    low = max(0, int(np.searchsorted(seconds, start, side="right")) - 1)
    high = min(len(seconds), int(np.searchsorted(seconds, end, side="left")) + 1)
    steps = np.diff(seconds[low:high])
    if steps.size and float(steps.max()) > gap:
        at = seconds[low + int(steps.argmax())]
        raise ib.InferBenchError.at(
            where,
            f"device {trace.device} is silent for {float(steps.max()):.3g} s after {at - seconds[0]:.3g} s;"
            f" at most {gap:g} s is allowed",
            "sample faster, or cut the log before the gap",
        )
    inside = (seconds > start) & (seconds < end)
    grid = np.concatenate(([start], seconds[inside], [end]))
    power = np.interp(grid, seconds, watts)
    return float(np.sum(np.diff(grid) * (power[1:] + power[:-1]) / 2.0))


def _peak(traces: Sequence[Trace], start: float, end: float) -> float:
    times = np.unique(np.concatenate([[start, end], *[t.seconds for t in traces]]))
    times = times[(times >= start) & (times <= end)]
    total = np.zeros_like(times)
    for trace in traces:
        total = total + np.interp(times, trace.seconds, trace.watts)
    return float(total.max())


def check_counter(joules: float, counted: float, device: str, where: str) -> None:
    """Compare a device's integral with the difference of its energy counter.

    Raises:
        InferBenchError: The counter ran backwards, or the two differ by more than 5%.
    """
    if counted < 0.0:
        raise ib.InferBenchError.at(
            where,
            f"the energy counter of device {device} runs backwards",
            "the driver was restarted: cut the log",
        )
    if abs(joules / counted - 1.0) > COUNTER if counted else joules > 0.0:
        raise ib.InferBenchError.at(
            where,
            f"device {device}: power integrates to {joules:.4g} J, its energy counter says {counted:.4g} J",
            "the log samples too rarely, or one of them is in another unit (the counter is in mJ)",
        )
