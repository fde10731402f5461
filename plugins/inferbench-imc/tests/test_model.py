"""Costs by hand on small chips: what is in the arrays, what is rewritten, what a roofline forbids."""

import math

import numpy as np
import pytest
from inferbench_imc import ArrayPower, InMemoryCompute, Macro

import inferbench as ib

IMC = InMemoryCompute()
INT8 = ib.Precision.of(["int8"])


def chip(capacity=1e6, outside=1e9, level="ddr", **changes):
    """Four arrays of 128 rows x 512 one-bit columns: 64 outputs of 8 bits; 8 passes of 10 ns."""
    fields = {
        "kind": "digital",
        "arrays": 4,
        "rows": 128,
        "columns": 512,
        "bits_per_cell": 1,
        "weight_bits": 8,
        "input_bits": 8,
    }
    fields |= {"dac_bits": 1, "t_array": 10e-9}
    memory = {"sram": ib.MemoryLevel(capacity=capacity, bandwidth=1e12)}
    if outside:
        memory[level] = ib.MemoryLevel(capacity=outside, bandwidth=1e10)
    return ib.Chip(
        name="toy",
        title="Toy",
        vendor="nobody",
        architecture_type="imc",
        architecture=Macro(**(fields | changes)),
        memory=memory,
        power=ib.Power(tdp=10.0, idle=1.0),
        silicon=ib.Silicon(node=22e-9),
    )


def analog(**changes):
    """One 256 x 256 array of 8-bit resistive cells, 256 converters of 8 bits, 100 ns per pass."""
    fields = {
        "kind": "analog",
        "arrays": 1,
        "columns": 256,
        "rows": 256,
        "bits_per_cell": 8,
        "dac_bits": 8,
        "adc_bits": 8,
    }
    return chip(
        **(fields | {"adcs_per_array": 256, "t_array": 100e-9, "t_adc": 50e-9, "cell": "pcm"} | changes)
    )


def gemm(m=1.0, n=64.0, k=128.0, precision=INT8, **fields):
    return ib.Gemm(name="up", precision=precision, m=m, n=n, k=k, **fields)


def site(of, weights, state=0.0, activations=0.0, ops=None):
    graph = ib.Graph(ops or (gemm(),), ib.Footprint(weights, state, activations), 1)
    placement = IMC.place(graph, of, ib.Layout())
    return ib.Site(of, ib.Layout(), placement, None, lambda name: IMC.peak(of, name))


def decode(batch=1.0, keys=1024.0, heads=8.0, precision=INT8):
    return ib.Attention(
        name="attention",
        precision=precision,
        batch=batch,
        heads=heads,
        kv_heads=heads,
        queries=1.0,
        keys=keys,
        pairs=keys,
        qk_dim=64.0,
        v_dim=64.0,
    )


def test_peak_comes_from_the_geometry():
    # 2 x 4 arrays x 128 rows x 64 outputs per 80 ns; int4 halves passes and columns per weight.
    assert IMC.peak(chip(), "int8") == pytest.approx(2 * 4 * 128 * 64 / 80e-9)
    assert IMC.peak(chip(), "int4") == pytest.approx(4 * 2 * 4 * 128 * 64 / 80e-9)
    assert math.isnan(IMC.peak(chip(), "bf16"))
    assert math.isnan(IMC.peak(chip(weight_bits=4), "int8"))


def test_stored_peak_serves_where_the_geometry_is_not_published():
    import attrs

    unknown = attrs.evolve(chip(rows=math.nan), peak={"int8": 5e12})
    assert IMC.peak(unknown, "int8") == 5e12
    inconsistent = attrs.evolve(chip(), peak={"int8": 5e15, "fp8": 1e12})
    assert IMC.peak(inconsistent, "int8") == pytest.approx(0.8192e12)
    assert IMC.peak(inconsistent, "fp8") == 1e12


def test_weights_in_the_arrays_cost_passes_and_no_traffic():
    """Ten vectors of 8 passes of 10 ns through one tile; the other three arrays wait."""
    cost = IMC.cost(gemm(m=10.0), site(chip(), weights=8192.0))
    assert cost.busy["compute"] == pytest.approx(800e-9)
    assert cost.exposed["write"] == 0.0
    assert cost.actions["bytes.ddr"] == 0.0
    assert cost.actions["bytes.sram"] == 10 * (128 + 64)
    assert cost.detail["tiles"] == 1.0
    assert cost.detail["filled"] == pytest.approx(0.25)


