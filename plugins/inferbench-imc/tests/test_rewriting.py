"""Whole networks on installed chips whose arrays can't hold them: rewriting is charged, or the point is
infeasible.
"""

import numpy as np
import pytest

import inferbench as ib

pytest.importorskip("inferbench_specs", reason="specs are not installed")
pytest.importorskip("inferbench_vision", reason="needs inferbench-vision")

# torchvision: ResNet-50 has 25,557,032 parameters. Metis: 4 MiB in its arrays.
WEIGHTS, ARRAYS = 25_557_032, 4 * 2**20


def metis(**axes):
    return ib.run("metis", "resnet-50/forward", precision="int8", stack="ideal", **axes)


def one(value):
    return float(np.squeeze(value))


def test_resnet_50_runs_on_metis_and_pays_for_what_its_arrays_cannot_hold():
    run = metis()
    assert np.all(run.feasible)
    resident = {level: one(amount) for level, amount in run.chain["placement"].resident.items()}
    assert resident["sram"] == ARRAYS
    # What is outside is the weights less what activations leave of the arrays' room: more than weights -
    # arrays.
    assert WEIGHTS - ARRAYS < resident["ddr"] < WEIGHTS
    assert one(run.busy["memory.ddr"]) == pytest.approx(resident["ddr"] / 34.1e9, rel=0.005)
    # A bit of SRAM takes 0.117 pJ at 7 nm to write, 8.7 % more at 12 nm.
    assert one(run.energy.parts["array.writes"]) == pytest.approx(
        8 * resident["ddr"] * 0.117e-12 * 1.087, rel=0.005
    )
    assert run.seconds > run.roofline


def test_rewriting_is_paid_once_per_batch():
    # Images of 32 x 32, whose activations stay at home: eight of them bring passes, but few bytes from
    # outside.
    alone, eight = metis(batch=1, pixels=32), metis(batch=8, pixels=32)
    assert one(eight.busy["memory.ddr"]) < 1.05 * one(alone.busy["memory.ddr"])
    assert one(eight.busy["compute"]) > 4 * one(alone.busy["compute"])


def test_several_cards_are_modelled():
    run = ib.run("8xmetis", "resnet-50/forward", precision="int8", batch=8, stack="ideal")
    assert np.all(run.feasible)
    assert one(run.seconds) <= one(metis(batch=8).seconds)


def test_a_chip_without_other_memory_says_how_many_it_takes():
    run = ib.run("hermes", "resnet-50/forward", precision="int8", stack="ideal")
    assert not np.any(run.feasible)
    # 25.6 MB in arrays of 4.19 MB: seven chips.
    assert one(run.reasons[0].numbers["bound"]) == 7
