"""The reference pages that are generated from the code: the command line, and the hooks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from docs_formats import FORMATS, GENERATED
from docs_json import json_page
from docs_laws import laws_page, packages_page
from docs_python import python_page

if TYPE_CHECKING:
    from inferbench_data import Table


def commands() -> Iterator[tuple[str, click.Command, str]]:
    """Yield each command: name, command, and the package that brings it."""
    from inferbench.cli.app import app
    from inferbench.cli.commands import COMMANDS
    from inferbench.discovery.registry import installed

    context = click.Context(app, info_name="inferbench")
    for name in COMMANDS:
        if find_spec(f"inferbench.cli.{name}_command") is not None:
            command = app.get_command(context, name)
            assert command is not None
            yield name, command, "inferbench"
    for name, entry in sorted(installed().entries("commands").items()):
        if name in COMMANDS:
            continue
        yield name, entry.record, entry.owner


def example(command: click.Command) -> str:
    """The example that a command's help starts with, as typed; empty if it has none."""
    for line in inspect.cleandoc(command.help or "").splitlines():
        if line.startswith("Example: "):
            return line.removeprefix("Example: ")
    return ""


def _prose(help_text: str | None) -> list[str]:
    lines = []
    for line in inspect.cleandoc(help_text or "").splitlines():
        lines.append(f"    $ {line.removeprefix('Example: ')}" if line.startswith("Example: ") else line)
    return lines


def _options(command: click.Command) -> list[str]:
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        metavar = "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
        spelled = ", ".join(f"`{name}`" for name in parameter.opts[:-1]) + (
            ", " if parameter.opts[:-1] else ""
        )
        spelled += f"`{parameter.opts[-1]}{metavar}`"
        default = f"`{parameter.default}`" if parameter.show_default else ""
        repeat = (
            " May be repeated." if parameter.multiple and "repeated" not in (parameter.help or "") else ""
        )
        rows.append(f"| {spelled} | {default} | {(parameter.help or '') + repeat} |")
    return rows


def _section(heading: str, usage: str, command: click.Command) -> list[str]:
    arguments = [
        p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)
    ]
    line = " ".join([usage, "[OPTIONS]", *arguments])
    return [heading, "", f"`{line}`", "", *_prose(command.help), "", *_options(command), ""]