def test_tiles_beyond_the_arrays_take_turns():
    """256 x 128: 2 x 2 tiles fill the four arrays; 257 x 128 leaves 6 tiles for 4 arrays, two turns."""
    inside = site(chip(), weights=1e5)
    assert IMC.cost(gemm(k=256.0, n=128.0), inside).busy["compute"] == pytest.approx(80e-9)
    assert IMC.cost(gemm(k=257.0, n=128.0), inside).busy["compute"] == pytest.approx(160e-9)


def test_weights_in_banks_behind_the_cells_are_read_at_home():
    """The cells hold 4 x 128 x 512 / 8 = 32,768 bytes; of four times that, 3/4 live behind them."""
    cost = IMC.cost(gemm(), site(chip(), weights=4 * 32768.0))
    assert cost.busy["memory.sram"] == pytest.approx((0.75 * 8192 + 192) / 1e12)
    assert cost.exposed["write"] == 0.0
    assert IMC.cost(gemm(), site(chip(), weights=32768.0)).busy["memory.sram"] == pytest.approx(192 / 1e12)


def test_weights_that_do_not_fit_are_rewritten():
    """Three quarters of 8,192 bytes at 10 GB/s, and of 128 rows of 10 ns each, which overlap with nothing."""
    placed = site(chip(), weights=4e6)
    assert placed.placement.fits
    assert placed.placement.resident == {"sram": pytest.approx(1e6), "ddr": pytest.approx(3e6)}
    cost = IMC.cost(gemm(), placed)
    assert cost.busy["memory.ddr"] == pytest.approx(0.75 * 819.2e-9)
    assert cost.exposed["write"] == pytest.approx(0.75 * 1280e-9)
    assert cost.actions["array.writes"] == pytest.approx(0.75 * 8192 * 8)
    slow = IMC.cost(gemm(), site(chip(t_write=1e-6), weights=4e6))
    assert slow.exposed["write"] == pytest.approx(0.75 * 128e-6)


def test_rewriting_costs_energy():
    of = chip()
    joules = {}
    for weights in (8192.0, 4e6):
        cost = IMC.cost(gemm(), site(of, weights=weights))
        counts = ib.ActivityCounts(cost.actions, 1e-6, 1, INT8)
        joules[weights] = ArrayPower().energy(counts, ib.System(of)).parts
    assert joules[8192.0]["array.writes"] == 0.0
    # 65,536 bits at 0.117 pJ, scaled from 7 to 22 nm by 1.194; 8,192 bytes of DDR at 162.5 pJ.
    assert joules[4e6]["array.writes"] == pytest.approx(0.75 * 65536 * 0.117e-12 * 1.194, rel=0.001)
    assert joules[4e6]["bytes.ddr"] == pytest.approx(0.75 * 8192 * 162.5e-12)


def test_a_chip_with_nothing_but_arrays_cannot_rewrite():
    placement = site(chip(outside=0.0), weights=2e6).placement
    assert not placement.fits
    reason = placement.reasons[0]
    scalars = ib.Reason(
        reason.code, reason.template, {k: np.squeeze(v) for k, v in reason.numbers.items()}, True
    )
    assert scalars.at(()) == "needs 2.00 MB per chip in the arrays, the only memory, has 1.00 MB"


def test_a_cell_of_eight_bits_holds_one_four_bit_weight():
    precision = ib.Precision.of(["int8", "int4"])
    placement = site(analog(), np.array([65536.0, 32768.0]), ops=(gemm(precision=precision),)).placement
    assert placement.resident["sram"] == pytest.approx([65536.0, 65536.0])


