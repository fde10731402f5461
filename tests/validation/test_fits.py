"""The fitted stacks that ship: their errors against the bars, and the same fits again from the published
rows.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.calibrate import calibrate
from inferbench.model.operators import cost_rows

PAGE = Path(__file__).parents[2] / "docs/results/calibration.md"
SHIPPED = ("trtllm-1.0", "trtllm-1.3", "trtllm-1.3-block", "trtllm-1.3-b200", "trtllm-1.3-b200-block")
COLLECTIVES = (
    "nccl-2.27",
    "nccl-2.29",
    "nccl-2.29-b200",
    "vllm-collectives-0.14",
    "vllm-collectives-0.24",
    "vllm-collectives-0.24-b200",
)

pytestmark = pytest.mark.needs_plugins(*(f"stacks/{name}" for name in (*SHIPPED, *COLLECTIVES)))

# Mean absolute error in percent with whole groups left out, at most: stack, beginnings of kernels, bar.
BARS = (
    ("trtllm-1.0", ("gemm",), 6.0),
    ("trtllm-1.0", ("gemm.w8a16", "gemm.w4a16", "gemm.int8"), 12.0),
    ("trtllm-1.3", ("gemm",), 6.0),
    ("trtllm-1.3", ("gemm.fp8",), 6.0),
    ("trtllm-1.3-block", ("gemm.fp8",), 12.0),
    ("trtllm-1.3-b200", ("gemm",), 9.0),
    ("trtllm-1.3-b200", ("gemm.fp8",), 9.0),
    ("trtllm-1.3-b200", ("gemm.nvfp4",), 9.0),
    ("trtllm-1.3-b200-block", ("gemm.fp8",), 12.0),
    *(
        (name, (key,), 4.0)
        for name in ("trtllm-1.3", "trtllm-1.3-b200")
        for key in ("attention.context", "attention.context.fp8", "attention.context.kv8")
    ),
    ("trtllm-1.0", ("attention.context",), 4.0),
    *(("trtllm-1.0", (key,), 12.0) for key in ("attention.generation", "attention.generation.mha")),
    *(("trtllm-1.3", (key,), 12.0) for key in ("attention.generation", "attention.generation.mha")),
    # No bar is set for encoders; widths of 72 and 80 had 13 % before whole tiles were counted.
    ("trtllm-1.3", ("attention.encoder",), 6.0),
    *(
        (
            name,
            (
                "attention.generation",
                "attention.generation.kv8",
                "attention.generation.mha",
                "attention.generation.mha.kv8",
            ),
            12.0,
        )
        for name in ("trtllm-1.0", "trtllm-1.3", "trtllm-1.3-b200")
    ),
    ("trtllm-1.0", ("gemm.experts",), 16.0),
    ("trtllm-1.3", ("gemm.experts.fp8",), 16.0),
    ("trtllm-1.3-block", ("gemm.experts.fp8",), 16.0),
    ("trtllm-1.3-wide", ("gemm.experts.wide.fp8",), 16.0),
    ("trtllm-1.3-b200-wide", ("gemm.experts.wide.nvfp4",), 16.0),
    *(
        (f"sglang-0.5-{chip}-wide", (f"gemm.experts.wide.{phase}.fp8",), 12.0)
        for chip in ("h100", "b200")
        for phase in ("context", "generation")
    ),
)
# Where a bar is not met, and by how much: the figure is held so that it can't grow unseen.
MISSED = (("trtllm-1.3", "gemm.experts", 16.0, 19.7),)


def pooled(parts, keys):
    """Mean over scored rows of all the kernels named."""
    some = [parts[key] for key in keys if key in parts]
    assert some
    return float(np.average([part.error for part in some], weights=[part.scored for part in some]))


@pytest.mark.parametrize(("name", "keys", "bar"), BARS)
def test_kernels_meet_their_bars(name, keys, bar):
    assert pooled(ib.installed().stack(name).fit.parts, keys) <= bar


@pytest.mark.parametrize(("name", "key", "bar", "most"), MISSED)
def test_bars_not_met_are_missed_by_no_more_than_is_said(name, key, bar, most):
    assert bar < ib.installed().stack(name).fit.parts[key].error <= most


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives_meet_their_bars(name):
    """From 64 KiB on, 9 % for NCCL and 15 % for custom kernels, over all collectives and sizes of groups."""
    parts = ib.installed().stack(name).fit.parts
    assert pooled(parts, list(parts)) <= (9.0 if name.startswith("nccl") else 15.0)


@pytest.mark.parametrize("name", ["trtllm-1.0", "trtllm-1.3", "trtllm-1.3-b200"])
def test_custom_all_reduce_meets_its_bar(name):
    parts = ib.installed().stack(name).fit.parts
    assert pooled(parts, [key for key in parts if key.startswith("collective.all_reduce")]) <= 15.0


@pytest.mark.parametrize("name", [*SHIPPED, *COLLECTIVES])
class TestShipped:
    def test_every_kernel_beats_the_trivial_predictors(self, name):
        for key, part in ib.installed().stack(name).fit.parts.items():
            assert part.error < 0.6 * part.roofline, key
            assert part.error < 0.6 * part.constant, key

    def test_intervals_hold_what_they_say(self, name):
        """85 to 95 % of left-out rows lie in the 90 % intervals, give or take two standard errors of
        counting.
        """
        for key, part in ib.installed().stack(name).fit.parts.items():
            chance = 2.0 * math.sqrt(0.9 * 0.1 / part.scored)
            assert 0.85 - chance <= part.coverage <= 0.95 + chance, key
            assert part.log_error >= part.sd
            assert ib.installed().stack(name).fit.kernels[key] == part.log_error

    def test_it_says_how_many_rows_were_scored(self, name):
        """Collectives are fitted on all sizes and scored from 64 KiB on; all other kernels on every fitted
        row.
        """
        for key, part in ib.installed().stack(name).fit.parts.items():
            collective = key.startswith("collective")
            assert (part.scored < part.rows) if collective else (part.scored == part.rows), key

    def test_it_says_the_command_that_fits_it_again(self, name):
        """As the page has it, without a path of whoever ran it."""
        command = ib.installed().stack(name).fit.command
        assert f"--stack {name}" in command
        assert command.replace("inferbench calibrate ", "") in (PAGE.read_text("utf-8"))
        assert "/" not in command

    def test_it_says_what_it_was_fitted_on(self, name):
        stack = ib.installed().stack(name)
        assert stack.fit.files
        assert stack.fit.rows == sum(file.rows for file in stack.fit.files)
        assert stack.fit.rows == sum(part.rows for part in stack.fit.parts.values())
        assert len(stack.domain.chips) == 1
        assert stack.domain.ops

    def test_it_carries_parameters_and_no_rows(self, name):
        """A stack's figures are a few per kernel: no table of measurements hides in it."""
        stack = ib.installed().stack(name)
        for part in stack.fit.parts.values():
            assert len(part.parameters) <= 10
            assert part.rows >= 2 * len(part.parameters)
        values = [value for table, _ in stack.tables.values() for value in table.values()]
        assert values
        assert all(value is None or isinstance(value, float) for value in values)


