"""Which of made-up stacks is taken for a chip, on the toy plugin: by likeness, kinds of work and doubts."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.choice import ForeignStack, choose, scaled
from inferbench.model.own_formats import own_formats
from inferbench.records.choice import Choice
from inferbench.records.fit import Domain, Fit
from inferbench.records.roofline import RooflineFigures
from inferbench.records.stack import Stack

PRODUCTS = RooflineFigures(efficiency={"memory": {"gemm": 0.9}})


def made(name: str, step: float = 0.1, figures: Any = PRODUCTS, **more: Any) -> Stack:
    """A server's stack of the newest version, fitted on the toy chip."""
    box = {name: more.pop(name) for name in ("chips", "phases", "precisions", "counts") if name in more}
    usual: dict[str, Any] = {
        "architectures": ("toy",),
        "software": ("Lib",),
        "family": "lib",
        "versions": ("1.0", ""),
        "fit": Fit(rows=9, step=step, error=5.0),
        "domain": Domain(**{"chips": ("toy-chip",), **box}),
    }
    return Stack(name=name, title=name, figures=figures, **{**usual, **more})


def a_chip(registry: Any, name: str, **more: Any) -> ib.Chip:
    silicon = {"silicon": ib.Silicon(year=more.pop("year"))} if "year" in more else {}
    return attrs.evolve(registry.chip("toy-chip"), name=name, title=name, **silicon, **more)


@pytest.fixture
def chosen(toy):
    def go(
        wanted: str, *stacks: Stack, chips: tuple[ib.Chip, ...] = (), network: bool = True, **more: Any
    ) -> Choice:
        known = toy.with_records("stacks", stacks).with_records("chips", chips)
        usual = {"phase": "decode", "precision": "fp8"}
        net = known.network("toy-net") if network else None
        return choose(wanted, known.chip("toy-chip"), net, registry=known, **{**usual, **more})

    return go


class TestNearness:
    def test_software_of_the_chip_comes_before_that_of_a_sibling_whatever_its_error(self, chosen, toy):
        mine, theirs = made("mine", 0.9), made("theirs", 0.1, chips=("like",))
        found = chosen("best", mine, theirs, chips=(a_chip(toy, "like"),))
        assert (found.stack.name, found.why, found.grade) == ("mine", "fitted on this chip", "calibrated")
        found = chosen("best", theirs, chips=(a_chip(toy, "like"),))
        assert (found.stack.name, found.grade) == ("theirs", "transferred")
        assert found.why == "fitted on a sibling of this chip"

    def test_what_is_no_sibling_leaves_the_prior_of_the_class_and_then_the_bound(self, chosen, toy):
        far = a_chip(toy, "far", vendor="Others")
        other = made("other", chips=("far",))
        wide = made("class-any", grade="class", architectures=(), family="", software=())
        narrow = made("class-toy", grade="class", family="", software=())
        own = made("class-toy-toy", grade="class", vendors=("Toy",), family="", software=())
        foreign = made("class-toy-far", grade="class", vendors=("Others",), family="", software=())
        every = (other, wide, narrow, own, foreign)
        assert chosen("best", *every, chips=(far,)).stack.name == "class-toy-toy"
        assert chosen("best", other, wide, narrow, foreign, chips=(far,)).stack.name == "class-toy"
        found = chosen("best", other, wide, foreign, chips=(far,))
        assert (found.stack.name, found.why) == ("class-any", "no software of it or a sibling was measured")
        found = chosen("best", other, foreign, chips=(far,))
        assert (found.stack.name, found.grade) == ("ideal", "bound")
        assert found.why == "no software of this chip or its class was measured"

    def test_of_a_family_the_nearest(self, chosen, toy):
        like, far = a_chip(toy, "like"), a_chip(toy, "far", vendor="Others")
        mine, near, else_ = (
            made("mine"),
            made("near", 0.05, chips=("like",)),
            made("else", 0.01, chips=("far",)),
        )
        assert chosen("lib", mine, near, else_, chips=(like, far)).stack.name == "mine"
        assert chosen("lib", near, else_, chips=(like, far)).stack.name == "near"
        assert chosen("LIB", else_, chips=(far,)).stack.name == "else"

    @pytest.mark.parametrize(
        ("unlike", "error"),
        [
            ({"memory": {"hbm": ib.MemoryLevel(6e8, 4e12)}}, 0.5),  # two doublings of the bandwidth
            ({"peak": {"bf16": 50e12, "fp8": 100e12}}, 0.25),  # one of the peaks
            ({"peak": {"bf16": 100e12, "fp8": 200e12, "int8": 1e12}}, 0.25),  # a format more
            ({"peak": {"bf16": 100e12}}, 0.25),  # a format less
        ],
    )
    def test_a_sibling_less_like_the_chip_is_doubted_more(self, chosen, toy, unlike, error):
        """A quarter in logs for a doubling or a format, joined with its residual of 0.1."""
        chips = a_chip(toy, "unlike", **unlike), a_chip(toy, "same")
        one = made("one", 0.1, chips=("unlike",))
        for step, name in ((math.hypot(0.1, error) + 0.01, "one"), (math.hypot(0.1, error) - 0.01, "two")):
            assert chosen("best", one, made("two", step, chips=("same",)), chips=chips).stack.name == name


