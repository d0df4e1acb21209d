""":class:`Frame`, the input of a keyer, and :class:`Matte`, its result.

:class:`Padding` brings any size to the multiple that a network needs, and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.errors import InputError, OptionError

Pixels = npt.NDArray[Any]
"""uint8 or uint16, RGB ``(height, width, 3)``; full range of the type, gamma-encoded as in the source."""

Light = npt.NDArray[np.float32]
"""Linear light, ``(height, width, 3)``; 1.0 is white, more is brighter, below 0 is outside of the gamut."""

StoredLight = npt.NDArray[np.floating[Any]]
"""Linear light as float16 or float32, the type that a file stores."""

Float32Array = npt.NDArray[np.float32]
"""Maps and networks' arrays: alpha, error, residual, windows of the refiner."""

Float64Array = npt.NDArray[np.float64]
"""Points, matrices and tables of double precision."""

HalfArray = npt.NDArray[np.float16]
"""Pixels of a file of linear light."""

FloatArray = npt.NDArray[np.floating[Any]]
"""Floats of any precision."""

BoolArray = npt.NDArray[np.bool_]
"""Masks."""

ByteArray = npt.NDArray[np.uint8]
"""Pictures and masks of 8 bits."""

IndexArray = npt.NDArray[np.intp]
"""Rows, columns and other positions."""

AnyArray = npt.NDArray[Any]
"""An array whose type the docstring tells."""

MINIMUM_SIDE = 32

PREVIEW_SIDE = 1024

NEARLY_SQUARE = 0.015
"""Largest difference of a pixel's aspect from 1 that counts as square: the rounding of sizes by encoders."""

ODDEST_ASPECT = 4
"""Limit of a pixel's aspect and of its inverse: more is a wrong tag. Lenses squeeze up to 2 times, VCD up to
2.2."""


def check_pixels(pixels: Pixels, what: str = "the picture") -> None:
    """Raise :class:`InputError` unless ``pixels`` is uint8 or uint16 RGB of at least 32 x 32."""
    if not isinstance(pixels, np.ndarray):
        raise InputError(f"Expected {what} as a NumPy array, got {type(pixels).__name__}.")
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise InputError(f"Expected {what} as RGB of shape (height, width, 3), got {pixels.shape}.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"Expected {what} as uint8 or uint16, got {pixels.dtype}.",
            "scale floats in [0, 1] by 255 or 65535 and convert",
        )
    height, width = pixels.shape[:2]
    if min(height, width) < MINIMUM_SIDE:
        raise InputError(
            f"{what[0].upper()}{what[1:]} is {width}x{height}; "
            f"cleanplate needs {MINIMUM_SIDE} pixels a side at least."
        )


def check_array(array: object, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless this is an array of a type and shape."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is no array")
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} is an array of {array.dtype} {array.shape}")


def _check_light(light: StoredLight | None, pixels: Pixels) -> None:
    if light is not None and (light.shape != pixels.shape or light.dtype not in (np.float16, np.float32)):
        raise InputError(f"Expected light as float32 {pixels.shape}, got {light.dtype} {light.shape}.")


