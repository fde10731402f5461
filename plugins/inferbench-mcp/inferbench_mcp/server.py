"""The tools: each is a verb of the public face, with text for reading and data to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

import inferbench as ib

__all__ = ["TOOLS", "server"]

P = ParamSpec("P")
WIDTH = 120
MOST_POINTS = 200
READ = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

Systems = Annotated[
    list[str], Field(description="Systems: b200, 8xh100, 8xh100:tp4pp2, h100@vllm, 576xgroq-lpu, …")
]
Workload = Annotated[
    str, Field(description="network/phase: llama3-70b/decode, llama3-70b/prefill, sd3-medium/image, …")
]
Network = Annotated[str, Field(description="A language model without its phase: llama3-70b")]
Precision = Annotated[str, Field(description="Number format: fp8, bf16, int8, w4a16, fp4, …")]
Stack = Annotated[
    str, Field(description="Software: best (the nearest that was measured), ideal (the bound), or a name")
]
Batch = Annotated[float, Field(ge=1, description="Sequences at once")]
Context = Annotated[float, Field(ge=1, description="Tokens in the cache, or in the prompt")]
Answer = dict[str, Any]


def told(tool: Callable[P, Answer]) -> Callable[P, Answer]:
    """Let what is wrong with the arguments be the answer, with its remedy."""

    @wraps(tool)
    def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return tool(*args, **kwargs)
        except ib.InferBenchError as error:
            raise ToolError(ib.visible(str(error))) from None

    return call


def answer(found: Any, kept: tuple[str, ...] = ("results",)) -> Answer:
    """Text of the screen, and the data behind it."""
    data = found.to_dict()
    return {"text": found.table(width=WIDTH), **{key: data[key] for key in ("schema", *kept) if key in data}}


def compare(
    systems: Systems,
    workload: Annotated[
        str | None, Field(description="network/phase; none takes the reference suite")
    ] = None,
    precision: Precision | None = None,
    stack: Stack = "best",
    batch: Batch | None = None,
    context: Context | None = None,
) -> Answer:
    """Compare systems on the same work: expected values with 90% intervals, bounds, grades and the three
    factors.
    """
    axes: dict[str, Any] = {
        name: value for name, value in (("batch", batch), ("context", context)) if value is not None
    }
    return answer(ib.compare(systems, workload, precision=precision, stack=stack, **axes))


def run(
    system: Annotated[str, Field(description="One system: b200, 8xh100:tp8, h100@vllm")],
    workload: Workload,
    precision: Precision | None = None,
    stack: Stack = "best",
    batch: Annotated[list[float], Field(description="Batches to evaluate", max_length=MOST_POINTS)]
    | None = None,
    context: Context | None = None,
) -> Answer:
    """Evaluate one workload on one system, at some batches: all metrics with their intervals."""
    axes: dict[str, Any] = {"batch": batch or [1.0]}
    if context is not None:
        axes["context"] = context
    return dict(ib.run(system, workload, precision=precision, stack=stack, **axes).to_dict())


def frontier(
    systems: Systems,
    network: Network,
    precision: Precision = "fp8",
    stack: Stack = "best",
    context: Context = 2048,
    output: Annotated[float, Field(ge=2, description="Tokens a request asks for")] = 1024,
    slo_tpot: Annotated[str | None, Field(description="Longest time per token: 20ms")] = None,
    slo_ttft: Annotated[str | None, Field(description="Longest time to the first token: 500ms")] = None,
) -> Answer:
    """Set speed per user against throughput, cost and energy of serving systems; goodput within limits."""
    limits: dict[str, Any] = {"slo_tpot": slo_tpot, "slo_ttft": slo_ttft}
    found = ib.frontier(
        systems, network, precision=precision, stack=stack, context=context, output=output, **limits
    )
    return answer(found, ("limits", "goodput", "infeasible", "unknown"))


def size(
    network: Network,
    chips: Annotated[list[str], Field(description="Chips to size systems of: b200, h200")],
    tpot: Annotated[str, Field(description="Longest time per token: 20ms")],
    users: Annotated[float, Field(ge=1, description="Sequences in flight")],
    precision: Precision = "fp8",
    stack: Stack = "best",
    context: Context = 2048,
) -> Answer:
    """Find the fewest chips and the cheapest layout that hold a limit on time per token for so many users."""
    found = ib.size(
        f"{network}/decode",
        chips=chips,
        tpot=tpot,
        users=users,
        precision=precision,
        stack=stack,
        context=context,
    )
    return answer(found, ("results", "systems", "sizes"))


def show(
    chip: Annotated[
        str, Field(description="Name of a chip: b200; unknown names are answered with those that there are")
    ],
) -> Answer:
    """Show every number of a chip with unit, basis, source and note; missing ones are listed as missing."""
    record = ib.installed().chip(chip)
    facts = [
        {
            "path": path,
            "value": fact.value if isinstance(fact.value, int | float) else ib.visible(str(fact.value)),
            "unit": fact.unit,
            "basis": fact.basis,
            "source": ib.visible(fact.source.title) if fact.source else "",
            "url": ib.visible(fact.source.url) if fact.source else "",
            "note": ib.visible(fact.missing or fact.note),
        }
        for path, fact in record.facts.items()
    ]
    named = {"title": ib.visible(record.title), "vendor": ib.visible(record.vendor)}
    return {"name": record.name, **named, "facts": facts}


def validate(
    chip: Annotated[str | None, Field(description="Only figures of this chip")] = None,
) -> Answer:
    """Compare predictions with every installed published measurement; says which are scored, and why not."""
    found = ib.validate()
    name = ib.installed().chip(chip).name if chip else None
    rows = [row for row in found.rows if name is None or row.chip == name]
    scored = [row for row in rows if row.scored]
    inside = sum(row.covered for row in scored)
    figures = [
        {
            "source": row.source,
            "chip": row.chip,
            "network": row.network,
            "phase": row.phase,
            "metric": row.metric,
            "measured": row.measured,
            "predicted": row.predicted,
            "low": row.low,
            "high": row.high,
            "stack": row.stack,
        }
        for row in scored[:MOST_POINTS]
    ]
    return {"figures": len(rows), "scored": len(scored), "in_their_interval": inside, "rows": figures}


TOOLS = (compare, run, frontier, size, show, validate)


def server() -> MCPServer:
    """A server with all tools; none of them writes.

    Example:
        >>> server().name
        'inferbench'
    """
    made = MCPServer(
        "inferbench", instructions="Compare inference chips: bounds, expected values, intervals, grades."
    )
    for tool in TOOLS:
        made.add_tool(told(tool), annotations=READ)
    return made
