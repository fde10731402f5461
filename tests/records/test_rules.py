"""One set of rules for both doors: what a file may not say, a record may not either."""

import math

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.attention import Attention
from inferbench.records.chip import Chip, Link, MemoryLevel, Power, Price, Silicon
from inferbench.records.kinds import op_kind
from inferbench.records.network import Network
from inferbench.records.op import Collective, Gemm
from inferbench.records.precision import Precision
from inferbench.records.rules import Ruled, obey
from inferbench.records.scenario import Scenario
from inferbench.records.system import Layout, System
from inferbench.units import SMALLEST, Range, Seconds, Watts

HBM = {"hbm": MemoryLevel(capacity=96e9, bandwidth=3e12)}


def chip(**given):
    facts = {"peak": {"bf16": 1e15}, "memory": HBM, **given}
    return Chip(name="x", title="X", vendor="V", architecture_type="t", architecture=None, **facts)


@attrs.frozen
class Params:
    layers: int
    heads: int = 4
    shared: int = 0
    delay: Seconds = 0.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"memory": {"hbm": MemoryLevel(96e9, -4e12)}}, "memory.hbm.bandwidth: -4000000000000.0 is negative"),
        ({"memory": {"hbm": MemoryLevel("96 GB", 4e12)}}, "memory.hbm.capacity: '96 GB' is no number"),
        ({"memory": {"hbm": MemoryLevel(96e9, math.inf)}}, "memory.hbm.bandwidth: inf is not finite"),
        ({"peak": {"bf16": -1e15}}, "peak.bf16: -1000000000000000.0 is negative"),
        ({"peak": {"bf16": 1000.0}}, "peak.bf16: 1000 operations per second are fewer than any chip does"),
        ({"peak": {"bf16": "2250 TOP/s"}}, "peak.bf16: '2250 TOP/s' is no number"),
        ({"peak": {"bf16": None}}, "peak.bf16: None is no number"),
        ({"peak": {"bf61": 1e15}}, "peak.bf61: unknown number format"),
        ({"power": Power(tdp=0.0)}, "power.tdp: 0.0 is zero"),
        ({"power": Power(tdp=10**400)}, "power.tdp: inf is not finite"),
        ({"peak": {"bf16": 10**400}}, "peak.bf16: inf is not finite"),
        ({"memory": {"hbm": MemoryLevel(-(10**400), 1e12)}}, "memory.hbm.capacity: -inf is not finite"),
        (
            {"interconnect": {"scale_up": Link("ring", 1e11, size=10**400)}},
            "interconnect.scale_up.size: inf is out of range",
        ),
        ({"price": Price(purchase=Range(4.0, 3.0))}, "price.purchase: 4 to 3 runs backwards"),
        (
            {"interconnect": {"scale_up": Link("ring", 1e11, size=0)}},
            "interconnect.scale_up.size: 0 is",
        ),
        ({"peak": [1e15]}, "peak: [1000000000000000.0] is no table"),
        ({"memory": None}, "memory: None is no table"),
        ({"peak": {"bf16": np.array([1e15, 2e15])}}, "peak.bf16: array([1.e+15, 2.e+15]) is no number"),
        ({"silicon": Silicon(year=0)}, "silicon.year: 0 is out of range"),
        ({"silicon": Silicon(node=-4e-9)}, "silicon.node: -4e-09 is negative"),
    ],
)
def test_a_chip_of_python_obeys_what_its_file_must(given, said):
    with pytest.raises(InferBenchError) as caught:
        chip(**given)
    assert str(caught.value).startswith(f"x: {said}")


def test_figures_that_nobody_published_are_no_fault():
    made = chip(memory={"hbm": MemoryLevel(math.nan, 1e12)}, power=Power(), peak={"bf16": math.nan})
    assert math.isnan(made.memory["hbm"].capacity)


def test_parameters_of_a_stranger_are_looked_at():
    for params, said in (
        (
            Params(layers=0),
            "n: network.layers: 0 is out of range\n  a whole number of at least 1 was expected",
        ),
        (Params(layers=2, heads=0), "n: network.heads: 0 is out of range"),
        (Params(layers=2, shared=-1), "n: network.shared: -1 is out of range"),
        (Params(layers=2, delay=-1.0), "n: network.delay: -1.0 is negative"),
        (Params(layers=True), "n: network.layers: True is no number"),
    ):
        with pytest.raises(InferBenchError) as caught:
            Network(name="n", title="N", type="t", params=params)
        assert str(caught.value).startswith(said)
    Network(name="n", title="N", type="t", params=Params(layers=2, shared=0))


