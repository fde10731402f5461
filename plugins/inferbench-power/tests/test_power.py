"""The linear power model against numbers worked by hand, and the laws it obeys."""

import math

import attrs
import numpy as np
import pytest
from inferbench_power import Linear, NoteLinear, inferbench_power_models
from inferbench_power.coefficients import classes, own, resolve

import inferbench as ib
from inferbench import testing as contracts

BF16 = ib.Precision.of(["bf16"])


def chip(name="h100-sxm", tdp=700.0, idle=70.0, peak=None, memory=None, node=4e-9):
    return ib.Chip(
        name=name,
        title=name.upper(),
        vendor="V",
        architecture_type="simt",
        architecture=None,
        peak={"bf16": 989e12, "fp8": 1979e12} if peak is None else peak,
        memory={"hbm": ib.MemoryLevel(80e9, 3.35e12)} if memory is None else memory,
        power=ib.Power(tdp=tdp, idle=idle),
        silicon=ib.Silicon(node=node),
    )


A100 = chip("a100-sxm-40gb", 400.0, math.nan, {"bf16": 312e12, "int8": 624e12}, node=7e-9)
H100 = chip()
OTHER = chip("somebody-else", 500.0, math.nan, {"bf16": 400e12, "fp8": 800e12})


def run(one, actions, seconds=1.0, chips=1, precision=BF16, formats=("bf16",)):
    return Linear().energy(
        ib.ActivityCounts(actions, seconds, chips, precision, formats), ib.System(one, chips)
    )


class TestContract(contracts.PowerModelContract):
    power_model = Linear()
    chip = "h100-sxm"


def test_two_models_are_offered_and_the_note_declines():
    models = list(inferbench_power_models())
    assert [model.name for model in models] == ["linear", "note-linear"]
    assert models[0].fidelity > models[1].fidelity
    assert "by name only" in models[1].accepts(H100)


def test_without_a_limit_and_without_a_rate_nothing_is_said_but_why():
    bare = attrs.evolve(chip("tpu-v5p", math.nan), peak={})
    why = "no power figure is published for TPU-V5P, and no rate to estimate one from"
    assert Linear().accepts(bare) == why
    assert Linear().accepts(H100) == ""
    assert math.isnan(log_error(bare, {"ops": 1e12}))


def test_a_limit_of_a_class_is_said_and_widens_the_interval():
    """A chip of the H100's rates: 700 W are published, and the class's law never saw this name."""
    unknown, known = chip("unknown", math.nan), chip("unknown", 700.0)
    found = run(unknown, {"bytes.hbm": 1e12})
    assert found.estimated
    assert "no TDP is published" in found.why
    assert 350.0 < found.limit < 1400.0
    assert log_error(unknown, {"bytes.hbm": 1e12}) > log_error(known, {"bytes.hbm": 1e12}) + 0.1


@pytest.mark.parametrize(("boundary", "said"), [("chip", "chip"), ("board", "board"), ("system", "server")])
def test_watts_are_counted_where_the_limit_is(boundary, said):
    one = attrs.evolve(H100, power=attrs.evolve(H100.power, boundary=boundary))
    assert run(one, {"ops": 0.0}).boundary == said


def test_energies_are_not_lowered_to_fit_the_limit_in():
    """A B200 at half of its bandwidth: 194 W and 4 TB/s x 133.6 pJ; at all of it the limit cuts."""
    memory = {"hbm": ib.MemoryLevel(180e9, 8e12)}
    b200 = attrs.evolve(chip("b200", 1000.0), memory=memory, peak={"bf16": 2250e12})
    assert run(b200, {"bytes.hbm": 4e12}).watts == pytest.approx(194 + 534.4)
    full = run(b200, {"bytes.hbm": 8e12})
    assert full.watts == pytest.approx(1000.0)
    assert full.throttle == 1.0


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (chip("unknown", 600.0, 900.0), "idle 900 W is not below the TDP of 600 W"),
        (chip("unknown", 600.0, 600.0), "idle 600 W is not below the TDP of 600 W"),
        # The H100's own baseline is 128 W; a limit of 100 W (a mistyped TDP) leaves nothing to work with.
        (chip("h100-sxm", 100.0, 70.0), "baseline 128 W is not below the TDP of 100 W"),
    ],
)
@pytest.mark.parametrize("ops", [0.0, 1e14])
def test_a_limit_that_leaves_no_room_is_declined_and_gives_no_number(one, why, ops):
    assert Linear().accepts(one) == why
    found = run(one, {"ops": ops})
    assert found.why == why
    assert math.isnan(found.watts)
    assert math.isnan(found.joules)
    assert found.throttle == 1.0


