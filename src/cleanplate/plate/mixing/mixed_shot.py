"""A plate that is mixed for each frame of a shot from pictures in different light."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cleanplate.errors import PlateError
from cleanplate.frame import BoolArray, Float32Array, Frame, Pixels
from cleanplate.media.colour.transfer import SRGB, curve_of, decode, encode
from cleanplate.plate.fit import Fit, FittedPlate, fit_plate, lay_down, moved_fit, place_plate
from cleanplate.plate.mixing.light_mixture import (
    BRIGHTEST,
    DARKEST,
    VIEW_SIDE,
    LightMixture,
    enlarge,
    fit_mixture,
    mix,
)
from cleanplate.plate.mixing.plate_set import PlateSet
from cleanplate.plate.photometry.exposure import gain_stops
from cleanplate.plate.picture import Plate
from cleanplate.plate.registration.homography import Matrix, scale_matrix
from cleanplate.plate.structure import reduce_mask, reduce_picture
from cleanplate.plate.tracking.plate_tracker import PlateTracker

# Numbers without a reason are choices; docs/plate-design.md has the measurements.

NOISE = 0.008
"""Standard deviation, in code values of 1, of the mixture from frame to frame: changes of this size are
applied by half, as those of the tracker, larger ones at once."""

VISIBLE = 0.004
"""Change of the mixture, in code values of 1, from which the plate is rendered again: one step of 8 bits."""

STRIP_ROWS = 128
"""Rows that are mixed at a time; limits memory."""

LEAST_SUPPORT = 0.1
"""Share of the usable pixels that support a mixture, below which that of the frame before stays."""

LEAST_FREE = 0.1
"""Share of the frame beside the last subject below which the subject is not left out: then the matte, not
the light, is wrong."""

SUBJECT_ALPHA = 0.02
"""Alpha from which a pixel is the subject's, as for the tracker."""


