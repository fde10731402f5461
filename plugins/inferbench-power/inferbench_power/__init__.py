"""Power models for InferBench: `linear`, calibrated where measurements allow, and the design note's
formula.
"""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_power.model import Linear
from inferbench_power.note import NoteLinear

__all__ = ["Linear", "NoteLinear", "inferbench_power_models"]


@ib.hookimpl
def inferbench_power_models() -> Iterator[ib.PowerModel]:
    """Yield the model that serves chips, and the note's, which serves its claims only."""
    yield Linear()
    yield NoteLinear()
