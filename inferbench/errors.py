"""The one exception of the package, and what a good message is made of.

Bad input is answered in three lines: what is wrong and where, what was found and expected, what to do.
"""

from __future__ import annotations

import difflib
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Literal, Self

import attrs

__all__ = [
    "CODES",
    "Fault",
    "InferBenchError",
    "PluginError",
    "UnsupportedOp",
    "as_argument",
    "blame",
    "blamed_on",
    "closest",
    "interrupted",
    "interruptible",
    "listening",
    "passes",
    "raise_if",
    "suggest",
]

Code = Literal["", "unknown-name", "no-importer", "missing-field"]
CODES: tuple[Code, ...] = ("unknown-name", "no-importer", "missing-field")
"""Kinds of faults that other code acts upon: a name that nobody provides, a file that no importer reads, a
field of an operator that is not given.
"""


def as_argument(name: str, value: object) -> str:
    """Write an argument as Python code does.

    Example:
        >>> as_argument("batch", [1, 8]), as_argument("out", None)
        ('batch=[1, 8]', 'out')
    """
    return name if value is None else f"{name}={value!r}"


@attrs.frozen
class Fault:
    """One thing wrong in one place.

    `{give}` in `found` and `remedy` stands for `give`, written as the reader writes arguments: `batch=[1, 8]`
    in Python, `--batch 1,8` on the command line.

    Attributes:
        where: File and key (`b200.toml: memory.hbm.bandwidth`), plugin, or the value of an argument.
        found: What stands there and what was expected, one sentence.
        remedy: What to do about it, one sentence; empty when `found` says it all.
        argument: Name of the argument at fault; empty where a file or a plugin is.
        give: Arguments that put it right, in pairs of name and value; None names the argument alone.
        code: What kind of fault it is, for programs: one of `CODES`; empty where nobody asks.
        detail: What follows `found` in a message and in no list of faults: everything that is known.
        near: Closest known name, where one is unknown; empty: none is close.

    Example:
        >>> print(Fault("", "0 is out of range", argument="batch", give=(("batch", 1),)))
        batch: 0 is out of range
          give batch=1
    """

    where: str
    found: str
    remedy: str = ""
    argument: str = ""
    give: tuple[tuple[str, object], ...] = ()
    code: Code = ""
    detail: str = ""
    near: str = ""

    @property
    def said(self) -> str:
        """What was found, in full, without its place."""
        return f"{self.found}; {self.detail}" if self.detail else self.found

    @property
    def place(self) -> str:
        """Where it is, with the argument's name in Python's spelling."""
        return f"{self.argument} {self.where}".strip()

    def text(self, spell: Callable[[str, object], str] = as_argument, verb: str = "give") -> str:
        """Return the message.

        Args:
            spell: From name and value of an argument to what a reader writes; of the value None the name.
            verb: What a reader does with arguments: gives them in Python, writes them on the command line.
        """
        given = " ".join(spell(name, value) for name, value in self.give)
        named = f"{spell(self.argument, None) if self.argument else ''} {self.where}".strip()
        remedy = (self.remedy or (f"{verb} {{give}}" if self.give else "")).replace("{give}", given)
        found = self.said.replace("{give}", given) if self.give else self.said
        return f"{named}: {found}" + (f"\n  {remedy}" if remedy else "")

    def __str__(self) -> str:
        return self.text()


MOST_TOLD = 50
"""Faults that one message tells; more are counted."""


