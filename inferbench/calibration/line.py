"""`Line`: a measured figure of whole steps, and what of it is known before a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from inferbench.calibration.forms import NODES, SHARE
from inferbench.evidence.matching import Situation
from inferbench.num import Array
from inferbench.records.measurement import Measurement
from inferbench.specs.figures import Target

__all__ = ["Line", "Power", "nodes"]


@attrs.frozen
class Power:
    """Power of one step: watts measured, watts of the baseline, joules of operations and of everything else,
    watts at most.
    """

    measured: float
    baseline: float
    ops: float
    rest: float
    limit: float

    def watts(self, factor: float, seconds: float) -> float:
        """Mean power of a step that lasts so long, each operation's energy times a factor."""
        return min(self.baseline + (factor * self.ops + self.rest) / seconds, self.limit)


@attrs.frozen(eq=False)
class Line:
    """One measured figure of a whole step.

    Attributes:
        file: Name of its file.
        chip, network, software: What was measured.
        chips: How many worked together.
        phase: Of the workload, as the model predicts the figure.
        axes: Of the point.
        groups: Query heads per KV head, by variant, of attention of one new token.
        seconds: Of the kernels, at each of the shares where the memory's share is fitted; else one.
        kernels: Launched in the step.
        passes: Over the network in the step.
        measured: Seconds.
        floor: Seconds of the roofline.
        precision: Our name.
        power: Where power was measured and is modelled.
        exchanges: Between chips in the step.
        eager: Kernels of passes that process prompts.
        joined: Of the kernels, those with no gap before them.
        together: Sequences of the step where that is not `batch`: in a closed loop the mean.
    """

    file: str
    chip: str
    chips: int
    network: str
    software: str
    phase: str
    axes: Mapping[str, float]
    groups: Mapping[str, float]
    seconds: Array
    kernels: float
    passes: float
    measured: float
    floor: float
    precision: str
    power: Power | None
    exchanges: float = 0.0
    eager: float = 0.0
    joined: float = 0.0
    together: float = math.nan

    @classmethod
    def of(cls, file: str, m: Measurement, s: Situation, target: Target, **counted: Any) -> Line:
        """A line of a measurement.

        Args:
            file: It stands in.
            m, s: The measurement, and what it is of.
            target: The figure.
            **counted: The other fields.
        """
        assert s.network is not None
        return cls(
            file=file,
            chip=s.system.chip.name,
            chips=s.system.count,
            network=s.network.name,
            software=m.software,
            phase=target.phase,
            measured=target.measured,
            precision=s.precision,
            **counted,
        )

    @property
    def batch(self) -> float:
        """Sequences or images together."""
        return self.axes["batch"] if math.isnan(self.together) else self.together

    def at(self, shares: Array) -> Array:
        """Seconds of the kernels at other shares of the memory's bandwidth."""
        return np.asarray(np.exp(np.interp(np.log(shares), np.log(nodes()), np.log(self.seconds))))


def nodes() -> Array:
    """Return the shares at which steps are evaluated."""
    return np.geomspace(SHARE.low, SHARE.high, NODES)
