"""Readers of published traces: Mooncake's JSON lines and Azure's tables.

Mooncake (Qin et al. 2024, arXiv 2407.00079): `timestamp` in milliseconds, `input_length`, `output_length`,
and `hash_ids`, one per 512 tokens of the prompt.

Azure (Patel et al. 2024, Splitwise, arXiv 2311.18677; Stojkovic et al.
2024, DynamoLLM, arXiv 2408.00741): columns `TIMESTAMP`, `ContextTokens`, `GeneratedTokens`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from inferbench.errors import Fault, InferBenchError
from inferbench.files import read_text
from inferbench.serving.requests import Requests

__all__ = ["read_trace"]

_AZURE = ("timestamp", "contexttokens", "generatedtokens")
_MOONCAKE = ("timestamp", "input_length", "output_length")
MOST_FAULTS = 10
# Line, seconds, tokens of the prompt, tokens of the answer, hashes.
Line = tuple[int, float, float, float, tuple[int, ...]]


def read_trace(path: str | Path, most: int | None = None) -> Requests:
    """Read a trace; its first request comes at 0 s.

    Args:
        path: JSON lines as Mooncake publishes them, or a CSV with Azure's columns.
        most: Requests to read, from the beginning; None for all.

    Raises:
        InferBenchError: The file can't be read or is neither; times that run backwards; lengths below one
            token.

    Example:
        >>> read_trace("mooncake_trace.jsonl", most=1000).users                  # doctest: +SKIP
        0
    """
    file = Path(path)
    try:
        text = read_text(file)
    except OSError as error:
        raise InferBenchError.at(str(path), f"can't be read: {error.strerror}", "give a trace") from None
    reader = _mooncake if text.lstrip()[:1] == "{" else _azure
    lines: list[Line] = []
    faults: list[Fault] = []
    for line in reader(text, file.name, faults.append):
        lines.append(line)
        if most is not None and len(lines) >= most:
            break
    faults += _backwards(lines, file.name)
    if faults:
        raise InferBenchError(faults[:MOST_FAULTS])
    if not lines:
        raise InferBenchError.at(file.name, "there is no request in it", "give a trace with at least one")
    seconds = np.array([line[1] for line in lines])
    hashes = tuple(line[4] for line in lines)
    return Requests(
        arrival=seconds - seconds[0],
        prompt=np.array([line[2] for line in lines]),
        output=np.array([line[3] for line in lines]),
        hashes=hashes if any(hashes) else (),
    )


def _backwards(lines: list[Line], name: str) -> list[Fault]:
    """Lines that are earlier than the one before them."""
    found = []
    for before, line in pairwise(lines):
        if line[1] < before[1]:
            said = f"its time is {before[1] - line[1]:.6g} s before that of line {before[0]}"
            found.append(Fault(f"{name}: line {line[0]}", said, "sort the trace by time"))
    return found


def _tokens(value: Any, field: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number == int(number)):
        raise InferBenchError.at(where, f"{field} is {value!r}; a whole number was expected", "correct it")
    if number < 1:
        raise InferBenchError.at(
            where, f"{field} is {number:g}; at least 1 token was expected", "remove the request"
        )
    return number


def _mooncake(text: str, name: str, note: Callable[[Fault], None]) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{name}: line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InferBenchError.at(where, f"no JSON object: {error}", "check the file") from None
        lacking = [key for key in _MOONCAKE if not isinstance(record, dict) or record.get(key) is None]
        if lacking:
            said = f"no '{lacking[0]}'; a line has {', '.join(_MOONCAKE)} and may have hash_ids"
            raise InferBenchError.at(where, said, "give a trace as Mooncake publishes it, or Azure's CSV")
        try:
            milliseconds = _number(record["timestamp"], where)
            lengths = [_tokens(record[key], key, where) for key in _MOONCAKE[1:]]
        except InferBenchError as error:
            for fault in error.faults:
                note(fault)
            continue
        hashes = tuple(int(one) for one in record.get("hash_ids") or ())
        yield number, milliseconds / 1e3, lengths[0], lengths[1], hashes


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InferBenchError.at(where, f"timestamp is {value!r}; milliseconds were expected", "correct it")
    return number


def _cells(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file, each with its line."""
    rows = csv.reader(text.splitlines())
    try:
        for cells in rows:
            yield rows.line_num, cells
    except csv.Error as error:
        raise InferBenchError.at(name, f"is no CSV file: {error}", "save it as a plain CSV file") from None


def _azure(text: str, name: str, note: Callable[[Fault], None]) -> Iterator[Line]:
    rows = _cells(text, name)
    header = [cell.strip().lower() for cell in next(rows, (0, []))[1]]
    lacking = [column for column in _AZURE if column not in header]
    if lacking:
        said = f"no trace: neither JSON lines with {', '.join(_MOONCAKE)} nor a column '{lacking[0]}'"
        raise InferBenchError.at(name, said, "Azure's columns are TIMESTAMP, ContextTokens, GeneratedTokens")
    places = [header.index(column) for column in _AZURE]
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{name}: line {number}"
        try:
            if len(cells) != len(header):
                said = f"{len(cells)} cells, the header has {len(header)}"
                raise InferBenchError.at(where, said, "the file may be cut short")
            when, prompt, output = (cells[place].strip() for place in places)
            line = (
                number,
                _moment(when, where),
                _tokens(prompt, "ContextTokens", where),
                _tokens(output, "GeneratedTokens", where),
                (),
            )
        except InferBenchError as error:
            for fault in error.faults:
                note(fault)
            continue
        yield line


def _moment(text: str, where: str) -> float:
    """Seconds of a time of day, or plain seconds; ticks of 100 ns are cut to microseconds."""
    try:
        return float(text)
    except ValueError:
        pass
    head, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    shorter = head + dot + digits[:6] + rest[len(digits) :] if dot else text
    try:
        return datetime.fromisoformat(shorter).timestamp()
    except ValueError:
        said = f"'{text}' is no time like 2023-11-16 18:17:03.979"
        raise InferBenchError.at(where, said, "correct it") from None