class TestKindsOfWork:
    def test_operators_that_it_knows_take_half_of_the_step(self, chosen, toy):
        """A product at 200 TOP/s beside bytes at 1 TB/s: of stacks that know products alone."""

        def named(share: float) -> str:
            class Mixed(type(toy.workload("toy-mlp"))):
                def graph(self, network, at, phase, options):
                    common = {"precision": at.precision, "repeat": 7.0}
                    yield ib.Gemm(name="a", m=1e4, n=1e4, k=share * 1e4, **common)  # 10 ms times the share
                    yield ib.Move(name="b", elements=(1.0 - share) * 5e9, **common)  # as bytes in and out

            entry = toy.entries("workloads")["toy-mlp"]
            toy._entries["workloads"]["toy-mlp"] = attrs.evolve(entry, record=Mixed())
            return chosen("best", made("kernels", fit=Fit(rows=9, kernel=0.1))).stack.name

        assert [named(share) for share in (0.45, 0.55)] == ["ideal", "kernels"]

    def test_a_single_operator_needs_a_figure_of_its_kind(self, chosen):
        one = made("kernels", fit=Fit(rows=9, kernel=0.1))
        assert chosen("best", one, network=False, kind="gemm").stack.name == "kernels"
        assert chosen("best", one, network=False, kind="attention").stack.name == "ideal"
        assert chosen("best", one, network=False).stack.name == "kernels"
        every = made("any", figures=RooflineFigures(launch={"default": 1e-6}))
        assert chosen("best", every, network=False, kind="attention").stack.name == "any"
        bare = made("bare", figures=RooflineFigures())
        assert chosen("best", bare, network=False, kind="attention").stack.name == "bare"

    def test_phases_that_were_not_fitted_are_no_reason_to_take_it(self, chosen):
        one = made("one", phases=("prefill",))
        assert chosen("best", one).stack.name == "ideal"
        assert chosen("best", made("one", phases=("prefill", "decode"))).stack.name == "one"
        # Of two phases one is enough; what has both is surer: a quarter is joined with the other's 0.1.
        both = made("both", 0.26, phases=("prefill", "decode"))
        half = made("half", 0.1, phases=("decode",))
        asked = {"phase": ("prefill", "decode")}
        assert chosen("best", half, **asked).stack.name == "half"
        assert chosen("best", half, both, **asked).stack.name == "both"
        assert (
            chosen("best", half, attrs.evolve(both, fit=Fit(rows=9, step=0.28)), **asked).stack.name == "half"
        )

    def test_what_was_not_fitted_serves_nobody(self, chosen):
        assert chosen("best", made("words", fit=Fit())).stack.name == "ideal"
        assert chosen("best", made("wrong", architectures=("other",))).stack.name == "ideal"


