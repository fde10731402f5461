"""Vision and encoder workloads: vision transformers, CLIP, SigLIP, Whisper, ResNet."""

from __future__ import annotations

from collections.abc import Iterator

import inferbench as ib
from inferbench_vision.clip import Clip
from inferbench_vision.resnet import ResNet
from inferbench_vision.siglip import Siglip
from inferbench_vision.vit import ViT
from inferbench_vision.whisper import Whisper


@ib.hookimpl
def inferbench_workloads() -> Iterator[ib.Workload]:
    """Yield the generators of `[network] type` vit, clip, siglip, whisper and resnet."""
    yield ViT()
    yield Clip()
    yield Siglip()
    yield Whisper()
    yield ResNet()
