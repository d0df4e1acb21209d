"""The plate in a video: fitted once, then kept on the frame from picture to picture.

The plate is fitted to the first frame as to a photo. From then on the camera's motion is
measured. While the camera stands still, a frame costs one comparison of thumbnails
(:mod:`~cleanplate.plate.tracking.motion_detector`). When it moves, the plate is registered with each frame
(:mod:`~cleanplate.plate.tracking.registration_tracker`). Small changes are damped, so that
noise does not make the plate tremble; large ones are applied at once, so that it does not lag.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cleanplate.errors import PlateError
from cleanplate.frame import BoolArray, Float32Array, Frame, Pixels
from cleanplate.plate.fit import FittedPlate, fit_plate, moved_fit, unmoved_plate
from cleanplate.plate.photometry.exposure import Gain, apply_gain, gain_stops
from cleanplate.plate.picture import Plate
from cleanplate.plate.registration.homography import Matrix, grid_points, invert, move
from cleanplate.plate.tracking.motion_detector import Watch
from cleanplate.plate.tracking.registration_tracker import Follower

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

FINE_MOTION = 0.12 / 1920
"""Mean motion, in widths of the frame, below which the plate is not moved: 0.12 pixels in HD."""

CLEAR_MOTION = 1.0 / 1920
"""Mean motion from which a camera is followed without ``follow``: a pixel in HD."""

NOISE = 0.1 / 1920
"""Standard deviation of the measurement; motions of this size are applied by half."""

GLANCE_MOTION = 0.2 / 1920
"""Motion of the thumbnail from which the plate is registered."""

QUIET_FRAMES = 15
"""Frames without motion after which a camera counts as still."""

CALM_FRAMES = 4
"""Frames without registration after a false detection of motion."""

SUBJECT_SIDE = 480
"""Longest side of the subject's mask."""

SUBJECT_ALPHA = 0.02
"""Alpha from which a pixel is the subject's: five code values of 8 bits."""


