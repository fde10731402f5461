"""A stranger's record is first-class: it shows on every screen, and nobody takes a name of the core."""

from __future__ import annotations

import json

import pytest

from inferbench.discovery.registry import installed

METRIC = """
import inferbench as ib

@ib.hookimpl
def inferbench_metrics():
    yield ib.Metric(
        "answers_per_s", "answers per second", "", "higher",
        lambda run: run.items / run.seconds / 250, order=25,
    )
"""
ARRAYS = """
import numpy as np
import inferbench as ib

@ib.frozen
class Params:
    arrays: int = 4

class Shelf(ib.Architecture):
    name = "shelf"
    title = "Shelf of arrays"
    params = Params

    def gemm(self, op, site):
        return ib.Cost(busy=site.memory_time(op), actions={"ops": op.useful})

    attention = elementwise = reduce = move = gemm

    def place(self, graph, chip, layout):
        has = float(chip.architecture.arrays)
        numbers = {"tiles": 7.0, "has": has}
        reason = ib.Reason("arrays", "needs {tiles} arrays, has {has}", numbers, np.array(True))
        homes = dict.fromkeys(("weights", "state", "inputs", "outputs"), "sram")
        return ib.Placement(homes, {}, np.array(False), (reason,))

@ib.hookimpl
def inferbench_architectures():
    yield Shelf()

@ib.hookimpl
def inferbench_chips():
    yield ib.Chip(name="shelf-1", title="Shelf 1", vendor="me",
                  architecture_type="shelf", architecture=Params(),
                  peak={"bf16": 1e12}, memory={"sram": ib.MemoryLevel(capacity=1e9, bandwidth=1e12)})
"""
RENDERER = """
import inferbench as ib

@ib.hookimpl
def inferbench_renderers():
    yield ib.Renderer("json", lambda report, width: "mine")
    yield ib.Renderer("shout", lambda report, width: f"{report.tables[0].title.upper()}!\\n")
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.needs_plugins
@pytest.mark.parametrize(
    "command",
    [
        ("run", "b200", "llama3-70b/decode", "--precision", "fp8"),
        ("compare", "b200", "h100", "-w", "llama3-8b/decode"),
        ("frontier", "b200", "-w", "llama3-8b"),
    ],
    ids=lambda command: command[0],
)
def test_a_metric_shows_on_every_screen(cli, file, command):
    code, out, _ = cli("-p", file(METRIC), *command)
    assert code == 0
    assert "answers per" in out


def test_a_count_in_a_reason_is_written_as_a_count(cli, file):
    if "llama3-8b" not in installed().names("networks"):
        pytest.skip("no installed package provides networks/llama3-8b")
    code, out, _ = cli("-p", file(ARRAYS), "run", "shelf-1", "llama3-8b/decode")
    assert code == 0
    assert "needs 7 arrays, has 4" in " ".join(out.split())


class TestRenderers:
    def test_a_format_of_its_own_is_used(self, toy_cli, file):
        code, out, _ = toy_cli("-p", file(RENDERER), "list", "chips", "--format", "shout")
        assert (code, out[-2:]) == (0, "!\n")

    def test_a_name_of_the_core_is_refused_by_name_of_both_owners(self, toy_cli, file):
        path = file(RENDERER)
        code, out, err = toy_cli("-p", path, "list", "chips", "--format", "json")
        assert code == 0
        assert out.startswith("{")
        assert path in err
        doctor = " ".join(toy_cli("-p", path, "doctor")[1].split())
        assert "'json' is already provided by inferbench-core" in doctor

    def test_all_formats_are_listed(self, toy_cli):
        _, out, _ = toy_cli("list", "renderers")
        assert {"table", "json", "csv", "markdown"} <= set(out.replace(",", " ").split())


COMMAND = """
import click
import inferbench as ib

@click.command("run")
def other():
    click.echo("hijacked")

@click.command("greet")
def greet():
    click.echo("hello")

@ib.hookimpl
def inferbench_commands():
    yield other
    yield greet
"""


class TestCommands:
    def test_a_command_of_its_own_runs(self, toy_cli, file):
        assert toy_cli("-p", file(COMMAND), "greet")[:2] == (0, "hello\n")

    def test_a_command_of_the_core_stays_the_core_s(self, toy_cli, file):
        path = file(COMMAND)
        assert "hijacked" not in toy_cli("-p", path, "run", "toy-1", "toy-net/decode")[1]
        doctor = " ".join(toy_cli("-p", path, "doctor")[1].split())
        assert "'run' is already provided by inferbench-core" in doctor


KIND = """
from functools import cached_property
import attrs
import inferbench as ib

@attrs.frozen(kw_only=True, slots=False, eq=False)
class Stencil(ib.Op):
    batch: float
    points: float
    taps: float = 7.0

    kind = "stencil"

    @cached_property
    def useful(self):
        return 2.0 * self.batch * self.points * self.taps

    @cached_property
    def bytes(self):
        return ib.Bytes(inputs=4.0 * self.batch * self.points, outputs=4.0 * self.batch * self.points)

    def lower(self):
        yield ib.Gemm(name="taps", precision=self.precision, m=self.batch * self.points, n=1.0, k=self.taps)
