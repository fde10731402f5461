"""What stands around every command: its standard output belongs to the answer, and no option is empty."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from typing import TextIO

import click

from inferbench.errors import InferBenchError

__all__ = ["answers", "disabled", "guarded", "refuse_empty"]

_REAL: list[TextIO] = []
DISABLE = "INFERBENCH_DISABLE"


def answers() -> TextIO:
    """Where the answer of the running command is written."""
    return _REAL[-1] if _REAL else sys.stdout


def guarded(command: Callable[..., object]) -> Callable[..., object]:
    """Let a command of the core write its answer by `answers` alone; prints of plugins go elsewhere."""
    if getattr(command, "guarded", False):
        return command

    @wraps(command)
    def call(*given: object, **named: object) -> object:
        refuse_empty()
        _REAL.append(sys.stdout)
        try:
            with redirect_stdout(sys.stderr):
                return command(*given, **named)
        finally:
            _REAL.pop()

    call.guarded = True  # type: ignore[attr-defined]
    return call


def refuse_empty() -> None:
    """Refuse an option of the running command that was given without any text: '' never means "none".

    Raises:
        InferBenchError: Which one.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return
    for option in context.command.params:
        name = str(option.name)
        given = context.params.get(name)
        words = given if isinstance(given, tuple) else (given,)
        empty = any(isinstance(word, str) and not word.strip() for word in words)
        if empty and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            remedy = "write what you want, or leave it out"
            raise InferBenchError.at(max(option.opts, key=len), "is empty", remedy)


@contextmanager
def disabled(given: Sequence[str]) -> Iterator[list[str]]:
    """Take `--disable NAME` out of the words of a command line, before anything is loaded.

    Processes that the command starts leave the same plugins out.

    Args:
        given: Words as typed.
    """
    words, names = [], []
    rest = iter(given)
    for word in rest:
        name = word.removeprefix("--disable=") if word.startswith("--disable=") else ""
        if word == "--disable":
            name = next(rest, "")
        if name:
            names += [name]
        else:
            words += [word]
    before = os.environ.get(DISABLE)
    if names:
        os.environ[DISABLE] = ",".join([*([before] if before else []), *names])
    try:
        yield words
    finally:
        if names:
            os.environ.pop(DISABLE)
            os.environ.update({} if before is None else {DISABLE: before})
