"""`inferbench size`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import click
import rich_click

from inferbench.cli import common
from inferbench.cli.frontier_command import duration, one_number
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.model.choice import choose
from inferbench.records.interfaces import Phase
from inferbench.records.network import Network
from inferbench.records.system import SystemName
from inferbench.report.sizing import sizing_report
from inferbench.serving.sizing import Demand, Sized, size

__all__ = ["command"]

MOST_USERS = 10_000_000
_FLAGS = {"tpot_s": "--tpot", "ttft_s": "--ttft", "latency_s": "--latency"}


@click.command("size", cls=rich_click.RichCommand)
@click.argument("workload", metavar="NETWORK/PHASE")
@click.option("--chips", required=True, metavar="b200,…", help="Chips to choose from.")
@click.option("--users", required=True, metavar="200", help="Sequences at once, all copies together.")
@click.option("--tpot", metavar="TIME", help="Longest time per token (20ms); decode needs it.")
@click.option(
    "--ttft", metavar="TIME", help="Longest time to the first token of a prompt alone; prefill needs it."
)
@click.option("--latency", metavar="TIME", help="Longest step of any other phase.")
@common.point_options
@common.output_options
def command(
    workload: str,
    chips: str,
    users: str,
    tpot: str | None,
    ttft: str | None,
    latency: str | None,
    asked: common.Asked,
    output: common.Output,
) -> None:
    """Find the fewest chips and the cheapest layout that serve so many users within a limit.

    Example: inferbench size llama3-70b/decode --tpot 20ms --users 200 --chips b200,h200,tpu-v6e

    Every layout is tried: tensor and pipeline parallelism, and as many copies as the users need. Prompts that
    arrive meanwhile are not counted: see inferbench frontier for those.
    """
    registry = common.the_registry()
    if asked.batch is not None:
        raise InferBenchError.at(
            "--batch", "the number of sequences is what --users says", "write --users 200"
        )
    network, phase = _phase(workload, registry)
    limits = {
        name: duration(text, name)
        for name, text in (("--tpot", tpot), ("--ttft", ttft), ("--latency", latency))
    }
    limit, first = _limits(workload, phase, limits)
    precisions = common.names(asked.precision) or ["fp8"]
    if len(precisions) > 1:
        raise InferBenchError.at(
            "--precision", "a sizing takes one precision", f"write --precision {precisions[0]}"
        )
    demand = Demand(
        network=network,
        phase=phase.name,
        users=_users(users),
        limit=limit,
        first=first,
        axes=_axes(registry, network, phase, common.axes_from(None, asked.context, asked.axes)),
        precision=registry.alias("precisions", precisions[0]),
        stack=registry.stack("ideal"),
        scenario=registry.get("scenarios", asked.scenario) if asked.scenario else None,
        registry=registry,
        options=common.options_of(asked.pairs),
        ignore_capacity=asked.ignore_capacity,
    )
    sized = [_sized(demand, _bare(name), asked.stack) for name in _listed(chips)]
    common.emit(
        sizing_report(sized, demand, _next(sized, workload, demand, asked)), output.form, output.out, registry
    )
    common.problems_line(registry)


def _sized(demand: Demand, name: SystemName, stack: str) -> Sized:
    """Size one chip under its own software."""
    chip, phases = demand.registry.chip(name.chip), [demand.phase]
    if math.isfinite(demand.first):
        phases += ["prefill"]
    chosen = choose(name.stack or stack, chip, demand.network, phases, demand.precision, demand.registry)
    return size(attrs.evolve(demand, stack=chosen.stack), chip)


def _next(sized: Sequence[Sized], workload: str, demand: Demand, asked: common.Asked) -> str:
    """The command that shows the smallest system found."""
    best = next((one.fewest for one in sized if one.fewest is not None), None)
    if best is None:
        return "inferbench list chips"
    again = f" --context {asked.context}" if asked.context else ""
    return (
        f"inferbench run {best.system}:{best.system.layout} {workload} --batch {demand.users}{again}"
        f" --precision {demand.precision}"
    )


def _phase(workload: str, registry: Registry) -> tuple[Network, Phase]:
    name, _, phase = workload.rpartition("/")
    if not name:
        raise InferBenchError.at(
            workload, "a workload is written network/phase", f"for example {workload or 'llama3-70b'}/decode"
        )
    network = registry.network(name)
    phases = {one.name: one for one in registry.workload(network.type).phases}
    if phase not in phases:
        raise InferBenchError.at(
            workload, f"'{phase}' is no phase of {network.type}", f"phases are {', '.join(phases)}"
        )
    return network, phases[phase]


def _limits(workload: str, phase: Phase, limits: Mapping[str, float]) -> tuple[float, float]:
    """The limit of a step, and for decode that of the prompt before it."""
    flag = _FLAGS[phase.latency]
    for name, value in limits.items():
        extra = name == "--ttft" and phase.latency == "tpot_s"
        if math.isfinite(value) and name != flag and not extra:
            raise InferBenchError.at(name, f"{workload} has no such time", f"its limit is {flag}")
        if value == 0.0:
            raise InferBenchError.at(name, "0 s is no limit that can be met", f"write {name} 20ms")
    if not math.isfinite(limits[flag]):
        raise InferBenchError.at(flag, "no limit was given", f"write {flag} 20ms")
    return limits[flag], limits["--ttft"] if flag == "--tpot" else math.inf


def _axes(
    registry: Registry, network: Network, phase: Phase, given: Mapping[str, list[float]]
) -> dict[str, float]:
    defaults = dict(registry.workload(network.type).defaults(network, phase.name))
    for name, values in given.items():
        if name not in defaults:
            raise InferBenchError.at(
                f"--{name}",
                f"'{phase.name}' has no axis '{name}'",
                suggest(name, defaults) or f"its axes are {', '.join(defaults)}",
            )
        if len(values) != 1 or values[0] < 1:
            raise InferBenchError.at(
                f"--{name}", "a sizing takes one value of at least 1", f"write --{name} {defaults[name]:.0f}"
            )
    merged = {**defaults, **{name: values[0] for name, values in given.items()}}
    return {name: value for name, value in merged.items() if name != "batch"}


def _listed(chips: str) -> list[str]:
    names = [part.strip() for part in chips.split(",") if part.strip()]
    if not names:
        raise InferBenchError.at("--chips", "no chip was named", "write --chips b200,h200")
    return names


def _users(text: str) -> int:
    users = one_number(text, "--users", 200.0)
    if users > MOST_USERS:
        raise InferBenchError.at(
            "--users", f"{users:,.0f} is out of range", f"at most {MOST_USERS:,} at once were expected"
        )
    return int(users)


def _bare(name: str) -> SystemName:
    parsed = SystemName.parse(name)
    if parsed.count is not None or parsed.layout is not None:
        raise InferBenchError.at(
            f"--chips {name}", "the number of chips is what is asked for", f"write --chips {parsed.chip}"
        )
    return parsed
