"""How fast calibrations and fitted stacks are: `pytest tests/benchmarks --benchmark-enable`."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.calibrate import calibrate
from inferbench.face.run import run

pytestmark = pytest.mark.needs_plugins(
    "importers/csv", "chips/h100-sxm", "networks/llama3-8b", "stacks/trtllm-1.3"
)


def test_a_thousand_rows_are_fitted_in_five_seconds(benchmark, tmp_path):
    """Target: 1,000 rows of products, read, fitted and cross-validated twice, in 5 s."""
    pytest.importorskip("scipy")
    random, path = np.random.default_rng(1), tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("chip", "framework", "weight_precision", "phase", "op", "latency_ms", "m", "n", "k"))
        for m in (2.0**i for i in range(15)):
            for n in (1024.0 * i for i in range(1, 12)):
                for k in (1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0):
                    seconds = 12e-6 + math.hypot(2 * m * n * k / 700e12, 2 * (n * k + m * k + m * n) / 2.7e12)
                    seconds *= math.exp(0.05 * random.standard_normal())
                    writer.writerow(
                        ("H100", "Lib", "bf16", "op", "gemm", seconds * 1e3, int(m), int(n), int(k))
                    )
    registry = ib.installed()
    found = benchmark(lambda: calibrate([path], registry.chip("h100-sxm"), registry))
    benchmark.extra_info["target"] = "5 s"
    assert found.fit.rows > 1000


@pytest.mark.slow
def test_a_million_points_under_a_fitted_stack(benchmark):
    """Target: 2 million points per second, ten terms and power norms included."""
    axis = [float(i) for i in range(1, 1001)]
    done = benchmark(
        lambda: run("h100-sxm", "llama3-8b/decode", batch=axis, context=axis, stack="trtllm-1.3")
    )
    benchmark.extra_info["target"] = "0.5 s"
    assert done.seconds.size == 1_000_000
