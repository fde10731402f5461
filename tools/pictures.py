"""Draw the pictures of the architecture pages: the model against references that nobody here wrote.

    python tools/pictures.py [--out docs/images]

The references are tables of inferbench-data, and rows that plugins transcribed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import inferbench_data
import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

import inferbench as ib
from inferbench.model.operators import cost_rows

ROOT = Path(__file__).resolve().parent.parent
INK, GREY = "#1b3a57", "#9aa5b1"
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3")


def frame(title: str, x: str, y: str, logarithmic: bool = True) -> tuple[Any, Any]:
    """One plain pair of axes."""
    figure, axes = plt.subplots(figsize=(5.6, 4.4), dpi=130)
    axes.set_title(title, fontsize=11, color=INK)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    return figure, axes


def diagonal(axes: Any, low: float, high: float, band: float = 0.0) -> None:
    """The line of agreement, and a band of relative deviation."""
    ends = np.array([low, high])
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
    if band:
        axes.fill_between(
            ends,
            ends / (1 + band),
            ends * (1 + band),
            color=GREY,
            alpha=0.18,
            linewidth=0,
            zorder=0,
            label="within a factor of 2" if band == 1.0 else f"within {band:.0%}",
        )


def read(name: str) -> list[dict[str, Any]]:
    """Rows of a table."""
    return list(inferbench_data.table(name).rows())


def systolic() -> Any:
    """Cycles of every SCALE-Sim run against the closed forms."""
    from inferbench_systolic.cycles import Dataflow, cycles

    figure, axes = frame("Systolic: closed forms against SCALE-Sim v3", "SCALE-Sim cycles", "ours, cycles")
    rows = read("systolic_cycles")
    flows: tuple[Dataflow, ...] = ("ws", "is", "os")
    for colour, flow in zip(COLOURS, flows, strict=False):
        mine = [row for row in rows if row["dataflow"] == flow]
        theirs = np.array([row["cycles"] for row in mine])
        ours = np.array(
            [
                float(cycles(flow, row["m"], row["n"], row["k"], int(row["rows"]), int(row["columns"])))
                for row in mine
            ]
        )
        axes.scatter(
            theirs,
            ours,
            s=12,
            color=colour,
            alpha=0.6,
            linewidth=0,
            label=f"{flow}: {int((theirs == ours).sum())} of {len(mine)} equal",
        )
    diagonal(axes, 1e2, max(row["cycles"] for row in rows) * 1.5)
    axes.legend(fontsize=8, frameon=False)
    return figure


# The first that is installed; without any, the roofline alone is drawn.
H100_STACKS = ("trtllm-1.3", "llm-kernels-h100")


def simt() -> Any:
    """Measured GEMM kernels against the model under the kernel stack fitted on them, and against the
    roofline.
    """
    registry = ib.installed()
    fitted = next((name for name in H100_STACKS if name in registry.entries("stacks")), "ideal")
    figure, axes = frame(
        f"SIMT: H100 GEMM kernels under the stack {fitted}", "measured time, s", "model's time, s"
    )
    for colour, (label, precision) in zip(COLOURS, (("bfloat16", "bf16"), ("fp8", "fp8")), strict=False):
        rows = [row for row in read("gemm") if row["chip"].startswith("H100") and row["precision"] == label]
        columns = {key: np.array([row[key] for row in rows]) for key in "mnk"}
        theirs = np.array([row["latency_s"] for row in rows])
        bare, ours = (
            cost_rows("gemm", columns, precision, registry.chip("h100-sxm"), registry.stack(name), registry)
            for name in ("ideal", fitted)
        )
        off = float(np.median(np.abs(ours.seconds / theirs - 1)))
        told = f"{precision}: {len(rows)} kernels, median error {off:.1%}"
        axes.scatter(theirs, bare.seconds, s=4, color=GREY, alpha=0.35, linewidth=0, zorder=1)
        axes.scatter(theirs, ours.seconds, s=6, color=colour, alpha=0.45, linewidth=0, label=told)
    axes.scatter([], [], s=12, color=GREY, label="the same under the ideal stack: roofline")
    diagonal(axes, 2e-6, 1e-1, 0.25)
    axes.legend(fontsize=8, frameon=False)
    return figure


def dataflow() -> Any:
    """Published rates against one fitted wait per layer, and against bandwidth alone."""
    from inferbench_dataflow.fit import fit, predict
    from inferbench_dataflow.published import GROQ_2024

    tau = fit(GROQ_2024).tau
    theirs = np.array([row.rate for row in GROQ_2024])
    figure, axes = frame("Dataflow: Groq, plain decoding of one user", "published tokens/s", "ours, tokens/s")
    axes.scatter(
        theirs,
        [1 / predict(row, tau) for row in GROQ_2024],
        color=COLOURS[0],
        s=40,
        label=f"W/(tp·BW) + L·τ, τ = {tau * 1e6:.1f} µs",
    )
    axes.scatter(
        theirs,
        [1 / predict(row, 0.0) for row in GROQ_2024],
        color=COLOURS[1],
        s=40,
        marker="^",
        label="bandwidth alone",
    )
    for row, place in zip(GROQ_2024, ((6, -12), (-62, 6), (8, -14)), strict=True):
        axes.annotate(
            row.network,
            (row.rate, 1 / predict(row, tau)),
            fontsize=8,
            xytext=place,
            textcoords="offset points",
        )
    diagonal(axes, 200, 2000, 0.15)
    axes.legend(fontsize=8, frameon=False, loc="center right")
    return figure


def cgra() -> Any:
    """SN40L times per token by length, measured, and as the floor plus one wait per layer."""
    from inferbench_cgra.fit import fit
    from inferbench_cgra.published import LLAMA2_7B, LLAMA3_8B, SOCKETS

    tau = fit(LLAMA3_8B).tau
    title = f"CGRA: {SOCKETS} SN40L, batch 1; τ = {tau * 1e6:.1f} µs fitted on Llama 3 8B alone"
    figure, axes = frame(title, "tokens in, and as many out", "time per token, ms", logarithmic=False)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xscale("log", base=2)
    for colour, rows in zip(COLOURS, (LLAMA3_8B, LLAMA2_7B), strict=False):
        lengths, name = [row.length for row in rows], rows[0].network
        ours = np.array([(row.floor + row.waits * tau) / row.length * 1e3 for row in rows])
        axes.fill_between(lengths, ours / 1.1, ours * 1.1, color=colour, alpha=0.12, linewidth=0)
        axes.plot(lengths, ours, color=colour, linewidth=1.2, label=f"{name}: model, within 10%")
        axes.scatter(
            lengths, [row.per_token * 1e3 for row in rows], color=colour, s=36, label=f"{name}: measured"
        )
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
    axes.minorticks_off()
    axes.set_ylim(0, None)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    return figure


def imc() -> Any:
    """Energy efficiency of published in-memory-compute silicon, coefficients by cell kind and node."""
    sys.path.insert(0, str(ROOT / "plugins/inferbench-imc/tests"))
    from inferbench_imc.energy import energy_per_op

    macro = import_module("test_energy").macro

    rows = [row for row in read("imc_macros") if row["rows"] > 0 and row["ops_per_j"] > 0]
    figure, axes = frame(
        "IMC: published designs, coefficients by cell and node", "published TOPS/W", "ours, TOPS/W"
    )
    for colour, kind in zip(COLOURS, sorted({row["kind"] for row in rows}), strict=False):
        mine = [row for row in rows if row["kind"] == kind]
        ours = [energy_per_op(macro(row), row["node_m"]).tops_per_watt for row in mine]
        axes.scatter(
            [row["ops_per_j"] / 1e12 for row in mine],
            ours,
            s=28,
            color=colour,
            alpha=0.8,
            label=kind,
        )
        for row, estimate in zip(mine, ours, strict=True):
            published = row["ops_per_j"] / 1e12
            if not 0.25 < estimate / published < 4:
                place = (published, estimate)
                axes.annotate(
                    row["name"], place, fontsize=7, xytext=(0, -12), textcoords="offset points", ha="center"
                )
    diagonal(axes, 0.2, 2000, 1.0)
    axes.legend(fontsize=8, frameon=False)
    return figure


PICTURES: dict[str, Callable[[], Any]] = {
    "systolic": systolic,
    "simt": simt,
    "dataflow": dataflow,
    "cgra": cgra,
    "imc": imc,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        figure = draw()
        figure.tight_layout()
        figure.savefig(given.out / f"{name}.png", metadata={"Software": None})
        plt.close(figure)
        print(f"{name}: {given.out.name}/{name}.png")


if __name__ == "__main__":
    main()
