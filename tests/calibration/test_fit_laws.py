"""Fits of whole steps, classes and stacks on made figures: what was put in comes out, by closed forms."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration import pooled as pooled_stacks
from inferbench.calibration.forms import ENERGY, NODES, SHARE, step_form
from inferbench.calibration.line import Line, Power, nodes
from inferbench.calibration.pooled import networks_left_out, pooled, weights
from inferbench.calibration.priors import START, Effects, Prior, priors
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.samples import Sample
from inferbench.calibration.steps import fit_step

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")

Z = 1.6448536269514722


def line(measured: float, **more: Any) -> Line:
    usual: dict[str, Any] = {
        "file": "f",
        "chip": "c",
        "chips": 1,
        "network": "n",
        "software": "s",
        "phase": "decode",
        "axes": {"batch": 1.0, "context": 100.0},
        "groups": {},
        "seconds": np.array([1.0]),
        "kernels": 10.0,
        "passes": 1.0,
        "floor": 0.5,
        "precision": "bf16",
        "power": None,
    }
    return Line(**{**usual, "measured": measured, **more})


TRUE = {"host.step": 2e-3, "host.sequence": 1e-4, "host.gap": 3e-6, "host.exchange": 2e-5, "host.eager": 5e-6}


def steps(rows: int = 24, networks: int = 3, **wrong: float) -> list[Line]:
    """Steps of kernels, passes, sequences, exchanges and launches of all sizes, as `TRUE` says."""
    pull = np.random.default_rng(5)
    found = []
    for i in range(rows):
        batch, passes = float(2 ** pull.integers(0, 8)), float(pull.integers(1, 4))
        kernels, exchanges, eager = (float(pull.integers(low, 900)) for low in (200, 0, 0))
        joined, seconds = float(pull.integers(0, 100)), float(pull.uniform(1e-3, 2e-2))
        host = passes * (TRUE["host.step"] + TRUE["host.sequence"] * batch)
        waits = TRUE["host.gap"] * (kernels - joined) + TRUE["host.exchange"] * exchanges
        measured = seconds + host + waits + TRUE["host.eager"] * eager
        found.append(
            line(
                measured * wrong.get(f"row{i}", 1.0),
                network=f"n{i % networks}",
                axes={"batch": batch, "context": 100.0},
                seconds=np.array([seconds]),
                kernels=kernels,
                passes=passes,
                exchanges=exchanges,
                eager=eager,
                joined=joined,
            )
        )
    return found


class TestHostTime:
    def test_what_each_pass_sequence_kernel_exchange_and_launch_costs_is_found_again(self):
        found = fit_step("c", steps(), step_form(tuple(TRUE)))
        assert dict(found.values) == pytest.approx(TRUE, rel=1e-6)
        assert found.error == pytest.approx(0.0, abs=1e-6)
        assert [one.time for one in found.unseen] == pytest.approx([0.0] * 24, abs=1e-8)
        assert (found.parts["decode"].rows, len(found.lines)) == (24, 24)

    def test_an_odd_row_pulls_little(self):
        """One of sixty takes twice as long: plain least squares would be off by more."""
        found = fit_step("c", steps(60, row7=2.0), step_form(("host.step",)))
        usual = fit_step("c", steps(60), step_form(("host.step",)))
        moved = found.values["host.step"] / usual.values["host.step"] - 1.0
        assert abs(moved) < 0.05

    def test_nothing_is_negative(self):
        """Kernels that take longer than what was measured leave no time for the host."""
        found = fit_step("c", [line(0.9, network=n) for n in "aabb"], step_form(("host.step",)))
        assert found.values["host.step"] == 0.0
        assert found.error == pytest.approx(100 / 9)

    def test_a_network_left_out_is_predicted_by_the_other(self):
        """Kernels of 10 ms: one network has 1 ms beside them, the other 2 ms; each is told the other's."""
        lines = [
            line(0.010 + more, network=name, seconds=np.array([0.010]))
            for name, more in (("a", 0.001), ("b", 0.002))
            for _ in range(5)
        ]
        found = fit_step("c", lines, step_form(("host.step",)))
        assert [one.time for one in found.unseen] == pytest.approx([1 / 11] * 5 + [-1 / 12] * 5)
        assert found.error == pytest.approx(100 * (1 / 11 + 1 / 12) / 2)
        # Of ten errors the tenth: ln (11/12), stretched by the root of one and a half for two networks.
        assert found.step == pytest.approx(math.log(12 / 11) * math.sqrt(1.5) / Z)
        part = found.parts["decode"]
        assert part.error == pytest.approx(found.error)
        assert part.roofline == pytest.approx(100 * (0.5 / 0.011 + 0.5 / 0.012 - 2) / 2)
        assert math.isnan(found.power)

    def test_of_one_network_a_fifth_of_the_rows_is_left_out_and_what_another_adds_was_not_seen(self):
        """A log standard error of 0.25 beside that of rows."""
        exact = fit_step(
            "c",
            steps(20, 1),
            step_form(("host.step", "host.sequence", "host.gap", "host.exchange", "host.eager")),
        )
        assert exact.step == pytest.approx(0.25)
        assert math.isnan(exact.parts["decode"].error)
        odd = fit_step("c", [line(1.5 if i == 0 else 1.2) for i in range(5)], step_form(("host.step",)))
        assert odd.unseen[0].time == pytest.approx(1.2 / 1.5 - 1.0, abs=1e-6)

    def test_chips_that_are_joined_are_fitted_together_and_others_by_themselves(self):
        """c and d have 1 and 3 ms beside 10 ms; e has 7 ms, which only its own errors know."""
        lines = [
            line(0.010 + more, chip=chip, network=name, seconds=np.array([0.010]))
            for chip, more in (("c", 0.001), ("d", 0.003), ("e", 0.007))
            for name in "ab"
            for _ in range(3)
        ]
        alone = fit_step("c", lines, step_form(("host.step",)))
        assert alone.values["host.step"] == pytest.approx(1e-3)
        assert (len(alone.unseen), len(alone.lines), alone.error) == (18, 6, pytest.approx(0.0, abs=1e-6))
        both = fit_step("c", lines, step_form(("host.step",)), joined=("d",))
        assert 1e-3 < both.values["host.step"] < 3e-3
        assert len(both.lines) == 12
        errors = {(one.line.chip): one.time for one in both.unseen}
        assert errors["c"] > 0 > errors["d"]
        assert errors["e"] == pytest.approx(0.0, abs=1e-9)

    def test_two_rows_per_parameter_are_needed(self):
        for count, fine in ((3, False), (4, True)):
            lines = [line(1.1, network=str(i), axes={"batch": float(i)}) for i in range(count)]
            if fine:
                fit_step("c", lines, step_form())
            else:
                with pytest.raises(ib.InferBenchError, match="3 rows for 2 parameters; at least 4 were"):
                    fit_step("c", lines, step_form())


