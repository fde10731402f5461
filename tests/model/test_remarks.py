"""What a run says beside its numbers, and why points are refused, on the toy plugin alone."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.records.fit import Fit
from inferbench.records.stack import Stack


def replace(registry, kind, name, record):
    registry._entries[kind][name] = attrs.evolve(registry.entries(kind)[name], record=record)


@pytest.fixture
def run(toy):
    def go(system="toy-chip", **more):
        settings = {"precision": "fp8", "scenario": "toy", "registry": toy, **more}
        return ib.run(system, "toy-net/decode", **settings)

    return go


def notes(run):
    return list(run.notes.values())


class TestRemarks:
    @pytest.fixture
    def talkative(self, toy):
        """Architecture, workload and fabric that have something to say."""

        class Chips(type(toy.architecture("toy"))):
            def remarks(self, chip, tuning):
                yield f"{chip.name} is made up"

        class Networks(type(toy.workload("toy-mlp"))):
            def remarks(self, network, options, layouts):
                yield f"{network.name} in {', '.join(map(str, layouts))}, head {options.head}"

        class Links(type(toy.fabric("toy-bus"))):
            def remarks(self, link):
                yield f"links of {link.size} chips"

        replace(toy, "architectures", "toy", Chips())
        replace(toy, "workloads", "toy-mlp", Networks())
        replace(toy, "fabrics", "toy-bus", Links())
        return toy

    def test_all_have_their_say(self, talkative, run):
        assert notes(run()) == ["toy-net in tp1, head True", "toy-chip is made up"]
        found = run("2xtoy-chip:tp2")
        assert notes(found)[2:] == ["Toy chip: links of 8 chips"]
        assert {*found.notes} == {"remark-0", "remark-1", "remark-2"}

    def test_links_are_of_chips_that_exchange(self, talkative, run, toy):
        """Copies don't, what fits nowhere does nothing, and of software that was fitted it is known."""
        assert not any("links" in said for said in notes(run("2xtoy-chip:dp2", batch=2)))
        assert not any("links" in said for said in notes(run("2xtoy-chip:tp2", batch=1_000_000)))
        assert any("links" in said for said in notes(run("2xtoy-chip:tp2", batch=[1, 1_000_000])))
        fitted = Stack(name="fitted", title="F", fit=Fit(rows=3, step=0.1))
        known = toy.with_records("stacks", [fitted])
        assert not any("links" in said for said in notes(run("2xtoy-chip:tp2@fitted", registry=known)))
        found = run("2xtoy-chip", batch=[1, 1000])  # halves for one, copies for many
        assert "toy-net in tp2, dp2, head True" in {
            said.replace("dp2, tp2", "tp2, dp2") for said in notes(found)
        }
        assert "Toy chip: links of 8 chips" in notes(found)

    def test_links_of_one_fabric_say_it_once(self, talkative, run, toy):
        chip = toy.chip("toy-chip")
        both = {**chip.interconnect, "scale_out": attrs.evolve(chip.interconnect["scale_up"])}
        replace(toy, "chips", "toy-chip", attrs.evolve(chip, interconnect=both))
        assert notes(run("2xtoy-chip:tp2")).count("Toy chip: links of 8 chips") == 1

    def test_the_first_point_is_asked_for_what_is_unusual(self, run):
        said = "context 40 is beyond the 32 positions of Toy net"
        assert run(context=[40, 16]).notes == {"unusual-0": said}
        assert run(context=[16, 40]).notes == {}

    def test_an_option_that_changes_nothing_is_named(self, toy, run):
        @ib.frozen
        class Options:
            head: bool = True
            colour: int = 1

        class Coloured(type(toy.workload("toy-mlp"))):
            options = Options

        replace(toy, "workloads", "toy-mlp", Coloured())
        assert notes(run(options={"colour": 2})) == ["colour changes nothing in decode"]
        assert notes(run(options={"colour": 2, "head": False})) == ["colour changes nothing in decode"]
        assert notes(run(options={"head": False})) == notes(run()) == []

    def test_parts_of_a_network_that_nobody_reads_are_named(self, toy, run):
        network = attrs.evolve(toy.network("toy-net"), unread=("vision", "audio"))
        replace(toy, "networks", "toy-net", network)
        left = "is not read; the figures leave it out"
        assert notes(run()) == [f"toy-net: vision {left}", f"toy-net: audio {left}"]


class TestReasons:
    """500 MB of weights in fp8, 20 kB of activations for each of a batch, chips of 600 MB."""

    def reasons(self, run):
        return [row["reason"] for row in run.to_dict()["results"]]

    def test_a_network_that_all_chips_together_can_not_hold(self, run):
        said = "needs 1.00 GB, has 600 MB: 2 chips or more for the weights alone (1.00 GB)"
        found = run(precision=["fp8", "bf16"])
        assert self.reasons(found) == [None, said]
        assert found.to_dict()["results"][0]["feasible"]

    def test_one_that_the_fullest_chip_can_not(self, run):
        """32,000 sequences in two microbatches: three products and 320 MB in the fuller stage."""
        (reason,) = self.reasons(run("2xtoy-chip:pp2", batch=32_000))
        assert reason == "the fullest chip needs 620 MB with activations, has 600 MB"
        assert self.reasons(run("2xtoy-chip:pp2", batch=30_000)) == [None]

    def test_each_point_has_its_own(self, run):
        """On two chips: 1 GB is less than both have, but not than a chip with a copy."""
        found = run("2xtoy-chip:dp2", precision=["fp8", "bf16"], batch=[1, 2, 20_000])
        few = "dp2 has more ranks than the batch has sequences (1)"
        full = "the fullest chip needs 1.00 GB with activations, has 600 MB"
        assert self.reasons(found)[:4] == [few, few, None, full]
        assert self.reasons(found)[4] == "the fullest chip needs 700 MB with activations, has 600 MB"

    def test_what_is_kept_for_the_engine_is_not_there(self, run):
        said = "needs 500 MB, has 480 MB: 2 chips or more for the weights alone (500 MB)"
        assert self.reasons(run(reserve="120 MB")) == [said]
        assert self.reasons(run(reserve=0.1)) == [None]

    def test_a_format_that_the_chip_lacks(self, run):
        found = run(precision=["fp8", "fp64"], ignore_capacity=True)
        said = "the chip has no format that computes this precision; it has bf16, fp8"
        assert sorted(self.reasons(found)[1].replace("fp8, bf16", "bf16, fp8").split()) == sorted(
            said.split()
        )
        assert self.reasons(found)[0] is None

    def test_infinite_or_unknown_figures_are_null_and_say_why(self, run):
        row = run(precision="bf16").to_dict()["results"][0]
        assert row["metrics"]["tpot_s"] is None
        assert row["unknown"]["tpot_s"] == row["reason"]
        assert row["metrics"]["bound"] is None
        good = run().to_dict()["results"][0]
        assert good["metrics"]["tpot_s"] == pytest.approx(5 * 100.02e-6)
        assert "tpot_s" not in good["unknown"]
        assert good["memory"]["weights_bytes"] == 500e6
        assert np.isclose(good["memory"]["needed_bytes"], 500e6 + 20e3)
        assert (good["chips"], good["layout"], good["precision"], good["batch"]) == (1, "tp1", "fp8", 1)