class TestVersions:
    def test_where_a_newer_version_was_measured_older_ones_are_left(self, chosen, toy):
        old = made("old", 0.01, versions=("0.5", "0.9"))
        new = made("new", 0.5)
        assert chosen("best", old, new).stack.name == "new"
        assert chosen("best", old).stack.name == "old"
        assert chosen("lib", old, new).stack.name == "new"
        assert chosen("best", attrs.evolve(old, family="another"), new).stack.name == "old"
        far = made("far", 0.5, chips=("like",))
        assert chosen("lib", old, far, chips=(a_chip(toy, "like"),)).stack.name == "old"

    def test_kernels_alone_are_left_where_a_server_is(self, chosen):
        kernels = made("kernels", math.nan, versions=(), family="k", fit=Fit(rows=9, kernel=0.001))
        assert chosen("best", kernels, made("server", 0.9)).stack.name == "server"
        assert chosen("best", kernels).stack.name == "kernels"


class TestNames:
    def test_several_are_taken_in_turn(self, chosen):
        foreign = made("foreign", architectures=("other",), family="far")
        mine = made("mine")
        assert chosen("foreign, mine", foreign, mine).stack.name == "mine"
        assert chosen("far,ideal", foreign, mine).stack.name == "ideal"
        with pytest.raises(ForeignStack, match="'foreign' applies to other; toy-chip is toy"):
            chosen("foreign", foreign, mine)
        with pytest.raises(ForeignStack, match="no stack of 'far' runs on toy chips") as caught:
            chosen("far", foreign, mine)
        assert "toy-chip is served by mine, best, ideal" in str(caught.value)

    def test_names_that_nobody_has(self, chosen):
        with pytest.raises(ib.InferBenchError, match="no stack and no family is called 'mina'") as caught:
            chosen("mina", made("mine"))
        assert "did you mean 'mine'?" in str(caught.value)
        assert str(caught.value).startswith("toy-chip@mina: ")
        with pytest.raises(ib.InferBenchError, match="no software is named"):
            chosen(" , ", made("mine"))

    def test_six_of_those_that_serve_a_chip_are_named_the_nearest_first(self, chosen, toy):
        like, far = a_chip(toy, "like"), a_chip(toy, "far", vendor="Others")
        stacks = [made(f"s{i}", chips=("like",)) for i in range(3)] + [made(f"z{i}") for i in range(5)]
        with pytest.raises(ib.InferBenchError) as caught:
            chosen("nobody", *stacks, made("a", chips=("far",)), chips=(like, far))
        assert "toy-chip is served by z0, z1, z2, z3, z4, s0, best, ideal" in str(caught.value)

    def test_scales_per_block_are_meant_by_all_formats_or_none(self, toy):
        plain, block = made("plain"), made("block", block_scales_of="plain")
        known = toy.with_records("stacks", [plain, block])
        network = attrs.evolve(known.network("toy-net"))
        assert scaled(plain, network, ["fp8_block"], known).name == "block"
        assert scaled(plain, network, ["fp8_block", "fp8"], known).name == "plain"
        assert scaled(plain, network, ["fp8"], known).name == "plain"
        assert scaled(plain, None, [], known).name == "plain"


@pytest.mark.parametrize(
    ("peak", "own", "said"),
    [
        ({"fp8": 2e14}, "fp8", {}),
        ({"int8": 2e14}, "int8", {"8bit": "odd: 8 bits are int8, its fastest format of that width"}),
        ({"fp8": 1e14, "int8": 1e14}, "fp8", {}),
        (
            {"fp8": 1e14, "int8": 2e14},
            "int8",
            {"8bit": "odd: 8 bits are int8, its fastest format of that width"},
        ),
    ],
)
def test_a_width_is_the_fastest_format_that_has_it(toy, peak, own, said):
    chip = a_chip(toy, "odd", peak={"bf16": 1e14, **peak})
    assert own_formats(["8bit", "bf16"], chip, toy) == ([own, "bf16"], said)
    assert own_formats(["int8"], chip, toy) == (["int8"], {})


def test_numbers_are_those_of_the_stack_that_was_taken(toy):
    """Nine tenths of 1 TB/s: 100.02 us become 111.13."""
    known = toy.with_records("stacks", [made("mine")])
    run = ib.run("toy-chip", "toy-net/decode", precision="fp8", scenario="toy", registry=known)
    assert run.choice.stack.name == "mine"
    assert float(np.squeeze(run.seconds)) == pytest.approx(5 * 100.02e-6 / 0.9)
