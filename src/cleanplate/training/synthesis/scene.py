"""Scenes in front of the camera: two views of a background, with sprites in changed colours and textures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.errors import InputError
from cleanplate.training.synthesis.camera_model import blur, blur_matte
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.material import Material, Mips
from cleanplate.training.synthesis.placement import (
    Placement,
    blend,
    choose_close_place,
    choose_place,
    sample,
)
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.subject_motion import SubjectMotion

KINDS = ("figure", "object", "shape", "nothing")
_SUBJECT_WEIGHTS = (0.62, 0.16, 0.18)
EMPTY_SHARE = 0.04
"""Usual share of the cases without a subject, where the other kinds have 0.96."""
_MOTION_STEPS = 7
_PORTRAITS = 0.2  # share of the portraits among figures that are drawn from fine figures and portraits
_CLOSE = 0.75  # share of these at their own size, in cases that represent a part of a picture
_CLOSE_DETAIL = 0.6  # pixels of such a case per pixel of a full-size picture, at least


class SceneMaker:
    """Draws scenes of one material.

    Args:
        material: Sprites, textures and backgrounds; kinds without pictures do not occur.
        random: Source of the random numbers.
        faults: Strengths of the differences between the set's two views.
        fine: Share of the figures that are fine figures and portraits.
        empty: Share of the cases without a subject.

    Raises:
        InputError: There are no backgrounds.
    """

    def __init__(
        self,
        material: Material,
        random: RandomGenerator,
        faults: Faults,
        fine: float = 0.0,
        empty: float = EMPTY_SHARE,
    ) -> None:
        if not len(material.backgrounds):
            raise InputError(
                "The training material has no backgrounds.", "add some with --backgrounds FOLDER"
            )
        self._material, self._random, self._faults = material, random, faults
        self._fine = fine if len(material.fine_figures) or len(material.portraits) else 0.0
        self._sprites: dict[str, Sequence[Mips]] = {
            "figure": material.figures, "object": material.objects, "shape": material.shapes
        }  # fmt: skip
        rest = (1 - empty) / (1 - EMPTY_SHARE)
        weights = (*(rest * weight for weight in _SUBJECT_WEIGHTS), empty)
        chances = [
            weight if kind == "nothing" or len(self._sprites[kind]) else 0.0
            for kind, weight in zip(KINDS, weights, strict=True)
        ]
        self._chances = [chance / sum(chances) for chance in chances]

    def set_up(
        self, height: int, width: int, detail: float, kind: str | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Make one scene: set at both exposures, alpha, straight foreground, ``(1, C, H, W)`` each, trust.

        Args:
            height: Height of the frame in pixels.
            width: Width of the frame in pixels.
            detail: Pixels of the case per pixel of a full-size picture.
            kind: Kind of the main subject, one of :data:`KINDS`; None draws one.

        Returns:
            The two sets, alpha and foreground; trust ``(1, 1, 1, 1)`` is 1 where alpha is exact, 0 where its
            soft part is an estimate.
        """
        source_set, plate_set = self.make_set(height, width, detail)
        return source_set, plate_set, *self.place_subjects(source_set, detail, kind or self.draw_kind())

    def place_subjects(
        self, source_set: Tensor, detail: float, kind: str, motion: SubjectMotion | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Place sprites before a set ``(1, 3, H, W)``; ``motion`` moves them to their places in a frame.

        The arguments and results are those of :meth:`set_up`. In a clip, every frame needs a generator of
        the same seed.

        Returns:
            Alpha, foreground and trust.
        """
        random = self._random
        height, width = source_set.shape[2:]
        alpha = torch.zeros(1, 1, height, width, device=random.device)
        foreground = source_set
        trust = torch.ones(1, 1, 1, 1, device=random.device)
        if kind == "nothing":
            return alpha, foreground, trust
        kinds = [kind]
        if not random.happens(0.6):
            kinds += [
                other for _ in range(1 + random.happens(0.25)) if (other := self.draw_kind()) != "nothing"
            ]
        for number, one in enumerate(kinds):
            held = number > 0 and one != "figure" and random.happens(0.5)
            chance = random.branch()
            place, exact = self._place(chance, one, (height, width), detail, alpha if held else None)
            if motion is None:
                sprite = self._photograph(chance, place, height, width)
            else:
                sprite = motion.photograph(number, place, held=held)
            trust = trust if exact else torch.zeros_like(trust)
            carry = partial(motion.carry, number) if motion else _leave
            colour, cover = self._dress(
                sprite[:, :3], sprite[:, 3:], source_set, detail, carry, figure=one == "figure"
            )
            union = cover + (1 - cover) * alpha
            foreground = (cover * colour + (1 - cover) * alpha * foreground) / union.clamp(min=1e-3)
            foreground = torch.where(union > 1e-3, foreground, colour)
            alpha = union
        return alpha, foreground, trust

    def draw_kind(self) -> str:
        """Draw the kind of a main subject, by the weights of the kinds."""
        at = self._random.uniform()
        for kind, chance in zip(KINDS, self._chances, strict=True):
            at -= chance
            if at < 0:
                return kind
        return KINDS[-1]

    # -- the set ----------------------------------------------------------------------------------

    def make_set(self, height: int, width: int, detail: float) -> tuple[Tensor, Tensor]:
        """Make the set for the source and for the plate, each ``(1, 3, H, W)``."""
        random, faults = self._random, self._faults
        picture = random.pick(self._material.backgrounds)
        rows, columns = picture.size
        zoom = max(height / rows, width / columns) * math.exp(random.uniform(0.05, 0.9))
        angle = random.normal(0.03)
        room = (max(0.0, rows * zoom - height), max(0.0, columns * zoom - width))
        centre = (random.uniform(-0.4, 0.4) * room[0], random.uniform(-0.4, 0.4) * room[1])
        flip = random.happens(0.5)
        if random.happens(0.04):
            wall = self._plain_wall(random.branch(), height, width)
            return wall, wall
        source = sample(picture, height, width, zoom, angle, centre, random.device, flip=flip)
        field = self._local_motion(random.branch(), height, width, detail)
        random = random.branch()
        spread = (0.6 if random.happens(0.8) else 2.0) * faults.shift * detail
        still = random.happens(0.3) or faults.shift == 0
        if still and field is None:
            return source, source
        if not still:
            centre = (centre[0] + random.normal(spread), centre[1] + random.normal(spread))
            angle += random.normal(0.0006 * faults.shift)
            zoom *= math.exp(random.normal(0.0006 * faults.shift))
            if random.happens(0.3):
                bend = F.interpolate(
                    random.normals(1, 2, 3, 4) * 0.5 * spread, (height, width), mode="bilinear"
                )
                field = bend if field is None else field + bend
        plate = sample(picture, height, width, zoom, angle, centre, random.device, flip=flip, field=field)
        return source, plate

    def _plain_wall(self, random: RandomGenerator, height: int, width: int) -> Tensor:
        """Make a wall of one colour, evenly or unevenly lit."""
        corners = random.uniforms(1, 3, 2, 2)
        uneven = 0.15 if random.happens(0.7) else 0.0
        corners = uneven * corners + (1 - uneven) * corners[..., :1, :1]
        return F.interpolate(corners, (height, width), mode="bilinear", align_corners=True)

    def _local_motion(self, random: RandomGenerator, height: int, width: int, detail: float) -> Tensor | None:
        """Draw a displacement ``(1, 2, H, W)`` in pixels (x, y) of parts of the set; None without motion."""
        faults = self._faults
        field = None
        # Near objects have a sharp outline and one displacement; the motion of leaves and curtains fades out.
        for strength, chance, reach, sharp in (
            (faults.parallax, 0.12, 2.0, 8.0), (faults.movement, 0.12, 4.0, 1.5),
        ):  # fmt: skip
            random = random.branch()
            if not random.happens(chance * min(1.0, strength)):
                continue
            for _ in range(1 + random.happens(0.5)):
                y = torch.linspace(-1, 1, height, device=random.device)[:, None] - random.uniform(-1, 1)
                x = torch.linspace(-1, 1, width, device=random.device)[None] - random.uniform(-1, 1)
                size = (random.uniform(0.05, 0.5), random.uniform(0.05, 0.5))
                window = (sharp * (1 - (y / size[0]) ** 2 - (x / size[1]) ** 2)).sigmoid()
                motion = random.normals(1, 2, 1, 1) * reach * strength * detail
                field = window * motion if field is None else field + window * motion
        return field

    # -- the subject ------------------------------------------------------------------------------

    def _place(
        self, random: RandomGenerator, kind: str, size: tuple[int, int], detail: float, beside: Tensor | None
    ) -> tuple[Placement, bool]:
        """Place a sprite, and tell whether its alpha is exact; ``beside`` is the alpha that it touches."""
        if kind == "figure" and self._fine and random.happens(self._fine):
            fine, portraits = self._material.fine_figures, self._material.portraits
            exact = not len(portraits) or (len(fine) > 0 and not random.happens(_PORTRAITS))
            sprite = random.pick(fine if exact else portraits)
            if detail >= _CLOSE_DETAIL and random.happens(_CLOSE):
                return choose_close_place(random, sprite, *size), exact
            return choose_place(random, sprite, kind, *size, beside), exact
        return choose_place(random, random.pick(self._sprites[kind]), kind, *size, beside), True

    def _photograph(self, random: RandomGenerator, place: Placement, height: int, width: int) -> Tensor:
        """Render the sprite: straight RGBA ``(1, 4, H, W)``, sometimes with motion blur."""
        if not random.happens(0.08):
            return place.seen(height, width, random.device)
        # Motion blur: the mean over a path, a parabola in a random direction.
        reach, heading = random.uniform(0.005, 0.05) * height, random.uniform(0, 2 * math.pi)
        bend = random.normal(0.5) * reach

        def view(step: int) -> Tensor:
            part = step / (_MOTION_STEPS - 1) - 0.5
            along, aside = part * reach, (part * part - 1 / 12) * bend
            down = along * math.sin(heading) + aside * math.cos(heading)
            across = along * math.cos(heading) - aside * math.sin(heading)
            return place.seen(height, width, random.device, down, across)

        return blend(map(view, range(_MOTION_STEPS)), _MOTION_STEPS)

    def _dress(
        self,
        colour: Tensor,
        cover: Tensor,
        background: Tensor,
        detail: float,
        carry: Callable[[Tensor], Tensor],
        *,
        figure: bool,
    ) -> tuple[Tensor, Tensor]:
        """Change the subject: colours of the background, textures, translucency, defocus.

        ``carry`` moves a layer of the frame with the subject.
        """
        random, textures = self._random.branch(), self._material.textures
        height, width = colour.shape[2:]
        if random.happens(0.12 * min(1.0, self._faults.lookalike)):
            # The hardest case for a plate: a subject in the colours of the room.
            reach = (int(random.normal(0.2) * height), int(random.normal(0.2) * width))
            share = min(1.0, random.uniform(0.4, 0.95) * self._faults.lookalike)
            colour = share * carry(background.roll(reach, (2, 3))) + (1 - share) * colour
        elif not figure and len(textures) and random.happens(0.3):
            texture = random.pick(textures)
            zoom = random.uniform(0.7, 2.0) * max(height / texture.size[0], width / texture.size[1])
            turn = random.uniform(0, 0.3)
            colour = carry(sample(texture, height, width, zoom, turn, (0.0, 0.0), random.device))
        if random.happens(0.02 if figure else 0.2):
            thin = random.uniform(0.15, 0.9)
            inside: Tensor | float = 1.0
            if random.happens(0.5):  # glass and bottles: densest at the outline
                inside = blur(cover, random.uniform(2, 8) * max(detail, 0.3)).clamp(0, 1) ** 4
            cover = cover * (1 - (1 - thin) * inside)
        if random.happens(0.12):
            cover, colour = blur_matte(cover, colour, random.uniform(0.5, 4.0) * max(detail, 0.3))
        return colour.clamp(0, 1), cover


def _leave(layer: Tensor) -> Tensor:
    """Leave a layer of the frame in its place."""
    return layer
