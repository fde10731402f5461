"""A stack that was written and read again predicts each kernel as the fit did, whatever stands beside it."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.calibrate import calibrate
from inferbench.calibration.kernels import kernels
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.writing import Labels, energy_toml, scheduler_toml, stack_toml
from inferbench.evidence.matching import read_rows

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
pytestmark = pytest.mark.needs_plugins("importers/csv", "chips/h100-sxm", "architectures/simt")

SHIPPED = (
    "trtllm-1.0",
    "trtllm-1.3",
    "trtllm-1.3-block",
    "trtllm-1.3-b200",
    "trtllm-1.3-b200-block",
    "nccl-2.29",
    "sglang-0.5-h100",
    "vllm-0.24-b200",
)
PEAK, HBM = 989e12, 3.35e12
HEAD = (
    "chip",
    "framework",
    "weight_precision",
    "phase",
    "op",
    "latency_ms",
    "m",
    "n",
    "k",
    "batch",
    "input_len",
    "num_heads",
    "kv_heads",
    "head_dim",
    "kv_dtype",
)


def row(op, seconds, m="", n="", k="", **at):
    names = ("batch", "input_len", "num_heads", "kv_heads", "head_dim", "kv_dtype")
    phase = "prefill" if op == "context_attention" else "op"
    return (
        "H100",
        "Lib-1.0",
        at.pop("precision", "bfloat16"),
        phase,
        op,
        seconds * 1e3,
        m,
        n,
        k,
        *(at.get(name, "") for name in names),
    )


def rows():
    """A library in which everything is slow in a way of its own, and encoders and products in fp8 are nearly
    ideal.
    """
    for batch in (1, 4, 32):
        for q in (128, 512, 2048, 8192):
            for heads in (8, 16, 32):
                at = {"batch": batch, "input_len": q, "num_heads": heads, "kv_heads": heads, "head_dim": 128}
                work, moved = 4 * batch * heads * q * q * 128 / PEAK, 8 * batch * heads * q * 128 / HBM
                convert = batch * heads * q * 128 * 4 * 3 / HBM / 0.2
                slow = 12e-6 + math.hypot(work / 2 / 0.4, moved / 0.8, 1e-8 * q) + convert
                yield row("context_attention", slow, kv_dtype="bfloat16", **at)
                yield row("encoder_attention", 2e-6 + work / 0.9 + moved / 0.9, **at)
                flash = 9e-6 + moved / 2 / 0.8 + 3e-9 * q
                yield row("generation_attention", flash, kv_dtype="bfloat16", **at)
                grouped = {**at, "kv_heads": heads // 4}
                yield row("generation_attention", 12e-6 + moved / 8 / 0.95, kv_dtype="bfloat16", **grouped)
    for m in (1, 16, 256, 4096, 16384):
        for n in (2048, 8192, 28672):
            for k in (2048, 8192):
                work, moved = 2.0 * m * n * k / PEAK, 2.0 * (n * k + m * k + m * n) / HBM
                yield row("gemm", 8e-6 + work / 0.6 + moved / 0.6 + 2e-9 * k, m, n, k)
                yield row("gemm", 5e-6 + work / 2 / 0.95 + moved / 2 / 0.95, m, n, k, precision="fp8")


def write(path, some):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows(some)
    return path


@pytest.fixture
def calibrated(tmp_path):
    """Fit rows, write the stack, read it again; the fit's predictions are compared with the stack's."""

    def run(some, base_text=""):
        registry, base = ib.installed(), None
        if base_text:
            (tmp_path / "base.toml").write_text(base_text)
            base = registry.stack(str(tmp_path / "base.toml"))
        found = calibrate(
            [write(tmp_path / "rows.csv", some)], registry.chip("h100-sxm"), registry, base=base
        )
        path = tmp_path / "mine.toml"
        path.write_text(
            stack_toml(found, Labels("Mine", based_on=str(tmp_path / "base.toml") if base else ""))
        )
        return found, registry.stack(str(path))

    return run


def in_sample(kernel, stack):
    mask = kernel.fitted
    return float(np.mean(np.abs(kernel.time(stack)[mask] / kernel.measured[mask] - 1.0)))


def agree(found, stack):
    assert found.fits
    for one in found.fits:
        tuning = {name: stack.tuning["simt"][name] for name in one.tuned}
        np.testing.assert_allclose(
            one.kernel.time(stack, tuning), one.seconds, rtol=3e-3, err_msg=one.kernel.key
        )


@pytest.mark.slow
def test_kernels_beside_each_other_keep_to_themselves(calibrated):
    found, stack = calibrated(rows())
    assert {one.kernel.key for one in found.fits} == {
        "attention.context",
        "attention.encoder",
        "attention.generation",
        "attention.generation.mha",
        "gemm",
        "gemm.fp8",
    }
    agree(found, stack)
    # The pass over queries is of prompts alone: encoders have none.
    assert stack.figures.quantize["attention.context"] < 1.0
    (encoder,) = (one for one in found.fits if one.kernel.key == "attention.encoder")
    assert in_sample(encoder.kernel, stack) < 0.02


BASES = {
    "of the same kinds": (
        '[time.launch]\nattention = "40 us"\ngemm = "30 us"\n[time.loop_exposed]\nattention = "1 '
        'ns"\n"gemm.bf16" = "1'
        ' ns"\n[time.tail_share]\nattention = 0.5\n[time.min_split]\nattention = 128\n'
    ),
    "by default": (
        '[time.min_time]\ndefault = "50 us"\n[time.efficiency.compute]\ndefault ='
        ' 0.2\n[time.efficiency."memory.hbm"]\ndefault = 0.3\n'
    ),
    "by precision": (
        '[time.launch]\n"gemm.bf16" = "90 us"\n"attention.encoder.bf16" = "90 us"\n'
        '"attention.context.kv16" = "90'
        ' us"\n'
    ),
    "by size": '[time.efficiency.compute]\n"gemm.bf16" = { over = "m", points = [[32, 0.1], [128, 0.2]] }\n',
}


@pytest.mark.parametrize("text", BASES.values(), ids=BASES)
@pytest.mark.slow
def test_what_it_is_based_on_changes_no_fitted_kernel(calibrated, text):
    found, stack = calibrated(rows(), 'title = "B"\n[time]\nmodel = "tiled-kernel"\n' + text)
    agree(found, stack)


def test_what_it_is_based_on_keeps_its_errors_of_other_kernels(calibrated):
    text = 'title = "B"\n[fit]\nrows = 9\nkernel = 0.3\n[fit.kernels]\ngemm = 0.05\n'
    only = [one for one in rows() if one[2] == "fp8"]
    found, stack = calibrated(only, text)
    assert [one.kernel.key for one in found.fits] == ["gemm.fp8"]
    product = ib.Gemm(name="up", precision=ib.Precision.of(["bf16"]), m=8.0, n=2048.0, k=2048.0)
    assert stack.own_error(product) == pytest.approx(
        math.hypot(0.05, 0.25) if not stack.domain.holds(product) else 0.05
    )
    assert stack.fit.kernels["gemm"] == 0.05


def test_energies_of_kernels_are_kept_word_for_word():
    text = (
        'title = "S"\n[fit]\nrows = 3\n\n# Fitted elsewhere.\n[kernel_energy.ops]\n"gemm.fp8" = "0.5'
        ' pJ/OP"\n\n[fit.kernel_power]\ngemm = 0.2330\n[domain]\n'
    )
    assert (
        energy_toml(text)
        == '\n# Fitted elsewhere.\n[kernel_energy.ops]\n"gemm.fp8" = "0.5 pJ/OP"\n\n[fit.kernel_power]\ngemm'
        " = 0.2330\n"
    )
    assert energy_toml('title = "S"\n[fit]\nrows = 3\n') == ""


def test_a_scheduler_is_kept_word_for_word():
    text = 'title = "S"\n# Its default.\n[scheduler]\nchunk = 64 # small\n\n[fit]\nrows = 3\n'
    assert scheduler_toml(text) == "\n# Its default.\n[scheduler]\nchunk = 64 # small\n"
    assert scheduler_toml('title = "S"\n[fit]\nrows = 3\n') == ""


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.slow
def test_shipped_stacks_predict_each_kernel_by_its_own_parameters(published, name):
    """Each kernel of a shipped stack takes the same time under its own parameters alone."""
    registry = ib.installed()
    if name not in registry.names("stacks"):
        pytest.skip(f"needs {name}")
    stack = registry.stack(name)
    chip = registry.chip(stack.domain.chips[0])
    given = {"chip": chip.name}
    files = [file.name for file in stack.fit.files]
    found = [row for file in files for row in read_rows(published(file), registry, given=given)]
    software = stack.software or ("TRTLLM-1.3",)
    recipe = Recipe.parse(stack.fit.command)
    some, _ = kernels(
        found,
        chip,
        registry,
        software,
        recipe.precisions,
        stack.tuning.get("simt", registry.architecture("simt").usual),
        without=recipe.without,
    )
    checked = 0
    for kernel in some:
        part = stack.fit.parts.get(kernel.key)
        if part is None:
            continue
        alone = own_parameters(stack, kernel, part)
        np.testing.assert_allclose(kernel.time(stack), kernel.time(alone), rtol=1e-12, err_msg=kernel.key)
        # As good in the sample as on rows left out, or better: what leaked in would show here.
        mask = kernel.scored
        error = 100.0 * np.mean(np.abs(kernel.time(stack)[mask] / kernel.measured[mask] - 1.0))
        # A single network can't be left out; then rows are.
        left_out = part.error_rows if np.isnan(part.error) else part.error
        assert error < 1.1 * left_out, kernel.key
        checked += 1
    assert checked == len(stack.fit.parts)


def own_parameters(stack, kernel, part):
    """A stack of what the kernel's own entries say, and of nothing else."""
    tables = {}
    for path in part.parameters:
        table, _, of = path.partition("@")
        key = f"{of}{kernel.suffix}" if of else kernel.key
        if not table.startswith("tuning."):
            tables.setdefault(table, {})[key] = stack.tables[table][0][key]
    model = stack.time_model
    return ib.Stack(name="alone", title="Alone", time_model=model, figures=model.record(tables))
