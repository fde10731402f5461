"""What every fabric must satisfy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from inferbench.records.chip import Link
from inferbench.records.grid import Grid
from inferbench.records.interfaces import Fabric
from inferbench.records.op import Collective
from inferbench.records.system import Layout
from inferbench.testing.ops import ideal_time

__all__ = ["FabricContract"]

_MOVED = {"all_reduce": 2.0, "all_gather": 1.0, "reduce_scatter": 1.0, "all_to_all": 1.0}


class FabricContract:
    """Inherit it and name a fabric; `link` may be overridden."""

    fabric: ClassVar[Fabric]
    link: ClassVar[Link] = Link("x", bandwidth=100e9, latency=1e-6, size=64)

    def time(self, kind: str, payload: Any, group: int) -> Any:
        """Seconds of one collective on the link."""
        at = Grid.of({}, ["bf16"]).at
        op = Collective(name="c", precision=at.precision, collective=kind, payload=payload, group=group)
        return np.asarray(ideal_time(self.fabric.cost(op, self.link, Layout(tp=group))))

    @pytest.mark.parametrize("kind", [*_MOVED, "send"])
    def test_monotone_in_payload(self, kind: str) -> None:
        """More bytes take no less time, and a grid equals its points."""
        payloads = np.array([1e3, 1e6, 1e9])
        times = self.time(kind, payloads, 8)
        assert np.all(np.diff(times) > 0)
        assert [float(self.time(kind, float(p), 8)) for p in payloads] == pytest.approx(
            times.tolist(), rel=1e-12
        )

    @pytest.mark.parametrize("kind", list(_MOVED))
    @pytest.mark.parametrize("group", [2, 4, 8])
    def test_never_below_the_bytes_each_chip_must_send(self, kind: str, group: int) -> None:
        """(n-1)/n of the payload must leave each chip, twice for an all-reduce."""
        payload = 1e9
        assert self.time(kind, payload, group) >= _MOVED[kind] * payload * (
            group - 1
        ) / group / self.link.bandwidth * (1 - 1e-9)
