"""Settings of servers that a table's benchmark names in its scripts, by row.

InferenceX starts each engine by a script (SemiAnalysisAI/InferenceX, `benchmarks/`):
`70b_fp8_h200_trt_slurm.sh`, `70b_fp8_b200_trt_slurm.sh`, `dsr1_fp8_h200_trt.sh`, `dsr1_fp8_b200_trt.sh`,
`gptoss_fp4_h200_trt.sh`, `dsr1_fp8_h200.sh` and `dsr1_fp8_b200.sh`. ATOM's recipe (ROCm/ATOM,
`recipes/Qwen3-235b.md`) says how many requests there were, and how many tokens a step takes. Other sources
say it in the free text of a row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

__all__ = ["SETTINGS", "setting"]

Row = Mapping[str, str]
SHORT = 1024.0
SETTINGS = (
    "step_tokens",
    "wait_steps",
    "wait_share",
    "poll_steps",
    "requests",
    "request_rate",
    "statistic",
    "ttft_output_len",
)


def setting(name: str) -> Callable[[Row], str]:
    """Return the rule of a column of `SETTINGS`; it is empty where the source is silent.

    Example:
        >>> row = {"framework": "sglang-0.5.9", "model": "deepseek-ai/DeepSeek-R1", "chip": "B200-SXM-180GB",
        ...        "concurrency": "16", "input_len": "1024", "output_len": "1024", "n_chips": "8"}
        >>> setting("poll_steps")(row), setting("wait_steps")(row)
        ('30', '')
    """

    def take(row: Row) -> str:
        found = {**_served(row), **_noted(row)}.get(name, "")
        return f"{found:g}" if isinstance(found, float) else found

    return take


def _served(row: Row) -> dict[str, float | str]:
    """What InferenceX's scripts give a server."""
    if not row.get("concurrency"):
        return {}
    lengths = [float(row[one]) for one in ("input_len", "output_len")]
    users, b200 = float(row["concurrency"]), row["chip"].startswith("B200")
    engine, network = row["framework"].partition("-")[0], row["model"].rpartition("/")[2]
    short = lengths == [SHORT, SHORT]
    if engine == "trtllm" and network == "Llama-3.1-70B":
        waits = {"wait_steps": 20.0, "wait_share": 0.9} if short and float(row["n_chips"]) < 8 else {}
        return {**waits, **({"step_tokens": 16384.0} if b200 else {})}
    if engine == "trtllm" and network == "DeepSeek-R1":
        waits = {"wait_steps": 40.0, "wait_share": 0.8} if short and b200 and 64 <= users < 256 else {}
        return {**waits, "step_tokens": max(8192.0, 64.0 * math.ceil((users + lengths[0] + 64.0) / 64.0))}
    if engine == "trtllm" and network == "gpt-oss-120b" and row["chip"].startswith("H200"):
        return {"step_tokens": 20000.0}
    if engine == "sglang" and network == "DeepSeek-R1":
        few = b200 and float(row["n_chips"]) < 8
        polls = {"poll_steps": 30.0 if users >= 16 and not few else 10.0} if b200 else {}
        return {**polls, "step_tokens": 8192.0 if few else 32768.0}
    return {}


def _noted(row: Row) -> dict[str, float | str]:
    """What the free text of a row says of its benchmark, and ATOM's recipe of its own."""
    notes, found = row.get("notes", ""), dict[str, float | str]()
    if row["framework"] == "ATOM" and row.get("network") == "qwen3-235b":
        found |= {"requests": 4.0 * float(row["batch"]), "step_tokens": 20000.0}
    if many := re.search(r"(\d+) prompts", notes):
        found["requests"] = float(many[1])
    if rate := re.search(r"asynchronous@([\d.]+) req/sec", notes):
        found["request_rate"] = rate[1]
    if notes.startswith(("medians", "3000 prompts; medians")):
        found["statistic"] = "median"
    if "output length 1 " in notes:
        found["ttft_output_len"] = 1.0
    return found
