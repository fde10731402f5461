"""The group of commands, and how every error ends: one message on stderr, exit code 2."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from inferbench._version import __version__
from inferbench.cli.coloured import Group, coloured
from inferbench.cli.commands import COMMANDS, keep_records, registry_with_commands
from inferbench.cli.guard import disabled, guarded
from inferbench.cli.spelling import message
from inferbench.errors import InferBenchError, blame, listening, passes, suggest
from inferbench.text import visible

__all__ = ["app", "run"]


class Lazy(Group):
    """Commands that are imported when they are called; plugins may add theirs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands: the core's first."""
        return [*COMMANDS, *(n for n in registry_with_commands().names("commands") if n not in COMMANDS)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name in COMMANDS:
            module = import_module(f"inferbench.cli.{name}_command")
            command: click.Command = module.command
            if command.callback is not None:
                command.callback = guarded(command.callback)
            return command
        entry = registry_with_commands().entries("commands").get(name)
        return coloured(entry.record) if entry else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it says of arguments is written as its options."""
        try:
            return super().invoke(ctx)
        except InferBenchError as error:
            name = ctx.invoked_subcommand
            error.args = (message(error, self.get_command(ctx, name) if name else None),)
            raise
        except (OSError, SystemExit, click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except BaseException as error:
            entry = registry_with_commands().entries("commands").get(ctx.invoked_subcommand or "")
            if entry is None or ctx.invoked_subcommand in COMMANDS or passes(error):
                raise
            raise blame(f"{entry.owner}: command {entry.name}", error) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Teach on an unknown command."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise InferBenchError.at(
                args[0],
                "no such command",
                suggest(args[0], self.list_commands(ctx)) or "see inferbench --help",
            )
        return super().resolve_command(ctx, args)


def _load(ctx: click.Context, parameter: click.Parameter, files: tuple[str, ...]) -> tuple[str, ...]:
    """Load plugins while options are read, so that the commands they bring are known."""
    if files and not ctx.resilient_parsing:
        from inferbench.discovery.registry import installed

        for file in files:
            installed().load_file(file)
    return files


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="inferbench", message="%(prog)s %(version)s")
@click.option(
    "-p",
    "--plugin",
    "files",
    multiple=True,
    metavar="FILE.py",
    callback=_load,
    is_eager=True,
    help="Load a Python file as a plugin.",
)
@click.option("--disable", multiple=True, metavar="NAME", help="Leave out a plugin, or all of a package.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def app(files: tuple[str, ...], disable: tuple[str, ...], debug: bool) -> None:
    """Compare inference chips of any architecture on the same work.

    Example: inferbench compare b200 groq-lpu tpu-v5p
    """


def run(args: list[str] | None = None) -> int:
    """Run and turn every failure into a message and an exit code."""
    given = sys.argv[1:] if args is None else args
    debug = "--debug" in given or os.environ.get("INFERBENCH_DEBUG") == "1"
    given = [arg for arg in given if arg != "--debug"]
    with disabled(given) as words, listening():
        code = _run(words, debug)
    if args is None:
        keep_records()
    return code


def _run(given: list[str], debug: bool) -> int:
    try:
        result: Any = app(args=given, prog_name="inferbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except InferBenchError as error:
        if debug:
            raise
        return _say(str(error))
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return error.exit_code
    except click.UsageError as error:
        hint = f"\n  {error.ctx.command_path} --help" if error.ctx else ""
        return _say(f"{error.format_message()}{hint}")
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        return _say(f"{error.filename or 'file'}: {error.strerror or error}")
    except SystemExit:
        raise
    except BaseException as error:  # a plugin's own kind may be no Exception
        if debug:
            raise
        return _say(
            f"{type(error).__name__}: {error}\n  this is a bug of InferBench or of a plugin: run again with"
            " --debug and report it"
        )


def _say(message: str) -> int:
    print(f"inferbench: {visible(message)}", file=sys.stderr)
    return 2
