"""Check of a plate against some frames: one finding in words for each property."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from cleanplate.errors import InputError, PlateError
from cleanplate.frame import Frame, Pixels, check_pixels
from cleanplate.media import open_source, read_image
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.picture_inputs import is_image, take_pixels
from cleanplate.plate.channel_order import SWAPPED_NOTE
from cleanplate.plate.checking.diagnosis import Diagnosis, Finding
from cleanplate.plate.checking.image_quality import measure_blocks, measure_blur
from cleanplate.plate.checking.intruder import SUSPECT, Sight, judge_outlines
from cleanplate.plate.fit import NOTEWORTHY_BURNT, SEARCH_SIDE, FittedPlate, fit_plate
from cleanplate.plate.picture import Plate, is_clip, load_plate, match_size
from cleanplate.plate.registration import alignment
from cleanplate.plate.registration.homography import displacement
from cleanplate.plate.sampling import spread_frames
from cleanplate.plate.structure import correlate, find_structure, reduce_picture

if TYPE_CHECKING:
    from PIL import Image

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

FAR_SHARE = 0.03
"""Shift, in widths of the frame, from which the plate misses much of the frame's border."""

FAR_DEGREES, FAR_ZOOM = 2.0, 0.03
"""Rotation and change of size from which the plate misses much of the frame's border: at its left and right
end, 2 degrees are 1.7% and a zoom of 3% is 1.5% of the width."""

SHAKY_SHARE = 0.0005
"""Motion from frame to frame, in widths: a pixel in HD."""

NOTICEABLE_STOPS, GRAVE_STOPS = 0.3, 1.5
"""Exposures, in stops, from which a finding names the difference, and from which it needs care. A choice:
beyond 1.5 stops highlights are clipped or shadows noisy."""

NOTICEABLE_TINT, GRAVE_TINT = 0.03, 0.2
"""The same for the difference between channels. A choice: 20% is a lamp of another kind."""

NOTICEABLE_BLUR = 0.7
"""Difference in blur, as sigma in pixels of HD, from which edges differ visibly."""

VISIBLE_BLOCKS = 2.5
"""Steps across the grid of blocks over those beside it: JPEG of quality 40 or less."""

SMALL_PLATE = 0.67
"""Size of the plate, of the frame's, below which it cannot show the frame's texture: two thirds, 720p for
1080p."""

FULL_COVER, LEAST_COVER = 0.98, 0.6
"""Covered share of the frame that is good, and below which the plate is bad. A choice."""

LEAST_CHECKED = 6
"""Least frames taken from a clip that has so many; fewer than twice as many are taken."""

LEAST_FRAMES = 3
"""Least frames for telling a thing in the plate from a thing in the frames."""

SMALL_INTRUDER = 0.02
"""Share of the plate below which a thing in it spoils only a corner of the matte."""

SAME = 0.8
"""Correlation of detail from which two neighbourhoods show the same thing."""


def check_plate(
    plate: str | os.PathLike[str] | Pixels | Image.Image | Plate,
    frames: str | os.PathLike[str] | Pixels | Image.Image | Sequence[Pixels | Image.Image],
) -> Diagnosis:
    """Check a plate against some frames of a clip, or against one photo.

    Args:
        plate: A picture or a clip of the empty set, as :func:`~cleanplate.plate.load_plate` takes it.
        frames: A clip, a numbered sequence or a photo, by its path; or pictures as uint8 or uint16 RGB or
            as Pillow images, one or several of one shape and type, spread over the clip.

    Raises:
        InputError: A file cannot be read, there are no frames, or they differ in size.
    """
    plate = load_plate(plate)
    frames, photo, pixel_aspect = _load_frames(frames)
    plate = plate if photo is None else plate.with_colours_of(photo)
    plate = plate.with_shape_of(Frame(frames[0], pixel_aspect=pixel_aspect))
    diagnosis = _diagnose(plate, frames)
    return replace(diagnosis, notes=plate.notes)


def _load_frames(
    frames: str | os.PathLike[str] | Pixels | Image.Image | Sequence[Pixels | Image.Image],
) -> tuple[list[Pixels], Picture | None, Fraction]:
    """Load frames spread over a clip; of a photo one, and the photo itself; and the aspect of a pixel.

    Raises:
        InputError: See :func:`check_plate`.
    """
    pixel_aspect = Fraction(1)
    if is_image(frames):
        pictures = [take_pixels(frames)]
    elif isinstance(frames, np.ndarray):
        pictures = [frames]
    elif isinstance(frames, (str, os.PathLike)):
        path = Path(frames)
        if not is_clip(path):
            photo = read_image(path)
            return [photo.pixels], photo, photo.tags.pixel_aspect
        with open_source(path) as clip:
            pixel_aspect = clip.info.pixel_aspect
            pictures = spread_frames(clip, LEAST_CHECKED)
        if not pictures:
            raise InputError(f"{path.name} has no frames.")
    else:
        pictures = [take_pixels(frame) for frame in cast(Sequence[Any], frames)]
    if not pictures:
        raise InputError("There are no frames to check the plate against.")
    for picture in pictures:
        check_pixels(picture, "the frame")
        if picture.shape != pictures[0].shape or picture.dtype != pictures[0].dtype:
            raise InputError("The frames to check the plate against differ in size or type.")
    return pictures, None, pixel_aspect


