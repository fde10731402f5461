"""`inferbench calibrate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import click
import rich_click

from inferbench import files
from inferbench.calibration.fits import fit_recipe
from inferbench.calibration.outcome import FittedStack
from inferbench.calibration.recipe import Kind, Recipe, pooled
from inferbench.calibration.shipped import fit_again, fitted_names
from inferbench.calibration.writing import Labels, energy_toml, without_energies
from inferbench.cli import common
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.report.calibration import again_report, fit_report, kernel_example
from inferbench.report.model import Next

__all__ = ["command"]


@attrs.frozen
class Fitting:
    """The options that say what to fit, as they were typed."""

    files: tuple[str, ...]
    serving: tuple[str, ...]
    power: tuple[str, ...]
    chip: str | None
    stack: str | None
    software: str | None
    precision: str | None
    kind: str | None
    free: str | None
    phase: str | None
    pool: tuple[str, ...]
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
    click.option("--chip", help="Chip whose rows to fit."),
    click.option(
        "--stack",
        help="Name of the stack: what its title says, and its file if --out is a folder.",
    ),
    click.option("--software", metavar="TRTLLM-1.3,…", help="Beginnings of the software's names."),
    click.option("--precision", metavar="fp8_block,…", help="Precisions to take, as the rows write them."),
    click.option(
        "--kind", metavar="gemm,…", help="Kernels to take: beginnings of the keys that the report shows."
    ),
    click.option(
        "--free",
        metavar="host.step,…",
        help="Parameters of a step to fit: host.step and host.sequence, or host.kernel and"
        " efficiency.memory; energy.ops where power was read.",
    ),
    click.option("--phase", metavar="decode,…", help="Phases that the stack is for; else those of the rows."),
    click.option(
        "--pool",
        multiple=True,
        metavar="CHIP=STACK",
        help="Another chip and its kernel stack: fitted alike, its errors count towards the interval.",
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


@click.command("calibrate", cls=rich_click.RichCommand)
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
        _again(shipped, registry, tell, form, verbose)
        return
    recipe = _recipe(fitting, written)
    if written.out and not fitting.power:  # energies are added to a file, everything else replaces it
        path = _target(written.out, recipe.name)
        files.refuse_existing(path, common.forced(click.get_current_context()))
    labels = Labels(written.title, written.note, cite=written.cite, url=written.url)
    found = fit_recipe(recipe, registry, labels, tell)
    for warning in found.warnings:
        print(f"inferbench: warning: {warning}", file=sys.stderr)
    after = Next(arguments=("--out", "my.toml"), why="to keep the stack")
    if written.out:
        after = _following(found, _write(found, written.out, registry))
    common.emit(fit_report(found, verbose, (after,)), form, None, registry)
    common.problems_line(registry)


def _again(
    names: tuple[str, ...], registry: Registry, tell: Callable[[str], None] | None, form: str, verbose: bool
) -> None:
    """Fit again what ships; exit code 1 where something came out otherwise."""
    chosen = fitted_names(registry) if names == ("all",) else names
    found = [fit_again(name, registry, tell) for name in chosen]
    common.emit(again_report(found, verbose), form, None, registry)
    common.problems_line(registry)
    if not all(one.same for one in found):
        sys.exit(1)


def _recipe(fitting: Fitting, written: Written) -> Recipe:
    """What was asked for.

    Raises:
        InferBenchError: Files of two kinds of fit, or none; a name that is not given and can't be had.
    """
    given: dict[Kind, tuple[str, ...]] = {
        "kernels": fitting.files,
        "serving": fitting.serving,
        "power": fitting.power,
    }
    kinds = [kind for kind, files in given.items() if files]
    if len(kinds) > 1:
        raise InferBenchError.at(
            "calibrate",
            f"files for {' and for '.join(kinds)}",
            "fit one, then the other",
        )
    if not kinds:
        raise InferBenchError.at(
            "calibrate",
            "no file to fit",
            "give kernels as FILE, whole steps as --serving FILE, readings of power as --power FILE",
        )
    out = Path(written.out).stem if written.out and not Path(written.out).is_dir() else None
    return Recipe(
        kind=kinds[0],
        files=given[kinds[0]],
        chip=fitting.chip,
        stack=fitting.stack or out,
        based_on=fitting.based_on,
        software=tuple(common.names(fitting.software) or ()),
        precisions=tuple(common.names(fitting.precision) or ()),
        kinds=tuple(common.names(fitting.kind) or ()),
        tuning=fitting.tuning,
        free=tuple(common.names(fitting.free) or ()),
        phases=tuple(common.names(fitting.phase) or ()),
        pool=pooled(fitting.pool),
    )


def _target(out: str, name: str) -> Path:
    return Path(out) / f"{name}.toml" if Path(out).is_dir() else Path(out)


def _write(found: FittedStack, out: str, registry: Registry) -> Path:
    """Write the stack's file, with the energies of kernels that stood there."""
    name = found.recipe.name
    path = _target(out, name)
    text = found.toml + (_energies(path, name, registry) if found.kernels is not None else "")
    if found.energies and path.is_file():  # a stack's energies are replaced, the rest of it stays
        text = without_energies(path.read_text("utf-8")) + found.energies
    common.write_file(path, text)
    return path


def _following(found: FittedStack, path: Path) -> Next:
    """What to do with the stack that was written."""
    if found.kernels is not None:
        return Next("op", (found.chip.name, *kernel_example(found.kernels), "--stack", str(path)))
    if found.energies:
        sizes = ("--m", "4096", "--n", "8192", "--k", "8192")
        return Next("op", (found.chip.name, "gemm", *sizes, "--stack", str(path)))
    return Next("validate", ("FILE", "--stack", str(path)))


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
