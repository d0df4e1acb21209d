"""Composites made on the fly: a source, its plate, and the true alpha and foreground.

A case is put together like a real shoot. Sprites are placed on a background (figures stand on the lower
border or are cut by it, as they are in their render), light falls on them, they cast shadows, they move or
are out of focus. Then the set is photographed twice: once with them (the source) and once empty (the
plate), and between the two exposures something drifts: gain, white balance, gamma, the tripod, noise,
focus, compression; some of the frame may not be covered by the plate at all.

Everything is drawn from one :class:`torch.Generator`, so a seed gives the same cases again on the same
device type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cleanplate.training.camera import SensorNoise, blur, compress, expose
from cleanplate.training.material import Material, Mips

_AT_ONCE = 4  # cases worked on together: few enough to stay in a CPU's cache


@dataclass(frozen=True)
class Faults:
    """How strong each difference between source and plate is; 1 is what a careful amateur gets, 0 is none."""

    exposure: float = 1.0
    shift: float = 1.0
    noise: float = 1.0
    softness: float = 1.0
    compression: float = 1.0
    shadow: float = 1.0
    coverage: float = 1.0


@dataclass(frozen=True)
class Case:
    """A batch of cases.

    Attributes:
        source: ``(B, 3, H, W)`` in [0, 1].
        plate: ``(B, 4, H, W)`` in [0, 1]; the fourth channel is 1 where the plate is valid.
        alpha: ``(B, 1, H, W)`` in [0, 1].
        foreground: ``(B, 3, H, W)`` in [0, 1], straight; arbitrary where alpha is 0.
    """

    source: Tensor
    plate: Tensor
    alpha: Tensor
    foreground: Tensor


class Synthesis:
    """Draws batches of cases.

    Args:
        material: Sprites, textures and backgrounds of one split.
        faults: Strengths of the differences between the two exposures.
        seed: Of the random stream.
        device: Where the cases are made and left.
        detail: Pixels of the case per pixel of a full-size picture: misregistration and blur, given in
            full-size pixels, shrink with it. 1 for crops of full-size pictures, 0.3 for pictures reduced
            to the coarse network's size.
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
        self.material = material
        self.faults = faults or Faults()
        self.device = torch.device(device)
        self.detail = detail
        self.random = Generator().manual_seed(seed)
        self._noise = SensorNoise(self.random, self.device)

    def batch(self, count: int, height: int, width: int) -> Case:
        """Draw ``count`` cases of ``height`` x ``width``."""
        with torch.no_grad():
            parts = [self._cases(min(_AT_ONCE, count - i), height, width) for i in range(0, count, _AT_ONCE)]
            return Case(*(torch.cat(x) for x in zip(*parts, strict=True)))

    def _cases(self, count: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scenes = [self._scene(height, width) for _ in range(count)]
        source_set, plate_set, alpha, foreground = (torch.cat(parts) for parts in zip(*scenes, strict=True))
        foreground = self._relight(foreground, source_set)
        shadowed = self._cast_shadows(source_set, alpha)
        source = alpha * foreground + (1 - alpha) * shadowed
        source, foreground, plate = self._photograph(source, foreground, plate_set)
        return source, self._uncover(plate), alpha, foreground

    # -- random numbers ---------------------------------------------------------------------------

    def _uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.random))

    def _normal(self, deviation: float = 1.0) -> float:
        return deviation * float(torch.randn((), generator=self.random))

    def _happens(self, probability: float) -> bool:
        return self._uniform() < probability

    def _pick(self, pictures: Sequence[Mips]) -> Mips:
        return pictures[int(self._uniform(0, len(pictures) - 1e-6))]

    def _column(self, count: int, channels: int, deviation: float) -> Tensor:
        """``(count, channels, 1, 1)`` normal numbers, one in eight of them three times as large."""
        values = torch.randn(count, channels, 1, 1, generator=self.random) * deviation
        large = torch.rand(count, 1, 1, 1, generator=self.random) < 0.125
        return torch.where(large, 3 * values, values).to(self.device)

    def _some(self, count: int, probability: float) -> Tensor:
        """Indices of the members of a batch to which something happens."""
        return (torch.rand(count, generator=self.random) < probability).nonzero()[:, 0].to(self.device)

    # -- the scene --------------------------------------------------------------------------------

    def _scene(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The set as seen at both exposures, alpha and foreground, each ``(1, C, H, W)``."""
        source_set, plate_set = self._background(height, width)
        kind = self._uniform()
        alpha = torch.zeros(1, 1, height, width, device=self.device)
        foreground = source_set
        if kind < 0.04:
            return source_set, plate_set, alpha, foreground
        subjects = 1 if self._happens(0.65) else 2 if self._happens(0.75) else 3
        for number in range(subjects):
            choice = kind if number == 0 else self._uniform(0.04)
            sprite = self._sprite(choice, height, width)
            colour, cover = self._dress(sprite[:, :3], sprite[:, 3:], source_set, figure=choice < 0.66)
            union = cover + (1 - cover) * alpha
            foreground = (cover * colour + (1 - cover) * alpha * foreground) / union.clamp(min=1e-3)
            foreground = torch.where(union > 1e-3, foreground, colour)
            alpha = union
        return source_set, plate_set, alpha, foreground

    def _background(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        picture = self._pick(self.material.backgrounds)
        rows, columns = picture.size
        cover = max(height / rows, width / columns)
        zoom = cover * math.exp(self._uniform(0.05, 0.9))
        angle = self._normal(0.03)
        room = (max(0.0, rows * zoom - height), max(0.0, columns * zoom - width))
        centre = (self._uniform(-0.4, 0.4) * room[0], self._uniform(-0.4, 0.4) * room[1])
        if self._happens(0.04):  # a plain wall, evenly or unevenly lit
            low = torch.rand(1, 3, 2, 2, generator=self.random).to(self.device)
            flat = (
                0.15 * low + 0.85 * low[..., :1, :1]
                if self._happens(0.7)
                else low[..., :1, :1].expand(-1, -1, 2, 2)
            )
            wall = F.interpolate(flat, (height, width), mode="bilinear", align_corners=True)
            return wall, wall
        source = self._sample(picture, height, width, zoom, angle, centre, flip=(flip := self._happens(0.5)))
        strength = self.faults.shift * self.detail
        if strength == 0 or self._happens(0.3):
            return source, source
        spread = (0.6 if self._happens(0.8) else 2.0) * strength
        moved = (centre[0] + self._normal(spread), centre[1] + self._normal(spread))
        turned = angle + self._normal(0.0006 * self.faults.shift)
        zoomed = zoom * math.exp(self._normal(0.0006 * self.faults.shift))
        bend = self._normal(0.5 * spread) if self._happens(0.3) else 0.0
        return source, self._sample(picture, height, width, zoomed, turned, moved, flip=flip, bend=bend)

    def _sprite(self, kind: float, height: int, width: int) -> Tensor:
        """A sprite placed in the frame: RGBA ``(1, 4, H, W)``, straight."""
        if kind < 0.66:
            sprite = self._pick(self.material.figures)
            size = math.exp(self._uniform(math.log(0.45), math.log(1.5)))
            angle = self._normal(0.05)
        else:
            sprite = self._pick(self.material.objects if kind < 0.82 else self.material.shapes)
            size = math.exp(self._uniform(math.log(0.15), math.log(1.1)))
            angle = self._uniform(-math.pi, math.pi) if self._happens(0.5) else self._normal(0.2)
        zoom = size * height / sprite.size[0]
        extent = (sprite.size[0] * zoom, sprite.size[1] * zoom)
        flip = self._happens(0.5)
        left, right, top, bottom = sprite.touches
        if flip:
            left, right = right, left
        # The sprite's centre relative to the frame's. A border where the sprite is cut lies on the frame's.
        y = self._normal(0.25) * height
        x = self._normal(0.25) * width
        beyond = abs(self._normal(0.06)) * extent[0] + 2
        if bottom:
            y, angle = (height - extent[0]) / 2 + beyond, 0.0
        elif kind < 0.66 and self._happens(0.7):
            y = (height - extent[0]) / 2 + self._uniform(-0.15, 0.2) * extent[0]
        if top:
            y, angle = min(y, (extent[0] - height) / 2 - beyond), 0.0
        if left:
            x, angle = (extent[1] - width) / 2 - beyond, 0.0
        if right:
            x, angle = (width - extent[1]) / 2 + beyond, 0.0
        steps, path = 1, (0.0, 0.0)
        if self._happens(0.08):  # motion blur along a straight path
            steps, reach = 7, self._uniform(0.005, 0.05) * height
            heading = self._uniform(0, 2 * math.pi)
            path = (reach * math.sin(heading), reach * math.cos(heading))
        total = torch.zeros(1, 4, height, width, device=self.device)
        for step in range(steps):
            part = step / max(steps - 1, 1) - 0.5
            centre = (-(y + part * path[0]), -(x + part * path[1]))
            placed = self._sample(sprite, height, width, zoom, angle, centre, flip=flip)
            if steps == 1:
                return placed
            placed[:, :3] *= placed[:, 3:]
            total += placed / steps
        total[:, :3] /= total[:, 3:].clamp(min=1e-3)
        return total.clamp(0, 1)

    def _dress(
        self, colour: Tensor, cover: Tensor, background: Tensor, *, figure: bool
    ) -> tuple[Tensor, Tensor]:
        """Change the subject: look-alikes of the background, textures, translucency, defocus."""
        if self._happens(0.12):
            # The hardest case for a plate: the subject wears the room's own colours.
            reach = (
                int(self._normal(0.2) * background.shape[2]),
                int(self._normal(0.2) * background.shape[3]),
            )
            lookalike = background.roll(reach, (2, 3))
            share = self._uniform(0.5, 0.95)
            colour = share * lookalike + (1 - share) * colour
        elif not figure and self._happens(0.3):
            texture = self._pick(self.material.textures)
            zoom = self._uniform(0.7, 2.0) * max(
                colour.shape[2] / texture.size[0], colour.shape[3] / texture.size[1]
            )
            colour = self._sample(
                texture, colour.shape[2], colour.shape[3], zoom, self._uniform(0, 0.3), (0.0, 0.0)
            )
        if self._happens(0.2 if not figure else 0.02):
            thin = self._uniform(0.15, 0.9)
            cover = cover * thin
        if self._happens(0.12):
            sigma = self._uniform(0.5, 4.0) * max(self.detail, 0.3)
            soft = blur(torch.cat([colour * cover, cover], dim=1), sigma)
            colour, cover = soft[:, :3] / soft[:, 3:].clamp(min=1e-3), soft[:, 3:]
        return colour.clamp(0, 1), cover

    def _sample(
        self,
        picture: Mips,
        height: int,
        width: int,
        zoom: float,
        angle: float,
        centre: tuple[float, float],
        *,
        flip: bool = False,
        bend: float = 0.0,
    ) -> Tensor:
        """Look at a picture through a frame: ``(1, channels, height, width)`` in [0, 1].

        ``zoom`` is frame pixels per picture pixel, ``centre`` the frame's middle relative to the zoomed
        picture's middle in frame pixels (y, x), ``bend`` the amplitude in frame pixels of a slow wave
        (parallax, breathing).
        Outside, sprites are transparent and backgrounds reflect.
        """
        level = picture.at_scale(zoom)
        rows, columns = picture.size
        sine, cosine = math.sin(angle), math.cos(angle)
        mirror = -1.0 if flip else 1.0
        # From frame coordinates in [-1, 1] to picture coordinates in [-1, 1].
        y_scale, x_scale = height / (rows * zoom), width / (columns * zoom)
        matrix = torch.tensor(
            [
                [
                    mirror * cosine * x_scale,
                    mirror * -sine * height / (columns * zoom),
                    mirror * 2 * centre[1] / (columns * zoom),
                ],
                [sine * width / (rows * zoom), cosine * y_scale, 2 * centre[0] / (rows * zoom)],
            ]
        )
        grid = F.affine_grid(matrix[None], [1, 1, height, width], align_corners=False)
        if bend:
            phase, waves = self._uniform(0, 2 * math.pi), self._uniform(0.5, 1.5)
            wave = torch.sin(grid[..., 1] * math.pi * waves + phase) * (2 * bend / width)
            grid = grid + torch.stack([wave, wave.flip(-1)], dim=-1)
        return F.grid_sample(
            level[None].to(self.device).float().mul_(1 / 255),
            grid.to(self.device),
            padding_mode="zeros" if level.shape[0] == 4 else "reflection",
            align_corners=False,
        )

    # -- light ------------------------------------------------------------------------------------

    def _relight(self, foreground: Tensor, background: Tensor) -> Tensor:
        """Put the subject in its own light: brightness, colour, and a gradient from one side."""
        count = len(foreground)
        gain = torch.exp(self._column(count, 1, 0.25) + self._column(count, 3, 0.05))
        lit = foreground * gain
        # The room's light on the subject: partly its mean colour, partly a gradient across the frame.
        room = background.mean(dim=(2, 3), keepdim=True)
        tint = room / room.mean(dim=1, keepdim=True).clamp(min=0.05)
        share = torch.rand(count, 1, 1, 1, generator=self.random).to(self.device) * 0.5
        lit = lit * (1 + share * (tint - 1))
        slope = 1 + self._column(count, 1, 0.2).clamp(-0.7, 0.7) * torch.linspace(
            -1, 1, lit.shape[3], device=self.device
        )
        return (lit * slope.clamp(0.3, 1.7)).clamp(0, 1)

    def _cast_shadows(self, background: Tensor, alpha: Tensor) -> Tensor:
        """Darken the set behind the subject: a displaced, softened copy of its alpha, and contact shade."""
        strength = self.faults.shadow
        count, _, height, width = alpha.shape
        if strength == 0:
            return background
        small = F.interpolate(alpha, (max(height // 8, 1), max(width // 8, 1)), mode="area")
        shade = torch.ones_like(small)
        for index in self._some(count, 0.6).tolist():
            one = small[index : index + 1]
            for _ in range(1 if self._happens(0.6) else 2):
                # Half of the shadows fall far away, the others hug the subject.
                far = 1.0 if self._happens(0.5) else 0.25
                theta = torch.tensor(
                    [[[1 + self._normal(0.15 * far), self._normal(0.3 * far), self._normal(0.25 * far)],
                      [0.0, 1 + self._normal(0.2 * far), self._normal(0.12 * far)]]]
                )  # fmt: skip
                grid = F.affine_grid(theta, [1, 1, *small.shape[2:]], align_corners=False).to(self.device)
                fallen = F.grid_sample(one, grid, align_corners=False)
                fallen = blur(fallen, self._uniform(0.3, 3.5))
                depth = self._uniform(0.03, 0.5) if self._happens(0.75) else self._uniform(0.4, 0.8)
                shade[index] *= 1 - min(1.0, depth * strength) * fallen[0]
            near = blur(one, self._uniform(1.5, 5.0))
            shade[index] *= 1 - self._uniform(0.0, 0.3) * strength * near[0]
        shade = F.interpolate(shade.clamp(0, 1), (height, width), mode="bilinear", align_corners=False)
        tint = 1 + 0.06 * torch.randn(count, 3, 1, 1, generator=self.random).to(self.device)
        return (background * (1 - (1 - shade) * tint)).clamp(0, 1)

    # -- the camera -------------------------------------------------------------------------------

    def _photograph(self, source: Tensor, foreground: Tensor, plate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Expose source and plate; the true foreground gets the source's exposure without its noise."""
        count = len(source)
        overall = torch.exp(self._column(count, 1, 0.2) - 0.05)
        gamma = torch.exp(self._column(count, 1, 0.15))
        source, foreground, plate = (expose(x, overall, gamma) for x in (source, foreground, plate))
        drift = self.faults.exposure
        gain = torch.exp(self._column(count, 1, 0.035 * drift) + self._column(count, 3, 0.02 * drift))
        plate = expose(plate, gain, torch.exp(self._column(count, 1, 0.025 * drift)))
        some = self._some(count, 0.2 * min(1.0, drift))
        if len(some):
            plate[some] = plate[some] * self._vignette(len(some), *plate.shape[2:])
        some = self._some(count, 0.4 * min(1.0, drift))
        if len(some):
            plate[some] = plate[some] * self._uneven_light(len(some), *plate.shape[2:])
        source, plate = self._soften(source), self._soften(plate)
        if self.faults.noise:
            level = torch.exp(
                torch.empty(count, 1, 1, 1).uniform_(math.log(0.003), math.log(0.03), generator=self.random)
            )
            level = level.to(self.device) * self.faults.noise
            source = self._noise.add(source, level)
            averaged = torch.rand(count, 1, 1, 1, generator=self.random).to(self.device)
            plate = self._noise.add(plate, level * averaged)
        return self._compress(source), foreground, self._compress(plate)

    def _soften(self, pictures: Tensor) -> Tensor:
        for index in self._some(len(pictures), 0.3 * min(1.0, self.faults.softness)).tolist():
            sigma = self._uniform(0.3, 1.6) * self.faults.softness * max(self.detail, 0.4)
            pictures[index] = blur(pictures[index : index + 1], sigma)[0]
        return pictures

    def _compress(self, pictures: Tensor) -> Tensor:
        for index in self._some(len(pictures), 0.4 * min(1.0, self.faults.compression)).tolist():
            quality = self._uniform(25, 95) if self._happens(0.7) else self._uniform(10, 40)
            pictures[index] = compress(pictures[index : index + 1], quality)[0]
        return pictures.clamp(0, 1).mul(255).round().div(255)

    def _vignette(self, count: int, height: int, width: int) -> Tensor:
        y = torch.linspace(-1, 1, height, device=self.device)[:, None]
        x = torch.linspace(-1, 1, width, device=self.device)[None]
        return 1 - self._column(count, 1, 0.08 * self.faults.exposure).clamp(-0.3, 0.3) * (x * x + y * y) / 2

    def _uneven_light(self, count: int, height: int, width: int) -> Tensor:
        """A slow change of light across the set: a cloud, a lamp, a subject that is in the light's way."""
        corners = self._column(count, 1, 0.06 * self.faults.exposure) * torch.randn(
            count, 1, 3, 4, generator=self.random
        ).to(self.device)
        field = F.interpolate(corners, (height, width), mode="bilinear", align_corners=True)
        return torch.exp(field.clamp(-0.5, 0.5))

    def _uncover(self, plate: Tensor) -> Tensor:
        """Add the validity channel; some plates miss a strip at the border, straight or tilted."""
        count, _, height, width = plate.shape
        valid = torch.ones(count, 1, height, width, device=self.device)
        y = torch.linspace(-1, 1, height, device=self.device)[:, None]
        x = torch.linspace(-1, 1, width, device=self.device)[None]
        for index in self._some(count, 0.15 * min(1.0, self.faults.coverage)).tolist():
            for _ in range(1 if self._happens(0.5) else 2):
                axis, other = (x, y) if self._happens(0.5) else (y, x)
                side = 1 if self._happens(0.5) else -1
                limit = 1 - abs(self._normal(0.1)) * self.faults.coverage
                valid[index] *= (axis * side + self._normal(0.02) * other < limit).float()
        return torch.cat([plate * valid, valid], dim=1)
