"""The SIMT model against figures worked out by hand, and its laws."""

from __future__ import annotations

import math

import attrs
import inferbench_simt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inferbench_simt import Params, Simt, Tuning

import inferbench as ib

# Round figures, so that expectations are mental arithmetic: 1 TOP/s bf16, 1 TB/s, 10 SMs.
CHIP = ib.Chip(
    name="round",
    title="Round",
    vendor="nobody",
    architecture_type="simt",
    architecture=Params(sms=10),
    peak={"bf16": 1e12, "fp8": 2e12},
    memory={"hbm": ib.MemoryLevel(80e9, 1e12)},
)
HOMES = dict.fromkeys(("weights", "state", "inputs", "outputs"), "hbm")
BF16 = ib.Precision.of(["bf16"])


def site(tuning: Tuning | None = None, chip: ib.Chip = CHIP) -> ib.Site:
    return ib.Site(
        chip=chip,
        layout=ib.Layout(),
        placement=ib.Placement(homes=HOMES, resident={}),
        tuning=tuning or Tuning(),
        peak=lambda name: Simt().peak(CHIP, name),
    )


def gemm(m, n, k, count=1.0, precision=BF16) -> ib.Gemm:
    return ib.Gemm(name="g", precision=precision, m=m, n=n, k=k, count=count)


def compute(tuning: Tuning, *shape: float) -> float:
    return float(Simt().cost(gemm(*shape), site(tuning)).busy["compute"].item())


def test_a_gemm_on_ideal_hardware_is_the_roofline():
    cost = Simt().cost(gemm(100.0, 200.0, 500.0), site())
    # 2 * 100 * 200 * 500 = 2e7 ops at 1e12; bytes: 2 * (200*500 + 100*500 + 100*200) = 340,000 at 1e12.
    assert cost.busy["compute"].item() == pytest.approx(20e-6)
    assert cost.busy["memory.hbm"].item() == pytest.approx(0.34e-6)
    assert set(cost.busy) == {"compute", "memory.hbm"}
    assert not cost.exposed
    assert cost.actions["ops"] == 2e7
    assert cost.actions["bytes.hbm"].item() == 340_000


def test_attention_reads_the_cache_once_and_computes_every_pair():
    op = ib.Attention(
        name="a",
        precision=BF16,
        batch=2.0,
        heads=8.0,
        kv_heads=2.0,
        queries=1.0,
        keys=1000.0,
        pairs=1000.0,
        qk_dim=64.0,
        v_dim=64.0,
    )
    cost = Simt().cost(op, site())
    # 2 ops * (64 + 64) * 1000 pairs * 8 heads * 2 sequences = 4,096,000.
    assert cost.busy["compute"].item() == pytest.approx(4.096e-6)
    # KV: 2 * 1000 * 2 heads * 128 * 2 B = 1,024,000; queries and results: 2 * (2 * 8 * 64 * 2 B) = 4,096.
    assert cost.busy["memory.hbm"].item() == pytest.approx(1.028096e-6)


@pytest.mark.parametrize(
    ("op", "moved"),
    [
        (ib.Elementwise(name="e", precision=BF16, elements=1000.0, reads=2.0), 6000),
        (ib.Reduce(name="r", precision=BF16, elements=1000.0, results=10.0), 2020),
        (ib.Move(name="m", precision=BF16, elements=1000.0), 4000),
    ],
)
def test_ops_without_products_cost_their_bytes_only(op, moved):
    cost = Simt().cost(op, site())
    assert set(cost.busy) == {"memory.hbm"}
    assert cost.busy["memory.hbm"].item() == pytest.approx(moved / 1e12)


class Convolved(ib.Elementwise):
    """What goes through the positions of one channel after the other."""

    sequences, channels = 3.0, 20.0


def test_a_convolution_is_cut_into_strips_of_each_channel_and_sequence():
    # 3 sequences of 1,500 positions of 20 channels: 2 strips of 1,024 each, 120 strips on 10 SMs.
    op = Convolved(name="c", precision=BF16, elements=3 * 1500 * 20.0)
    assert Simt().cost(op, site()).waves == 12.0
    assert Simt().cost(op, site(Tuning(strip=500))).waves == 18.0


