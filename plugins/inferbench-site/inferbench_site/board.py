"""A board: a site made of records, with the same as a static JSON API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inferbench_records.documents import digest, read

import inferbench as ib
from inferbench_site.build import COLUMNS
from inferbench_site.downloads import downloads
from inferbench_site.pages import Book, address, rows_table

__all__ = ["API_SCHEMA", "board", "schema"]

API_SCHEMA = "inferbench.records/1"
NESTED = ("metrics", "memory", "unknown", "flags", "axes", "notes", "options", "outside")


def board(files: Sequence[Path], folder: Path) -> int:
    """Write the board of some records: one table of all, a page per record, `api/records.json`.

    Returns:
        How many pages there are.

    Raises:
        InferBenchError: A file that is no record, or one of another version.
    """
    documents = [(path, read(path)) for path in files]
    book = Book(folder, "InferBench board")
    taken: set[str] = set()
    pages = [f"records/{address(path.stem, taken)}" for path, _ in documents]
    names = [ib.short(ib.visible(path.stem), 40) for path, _ in documents]
    book.nav = {
        "": [("Board", "index.html")],
        "Records": list(zip(names, pages, strict=True)),
        "About": [("Methodology", "methodology.html"), ("Downloads", "downloads.html")],
    }
    book.assets()
    every: list[dict[str, Any]] = []
    listed = []
    for (_, document), page, name in zip(documents, pages, names, strict=True):
        rows = [flat(row) for row in document["results"] if isinstance(row, dict)]
        every += [{"record": name, **row} for row in rows]
        listed.append(_record(book, document, page, name, rows))
    columns = {"record": ("record", ""), **_used(every)}
    book.write("index.html", "board.html", "Board", table=rows_table(every, columns), records=listed)
    book.write("methodology.html", "methodology.html", "Methodology", stacks=[])
    book.data(
        "api/records.json",
        {
            "schema": API_SCHEMA,
            "records": [_entry(one, d) for one, (_, d) in zip(listed, documents, strict=True)],
        },
    )
    book.data("api/schema.json", schema())
    downloads(book, {"schema": API_SCHEMA, "results": every}, every)
    return book.pages


def _record(
    book: Book, document: dict[str, Any], page: str, name: str, rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Write a record and its page; return its line in the list of all."""
    stored = page.removesuffix(".html") + ".json"
    book.file(stored, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    whole = digest(document) == document["sha256"]
    book.write(
        page,
        "record.html",
        name,
        document=document,
        whole=whole,
        stored=Path(stored).name,
        table=rows_table(rows, _used(rows)),
        arguments=_written(document["arguments"]),
        measurements=document.get("measurements", []),
    )
    return {
        "name": name,
        "page": page,
        "file": stored,
        "systems": _systems(document),
        "points": len(rows),
        "whole": whole,
        "sha256": str(document["sha256"]),
        "made": _made(document),
    }


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A recorded result as a flat row; only plain values, as a stranger's file may hold anything."""
    kept = {key: value for key, value in row.items() if key not in NESTED}
    parts = [kept, *(row.get(name) for name in ("axes", "metrics", "memory"))]
    merged = {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}
    plain = {
        key: value for key, value in merged.items() if value is None or isinstance(value, str | int | float)
    }
    return {"work": str(row.get("workload", "")), **plain}


def _used(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {name: head for name, head in COLUMNS.items() if any(row.get(name) is not None for row in rows)}


def _systems(document: dict[str, Any]) -> str:
    return ib.short(", ".join(str(one) for one in document["arguments"].get("systems", [])), 80)


def _made(document: dict[str, Any]) -> str:
    return f"InferBench {document['made'].get('inferbench', '?')}"


def _written(arguments: dict[str, Any]) -> dict[str, str]:
    return {
        str(key): ib.short(ib.visible(json.dumps(value, ensure_ascii=False)), 200)
        for key, value in arguments.items()
    }


def _entry(listed: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": listed["name"],
        "file": f"../{listed['file']}",
        "sha256": listed["sha256"],
        "whole": listed["whole"],
        "made": document["made"],
        "arguments": document["arguments"],
        "results": document["results"],
        "measurements": document.get("measurements", []),
    }


def schema() -> dict[str, Any]:
    """The JSON Schema of `api/records.json`."""
    text, listed = {"type": "string"}, {"type": "array"}
    entry = {
        "name": {**text, "description": "Name of the record's file, without its extension."},
        "file": {**text, "description": "The whole record, relative to this file."},
        "sha256": {**text, "description": "Of the record without this key, keys sorted, without spaces."},
        "whole": {"type": "boolean", "description": "Whether the hash is that of the record."},
        "made": {"type": "object", "description": "Versions of InferBench, packages, Python and NumPy."},
        "arguments": {
            "type": "object",
            "description": "Of `inferbench compare`: systems, suite or workload, axes.",
        },
        "results": {
            **listed,
            "description": "As the results of schema inferbench.run/1, SI units in the key names.",
        },
        "measurements": {**listed, "description": "What was measured, each row with its boundary."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": API_SCHEMA,
        "type": "object",
        "required": ["schema", "records"],
        "properties": {
            "schema": {"const": API_SCHEMA},
            "records": {
                "type": "array",
                "items": {"type": "object", "required": list(entry), "properties": entry},
            },
        },
    }
