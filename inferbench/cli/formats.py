"""Which renderer writes a format: by its name, or by the extension of the file that it goes into."""

from __future__ import annotations

from pathlib import Path

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.records.interfaces import Renderer

__all__ = ["FORMATS", "asked_by_suffix", "renderer"]

FORMATS = "table, json, csv, markdown, latex, html or parquet."


def asked_by_suffix(out: str, registry: Registry, drawn: bool = False) -> str:
    """Name the format that a file's extension asks for; the core's own go first, a picture to who draws it.

    Raises:
        InferBenchError: Nobody writes such files.
    """
    from inferbench.report.render import RENDERERS

    registry.bring("renderers", RENDERERS.values())
    suffix = Path(out).suffix.lower().lstrip(".")
    names = [*RENDERERS, *(name for name in registry.names("renderers") if name not in RENDERERS)]
    by_end: dict[str, str] = {}
    for name in names:
        for end in registry.get("renderers", name).suffixes:
            if drawn and registry.get("renderers", name).draws:
                by_end[end] = name
            by_end.setdefault(end, name)
    if suffix not in by_end:
        known = ", ".join(f".{end}" for end in sorted(by_end) if end)
        raise InferBenchError.at(
            "--out", f"no format is written to '*.{suffix}'", f"end it in {known}, or add --format"
        )
    return by_end[suffix]


def renderer(form: str, registry: Registry) -> Renderer:
    """Find what renders a format; a command that writes files asks before it does.

    Raises:
        InferBenchError: Unknown format.
    """
    from inferbench.report.render import RENDERERS

    registry.bring("renderers", RENDERERS.values())
    if registry.entry("renderers", form) is None:
        known = registry.names("renderers")
        remedy = suggest(form, known) or f"known are {', '.join(known)}"
        raise InferBenchError.at("--format", f"unknown format '{form}'", remedy)
    found: Renderer = registry.get("renderers", form)
    return found
