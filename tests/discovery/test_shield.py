"""Whatever a plugin's code raises, wherever it is called: one message that names it, and exit 2."""

from __future__ import annotations

import pytest

OWN = "raise type('Own', (BaseException,), {})('no licence')"
RAISES = ("1 / 0", "raise SystemExit(3)", "[][7]", "raise RuntimeError('no licence')", OWN)

CHIP = """
import numpy as np
import inferbench as ib

class Shelf(ib.Architecture):
    name, title, params = "shelf", "Shelf", ib.NoParams
    {architecture}

class Wires(ib.Fabric):
    name, title = "wires", "Wires"
    def cost(self, collective, link, layout):
        {fabric}
        return ib.Cost(busy={{"network": collective.payload / link.bandwidth}})

class Watts(ib.PowerModel):
    name, title, fidelity, architectures = "shelf-watts", "Watts", 99, ("shelf",)
    def accepts(self, chip):
        return "" if chip.architecture_type == "shelf" else "not mine"
    def energy(self, counts, system):
        {power}
        return ib.Energy(100.0 * counts.seconds, 100.0, 1.0)

class Slow(ib.TimeModel):
    name, title = "slow", "Slow"
    figures = ib.RooflineFigures
    def time(self, cost, figures, at):
        {time}
        return 2.0 * ib.Roofline().time(cost, figures, at)

@ib.hookimpl
def inferbench_architectures():
    yield Shelf()

@ib.hookimpl
def inferbench_fabrics():
    yield Wires()

@ib.hookimpl
def inferbench_power_models():
    yield Watts()

@ib.hookimpl
def inferbench_time_models():
    yield Slow()

@ib.hookimpl
def inferbench_stacks():
    yield ib.Stack(name="slow-stack", title="Slow", time_model=Slow())

@ib.hookimpl
def inferbench_metrics():
    def applies(run):
        {applies}
        return True
    def compute(run):
        {compute}
        return run.seconds
    yield ib.Metric("mine_s", "mine", "s", "lower", compute, applies=applies, order=25)

@ib.hookimpl
def inferbench_renderers():
    def render(report, width):
        {render}
        return "mine\\n"
    yield ib.Renderer("mine", render)

@ib.hookimpl
def inferbench_executors():
    def opened(options):
        {opened}
        raise ib.InferBenchError.at("shelf", "no workers")
    yield ib.Executor("mine", "Mine", opened)

@ib.hookimpl
def inferbench_chips():
    yield ib.Chip(name="shelf-1", title="Shelf 1", vendor="me", architecture_type="shelf",
                  architecture=ib.NoParams(), peak={{"bf16": 1e14}},
                  memory={{"hbm": ib.MemoryLevel(capacity=1e12, bandwidth=1e12)}},
                  interconnect={{"scale_up": ib.Link(fabric="wires", bandwidth=1e11, size=8)}})
"""
WHERE = ("architecture", "fabric", "power", "time", "applies", "compute", "render", "opened")
RUN = ("run", "shelf-1", "llama3-8b/decode", "--precision", "bf16")
PLANTED = {
    "architecture": (RUN, "shelf.peak"),
    "fabric": (("run", "2xshelf-1:tp2", *RUN[2:]), "wires.cost"),
    "power": (RUN, "shelf-watts.energy"),
    "time": ((*RUN, "--stack", "slow-stack"), "slow.time"),
    "applies": (RUN, "metrics mine_s.applies"),
    "compute": (RUN, "metric mine_s"),
    "render": (("list", "chips", "--format", "mine"), "renderers mine.render"),
    "opened": (("sweep", "shelf-1", "-w", "llama3-8b/decode", "--executor", "mine"), "executors mine.open"),
}


def written(tmp_path, **broken):
    peak = (
        f"def peak(self, chip, precision):\n        {broken.pop('architecture')}"
        if "architecture" in broken
        else ""
    )
    parts = {name: broken.get(name, "pass") for name in WHERE} | {"architecture": peak or "pass"}
    path = tmp_path / "planted.py"
    path.write_text(CHIP.format(**parts))
    return str(path)


@pytest.mark.needs_plugins("networks/llama3-8b")
class TestPlanted:
    @pytest.mark.parametrize(
        "command",
        [RUN, ("run", "2xshelf-1:tp2", *RUN[2:]), (*RUN, "--stack", "slow-stack")],
        ids=["one", "two", "slow"],
    )
    def test_the_good_plugin_runs(self, cli, tmp_path, command):
        code, out, err = cli("-p", written(tmp_path), *command)
        assert code == 0, err
        assert "mine" in out

    @pytest.mark.parametrize("what", RAISES)
    @pytest.mark.parametrize("where", WHERE)
    def test_what_it_raises_is_one_message_that_names_it(self, cli, tmp_path, where, what):
        command, named = PLANTED[where]
        place = ("--out", str(tmp_path / "out.parquet")) if where == "opened" else ()
        code, out, err = cli("-p", written(tmp_path, **{where: what}), *command, *place)
        assert (code, out) == (2, "")
        said = " ".join(err.split())
        assert named in said
        assert "planted" in said
        assert "this is a bug" not in said
        assert "Traceback" not in said

    def test_what_it_prints_is_no_part_of_the_answer(self, cli, tmp_path):
        path = written(tmp_path, **dict.fromkeys(("fabric", "power", "time", "applies"), "print('hello')"))
        code, out, err = cli("-p", path, *RUN, "--format", "json")
        assert code == 0
        assert out.startswith("{")
        assert "hello" not in out
        assert "hello" in err
