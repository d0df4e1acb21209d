"""Hints from the user: white for the subject, black for the background, grey for unknown.

A hint is one of these:

- a picture: marks on the first frame;
- a folder of pictures: marks on single frames; the last number in a name is the frame's, counted from 0;
- a video, or a numbered sequence such as ``hint_%05d.png``: marks on every frame, matched by time.

Transparent parts of a picture say nothing, so that brush strokes on a transparent layer are a hint.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.compositing.backdrops import VideoBackdrop
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import AnyArray, BoolArray, Float32Array, Frame
from cleanplate.keyer.regions import LARGEST_STRETCH
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.picture_folders import list_images
from cleanplate.media.stills.picture_inputs import is_image, take_picture
from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from PIL import Image

HintSpec: TypeAlias = "str | os.PathLike[str] | npt.NDArray[np.generic] | Image.Image"

SIDE = 480
"""Longer side of hints in pixels, about that of a coarse alpha at 1920 x 1080: a hint is rough."""

WHITE, BLACK = 0.9, 0.1
"""Grey from which a pixel is subject, and up to which it is background. Chosen, not measured."""

LEAST_SHARE = 0.3
"""Share of a reduced pixel that a stroke has to cover; half would break thin lines."""

CONTACT = 5
"""Distance at which white and black that touch each other say nothing, in pixels of the reduced hint: the
edge of a rough matte is not where the subject ends. A matte moved by 11 pixels over the sample photo, whose
holes it closes: MAD 4.9 with 3, 5.2 with 5, 14.1 without it; 5 leaves room for mattes farther off."""

_NEXT = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class HintWord:
    """Strokes on one frame, at the size of :func:`hint_size`.

    Attributes:
        white: Pixels of the subject, bool ``(height, width)``.
        black: Pixels of the background.
    """

    white: BoolArray
    black: BoolArray


class HintSource(Protocol):
    """Words on frames, which are asked for in order.

    Attributes:
        carries: Whether words are to be carried to the frames after theirs.
    """

    carries: bool

    def word_on(self, frame: Frame, *, first: bool) -> HintWord | None:
        """The word on a frame; None without one.

        Raises:
            InputError: A picture cannot be read, has another aspect ratio, or says nothing.
        """
        ...

    def snapshot(self) -> Fraction | None:
        """State after the frames so far."""
        ...

    def restore(self, snapshot: Fraction | None) -> None:
        """Continue from a snapshot."""
        ...

    def close(self) -> None:
        """Close its files."""
        ...


def open_hint(spec: HintSpec) -> HintSource:
    """Open a hint from the user's value.

    Args:
        spec: Path of a picture, a folder, a video or a sequence; an array ``(height, width)``, ``(height,
            width, 3)`` or ``(height, width, 4)`` of uint8, uint16, bool or float in [0, 1]; or an image of
            Pillow's.

    Raises:
        OptionError: There is no such file.
        InputError: It cannot be read.
    """
    if is_image(spec):
        picture = take_picture(spec)
        return PictureHints({None: (picture.pixels, picture.alpha)})
    if isinstance(spec, np.ndarray):
        return PictureHints({None: _split_array(spec)})
    if not isinstance(spec, (str, os.PathLike)):
        raise OptionError(f"Expected a hint as path or array, got {type(spec).__name__}.")
    path = Path(spec)
    if path.is_dir():
        return PictureHints(_number_pictures(path))
    if "%" not in path.name and not path.is_file():
        raise OptionError(f"The hint '{path}' is not a file.", "give a picture, a folder or a video")
    if path.suffix.lower() in IMAGE_SUFFIXES and "%" not in path.name:
        return PictureHints({None: path})
    return VideoHint(path)


class PictureHints:
    """Words on single frames.

    Args:
        pictures: File, or pixels and alpha, by the number of the frame; None is the first frame.
    """

    carries = True

    def __init__(self, pictures: dict[int | None, Path | tuple[AnyArray, AnyArray | None]]) -> None:
        self._pictures = pictures

    def word_on(self, frame: Frame, *, first: bool) -> HintWord | None:
        given = self._pictures.get(frame.index)
        if given is None and first:
            given = self._pictures.get(None)
        if given is None:
            return None
        name = "the hint"
        if isinstance(given, Path):
            name, picture = f"the hint '{given.name}'", read_image(given)
            given = picture.pixels, picture.alpha
        word = read_word(*given, frame, name)
        if not (word.white.any() or word.black.any()):
            raise InputError(f"{name[0].upper()}{name[1:]} has neither white nor black parts.")
        return word

    def snapshot(self) -> None:
        return None

    def restore(self, snapshot: Fraction | None) -> None:
        pass

    def close(self) -> None:
        pass


class VideoHint:
    """A word on every frame, from a video."""

    carries = False

    def __init__(self, path: Path) -> None:
        self._name = f"the hint '{path.name}'"
        self._video = VideoBackdrop(path)

    def word_on(self, frame: Frame, *, first: bool) -> HintWord | None:  # noqa: ARG002
        word = read_word(self._video.at(frame), None, frame, self._name)
        return word if word.white.any() or word.black.any() else None

    def snapshot(self) -> Fraction | None:
        return self._video.snapshot()

    def restore(self, snapshot: Fraction | None) -> None:
        self._video.restore(snapshot)

    def close(self) -> None:
        self._video.close()


def hint_size(frame: Frame) -> tuple[int, int]:
    """Height and width of hints on a frame: the frame's, reduced to a longer side of :data:`SIDE`."""
    scale = min(1.0, SIDE / max(frame.height, frame.width))
    return max(1, round(frame.height * scale)), max(1, round(frame.width * scale))


