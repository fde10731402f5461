"""How fast a sweep is: rates are measured and their targets stand beside them; asserted is only what doesn't
depend on the clock.

python -m pytest tests/benchmarks --benchmark-enable
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from inferbench.discovery.registry import installed
from inferbench.model.evaluate import evaluate
from inferbench.records.system import Layout
from inferbench.specs.ranges import parse
from inferbench.sweeping.columns import Columns
from inferbench.sweeping.plan import plan
from inferbench.sweeping.request import Request
from inferbench.sweeping.work import Bench, keep_memory

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/dense-1b")
STACK = Path(__file__).parent.parent / "data" / "speed.toml"
# What a full point is: time, power, energy, cost and the three factors; feasibility comes with every point.
FULL = ("tpot_s", "power_w", "joules_per_token", "usd_per_mtok", "algorithm", "hardware", "software")
FOUR = tuple(Layout.parse(text) for text in ("tp8", "tp4pp2", "tp4dp2", "tp2pp4"))
MIB = 2**20


class Filling:
    """Evaluates a grid of so many points into the columns of full points, chunk by chunk."""

    def __init__(self, batches: int, layouts: tuple[Layout, ...]) -> None:
        known = installed()
        axes = {"batch": parse(f"1:{batches}:+1", "--batch"), "context": parse("33:33000:+33", "--context")}
        asked = Request(
            systems=("8xh100-sxm:tp8",),
            workloads=("llama3-70b/decode",),
            axes=axes,
            precisions=("bf16", "fp8", "int4"),
            stack=str(STACK),
        )
        self.plan, self.layouts = plan(asked, known), layouts
        self.bench = Bench(self.plan, known)
        self.metrics = [metric for metric in known.metrics() if metric.name in FULL]
        keep_memory()

    def __call__(self) -> int:
        rows = 0
        for chunk in self.plan.chunks:
            columns = Columns.empty(chunk.points, self.plan.axes, [metric.name for metric in self.metrics])
            start = 0
            for piece in chunk.pieces:
                work = self.plan.works[piece.work]
                case = self.plan.case(work, self.bench.registry)
                columns.fill(start, evaluate(case, work.grid(piece.block), self.layouts), self.metrics)
                start += piece.points
            rows += columns.rows
        return rows


@pytest.mark.parametrize(
    ("layouts", "least"), [(FOUR[:1], 5e6), (FOUR, 1e6)], ids=["one layout", "four layouts searched"]
)
def test_a_million_full_points_a_second(benchmark, layouts, least):
    fill = Filling(333 if not benchmark.disabled else 20, layouts)
    fill()
    assert benchmark.pedantic(fill, rounds=5) == fill.plan.size
    if not benchmark.disabled:
        benchmark.extra_info["points per second"] = fill.plan.size / benchmark.stats.stats.min
        benchmark.extra_info["target"] = least


@pytest.mark.parametrize("batches", [33, 333])
def test_the_cost_grows_linearly(benchmark, batches):
    """Two sizes, ten times apart: their times stand below each other."""
    fill = Filling(batches if not benchmark.disabled else 2, FOUR[:1])
    assert benchmark.pedantic(fill, rounds=3, warmup_rounds=1) == fill.plan.size


def test_operators_on_weights_alone_never_grow_the_context_axis():
    from inferbench.model.case import prepare
    from inferbench.records.grid import Grid
    from inferbench.records.system import System

    known = installed()
    case = prepare(
        System(known.chip("h100-sxm")),
        known.network("llama3-70b"),
        "decode",
        stack=known.stack("ideal"),
        registry=known,
    )
    grid = Grid.of({"batch": range(1, 6), "context": range(1, 12)}, ["bf16", "fp8", "int4"])
    sizes = {
        op.name: max(getattr(op.bytes.total, "size", 1), getattr(op.useful, "size", 1))
        for op in case.graph(grid.at)
    }
    assert sizes.pop("attention") == 5 * 11 * 3
    assert max(sizes.values()) == 5 * 3


@pytest.mark.slow
def test_a_million_points_stay_below_1_5_gib(tmp_path):
    """Peak of a process that sweeps 999,000 points of a prefill, the hungriest phase, to Parquet."""
    pytest.importorskip("pyarrow", reason="the extra inferbench-core[sweep] is not installed")
    code = (
        "import resource, sys; from inferbench.cli.app import run; code = run(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "sweep",
            "8xh100-sxm:tp8",
            "-w",
            "llama3-70b/prefill",
            "--batch",
            "1:333:+1",
            "--context",
            "33:33000:+33",
            "--precision",
            "bf16,fp8,int4",
            "--stack",
            str(STACK),
            "--out",
            str(tmp_path / "out"),
            "--executor",
            "inline",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stderr.splitlines()[-1]) * unit <= 1536 * MIB


CHIPS = (
    "a100-sxm-80gb",
    "h100-sxm",
    "h200",
    "b200",
    "mi300x",
    "mi355x",
    "tpu-v5p",
    "tpu-v6e",
    "groq-lpu",
    "wse-3",
    "gaudi-3",
    "sn40l",
)


@pytest.mark.slow
def test_the_reference_space_of_twelve_chips_in_three_seconds(benchmark, process):
    """12 chips x 3 phases x 9 sizes x 10 x 9 x 3, a process of its own, imports included."""
    missing = [chip for chip in CHIPS if chip not in installed().entries("chips")]
    if missing:
        pytest.skip(f"no installed package provides {', '.join(missing)}")
    done = benchmark.pedantic(
        process, args=("sweep", *CHIPS, "--grid", "reference", "--format", "csv"), rounds=3
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(CHIPS)
    assert all(f",{27 * 270}," in line for line in done.stdout.splitlines()[1:])
    benchmark.extra_info["target"] = "3 s"


GRID = (
    "8xh100-sxm:tp8",
    "-w",
    "llama3-70b/decode",
    "--context",
    "33:33000:+33",
    "--precision",
    "bf16,fp8,int4",
)


@pytest.mark.timing
@pytest.mark.parametrize("out", [False, True], ids=["summary", "parquet"])
@pytest.mark.parametrize("batches", [333, 3333], ids=["10^6", "10^7"])
def test_a_command_from_its_start_to_its_end(benchmark, process, tmp_path, batches, out):
    """Processor time of a process of its own, imports included: the best of three."""
    target = {(333, False): 1.5, (333, True): 2.5, (3333, False): 8.0, (3333, True): 15.0}[batches, out]
    number, seconds = iter(range(9)), []

    def command():
        place = ("--executor", "inline", "--out", str(tmp_path / str(next(number)))) if out else ()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = process("sweep", *GRID, "--batch", f"1:{batches}:+1", *place)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        return done

    done = benchmark.pedantic(command, rounds=3)
    assert done.returncode == 0, done.stderr
    benchmark.extra_info.update({"processor seconds": min(seconds), "target": f"{target} s"})


@pytest.mark.timing
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_million_points_on_workers(benchmark, process, tmp_path, workers):
    """Two take 0.6 of the time of one, where two cores are free."""
    place = ("--executor", "processes", "--workers", str(workers), "--out", str(tmp_path / "out"))
    done = benchmark.pedantic(process, args=("sweep", *GRID, "--batch", "1:3333:+1", *place), rounds=1)
    assert done.returncode == 0, done.stderr


FIVE = "h100,h200,b200,mi300x,tpu-v5p"


@pytest.mark.timing
@pytest.mark.parametrize(
    "command",
    [
        ("frontier", "8xh200", "-w", "deepseek-v3", "--slo-tpot", "50ms", "--slo-ttft", "2s"),
        ("size", "llama3-70b", "--tpot", "50ms", "--users", "200", "--chips", FIVE),
        ("size", "deepseek-v3", "--tpot", "50ms", "--users", "200", "--chips", FIVE),
    ],
    ids=["frontier", "size of a dense network", "size of a mixture"],
)
@pytest.mark.needs_plugins("chips/h200", "chips/mi300x", "chips/tpu-v5p", "networks/deepseek-v3")
def test_a_search_from_its_start_to_its_end(benchmark, process, command):
    """Target: 5 s of processor time, imports included; the best of three."""
    seconds = []

    def search():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = process(*command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        return done

    done = benchmark.pedantic(search, rounds=3)
    assert done.returncode == 0, done.stderr
    benchmark.extra_info.update({"processor seconds": min(seconds), "target": "5 s"})
