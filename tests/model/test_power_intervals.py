"""Intervals of power and energy: laws of `E = P0 t + E_dyn`, the power limit, what widens them, and who has
none.
"""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.document import results
from inferbench.model.evaluate import evaluate, prepare
from inferbench.model.intervals import INTERVAL, bounds, energy_log_errors
from inferbench.model.operators import cost_rows
from inferbench.records.measurement import Measurement
from inferbench.records.system import System
from inferbench.validation.validate import validate

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")


def run(stack="vllm-h100", system="h100-sxm", phase="decode", **axes):
    return ib.run(system, f"llama3-8b/{phase}", stack=stack, **axes)


def first(run, array):
    return float(np.ravel(run.values(array))[0])


def row(**fields):
    common = {
        "source": "here",
        "chip": "H100",
        "software": "vLLM",
        "network": "llama3-8b",
        "phase": "generate",
        "axes": {"batch": 1.0, "context": 1024.0, "output": 512.0},
        "power_w": 400.0,
    }
    return next(iter(validate({"s": [Measurement(**{**common, **fields})]}, ib.installed())))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 4.0])
def test_an_error_of_time_moves_power_and_energy_as_the_model_itself_does(seconds):
    # A millionth more time through the power model, against what the standard errors say of such an error.
    chip = ib.installed().chip("h100-sxm")
    model, _ = ib.installed().power_model(chip)
    counts = {"ops": 4e13, "bytes.hbm": 1e12}

    def at(t):
        return model.energy(
            ib.ActivityCounts(counts, t, 1, ib.Precision.of(["bf16"]), ("bf16",)), ib.System(chip)
        )

    here, later = at(seconds), at(seconds * (1 + 1e-6))
    sure = attrs.evolve(here, log_error=0.0)
    power, energy = energy_log_errors(1e-6, sure, here.parts["idle"], chip.power.tdp)
    assert power == pytest.approx(abs(np.log(later.watts / here.watts)), rel=1e-3)
    assert energy == pytest.approx(np.log(later.joules / here.joules), rel=1e-3)


def test_errors_of_time_and_of_coefficients_are_joined_in_quadrature():
    # A quarter of the energy is baseline. Time 0.4: power 0.3, energy 0.1; with 0.4 of the coefficients' own
    # 0.5 and 0.412.
    one = ib.Energy(100.0, 100.0, log_error=0.4)
    power, energy = energy_log_errors(0.4, one, 25.0, 700.0)
    assert power == pytest.approx(0.5)
    assert energy == pytest.approx(math.sqrt(0.17))


def test_at_the_limit_energy_follows_time_and_power_does_not_rise():
    at_limit = ib.Energy(700.0, 700.0, log_error=0.0)
    assert energy_log_errors(0.1, at_limit, 100.0, 700.0)[1] == pytest.approx(0.1)


def test_no_interval_reaches_beyond_the_limit():
    found = run(phase="prefill", batch=[1.0, 4.0], context=[128.0, 2048.0])
    limit = 700.0 * (1 + 1e-12)
    high = found.values(found.energy.watts) * bounds(found, "power")[1]
    assert np.all(high <= limit)
    assert np.any(high >= 700.0 * (1 - 1e-12))  # it is needed: some would reach beyond
    most = found.values(found.energy.joules) * bounds(found, "energy")[1]
    longest = found.values(found.seconds) * bounds(found)[1]
    assert np.all(most <= longest * limit)


def test_every_figure_under_a_fitted_stack_has_its_ends_and_none_under_the_ideal():
    metrics = ib.installed().metrics()
    (fitted,) = results(run(), metrics)
    (ideal,) = results(run("ideal"), metrics)
    for name in ("tpot_s", "power_w", "joules_per_token"):
        found = fitted["metrics"]
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
        assert f"{name}_low" not in ideal["metrics"]
    assert math.isnan(first(run("ideal"), run("ideal").power_log_error))


