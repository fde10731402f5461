"""Which renderer writes a format: by its name, or by the extension of the file that it goes into."""

from __future__ import annotations

from pathlib import Path

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.records.interfaces import Renderer

__all__ = ["SUFFIXES", "asked_by_suffix", "renderer"]

# What the extension of `--out` asks for, where no --format does.
SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown"}


def asked_by_suffix(out: str, registry: Registry) -> str:
    """Name the format that a file's extension asks for; empty if nobody writes such files."""
    suffix = Path(out).suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    for name in registry.names("renderers"):
        if suffix.lstrip(".") in registry.get("renderers", name).suffixes:
            return name
    return ""


def renderer(form: str, registry: Registry) -> Renderer:
    """Find what renders a format; a command that writes files asks before it does.

    Raises:
        InferBenchError: Unknown format.
    """
    from inferbench.report.render import RENDERERS

    registry.bring("renderers", RENDERERS.values())
    known = registry.names("renderers")
    if form not in known:
        remedy = suggest(form, known) or f"known are {', '.join(known)}"
        raise InferBenchError.at("--format", f"unknown format '{form}'", remedy)
    found: Renderer = registry.get("renderers", form)
    return found
