"""Bytes that enter and leave a network: latents in 16 bits, and a picture of three channels."""

from __future__ import annotations

import numpy as np
import pytest

# Positions of the default latents times channels: pixels over 8 or 32 a side; videos have 21 or 33 of them.
LATENTS = {
    "dit-xl-2": 32 * 32 * 4,
    "pixart-sigma": 128 * 128 * 4,
    "sana1.5-1.6b": 32 * 32 * 32,
    "flux1-dev": 128 * 128 * 16,
    "sd3.5-large": 128 * 128 * 16,
    "sd1.5": 64 * 64 * 4,
    "sdxl": 128 * 128 * 4,
    "wan2.1-1.3b": 21 * 60 * 104 * 16,
    "hunyuan-video": 33 * 90 * 160 * 16,
}


def ends(ops):
    """Bytes by operator, where any enter or leave."""
    return {op.name: float(np.squeeze(op.graph_bytes)) for op in ops if np.any(np.asarray(op.graph_bytes))}


@pytest.mark.parametrize(("name", "values"), LATENTS.items())
def test_a_step_reads_and_writes_its_latents(case, name, values):
    assert list(ends(case(name).ops()).values()) == [values * 2, values * 2]


@pytest.mark.parametrize("name", ["sd1.5", "sdxl", "sana1.5-1.6b", "flux1-schnell"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_decoder_writes_a_picture(case, name, batch):
    ops = case(name).ops("image", {"pixels": 512, "batch": batch}, vae=True)
    assert ends(ops)["vae.out"] == batch * 3 * 512 * 512 * 2


@pytest.mark.parametrize(
    ("name", "phase", "parts"),
    [
        ("sd1.5", "image", {"cfg", "text_encoder", "vae"}),
        ("dit-xl-2", "image", {"cfg", "vae"}),  # classes instead of a text
        ("wan2.1-1.3b", "video", {"cfg", "text_encoder"}),  # its decoder is not described
        ("hunyuan-video", "video", {"cfg"}),
        ("sd1.5", "denoise", set()),
    ],
)
def test_a_whole_picture_is_measured_with_what_surrounds_the_network(case, name, phase, parts):
    one = case(name)
    assert one.workload.measured_with(one.network, phase) == dict.fromkeys(parts, True)
