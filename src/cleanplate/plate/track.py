"""The plate in a video: fitted once, then kept on the frame from picture to picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cleanplate.frame import Frame, Pixels
from cleanplate.plate.exposure import Gain, apply_gain
from cleanplate.plate.fit import FittedPlate, Mask, fit_plate
from cleanplate.plate.motion import Matrix
from cleanplate.plate.picture import Plate


class PlateTracker:
    """Gives the fitted plate of each frame of one shot, in order.

    The keyer calls :meth:`plate_for` before a frame is keyed and :meth:`learn` after it. The same object is
    given again as long as nothing changed: who made something of it may keep that.

    Args:
        plate: The clean plate.
        follow: Follow the least motion; otherwise only a camera that clearly moves.
        align: Whether the plate may be moved at all.
    """

    def __init__(self, plate: Plate, *, follow: bool = False, align: bool = True) -> None:
        self._plate = plate
        self._follow = follow
        self._align = align
        self._fitted: FittedPlate | None = None
        self._gain: Gain = np.ones(3)

    @property
    def current(self) -> FittedPlate | None:
        """The plate of the last frame; None before the first."""
        return self._fitted

    @property
    def motion(self) -> Matrix:
        """How the camera has moved since the plate was last fitted or renewed, in pixels of the frame."""
        return np.eye(3)

    @property
    def gain(self) -> Gain:
        """float64 ``(3,)``: factors on the plate, beyond those of its fit; whoever follows the light sets it."""
        return self._gain

    @gain.setter
    def gain(self, gain: Gain) -> None:
        self._gain = np.asarray(gain, dtype=np.float64)

    def plate_for(self, frame_pixels: Pixels) -> FittedPlate:
        """Put the plate on this frame, which follows the one before it."""
        if self._fitted is None:
            self._fitted = fit_plate(self._plate, Frame(frame_pixels), align=self._align)
        return self._fitted

    def learn(self, frame_pixels: Pixels, alpha: npt.NDArray[np.float32]) -> None:
        """Take note of where the subject was in the frame of the last :meth:`plate_for`."""

    def renew(self, pixels: Pixels, valid: Mask | None = None) -> None:
        """Replace the plate's pixels by these, which lie where it lies on the last frame."""
        raise NotImplementedError


__all__ = ["PlateTracker", "apply_gain"]
