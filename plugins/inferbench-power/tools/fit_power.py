"""Fit the board-power coefficients of the A100 and the H100, and print the errors beside those of trivial
predictors.

    python plugins/inferbench-power/tools/fit_power.py

Rows: the table llm_end_to_end of inferbench-data, static batches of Llama-2-7B and Llama-3-8B, mean NVML
board power over prefill and decode (argonne-lcf/LLM-Inference-Bench). Operations and bytes are counted
from the shapes of the networks.

Model: `P = min(P0 + eF F/t + eB B/t, TDP)`, three figures per chip, each kept physical by a fact from
elsewhere:

- P0 is the reading of an otherwise idle board with weights resident: the middle of 112 to 145 W for the H100
(public
  nvidia-smi logs). No such log was found for the A100; its figure is scaled by idle power, 60 W / 70 W.
  It is not fitted: over its whole range the loss changes by 4% at most, eB making up for it.
- eF no larger than lets the board sustain the fastest published bf16 GEMM within its power limit (290 and 826
  TFLOP/s, ai-dynamo/aiconfigurator). Without it, decoding alone gives energies that a GEMM refutes.
- eB no smaller than what HBM2E devices alone take, 6 pJ/bit (Micron's figure).
"""

from __future__ import annotations

import itertools

import attrs
import inferbench_data
import numpy as np

Array = np.ndarray


@attrs.frozen
class Shape:
    """Hyper-parameters of a dense decoder: layers, width, heads, KV heads, head width, FFN width,
    vocabulary.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    hidden: int
    vocabulary: int


@attrs.frozen
class Board:
    """What is known of a board beforehand: limit, idle and P0 (W), sustained GEMM rate (OP/s), datasheet's
    peak and bandwidth.
    """

    name: str
    tdp: float
    idle: float
    baseline: float
    gemm: float
    peak: float
    bandwidth: float


@attrs.frozen
class Row:
    """One measured run: name of the network and batch, operations and bytes per second, mean watts."""

    network: str
    framework: str
    batch: float
    ops: float
    bytes: float
    watts: float


NETWORKS = {
    "meta-llama/Llama-2-7b-hf": Shape(32, 4096, 32, 32, 128, 11008, 32000),
    "meta-llama/Meta-Llama-3-8B": Shape(32, 4096, 32, 8, 128, 14336, 128256),
}
BOARDS = {
    "A100-SXM4-40GB": Board("a100-sxm-40gb", 400.0, 60.0, 110.0, 290e12, 312e12, 1.555e12),
    "H100-SXM5-80GB": Board("h100-sxm", 700.0, 70.0, 128.0, 826e12, 989.4e12, 3.35e12),
}
HBM_DEVICE = 48e-12
INTERVAL = 1.6449  # standard errors of a normal distribution on either side of nine in ten


def count(net: Shape, batch: float, prompt: float, tokens: float) -> tuple[float, float]:
    """Operations and HBM bytes (bf16) of a whole run: weights once per step, keys and values, GEMM
    activations.
    """
    layer = 2 * net.width * (net.heads + net.kv_heads) * net.head + 3 * net.width * net.hidden
    body, head = net.layers * layer, net.width * net.vocabulary
    state = net.layers * 2 * net.kv_heads * net.head * 2
    moved = 2 * net.layers * (8 * net.width + 2 * net.kv_heads * net.head + 4 * net.hidden)
    context, score = prompt + (tokens + 1) / 2, net.layers * 4 * net.heads * net.head
    prefill = batch * (2 * body * prompt + 2 * head + score * prompt**2 / 2)
    decode = tokens * batch * (2 * (body + head) + score * context)
    read = (tokens + 1) * 2 * (body + head) + tokens * batch * state * context
    return prefill + decode, read + batch * prompt * state + (prompt + tokens) * batch * moved


def read(chip: str) -> list[Row]:
    """Rows of one chip that have a power reading."""
    rows = []
    for line in inferbench_data.table("llm_end_to_end").rows():
        watts = float(line["power_w"])
        if line["chip"] == chip and not np.isnan(watts):
            network, software = str(line["network"]), str(line["software"])
            batch, prompt, tokens = (float(line[key]) for key in ("batch", "input_len", "output_len"))
            ops, moved = count(NETWORKS[network], batch, prompt, tokens)
            t = float(line["latency_s"])
            rows.append(Row(network, software, batch, ops / t, moved / t, watts))
    return rows


def watts(board: Board, baseline: Array, op: Array, byte: Array, rows: list[Row]) -> Array:
    """Model of every row (last dimension) for coefficients of any shape."""
    ops, moved = np.array([row.ops for row in rows]), np.array([row.bytes for row in rows])
    total = baseline[..., None] + op[..., None] * ops + byte[..., None] * moved
    capped: Array = np.minimum(total, board.tdp)
    return capped


def fit(board: Board, rows: list[Row]) -> tuple[float, float, float]:
    """Least soft-L1 error of log power inside the physical box, by a grid that shrinks: no start, no local
    minimum.
    """
    measured = np.array([row.watts for row in rows])
    most = (board.tdp - board.baseline) / board.gemm
    low, high = np.array([0.0, HBM_DEVICE]), np.array([most, 300e-12])
    centre, span = (low + high) / 2, (high - low) / 2
    for _ in range(40):
        ticks = [np.clip(centre[i] + span[i] * np.linspace(-1, 1, 21), low[i], high[i]) for i in range(2)]
        points = np.array(list(itertools.product(*ticks)))
        model = watts(board, np.full(len(points), board.baseline), points[:, 0], points[:, 1], rows)
        error = np.log(model / measured) / 0.06
        centre = points[np.argmin(np.sum(np.sqrt(1 + error**2) - 1, axis=-1))]
        span *= 0.7
    return board.baseline, float(centre[0]), float(centre[1])


def errors(board: Board, found: tuple[float, float, float], rows: list[Row]) -> Array:
    """Absolute relative error of every row."""
    baseline, op, byte = (np.asarray(value) for value in found)
    off: Array = np.abs(watts(board, baseline, op, byte, rows) / np.array([row.watts for row in rows]) - 1)
    return off


def left_out(board: Board, rows: list[Row]) -> tuple[Array, Array]:
    """Errors of the model and of a constant (the geometric mean) on networks that took no part in the fit."""
    ours, constant = [], []
    for network in sorted({row.network for row in rows}):
        train = [row for row in rows if row.network != network]
        test = [row for row in rows if row.network == network]
        ours.append(errors(board, fit(board, train), test))
        mean = np.exp(np.mean([np.log(row.watts) for row in train]))
        constant.append(np.abs(mean / np.array([row.watts for row in test]) - 1))
    return np.concatenate(ours), np.concatenate(constant)


def left_out_logs(board: Board, rows: list[Row]) -> dict[str, Array]:
    """Network to log of model over measured on its rows, the network left out of the fit."""
    found = {}
    for network in sorted({row.network for row in rows}):
        test = [row for row in rows if row.network == network]
        coefficients = fit(board, [row for row in rows if row.network != network])
        model = watts(board, *(np.asarray(value) for value in coefficients), test)
        found[network] = np.log(model / np.array([row.watts for row in test]))
    return found


def rms(logs: Array) -> float:
    """Log standard error: the root of the mean square, biases of left-out networks in it."""
    return float(np.sqrt(np.mean(np.square(logs))))


def covered(pooled: dict[str, Array]) -> tuple[int, int]:
    """Left-out rows inside 90% intervals whose width comes from the other networks' errors alone, both boards
    together.
    """
    hits = 0
    for network, logs in pooled.items():
        others = np.concatenate([other for name, other in pooled.items() if name != network])
        hits += int(np.sum(np.abs(logs) <= INTERVAL * rms(others)))
    return hits, sum(len(logs) for logs in pooled.values())


def trivial(board: Board, rows: list[Row]) -> dict[str, Array]:
    """Errors of what needs no fit: the TDP, and the design note's idle + 0.2 mW/GFLOPS + 50 mW/(GB/s)."""
    measured = np.array([row.watts for row in rows])
    note = watts(board, np.asarray(board.idle), np.asarray(0.2e-12), np.asarray(50e-12), rows)
    return {"tdp": np.abs(board.tdp / measured - 1), "note": np.abs(note / measured - 1)}


