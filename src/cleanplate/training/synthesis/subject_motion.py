"""Motion of the sprites of a clip: each on a path of its own, held ones with their holder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cleanplate.training.datasets.mips import Mips, make_mips
from cleanplate.training.synthesis.motion_paths import Pose, draw_path, draw_times, pose_at
from cleanplate.training.synthesis.placement import Placement, blend, choose_place
from cleanplate.training.synthesis.random_generator import RandomGenerator

SHUTTER = 0.5
"""Share of a frame's time in which the shutter is open, as of film cameras (180 degrees)."""
_MOST_VIEWS = 7  # views of a fast sprite while the shutter is open


@dataclass(frozen=True)
class _Actor:
    """A sprite and its motion.

    Attributes:
        first: Place in the first frame.
        path: Poses relative to it.
        times: Time on the path at each frame.
        holder: The sprite that it is fixed to, in place of a path.
        sprites: Picture for each time on the path; empty: always that of ``first``.
    """

    first: Placement
    path: Sequence[Pose]
    times: Sequence[float]
    holder: _Actor | None = None
    sprites: Sequence[Mips] = ()

    def at(self, frame: float, height: int, width: int) -> Placement:
        """Compute the place at a time in frames."""
        if self.holder is not None:
            return self.first.carried(self.holder.first, self.holder.at(frame, height, width))
        time = float(np.interp(frame, range(len(self.times)), self.times))
        place = self.first
        if self.sprites:
            place = replace(place, sprite=self.sprites[round(time)])
        # The centre stays in the frame (or, of a sprite larger than the frame, the sprite in its middle), so
        # that nobody leaves for the whole clip.
        rows, columns = (side * place.zoom for side in place.sprite.size)
        reach = (max(height, rows) / 2, max(width, columns) / 2)
        pose = pose_at(self.path, time)
        down = min(max(place.down + pose.down * height, -reach[0]), reach[0])
        across = min(max(place.across + pose.across * height, -reach[1]), reach[1])
        pose = replace(pose, down=(down - place.down) / height, across=(across - place.across) / height)
        return place.moved(pose, height, width)


class SubjectMotion:
    """Places of all sprites of a clip, in one frame after the other.

    Args:
        random: Source of the random numbers.
        frames: Number of frames.
        size: ``(height, width)`` of the frames.
        sprites: Frames of a moving figure that replaces the main subject; empty: none.
    """

    def __init__(
        self, random: RandomGenerator, frames: int, size: tuple[int, int], sprites: Sequence[Mips] = ()
    ) -> None:
        self._random, self._frames, self._size, self._sprites = random, frames, size, sprites
        self._actors: list[_Actor] = []
        self.frame = 0

    def photograph(self, number: int, drawn: Placement, *, held: bool) -> Tensor:
        """Render a sprite in the current frame: straight RGBA ``(1, 4, H, W)``, blurred by its motion.

        Args:
            number: Number of the sprite in the scene.
            drawn: Its place in the first frame; ignored in all others.
            held: Whether it moves with the main subject.
        """
        if number == len(self._actors):
            self._actors.append(self._engage(drawn, held=held))
        actor, half = self._actors[number], SHUTTER / 2
        ends = [actor.at(self.frame + time, *self._size) for time in (-half, half)]
        # Views are a pixel apart.
        views = min(_MOST_VIEWS, 1 + round(_distance(*ends)))
        device = self._random.device
        if views == 1:
            return actor.at(self.frame, *self._size).seen(*self._size, device)
        times = np.linspace(self.frame - half, self.frame + half, views)
        return blend((actor.at(float(x), *self._size).seen(*self._size, device) for x in times), views)

    def carry(self, number: int, layer: Tensor) -> Tensor:
        """Move a layer ``(1, 3, H, W)`` of the first frame with a sprite; its border is mirrored."""
        actor = self._actors[number]
        picture = layer[0].permute(1, 2, 0).mul(255).round().byte().cpu().numpy()
        place = Placement(make_mips(picture), 1.0, 0.0, flip=False, down=0.0, across=0.0)
        place = place.carried(actor.at(0, *self._size), actor.at(self.frame, *self._size))
        return place.seen(*self._size, layer.device)

    def _engage(self, drawn: Placement, *, held: bool) -> _Actor:
        if held:
            return _Actor(drawn, (), (), self._actors[0])
        sprites: Sequence[Mips] = ()
        if self._sprites and not self._actors:
            sprites = self._sprites
            drawn = choose_place(self._random, sprites[0], "figure", *self._size)
        random = np.random.default_rng(self._random.seed())
        path, times = draw_path(random, self._frames), draw_times(random, self._frames)
        actor = _Actor(drawn, path, times, None, sprites)
        return replace(actor, first=actor.at(0, *self._size))


def _distance(before: Placement, after: Placement) -> float:
    """Compute the longest way of a point of the sprite, approximately, in pixels."""
    radius = max(before.sprite.size) * before.zoom / 2
    shift = torch.tensor([after.down - before.down, after.across - before.across]).norm()
    return float(shift) + radius * (abs(after.angle - before.angle) + abs(after.zoom / before.zoom - 1))
