"""The options that pick points: what commands are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import Any

import attrs
import click

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.records.immutable import frozen
from inferbench.records.scenario import Term
from inferbench.specs.options import read_option
from inferbench.units import Unit, parse

__all__ = [
    "Asked",
    "Command",
    "axes_from",
    "bundle",
    "bundled",
    "names",
    "options_of",
    "point_options",
    "what_if",
]

BATCH = "Sequences at once; max takes the largest batch that fits."
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
    _once(found, lambda name: InferBenchError.of_argument(argument, f"{name} stands twice", "give it once"))
    return found


def each_once(context: click.Context, argument: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a system that is named twice: its two columns would be one."""
    _once(given, lambda name: InferBenchError.at(name, "stands twice", "name it once"))
    return given


def _once(names: Sequence[str], refused: Callable[[str], InferBenchError]) -> None:
    """Refuse a name that stands twice: of two values one would be taken in silence."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise refused(name)


def options_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `--option key=value` flags.

    Raises:
        InferBenchError: A flag without a value; a key that stands twice.
    """
    found = [read_option(pair) for pair in pairs]
    _once(
        [key for key, _ in found],
        lambda key: InferBenchError.at("--option", f"{key} stands twice", "give it once"),
    )
    return dict(found)


@frozen
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
        reserve: Memory that the engine keeps for itself.
        changes: Other facts, `power.tdp=1.2kW`, `scenario.electricity=0.2USD/kWh`.
        prices: Other prices of the chips, `on_demand=2.5USD/h`.
    """

    batch: str | None = None
    context: str | None = None
    axes: tuple[str, ...] = ()
    precision: str | None = None
    stack: str = "best"
    scenario: str = "reference"
    options: tuple[str, ...] = ()
    ignore_capacity: bool = False
    reserve: str | None = None
    changes: tuple[str, ...] = ()
    prices: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, str]:
        """All that is otherwise than specs say: key path to text.

        Raises:
            InferBenchError: A change without a value, a price without a term.
        """
        set_ = [_pair(text, "--set", "power.tdp=1.2kW") for text in self.changes]
        return dict([*set_, *(_price(text) for text in self.prices)])


Command = Callable[..., None]


def bundle(command: Command, kind: type[Any], name: str, without: Sequence[str] = ()) -> Command:
    """Hand a command one record instead of the options that are its fields, but for some."""

    @wraps(command)
    def call(**given: Any) -> None:
        names = {field.name for field in attrs.fields(kind)} - set(without)
        wanted = names & set(given)
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
        command = bundle(command, kind, name)
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
    "scenario": click.option(
        "--scenario", default="reference", show_default=True, metavar="NAME|FILE.toml", help="Economics."
    ),
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
        help="What if: another fact of all chips (power.tdp=1.2kW), of one (b200.power.tdp=…), of the"
        " network, scenario or system (scenario.pue=1.1).",
    ),
    "prices": click.option(
        "--price",
        "prices",
        multiple=True,
        metavar="TERM=VALUE",
        help="What if: another price of all chips (on_demand=2.5USD/h, purchase=30kUSD).",
    ),
    "ignore_capacity": click.option("--ignore-capacity", is_flag=True, help="Pretend that everything fits."),
    "reserve": click.option(
        "--reserve", metavar="10%|8GB", help="Memory that the engine keeps for itself, of each chip."
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
        command = bundle(command, Asked, "asked", without)
        options = [*_POINTS.items()]
        options.insert(list(_POINTS).index("scenario"), ("stack", software))
        for name, option in reversed(options):
            command = command if name in without else option(command)
        return command

    return add


def what_if(
    registry: Registry, asked: Asked, systems: Sequence[str], workloads: Sequence[str] = ()
) -> Registry:
    """The registry in which what is asked about has other facts; a star in titles says so.

    Args:
        registry: Of everything installed.
        asked: With `--set` and `--price`.
        systems: Whose chips change.
        workloads: `network/phase`, or a network.

    Raises:
        InferBenchError: A change without a value; a key that nothing has; a price without a term.
    """
    facts = asked.facts
    if not facts:
        return registry
    from inferbench.discovery.what_if import Subjects, chips_of
    from inferbench.discovery.what_if import what_if as changed

    networks = tuple(
        name if name in registry.entries("networks") else name.rpartition("/")[0] for name in workloads
    )
    return changed(registry, facts, Subjects(chips_of(systems), networks, asked.scenario), "--set")


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip() or not value.strip():
        raise InferBenchError.at(option, f"'{text}' has no value", f"write it like {option} {example}")
    return path.strip(), value.strip()


def _price(text: str) -> tuple[str, str]:
    """A price on a term as the path and the text of a fact."""
    term, sign, value = text.partition("=")
    if not sign:
        raise InferBenchError.at(
            "--price", f"'{text}' has no term", f"write it like --price on_demand={text}"
        )
    terms = [str(one) for one in Term]
    if term.strip() not in terms:
        remedy = suggest(term.strip(), terms) or f"known are {', '.join(terms)}"
        raise InferBenchError.at("--price", f"unknown term '{term.strip()}'", remedy)
    path, text = _pair(f"{Term(term.strip()).path}={value}", "--price", "purchase=30kUSD")
    example = "30kUSD" if term.strip() == Term.PURCHASE else "2.5USD/h"
    symbol = example.lstrip("0123456789.k")
    try:
        parse(text, Unit(symbol, "a price", example))
    except ValueError as error:
        raise InferBenchError.at(f"--price {term.strip()}", str(error)) from None
    return path, text


def axes_from(
    batch: str | None, context: str | None, more: Sequence[str], verb: Callable[..., object] | None = None
) -> dict[str, str]:
    """Gather the axes that were given, as they were typed.

    Args:
        batch, context: Those with an option of their own.
        more: `name=1,2`.
        verb: That takes them beside its arguments: an axis can't be called like one of these.

    Raises:
        InferBenchError: An axis without values, one that stands twice, a name that is an option's own.
    """
    found = {name: text for name, text in (("batch", batch), ("context", context)) if text is not None}
    taken = set(signature(verb).parameters) - {"batch", "context"} if verb is not None else set()
    taken |= {"", "changes", "prices"}  # what a registry takes, and no name at all
    for pair in more:
        name, sign, text = pair.partition("=")
        if not sign:
            raise InferBenchError.at("--axis", f"'{pair}' has no values", "write it like --axis steps=20,28")
        if name in found:
            said = f"{name} stands twice: {found[name]!r} and {text!r}"
            raise InferBenchError.at("--axis", said, "give every axis once")
        if name in taken:
            option = f"--{name} is an option, perhaps; " if verb is not None and name else ""
            remedy = f"{option}inferbench show NETWORK lists the axes of its phases"
            raise InferBenchError.at("--axis", f"'{name}' is no axis of a workload", remedy)
        found[name] = text
    return found
