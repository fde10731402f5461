"""What all chips of a step do together, on operators of the test's own.

The toy chip does 100 TOP/s in bf16 and 1 TB/s; a product here is 100 rows by 1,000 x 1,000: 200 million
operations, 2 MB of weights and 0.4 MB of activations. One row is a sequence.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.model.operators import cost_rows

US = 1e-6
STACK = 'title = "S"\n[time]\nmodel = "roofline"\n[time.launch]\ndefault = "3 us"\n'


class Watts(ib.PowerModel):
    """10 W of a chip at all times, 1 pJ for each operation, 2 pJ for each byte, and a limit."""

    name, title = "made", "Made up"

    def __init__(self, limit):
        self.limit = limit

    def accepts(self, chip):
        return ""

    def energy(self, counts, system):
        work = 1e-12 * counts.spent("ops") + 2e-12 * counts.spent("bytes.hbm")
        throttle = np.maximum(1.0, work / ((self.limit - 10.0) * counts.chips * counts.seconds))
        idle = 10.0 * counts.chips * counts.seconds * throttle
        watts = (idle + work) / (counts.seconds * throttle)
        return ib.Energy(idle + work, watts, throttle, parts={"idle": idle, "work": work})


def replace(registry, kind, name, record):
    registry._entries[kind][name] = attrs.evolve(registry.entries(kind)[name], record=record)


def counting_bytes(registry):
    """The registry with an architecture and a fabric that count bytes too."""
    plain, bus = type(registry.architecture("toy")), type(registry.fabric("toy-bus"))

    class Bus(bus):
        def cost(self, collective, link, layout):
            found = bus.cost(self, collective, link, layout)
            return attrs.evolve(found, actions={"bytes.network": collective.payload})

    class Counting(plain):
        def gemm(self, op, site):
            cost = plain.gemm(self, op, site)
            return attrs.evolve(cost, actions={**cost.actions, "bytes.hbm": op.bytes.total})

    replace(registry, "architectures", "toy", Counting())
    replace(registry, "fabrics", "toy-bus", Bus())
    return registry


@pytest.fixture
def toy(toy):
    return counting_bytes(toy)


@pytest.fixture
def powered(toy, plugin):
    """Give the toy chip a power model with a limit in watts."""

    def go(limit=1e6, model=Watts):
        made = plugin(inferbench_power_models=lambda: iter([model(limit)]))
        toy.load("made", lambda: made, "made", "1")
        return counting_bytes(toy)

    return go


@pytest.fixture
def step(toy):
    """Run a step of given operators."""

    def go(ops, system="toy-chip", passes=1.0, eager=0.0, **more: Any):
        class Given(type(toy.workload("toy-mlp"))):
            def graph(self, network, at, phase, options):
                yield from ops(at)

            def passes(self, network, at, phase, options):
                return passes

            def eager(self, network, at, phase, options):
                return eager

        replace(toy, "workloads", "toy-mlp", Given())
        settings = {"precision": "bf16", "scenario": "toy", "registry": toy, "batch": 100, **more}
        return ib.run(system, "toy-net/decode", **settings)

    return go


def product(at, name="up", **more):
    return ib.Gemm(
        **{"name": name, "precision": at.precision, "m": at["batch"], "n": 1000.0, "k": 1000.0, **more}
    )


def one(array):
    (value,) = np.ravel(array)
    return float(value)


def counted(found):
    return {name: one(count) for name, count in found.chain["actions"].items()}


def test_one_chip_counts_what_its_operators_do(step):
    found = step(lambda at: [product(at), product(at, "down", repeat=3.0, drawn=True)])
    assert counted(found) == {"ops": 8e8, "bytes.hbm": 4 * 2.4e6, "logits": 3 * 100 * 1000}
    assert one(found.seconds) == pytest.approx(4 * 2.4 * US)


@pytest.mark.parametrize(
    ("layout", "batch", "ranks", "rows"), [("dp4", 100, 4, 25), ("dp4", 6, 4, 2), ("dp4", 2, 2, 1)]
)
def test_ranks_count_their_sequences_and_each_its_weights(step, layout, batch, ranks, rows):
    """What was rounded up computes nothing for nobody; ranks without a sequence read nothing."""
    found = step(lambda at: [product(at)], f"4xtoy-chip:{layout}", batch=batch)
    assert counted(found) == {"ops": 2e6 * batch, "bytes.hbm": pytest.approx(ranks * (2e6 + 4e3 * rows))}


@pytest.mark.parametrize("layout", ["tp4", "tp2dp2", "cp2dp2"])
def test_all_chips_compute_the_network_once(step, layout):
    found = step(lambda at: [product(at, split=("n",))], f"4xtoy-chip:{layout}")
    assert counted(found)["ops"] == pytest.approx(2e8)


def test_the_busiest_of_chips_says_how_long_it_takes_and_not_how_much_is_done(step):
    """The fullest chip has half more rows than the mean: all together compute for 100 sequences, not 150."""

    def uneven(at):
        return [product(at, m=1.5 * at["batch"], busiest=1.5)]

    found = step(uneven)
    assert counted(found) == {"ops": 2e8, "bytes.hbm": 2e6 + 1.5 * 0.4e6}
    grid = step(uneven, batch=[100, 200])
    assert np.ravel(grid.chain["actions"]["ops"]).tolist() == [2e8, 4e8]


def test_experts_that_ranks_share_count_the_tokens_of_all(step):
    """Two ranks of 50 sequences: a product of each, and experts of which each chip has half, for all 100."""

    def layers(at):
        return [product(at), product(at, "experts", split=("experts",), count=2.0)]

    found = step(layers, "2xtoy-chip:dp2ep2")
    alone = step(layers, "toy-chip")
    assert counted(found)["ops"] == counted(alone)["ops"] == 2e8 + 2 * 2e8
    # Weights of the first product on both chips, of each expert on one of them.
    assert counted(found)["bytes.hbm"] == pytest.approx(2 * (2e6 + 0.2e6) + 2 * 2.4e6)


def test_a_pipeline_reads_weights_for_every_microbatch_and_hands_its_results_over(step):
    """Two microbatches of 50: four layers, of which each stage has two, and 0.1 MB to the next stage."""
    found = step(lambda at: [product(at, repeat=4.0)], "2xtoy-chip:pp2")
    assert counted(found) == {"ops": 8e8, "bytes.hbm": 2 * 4 * 2.2e6, "bytes.network": 2 * 0.1e6}
    # A microbatch takes 2 x 2.2 us and hands over in 1 us of bytes and 1 us of latency.
    assert one(found.seconds) == pytest.approx(2 * (2 * 2.2 + 2.0) * US)
    halves = step(lambda at: [product(at, repeat=3.0, split=("k",))], "2xtoy-chip:tp2")
    assert one(halves.busy["exposed.hops"]) == pytest.approx(3 * 1.0 * US)
    assert one(halves.busy["network"]) == pytest.approx(3 * 2.0 * US)
    assert one(found.busy["network"]) == pytest.approx(2 * 1.0 * US)
    four = step(lambda at: [product(at, repeat=4.0)], "4xtoy-chip:pp4")
    assert counted(four)["bytes.network"] == pytest.approx(4 * 3 * 0.05e6)
    assert one(four.busy["network"]) == pytest.approx(4 * 3 * 0.5 * US)


@pytest.mark.parametrize(
    ("host", "system", "more"),
    [
        ('gap = "7 us"', "2xtoy-chip:tp2", 5 * 7),
        ('exchange = "7 us"', "2xtoy-chip:tp2", 3 * 7),
        ('step = "7 us"', "2xtoy-chip:tp2", 2 * 7),
        ('sequence = "7 us"', "2xtoy-chip:dp2", 2 * 50 * 7),
        ('gap = "7 us"', "4xtoy-chip:tp2pp2", 2 * 5 * 7),
        ('exchange = "7 us"', "4xtoy-chip:tp2pp2", 2 * 3 * 7),
        ('eager = "7 us"', "4xtoy-chip:tp2pp2", 2 * 6 * 7 / 4),
        ('kernel = "1 s"\noverlap = 1', "4xtoy-chip:tp2pp2", 2 * 6 * 1e6),
    ],
)
def test_launches_gaps_and_exchanges_are_counted_in_every_pass(step, tmp_path, host, system, more):
    """On two chips three kernels of products, one of them measured with the one before, and three exchanges:
    six kernels, five gaps, three waits; in two stages each twice.

    Half of one of the host's two passes is eager: a quarter of the kernels.
    """
    path = tmp_path / "s.toml"

    def ops(at):
        halves = {"split": ("k",), "repeat": 2.0}
        return [product(at, **halves), product(at, "down", split=("k",), joined=True)]

    path.write_text(STACK)
    bare = step(ops, system, stack=str(path), passes=2.0, eager=0.5)
    path.write_text(f"{STACK}[host]\n{host}\n")
    found = step(ops, system, stack=str(path), passes=2.0, eager=0.5)
    assert (one(found.seconds) - one(bare.seconds)) / US == pytest.approx(more)


def test_a_step_is_put_down_to_launches_its_longest_engine_the_host_and_the_power_limit(
    step, powered, tmp_path
):
    path = tmp_path / "s.toml"
    path.write_text(f'{STACK}[host]\nstep = "4 us"\n')

    def causes():
        found = step(lambda at: [product(at, repeat=2.0)], stack=str(path))
        parts = {name: one(seconds) / US for name, seconds in found.causes.items()}
        assert sum(parts.values()) == pytest.approx(one(found.seconds) / US)
        return {name: part for name, part in parts.items() if part > 1e-9}

    assert causes() == pytest.approx({"launch": 6.0, "memory.hbm": 4.8, "host": 4.0})
    # 400 uJ of operations and 9.6 uJ of bytes: at 10 W beside the 10 that always flow they take 40.96 us.
    powered(20.0)
    stretched = causes()
    assert stretched.pop("power limit") == pytest.approx(40.96 - 14.8)
    assert stretched == pytest.approx({"launch": 6.0, "memory.hbm": 4.8, "host": 4.0})


def test_nobody_asks_for_the_error_of_power_under_software_that_was_not_fitted(step, powered, tmp_path):
    class Sure(Watts):
        def log_error(self, counts, system, energy):
            raise AssertionError("never asked")

    path = tmp_path / "s.toml"
    path.write_text(STACK)
    powered(model=Sure)
    for stack in (str(path), "ideal"):
        assert np.isnan(step(lambda at: [product(at)], stack=stack).energy.log_error).all()


def test_all_chips_draw_power_for_the_whole_step(step, powered):
    """Two chips at 10 W for 2 x 1.35 us; halves of two products, 0.8 MB of activations that both touch."""
    powered()
    found = step(lambda at: [product(at, repeat=2.0, split=("n",))], "2xtoy-chip:tp2")
    moved = 2 * 2 * (1e6 + 0.2e6 + 0.1e6)  # half of the weights and results, all inputs, on both
    assert one(found.seconds) == pytest.approx(2 * 1.3 * US)
    work = 1e-12 * 2 * 2e8 + 2e-12 * moved
    assert one(found.energy.joules) == pytest.approx(2 * 10 * 2 * 1.3 * US + work)
    assert one(found.energy.watts) == pytest.approx(20 + work / (2.6 * US))


@pytest.mark.parametrize(
    ("system", "workspace", "size"),
    [("2xtoy-chip:tp2", 5e6, 5e6), ("2xtoy-chip:tp2", np.nan, 0.0), ("toy-chip", 5e6, 0.0)],
)
def test_what_exchanges_need_is_kept_where_chips_exchange(step, toy, tmp_path, system, workspace, size):
    """A tenth of 600 MB, and a link's workspace where one is known; ideal software keeps nothing."""
    chip = toy.chip("toy-chip")
    link = attrs.evolve(chip.interconnect["scale_up"], workspace=workspace)
    replace(toy, "chips", "toy-chip", attrs.evolve(chip, interconnect={"scale_up": link}))
    path = tmp_path / "s.toml"
    path.write_text(f"{STACK}[host]\nreserve = 0.1\n")
    found = step(lambda at: [product(at)], system, stack=str(path))
    assert (found.reserve.share, found.reserve.size) == (0.1, size)
    assert one(found.values(found.memory["reserve_bytes"])) == pytest.approx(60e6 + size)
    assert not step(lambda at: [product(at)], system, stack="ideal").reserve


