"""What all samplers share: phases, guidance, steps, text encoders and the decoder to pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import attrs

import inferbench as ib
from inferbench_diffusion.builder import OpBuilder, Options
from inferbench_diffusion.parts import decode, encode

STEP = "denoise"
"""The phase of one denoising step; another one is the whole of it, named like its item."""


@attrs.frozen
class Latent:
    """Shape of what a denoiser works on.

    Attributes:
        batch: Sequences, the unconditional ones of guidance included.
        frames, height, width: Latent positions.
        channels: Latent channels.
    """

    batch: ib.Numeric
    frames: ib.Numeric
    height: ib.Numeric
    width: ib.Numeric
    channels: float

    @property
    def elements(self) -> ib.Numeric:
        """Elements of all latents."""
        return self.batch * self.frames * self.height * self.width * self.channels


class Sampler(ib.Workload):
    """A network that turns noise into an image in several steps.

    `denoise` is one step, `image` all of them, with text encoders before and the decoder after if the
    options say so. Guidance (`cfg`) runs each step on twice the batch, as the reference pipelines do:
    operations double, weights are read once.
    """

    options = Options
    decodes: ClassVar[bool] = True
    """Whether its decoder to pixels is modelled."""

    def graph(self, network: ib.Network, at: ib.Point, phase: str, options: Options) -> Iterator[ib.Op]:
        """Yield the operators of one step, or of whole images."""
        net, builder, batch = (
            network.params,
            OpBuilder(at.precision, options),
            self.axis(at, network, phase, "batch"),
        )
        passes = 2.0 if options.cfg else 1.0
        latent = self.latent(network, at, phase, batch * passes)
        if phase == STEP:
            yield from self.step(network, builder, latent)
            return
        if options.text_encoder:
            yield from encode(builder, network, batch * passes)
        steps = self.axis(at, network, phase, "steps")
        yield from self.step(network, attrs.evolve(builder, loops=steps), latent)
        if options.vae:
            yield from decode(builder, network, batch, (latent.height, latent.width), net.latent_channels)

    @abstractmethod
    def step(self, network: ib.Network, builder: OpBuilder, latent: Latent) -> Iterator[ib.Op]:
        """Yield the operators of one pass over the latents."""

    def latent(self, network: ib.Network, at: ib.Point, phase: str, batch: ib.Numeric) -> Latent:
        """Return the shape of the latents of square images."""
        net = network.params
        side = self.axis(at, network, phase, "pixels")
        positions = self.positions(network, "pixels", side)
        return Latent(batch, 1.0, positions, positions, float(net.latent_channels))

    def positions(self, network: ib.Network, axis: str, side: ib.Numeric) -> ib.Numeric:
        """Return latent positions along a side; a side that doesn't tile is refused."""
        net = network.params
        unit = net.vae_scale * net.patch_size
        why = f"{network.name} works on tokens of {unit} x {unit} pixels"
        return ib.plugin.whole_units(axis, side, unit, why) * float(net.patch_size)

    def axis(self, at: ib.Point, network: ib.Network, phase: str, name: str) -> ib.Numeric:
        """Return a coordinate, or the network's default of an axis that the point doesn't have."""
        return at.coordinates.get(name, self.defaults(network, phase)[name])

    def defaults(self, network: ib.Network, phase: str) -> Mapping[str, float]:
        """Return the axes of a phase with the network's own defaults."""
        axes = next(dict(one.axes) for one in self.phases if one.name == phase)
        own = {name: float(getattr(network.params, name)) for name in axes if name != "batch"}
        return {**axes, **own}

    def measured_with(self, network: ib.Network, phase: str) -> Mapping[str, object]:
        """Say what a whole image or video is measured with: guidance, text encoders, the decoder."""
        if phase == STEP:
            return {}
        params = network.params
        there = {
            "cfg": True,
            "text_encoder": bool(params.text_encoders),
            "vae": self.decodes and params.vae != "other",
        }
        return {name: True for name, has in there.items() if has}

    def items(self, network: ib.Network, at: ib.Point, phase: str) -> ib.Numeric:
        """Images, or latents of images that one step advances."""
        return self.axis(at, network, phase, "batch")

    def warnings(self, network: ib.Network, at: Mapping[str, float], phase: str) -> Iterable[str]:
        """Yield a warning where the image is not of the size that the network was trained for."""
        own = self.defaults(network, phase)
        for name in ("pixels", "height", "width", "frames"):
            if name in own and at.get(name, own[name]) != own[name]:
                yield f"{network.name} is made for {name} {own[name]:g}, not {at[name]:g}"


def phases(item: str, axes: Mapping[str, float], steps: float) -> tuple[ib.Phase, ...]:
    """Return `denoise` and the whole of it, named like its item."""
    return (
        ib.Phase(STEP, "latency_s", "step", {"batch": 1.0, **axes}),
        ib.Phase(item, "latency_s", item, {"batch": 1.0, **axes, "steps": steps}),
    )
