"""Calibration: known parameters are found again, what the data can't fix is said, and nothing unphysical
comes out.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.calibrate import calibrate
from inferbench.errors import InferBenchError
from inferbench.evidence.experts import busiest, expert_layer

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
pytestmark = pytest.mark.needs_plugins("importers/csv", "chips/h100-sxm", "architectures/simt")

# The datasheet's: 989 TOP/s in bf16, 1979 in fp8, 3.35 TB/s, 450 GB/s to each side.
PEAK, PEAK_FP8, HBM, LINK = 989e12, 1979e12, 3.35e12, 450e9
M, N, K = (1, 8, 64, 256, 1024, 4096, 16384), (1024, 4096, 10240, 28672), (1024, 4096, 14336)
GEMM = ("chip", "framework", "weight_precision", "phase", "op", "latency_ms", "m", "n", "k")


def gemm_rows(
    ec=0.7, eb=0.8, p=3.0, t0=5e-6, depth=1e-9, noise=0.01, software="Lib-1.0", spelled="bfloat16", eq=0.0
):
    """Rows of a law with known figures: `t0 + (F^p + B^p + D^p)^(1/p)`, and a pass over the activations in
    fp8.
    """
    random = np.random.default_rng(3)
    width, peak = (1.0, PEAK_FP8) if eq else (2.0, PEAK)
    for m in M:
        for n in N:
            for k in K:
                work = 2.0 * m * n * k / peak / ec
                moved = width * (n * k + m * k + m * n) / HBM / eb
                seconds = t0 + (work**p + moved**p + (depth * k) ** p) ** (1 / p)
                seconds += m * k * 3.0 / (eq * HBM) if eq else 0.0
                seconds *= math.exp(noise * random.standard_normal())
                yield ("H100", software, spelled, "op", "gemm", f"{seconds * 1e3:.9g}", m, n, k)


def write(path: Path, rows, head=GEMM) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path


@pytest.fixture
def fitted(tmp_path):
    """Calibrate rows on the H100."""

    def run(*rows, head=GEMM, **options):
        registry = ib.installed()
        path = write(tmp_path / "rows.csv", [row for some in rows for row in some], head)
        return calibrate([path], registry.chip("h100-sxm"), registry, **options)

    return run


def values(one):
    return dict(zip((free.table for free in one.frees), one.values, strict=True))


def test_known_parameters_of_products_are_found_again(fitted):
    (one,) = fitted(gemm_rows()).fits
    found = values(one)
    assert found["efficiency.compute"] == pytest.approx(0.7, rel=0.01)
    assert found["efficiency.memory"] == pytest.approx(0.8, rel=0.02)
    assert found["launch"] == pytest.approx(5e-6, rel=0.05)
    assert found["overlap"] == pytest.approx(3.0, rel=0.1)
    assert found["loop_overlapped"] == pytest.approx(1e-9, rel=0.1)
    # One percent of noise has a mean absolute error of 0.8; a left-out fit does hardly worse.
    assert one.part.error < 1.1
    assert one.part.error_rows < 1.1
    assert 0.008 < one.part.sd < 0.016
    assert (
        0.82 < one.part.coverage <= 1.0
    )  # 84 rows of normal noise: 0.9 within two and a half standard errors
    assert not one.part.defaults
    assert not one.part.at_bound


def test_the_truth_lies_within_three_standard_errors(fitted):
    (one,) = fitted(gemm_rows(noise=0.05)).fits
    truth = {
        "efficiency.compute": 0.7,
        "efficiency.memory": 0.8,
        "launch": 5e-6,
        "overlap": 3.0,
        "loop_overlapped": 1e-9,
    }
    for table, value, deviation in zip(one.part.parameters, one.values, one.part.deviations, strict=True):
        assert abs(value - truth[table]) < 3 * deviation * value, table


def test_the_pass_that_quantises_activations_is_found(fitted):
    (one,) = fitted(gemm_rows(spelled="fp8", eq=0.4)).fits
    assert one.kernel.key == "gemm.fp8"
    assert values(one)["quantize"] == pytest.approx(0.4, rel=0.05)


def test_an_odd_row_pulls_little(fitted):
    rows = list(gemm_rows(noise=0.0))
    rows[30] = (*rows[30][:5], float(rows[30][5]) * 20, *rows[30][6:])
    (one,) = fitted(rows).fits
    assert values(one)["efficiency.compute"] == pytest.approx(0.7, rel=0.03)
    assert values(one)["efficiency.memory"] == pytest.approx(0.8, rel=0.03)


def test_what_data_of_one_kind_cant_fix_takes_its_default(fitted):
    """Large products alone: arithmetic takes longest in each, and says nothing about bandwidth or
    launches.
    """
    large = [row for row in gemm_rows(eb=1.0, p=12.0, depth=0.0, t0=0.0) if row[6] >= 4096 and row[7] >= 4096]
    (one,) = fitted(large).fits
    assert values(one)["efficiency.compute"] == pytest.approx(0.7, rel=0.02)
    assert {"launch", "loop_overlapped"} <= set(one.part.defaults)
    assert set(one.part.defaults).isdisjoint(values(one))


def test_no_efficiency_passes_one(fitted):
    """Software that seems to beat the memory by a quarter: the fit ends at its bound and says so."""
    (one,) = fitted(gemm_rows(eb=1.25, t0=8e-6)).fits
    assert one.part.at_bound == ("efficiency.memory",)
    assert values(one)["efficiency.memory"] == pytest.approx(1.0)
    assert all(value <= 1.0 for table, value in values(one).items() if table.startswith("efficiency"))
    assert all(value >= 0.0 for value in one.values)


def test_rows_that_beat_the_roofline_are_screened_by_rule(fitted):
    rows = list(gemm_rows())
    m, n, k = rows[-1][6:]
    floor = 2.0 * m * n * k / PEAK
    rows[-1] = (*rows[-1][:5], floor * 0.5e3, m, n, k)
    rows[0] = (*rows[0][:5], "0.004", *rows[0][6:])
    (one,) = fitted(rows).fits
    assert one.part.screened == sum(float(row[5]) < 0.01 or row is rows[-1] for row in rows)
    assert one.kernel.screened[-1] == "faster than the roofline"
    assert one.kernel.screened[0] == "shorter than 10 us"
    # Scored with them in, the two are far off: (2 / 0.7 - 1) and about (12 / 4 - 1) over 84 rows.
    assert one.part.error_all > one.part.error + 2.0


def test_errors_by_group_and_by_row_differ_where_groups_do(fitted):
    """Each shape is off by a factor of its own: a fit that has seen the shape can't know it either, but no
    worse.
    """
    rows, random = [], np.random.default_rng(5)
    factor = {(n, k): math.exp(0.2 * random.standard_normal()) for n in N for k in K}
    for row in gemm_rows(noise=0.0):
        rows.append((*row[:5], float(row[5]) * factor[row[7], row[8]], *row[6:]))
    (one,) = fitted(rows).fits
    assert 8 < one.part.error < 30
    assert one.part.error_rows < one.part.error


def test_trivial_predictors_stand_beside(fitted):
    (one,) = fitted(gemm_rows(ec=0.5, eb=0.5, p=12.0, t0=0.0, depth=0.0, noise=0.0)).fits
    assert one.part.roofline == pytest.approx(50.0, abs=2.0)  # twice as slow as the roofline everywhere
    assert one.part.constant > 90.0


def test_three_rows_for_five_parameters_are_refused(fitted):
    with pytest.raises(InferBenchError) as caught:
        fitted(list(gemm_rows())[-3:])
    said = str(caught.value)
    assert "gemm: 3 rows for 5 parameters; at least 10 were expected" in said
    assert "launch: shapes so small that nothing but the launch takes time" in said


def test_a_refused_kernel_does_not_hide_the_others(fitted):
    found = fitted(gemm_rows(), list(gemm_rows(spelled="fp8", eq=0.4))[-3:])
    assert [one.kernel.key for one in found.fits] == ["gemm"]
    assert "3 rows for 6 parameters" in found.refused["gemm.fp8"]


def test_every_row_not_taken_is_counted(fitted):
    other = [("B200", *row[1:]) for row in list(gemm_rows())[:4]]
    found = fitted(gemm_rows(), other, list(gemm_rows(software="Other"))[:5], software=["lib-1"])
    assert found.left == {"of the chip B200": 4, "under Other": 5}
    assert found.software == ("Lib-1.0",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "measured under Lib-1.0, Lib-2.0"),
        ({"software": ["Other"]}, "no row can be fitted"),
        ({"software": ["Lib-1"], "kinds": ["conv"]}, "no kernel of this kind in the files"),
    ],
)
def test_what_can_not_be_fitted_is_said(fitted, options, said):
    with pytest.raises(InferBenchError, match=said):
        fitted(gemm_rows(), gemm_rows(software="Lib-2.0"), **options)


def test_two_spellings_of_one_precision_are_not_mixed(fitted):
    found = fitted(gemm_rows(spelled="fp8", eq=0.4), gemm_rows(spelled="fp8_block", eq=0.2))
    assert [one.kernel.spelled for one in found.fits] == ["fp8"]
    assert list(found.left.values()) == [len(M) * len(N) * len(K)]
    block = fitted(gemm_rows(spelled="fp8_block", eq=0.2), spellings=["fp8_block"]).fits[0]
    assert (block.kernel.key, block.kernel.spelled) == ("gemm.fp8", "fp8_block")


ATTENTION = (*GEMM[:6], "batch", "input_len", "num_heads", "kv_heads", "head_dim", "kv_dtype")


def attention_rows(heads=(8, 16, 32, 64), groups=(1, 4, 64), t0=10e-6, eb=0.8, serial=1e-9):
    for h in heads:
        for kv in sorted({max(h // group, 1) for group in groups}):
            for batch in (1, 8, 64):
                for keys in (256, 2048, 16384):
                    moved = (2 * batch * kv * keys * 128 * 2 + 2 * batch * h * 128 * 2) / HBM / eb
                    seconds = t0 + moved + serial * keys
                    yield (
                        "H100",
                        "Lib-1.0",
                        "bfloat16",
                        "op",
                        "generation_attention",
                        seconds * 1e3,
                        batch,
                        keys,
                        h,
                        kv,
                        128,
                        "bfloat16",
                    )


@pytest.mark.slow
def test_generation_attention_is_fitted_by_kernel_and_refused_beyond_32_heads(fitted):
    found = fitted(attention_rows(), head=ATTENTION)
    keys = {one.kernel.key: one for one in found.fits}
    assert set(keys) == {"attention.generation", "attention.generation.mha"}
    wide = [why for why in keys["attention.generation"].kernel.screened if why]
    assert set(wide) == {"more than 32 query heads per KV head"}
    assert len(wide) == 9  # 64 heads on one
    for one in found.fits:
        assert one.part.error < 1.0
        assert values(one)["efficiency.memory"] == pytest.approx(0.8, rel=0.02)
    assert found.domain.ops["attention.generation"]["group"] == (4.0, 32.0)


def context_rows(ec=0.5, depth=1.2e-8, tail=0.6, t0=1.2e-5, eq=0.5):
    """List scheduling on 132 SMs: one tile's loop up to one wave, work and a part of the loop beyond."""
    for h in (4, 8, 16, 32, 64):
        for batch in (1, 2, 4, 16, 64):
            for q in (128, 256, 512, 1024, 4096):
                tiles = batch * h * q / 128
                pairs = q * (q + 1) / 2 + min(64 * q, q * (q - 1) / 2)  # diagonal tiles are computed whole
                work = 4 * batch * h * pairs * 128 / PEAK / ec
                loop = depth * q
                compute = max(work, loop) if tiles <= 132 else work + tail * loop
                moved = 4 * batch * h * q * 128 * 2 / HBM / 0.7
                convert = batch * h * q * 128 * 2 * 2 / HBM / eq
                seconds = t0 + (compute**2 + moved**2) ** 0.5 + convert
                yield (
                    "H100",
                    "Lib-1.0",
                    "bfloat16",
                    "prefill",
                    "context_attention",
                    seconds * 1e3,
                    batch,
                    q,
                    h,
                    h,
                    128,
                    "bfloat16",
                )


