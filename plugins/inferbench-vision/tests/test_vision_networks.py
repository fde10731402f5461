"""Operation and parameter counts against published ones and against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from inferbench_vision.builder import Options
from inferbench_vision.clip import Clip, ClipParams, Tower
from inferbench_vision.resnet import ResNet, ResNetParams
from inferbench_vision.vit import ViT, ViTParams
from inferbench_vision.whisper import Whisper, WhisperParams

import inferbench as ib

VIT_B = ViTParams(768, 12, 12, 3072, 16)
VIT_L = ViTParams(1024, 24, 16, 4096, 16)
VIT_H = ViTParams(1280, 32, 16, 5120, 14)
CLIP_L = ClipParams(Tower(1024, 24, 16, 4096), Tower(768, 12, 12, 3072), 14, 768, 49408)
WHISPER = WhisperParams(1280, 32, 20, 5120, 32, 20, 5120, 128, 51866)
RESNET = ResNetParams((256, 512, 1024, 2048), (3, 4, 6, 3))


def graph(workload, params, phase="forward", options=None, **axes):
    network = ib.Network(name="net", title="Net", type=workload.name, params=params)
    at = ib.Grid.of({name: np.atleast_1d(values) for name, values in axes.items()}, ["bf16"]).at
    return list(workload.graph(network, at, phase, options or Options()))


def operations(ops):
    return np.squeeze(sum(op.useful * op.repeat for op in ops))


def parameters(ops):
    return float(np.squeeze(sum(op.parameters * op.instances for op in ops)))


@pytest.mark.parametrize(
    ("workload", "params", "giga_macs", "count"),
    [
        # torchvision's weight cards: "GFLOPS" (they count multiply-adds) and "num_params"
        (ViT(), VIT_B, 17.564, 86_567_656),
        (ViT(), VIT_L, 61.555, 304_326_632),
        (ViT(), VIT_H, 167.295, 632_045_800),
        (ResNet(), RESNET, 4.089, 25_557_032),
    ],
)
def test_counts_are_those_of_the_published_weight_cards(workload, params, giga_macs, count):
    ops = graph(workload, params, batch=1)
    assert operations(ops) / 2e9 == pytest.approx(giga_macs, rel=2e-4)
    assert parameters(ops) == count


def test_encoder_of_vit_l_is_122_8_gflop():
    # 24 layers, D = 1024, T = 197: 24 (24 D^2 T + 4 T^2 D) = 118.98e9 + 3.82e9
    ops = graph(ViT(), VIT_L, options=Options(embedding=False, head=False), batch=1)
    assert operations(ops) == pytest.approx(122.80e9, rel=1e-4)


def test_clip_has_its_stored_parameters_but_for_the_logit_scale():
    assert parameters(graph(Clip(), CLIP_L, batch=1)) == 427_616_513 - 1


def test_clip_forward_is_image_and_text():
    pair, image, text = (
        operations(graph(Clip(), CLIP_L, phase, batch=1)) for phase in ("forward", "image", "text")
    )
    assert pair == image + text
    # Hand count of the image tower: 257 tokens, D = 1024, plus 256 patches of 588 and one projection.
    by_hand = 24 * (24 * 1024**2 * 257 + 4 * 257**2 * 1024) + 2 * 256 * 588 * 1024 + 2 * 1024 * 768
    assert image == by_hand


def test_whisper_has_its_stored_parameters():
    assert parameters(graph(Whisper(), WHISPER, "transcribe", batch=1)) == 1_543_490_560


def test_whisper_encoder_by_hand():
    # D = 1280, T = 1500: 32 layers, convolutions of 3 taps over 3,000 and 1,500 frames, cross keys and
    # values.
    width, frames = 1280, 1500
    layers = 32 * (24 * width**2 * frames + 4 * frames**2 * width)
    front = 2 * 3 * width * (3000 * 128 + 1500 * width)
    cross = 32 * 4 * width**2 * frames
    assert operations(graph(Whisper(), WHISPER, "encode", batch=1)) == layers + front + cross


def test_transcribing_is_encoding_and_as_many_steps_over_a_growing_context():
    whole = operations(graph(Whisper(), WHISPER, "transcribe", batch=2, tokens=3))
    steps = [operations(graph(Whisper(), WHISPER, "decode", batch=2, context=t)) for t in (1, 2, 3)]
    assert whole == pytest.approx(
        operations(graph(Whisper(), WHISPER, "encode", batch=2)) + sum(steps), rel=1e-12
    )


def test_whisper_warns_beyond_its_positions():
    network = ib.Network(name="w", title="W", type="whisper", params=WHISPER)
    assert list(Whisper().warnings(network, {"context": 448.0}, "decode")) == []
    assert "448 positions" in next(iter(Whisper().warnings(network, {"context": 449.0}, "decode")))


@pytest.mark.parametrize(
    ("workload", "params", "unit"), [(ViT(), VIT_B, 16), (ResNet(), RESNET, 32), (Clip(), CLIP_L, 14)]
)
def test_images_that_do_not_tile_are_refused_with_the_sizes_that_do(workload, params, unit):
    with pytest.raises(ib.InferBenchError, match="don't tile") as error:
        graph(workload, params, batch=1, pixels=[7 * unit, 10 * unit + 1])
    (fault,) = error.value.faults
    assert fault.argument == "pixels"
    assert fault.remedy == f"use {10 * unit} or {11 * unit}"


def test_a_grid_is_its_points():
    sides, batches = (224.0, 448.0), (1.0, 7.0)
    ops = graph(ResNet(), RESNET, batch=batches, pixels=sides)
    together = sum(op.useful * op.repeat for op in ops)
    axes = ib.Grid.of({"batch": batches, "pixels": sides}, ["bf16"])
    together = axes.full(together)[..., 0]
    for i, batch in enumerate(batches):
        for j, side in enumerate(sides):
            assert together[i, j] == operations(graph(ResNet(), RESNET, batch=batch, pixels=side))
    # Convolutions grow with the area, the classifier does not.
    assert together[0, 1] == 4 * together[0, 0] - 3 * 2 * 2048 * 1000


def test_unfused_attention_computes_the_same_and_moves_the_scores():
    fused = graph(ViT(), VIT_L, batch=1)
    unfused = graph(ViT(), VIT_L, options=Options(fused_attention=False), batch=1)
    assert operations(fused) == operations(unfused)
    moved = [float(np.squeeze(sum(op.bytes.total * op.repeat for op in ops))) for ops in (fused, unfused)]
    # Four passes over 24 layers x 16 heads x 197^2 scores of 2 bytes.
    assert moved[1] - moved[0] == pytest.approx(4 * 24 * 16 * 197**2 * 2)


def test_elementwise_kernels_add_bytes_but_no_operations():
    with_them = graph(ViT(), VIT_B, batch=1)
    without = graph(ViT(), VIT_B, options=Options(elementwise=False), batch=1)
    assert operations(with_them) == operations(without)
    assert {op.kind for op in with_them} - {op.kind for op in without} == {"elementwise"}


def test_tensor_parallel_halves_the_layers_products():
    whole, half = ([op.shard(ib.Layout(tp=tp)) for op in graph(ViT(), VIT_L, batch=1)] for tp in (1, 2))
    names = {"qkv", "attention", "out", "up", "down"}
    split = [sum(float(np.squeeze(op.useful)) for op in ops if op.name in names) for ops in (whole, half)]
    assert split[1] == split[0] / 2


@pytest.mark.parametrize("name", ["vit-b", "vit-l", "vit-h", "clip-l", "whisper-large-v3", "resnet-50"])
def test_specs_reproduce_their_published_parameters(name):
    pytest.importorskip("inferbench_specs", reason="the specs distribution is not installed")
    network = ib.installed().network(name)
    workload = ib.installed().workload(network.type)
    at = ib.Grid.of({"batch": [1.0]}, ["bf16"]).at
    ops = list(workload.graph(network, at, workload.phases[0].name, Options()))
    assert parameters(ops) == pytest.approx(network.published.parameters, rel=network.published.rounding)


def named(ops):
    return {op.name: op for op in ops}


def test_each_text_of_a_batch_adds_positions_to_all_its_words():
    """77 words as wide as 768, three texts: each element is read beside its position and written."""
    ops = named(graph(Clip(), CLIP_L, "text", batch=[3.0], resolution=[224.0]))
    assert float(np.squeeze(ops["text.positions"].elements)) == 3 * 77 * 768
    assert float(np.squeeze(ops["text.lookup"].elements)) == 3 * 77 * 768


def test_the_elements_between_the_convolutions_are_those_of_all_images():
    """ResNet-50's first stage: 56 x 56 positions of 256 channels, added once and rectified once."""
    small, large = (named(graph(ResNet(), RESNET, batch=[count], resolution=[224.0])) for count in (1.0, 6.0))
    first = next(name for name in small if name.endswith("residual"))
    relu = first.replace("residual", "relu")
    for name in (first, relu):
        assert float(np.squeeze(small[name].elements)) == 56 * 56 * 256
        assert float(np.squeeze(large[name].elements)) == 6 * 56 * 56 * 256


def test_each_recording_of_a_batch_adds_its_positions():
    """1,500 positions as wide as 1,280 in each of two recordings."""
    ops = named(graph(Whisper(), WHISPER, "encode", batch=[2.0]))
    assert float(np.squeeze(ops["front.positions"].elements)) == 2 * 1500 * 1280
