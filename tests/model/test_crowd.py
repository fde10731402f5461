"""Layouts that are costed in one call get what each gets alone."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.brief import brief
from inferbench.model.evaluate import evaluate, prepare

pytestmark = pytest.mark.needs_plugins(
    "chips/h200", "chips/tpu-v5p", "chips/wse-3", "networks/llama3-70b", "networks/deepseek-v3"
)

DENSE = ("tp8", "tp4", "tp4pp2", "tp4pp3", "tp2pp4", "pp8", "pp1", "tp4dp2", "tp2cp2pp2", "cp4pp2", "dp8")
EXPERTS = ("tp8ep8", "tp8pp2", "tp8pp2ep8", "tp8pp5", "tp4dp4ep16", "dp16ep16", "cp2dp8ep16", "tp32", "dp3")
GRID = ib.Grid.of({"batch": [1.0, 3.0, 8.0, 100.0], "context": [2048.0]}, ["bf16", "fp8"])
SUMS = ("seconds", "model", "bound_seconds", "silicon", "log_error", "power_log_error", "energy_log_error")


def case(chip, network, phase, layout, stack, **more):
    known = ib.installed()
    system = ib.System(known.chip(chip), layout.chips, layout)
    work = system, known.network(network), phase
    found = prepare(*work, stack=known.stack(stack), registry=known, ignore_capacity=True)
    return attrs.evolve(found, graphs={}, **more)


def alike(one, other):
    """Whether figures are the same but for the last bits: a processor takes many powers in another way."""
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-12, atol=0.0, equal_nan=True)


def same(one, other):
    for name in SUMS:
        assert alike(getattr(one, name), getattr(other, name)), name
    assert list(one.busy) == list(other.busy)
    assert list(one.causes) == list(other.causes)
    for table in ("busy", "causes"):
        for name, value in getattr(one, table).items():
            assert alike(value, getattr(other, table)[name]), name
    assert alike(one.energy.joules, other.energy.joules)
    assert one.strange == other.strange
    assert all(np.array_equal(mask, other.flags[name]) for name, mask in one.flags.items())


@pytest.mark.parametrize("phase", ["decode", "prefill"])
@pytest.mark.parametrize(
    ("chip", "network", "stack", "names"),
    [
        ("h200", "llama3-70b", "vllm-h100", DENSE),
        ("h200", "llama3-70b", "ideal", DENSE),
        ("tpu-v5p", "llama3-70b", "tpu-serving", DENSE),
        ("wse-3", "llama3-8b", "class-dataflow", ("tp8", "tp4", "tp4pp2", "pp1")),
        ("h200", "deepseek-v3", "sglang-serving-h200", EXPERTS),
    ],
)
def test_many_layouts_at_once_get_what_each_gets_alone(chip, network, stack, names, phase):
    layouts = tuple(ib.Layout.parse(name) if name != "pp1" else ib.Layout() for name in names)
    shared: dict[object, object] = {}
    for layout in layouts:
        alone = case(chip, network, phase, layout, stack)
        beside = attrs.evolve(alone, beside=layouts, graphs=shared)
        same(evaluate(alone, GRID, [layout]), evaluate(beside, GRID, [layout]))


def test_layouts_may_be_asked_at_points_of_their_own():
    layouts = tuple(map(ib.Layout.parse, ("tp8pp2", "tp8pp5", "tp32", "dp16ep16")))
    shared: dict[object, object] = {}

    def grid(layout):
        return ib.Grid.of({"batch": [1.0, float(layout.pp * layout.dp)], "context": [512.0]}, ["fp8"])

    for layout in layouts:
        alone = case("h200", "deepseek-v3", "prefill", layout, "sglang-serving-h200")
        more = {"beside": layouts, "graphs": shared, "asked_at": lambda one: grid(one).at}
        found = evaluate(attrs.evolve(alone, **more), grid(layout), [layout])
        same(evaluate(alone, grid(layout), [layout]), found)


@pytest.mark.parametrize("degree", ["pp", "tp", "dp"])
def test_an_architecture_that_reads_a_degree_is_asked_for_each_layout(degree):
    layouts = tuple(map(ib.Layout.parse, ("tp4", "tp4pp2", "tp4pp4", "tp8", "tp4dp2")))
    shared: dict[object, object] = {}
    own = type(case("h200", "llama3-70b", "decode", layouts[0], "ideal").architecture)

    class Slower(own):
        name = "slower"

        def cost(self, op, site):
            found = super().cost(op, site)
            times = float(getattr(site.layout, degree))
            return attrs.evolve(found, busy={name: part * times for name, part in found.busy.items()})

    for layout in layouts:
        alone = attrs.evolve(case("h200", "llama3-70b", "decode", layout, "ideal"), architecture=Slower())
        together = attrs.evolve(alone, beside=layouts, graphs=shared)
        same(evaluate(alone, GRID, [layout]), evaluate(together, GRID, [layout]))


def test_a_step_in_brief_has_the_figures_of_the_whole_run():
    layout = ib.Layout.parse("tp4pp2")
    whole = case("h200", "llama3-70b", "decode", layout, "vllm-h100")
    run, found = evaluate(whole, GRID, [layout]), brief(whole, GRID, layout)
    assert alike(found.seconds, run.seconds)
    assert alike(found.watts, run.energy.watts)
    assert np.array_equal(found.grid.full(found.feasible), run.values(run.feasible))
    assert alike(found.log_error, run.log_error)
