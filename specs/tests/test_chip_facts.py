"""Figures of shipped chips against what their makers state elsewhere, worked by hand."""

import math

import pytest

import inferbench as ib

REGISTRY = ib.installed()


def chip(name):
    try:
        return REGISTRY.chip(name)
    except ib.InferBenchError as error:
        if "installed" in str(error):
            pytest.skip(str(error).splitlines()[0])
        raise


# Units x operations per unit and clock x clock, from the vendors' descriptions of one unit.
@pytest.mark.parametrize(
    ("name", "format", "units", "per_clock", "clock"),
    [
        ("v100-sxm2-32gb", "fp16", 80, 8 * 64 * 2, 1.53e9),
        ("a100-pcie-80gb", "bf16", 108, 2048, 1.41e9),
        ("rtx-5090", "bf16", 170, 512, 2.407e9),
        ("rtx-pro-6000", "bf16", 188, 1024, 2.43e9),
        ("l4", "bf16", 60, 1024, 2.04e9),
        ("ascend-910b", "fp16", 24, 16**3 * 2, 1.8e9),
        ("gaudi-3", "bf16", 8, 256 * 256 * 2, 1.6e9),
        ("mi250", "bf16", 208, 1024, 1.7e9),
        ("mi350x", "bf16", 256, 4096, 2.2e9),
        ("northpole", "int8", 256, 2048, 0.4e9),
        ("apple-m4-max", "fp16", 40, 256, 1.678e9),
    ],
)
def test_a_peak_is_units_times_clock(name, format, units, per_clock, clock):
    assert chip(name).peak[format] == pytest.approx(units * per_clock * clock, rel=0.06)


@pytest.mark.parametrize(
    ("variant", "base", "ratio"),
    [("h800", "h100-sxm", 400 / 900), ("trainium3", "trainium2", 2560 / 1280), ("gb300", "gb200", 1.0)],
)
def test_links_of_variants_keep_the_published_ratio(variant, base, ratio):
    def link(name):
        return chip(name).interconnect["scale_up"].bandwidth

    assert link(variant) / link(base) == pytest.approx(ratio, rel=0.001)


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("Tesla V100-SXM2-32GB", "v100-sxm2-32gb"),
        ("NVIDIA GeForce RTX 5090", "rtx-5090"),
        ("AMD Instinct MI300X", "mi300x"),
        ("AMD Instinct MI250", "mi250"),
        ("TPU v5", "tpu-v5p"),
        ("TPU7x", "tpu-v7"),
        ("HL-225", "gaudi-2"),
        ("NVIDIA GB300", "gb300"),
    ],
)
def test_names_as_drivers_print_them_are_known(printed, name):
    assert REGISTRY.aliases()["chips"][printed] == name


ANNOUNCED = ["rubin", "mi455x", "groq-3-lpu", "tpu-8i", "tpu-8t", "sn50", "ascend-950pr", "ascend-950dt"]


@pytest.mark.parametrize("name", ANNOUNCED)
def test_announced_chips_say_so_first_and_claim_no_datasheet(name):
    announced = chip(name)
    assert announced.note.startswith("Announced, not measured")
    assert "datasheet" not in {fact.basis for fact in announced.facts.values()}


def test_no_chip_without_fp8_arithmetic_lists_an_fp8_peak():
    for name in ("a100-pcie-80gb", "a10", "v100-sxm2-32gb", "arc-pro-b60", "ascend-910b", "apple-m4-max"):
        assert "fp8" not in chip(name).peak


def test_a_power_nobody_published_stays_missing():
    for name in ("trainium1", "trainium3", "ascend-910b", "ascend-910c", "northpole", "mi455x"):
        assert math.isnan(chip(name).power.tdp)
        assert chip(name).missing("power.tdp")
