"""Chances under log-normal intervals, against tables of the normal distribution."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.model.chances import beats, log_error_of, meets, normal

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "stacks/vllm-h100", "power_models/linear")


ONE = {"batch": 1, "context": 2048, "precision": "bf16"}


@pytest.fixture(scope="module")
def h100():
    return ib.run("h100@vllm-h100", "llama3-8b/decode", **ONE)


def test_the_normal_distribution_is_that_of_the_tables():
    # Abramowitz and Stegun 1964, table 26.1.
    assert normal(np.array([0.5, 1.0, 1.96, -2.0])) == pytest.approx(
        [0.6914624612740131, 0.8413447460685429, 0.9750021048517795, 0.0227501319481792], rel=1e-12
    )


def test_nine_in_ten_lie_in_the_interval(h100):
    tpot = h100.metrics()["tpot_s"]
    low, high = (float(np.ravel(end)[0]) for end in h100.interval("tpot_s"))
    assert float(np.ravel(meets(tpot, h100, high))[0]) == pytest.approx(0.95)
    assert float(np.ravel(meets(tpot, h100, low))[0]) == pytest.approx(0.05)


def test_more_is_better_of_a_rate(h100):
    rate = h100.metrics()["tokens_per_s_per_user"]
    low, high = (float(np.ravel(end)[0]) for end in h100.interval("tokens_per_s_per_user"))
    assert float(np.ravel(meets(rate, h100, low))[0]) == pytest.approx(0.95)
    assert float(np.ravel(meets(rate, h100, high))[0]) == pytest.approx(0.05)


def test_who_beats_whom_adds_up_to_one(h100):
    other = ib.run("h200@vllm-h100", "llama3-8b/decode", **ONE)
    tpot = h100.metrics()["tpot_s"]
    there, back = (float(np.ravel(beats(tpot, *pair))[0]) for pair in ((other, h100), (h100, other)))
    assert there + back == pytest.approx(1.0)
    assert there > 0.5
    assert float(np.ravel(beats(tpot, h100, h100))[0]) == pytest.approx(0.5)


def test_nothing_can_be_said_of_a_bound(h100):
    bound = ib.run("h100@ideal", "llama3-8b/decode", **ONE)
    tpot = h100.metrics()["tpot_s"]
    assert np.isnan(log_error_of(tpot, bound)).all()
    assert np.isnan(meets(tpot, bound, 1.0)).all()
    assert np.isnan(beats(tpot, bound, h100)).all()


def test_what_follows_from_a_time_errs_as_the_time(h100):
    metrics = h100.metrics()
    time = log_error_of(metrics["tpot_s"], h100)
    for name in ("tokens_per_s_per_user", "utilization", "useful_tops"):
        assert log_error_of(metrics[name], h100) == pytest.approx(time)
    energy = log_error_of(metrics["joules_per_token"], h100)
    # At the wall: less than the boards' energy (fixed watts don't err), and more than the server's own error.
    server = h100.system.chip.node.log_error
    assert (
        server
        < float(np.ravel(log_error_of(metrics["tokens_per_s_per_w"], h100))[0])
        < float(np.ravel(energy)[0])
    )


def test_a_range_of_prices_joins_the_interval(h100):
    metrics = h100.metrics()
    price = h100.system.chip.price.rental.on_demand
    assert price.low < price.high
    low, high = (float(np.ravel(end)[0]) for end in h100.interval("usd_per_mtok_cloud"))
    value = float(np.ravel(h100["usd_per_mtok_cloud"])[0])
    time = 1.6448536 * float(np.ravel(log_error_of(metrics["tpot_s"], h100))[0])
    # Quadrature of logs: the widest of both, and less than their sum.
    assert max(time, np.log(price.high / price.mid)) < np.log(high / value)
    assert np.log(high / value) < time + np.log(price.high / price.mid)
    assert low < value * price.low / price.mid
