"""Light between subject and set: relighting, shadows, reflections, spill."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.training.synthesis.camera_model import blur
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.random_generator import RandomGenerator

_SMALL = 4  # soft effects are computed at a quarter of the size
_DARKEST = 0.15  # ambient light reaches even the deepest shadow


def light_scene(
    randoms: Iterable[RandomGenerator], faults: Faults, foreground: Tensor, alpha: Tensor, background: Tensor
) -> tuple[Tensor, Tensor]:
    """Light a scene and put the subject before its set.

    Args:
        randoms: Four sources of random numbers: for the subject's light, spill, shadows and reflections.
            Equal ones for each frame give a light that is constant.
        faults: Strengths of spill, shadows and reflections.
        foreground: Straight colour ``(B, 3, H, W)``.
        alpha: ``(B, 1, H, W)``.
        background: The set ``(B, 3, H, W)``, which may be changed in place.

    Returns:
        Source and straight foreground ``(B, 3, H, W)``.
    """
    relighting, spilling, shading, mirroring = randoms
    foreground = relight(relighting, foreground, background)
    foreground = spill(spilling, faults, foreground, alpha, background)
    lit = cast_shadows(shading, faults, background, alpha)
    lit = reflect(mirroring, faults, lit, foreground, alpha)
    return torch.lerp(lit, foreground, alpha), foreground


def relight(random: RandomGenerator, foreground: Tensor, background: Tensor) -> Tensor:
    """Relight the subject: brightness, colour, a gradient from one side, the room's tint."""
    count = len(foreground)
    gain = torch.exp(random.column(count, 1, 0.2) + random.column(count, 3, 0.04))
    room = background.mean(dim=(2, 3), keepdim=True)
    tint = room / room.mean(dim=1, keepdim=True).clamp(min=0.05)
    share = random.uniforms(count, 1, 1, 1) * 0.5
    gain = gain * (1 + share * (tint - 1))
    across = torch.linspace(-1, 1, foreground.shape[3], device=foreground.device)
    slope = 1 + random.column(count, 1, 0.15).clamp(-0.7, 0.7) * across
    return (foreground * (gain * slope.clamp(0.3, 1.7))).clamp(0, 1)


def spill(
    random: RandomGenerator, faults: Faults, foreground: Tensor, alpha: Tensor, background: Tensor
) -> Tensor:
    """Add the set's colour to the subject's edges, like light from a bright wall."""
    if not faults.spill:
        return foreground
    for index in random.some(len(foreground), 0.25 * min(1.0, faults.spill)):
        one = alpha[index : index + 1]
        size = _reduced(one)
        inside = blur(F.interpolate(one, size, mode="area"), random.uniform(0.5, 3.0))
        room = blur(F.interpolate(background[index : index + 1], size, mode="area"), 4.0)
        share = min(0.7, random.uniform(0.05, 0.45) * faults.spill) * (1 - inside).clamp(0, 1)
        room, share = (F.interpolate(x, one.shape[2:], mode="bilinear") for x in (room, share))
        foreground[index] = torch.lerp(foreground[index], room[0], share[0])
    return foreground


def cast_shadows(random: RandomGenerator, faults: Faults, background: Tensor, alpha: Tensor) -> Tensor:
    """Darken the set by blurred, displaced copies of the subject's alpha, and by its contact shadow."""
    strength = faults.shadow
    count, _, height, width = alpha.shape
    if strength == 0:
        return background
    small = F.interpolate(alpha, _reduced(alpha), mode="area")
    shade = torch.ones_like(small)
    for index in random.some(count, 0.65):
        one = small[index : index + 1]
        for _ in range(1 if random.happens(0.6) else 2):
            # Half of the shadows are far from the subject, the others close to it.
            far = 1.0 if random.happens(0.5) else 0.25
            lean = (1 + random.normal(0.15 * far), random.normal(0.3 * far), random.normal(0.25 * far))
            drop = (0.0, 1 + random.normal(0.2 * far), random.normal(0.12 * far))
            fallen = blur(_transform(one, lean, drop), random.uniform(0.3, 6.0))
            depth = random.uniform(0.03, 0.4) if random.happens(0.75) else random.uniform(0.3, 0.6)
            shade[index] *= 1 - min(1.0, depth * strength) * fallen[0]
        near = blur(one, random.uniform(2.0, 8.0))
        shade[index] *= 1 - min(1.0, random.uniform(0.0, 0.25) * strength) * near[0]
        if random.happens(0.25):
            # Contact shadow under an object: its lower part, flattened, dark and sharp.
            flat = (1 / random.uniform(0.9, 1.3), 0.0, random.normal(0.06))
            foot = _transform(one, flat, (0.0, 1.0, -random.uniform(0.02, 0.12)))
            depth = min(1.0, random.uniform(0.2, 0.6) * strength)
            shade[index] *= 1 - depth * blur(foot, random.uniform(0.3, 2.0))[0]
    shade = F.interpolate(shade.clamp(_DARKEST, 1), (height, width), mode="bilinear", align_corners=False)
    tint = 1 + 0.06 * random.normals(count, 3, 1, 1)
    return (background * (1 - (1 - shade) * tint)).clamp(0, 1)


def reflect(
    random: RandomGenerator, faults: Faults, background: Tensor, foreground: Tensor, alpha: Tensor
) -> Tensor:
    """Add a weak reflection of the subject to the floor or table: the set changes, alpha does not."""
    if not faults.reflection:
        return background
    height = alpha.shape[2]
    for index in random.some(len(alpha), 0.08 * min(1.0, faults.reflection)):
        rows = (alpha[index, 0].amax(dim=1) > 0.5).nonzero()
        if not len(rows) or int(rows[-1]) > 0.95 * height:
            continue
        foot = 2 * (int(rows[-1]) + 0.5) / height - 1
        one = alpha[index : index + 1]
        size = _reduced(one)
        seen = torch.cat([foreground[index : index + 1] * one, one], dim=1)
        seen = F.interpolate(seen, size, mode="area")
        # y becomes 2 foot - y: a reflection about the foot.
        mirrored = blur(_transform(seen, (1.0, 0.0, 0.0), (0.0, -1.0, 2 * foot)), random.uniform(0.3, 3.0))
        mirrored = F.interpolate(mirrored, one.shape[2:], mode="bilinear")[0]
        share = min(0.6, random.uniform(0.03, 0.3) * faults.reflection)
        background[index] = background[index] * (1 - share * mirrored[3:]) + share * mirrored[:3]
    return background


def _reduced(picture: Tensor) -> tuple[int, int]:
    return max(picture.shape[2] // _SMALL, 1), max(picture.shape[3] // _SMALL, 1)


def _transform(
    picture: Tensor, across: tuple[float, float, float], down: tuple[float, float, float]
) -> Tensor:
    """Sample ``(1, C, h, w)`` through an affine map of coordinates in [-1, 1]; zeros outside."""
    theta = torch.tensor([[across, down]], device=picture.device)
    grid = F.affine_grid(theta, [1, 1, *picture.shape[2:]], align_corners=False)
    return F.grid_sample(picture, grid, align_corners=False)