def test_waves_of_context_attention_are_found_again(fitted):
    (one,) = fitted(context_rows(), head=ATTENTION).fits
    found = values(one)
    assert one.part.error < 0.2
    assert found["efficiency.compute"] == pytest.approx(0.5, rel=0.01)
    assert found["loop_overlapped"] == pytest.approx(1.2e-8, rel=0.02)
    assert found["tail_share"] == pytest.approx(0.6, rel=0.05)


def test_tiles_that_were_assumed_are_written(cli, tmp_path):
    source, out = write(tmp_path / "rows.csv", context_rows(), ATTENTION), tmp_path / "my.toml"
    assert cli("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine", "--out", str(out))[0] == 0
    stack = ib.installed().stack(str(out))
    assert stack.tuning["simt"] == {"attention_rows": 128, "attention_keys": 128, "head_multiple": 32}
    assert stack.figures.tail_share["attention.context"] == pytest.approx(0.6, rel=0.05)


@pytest.mark.slow
def test_pieces_of_generation_attention_are_found_again(fitted):
    """A loop of 4 ns per key, cut for idle multiprocessors into pieces of about 1,000 keys."""
    rows = []
    for row in attention_rows(groups=(1,), serial=0.0):
        batch, keys, heads = row[6:9]
        loop = keys / (1 + keys / (1000 + keys * batch * heads / 132))
        rows.append((*row[:5], row[5] + 4e-9 * loop * 1e3, *row[6:]))
    (one,) = fitted(rows, head=ATTENTION).fits
    assert one.part.error < 1.0
    assert values(one)["min_split"] == pytest.approx(1000, rel=0.1)
    assert values(one)["loop_exposed"] == pytest.approx(4e-9, rel=0.1)


