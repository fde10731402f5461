"""Every metric against figures worked by hand, why a figure is missing, and which phase a metric is for.

Llama 3 8B in bf16: 8,030,261,248 parameters, of them 525,336,576 in the embedding and 266,240 in norms;
32 layers of 32 heads and 8 KV heads of 128. B200: 2250 TOP/s, 8 TB/s, 40 to 43 kUSD, 3.75 to 10.57 USD/h.
Its server: 2.4 kW for eight and 1.11 times their watts; that of the H100: 1.7 kW and 1.11.
The reference scenario: 3 years (26,280 h), 0.08 USD/kWh, PUE 1.25, 1.5 for the system, 80% of the hours earn,
367 g of CO2 per kWh.
"""

import math

import attrs
import inferbench_metrics
import numpy as np
import pytest

import inferbench as ib

pytest.importorskip("inferbench_specs", reason="needs inferbench-specs")
pytest.importorskip("inferbench_simt", reason="needs inferbench-simt")
pytest.importorskip("inferbench_llm", reason="needs inferbench-llm")

METRICS = {metric.name: metric for metric in inferbench_metrics.inferbench_metrics()}


def value(name, run):
    return float(np.squeeze(METRICS[name].compute(run)))


def decode(system="b200", **changes):
    """Four sequences of 2048: a step that took 2.5 ms and 2 J, where the hardware needs 2 ms and the roofline
    1.5.
    """
    run = ib.run(system, "llama3-8b/decode", precision="bf16", batch=4, context=2048, stack="ideal")
    times = {"seconds": 2.5e-3, "model": 2.0e-3, "silicon": 1.6e-3, "roofline": 1.5e-3}
    times |= {"bound_seconds": 1.4e-3}
    return attrs.evolve(run, **{**times, "energy": ib.Energy(joules=2.0, watts=800.0), **changes})


# Per token 2 x (8,030,261,248 - 525,336,576 - 266,240) + 2 x 256 x 2048 x 32 x 32 operations, four times.
USEFUL = 64_332_234_752
# Weights without the embedding, 2 B each; per sequence 2048 x 65,536 x 2 B of cache, a row of the
# embedding, the logits and a token's number: 268,435,456 + 8,192 + 256,512 + 4.
COMPULSORY = 16_084_650_000
CAPITAL = 41_500 * 1.5 / 26_280 / 0.8  # 2.961 USD/h
WALL = 1188.0  # 2.4 kW / 8 + 1.11 x 800 W
ELECTRICITY = 0.1485  # 1.188 kW x 1.25 = 1.485 kW at 8 cents, in 80% of the hours