def cli_page() -> str:
    """Write docs/reference/cli.md."""
    from inferbench.cli.app import app

    lines = ["# The command line", "", GENERATED, ""]
    lines += _section("## `inferbench`", "inferbench", app)[:-1]
    lines[-1:] = [
        lines[-1],
        "",
        "Options of `inferbench` itself stand before the command: `inferbench -p my_chip.py list chips`.",
        "",
    ]
    lines += [
        (
            "Exit codes: 0 all is well; 1 a check found something (`doctor`); 2 bad input, with the fault and"
            " the remedy on stderr;"
        ),
        "130 interrupted. Answers go to stdout, everything else to stderr.",
        "",
    ]
    for name, command, owner in commands():
        lines += _section(f"## `inferbench {name}`", f"inferbench {name}", command)
        if owner != "inferbench":
            lines += [f"Brought by the package `{owner}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def hooks() -> dict[str, Callable[[], object]]:
    """Every hook by name, in the order of the page they are declared on."""
    from inferbench.discovery import hookspecs

    return {
        name: function
        for name, function in vars(hookspecs).items()
        if name.startswith("inferbench_") and inspect.isfunction(function)
    }


def signature(function: Callable[[], object]) -> str:
    """A hook's exact signature, annotations as written."""
    arguments = ", ".join(str(p) for p in inspect.signature(function).parameters.values())
    return f"{function.__name__}({arguments}) -> {function.__annotations__['return']}"


def meaning(function: Callable[[], object]) -> str:
    """A hook's docstring, its `versionadded` as a sentence."""
    return re.sub(
        r"\.\. versionadded:: (\S+)", r"Since version \1 of the core.", inspect.getdoc(function) or ""
    )


def implementers(name: str) -> list[str]:
    """Distributions that implement a hook, and the core where it brings such records itself."""
    from inferbench.discovery.kinds import BROUGHT
    from inferbench.discovery.registry import installed

    registry = installed()
    found = {registry.plugins[impl.plugin_name][0] for impl in registry.implementations(name)}
    brought = {"inferbench-core"} if name.removeprefix("inferbench_") in BROUGHT else set()
    return sorted(brought | found)


def hook_head(name: str) -> str:
    """What stands at the top of a hook's how-to: signature, meaning, and whom to look at."""
    function = hooks()[name]
    users = ", ".join(f"`{owner}`" for owner in implementers(name)) or "no package of this repository yet"
    return (
        f"```text\n{signature(function)}\n```\n\n{meaning(function)}\n\n"
        f"Implemented by: {users}. All hooks: [reference](../reference/hooks.md).\n"
    )


def how_to(name: str) -> str:
    """The how-to that has a hook's head, as a link from the reference page; empty if none has."""
    folder = Path(__file__).resolve().parent.parent / "docs/howto"
    for page in sorted(folder.glob("*.md")):
        if f"<!-- hook: {name} -->" in page.read_text("utf-8"):
            return f"Example and test: [how-to](../howto/{page.name})."
    return ""


def hooks_page() -> str:
    """Write docs/reference/hooks.md."""
    from inferbench.discovery import hookspecs

    lines = ["# Hooks", "", GENERATED, "", *inspect.cleandoc(hookspecs.__doc__ or "").splitlines(), ""]
    lines += [
        (
            "A plugin is a module (or a file given with `-p`) with functions of these names, each marked with"
            " `@inferbench.hookimpl`."
        ),
        "A package announces its module by an entry point in the group `inferbench`:",
        "",
        "```toml",
        "[project.entry-points.inferbench]",
        'my-chip = "inferbench_my_chip"',
        "```",
        "",
        (
            "`Folder` is a `Traversable` of `importlib.resources`, or a `pathlib.Path`. A file's stem is the"
            " record's name. The record classes are"
        ),
        "documented in their docstrings, `help(inferbench.Chip)`.",
        "",
    ]
    for name, function in hooks().items():
        lines += [
            f"## `{name}`",
            "",
            "```python",
            signature(function),
            "```",
            "",
            meaning(function),
            "",
            how_to(name),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def data_page() -> str:
    """Write docs/reference/data.md."""
    import inferbench_data as data

    lines = DATA_PAGE.format(generated=GENERATED, tables=len(data.names())).splitlines()
    lines += ["", "| table | rows | licence | what | SHA-256 of the text |", "|---|---|---|---|---|"]
    for one in map(data.info, data.names()):
        licences = "; ".join(sorted({source.licence or "figures, cited" for source in one.sources}))
        lines.append(
            f"| [{one.name}](#{one.name}) | {one.rows:,} | {licences} | {one.title} | `{one.sha256[:16]}…` |"
        )
    lines += ["", "## The tables", ""]
    for name in data.names():
        lines += _table(data.table(name))
    return "\n".join(lines).rstrip() + "\n"


def _table(table: Table) -> list[str]:
    """Sources, traps and columns of one table."""
    lines = [f"### {table.info.name}", "", f"{table.info.title}.", ""]
    lines += [f"- Beware: {trap}" for trap in table.info.traps]
    for source in table.info.sources:
        licence = source.licence or "no licence was found: figures with their citation"
        lines.append(
            f"- From [{source.title}]({source.url}); {licence}." + (f" {source.note}" if source.note else "")
        )
    lines += ["", "| column | unit | meaning |", "|---|---|---|"]
    for column in map(table.meaning, table.columns):
        lines.append(f"| `{column.name}` | {column.unit or 'text'} | {column.meaning} |")
    return [*lines, ""]


DATA_PAGE = """# Data: the measurements that ship

{generated}

The package `inferbench-data` (`pip install 'inferbench-core[data]'`) holds {tables} tables of published
measurements. Fitted stacks and energies come from them, and the tests compare with them. So a clone of
the repository derives every error that these pages state again, without a download.

    python -m inferbench_data                        list the tables
    python -m inferbench_data gemm attention         write gemm.csv and attention.csv here
    inferbench calibrate gemm.csv attention.csv --chip h100-sxm --software TRTLLM-1.3

```python
import inferbench_data

gemm = inferbench_data.table("gemm")
gemm.numbers("latency_s")                            # seconds, an array
next(gemm.rows())                                    # column to value
inferbench_data.info("gemm").traps                   # what to beware of
```

Units are SI, and a column's name means the same in every table. NaN, or empty text, is what a source
does not say. The columns are those that the [CSV importer](importers.md) reads. Every table is checked
against its hash when it is read.

**Licences.** The code is under Apache-2.0, a table under the licence of its source. Where a source
states none, the table holds figures alone, each with its citation, and "figures, cited" stands below.
`NOTICE` names the holders.

**Rebuilding.** `python tools/make_data.py FOLDER` makes the tables from a folder of the CSV files that
they were compiled in, and writes rows and hashes into `tables.toml`. `--check` says which tables would
differ. `tools/data_recipes.toml` says what each column takes. `origin` in `tables.toml` is the hash of
the file a table was made from. The records of older fits name that hash."""


REFERENCE: dict[str, Callable[[], str]] = {
    "docs/reference/data.md": data_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/hooks.md": hooks_page,
    "docs/reference/conformance.md": laws_page,
    "docs/reference/packages.md": packages_page,
    "docs/reference/json.md": json_page,
    "docs/reference/python.md": python_page,
    **{f"docs/reference/formats/{name}.md": write for name, write in FORMATS.items()},
}
