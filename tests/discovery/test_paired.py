"""Records made in Python with a table that is not their plugin's: the record is blamed, not the plugin."""

from __future__ import annotations

import attrs
import pytest

import inferbench as ib
from inferbench.discovery.registry import Registry
from inferbench.testing.laws.sample import CHIP, NETWORK, Layers, sample_world


@pytest.fixture
def world():
    """The sample machine with chips and networks whose own tables are somebody else's."""
    known = sample_world(Registry(load=False))
    tables = {"nothing": None, "a-dict": {"width": 1}, "a-text": "sample"}
    chips = [attrs.evolve(CHIP, name=name, architecture=one) for name, one in tables.items()]
    networks = [attrs.evolve(NETWORK, name=name, params=one) for name, one in tables.items()]
    chips += [attrs.evolve(CHIP, name="of-a-network", architecture=Layers())]
    networks += [attrs.evolve(NETWORK, name="of-a-chip", params=ib.NoParams())]
    return known.with_records("chips", chips).with_records("networks", networks)


ASKED = (
    lambda chip, network, known: ib.run(chip, f"{network}/decode", registry=known),
    lambda chip, network, known: ib.compare([chip], f"{network}/decode", registry=known),
    lambda chip, network, known: ib.simulate(chip, network, rate=1.0, registry=known),
    lambda chip, network, known: ib.op(chip, "gemm", m=1, n=64, k=64, registry=known),
)


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize(
    ("chip", "found"),
    [("nothing", "NoneType"), ("a-dict", "dict"), ("a-text", "str"), ("of-a-network", "Layers")],
)
def test_a_chip_is_blamed_for_its_table(world, ask, chip, found):
    with pytest.raises(ib.InferBenchError) as refused:
        ask(chip, "sample", world)
    said = str(refused.value)
    assert f"{chip}: architecture: {found} is not what 'sample' reads" in said
    assert "NoParams" in said
    assert "--disable" not in said


@pytest.mark.parametrize("ask", ASKED[:3])
@pytest.mark.parametrize(
    ("network", "found"),
    [("nothing", "NoneType"), ("a-dict", "dict"), ("a-text", "str"), ("of-a-chip", "NoParams")],
)
def test_a_network_is_blamed_for_its_table(world, ask, network, found):
    with pytest.raises(ib.InferBenchError) as refused:
        ask("sample", network, world)
    said = str(refused.value)
    assert f"{network}: params: {found} is not what 'sample' reads" in said
    assert "--disable" not in said
