"""Placement of sprites in a frame, and resampling of pictures.

Figures stand on the lower border or are cut by it, as in their own picture; objects and procedural shapes are
anywhere, or where a figure could hold them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.training.datasets.mips import Mips
from cleanplate.training.synthesis.motion_paths import Pose
from cleanplate.training.synthesis.random_generator import RandomGenerator


@dataclass(frozen=True)
class Placement:
    """A sprite in a frame.

    Attributes:
        sprite: RGBA picture.
        zoom: Frame pixels per sprite pixel.
        angle: Angle in radians.
        flip: Whether it is mirrored horizontally.
        down: Distance of its centre below that of the frame, in pixels.
        across: Distance of its centre to the right of that of the frame, in pixels.
    """

    sprite: Mips
    zoom: float
    angle: float
    flip: bool
    down: float
    across: float

    def seen(
        self, height: int, width: int, device: torch.device, down: float = 0.0, across: float = 0.0
    ) -> Tensor:
        """Render straight RGBA ``(1, 4, H, W)``, displaced by the given pixels."""
        centre = (-(self.down + down), -(self.across + across))
        return sample(self.sprite, height, width, self.zoom, self.angle, centre, device, flip=self.flip)

    def moved(self, pose: Pose, height: int, width: int) -> Placement:
        """Move the sprite by a pose in a frame of this size; cut sides stay outside of the frame."""
        rows, columns = self.sprite.size
        left, right, top, bottom = self.sprite.touches
        zoom = self.zoom * pose.zoom
        if left and right:
            zoom = max(zoom, 1.02 * width / columns)
        if top and bottom:
            zoom = max(zoom, 1.02 * height / rows)
        if self.flip:
            left, right = right, left
        room = ((zoom * rows - height) / 2 - 1, (zoom * columns - width) / 2 - 1)
        down, across = self.down + pose.down * height, self.across + pose.across * height
        down = max(down, -room[0]) if bottom else down
        down = min(down, room[0]) if top else down
        across = max(across, -room[1]) if right else across
        across = min(across, room[1]) if left else across
        angle = self.angle if any(self.sprite.touches) else self.angle + pose.angle
        return Placement(self.sprite, zoom, angle, self.flip, down, across)

    def carried(self, before: Placement, after: Placement) -> Placement:
        """Move the sprite as if it were fixed to another one that goes from ``before`` to ``after``."""
        grow = after.zoom / before.zoom
        turn = self.angle - before.angle
        down, across = after.down - grow * before.down, after.across - grow * before.across
        return replace(
            self,
            zoom=self.zoom * grow,
            angle=self.angle + after.angle - before.angle,
            down=grow * self.down + math.sin(turn) * across + math.cos(turn) * down,
            across=grow * self.across + math.cos(turn) * across - math.sin(turn) * down,
        )


def blend(views: Iterable[Tensor], count: int) -> Tensor:
    """Average ``count`` straight RGBA pictures ``(1, 4, H, W)``, colours by their alpha: motion blur."""
    parts = (torch.cat([view[:, :3] * view[:, 3:], view[:, 3:]], dim=1) / count for view in views)
    total = sum(parts, torch.zeros(()))
    total[:, :3] /= total[:, 3:].clamp(min=1e-3)
    return total.clamp(0, 1)


def choose_place(
    random: RandomGenerator, sprite: Mips, kind: str, height: int, width: int, beside: Tensor | None = None
) -> Placement:
    """Put a sprite into a frame.

    Args:
        random: Source of the random numbers.
        sprite: RGBA picture.
        kind: ``"figure"``, or another kind, which may be turned.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        beside: Alpha ``(1, 1, H, W)`` of the subject that it should touch.
    """
    if kind == "figure":
        size = math.exp(random.uniform(math.log(0.42), math.log(1.6)))
        angle = random.normal(0.05)
    else:
        size = math.exp(random.uniform(math.log(0.12), math.log(0.35 if beside is not None else 1.1)))
        angle = random.uniform(-math.pi, math.pi) if random.happens(0.5) else random.normal(0.2)
    zoom = size * height / sprite.size[0]
    left, right, top, bottom = sprite.touches
    # Cut on both sides, it must fill the frame from side to side.
    if left and right:
        zoom = max(zoom, 1.02 * width / sprite.size[1])
    if top and bottom:
        zoom = max(zoom, 1.02 * height / sprite.size[0])
    extent = (sprite.size[0] * zoom, sprite.size[1] * zoom)
    flip = random.happens(0.5)
    if flip:
        left, right = right, left
    # The sprite's centre relative to the frame's. A border where the sprite is cut lies on the frame's.
    y, x = random.normal(0.25) * height, random.normal(0.25) * width
    # Distance of a cut side outside of the frame; cuts on both sides cannot exceed the size.
    beyond = abs(random.normal(0.06)) * extent[0] + 2
    if (left and right) or (top and bottom):
        beyond = 1.0
    spots = (beside[0, 0, ::4, ::4] > 0.5).nonzero() if beside is not None else None
    if spots is not None and len(spots):
        spot = spots[int(random.uniform(0, len(spots) - 1e-3))].tolist()
        y, x = 4.0 * spot[0] - height / 2, 4.0 * spot[1] - width / 2
    elif kind == "figure" and random.happens(0.7):
        y = (height - extent[0]) / 2 + random.uniform(-0.15, 0.2) * extent[0]
    if bottom:
        y, angle = (height - extent[0]) / 2 + beyond, 0.0
    if top:
        y, angle = min(y, (extent[0] - height) / 2 - beyond), 0.0
    if left:
        x, angle = (extent[1] - width) / 2 - beyond, 0.0
    if right:
        x, angle = (width - extent[1]) / 2 + beyond, 0.0
    return Placement(sprite, zoom, angle, flip, y, x)


def choose_close_place(random: RandomGenerator, sprite: Mips, height: int, width: int) -> Placement:
    """Put a large sprite into a frame like a crop of a large picture around some soft alpha.

    Arguments as for :func:`choose_place`.
    """
    zoom = math.exp(random.uniform(math.log(0.4), math.log(1.15)))
    left, right, top, bottom = sprite.touches
    if left and right:
        zoom = max(zoom, 1.02 * width / sprite.size[1])
    if top and bottom:
        zoom = max(zoom, 1.02 * height / sprite.size[0])
    flip = random.happens(0.5)
    alpha = sprite.at_scale(1 / 8)[3]
    soft = ((alpha > 12) & (alpha < 243)).nonzero()
    spot = soft[int(random.uniform(0, len(soft) - 1e-3))].tolist() if len(soft) else [0, 0]
    y, x = (
        ((at + 0.5) / small - 0.5) * zoom * whole
        for at, small, whole in zip(spot, alpha.shape, sprite.size, strict=True)
    )
    if flip:
        left, right, x = right, left, -x
    down, across = random.uniform(-0.35, 0.35) * height - y, random.uniform(-0.35, 0.35) * width - x
    room = ((zoom * sprite.size[0] - height) / 2 - 1, (zoom * sprite.size[1] - width) / 2 - 1)
    down = max(down, -room[0]) if bottom else down
    down = min(down, room[0]) if top else down
    across = max(across, -room[1]) if right else across
    across = min(across, room[1]) if left else across
    return Placement(sprite, zoom, 0.0, flip, down, across)


def sample(
    picture: Mips,
    height: int,
    width: int,
    zoom: float,
    angle: float,
    centre: tuple[float, float],
    device: torch.device,
    *,
    flip: bool = False,
    field: Tensor | None = None,
) -> Tensor:
    """Resample a picture to a frame.

    Outside, sprites are transparent and backgrounds reflect.

    Args:
        picture: Picture with its halvings, to avoid aliasing.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        zoom: Frame pixels per picture pixel.
        angle: Rotation of the frame against the picture, in radians.
        centre: The frame's middle relative to the zoomed picture's, in frame pixels (y, x).
        device: Device of the computation and of the result.
        flip: Mirror horizontally.
        field: ``(1, 2, H, W)``: displacement (x, y) in frame pixels for each pixel.

    Returns:
        ``(1, C, height, width)`` in [0, 1].
    """
    level = picture.at_scale(zoom)
    rows, columns = picture.size
    # Frame pixels relative to its middle, turned, moved, and scaled to the picture's [-1, 1].
    down = torch.arange(height, device=device)[:, None] + 0.5 - height / 2
    across = torch.arange(width, device=device)[None] + 0.5 - width / 2
    if field is not None:
        across, down = across + field[0, 0], down + field[0, 1]
    sine, cosine = math.sin(angle), math.cos(angle)
    x = cosine * across - sine * down + centre[1]
    y = sine * across + cosine * down + centre[0]
    grid = torch.stack([x * ((-2 if flip else 2) / (columns * zoom)), y * (2 / (rows * zoom))], dim=-1)
    return F.grid_sample(
        level[None].to(device).float().mul_(1 / 255),
        grid[None],
        padding_mode="zeros" if level.shape[0] == 4 else "reflection",
        align_corners=False,
    )
