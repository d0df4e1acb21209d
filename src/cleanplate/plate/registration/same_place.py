"""Test that plate and frame show the same place.

Measured on composites of 640x360 photographs: of the plate's textured parts, a frame of another place repeats
less than 2.5% by chance (98 of 100 pairs), a frame of the same place with a subject over 85% of it more than
10%.
"""

from __future__ import annotations

import numpy as np

from cleanplate.plate.structure import Structure, correlate, shrink

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

COARSE_SIDES = (320, 160)
"""Longest sides of the compared copies: coarse, so that blur, noise and remaining motion matter less."""

LEAST_TEXTURE = 0.25
"""Least textured share of the plate for telling it from another place. A choice: of less texture, chance
decides."""

BURNT_OUT, DROWNED = 0.97, 0.03
"""Values of all channels, of 1, beyond which the frame shows white or black only."""

REPEATED = 0.6
"""Correlation of detail from which a neighbourhood counts as repeated."""

OTHER_PLACE = 0.025
"""Repeated share of the plate's texture below which it is another place: chance reaches so much."""

DOUBTFUL_PLACE = 0.06
"""Repeated share below which it may be another place, or a subject that fills the frame."""


def repeated_texture(plate: Structure, frame: Structure) -> float | None:
    """The share of the plate's texture that the frame shows in the same position, the best of two scales.

    Returns:
        0 to 1, or None where the plate has too little texture to tell.
    """
    shares = []
    for longest in COARSE_SIDES:
        coarse_plate, coarse_frame = shrink(plate, longest), shrink(frame, longest)
        least, most = coarse_frame.colour.min(axis=2), coarse_frame.colour.max(axis=2)
        # Texture that is clipped in the frame is left out.
        comparable = coarse_plate.textured & (least < BURNT_OUT) & (most > DROWNED)
        if coarse_frame.known is not None:
            comparable &= coarse_frame.known
        if np.mean(comparable) < LEAST_TEXTURE:
            return None
        agreement = correlate(coarse_plate.detail, coarse_frame.detail)
        shares.append(float(np.mean(agreement[comparable] > REPEATED)))
    return max(shares)
