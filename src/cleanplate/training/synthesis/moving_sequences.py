"""Sequences made on the fly, for networks without a plate: a moving subject over a moving set.

Clips are used as they are; still figures and backgrounds are moved (:mod:`.motion_paths`). Light and camera
are those of :mod:`.synthesis`, constant throughout a sequence except for exposure and noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cleanplate.errors import InputError
from cleanplate.frame import ByteArray
from cleanplate.training.datasets.clips import Clip
from cleanplate.training.datasets.mips import Mips, make_mips
from cleanplate.training.datasets.pictures import shrink
from cleanplate.training.synthesis.camera_model import SensorNoise, blur, blur_matte, compress, expose
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.motion_paths import draw_path
from cleanplate.training.synthesis.placement import choose_place, sample
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.relighting import light_scene

_SPEEDS = (0.5, 1.0, 1.0, 2.0)
LARGEST = 1.6
"""Largest height of a figure in heights of the frame."""
_LARGEST_SET = 2.5  # of a set


@dataclass(frozen=True)
class Footage:
    """A batch of sequences.

    Attributes:
        source: ``(B, T, 3, H, W)`` in [0, 1].
        alpha: ``(B, T, 1, H, W)`` in [0, 1].
        foreground: ``(B, T, 3, H, W)`` in [0, 1], straight; arbitrary where alpha is 0.
    """

    source: Tensor
    alpha: Tensor
    foreground: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Footage:
        """Apply ``change`` to every tensor."""
        return Footage(change(self.source), change(self.alpha), change(self.foreground))


class SequenceSynthesis:
    """Draws batches of sequences.

    Args:
        material: Figures, clips of them, backgrounds; objects and shapes are ignored, because without a plate
            they cannot be told from the set.
        faults: Strengths of shadows, reflections, spill, blur, noise and compression.
        seed: Seed of the random stream.
        device: Device of the computation and of the results.
        detail: Pixels of the sequence per pixel of a full-size picture, for blur.

    Raises:
        InputError: There are no people in the material, or no backgrounds.
    """

    def __init__(
        self,
        material: Material,
        *,
        faults: Faults | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        detail: float = 1.0,
    ) -> None:
        if not (len(material.figures) or len(material.clips)):
            raise InputError(
                "There are no figures in the data, and a network without a plate learns from figures only.",
                "name data sets of people with --data",
            )
        if not len(material.backgrounds):
            raise InputError(
                "The training material has no backgrounds.", "add some with --backgrounds FOLDER"
            )
        self._material, self._faults = material, faults or Faults()
        self.detail = detail
        self._random = RandomGenerator(seed, torch.device(device))
        self._noise = SensorNoise(torch.device(device))

    def reseed(self, seed: int) -> None:
        """Start another random stream; the next results depend on ``seed`` and ``detail`` alone."""
        self._random.generator.manual_seed(seed)

    def batch(self, count: int, frames: int, height: int, width: int, stills: float = 0.5) -> Footage:
        """Draw ``count`` sequences.

        Args:
            count: Number of sequences.
            frames: Number of frames of a sequence.
            height: Height in pixels.
            width: Width in pixels.
            stills: Share of the sequences with a still figure, if the material has clips, too.

        Raises:
            InputError: A frame of a clip cannot be read.
        """
        with torch.no_grad():
            drawn = [self._film(frames, height, width, stills) for _ in range(count)]
            return Footage(*(torch.stack(layers) for layers in zip(*drawn, strict=True)))

    def _film(self, frames: int, height: int, width: int, stills: float) -> tuple[Tensor, Tensor, Tensor]:
        """Make one sequence: source, alpha and foreground, ``(T, C, H, W)``."""
        random = self._random
        behind = self._film_set(random.branch(), frames, height, width)
        subject = self._film_subject(random.branch(), frames, height, width, stills)
        foreground, alpha = subject[:, :3], subject[:, 3:]
        lights = [random.seed() for _ in range(4)]
        shot, colours = [], []
        for number in range(frames):
            colour, cover, room = (x[number : number + 1] for x in (foreground, alpha, behind))
            # The same random numbers for each frame, so that the light is constant and moves with the
            # subject.
            source, seen = light_scene(map(self._generator_of, lights), self._faults, colour, cover, room)
            shot.append(source)
            colours.append(seen)
        return self._record(random.branch(), torch.cat(shot), alpha, torch.cat(colours))

    def _film_set(self, random: RandomGenerator, frames: int, height: int, width: int) -> Tensor:
        """Make the set ``(T, 3, H, W)``: a video, or a still in front of a moving camera."""
        clips, stills = self._material.background_clips, self._material.backgrounds
        if len(clips) and random.happens(0.5):
            pictures = play(random, random.pick(clips), frames, Clip.pictures, _LARGEST_SET * height)
        else:
            pictures = [random.pick(stills)] * frames
        rows, columns = pictures[0].size
        zoom = max(height / rows, width / columns) * math.exp(random.uniform(0.1, 0.9))
        angle, flip = random.normal(0.03), random.happens(0.5)
        room = (max(0.0, rows * zoom - height), max(0.0, columns * zoom - width))
        centre = (random.uniform(-0.4, 0.4) * room[0], random.uniform(-0.4, 0.4) * room[1])
        path = draw_path(np.random.default_rng(random.seed()), frames)
        seen = [
            sample(
                picture,
                height,
                width,
                zoom * pose.zoom,
                angle + pose.angle,
                (centre[0] * pose.zoom + pose.down * height, centre[1] * pose.zoom + pose.across * height),
                random.device,
                flip=flip,
            )
            for picture, pose in zip(pictures, path, strict=True)
        ]
        return torch.cat(seen)

    def _film_subject(
        self, random: RandomGenerator, frames: int, height: int, width: int, stills: float
    ) -> Tensor:
        """Make the subject, straight RGBA ``(T, 4, H, W)``: a clip, or a moved still."""
        clips, figures = self._material.clips, self._material.figures
        if len(clips) and not (len(figures) and random.happens(stills)):
            sprites = play(random, random.pick(clips), frames, Clip.cutouts, LARGEST * height)
        else:
            sprites = [random.pick(figures)] * frames
        place = choose_place(random, sprites[0], "figure", height, width)
        path = draw_path(np.random.default_rng(random.seed()), frames)
        return torch.cat([
            replace(place, sprite=sprite).moved(pose, height, width).seen(height, width, random.device)
            for sprite, pose in zip(sprites, path, strict=True)
        ])  # fmt: skip

    def _record(
        self, random: RandomGenerator, source: Tensor, alpha: Tensor, foreground: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Simulate the camera; true alpha and foreground get only the source's exposure and defocus."""
        faults, frames = self._faults, len(source)
        time = torch.linspace(0, 1, frames, device=source.device)[:, None, None, None]
        gain = torch.exp(random.normal(0.2) - 0.05 + random.normal(0.08) * time)
        gamma = torch.full_like(gain, math.exp(random.normal(0.15)))
        source, foreground = expose(source, gain, gamma), expose(foreground, gain, gamma)
        focus, recording = random.branch(), random.branch()
        if focus.happens(0.3 * min(1.0, faults.softness)):
            sigma = focus.uniform(0.3, 1.6) * faults.softness * max(self.detail, 0.4)
            source = blur(source, sigma)
            alpha, foreground = blur_matte(alpha, foreground, sigma)
        if faults.noise:
            level = torch.full_like(gain, 0.003 * 10 ** random.uniform() * faults.noise)
            source = self._noise.add(random, source, level)
        if recording.happens(0.4 * min(1.0, faults.compression)):
            source = compress(source, max(5.0, recording.uniform(20, 95) / max(1.0, faults.compression)))
        return source.clamp(0, 1).mul(255).round().div(255), alpha, foreground

    def _generator_of(self, seed: int) -> RandomGenerator:
        return RandomGenerator(seed, self._random.device)


