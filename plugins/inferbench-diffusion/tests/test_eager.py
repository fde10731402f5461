"""Eager kernels and the deep-compression decoder, against traces of diffusers and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

# Kernels that are neither a product, a convolution nor attention, as dispatched by PyTorch 2.15 in bfloat16 on the
# implementations of diffusers 0.42.1: launches, and gigabytes read and written (broadcast operands once). Networks at
# batch 1 and their own size, with guidance (FLUX.1 has none); decoders for one picture of 1,024 pixels.
TRACED = {
    "hunyuan-dit": (2271, 72.119, 66.370),
    "pixart-sigma": (530, 10.706, 9.105),
    "sana1.5-1.6b": (1313, 13.705, 12.455),
    "sd1.5": (414, 1.776, 1.372),
    "flux1-dev": (2112, 74.873, 69.010),
}
DECODERS = {"pixart-sigma": (95, 12.130, 11.274)}


def eager(ops):
    """Launches and gigabytes of element-wise kernels, read and written."""
    some = [op for op in ops if op.kind == "elementwise"]
    launches = sum(float(np.squeeze(op.repeat)) for op in some)
    read, written = (
        sum(np.squeeze(getattr(op.bytes, way) * op.repeat) / 1e9 for op in some)
        for way in ("inputs", "outputs")
    )
    return launches, float(read), float(written)


@pytest.mark.parametrize(("name", "traced"), TRACED.items())
def test_a_pass_moves_what_a_trace_of_its_eager_kernels_moves(case, name, traced):
    launches, read, written = eager(case(name).ops(cfg=name != "flux1-dev"))
    assert read == pytest.approx(traced[1], rel=0.01)
    assert written == pytest.approx(traced[2], rel=0.01)
    # Less those on a few figures of the time step; FLUX.1 rotates both streams in one launch, the graph in two.
    assert launches == pytest.approx(traced[0], rel=0.1)


@pytest.mark.parametrize(("name", "traced"), DECODERS.items())
def test_a_decoder_moves_what_a_trace_of_its_eager_kernels_moves(case, name, traced):
    ops = [op for op in case(name).ops("image", {"pixels": 1024}, vae=True) if op.name.startswith("vae.")]
    launches, read, written = eager(ops)
    assert (read, written) == (pytest.approx(traced[1], rel=0.01), pytest.approx(traced[2], rel=0.01))
    assert 0.95 * traced[0] <= launches <= traced[0]


def test_only_hunyuan_rotates_queries_of_cross_attention(case):
    rotated = {
        name: [op.name for op in case(name).ops() if op.name.endswith("rotate")]
        for name in ("hunyuan-dit", "wan2.1-1.3b", "pixart-sigma")
    }
    assert rotated == {
        "hunyuan-dit": ["qk.rotate", "cross.q.rotate"],
        "wan2.1-1.3b": ["qk.rotate"],
        "pixart-sigma": [],
    }
