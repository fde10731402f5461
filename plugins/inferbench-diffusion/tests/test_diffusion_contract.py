"""The conformance suite, inherited."""

from __future__ import annotations

import pytest
from inferbench_diffusion.dit import DiT
from inferbench_diffusion.mmdit import MMDiT
from inferbench_diffusion.unet import UNet
from inferbench_diffusion.video import VideoDiT, VideoMMDiT

from inferbench.testing import WorkloadContract

IMAGES = {"batch": (1.0, 3.0), "pixels": (512.0, 1024.0), "steps": (1.0, 28.0)}
VIDEOS = {"batch": (1.0, 3.0), "frames": (1.0, 81.0), "height": (480.0, 720.0), "steps": (1.0, 50.0)}


class TestMMDiT(WorkloadContract):
    workload = MMDiT()
    networks = ("sd3-medium", "sd3.5-large", "flux1-dev", "flux1-schnell")
    axes = IMAGES


class TestDiT(WorkloadContract):
    workload = DiT()
    networks = ("dit-xl-2", "pixart-sigma", "hunyuan-dit", "sana1.5-1.6b", "sana1.5-4.8b")
    axes = IMAGES


@pytest.mark.slow
class TestUNet(WorkloadContract):
    workload = UNet()
    networks = ("sd1.5", "sd2.1", "sdxl", "ssd-1b")
    axes = IMAGES


class TestVideoMMDiT(WorkloadContract):
    workload = VideoMMDiT()
    networks = ("hunyuan-video",)
    axes = VIDEOS


class TestVideoDiT(WorkloadContract):
    workload = VideoDiT()
    networks = ("wan2.1-1.3b", "wan2.1-14b")
    axes = VIDEOS