def test_the_weighted_sum_reads_what_the_chip_made_and_writes_every_token():
    """Four tokens to two of four experts each, on two chips, 8 wide, fp8: 4 rows of 16 bits are read, 4
    written.
    """
    c = {
        name: np.array([[value]])
        for name, value in (
            ("tokens", 4.0),
            ("hidden", 8.0),
            ("inter", 16.0),
            ("topk", 2.0),
            ("experts", 4.0),
            ("tp", 1.0),
            ("ep", 2.0),
        )
    }
    row = ib.Measurement(
        source="test", chip="H100", latency_s=1e-3, op="moe", extra={"distribution": "balanced"}
    )
    combine = expert_layer(c, ib.Precision.of(["fp8"], (-1, 1)), [row])[-1]
    assert float(np.squeeze(combine.bytes.inputs)) == 4 * 8 * 2
    assert float(np.squeeze(combine.bytes.outputs)) == 4 * 8 * 2


def test_collectives_are_fitted_by_group_and_scored_from_64_kib(fitted):
    """12 us and twice (n-1)/n of the payload at 80 % of the link, less the fabric's own hops; the switch of
    the H100 could do with the payload once.
    """
    rows = []
    for chips in (4, 8):
        for size in (2.0**i for i in range(9, 30)):
            seconds = 12e-6 + 2 * (chips - 1) / chips * size / (0.8 * LINK)
            rows.append(("H100", chips, "Lib-1.0", "half", "op", "all_reduce", seconds * 1e3, size))
    head = ("chip", "n_chips", "framework", "weight_precision", "phase", "op", "latency_ms", "message_bytes")
    found = fitted(rows, head=head)
    assert [one.kernel.key for one in found.fits] == ["collective.all_reduce.4", "collective.all_reduce.8"]
    for one, chips in zip(found.fits, (4, 8), strict=True):
        expected = 0.8 / (2 * (chips - 1) / chips)
        assert values(one)["efficiency.network"] == pytest.approx(expected, rel=0.01)
        assert one.kernel.unscored.sum() == 7  # 512 B to 32 KiB
        assert one.part.error < 3.0