class MixedShot:
    """Gives each frame of one shot a plate mixed from several pictures of the empty set.

    Each picture is registered with the first frame; their weights are fitted to every frame. The camera is
    tracked as with one plate. :meth:`plate_for` is called before a frame is keyed, and :meth:`learn` after.

    Args:
        plates: The pictures, in the colours of the frames.
        align: Whether they may be moved.
    """

    follows = False
    learns = True

    def __init__(self, plates: PlateSet, *, align: bool = True) -> None:
        self._plates, self._align = plates, align
        # Numbers of the pictures that show the place, and their fits to the first frame. The pictures
        # themselves are no part of a pickled state.
        self._placed: list[tuple[int, Fit]] = []
        self._notes: tuple[str, ...] = ()
        self._tracker: PlateTracker | None = None
        self._mixture: LightMixture | None = None
        self._shown: LightMixture | None = None  # of the rendered plate
        self._shown_motion: Matrix | None = None  # of the same plate
        self._subject: BoolArray | None = None
        self._given: FittedPlate | None = None
        self._layers: _Layers | None = None

    def __getstate__(self) -> dict[str, object]:
        """The state without the plates, see :meth:`take_plate`, and the pictures that follow from both."""
        return {**vars(self), "_plates": None, "_given": None, "_layers": None}

    def take_plate(self, plates: PlateSet) -> None:
        """Take the plates of a state that was read: those with which the shot began."""
        self._plates = plates

    def plate_for(self, frame: Frame) -> FittedPlate:
        """Mix the plate for this frame; return the same object as before if nothing visible has changed.

        Raises:
            PlateError: No picture can serve the first frame.
        """
        if not self._placed:
            self._begin(frame)
        if self._layers is None:
            plates = self._plates.plates
            self._layers = _Layers([(plates[number], fit) for number, fit in self._placed], frame)
        motion = self._follow_camera(frame)
        views, usable = self._layers.view(motion)
        mixture = self._measure(frame, views, usable)
        if self._shown is None or _difference(views, mixture, self._shown) >= VISIBLE:
            self._shown, self._given = mixture, None
        if self._given is None or motion is not self._shown_motion:
            self._shown_motion = motion
            self._given = self._render(frame, views, motion)
        return self._given

    def learn(self, frame: Frame, alpha: Float32Array, _: Float32Array | None = None) -> None:
        """Store the mask of the subject in the frame of the last :meth:`plate_for`.

        Args:
            frame: The frame.
            alpha: float32 in [0, 1], ``(height, width)`` or smaller: the frame's matte.
        """
        if self._tracker is not None:
            self._tracker.learn(frame.pixels, alpha)
        if self._layers is not None:
            height, width = self._layers.size
            small = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
            self._subject = np.asarray(cv2.dilate(small, np.ones((5, 5), np.uint8)) > SUBJECT_ALPHA)

    def _begin(self, frame: Frame) -> None:
        """Register each picture with the first frame, and leave out those of another place."""
        errors: list[PlateError] = []
        notes: list[str] = []
        for number, plate in enumerate(self._plates.plates):
            fit = _place(plate, frame, align=self._align)
            if isinstance(fit, PlateError):
                errors.append(fit)
                notes.append(f"{fit.message.rstrip('.')}; it is left out.")
            else:
                self._placed.append((number, fit))
                notes += fit.notes
        if not self._placed:
            raise errors[0]
        self._notes = tuple(dict.fromkeys(notes))

    def _follow_camera(self, frame: Frame) -> Matrix | None:
        """Motion of the camera since the first frame; None if there is none, the same object if it rests."""
        if self._tracker is None or not self._align:
            return None
        self._tracker.plate_for(frame.pixels, frame.alpha)
        motion = self._tracker.motion
        if np.array_equal(motion, np.eye(3)):
            return None
        before = self._shown_motion
        return before if before is not None and np.array_equal(motion, before) else motion

    def _measure(self, frame: Frame, views: Float32Array, usable: BoolArray) -> LightMixture:
        """Fit the mixture to the frame, damped against that of the frame before."""
        colour = reduce_picture(frame.pixels, VIEW_SIDE)
        usable = usable & (colour.max(axis=2) < BRIGHTEST) & (colour.min(axis=2) > DARKEST)
        if frame.alpha is not None:
            opaque = frame.alpha == np.iinfo(frame.alpha.dtype).max
            usable &= reduce_mask(opaque, *usable.shape)
        if self._subject is not None and np.mean(~self._subject) > LEAST_FREE:
            usable &= ~self._subject
        before = self._mixture
        found = fit_mixture(_to_light(colour), views, usable, before)
        if before is not None and (found is None or found.support < LEAST_SUPPORT):
            return before
        if found is None:
            equal = np.full((len(views), 1, 1), 1 / len(views), np.float32)
            found = LightMixture(equal, np.ones(3, np.float32), 1.0, 0.0)
        if before is not None:
            change = _difference(views, found, before)
            share = np.float32(change**2 / (change**2 + NOISE**2))
            found = replace(
                found,
                weights=before.weights + share * (found.weights - before.weights),
                tint=before.tint + share * (found.tint - before.tint),
            )
        self._mixture = found
        return found

    def _render(self, frame: Frame, views: Float32Array, motion: Matrix | None) -> FittedPlate:
        """Mix the pictures at full size."""
        if self._layers is None or self._shown is None:
            raise RuntimeError("nothing is measured yet")
        pixels, valid = self._layers.mix(self._shown, motion)
        overlap = 1.0 if valid is None else float(np.mean(valid))
        fitted = FittedPlate(pixels, valid, self._record(frame, self._shown, views, motion, overlap))
        if self._tracker is None and self._align:
            self._tracker = PlateTracker(Plate(pixels, known=valid))
            self._tracker.plate_for(frame.pixels, frame.alpha)
        return fitted

    def _record(
        self, frame: Frame, mixture: LightMixture, views: Float32Array, motion: Matrix | None, overlap: float
    ) -> Fit:
        """Position and light of the picture with the largest share."""
        shares = mixture.shares(views)
        largest = int(np.argmax(shares))
        fit = self._placed[largest][1]
        homography = fit.homography if motion is None else motion @ fit.homography
        light, alone = (
            _to_code(view).mean(axis=(0, 1), dtype=np.float64)
            for view in (mix(views, mixture), views[largest])
        )
        gain = light / np.maximum(alone, 1e-3)
        plates = [(number, self._plates.plates[number]) for number, _ in self._placed]
        names = [plate.path.name if plate.path else f"plate {number + 1}" for number, plate in plates]
        parts = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True))
        return replace(
            moved_fit(fit, homography, frame.height, frame.width, overlap),
            gain=gain,
            exposure_stops=gain_stops(gain),
            notes=(*self._notes, f"The plate is mixed for each frame; light of the first one: {parts}."),
        )


