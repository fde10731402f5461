"""`Choice`: the software that a result rests on, and how far that was measured."""

from __future__ import annotations

from inferbench.records.immutable import frozen
from inferbench.records.stack import Stack

__all__ = ["BOUND", "CALIBRATED", "CLASS", "GRADES", "TRANSFERRED", "Choice"]

GRADES = ("calibrated", "transferred", "class", "bound")
"""What a number rests on, best first; a code is the place in this list."""

CALIBRATED, TRANSFERRED, CLASS, BOUND = range(len(GRADES))


@frozen(eq=False)
class Choice:
    """A stack chosen for a system.

    Attributes:
        stack: The software.
        grade: The best that a point under it can have, one of `GRADES`.
        origin: Whose figures they are: chips that the stack was fitted on, or the class of a prior.
        why: Why this stack, in one line.
    """

    stack: Stack
    grade: str
    origin: str
    why: str

    @classmethod
    def of(cls, stack: Stack, chip: str, why: str = "as asked for") -> Choice:
        """Grade a stack for a chip by what it was fitted on.

        Args:
            stack: The software.
            chip: Name of the chip that runs it.
            why: Why this one.

        Example:
            >>> Choice.of(Stack(name="ideal", title="Ideal software"), "b200").grade
            'bound'
        """
        if stack.ideal:
            return cls(stack, GRADES[BOUND], "", why)
        if stack.grade or not stack.fit.rows:
            return cls(stack, GRADES[CLASS], stack.title, why)
        own = not stack.domain.chips or chip in stack.domain.chips
        return cls(
            stack, GRADES[CALIBRATED if own else TRANSFERRED], ", ".join(stack.domain.chips) or chip, why
        )
