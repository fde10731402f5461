"""Options and output that commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import attrs
import click

from inferbench import files
from inferbench._version import DISTRIBUTION
from inferbench.cli.commands import registry_with_commands
from inferbench.cli.formats import FORMATS, asked_by_suffix, renderer
from inferbench.cli.guard import answers
from inferbench.cli.points import (
    Asked,
    Command,
    axes_from,
    bundle,
    bundled,
    each_once,
    names,
    options_of,
    point_options,
    what_if,
)
from inferbench.discovery.registry import Registry
from inferbench.errors import Fault, InferBenchError
from inferbench.records.immutable import frozen
from inferbench.report.model import PROGRAM, Next, Report

__all__ = [
    "FORMATS",
    "Asked",
    "Output",
    "axes_from",
    "bundled",
    "each_once",
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
    "time_limit",
    "what_if",
]

# What commands that are proposed next take over from the one that was given.
REPEATED = (
    "batch",
    "context",
    "axes",
    "precision",
    "stack",
    "scenario",
    "options",
    "changes",
    "prices",
    "ignore_capacity",
    "reserve",
)
MOST_SECONDS = 86_400.0
# Where a context keeps whether `--force` was given.
_FORCE = "inferbench.force"


@frozen
class Output:
    """The options that say how the answer is written: format, file, and whether with the long tables."""

    form: str = "table"
    out: str | None = None
    verbose: bool = False


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
    metavar: str = "FILE", help: str = "Write to a file; its name's end picks the format.", look: bool = True
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
    "form": click.option("--format", "form", default="table", show_default=True, help=FORMATS),
    "out": out_option(),
    "verbose": click.option(
        "-v", "--verbose", is_flag=True, help="Show the second-order rows and the operators."
    ),
}


def output_options(*, verbose: bool = True) -> Callable[[Command], Command]:
    """Add the options that say how the answer is written; the command takes them as `output`."""

    def add(command: Command) -> Command:
        command = bundle(command, Output, "output")
        for name, option in reversed(_OUTPUT.items()):
            command = option(command) if verbose or name != "verbose" else command
        return command

    return add


def _waitable(context: click.Context, option: click.Parameter, seconds: float) -> float:
    """Refuse what nobody can wait for."""
    if not 0.0 < seconds <= MOST_SECONDS:
        found = f"{seconds:g} is no limit: seconds above 0, at most {MOST_SECONDS:,.0f}, were expected"
        raise click.BadParameter(found, context, option)
    return seconds


def time_limit(default: float, help: str) -> Callable[[Command], Command]:
    """Add `--limit SECONDS`.

    Args:
        default: Seconds.
        help: What must be done within them.
    """
    return click.option(
        "--limit", default=default, show_default=True, metavar="SECONDS", callback=_waitable, help=help
    )


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS wins, 80 in a pipe."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return max(20, int(given))
    try:
        return max(20, os.get_terminal_size(answers().fileno()).columns or 80)
    except (OSError, ValueError, AttributeError):  # no terminal, closed, or none of the process's files
        return 80


def emit(report: Report, form: str, out: str | None, registry: Registry) -> None:
    """Render a report to the screen or, atomically, to a file, whose extension names the format.

    Raises:
        InferBenchError: Unknown format; file not writable.
    """
    if out is not None and form == "table":
        form = asked_by_suffix(out, registry, bool(report.figures))
    writer, written = renderer(form, registry), _with_changes(_with_request(_with_plugins(report)), registry)
    if writer.draws and not report.figures:
        raise InferBenchError.at("--format", f"'{form}' draws pictures", "inferbench plot draws some")
    # The core's own formats ask whether they write to a terminal; others' prints are kept from the answer.
    entry = registry.entry("renderers", form)
    ours = entry is not None and entry.owner == DISTRIBUTION
    with redirect_stdout(answers() if ours else sys.stderr):
        text = writer.render(written, terminal_width())
    if out is not None:
        write_file(Path(out), text)
    elif isinstance(text, str):
        answers().write(text)
    else:
        raise InferBenchError.at("--format", f"'{form}' is not for a screen", f"add --out answer.{form}")


def _with_plugins(report: Report) -> Report:
    """Repeat `-p FILE` in the commands that are proposed next."""
    context = click.get_current_context(silent=True)
    files = context.find_root().params.get("files", ()) if context else ()
    return attrs.evolve(report, options=tuple(word for file in files for word in ("-p", file)))


def _with_request(report: Report) -> Report:
    """Repeat what was asked in the commands that are proposed next, where they take it too."""
    context = click.get_current_context(silent=True)
    if context is None:
        return report
    root = context.find_root()
    return attrs.evolve(report, next=tuple(_repeated(one, context, root) for one in report.next))


def _repeated(one: Next, context: click.Context, root: click.Context) -> Next:
    if not one.command or one.program != PROGRAM or not isinstance(root.command, click.Group):
        return one
    target = root.command.get_command(root, one.command)
    takes = {param.name for param in target.params} if target is not None else set()
    words: list[str] = []
    for option in context.command.params:
        name = str(option.name)
        flag = max(option.opts, key=len)
        typed = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        named = name == "stack" and any("@" in word for word in one.arguments)
        if name in REPEATED and typed and name in takes and flag not in one.arguments and not named:
            given = context.params.get(name)
            many = given if isinstance(given, tuple) else (given,)
            words += [flag] if given is True else [word for value in many for word in (flag, str(value))]
    verbose = tuple(word for word in one.arguments if word == "-v")
    rest = tuple(word for word in one.arguments if word != "-v")
    return attrs.evolve(one, arguments=(*rest, *words, *verbose))


def _with_changes(report: Report, registry: Registry) -> Report:
    """Say in the first title, in the data and in what to do next which facts were changed."""
    context = click.get_current_context(silent=True)
    given = ("changes", "prices") if context else ()
    changes = [text for name in given for text in context.params.get(name) or ()] if context else []
    if not changes:
        return report
    first, *others = report.tables
    provenance = {**report.data.get("provenance", {}), "changes": registry.changes}
    title = f"{first.title} · * if {', '.join(changes)}"
    return attrs.evolve(
        report,
        tables=(attrs.evolve(first, title=title), *others),
        data={**report.data, "changes": changes, "provenance": provenance},
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
