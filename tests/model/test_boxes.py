"""Where a fitted stack's box ends, how much wider errors are beyond it, and how alike chips are.

Everything is made up on the toy plugin: a step residual of 0.3 in logs, and boxes of the test's own.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.choice import farness, likeness
from inferbench.model.citing import cited
from inferbench.model.outside import outside_at, unlike
from inferbench.records.fit import Domain, Fit
from inferbench.records.roofline import Roofline, RooflineFigures
from inferbench.records.stack import Stack
from inferbench.records.time_model import Unfitted

PRODUCTS = RooflineFigures(efficiency={"memory": {"gemm": 1.0}})


def fitted(name="fitted", **domain: Any) -> Stack:
    return Stack(name=name, title=name, figures=PRODUCTS, fit=Fit(rows=9, step=0.3), domain=Domain(**domain))


@pytest.fixture
def run(toy):
    def go(stack, system="toy-chip", registry=None, **more):
        known = (registry or toy).with_records("stacks", [stack])
        settings = {"precision": "fp8", "scenario": "toy", "registry": known, **more}
        return ib.run(system, "toy-net/decode", stack=stack.name, **settings)

    return go


def beyond(run):
    """What is joined with the residual of 0.3, at every point."""
    errors = np.ravel(run.values(run.log_error))
    return np.sqrt(np.maximum(np.square(errors) - 0.09, 0.0))


def words(run):
    return [outside_at(run, at, index) for at, index in run.points()]


def a_chip(registry, name, **more):
    """The toy chip under another name, with other facts."""
    silicon = {"silicon": ib.Silicon(year=more.pop("year"))} if "year" in more else {}
    return attrs.evolve(registry.chip("toy-chip"), name=name, title=name, **silicon, **more)


class TestErrorsBeyondTheBox:
    def test_inside_there_are_none(self, run):
        found = run(fitted(chips=("toy-chip",), axes={"batch": (1.0, 4.0)}), batch=[1, 4])
        assert beyond(found) == pytest.approx([0.0, 0.0], abs=1e-9)
        assert not np.any(found.flags["extrapolated"])
        assert words(found) == [(), ()]

    def test_a_tenth_for_every_doubling_beyond_an_axis(self, run):
        found = run(fitted(axes={"batch": (4.0, 16.0)}), batch=[1, 2, 4, 8, 16, 32, 128])
        assert beyond(found) == pytest.approx([0.2, 0.1, 0, 0, 0, 0.1, 0.3], abs=1e-9)
        flagged = np.ravel(found.values(found.flags["extrapolated"])).tolist()
        assert flagged == [True, True, False, False, False, True, True]
        said = [text for at in words(found) for text in at]
        assert said == [
            "batch 1: fitted from 4, 2 doublings beyond",
            "batch 2: fitted from 4, 1 doubling beyond",
            "batch 32: fitted to 16, 1 doubling beyond",
            "batch 128: fitted to 16, 3 doublings beyond",
        ]

    def test_what_its_own_rows_showed_of_an_axis_takes_the_place_of_that(self, run):
        box = {"axes": {"batch": (4.0, 16.0)}, "widening": {"batch": (0.3, 0.05)}}
        assert beyond(run(fitted(**box), batch=[1, 4, 64])) == pytest.approx([0.6, 0.0, 0.1], abs=1e-9)

    @pytest.mark.parametrize(
        ("counts", "count", "more", "said"),
        [
            ((2, 4), 1, 0.1, "1 chip: fitted on 2 to 4"),
            ((2, 4), 2, 0.0, ""),
            ((2, 4), 4, 0.0, ""),
            ((2, 4), 8, 0.1, "8 chips: fitted on 2 to 4"),
            ((2,), 8, 0.2, "8 chips: fitted on 2"),
        ],
    )
    def test_a_tenth_for_every_doubling_of_chips(self, run, counts, count, more, said):
        found = run(
            fitted(counts=counts), f"{count}xtoy-chip:dp{count}" if count > 1 else "toy-chip", batch=8
        )
        assert beyond(found) == pytest.approx([more], abs=1e-9)
        assert words(found) == [(said,) if said else ()]

    def test_a_quarter_for_what_was_not_seen_and_all_in_quadrature(self, run):
        found = run(fitted(precisions=("bf16",)), precision=["fp8", "bf16"], ignore_capacity=True)
        assert beyond(found) == pytest.approx([0.25, 0.0], abs=1e-9)
        assert words(found) == [("fp8: fitted in bf16",), ()]
        found = run(fitted(phases=("prefill", "image")))
        assert beyond(found) == pytest.approx([0.25])
        assert words(found) == [("decode: fitted on prefill, image",)]
        every = fitted(chips=("other",), phases=("op",), precisions=("bf16",), axes={"batch": (2.0, 2.0)})
        assert beyond(run(every)) == pytest.approx([math.sqrt(3 * 0.25**2 + 0.1**2)])

    @pytest.mark.parametrize(("vendor", "more"), [("Toy", 0.25), ("Others", 0.5)])
    def test_a_chip_of_another_vendor_errs_as_kernels_that_nobody_fitted(self, run, toy, vendor, more):
        class Rough(Roofline):
            name = "rough"

            def unfitted(self, figures):
                return Unfitted(kernel=0.5)

        stack = attrs.evolve(fitted(chips=("other",)), time_model=Rough())
        known = toy.with_records("chips", [a_chip(toy, "other", vendor=vendor)])
        found = run(stack, registry=known)
        assert beyond(found) == pytest.approx([more])
        assert words(found) == [("Toy chip: fitted on other",)]


SITE = SimpleNamespace(
    rate=lambda op: 1e19,
    bandwidth=lambda level: 1e12,
    chip=SimpleNamespace(main="hbm"),
    link=lambda group: SimpleNamespace(bandwidth=1e9),
    computes_in=lambda name: name,
)
BF16 = ib.Precision.of(["bf16"])


def gemm(m, **more):
    return ib.Gemm(name="up", precision=BF16, m=m, n=1000.0, k=1000.0, **more)


class TestSharesOfAStep:
    """Products of 32 bytes at 2^40 bytes a second, so that shares of a step are exact."""

    def flagged(self, toy, inside: float) -> tuple[bool, tuple[str, ...]]:
        class Products(type(toy.workload("toy-mlp"))):
            def graph(self, network, at, phase, options):
                common = {"precision": at.precision, "m": at["batch"]}
                yield ib.Gemm(name="narrow", n=2.0, k=10.0, repeat=inside, **common)
                yield ib.Gemm(name="wide", n=10.0, k=2.0, **common)

        chip = a_chip(toy, "exact", memory={"hbm": ib.MemoryLevel(6e8, 2.0**40)})
        stack = fitted(ops={"gemm": {"n": (1.0, 5.0)}})
        known = toy.with_records("stacks", [stack]).with_records("chips", [chip])
        entry = known.entries("workloads")["toy-mlp"]
        known._entries["workloads"]["toy-mlp"] = attrs.evolve(entry, record=Products())
        run = ib.run(
            "exact", "toy-net/decode", stack="fitted", precision="fp8", scenario="toy", registry=known
        )
        return bool(np.all(run.flags["extrapolated"])), words(run)[0]

    def test_more_than_a_tenth_outside_is_extrapolated(self, toy):
        assert self.flagged(toy, 9.0) == (False, ())
        assert self.flagged(toy, 8.0) == (True, ("wide: n 10: fitted to 5, 1 doubling beyond",))

    def test_what_was_not_fitted_has_no_box(self, run):
        bound = run(attrs.evolve(fitted(axes={"batch": (4.0, 4.0)}), fit=Fit()))
        assert "extrapolated" not in bound.flags
        assert "extrapolated" in run(fitted(axes={"batch": (4.0, 4.0)})).flags
        assert words(bound) == [()]


class TestTheShareOutside:
    """2 MB of weights take 2 us; one row more moves 4 kB."""

    def share(self, stack, *ops, site=SITE):
        return float(np.squeeze(unlike(stack, ops, site)))

    def test_exchanges_take_their_payload_over_the_link(self):
        """1 MB over 1 GB/s: 1 ms beside 2.004 us."""
        send = ib.Collective(name="x", precision=BF16, collective="all_reduce", payload=1e6, group=2)
        stack = fitted(ops={"collective": {"payload": (1.0, 1e3)}})
        assert self.share(stack, send, gemm(1.0)) == pytest.approx(1e3 / (1e3 + 2.004))
        alone = SimpleNamespace(**{**vars(SITE), "link": lambda group: None})
        assert self.share(stack, send, gemm(1.0), site=alone) == 0.0

    def test_an_operator_counts_as_often_as_it_runs(self):
        stack = fitted(ops={"gemm": {"m": (1.0, 1.0)}})
        # 2.008 us three times beside 2.004 us.
        assert self.share(stack, gemm(2.0, repeat=3.0), gemm(1.0)) == pytest.approx(6.024 / 8.028)

    def test_kernels_without_a_figure_count_by_how_far_they_are_off(self):
        """0.5 in logs are two quarters: twice. What moves data counts not, an unknown error once."""

        class Rough(Roofline):
            def unfitted(self, figures):
                return Unfitted(kernel=0.5, movement=0.9)

        other = ib.Attention(
            name="a",
            precision=BF16,
            batch=1.0,
            queries=1.0,
            keys=1e3,
            pairs=1e3,
            heads=1.0,
            kv_heads=1.0,
            qk_dim=500.0,
            v_dim=500.0,
        )
        took = float(np.squeeze(other.bytes.total)) / 1e12 * 1e6
        stack = attrs.evolve(fitted(), fit=Fit(rows=9, kernel=0.1), time_model=Rough())
        assert self.share(stack, other, gemm(1.0)) == pytest.approx(2 * took / (took + 2.004))
        move = ib.Move(name="m", precision=BF16, elements=1e6)
        assert self.share(stack, move, gemm(1.0)) == 0.0
        nobody = attrs.evolve(stack, time_model=Roofline())
        assert self.share(nobody, other, gemm(1.0)) == pytest.approx(took / (took + 2.004))


class TestLikeness:
    """0 the same, 1 a sibling, 2 of one vendor, 3 of one architecture."""

    @pytest.mark.parametrize(
        ("mine", "theirs", "near"),
        [
            ({"year": 2024}, {"year": 2020}, 1),
            ({"year": 2020}, {"year": 2024}, 1),
            ({"year": 2024}, {"year": 2019}, 2),
            ({"year": None}, {"year": None}, 1),
            ({"year": 2024}, {"year": None}, 2),
            ({"year": None}, {"year": 2024}, 2),
            ({}, {"vendor": "Others"}, 3),
            ({}, {"architecture_type": "another"}, 3),
            ({}, {"memory": {"sram": ib.MemoryLevel(1e9, 1e13)}}, 2),
        ],
    )
    def test_of_two_chips(self, toy, mine, theirs, near):
        known = toy.with_records("chips", [a_chip(toy, "theirs", **theirs)])
        assert likeness(fitted(chips=("theirs",)), a_chip(toy, "mine", **mine), known) == near

    def test_it_is_that_of_the_nearest_chip(self, toy):
        made = [a_chip(toy, "far", vendor="Others"), a_chip(toy, "near")]
        known, chip = toy.with_records("chips", made), a_chip(toy, "mine")
        assert likeness(fitted(chips=("far", "near")), chip, known) == 1
        assert likeness(fitted(chips=("far", "mine")), chip, known) == 0
        assert likeness(fitted(), chip, known) == 0
        assert likeness(fitted(chips=("nobody",)), chip, known) == 3

    @pytest.mark.parametrize(
        ("peak", "bandwidth", "doublings"),
        [
            ({"bf16": 200e12, "fp8": 200e12}, 1e12, 1.0),
            ({"bf16": 50e12}, 4e12, 3.0),
            ({"fp8": 400e12}, 1e12, 1.0),  # of formats that both have the first of the usual ones
            ({"int4": 1e12}, 1e12, math.inf),
            ({"bf16": 100e12}, math.nan, math.inf),
        ],
    )
    def test_how_far_two_are_apart_is_doublings_of_peak_and_bandwidth(self, toy, peak, bandwidth, doublings):
        other = a_chip(toy, "theirs", peak=peak, memory={"hbm": ib.MemoryLevel(6e8, bandwidth)})
        known = toy.with_records("chips", [other])
        assert farness(fitted(chips=("theirs",)), toy.chip("toy-chip"), known) == pytest.approx(doublings)
        assert farness(fitted(), toy.chip("toy-chip"), known) == 0.0


class TestCitations:
    """Which of several stacks a measurement means, by what their software is called."""

    def named(self, toy, software, *stacks, phase="decode", loaded=None, chips=()):
        known = toy.with_records("stacks", stacks).with_records("chips", chips)
        found = cited(known, known.chip("toy-chip"), software, phase, loaded)
        return None if found is None else found.name

    def of(self, name, software, rows=9, phases=("decode",), versions=(), **domain):
        box = {"chips": ("toy-chip",), "phases": phases, **domain}
        plain = attrs.evolve(fitted(name, **box), software=(software,), versions=versions)
        return attrs.evolve(plain, fit=attrs.evolve(plain.fit, rows=rows))

    def test_the_longest_beginning_wins(self, toy):
        short, long = self.of("short", "Lib"), self.of("long", "Lib X")
        assert self.named(toy, "lib x 2", short, long) == "long"
        assert self.named(toy, "LIB y", short, long) == "short"
        assert self.named(toy, "Other Lib", short, long) is None

    def test_a_nearer_chip_comes_before_a_longer_name(self, toy):
        mine, theirs = self.of("mine", "Lib"), self.of("theirs", "Lib X", chips=("far",))
        assert self.named(toy, "Lib X", mine, theirs, chips=[a_chip(toy, "far")]) == "mine"

    def test_a_step_is_of_software_that_was_fitted_on_steps(self, toy):
        steps, kernels = self.of("steps", "Lib"), self.of("kernels", "Lib X", phases=())
        assert self.named(toy, "Lib X", steps, kernels) == "steps"
        assert self.named(toy, "Lib X", steps, kernels, phase="op") == "kernels"
        assert self.named(toy, "Lib X", steps, phase="prefill") is None

    @pytest.mark.parametrize(
        ("text", "name"),
        [("Lib 1.5.3", "old"), ("Lib 1.0", "old"), ("Lib 1.6", "new"), ("Lib 3", "new"), ("Lib 0.9", "new")],
    )
    def test_a_version_that_is_named_is_meant(self, toy, text, name):
        """Of 0.9 neither was fitted: then more rows decide."""
        old, new = (
            self.of("old", "Lib", 5, versions=("1.0", "1.5")),
            self.of("new", "Lib", 9, versions=("1.6", "")),
        )
        assert self.named(toy, text, old, new) == name

    def test_without_a_version_it_is_what_was_measured(self, toy):
        static = self.of("static", "Lib", 9, versions=("1.0", "1.5"))
        server = self.of("server", "Lib", 5, versions=("1.6", ""), loaded=True)
        assert self.named(toy, "Lib", static, server) == "server"
        assert self.named(toy, "Lib", static, server, loaded=True) == "server"
        assert self.named(toy, "Lib", static, server, loaded=False) == "static"

    def test_of_equals_the_nearer_chip_and_then_more_rows_decide(self, toy):
        far = a_chip(toy, "far", peak={"bf16": 400e12, "fp8": 800e12}, year=2024)
        near = a_chip(toy, "near", peak={"bf16": 200e12, "fp8": 400e12}, year=2024)
        one, two = self.of("one", "Lib", chips=("far",)), self.of("two", "Lib", 5, chips=("near",))
        assert self.named(toy, "Lib", one, two, chips=[far, near]) == "two"
        many, few = self.of("many", "Lib", 9), self.of("few", "Lib", 5)
        assert self.named(toy, "Lib", many, few) == self.named(toy, "Lib", few, many) == "many"

    def test_a_chip_of_the_same_formats_comes_before_a_longer_name(self, toy):
        """A generation computes in the same formats."""
        other = a_chip(toy, "other", peak={"bf16": 100e12})
        same = a_chip(toy, "same", peak={"bf16": 800e12, "fp8": 800e12})
        one, two = self.of("one", "Lib X", chips=("other",)), self.of("two", "Lib", chips=("same",))
        assert self.named(toy, "Lib X", one, two, chips=[other, same]) == "two"