@pytest.mark.parametrize(
    ("shape", "touched", "received"),
    [
        ((1, 2, 8, 1, 0.0), 2.0, 2.0),  # one token, its two experts
        ((64, 2, 8, 1, 0.0), 8.0, 128.0),
        ((64, 2, 8, 4, 0.0), 2.0, 32.0),
        ((4096, 1, 16, 1, 1.2), 16.0, 4096.0),  # one chip gets everything, however uneven
    ],
)
def test_what_the_busiest_chip_of_experts_runs(shape, touched, received):
    assert busiest(*shape) == (touched, received)


def test_uneven_routing_loads_the_busiest_chip_above_the_mean_and_touches_fewer():
    touched, received = busiest(64, 8, 128, 8, 1.2)
    assert received > 64 * 8 / 8
    assert touched <= 128 / 8
    assert busiest(16, 2, 64, 1, 1.2)[0] < busiest(16, 2, 64, 1, 0.0)[0]


def test_the_command_writes_a_stack_that_predicts_its_rows(cli, tmp_path):
    source = write(tmp_path / "rows.csv", gemm_rows())
    out = tmp_path / "my.toml"
    args = ("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine")
    code, said, _ = cli(*args, "--cite", "A test", "--out", str(out), "-v")
    assert code == 0
    assert "left out by group" in said
    assert "a constant" in said
    text = out.read_text()
    assert cli(*args, "--cite", "A test", "--out", str(out), "--force")[0] == 0
    assert out.read_text() == text  # twice the same, to the letter
    assert "url" not in text  # none was given
    stack = ib.installed().stack(str(out))
    assert stack.domain.chips == ("h100-sxm",)
    assert stack.domain.ops["gemm"] == {"m": (1, 16384), "n": (1024, 28672), "k": (1024, 14336)}
    assert stack.fit.rows + stack.fit.parts["gemm"].screened == len(M) * len(N) * len(K)
    assert stack.fit.files == (
        ib.FitFile("rows.csv", hashlib.sha256(source.read_bytes()).hexdigest(), stack.fit.rows),
    )
    assert len(stack.fit.parts["gemm"].correlation) == len(stack.fit.parts["gemm"].parameters)
    code, said, _ = cli(
        "op",
        "h100-sxm",
        "gemm",
        "--m",
        "4096",
        "--n",
        "10240",
        "--k",
        "4096",
        "--stack",
        str(out),
        "--format",
        "json",
    )
    assert code == 0
    expected = (
        5e-6 + 2.0 * 4096 * 10240 * 4096 / PEAK / 0.7
    )  # arithmetic alone: the rest adds below one percent
    assert json.loads(said)["rows"][0]["time_s"] == pytest.approx(expected, rel=0.02)