def warm(factor: float, seconds: float, network: str, read: float = 1.0, limit: float = 1e4) -> Line:
    """A step at 100 W beside 2 J of operations, each of so many times its energy, and 1 J of all else."""
    watts = min(100.0 + (2.0 * factor + 1.0) / seconds, limit)
    return line(
        seconds,
        network=network,
        seconds=np.array([seconds]),
        power=Power(read * watts, 100.0, 2.0, 1.0, limit),
    )


class TestEnergy:
    FORM = ("host.step", "energy.ops")
    SECONDS = (0.01, 0.02, 0.05, 0.1)

    def test_what_an_operation_takes_is_found_again(self):
        lines = [warm(2.5, t, name) for name in "ab" for t in self.SECONDS]
        found = fit_step("c", lines, step_form(self.FORM))
        assert found.values[ENERGY.path] == pytest.approx(2.5)
        assert (found.power, found.energy) == pytest.approx((0.0, 0.0), abs=1e-9)
        part = found.parts["decode.power"]
        assert (part.rows, part.scored, part.error, part.sd) == (8, 8, pytest.approx(0.0, abs=1e-6), 0.0)

    def test_an_odd_reading_pulls_little(self):
        lines = [
            warm(2.5, t, name, 3.0 if (name, t) == ("a", 0.02) else 1.0)
            for name in "abc"
            for t in self.SECONDS
        ]
        found = fit_step("c", lines, step_form(self.FORM))
        assert found.values[ENERGY.path] == pytest.approx(2.5, rel=0.06)
        equal = [
            warm(2.5, t, name, read) for name, read in (("a", 1.1), ("b", 1 / 1.1)) for t in self.SECONDS
        ]
        assert fit_step("c", equal, step_form(self.FORM)).values[ENERGY.path] == pytest.approx(2.5, rel=0.03)

    def test_a_network_left_out_has_the_others_watts_and_joules(self):
        """2 and 4 times: 500 W, told 820, and the other way round. Times are right, so joules err as much."""
        lines = [warm(factor, 0.0125, name) for name, factor in (("a", 2.0), ("b", 4.0)) for _ in range(5)]
        found = fit_step("c", lines, step_form(self.FORM))
        told = 100.0 + np.array([9.0] * 5 + [5.0] * 5) / 0.0125
        true = 100.0 + np.array([5.0] * 5 + [9.0] * 5) / 0.0125
        errors = told / true - 1.0
        assert [one.power for one in found.unseen] == pytest.approx(errors)
        assert [one.joules for one in found.unseen] == pytest.approx(errors)
        for name in ("decode.power", "decode.joules"):
            assert found.parts[name].error == pytest.approx(100 * np.abs(errors).mean())
        wide = math.log(820 / 500) * math.sqrt(1.5) / Z
        assert (found.power, found.energy) == pytest.approx((wide, wide))

    def test_no_step_draws_more_than_the_limit(self):
        lines = [warm(2.5, t, name, limit=300.0) for name in "ab" for t in self.SECONDS]
        found = fit_step("c", lines, step_form(self.FORM))
        assert found.values[ENERGY.path] == pytest.approx(2.5)
        assert lines[0].power.measured == 300.0

    def test_some_rows_with_power_are_enough_and_none_is_not(self):
        cold = [line(t, network=name, seconds=np.array([t])) for name in "ab" for t in self.SECONDS]
        mixed = [*cold, *(warm(2.5, t, "c") for t in self.SECONDS), warm(2.5, 0.01, "d")]
        found = fit_step("c", mixed, step_form(self.FORM))
        assert found.values[ENERGY.path] == pytest.approx(2.5)
        assert found.parts["decode.power"].rows == 5
        with pytest.raises(ib.InferBenchError, match="no row has a power that is modelled"):
            fit_step("c", cold, step_form(self.FORM))


