"""Arguments of the Python face as a command's options: `batch=[1, 8]` is `--batch 1,8`."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import click

from inferbench.errors import InferBenchError

__all__ = ["message", "speller"]


def message(error: InferBenchError, command: click.Command | None) -> str:
    """Return an error's text with arguments written as a command's options."""
    spell = speller(command)
    return error.text(lambda fault: fault.text(spell, "write"))


def speller(command: click.Command | None) -> Callable[[str, object], str]:
    """Return what writes the name and the value of an argument as one of a command's options."""
    params = command.params if command else []
    options = [one for one in params if isinstance(one, click.Option)]
    places = {one.name for one in params if isinstance(one, click.Argument)}
    longest = {one.name: max(one.opts, key=len) for one in options}
    flags = {flag for one in options for flag in one.opts}

    def spell(name: str, value: object) -> str:
        if places & {name, f"{name}s"}:  # it has no name on the command line: its value says what is meant
            return "" if value is None else str(value)
        flag = f"--{name.replace('_', '-')}"
        if flag in flags:
            return f"{flag}{_value(value, ' ')}"
        if name in longest:
            return f"{longest[name]}{_value(value, ' ')}"
        return f"--axis {name}{_value(value, '=')}" if "--axis" in flags else f"{flag}{_value(value, ' ')}"

    return spell


def _value(value: object, sign: str) -> str:
    if value is None or value is True:
        return ""
    if isinstance(value, list | tuple):
        return sign + ",".join(str(one) for one in value)
    return sign + (f"{value:g}" if isinstance(value, float) else shlex.quote(str(value)))
