"""Options and output that commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any

import attrs
import click

from inferbench import files
from inferbench._version import DISTRIBUTION
from inferbench.cli.commands import registry_with_commands
from inferbench.cli.formats import asked_by_suffix, renderer
from inferbench.cli.guard import answers
from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.records.system import SystemName
from inferbench.report.model import Report
from inferbench.specs.options import read_option
from inferbench.specs.override import override

__all__ = [
    "Asked",
    "Output",
    "bundled",
    "emit",
    "names",
    "options_of",
    "forced",
    "out_option",
    "output_options",
    "point_options",
    "asked_by_suffix",
    "problems_line",
    "renderer",
    "terminal_width",
]

BATCH = "Sequences at once; max takes the largest batch that fits."
# Where a context keeps whether `--force` was given.
_FORCE = "inferbench.force"
CONTEXT = "Tokens in the KV cache (decode) or in the prompt (prefill)."


def names(text: str | None, argument: str = "precision") -> list[str] | None:
    """Read `fp8,int8`.

    Raises:
        InferBenchError: There is no name in the text.
    """
    if text is None:
        return None
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise InferBenchError.of_argument(argument, "no name was given", "write one, or several with commas")
    return found


def options_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `--option key=value` flags."""
    return dict(read_option(pair) for pair in pairs)


@attrs.frozen
class Asked:
    """The options that pick points, as they were typed.

    Attributes:
        batch, context: Axes that most workloads have.
        axes: Other axes, `steps=20,28`.
        precision: Names with commas between them.
        stack: Software of the systems that name none.
        scenario: Name of the economics.
        options: Of the workload, `kv=false`.
        ignore_capacity: Whether everything fits by decree.
        changes: Other facts of the chips, `power.tdp=1.2kW`.
    """

    batch: str | None = None
    context: str | None = None
    axes: tuple[str, ...] = ()
    precision: str | None = None
    stack: str = "best"
    scenario: str = "reference"
    options: tuple[str, ...] = ()
    ignore_capacity: bool = False
    changes: tuple[str, ...] = ()


@attrs.frozen
class Output:
    """The options that say how the answer is written: format, file, and whether with the long tables."""

    form: str = "table"
    out: str | None = None
    verbose: bool = False


Command = Callable[..., None]


def _bundled(command: Command, kind: type[Asked] | type[Output], name: str) -> Command:
    """Hand a command one record instead of the options that are its fields."""

    @wraps(command)
    def call(**given: Any) -> None:
        wanted = [field.name for field in attrs.fields(kind) if field.name in given]
        record = kind(**{name: given.pop(name) for name in wanted})
        command(**given, **{name: record})

    return call


def bundled(
    name: str, kind: type[Any], options: Sequence[Callable[..., Any]]
) -> Callable[[Command], Command]:
    """Add options to a command, which takes them as one record.

    Args:
        name: Of the command's argument.
        kind: Attrs class whose fields are named like the options.
        options: From `click.option`, in the order of the help.
    """

    def decorate(command: Command) -> Command:
        command = _bundled(command, kind, name)
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_POINTS: dict[str, Callable[[Command], Command]] = {
    "batch": click.option("--batch", metavar="1,8|1:512:x2|max", help=BATCH),
    "context": click.option("--context", metavar="2048|128:512:+128", help=CONTEXT),
    "axes": click.option(
        "--axis", "axes", multiple=True, metavar="NAME=1,2", help="Any other axis of the workload (steps=28)."
    ),
    "precision": click.option(
        "--precision", metavar="fp8,…", help="Number formats: bf16, fp8, int8, w8a16, w4a16, int4, fp4, …"
    ),
    "scenario": click.option("--scenario", default="reference", show_default=True, help="Economics."),
    "options": click.option(
        "--option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Option of the workload (kv=false, lm_head=false).",
    ),
    "changes": click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="PATH=VALUE",
        help="What if: another fact of every chip named (power.tdp=1.2kW).",
    ),
    "ignore_capacity": click.option("--ignore-capacity", is_flag=True, help="Pretend that everything fits."),
}


def _look(context: click.Context, _: click.Parameter, out: str | None) -> str | None:
    """Look at the target before anything is computed."""
    if out is not None:
        files.refuse_existing(out, forced(context))
    return out


def _remember(context: click.Context, _: click.Parameter, force: bool) -> None:
    context.meta[_FORCE] = force


def forced(context: click.Context) -> bool:
    """Whether `--force` was given."""
    return bool(context.meta.get(_FORCE))


def out_option(
    metavar: str = "FILE", help: str = "Write to a file instead of the screen.", look: bool = True
) -> Callable[[Command], Command]:
    """Add `--out` and `--force`: an existing file is replaced only if the reader says so.

    Args:
        metavar, help: Of `--out`.
        look: Whether to refuse an existing file; a command that adds to files looks itself.
    """

    def add(command: Command) -> Command:
        force = click.option(
            "--force",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_remember,
            help="Replace the file of --out.",
        )
        return click.option("-o", "--out", metavar=metavar, help=help, callback=_look if look else None)(
            force(command)
        )

    return add


_OUTPUT: dict[str, Callable[[Command], Command]] = {
    "form": click.option(
        "--format", "form", default="table", show_default=True, help="table, json, csv or markdown."
    ),
    "out": out_option(),
    "verbose": click.option(
        "-v", "--verbose", is_flag=True, help="Show the second-order rows and the operators."
    ),
}