def test_the_report_as_json(cli, tmp_path):
    source = write(tmp_path / "rows.csv", gemm_rows())
    code, said, _ = cli("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine", "--format", "json")
    assert code == 0
    data = json.loads(said)
    assert data["schema"] == "inferbench.calibrate/5"
    assert data["kernels"][0]["kernel"] == "gemm"
    assert data["kernels"][0]["efficiency.compute"] == pytest.approx(0.7, rel=0.01)


def test_based_on_fills_in_what_was_not_fitted(cli, tmp_path):
    source, base, out = tmp_path / "rows.csv", tmp_path / "base.toml", tmp_path / "my.toml"
    base.write_text(
        'title = "B"\n[time]\nmodel = "tiled-kernel"\n[time.launch]\nattention = "7 us"\ngemm = "9 us"\n'
    )
    write(source, gemm_rows())
    args = ("--chip", "h100-sxm", "--stack", "mine", "--based-on", str(base), "--out", str(out))
    assert cli("calibrate", str(source), *args)[0] == 0
    stack = ib.installed().stack(str(out))
    assert stack.figures.launch["attention"] == pytest.approx(7e-6)
    assert stack.figures.launch["gemm"] == pytest.approx(5e-6, rel=0.05)


def test_nothing_is_written_when_nothing_can_be_fitted(cli, tmp_path):
    source, out = write(tmp_path / "rows.csv", list(gemm_rows())[-3:]), tmp_path / "my.toml"
    code, _, said = cli("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine", "--out", str(out))
    assert code == 2
    assert "3 rows for 5 parameters" in said
    assert not out.exists()


def hastened(count):
    """Rows of the law, the first few a hundred times as fast: below what the chip's bandwidth allows."""
    rows = list(gemm_rows())
    return [(*row[:5], float(row[5]) / 100, *row[6:]) if i < count else row for i, row in enumerate(rows)]


def test_many_rows_faster_than_the_roofline_make_the_chip_doubtful(cli, tmp_path):
    args = ("--chip", "h100-sxm", "--stack", "mine")
    code, _, said = cli("calibrate", str(write(tmp_path / "some.csv", hastened(34))), *args)
    assert code == 0
    assert "warning: 34 of 84 rows are faster than the roofline of h100-sxm: is this the right chip?" in said
    code, _, said = cli("calibrate", str(write(tmp_path / "few.csv", hastened(20))), *args)
    assert (code, said) == (0, "")


def test_rows_mostly_faster_than_the_roofline_are_refused(cli, tmp_path):
    source, out = write(tmp_path / "most.csv", hastened(50)), tmp_path / "my.toml"
    code, _, said = cli("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine", "--out", str(out))
    assert code == 2
    assert "50 of 84 rows are faster" in said
    assert not out.exists()