def test_state_moves_outside_when_it_no_longer_fits():
    """Weights of 0.9 MB stay; of a cache of 0.2 MB beside them half finds room in 1 MB."""
    cost = IMC.cost(decode(), site(chip(), 0.9e6, state=0.2e6, ops=(decode(),)))
    assert cost.busy["memory.ddr"] == pytest.approx(0.5 * 1024 * 8 * 128 / 1e10)
    beside = IMC.cost(decode(), site(chip(), 0.9e6, state=0.05e6, ops=(decode(),)))
    assert beside.actions["bytes.ddr"] == 0.0
    assert beside.actions["array.writes"] == 8 * 128 * 8, (
        "one new position of 8 heads x 128 elements x 8 bits"
    )


def test_a_product_of_activations_writes_its_operand_every_time():
    cost = IMC.cost(gemm(second="inputs"), site(chip(), weights=0.0))
    assert cost.exposed["write"] == pytest.approx(1280e-9)


def test_converters_are_counted_on_analog_chips_only():
    """300 rows are two arrays deep: 10 vectors x 64 results x 2 partial sums."""
    cost = IMC.cost(gemm(m=10.0, k=300.0), site(analog(), weights=19200.0))
    assert cost.actions["adc.conversions"] == 1280.0
    assert cost.detail["bits.exact"] == 24.0
    assert cost.detail["bits.dropped"] == 16.0
    assert "adc.conversions" not in IMC.cost(gemm(), site(chip(), weights=8192.0)).actions


def test_a_grid_equals_its_points():
    batches = np.array([1.0, 7.0, 300.0]).reshape(-1, 1)
    footprint = np.array([0.5e6, 0.9e6, 1.2e6]).reshape(-1, 1)
    grid = IMC.cost(gemm(m=batches), site(chip(), footprint))
    for i, (batch, weights) in enumerate(zip(batches[:, 0], footprint[:, 0], strict=True)):
        point = IMC.cost(gemm(m=batch), site(chip(), weights))
        for group in ("busy", "exposed", "actions"):
            for key, value in getattr(grid, group).items():
                whole = np.broadcast_to(value, (3, 1))[i, 0]
                assert whole == np.asarray(getattr(point, group)[key]).item(), key


@pytest.mark.parametrize("of", [chip(), analog(), analog(adcs_per_array=8, dac_bits=2)])
@pytest.mark.parametrize("weights", [1e4, 2e6])
@pytest.mark.parametrize("shape", [(1, 64, 128), (3, 65, 1000), (256, 4096, 4096), (1, 1, 1)])
def test_never_faster_than_the_peak(of, weights, shape):
    m, n, k = map(float, shape)
    cost = IMC.cost(gemm(m, n, k), site(of, weights))
    assert cost.busy["compute"] >= 2 * m * n * k / IMC.peak(of, "int8") * (1 - 1e-12)
    assert all(
        np.all(np.asarray(v) >= 0) for g in (cost.busy, cost.exposed, cost.actions) for v in g.values()
    )


def test_decode_time_rises_with_context_and_batch():
    def seconds(batch, keys):
        cost = IMC.cost(decode(batch, keys), site(chip(), 1e4, batch * keys * 1024, ops=(decode(),)))
        return float(np.squeeze(max(cost.busy.values()) + cost.exposed["write"]))

    times = [seconds(1.0, keys) for keys in (16.0, 64.0, 500.0, 1024.0, 4096.0)]
    assert times == sorted(times)
    times = [seconds(batch, 512.0) for batch in (1.0, 2.0, 5.0, 64.0)]
    assert times == sorted(times)


def test_work_without_products_moves_bytes_only():
    cost = IMC.cost(ib.Elementwise(name="norm", precision=INT8, elements=1000.0), site(chip(), 1e4))
    assert set(cost.busy) == {"memory.sram", "memory.ddr"}
    assert cost.busy["memory.sram"] == pytest.approx(2000 / 1e12)


def test_a_home_that_is_no_level_is_an_error():
    with pytest.raises(ib.InferBenchError, match="'pcm' is no memory level of the chip; it has sram, ddr"):
        site(chip(home="pcm"), 1.0)


