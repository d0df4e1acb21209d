"""Drift of camera and light from the plate's fit until a later frame of a locked-off shot."""

from __future__ import annotations

from dataclasses import dataclass

from cleanplate.errors import PlateError
from cleanplate.frame import Frame
from cleanplate.plate.fit import FittedPlate, fit_plate
from cleanplate.plate.picture import Plate
from cleanplate.plate.tracking.plate_tracker import CLEAR_MOTION

CLEAR_STOPS = 0.2
"""Change of the light, in stops, from which a plate no longer fits: twice the largest that was measured in
the sample clip, whose light is constant. It raises the error at edges by 6%."""


@dataclass(frozen=True)
class Drift:
    """Drift from a fitted plate to a frame.

    Attributes:
        shift_pixels: Mean motion of the camera.
        stops: Change of the light; positive: brighter.
        width: Width of the frame.
        lost: Whether nothing of the plate was found in the frame.
    """

    shift_pixels: float
    stops: float
    width: int
    lost: bool = False

    def tell(self) -> str | None:
        """A sentence if the plate no longer fits; None if it does."""
        if self.lost:
            return "At the end of the clip, nothing of the plate is found in the picture."
        parts = []
        if self.shift_pixels >= CLEAR_MOTION * self.width:
            parts.append(f"the camera has moved by {self.shift_pixels:.1f} pixels")
        if abs(self.stops) >= CLEAR_STOPS:
            parts.append(f"the light has changed by {self.stops:+.2f} stops")
        if not parts:
            return None
        return f"At the end of the clip, {' and '.join(parts)}: a locked-off plate does not follow that."


def measure_drift(fitted: FittedPlate, frame: Frame, *, align: bool = True) -> Drift:
    """Fit a fitted plate again, to a later frame.

    Args:
        fitted: The plate.
        frame: The frame, of the plate's size, with or without the subject.
        align: Whether the motion is measured, too.
    """
    try:
        fit = fit_plate(Plate(fitted.pixels, known=fitted.valid), frame, align=align, mesh=False).fit
    except PlateError:
        return Drift(0.0, 0.0, frame.width, lost=True)
    return Drift(fit.shift_pixels, fit.exposure_stops, frame.width)