class TestSearches:
    def test_a_share_of_the_bandwidth_is_found_again(self):
        """Kernels that stream 4 ms at the full bandwidth, beside ones of 1 ms with their own figure."""
        shares = nodes()
        assert (len(shares), shares[0], shares[-1]) == (NODES, pytest.approx(0.05), pytest.approx(1.0))
        lines = [
            line(size * (4e-3 / 0.4 + 1e-3), network=name, seconds=size * (4e-3 / shares + 1e-3))
            for name in "ab"
            for size in (1.0, 2.0, 5.0)
        ]
        found = fit_step("c", lines, step_form((SHARE.table,)))
        assert found.values[SHARE.path] == pytest.approx(0.4, rel=0.01)  # a tick is 1.5 %
        assert found.error < 1.5

    def test_a_launch_shows_where_kernels_are_shorter(self):
        """500 launches of 20 us are 10 ms: kernels of 1 ms hide behind them, those of 100 ms hide them."""
        sizes = (1e-3, 2e-3, 1e-1)
        lines = [
            line(max(size, 500 * 2e-5), network=name, seconds=np.array([size]), kernels=500.0)
            for name in "ab"
            for size in sizes
        ]
        found = fit_step("c", lines, step_form(("host.kernel",)))
        assert found.values["host.kernel"] == pytest.approx(2e-5, rel=0.03)

    def test_what_adds_up_and_what_is_searched_are_not_fitted_together(self):
        with pytest.raises(ib.InferBenchError, match="can't be told from each other"):
            fit_step("c", steps(), step_form(("host.step", "host.kernel")))