def play(
    random: RandomGenerator,
    clip: Clip,
    frames: int,
    read: Callable[[Clip, int, int], Iterator[ByteArray]],
    tallest: float,
) -> list[Mips]:
    """Play frames of a clip: random start, speed and direction; reversed where the clip ends."""
    last = len(clip) - 1
    start, speed = random.uniform(0, last), random.pick(_SPEEDS) * (1 if random.happens(0.5) else -1)
    numbers = [round(_fold(start + speed * number, last)) for number in range(frames)]
    first, wanted = min(numbers), set(numbers)
    pictures = {
        number: make_mips(_shrink_to(picture, tallest))
        for number, picture in enumerate(read(clip, first, max(numbers) - first + 1), first)
        if number in wanted
    }
    # A side at which the subject is cut in any frame stays outside of the picture in all frames.
    sides = zip(*(picture.touches for picture in pictures.values()), strict=True)
    left, right, top, bottom = (any(side) for side in sides)
    return [replace(pictures[number], touches=(left, right, top, bottom)) for number in numbers]


def _fold(place: float, last: int) -> float:
    """Fold a position into [0, ``last``] by reflection."""
    if last == 0:
        return 0.0
    place %= 2 * last
    return min(place, 2 * last - place)


def _shrink_to(picture: ByteArray, tallest: float) -> ByteArray:
    height, width = picture.shape[:2]
    if height <= tallest:
        return picture
    return shrink(picture, round(tallest), max(1, round(width * tallest / height)))
