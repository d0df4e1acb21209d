"""Findings on the plate as a picture: light, sharpness, compression, and a subject in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cleanplate.frame import Pixels
from cleanplate.plate.channel_order import SWAPPED_NOTE
from cleanplate.plate.checking.diagnosis import Finding
from cleanplate.plate.checking.image_quality import measure_blocks, measure_blur
from cleanplate.plate.checking.intruder import SUSPECT, Sight, judge_outlines
from cleanplate.plate.fit import NOTEWORTHY_BURNT, SEARCH_SIDE, FittedPlate
from cleanplate.plate.picture import Plate
from cleanplate.plate.structure import correlate, find_structure, reduce_picture

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

NOTICEABLE_STOPS, GRAVE_STOPS = 0.3, 1.5
"""Exposures, in stops, from which a finding names the difference, and from which it needs care. A choice:
beyond 1.5 stops highlights are clipped or shadows noisy."""

NOTICEABLE_TINT, GRAVE_TINT = 0.03, 0.2
"""The same for the difference between channels. A choice: 20% is a lamp of another kind."""

NOTICEABLE_BLUR = 0.7
"""Difference in blur, as sigma in pixels of HD, from which edges differ visibly."""

VISIBLE_BLOCKS = 2.5
"""Steps across the grid of blocks over those beside it: JPEG of quality 40 or less."""

LEAST_FRAMES = 3
"""Least frames for telling a thing in the plate from a thing in the frames."""

SMALL_INTRUDER = 0.02
"""Share of the plate below which a thing in it spoils only a corner of the matte."""

SAME = 0.8
"""Correlation of detail from which two neighbourhoods show the same thing."""


def check_exposure(stops: float, burnt: float) -> Finding:
    """Judge the difference of exposure, and the share of the frame where the plate is burnt out."""
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


def check_colour(fitted: FittedPlate) -> Finding:
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


def check_sharpness(fitted: FittedPlate, frame: Pixels) -> list[Finding]:
    """Compare blur where plate and frame show the same; empty if that is too little."""
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


def check_compression(plate: Plate) -> Finding:
    """Judge the steps across the plate's grid of JPEG blocks."""
    blocks = measure_blocks(plate.pixels)
    figures = {"blockiness": blocks}
    if blocks < VISIBLE_BLOCKS:
        return Finding("compression", "good", "No compression shows.", "", figures)
    message = f"It is compressed so far that its blocks show (steps of {blocks:.1f} times the usual)."
    return Finding("compression", "care", message, "save the plate with a higher quality, or as PNG", figures)


def check_subject(fitted: Sequence[FittedPlate], frames: Sequence[Pixels]) -> Finding:
    """Look for a subject, or another thing, that is in the plate and not in the frames."""
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