def test_a_grid_has_the_spreads_of_its_points():
    whole = run(batch=[1.0, 16.0, 64.0], context=[512.0, 4096.0])
    for i, batch in enumerate((1.0, 16.0, 64.0)):
        point = run(batch=batch, context=4096.0)
        for name in ("power_log_error", "energy_log_error"):
            assert whole.values(getattr(whole, name))[i, 1, 0] == first(point, getattr(point, name))


def test_a_searched_layout_has_the_spread_of_the_layout_named():
    searched = run("trtllm-1.3", "4xh100-sxm")
    layout = searched.layouts[int(np.ravel(searched.values(searched.layout))[0])]
    named = run("trtllm-1.3", f"4xh100-sxm:{layout}")
    assert first(searched, searched.power_log_error) == first(named, named.power_log_error)
    assert first(searched, searched.energy_log_error) == first(named, named.energy_log_error)


@pytest.mark.needs_plugins("chips/b200", "stacks/trtllm-1.3")
def test_borrowed_figures_and_narrow_formats_are_less_sure():
    known = run("trtllm-1.3", batch=16.0)
    own = first(known, known.energy.log_error)
    assert math.exp(INTERVAL * own) < 1.35
    for other in (
        run("trtllm-1.3", "h200", batch=16.0),
        run("trtllm-1.3", batch=64.0, precision="fp8"),
    ):
        assert first(other, other.energy.log_error) > 1.05 * own


@pytest.mark.needs_plugins("networks/sdxl", "stacks/diffusers-h100", "chips/a100-sxm-40gb")
def test_a_stack_with_energies_brings_its_own_error_and_widens_outside_its_box():
    # `energy` 0.1067 in the file; another chip adds 0.25 in quadrature.
    here, there = (
        ib.run(chip, "sdxl/image", stack="diffusers-h100") for chip in ("h100-sxm", "a100-sxm-40gb")
    )
    own = here.stack.fit.energy
    assert first(here, here.energy_log_error) == pytest.approx(own)
    assert first(there, there.energy_log_error) == pytest.approx(math.hypot(own, 0.25))


def test_what_software_spends_beside_the_counts_slows_no_chip():
    # Beyond the H100's limit: 1.2 POP in a second, 0.534 pJ of it certainly spent, 572 W left for it:
    # 640.8 / 572 times as long.
    chip = ib.installed().chip("h100-sxm")
    model, _ = ib.installed().power_model(chip)
    plain = ib.ActivityCounts({"ops": 1.2e15}, 1.0, 1, ib.Precision.of(["bf16"]), ("bf16",))
    dear = attrs.evolve(plain, factors={"ops": 3.0})
    assert model.energy(plain, ib.System(chip)).throttle[0] == pytest.approx(640.8 / 572)
    assert model.energy(dear, ib.System(chip)).throttle[0] == pytest.approx(640.8 / 572)


@pytest.mark.needs_plugins("stacks/trtllm-1.3")
def test_a_kernel_alone_is_wider_than_a_step_and_within_the_limit():
    registry = ib.installed()
    columns = {"m": np.array([1.0, 128.0, 4096.0]), "n": np.full(3, 4096.0), "k": np.full(3, 4096.0)}
    chip = registry.chip("h100-sxm")
    found = cost_rows("gemm", columns, "bf16", chip, registry.stack("trtllm-1.3"), registry)
    low, high = found.between("power")
    assert np.all(found.watts * high <= 700.0 * (1 + 1e-12))
    assert np.all(low < math.exp(-INTERVAL * 0.5))
    ideal = cost_rows("gemm", columns, "bf16", chip, registry.stack("ideal"), registry)
    assert np.isnan(ideal.between("energy")[0]).all()


def test_measured_power_is_scored_against_its_interval():
    inside = row()
    assert inside.low < inside.predicted < inside.high
    assert row(power_w=inside.high * 0.999).covered
    assert not row(power_w=inside.high * 1.001).covered


