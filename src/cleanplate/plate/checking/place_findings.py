"""Findings on the place that the plate shows: size, position, mirroring, motion and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cleanplate.errors import PlateError
from cleanplate.frame import Pixels
from cleanplate.plate.checking.diagnosis import Finding
from cleanplate.plate.fit import SEARCH_SIDE, FittedPlate
from cleanplate.plate.picture import Plate, match_size
from cleanplate.plate.registration import alignment
from cleanplate.plate.registration.homography import displacement
from cleanplate.plate.structure import find_structure, reduce_picture

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

FAR_SHARE = 0.03
"""Shift, in widths of the frame, from which the plate misses much of the frame's border."""

FAR_DEGREES, FAR_ZOOM = 2.0, 0.03
"""Rotation and change of size from which the plate misses much of the frame's border: at its left and right
end, 2 degrees are 1.7% and a zoom of 3% is 1.5% of the width."""

SHAKY_SHARE = 0.0005
"""Motion from frame to frame, in widths: a pixel in HD."""

SMALL_PLATE = 0.67
"""Size of the plate, of the frame's, below which it cannot show the frame's texture: two thirds, 720p for
1080p."""

FULL_COVER, LEAST_COVER = 0.98, 0.6
"""Covered share of the frame that is good, and below which the plate is bad. A choice."""


def check_size(plate: Plate, frame: Pixels) -> Finding:
    """Compare the size of the plate with that of a frame; bad if the aspect ratios differ."""
    height, width = frame.shape[:2]
    plate_height, plate_width = plate.pixels.shape[:2]
    share = plate_width / width
    figures = {"plate_width": plate_width, "plate_height": plate_height, "width": width, "height": height}
    sizes = f"the plate is {plate_width}x{plate_height}, the frame {width}x{height}"
    try:
        match_size(plate, height, width, frame.dtype)
    except PlateError as error:
        return Finding("size", "bad", error.message, error.hint, figures)
    if share < SMALL_PLATE:
        return Finding(
            "size",
            "care",
            f"Another resolution: {sizes}. Enlarged, it is softer than the frame.",
            "shoot the plate at the size of the clip",
            figures,
        )
    if (plate_height, plate_width) != (height, width):
        return Finding("size", "good", f"Another resolution, which does no harm: {sizes}.", "", figures)
    return Finding("size", "good", f"The same size: {width}x{height}.", "", figures)


def check_mirrored(plate: Plate, frame: Pixels, refused: PlateError) -> Finding:
    """Finding for a plate that was found in no frame: mirrored, or another place."""
    mirrored = find_mirrored(plate, frame)
    return mirrored or Finding("place", "bad", refused.message, refused.hint, {"found_share": 0.0})


def find_mirrored(plate: Plate, frame: Pixels) -> Finding | None:
    """Finding for a plate that fits the frame once it is turned over; None for all others."""
    height, width = frame.shape[:2]
    pixels = np.ascontiguousarray(match_size(plate, height, width, frame.dtype)[:, ::-1])
    views = [find_structure(reduce_picture(side, SEARCH_SIDE)) for side in (pixels, frame)]
    if not alignment.align(views[0], views[1], 1.0).supported:
        return None
    return Finding(
        "mirrored",
        "bad",
        f"{plate.title} is mirrored: turned over from left to right it fits.",
        "switch the camera's mirror image off, or flip the plate",
    )


def check_place(fitted: Sequence[FittedPlate], frames: int) -> Finding:
    """Tell whether the plate was found in the frames.

    Args:
        fitted: Its fits to the frames that did not refuse it.
        frames: Number of all frames.
    """
    aligned = sum(one.fit.aligned for one in fitted)
    figures = {"found_share": aligned / frames, "frames_found": aligned}
    where = "in the frame" if frames == 1 else f"in {aligned} of {frames} frames"
    if aligned:
        return Finding("place", "good", f"The same place: it was found {where}.", "", figures)
    if any("another place" in note for one in fitted for note in one.fit.notes):
        return Finding(
            "place",
            "bad",
            "It seems to show another place: almost nothing of it was found in the frame.",
            "shoot the plate from the same spot, without the subject",
            figures,
        )
    return Finding(
        "place",
        "care",
        "The place cannot be told: there is too little texture, or the subject hides it.",
        "the plate is usable if the camera stood still; compare the two by eye",
        figures,
    )


def check_motion(fitted: FittedPlate, frame: Pixels) -> Finding:
    """Measure the motion of the plate to the frame in which it was found best."""
    fit, width = fitted.fit, frame.shape[1]
    bend = fit.mesh.largest(width) if fit.mesh else 0.0
    figures = {
        "shift_pixels": fit.shift_pixels,
        "rotation_degrees": fit.rotation_degrees,
        "zoom": fit.zoom,
        "largest_bend_pixels": bend,
    }
    bent = f", and bent by up to {bend:.1f} px (parallax or a lens that breathes)" if bend else ""
    if displacement(fit.homography, *frame.shape[:2]) == 0 and not bend:
        still = "It has not moved." if fit.aligned else "It is used without registration."
        return Finding("motion", "good", still, "", figures)
    message = (
        f"It was moved by {fit.shift_pixels:.1f} px, turned by {fit.rotation_degrees:.2f} degrees "
        f"and magnified by {fit.zoom - 1:+.1%}{bent}; that is undone."
    )
    far = (
        fit.shift_pixels > FAR_SHARE * width
        or abs(fit.rotation_degrees) > FAR_DEGREES
        or abs(fit.zoom - 1) > FAR_ZOOM
    )
    if far:
        return Finding("motion", "care", message, "lock the tripod and the focal length, if you can", figures)
    return Finding("motion", "good", message, "", figures)


def check_camera(fitted: Sequence[FittedPlate], frame: Pixels) -> Finding:
    """Measure the distance of the frames from each other."""
    height, width = frame.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    places = np.stack([one.fit.homography @ middle for one in fitted])
    places = places[:, :2] / places[:, 2:]
    way = float(np.max(np.linalg.norm(places - np.median(places, axis=0), axis=1)))
    figures = {"sway_pixels": way, "sway_share_of_width": way / width}
    if way < SHAKY_SHARE * width:
        return Finding("camera", "good", "The camera stands still.", "", figures)
    message = f"The camera moves: by up to {way:.1f} px ({way / width:.1%} of the width) from the middle."
    if way > FAR_SHARE * width:
        return Finding(
            "camera",
            "care",
            message,
            "it is followed, but parts of the frame outside the plate stay unknown",
            figures,
        )
    return Finding("camera", "good", f"{message} It is followed.", "", figures)


def check_cover(overlap: float) -> Finding:
    """Judge the share of the frame that the plate shows, 0 to 1."""
    figures = {"overlap": overlap}
    if overlap >= FULL_COVER:
        return Finding("coverage", "good", f"It covers {overlap:.0%} of the frame.", "", figures)
    return Finding(
        "coverage",
        "care" if overlap >= LEAST_COVER else "bad",
        f"It covers only {overlap:.0%} of the frame; the rest is unknown.",
        "shoot the plate with the framing of the clip, or a little wider",
        figures,
    )
