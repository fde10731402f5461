"""Laws of metrics, importers, renderers, executors and commands."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from inferbench.errors import InferBenchError, PluginError, UnsupportedOp
from inferbench.records.executor import ExecutorOptions
from inferbench.records.measurement import Measurement
from inferbench.records.roles import SCREENS
from inferbench.records.run import Run
from inferbench.testing.laws.law import Broken, Subject, law
from inferbench.testing.laws.sample import installed_runs, sample_runs

__all__: list[str] = []

FOREIGN = {
    "empty.txt": "",
    "notes.md": "# Notes\n\nNo measurements here.\n",
    "table.csv": "fruit,colour\napple,red\n",
    "list.json": "[1, 2, 3]\n",
    "empty.json": "{}\n",
    "broken.json": '{"a": [1, 2',
    "signs.txt": "\u0000\u0001\ufffd\n" * 20,
}


def _applying(subject: Subject) -> list[Run]:
    """Runs that a metric is for: of the sample, else of an installed chip."""
    found = [run for run in sample_runs() if subject.record.applies(run)]
    found = found or list(islice(filter(subject.record.applies, installed_runs(subject.registry)), 1))
    if not found:
        said = "it applies to none of the runs on which it is tried"
        raise UnsupportedOp.at(subject.name, said, "test it in the package, on a run that it is for")
    return found


def _fits(shape: tuple[int, ...], grid: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, grid) == grid
    except ValueError:
        return False


@law("metrics", quick=True)
def a_metric_computes(subject: Subject) -> Iterator[Broken]:
    """A metric gives float64 that broadcasts to the grid, never infinite, or says what it lacks."""
    metric = subject.record
    for run in _applying(subject):
        if metric.kind == "text":
            continue
        place = f"a run of {run.phase}"
        values = np.asarray(metric.compute(run))
        if values.dtype != np.float64:
            yield Broken(place, f"it is {values.dtype}", "return float64; NaN where it can't be known")
            continue
        if not _fits(values.shape, run.grid.shape):
            text = f"its shape {values.shape} is none of the grid {run.grid.shape}"
            yield Broken(place, text, "compute from the arrays of the run, without new axes")
            continue
        full = run.values(values)
        if np.isinf(full).any():
            yield Broken(place, "it is infinite", "return NaN where it can't be known")
        if np.isnan(full).all() and not (metric.why(run) or run.unknown):
            yield Broken(place, "it is unknown and gives no reason", "say in `why` what is missing")


@law("metrics")
def a_metric_leaves_the_run_alone(subject: Subject) -> Iterator[Broken]:
    """A metric changes nothing of a run, and gives the same figures again."""
    for run in _applying(subject):
        before = np.array(run.seconds), np.array(run.useful)
        first, again = subject.record.compute(run), subject.record.compute(run)
        if not all(np.array_equal(a, b) for a, b in zip(before, (run.seconds, run.useful), strict=True)):
            yield Broken(f"a run of {run.phase}", "it changed the run", "make new arrays")
        elif subject.record.kind != "text" and not np.array_equal(first, again, equal_nan=True):
            text = f"{np.max(first):.6g}, then {np.max(again):.6g}"
            yield Broken(f"a run of {run.phase}", text, "compute from the run alone")


@law("metrics")
def a_metric_says_what_it_is(subject: Subject) -> Iterator[Broken]:
    """A metric has a title, says which direction is better, and names screens that exist."""
    if not subject.record.title:
        yield Broken("title", "it is empty", "name the row that screens show")
    if subject.record.better not in ("higher", "lower", "none"):
        yield Broken("better", f"'{subject.record.better}'", "higher, lower or none")
    for screen in sorted(set(subject.record.shown_in) - SCREENS):
        yield Broken("shown_in", f"there is no screen '{screen}'", f"known are {', '.join(sorted(SCREENS))}")


def _files(folder: str) -> Iterator[tuple[Path, str]]:
    for name, text in FOREIGN.items():
        path = Path(folder) / name
        path.write_text(text, "utf-8")
        yield path, text


@law("importers", quick=True)
def an_importer_declines_what_is_not_its_own(subject: Subject) -> Iterator[Broken]:
    """An importer declines foreign files with a reason, and never raises at them."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in _files(folder):
            try:
                why = subject.record.sniff(path, text)
            except Exception as error:
                yield Broken(
                    path.name, f"sniff raised {type(error).__name__}: {error}", "catch it and decline"
                )
                continue
            if not isinstance(why, str):
                yield Broken(
                    path.name, f"sniff gave {why!r:.30}", "give the reason, or an empty text to accept"
                )
            elif not why:
                yield Broken(
                    path.name, "it accepts a file that holds no measurement", "look for keys of your own"
                )


