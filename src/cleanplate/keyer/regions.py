"""Regions from the user: always subject (*keep*, a holdout matte) or never (*ignore*, a garbage matte).

A region is a picture or a video, white inside and grey at its soft edge, or one of two shapes::

    rect:X,Y,WIDTH,HEIGHT[,FEATHER]         rect:0,0.8,1,0.2,0.02
    polygon:X,Y,X,Y,X,Y,...[,feather=F]     polygon:0.1,0,0.5,0,0.3,0.7,feather=12px

Numbers are shares of the frame (of its width for x, of its height for y, of its longer side for the feather),
or pixels if they end in ``px``. Across the feather, which is centred on the shape's edge, the region falls
from 1 to 0; an edge on the frame's border is not feathered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.compositing.backdrops import VideoBackdrop
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Float32Array, Frame, Matte, Pixels
from cleanplate.keyer.drawings import check_shape, to_share
from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.picture_inputs import is_image, take_picture
from cleanplate.media.stills.picture_kinds import has_picture_suffix
from cleanplate.vocabulary import KeyerOptions

if TYPE_CHECKING:
    from PIL import Image

    from cleanplate.media.stills.decoded_picture import Picture

SHAPES = ("rect", "polygon")

BAND = 128
"""Rows that are drawn at a time; limits memory."""


_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*(px)?\s*")


class Region(Protocol):
    """A part of the frame, perhaps moving.

    Called with each frame in order, it returns float32 in [0, 1] of the frame's size: 1 inside. The array
    belongs to the region, may be the same for every frame, and must not be written to, also not by the region
    itself: frames before are still being keyed.
    """

    def __call__(self, frame: Frame) -> Float32Array: ...

    def close(self) -> None:
        """Free its resources."""
        ...


RegionSpec: TypeAlias = "str | os.PathLike[str] | npt.NDArray[np.generic] | Image.Image | Region"


def open_region(spec: RegionSpec) -> Region:
    """Make a region from the user's value.

    Args:
        spec: ``rect:...`` or ``polygon:...`` as above, the path of a picture or a video, an array
            ``(height, width)`` or ``(height, width, 3)`` of uint8, uint16 or float in [0, 1], an image of
            Pillow's, or a region, which is returned unchanged. Of a picture with an alpha channel, the opaque
            and bright part is inside.

    Raises:
        OptionError: The text is neither a shape nor a file.
        InputError: The file is unreadable, or the array is no such picture.
    """
    if is_image(spec):
        return _take_mask(take_picture(spec), "the region")
    if isinstance(spec, np.ndarray):
        return PictureRegion(_to_mask(spec), "the region")
    if isinstance(spec, str):
        kind, colon, numbers = spec.partition(":")
        if colon and kind in SHAPES:
            return ShapeRegion(spec, kind, numbers)
    if isinstance(spec, (str, os.PathLike)):
        return _open_file(Path(spec))
    if callable(spec):
        return spec
    raise OptionError(f"Expected a region as text, path or array, got {type(spec).__name__}.")


class PictureRegion:
    """A picture of any size that has the frame's aspect ratio.

    Args:
        mask: float32 in [0, 1].
        name: Name in messages.
    """

    def __init__(self, mask: Float32Array, name: str) -> None:
        self._mask = mask
        self._name = name
        self._fitted: Float32Array | None = None

    def __call__(self, frame: Frame) -> Float32Array:
        """The picture at the frame's size.

        Raises:
            InputError: Another aspect ratio.
        """
        if self._fitted is None or self._fitted.shape != (frame.height, frame.width):
            self._fitted = _fit_mask(self._mask, frame, self._name)
        return self._fitted

    def close(self) -> None:
        self._fitted = None


class VideoRegion:
    """A video, matched to the frames by their times; it repeats at its end."""

    def __init__(self, path: Path) -> None:
        self._name = f"the region '{path.name}'"
        self._video = VideoBackdrop(path)
        self._shown: tuple[Pixels, PictureRegion] | None = None

    def __call__(self, frame: Frame) -> Float32Array:
        """Region of the video at the frame's time.

        Raises:
            InputError: Another aspect ratio.
        """
        pixels = self._video.at(frame)
        if self._shown is None or self._shown[0] is not pixels:
            self._shown = pixels, PictureRegion(_to_mask(pixels), self._name)
        return self._shown[1](frame)

    def snapshot(self) -> Fraction | None:
        """See :meth:`cleanplate.compositing.backdrops.VideoBackdrop.snapshot`."""
        return self._video.snapshot()

    def restore(self, snapshot: Fraction | None) -> None:
        """See :meth:`cleanplate.compositing.backdrops.VideoBackdrop.restore`."""
        self._video.restore(snapshot)

    def close(self) -> None:
        self._video.close()


@dataclass(frozen=True)
class _Length:
    """A length from the user: a share, or pixels."""

    value: float
    pixels: bool

    def of(self, side: int) -> float:
        return self.value if self.pixels else self.value * side


class ShapeRegion:
    """A rectangle or a polygon with a soft edge.

    Args:
        text: The user's text, for messages.
        kind: ``rect`` or ``polygon``.
        numbers: The text after the colon.

    Raises:
        OptionError: The numbers do not fit the shape.
    """

    def __init__(self, text: str, kind: str, numbers: str) -> None:
        self._text = text
        words = numbers.split(",")
        self._feather = _Length(0.0, False)
        if kind == "polygon":
            if words[-1].strip().startswith("feather="):
                self._feather = self._read(words.pop().partition("=")[2])
            lengths = [self._read(word) for word in words]
            if len(lengths) < 6 or len(lengths) % 2:
                raise self._complaint()
            self._corners = list(zip(lengths[::2], lengths[1::2], strict=True))
            self._extent = None
        else:
            lengths = [self._read(word) for word in words]
            if len(lengths) not in (4, 5) or min(lengths[2].value, lengths[3].value) <= 0:
                raise self._complaint()
            self._corners = [(lengths[0], lengths[1])]
            self._extent = (lengths[2], lengths[3])
            self._feather = lengths[4] if len(lengths) == 5 else self._feather
        if self._feather.value < 0:
            raise OptionError(f"The feather of the region '{text}' is below 0.")
        self._drawn: Float32Array | None = None

    def __call__(self, frame: Frame) -> Float32Array:
        """The shape at the frame's size."""
        if self._drawn is None or self._drawn.shape != (frame.height, frame.width):
            self._drawn = self._draw(frame.height, frame.width)
        return self._drawn

    def close(self) -> None:
        self._drawn = None

    def _draw(self, height: int, width: int) -> Float32Array:
        corners = [(x.of(width), y.of(height)) for x, y in self._corners]
        if self._extent is not None:
            (left, top), (wide, high) = corners[0], (self._extent[0].of(width), self._extent[1].of(height))
            corners = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]
        # An edge without a feather is as soft as a pixel is wide.
        feather = max(1.0, self._feather.of(max(height, width)))
        corners = [(_push_off(x, width, feather), _push_off(y, height, feather)) for x, y in corners]
        mask = np.empty((height, width), np.float32)
        for start in range(0, height, BAND):
            depth = _depth(corners, np.arange(start, min(start + BAND, height)), width)
            share = np.clip(0.5 + depth / feather, 0, 1)
            mask[start : start + BAND] = share if feather == 1 else share * share * (3 - 2 * share)
        return mask

    def _read(self, word: str) -> _Length:
        found = _NUMBER.fullmatch(word)
        if found is None:
            raise self._complaint()
        return _Length(float(found[1]), found[2] is not None)

    def _complaint(self) -> OptionError:
        return OptionError(
            f"'{self._text}' is not a region.",
            "write rect:x,y,width,height[,feather] or polygon:x,y,x,y,x,y,...[,feather=f] "
            "in shares of the frame, or in pixels as 120px",
        )