def to_depth(pixels: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Convert between uint8 and uint16, full range to full range, rounded; no copy if the type is right."""
    if pixels.dtype == dtype:
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(np.multiply(pixels, 257, dtype=np.uint16))
    import cv2  # imported late, so that the command line starts quickly

    # Not a shift: 65535 / 257 is exactly 255.
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1 / 257)).reshape(pixels.shape)


def alpha_to_float(alpha: AnyArray) -> Float32Array:
    """Convert alpha of uint8 or uint16 to float32 in [0, 1]."""
    return np.asarray(alpha * np.float32(1 / np.iinfo(alpha.dtype).max), np.float32)


@dataclass(frozen=True)
class Frame:
    """One picture of the source, with its time.

    Attributes:
        pixels: uint8 or uint16 RGB, ``(height, width, 3)``.
        pts: Presentation time in units of ``time_base``.
        time_base: Seconds per unit, exact.
        duration: Time on screen in units of ``time_base``; None if unknown.
        index: Position in the source, counted from 0.
        light: Linear light of a source of floats; ``pixels`` are its sRGB code values, clipped to their
            range. None for all other sources.
        sent: The pixels during their upload to a device, from :meth:`cleanplate.router.DeviceRouter.send`;
            None before the upload.
        alpha: Alpha channel of the source, ``(height, width)`` in the type of ``pixels``, which are then
            straight colour; None for opaque sources.
        icc_profile: ICC profile of the pixels; None: sRGB.
        white_balance: With which a camera RAW was developed (red, green, blue, second green); None for all
            others.
        space: Name of the colour space of log and ACES sources, as OpenColorIO knows it; None: code values
            for a display.
        coded: The frame in its own colour space, if ``pixels`` are a display rendering of it; None for all
            others.
        pixel_aspect: Width of a pixel divided by its height: 4/3 for HDV and for anamorphic lenses of 1.33.

    Raises:
        InputError: The pixels have another shape or type, or are smaller than 32 x 32; or the light or the
            alpha do not fit the pixels.
    """

    pixels: Pixels
    pts: int = 0
    time_base: Fraction = Fraction(1, 1000)
    duration: int | None = None
    index: int = 0
    light: StoredLight | None = None
    sent: Any = None
    alpha: npt.NDArray[Any] | None = None
    icc_profile: bytes | None = None
    white_balance: tuple[float, float, float, float] | None = None
    space: str | None = None
    coded: Frame | None = None
    pixel_aspect: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        check_pixels(self.pixels, "the frame")
        _check_light(self.light, self.pixels)
        alpha, size = self.alpha, (self.height, self.width)
        if alpha is not None and (alpha.shape != size or alpha.dtype != self.pixels.dtype):
            raise InputError(
                f"Expected the frame's alpha as {self.pixels.dtype} {size}, got {alpha.dtype} {alpha.shape}."
            )

    def __repr__(self) -> str:
        return f"<Frame {self.index}: {self.width}x{self.height} {self.pixels.dtype}>"

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def time_seconds(self) -> Fraction:
        """Exact time of presentation."""
        return self.pts * self.time_base

    @property
    def stretch(self) -> float:
        """The aspect of its pixels; 1 for nearly square ones and for wrong tags."""
        aspect = float(self.pixel_aspect)
        wrong = not 1 / ODDEST_ASPECT <= aspect <= ODDEST_ASPECT
        return 1.0 if wrong or abs(aspect - 1) <= NEARLY_SQUARE else aspect


@dataclass(frozen=True)
class Matte:
    """Alpha and straight foreground colour of one frame.

    Attributes:
        alpha: float32 in [0, 1], ``(height, width)``.
        foreground: The subject's own colour, not multiplied by alpha; shape and type of ``frame.pixels``.
        frame: The keyed frame, with its pixels and time.
        shadow: Share of light that the subject takes from the background, float32 in [0, 1], ``(height,
            width)``; None unless it was measured.
        plate: The plate registered to this frame, shaped and typed like it; None where none was used.
        light: The foreground in linear light, if the frame has light and the matte is finished; otherwise
            None.
        error: Error of alpha that the coarse network expects, float32 in [0, 1], ``(height, width)``; None
            unless requested.
        refined: Mask of the refined pixels, bool ``(height, width)``; None unless requested.

    Raises:
        InputError: Shapes or types do not belong together.
    """

    alpha: npt.NDArray[np.float32]
    foreground: Pixels
    frame: Frame
    shadow: npt.NDArray[np.float32] | None = None
    plate: Pixels | None = None
    light: Light | None = None
    error: npt.NDArray[np.float32] | None = None
    refined: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        size = (self.frame.height, self.frame.width)
        for name, map_ in (("alpha", self.alpha), ("shadow", self.shadow), ("error", self.error)):
            if map_ is not None and (map_.shape != size or map_.dtype != np.float32):
                raise InputError(
                    f"Expected {name} as float32 of shape {size}, got {map_.dtype} {map_.shape}."
                )
        like = self.frame.pixels
        for name, picture in (("foreground", self.foreground), ("plate", self.plate)):
            if picture is not None and (picture.shape != like.shape or picture.dtype != like.dtype):
                raise InputError(
                    f"Expected {name} as {like.dtype} {like.shape}, got {picture.dtype} {picture.shape}."
                )
        _check_light(self.light, like)
        if self.refined is not None and (self.refined.shape != size or self.refined.dtype != np.bool_):
            raise InputError(
                f"Expected refined as bool of shape {size}, got {self.refined.dtype} {self.refined.shape}."
            )

    def __repr__(self) -> str:
        share = float(self.alpha.mean())
        size = f"{self.frame.width}x{self.frame.height} {self.frame.pixels.dtype}"
        return f"<{type(self).__name__} of frame {self.frame.index}: {size}, alpha covers {share:.1%}>"

    def _repr_png_(self) -> bytes:
        """Show the cut-out in a notebook, reduced to a long side of at most 1024 pixels."""
        return preview_png(self.alpha, self.foreground)


def preview_png(alpha: npt.NDArray[np.float32], foreground: Pixels) -> bytes:
    """A small cut-out of 8 bits as PNG: straight RGBA."""
    import cv2  # imported late, so that the command line starts quickly

    height, width = alpha.shape
    scale = min(1.0, PREVIEW_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    colour = cv2.resize(to_depth(foreground, np.uint8), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(np.rint(alpha * 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".png", np.dstack([colour[..., ::-1], small]))
    return encoded.tobytes()


@dataclass(frozen=True)
class Padding:
    """Rows and columns added below and to the right so that both sides are multiples of ``multiple``.

    The picture's edge is repeated, so that a network sees no artificial border.

    >>> Padding.of(1080, 1918, 4)
    Padding(height=1080, width=1918, below=0, right=2)
    """

    height: int
    width: int
    below: int
    right: int

    @classmethod
    def of(cls, height: int, width: int, multiple: int) -> Padding:
        if multiple < 1:
            raise OptionError(f"Expected a multiple of at least 1, got {multiple}.")
        return cls(height, width, -height % multiple, -width % multiple)

    @property
    def padded_size(self) -> tuple[int, int]:
        """``(height, width)`` after :meth:`pad`."""
        return self.height + self.below, self.width + self.right

    def pad(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Repeat the last row and column of ``(height, width, ...)``; no copy if no padding is needed."""
        if not (self.below or self.right):
            return picture
        extra = [(0, self.below), (0, self.right)] + [(0, 0)] * (picture.ndim - 2)
        return np.pad(picture, extra, mode="edge")

    def crop(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the padding off ``(height, width, ...)`` again, as a view."""
        return picture[: self.height, : self.width]
