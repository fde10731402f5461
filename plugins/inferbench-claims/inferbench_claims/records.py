"""`Claim`: a published statement with a number in it, which the tool checks itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import attrs

import inferbench as ib

__all__ = ["Claim", "ClaimFile", "ClaimRun", "Quoted"]

Verdict = Literal["EXACT", "ASSUMPTION", "WRONG", "INCONSISTENT", "UNVERIFIED"]
REFUTED = ("WRONG", "INCONSISTENT")
_SPAN = re.compile(r"^\s*(?P<low>[-+.\d]+)\s+to\s+(?P<high>.+)$")
_NUMBER = re.compile(r"^\s*(?P<digits>[-+]?\d+(?:\.(?P<decimals>\d+))?)\s*(?P<unit>.*?)\s*$")


@attrs.frozen
class Quoted:
    """A number as somebody wrote it: its digits tell how it was rounded.

    Attributes:
        low, high: SI; equal unless a range was written.
        scale: SI value of one of the unit that was written: 1e-3 for `8.75 ms`, 0.01 for `0.7 %`.
        half: Half a unit of the last digit written, SI.
        unit: As written, with its prefix.

    Example:
        >>> Quoted.read("8.75 ms").half, Quoted.read("600 to 700 W").high
        (5e-06, 700.0)
    """

    low: float
    high: float
    scale: float
    half: float
    unit: str

    @classmethod
    def read(cls, text: str) -> Quoted:
        """Read `8.75 ms`, `0.7 %`, `600 to 700 W`, `32.2 G`; trailing zeros count as digits.

        Raises:
            ValueError: Not a number.
        """
        span = _SPAN.match(text)
        last = _NUMBER.match(span["high"] if span else text)
        if last is None:
            raise ValueError(f'"{text}" is not a number; write it as it was said, like "8.75 ms" or "0.7 %"')
        unit = last["unit"]
        high = _quantity(f"{last['digits']} {unit}")
        low = _quantity(f"{span['low']} {unit}") if span else high
        scale = _quantity(f"1 {unit}")
        return cls(low, high, scale, 0.5 * 10.0 ** -len(last["decimals"] or "") * scale, unit)

    @property
    def value(self) -> float:
        """The number, or the middle of the range."""
        return (self.low + self.high) / 2


def _quantity(text: str) -> float:
    """Read a number with a prefixed unit of any kind; `%` is a hundredth."""
    from quantiphy import Quantity

    return float(text[:-1]) / 100.0 if text.endswith("%") else float(Quantity(text))


@attrs.frozen(kw_only=True, eq=False)
class ClaimRun:
    """A situation that expressions read as `<name>.<column>`, at other points as `<name>(batch=8).<column>`.

    Attributes:
        system: As on the command line; capacity is ignored.
        workload: `network/phase`.
        at: Axis to value.
        options: Workload options (`kv = false`).
        chip: Facts that the claim gives for the chip: key path to text (`"peak.fp8" = "2250 TOP/s"`).
        weights: Bytes of weights read per step, where the claim gives them instead of a parameter count.
        needs: Packages that must be installed.
    """

    system: str
    workload: str
    precision: str = "bf16"
    at: Mapping[str, float] = attrs.field(factory=dict)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    chip: Mapping[str, str] = attrs.field(factory=dict)
    weights: ib.ByteCount = math.nan
    stack: str = "ideal"
    needs: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, slots=False, eq=False)
class Claim:
    """One numeric claim.

    Attributes:
        id: Short and stable; the first letter is the group: `A1.q`.
        quote: What is said, word for word.
        said: The number claimed, with its digits and unit as written: `2.62 GB`, `0.7 %`.
        verdict: EXACT (reproduces to its rounding), ASSUMPTION (under the stated one), WRONG (with
            corrected facts it does not), INCONSISTENT (with the source's own other numbers it does not),
            UNVERIFIED (the arithmetic reproduces, a premise has no primary source).
        expression: Our figure under the claim's own terms: arithmetic over `docs/reference/claims.md`'s
            names.
        corrected: The right figure, where the claim is wrong or rests on an assumption.
        tolerance: Relative deviation within which it reproduces; NaN: half a unit of the last digit said.
        assumption: What must be assumed; for a claim that is wrong, what is.
        needs: Packages that must be installed to check it, beside those of the runs it reads.
        runs, given, group: Those of the whole file, filled in when it is read.
    """

    id: str
    quote: str
    said: str
    verdict: Verdict
    expression: str = ""
    corrected: str = ""
    tolerance: float = math.nan
    assumption: str = ""
    needs: tuple[str, ...] = ()
    runs: Mapping[str, ClaimRun] = attrs.field(factory=dict)
    given: Mapping[str, ib.Count] = attrs.field(factory=dict)
    group: str = ""

    def __attrs_post_init__(self) -> None:
        wanted = "corrected" if self.verdict in REFUTED else "expression"
        if not getattr(self, wanted):
            raise ValueError(f"{self.id} is {self.verdict} and has no `{wanted}`")
        if self.verdict != "EXACT" and not self.assumption:
            raise ValueError(f"{self.id} is {self.verdict} and has no `assumption` that says why")
        assert self.number.scale > 0

    @cached_property
    def number(self) -> Quoted:
        """What is said, read."""
        return Quoted.read(self.said)

    def deviation(self, ours: float) -> float:
        """Relative deviation of our figure from the one said; 0 inside a range."""
        near = min(max(ours, self.number.low), self.number.high)
        return (ours - near) / abs(near) if near else ours

    def reproduces(self, ours: float) -> bool:
        """Whether a figure is the one said, to its rounding or the claim's tolerance."""
        if math.isnan(self.tolerance):
            near = min(max(ours, self.number.low), self.number.high)
            return abs(ours - near) <= self.number.half * (1 + 1e-9)
        return abs(self.deviation(ours)) <= self.tolerance


@attrs.frozen(kw_only=True)
class ClaimFile:
    """The layout of a file of claims: `[[claims]]`, and what they share.

    Attributes:
        groups: First letter of the ids to the group's title.
        given: Cited plain SI numbers that no spec has, read as `given.<name>`; the unit stands in the name.
        runs: Situations by name.
    """

    title: str
    note: str = ""
    source: str = ""
    sources: Mapping[str, ib.Source] = attrs.field(factory=dict)
    groups: Mapping[str, str] = attrs.field(factory=dict)
    given: Mapping[str, ib.Count] = attrs.field(factory=dict)
    runs: Mapping[str, ClaimRun] = attrs.field(factory=dict)
    claims: tuple[Claim, ...]

    def __attrs_post_init__(self) -> None:
        """Hand the shared runs, givens and group titles to each claim."""
        shared = tuple(
            attrs.evolve(
                claim,
                runs={**self.runs, **claim.runs},
                given={**self.given, **claim.given},
                group=claim.group or self.groups.get(claim.id[:1], ""),
            )
            for claim in self.claims
        )
        object.__setattr__(self, "claims", shared)