def test_a_part_of_another_kernel_is_not_cut_into_tiles():
    class Part(ib.Gemm):
        whole = False

    shape = {"name": "p", "precision": BF16, "m": 1.0, "n": 128.0, "k": 100.0}
    tiled = Tuning(tile_m=128, tile_n=128)
    assert Simt().cost(Part(**shape), site(tiled)).busy["compute"].item() == pytest.approx(2.56e-8)
    assert Simt().cost(ib.Gemm(**shape), site(tiled)).busy["compute"].item() > 1e-6


def test_tiles_that_fill_the_sms_exactly_cost_nothing_extra():
    # 5 x 2 tiles of 64 x 128 on 10 SMs: one full wave; 2 * 320 * 256 * 1000 ops.
    assert compute(Tuning(64, 128), 320.0, 256.0, 1000.0) == pytest.approx(163.84e-6)


def test_one_tile_too_many_costs_a_whole_wave():
    # 11 tiles on 10 SMs: two waves of ten full tiles, 20 * 2 * 64 * 128 * 1000 ops at 1e12.
    assert compute(Tuning(64, 128), 704.0, 128.0, 1000.0) == pytest.approx(327.68e-6)
    # By count instead of rows: eleven products of one tile each take the same two waves.
    assert compute(Tuning(64, 128), 64.0, 128.0, 1000.0, 11.0) == pytest.approx(327.68e-6)


def test_a_partial_tile_costs_a_full_one():
    # One row in one tile of 64 x 128 occupies one of ten SMs: a whole wave, as ten full tiles would.
    assert compute(Tuning(64, 128), 1.0, 1.0, 1000.0) == pytest.approx(163.84e-6)


def test_rounding_noise_in_expected_counts_starts_no_wave():
    exact = compute(Tuning(64, 64), 64.0, 640.0, 100.0)
    noisy = compute(Tuning(64, 64), 64.0 * (1 + 4e-16), 640.0, 100.0, 1.0 + 4e-16)
    assert noisy == pytest.approx(exact, rel=1e-12)


def test_a_format_the_chip_lacks_computes_in_a_wider_one_or_is_unknown():
    op = gemm(100.0, 200.0, 500.0, precision=ib.Precision.of(["fp8", "int8", "fp64"]))
    seconds = Simt().cost(op, site()).busy["compute"]
    assert seconds[0] == pytest.approx(10e-6)
    assert seconds[1] == pytest.approx(20e-6)
    assert math.isnan(seconds[2])


sizes = st.integers(1, 5000).map(float)
tilings = st.one_of(
    st.just(Tuning()), st.builds(Tuning, tile_m=st.integers(1, 300), tile_n=st.integers(1, 300))
)


@settings(deadline=None, max_examples=60)
@given(m=sizes, n=sizes, k=sizes, count=st.floats(0.1, 200.0), tuning=tilings)
def test_a_tiling_loses_at_most_a_row_of_tiles_and_a_wave_and_never_beats_the_roofline(
    m, n, k, count, tuning
):
    seconds = Simt().cost(gemm(m, n, k, count), site(tuning)).busy["compute"].item()
    assert seconds >= 2.0 * m * n * k * count / 1e12 * (1 - 1e-12)
    worst_tiles = (m + tuning.tile_m) * (n + tuning.tile_n) * count
    assert seconds <= (worst_tiles + 10.0 * tuning.tile_m * tuning.tile_n) * 2.0 * k / 1e12 * (1 + 1e-9)


@settings(deadline=None, max_examples=60)
@given(m=sizes, more=sizes, n=sizes, tuning=tilings)
def test_more_rows_never_take_less_time(m, more, n, tuning):
    assert compute(tuning, m, n, 64.0) <= compute(tuning, m + more, n, 64.0)


