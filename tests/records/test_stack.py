"""Stacks: efficiencies looked up from special to general, engines that overlap, launches and host time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.overlap import power_sum
from inferbench.specs.assemble_stack import stack_from


def gemm(m=1.0, precision="bf16", **more):
    names = [precision] if isinstance(precision, str) else precision
    return ib.Gemm(name="g", precision=ib.Precision.of(names), m=m, n=8.0, k=8.0, **more)


def read(text, find=None):
    model = '\n[time]\nmodel = "roofline"' if find is None else ""
    return stack_from((text + model).encode(), "s", "s.toml", find)


COST = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0}, exposed={"hops": 0.5})


def test_ideal_is_the_longest_engine_and_what_is_exposed(bare):
    ideal = bare.stack("ideal")
    assert ideal.ideal
    assert ideal.time(COST, gemm()) == 4.5


def test_a_stack_that_says_nothing_is_ideal():
    assert read('title = "S"').ideal


def test_efficiencies_divide_busy_times():
    stack = read(
        'title = "S"\n[time.efficiency.compute]\ndefault = 0.5\n[time.efficiency.memory]\ndefault = 0.8'
    )
    assert stack.time(COST, gemm()) == pytest.approx(max(3 / 0.5, 4 / 0.8) + 0.5)


def test_launch_is_added():
    stack = read('title = "S"\n[time.launch]\ndefault = "2 us"\ngemm = "5 us"')
    assert stack.time(COST, gemm()) == 4.5 + 5e-6
    move = ib.Move(name="m", precision=ib.Precision.of(["bf16"]), elements=1.0)
    assert stack.time(COST, move) == 4.5 + 2e-6


@pytest.mark.parametrize(("p", "seconds"), [(1, 7.0), (2, 5.0), (math.inf, 4.0)])
def test_overlap_is_a_p_norm(p, seconds):
    """Busy 3 and 4: one after the other 7, Pythagoras 5, full overlap 4."""
    stack = read(f'title = "S"\n[time.overlap]\ndefault = {p}')
    assert stack.time(COST, gemm()) == pytest.approx(seconds + 0.5, rel=1e-15)


def test_levels_of_memory_are_one_path():
    """3 s of arithmetic beside 4 and 2 s on two levels, the second at half of its rate: Pythagoras of 3 and
    4.
    """
    stack = read('title = "S"\n[time.overlap]\ndefault = 2\n[time.efficiency."memory.l2"]\ndefault = 0.5\n')
    cost = ib.Cost(busy={"compute": 3.0, "memory.hbm": 4.0, "memory.l2": 2.0})
    assert stack.time(cost, gemm()) == pytest.approx(5.0)
    slower = ib.Cost(busy={"compute": 3.0, "memory.hbm": 1.0, "memory.l2": 2.0})
    assert stack.time(slower, gemm()) == pytest.approx(5.0)


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=4), st.floats(1, 100))
def test_a_p_norm_lies_between_the_maximum_and_the_sum(parts, p):
    together = float(power_sum([np.array(part) for part in parts], p))
    assert max(parts) * (1 - 1e-12) <= together <= sum(parts) * (1 + 1e-12)


def test_lookup_goes_from_special_to_general():
    stack = read(
        'title = "S"\n[time.efficiency.compute]\ndefault = 0.9\n"default.fp8" = 0.8\ngemm = 0.7\n'
        '"gemm.fp8" = 0.6\n"gemm.w4a16" = 0.5\n'
    )
    cost = ib.Cost(busy={"compute": 1.0})

    def found(op, *formats):
        return float(np.ravel(1.0 / stack.time(cost, op, formats))[0])

    attention = ib.Attention(
        name="a",
        precision=ib.Precision.of(["fp8"]),
        batch=1.0,
        heads=1.0,
        kv_heads=1.0,
        queries=1.0,
        keys=1.0,
        pairs=1.0,
        qk_dim=1.0,
        v_dim=1.0,
    )
    assert found(gemm(precision="w4a16")) == pytest.approx(0.5)  # kind and precision name
    assert found(gemm(precision="fp8")) == pytest.approx(0.6)  # kind and compute format
    assert found(gemm(precision="bf16")) == pytest.approx(0.7)  # kind
    assert found(attention) == pytest.approx(0.8)  # any kind, compute format
    assert found(gemm(precision="int8"), "fp8") == pytest.approx(0.6)  # what the chip computes in
    move = ib.Move(name="m", precision=ib.Precision.of(["bf16"]), elements=1.0)
    assert found(move) == pytest.approx(0.9)


def test_a_special_engine_goes_before_its_family():
    stack = read(
        'title = "S"\n[time.efficiency.memory]\ndefault = 0.5\n[time.efficiency."memory.sram"]\n'
        "default = 0.25"
    )
    for engine, seconds in (("memory.hbm", 2.0), ("memory.sram", 4.0), ("network", 1.0)):
        assert stack.time(ib.Cost(busy={engine: 1.0}), gemm()) == seconds


def test_efficiencies_along_the_precision_axis():
    stack = read('title = "S"\n[time.efficiency.compute.gemm]\nbf16 = 0.5\nfp8 = 0.25')
    times = stack.time(ib.Cost(busy={"compute": 1.0}), gemm(precision=["bf16", "fp8", "int8"]))
    np.testing.assert_array_equal(times, [2.0, 4.0, 1.0])


def test_curves_differ_along_the_precision_axis():
    stack = read(
        'title = "S"\n[time.efficiency.compute.gemm]\n'
        'bf16 = { over = "m", points = [[1, 0.1], [100, 0.5]] }\nfp8 = 0.25'
    )
    m = np.array([1.0, 10.0, 100.0])[:, None]
    times = stack.time(ib.Cost(busy={"compute": 1.0}), gemm(m=m, precision=["bf16", "fp8"]))
    np.testing.assert_allclose(1.0 / times, [[0.1, 0.25], [0.3, 0.25], [0.5, 0.25]], rtol=1e-14)


@pytest.mark.needs_plugins("stacks/reference")
class TestReference:
    """The design note's table: M below 32 gives 15 %, 128 to 512 gives 70 %, 4096 and above 85 %."""

    @pytest.fixture
    def stack(self):
        return ib.installed().stack("reference")

    @pytest.mark.parametrize(
        ("m", "efficiency"),
        [
            (1, 0.15),
            (31, 0.15),
            (32, 0.15),
            (128, 0.70),
            (200, 0.70),
            (512, 0.70),
            (4096, 0.85),
            (1e6, 0.85),
            (64, 0.425),  # half way between 32 and 128 in the logarithm
            (1024, 0.75),  # a third of the way from 512 to 4096
            (2048, 0.80),
        ],
    )
    def test_table(self, stack, m, efficiency):
        seconds = stack.time(ib.Cost(busy={"compute": 1.0, "memory.hbm": 0.1}), gemm(m=float(m)))
        assert float(np.ravel(seconds)[0]) == pytest.approx(1.0 / efficiency, rel=1e-12)

    def test_memory_is_untouched(self, stack):
        seconds = stack.time(ib.Cost(busy={"compute": 0.1, "memory.hbm": 1.0}), gemm())
        assert float(np.ravel(seconds)[0]) == 1.0

    def test_it_is_a_gpu_table(self, stack):
        assert stack.architectures == ("simt",)


