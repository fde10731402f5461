"""Every shipped spec loads, cites its numbers, and agrees with what its publisher states."""

import math

import pytest

import inferbench as ib

REGISTRY = ib.installed()
OURS = {
    kind: [name for name, entry in REGISTRY.entries(kind).items() if entry.owner == "inferbench-specs"]
    for kind in ("chips", "networks")
}


def parsed(kind, name):
    """The record, or a skip where the plugin that types it is not installed."""
    try:
        return REGISTRY.get(kind, name)
    except ib.InferBenchError as error:
        if "installed" in str(error):
            pytest.skip(str(error).splitlines()[0])
        raise


def test_the_chips_and_networks_promised_are_here():
    assert {
        "a100-sxm-40gb",
        "h100-sxm",
        "b200",
        "tpu-v5p",
        "groq-lpu",
        "wse-3",
        "sn40l",
        "corsair",
        "hermes",
    } <= set(OURS["chips"])
    assert {
        "llama3-70b",
        "mixtral-8x7b",
        "deepseek-v3",
        "sd3-medium",
        "vit-l",
        "gpt3-175b",
        "bloom-176b",
    } <= set(OURS["networks"])


@pytest.mark.parametrize("name", OURS["chips"])
def test_every_number_of_a_chip_is_cited_or_missing_with_a_reason(name):
    for path, fact in parsed("chips", name).facts.items():
        if not isinstance(fact.value, str | bool):
            assert fact.missing or fact.source is not None, path
            assert fact.basis in ("datasheet", "measured", "estimate", "published", "missing"), path


@pytest.mark.parametrize("name", OURS["chips"])
def test_levels_of_memory_get_slower_outwards(name):
    chip = parsed("chips", name)
    known = [
        level
        for level in chip.memory.values()
        if not math.isnan(level.capacity) and not math.isnan(level.bandwidth)
    ]
    by_size = sorted(known, key=lambda level: level.capacity)
    speeds = [level.bandwidth for level in by_size]
    assert speeds == sorted(speeds, reverse=True)


@pytest.mark.parametrize("name", OURS["networks"])
def test_weights_of_the_graph_add_up_to_the_published_count(name):
    network = parsed("networks", name)
    if math.isnan(network.published.parameters):
        assert network.facts["published.parameters"].missing, "a count that is not published has a reason"
        return
    workload = REGISTRY.workload(network.type)
    phase = workload.phases[0]
    grid = ib.Grid.of(
        {axis: [value] for axis, value in workload.defaults(network, phase.name).items()}, ["bf16"]
    )
    ops = workload.graph(network, grid.at, phase.name, workload.options())
    total = sum(float(op.parameters * op.instances) for op in ops)
    assert total == pytest.approx(network.published.parameters, rel=max(0.005, network.published.rounding))


@pytest.mark.parametrize("kind", ["chips", "networks", "stacks", "systems"])
def test_aliases_lead_somewhere(kind):
    for foreign, ours in REGISTRY.aliases().get(kind, {}).items():
        assert ours in REGISTRY.entries(kind), f"{foreign} = {ours}"
