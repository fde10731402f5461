"""Parameters of whole steps and of power models, found again in readings that were made from known ones."""

from __future__ import annotations

import csv
import math
from typing import ClassVar

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.fits import fit_recipe
from inferbench.calibration.kernel_power import fit_kernel_energies
from inferbench.calibration.power import fit_power, readings_of
from inferbench.calibration.recipe import Recipe
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import read_rows

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
pytestmark = pytest.mark.needs_plugins(
    "importers/csv", "chips/h100-sxm", "networks/llama3-8b", "networks/llama2-7b", "stacks/trtllm-1.3"
)

BATCHES = (1.0, 4.0, 16.0, 64.0)


def seconds(network, batch, stack="trtllm-1.3"):
    run = ib.run("h100-sxm", f"{network}/decode", stack=stack, batch=batch, context=1024.0)
    return float(np.ravel(run.seconds)[0])


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


@pytest.fixture
def served(tmp_path):
    """Decode steps of a server that adds 2 ms per step and 30 us per sequence to its kernels."""

    def make(networks=("llama3-8b", "llama2-7b"), **more):
        rows = [
            {
                "chip": "h100-sxm",
                "software": "Mine 1",
                "network": network,
                "precision": "bf16",
                "phase": "decode",
                "batch": batch,
                "input_len": 1024,
                "latency_s": seconds(network, batch) + 2e-3 + 30e-6 * batch,
                **{name: of(network, batch) for name, of in more.items()},
            }
            for network in networks
            for batch in BATCHES
        ]
        return write(tmp_path / "runs.csv", rows)

    return make


def test_host_time_is_found_again(served):
    recipe = Recipe(kind="serving", files=(served(),), based_on="trtllm-1.3")
    found = fit_recipe(recipe, ib.installed())
    assert found.stack.host.step == pytest.approx(2e-3, rel=1e-3)
    assert found.stack.host.sequence == pytest.approx(30e-6, rel=1e-2)
    assert found.chip.name == "h100-sxm"  # the only one in the file
    assert found.recipe.software == ("Mine 1",)
    assert found.fit.error < 0.1
    assert found.stack.domain.axes["batch"] == (1.0, 64.0)
    assert not [said for said in found.warnings if "how far other networks are off" in said]
    assert [(file.name, file.rows) for file in found.fit.files] == [("runs.csv", 8)]
    assert Recipe.parse(found.fit.command).files == ("runs.csv",)
    assert found.to_dict()["parameters"][0]["path"] == "host.step"


def test_what_was_written_predicts_what_was_measured(served, tmp_path):
    found = fit_recipe(Recipe(kind="serving", files=(served(),), based_on="trtllm-1.3"), ib.installed())
    path = tmp_path / "mine.toml"
    path.write_text(found.toml)
    measured = seconds("llama3-8b", 16.0) + 2e-3 + 30e-6 * 16
    assert seconds("llama3-8b", 16.0, str(path)) == pytest.approx(measured, rel=1e-3)


def test_one_network_tells_nothing_of_others(served):
    files = (served(networks=("llama3-8b",)),)
    found = fit_recipe(Recipe(kind="serving", files=files, based_on="trtllm-1.3"), ib.installed())
    assert any("all rows are of llama3-8b" in warning for warning in found.warnings)
    assert math.isnan(found.fit.parts["decode"].error)
    assert found.fit.step >= 0


def test_parameters_that_stand_for_each_other_are_refused(served):
    recipe = Recipe(
        kind="serving", files=(served(),), based_on="trtllm-1.3", free=("host.step", "host.kernel")
    )
    with pytest.raises(InferBenchError, match="can't be told from each other"):
        fit_recipe(recipe, ib.installed())


def test_the_command_writes_a_stack(served, cli, tmp_path):
    out = tmp_path / "mine.toml"
    code, said, _ = cli("calibrate", "--serving", served(), "--based-on", "trtllm-1.3", "--out", str(out))
    assert code == 0
    assert "network left out" in said
    assert ib.installed().stack(str(out)).host.step == pytest.approx(2e-3, rel=1e-3)
    code, _, said = cli("calibrate", "a.csv", "--serving", "b.csv", "--chip", "b200")
    assert (code, "files for kernels and for serving" in said) == (2, True)


@attrs.frozen(kw_only=True)
class PlainFigures:
    """Figures of the model below."""

    idle: ib.Watts = 0.0
    each: ib.JoulesPerOp = 0.0


@attrs.frozen
class Plain(ib.PowerModel):
    """A stranger's model: idle watts, and joules for each operation, whatever it moves."""

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "idle and operations"
    fidelity: ClassVar[int] = 99
    figures: ClassVar[type] = PlainFigures

    own: PlainFigures = attrs.field(factory=PlainFigures)

    def accepts(self, chip):
        return ""

    def frees(self, chip, alone=False):
        return (
            ib.Free("idle", 100.0, 0.0, 700.0, 0.0, "small batches", unit="W"),
            ib.Free("each", 1e-12, 0.0, 1e-10, 0.0, "large batches", unit="J/OP"),
        )

    def under(self, chip, figures):
        return Plain(figures)

    def energy(self, counts, system):
        watts = self.own.idle + self.own.each * counts.actions["ops"] / counts.seconds
        return ib.Energy(watts * counts.seconds, watts)