def test_based_on_takes_what_it_does_not_say_itself():
    base = read(
        'title = "B"\narchitectures = ["toy"]\n[time.efficiency.compute]\ngemm = 0.5\ndefault = 0.9\n'
        '[time.overlap]\ndefault = 2\n[host]\nstep = "1 ms"\n[tuning.toy]\ntile = 8\n'
    )
    one = read('title = "S"\nbased_on = "b"\n[time.efficiency.compute]\ngemm = 0.6\n', lambda name: base)
    assert one.figures.efficiency["compute"] == {"gemm": 0.6, "default": 0.9}
    assert (one.figures.overlap, one.host.step, one.architectures) == ({"default": 2.0}, 1e-3, ("toy",))
    assert one.tuning == {"toy": {"tile": 8}}
    tuned = read(
        'title = "S"\nbased_on = "b"\n[tuning.toy]\nfold = 2\n[tuning.other]\nx = 1\n', lambda name: base
    )
    assert tuned.tuning == {"toy": {"tile": 8, "fold": 2}, "other": {"x": 1}}
    other = read('title = "S"\nbased_on = "b"\n[host]\nstep = "2 ms"\n', lambda name: base)
    assert other.host == ib.Host(step=2e-3)


def test_collectives_are_lent_where_there_are_none():
    """The first that lends all-reduce lends all of it, whatever a second has of it, and nothing else."""
    mine = (
        'title = "S"\ncollectives = ["one", "two"]\n[time]\nmodel = "roofline"\nlaunch = { gemm = "1 us" }\n'
    )
    lenders = {
        "one": read(
            'title = "O"\n[time.launch]\n"collective.all_reduce" = "3 us"\ngemm = "9 us"\ndefault = "9 us"'
        ),
        "two": read(
            'title = "T"\n[time.launch]\n"collective.all_reduce.8" = "5 us"\n'
            '"collective.all_gather" = "7 us"\n'
            '[time.efficiency.network]\n"collective.all_gather" = 0.5\n'
        ),
    }
    found = read(mine, lambda name: lenders[name])
    assert found.figures.launch == {
        "gemm": 1e-6,
        "collective.all_reduce": 3e-6,
        "collective.all_gather": 7e-6,
    }
    assert found.figures.efficiency["network"] == {"collective.all_gather": 0.5}
    assert found.based_on == ""


