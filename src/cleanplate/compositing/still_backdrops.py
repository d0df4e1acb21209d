"""Backdrops that do not change and need no file: a colour, a picture in memory, the blurred plate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray, Frame, Light, Pixels, StoredLight, check_pixels, to_depth
from cleanplate.media.colour.transfer import decode, encode


def parse_colour(text: str) -> tuple[int, int, int]:
    """Read ``#rrggbb``, ``#rgb``, ``rgb(0, 177, 64)`` or a CSS colour name as 8-bit red, green and blue.

    Raises:
        OptionError: It is not a colour.

    Examples:
        >>> parse_colour("#00b140")
        (0, 177, 64)
    """
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(text.strip())
    except ValueError:
        colour = None
    if colour is None or len(colour) != 3:
        raise OptionError(
            f"'{text}' is not a colour.", "write #rrggbb, or a name such as white, black, green"
        )
    return colour


class Backdrop(Protocol):
    """Backdrop: the picture behind the subject.

    Called with each frame in order, it returns pixels of that frame's size and type. The array belongs to the
    backdrop, may be the same for every frame, and must not be written to. :meth:`close` frees its resources.
    """

    def __call__(self, frame: Frame) -> Pixels: ...

    def close(self) -> None: ...


@runtime_checkable
class LightBackdrop(Backdrop, Protocol):
    """A backdrop that may have linear light beyond its code values."""

    def light_for(self, frame: Frame) -> Light | None:
        """Linear light, ``(height, width, 3)``, read-only; None if it has only code values."""
        ...


class StillBackdrop(ABC):
    """A backdrop that does not change: rendered once per size and type."""

    def __init__(self) -> None:
        self._rendered: Pixels | None = None

    def __call__(self, frame: Frame) -> Pixels:
        wanted = frame.pixels
        if (
            self._rendered is None
            or self._rendered.shape != wanted.shape
            or self._rendered.dtype != wanted.dtype
        ):
            # A copy, because a picture of the right size is returned unchanged and belongs to the caller.
            self._rendered = np.array(self._render(frame), order="C")
            self._rendered.flags.writeable = False
        return self._rendered

    def close(self) -> None:
        """Forget the rendered picture."""
        self._rendered = None

    @abstractmethod
    def _render(self, frame: Frame) -> Pixels:
        """Make pixels of this frame's size and type."""


class ColourBackdrop(StillBackdrop):
    """One colour, 8-bit red, green and blue, everywhere."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self.colour = colour

    def _render(self, frame: Frame) -> Pixels:
        colour = to_depth(np.array(self.colour, dtype=np.uint8), frame.pixels.dtype)
        return np.broadcast_to(colour, frame.pixels.shape)


class PictureBackdrop(StillBackdrop):
    """A picture that fills the frame, cropped around its centre.

    Args:
        pixels: uint8 or uint16 RGB of any size.
        transfer: Scale in linear light, by this transfer function; None: scale code values.
        light: Linear light of a picture of floats.

    Raises:
        InputError: The pixels have another shape or type.
    """

    def __init__(self, pixels: Pixels, transfer: str | None = None, light: StoredLight | None = None) -> None:
        super().__init__()
        check_pixels(pixels, "the backdrop")
        self.pixels = pixels
        self.transfer = transfer
        self.light = light
        self._filled: Light | None = None

    def light_for(self, frame: Frame) -> Light | None:
        """Linear light of the backdrop; see :class:`LightBackdrop`."""
        if self.light is None:
            return None
        if self._filled is None or self._filled.shape != frame.pixels.shape:
            light = self.light.astype(np.float32, copy=False)
            self._filled = fill_frame(light, frame.height, frame.width, frame.stretch)
        return self._filled

    def _render(self, frame: Frame) -> Pixels:
        dtype, target = frame.pixels.dtype, (frame.height, frame.width, frame.stretch)
        if self.transfer is None or self.pixels.shape == frame.pixels.shape:
            return to_depth(fill_frame(self.pixels, *target), dtype)
        return encode(fill_frame(decode(self.pixels, self.transfer), *target), self.transfer, dtype)


class BlurBackdrop(StillBackdrop):
    """The plate out of focus.

    Args:
        plate: The plate's pixels, uint8 or uint16 RGB.
        radius: Standard deviation of the blur as a share of the height, for the same look at every size.
        transfer: Blur in linear light, as a lens does, by this transfer function; None: blur code values.

    Raises:
        InputError: The plate has another shape or type.
        OptionError: The radius is not within (0, 1].
    """

    def __init__(self, plate: Pixels, radius: float = 0.02, transfer: str | None = None) -> None:
        super().__init__()
        check_pixels(plate, "the plate")
        if not 0 < radius <= 1:
            raise OptionError(f"Expected a blur radius within (0, 1], got {radius}.")
        self.plate = plate
        self.radius = radius
        self.transfer = transfer

    def _render(self, frame: Frame) -> Pixels:
        height, width, dtype = frame.height, frame.width, frame.pixels.dtype
        sigma = self.radius * height
        # A smaller copy holds all details of a wide blur; float keeps slow gradients smooth.
        shrink = max(1.0, sigma / 4)
        small_size = (max(1, round(height / shrink)), max(1, round(width / shrink)))
        plate = to_depth(fill_frame(self.plate, height, width, frame.stretch), dtype)
        if self.transfer is not None:
            plate = decode(plate, self.transfer)
        small = cv2.resize(plate, small_size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
        blurred = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
        large = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
        if self.transfer is not None:
            return encode(np.asarray(large), self.transfer, dtype)
        return np.asarray(np.clip(np.rint(large), 0, np.iinfo(dtype).max), dtype=dtype)


def fill_frame(pixels: AnyArray, height: int, width: int, stretch: float = 1.0) -> AnyArray:
    """Scale to cover ``height`` x ``width``, and crop evenly on both sides.

    Area averages to shrink, bicubic to enlarge; the same array if the size is right.

    Args:
        pixels: ``(height, width, ...)``.
        height: Rows of the result.
        width: Its columns.
        stretch: Aspect of the result's pixels over the aspect of the given ones.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    # Width of the frame in pixels like the given ones, for the same height.
    shown = width * stretch
    scale = max(height / pixels.shape[0], shown / pixels.shape[1])
    kept_height = min(pixels.shape[0], max(1, round(height / scale)))
    kept_width = min(pixels.shape[1], max(1, round(shown / scale)))
    top, left = (pixels.shape[0] - kept_height) // 2, (pixels.shape[1] - kept_width) // 2
    kept = pixels[top : top + kept_height, left : left + kept_width]
    if (kept_height, kept_width) == (height, width):
        return kept
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(kept, (width, height), interpolation=interpolation))
