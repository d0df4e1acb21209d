"""Faults: the differences between the two photographs of a set, and their strengths."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Strength of each difference between source and plate; 1 is that of a careful amateur, 0 is none.

    Attributes:
        exposure: Gain, gamma, white balance, vignetting and slow changes of light.
        flicker: Bands of light across the rows, from mains-powered lamps and a rolling shutter.
        shift: Misregistration of the whole frame: shift, rotation, zoom, a slow bend.
        parallax: Displacement of near parts of the set, as seen from a slightly different place.
        movement: Motion of small objects in the room: a curtain, leaves.
        noise: Sensor noise of both photographs.
        softness: Defocus of one of the two photographs.
        compression: JPEG of both photographs.
        coverage: Strips at the border that are missing in the plate.
        shadow: Cast and contact shadows of the subject.
        reflection: Weak reflection of the subject in floor or table.
        spill: Colour of the set on the subject's edges.
        lookalike: Frequency and degree of subjects in the colours of the room. It is no fault of the plate,
            but makes a plate useless; with 0 it happens by chance only.
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
        """List the names of all faults, in order."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def all_at(cls, strength: float) -> Faults:
        """Make faults of one strength."""
        return cls(**dict.fromkeys(cls.names(), strength))

    def with_strength(self, name: str, strength: float) -> Faults:
        """Copy with one fault changed; ``KeyError`` if the name is unknown."""
        if name not in self.names():
            raise KeyError(name)
        return dataclasses.replace(self, **{name: strength})


# Faults of the validation set: all differences between two careful photographs, but no subject in the colours
# of the room on purpose, and a plate that covers the frame.
MEDIUM = Faults(coverage=0.0, lookalike=0.0)