def shares(board: Board, rows: list[Row]) -> tuple[float, float, float, float]:
    """Lowest and highest rate of operations and of bytes, as shares of the datasheet's."""
    ops, moved = ([getattr(row, name) for row in rows] for name in ("ops", "bytes"))
    return (
        min(ops) / board.peak,
        max(ops) / board.peak,
        min(moved) / board.bandwidth,
        max(moved) / board.bandwidth,
    )


def main() -> None:
    """Print coefficients and errors per board and over both."""
    columns: dict[str, list[Array]] = {}
    pooled: dict[str, list[Array]] = {}
    for chip, board in BOARDS.items():
        rows = read(chip)
        found = fit(board, rows)
        ours, constant = left_out(board, rows)
        shown = {"in sample": errors(board, found, rows), "left out": ours, "constant": constant}
        shown |= trivial(board, rows)
        print(
            f"{board.name}: {len(rows)} rows, P0 {found[0]:.1f} W, {found[1] * 1e12:.3f} pJ/OP,"
            f" {found[2] * 1e12:.1f} pJ/B"
        )
        print("   " + ", ".join(f"{name} {100 * value.mean():.1f}%" for name, value in shown.items()))
        kept = [row for row in rows if not 448 <= row.watts <= 452]
        if len(kept) < len(rows):
            again, flat = fit(board, kept), left_out(board, kept)[0]
            print(
                f"   without the {len(rows) - len(kept)} rows at 448 to 452 W: P0 {again[0]:.1f} W, "
                f"{again[1] * 1e12:.3f} pJ/OP, {again[2] * 1e12:.1f} pJ/B, left out {100 * flat.mean():.1f}%"
            )
        print(
            "   of the datasheet's rates: operations {:.4f} to {:.3f}, bytes {:.3f} to {:.3f}".format(
                *shares(board, rows)
            )
        )
        for network, logs in left_out_logs(board, rows).items():
            pooled.setdefault(network, []).append(logs)
        for name, value in shown.items():
            columns.setdefault(name, []).append(value)
    print("both: " + ", ".join(f"{n} {100 * np.concatenate(v).mean():.1f}%" for n, v in columns.items()))
    logs = {network: np.concatenate(some) for network, some in pooled.items()}
    inside, n = covered(logs)
    print(
        f"log standard error {rms(np.concatenate(list(logs.values()))):.4f} with the network left out; "
        f"{inside} of {n} rows in intervals made from the other network"
    )


if __name__ == "__main__":
    main()
