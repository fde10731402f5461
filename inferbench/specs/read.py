"""One call from TOML to a record of a plugin's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from inferbench.errors import raise_if
from inferbench.records.typed import typed
from inferbench.specs.structure import structure
from inferbench.specs.toml import read_toml, walk

__all__ = ["read_spec"]

Record = TypeVar("Record")


@typed
def read_spec(source: bytes | Mapping[str, Any], cls: type[Record], where: str) -> Record:
    """Read TOML, or a table that was read, along an attrs class.

    Units stand in the class's annotations (`inferbench.Watts`). A field `sources` takes citations, which
    numbers name as in a chip's file.

    Args:
        source: The file's bytes, or a table.
        cls: What it should become: a class made with `inferbench.frozen`.
        where: File name for messages.

    Returns:
        The record, in SI units.

    Raises:
        InferBenchError: With every fault of the file: unknown keys with the closest spelling, missing keys,
            wrong units, and what a validator of the class says.

    Example:
        >>> import inferbench
        >>> inferbench.read_spec(b'tdp = "1.2 kW"', inferbench.Power, "mine.toml").tdp
        1200.0
    """
    raw = read_toml(source, where)[0] if isinstance(source, bytes) else source
    walked = walk(raw, cls, where)
    raise_if(walked.faults)
    record: Record = structure(walked.values, cls, where)
    return record