class TestBeyond:
    def widened(self, low: float, high: float) -> tuple[float, float]:
        """Loops of 1 to 1,024 users; those of the two octaves at either end are off by so much."""
        lines = []
        for i in range(11):
            off = low if i < 2 else high if i > 8 else 0.0
            lines.append(
                line(
                    1.5 * math.exp(off),
                    network="ab"[i % 2],
                    axes={"batch": 2.0**i},
                    together=2.0**i,
                )
            )
        return fit_step("c", lines, step_form(("host.step",))).widening["batch"]

    def test_errors_grow_with_what_the_ends_are_further_off(self):
        """Users of 1 and 2 lie 2 octaves and 1 within: 0.3 off is 0.2 a doubling."""
        assert self.widened(0.3, 0.0)[0] == pytest.approx(0.2, rel=0.05)
        assert self.widened(0.0, 0.3)[1] == pytest.approx(0.2, rel=0.05)
        assert self.widened(0.0, 0.0) == pytest.approx((0.0, 0.0), abs=1e-6)

    def test_where_all_lies_at_the_ends_a_usual_figure_stands(self):
        lines = [line(1.5, network="ab"[i % 2], axes={"batch": 2.0**i}, together=2.0**i) for i in range(3)]
        assert fit_step("c", lines, step_form(("host.step",))).widening["batch"] == (0.10, 0.10)

    def test_half_of_the_rows_at_an_end_are_still_told_by_the_other_half(self):
        """Two of four at either end, 0.3 off at the upper: 2 octaves and 1 beyond, 0.2 for each."""
        lines = [
            line(1.5 * (math.exp(0.3) if i > 3 else 1.0), axes={"batch": 2.0**i}, together=2.0**i)
            for i in (0, 1, 4, 5)
        ]
        low, high = fit_step("c", lines, step_form(("host.step",))).widening["batch"]
        assert high == pytest.approx(0.2, rel=0.05)
        assert low != 0.10

    def test_steps_that_are_no_loops_have_none(self):
        assert not fit_step("c", steps(), step_form()).widening


def sample(error: float, chip: str, software: str = "v", network: str = "n", **more: Any) -> Sample:
    """10 ms of memory at the usual shares and waits, measured so that the prediction is off by `error`."""
    work = np.array([[10e-3, 1e-3, 0.0, 0.0, 2.0, 1.0]])
    memory, _, _, kernel, exchange = np.exp(START)
    true = 10e-3 / memory + 2 * kernel + exchange
    usual = {"vendor": f"of {chip}", "architecture": "made", "phase": "decode", "table": "t"}
    parts = {**usual, **more}
    return Sample(
        chip=chip, software=software, network=network, measured=true * math.exp(-error), work=work, **parts
    )