def read_word(pixels: AnyArray, alpha: AnyArray | None, frame: Frame, name: str = "the hint") -> HintWord:
    """Read the strokes of a picture.

    Args:
        pixels: ``(height, width)`` or ``(height, width, 3)`` of any size with the frame's aspect ratio.
        alpha: ``(height, width)``; transparent pixels say nothing.
        frame: The frame.
        name: Name of the picture in messages.

    Raises:
        InputError: Another aspect ratio.
    """
    height, width = pixels.shape[:2]
    if abs(width * frame.height / (height * frame.width) - 1) > LARGEST_STRETCH:
        raise InputError(
            f"{name[0].upper()}{name[1:]} is {width}x{height}, the frame {frame.width}x{frame.height}: "
            "another aspect ratio.",
            "draw the hint over a frame of the source",
        )
    grey = _to_share(pixels)
    if grey.ndim == 3:
        grey = np.asarray(cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY))
    speaks = np.ones(grey.shape, np.bool_) if alpha is None else _to_share(alpha) >= 0.5
    rows, columns = hint_size(frame)
    parts = ((grey >= WHITE) & speaks, (grey <= BLACK) & speaks)
    shares = [
        cv2.resize(part.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) for part in parts
    ]
    white = (shares[0] >= LEAST_SHARE) & (shares[0] >= shares[1])
    black = (shares[1] >= LEAST_SHARE) & ~white
    near = [cv2.dilate(part.astype(np.uint8), _NEXT) > 0 for part in (white, black)]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CONTACT + 1, 2 * CONTACT + 1))
    known = np.asarray(cv2.dilate((near[0] & near[1]).astype(np.uint8), disc) == 0)
    return HintWord(white & known, black & known)


def _to_share(picture: npt.NDArray[Any]) -> Float32Array:
    """Numbers of any type as float32 in [0, 1]."""
    if picture.dtype == np.bool_:
        return picture.astype(np.float32)
    if picture.dtype in (np.uint8, np.uint16):
        return np.asarray(picture * np.float32(1 / np.iinfo(picture.dtype).max), np.float32)
    if np.issubdtype(picture.dtype, np.floating):
        return np.clip(np.nan_to_num(picture.astype(np.float32)), 0, 1)
    raise InputError(f"Expected a hint of uint8, uint16 or float, got {picture.dtype}.")


def _split_array(array: AnyArray) -> tuple[AnyArray, AnyArray | None]:
    if array.ndim == 2 and array.size:
        return array, None
    if array.ndim == 3 and array.shape[2] in (3, 4) and array.size:
        return np.ascontiguousarray(array[..., :3]), array[..., 3] if array.shape[2] == 4 else None
    raise InputError(
        f"Expected a hint of shape (height, width), with 3 or 4 channels or none, got {array.shape}."
    )


def _number_pictures(folder: Path) -> dict[int | None, Path | tuple[AnyArray, AnyArray | None]]:
    """Pictures of a folder by the last number in their names."""
    numbered: dict[int | None, Path | tuple[AnyArray, AnyArray | None]] = {}
    for path in list_images(folder):
        found = re.findall(r"\d+", path.stem)
        if not found:
            raise InputError(
                f"The hint '{path.name}' has no number of a frame in its name.",
                "name hints after their frames, counted from 0: 0.png, 120.png",
            )
        numbered[int(found[-1])] = path
    return numbered