def operations(network, batch):
    """Operations of a decode step, as the evaluation counts them."""
    run = ib.run("h100-sxm", f"{network}/decode", stack="ideal", batch=batch, context=1024.0)
    return float(np.ravel(run.chain["actions"]["ops"])[0])


def test_any_power_model_is_fitted_by_what_it_declares(served, plugin, fresh):
    """150 W and 5 pJ per operation, in the measured time."""
    registry = ib.Registry()
    own = plugin(inferbench_power_models=lambda: iter([Plain()]))
    registry.load("plain", lambda: own, "inferbench-power", "1")  # a stranger's is not chosen for an H100

    def watts(network, batch):
        taken = seconds(network, batch) + 2e-3 + 30e-6 * batch
        return 150.0 + 5e-12 * operations(network, batch) / taken

    rows = [("runs.csv", row) for row in read_rows(served(power_w=watts), registry)]
    readings, left = readings_of(rows, ["h100-sxm"], (), "ideal", registry)
    assert (len(readings), left) == (8, {})
    found = fit_power(registry.chip("h100-sxm"), readings, registry)
    assert found.model.name == "plain"
    assert found.values["idle"] == pytest.approx(150.0, rel=1e-4)
    assert found.values["each"] == pytest.approx(5e-12, rel=1e-4, abs=0.0)
    assert found.part.error < 0.1


def test_energies_of_a_chip_are_used_with_their_stack(served, cli, tmp_path):
    out = tmp_path / "mine.toml"

    def watts(network, batch):
        return 250.0 + batch

    args = ("--power", served(power_w=watts), "--chip", "h100-sxm", "--based-on", "trtllm-1.3")
    assert cli("calibrate", *args, "--out", str(out))[0] == 0
    mine, base = (
        ib.run("h100-sxm", "llama3-8b/decode", stack=stack, batch=4.0, context=1024.0)
        for stack in (str(out), "trtllm-1.3")
    )
    assert float(np.ravel(mine.seconds)[0]) == float(np.ravel(base.seconds)[0])
    assert float(np.ravel(mine.energy.watts)[0]) < float(np.ravel(base.energy.watts)[0])
    other = ib.run("h200", "llama3-8b/decode", stack=str(out), batch=4.0, context=1024.0)
    plain = ib.run("h200", "llama3-8b/decode", stack="trtllm-1.3", batch=4.0, context=1024.0)
    assert float(np.ravel(other.energy.watts)[0]) == float(np.ravel(plain.energy.watts)[0])


def test_energies_of_kernels_are_found_again():
    """200 W, 0.4 pJ per operation and 150 pJ per byte of products in a loop."""
    registry = ib.installed()
    chip = registry.chip("h100-sxm")
    rows = []
    for m in (64, 1024, 16384):
        for n in (1024, 4096, 16384):
            for k in (1024, 8192):
                op = ib.Gemm(name="g", precision=ib.Precision.of(["bf16"]), m=m, n=n, k=k)
                ops, moved = float(op.useful), float(np.ravel(op.bytes.total)[0])
                taken = 1.5 * max(ops / 989e12, moved / 3.35e12) + 2e-5
                rows.append(
                    ib.Measurement(
                        source="s",
                        chip="h100-sxm",
                        software="L",
                        phase="op",
                        op="gemm",
                        precision="bf16",
                        axes={"m": float(m), "n": float(n), "k": float(k)},
                        latency_s=taken,
                        power_w=200.0 + (0.4e-12 * ops + 150e-12 * moved) / taken,
                    )
                )
    frees = (
        ib.Free("baseline", 150.0, 50.0, 700.0, 50.0, "", unit="W"),
        ib.Free("ops", 1e-12, 0.0, 1e-11, 0.0, "", unit="J/OP"),
        ib.Free("bytes.hbm", 1e-10, 0.0, 1e-9, 0.0, "", unit="J/B"),
    )
    found = fit_kernel_energies([("a.csv", row) for row in rows], chip, registry, frees, (), (), ())
    assert found.energies["baseline"]["gemm"] == pytest.approx(200.0, rel=0.01)
    assert found.energies["ops"]["gemm"] == pytest.approx(0.4e-12, rel=0.01, abs=0.0)
    assert found.energies["bytes.hbm"]["gemm"] == pytest.approx(150e-12, rel=0.01, abs=0.0)
    assert found.parts["gemm"].error < 1.0
    with pytest.raises(InferBenchError, match="no kernel of h100-sxm has a reading of power"):
        fit_kernel_energies([], chip, registry, frees, (), (), ())
