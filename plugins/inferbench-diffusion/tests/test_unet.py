"""UNets, text encoders and the decoder: an independent counter, published figures, counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_diffusion.unet import UNetParams

# As in test_transformers: PyTorch 2.13's counter on diffusers 0.42.1, one pass at the network's own size.
COUNTED = {
    "sd1.5": (803_273_441_280, 859_520_964),
    "sd2.1": (2_149_105_745_920, 865_910_724),
    "sdxl": (6_761_236_398_080, 2_567_463_684),
    "ssd-1b": (4_207_761_817_600, 1_331_334_404),
}
# Text encoders, counted the same way on transformers 5.23; T5's table of relative positions (2,048 figures,
# in mT5-XL 1,024) is left out here.
ENCODERS = {
    ("sd1.5", "clip-l"): (13_298_503_680, 123_060_480),
    ("sd2.1", "open-clip-h"): (45_127_233_536, 340_387_840),
    ("sdxl", "open-clip-big-g"): (97_863_106_560, 694_659_840),
    ("sd3-medium", "t5-v1.1-xxl"): (2_396_591_751_168, 4_762_310_656 - 2_048),
    ("hunyuan-dit", "mt5-xl"): (605_590_388_736, 1_669_958_656 - 1_024),
    ("hunyuan-dit", "bert-bilingual-clip"): (47_091_384_320, 352_035_840 - 1_024),  # the pooler's bias
}


@pytest.mark.parametrize(("name", "counted"), COUNTED.items())
def test_operations_and_parameters_are_those_of_an_independent_counter(case, name, counted):
    assert case(name).operations() == pytest.approx(counted[0], rel=1e-9)
    assert case(name).parameters() == counted[1]
    published = case(name).network.published
    assert counted[1] == pytest.approx(published.parameters, rel=published.rounding)


def test_sdxl_is_2_99_tera_multiply_adds_where_scores_do_not_count(case):
    # The figure in circulation comes from counters that do not see fused attention.
    assert case("sdxl").operations(attention=False) / 2e12 == pytest.approx(2.99, rel=1e-3)


def test_scores_of_sdxl_by_hand(case):
    # Self attention over 4,096 positions of 640 channels in 10 layers and 1,024 of 1,280 in 60; cross
    # attention over 77.
    layers = {(4096, 640): 10, (1024, 1280): 60}
    scores = sum(4 * count * width * t * (t + 77) for (t, width), count in layers.items())
    assert case("sdxl").operations() - case("sdxl").operations(attention=False) == scores


@pytest.mark.parametrize(("key", "counted"), ENCODERS.items())
def test_text_encoders(case, key, counted):
    ops = [op for op in case(key[0]).ops("image", text_encoder=True) if op.name.startswith(f"text.{key[1]}.")]
    assert np.squeeze(sum(op.useful * op.repeat for op in ops)) == counted[0]
    assert np.squeeze(sum(op.parameters * op.instances for op in ops)) == counted[1]


@pytest.mark.parametrize(("pixels", "operations"), [(512, 2_514_518_802_432), (1024, 10_470_392_070_144)])
def test_decoder_to_pixels(case, pixels, operations):
    ops = [
        op for op in case("sd1.5").ops("image", {"pixels": pixels}, vae=True) if op.name.startswith("vae.")
    ]
    assert np.squeeze(sum(op.useful * op.repeat for op in ops)) == operations
    assert np.squeeze(sum(op.parameters * op.instances for op in ops)) == 49_490_179


def test_encoders_and_decoder_run_once_per_image_whatever_the_steps(case):
    sdxl = case("sdxl")

    def extra(steps):
        whole = sdxl.operations("image", {"steps": steps}, text_encoder=True, vae=True)
        return whole - sdxl.operations("image", {"steps": steps})

    assert extra(1) == extra(50) > 0


def test_guidance_doubles_encoders_and_steps_but_not_the_decoder(case):
    sdxl = case("sdxl")
    decoder = sdxl.operations("image", vae=True) - sdxl.operations("image")
    once, guided = (sdxl.operations("image", text_encoder=True, vae=True, cfg=cfg) for cfg in (False, True))
    assert guided - decoder == pytest.approx(2 * (once - decoder), rel=1e-12)


def test_convolutions_lower_to_the_same_work(case):
    for op in case("sd1.5").ops():
        if op.kind == "conv2d":
            (product,) = op.lower()
            assert product.useful == op.useful
            assert product.bytes.total == op.bytes.total


def test_tensor_parallel_halves_what_it_splits(case):
    from inferbench import Layout

    layout = Layout(tp=2)
    for op in case("sdxl").ops():
        if op.useful and op.split:
            assert np.squeeze(op.shard(layout).useful / op.useful) == 0.5


def test_levels_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match="attention_heads has 2 entries; one for each of the 3 levels"):
        UNetParams(
            block_out_channels=(320, 640, 1280),
            attention_heads=(5, 10),
            down_transformers=((0, 0), (2, 2), (4, 4)),
            up_transformers=((0, 0, 0), (2, 1, 1), (4, 4, 10)),
            mid_transformers=0,
            cross_attention_dim=2048,
            pixels=1024,
        )


@pytest.mark.parametrize("name", COUNTED)
def test_every_operator_has_its_own_name(case, name):
    names = [op.name for op in case(name).ops("image", text_encoder=True, vae=True)]
    assert len(names) == len(set(names))
