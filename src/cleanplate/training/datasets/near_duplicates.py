"""Pictures that look the same, so that none is trained on whose twin is held out.

The split goes by name, which does not know that a set may hold one picture under two names. The held-out part
stays as it is, so that scores can be compared; its twins are left out of training.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.training.datasets.mips import Mips

SIDE = 32
ALIKE = 4.0
"""Mean difference of thumbnails, in steps of 8 bits, below which two pictures are one.

In the project's material two pairs are: an emoji under two names (0), and one photo of a fridge that was made
with one drawer and with two (3.0). The next, at 5.4, is another person in the same wheelchair.
"""


def without_twins(pictures: Sequence[Mips], others: Sequence[Mips]) -> list[Mips]:
    """Those of ``pictures`` that look like none of ``others``."""
    if not others:
        return list(pictures)
    known = np.stack([_thumbnail(other) for other in others])
    return [
        picture
        for picture in pictures
        if float(np.abs(known - _thumbnail(picture)).mean(axis=1).min()) >= ALIKE
    ]


def _thumbnail(picture: Mips) -> npt.NDArray[np.float32]:
    """The picture at 32 x 32, flat; colour multiplied by alpha, because hidden colour is not seen."""
    pixels = picture.levels[-1].numpy().transpose(1, 2, 0).astype(np.float32)
    if pixels.shape[2] == 4:
        pixels[..., :3] *= pixels[..., 3:] / 255
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()