class _Layers:
    """The pictures in the place of the first frame: full size, and small in linear light.

    Args:
        placed: Each picture with its fit.
        frame: A frame of the size and type that they get.
    """

    def __init__(self, placed: list[tuple[Plate, Fit]], frame: Frame) -> None:
        height, width, dtype = frame.height, frame.width, frame.pixels.dtype
        laid = [place_plate(plate, fit, height, width, dtype) for plate, fit in placed]
        self._pictures = [pixels for pixels, _ in laid]
        masks = [valid for _, valid in laid if valid is not None]
        self._valid: BoolArray | None = np.logical_and.reduce(masks) if masks else None
        colours = [reduce_picture(pixels, VIEW_SIDE) for pixels in self._pictures]
        self._views = np.stack([_to_light(colour) for colour in colours])
        self.size: tuple[int, int] = self._views.shape[1:3]
        self._usable = np.logical_and.reduce([colour.max(axis=2) < BRIGHTEST for colour in colours])
        if self._valid is not None:
            self._usable &= reduce_mask(self._valid, *self.size)

    def view(self, motion: Matrix | None) -> tuple[Float32Array, BoolArray]:
        """The small pictures after a motion of the camera, and the mask of those pixels that all know."""
        if motion is None:
            return self._views, self._usable
        (height, width), full = self.size, self._pictures[0].shape
        small = scale_matrix(motion, width / full[1], height / full[0])
        views = [lay_down(view, small, None)[0] for view in self._views]
        shown = cv2.warpPerspective(
            self._usable.astype(np.uint8), small, (width, height), flags=cv2.INTER_NEAREST
        )
        return np.stack(views).astype(np.float32), np.asarray(shown, np.bool_)

    def mix(self, mixture: LightMixture, motion: Matrix | None) -> tuple[Pixels, BoolArray | None]:
        """The plate of a mixture, after a motion of the camera, and the mask of its known pixels."""
        pictures, valid = self._pictures, self._valid
        height, width = pictures[0].shape[:2]
        if motion is not None:
            moved = [lay_down(picture, motion, None) for picture in pictures]
            pictures, shown = [pixels for pixels, _ in moved], moved[0][1]
            if valid is not None:
                kept = cv2.warpPerspective(
                    valid.astype(np.uint8), motion, (width, height), flags=cv2.INTER_NEAREST
                )
                shown = kept > 0 if shown is None else shown & (kept > 0)
            valid = shown
        fields = [enlarge(cells, height, width) for cells in mixture.weights]
        pixels = np.empty_like(pictures[0])
        for top in range(0, height, STRIP_ROWS):
            rows = slice(top, top + STRIP_ROWS)
            light = sum(
                decode(picture[rows], SRGB) * field[rows, :, None]
                for picture, field in zip(pictures, fields, strict=True)
            )
            pixels[rows] = encode(np.asarray(light * mixture.tint, np.float32), SRGB, pixels.dtype)
        return pixels, valid


def _place(plate: Plate, frame: Frame, *, align: bool) -> Fit | PlateError:
    """Register a picture with a frame; the error if it shows another place."""
    try:
        return fit_plate(plate, frame, align=align, photometric=False).fit
    except PlateError as error:
        return error


def _to_light(colour: Float32Array) -> Float32Array:
    return np.asarray(curve_of(SRGB).decode(np.clip(colour, 0, 1)), np.float32)


def _to_code(light: Float32Array) -> Float32Array:
    return np.asarray(curve_of(SRGB).encode(np.clip(light, 0, 1)), np.float32)


def _difference(views: Float32Array, one: LightMixture, other: LightMixture) -> float:
    """Difference of two mixtures in code values of 1; all but the largest hundredth are below it."""
    change = np.abs(_to_code(mix(views, one)) - _to_code(mix(views, other)))
    return float(np.quantile(change[::2, ::2], 0.99))