"""


@pytest.mark.needs_plugins("chips/h100-sxm", "importers/csv")
class TestAKindOfOperators:
    """100 stencils whose kernels take 5 us and then 1 TB/s of the H100's 3.35: found again by `calibrate`."""

    @pytest.fixture
    def rows(self, tmp_path):
        lines = ["chip,framework,op,phase,precision,batch,points,taps,latency_us"]
        for batch in (1, 2, 4, 8, 16):
            for points in (10, 20, 30, 40):
                moved = 8.0 * batch * points * 1e5
                lines.append(f"H100,mine-1,stencil,op,bf16,{batch},{points}e5,7,{5.0 + moved / 1e6}")
        path = tmp_path / "rows.csv"
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def test_it_is_costed(self, cli, file):
        code, out, _ = cli(
            "-p", file(KIND), "op", "h100-sxm", "stencil", "--batch", "1,8", "--points", "1000000"
        )
        assert code == 0
        assert "stencil on H100 SXM" in out

    def test_what_must_be_given_is_said(self, cli, file):
        code, _, err = cli("-p", file(KIND), "op", "h100-sxm", "stencil", "--batch", "1")
        assert code == 2
        assert "points must be given" in err

    def test_it_is_calibrated_and_validated(self, cli, file, rows, tmp_path):
        path, out = file(KIND), str(tmp_path / "mine.toml")
        calibrate = ("calibrate", rows, "--chip", "h100-sxm", "--stack", "mine", "--out", out)
        code, _, err = cli("-p", path, *calibrate)
        assert code == 0, err
        installed.cache_clear()
        code, text, err = cli("-p", path, "validate", rows, "--stack", out, "--format", "json")
        assert code == 0, err
        scored = [row for row in json.loads(text)["rows"] if row["op"] == "stencil"]
        assert len(scored) == 20
        assert all(abs(row["predicted"] / row["measured"] - 1.0) < 0.1 for row in scored)


TIME = """
import inferbench as ib

@ib.frozen
class Figures:
    configure: ib.Seconds = 0.0
    fill: ib.Seconds = 0.0
    streaming: ib.Fraction = 1.0

class Streams(ib.TimeModel):
    name = "streams"
    title = "configure, fill and stream"
    figures = Figures

    def time(self, cost, figures, at):
        busy = ib.maximum(cost.busy["compute"], cost.busy["memory.hbm"] / figures.streaming)
        return busy + figures.configure + figures.fill

@ib.hookimpl
def inferbench_time_models():
    yield Streams()
"""
STREAMS = """
title = "Streams 1.0"
[time]
model = "streams"
configure = "1 ms"
fill = "2 ms"
streaming = 0.5
"""


class TestATimeModel:
    """Four layers and a head of 10,000 x 10,000 weights of 2 bytes: 200 MB, 200 us each at 1 TB/s."""

    @pytest.fixture
    def stack(self, tmp_path):
        def write(text=STREAMS):
            path = tmp_path / "mine.toml"
            path.write_text(text)
            return str(path)

        return write

    @pytest.fixture
    def run(self, toy_cli, file):
        def call(stack, plugin=TIME):
            given = ("toy-net/decode", "--option", "head=false", "--scenario", "toy", "--ignore-capacity")
            chosen = ("--stack", stack) if stack else ()
            return toy_cli("-p", file(plugin), "run", "toy-chip", *given, *chosen, "--format", "json")

        return call

    def test_it_times_a_run_by_its_own_three_figures(self, run, stack):
        """Four kernels: 400 us of bytes at half of the bandwidth, and 3 ms to configure and fill."""
        code, out, err = run(stack())
        assert code == 0, err
        (row,) = json.loads(out)["results"]
        assert row["metrics"]["tpot_s"] == pytest.approx(4 * (400e-6 + 3e-3), rel=1e-3)

    def test_a_figure_that_it_has_not_is_refused_where_it_stands(self, run, stack):
        code, _, err = run(stack(STREAMS.replace("fill", "fil")))
        assert code == 2
        assert "mine.toml: time.fil: unknown key" in err
        assert "did you mean 'fill'?" in err

    def test_a_table_of_another_model_is_no_figure_of_it(self, run, stack):
        code, _, err = run(stack(STREAMS + '[time.launch]\ngemm = "2 us"\n'))
        assert code == 2
        assert "time.launch: unknown key" in err

    def test_without_its_plugin_the_model_is_named(self, toy_cli, stack):
        code, _, err = toy_cli("run", "toy-chip", "toy-net/decode", "--stack", stack())
        assert code == 2
        assert "mine.toml: time.model = 'streams': unknown time model" in err

    def test_a_stack_based_on_it_has_its_model_and_what_it_does_not_say(self, run, stack):
        whole = f"{TIME}\n@ib.hookimpl\ndef inferbench_stacks():\n    yield ib.Stack("
        whole += "name='base', title='B', time_model=Streams(), figures=Figures(configure=1.0, fill=2.0))\n"
        code, out, err = run(stack('title = "S"\nbased_on = "base"\n[time]\nfill = "5 s"\n'), whole)
        assert code == 0, err
        assert json.loads(out)["results"][0]["metrics"]["tpot_s"] == pytest.approx(
            4 * (200e-6 + 6.0), rel=1e-3
        )

    def test_stacks_whose_model_is_missing_are_left_out_of_choices(self, run, tmp_path):
        (tmp_path / "stacks").mkdir()
        (tmp_path / "stacks" / "other.toml").write_text(STREAMS.replace("streams", "elsewhere"))
        text = "from pathlib import Path\nimport inferbench as ib\n@ib.hookimpl\ndef inferbench_stacks():\n"
        text += f"    yield Path({str(tmp_path)!r}) / 'stacks'\n"
        assert run("", text)[0] == 0
        code, _, err = run("other", text)
        assert code == 2
        assert "other.toml: time.model = 'elsewhere'" in err
