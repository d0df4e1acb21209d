"""Conversion between ComfyUI's images, float32 ``(B, H, W, C)`` in [0, 1], and cleanplate's frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cleanplate.errors import InputError
from cleanplate.frame import Frame
from cleanplate.plate import Plate
from cleanplate.plate.picture import MOST_MEDIAN_FRAMES
from cleanplate.plate.sampling import spread_frames, take_median

EIGHT_BITS = 1e-3
"""Largest distance to a multiple of 1/255, in steps of it, at which an image counts as one of 8 bits: float32
rounds such multiples by 1e-5 steps; light that was converted or scaled is off by 0.25 in the mean."""


class Batch(Sequence):
    """Frames of an IMAGE, converted when they are asked for.

    A batch whose first image has multiples of 1/255 only, as from a file of 8 bits, gives uint8, any other
    uint16. Values outside of [0, 1] are clipped.

    Args:
        images: float32 ``(B, H, W, 3)``, or ``(B, H, W, 4)`` with straight alpha.

    Raises:
        InputError: Another shape, or an empty batch.
    """

    def __init__(self, images: torch.Tensor) -> None:
        if images.ndim != 4 or images.shape[3] not in (3, 4) or not len(images):
            raise InputError(f"Expected images of shape (B, H, W, 3), got {tuple(images.shape)}.")
        self._images = images
        steps = images[0].detach().cpu().float() * 255
        self.dtype = np.uint8 if (steps - steps.round()).abs().max() < EIGHT_BITS else np.uint16

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> np.ndarray:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._take(number, slice(0, 3))

    def alpha(self, number: int) -> np.ndarray | None:
        """Alpha of an image, ``(H, W)``; None if the images have none."""
        return self._take(number, 3) if self._images.shape[3] == 4 else None

    def spread(self, count: int) -> list[np.ndarray]:
        """``count`` to twice as many images, spread over the batch; all of a shorter one."""
        return spread_frames((Frame(pixels) for pixels in self), count)

    def _take(self, number: int, channels: slice | int) -> np.ndarray:
        values = self._images[number, ..., channels].detach().cpu().float().clamp(0, 1).numpy()
        return np.rint(values * np.iinfo(self.dtype).max).astype(self.dtype)


def to_image(pixels: np.ndarray) -> torch.Tensor:
    """uint8 or uint16 as float32 in [0, 1], of the same shape."""
    return torch.from_numpy(pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max))


def take_plate(given: Plate | torch.Tensor) -> Plate:
    """A plate as it is; of an IMAGE its only picture, or the median of its pictures.

    Raises:
        InputError: The image has another shape.
    """
    if isinstance(given, Plate):
        return given
    return Plate(take_median(Batch(given).spread(MOST_MEDIAN_FRAMES)))