@pytest.mark.parametrize("tuning", [Tuning(), Tuning(128, 128)])
def test_a_grid_equals_its_points(tuning):
    ms, ks = np.array([1.0, 7.0, 1500.0]).reshape(-1, 1, 1), np.array([64.0, 777.0]).reshape(-1, 1)
    names = ["bf16", "fp8"]
    grid = Simt().cost(gemm(ms, 4096.0, ks, precision=ib.Precision.of(names)), site(tuning))
    for engine in ("compute", "memory.hbm"):
        whole = np.broadcast_to(grid.busy[engine], (3, 2, 2))
        for i, j, p in np.ndindex(3, 2, 2):
            op = gemm(ms[i], 4096.0, ks[j], precision=ib.Precision.of([names[p]]))
            assert Simt().cost(op, site(tuning)).busy[engine].item() == whole[i, j, p]


@pytest.mark.parametrize("sms", [0, -4])
def test_a_gpu_has_multiprocessors(sms):
    with pytest.raises(ValueError, match=f"sms is {sms}"):
        Params(sms=sms)


@pytest.mark.parametrize("tile", [(128, 0), (0, 64), (-1, -1)])
def test_half_a_tile_size_is_refused(tile):
    with pytest.raises(ValueError, match="tile is"):
        Tuning(*tile)


def test_the_plugin_yields_the_model():
    (architecture,) = inferbench_simt.inferbench_architectures()
    assert architecture.name == "simt"
    assert architecture.support(ib.Gemm) is ib.Support.FULL
    assert architecture.support(ib.Attention) is ib.Support.FULL


def test_the_library_takes_the_fastest_tile():
    """10 SMs, 64 x 640: 5 tiles of 64 x 128 occupy half of them for one wave, 10 of 64 x 64 all for half as
    long.
    """
    both = Tuning(tiles=((64, 128), (64, 64)))
    assert compute(Tuning(tile_m=64, tile_n=128), 64.0, 640.0, 100.0) == pytest.approx(2 * 8.192e-6)
    assert compute(both, 64.0, 640.0, 100.0) == pytest.approx(8.192e-6)
    cost = Simt().cost(gemm(64.0, 640.0, 100.0), site(both))
    assert (float(cost.detail["tiles"]), float(cost.detail["waves"])) == (10.0, 1.0)


def test_splitting_the_inner_loop_occupies_more_sms():
    """One tile of 64 x 64 on 10 SMs takes 10 times its share; in 5 parts twice, with 10 % more for the
    prologue.
    """
    share = 2 * 64 * 64 * 1000 / 1e12
    assert compute(Tuning(64, 64), 64.0, 64.0, 1000.0) == pytest.approx(10 * share)
    assert compute(Tuning(64, 64, splits=(1, 5)), 64.0, 64.0, 1000.0) == pytest.approx(2 * share)
    assert compute(Tuning(64, 64, splits=(1, 5), prologue=20.0), 64.0, 64.0, 1000.0) == pytest.approx(
        2.2 * share
    )


def test_a_part_of_the_tail_is_lost():
    """11 tiles on 10 SMs: two waves, 1.1 if the tail is filled, 1.46 at a tail of 0.4."""
    tile = 10 * 2 * 64 * 64 * 1000 / 1e12
    for tail, waves in ((1.0, 2.0), (0.0, 1.1), (0.4, 1.46)):
        assert compute(Tuning(64, 64, tail=tail), 64.0, 704.0, 1000.0) == pytest.approx(waves * tile)


def test_tiles_of_one_precision_leave_the_others_alone():
    tuning = Tuning(64, 64, precisions=("fp8",))
    both = gemm(1.0, 64.0, 1000.0, precision=ib.Precision.of(["bf16", "fp8"]))
    bf16, fp8 = Simt().cost(both, site(tuning)).busy["compute"]
    assert bf16 == pytest.approx(2 * 64 * 1000 / 1e12)
    assert fp8 == pytest.approx(10 * 2 * 64 * 64 * 1000 / 2e12)
    assert compute(tuning, 1.0, 64.0, 1000.0) == pytest.approx(2 * 64 * 1000 / 1e12)


def test_grouped_experts_are_not_tiled():
    op = ib.Gemm(name="e", precision=BF16, m=1.0, n=64.0, k=1000.0, count=4.0, split=("experts", "n"))
    assert Simt().cost(op, site(Tuning(64, 64))).busy["compute"].item() == pytest.approx(8 * 64 * 1000 / 1e12)


