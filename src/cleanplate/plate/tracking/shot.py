"""The plate through one shot: tracked with the camera and, on demand, kept fresh."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from cleanplate.errors import PlateError
from cleanplate.frame import Float32Array, Frame, Pixels
from cleanplate.plate.fit import FittedPlate, fit_plate
from cleanplate.plate.picture import Plate
from cleanplate.plate.registration.homography import displacement
from cleanplate.plate.tracking.plate_tracker import PlateTracker
from cleanplate.plate.tracking.plate_update import Upkeep

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

USUAL_STEP = Fraction(1, 25)
"""Seconds between frames that have no times: those of 25 frames a second."""

STILL_PIXELS = 0.25
"""Largest motion at which pixels of the frame are learned by the plate: a quarter of a pixel blurs no
texture."""


class Shot:
    """Gives each frame of one shot, all of one size and in order, its plate.

    :meth:`plate_for` is called before a frame is keyed and :meth:`learn` after it.

    Args:
        plate: The clean plate, or a fitted plate, which is not moved.
        follow: Whether to keep it fresh: small motion, light, and changes of the scene.
        align: Whether the plate may be moved.
        locked: Whether the plate is fitted to the first frame alone, and never changes.
        look_seconds: With ``follow``, time between two measurements of light and scene, the costliest step;
            0: at every frame.
        absorbs: With ``follow``, whether things that rest become background.
    """

    def __init__(
        self,
        plate: Plate | FittedPlate,
        *,
        follow: bool = False,
        align: bool = True,
        locked: bool = False,
        look_seconds: float = 0.0,
        absorbs: bool = True,
    ) -> None:
        self._given: FittedPlate | None = None
        self._unfitted: Plate | None = None
        self._tracker: PlateTracker | None = None
        self._align = align
        if isinstance(plate, FittedPlate):
            self._given = plate
        elif locked:
            self._unfitted = plate
        else:
            self._tracker = PlateTracker(plate, follow=follow, align=align)
        self._upkeep = Upkeep(absorbs=absorbs) if follow else None
        self._fitted: FittedPlate | None = None
        self._time: Fraction | None = None
        self._look_seconds = look_seconds
        self._lit: FittedPlate | None = None
        self._looks = True

    def take_plate(self, plate: Plate | FittedPlate) -> None:
        """Take the plate of a state that was read; a fitted plate is in the state."""
        if self._tracker is not None and isinstance(plate, Plate):
            self._tracker.take_plate(plate)

    def plate_for(self, frame: Frame) -> FittedPlate:
        """Register the plate with this frame; return the same object as before if nothing has changed.

        Raises:
            PlateError: It cannot serve this frame.
        """
        if self._tracker is not None:
            fitted = self._tracker.plate_for(frame.pixels, frame.alpha)
        else:
            if self._unfitted is not None:
                self._given = fit_plate(self._unfitted, frame, align=self._align)
                self._unfitted = None
            fitted = self._check_given(frame)
        same = fitted is self._fitted
        self._fitted = fitted
        if self._upkeep is None:
            return fitted
        since = None if self._time is None else frame.time_seconds - self._time
        self._looks = since is None or not 0 < since < self._look_seconds
        if self._looks or not same or self._lit is None:
            self._lit = self._upkeep.relight(frame.pixels, fitted)
        return self._lit

    @property
    def learns(self) -> bool:
        """True if :meth:`learn` uses a matte."""
        return self._tracker is not None or self._upkeep is not None

    @property
    def follows(self) -> bool:
        """True if the plate is updated through the shot."""
        return self._upkeep is not None

    def learn(
        self,
        frame: Frame,
        alpha: Float32Array,
        covered: Float32Array | None = None,
    ) -> None:
        """Learn from the frame's matte.

        Args:
            frame: The frame.
            alpha: float32 in [0, 1], ``(height, width)``; or sampled at a smaller size, the longer side
                :data:`~cleanplate.plate.tracking.plate_tracker.SUBJECT_SIDE` at least.
            covered: Alpha averaged over a smaller picture, the longer side
                :data:`~cleanplate.plate.tracking.plate_update.VIEW_SIDE` at least; None: all of it is in
                ``alpha``.
        """
        if self._tracker is not None:
            self._tracker.learn(frame.pixels, alpha)
        if self._upkeep is None or self._fitted is None or not self._looks:
            return
        now = frame.time_seconds
        step = USUAL_STEP if self._time is None or now <= self._time else now - self._time
        self._time = now
        tracker = self._tracker
        still = tracker is None or displacement(tracker.motion, frame.height, frame.width) < STILL_PIXELS
        covered = alpha if covered is None else covered
        fresh = self._upkeep.learn(frame.pixels, covered, float(step), still=still)
        if fresh is None:
            return
        if tracker is not None:
            tracker.renew(fresh, self._fitted.valid)
        else:
            self._given = replace(self._fitted, pixels=fresh)

    def _check_given(self, frame: Frame) -> FittedPlate:
        given = self._given
        if given is None:
            raise PlateError("There is no plate.")
        if given.pixels.shape != frame.pixels.shape or given.pixels.dtype != frame.pixels.dtype:
            raise PlateError(
                f"The fitted plate is {_describe(given.pixels)}, the frame {_describe(frame.pixels)}.",
                "fit the plate to this frame, or give the plate itself",
            )
        return given


def _describe(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]} {pixels.dtype}"
