"""Display rendering of log and ACES pictures, and the way back, by OpenColorIO: the extra ``vfx``.

The rendering is the view of the configuration for an sRGB display. ACES 2 takes 0.7 s for a frame of 1080p,
so it is computed once on a lattice of 65 x 65 x 65 colours, between which OpenColorIO interpolates
(tetrahedra, 50 ms).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray, Float64Array, FloatArray, Light, Pixels, to_depth
from cleanplate.media.colour.camera_spaces import (
    SRGB_WORD,
    config_name,
    find_space,
    load_config,
    load_library,
)
from cleanplate.media.colour.transfer import SRGB, Curve, curve_of, encode, register_curve

LATTICE = 65
"""Colours on a side of the lattice. Mean error of the rendering of S-Log3 0.10 of 255 steps, with 33 0.33;
of the way back 0.16 of 1023, with 33 1.6 (colours within the display's gamut)."""

_PER_CHANNEL = 1e-4
"""Largest relative error up to which a space counts as one curve per channel and a matrix. Found: 2e-7 for
the spaces of cameras and of ACES, 0.3 for film densities (ADX)."""

# XYZ of ACES2065-1 (SMPTE ST 2065-1), and the whites of ACES and of most cameras.
_AP0_TO_XYZ = np.array(
    ((0.9525523959, 0.0, 0.0000936786), (0.3439664498, 0.7281660966, -0.0721325464), (0.0, 0.0, 1.0088251844))
)
_D60_XY, _D65_XY = (0.32168, 0.33767), (0.3127, 0.3290)
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
_CAT02 = np.array(((0.7328, 0.4296, -0.1624), (-0.7036, 1.6975, 0.0061), (0.0030, 0.0136, 0.9834)))


@dataclass(frozen=True)
class DisplayView:
    """One colour space with its display rendering.

    Attributes:
        name: The configuration's name of the space.
        is_linear: Whether its values are scene-linear light.
        transfer: Name of its curve in :mod:`cleanplate.media.colour.transfer`; None if it has no curve per
            channel.
        chromaticities: x and y of its red, green, blue and white; None if unknown.
    """

    name: str
    is_linear: bool
    transfer: str | None
    chromaticities: tuple[float, ...] | None
    _show: _Conversion
    _recover: _Conversion
    _to_lattice: _Conversion | None
    _from_lattice: _Conversion | None

    def render(self, pixels: Pixels | FloatArray) -> Pixels:
        """Render for a display.

        Args:
            pixels: The space's code values, uint8 or uint16, or its values as floats, ``(..., 3)``.

        Returns:
            sRGB code values, uint16.
        """
        is_codes = pixels.dtype.kind == "u"
        values = to_depth(pixels, np.uint16) if is_codes else pixels.astype(np.float32, copy=False)
        if self._to_lattice is not None:
            values = self._to_lattice(values, np.float32)
        return self._show(values, np.uint16)

    def recover(self, shown: Pixels) -> Light:
        """The space's values that render to these code values; nearly the inverse of :meth:`render`.

        Args:
            shown: sRGB code values, uint8 or uint16 ``(..., 3)``.

        Returns:
            float32 of the same shape: code values in [0, 1], or light.
        """
        values = self._recover(to_depth(shown, np.uint16), np.float32)
        return values if self._from_lattice is None else self._from_lattice(values, np.float32)

    def convert_from(self, values: Pixels | Light, space: str) -> Light:
        """Convert values of another space to this one's.

        Args:
            values: Code values, uint8 or uint16, or floats, ``(..., 3)``.
            space: Their space; ``srgb``: a display's, as of :meth:`recover`.

        Returns:
            float32 of the same shape.
        """
        is_codes = values.dtype.kind == "u"
        if space == SRGB_WORD:
            return self.recover(values if is_codes else encode(values, SRGB, np.uint16))
        values = to_depth(values, np.uint16) if is_codes else values.astype(np.float32, copy=False)
        config = load_config(space)
        return _Conversion(load_library(space), config.getProcessor(space, self.name))(values, np.float32)

    def to_light(self, values: Light) -> Light:
        """Convert the space's values to linear light of its own primaries.

        Args:
            values: float32 ``(..., 3)``.

        Returns:
            float32 of the same shape; the same array if they are light already.
        """
        if self.is_linear or self.transfer is None:
            return values
        return np.asarray(curve_of(self.transfer).decode(values), np.float32)


def open_view(name: str) -> DisplayView:
    """The display rendering of a space.

    Args:
        name: A word of :data:`cleanplate.vocabulary.words.INPUT_COLOURS`, or a name of the configuration.

    Raises:
        OptionError: The configuration has no such space, or no rendering of it.
        InputError, MissingExtraError: As of :func:`cleanplate.media.colour.camera_spaces.load_config`.
    """
    return _make_view(find_space(name), config_name())


@lru_cache(maxsize=16)
def _make_view(name: str, _config: str) -> DisplayView:
    library, config = load_library(name), load_config(name)
    display = _choose_display(config)
    is_linear = config.getColorSpace(name).getEncoding() == "scene-linear"
    try:
        view = config.getDefaultView(display, name)
        # Light has no upper end, a lattice has: a logarithm is between them.
        lattice_space = config.getColorSpace("color_timing" if is_linear else name).getName()
        to_lattice = from_lattice = None
        if lattice_space != name:
            to_lattice = _Conversion(library, config.getProcessor(name, lattice_space))
            from_lattice = _Conversion(library, config.getProcessor(lattice_space, name))
        show, recover = (
            _bake(library, config.getProcessor(lattice_space, display, view, direction))
            for direction in (library.TRANSFORM_DIR_FORWARD, library.TRANSFORM_DIR_INVERSE)
        )
        transfer, chromaticities = _describe_light(library, config, name)
    except (library.Exception, AttributeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise OptionError(f"'{name}' cannot be rendered for the display '{display}': {reason}.") from None
    return DisplayView(name, is_linear, transfer, chromaticities, show, recover, to_lattice, from_lattice)


class _Conversion:
    """A conversion between two spaces, for pixels of any shape ``(..., 3)``."""

    def __init__(self, library: Any, processor: Any) -> None:
        self._library, self._processor = library, processor
        # By the types of both sides; making one of a lattice takes 1.3 ms.
        self._optimised: dict[tuple[bool, bool], Any] = {}

    def __call__(self, values: AnyArray, dtype: Any) -> AnyArray:
        """Convert uint16 over its full range, or float32, to one of these types."""
        values = np.ascontiguousarray(values)
        result = np.empty(values.shape, dtype)
        if not values.size:  # which OpenColorIO refuses
            return result
        types = values.dtype == np.float32, result.dtype == np.float32
        optimised = self._optimised.get(types)
        if optimised is None:
            depths = self._depth(values), self._depth(result)
            optimised = self._processor.getOptimizedCPUProcessor(*depths, self._library.OPTIMIZATION_DEFAULT)
            self._optimised[types] = optimised
        optimised.apply(self._describe(values), self._describe(result))
        return result

    def _depth(self, pixels: AnyArray) -> Any:
        return self._library.BIT_DEPTH_F32 if pixels.dtype == np.float32 else self._library.BIT_DEPTH_UINT16

    def _describe(self, pixels: AnyArray) -> Any:
        count, size = pixels.size // 3, pixels.itemsize
        order = self._library.CHANNEL_ORDERING_RGB
        return self._library.PackedImageDesc(
            pixels, count, 1, order, self._depth(pixels), size, 3 * size, pixels.nbytes
        )


def _choose_display(config: Any) -> str:
    """The configuration's first display for sRGB, else its default one."""
    displays = [str(display) for display in config.getDisplays()]
    return next((name for name in displays if "srgb" in name.lower()), str(config.getDefaultDisplay()))


def _bake(library: Any, processor: Any) -> _Conversion:
    """Compute a conversion of values in [0, 1] on the lattice."""
    steps = np.linspace(0, 1, LATTICE, dtype=np.float32)
    colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    table = library.Lut3DTransform(LATTICE)
    table.setData(_Conversion(library, processor)(colours, np.float32).reshape(-1))
    table.setInterpolation(library.INTERP_TETRAHEDRAL)
    # Another configuration without a cache: OpenColorIO 2.6 takes two tables of one size for the same.
    apart = library.Config.CreateRaw()
    apart.setProcessorCacheFlags(library.PROCESSOR_CACHE_OFF)
    return _Conversion(library, apart.getProcessor(table))


def _describe_light(library: Any, config: Any, name: str) -> tuple[str | None, tuple[float, ...] | None]:
    """Register the curve of a space, and find its primaries.

    The space of a camera is one curve for all channels, and a matrix that keeps greys. The conversion of
    greys to ``aces_interchange`` gives the curve, and that of colours the matrix.

    Returns:
        The name of the transfer, and the chromaticities; None twice for other spaces.
    """
    if not config.hasRole("aces_interchange"):
        return None, None
    to_aces = _Conversion(library, config.getProcessor(name, "aces_interchange"))
    from_aces = _Conversion(library, config.getProcessor("aces_interchange", name))

    def decode(codes: FloatArray) -> FloatArray:
        return _convert_greys(to_aces, codes)

    def encode(light: FloatArray) -> FloatArray:
        return _convert_greys(from_aces, light)

    colours = np.random.default_rng(0).uniform(0.1, 0.9, (500, 3)).astype(np.float32)
    light = decode(colours).astype(np.float64)
    aces = to_aces(colours, np.float32).astype(np.float64)
    matrix = np.linalg.lstsq(light, aces, rcond=None)[0]
    if np.abs(light @ matrix - aces).max() > _PER_CHANNEL * np.abs(aces).max():
        return None, None
    transfer = f"ocio:{config_name()}:{name}"
    least = float(decode(np.zeros(1, np.float32))[0])
    register_curve(transfer, Curve(decode, encode, least, of_scene=True))
    return transfer, _find_chromaticities(matrix.T)


def _convert_greys(convert: _Conversion, values: FloatArray) -> FloatArray:
    greys = np.repeat(np.asarray(values, np.float32).reshape(-1, 1), 3, axis=1)
    return np.ascontiguousarray(convert(greys, np.float32)[:, 1]).reshape(np.shape(values))


def _find_chromaticities(to_ap0: Float64Array) -> tuple[float, ...]:
    """The primaries of a matrix from light to ACES2065-1.

    Makers publish primaries of at most four digits, and configurations adapt white in one of three ways:
    not at all, after Bradford or by CAT02. The way with the roundest numbers is the one of the space.
    """
    to_xyz = _AP0_TO_XYZ @ to_ap0
    d60, d65 = (_white_xyz(xy) for xy in (_D60_XY, _D65_XY))
    found = []
    for cone, white in ((None, _D60_XY), (_BRADFORD, _D65_XY), (_CAT02, _D65_XY)):
        xyz = to_xyz
        if cone is not None:
            xyz = np.linalg.solve(cone, ((cone @ d65) / (cone @ d60))[:, None] * (cone @ to_xyz))
        xy = (xyz[:2] / xyz.sum(axis=0)).T.reshape(-1)
        rounded = np.round(xy, 4)
        found.append((float(np.abs(xy - rounded).sum()), (*(float(v) for v in rounded), *white)))
    return min(found)[1]


def _white_xyz(xy: tuple[float, float]) -> Float64Array:
    return np.array((xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]))
