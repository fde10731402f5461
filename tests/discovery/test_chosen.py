"""What the core chooses by itself for a chip or a file, where several packages have something to choose."""

from __future__ import annotations

import pytest

import inferbench as ib
from inferbench.evidence.importing import read_measurements
from inferbench.model.choice import choose
from inferbench.records.fit import Domain


class Watts(ib.PowerModel):
    title = "Watts"

    def __init__(self, name, fidelity):
        self.name, self.fidelity = name, fidelity

    def accepts(self, chip):
        return ""

    def energy(self, counts, system):
        return ib.Energy(counts.seconds, 1.0, 1.0)


class Reader(ib.Workload):
    title, params, phases = "Reader", ib.NoParams, ()

    def __init__(self, name):
        self.name = name

    def graph(self, network, at, phase, options):
        yield from ()

    def items(self, network, at, phase):
        return at["batch"]

    def read_config(self, config):
        return {}


def chip_of(name):
    return ib.Chip(
        name=name,
        title=name,
        vendor="V",
        architecture_type="toy",
        architecture=None,
        peak={"bf16": 1e12},
        memory={"hbm": ib.MemoryLevel(1e9, 1e9)},
    )


def stack_of(name, error):
    return ib.Stack(
        name=name,
        title=name,
        architectures=("toy",),
        fit=ib.Fit(rows=9, kernel=error, step=error),
        domain=Domain(chips=("ours-1",)),
        figures=ib.RooflineFigures(),
    )


def metric_of(name, order):
    return ib.Metric(name, name, "W", "lower", lambda run: run.seconds, role="power", order=order)


class TestChosen:
    """What the core chooses by itself is no stranger's, whatever a stranger promises."""

    @pytest.fixture
    def rivals(self, registry, plugin):
        def build(*kinds, version="1.0"):
            brings = {
                "chips": lambda who, late: [chip_of(f"{who}-1")],
                "power_models": lambda who, late: [Watts(f"{late}-watts", 99 if late == "a" else 0)],
                "stacks": lambda who, late: [stack_of(f"{late}-stack", 0.001 if late == "a" else 0.3)],
                "workloads": lambda who, late: [Reader(f"{late}-reader")],
                "importers": lambda who, late: [
                    ib.Importer(
                        f"{late}-log",
                        late,
                        lambda path, text: "",
                        lambda path: [ib.Measurement(source=late, chip="x", tpot_s=1.0)],
                    )
                ],
                "metrics": lambda who, late: [metric_of(f"{late}_w", -9 if late == "a" else 9)],
            }

            def module(who, late, kinds):
                hooks = {
                    f"inferbench_{kind}": lambda kind=kind: iter(brings[kind](who, late)) for kind in kinds
                }
                return plugin(**hooks)

            return registry(
                ("a", "inferbench-theirs", module("theirs", "a", brings)),
                ("specs", "inferbench-specs", module("ours", "z", {"chips", *kinds})),
            )

        return build

    def test_a_power_model(self, rivals):
        known = rivals("power_models")
        assert known.power_model(known.chip("ours-1"))[0].name == "z-watts"
        assert known.power_model(known.chip("theirs-1"))[0].name == "a-watts"

    def test_a_power_model_where_no_other_serves(self, rivals):
        known = rivals()
        assert known.power_model(known.chip("ours-1"))[0].name == "a-watts"

    def test_a_stack(self, rivals):
        known = rivals("stacks")
        asked = (known.chip("ours-1"), None, "decode", "bf16", known)
        assert choose("best", *asked).stack.name == "z-stack"
        assert choose("a-stack", *asked).stack.name == "a-stack"

    def test_a_stack_where_no_other_was_fitted(self, rivals):
        known = rivals()
        assert choose("best", known.chip("ours-1"), None, "decode", "bf16", known).stack.name == "a-stack"

    def test_a_reader_of_configs(self, rivals, tmp_path):
        path = tmp_path / "config.json"
        path.write_text('{"model_type": "x"}')
        assert rivals("workloads").network(str(path)).type == "z-reader"

    def test_an_importer(self, rivals, tmp_path):
        path = tmp_path / "run.txt"
        path.write_text("anything")
        assert read_measurements(path, rivals("importers"))[0].source == "z"

    def test_what_scores_are_made_of(self, rivals):
        assert rivals("metrics").roles()["power"].name == "z_w"
