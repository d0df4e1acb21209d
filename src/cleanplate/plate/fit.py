"""The plate made to lie on the frame: size, place, light, and what it does not show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.errors import PlateError
from cleanplate.frame import Frame, Pixels
from cleanplate.plate import alignment
from cleanplate.plate.alignment import Alignment, covered, warp
from cleanplate.plate.exposure import Gain, apply_gain, estimate_gain, gain_stops
from cleanplate.plate.motion import Matrix, centre_shift, rotation_degrees, scale_matrix, zoom
from cleanplate.plate.picture import Plate, match_size
from cleanplate.plate.place import DOUBTFUL_PLACE, OTHER_PLACE, repeated_texture, shrink
from cleanplate.plate.structure import Structure, find_structure, reduce_picture

SEARCH_SIDE = 960
"""Longest side of the reduced copies that motion is measured on."""

ALIGNED_PIXELS = 0.2
"""Motion, in pixels of the frame, that is not worth interpolating the plate for."""

LIGHT_SIDE = 480
"""Longest side of the copies that light is measured on."""

NOTEWORTHY_OVERLAP = 0.98

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Fit:
    """What was done to the plate, for diagnosis.

    Attributes:
        homography: float64 ``(3, 3)``: takes pixels ``(x, y, 1)`` of the plate, resized to the frame, to the
            frame.
        aligned: Whether the plate lies on the frame, moved or not, as far as can be told from enough common
            points.
        shift_pixels: How far the plate's centre was moved.
        rotation_degrees: How far the plate was turned, clockwise.
        zoom: By how much it was magnified.
        gain: float64 ``(3,)``: factors on red, green and blue, ``plate * gain ~ frame``, of gamma-encoded
            values.
        exposure_stops: The same as a change of light; positive: the frame is brighter.
        overlap: Share of the frame that the plate shows, 0 to 1.
        notes: What the user should know, in sentences.
    """

    homography: Matrix
    aligned: bool
    shift_pixels: float
    rotation_degrees: float
    zoom: float
    gain: Gain
    exposure_stops: float
    overlap: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FittedPlate:
    """The plate on the frame.

    Attributes:
        pixels: Size and type of the frame; where the plate shows nothing, its nearest edge.
        valid: bool ``(height, width)``, False where the plate shows nothing: unknown, not background. None:
            all True.
        fit: How it got there.
    """

    pixels: Pixels
    valid: Mask | None
    fit: Fit


def fit_plate(plate: Plate, frame: Frame, *, align: bool = True) -> FittedPlate:
    """Make the plate lie on the frame.

    Its size and type become the frame's; it is moved to where the camera stood (a homography, to a fraction
    of a pixel) and given the frame's light (a factor per channel). A stage whose result cannot be trusted is
    left out, and :attr:`Fit.notes` says so; a plate that fits already keeps its exact pixels.

    Args:
        plate: The clean plate, of any size with the frame's aspect ratio.
        frame: The frame, with or without the subject.
        align: Whether the plate may be moved. Its light is matched in any case.

    Raises:
        PlateError: The aspect ratios differ, or the plate plainly shows another place.
    """
    height, width = frame.height, frame.width
    pixels = match_size(plate, height, width, frame.pixels.dtype)
    plate_view = find_structure(reduce_picture(pixels, SEARCH_SIDE))
    frame_view = find_structure(reduce_picture(frame.pixels, SEARCH_SIDE))
    view_height, view_width = plate_view.detail.shape
    notes: list[str] = []

    found = Alignment(np.eye(3), moved=False, supported=False)
    if align:
        found = alignment.align(plate_view, frame_view, ALIGNED_PIXELS * view_width / width)
    if not found.supported:
        notes += _doubt_place(plate, plate_view, frame_view)
    if found.reason:
        notes.append(f"Kept the plate where it was: {found.reason}.")

    homography = np.eye(3)
    valid: Mask | None = None
    if found.moved:
        homography = scale_matrix(found.motion, width / view_width, height / view_height)
        pixels = warp(pixels, homography)
        valid = covered(homography, height, width)
        plate_view = find_structure(warp(plate_view.colour, found.motion))
    if plate.known is not None:
        known = cv2.resize(plate.known.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        if found.moved:
            known = warp(known, homography, interpolation=cv2.INTER_NEAREST)
        valid = known > 0 if valid is None else valid & (known > 0)
    overlap = 1.0 if valid is None else float(np.mean(valid))
    if valid is not None and valid.all():
        valid = None
    if overlap < NOTEWORTHY_OVERLAP:
        notes.append(f"The plate shows {overlap:.0%} of the frame; the rest is unknown.")

    gain = _match_light(plate_view, frame_view, valid)
    return FittedPlate(
        apply_gain(pixels, gain),
        valid,
        Fit(
            homography=homography,
            aligned=found.supported,
            shift_pixels=centre_shift(homography, height, width),
            rotation_degrees=rotation_degrees(homography, height, width),
            zoom=zoom(homography, height, width),
            gain=gain,
            exposure_stops=gain_stops(gain),
            overlap=overlap,
            notes=tuple(notes),
        ),
    )


def _doubt_place(plate: Plate, plate_view: Structure, frame_view: Structure) -> list[str]:
    """Raise where the frame repeats nothing of the plate; a note where it repeats next to nothing."""
    repeated = repeated_texture(plate_view, frame_view)
    if repeated is None or repeated >= DOUBTFUL_PLACE:
        return []
    if repeated < OTHER_PLACE:
        raise PlateError(
            f"{plate.title} shows another place than the frame: nothing of it was found there.",
            "shoot the plate from the same spot, without the subject",
        )
    return [f"The plate may show another place: only {repeated:.0%} of it was found in the frame."]


def _match_light(plate_view: Structure, frame_view: Structure, valid: Mask | None) -> Gain:
    coarse_plate, coarse_frame = shrink(plate_view, LIGHT_SIDE), shrink(frame_view, LIGHT_SIDE)
    if valid is None:
        return estimate_gain(coarse_plate, coarse_frame)
    height, width = coarse_plate.detail.shape
    there = cv2.resize(valid.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return estimate_gain(coarse_plate, coarse_frame, there.view(np.bool_))
