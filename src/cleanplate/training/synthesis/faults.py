"""What differs between the two photographs of a set, and how much."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """How strong each difference between source and plate is; 1 is what a careful amateur gets, 0 is none.

    Attributes:
        exposure: Gain, gamma, white balance, vignetting and slow changes of light.
        flicker: Bands of light across the rows: lamps on mains beside a rolling shutter.
        shift: Misregistration of the whole frame: shift, rotation, zoom, a slow bend.
        parallax: Near things seen from a slightly different place: parts of the set displaced on their own.
        movement: Small things that moved in the room: a curtain, leaves.
        noise: Sensor noise of both photographs.
        softness: One of the two out of focus.
        compression: JPEG of both photographs.
        coverage: Strips at the border that the plate does not show.
        shadow: Cast and contact shadows of the subject.
        reflection: The subject mirrored weakly by floor or table.
        spill: Colour of the set on the subject's edges.
        lookalike: How often and how well the subject wears the room's own colours. Not the plate's fault,
            but what makes a plate useless; 0 leaves it to chance.
    """

    exposure: float = 1.0
    flicker: float = 1.0
    shift: float = 1.0
    parallax: float = 1.0
    movement: float = 1.0
    noise: float = 1.0
    softness: float = 1.0
    compression: float = 1.0
    coverage: float = 1.0
    shadow: float = 1.0
    reflection: float = 1.0
    spill: float = 1.0
    lookalike: float = 1.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """All faults, in order."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def all_at(cls, strength: float) -> Faults:
        """Every fault at the same strength."""
        return cls(**dict.fromkeys(cls.names(), strength))

    def with_strength(self, name: str, strength: float) -> Faults:
        """A copy with one fault changed; ``KeyError`` if there is none of that name."""
        if name not in self.names():
            raise KeyError(name)
        return dataclasses.replace(self, **{name: strength})


# The validation set's: everything that goes wrong between two careful photographs, nothing made alike on
# purpose, and a plate that covers the frame.
MEDIUM = Faults(coverage=0.0, lookalike=0.0)