def _diagnose(plate: Plate, frames: Sequence[Pixels]) -> Diagnosis:
    findings = [_check_size(plate, frames[0])]
    if findings[0].severity == "bad":
        return Diagnosis(tuple(findings), len(frames))
    fits = [_try_fit(plate, frame) for frame in frames]
    # A subject that fills one frame is not another place.
    used = [frame for frame, one in zip(frames, fits, strict=True) if isinstance(one, FittedPlate)]
    fitted = [one for one in fits if isinstance(one, FittedPlate)]
    if not fitted:
        refused = next(one for one in fits if isinstance(one, PlateError))
        return Diagnosis((*findings, _check_mirrored(plate, frames[0], refused)), len(frames))
    # Only frames in which the plate was found are used, unless it was found in none.
    found = [index for index, one in enumerate(fitted) if one.fit.aligned] or list(range(len(fitted)))
    best = max(found, key=lambda index: fitted[index].fit.overlap)
    fit, frame = fitted[best].fit, used[best]
    findings.append(_check_place(fitted, len(frames)))
    if findings[-1].severity == "bad":
        # Light, sharpness and subject cannot be compared with those of another place.
        reason = _find_mirrored(plate, frame) or findings[-1]
        return Diagnosis((*findings[:-1], reason), len(frames))
    findings.append(_check_motion(fitted[best], frame))
    if len(used) > 1:
        findings.append(_check_camera([fitted[index] for index in found], frame))
    findings.append(_check_cover(min(fitted[index].fit.overlap for index in found)))
    findings += [_check_exposure(fit.exposure_stops, fit.burnt), _check_colour(fitted[best])]
    findings += _check_sharpness(fitted[best], frame)
    findings.append(_check_compression(plate))
    findings.append(_check_subject([fitted[i] for i in found], [used[i] for i in found]))
    return Diagnosis(tuple(findings), len(frames))


def _check_size(plate: Plate, frame: Pixels) -> Finding:
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


def _try_fit(plate: Plate, frame: Pixels) -> FittedPlate | PlateError:
    try:
        return fit_plate(plate, Frame(frame))
    except PlateError as refused:
        return refused


def _check_mirrored(plate: Plate, frame: Pixels, refused: PlateError) -> Finding:
    """Finding for a plate that was found in no frame: mirrored, or another place."""
    mirrored = _find_mirrored(plate, frame)
    return mirrored or Finding("place", "bad", refused.message, refused.hint, {"found_share": 0.0})


def _find_mirrored(plate: Plate, frame: Pixels) -> Finding | None:
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


def _check_place(fitted: Sequence[FittedPlate], frames: int) -> Finding:
    aligned = sum(one.fit.aligned for one in fitted)
    figures = {"found_share": aligned / frames, "frames_found": aligned}
    where = "in the frame" if frames == 1 else f"in {aligned} of {frames} frames"
    if aligned:
        return Finding("place", "good", f"The same place: it was found {where}.", "", figures)
    if any("another place" in note for one in fitted for note in one.fit.notes):
        return Finding(
            "place",
            "bad",
            "It seems to be another place: next to nothing of it was found.",
            "shoot the plate from the same spot, without the subject",
            figures,
        )
    return Finding(
        "place",
        "care",
        "The place cannot be told: there is too little texture, or the subject hides it.",
        "if the camera stood still it will do; compare the two by eye",
        figures,
    )


def _check_motion(fitted: FittedPlate, frame: Pixels) -> Finding:
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


def _check_camera(fitted: Sequence[FittedPlate], frame: Pixels) -> Finding:
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


def _check_cover(overlap: float) -> Finding:
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


def _check_exposure(stops: float, burnt: float) -> Finding:
    figures = {"exposure_stops": stops, "burnt_share": burnt}
    if abs(stops) < NOTICEABLE_STOPS:
        return Finding("exposure", "good", f"The exposure fits ({stops:+.2f} stops).", "", figures)
    than = "brighter" if stops > 0 else "darker"
    message = f"The frame is {abs(stops):.1f} stops {than} than the plate; that is matched."
    if burnt > NOTEWORTHY_BURNT:
        message = f"{message[:-1]}, but {burnt:.0%} of the plate is burnt out."
        return Finding(
            "exposure", "care", message, "expose the plate as the clip, or build it from the clip", figures
        )
    if abs(stops) < GRAVE_STOPS:
        return Finding("exposure", "good", message, "", figures)
    return Finding(
        "exposure",
        "care",
        message,
        "lock the exposure: clipped whites and blacks cannot be matched",
        figures,
    )