@pytest.mark.parametrize(
    "wrong", [{"splits": ()}, {"splits": (0,)}, {"tail": 1.5}, {"prologue": -1.0}, {"tiles": ((64, 0),)}]
)
def test_impossible_tuning_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Tuning(**wrong)


TILED = Tuning(attention_rows=128, attention_keys=128, head_multiple=32)


def attention(queries, keys, pairs, heads=8.0, kv_heads=8.0, width=64.0, batch=1.0) -> ib.Attention:
    return ib.Attention(
        name="a",
        precision=BF16,
        batch=batch,
        heads=heads,
        kv_heads=kv_heads,
        queries=queries,
        keys=keys,
        pairs=pairs,
        qk_dim=width,
        v_dim=width,
    )


def padding(op: ib.Attention, tuning: Tuning = TILED) -> float:
    """Operations for which the chip is occupied, over those that count."""
    return float(Simt().cost(op, site(tuning)).busy["compute"].item()) * 1e12 / op.useful


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (
            attention(128.0, 128.0, 128 * 129 / 2),
            128 * 128 / (128 * 129 / 2),
        ),  # one causal tile is computed whole
        (attention(256.0, 256.0, 256.0 * 256.0), 1.0),  # full tiles
        (attention(104.0, 104.0, 104.0 * 104.0), (128 / 104) ** 2),
        (attention(256.0, 256.0, 65536.0, width=72.0), 96 / 72),  # 72 and 80 cost as much as 96
        (attention(256.0, 256.0, 65536.0, width=80.0), 96 / 80),
        (attention(1.0, 1000.0, 1000.0), 1.0),  # one new token: no tile of queries
    ],
)
def test_tiles_of_attention_are_computed_whole(op, expected):
    assert padding(op) == pytest.approx(expected)
    assert padding(op, Tuning()) == pytest.approx(1.0)


def test_causal_padding_tends_to_nothing_for_long_prompts():
    """Half a tile of 128 keys per row of 8,192 on average: 64 / 4,096.5."""
    assert padding(attention(8192.0, 8192.0, 8192 * 8193 / 2)) == pytest.approx(1 + 64 / 4096.5)


@pytest.mark.parametrize(
    ("op", "tiles"),
    [
        (attention(256.0, 256.0, 65536.0, batch=4.0), 64.0),  # 4 sequences, 8 heads, 2 tiles each
        (
            attention(256.0, 256.0, 65536.0, kv_heads=2.0),
            16.0,
        ),  # sharing keys changes nothing for long prompts
        (attention(1.0, 100.0, 100.0, kv_heads=2.0), 2.0),  # four heads of one token share a tile
    ],
)
def test_waves_of_attention(op, tiles):
    cost = Simt().cost(op, site(TILED))
    assert float(np.asarray(cost.waves)) == pytest.approx(tiles / 10)
    assert Simt().cost(op, site()).waves is None


@pytest.mark.parametrize("bad", [{"attention_rows": -1}, {"attention_keys": 0}, {"head_multiple": 0}])
def test_tiles_of_no_size_are_refused(bad):
    with pytest.raises(ValueError, match="attention_rows"):
        Tuning(**bad)


CACHED = attrs.evolve(CHIP, memory={**CHIP.memory, "l2": ib.MemoryLevel(40e6, 2e12)})
APART = Tuning(shares_keys=False)


@pytest.mark.parametrize(
    ("op", "passes"),
    [
        (attention(1.0, 1000.0, 1000.0, kv_heads=2.0), 4.0),  # four query heads on each head of keys
        (attention(1.0, 1000.0, 1000.0), 0.0),  # heads with keys of their own read them once anyway
        (attention(1000.0, 1000.0, 1e6, kv_heads=2.0), 0.0),  # a prompt's queries fill tiles together
    ],
)
def test_keys_pass_the_cache_once_per_query_head_where_they_are_not_shared(op, passes):
    """1000 positions x heads of keys x 2 x 64 x 2 bytes, at 2 TB/s."""
    cost = Simt().cost(op, site(APART, CACHED))
    moved = passes * 1000 * 2 * 2 * 64 * 2
    assert float(np.asarray(cost.busy["memory.l2"]).item()) == pytest.approx(moved / 2e12)
    assert float(np.asarray(cost.busy["memory.hbm"]).item()) == float(
        np.asarray(Simt().cost(op, site(chip=CACHED)).busy["memory.hbm"]).item()
    )


