"""The one exception of the package, and what a good message is made of.

Bad input is answered in three lines: what is wrong and where, what was found and expected, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import attrs

__all__ = ["Fault", "InferBenchError", "UnsupportedOp", "blamed_on", "suggest"]


@attrs.frozen
class Fault:
    """One thing wrong in one place.

    Attributes:
        where: File and key (`b200.toml: memory.hbm.bandwidth`), flag (`--batch`) or plugin.
        found: What stands there and what was expected, one sentence.
        remedy: What to do about it, one sentence; empty when `found` says it all.

    Example:
        >>> str(Fault("--batch", "0 is no batch size; at least 1 was expected", "write --batch 1"))
        '--batch: 0 is no batch size; at least 1 was expected\\n  write --batch 1'
    """

    where: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.found}" + (f"\n  {self.remedy}" if self.remedy else "")


class InferBenchError(Exception):
    """Input that can't be used: every fault found, not only the first. The command line exits with 2.

    Example:
        >>> raise InferBenchError.at("--batch", "0 is no batch size")
        Traceback (most recent call last):
        inferbench.errors.InferBenchError: --batch: 0 is no batch size
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    @classmethod
    def at(cls, where: str, found: str, remedy: str = "") -> InferBenchError:
        """Build an error with a single fault."""
        return cls([Fault(where, found, remedy)])


class UnsupportedOp(InferBenchError):
    """An architecture was asked for an operator that it neither models nor can lower."""


_WHOLE_GRIDS = (
    "formulas see whole grids: use inferbench.where, maximum and ceil_div instead of if, max and int"
)


@contextmanager
def blamed_on(where: str) -> Iterator[None]:
    """Turn whatever a plugin raises into one message that names the plugin; our own errors pass.

    Example:
        >>> with blamed_on("acme: place"):
        ...     1 / 0
        Traceback (most recent call last):
        inferbench.errors.InferBenchError: acme: place: ZeroDivisionError: division by zero
          the formula is at fault: --debug shows the line
    """
    try:
        yield
    except InferBenchError:
        raise
    except Exception as error:
        remedy = (
            _WHOLE_GRIDS
            if isinstance(error, ValueError | TypeError)
            else "the formula is at fault: --debug shows the line"
        )
        raise InferBenchError.at(where, f"{type(error).__name__}: {error}", remedy) from error


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the closest known spelling, or an empty string.

    Example:
        >>> suggest("b20", ["b200", "h100-sxm"])
        "did you mean 'b200'?"
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""