def test_stacks_beside_lend_every_kernel_that_there_is_none_of():
    """A kernel that one table has is not taken from another one, in no table."""
    lender = read(
        'title = "L"\n[time.launch]\ngemm = "9 us"\n"attention.context.mla" = "3 us"\n'
        '[time.efficiency.memory]\ngemm = 0.1\n"attention.context.mla" = 0.5\n'
        '[fit]\nrows = 9\nkernels = { gemm = 0.4, "attention.context.mla" = 0.2 }\n'
    )
    mine = 'title = "S"\nbeside = ["l"]\n[time]\nmodel = "roofline"\nlaunch = { gemm = "1 us" }\n'
    found = read(mine + "[fit]\nrows = 9\nkernels = { gemm = 0.3 }\n", lambda name: lender)
    assert found.figures.launch == {"gemm": 1e-6, "attention.context.mla": 3e-6}
    assert found.figures.efficiency["memory"] == {"attention.context.mla": 0.5}
    assert found.fit.kernels == {"gemm": 0.3, "attention.context.mla": 0.2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[time.efficiency.compute]\ngemm = 1.5",
            (
                "time.efficiency.compute.gemm: 1.5 is no efficiency; a number above 0 and up to 1 "
                "was expected\n "
                " write gemm = 0.85, or leave it out"
            ),
        ),
        (
            "[time.efficiency.compute]\ngemm = 0",
            (
                "time.efficiency.compute.gemm: 0 is no efficiency; a number above 0 and up to 1 was "
                "expected\n "
                " write gemm = 0.85, or leave it out"
            ),
        ),
        (
            "[time.efficiency.compute]\ngemm = true",
            (
                "time.efficiency.compute.gemm: True is no efficiency; a number above 0 and up to 1 "
                "was expected\n "
                " write gemm = 0.85, or leave it out"
            ),
        ),
        (
            "[time.efficiency.compute]\ngemm = nan",
            (
                "time.efficiency.compute.gemm: nan is no efficiency; a number above 0 and up to 1 "
                "was expected\n "
                " write gemm = 0.85, or leave it out"
            ),
        ),
        (
            "[time.efficiency]\ncompute = 0.5",
            (
                "time.efficiency.compute: 0.5 stands where a table was expected\n  write it like"
                " [time.efficiency.compute] default = 0.85"
            ),
        ),
        (
            "[time.overlap]\ndefault = 0",
            (
                "time.overlap.default: 0 is no overlap exponent; a number of at least 1, or inf, was "
                "expected\n "
                " write default = 2, or leave it out"
            ),
        ),
        (
            "[time.overlap]\ndefault = 0.5",
            (
                "time.overlap.default: 0.5 is no overlap exponent; a number of at least 1, or inf, "
                "was expected\n "
                " write default = 2, or leave it out"
            ),
        ),
        (
            "[time.launch]\ngemm = 5",
            (
                'time.launch.gemm: 5 has no unit; a time is written like "2 us"\n  write gemm = "2 '
                'us", or leave'
                " it out"
            ),
        ),
        (
            '[time.efficiency.compute]\ngemm = { over = "m", points = [[1' + "0" * 400 + ", 0.5]] }",
            (
                "time.efficiency.compute.gemm: the size of a curve's point is not finite\n"
                "  write gemm = 0.85, or leave it out"
            ),
        ),
        (
            '[time.efficiency.compute]\ngemm = { over = "m", points = [[32, 0.5], [8, 0.6]] }',
            (
                "time.efficiency.compute.gemm: the sizes of a curve's points must rise and be above "
                "0\n  write"
                " gemm = 0.85, or leave it out"
            ),
        ),
        (
            '[time.efficiency.compute]\ngemm = { over = "m", points = [] }',
            (
                'time.efficiency.compute.gemm: a curve needs at least one point, like { over = "m", '
                "points = [[32,"
                " 0.15], [128, 0.7]] }\n  write gemm = 0.85, or leave it out"
            ),
        ),
        (
            '[time.efficiency.compute]\ngemm = { over = "m" }',
            (
                'time.efficiency.compute.gemm: a curve needs at least one point, like { over = "m", '
                "points = [[32,"
                " 0.15], [128, 0.7]] }\n  write gemm = 0.85, or leave it out"
            ),
        ),
        (
            "[time.efficiency.comput]\ngemm = 0.5",
            "time.efficiency.comput: unknown engine\n  did you mean 'compute'?",
        ),
        (
            "[time.efficiency.adc]\ngemm = 0.5",
            (
                "time.efficiency.adc: unknown engine\n  engines are compute, memory, network, and parts"
                " of them like memory.hbm"
            ),
        ),
        ("[time.efficency.compute]\ngemm = 0.5", "time.efficency: unknown key\n  did you mean 'efficiency'?"),
        (
            "[time.overlap]\ngem = 3.956",
            "time.overlap.gem: 'gem' is no kind of operator\n  did you mean 'gemm'?",
        ),
        (
            "[time.efficiency.memory]\natention.context = 0.5",
            (
                "time.efficiency.memory.atention.context: 'atention' is no kind of operator\n  did you mean"
                " 'attention'?"
            ),
        ),
        (
            '[time.launch]\n"gemm.experts.f8" = "2 us"',
            (
                "time.launch.gemm.experts.f8: 'f8' is neither a variant of gemm.experts nor a "
                "precision\n  did you"
                " mean 'fp8'?"
            ),
        ),
        (
            '[time.launch]\n"attention.generaton" = "2 us"',
            (
                "time.launch.attention.generaton: 'generaton' is neither a variant of attention nor "
                "a precision\n "
                " did you mean 'generation'?"
            ),
        ),
        (
            "[fit.kernels]\ngmem = 0.1",
            "fit.kernels.gmem: 'gmem' is no kind of operator\n  did you mean 'gemm'?",
        ),
        (
            "[domain.ops.attenton]\nkeys = [1, 2]",
            "domain.ops.attenton: 'attenton' is no kind of operator\n  did you mean 'attention'?",
        ),
    ],
)
def test_faults(text, said):
    with pytest.raises(InferBenchError) as caught:
        read(f'title = "S"\n{text}')
    assert str(caught.value) == f"s.toml: {said}"