def test_keys_that_are_shared_or_a_cache_that_is_not_known_cost_nothing_more():
    op = attention(1.0, 1000.0, 1000.0, kv_heads=2.0)
    assert "memory.l2" not in Simt().cost(op, site(Tuning(), CACHED)).busy
    assert "memory.l2" not in Simt().cost(op, site(APART)).busy


def test_a_latent_that_all_heads_share_is_read_once():
    op = attrs.evolve(attention(1.0, 1000.0, 1000.0, kv_heads=1.0), width=576.0)
    assert not np.any(Simt().cost(op, site(APART, CACHED)).busy["memory.l2"])


def test_query_heads_that_read_apart_are_tiles_apart():
    op = attention(1.0, 100.0, 100.0, kv_heads=2.0)
    cost = Simt().cost(op, site(Tuning(attention_rows=128, shares_keys=False), CACHED))
    assert float(np.asarray(cost.waves).item()) == pytest.approx(8 / 10)


def latent(batch, heads, keys, queries=1.0):
    """A latent of 512 + 64 numbers per position, which all heads share (DeepSeek V3)."""
    return ib.Attention(
        name="a",
        precision=ib.Precision.of(["bf16"]),
        batch=batch,
        heads=heads,
        kv_heads=1.0,
        queries=queries,
        keys=keys,
        pairs=queries * keys,
        qk_dim=576.0,
        v_dim=512.0,
        width=576.0,
    )


@pytest.mark.parametrize(
    ("batch", "heads", "keys", "tiles", "readings"),
    [
        (64.0, 8.0, 8192.0, 64, 1),  # one tile of 16
        (64.0, 32.0, 8192.0, 128, 2),  # two, each with the latent for itself
        (64.0, 64.0, 8192.0, 64, 1),  # 256 small tiles would not fit on 10 units: one of 64
        (64.0, 128.0, 8192.0, 128, 1),  # two units share the latent
        (1.0, 128.0, 1024.0, 8, 8),  # eight small tiles of 1,024 keys for 10 units
        (1.0, 128.0, 1025.0, 2, 1),  # a key too many
        (1.0, 64.0, 2048.0, 4, 4),  # four tiles, two parts of 1,024 keys each
    ],
)
def test_tiles_beside_a_latent_are_those_of_the_librarys_dispatcher(batch, heads, keys, tiles, readings):
    cost = Simt().cost(latent(batch, heads, keys), site(Tuning(latent_rows=16, latent_pair=128)))
    assert float(np.asarray(cost.detail["tiles"]).item()) == tiles
    assert float(np.asarray(cost.detail["readings"]).item()) == readings
    assert float(np.asarray(cost.waves).item()) == pytest.approx(tiles / 10)


def test_a_prompt_beside_a_latent_is_read_once():
    cost = Simt().cost(latent(1.0, 64.0, 512.0, queries=512.0), site(Tuning(latent_rows=16)))
    assert float(np.asarray(cost.detail["readings"]).item()) == 1


def test_pairs_of_units_need_tiles_of_one():
    with pytest.raises(ValueError, match="latent_pair"):
        Tuning(latent_pair=128)


def test_products_of_experts_are_counted_in_tiles_of_their_own():
    """130 rows in tiles of 128 are two, 300 columns three: six of each of four experts, on 10 units."""
    experts = attrs.evolve(gemm(130.0, 300.0, 64.0, count=4.0), split=("experts", "n"))
    cost = Simt().cost(experts, site(Tuning(expert_tile=(128, 128))))
    assert float(np.asarray(cost.waves).item()) == pytest.approx(24 / 10)
    assert Simt().cost(gemm(130.0, 300.0, 64.0), site(Tuning(expert_tile=(128, 128)))).waves is None
    assert Simt().cost(experts, site()).waves is None


def test_a_tile_of_experts_has_two_sides():
    with pytest.raises(ValueError, match="128 x 0"):
        Tuning(expert_tile=(128, 0))
