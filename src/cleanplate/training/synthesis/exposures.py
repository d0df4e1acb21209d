"""Simulation of the two photographs, source and plate: exposure, focus, noise and compression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.training.synthesis.camera_model import SensorNoise, blur, blur_matte, compress, expose
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.random_generator import RandomGenerator


@dataclass(frozen=True)
class LampBands:
    """Bands of light across the rows, from mains-powered lamps and a rolling shutter.

    Attributes:
        frequency: Half waves in half of the height.
        phase: Phase at half of the height, in radians.
        depth: Amplitude as a share of the light.
    """

    frequency: float
    phase: float
    depth: float

    @classmethod
    def draw(cls, random: RandomGenerator, strength: float) -> LampBands:
        """Draw bands for a strength of the fault ``flicker``."""
        return cls(random.uniform(0.5, 4), random.uniform(0, 2 * math.pi), random.normal(0.03 * strength))

    def light(self, height: int, device: torch.device, turn: float = 0.0) -> Tensor:
        """Compute the factor ``(height, 1)`` on the light; ``turn`` radians on from the phase."""
        y = torch.linspace(-1, 1, height, device=device)[:, None]
        return 1 + self.depth * torch.sin(math.pi * self.frequency * y + (self.phase + turn))


class ChangingLight:
    """Change of the light during a clip: a slow drift of exposure and colour, and bands that roll.

    Both are as strong as those between source and plate (``exposure`` and ``flicker`` of ``faults``): the
    drift over the whole clip, the bands in a tenth of the clips.
    """

    def __init__(self, random: RandomGenerator, faults: Faults) -> None:
        drift, lamps = random.branch(), random.branch()
        self._stops = draw_drift(drift, 1, faults.exposure)
        self._bands = [LampBands.draw(lamps, faults.flicker) for _ in lamps.some(1, _band_share(faults))]
        self._turn = lamps.uniform(0, 2 * math.pi)

    def on(self, pictures: Tensor, number: int, frames: int) -> Tensor:
        """Light ``(1, 3, H, W)`` of the frame ``number``; the first one of ``frames`` has no drift."""
        pictures = pictures * torch.exp(self._stops * (number / (frames - 1)))
        for bands in self._bands:
            pictures = pictures * bands.light(pictures.shape[2], pictures.device, number * self._turn)
        return pictures.clamp(0, 1)


def draw_drift(random: RandomGenerator, count: int, strength: float) -> Tensor:
    """Draw natural logarithms of gains ``(count, 3, 1, 1)`` of exposure and white balance."""
    return random.column(count, 1, 0.035 * strength) + random.column(count, 3, 0.02 * strength)


class CameraSimulation:
    """Simulates photographs of scenes, with differences of the strengths in ``faults``."""

    def __init__(self, faults: Faults, device: torch.device) -> None:
        self._faults = faults
        self._noise = SensorNoise(device)

    def photograph(
        self,
        random: RandomGenerator,
        source: Tensor,
        alpha: Tensor,
        foreground: Tensor,
        plate: Tensor,
        detail: float,
        moment: RandomGenerator | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Expose source and plate ``(B, 3, H, W)``.

        The true alpha and foreground get the source's defocus, and the foreground its exposure, without its
        noise. For ``detail`` see :class:`~cleanplate.training.synthesis.synthesis.Synthesis`. Frames of a
        clip have equal ``random`` numbers, for one camera and one plate, and a ``moment`` each for their
        noise.

        Returns:
            Source, alpha, foreground and plate.
        """
        faults, count = self._faults, len(source)
        overall = torch.exp(random.column(count, 1, 0.2) - 0.05)
        gamma = torch.exp(random.column(count, 1, 0.15))
        source, foreground, plate = (expose(x, overall, gamma) for x in (source, foreground, plate))
        plate = self._drift(random.branch(), plate)
        focus, grain, recording = random.branch(), random.branch(), random.branch()
        blurred = self._draw_defocus(focus, count, detail)
        _soften(blurred, source)
        for index, sigma in blurred.items():
            at = slice(index, index + 1)
            alpha[at], foreground[at] = blur_matte(alpha[at], foreground[at], sigma)
        _soften(self._draw_defocus(focus.branch(), count, detail), plate)
        if faults.noise:
            level = 0.003 * 10 ** grain.uniforms(count, 1, 1, 1) * faults.noise
            averaged = grain.uniforms(count, 1, 1, 1)
            source = self._noise.add(moment or grain, source, level)
            plate = self._noise.add(grain, plate, level * averaged)
        source = self._compress(recording, source)
        return source, alpha, foreground, self._compress(recording.branch(), plate)

    def uncover(self, random: RandomGenerator, plate: Tensor) -> Tensor:
        """Add the validity channel; some plates lack a strip at the border, straight or tilted."""
        strength = self._faults.coverage
        count, _, height, width = plate.shape
        valid = torch.ones(count, 1, height, width, device=plate.device)
        y = torch.linspace(-1, 1, height, device=plate.device)[:, None]
        x = torch.linspace(-1, 1, width, device=plate.device)[None]
        for index in random.some(count, 0.15 * min(1.0, strength)):
            for _ in range(1 if random.happens(0.5) else 2):
                axis, other = (x, y) if random.happens(0.5) else (y, x)
                side = 1 if random.happens(0.5) else -1
                limit = 1 - abs(random.normal(0.1)) * strength
                valid[index] *= (axis * side + random.normal(0.02) * other < limit).float()
        return torch.cat([plate * valid, valid], dim=1)

    def _drift(self, random: RandomGenerator, plate: Tensor) -> Tensor:
        """Change the whole plate as between two exposures: camera settings, sun, lamps."""
        count = len(plate)
        height, width = plate.shape[2:]
        drift = self._faults.exposure
        sun, lamps = random.branch(), random.branch()
        if drift:
            gain = torch.exp(draw_drift(random, count, drift))
            plate = expose(plate, gain, torch.exp(random.column(count, 1, 0.025 * drift)))
        y = torch.linspace(-1, 1, height, device=plate.device)[:, None]
        x = torch.linspace(-1, 1, width, device=plate.device)[None]
        for index in random.some(count, 0.2 * min(1.0, drift)):  # vignetting
            plate[index] *= 1 - min(0.3, max(-0.3, random.normal(0.1 * drift))) * (x * x + y * y) / 2
        for index in sun.some(count, 0.4 * min(1.0, drift)):  # a cloud, or the subject in front of a lamp
            corners = sun.normals(1, 1, 3, 4) * sun.normal(0.08 * drift)
            field = F.interpolate(corners, (height, width), mode="bilinear", align_corners=True)
            plate[index] *= torch.exp(field[0].clamp(-0.5, 0.5))
        for index in lamps.some(count, _band_share(self._faults)):
            plate[index] *= LampBands.draw(lamps, self._faults.flicker).light(height, plate.device)
        return plate.clamp(0, 1)

    def _draw_defocus(self, random: RandomGenerator, count: int, detail: float) -> dict[int, float]:
        """Draw the pictures that are out of focus, and the sigma of each in pixels."""
        strength = self._faults.softness
        return {
            index: random.uniform(0.3, 1.6) * strength * max(detail, 0.4)
            for index in random.some(count, 0.3 * min(1.0, strength))
        }

    def _compress(self, random: RandomGenerator, pictures: Tensor) -> Tensor:
        strength = self._faults.compression
        for index in random.some(len(pictures), 0.4 * min(1.0, strength)):
            quality = random.uniform(25, 95) if random.happens(0.7) else random.uniform(10, 40)
            quality = max(5.0, quality / max(1.0, strength))
            pictures[index] = compress(pictures[index : index + 1], quality)[0]
        return pictures.clamp(0, 1).mul(255).round().div(255)


def _band_share(faults: Faults) -> float:
    """Share of the pictures, or clips, with bands."""
    return 0.1 * min(1.0, faults.flicker)


def _soften(sigmas: dict[int, float], pictures: Tensor) -> None:
    """Blur some of ``(B, C, H, W)``, in place."""
    for index, sigma in sigmas.items():
        pictures[index] = blur(pictures[index : index + 1], sigma)[0]
