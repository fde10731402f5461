"""`inferbench calibrate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import click

from inferbench import files
from inferbench.calibration.outcome import FittedStack
from inferbench.calibration.recipe import pooled
from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.face.calibrate import Calibrated, calibrate
from inferbench.report.calibration import kernel_example
from inferbench.report.model import Next

__all__ = ["command"]


@attrs.frozen
class Fitting:
    """The options that say what to fit, as they were typed."""

    files: tuple[str, ...]
    serving: tuple[str, ...]
    power: tuple[str, ...]
    of_class: tuple[str, ...]
    chip: str | None
    stack: str | None
    software: str | None
    precision: str | None
    network: str | None
    kind: str | None
    without: str | None
    free: str | None
    phase: str | None
    pool: tuple[str, ...]
    join: tuple[str, ...]
    tuning: str | None
    based_on: str | None


@attrs.frozen
class Written:
    """The options that say what the stack's file says beside figures, and where it goes."""

    title: str
    note: str
    cite: str
    url: str
    out: str | None


OPTIONS = (
    click.argument("files", nargs=-1, metavar="[FILE…]"),
    click.option(
        "--serving",
        multiple=True,
        metavar="FILE",
        help="Fit whole steps on top of the kernels of --based-on: host time, or what --free names.",
    ),
    click.option(
        "--power",
        multiple=True,
        metavar="FILE",
        help="Fit energies to readings of power: the chip's for whole steps, a stack's for kernels alone.",
    ),
    click.option(
        "--class",
        "of_class",
        multiple=True,
        metavar="FILE",
        help="Fit the prior of the class that --stack names to published times of whole steps; with --chip a"
        " stack of few figures, drawn to it.",
    ),
    click.option("--chip", help="Chip whose rows to fit."),
    click.option(
        "--stack",
        help="Name of the stack: what its title says, and its file if --out is a folder.",
    ),
    click.option("--software", metavar="TRTLLM-1.3,…", help="Beginnings of the software's names."),
    click.option("--precision", metavar="fp8_block,…", help="Precisions to take, as the rows write them."),
    click.option("--network", metavar="llama3-8b,…", help="Networks whose steps to take."),
    click.option(
        "--kind", metavar="gemm,…", help="Kernels to take: beginnings of the keys that the report shows."
    ),
    click.option(
        "--without",
        metavar="NAME,…",
        help="Kernels to leave out: beginnings of the names in the column kernel.",
    ),
    click.option(
        "--free",
        metavar="host.step,…",
        help="Parameters of a step to fit: host.step, host.sequence, host.gap, host.exchange, host.eager; or"
        " host.kernel and efficiency.memory; energy.ops where power was read.",
    ),
    click.option("--phase", metavar="decode,…", help="Phases that the stack is for; else those of the rows."),
    click.option(
        "--pool",
        multiple=True,
        metavar="CHIP=STACK",
        help="Another chip and its kernel stack: fitted alike, its errors count towards the interval.",
    ),
    click.option(
        "--join",
        multiple=True,
        metavar="CHIP=STACK",
        help="Another chip and its kernel stack: its rows are fitted together with the chip's, with one set"
        " of parameters.",
    ),
    click.option(
        "--tuning",
        metavar="FILE.toml",
        help="Stack whose [tuning] says how products are tiled; how tiles fill is fitted.",
    ),
    click.option("--based-on", help="Stack that fills in what these rows don't fix."),
)
WORDS = (
    click.option("--title", default="", help="Title of the stack."),
    click.option("--note", default="", help="What a reader of the stack must know."),
    click.option("--cite", default="", help="Who measured: title of the source."),
    click.option("--url", default="", help="Where the source is."),
    common.out_option("FILE.toml", "Where to write the stack.", look=False),
)


