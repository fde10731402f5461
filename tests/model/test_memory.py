"""What a chip must hold, by what it is: closed forms by hand."""

from __future__ import annotations

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h200")


def at_first(run, name):
    return float(run.values(run.memory[name]).ravel()[0])


def test_weights_cache_and_capacity_of_one_chip():
    """Llama 3 70B in fp8: 70.55 G parameters; 80 layers x 8 heads x 128 x 2 = 163,840 bytes a position."""
    run = ib.run("h200", "llama3-70b/decode", precision="fp8", batch=4, context=8192)
    assert at_first(run, "weights_bytes") == pytest.approx(70.55e9, rel=1e-3)
    assert at_first(run, "cache_bytes") == 4 * 8192 * 163_840
    assert at_first(run, "capacity_bytes") == run.system.chip.memory["hbm"].capacity
    parts = sum(at_first(run, f"{name}_bytes") for name in ("weights", "cache", "activations"))
    assert at_first(run, "needed_bytes") == pytest.approx(parts)


def test_two_chips_hold_half_each():
    """The norms stay whole, which is a ten-thousandth."""
    one = ib.run("h200", "llama3-70b/decode", precision="fp8", context=4096)
    two = ib.run("2xh200:tp2", "llama3-70b/decode", precision="fp8", context=4096)
    for name in ("weights_bytes", "cache_bytes"):
        assert at_first(two, name) == pytest.approx(at_first(one, name) / 2, rel=1e-3)


def test_json_and_csv_have_the_bytes():
    run = ib.run("h200", "llama3-8b/decode")
    (result,) = run.to_dict()["results"]
    assert set(result["memory"]) == {
        "weights_bytes",
        "cache_bytes",
        "activations_bytes",
        "needed_bytes",
        "reserve_bytes",
        "capacity_bytes",
    }  # the keys of the JSON contract
    assert result["memory"]["capacity_bytes"] == run.system.chip.memory["hbm"].capacity
