"""`inferbench calibrate`."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import rich_click

from inferbench.calibration.calibrate import Calibration, calibrate
from inferbench.calibration.fitting import Fitted
from inferbench.calibration.writing import Labels, energy_toml, stack_toml
from inferbench.cli import common
from inferbench.discovery.registry import Registry
from inferbench.records.kinds import op_kind
from inferbench.records.stack import TIMES
from inferbench.report.model import Cell, Report, Table
from inferbench.units import show

__all__ = ["command"]

EXAMPLES = {
    "gemm": "gemm --m 1,128 --n 8192 --k 8192",
    "attention": "attention --batch 1,16 --heads 32 --kv-heads 8 --keys 2048",
    "collective": "collective --payload 65536,1048576 --group 8",
}
ERRORS = (
    ("left out by group", "error"),
    ("left out at random", "error_rows"),
    ("with screened rows", "error_all"),
    ("a constant", "constant"),
    ("roofline", "roofline"),
)


@click.command("calibrate", cls=rich_click.RichCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--chip", required=True, help="Chip whose rows to fit.")
@click.option(
    "--stack",
    "name",
    required=True,
    help="Name of the stack: what its title says, and its file if --out is a folder.",
)
@click.option("--software", metavar="TRTLLM-1.3,…", help="Beginnings of the software's names in the rows.")
@click.option("--precision", metavar="fp8_block,…", help="Precisions to take, as the rows write them.")
@click.option(
    "--kind", metavar="gemm,…", help="Kernels to take: beginnings of the keys that the report shows."
)
@click.option(
    "--tuning",
    metavar="FILE.toml",
    help="Stack whose [tuning] says how products are tiled; how tiles fill is fitted.",
)
@click.option("--based-on", default="", help="Stack that fills in what these rows don't fix.")
@click.option("--title", default="", help="Title of the stack.")
@click.option("--note", default="", help="What a reader of the stack must know.")
@click.option("--cite", default="", help="Who measured: title of the source.")
@click.option("--url", default="", help="Where the source is.")
@click.option("--out", metavar="FILE.toml", help="Where to write the stack.")
@click.option("--format", "form", default="table", show_default=True, help="table, json, csv or markdown.")
@click.option("-v", "--verbose", is_flag=True, help="Show every parameter, with its standard error.")
def command(
    files: tuple[str, ...],
    chip: str,
    name: str,
    software: str | None,
    precision: str | None,
    kind: str | None,
    tuning: str | None,
    based_on: str,
    title: str,
    note: str,
    cite: str,
    url: str,
    out: str | None,
    form: str,
    verbose: bool,
) -> None:
    """Fit a stack's kernels to measurements, and score them on rows left out.

    Example: inferbench calibrate gemm.csv --chip h100-sxm --stack mine --software TRTLLM-1.3 --out my.toml

    FILE is anything an importer reads. The error that counts is the one with whole groups of rows left
    out of the fit: shapes for products, heads for attention, networks for experts, sizes of messages for
    collectives.
    """
    registry = common.the_registry()
    common.renderer(form, registry)
    base = registry.stack(based_on) if based_on else None
    tell = (lambda key: print(f"fitting {key}", file=sys.stderr)) if sys.stderr.isatty() else None
    the_chip = registry.chip(chip)
    tiles = registry.stack(tuning).tuning.get(the_chip.architecture_type) if tuning else None
    found = calibrate(
        files,
        the_chip,
        registry,
        tuning=tiles,
        base=base,
        software=common.names(software) or (),
        spellings=common.names(precision) or (),
        kinds=common.names(kind) or (),
        progress=tell,
    )
    for warning in found.warnings:
        print(f"inferbench: warning: {warning}", file=sys.stderr)
    after = "the same with --out my.toml to keep the stack"
    if out:
        options = {"chip": chip, "stack": name, "software": software, "precision": precision}
        options |= {"kind": kind, "tuning": tuning, "based-on": based_on}
        heading = title or f"{name}: kernels on {found.chip.title}"
        named = tuple(common.names(software) or ())
        labels = Labels(heading, note, based_on, cite, url, named, _again(files, options))
        path = Path(out) / f"{name}.toml" if Path(out).is_dir() else Path(out)
        common.write_atomically(path, stack_toml(found, labels) + _energies(path, name, registry))
        after = f"inferbench op {found.chip.name} {_example(found)} --stack {path}"
    common.emit(_report(found, name, verbose, after), form, None, registry)
    common.problems_line(registry)


def _again(files: Sequence[str], options: Mapping[str, str | None]) -> str:
    """The command that fits a stack again, wherever the files lie."""
    words = ["inferbench", "calibrate", *(Path(file).name for file in files)]
    for name, value in options.items():
        if value:
            words += [f"--{name}", Path(value).name if value.endswith(".toml") else value]
    return shlex.join(words)


def _energies(path: Path, name: str, registry: Registry) -> str:
    """Energies of kernels in the file that is replaced: they were fitted at measured times, and hold on."""
    kept = energy_toml(path.read_text("utf-8")) if path.is_file() else ""
    if kept:
        print(f"inferbench: kept the energies of kernels that stood in {path}", file=sys.stderr)
    elif name in registry.names("stacks") and registry.stack(name).kernel_energy:
        said = (
            f"{name} has energies of kernels; a calibration fits none, so {path} has none (see"
            " docs/explanation/power.md)"
        )
        print(f"inferbench: warning: {said}", file=sys.stderr)
    return kept


def _example(found: Calibration) -> str:
    """An operator of a kind that was fitted."""
    kinds = [fitted.kernel.variant.partition(".")[0] for fitted in found.fits]
    known = next((EXAMPLES[kind] for kind in kinds if kind in EXAMPLES), None)
    if known is not None:
        return known
    wanted = [name for name, field in op_kind(kinds[0]).fields.items() if field.default is None]
    return " ".join([kinds[0], *(f"--{name.replace('_', '-')} 1024" for name in wanted)])


def _report(found: Calibration, name: str, verbose: bool, after: str) -> Report:
    rows = tuple(_row(fitted) for fitted in found.fits)
    data = {
        "schema": "inferbench.calibrate/2",
        "chip": found.chip.name,
        "stack": name,
        "software": list(found.software),
        "files": found.files,
        "kernels": list(rows),
        "refused": found.refused,
        "not_taken": found.left,
        "warnings": list(found.warnings),
    }
    tables = (_errors(found, name), *((_parameters(found),) if verbose else ()))
    return Report(tables, data, rows, after)


def _row(fitted: Fitted) -> dict[str, Any]:
    part, kernel = fitted.part, fitted.kernel
    row: dict[str, Any] = {
        "kernel": kernel.key,
        "spelled": kernel.spelled,
        "rows": part.rows,
        "scored": part.scored,
        "screened": part.screened,
        **{f"mape_{field}": _fraction(getattr(part, field)) for _, field in ERRORS},
        "sd": part.sd,
        "spread": part.spread,
        "coverage": part.coverage,
    }
    row |= {free.path: value for free, value in zip(fitted.frees, fitted.values, strict=True)}
    return row | {"defaults": " ".join(part.defaults), "at_bound": " ".join(part.at_bound)}


def _fraction(percent: float) -> float | None:
    """As `validate` gives it: a fraction; null where nothing is known."""
    return percent / 100.0 if math.isfinite(percent) else None


def _errors(found: Calibration, name: str) -> Table:
    columns = ("", "rows", "screened", "scored", *(title for title, _ in ERRORS), "in 90 % interval")
    rows = []
    for fitted in found.fits:
        part = fitted.part
        why = {one: fitted.kernel.screened.count(one) for one in dict.fromkeys(fitted.kernel.screened) if one}
        gone = (f"screened: {', '.join(f'{count} {one}' for one, count in why.items())}",) if why else ()
        said = _said(fitted)
        rows.append(
            (
                Cell(fitted.kernel.key, notes=said),
                Cell(f"{part.rows:,}"),
                Cell(f"{part.screened:,}", notes=gone),
                Cell(f"{part.scored:,}"),
                *(Cell(_percent(getattr(part, field))) for _, field in ERRORS),
                Cell(f"{100 * part.coverage:.0f} %"),
            )
        )
    notes = [f"{key}: {text.splitlines()[0]}" for key, text in found.refused.items()]
    notes += [f"not taken: {count:,} rows {why}" for why, count in found.left.items()]
    return Table(
        f"{name}: mean absolute error of kernel times on {found.chip.title}",
        tuple(Cell(c) for c in columns),
        tuple(rows),
        ", ".join(found.software),
        numeric=True,
        notes=tuple(notes),
    )


def _percent(value: float) -> str:
    return f"{value:.3g} %" if math.isfinite(value) else "–"


def _said(fitted: Fitted) -> tuple[str, ...]:
    part = fitted.part
    notes = []
    if part.defaults:
        notes.append(f"the data can't fix {', '.join(part.defaults)}: left at the default")
    if math.isnan(part.error):
        notes.append("too few groups of rows to leave one out: how well it does for others is not known")
    if part.at_bound:
        notes.append(f"at the end of its physical range: {', '.join(part.at_bound)}")
    return tuple(notes)


def _parameters(found: Calibration) -> Table:
    rows = []
    for fitted in found.fits:
        for free, value, deviation in zip(fitted.frees, fitted.values, fitted.part.deviations, strict=True):
            unit = "s" if free.table in TIMES else "B" if free.table == "ramp_bytes" else ""
            rows.append(
                (
                    Cell(f"{fitted.kernel.key} {free.path}"),
                    Cell(show(value, unit)),
                    Cell(f"{100 * deviation:.2g} %"),
                )
            )
    heads = (Cell(""), Cell("value"), Cell("standard error"))
    return Table("fitted parameters", heads, tuple(rows), numeric=True)