def _push_off(place: float, side: int, feather: float) -> float:
    """Move a corner on the frame's border out, so that its feather lies outside of the frame."""
    if place <= 0:
        return place - feather
    return place + feather if place >= side else place


def _depth(corners: list[tuple[float, float]], rows: npt.NDArray[np.int_], width: int) -> Float32Array:
    """Depth of each pixel's centre inside of a polygon, in pixels; negative outside (even-odd rule)."""
    y = (rows + np.float32(0.5))[:, None].astype(np.float32)
    x = (np.arange(width) + np.float32(0.5))[None].astype(np.float32)
    nearest = np.full((len(rows), width), np.inf, np.float32)
    inside = np.zeros((len(rows), width), bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        wide, high = x1 - x0, y1 - y0
        along = ((x - x0) * wide + (y - y0) * high) / max(wide * wide + high * high, 1e-12)
        along = np.clip(along, 0, 1)
        nearest = np.minimum(nearest, (x - x0 - along * wide) ** 2 + (y - y0 - along * high) ** 2)
        if high:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * wide / high)
    return np.where(inside, 1, -1) * np.sqrt(nearest, dtype=np.float32)


class Regions:
    """The regions of a keyer: one to keep, one to ignore, each perhaps missing.

    Args:
        options: The keyer's.

    Raises:
        OptionError, InputError: As of :func:`open_region`.
    """

    def __init__(self, options: KeyerOptions) -> None:
        self._keep = None if options.keep is None else open_region(options.keep)
        self._ignore = None if options.ignore is None else open_region(options.ignore)

    @property
    def is_empty(self) -> bool:
        """True if there is no region at all."""
        return self._keep is None and self._ignore is None

    def on(self, frame: Frame) -> tuple[Float32Array | None, Float32Array | None]:
        """The kept and the ignored region of the next frame, as :class:`Region` describes them."""
        return (
            None if self._keep is None else self._keep(frame),
            None if self._ignore is None else self._ignore(frame),
        )

    def snapshot(self) -> list[Fraction | None]:
        """States of moving regions, and None for the others."""
        both = (self._keep, self._ignore)
        return [region.snapshot() if isinstance(region, VideoRegion) else None for region in both]

    def restore(self, snapshots: Sequence[Fraction | None]) -> None:
        """Continue from a snapshot."""
        for snapshot, region in zip(snapshots, (self._keep, self._ignore), strict=True):
            if isinstance(region, VideoRegion):
                region.restore(snapshot)

    def close(self) -> None:
        """Close the regions that are files."""
        for region in (self._keep, self._ignore):
            if region is not None:
                region.close()


