"""What a calibration doubts or can't know, and says so instead of making a figure of it."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.calibrate import calibrate
from inferbench.errors import InferBenchError

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
pytestmark = pytest.mark.needs_plugins("importers/csv", "chips/h100-sxm", "architectures/simt")

PEAK, HBM, LINK = 989e12, 3.35e12, 450e9
HEAD = ("chip", "framework", "weight_precision", "phase", "op", "latency_ms", "m", "n", "k")
SHAPES = [(m, n, k) for m in (1, 16, 256, 2048, 16384) for n in (2048, 8192, 28672) for k in (2048, 8192)]


def product(m, n, k, slower=1.0, noise=0.0):
    work, moved = 2.0 * m * n * k / PEAK, 2.0 * (n * k + m * k + m * n) / HBM
    seconds = (8e-6 + math.hypot(work / 0.7, moved / 0.8) + 1e-9 * k) * slower * math.exp(noise)
    return ("H100", "Lib-1.0", "bfloat16", "op", "gemm", f"{seconds * 1e3:.9g}", m, n, k)


def write(path, rows, head=HEAD):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path


@pytest.fixture
def fitted(tmp_path):
    def run(rows, **options):
        registry = ib.installed()
        return calibrate([write(tmp_path / "rows.csv", rows)], registry.chip("h100-sxm"), registry, **options)

    return run


def noisy(shapes, repeats):
    random = np.random.default_rng(5)
    return [
        product(*shape, noise=0.01 * random.standard_normal()) for shape in shapes for _ in range(repeats)
    ]


@pytest.mark.parametrize(
    ("shapes", "repeats", "said"),
    [
        (
            [(4096, 8192, 8192)],
            20,
            "gemm: 20 rows of 1 shape for 5 parameters; at least 5 shapes were expected",
        ),
        (
            [(1, 8192, 8192), (8192, 8192, 8192)],
            10,
            "gemm: 20 rows of 2 different shapes for 5 parameters; at least 5 shapes were expected",
        ),
    ],
)
def test_repeats_of_a_shape_fix_no_more_than_the_shape(fitted, shapes, repeats, said):
    with pytest.raises(InferBenchError) as caught:
        fitted(noisy(shapes, repeats))
    assert said in str(caught.value)
    assert "launch: shapes so small that nothing but the launch takes time" in str(caught.value)


def test_parameters_that_only_stand_for_each_other_are_not_fixed(fitted):
    """One n, one k, and large m: time is a + b m. Launch, depth and memory all make the constant; no one is
    known.
    """
    (one,) = fitted(noisy([(m, 8192, 8192) for m in (8192, 10240, 12288, 14336, 16384)], 4)).fits
    kept = set(one.part.parameters)
    assert "efficiency.compute" in kept
    assert len(kept & {"launch", "loop_overlapped", "efficiency.memory", "overlap"}) <= 1
    assert all(math.isfinite(deviation) for deviation in one.part.deviations)
    # Two figures come out of a straight line; 1 % of noise on 20 rows fixes the slope to about a percent.
    assert 1e-4 < one.part.deviations[one.part.parameters.index("efficiency.compute")] < 0.1


def test_one_group_has_no_error_by_group(cli, tmp_path):
    source = write(
        tmp_path / "rows.csv", noisy([(m, 8192, 8192) for m in (1, 64, 512, 2048, 8192, 16384)], 4)
    )
    out = tmp_path / "my.toml"
    args = (
        *("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine"),
        *("--out", str(out), "--force"),
    )
    code, said, _ = cli(*args)
    assert code == 0
    assert "–" in said
    assert "too few groups of rows" in said
    data = json.loads(cli(*args, "--format", "json")[1])["kernels"][0]
    assert data["mape_error"] is None
    assert 0.004 < data["mape_error_rows"] < 0.02  # a fraction, as `validate` has it
    stack = ib.installed().stack(str(out))
    assert math.isnan(stack.fit.parts["gemm"].error)
    assert 0.005 < stack.fit.kernels["gemm"] < 0.03  # 1 % of noise


def test_milliseconds_taken_for_seconds_are_doubted(cli, tmp_path):
    source = write(tmp_path / "rows.csv", [product(*shape, slower=1000.0) for shape in SHAPES])
    code, _, said = cli("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine")
    assert code == 0
    assert "warning: gemm: the median row takes" in said
    assert "are its times in the unit that their column says?" in said
    assert "warning: gemm: efficiency.compute ends at 0.005" in said
    assert (
        cli(
            "calibrate",
            str(write(tmp_path / "fine.csv", (product(*s) for s in SHAPES))),
            "--chip",
            "h100-sxm",
            "--stack",
            "mine",
        )[2]
        == ""
    )


def test_a_misspelt_format_writes_nothing(cli, tmp_path):
    source, out = write(tmp_path / "rows.csv", [product(*shape) for shape in SHAPES]), tmp_path / "my.toml"
    args = (
        *("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine"),
        *("--out", str(out), "--force"),
    )
    code, _, said = cli(*args, "--format", "jsn")
    assert code == 2
    assert "did you mean 'json'?" in said
    assert not out.exists()


def exchanges():
    for size in (2.0**i for i in range(9, 30)):
        seconds = 12e-6 + 2 * 7 / 8 * size / (0.8 * LINK)
        yield ("H100", 8, "Lib-1.0", "half", "op", "all_reduce", seconds * 1e3, size)


@pytest.mark.slow
def test_collectives_say_how_many_rows_are_scored_and_what_to_try_next(cli, tmp_path):
    """512 B to 256 MB: 21 rows are fitted; 7 of them are below 64 KiB and not scored."""
    head = ("chip", "n_chips", "framework", "weight_precision", "phase", "op", "latency_ms", "message_bytes")
    source, out = write(tmp_path / "rows.csv", exchanges(), head), tmp_path / "my.toml"
    args = (
        *("calibrate", str(source), "--chip", "h100-sxm", "--stack", "mine"),
        *("--out", str(out), "--force"),
    )
    code, said, _ = cli(*args, "--format", "json")
    assert code == 0
    (kernel,) = json.loads(said)["kernels"]
    assert (kernel["rows"], kernel["scored"]) == (21, 14)
    assert ib.installed().stack(str(out)).fit.parts["collective.all_reduce.8"].scored == 14
    following = " ".join(cli(*args)[1].partition("Next: ")[2].split())
    assert following.startswith("inferbench op h100-sxm collective --payload")
    assert cli(*following.removeprefix("inferbench ").split())[0] == 0


def test_the_file_says_the_command_and_keeps_energies_of_kernels(cli, tmp_path):
    source, out = write(tmp_path / "rows.csv", [product(*shape) for shape in SHAPES]), tmp_path / "mine.toml"
    args = (
        "calibrate",
        str(source),
        "--chip",
        "h100-sxm",
        "--stack",
        "mine",
        "--software",
        "lib-1",
        "--force",
        "--out",
        str(out),
    )
    assert cli(*args)[0] == 0
    command = "inferbench calibrate rows.csv --chip h100-sxm --stack mine --software lib-1"
    assert ib.installed().stack(str(out)).fit.command == command
    energies = '\n[kernel_energy.ops]\ngemm = "0.5 pJ/OP"\n\n[fit.kernel_power]\ngemm = 0.1\n'
    out.write_text(out.read_text() + energies)
    code, _, said = cli(*args)
    assert code == 0
    assert f"kept the energies of kernels that stood in {out}" in said
    assert out.read_text().endswith(energies)
    assert ib.installed().stack(str(out)).fit.kernel_power == {"gemm": 0.1}


@pytest.mark.needs_plugins("stacks/trtllm-1.3-b200", "chips/b200")
def test_energies_that_stay_behind_are_named(cli, tmp_path):
    rows = [("B200", *product(*shape)[1:]) for shape in SHAPES]
    args = ("--chip", "b200", "--stack", "trtllm-1.3-b200", "--out", str(tmp_path / "my.toml"))
    code, _, said = cli("calibrate", str(write(tmp_path / "rows.csv", rows)), *args)
    assert code == 0
    assert "trtllm-1.3-b200 has energies of kernels; a calibration fits none" in said


@pytest.mark.slow
def test_products_of_one_chip_have_one_tuning(fitted):
    """The first tiled kernel fits how tiles fill; others take it, so that one table in the file holds for
    all.
    """
    tuning = {"tiles": [[128, 128]], "prologue": 100.0, "tail": 0.5, "shrink": 0.2}
    rows = [product(*shape) for shape in SHAPES]
    rows += [(*row[:2], "int8", *row[3:]) for row in (product(*s, slower=0.9) for s in SHAPES)]
    first, *others = fitted(rows, tuning=tuning).fits
    assert others
    assert not any(
        name.startswith("tuning.") for one in others for name in (*one.part.parameters, *one.part.defaults)
    )
    assert first.kernel.tiled


@pytest.mark.parametrize("number", [6, 7, 8])  # m, n and k in a row of `product`
def test_rows_that_lack_a_number_of_their_kernel_are_left_out_and_told(fitted, number):
    rows = [list(product(*shape)) for shape in SHAPES]
    torn = [[*row[:number], "", *row[number + 1 :]] for row in rows[:2]]
    assert fitted([*torn, *rows[2:]]).left == {f"without the {HEAD[number]} that gemm needs": 2}
