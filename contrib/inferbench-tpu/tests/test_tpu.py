"""Slices against Google's table."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_tpu import Ici, slice_of

import inferbench as ib
from inferbench.testing import FabricContract, PackageContract

LINK = ib.Link("ici", bandwidth=600e9, latency=1e-6, size=8960, dimensions=3)
# https://docs.cloud.google.com/tpu/docs/v5p, the table of configurations: chips to topology.
SLICES = {
    4: (1, 2, 2),
    8: (2, 2, 2),
    32: (2, 4, 4),
    64: (4, 4, 4),
    128: (4, 4, 8),
    256: (4, 8, 8),
    512: (8, 8, 8),
    1024: (8, 8, 16),
    2048: (8, 16, 16),
    4096: (16, 16, 16),
    6144: (16, 16, 24),
}


class TestPackage(PackageContract):
    package = "inferbench-tpu"


class TestIci(FabricContract):
    fabric = Ici()
    link = LINK


@pytest.mark.parametrize(("chips", "shape"), SLICES.items())
def test_slices_are_those_of_the_published_table(chips, shape):
    assert slice_of(chips) == shape


def test_only_whole_cubes_have_rings():
    """8 chips are a mesh of side 2, at most 3 hops across; 64 are a torus, 6 hops; 512 a torus, 12 hops."""
    assert [Ici().wiring(n, LINK).hops for n in (8, 64, 512)] == [3.0, 6.0, 12.0]
    assert Ici().wiring(64, LINK).share == pytest.approx(2 * Ici().wiring(8, LINK).share)


def test_the_published_bandwidth_is_that_of_both_directions():
    """1,200 GB/s bidirectional per chip in the same table."""
    chip = ib.installed().chip("tpu-v5p-ici")
    assert 2 * chip.interconnect["scale_up"].bandwidth == 1200e9


# PaLM 540B: arXiv 2204.02311, table 1; multiquery attention, attention and feed-forward in parallel.
PALM = """
title = "PaLM 540B"
source = "palm"
[sources]
palm = { title = "PaLM, table 1", url = "https://arxiv.org/abs/2204.02311", basis = "published" }
[network]
type = "transformer"
hidden_size = 18432
num_hidden_layers = 118
num_attention_heads = 48
num_key_value_heads = 1
head_dim = 256
intermediate_size = 73728
vocab_size = 256000
tie_word_embeddings = true
parallel_mlp = true
norms_per_layer = 1
[published]
parameters = 540.35e9
rounding = 0.001
"""


def test_palm_540b_runs_at_the_published_rate_on_a_slice_of_one_cube(tmp_path):
    """29 ms per token on 64 chips of v4, weights in int8, context 2,048, 64 sequences (arXiv 2211.05102,
    abstract and table 2). No stack was fitted on it.
    """
    pytest.importorskip("inferbench_metrics", reason="inferbench-metrics is not installed")
    network = tmp_path / "palm-540b.toml"
    network.write_text(PALM)
    run = ib.run("64xtpu-v4-ici", f"{network}/decode", precision="w8a16", batch=64, context=2048)
    assert np.all(run.feasible)
    low, high = (float(np.max(end)) for end in run.interval("tpot_s"))
    assert low <= 29e-3 <= high