class TestRows:
    """Single operators: 100 rows read 2.4 MB and 200 compute for 4 us."""

    def rows(self, registry, stack="ideal"):
        return cost_rows(
            "gemm",
            {"m": np.array([100.0, 200.0]), "n": np.full(2, 1000.0), "k": np.full(2, 1000.0)},
            "bf16",
            registry.chip("toy-chip"),
            registry.stack(stack),
            registry,
        )

    def test_times_and_what_they_are_bound_by(self, toy):
        found = self.rows(toy)
        assert found.seconds == pytest.approx(np.array([2.4, 4.0]) * US)
        assert list(found.bound) == ["memory.hbm", "compute"]
        assert found.utilization == pytest.approx([2.0 / 2.4, 1.0])
        assert (found.useful.tolist(), found.moved.tolist()) == ([2e8, 4e8], [2.4e6, 2.8e6])
        assert np.isnan([*found.watts, *found.joules]).all()

    def test_launches_are_what_more_than_half_of_a_time_goes_to(self, toy, tmp_path):
        path = tmp_path / "s.toml"
        path.write_text(STACK)
        found = self.rows(toy, str(path))
        assert found.seconds == pytest.approx(np.array([5.4, 7.0]) * US)
        assert found.model == pytest.approx(np.array([2.4, 4.0]) * US)
        assert list(found.bound) == ["launch", "compute"]

    def test_what_keeps_nothing_busy_is_bound_by_nothing(self, toy):
        class Free(type(toy.architecture("toy"))):
            def gemm(self, op, site):
                return ib.Cost()

        replace(toy, "architectures", "toy", Free())
        with np.errstate(divide="ignore"):  # of no time there is no share
            assert list(self.rows(toy).bound) == ["", ""]

    def test_one_chip_draws_its_power_within_its_limit(self, powered):
        found = self.rows(powered())
        work = np.array([200 + 4.8, 400 + 5.6]) * 1e-6
        assert found.joules == pytest.approx(work + 10 * np.array([2.4, 4.0]) * US)
        assert found.watts == pytest.approx(10 + work / (np.array([2.4, 4.0]) * US))

    def test_a_kernel_alone_draws_other_power_than_a_step(self, powered):
        """933 readings of the B200 against its steps have a root mean square of 0.63 in logs."""

        class Sure(Watts):
            def log_error(self, counts, system, energy):
                return 0.1

        found = self.rows(powered(model=Sure))
        assert found.energy.log_error == pytest.approx([np.hypot(0.1, 0.63)] * 2)

    def test_a_limit_stretches_it(self, powered):
        """60 W beside the 10 that always flow: 204.8 uJ take 3.41 us, 405.6 uJ 6.76 us."""
        found = self.rows(powered(70.0))
        assert found.seconds == pytest.approx(np.array([204.8, 405.6]) / 60 * US)
        assert found.watts == pytest.approx([70.0, 70.0])
        assert found.model == pytest.approx(np.array([2.4, 4.0]) * US)
