"""Check of a plate against some frames: one finding in words for each property."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cleanplate.errors import InputError, PlateError
from cleanplate.frame import Frame, Pixels, check_pixels
from cleanplate.media import open_source, read_image
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.picture_inputs import is_image, take_pixels
from cleanplate.plate.checking.diagnosis import Diagnosis
from cleanplate.plate.checking.picture_findings import (
    check_colour,
    check_compression,
    check_exposure,
    check_sharpness,
    check_subject,
)
from cleanplate.plate.checking.place_findings import (
    check_camera,
    check_cover,
    check_mirrored,
    check_motion,
    check_place,
    check_size,
    find_mirrored,
)
from cleanplate.plate.fit import FittedPlate, fit_plate
from cleanplate.plate.picture import Plate, is_clip, load_plate
from cleanplate.plate.sampling import spread_frames

if TYPE_CHECKING:
    from PIL import Image

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

LEAST_CHECKED = 6
"""Least frames taken from a clip that has so many; fewer than twice as many are taken."""


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
    findings = [check_size(plate, frames[0])]
    if findings[0].severity == "bad":
        return Diagnosis(tuple(findings), len(frames))
    fits = [_try_fit(plate, frame) for frame in frames]
    # A subject that fills one frame is not another place.
    used = [frame for frame, one in zip(frames, fits, strict=True) if isinstance(one, FittedPlate)]
    fitted = [one for one in fits if isinstance(one, FittedPlate)]
    if not fitted:
        refused = next(one for one in fits if isinstance(one, PlateError))
        return Diagnosis((*findings, check_mirrored(plate, frames[0], refused)), len(frames))
    # Only frames in which the plate was found are used, unless it was found in none.
    found = [index for index, one in enumerate(fitted) if one.fit.aligned] or list(range(len(fitted)))
    best = max(found, key=lambda index: fitted[index].fit.overlap)
    fit, frame = fitted[best].fit, used[best]
    findings.append(check_place(fitted, len(frames)))
    if findings[-1].severity == "bad":
        # Light, sharpness and subject cannot be compared with those of another place.
        reason = find_mirrored(plate, frame) or findings[-1]
        return Diagnosis((*findings[:-1], reason), len(frames))
    findings.append(check_motion(fitted[best], frame))
    if len(used) > 1:
        findings.append(check_camera([fitted[index] for index in found], frame))
    findings.append(check_cover(min(fitted[index].fit.overlap for index in found)))
    findings += [check_exposure(fit.exposure_stops, fit.burnt), check_colour(fitted[best])]
    findings += check_sharpness(fitted[best], frame)
    findings.append(check_compression(plate))
    findings.append(check_subject([fitted[i] for i in found], [used[i] for i in found]))
    return Diagnosis(tuple(findings), len(frames))


def _try_fit(plate: Plate, frame: Pixels) -> FittedPlate | PlateError:
    try:
        return fit_plate(plate, Frame(frame))
    except PlateError as refused:
        return refused
