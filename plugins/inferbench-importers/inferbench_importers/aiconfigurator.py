"""aiconfigurator's tables: measured rows (`silicon_sample.csv`), and its own predictions (`pareto.csv`)."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import inferbench as ib
from inferbench_importers.record import MILLI, NAN, Row, gather, layout

__all__ = ["IMPORTER"]

SILICON = ("silicon_ttft_ms", "silicon_tpot_ms")
PREDICTED = ("tokens/s/gpu", "tokens/s/user", "ttft", "tpot")
SOFTWARE = {"trtllm": "TRTLLM", "vllm": "vLLM", "sglang": "SGLang"}
NO_MEASUREMENT = "a prediction of aiconfigurator, no measurement"


def _header(text: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text.split("\n", 1)[0]]), [])]


def _sniff(path: Path, text: str) -> str:
    header = _header(text)
    if all(name in header for name in SILICON) or all(name in header for name in PREDICTED):
        return ""
    return "no columns silicon_ttft_ms and silicon_tpot_ms, and none tokens/s/gpu beside ttft and tpot"


def _silicon(row: Row) -> ib.Measurement:
    disaggregated = row.text("mode") == "disagg"
    version = row.text("backend_version")
    backend = row.text("backend")
    name = SOFTWARE.get(backend, backend)
    chips, cut = (_of_both(row), "") if disaggregated else _together(row)
    users = re.search(r"silicon_concurrency=(\d+)", row.text("silicon_data_source"))
    batch = row.number("batch_size") * row.count("attention_dp_size")
    axes = {"context": row.positive("isl"), "output": row.positive("osl")}
    axes["concurrency"] = float(users[1]) if users else batch
    return ib.Measurement(
        source=row.where,
        chip=row.text("system").removesuffix("_sxm"),
        chips=chips,
        layout=cut,
        software=f"{name}-{version}" if version else name,
        network=row.text("model_path"),
        phase="generate",
        precision=_format(row),
        axes={key: value for key, value in axes.items() if not math.isnan(value)},
        ttft_s=row.positive(SILICON[0], unit=MILLI),
        tpot_s=row.positive(SILICON[1], unit=MILLI),
        queueing=True,
        conditions={ib.Condition.DISAGGREGATED} if disaggregated else (),
        extra=row.extra(),
    )


def _format(row: Row) -> str:
    """Format of the products and experts; the row's own word says only how many bits."""
    experts, products = row.text("moe_quant_mode"), row.text("gemm_quant_mode")
    return experts or products or row.text("precision")


def _together(row: Row) -> tuple[int, str]:
    """Chips and layout of a server that processes prompts and tokens alike."""
    tp, pp, dp = (row.count(f"{name}_size") for name in ("tp", "pp", "attention_dp"))
    cut, ranks = row.count("moe_tp_size"), row.count("moe_ep_size")
    if dp > 1 and cut > 1:
        raise row.fault(
            "moe_tp_size",
            f"experts are cut in {cut} while attention is data parallel over {dp}, which no layout here says",
            "leave the row out",
        )
    return tp * pp * dp, layout(tp=tp, pp=pp, dp=dp, ep=ranks)


def _of_both(row: Row) -> int:
    """Chips of a server with workers of two kinds."""
    total = 0
    for kind in ("prefill", "decode"):
        names = ("num_workers", "tp_size", "pp_size", "attention_dp_size")
        total += math.prod(row.count(f"{kind}_{name}") for name in names)
    return total


def _predicted(row: Row) -> ib.Measurement:
    """A point of its own search: named, with its figures refused."""
    figures = {"ttft_s": row.number("ttft", unit=MILLI), "tpot_s": row.number("tpot", unit=MILLI)}
    figures["tokens_per_s"] = row.number("tokens/s")
    known = {name: (value, NO_MEASUREMENT) for name, value in figures.items() if not math.isnan(value)}
    chips = row.number("num_total_gpus")
    return ib.Measurement(
        source=row.where,
        chip=row.text("system").removesuffix("_sxm"),
        chips=1 if math.isnan(chips) else max(1, int(chips)),
        software=row.text("backend"),
        network=row.text("model"),
        phase="generate",
        axes=row.axes(context="isl", output="osl", concurrency="concurrency"),
        queueing=True,
        refused=known or {"row": (NAN, NO_MEASUREMENT)},
        extra=row.extra(),
    )


def _read(path: Path) -> list[ib.Measurement]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream))
    measured = bool(rows) and all(name in rows[0] for name in SILICON)
    return gather(path, rows, _silicon if measured else _predicted, "row")


IMPORTER = ib.Importer(
    "aiconfigurator", "aiconfigurator's measured rows and its Pareto output", _sniff, _read
)