@pytest.mark.parametrize(
    "key",
    [
        "gemm.w4a16",
        "attention.generation.mha.kv8",
        "attention.kv16",
        "collective.all_reduce.8",
        "elementwise.experts.fp8",
        "default.bf16",
        "attention.encoder.bf16",
        "winograd",
        "winograd.tiled",
    ],
)
def test_keys_that_operators_have_and_kinds_of_packages_that_are_not_here(key):
    assert read(f'title = "S"\n[time.overlap]\n"{key}" = 2').figures.overlap == {key: 2.0}


def test_all_faults_of_keys_are_listed():
    with pytest.raises(InferBenchError) as caught:
        read('title = "S"\n[time.overlap]\ngem = 2\n[time.launch]\ngemmm = "1 us"')
    assert [fault.where for fault in caught.value.faults] == [
        "s.toml: time.overlap.gem",
        "s.toml: time.launch.gemmm",
    ]


def test_a_curve_needs_the_field_it_runs_over():
    """A curve over m gives an op without m its last value: what large ops reach."""
    curve = ib.Curve("m", ((1.0, 0.1), (100.0, 0.5)))
    assert curve.at(ib.Move(name="m", precision=ib.Precision.of(["bf16"]), elements=1.0)) == 0.5
    assert curve.at(gemm(m=10.0)) == pytest.approx(0.3)
    over_bytes = ib.Curve("bytes", ((1.0, 0.1), (384.0, 0.5)))
    assert float(over_bytes.at(gemm(m=8.0))[0]) == 0.5  # 3 operands of 64 elements, 2 bytes each


def test_a_file_of_the_old_layout_says_what_each_table_is_called_now():
    text = b'title = "S"\n[depth]\ngemm = "1 ns"\n[efficiency.convert]\ngemm = 0.5\n[overlap]\ngemm = 2\n'
    with pytest.raises(InferBenchError) as caught:
        stack_from(text, "s", "s.toml", None)
    faults = {fault.where: (fault.found, fault.remedy) for fault in caught.value.faults}
    assert list(faults) == ["s.toml: depth", "s.toml: efficiency", "s.toml: overlap"]
    assert {found for found, _ in faults.values()} == {"figures of kernels stand below [time] now"}
    assert "[time.loop_overlapped] for [depth]" in faults["s.toml: depth"][1]
    assert "[efficiency.convert] is [time.quantize]" in faults["s.toml: efficiency"][1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[time.launch]\ngemm = "2 us"',
            's.toml: time.model: missing key\n  add model = "roofline", or another one:'
            " inferbench list time_models",
        ),
        (
            '[time]\nmodel = "rooflin"',
            "s.toml: time.model = 'rooflin': unknown time model; the core has roofline",
        ),
        ("[time]\nmodel = 3", 's.toml: time.model: 3 is not text\n  write model = "roofline"'),
        (
            '[time]\nmodel = "roofline"\n[time.launch]\ngemm = false',
            's.toml: time.launch.gemm: False is not a quantity; a time is written like "2 us"\n '
            ' write gemm = "2 us", or leave it out',
        ),
    ],
)
def test_what_a_time_model_may_say(text, said):
    with pytest.raises(InferBenchError) as caught:
        stack_from(f'title = "S"\n{text}'.encode(), "s", "s.toml", None)
    assert str(caught.value) == said