def spread(a: float, s: float, w: float, chips: int = 2) -> list[Sample]:
    """Chips that differ by twice `a`, two versions on each by `s`, two rows of each by `w`: all cancel."""
    return [
        sample(own + state + rest, f"chip{i}", software, phase=phase)
        for i, own in enumerate((a, -a) * (chips // 2))
        for software, state in (("v1", s), ("v2", -s))
        for rest in (w, -w)
        for phase in ("decode", "prefill")
    ]


class TestClasses:
    def test_errors_are_parted_by_hand(self):
        """Errors that cancel leave the figures where they begin, and every variance is a closed form.

        Within: two rows that differ by 2 w have 2 w^2. Versions: their means have 2 s^2, of which half of
        that of rows is noise. Chips: a^2, of which half of the versions' and a quarter of the rows' is
        noise, times two for a mean around zero.
        """
        a, s, w = 0.4, 0.2, 0.1
        prior = priors(spread(a, s, w))[-1]
        assert prior.name == "class-made"
        assert prior.figures == pytest.approx(START, abs=1e-6)
        within, software = 2 * w**2, 2 * s**2 - w**2
        between = 2 * (a**2 - software / 2 - within / 4)
        for effects in prior.effects.values():
            assert (effects.rows, effects.chips) == (8, 2)
            found = effects.within**2, effects.software**2, effects.between**2
            assert found == pytest.approx((within, software, between), rel=1e-4)

    def test_a_class_that_has_all_chips_is_stretched_as_all_are(self):
        """Its own factor, and that of all beside it, are the same; both hold for every phase."""
        found = priors(spread(0.3, 0.1, 0.05, 6))
        stretches = {one.stretch for prior in found for one in prior.effects.values()}
        assert len(found) == 2
        assert max(stretches) == pytest.approx(min(stretches))
        assert 0.5 < max(stretches) < 3.0

    def test_a_class_has_variances_of_its_own_and_of_all_classes_as_of_two_chips_more(self):
        """Six chips of one architecture differ by 0.8, six of another by nothing.

        All twelve have half of that variance. Five degrees of freedom count beside two: a class of 0.64 times
        six fifths has five sevenths of it, and both have two sevenths of the mean.
        """
        some = [
            sample(off, f"{kind}{i}", f"v{k}", architecture=kind)
            for kind, wide in (("wide", 0.4), ("same", 0.0))
            for i, off in enumerate((wide, -wide) * 3)
            for k in range(2)
        ]
        found = {one.name: one.effects["decode"].between for one in priors(some)}
        all_of = found["class-any"] ** 2
        wide, same = (found[f"class-{kind}"] ** 2 for kind in ("wide", "same"))
        own = 0.4**2 * 6 / 5
        assert all_of == pytest.approx(0.4**2 * 6 / 11, rel=0.02)
        assert wide == pytest.approx((5 * own + 2 * all_of) / 7, rel=0.02)
        assert same == pytest.approx(2 * all_of / 7, rel=0.02)

    def test_variances_are_never_negative(self):
        """Rows that differ more than versions and chips do leave nothing for these."""
        effects = priors(spread(0.0, 0.0, 0.3))[-1].effects["decode"]
        assert (effects.software, effects.between) == (0.0, 0.0)

    @pytest.mark.parametrize("same", ["chip", "software", "network", "phase"])
    def test_more_rows_of_the_same_weigh_no_more(self, same):
        """Every group weighs the same within the one above, however many rows it has."""
        pull = np.random.default_rng(3)
        some = [
            sample(float(pull.normal(0, 0.3)), chip, software, network, phase=phase)
            for chip in ("one", "two", "three")
            for software in ("v1", "v2")
            for network in ("n1", "n2")
            for phase in ("decode", "prefill")
        ]
        first = getattr(some[0], same)
        again = [one for one in some for _ in range(4 if getattr(one, same) == first else 1)]
        whole = [one for one in some for _ in range(3)]
        figures = [priors(rows)[-1].figures for rows in (some, again, whole)]
        assert figures[2] == pytest.approx(figures[0], abs=1e-4)
        if same == "chip":
            assert figures[1] == pytest.approx(figures[0], abs=1e-4)
        weighed = {"software": "v1", "network": "n1", "phase": "decode", "chip": "one"}
        assert first == weighed[same]
        assert figures[1] == pytest.approx(figures[0], abs=1e-4)

    def test_a_vendor_with_four_chips_is_a_class_of_its_own(self):
        for count, names in (
            (3, ["class-any", "class-made"]),
            (4, ["class-any", "class-made", "class-made-v"]),
        ):
            rows = [sample(0.1 * i, f"c{i}", vendor="V") for i in range(count)]
            rows += [sample(-0.1, "other", vendor="W")]
            assert [one.name for one in priors(rows)] == names

    def test_intervals_are_stretched_until_chips_left_out_lie_in_them(self):
        """Twice the errors take intervals twice as wide: their shape is one."""
        small, large = (priors(spread(a, 0.2 * a, 0.1 * a, 4))[-1].effects["decode"] for a in (0.05, 0.1))
        assert large.between == pytest.approx(2 * small.between, rel=1e-3)
        assert large.stretch == pytest.approx(small.stretch, rel=0.1)
        variance = large.between**2 * 1.25 + large.software**2 + large.within**2
        assert large.log_error == pytest.approx(large.stretch * math.sqrt(variance))


def class_of(error: float = 0.2) -> Prior:
    effects = {phase: Effects(9, 9, 0.3, error, 0.0) for phase in ("decode", "prefill")}
    return Prior("made", "", START, effects, ("x",))


class TestPools:
    def test_versions_share_the_weight_of_their_network_chip_and_phase(self):
        rows = [
            sample(0, "one", "v1"),
            sample(0, "one", "v1"),
            sample(0, "one", "v2"),
            sample(0, "two", "v1"),
        ]
        rows.append(sample(0, "one", "v1", phase="prefill"))
        assert weights(rows).tolist() == [0.25, 0.25, 0.5, 1.0, 1.0]

    def test_networks_left_out_count_beside_the_class(self):
        """Three networks without error: the class's variance weighs as two more, beside two others' zero."""
        rows = [sample(0.0, "one", network=name) for name in "abc"]
        found = networks_left_out(rows, class_of())
        assert [one.error for one in found] == pytest.approx([0.0] * 3, abs=1e-6)
        assert [one.log_error for one in found] == pytest.approx([math.sqrt(2 * 0.04 / 4)] * 3)
        assert [one.covered for one in found] == [True] * 3
        off = attrs.evolve(found[0], error=1.01 * Z * found[0].log_error)
        assert not off.covered
        assert attrs.evolve(off, error=-0.99 * Z * found[0].log_error).covered

    def test_figures_lie_between_the_rows_and_the_class(self):
        """Rows that are a third shorter raise the shares; a hundred of one network no more than one."""
        chips = [sample(0.0, name, network=net) for name in ("x", "y") for net in "ab"]
        one = [sample(0.4, "mine", network="a")]
        found = pooled(one, [*chips, *one])
        many = pooled(one * 100, [*chips, *one])
        assert found.figures == pytest.approx(many.figures, abs=1e-5)
        assert START[0] < found.figures[0] < START[0] + 0.4
        assert math.isnan(found.parts["decode"].error)
        part = pooled([sample(0.0, "mine", network=n) for n in "ab"], chips).parts["decode"]
        floor = 10e-3 / sample(0.0, "mine").measured
        assert (part.rows, part.scored, part.chips) == (2, 2, 1)
        assert part.roofline == pytest.approx(100 * (1 - floor), rel=1e-6)
        assert part.error == pytest.approx(0.0, abs=1e-3)
        assert part.constant == pytest.approx(0.0, abs=1e-9)


class TestPooledStacks:
    """A stack of two chips' software, drawn to the class of four others, written and read again."""

    @pytest.fixture
    def known(self, toy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        chips = [attrs.evolve(toy.chip("toy-chip"), name=name, title=name) for name in ("one", "two")]
        at = {"axes": {"batch": 4.0, "context": 100.0, "output": 50.0}, "precision": "bf16"}
        rows = [
            sample(off, chip, software, network, **at, table="made", count=count, phase=phase)
            for chip, off, count in (
                ("one", 0.1, 1),
                ("two", 0.3, 8),
                *((f"c{i}", 0.05 * (-1) ** i, 1) for i in range(4)),
            )
            for software in ("Lib 1", "Other 2")
            for network in ("a", "b")
            for phase in (("decode",) if chip in ("one", "two") else ("decode", "prefill"))
        ]
        image = sample(0.0, "one", "Lib 1", "c", axes={"batch": 64.0}, table="made")
        monkeypatch.setattr(
            pooled_stacks, "samples_of", lambda files, registry: ([*rows, image], Counter(odd=3))
        )
        return toy.with_records("chips", chips)

    def fitted(self, known: Any, **more: Any) -> Any:
        return pooled_stacks.pooled_stack(Recipe(**{"kind": "class", **more}), known, None, None)

    def test_it_is_of_the_chips_and_software_that_were_asked_for(self, known):
        found = self.fitted(known, chip="one,two", software=("lib",))
        stack = found.stack
        assert (stack.domain.chips, stack.domain.counts) == (("one", "two"), (1, 8))
        assert (stack.fit.rows, stack.software) == (4, ("lib",))
        assert stack.domain.axes == {"batch": (4.0, 4.0), "context": (100.0, 150.0)}
        assert set(stack.domain.phases) == {"decode", "generate"}
        assert "4 published times of whole steps: a, b; drawn to class-made" in stack.fit.on
        assert (found.chip.name, found.left) == ("one", {"odd": 3})
        alone = self.fitted(known, chip="one")
        assert alone.stack.fit.rows == 4
        assert alone.stack.software == ("Lib", "Other")

    def test_its_figures_are_those_of_its_rows_and_its_class(self, known):
        """Predicted longer than measured by 0.1 and 0.3 in logs: shares are larger, by less than that."""
        shares = {
            name: self.fitted(known, chip=name).stack.figures.efficiency["memory"]["default"]
            for name in ("one", "two")
        }
        usual = math.exp(START[0])
        assert usual < shares["one"] < shares["two"] < usual * math.exp(0.3)
        first, *_ = self.fitted(known, chip="two").parameters
        assert first.value == pytest.approx(shares["two"], abs=5e-4)

    def test_what_nobody_measured_is_told(self, known):
        with pytest.raises(ib.InferBenchError, match="no row of toy-chip under this software"):
            self.fitted(known, chip="toy-chip")
        with pytest.raises(ib.InferBenchError, match="'class-mada' is no class of these files"):
            self.fitted(known, stack="class-mada")
