"""`inferbench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

import inferbench as ib

__all__ = ["command"]


@click.command("plot")
@click.argument("name", metavar="PLOT")
@click.argument("systems", nargs=-1, metavar="SYSTEM…")
@click.option(
    "-w",
    "--workload",
    multiple=True,
    metavar="NETWORK[/PHASE]",
    help="Instead of the suite; may be repeated.",
)
@click.option("--suite", default="reference", show_default=True, help="Named list of workload points.")
@click.option("--batch", metavar="1,8|1:512:x2|max", help="Sequences at once.")
@click.option("--context", metavar="2048", help="Tokens in the KV cache, or in the prompt.")
@click.option(
    "--axis", "axes", multiple=True, metavar="NAME=1,2", help="Any other axis of the workload (steps=28)."
)
@click.option("--precision", metavar="fp8,…", help="Number formats.")
@click.option(
    "--stack",
    default="best",
    show_default=True,
    metavar="best|ideal|NAME",
    help="Software where SYSTEM has no @NAME.",
)
@click.option("--scenario", default="reference", show_default=True, help="Economics.")
@click.option("--output", "tokens", metavar="1024", help="Tokens a request asks for (frontiers).")
@click.option("--slo-tpot", metavar="TIME", help="Longest time per token (frontiers).")
@click.option("--slo-ttft", metavar="TIME", help="Longest time to the first token (frontiers).")
@ib.output_options
def command(
    name: str,
    systems: tuple[str, ...],
    workload: tuple[str, ...],
    output: ib.Output,
    **given: Any,
) -> None:
    """Draw a picture: in the terminal, or into a file.

    Example: inferbench plot roofline b200 tpu-v5p -w llama3-70b

    PLOT is one of roofline, frontier, frontier-cost, frontier-energy, space, breakdown, factors, memory,
    energy, cost, card, parity, or one that a plugin brings (inferbench list plots).
    -o roofline.svg writes a file; -o data.csv and --format json give the same marks as numbers.
    """
    registry = ib.installed()
    plot = named(registry, name)
    output = _output(registry, output)
    if not systems and name != "parity":
        raise ib.InferBenchError.of_argument("systems", "no system was named", systems=["b200"])
    answer = plot.ask(systems, workload, registry=registry, **settings(given, name))
    figure = plot.draw(answer)
    report = ib.Report((table(figure),), figure.to_dict(), figure.rows, figures=(figure,))
    ib.write_report(report, output)


def named(registry: ib.Registry, name: str) -> ib.Plot:
    """Look a kind of picture up.

    Raises:
        InferBenchError: There is none of that name; the message lists those that there are.
    """
    known = registry.names("plots")
    if name not in known:
        hint = ib.suggest(name, known)
        listed = f"known are {', '.join(known)}"
        raise ib.InferBenchError.at(name, "there is no such picture", f"{hint}; {listed}" if hint else listed)
    found: ib.Plot = registry.get("plots", name)
    return found


def settings(given: dict[str, Any], name: str) -> dict[str, Any]:
    """Arguments of the face's verb: those that were given, axes by name."""
    found = {key: given[key] for key in ("stack", "scenario")}
    if given["precision"]:
        found["precision"] = [one.strip() for one in given["precision"].split(",") if one.strip()]
    for axis in ("batch", "context"):
        if given[axis] is not None:
            found[axis] = given[axis]
    for pair in given["axes"]:
        axis, sign, values = pair.partition("=")
        if not sign:
            raise ib.InferBenchError.at(
                "--axis", f"'{pair}' has no values", "write it like --axis steps=20,28"
            )
        found[axis] = values
    limits = {"output": given["tokens"], "slo_tpot": given["slo_tpot"], "slo_ttft": given["slo_ttft"]}
    found |= {key: value for key, value in limits.items() if value is not None}
    return {**found, "suite": given["suite"]}


def _output(registry: ib.Registry, output: ib.Output) -> ib.Output:
    """Where the picture goes: `--out` names the format by the extension, the screen is a terminal.

    Raises:
        InferBenchError: A format that nobody renders.
    """
    place = output.out
    if place is None:
        return attrs.evolve(output, form="terminal") if output.form == "table" else output
    if output.form != "table":
        return output
    suffix = Path(place).suffix.lstrip(".").lower()
    known = {"json": "json", "csv": "csv", "md": "markdown", "tex": "latex"}
    for name in registry.names("renderers"):
        one = registry.get("renderers", name)
        known |= dict.fromkeys(one.suffixes if one.draws else (), name)
    if suffix not in known:
        files = ", ".join(f".{one}" for one in known)
        found = (
            f"no renderer writes '.{suffix}'" if suffix else "the name has no extension that says a format"
        )
        raise ib.InferBenchError.at(place, found, f"known are {files}")
    return attrs.evolve(output, form=known[suffix])


def table(figure: ib.Figure) -> ib.Table:
    """The marks as a table."""
    rows = figure.rows
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = tuple(tuple(ib.Cell(_text(row.get(column))) for column in columns) for row in rows)
    return ib.Table(
        figure.title, tuple(ib.Cell(c) for c in columns), cells, legend=(*figure.notes, *figure.footer)
    )


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {None: "", True: "yes", False: "no"}[value]
    return ib.show(value) if isinstance(value, int | float) else str(value)
