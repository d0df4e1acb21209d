"""Backdrops from a user's value: a colour, ``blur``, a picture's or a video's path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from cleanplate.compositing.over import over
from cleanplate.compositing.still_backdrops import (
    Backdrop,
    BlurBackdrop,
    ColourBackdrop,
    PictureBackdrop,
    fill_frame,
    parse_colour,
)
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import MINIMUM_SIDE, Frame, Light, Pixels, alpha_to_float, check_pixels, to_depth
from cleanplate.media import open_source
from cleanplate.media.colour.icc import convert_colours, convert_light, same_colours
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.picture_inputs import is_image, take_picture
from cleanplate.media.stills.picture_kinds import has_picture_suffix

if TYPE_CHECKING:
    from PIL import Image

    from cleanplate.media.contract import Source
    from cleanplate.media.stills.decoded_picture import Picture

USUAL_FRAME_SECONDS = Fraction(1, 25)
"""Duration of a frame in seconds where the video states none."""


def open_backdrop(
    spec: str | os.PathLike[str] | Pixels | Image.Image | Backdrop,
    plate_pixels: Pixels | None = None,
    transfer: str | None = None,
    profile: bytes | None = None,
) -> Backdrop:
    """Make a backdrop from the user's value.

    Args:
        spec: ``#rrggbb``, a colour's name, ``blur`` (of the plate), the path of a picture or of a video, an
            array (uint8 or uint16 RGB), an image of Pillow's, or a backdrop, which is returned unchanged.
        plate_pixels: The plate, for ``blur``.
        transfer: Scale and blur pictures in linear light, decoded by this transfer function; None: in code
            values. Frames of a video are always scaled in code values, which is faster.
        profile: ICC profile of the photo: colours, pictures and videos are converted to
            it, from a picture's own profile or from sRGB. None: to sRGB. The plate already has the photo's.

    Raises:
        InputError: The file is missing, unreadable or without pictures.
        OptionError: The text is neither a colour nor a file, or ``blur`` was asked for without a plate.
    """
    if is_image(spec):
        return _lay_picture(take_picture(spec), transfer, profile)
    if isinstance(spec, np.ndarray):
        check_pixels(spec, "the backdrop")
        return PictureBackdrop(_to_space(spec, None, profile), transfer)
    if isinstance(spec, str):
        return _open_text(spec, plate_pixels, transfer, profile)
    if isinstance(spec, os.PathLike):
        return _open_file(Path(spec), transfer, profile)
    if callable(spec):
        return spec
    raise OptionError(f"Expected a backdrop as text, path or array, got {type(spec).__name__}.")


class VideoBackdrop:
    """A video, matched to the frames by their times; it repeats at its end.

    It shows its picture at the time since the first frame, also at another frame rate.
    One picture is in memory at a time; a frame earlier than the one before restarts the video.

    Args:
        path: The video, or a numbered sequence such as ``name_%05d.png``.
        profile: ICC profile to convert its frames to; None: no conversion.

    Raises:
        InputError: The video cannot be opened, or has no frames.
    """

    def __init__(self, path: str | os.PathLike[str], profile: bytes | None = None) -> None:
        self.path = Path(path)
        self._profile = profile
        self._origin: Fraction | None = None
        self._asked = Fraction(0)
        self._filled: Pixels | None = None
        self._loop_start = Fraction(0)
        self._open()

    def __call__(self, frame: Frame) -> Pixels:
        self.at(frame)
        return self._fill(frame)

    def light_for(self, frame: Frame) -> Light | None:
        """Linear light at the frame's time, from a sequence of floats; None for other videos."""
        self.at(frame)
        light = self._current.light
        if light is None:
            return None
        light = convert_light(light.astype(np.float32, copy=False), self._profile)
        return fill_frame(light, frame.height, frame.width, frame.stretch / self._current.stretch)

    def at(self, frame: Frame) -> Pixels:
        """The video's picture at the frame's time, in its own size and type."""
        if self._origin is None:
            self._origin = frame.time_seconds
        seconds = frame.time_seconds - self._origin
        if seconds < self._asked:
            self._source.close()
            self._open()
            self._origin, self._loop_start, seconds = frame.time_seconds, Fraction(0), Fraction(0)
        self._asked = seconds
        self._run_to(seconds)
        return self._current.pixels

    def snapshot(self) -> Fraction | None:
        """Time of the first frame, at which the video starts; None before it."""
        return self._origin

    def restore(self, snapshot: Fraction | None) -> None:
        """Run as if the first frame had been then."""
        self._origin = snapshot

    def __enter__(self) -> VideoBackdrop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the video."""
        self._source.close()

    def _open(self) -> None:
        self._source: Source = open_source(self.path)
        self._frames: Iterator[Frame] = iter(self._source)
        first = next(self._frames, None)
        if first is None:
            self._source.close()
            raise InputError(f"The backdrop '{self.path.name}' has no frames.")
        self._start = first.time_seconds
        self._show(first)
        self._next = next(self._frames, None)

    def _show(self, frame: Frame) -> None:
        self._current = frame
        self._filled = None

    def _run_to(self, seconds: Fraction) -> None:
        """Advance to the frame on screen at ``seconds``."""
        while True:
            while self._next is not None and self._time_of(self._next) <= seconds:
                self._show(self._next)
                self._next = next(self._frames, None)
            if self._next is not None or seconds < self._end():
                return
            # Whole loops ahead are skipped, not played.
            length = self._end() - self._loop_start
            self._loop_start += length * ((seconds - self._loop_start) // length)
            self._source.close()
            self._open()

    def _time_of(self, frame: Frame) -> Fraction:
        return self._loop_start + frame.time_seconds - self._start

    def _end(self) -> Fraction:
        """End time of the last frame, which is the current one."""
        rate = self._source.info.frame_rate
        shown = USUAL_FRAME_SECONDS
        if self._current.duration:
            shown = self._current.duration * self._current.time_base
        elif rate:
            shown = 1 / rate
        return self._time_of(self._current) + shown

    def _fill(self, frame: Frame) -> Pixels:
        wanted = frame.pixels
        filled = self._filled
        if filled is None or filled.shape != wanted.shape or filled.dtype != wanted.dtype:
            stretch = frame.stretch / self._current.stretch
            filled = fill_frame(self._current.pixels, frame.height, frame.width, stretch)
            filled = convert_colours(to_depth(filled, wanted.dtype), None, self._profile)
            filled = self._filled = np.ascontiguousarray(filled)
        return filled


def _open_text(
    spec: str, plate_pixels: Pixels | None, transfer: str | None, profile: bytes | None
) -> Backdrop:
    if spec == "blur":
        if plate_pixels is None:
            raise OptionError("The backdrop 'blur' needs a plate to blur.")
        return BlurBackdrop(plate_pixels, transfer=transfer)
    try:
        colour = parse_colour(spec)
    except OptionError:
        if spec.startswith("#"):
            raise
        return _open_file(Path(spec), transfer, profile)
    if same_colours(None, profile):
        return ColourBackdrop(colour)
    return PictureBackdrop(
        _to_space(np.full((MINIMUM_SIDE, MINIMUM_SIDE, 3), colour, np.uint8), None, profile)
    )


def _to_space(pixels: Pixels, source: bytes | None, target: bytes | None) -> Pixels:
    """Convert with 16 bits, because 8 bits are too coarse for a space with steep curves."""
    if same_colours(source, target):
        return pixels
    return convert_colours(to_depth(pixels, np.uint16), source, target)


def _open_file(path: Path, transfer: str | None, profile: bytes | None) -> Backdrop:
    if "%" not in path.name and not path.is_file():
        what = "is a folder" if path.is_dir() else "is neither a colour nor a file"
        raise OptionError(
            f"The backdrop '{path}' {what}.", "give '#rrggbb', a colour's name, 'blur', a picture or a video"
        )
    if not has_picture_suffix(path) or "%" in path.name:
        return VideoBackdrop(path, profile)
    return _lay_picture(read_image(path), transfer, profile)


def _lay_picture(picture: Picture, transfer: str | None, profile: bytes | None) -> Backdrop:
    """A picture as a backdrop; over black where it is transparent."""
    pixels = _to_space(picture.pixels, picture.icc_profile, profile)
    light = picture.light
    if light is not None and profile is not None:
        light = convert_light(light.astype(np.float32, copy=False), profile)
    if picture.alpha is None:
        return PictureBackdrop(pixels, transfer, light)
    alpha = alpha_to_float(picture.alpha)
    light = None if light is None else light * alpha[..., None]
    return PictureBackdrop(over(pixels, alpha, np.zeros_like(pixels)), transfer, light)
