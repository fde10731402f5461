"""Whatever a plugin's code raises, wherever it is called: one message that names it, and exit 2."""

from __future__ import annotations

import json

import attrs
import pytest

from inferbench.discovery.kinds import record_class
from inferbench.discovery.shield import FUNCTIONS, METHODS
from inferbench.records.returned import RETURNS

OWN = "raise type('Own', (BaseException,), {})('no licence')"
RAISES = (
    *("1 / 0", "raise SystemExit(3)", "[][7]", "raise RuntimeError('no licence')"),
    *("raise KeyboardInterrupt", OWN),
)

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
    "compute": (RUN, "metrics mine_s.compute"),
    "render": (("list", "chips", "--format", "mine"), "renderers mine.render"),
    "opened": (("sweep", "shelf-1", "-w", "llama3-8b/decode", "--executor", "mine"), "executors mine.open"),
}


NO_COST, NO_NUMBER = "an inferbench.Cost was expected", "a number, or an array of them, was expected"
OUT_OF_SHAPE = "does not broadcast to the grid's (1, 1, 1)"
RETURNED = [
    ("fabric", "None", NO_COST),
    ("fabric", "5", NO_COST),
    ("fabric", "ib.Cost(busy={'network': -1.0})", "busy 'network' is -1; at least 0 was expected"),
    ("fabric", "ib.Cost(exposed={'hops': np.array([np.nan, -2.0])})", "exposed 'hops' is -2; at least 0"),
    ("fabric", "ib.Cost(busy={'network': 'x'})", f"busy 'network' is str 'x'; {NO_NUMBER}"),
    ("fabric", "ib.Cost(busy={'network': [1, 2]})", NO_NUMBER),
    ("fabric", "ib.Cost(actions={'ops': np.array([object()])})", NO_NUMBER),
    ("fabric", "ib.Cost(busy={5: 1.0})", "busy has the key 5; a text was expected"),
    ("fabric", "ib.Cost(busy={'network': np.zeros((7, 3))})", "does not broadcast to the grid's"),
    ("power", "None", "an inferbench.Energy was expected"),
    ("power", "ib.Energy(-5.0, 100.0)", "joules is -5; at least 0 was expected"),
    ("power", "ib.Energy(5.0, 100.0, 0.5)", "throttle is 0.5; at least 1 was expected"),
    ("power", "ib.Energy('5 J', 100.0)", "joules is str '5 J'"),
    ("power", "ib.Energy(np.zeros((9, 9)), 100.0)", "does not broadcast to the grid's"),
    ("time", "None", f"it is NoneType None; {NO_NUMBER}"),
    ("time", "-1.0", "it is -1; at least 0 was expected"),
    ("time", "1j", NO_NUMBER),
    ("time", "np.zeros((5, 5))", "does not broadcast to the grid's"),
    ("compute", "None", NO_NUMBER),
    ("compute", "'fast'", "it is str 'fast'"),
    ("compute", "1j * run.seconds", "it is complex128"),
    ("compute", "[1, 2, 3]", NO_NUMBER),
    ("compute", "np.zeros((5, 5, 5))", "does not broadcast to the grid"),
    ("applies", "np.array([1, 2])", "truth value of an array"),
    ("architecture", "None", NO_NUMBER),
    ("architecture", "-1e12", "at least 0 was expected"),
    ("architecture", "'fast'", NO_NUMBER),
]
CHANGES = [
    "run.seconds[:] = 0.0",
    "run.batch *= 2",
    "run.busy['compute'][...] = 1.0",
    "run.energy.joules /= 2",
]


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


def test_every_guard_is_of_something_that_is_there():
    for kind, names in FUNCTIONS.items():
        assert set(names) <= {field.name for field in attrs.fields(record_class(kind))}, kind
    for cls, named in METHODS.values():
        assert named <= set(vars(cls))
    methods = {name for cls, _ in METHODS.values() for name in vars(cls)}
    assert set(RETURNS) <= methods


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

    @pytest.mark.parametrize(("where", "what", "expected"), RETURNED)
    def test_what_can_t_be_is_no_result(self, cli, tmp_path, where, what, expected):
        command, named = PLANTED[where]
        code, out, err = cli("-p", written(tmp_path, **{where: f"return {what}"}), *command)
        said = " ".join(err.split())
        assert (code, out) == (2, ""), said
        assert expected in said
        assert named in said or "does not broadcast" in said
        assert "this is a bug" not in said

    @pytest.mark.parametrize("what", CHANGES)
    def test_no_metric_changes_what_the_next_one_sees(self, cli, tmp_path, what):
        code, out, err = cli("-p", written(tmp_path, compute=what), *RUN)
        assert (code, out) == (2, "")
        assert "metrics mine_s.compute: ValueError" in err

    def test_what_is_not_known_is_a_result(self, cli, tmp_path):
        path = written(
            tmp_path, power="return ib.Energy(np.nan, np.nan)", compute="return np.nan * run.seconds"
        )
        code, out, err = cli("-p", path, *RUN, "--format", "json")
        assert code == 0, err
        assert json.loads(out)["results"][0]["metrics"]["mine_s"] is None

    def test_what_it_prints_is_no_part_of_the_answer(self, cli, tmp_path):
        path = written(tmp_path, **dict.fromkeys(("fabric", "power", "time", "applies"), "print('hello')"))
        code, out, err = cli("-p", path, *RUN, "--format", "json")
        assert code == 0
        assert out.startswith("{")
        assert "hello" not in out
        assert "hello" in err