@pytest.mark.parametrize(
    ("field", "value"),
    [("utilization", 0.0), ("utilization", 1.5), ("depreciation", 0.0), ("pue", 0.1), ("electricity", -1.0)],
)
def test_a_scenario_that_cannot_be(field, value):
    facts = {"depreciation": 1e8, "electricity": 0.1, "pue": 1.2, "system_factor": 1.5, "utilization": 0.8}
    with pytest.raises(InferBenchError, match=field):
        Scenario(name="s", title="S", **{**facts, field: value})


def test_layouts_and_systems_agree():
    for degrees in ({"tp": 0}, {"tp": -8}, {"pp": 1.5}, {"dp": "2"}):
        with pytest.raises(InferBenchError, match="whole number of at least 1"):
            Layout(**degrees)
    with pytest.raises(InferBenchError, match="layout tp8 takes 8 chips, the system has 1"):
        System(chip(), 1, Layout(tp=8))
    for count in (0, -1, 2.5, 10**7):
        with pytest.raises(InferBenchError, match="out of range"):
            System(chip(), count)


def test_operators_refuse_what_gives_negative_time():
    bf16 = Precision.of(["bf16"])
    for wrong in (-1.0, math.nan):
        with pytest.raises(InferBenchError, match="gemm up: k"):
            Gemm(name="up", precision=bf16, m=1.0, n=8.0, k=wrong)
    with pytest.raises(InferBenchError, match="attention a: pairs"):
        Attention(
            name="a",
            precision=bf16,
            batch=1.0,
            heads=8.0,
            kv_heads=8.0,
            queries=4.0,
            keys=2.0,
            pairs=-2.0,
            qk_dim=64.0,
            v_dim=64.0,
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"group": 0}, "collective c: group: 0 is out of range"),
        ({"stride": -2}, "collective c: group: -2 is out of range"),
        ({"payload": -1.0}, "collective c: payload: -1 is out of range"),
    ],
)
def test_a_collective_that_cannot_be(given, said):
    fine = {"collective": "all_reduce", "payload": 1.0, "group": 8}
    with pytest.raises(InferBenchError) as caught:
        Collective(name="c", precision=Precision.of(["bf16"]), **(fine | given))
    assert str(caught.value).startswith(said)


def test_attention_has_no_more_kv_heads_than_query_heads():
    widths = {"queries": 1.0, "keys": 2.0, "pairs": 2.0, "qk_dim": 64.0, "v_dim": 64.0}
    with pytest.raises(InferBenchError, match="kv_heads: 8 is more than the 2 query heads"):
        Attention(name="a", precision=Precision.of(["bf16"]), batch=1.0, heads=2.0, kv_heads=8.0, **widths)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"heads": 32.0, "queries": 4096.0, "keys": 128.0, "causal": 1.0}, "keys"),
        ({"heads": 3.0, "kv_heads": 2.0, "keys": 128.0}, "kv_heads"),
        ({"heads": 2.0, "kv_heads": 8.0, "keys": 128.0}, "kv_heads"),
    ],
)
def test_numbers_of_one_operator_go_together(given, name):
    columns = {key: np.array([value]) for key, value in given.items()}
    with pytest.raises(InferBenchError) as caught:
        op_kind("attention").checked(columns)
    assert caught.value.faults[0].argument == name


@given(st.floats(allow_nan=False))
def test_a_rule_is_the_type_of_its_field(value):
    @attrs.frozen
    class Fan(Ruled):
        draw: Watts

    if value >= SMALLEST and math.isfinite(value):
        assert Fan(value).draw == value
    else:
        with pytest.raises(InferBenchError, match="Fan: draw: "):
            Fan(value)


@pytest.mark.needs_plugins("chips/b200")
def test_everything_that_ships_obeys():
    registry = ib.installed()
    for name in registry.names("chips"):
        obey(registry.chip(name))
    for name in registry.names("networks"):
        obey(registry.network(name))
