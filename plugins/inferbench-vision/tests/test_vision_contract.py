"""The conformance suite, inherited."""

from __future__ import annotations

from inferbench_vision.clip import Clip
from inferbench_vision.resnet import ResNet
from inferbench_vision.siglip import Siglip
from inferbench_vision.vit import ViT
from inferbench_vision.whisper import Whisper

from inferbench.testing import WorkloadContract


class TestViT(WorkloadContract):
    workload = ViT()
    networks = ("vit-b", "vit-l", "vit-h")
    axes = {"batch": (1.0, 3.0), "pixels": (224.0, 448.0)}  # noqa: RUF012


class TestClip(WorkloadContract):
    workload = Clip()
    networks = ("clip-l",)
    axes = {"batch": (1.0, 3.0), "pixels": (224.0, 336.0)}  # noqa: RUF012


class TestSiglip(WorkloadContract):
    workload = Siglip()
    networks = ("siglip-base",)
    axes = {"batch": (1.0, 3.0), "pixels": (224.0, 384.0)}  # noqa: RUF012


class TestWhisper(WorkloadContract):
    workload = Whisper()
    networks = ("whisper-large-v3",)
    axes = {"batch": (1.0, 3.0), "tokens": (1.0, 128.0), "context": (1.0, 448.0)}  # noqa: RUF012


class TestResNet(WorkloadContract):
    workload = ResNet()
    networks = ("resnet-50",)
    axes = {"batch": (1.0, 3.0), "pixels": (224.0, 256.0)}  # noqa: RUF012
