"""Near-duplicates: pictures that look like a held-out picture are left out of training.

The split is by name, but a data set may hold one picture under two names. The held-out part stays as it is,
so that scores can be compared; its duplicates are left out of training.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cleanplate.frame import Float32Array
from cleanplate.training.datasets.mips import Mips

SIDE = 32
"""Side of the thumbnails in pixels: compression and noise are averaged, a drawer of a fridge stays
visible."""

ALIKE = 4.0
"""Mean difference of thumbnails, in steps of 8 bits, below which two pictures are duplicates.

Measured on the project's material: two pairs are duplicates, an emoji under two names (0) and a fridge with
one and with two drawers (3.0). The next pair, at 5.4, shows two people in the same wheelchair.
"""


def without_near_duplicates(pictures: Sequence[Mips], others: Sequence[Mips]) -> list[Mips]:
    """Leave out pictures that look like one of ``others``."""
    if not others:
        return list(pictures)
    known = np.stack([_thumbnail(other) for other in others])
    return [
        picture
        for picture in pictures
        if float(np.abs(known - _thumbnail(picture)).mean(axis=1).min()) >= ALIKE
    ]


def _thumbnail(picture: Mips) -> Float32Array:
    """Reduce the picture to a flat 32 x 32; colour is premultiplied, because hidden colour is invisible."""
    pixels = picture.levels[-1].numpy().transpose(1, 2, 0).astype(np.float32)
    if pixels.shape[2] == 4:
        pixels[..., :3] *= pixels[..., 3:] / 255
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()
