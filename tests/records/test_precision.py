"""Precision: what is stored, and what is computed in."""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.records.precision import WIDER


@pytest.mark.parametrize(
    ("name", "weights", "activations", "kv", "compute"),
    [
        ("bf16", "bf16", "bf16", "bf16", "bf16"),
        ("fp8", "fp8", "fp8", "fp8", "fp8"),
        ("fp4", "fp4", "fp4", "fp4", "fp4"),
        ("w8a16", "int8", "bf16", "bf16", "bf16"),
        ("w4a16", "int4", "bf16", "bf16", "bf16"),
        ("w4a16kv8", "int4", "bf16", "int8", "bf16"),
        ("w4a8", "int4", "int8", "int8", "int8"),
    ],
)
def test_names(name, weights, activations, kv, compute):
    assert ib.PrecisionName.parse(name) == ib.PrecisionName(name, weights, activations, kv, compute)


def test_stored_bytes_along_the_axis():
    precision = ib.Precision.of(["bf16", "fp8", "w4a16", "w4a16kv8"], (1, -1))
    np.testing.assert_array_equal(precision.weights, [[2.0, 1.0, 0.5, 0.5]])
    np.testing.assert_array_equal(precision.activations, [[2.0, 1.0, 2.0, 2.0]])
    np.testing.assert_array_equal(precision.kv, [[2.0, 1.0, 2.0, 1.0]])
    assert precision.names == ("bf16", "fp8", "w4a16", "w4a16kv8")
    assert precision.along_axis([1, 2, 3, 4]).shape == (1, 4)


def test_block_scales_cost_bytes():
    """MX formats carry an 8-bit scale per 32 elements, NVFP4 one per 16 (OCP MX v1.0; NVIDIA)."""
    assert ib.FORMATS["mxfp4"] * 32 == 17
    assert ib.FORMATS["mxfp8"] * 32 == 33
    assert ib.FORMATS["nvfp4"] * 16 == 9


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("fp9", "did you mean 'fp8'?"),
        ("bfloat16", "did you mean 'bf16'?"),
        (
            "w3a16",
            "known are fp64, fp32, tf32, bf16, fp16, fp8, int8, fp6, fp4, int4, mxfp8, mxfp4, nvfp4, "
            "int4g32, int4g64, int4g128, and pairs like w8a16, w4a16, w4a16kv8, fp8kv16",
        ),
    ],
)
def test_unknown(name, remedy):
    with pytest.raises(InferBenchError) as caught:
        ib.PrecisionName.parse(name)
    assert str(caught.value) == f"precision: unknown precision '{name}'\n  {remedy}"


def test_every_format_has_a_way_to_wider_ones_and_never_to_narrower():
    assert set(WIDER) == set(ib.FORMATS)
    for name, wider in WIDER.items():
        widths = [ib.FORMATS[other] for other in wider]
        # A block-scaled format computes in its bare one: the scales are no part of the product.
        assert widths[0] in (ib.FORMATS[name], ib.FORMATS[name.lstrip("mxnv").partition("g")[0]]), name
        assert widths == sorted(widths), name


def test_a_chip_computes_in_the_next_wider_format_it_has(toy):
    chip, toy_arch = toy.chip("toy-chip"), toy.architecture("toy")
    site = ib.Site(chip, ib.Layout(), ib.Placement({}, {}), None, lambda name: toy_arch.peak(chip, name))
    names = ["fp16", "bf16", "fp8", "int8", "int4", "fp4", "w4a16", "fp64"]
    found = [site.computes_in(ib.PrecisionName.parse(name).compute) for name in names]
    assert found == ["bf16", "bf16", "fp8", "bf16", "bf16", "fp8", "bf16", "fp64"]
    op = ib.Gemm(name="g", precision=ib.Precision.of(names), m=1.0, n=1.0, k=1.0)
    np.testing.assert_array_equal(
        site.rate(op) / 1e12, [100.0, 100.0, 200.0, 100.0, 100.0, 200.0, 100.0, np.nan]
    )


@pytest.mark.parametrize(
    ("name", "weights", "activations", "kv", "compute"),
    [
        ("fp8kv16", "fp8", "fp8", "bf16", "fp8"),
        ("nvfp4kv8", "nvfp4", "nvfp4", "fp8", "nvfp4"),
        ("wint4g128a16", "int4g128", "bf16", "bf16", "bf16"),
        ("wmxfp4afp8kvbf16", "mxfp4", "fp8", "bf16", "fp8"),
    ],
)
def test_formats_named_apart(name, weights, activations, kv, compute):
    point = ib.PrecisionName.parse(name)
    assert (point.weights, point.activations, point.kv, point.compute) == (weights, activations, kv, compute)


def test_a_part_in_another_format_holds_at_points_of_one_name():
    axis = ib.Precision.of(["fp8", "bf16", "fp8kv16"])
    narrow = axis.with_weights("fp8", "mxfp4")
    assert narrow.weights.tolist() == [17 / 32, 2.0, 1.0]
    assert narrow.activations.tolist() == [1.0, 2.0, 1.0]
    # A wider part multiplies in its own format.
    wide = axis.with_weights("fp8kv16", "bf16")
    assert wide.weights.tolist() == [1.0, 2.0, 2.0]
    assert wide.activations.tolist() == [1.0, 2.0, 2.0]
    assert [point.compute for point in wide.points] == ["fp8", "bf16", "bf16"]


def test_groups_of_integers_carry_their_scales():
    assert ib.FORMATS["int4g128"] * 128 == 64 + 2 + 0.5
    assert ib.FORMATS["int4g32"] * 32 == 16 + 2