@pytest.mark.parametrize("boundary", ["chip", "server", "wall", "facility"])
def test_figures_of_different_boundaries_never_meet(boundary):
    found = row(boundary=boundary)
    assert (found.code, found.scored) == ("boundary", False)
    assert f"measured at the {boundary}, predicted at the board" in found.why
    assert "would convert it" in found.why
    assert row(boundary="board").scored


def test_a_boundary_of_power_says_nothing_of_time():
    assert row(power_w=math.nan, latency_s=4.0, boundary="wall").scored


@pytest.mark.needs_plugins("chips/b200", "stacks/trtllm-1.3-b200")
def test_a_kernels_power_at_the_wall_is_not_scored():
    axes = {"m": 512.0, "n": 2048.0, "k": 8192.0}
    common = {
        "chip": "B200",
        "software": "TRTLLM-1.3.0rc15",
        "network": "",
        "phase": "op",
        "op": "gemm",
        "axes": axes,
    }
    assert row(**common, boundary="wall").code == "boundary"
    assert row(**common).scored


def kernel(stack, precision="bf16", chip="b200", **shape):
    """A product on one chip, and the ends of its power."""
    registry = ib.installed()
    columns = {name: np.array([float(size)]) for name, size in shape.items()}
    found = cost_rows("gemm", columns, precision, registry.chip(chip), stack, registry)
    low, high = found.between("power")
    return found.watts[0], found.watts[0] * low[0], found.watts[0] * high[0]


@pytest.mark.needs_plugins("chips/b200", "stacks/trtllm-1.3-b200")
class TestKernelEnergies:
    @pytest.fixture
    def stack(self):
        return ib.installed().stack("trtllm-1.3-b200")

    @pytest.fixture
    def bare(self, stack):
        return attrs.evolve(stack, kernel_energy={}, fit=attrs.evolve(stack.fit, kernel_power={}))

    # ai-dynamo/aiconfigurator, GEMM of TensorRT-LLM 1.3.0rc15 on the B200: m, n, k, mean watts over a second.
    @pytest.mark.parametrize(("m", "watts"), [(8192, 986.4), (4096, 986.6)])
    def test_published_readings_lie_in_the_interval(self, stack, bare, m, watts):
        power, low, high = kernel(stack, m=m, n=2048, k=16384)
        assert low <= watts <= high
        assert abs(power / watts - 1) <= abs(kernel(bare, m=m, n=2048, k=16384)[0] / watts - 1)

    def test_a_whole_network_keeps_the_chips_energies(self, stack, bare):
        registry = ib.installed()
        system = System(registry.chip("b200"))
        grid = ib.Grid.of({"batch": [8.0], "context": [2048.0]}, ["bf16"])
        watts = [
            first(found, found.energy.watts)
            for one in (stack, bare)
            for found in [
                evaluate(
                    prepare(system, registry.network("llama3-8b"), "decode", stack=one, registry=registry),
                    grid,
                )
            ]
        ]
        assert watts[0] == watts[1]
        assert kernel(stack, m=64, n=2048, k=8192)[0] != kernel(bare, m=64, n=2048, k=8192)[0]

    @pytest.mark.parametrize("other", [{"precision": "w4a16"}, {"chip": "h100-sxm"}])
    def test_where_nothing_was_read_the_chips_energies_hold(self, stack, bare, other):
        shape = {"m": 4096, "n": 2048, "k": 8192}
        assert kernel(stack, **shape, **other) == kernel(bare, **shape, **other)
        assert kernel(stack, **shape, **other)[1] < kernel(stack, **shape)[1]

    def test_outside_the_box_the_interval_is_wider(self, stack):
        inside, outside = (kernel(stack, m=64, n=n, k=2048, precision="nvfp4") for n in (2048, 65536))
        assert outside[1] / outside[0] < inside[1] / inside[0]

    def test_a_stack_on_top_inherits_them(self, stack, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text(
            'title = "Mine"\nbased_on = "trtllm-1.3-b200"\n[kernel_energy.baseline]\ngemm = "300 W"\n'
            '[domain]\nchips = ["b200"]\n'
        )
        mine = ib.installed().stack(str(file))
        assert mine.kernel_energy["baseline"]["gemm"] == 300.0
        assert mine.kernel_energy["ops"] == stack.kernel_energy["ops"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('[kernel_energy.ops]\ngemm = "2 W"\n', "is a power"),
            ('[kernel_energy.ops]\ngemm = "-1 pJ/OP"\n', "is negative"),
            ('[kernel_energy]\nops = "1 pJ/OP"\n', "stands where a table was expected"),
        ],
    )
    def test_faults_are_named(self, tmp_path, text, said):
        file = tmp_path / "mine.toml"
        file.write_text('title = "Mine"\n' + text)
        with pytest.raises(ib.InferBenchError, match=said):
            ib.installed().stack(str(file))