class InferBenchError(Exception):
    """Input that can't be used: every fault found, not only the first. The command line exits with 2.

    Example:
        >>> raise InferBenchError.at("b200.toml", "no such file")
        Traceback (most recent call last):
        inferbench.errors.InferBenchError: b200.toml: no such file
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.text(str))

    def text(self, write: Callable[[Fault], str]) -> str:
        """All faults, each as `write` writes it; of very many the first, and how many more there are."""
        lines = [write(fault) for fault in self.faults[:MOST_TOLD]]
        more = len(self.faults) - len(lines)
        return "\n".join([*lines, *([f"and {more:,} more of these"] if more else [])])

    @classmethod
    def at(cls, where: str, found: str, remedy: str = "") -> InferBenchError:
        """Build an error with a single fault, of a file, a name or a plugin."""
        return cls([Fault(where, found, remedy)])

    @classmethod
    def of_argument(
        cls, argument: str, found: str, remedy: str = "", value: str = "", /, **give: object
    ) -> Self:
        """Build an error with a single fault, of an argument.

        Args:
            argument: Its name in Python.
            found: What it is and what was expected.
            remedy: What to do; `{give}` stands for the arguments of `give`. By default to give those.
            value: The argument's value, shown beside its name.
            **give: Arguments that put it right.

        Example:
            >>> print(InferBenchError.of_argument("batch", "0 is out of range", batch=1))
            batch: 0 is out of range
              give batch=1
        """
        return cls([Fault(value, found, remedy, argument, tuple(give.items()))])


class UnsupportedOp(InferBenchError):
    """An architecture was asked for an operator that it neither models nor can lower."""


class PluginError(InferBenchError):
    """What a plugin's code raised, with the plugin's name; the exception itself is its cause."""


def raise_if(faults: Iterable[Fault]) -> None:
    """Raise one error with all faults, if there are any."""
    listed = list(faults)
    if listed:
        raise InferBenchError(listed)


_WHOLE_GRIDS = (
    "formulas see whole grids: use inferbench.where, maximum and ceil_div instead of if, max and int"
)


class _Blamed:
    """A context that names the place of whatever is raised in it: entered for every operator, so no
    generator.
    """

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not passes(error):
            raise blame(self.where, error) from error


def blamed_on(where: str) -> AbstractContextManager[None]:
    """Turn whatever a plugin raises into one message that names the plugin; our own errors pass.

    Example:
        >>> with blamed_on("acme: place"):
        ...     1 / 0
        Traceback (most recent call last):
        inferbench.errors.PluginError: acme: place: ZeroDivisionError: division by zero
          the formula is at fault: --debug shows the line
    """
    return _Blamed(where)


def passes(error: BaseException) -> bool:
    """Whether an exception passes a guard of a plugin's code: our own errors, the user's interrupt, and the
    end of a generator.
    """
    if isinstance(error, KeyboardInterrupt):
        return interrupted()
    return isinstance(error, InferBenchError | GeneratorExit)


_PACKAGE = re.compile(r"(inferbench[_-](?!file_)[a-z0-9_-]+)[.:]")
"""A distribution or its module, as the place of a fault begins with it; not a single file."""


def blame(where: str, error: BaseException) -> PluginError:
    """What is said of an exception in a plugin's code.

    Args:
        where: Plugin, record and method.
        error: What it raised.
    """
    remedy = "the formula is at fault: --debug shows the line"
    if isinstance(error, ValueError | TypeError):
        remedy = _WHOLE_GRIDS
    elif isinstance(error, SystemExit | KeyboardInterrupt):
        remedy = "no code of a plugin ends the program: raise inferbench.InferBenchError instead"
    if package := _PACKAGE.match(where):
        remedy += f"; --disable {package[1].replace('_', '-')} leaves the package out"
    return PluginError([Fault(where, f"{type(error).__name__}: {error}".removesuffix(": "), remedy)])


def complaint(error: BaseException, whose: str) -> str:
    """What a validator says; of an exception that is no complaint also whose code it comes from.

    Example:
        >>> complaint(ValueError("no rack holds more"), "acme: Rack")
        'no rack holds more'
        >>> complaint(IndexError("3"), "acme: Rack")
        'acme: Rack: IndexError: 3'
    """
    said = isinstance(error, ValueError | TypeError | KeyError | AttributeError)
    return f"{error}" if said else f"{whose}: {type(error).__name__}: {error}"


def suggest(word: str, known: Iterable[str], models: bool = True) -> str:
    """Return `did you mean 'x'?` for the closest known spelling, or an empty string.

    Args:
        word: What was written.
        known: What might have been meant.
        models: Whether names with other model numbers are other products, so that none is suggested for the
            other; of number formats they aren't.

    Example:
        >>> suggest("decoed", ["decode", "prefill"]), suggest("lama3-8b", ["llama3-8b", "llama3-70b"])
        ("did you mean 'decode'?", "did you mean 'llama3-8b'?")
        >>> suggest("gh200", ["h200"]), suggest("mi250", ["mi250x"]), suggest("b20", ["b200"])
        ('', '', '')
    """
    near = closest(word, known, models)
    return f"did you mean '{near}'?" if near else ""


def closest(word: str, known: Iterable[str], models: bool = True) -> str:
    """Return the closest known spelling, or an empty string; arguments as of `suggest`.

    Example:
        >>> closest("decoed", ["decode", "prefill"])
        'decode'
    """
    alike = [
        one for one in known if not models or _joined(one) == _joined(word) or _model(one) == _model(word)
    ]
    return next(iter(difflib.get_close_matches(word, alike, n=1, cutoff=0.6)), "")


def _joined(name: str) -> str:
    """A name without what stands between its parts."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _model(name: str) -> str:
    """The digits of a name, and the letters that stand beside them unless they are a word of four or more."""
    return "".join(re.findall(r"\d+|(?<![a-z])[a-z]{1,3}(?=\d)|(?<=\d)[a-z]{1,3}(?![a-z])", name.lower()))


_HEARD: list[list[int]] = []
"""Signals that each listener heard, the innermost last; empty where nobody listens."""


@contextmanager
def listening() -> Iterator[None]:
    """Note each Ctrl-C while the code below runs; it interrupts as it does otherwise.

    Where somebody else listens, or in another thread than the main one, nothing is noted.
    """
    usual = signal.getsignal(signal.SIGINT)
    ignored = usual == signal.SIG_IGN  # as in a job in the background: nobody can interrupt
    alone = threading.current_thread() is threading.main_thread()
    if _HEARD or not alone or not (ignored or usual is signal.default_int_handler):
        yield
        return
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, usual if ignored else hear)
    _HEARD.append(heard)
    try:
        yield
    finally:
        _HEARD.pop()
        signal.signal(signal.SIGINT, usual)


def interrupted() -> bool:
    """Whether a `KeyboardInterrupt` may be the user's: somebody pressed Ctrl-C, or nobody listens.

    Example:
        >>> interrupted()
        True
    """
    return not _HEARD or bool(_HEARD[-1])


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through; an interrupt that nobody gave is a fault of the code like any other.

    Raises:
        RuntimeError: The code raised `KeyboardInterrupt` by itself.

    Example:
        >>> with interruptible():
        ...     raise KeyboardInterrupt
        Traceback (most recent call last):
        RuntimeError: it raised KeyboardInterrupt, and nobody interrupted
    """
    with listening():
        try:
            yield
        except KeyboardInterrupt:
            if interrupted():
                raise
            raise RuntimeError("it raised KeyboardInterrupt, and nobody interrupted") from None
