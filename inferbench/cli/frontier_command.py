"""`inferbench frontier`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import attrs
import click
import rich_click

from inferbench.cli import common
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.model.choice import choose
from inferbench.records.system import System, SystemName
from inferbench.report.frontier import frontier_report, plot
from inferbench.serving.frontier import Frontier, frontier
from inferbench.serving.replica import Question
from inferbench.serving.steady_state import Traffic
from inferbench.specs.ranges import parse
from inferbench.units import Unit
from inferbench.units import parse as quantity

__all__ = ["command", "duration", "one_number", "served_network"]

LOADS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
CHUNKS = "512,2048"
_TIME = Unit("s", "a time", "20 ms", zero=True)
_RATE = re.compile(r"(?P<rate>[0-9]+(?:\.[0-9]+)?)\s*(?:tok|token|tokens)/s")


def duration(text: str | None, flag: str) -> float:
    """Read a time like `20ms`, or a rate per user like `30tok/s` for a time per token; infinity where none
    is given.
    """
    if text is None:
        return math.inf
    rate = _RATE.fullmatch(text.strip())
    if rate and "tpot" in flag and float(rate["rate"]) > 0:
        return 1.0 / float(rate["rate"])
    try:
        return quantity(text, _TIME)
    except ValueError as error:
        raise InferBenchError.at(flag, str(error), f"write {flag} 20ms") from None


def one_number(text: str | None, flag: str, default: float) -> float:
    """Read a single whole number of at least 1."""
    if text is None:
        return default
    values = parse(text, flag).values()
    if len(values) != 1 or values[0] < 1:
        raise InferBenchError.at(
            flag, f"'{text}' is not one whole number of at least 1", f"write {flag} {default:.0f}"
        )
    return float(values[0])


def served_network(workload: str, registry: Registry) -> str:
    """Check that a workload is a network alone, one that has prompts and tokens."""
    name, _, phase = workload.rpartition("/")
    if name and phase and phase in ("prefill", "decode", "generate"):
        raise InferBenchError.at(f"-w {workload}", "serving has all phases at once", f"write -w {name}")
    network = registry.network(workload)
    phases = {one.name: one for one in registry.workload(network.type).phases}
    if not {"prefill", "decode"} <= set(phases):
        raise InferBenchError.at(
            f"-w {workload}",
            f"{network.title} has no prompts and tokens to serve: its phases are {', '.join(phases)}",
            "name a language model, for example llama3-70b",
        )
    return workload


def _refuse_axes(axes: Sequence[str]) -> None:
    if axes:
        raise InferBenchError.at(
            f"--axis {axes[0]}", "serving has no such axis", "its traffic is --context and --output"
        )


@click.command("frontier", cls=rich_click.RichCommand)
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM…")
@click.option(
    "-w", "--workload", "network", required=True, metavar="NETWORK", help="A language model; no phase."
)
@click.option("--output", "tokens", metavar="1024", help="Tokens a request asks for. [default: 1024]")
@click.option(
    "--chunk",
    default=CHUNKS,
    show_default=True,
    metavar="512,…",
    help="Sizes of a prompt's pieces; 0 for none.",
)
@click.option("--slo-tpot", metavar="TIME", help="Longest time per token (20ms).")
@click.option("--slo-ttft", metavar="TIME", help="Longest time to the first token (0.5 s).")
@click.option("--plot", "image", metavar="FILE.png", help="Draw the frontiers (needs inferbench\\[plots]).")
@common.point_options
@common.output_options
def command(
    systems: tuple[str, ...],
    network: str,
    tokens: str | None,
    chunk: str,
    slo_tpot: str | None,
    slo_ttft: str | None,
    image: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Speed per user against throughput, cost and energy per token, in steady-state continuous batching.

    Example: inferbench frontier 8xb200 8xmi355x 576xgroq-lpu -w llama3-70b --context 8192

    Every layout, three ways to fit prompts between tokens (interleaved, chunked, disaggregated) and every
    load are tried, up to the largest that fits. --batch lists the sequences that decode together on a
    replica instead, --context is the prompt's length.
    """
    registry = common.the_registry()
    limits = duration(slo_tpot, "--slo-tpot"), duration(slo_ttft, "--slo-ttft")
    _refuse_axes(asked.axes)
    question = Question(
        network=registry.network(served_network(network, registry)),
        traffic=Traffic(
            prompt=one_number(asked.context, "--context", 2048.0),
            output=one_number(tokens, "--output", 1024.0),
        ),
        batches=_loads(asked.batch),
        precisions=tuple(
            registry.alias("precisions", name) for name in common.names(asked.precision) or ["fp8"]
        ),
        chunks=_sizes(chunk),
        stack=registry.stack("ideal"),
        scenario=registry.get("scenarios", asked.scenario) if asked.scenario else None,
        registry=registry,
        options=common.options_of(asked.pairs),
        ignore_capacity=asked.ignore_capacity,
        open_ended=asked.batch is None,
    )
    named = [SystemName.parse(name) for name in systems]
    found = [_found(question, one, asked.stack) for one in named]
    if image:
        plot(
            found,
            f"{question.network.title}, prompt {question.traffic.prompt:,.0f},"
            f" output {question.traffic.output:,.0f}",
            image,
        )
    first = registry.alias("chips", named[0].chip)
    report = frontier_report(
        found, question, limits, f"inferbench size {network}/decode --tpot 20ms --users 200 --chips {first}"
    )
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


def _found(question: Question, name: SystemName, stack: str) -> Frontier:
    """The frontier of a system under its own software, which stands in its name where it was written."""
    known = question.registry
    system = System(known.chip(name.chip), name.count or 1, name.layout)
    chosen = choose(
        name.stack or stack,
        system.chip,
        question.network,
        ("prefill", "decode"),
        question.precisions,
        known,
        system.count,
    )
    found = frontier(attrs.evolve(question, stack=chosen.stack), system)
    return attrs.evolve(found, system=f"{found.system}@{name.stack}") if name.stack else found


def _loads(batch: str | None) -> tuple[float, ...]:
    if batch is None:
        return tuple(float(load) for load in LOADS)
    values = sorted(parse(batch, "--batch").values().tolist())
    if values[0] < 1:
        raise InferBenchError.at(
            "--batch", f"{values[0]:g} is out of range", "at least 1 sequence was expected"
        )
    return tuple(values)


def _sizes(chunk: str) -> tuple[float, ...]:
    values = parse(chunk, "--chunk").values().tolist()
    return () if values == [0.0] else tuple(sorted(value for value in values if value > 0))