def apply_regions(matte: Matte, keep: Float32Array | None, ignore: Float32Array | None) -> Matte:
    """Take the subject out of ``ignore``, then put everything within ``keep`` into it.

    Where both overlap, ``keep`` wins. At its soft edge the matte fades into the frame itself: premultiplied
    colour and alpha are mixed, so that no dark or foreign colour appears.
    """
    alpha, foreground = matte.alpha, matte.foreground
    if ignore is not None:
        alpha = alpha * (1 - ignore)
    if keep is not None:
        rest = alpha * (1 - keep)
        alpha = rest + keep
        share = (keep / np.maximum(alpha, np.float32(1e-6)))[..., None]
        source = matte.frame.pixels
        mixed = foreground + (source - foreground.astype(np.float32)) * share
        foreground = np.where(share > 0, np.rint(mixed), foreground).astype(source.dtype)
    return Matte(alpha, foreground, matte.frame)


def _open_file(path: Path) -> Region:
    if "%" not in path.name and not path.is_file():
        what = "is a folder" if path.is_dir() else "is neither a shape nor a file"
        raise OptionError(f"The region '{path}' {what}.", "give rect:..., polygon:..., a picture or a video")
    if not has_picture_suffix(path) or "%" in path.name:
        return VideoRegion(path)
    return _take_mask(read_image(path), f"the region '{path.name}'")


def _take_mask(picture: Picture, name: str) -> Region:
    """A picture as a region; transparent parts are outside."""
    mask = _to_mask(picture.pixels)
    if picture.alpha is not None:
        mask = mask * _to_mask(picture.alpha)
    return PictureRegion(mask, name)


def _to_mask(pixels: npt.NDArray[np.generic]) -> Float32Array:
    """Grey of a picture, or the largest of its channels, in [0, 1]."""
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise InputError(f"Expected a region of shape (height, width), got {pixels.shape}.")
    grey = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    return to_share(grey, "region")


def _fit_mask(mask: Float32Array, frame: Frame, name: str) -> Float32Array:
    height, width = mask.shape
    check_shape(height, width, frame, name, "region")
    if (height, width) == (frame.height, frame.width):
        return mask
    interpolation = cv2.INTER_AREA if height >= frame.height else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(mask, (frame.width, frame.height), interpolation=interpolation), dtype=np.float32
    )
