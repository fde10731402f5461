"""`Recipe`: what a fit was asked for, as a record and as the command that says it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

import attrs

from inferbench.errors import InferBenchError, suggest

__all__ = ["Kind", "Recipe"]

Kind = Literal["kernels", "serving", "power", "class"]
_HEAD = ("inferbench", "calibrate")
# Options and their fields, in the order in which a command has them.
_FIELDS = {
    "chip": "chip",
    "stack": "stack",
    "software": "software",
    "precision": "precisions",
    "network": "networks",
    "kind": "kinds",
    "without": "without",
    "free": "free",
    "phase": "phases",
    "tuning": "tuning",
    "based-on": "based_on",
}
# Those that are given once per chip, and those that take a list, with commas between its entries.
_PAIRS = ("pool", "join")
_LISTS = ("software", "precision", "network", "kind", "without", "free", "phase")


@attrs.frozen(kw_only=True)
class Recipe:
    """What to fit on which files.

    Attributes:
        kind: `kernels` (efficiencies, launches, overlap), `serving` (what whole steps add to their kernels),
            `power` (energies) or `class` (a prior of a class of chips; of named chips a stack drawn to it).
        files: Paths; anything an importer reads.
        chip: Whose rows to fit; None: the one that the files have rows of. Of `class` several, with commas
            between them.
        stack: Name of the stack; None: `name` gives one.
        based_on: Stack that fills in what is not fitted; of `serving` its kernels are taken as they are.
        software: Beginnings of the software's names in the rows.
        precisions: Precisions to take, as the rows write them.
        networks: Whose rows to take, by our names; of `serving` alone.
        kinds: Beginnings of the kernels' keys to take.
        without: Beginnings of the names of kernels, as the rows' column `kernel` writes them, to leave out.
        tuning: Stack whose `[tuning]` says how products are tiled.
        free: Parameters to fit (`host.step`); empty: those usual for the kind.
        phases: Phases in which the stack holds; empty: those of the rows.
        pool: Other chips, each with its kernel stack: fitted the same way, their errors count too.
        join: Other chips, each with its kernel stack, whose rows are fitted together with the chip's: one
            engine on hosts alike has one set of parameters.

    Example:
        >>> recipe = Recipe(kind="serving", files=("runs.csv",), chip="h100-sxm", based_on="trtllm-1.3")
        >>> recipe.command
        'inferbench calibrate --serving runs.csv --chip h100-sxm --based-on trtllm-1.3'
        >>> Recipe.parse(recipe.command) == recipe
        True
    """

    kind: Kind = "kernels"
    files: tuple[str, ...] = ()
    chip: str | None = None
    stack: str | None = None
    based_on: str | None = None
    software: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tuning: str | None = None
    free: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    pool: Mapping[str, str] = attrs.field(factory=dict)
    join: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        """How the stack is called: `mine` where nothing is said."""
        return self.stack or "mine"

    @property
    def command(self) -> str:
        """The command that fits it again, wherever the files lie."""
        names = [PurePath(file).name for file in self.files]
        words = [*_HEAD]
        for name in names:
            words += [name] if self.kind == "kernels" else [f"--{self.kind}", name]
        for option, field in _FIELDS.items():
            value = getattr(self, field)
            text = ",".join(value) if option in _LISTS else value
            if text:
                words += [f"--{option}", PurePath(text).name if text.endswith(".toml") else text]
        for option in _PAIRS:
            for chip, stack in getattr(self, option).items():
                words += [f"--{option}", f"{chip}={stack}"]
        return shlex.join(words)

    @classmethod
    def parse(cls, command: str) -> Recipe:
        """Read a command back.

        Raises:
            InferBenchError: It is no `inferbench calibrate`, or has an option that none of its fits has.
        """
        words = shlex.split(command)
        if not cls.reads(command):
            raise InferBenchError.at(
                command or "[fit] command", "no `inferbench calibrate`", "fit the stack with `calibrate`"
            )
        return cls._from(words[2:])

    @classmethod
    def reads(cls, command: str) -> bool:
        """Whether a command is one of `inferbench calibrate`.

        Example:
            >>> Recipe.reads("inferbench calibrate a.csv"), Recipe.reads("python fit.py")
            (True, False)
        """
        return tuple(shlex.split(command)[:2]) == _HEAD

    @classmethod
    def _from(cls, words: Sequence[str]) -> Recipe:
        found = cls()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if not word.startswith("--"):
                found = attrs.evolve(found, files=(*found.files, word))
                continue
            if not rest:
                raise InferBenchError.at(word, "a value was expected after it", f"write {word} VALUE")
            found = found._with(word.removeprefix("--"), rest.pop(0))
        return found

    def _with(self, option: str, value: str) -> Recipe:
        if option == "serving":
            return attrs.evolve(self, kind="serving", files=(*self.files, value))
        if option == "power":
            return attrs.evolve(self, kind="power", files=(*self.files, value))
        if option == "class":
            return attrs.evolve(self, kind="class", files=(*self.files, value))
        if option in _PAIRS:
            more: dict[str, Any] = {option: {**getattr(self, option), **pooled([value], option)}}
            return attrs.evolve(self, **more)
        if option in _FIELDS:
            read: Any = tuple(value.split(",")) if option in _LISTS else value
            changed: dict[str, Any] = {_FIELDS[option]: read}
            return attrs.evolve(self, **changed)
        raise InferBenchError.at(f"--{option}", "no option of a fit", suggest(option, _FIELDS))


def pooled(pairs: Sequence[str], option: str = "pool") -> dict[str, str]:
    """Read `CHIP=STACK`.

    Args:
        pairs: As they are written.
        option: Which one says them.

    Raises:
        InferBenchError: One without an equals sign.

    Example:
        >>> pooled(["a100-sxm-40gb=trtllm-1.0"])
        {'a100-sxm-40gb': 'trtllm-1.0'}
    """
    found = {}
    for pair in pairs:
        chip, _, stack = pair.partition("=")
        if not (chip and stack):
            raise InferBenchError.at(
                f"--{option}",
                f"'{pair}' names no stack",
                f"write it like --{option} a100-sxm-40gb=trtllm-1.0",
            )
        found[chip] = stack
    return found
