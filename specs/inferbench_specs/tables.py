"""Shipped measurements as a table, where a stack was fitted on them."""

from __future__ import annotations

import tomllib
from importlib.resources import files

__all__ = ["NAME", "ROWS", "SHA256", "TITLE", "several_chips"]

NAME = "llm_several_chips"
TITLE = "Static batches of Llama-2-7B and 70B on two and four H100, TensorRT-LLM"
ROWS = 60
SHA256 = "89724344e5ef443bb5bc55aaa207f6317ded45635cad9a98ad89efe953f0300c"
SET = "llm-inference-bench-h100-tensorrt-llm.toml"
HEAD = "chip,n_chips,tp,software,network,precision,phase,batch,input_len,output_len,latency_s"


def several_chips() -> bytes:
    """Return the rows of more than one chip of a measurement set as CSV; latency in seconds.

    Example:
        >>> len(several_chips().splitlines()) == ROWS + 1
        True
    """
    raw = tomllib.loads((files("inferbench_specs") / "measurements" / SET).read_text("utf-8"))
    lines = [HEAD]
    for series in raw["series"]:
        count = series["chips"]
        said = [series[name] for name in ("chip", "software", "network", "precision", "phase")]
        said[1:1] = [count, count]
        if count > 1:
            lines += [",".join(map(str, [*said, *row])) for row in series["rows"]]
    return ("\n".join(lines) + "\n").encode()