class TestAtTheWall:
    """A server of eight chips draws 1.6 kW and 1.1 W per watt of them: 200 + 550 W for one of 500 W."""

    NODE = ib.Node(name="n", title="N", chips_per_node=8, fixed=1600.0, factor=1.1, log_error=0.1)

    def run(self, time=0.0, power=0.0, energy=0.0, **of_node):
        chip = attrs.evolve(ib.installed().chip("h100-sxm"), node=attrs.evolve(self.NODE, **of_node))
        found = attrs.evolve(run(), energy=ib.Energy(500.0, 500.0), log_error=time)
        return attrs.evolve(found, system=System(chip), power_log_error=power, energy_log_error=energy)

    def high(self, found, of):
        return float(np.ravel(bounds(found, of)[1])[0])

    def test_a_sure_chip_leaves_the_server_s_own_error(self):
        # exp(1.645 x 0.1)
        for of in ("wall_power", "wall_energy"):
            low, high = (float(np.ravel(end)[0]) for end in bounds(self.run(), of))
            assert (low, high) == (pytest.approx(1 / 1.1788, rel=1e-4), pytest.approx(1.1788, rel=1e-4))

    def test_fixed_watts_do_not_err_as_the_chip_s_power_does(self):
        # 500 W may be 600 W: 200 + 660 of 200 + 550 W.
        error = math.log(1.2) / INTERVAL
        assert self.high(self.run(power=error, log_error=0.0), "wall_power") == pytest.approx(860 / 750)

    def test_fixed_watts_cost_joules_as_long_as_the_step_lasts(self):
        # A fifth more time and a tenth more of the chip's joules: 240 + 605 of 750.
        time, energy = math.log(1.2) / INTERVAL, math.log(1.1) / INTERVAL
        found = self.run(time=time, energy=energy, log_error=0.0)
        assert self.high(found, "wall_energy") == pytest.approx(845 / 750)

    def test_both_are_joined_in_quadrature(self):
        # ln(860/750) = 0.1369 and 0.1645: 0.2140.
        error = math.log(1.2) / INTERVAL
        assert self.high(self.run(power=error), "wall_power") == pytest.approx(math.exp(0.2140), rel=1e-4)

    def test_what_a_whole_system_draws_has_no_server_to_err(self):
        found = self.run()
        chip = found.system.chip
        whole = attrs.evolve(chip, power=attrs.evolve(chip.power, boundary="system"))
        assert self.high(attrs.evolve(found, system=System(whole)), "wall_power") == 1.0


@pytest.mark.needs_plugins("chips/tpu-v7", "stacks/tpu-serving", "suites/reference")
def test_a_chip_without_a_published_limit_has_watts_at_the_wall_too():
    (one,) = ib.card(["tpu-v7"]).to_dict()["systems"]
    for work in one["works"].values():
        low, value, high = (work[f"useful_tops_per_watt_wall{end}"] for end in ("_low", "", "_high"))
        assert low < value < high
