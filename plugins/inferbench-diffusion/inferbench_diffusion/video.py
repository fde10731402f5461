"""Video: the same transformers over tokens of three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import inferbench as ib
from inferbench_diffusion.config import read_video_dit, read_video_mmdit
from inferbench_diffusion.dit import DiT, DiTParams
from inferbench_diffusion.mmdit import MMDiT, MMDiTParams
from inferbench_diffusion.sampler import Latent, Sampler, phases


class Film(Sampler):
    """Mixed into a sampler of images: its latents have frames, height and width.

    Latent frames are (frames - 1) / vae_frames + 1: the first frame stands alone.
    """

    decodes = False

    def latent(self, network: ib.Network, at: ib.Point, phase: str, batch: ib.Numeric) -> Latent:
        """Return the shape of the latents of videos."""
        net = network.params
        why = f"{network.name} folds {net.vae_frames} frames into one after the first"
        frames = self.axis(at, network, phase, "frames")
        folded = ib.plugin.whole_units("frames", frames, net.vae_frames, why, first=1) + 1.0
        height, width = (
            self.positions(network, name, self.axis(at, network, phase, name)) for name in ("height", "width")
        )
        return Latent(batch, folded, height, width, float(net.latent_channels))

    def defaults(self, network: ib.Network, phase: str) -> Mapping[str, float]:
        """Return the axes of a phase with the network's own defaults."""
        net = network.params
        own = {
            "frames": net.video_frames,
            "height": net.video_height,
            "width": net.video_width,
            "steps": net.steps,
        }
        axes = next(one.axes for one in self.phases if one.name == phase)
        return {name: float(own.get(name, value)) for name, value in axes.items()}


@ib.frozen(kw_only=True)
class VideoMMDiTParams(MMDiTParams):
    """As for images, and over frames.

    Attributes:
        vae_frames: Frames per latent frame after the first.
        video_frames, video_height, video_width: Defaults of the pipeline, in frames and pixels.
    """

    vae_frames: int = 4
    video_frames: int = 129
    video_height: int = 720
    video_width: int = 1280


@ib.frozen(kw_only=True)
class VideoDiTParams(DiTParams):
    """As for images, and over frames; attributes as in `VideoMMDiTParams`."""

    vae_frames: int = 4
    video_frames: int = 81
    video_height: int = 480
    video_width: int = 832


class VideoMMDiT(Film, MMDiT):
    """Video generation by a multimodal diffusion transformer (HunyuanVideo)."""

    name = "video-mmdit"
    title = "Multimodal video diffusion transformer"
    params = VideoMMDiTParams
    phases = phases("video", {"frames": 129.0, "height": 720.0, "width": 1280.0}, 50.0)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_video_mmdit(config)


class VideoDiT(Film, DiT):
    """Video generation by a diffusion transformer with cross attention (Wan 2.1)."""

    name = "video-dit"
    title = "Video diffusion transformer"
    params = VideoDiTParams
    phases = phases("video", {"frames": 81.0, "height": 480.0, "width": 832.0}, 50.0)

    def read_config(self, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Turn a config of its kind into a `[network]` table, else None."""
        return read_video_dit(config)