def test_a_limit_just_above_idle_is_served():
    found = run(chip("unknown", 601.0, 600.0), {"ops": 1e20})
    assert found.watts[0] == pytest.approx(601.0, rel=1e-12)


def test_a100_by_hand():
    # 110 W + 1.0 pJ x 20 TOP/s + 128.7 pJ x 1 TB/s = 110 + 20 + 128.7, half a second.
    found = run(A100, {"ops": 10e12, "bytes.hbm": 0.5e12}, seconds=0.5)
    assert found.watts[0] == pytest.approx(258.7, rel=1e-12)
    assert found.joules[0] == pytest.approx(129.35, rel=1e-12)
    assert {name: float(np.squeeze(part)) for name, part in found.parts.items()} == pytest.approx(
        {"idle": 55.0, "ops": 10.0, "bytes.hbm": 64.35}
    )
    assert (found.estimated, found.why, found.boundary) == (False, "", "board")


def test_at_the_limit_a_calibrated_chip_takes_longer():
    # A second at 400 TOP/s: at least 0.85 pJ each, 340 J. Beside 110 W there are 290 W for them: 340 / 290 s
    # at the TDP.
    found = run(A100, {"ops": 400e12})
    assert found.throttle[0] == pytest.approx(340 / 290, rel=1e-12)
    assert found.watts[0] == pytest.approx(400.0, rel=1e-12)
    assert found.joules[0] == pytest.approx(400.0 * 340 / 290, rel=1e-12)


def test_eight_chips_at_the_limit_are_one_chip_eight_times():
    """Counts are of all chips: each has an eighth of them, and as many watts for them as one alone."""
    one, all_ = run(A100, {"ops": 400e12}), run(A100, {"ops": 8 * 400e12}, chips=8)
    assert all_.throttle[0] == pytest.approx(340 / 290, rel=1e-12) == one.throttle[0]
    assert all_.watts[0] == pytest.approx(8 * 400.0, rel=1e-12)


def test_published_gemms_run_unthrottled():
    # ai-dynamo/aiconfigurator, bf16: 1024 x 10240 x 10240 on the A100, 16384 x 1536 x 51200 on the H100.
    assert run(A100, {"ops": 290.2e12, "bytes.hbm": 0.340e12}).throttle[0] == 1.0
    assert run(H100, {"ops": 826.4e12, "bytes.hbm": 0.605e12}).throttle[0] == 1.0


def test_a_format_that_was_not_calibrated_is_not_throttled():
    assert run(H100, {"ops": 1979e12}, formats=("fp8",)).throttle[0] == 1.0


def test_an_estimate_slows_no_chip():
    found = run(OTHER, {"ops": 400e12, "bytes.hbm": 3.35e12})  # 125 W and both engines at their peaks
    assert float(found.throttle) == 1.0
    assert found.watts[0] == pytest.approx(500.0, rel=1e-12)
    assert sum(float(np.squeeze(part)) for part in found.parts.values()) == pytest.approx(500.0, rel=1e-12)
    assert found.estimated
    assert found.why == "coefficients estimated, not calibrated for this chip"


@pytest.mark.parametrize("actions", [{"ops": 400e12}, {"bytes.hbm": 3.35e12}])
def test_an_estimated_chip_runs_one_engine_at_its_peak_within_its_limit(actions):
    assert np.all(run(OTHER, actions).watts <= 500.0 * (1 + 1e-12))


def test_narrower_operations_cost_as_much_less_as_they_are_faster():
    both = ib.Precision.of(["bf16", "fp8"])
    found = run(H100, {"ops": 100e12}, precision=both, formats=("bf16", "fp8"))
    bf16, fp8 = found.watts - 128.0
    assert bf16 / fp8 == pytest.approx(1979 / 989, rel=1e-12)
    assert found.estimated
    assert "16-bit" in found.why


def test_an_action_without_an_energy_is_named():
    found = run(A100, {"ops": 1e12, "dac.steps": 5.0})
    assert found.estimated
    assert found.why == "no energy known for dac.steps"


def test_chips_add_up():
    one, eight = (
        run(H100, {"ops": 1e13, "bytes.hbm": 1e12}),
        run(H100, {"ops": 8e13, "bytes.hbm": 8e12}, chips=8),
    )
    assert eight.watts[0] == pytest.approx(8 * one.watts[0], rel=1e-12)