class PlateTracker:
    """Gives the fitted plate of each frame of one shot, in order.

    The keyer calls :meth:`plate_for` before a frame is keyed and :meth:`learn` after it. The same object is
    returned as long as nothing has changed, so that results derived from it may be cached. A frame of
    another size or type is the first of another shot.

    Args:
        plate: The clean plate.
        follow: Follow the least motion. Otherwise the plate stays where the first frame put it until the
            camera clearly moves, by a pixel in HD; from then on it is followed likewise.
        align: Whether the plate may be moved.
    """

    def __init__(self, plate: Plate, *, follow: bool = False, align: bool = True) -> None:
        self._plate: Plate | None = plate
        self._follow = follow
        self._align = align
        self._current: FittedPlate | None = None
        self._gain: Gain = np.ones(3)
        self._lit: Pixels | None = None
        self._follower: Follower | None = None

    def __getstate__(self) -> dict[str, object]:
        """The state without the plate, see :meth:`take_plate`."""
        return {**vars(self), "_plate": None}

    def take_plate(self, plate: Plate) -> None:
        """Give the tracker its first plate again, after its state was read from a file."""
        self._plate = plate

    @property
    def current(self) -> FittedPlate | None:
        """The plate of the last frame; None before the first."""
        return self._current

    @property
    def motion(self) -> Matrix:
        """Motion from the plate's last fit or renewal to the last frame, in pixels of the frame."""
        return np.eye(3) if self._current is None else self._pose @ invert(self._first_pose)

    @property
    def gain(self) -> Gain:
        """float64 ``(3,)``: factors on the plate, beyond those of its fit; set by the tracker of the light.

        It is 1 after a fit and after :meth:`renew`.
        """
        return self._gain

    @gain.setter
    def gain(self, gain: Gain) -> None:
        if self._current is not None and not np.array_equal(gain, self._gain):
            self._gain = np.array(gain, dtype=np.float64)
            self._lit = None
            self._stale = True

    def plate_for(self, frame_pixels: Pixels, frame_alpha: Pixels | None = None) -> FittedPlate:
        """Put the plate on this frame, which follows the one before it.

        Args:
            frame_pixels: The frame.
            frame_alpha: The source's own alpha: the first frame's transparent parts are not compared.

        Raises:
            PlateError: The plate cannot serve the shot's first frame.
        """
        current = self._current
        if current is None or not _is_alike(current.pixels, frame_pixels):
            return self.restart(frame_pixels, frame_alpha)
        if self._align:
            self._watch_camera(frame_pixels)
        if self._stale:
            current = self._current = self._render()
        return current

    def restart(self, frame_pixels: Pixels, frame_alpha: Pixels | None = None) -> FittedPlate:
        """Fit the plate to this frame as to the first of a shot.

        Raises:
            PlateError: The plate cannot serve this frame.
        """
        if self._plate is None:
            raise PlateError("There is no plate.")
        fitted = fit_plate(self._plate, Frame(frame_pixels, alpha=frame_alpha), align=self._align)
        self._fit = fitted.fit
        if fitted.fit.burnt:  # restored from this frame, and so of its extent
            self._take(fitted.pixels, fitted.valid, np.eye(3), fitted.fit.homography)
        else:
            height, width = frame_pixels.shape[:2]
            base = unmoved_plate(self._plate, fitted.fit, height, width, frame_pixels.dtype)
            self._take(base.pixels, base.valid, fitted.fit.homography, fitted.fit.homography)
        self._subject: BoolArray | None = None
        self._watch = Watch(frame_pixels)
        self._follower = Follower(self._pixels, self._pose)
        self._follower.expect(frame_pixels)
        self._moves = self._follow
        self._quiet = self._calm = 0
        self._current = fitted
        return fitted

    def learn(self, frame_pixels: Pixels, alpha: Float32Array) -> None:
        """Store the mask of the subject in the frame of the last :meth:`plate_for`.

        Args:
            frame_pixels: The frame.
            alpha: float32 in [0, 1], ``(height, width)`` or smaller: the frame's matte.
        """
        height, width = frame_pixels.shape[:2]
        shrink = min(1.0, SUBJECT_SIDE / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        small = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
        self._subject = np.asarray(cv2.dilate(small, np.ones((7, 7), np.uint8)) > SUBJECT_ALPHA)

    def renew(self, pixels: Pixels, valid: BoolArray | None = None) -> FittedPlate:
        """Replace the plate, after the first frame, by pixels registered with the last frame.

        Args:
            pixels: Picture of the frame's size and type.
            valid: bool ``(height, width)``: mask of known pixels; None: all.
        """
        self._take(pixels, valid, np.eye(3), self.motion @ self._origin)
        self._current = self._render()
        return self._current

    # -- pose of the camera -------------------------------------------------------------------------

    def _take(self, pixels: Pixels, valid: BoolArray | None, pose: Matrix, origin: Matrix) -> None:
        """Make ``pixels`` the plate to move.

        ``pose`` takes them to the last frame, ``origin`` takes the plate as shot there.
        """
        self._origin = origin
        self._pixels, self._valid = pixels, valid
        self._gain = np.ones(3)
        self._pose = self._first_pose = pose
        self._lit = None
        self._follower = None
        self._stale = False

    def _watch_camera(self, frame_pixels: Pixels) -> None:
        """Move the pose if the camera has moved."""
        size = frame_pixels.shape[:2]
        if not self._moves or self._quiet >= QUIET_FRAMES:
            if self._calm:
                self._calm -= 1
                return
            glance = self._watch.moved(frame_pixels, self._subject)
            if glance is not None and glance < GLANCE_MOTION * size[1]:
                return
            self._calm = CALM_FRAMES
        if self._follower is None:
            self._follower = Follower(self._pixels, self._pose)
        measured = self._follower.measure(frame_pixels, self._subject)
        if measured is None:
            return
        way = _mean_way(self._pose, measured, size) / size[1]
        if way < (FINE_MOTION if self._moves else CLEAR_MOTION):
            self._quiet += 1
            if not self._moves or self._quiet >= QUIET_FRAMES:
                self._watch = Watch(frame_pixels, self._subject)
            return
        self._moves, self._quiet, self._calm = True, 0, 0
        self._pose = _between(self._pose, measured, way**2 / (way**2 + NOISE**2), size)
        self._stale = True

    # -- pixels of the plate at the pose ------------------------------------------------------------

    def _render(self) -> FittedPlate:
        """Move the plate to the pose, in the light of the gain."""
        self._stale = False
        height, width = self._pixels.shape[:2]
        gain = self._fit.gain * self._gain
        light = replace(
            self._fit, gain=gain, exposure_stops=self._fit.exposure_stops + gain_stops(self._gain)
        )
        if np.array_equal(self._pose, np.eye(3)):
            pixels, valid = apply_gain(self._pixels, self._gain), self._valid
        else:
            lit = self._lit
            if lit is None:
                lit = self._lit = _with_validity(apply_gain(self._pixels, self._gain), self._valid)
            # Warping four channels takes half the time of three; the fourth is the mask of the plate.
            moved = cv2.warpPerspective(
                lit,
                self._pose,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            pixels = np.asarray(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB))
            shown = cv2.extractChannel(moved, 3) == np.iinfo(pixels.dtype).max
            valid = None if shown.all() else np.asarray(shown)
        overlap = 1.0 if valid is None else float(np.count_nonzero(valid)) / valid.size
        return FittedPlate(
            pixels, valid, moved_fit(light, self.motion @ self._origin, height, width, overlap)
        )


def _with_validity(pixels: Pixels, valid: BoolArray | None) -> Pixels:
    """RGB and a fourth channel, the mask: the type's highest value in known pixels, else 0.

    The outermost pixels count as unknown, because they are repeated beyond the plate's edge.
    """
    known = np.zeros(pixels.shape[:2], pixels.dtype)
    known[1:-1, 1:-1] = np.iinfo(pixels.dtype).max
    if valid is not None:
        known *= valid
    return np.asarray(cv2.merge([pixels, known]))


def _mean_way(first: Matrix, second: Matrix, size: tuple[int, int]) -> float:
    """Mean distance between two motions, in pixels."""
    points = grid_points(*size, across=5)
    return float(np.mean(np.linalg.norm(move(first, points) - move(second, points), axis=1)))


def _between(first: Matrix, second: Matrix, share: float, size: tuple[int, int]) -> Matrix:
    """The motion that takes each corner ``share`` of the way from where one takes it to the other."""
    corners = grid_points(*size, across=2)
    ends = (1 - share) * move(first, corners) + share * move(second, corners)
    found = cv2.getPerspectiveTransform(corners.astype(np.float32), ends.astype(np.float32))
    return np.asarray(found, dtype=np.float64)


def _is_alike(first: Pixels, second: Pixels) -> bool:
    return first.shape == second.shape and first.dtype == second.dtype
