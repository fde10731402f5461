"""Pictures of a batch know nothing of each other: each costs what one alone does."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib


def cost(network: ib.Network, batch: float) -> dict[str, tuple[float, float, float]]:
    """Operations, and bytes of activations that come and go, by operator of the first phase."""
    workload = ib.installed().workload(network.type)
    phase = workload.phases[0]
    axes = {**workload.defaults(network, phase.name), "batch": batch}
    at = ib.Grid.of({axis: [value] for axis, value in axes.items()}, ["bf16"]).at
    return {
        op.name: tuple(float(np.squeeze(one)) for one in (op.useful, op.bytes.inputs, op.bytes.outputs))
        for op in workload.graph(network, at, phase.name, workload.options())
    }


@pytest.mark.parametrize("kind", ["vit", "clip", "siglip", "resnet", "whisper"])
def test_three_pictures_cost_three_times_one(kind):
    pytest.importorskip("inferbench_specs", reason="the specs distribution is not installed")
    known = ib.installed()
    networks = [known.network(name) for name in known.entries("networks")]
    some = [network for network in networks if network.type == kind]
    assert some
    for network in some:
        one, three = cost(network, 1.0), cost(network, 3.0)
        assert one.keys() == three.keys()
        for name, alone in one.items():
            assert three[name] == pytest.approx(tuple(3 * part for part in alone)), (network.name, name)