@pytest.mark.parametrize("one", [A100, H100, OTHER], ids=lambda one: one.name)
class TestLaws:
    ops = np.geomspace(1e9, 1e16, 30).reshape(1, 30, 1)
    moved = np.geomspace(1e6, 1e14, 25).reshape(25, 1, 1)

    def test_between_idle_and_tdp_and_joules_are_watts_times_seconds(self, one):
        found = run(one, {"ops": self.ops, "bytes.hbm": self.moved}, seconds=0.7, chips=2)
        assert (found.watts <= 2 * one.power.tdp * (1 + 1e-12)).all()
        assert (found.watts >= 2 * np.nan_to_num(one.power.idle)).all()
        assert np.all(found.throttle >= 1.0)
        np.testing.assert_allclose(found.joules, found.watts * 0.7 * found.throttle, rtol=1e-12)

    def test_more_work_never_takes_less_energy_or_power(self, one):
        found = run(one, {"ops": self.ops, "bytes.hbm": self.moved})
        for axis in (0, 1):
            for values in (found.watts, found.joules):
                assert (np.diff(values, axis=axis) >= -1e-9 * values.max()).all()

    def test_grid_equals_point_by_point(self, one):
        whole = run(one, {"ops": self.ops, "bytes.hbm": self.moved})
        for i, j in ((0, 0), (3, 28), (24, 0), (12, 14), (24, 29)):
            point = run(one, {"ops": self.ops[:, j : j + 1], "bytes.hbm": self.moved[i : i + 1]})
            assert point.joules == whole.joules[i, j, 0]
            assert point.watts == whole.watts[i, j, 0]


def test_idle_power_is_a_floor_of_the_baseline():
    assert run(chip("unknown", 1400.0, 900.0), {}).watts == pytest.approx(900.0)


def test_an_unknown_rate_stays_unknown():
    assert math.isnan(run(A100, {"ops": math.nan}).watts[0])


# The design note's two calibration points for an A100, idle 60 W (its section on power).
@pytest.mark.parametrize(
    ("actions", "says", "gives"), [({"bytes.hbm": 2e12}, 250, 160), ({"ops": 250e12}, 400, 110)]
)
def test_the_note_contradicts_its_own_points(actions, says, gives):
    counts = ib.ActivityCounts(actions, 1.0, 1, BF16, ("bf16",))
    assert NoteLinear(idle=60.0).watts(counts) == pytest.approx(gives)
    assert gives < 0.7 * says


def test_the_notes_b200():
    # 80 W + 0.15 mW/GFLOPS + 45 mW/(GB/s), 137 GFLOP and 70 GB in 8.75 ms: 442 W and 3.87 J, where it says
    # 5.7 J.
    counts = ib.ActivityCounts({"ops": 137e9, "bytes.hbm": 70e9}, 8.75e-3, 1, BF16, ("fp8",))
    found = NoteLinear(idle=80.0, op=0.15e-12, byte=45e-12).energy(counts, ib.System(H100))
    assert found.watts == pytest.approx(442, abs=1)
    assert found.joules == pytest.approx(3.87, abs=0.01)


def test_every_figure_is_cited_and_positive():
    everything = [
        figure
        for record in own().values()
        for figure in (record.baseline, record.op, *record.bytes.values(), *record.floor.values())
    ]
    general = classes()
    everything += [
        general.baseline_of_tdp,
        *(f for _, f in general.process),
        *general.bytes.values(),
        *general.actions.values(),
    ]
    for figure in everything:
        assert figure.source.title
        assert figure.source.basis in ("datasheet", "measured", "estimate", "published")
        assert figure.value > 0 or figure.note
    assert {name for name, record in own().items() if record.calibrated} == {
        "a100-sxm-40gb",
        "h100-sxm",
        "b200",
    }


def log_error(one, actions, seconds=1.0, formats=("bf16",), precision=BF16):
    counts = ib.ActivityCounts(actions, seconds, 1, precision, formats)
    system = ib.System(one)
    return float(np.ravel(Linear().log_error(counts, system, Linear().energy(counts, system)))[0])


DECODING = {"ops": 20e12, "bytes.hbm": 2e12}  # a second of an H100 within the rates of the fit


def test_within_the_fit_only_its_own_error_is_left():
    assert log_error(H100, DECODING) == pytest.approx(own()["h100-sxm"].log_error.value)


def test_drawing_a_token_takes_energy_per_logit_that_is_sorted():
    """A second of an H100 that sorts 1e9 logits, as the fit's rows do: 128 W and 1e9 x 111.3 nJ."""
    assert run(H100, {"logits": 1e9}).watts[0] == pytest.approx(239.3)
    assert log_error(H100, {**DECODING, "logits": 1e9}) == pytest.approx(0.107, rel=1e-3)


