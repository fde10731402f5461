"""Records made in Python with a table that is not their plugin's: the record is blamed, not the plugin."""

from __future__ import annotations

import attrs
import numpy as np
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


@attrs.frozen
class OtherLayers:
    """Of another plugin, whose author took the same name."""

    depth: int = 4


OtherLayers.__qualname__ = OtherLayers.__name__ = Layers.__name__

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


def test_a_class_of_the_same_name_is_not_the_plugin_s(world):
    """SIMT and systolic chips both keep their figures in a `Params`."""
    network = attrs.evolve(NETWORK, name="namesake", params=OtherLayers())
    with pytest.raises(ib.InferBenchError, match="namesake: params: Layers is not what 'sample' reads"):
        ib.run("sample", "namesake/decode", registry=world.with_records("networks", [network]))


def test_a_class_that_was_made_again_is(world):
    """A notebook that runs a cell again has another class with the same fields."""
    fields = attrs.fields_dict(Layers).items()
    again = attrs.make_class("Layers", {name: attrs.field(default=one.default) for name, one in fields})
    network = attrs.evolve(NETWORK, name="again", params=again())
    known = world.with_records("networks", [network])
    mine, theirs = (
        ib.run("sample", f"{name}/decode", registry=known, scenario="sample") for name in ("again", "sample")
    )
    assert np.ravel(mine.seconds) == np.ravel(theirs.seconds) > 0.0


@pytest.mark.needs_plugins("chips/h100-sxm", "chips/tpu-v5p", "networks/llama3-8b")
def test_a_gpu_with_the_figures_of_a_systolic_array_is_refused():
    known = ib.installed()
    chip = attrs.evolve(known.chip("h100-sxm"), name="mixed", architecture=known.chip("tpu-v5p").architecture)
    with pytest.raises(ib.InferBenchError, match="mixed: architecture: Params is not what 'simt' reads"):
        ib.run("mixed", "llama3-8b/decode", registry=known.with_records("chips", [chip]))
