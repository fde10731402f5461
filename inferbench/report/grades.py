"""The four grades in words and symbols: one place for every table, picture and page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inferbench.records.choice import GRADES

__all__ = ["MEANINGS", "SYMBOLS", "grade_legend"]

SYMBOLS: Mapping[str, str] = dict(zip(GRADES, "●◐○≤", strict=True))
"""Grade to its symbol; the bound's stands before the number, the others after it."""

MEANINGS: Mapping[str, str] = dict(
    zip(
        GRADES,
        (
            "fitted on this chip, at points like this one",
            "fitted on a sibling of the chip, or at other points",
            "prior of a class of chips: nothing like it was measured",
            "what no software can beat; no prediction",
        ),
        strict=True,
    )
)


def grade_legend(grades: Iterable[str]) -> str:
    """Explain the grades that occur, best first.

    Example:
        >>> grade_legend(["bound", "calibrated"])
        '● calibrated  ≤ bound'
    """
    wanted = set(grades)
    return "  ".join(f"{SYMBOLS[grade]} {grade}" for grade in GRADES if grade in wanted)