def test_power_adds_counts_and_stops_at_the_cap():
    of, model = chip(), ArrayPower()
    counts = ib.ActivityCounts({"array.cell_ops": 1e9, "bytes.sram": 0.0}, 1e-3, 1, INT8)
    energy = model.energy(counts, ib.System(of))
    # 1e9 x 1.4 fJ in a millisecond beside 1 W of idling.
    assert energy.joules == pytest.approx(1.4e-6 + 1e-3)
    assert energy.throttle == 1.0
    assert energy.estimated
    hot = model.energy(ib.ActivityCounts({"array.cell_ops": 1e13}, 1e-3, 1, INT8), ib.System(of))
    assert hot.throttle == pytest.approx(14e-3 / (9.0 * 1e-3))
    assert hot.watts == pytest.approx(10.0)


def test_without_published_idle_power_a_share_of_the_limit_stands_for_it():
    import attrs

    of, model = attrs.evolve(chip(), power=ib.Power(tdp=10.0)), ArrayPower()
    counts = ib.ActivityCounts({"array.cell_ops": np.array([1e9, 4e9])}, 1e-3, 1, INT8)
    energy = model.energy(counts, ib.System(of))
    # 1e9 cell operations of 1.4 fJ in a millisecond, and four times as many, beside 16 % of 10 W.
    assert energy.watts == pytest.approx([1.6 + 1.4e-3, 1.6 + 5.6e-3])
    assert "idle power is not published: 1.60 W" in energy.why
    assert energy.estimated
    known = attrs.evolve(chip(), power=ib.Power(tdp=10.0, idle=1.6))
    sure = model.log_error(counts, ib.System(known), model.energy(counts, ib.System(known)))
    assert np.all(model.log_error(counts, ib.System(of), energy) > sure + 0.5)


def test_an_estimated_limit_cuts_power_off_and_slows_no_chip():
    import attrs

    of = attrs.evolve(chip(), power=ib.Power())
    counts = ib.ActivityCounts({"array.cell_ops": 1e18}, 1e-3, 1, INT8)
    energy = ArrayPower().energy(counts, ib.System(of))
    assert np.all(energy.throttle == 1.0)
    assert energy.watts == pytest.approx(energy.limit)


def test_power_tells_what_it_leaves_out_and_what_it_declines():
    import attrs

    model, of = ArrayPower(), chip(level="flash")
    energy = model.energy(
        ib.ActivityCounts({"array.cell_ops": 1e9, "bytes.flash": 1.0}, 1e-3, 1, INT8), ib.System(of)
    )
    assert np.isfinite(energy.watts)
    assert "not calibrated" in energy.why
    assert "without bytes.flash" in energy.why
    assert model.accepts(chip()) == ""
    assert "process node" in model.accepts(attrs.evolve(chip(), silicon=ib.Silicon()))
    assert "not 'imc'" in model.accepts(attrs.evolve(chip(), architecture_type="simt"))


def shared(of, **away):
    """A site where shares of what is held are outside of the arrays."""
    from inferbench_imc.placement import ArrayPlacement

    homes = {"weights": "sram", "state": "sram", "inputs": "sram", "outputs": "sram"}
    placement = ArrayPlacement(homes, {"sram": 0.0}, **away)
    return ib.Site(of, ib.Layout(), placement, None, lambda name: IMC.peak(of, name))


def test_activations_that_are_partly_outside_move_once():
    """1,000 elements of a byte read and written: a quarter of the 2,000 bytes goes over the outer memory."""
    op = ib.Elementwise(name="norm", precision=INT8, elements=1000.0)
    actions = IMC.cost(op, shared(chip(), activations_away=0.25)).actions
    assert float(actions["bytes.sram"][0]) == 1500.0
    assert float(actions["bytes.ddr"][0]) == 500.0


def test_a_cache_that_is_partly_outside_is_written_where_it_is_not():
    """Of 8 heads' 1,024 positions of 64 a quarter is written whole; of the rest only the new position."""
    op = decode(keys=1024.0, heads=8.0)
    cost = IMC.cost(op, shared(chip(), state_away=0.25))
    elements = 8 * 2 * (0.75 * 64 + 0.25 * 1024 * 64)
    assert float(cost.actions["array.writes"][0]) == elements * 8  # a cell per bit
    inside = IMC.cost(op, shared(chip(), state_away=0.0))
    assert float(inside.actions["array.writes"][0]) == 8 * 2 * 64 * 8
