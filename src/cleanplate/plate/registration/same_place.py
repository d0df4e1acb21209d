"""Whether plate and frame show the same place at all.

Measured on composites of 640x360 photographs: of the plate's textured parts, a frame of another place repeats
less than 2.5% by chance (98 of 100 pairs), a frame of the same place with a subject over 85% of it more than
10%.
"""

from __future__ import annotations

import numpy as np

from cleanplate.plate.structure import Structure, correlate, shrink

COARSE_SIDES = (320, 160)
"""Longest sides that are compared: coarse, so that blur, noise and motion that was not undone matter less."""

LEAST_TEXTURE = 0.25
"""Share of the plate that must be textured before it can be told from another place."""

BURNT_OUT, DROWNED = 0.97, 0.03
"""Values of all channels, of 1, beyond which the frame shows white or black only."""

REPEATED = 0.6
"""Correlation of detail from which a neighbourhood counts as seen again."""

OTHER_PLACE = 0.025
"""Less of the plate's texture than this is found again by chance: another place."""

DOUBTFUL_PLACE = 0.06
"""Less than this: perhaps another place, perhaps a subject that fills the frame."""


def repeated_texture(plate: Structure, frame: Structure) -> float | None:
    """The share of the plate's texture that the frame shows in the same position, the best of two scales.

    Returns:
        0 to 1, or None where the plate has too little texture to tell.
    """
    shares = []
    for longest in COARSE_SIDES:
        coarse_plate, coarse_frame = shrink(plate, longest), shrink(frame, longest)
        least, most = coarse_frame.colour.min(axis=2), coarse_frame.colour.max(axis=2)
        # Texture that the frame's exposure has burnt out or drowned proves nothing.
        comparable = coarse_plate.textured & (least < BURNT_OUT) & (most > DROWNED)
        if coarse_frame.known is not None:
            comparable &= coarse_frame.known
        if np.mean(comparable) < LEAST_TEXTURE:
            return None
        agreement = correlate(coarse_plate.detail, coarse_frame.detail)
        shares.append(float(np.mean(agreement[comparable] > REPEATED)))
    return max(shares)