@click.command("calibrate", cls=Command)
@common.bundled("fitting", Fitting, OPTIONS)
@common.bundled("written", Written, WORDS)
@click.option(
    "--shipped",
    multiple=True,
    metavar="STACK",
    help="Fit what ships again, from the tables that ship, and say whether it is the same: a stack, energies"
    " as linear/h100-sxm, or `all`. Exit code 1 where one is not.",
)
@click.option("--format", "form", default="table", show_default=True, help=common.FORMATS)
@click.option("-v", "--verbose", is_flag=True, help="Show every parameter, with its standard error.")
def command(fitting: Fitting, written: Written, shipped: tuple[str, ...], form: str, verbose: bool) -> None:
    """Fit a stack's kernels, or what whole steps add to them, and score it on rows left out.

    Example: inferbench calibrate gemm.csv --chip h100-sxm --stack mine --software TRTLLM-1.3 --out my.toml

    FILE is anything an importer reads. The error that counts is the one with whole groups of rows left
    out of the fit: shapes for products, heads for attention, networks for experts and whole steps, sizes
    of messages for collectives.
    """
    registry = common.the_registry()
    common.renderer(form, registry)
    tell = (lambda what: print(f"fitting {what}", file=sys.stderr)) if sys.stderr.isatty() else None
    if shipped:
        again = calibrate(shipped=shipped, watch=tell, registry=registry)
        common.emit(again.report(verbose), form, None, registry)
        common.problems_line(registry)
        if not again.same:
            sys.exit(1)
        return
    out, force = written.out, common.forced(click.get_current_context())
    stem = Path(out).stem if out and not Path(out).is_dir() else None
    name = fitting.stack or stem
    if out and not fitting.power:  # energies are added to a file, everything else replaces it
        files.refuse_existing(_target(out, name), force)
    found = _fitted(fitting, written, name, tell, registry)
    for warning in found.warnings:
        print(f"inferbench: warning: {warning}", file=sys.stderr)
    after = Next(arguments=("--out", "my.toml"), why="to keep the stack")
    if out:
        after = _written(found, _target(out, name))
    common.emit(attrs.evolve(found.report(verbose), next=(after,)), form, None, registry)
    common.problems_line(registry)


def _fitted(
    fitting: Fitting,
    written: Written,
    name: str | None,
    tell: Callable[[str], None] | None,
    registry: Registry,
) -> Calibrated:
    """Hand the options to `calibrate`."""
    return calibrate(
        fitting.files,
        serving=fitting.serving,
        power=fitting.power,
        of_class=fitting.of_class,
        chip=fitting.chip,
        stack=name,
        software=tuple(common.names(fitting.software) or ()),
        precision=tuple(common.names(fitting.precision) or ()),
        network=tuple(common.names(fitting.network) or ()),
        kind=tuple(common.names(fitting.kind) or ()),
        without=tuple(common.names(fitting.without) or ()),
        free=tuple(common.names(fitting.free) or ()),
        phase=tuple(common.names(fitting.phase) or ()),
        pool=pooled(fitting.pool),
        join=pooled(fitting.join, "join"),
        tuning=fitting.tuning,
        based_on=fitting.based_on,
        title=written.title,
        note=written.note,
        cite=written.cite,
        url=written.url,
        watch=tell,
        registry=registry,
    )


def _target(out: str, name: str | None) -> Path:
    return Path(out) / f"{name or 'mine'}.toml" if Path(out).is_dir() else Path(out)


def _written(found: Calibrated, path: Path) -> Next:
    """Write the stack's file, say what a reader must know of it, and what may follow."""
    try:
        said = found.write(path, force=True)
    except OSError as error:
        remedy = "name a file in a folder you may write to"
        raise InferBenchError.at(f"--out {path}", f"can't be written: {error.strerror}", remedy) from None
    for line in said:
        print(f"inferbench: {line}", file=sys.stderr)
    return _following(found.fitted, path)


def _following(found: FittedStack, path: Path) -> Next:
    """What to do with the stack that was written."""
    if found.kernels is not None:
        return Next("op", (found.chip.name, *kernel_example(found.kernels), "--stack", str(path)))
    if found.energies:
        sizes = ("--m", "4096", "--n", "8192", "--k", "8192")
        return Next("op", (found.chip.name, "gemm", *sizes, "--stack", str(path)))
    return Next("validate", ("FILE", "--stack", str(path)))
