"""A chip with other facts than its spec states."""

import pytest

import inferbench as ib


@pytest.mark.needs_plugins("chips/b200")
@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"peak.fp8": "2250 TB/s"},
            'chip.peak.fp8: "2250 TB/s" is a bandwidth; a rate of operations is written like "2250 TOP/s"',
        ),
        ({"memory.hmb.bandwidth": "8 TB/s"}, "chip.memory.hmb.bandwidth: unknown key\n  did you mean 'hbm'?"),
        ({"power.tpd": "1 kW"}, "chip.power.tpd: unknown key\n  did you mean 'tdp'?"),
        (
            {"power": "1 kW"},
            "chip.power: holds several numbers\n  write tdp or idle behind it",
        ),
        (
            {"price.rental": "2 USD/h"},
            (
                "chip.price.rental: holds several numbers\n"
                "  write on_demand, reserved_1y or reserved_3y behind it"
            ),
        ),
        (
            {"power.tdp.max": "1 kW"},
            "chip.power.tdp.max: no key stands below a number\n  leave out what follows 'tdp'",
        ),
        (
            {"memory.hbm.pins": "0"},
            "chip.memory.hbm.pins: '0' does not fit\n  write a whole number of at least 1",
        ),
        (
            {"interconnect.scale_up.size": "8.5"},
            "chip.interconnect.scale_up.size: '8.5' does not fit\n  write a whole number of at least 1",
        ),
        ({"peak.fp88": "1 TOP/s"}, "chip.peak.fp88: unknown number format\n  did you mean 'fp8'?"),
        ({"pek.fp8": "1 TOP/s"}, "chip.pek.fp8: unknown key\n  did you mean 'peak'?"),
    ],
)
def test_facts_that_a_chip_can_not_have(facts, message):
    with pytest.raises(ib.InferBenchError) as caught:
        ib.override(ib.installed().chip("b200"), facts, "mine.toml: X1: chip")
    assert str(caught.value) == f"mine.toml: X1: {message}"


@pytest.mark.needs_plugins("chips/b200")
def test_facts_are_put_in_and_nothing_else_changes():
    chip = ib.installed().chip("b200")
    other = ib.override(chip, {"peak.fp8": "2250 TOP/s", "price.rental.on_demand": "2 USD/h"})
    assert (other.peak["fp8"], other.peak["bf16"], other.price.rental.on_demand.mid) == (
        2250e12,
        chip.peak["bf16"],
        2.0,
    )
    assert chip.peak["fp8"] == 4500e12


@pytest.mark.needs_plugins("chips/b200")
def test_whole_numbers_are_put_in_whether_they_were_known_or_not():
    chip = ib.installed().chip("b200")
    facts = {"interconnect.scale_up.size": "72", "memory.hbm.pins": "8192", "silicon.year": "2027"}
    other = ib.override(chip, facts)
    assert other.interconnect["scale_up"].size == 72
    assert (other.memory["hbm"].pins, other.silicon.year) == (8192, 2027)
    assert chip.interconnect["scale_up"].size == 8


@pytest.mark.needs_plugins("chips/b200")
def test_a_fact_that_was_put_in_cites_no_source():
    chip = ib.installed().chip("b200")
    other = ib.override(chip, {"memory.hbm.bandwidth": "4 TB/s"})
    fact = other.facts["memory.hbm.bandwidth"]
    assert (fact.path, fact.value, fact.source) == ("memory.hbm.bandwidth", 4e12, None)
    assert chip.facts["memory.hbm.bandwidth"].source is not None


@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b")
def test_half_the_bandwidth_takes_twice_the_time_of_a_decode_step():
    # One token reads all weights: the roofline is bytes over bandwidth.
    known = ib.installed()
    slow = ib.override(known.chip("b200"), {"memory.hbm.bandwidth": "4 TB/s"})
    whole, half = (ib.run(system, "llama3-8b/decode") for system in ("b200", ib.System(slow)))
    assert float(half.roofline.max() / whole.roofline.max()) == pytest.approx(2.0, rel=1e-3)