def _check_colour(fitted: FittedPlate) -> Finding:
    """The white balance: channels against their common mean, at the plate's usual colour."""
    shading = fitted.fit.shading
    usual = np.median(fitted.pixels.reshape(-1, 3)[::97], axis=0) / np.iinfo(fitted.pixels.dtype).max
    # The fitted plate is gain * plate ** gamma; a gamma on unequal channels changes the colour, too.
    gain = shading.gain ** (1 / shading.gamma) * np.maximum(usual, 0.05) ** (1 - 1 / shading.gamma)
    logs = np.log(gain)
    tint = float(np.exp(np.max(logs) - np.min(logs)) - 1)
    shares = np.exp(logs - logs.mean()) - 1
    swapped = SWAPPED_NOTE in fitted.fit.notes
    channels = dict(zip(("red", "green", "blue"), map(float, shares), strict=True))
    figures = {"tint": tint, "swapped": float(swapped), **channels}
    if swapped:
        message, advice = SWAPPED_NOTE.rstrip(".").split(". ", 1)
        return Finding("colour", "care", f"{message}.", advice, figures)
    if tint < NOTICEABLE_TINT:
        return Finding("colour", "good", "The white balance fits.", "", figures)
    red, green, blue = shares
    message = f"Another white balance: red {red:+.0%}, green {green:+.0%}, blue {blue:+.0%}; that is matched."
    if tint < GRAVE_TINT:
        return Finding("colour", "good", message, "", figures)
    return Finding("colour", "care", message, "lock the white balance", figures)


def _check_sharpness(fitted: FittedPlate, frame: Pixels) -> list[Finding]:
    height, width = frame.shape[:2]
    views = [find_structure(reduce_picture(side, SEARCH_SIDE)) for side in (fitted.pixels, frame)]
    alike = (correlate(views[0].detail, views[1].detail) > SAME).astype(np.uint8)
    same = cv2.resize(alike, (width, height), interpolation=cv2.INTER_NEAREST)
    blur = measure_blur(fitted.pixels, frame, np.asarray(same, dtype=np.bool_))
    if blur is None:
        return []
    figures = {"blur_pixels": blur}
    if abs(blur) < NOTICEABLE_BLUR * max(1.0, width / 1920):
        return [Finding("sharpness", "good", "It is as sharp as the frame.", "", figures)]
    if blur > 0:
        message = f"It is blurrier than the frame, as if by {blur:.1f} px."
        return [Finding("sharpness", "care", message, "focus on the background, without motion", figures)]
    message = f"It is sharper than the frame's background, as if by {-blur:.1f} px."
    return [Finding("sharpness", "care", message, "shoot the plate with the focus of the clip", figures)]


def _check_compression(plate: Plate) -> Finding:
    blocks = measure_blocks(plate.pixels)
    figures = {"blockiness": blocks}
    if blocks < VISIBLE_BLOCKS:
        return Finding("compression", "good", "No compression shows.", "", figures)
    message = f"It is compressed so far that its blocks show (steps of {blocks:.1f} times the usual)."
    return Finding("compression", "care", message, "save the plate with a higher quality, or as PNG", figures)


def _check_subject(fitted: Sequence[FittedPlate], frames: Sequence[Pixels]) -> Finding:
    if len(frames) == 1 and np.array_equal(fitted[0].pixels, frames[0]):
        return Finding(
            "subject",
            "care",
            "The photo equals the plate: nothing would be cut out.",
            "give the photo with the subject, and the empty set as the plate",
        )
    if len(frames) < LEAST_FRAMES:
        return Finding("subject", "good", "Several frames are needed to find a subject in the plate.")
    verdict = judge_outlines(
        [
            Sight(frame, one.pixels, one.valid, one.fit.homography)
            for one, frame in zip(fitted, frames, strict=True)
        ]
    )
    figures = {"share": 0.0, "outline_score": verdict.score}
    if verdict.answer == "nobody":
        return Finding("subject", "good", "Nobody is in the plate.", "", figures)
    intruder = verdict.intruder
    if intruder is None:
        return Finding(
            "subject",
            "care",
            "A subject in the plate cannot be told from this clip.",
            "look at the plate; a clip in which the subject moves shows more",
            figures,
        )
    x, y = intruder.middle
    where = ("left", "middle", "right")[min(2, int(3 * x))]
    figures |= {"share": intruder.share, "middle_x": x, "middle_y": y}
    message = f"Something is in the plate that is not in the frames: {intruder.share:.1%} of it, {where}."
    if verdict.score >= SUSPECT:
        message = f"Somebody seems to be in the plate: {intruder.share:.1%} of it, {where}."
    advice = (
        "shoot the empty set, or build it from a clip in which the subject leaves its place: "
        "cleanplate plate build"
    )
    small = intruder.share < SMALL_INTRUDER
    return Finding("subject", "care" if small else "bad", message, advice, figures)