def test_what_decoding_never_did_is_unsure_in_proportion_to_its_share():
    # 128 W and 2,700 TOP/s x 0.5343 pJ = 1,442.6 W of operations, two doublings beyond the 666 TOP/s of the
    # fit: wholly unsure.
    assert log_error(H100, {"ops": 2700e12}) == pytest.approx(math.hypot(0.107, 1442.6 / 1570.6), rel=1e-3)
    # Half a doubling beyond, half as unsure: 665.6 x sqrt(2) TOP/s, 502.9 W of 630.9 W.
    assert log_error(H100, {"ops": 665.6e12 * math.sqrt(2)}) == pytest.approx(
        math.hypot(0.107, 0.5 * 502.9 / 630.9), rel=2e-3
    )


def test_few_operations_below_the_fit_matter_little():
    # A tenth of the fit's lowest rate of operations: their 0.2 W of 416 W leave the error as it is.
    assert log_error(H100, {"ops": 0.36e12, "bytes.hbm": 2e12}) == pytest.approx(0.107, rel=1e-3)


def test_a_narrow_format_is_unsure_by_its_share():
    # 20 TOP/s in fp8 at 0.267 pJ: 5.3 W of 128 + 5.3 + 287.6 W, an operation unsure by a factor of e.
    found = log_error(H100, DECODING, formats=("fp8",))
    assert found == pytest.approx(math.hypot(0.107, 5.34 / 420.9), rel=1e-3)


def test_narrow_operations_count_by_what_they_take():
    # Twice the operations at half the energy are as far beyond the fit: half as unsure as a doubling, and
    # the format by a factor of e beside it.
    found = log_error(H100, {"ops": 2 * 665.6e12 * math.sqrt(2)}, formats=("fp8",))
    assert found == pytest.approx(math.hypot(0.107, math.hypot(0.5, 1.0) * 502.9 / 630.9), rel=3e-3)


def test_figures_of_a_sibling_are_surer_than_those_of_a_class():
    sibling = chip("h200", 700.0, 75.0, memory={"hbm": ib.MemoryLevel(141e9, 4.8e12)})
    other = chip("somebody-else", 700.0, 75.0, memory={"hbm": ib.MemoryLevel(141e9, 4.8e12)})
    actions = {"ops": 20e12, "bytes.hbm": 3e12}
    assert log_error(H100, DECODING) < log_error(sibling, actions) < log_error(other, actions)


def test_a_chip_based_on_another_has_its_energies_as_a_siblings():
    """H100 silicon at half the limit: energies of operations and bytes are the same, their error is not."""
    slow = attrs.evolve(chip("h100-low", 350.0, 70.0), based_on="h100-sxm")
    found, whole = resolve(slow), resolve(H100)
    assert (found.ops, found.bytes["hbm"]) == (whole.ops, whole.bytes["hbm"])
    assert (found.limit, found.calibrated, found.kin) == (350.0, False, True)
    assert resolve(attrs.evolve(slow, based_on="")).bytes["hbm"] != whole.bytes["hbm"]


def test_older_processes_take_more():
    nodes = [
        resolve(chip("x", 1e6, math.nan, {"bf16": 1e12}, node=node)).ops["bf16"]
        for node in (14e-9, 7e-9, 5e-9, 3e-9)
    ]
    assert nodes == sorted(nodes, reverse=True)
    assert len(set(nodes)) == 4


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
@pytest.mark.parametrize("system", ["h100-sxm", "4xh100-sxm:tp4", "4xh100-sxm:dp4"])
def test_a_step_sorts_one_row_of_logits_per_sequence_whatever_the_layout(system):
    """Eight sequences of Llama-3-8B with its vocabulary of 128,256; energy grows, time doesn't."""
    asked = {"stack": "ideal", "batch": 8, "context": 512}
    greedy = ib.run(system, "llama3-8b/decode", **asked)
    drawn = ib.run(system, "llama3-8b/decode", options={"top_p": True}, **asked)
    assert float(np.ravel(drawn.chain["actions"]["logits"])[0]) == pytest.approx(8 * 128256)
    assert "logits" not in greedy.chain["actions"]
    assert drawn.seconds == pytest.approx(greedy.seconds)
    more = np.ravel(drawn.energy.joules)[0] - np.ravel(greedy.energy.joules)[0]
    assert more == pytest.approx(8 * 128256 * 111.3e-9, rel=1e-3)