BY_HAND = {
    "tpot_s": 2.5e-3,
    "tokens_per_s_per_user": 400.0,
    "tokens_per_s_per_chip": 1600.0,
    "ridge_point": 281.25,
    "arithmetic_intensity": USEFUL / COMPULSORY,
    "utilization": USEFUL / 5.625e12,
    "algorithm": USEFUL / 3.375e12,
    "hardware": 0.75,
    "silicon": 0.9375,
    "layout_factor": 0.8,
    "software": 0.8,
    "overlap": 0.7,
    "bound_s": 1.4e-3,
    "bandwidth_utilization": COMPULSORY / 20e9,
    "t_roofline_s": 1.5e-3,
    "t_model_s": 2.0e-3,
    "useful_tops": 25.7328939008,
    "power_w": 800.0,
    "wall_power_w": WALL,
    "joules_per_token": 0.5,
    "wall_joules_per_token": WALL / 1600,
    "tokens_per_s_per_w": 1600 / WALL,
    "energy_efficiency": 25.7328939008 / WALL,
    "grams_co2_per_mtok": 544.995 / 5.76,  # 1.485 kW x 367 g/kWh
    "usd_per_hour": CAPITAL + ELECTRICITY,
    "usd_per_hour_low": 2.853881279 + ELECTRICITY,
    "usd_per_hour_high": 3.067922374 + ELECTRICITY,
    "usd_per_hour_capital": 2.960901826,
    "usd_per_hour_electricity": ELECTRICITY,
    "usd_per_hour_cloud": 7.16,
    "usd_per_hour_cloud_low": 3.75,
    "usd_per_hour_cloud_high": 10.57,
    "usd_per_hour_reserved_3y": 2.90,
    "usd_per_hour_published_ownership": 2.145,
    # 1600 tokens/s are 5.76 million per hour.
    "usd_per_mtok": 3.109401826 / 5.76,
    "usd_per_mtok_low": (2.853881279 + ELECTRICITY) / 5.76,
    "usd_per_mtok_high": (3.067922374 + ELECTRICITY) / 5.76,
    "usd_per_mtok_reserved_3y": 2.90 / 5.76,
    "usd_per_mtok_published_ownership": 2.145 / 5.76,
    "usd_per_mtok_cloud": 7.16 / 5.76,
    "usd_per_mtok_cloud_low": 3.75 / 5.76,
    "usd_per_mtok_cloud_high": 10.57 / 5.76,
    "cost_efficiency": 25.7328939008 / 3.109401826,
    "cost_efficiency_cloud": 25.7328939008 / 7.16,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_decode_step_by_hand(name):
    assert value(name, decode()) == pytest.approx(BY_HAND[name], rel=1e-8)
    assert METRICS[name].applies(decode())


def test_every_metric_is_worked_by_hand_somewhere_here():
    others = {"ttft_s", "latency_s", "items_per_s", "joules_per_item", "wall_joules_per_item"}
    others |= {"usd_per_hour_reserved_1y", "usd_per_mtok_reserved_1y"}
    assert set(METRICS) == set(BY_HAND) | others


def test_the_chain_multiplies_to_the_utilization():
    run = ib.run(
        "b200",
        "llama3-8b/decode",
        precision=["bf16", "fp8"],
        batch=[1, 64],
        context=[512, 4096],
        stack="ideal",
    )
    found = {name: run.values(METRICS[name].compute(run)) for name in BY_HAND}
    chain = found["algorithm"] * found["hardware"] * found["software"]
    assert chain.shape == (2, 2, 2)
    np.testing.assert_allclose(chain, found["utilization"], rtol=1e-12)
    np.testing.assert_allclose(found["silicon"] * found["layout_factor"], found["hardware"], rtol=1e-12)


def test_the_roofline_of_a_decode_step_is_its_compulsory_bytes():
    run = ib.run("b200", "llama3-8b/decode", precision="bf16", batch=4, context=2048, stack="ideal")
    assert value("t_roofline_s", run) == pytest.approx(COMPULSORY / 8e12, rel=1e-12)
    assert value("t_roofline_s", run) < value("tpot_s", run) < 1.01 * value("t_roofline_s", run)


def test_eight_chips_cost_and_could_do_eight_times_as_much():
    run = decode("8xb200:tp8", energy=ib.Energy(joules=16.0, watts=6400.0))
    assert value("tokens_per_s_per_chip", run) == pytest.approx(200.0)
    assert value("tokens_per_s_per_user", run) == pytest.approx(400.0)
    assert value("utilization", run) == pytest.approx(USEFUL / 5.625e12 / 8, rel=1e-9)
    assert value("bandwidth_utilization", run) == pytest.approx(COMPULSORY / 160e9, rel=1e-9)
    assert value("usd_per_hour", run) == pytest.approx(8 * 3.109401826, rel=1e-8)
    assert value("usd_per_hour_cloud", run) == pytest.approx(57.28)
    assert value("usd_per_mtok", run) == pytest.approx(8 * 3.109401826 / 5.76, rel=1e-8)
    assert value("joules_per_token", run) == 4.0


def test_a_prefill_has_a_time_to_first_token_and_no_time_per_token():
    run = ib.run("h100-sxm", "llama3-8b/prefill", precision="bf16", batch=2, context=2048, stack="ideal")
    run = attrs.evolve(run, seconds=0.08, energy=ib.Energy(joules=51.2, watts=640.0))
    assert value("ttft_s", run) == 0.08
    assert math.isnan(value("tpot_s", run))
    assert METRICS["tpot_s"].why(run) == "prefill has no time per output token"
    assert METRICS["ttft_s"].applies(run)
    assert not METRICS["tpot_s"].applies(run)
    # 4096 tokens of prompt in 80 ms, 2 of them in flight; 51.2 J.
    assert value("tokens_per_s_per_user", run) == pytest.approx(25_600.0)
    assert value("tokens_per_s_per_chip", run) == pytest.approx(51_200.0)
    assert value("joules_per_token", run) == pytest.approx(0.0125)
    # 27,500 x 1.5 / 26,280 / 0.8 = 1.962043 USD/h; at the wall 1.7 kW / 8 + 1.11 x 640 W = 922.9 W, times
    # 1.25 and 0.08 / 0.8: 0.115363 USD/h. 184.32 million tokens/h.
    assert value("usd_per_mtok", run) == pytest.approx(2.077405879 / 184.32, rel=1e-8)
    assert value("usd_per_mtok_cloud", run) == pytest.approx(3.495 / 184.32, rel=1e-8)


def test_a_decode_step_has_no_time_to_first_token():
    run = decode()
    assert math.isnan(value("ttft_s", run))
    assert METRICS["ttft_s"].why(run) == "decode has no time to first token"
    assert not METRICS["ttft_s"].applies(run)


def test_images_are_items_and_no_tokens():
    pytest.importorskip("inferbench_vision", reason="needs inferbench-vision")
    run = ib.run("h100-sxm", "resnet-50/forward", precision="bf16", batch=8, stack="ideal")
    run = attrs.evolve(run, seconds=4e-3, energy=ib.Energy(joules=2.4, watts=600.0))
    assert value("latency_s", run) == 4e-3
    assert value("items_per_s", run) == pytest.approx(2000.0)
    assert value("joules_per_item", run) == pytest.approx(0.3)
    shown = {name for name, metric in METRICS.items() if metric.applies(run)}
    assert {"latency_s", "items_per_s", "joules_per_item", "wall_joules_per_item"} <= shown
    tokens = {name for name in METRICS if "token" in name or "mtok" in name}
    assert not tokens & shown
    for name in tokens:
        assert math.isnan(value(name, run)), name
        assert METRICS[name].why(run) == "a step of forward yields images, not tokens"


POWER = ("power_w", "joules_per_token", "tokens_per_s_per_w", "energy_efficiency")


@pytest.mark.parametrize("name", [*POWER, "usd_per_hour_electricity", "usd_per_hour", "usd_per_mtok"])
def test_unknown_power_is_unknown_everywhere_with_its_reason(name):
    run = decode(energy=ib.Energy(math.nan, math.nan, why="idle power is not published"))
    assert math.isnan(value(name, run))
    assert METRICS[name].why(run) == "idle power is not published"


@pytest.mark.parametrize("name", ["power_w", "energy_efficiency", "usd_per_hour", "usd_per_mtok_cloud"])
def test_known_figures_need_no_reason(name):
    assert METRICS[name].why(decode()) == ""


@pytest.mark.parametrize("name", ["usd_per_hour", "usd_per_hour_capital", "usd_per_mtok", "cost_efficiency"])
def test_a_price_that_is_not_published_is_told(name):
    chip = attrs.evolve(decode().system.chip, price=ib.Price(), facts={})
    run = decode(ib.System(chip))
    assert math.isnan(value(name, run))
    assert METRICS[name].why(run) == "no purchase price: not given in the spec"


@pytest.mark.parametrize("name", ["usd_per_hour_cloud", "usd_per_mtok_cloud", "usd_per_mtok_cloud_low"])
def test_a_rental_rate_that_is_not_published_is_told(name):
    chip = attrs.evolve(decode().system.chip, price=ib.Price(), facts={})
    run = decode(ib.System(chip))
    assert math.isnan(value(name, run))
    assert METRICS[name].why(run) == "no on-demand rate: not given in the spec"


def test_without_a_scenario_there_is_no_ownership_and_no_carbon():
    run = decode(scenario=None)
    for name in ("usd_per_hour", "usd_per_hour_electricity", "cost_efficiency", "grams_co2_per_mtok"):
        assert math.isnan(value(name, run)), name
        assert METRICS[name].why(run) == "needs an economic scenario"
    assert value("usd_per_hour_cloud", run) == pytest.approx(7.16)
    assert value("power_w", run) == 800.0
    assert value("wall_power_w", run) == pytest.approx(WALL)


def test_a_scenario_without_a_carbon_intensity_says_so():
    scenario = attrs.evolve(decode().scenario, carbon_intensity=math.nan)
    run = decode(scenario=scenario)
    assert math.isnan(value("grams_co2_per_mtok", run))
    assert METRICS["grams_co2_per_mtok"].why(run) == "the scenario has no carbon_intensity"


@pytest.mark.parametrize("name", ["wall_power_w", "tokens_per_s_per_w", "energy_efficiency", "usd_per_hour"])
def test_a_chip_without_a_server_has_no_watts_at_the_wall(name):
    run = decode(ib.System(attrs.evolve(decode().system.chip, node=None)))
    assert math.isnan(value(name, run))
    assert METRICS[name].why(run) == "no facts of its server are installed"


def test_published_watts_of_a_whole_system_have_nothing_added():
    """800 W at the wall, 1 kW with cooling: 0.1 USD/h in 80% of the hours."""
    chip = decode().system.chip
    run = decode(ib.System(attrs.evolve(chip, power=attrs.evolve(chip.power, boundary="system"))))
    assert value("wall_power_w", run) == 800.0
    assert value("usd_per_hour_electricity", run) == pytest.approx(0.1)


def test_the_price_of_a_whole_system_takes_no_factor_for_it():
    chip = decode().system.chip
    whole = attrs.evolve(chip, price=attrs.evolve(chip.price, includes_system=True))
    assert value("usd_per_hour_capital", decode(ib.System(whole))) == pytest.approx(CAPITAL / 1.5, rel=1e-8)


def test_terms_that_no_chip_is_sold_on_have_no_row():
    """B200 is listed on demand and for three years, and for one year by nobody."""
    shown = {name for name, metric in METRICS.items() if metric.applies(decode())}
    assert {"usd_per_hour", "usd_per_hour_cloud", "usd_per_hour_reserved_3y"} <= shown
    assert "usd_per_hour_reserved_1y" not in shown
    chip = attrs.evolve(
        decode().system.chip, price=ib.Price(rental=ib.Rental(reserved_1y=ib.Range(2.0, 2.0)))
    )
    assert value("usd_per_hour_reserved_1y", decode(ib.System(chip))) == 2.0
    assert value("usd_per_mtok_reserved_1y", decode(ib.System(chip))) == pytest.approx(2.0 / 5.76)


def test_the_term_stands_in_every_row_of_money():
    for name, metric in METRICS.items():
        if name.startswith("usd_per") and name not in ("usd_per_hour_capital", "usd_per_hour_electricity"):
            assert metric.title.split(",")[0] in {term.said for term in ib.Term}, name


def test_the_interval_stands_at_the_middle_price_alone():
    """Ends of a price's range have no interval of their own, and no chain of formulas."""
    owned = {name: one for name, one in METRICS.items() if name.startswith("usd_per_mtok")}
    with_interval = {name for name, one in owned.items() if one.interval}
    assert "usd_per_mtok" in with_interval
    assert not {name for name in with_interval if name.endswith(("_low", "_high"))}
    assert {name for name, one in owned.items() if one.chain} == {"usd_per_mtok"}
