"""What plugins print never stands between a verb's answer and whoever reads standard output."""

from __future__ import annotations

import importlib.util

import attrs
import pytest

import inferbench as ib

WORK = {"precision": "bf16", "scenario": "toy", "batch": 1, "context": 16}


@pytest.fixture
def chatty(toy, toy_file):
    """The toy's records, each of which prints whenever it is asked."""
    spec = importlib.util.spec_from_file_location("chatty_toy", toy_file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Loud(module.Toy):
        def place(self, graph, chip, layout):
            print("architecture places")
            return super().place(graph, chip, layout)

        def gemm(self, op, site):
            print("architecture costs")
            return super().gemm(op, site)

    class LoudWorkload(module.ToyWorkload):
        def graph(self, network, at, phase, options):
            print("workload builds")
            yield from super().graph(network, at, phase, options)

    def said(run):
        print("metric is asked")
        return run.seconds

    metric = attrs.evolve(toy.get("metrics", "tpot_s"), compute=said)
    known = toy.with_records("architectures", [Loud()])
    return known.with_records("workloads", [LoudWorkload()]).with_records("metrics", [metric])


ASKED = {
    "run": lambda known: ib.run("toy-chip", "toy-net/decode", registry=known, **WORK)["tpot_s"],
    "run as data": lambda known: ib.run("toy-chip", "toy-net/decode", registry=known, **WORK).to_dict(),
    "compare": lambda known: ib.compare(["toy-chip"], "toy-net/decode", registry=known, **WORK).to_dict(),
    "compare as text": lambda known: ib.compare(
        ["toy-chip"], "toy-net/decode", registry=known, **WORK
    ).table(),
    "sweep": lambda known: ib.sweep(["toy-chip"], "toy-net/decode", registry=known, **WORK).to_dict(),
}


@pytest.mark.parametrize("asked", ASKED)
def test_prints_of_plugins_go_to_standard_error(chatty, capsys, asked):
    assert ASKED[asked](chatty) is not None
    out, err = capsys.readouterr()
    assert out == ""
    assert {"architecture places", "workload builds"} <= set(err.splitlines())


def test_standard_output_comes_back_after_a_fault(toy, capsys):
    with pytest.raises(ib.InferBenchError):
        ib.run("no-chip", "toy-net/decode", registry=toy)
    print("mine")
    assert capsys.readouterr().out == "mine\n"
