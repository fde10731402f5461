"""Eager kernels and the deep-compression decoder, against traces of diffusers and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

# Kernels that are neither a product, a convolution nor attention, as dispatched by PyTorch 2.15 in bfloat16
# on the implementations of diffusers 0.42.1: launches, and gigabytes read and written (broadcast operands
# once). Networks at batch 1 and their own size, with guidance (FLUX.1 has none); decoders for one picture
# of 1,024 pixels.
TRACED = {
    "hunyuan-dit": (2271, 72.119, 66.370),
    "pixart-sigma": (530, 10.706, 9.105),
    "sana1.5-1.6b": (1313, 13.705, 12.455),
    "sd1.5": (414, 1.776, 1.372),
    "flux1-dev": (2112, 74.873, 69.010),
}
DECODERS = {"sana1.5-1.6b": (419, 29.765, 26.808), "pixart-sigma": (95, 12.130, 11.274)}


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
    # Less those on a few figures of the time step; FLUX.1 rotates both streams in one launch, the graph in
    # two.
    assert launches == pytest.approx(traced[0], rel=0.1)


@pytest.mark.parametrize(("name", "traced"), DECODERS.items())
def test_a_decoder_moves_what_a_trace_of_its_eager_kernels_moves(case, name, traced):
    ops = [op for op in case(name).ops("image", {"pixels": 1024}, vae=True) if op.name.startswith("vae.")]
    launches, read, written = eager(ops)
    assert (read, written) == (pytest.approx(traced[1], rel=0.01), pytest.approx(traced[2], rel=0.01))
    assert 0.95 * traced[0] <= launches <= traced[0]


@pytest.mark.parametrize("name", ["sana1.5-1.6b", "sana1.5-4.8b"])
@pytest.mark.parametrize(("pixels", "operations"), [(512, 2_092_152_913_920), (1024, 8_368_611_655_680)])
def test_deep_compression_decoder_is_that_of_an_independent_counter(case, name, pixels, operations):
    ops = [op for op in case(name).ops("image", {"pixels": pixels}, vae=True) if op.name.startswith("vae.")]
    assert np.squeeze(sum(op.useful * op.repeat for op in ops)) == operations
    assert np.squeeze(sum(op.parameters * op.instances for op in ops)) == 159_223_171
    assert len({op.name for op in ops}) == len(ops)


def test_a_level_of_attention_in_the_deep_compression_decoder_by_hand(case):
    # One position of C channels. q, k, v 6 C^2; 5 x 5 around each of 3 C channels 150 C; 1 x 1 inside heads
    # of 32 192 C; attention of 2 C channels, 4 x 33 each, 264 C; way out 4 C^2. Perceptron: 16 C^2 up, 3 x
    # 3 on 8 C channels 144 C, 8 C^2 down. In all 34 C^2 + 750 C.
    ops = [op for op in case("sana1.5-1.6b").ops("image", vae=True) if op.name.startswith("vae.level2.")]
    side, width = 1024 / 32 * 4, 512
    assert np.squeeze(sum(op.useful * op.repeat for op in ops)) == 3 * side**2 * (34 * width**2 + 750 * width)
    # Weights: 17 C^2; 75 C and 96 C around; 72 C inside; biases 16 C; two norms 4 C.
    assert sum(op.parameters * op.instances for op in ops) == 3 * (17 * width**2 + 263 * width)


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