def test_an_fp8_product_of_one_token_on_h100_costs_its_launches():
    """What the published rows say: quantising fp8 activations makes a small product slower than bf16."""
    registry = ib.installed()
    chip, stack = registry.chip("h100-sxm"), registry.stack("trtllm-1.3")
    shape = {name: np.array([value]) for name, value in (("m", 1.0), ("n", 1024.0), ("k", 1024.0))}
    bf16, fp8 = (cost_rows("gemm", shape, name, chip, stack, registry).seconds[0] for name in ("bf16", "fp8"))
    assert 4e-6 < bf16 < 7e-6
    assert 12e-6 < fp8 < 15e-6


def test_every_table_that_a_stack_was_fitted_on_ships():
    """A stack cites each file by its name and the hash of the table that ships."""
    tables = [ib.installed().get("tables", name) for name in ib.installed().names("tables")]
    ships = {(f"{table.name}.csv", table.sha256) for table in tables}
    stacks = [ib.installed().stack(name) for name in ib.installed().names("stacks")]
    cited = {
        (file.name, file.sha256) for stack in stacks for file in (*stack.fit.files, *stack.energy_fit.files)
    }
    assert len(cited) >= 7
    assert cited <= ships


@pytest.mark.slow
class TestAgain:
    """The shipped figures come out of the published rows again."""

    @pytest.mark.parametrize(
        ("name", "table", "chip", "software", "spellings"),
        [
            ("trtllm-1.3", "gemm.csv", "h100-sxm", "TRTLLM-1.3", ("bfloat16", "fp8")),
            ("trtllm-1.3-block", "gemm.csv", "h100-sxm", "TRTLLM-1.3", ("fp8_block",)),
            ("trtllm-1.3-b200", "gemm_b200.csv", "b200", "TRTLLM-1.3", ("bfloat16", "fp8", "nvfp4")),
        ],
    )
    def test_products(self, published, name, table, chip, software, spellings):
        pytest.importorskip("scipy")
        registry = ib.installed()
        shipped = registry.stack(name)
        found = calibrate(
            [published(table)], registry.chip(chip), registry, software=[software], spellings=spellings
        )
        for one in found.fits:
            key = one.kernel.key
            part = shipped.fit.parts[key]
            assert (one.part.rows, one.part.screened) == (part.rows, part.screened)
            assert one.part.error == pytest.approx(part.error, rel=0.02)
            named = dict(zip((free.table for free in one.frees), one.values, strict=True))
            assert named["efficiency.compute"] == pytest.approx(
                shipped.figures.efficiency["compute"][key], rel=0.01
            )
            assert named["launch"] == pytest.approx(shipped.figures.launch[key], rel=0.02)

    def test_no_product_beats_the_roofline(self, published):
        pytest.importorskip("scipy")
        registry = ib.installed()
        found = calibrate([published("gemm.csv")], registry.chip("b200"), registry, kinds=["gemm.nvfp4"])
        assert not any("roofline" in why for why in found.fits[0].kernel.screened)


def test_the_page_shows_the_figures_that_ship():
    rows = [
        line.strip("| ").split(" | ")
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith(("| trtllm", "| nccl", "| vllm", "| sglang"))
    ]
    assert len(rows) > 30
    for name, key, *cells in rows:
        parts = ib.installed().stack(name).fit.parts
        if key in parts:
            part = parts[key]
            figures = (
                part.rows,
                part.screened,
                part.scored,
                part.error,
                part.error_rows,
                part.error_all,
                part.constant,
                part.roofline,
                100.0 * part.coverage,
            )
            shown = [
                math.nan if cell == "–" else float(cell) for cell in cells
            ]  # one group: none to leave out
            assert shown == pytest.approx(figures, abs=0.5, rel=0.02, nan_ok=True), (name, key)
        else:
            some = [
                part
                for kind, part in parts.items()
                if kind.startswith("collective.all_reduce" if "all-reduce" in key else "collective")
            ]
            for cell, field, scale in ((cells[3], "error", 1.0), (cells[8], "coverage", 100.0)):
                mean = np.average([getattr(p, field) for p in some], weights=[p.scored for p in some])
                assert float(cell) == pytest.approx(scale * mean, abs=0.5 if scale > 1 else 0.06)