@law("importers")
def a_file_that_can_t_be_read_is_bad_input(subject: Subject) -> Iterator[Broken]:
    """Reading a file that is none of its own ends in an InferBenchError, and in nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        for path, _ in _files(folder):
            try:
                rows = list(subject.record.read(path))
            except InferBenchError:
                continue
            except Exception as error:
                text = f"read raised {type(error).__name__}: {error}"
                yield Broken(path.name, text, "raise ib.InferBenchError.at(file, what is wrong, what to do)")
                continue
            strange = [row for row in rows if not isinstance(row, Measurement)]
            if strange:
                yield Broken(path.name, f"it read {strange[0]!r:.40}", "yield ib.Measurement")


@law("renderers", quick=True)
def a_renderer_writes_text(subject: Subject) -> Iterator[Broken]:
    """A renderer turns any report into text or bytes: empty, missing, narrow and wide."""
    if subject.record.draws:
        return  # it draws figures, and has no answer for a report without one
    from inferbench.report.model import Cell, Next, Report, Table

    cells = ((Cell("a"), Cell("1.00 ms", ("a note",))), (Cell("b"), Cell("–", unsure=True)))
    table = Table("title", (Cell(""), Cell("x")), cells)
    rows = ({"name": "a", "x": 1.0}, {"name": "b", "x": None})
    reports = (Report(()), Report((table,), {"schema": "x/1", "rows": list(rows)}, rows, (Next("list"),)))
    for number, report in enumerate(reports):
        for width in (0, 20, 80):
            text = subject.record.render(report, width)
            again = subject.record.render(report, width)
            place = f"{('an empty report', 'a table')[number]} at {width} columns"
            if not isinstance(text, str | bytes):
                yield Broken(place, f"it gave {type(text).__name__}", "return text, or bytes")
            elif text != again:
                yield Broken(place, "it gave another text the second time", "render from the report alone")


def _double(value: int) -> int:
    return 2 * value


def _fail(value: int) -> int:
    raise ValueError(f"no {value}")


@law("executors")
def an_executor_runs_everything_once(subject: Subject) -> Iterator[Broken]:
    """An executor gives every result once, passes on what work raises, and closes."""
    try:
        opened: Any = subject.record.open(ExecutorOptions(workers=1))
        with opened as pool:
            if not getattr(pool, "workers", 0) >= 1:
                yield Broken(
                    "workers", f"{getattr(pool, 'workers', None)!r}", "say how many chunks run at once"
                )
            futures = {pool.submit(_double, value): value for value in range(4)}
            found, left = [], set(futures)
            while left:
                done = set(pool.as_completed(left))
                if not done:
                    yield Broken("as_completed", f"nothing came back of {len(left)}", "wait for the first")
                    return
                found += [future.result() for future in done]
                left -= done
            if sorted(found) != [0, 2, 4, 6]:
                yield Broken("submit", f"0, 1, 2, 3 doubled came back as {sorted(found)}", "run each once")
            failing = pool.submit(_fail, 7)
            (done_one,) = pool.as_completed({failing})
            try:
                done_one.result()
                yield Broken("result", "work that raises came back as if it had not", "pass the exception on")
            except ValueError:
                pass
    except PluginError:
        raise
    except InferBenchError:
        return  # it says what it lacks: a scheduler, say


@law("commands", quick=True)
def a_command_says_how_it_is_used(subject: Subject) -> Iterator[Broken]:
    """A command is of click, does something, and its help has a line that starts with `Example:`."""
    command = subject.record
    if isinstance(command, tuple):
        return  # the core's own stand here by name alone
    if not callable(getattr(command, "callback", None)):
        yield Broken(subject.name, f"{type(command).__name__} without a callback", "use @click.command")
    elif "Example: inferbench" not in (command.help or ""):
        yield Broken("help", "it has no example", "write a line like `Example: inferbench NAME b200`")
