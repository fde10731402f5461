"""What the registry keeps: who provides a name, and what is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pluggy

from inferbench.errors import InferBenchError

__all__ = ["Entry", "Problem", "said", "spec_file"]


@attrs.frozen
class Problem:
    """What is broken, and whose it is."""

    owner: str
    where: str
    message: str
    remedy: str = ""


@attrs.frozen
class Entry:
    """One name: its owner and either the record or the file that describes it."""

    name: str
    owner: str
    version: str
    record: Any = None
    file: Any = None


def said(error: BaseException) -> str:
    """One line of an exception: its type and first line, all lines where pluggy explains a signature."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = lines if isinstance(error, pluggy.PluginValidationError) else lines[:1]
    return f"{type(error).__name__}: {'; '.join(kept)}" if kept else type(error).__name__


def spec_file(path: str) -> bytes:
    """The bytes of a spec that is named by its path."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        remedy = "give the path of a TOML file"
        raise InferBenchError.at(path, f"can't be read: {error.strerror}", remedy) from None
