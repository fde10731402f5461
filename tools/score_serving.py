"""Score the replay on published tables of servers under load, which lie in a folder beside the repository.

    python tools/score_serving.py [STEP]     every STEP-th row (5), as docs/results/serving.md has them

Trivial predictors beside: a prompt alone (no waiting), and the geometric mean of the other rows of a group.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import numpy as np

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.evidence.names import checkpoint, chip_of, network_of
from inferbench.model.choice import choose, cited
from inferbench.records.choice import Choice
from inferbench.records.system import Layout, System
from inferbench.serving.replica import Question
from inferbench.serving.requests import Lengths, in_a_loop
from inferbench.serving.schedulers import rules_of
from inferbench.serving.simulate import Plan, simulate
from inferbench.serving.steady_state import Traffic

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
TABLES = ("serving_current", "serving")
SOFTWARE = {"trtllm": "TRTLLM", "vllm": "vLLM", "sglang": "SGLang"}
Row = Mapping[str, str]


@attrs.frozen
class Seen:
    """One row: what it is of, and measured and predicted seconds."""

    group: tuple[str, str, str]
    ttft: tuple[float, float, float, float]
    tpot: tuple[float, float]
    alone: float


def rows(step: int) -> Iterator[tuple[str, Row]]:
    """Every step-th row of the tables, with the table's name."""
    for table in TABLES:
        with (DATA / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
            for i, row in enumerate(csv.DictReader(stream)):
                if i % step == 0:
                    yield table, row


def _whole(row: Row, name: str, default: int = 1) -> int:
    text = row.get(name) or ""
    return int(float(text)) if text and text != "nan" else default


def plan_of(row: Row, lengths: tuple[Lengths, Lengths]) -> Plan | None:
    """The system of a row; None where its layout is none that can be said."""
    known = ib.installed()
    chip, network = chip_of(row["chip"], known), network_of(row["model"], known)
    ranks, chips = _whole(row, "attn_dp"), _whole(row, "n_chips", _whole(row, "tp"))
    if chips % ranks:
        return None
    spread = _whole(row, "moe_ep")
    layout = Layout(tp=chips // ranks, dp=ranks, ep=spread if spread > 1 else 1)
    if layout.contradiction:
        return None
    precision = {"fp8": "fp8", "fp4": "mxfp4"}.get(row["weight_precision"]) or (
        checkpoint(row["model"]).precision or "bf16"
    )
    name, _, version = row["framework"].partition("-")
    software = f"{SOFTWARE.get(name, name)}-{version.removesuffix('nan')}"
    stack = cited(known, chip, software, "decode")
    if stack is None:
        stack = choose("best", chip, network, ("prefill", "decode"), (precision,), known, chips).stack
    asked = Question(
        network=network,
        traffic=Traffic(prompt=lengths[0].mean, output=max(2.0, lengths[1].mean)),
        batches=(1.0,),
        precisions=(precision,),
        chunks=(),
        stack=stack,
        scenario=None,
        registry=known,
    )
    return Plan(
        asked=asked,
        choice=Choice.of(stack, chip.name),
        system=System(chip, chips),
        layout=attrs.evolve(layout, dp=layout.sharing),
        copies=layout.replicas,
        rules=rules_of(stack, software=row["framework"]),
    )


def score(table: str, row: Row) -> Seen | None:
    """Replay a row as its benchmark ran: ten requests a user; InferenceX draws lengths of 0.8 to 1.0 of the
    nominal.
    """
    prompt, output = float(row["input_len"]), float(row["output_len"])
    lengths = Lengths("fixed", prompt), Lengths("fixed", output)
    if table == "serving_current":
        lengths = (
            Lengths("uniform", math.ceil(0.8 * prompt), prompt),
            Lengths("uniform", math.ceil(0.8 * output), output),
        )
    users = _whole(row, "concurrency")
    plan = plan_of(row, lengths)
    if plan is None:
        return None
    try:
        found = simulate(plan, in_a_loop(users, max(10 * users, 40), *lengths))
    except InferBenchError:
        return None
    times = found.found.times
    low, high = found.interval("ttft_s", "mean")
    group = plan.system.chip.name, row["framework"].partition("-")[0], plan.asked.network.name
    alone = ib.run(
        f"{plan.system}:{plan.layout}@{plan.asked.stack.name}" if plan.copies == 1 else str(plan.system),
        f"{plan.asked.network.name}/prefill",
        context=lengths[0].mean,
        precision=plan.asked.precisions[0],
    )
    return Seen(
        group,
        (float(row["ttft_ms"]) / 1e3, times["ttft_s"]["mean"], low, high),
        (float(row["tpot_ms"]) / 1e3, times["tpot_s"]["mean"]),
        float(np.ravel(alone.seconds)[0]),
    )


def line(name: str, some: list[Seen]) -> str:
    """One line of the table."""
    first = np.array([one.ttft for one in some])
    steps = np.array([one.tpot for one in some])
    alone = np.array([one.alone for one in some])
    errors, of_steps = first[:, 1] / first[:, 0] - 1.0, steps[:, 1] / steps[:, 0] - 1.0
    held = np.mean((first[:, 2] <= first[:, 0]) & (first[:, 0] <= first[:, 3]))
    logs = np.log(first[:, 0])
    others = np.exp((logs.sum() - logs) / max(len(logs) - 1, 1))
    constant = np.mean(np.abs(others / first[:, 0] - 1.0)) if len(some) > 1 else math.nan
    texts = (
        np.mean(np.abs(errors)),
        np.median(np.abs(errors)),
        np.mean(errors),
        held,
        np.mean(np.abs(alone / first[:, 0] - 1.0)),
        constant,
        np.mean(np.abs(of_steps)),
    )
    cells = " | ".join("–" if math.isnan(x) else f"{100 * x:.0f}" for x in texts)
    return f"| {name} | {len(some)} | {cells} |"


def main() -> None:
    """Print the table of docs/results/serving.md."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for table, row in rows(step):
        seen = score(table, row)
        if seen is not None:
            groups.setdefault(seen.group, []).append(seen)
    print("| chip, engine, network | n | MAPE | median | bias | in 90% | prompt alone | constant | TPOT |")
    print("|---|---|---|---|---|---|---|---|---|")
    for group, some in sorted(groups.items()):
        print(line(", ".join(group), some))
    print(line("**all**", [one for some in groups.values() for one in some]))


if __name__ == "__main__":
    main()
