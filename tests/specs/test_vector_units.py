"""What the models leave out may not bind: vector units keep up with memory on every chip that states both."""

from __future__ import annotations

import math

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "chips/b300", "architectures/simt")

# Of an element of a gated activation in 16 bits, the densest of the operators outside of products: two
# numbers in, one out; product, sum and scale around an exponential and a reciprocal.
BYTES, INSTRUCTIONS, SPECIAL = 6.0, 6.0, 2.0


def gpus() -> list[ib.Chip]:
    known = ib.installed()
    chips = (known.chip(name) for name in known.names("chips"))
    return [
        one
        for one in chips
        if one.architecture_type == "simt"
        and one.architecture.exponentials
        and not math.isnan(one.peak.get("fp32", math.nan) * one.architecture.clock)
    ]


def test_an_activation_in_16_bits_is_bound_by_memory():
    chips = gpus()
    assert {"a100-sxm-80gb", "h100-sxm", "b200", "b300", "rtx-4090"} <= {one.name for one in chips}
    for chip in chips:
        units = chip.architecture
        elements = chip.memory[chip.main].bandwidth / BYTES
        vector = chip.peak["fp32"] / 2.0 / INSTRUCTIONS
        special = units.sms * units.exponentials * units.clock / SPECIAL
        assert min(vector, special) > elements, chip.name


def test_blackwell_ultra_takes_softmax_twice_as_fast():
    """As NVIDIA says of it; the dies of GB300 have more multiprocessors in use too."""
    ultra, plain = (ib.installed().chip(name).architecture for name in ("b300", "b200"))
    assert ultra.sms == plain.sms
    ratio = ultra.exponentials * ultra.clock / (plain.exponentials * plain.clock)
    assert ratio == pytest.approx(2.0, rel=0.05)
