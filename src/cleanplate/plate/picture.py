"""The plate as a picture: loading, and conversion to the frame's size and type."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.errors import InputError, PlateError, spell
from cleanplate.frame import AnyArray, BoolArray, Frame, Pixels, StoredLight, check_pixels, to_depth
from cleanplate.media import is_sequence, open_source
from cleanplate.media.colour.icc import convert_colours, same_colours
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.picture_inputs import is_image, take_picture
from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES
from cleanplate.media.stills.raw import WhiteBalance
from cleanplate.plate.registration.camera_move import largest_move
from cleanplate.plate.sampling import spread_frames, take_median
from cleanplate.system.pipes import is_standard

if TYPE_CHECKING:
    from PIL import Image

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

SURE_CONFIDENCE = 0.5
"""Confidence from which a pixel of a built plate counts as background. A choice, the middle of the scale: see
``ENOUGH_SAMPLES`` of ``background_model``."""

CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mxf", ".mpg", ".mpeg", ".wmv"}
)
"""Files that are clips, by their names; everything else is opened as a picture."""

MOST_MEDIAN_FRAMES = 15
"""Most frames of a plate's clip that are in memory: the noise of a median of 15 is a third of that of one
frame."""

MEDIAN_BYTES = 512 << 20
"""Most bytes of these frames and of the copy that is sorted for the median. A choice."""

MOVING_SHARE = 0.03
"""Motion of the camera in a plate clip, in widths, from which it is refused as one picture: that of
``plate check``."""

SHAKEN_SHARE = 0.003
"""Motion from which a note is given: six pixels of HD, which the median visibly blurs."""

LARGEST_STRETCH = 0.015
"""Largest relative difference of aspect ratios: rounding of resized pictures, not another crop."""


@dataclass(frozen=True)
class Plate:
    """A picture of the empty set, as shot.

    Attributes:
        pixels: uint8 or uint16 RGB, ``(height, width, 3)``; any size.
        path: The source file, for messages.
        known: bool ``(height, width)``, False in guessed pixels, which count as unknown; None: all True.
        notes: Notes on its origin for the user, in sentences.
        icc_profile: ICC profile of the pixels; None: sRGB. ``"frame"``: the frame's own, as for pixels
            without a file.
        white_balance: With which a camera RAW was developed; None for all others.
        light: Linear light of a file of floats, ``(height, width, 3)``; None for all others.
        space: Colour space of a log or ACES file, from its metadata; None: unknown, or for displays.

    Raises:
        InputError: The pixels have another shape or type, or are smaller than 32 x 32.
    """

    pixels: Pixels
    path: Path | None = None
    known: BoolArray | None = None
    notes: tuple[str, ...] = ()
    icc_profile: bytes | Literal["frame"] | None = "frame"
    white_balance: WhiteBalance | None = None
    light: StoredLight | None = None
    space: str | None = None

    def __post_init__(self) -> None:
        check_pixels(self.pixels, self.name)
        if self.known is not None and self.known.shape != self.pixels.shape[:2]:
            raise InputError(
                f"Expected the known mask of {self.name} as {self.pixels.shape[:2]}, got {self.known.shape}."
            )

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<Plate {self.path.name if self.path else ''}: {width}x{height} {self.pixels.dtype}>"

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"the plate '{self.path.name}'" if self.path else "the plate"

    @property
    def title(self) -> str:
        """The same at the start of a sentence."""
        return f"T{self.name[1:]}"

    def with_colours_of(self, frame: Frame | Picture) -> Plate:
        """Bring the plate into a frame's colours; return it unchanged if they are alike.

        The plate is converted to the frame's ICC profile (None: sRGB). A plate that is camera RAW is
        developed again with the white balance of a frame that is RAW, too.

        Raises:
            InputError: The plate's file cannot be read any more.
        """
        wanted = frame.white_balance
        if self.path and self.white_balance and wanted and self.white_balance != wanted:
            pixels = read_image(self.path, white_balance=wanted).pixels
            return replace(self, pixels=pixels, white_balance=wanted).with_colours_of(frame)
        if self.icc_profile == "frame" or same_colours(self.icc_profile, frame.icc_profile):
            return self
        pixels = convert_colours(self.pixels, self.icc_profile, frame.icc_profile)
        return replace(self, pixels=pixels, icc_profile=frame.icc_profile)

    def with_shape_of(self, frame: Frame) -> Plate:
        """Bring the plate into the shape of a frame whose pixels are not square.

        A plate of the frame's stored proportions counts as stored like it. One of the proportions in which
        the frame is shown has square pixels, and its width is changed. The plate is returned unchanged if the
        frame's pixels are square, or if it has neither proportions.
        """
        stretch = frame.stretch
        if stretch == 1:
            return self
        height, width = self.pixels.shape[:2]
        aspect, named = width / height, f"{frame.pixel_aspect.numerator}:{frame.pixel_aspect.denominator}"
        stored = frame.width / frame.height
        if abs(aspect / stored - 1) <= LARGEST_STRETCH:
            note = f"{self.title} counts as stored like the frame, with pixels of {named}."
            return replace(self, notes=(*self.notes, note))
        if abs(aspect / (stored * stretch) - 1) > LARGEST_STRETCH:
            return self
        narrow = max(1, round(height * stored))
        note = f"{self.title} has square pixels: its width was changed for the frame's pixels of {named}."
        known = self.known
        if known is not None:
            small = cv2.resize(known.view(np.uint8), (narrow, height), interpolation=cv2.INTER_NEAREST)
            known = small.view(np.bool_)
        interpolation = cv2.INTER_AREA if narrow < width else cv2.INTER_CUBIC
        pixels = np.asarray(cv2.resize(self.pixels, (narrow, height), interpolation=interpolation))
        return replace(self, pixels=pixels, known=known, notes=(*self.notes, note))


def load_plate(source: str | os.PathLike[str] | Pixels | Image.Image | Plate) -> Plate:
    """Load a plate from a picture file, a clip, an array or a Pillow image; return a plate unchanged.

    The plate of a clip or a numbered sequence is the median of some frames, with a note. A file from
    ``plate build`` has its confidence map beside it (``name.confidence.png``). Transparent parts of a picture
    are unknown.

    Raises:
        InputError: The file is missing or unreadable, or the array is not RGB of uint8 or uint16.
    """
    if isinstance(source, Plate):
        return source
    if is_image(source):
        taken = take_picture(source)
        return Plate(taken.pixels, icc_profile=taken.icc_profile)
    if isinstance(source, np.ndarray):
        return Plate(source)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"Expected the plate as a path, pixels or an image, got {type(source).__name__}.")

    path = Path(source)
    if is_clip(path):
        return _take_from_clip(path)
    picture = read_image(path)
    pixels, opaque = picture.pixels, _opaque_parts(picture.alpha)
    beside = confidence_path(path)
    if is_standard(path) or not beside.is_file():
        return Plate(
            pixels,
            path,
            opaque,
            icc_profile=picture.icc_profile,
            white_balance=picture.white_balance,
            light=picture.light,
            space=picture.tags.space,
        )
    confidence = read_image(beside).pixels
    if confidence.shape != pixels.shape:
        raise InputError(
            f"{beside.name} is {confidence.shape[1]}x{confidence.shape[0]}, "
            f"{path.name} {pixels.shape[1]}x{pixels.shape[0]}.",
            "build the plate again, or remove the file that does not belong to it",
        )
    known = confidence[..., 0] >= SURE_CONFIDENCE * np.iinfo(confidence.dtype).max
    known = known if opaque is None else known & opaque
    return Plate(pixels, path, known, icc_profile=picture.icc_profile)


def _opaque_parts(alpha: AnyArray | None) -> BoolArray | None:
    """Known pixels of a plate with alpha: True where it is opaque; None if it is all opaque."""
    known = None if alpha is None else alpha == np.iinfo(alpha.dtype).max
    return None if known is None or known.all() else known


def is_clip(path: Path) -> bool:
    """Tell whether a file name is that of a clip, not of a picture."""
    if is_sequence(path):
        return True
    return path.suffix.lower() in CLIP_SUFFIXES - IMAGE_SUFFIXES


def _take_from_clip(path: Path) -> Plate:
    """The median of frames from all over a clip of the empty set.

    Raises:
        InputError: It has no frames.
        PlateError: Its camera moves far.
    """
    with open_source(path) as clip:
        # A frame of 4K is 25 MB: fewer of them, within the same memory.
        size = clip.info.height * clip.info.width * (6 if clip.info.bit_depth > 8 else 3)
        most = max(3, min(MOST_MEDIAN_FRAMES, MEDIAN_BYTES // (2 * size)))
        pictures = spread_frames(clip, most)
        space = clip.info.space
    if not pictures:
        raise InputError(f"The plate '{path.name}' has no frames.")
    if len(pictures) == 1:
        note = f"The plate '{path.name}' is a clip of one frame; that frame is the plate."
    else:
        note = f"The plate '{path.name}' is a clip: the median of {len(pictures)} of its frames was taken."
    notes = [note]
    if (move := largest_move(pictures)) >= SHAKEN_SHARE:
        hint = "match it frame by frame with --plate-motion=search, index or timecode"
        moved = f"The camera moves in the plate '{path.name}', by {move:.1%} of the width"
        if move >= MOVING_SHARE:
            raise PlateError(f"{moved}: it has no single picture.", hint)
        notes.append(spell(f"{moved}, so its median is blurred: {hint}."))
    return Plate(take_median(pictures), path, notes=tuple(notes), space=space)


def confidence_path(plate: Path) -> Path:
    """Path of the confidence map of a built plate."""
    return plate.with_name(f"{plate.stem}.confidence.png")


def match_size(plate: Plate, height: int, width: int, dtype: npt.DTypeLike) -> Pixels:
    """Convert the plate's pixels to the frame's size and type; return the same array if they match.

    Raises:
        PlateError: The aspect ratios differ.
    """
    plate_height, plate_width = plate.pixels.shape[:2]
    if abs(plate_width * height / (plate_height * width) - 1) > LARGEST_STRETCH:
        turned = abs(plate_height * height / (plate_width * width) - 1) <= LARGEST_STRETCH
        raise PlateError(
            f"{plate.title} is {plate_width}x{plate_height}, "
            f"the frame {width}x{height}: another aspect ratio.",
            "turn the plate by 90 degrees" if turned else "shoot or crop the plate like the frame",
        )
    return to_depth(resize(plate.pixels, height, width), dtype)


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize by area to shrink, by bicubic interpolation to enlarge."""
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0]
    return np.asarray(
        cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    )