def point_options(*, without: Sequence[str] = (), stack: str = "best") -> Callable[[Command], Command]:
    """Add the options that pick points, but for some; the command takes them as `asked`.

    Args:
        without: Those that would change nothing.
        stack: Software where none is named.
    """
    software = click.option(
        "--stack",
        default=stack,
        show_default=True,
        metavar="best|ideal|NAME",
        help="Software where SYSTEM has no @NAME: a stack, its TOML file, or a family (vllm).",
    )

    def add(command: Command) -> Command:
        command = _bundled(command, Asked, "asked")
        options = [*_POINTS.items()]
        options.insert(list(_POINTS).index("scenario"), ("stack", software))
        for name, option in reversed(options):
            command = command if name in without else option(command)
        return command

    return add


def output_options(*, verbose: bool = True) -> Callable[[Command], Command]:
    """Add the options that say how the answer is written; the command takes them as `output`."""

    def add(command: Command) -> Command:
        command = _bundled(command, Output, "output")
        for name, option in reversed(_OUTPUT.items()):
            command = option(command) if verbose or name != "verbose" else command
        return command

    return add


def what_if(registry: Registry, systems: Sequence[str], changes: Sequence[str]) -> Registry:
    """The registry in which the chips of some systems have other facts; a star in their titles says so.

    Raises:
        InferBenchError: A change without a value; a key that no chip has.
    """
    facts = {}
    for change in changes:
        path, sign, text = change.partition("=")
        if not sign or not path or not text:
            raise InferBenchError.at(
                "--set", f"'{change}' has no value", "write it like --set power.tdp=1.2kW"
            )
        facts[path.strip()] = text.strip()
    if not facts:
        return registry
    chips = {name: registry.chip(name) for name in (SystemName.parse(one).chip for one in systems)}
    changed = []
    for written, chip in chips.items():
        new = override(chip, facts, "--set")
        name = written if written.endswith(".toml") else chip.name
        changed.append(attrs.evolve(new, name=name, title=f"{chip.title}*"))
    return registry.with_records("chips", changed)


def axes_from(batch: str | None, context: str | None, more: Sequence[str]) -> dict[str, str]:
    """Gather the axes that were given, as they were typed."""
    found = {name: text for name, text in (("batch", batch), ("context", context)) if text is not None}
    for pair in more:
        name, sign, text = pair.partition("=")
        if not sign:
            raise InferBenchError.at("--axis", f"'{pair}' has no values", "write it like --axis steps=20,28")
        found[name] = text
    return found


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS wins, 80 in a pipe."""
    import shutil

    return max(20, shutil.get_terminal_size((80, 24)).columns)


def emit(report: Report, form: str, out: str | None, registry: Registry) -> None:
    """Render a report to the screen or, atomically, to a file, whose extension names the format.

    Raises:
        InferBenchError: Unknown format; file not writable.
    """
    if out is not None and form == "table":
        form = asked_by_suffix(out, registry) or form
    writer, written = renderer(form, registry), _with_changes(_with_plugins(report))
    if writer.draws and not report.figures:
        raise InferBenchError.at("--format", f"'{form}' draws pictures", "inferbench plot draws some")
    # The core's own formats ask whether they write to a terminal; others' prints are kept from the answer.
    ours = registry.entries("renderers")[form].owner == DISTRIBUTION
    with redirect_stdout(answers() if ours else sys.stderr):
        text = writer.render(written, terminal_width())
    if out is not None:
        write_file(Path(out), text)
    elif isinstance(text, str):
        answers().write(text)
    else:
        raise InferBenchError.at("--format", f"'{form}' is not for a screen", f"add --out picture.{form}")


def _with_plugins(report: Report) -> Report:
    """Repeat `-p FILE` in the commands that are proposed next."""
    context = click.get_current_context(silent=True)
    files = context.find_root().params.get("files", ()) if context else ()
    return attrs.evolve(report, options=tuple(word for file in files for word in ("-p", file)))


def _with_changes(report: Report) -> Report:
    """Say in the first title, in the data and in what to do next which facts were changed."""
    context = click.get_current_context(silent=True)
    changes = tuple(context.params.get("changes") or ()) if context else ()
    if not changes:
        return report
    first, *others = report.tables
    title = f"{first.title} · * if {', '.join(changes)}"
    return attrs.evolve(
        report,
        tables=(attrs.evolve(first, title=title), *others),
        data={**report.data, "changes": list(changes)},
    )


def write_file(path: Path, text: str | bytes) -> None:
    """Write what `--out` names: a regular file whole or not at all, anything else in place.

    Raises:
        InferBenchError: It can't be written, and why.
    """
    try:
        files.write(path, text)
    except OSError as error:
        raise InferBenchError.at(
            f"--out {path}", f"can't be written: {error.strerror}", "name a file in a folder you may write to"
        ) from None


def problems_line(registry: Registry, more: Sequence[Fault] = ()) -> None:
    """Tell on stderr, in one line, that plugins are broken or specs doubtful."""
    if registry.problems:
        owners = ", ".join(sorted({problem.owner for problem in registry.problems}))
        print(
            f"inferbench: {len(registry.problems)} problem(s) with {owners}; see `inferbench doctor`",
            file=sys.stderr,
        )
    for warning in (*registry.warnings, *more):
        print(f"inferbench: warning: {warning.place}: {warning.found}", file=sys.stderr)


def the_registry() -> Registry:
    """The registry of everything installed, with the formats that the core renders."""
    from inferbench.report.render import RENDERERS

    registry = registry_with_commands()
    registry.bring("renderers", RENDERERS.values())
    return registry
