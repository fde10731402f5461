"""Commands whose help has colours; what draws them is imported when somebody asks for help."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Command", "Group", "coloured"]


class _Coloured(click.Command):
    def get_help(self, ctx: click.Context) -> str:
        """Write the help as rich-click does."""
        import rich_click

        kind = rich_click.RichGroup if isinstance(self, click.Group) else rich_click.RichCommand
        return _drawn(self, kind, ctx)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The option that shows the help; click's own takes the colours out unless a terminal reads."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show
        return option


class Command(_Coloured):
    """A command that has its help in colours."""


class Group(_Coloured, click.Group):
    """A group of commands that has its help in colours."""


def coloured(command: click.Command) -> click.Command:
    """Let the help of a plain command look like that of the core's; any other is as its author made it.

    Example:
        >>> type(coloured(click.Command("mine"))).__module__
        'inferbench.cli.coloured'
    """
    return Command(**_fields(command)) if type(command) is click.Command else command


def _drawn(command: click.Command, kind: type[click.Command], ctx: click.Context) -> str:
    """The help of a command of rich-click that has the same parameters and the same methods."""
    from rich_click import RichContext

    both: Any = type(type(command).__name__, (kind, type(command)), {})
    twin = both(**_fields(command))
    context = RichContext(twin, parent=ctx.parent, info_name=ctx.info_name, **command.context_settings)
    formatter = context.make_formatter()
    twin.format_help(context, formatter)
    return formatter.getvalue().rstrip("\n")


def _show(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        print(ctx.get_help())
        ctx.exit()


def _fields(command: click.Command) -> dict[str, Any]:
    return {name: value for name, value in vars(command).items() if not name.startswith("_")}
