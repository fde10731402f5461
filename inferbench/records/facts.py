"""Where a number comes from."""

from __future__ import annotations

from typing import Any, Literal

from inferbench.records.immutable import frozen

__all__ = ["Basis", "Fact", "Source"]

Basis = Literal["datasheet", "measured", "estimate", "published"]


@frozen
class Source:
    """A citation. The basis belongs to the source: a datasheet states, a microbenchmark measures.

    Attributes:
        title: What to cite.
        basis: What kind of evidence it is.
        url: Where it is.
        key: How the spec's file calls it.
    """

    title: str
    basis: Basis
    url: str = ""
    key: str = ""


@frozen
class Fact:
    """One number of a spec with its footnote.

    Attributes:
        path: Key path in the file, `memory.hbm.bandwidth`.
        value: SI float, `Range`, integer or text; None where missing.
        unit: SI symbol, empty for plain numbers.
        source: The citation; None where missing or for text that needs none.
        note: What dissents, or how the value was derived.
        missing: Why there is no value; empty where there is one.
        date: When it held, `2026-05`; empty where the source alone says so.
    """

    path: str
    value: Any
    unit: str = ""
    source: Source | None = None
    note: str = ""
    missing: str = ""
    date: str = ""

    @property
    def basis(self) -> str:
        """The basis of the source, or `missing`, or empty for text."""
        if self.missing:
            return "missing"
        return self.source.basis if self.source else ""
