"""What is said beside the points of a serving frontier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inferbench.records.run import Run
from inferbench.records.scenario import Term
from inferbench.records.system import System
from inferbench.serving.points import ABOUT, MONEY
from inferbench.serving.replica import Question, Replica
from inferbench.serving.replicas import MOST

__all__ = ["notes_on", "unknown"]


def unknown(run: Run) -> dict[str, str]:
    """Why power or money isn't known, per column.

    Args:
        run: Decode steps of any replica.
    """
    spent = run.energy.why if np.all(np.isnan(np.asarray(run.energy.watts))) else ""
    why = {}
    for one in MONEY:
        if one.term is None or one.per == "hour":
            continue
        why[one.name] = run.cost.why(one.term)
        if one.term is Term.PURCHASE:
            unpriced = "needs an economic scenario" if run.scenario is None else why[one.name]
            why[one.name] = unpriced or spent
    why[ABOUT.joules_per_token.name] = why[ABOUT.wall_joules_per_token.name] = spent
    return {name: text for name, text in why.items() if text}


def notes_on(asked: Question, system: System, replicas: Sequence[Replica]) -> tuple[str, ...]:
    """What a reader must know of a system's points.

    Args:
        asked: What was asked.
        system: Whose.
        replicas: That it was cut into.
    """
    notes = []
    last = asked.batches[-1]
    if asked.open_ended and (asked.ignore_capacity or 1.5 * last > MOST):
        notes.append(f"{system}: loads beyond {last:,.0f} sequences a replica were not tried")
    chunks = [one for one in replicas if not one.whole]
    if chunks:
        notes.append(
            f"{system}: prompts are processed in chunks of {max(asked.chunks):,.0f} tokens where a whole one"
            " doesn't fit"
        )
    if any(bool(np.any(one.decode.flags.get("extrapolated", False))) for one in replicas):
        notes.append(
            f"{system}: the stack {asked.stack.name} is used beyond what it was fitted on at some points"
        )
    if replicas and replicas[0].decode.energy.estimated and replicas[0].decode.energy.why:
        notes.append(f"{system}: power: {replicas[0].decode.energy.why}")
    return tuple(notes)
