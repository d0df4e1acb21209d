"""Reading and writing of EXR: scene-linear floats, premultiplied, with the file's metadata.

The OpenEXR library is the extra ``exr``. Networks see the floats as sRGB code values in 16 bits; the floats
themselves are passed on as light.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.errors import CleanplateError, InputError, MissingExtraError, OptionError
from cleanplate.frame import AnyArray, FloatArray, HalfArray, Light, Pixels, StoredLight
from cleanplate.media.colour.camera_spaces import space_of_primaries
from cleanplate.media.colour.h273 import Colour
from cleanplate.media.colour.transfer import SRGB, decode, encode
from cleanplate.media.contract import Encoding
from cleanplate.media.files import check_writable, find_system_error, reporting_write_errors
from cleanplate.media.stills.picture_kinds import check_budget
from cleanplate.media.stills.picture_tags import PictureTags, chromaticities_of, parse_timecode, primaries_of
from cleanplate.system.temporary_files import move_into_place, temporary_file

COMPRESSIONS = ("none", "rle", "zips", "zip", "piz", "dwaa", "dwab")
"""Compressions of EXR: the last two are lossy, with a level, as in ``dwaa:45``."""

EXTRA_CHANNELS = {"matte": "matte.A", "error": "error", "refine": "refine"}
"""Extra layers and the names of their channels, which ``dwaa`` must not treat as colour and blur."""

LARGEST_HALF = 65504.0
"""The largest half float; larger numbers are clipped to it."""


@dataclass(frozen=True)
class ExrPicture:
    """A picture of floats: code values of it (uint16), alpha likewise, its own light, and its tags."""

    pixels: Pixels
    alpha: AnyArray | None
    light: StoredLight
    tags: PictureTags


def read_exr(path: Path, budget_bytes: int | None) -> ExrPicture:
    """Read the first part that has red, green and blue, or only luminance; the unnamed layer first.

    The picture is the display window: the data window is placed in it, surrounded by black. Colour is divided
    by alpha if there is one above 0. NaN becomes 0, infinite light the largest half.

    Raises:
        InputError: Damaged, over the budget, or without such channels.
        MissingExtraError: The OpenEXR library is not installed.
    """
    library = _library(f"Reading {path.name}")
    with _explaining_damage(path):
        with library.File(str(path), header_only=True) as opened:
            headers = [dict(part.header) for part in opened.parts]  # emptied when it is closed
        number, names = _choose_part(path, headers)
        header = headers[number]
        tags = _tags(header)
        (left, top), (right, bottom) = (corner.tolist() for corner in header["displayWindow"])
        height, width = bottom - top + 1, right - left + 1
        (data_left, data_top), (data_right, data_bottom) = (c.tolist() for c in header["dataWindow"])
        data_size = (data_right - data_left + 1, data_bottom - data_top + 1)
        wide, high = max((width, height), data_size, key=math.prod)
        # The stored floats, the light and the codes are in memory at the same time.
        check_budget(path, wide, high, 4 * len(header["channels"]) + 24, budget_bytes, bits=16)
        with library.File(str(path), separate_channels=True) as opened:
            if len(opened.parts) != len(headers):
                raise ValueError("its pixels are cut short")
            stored = opened.parts[number].channels
            channels = [np.asarray(stored[name].pixels) for name in names]
    place = (data_top - top, data_left - left)
    planes = [_lay_into_window(channel, (height, width), place) for channel in channels]
    colour = np.stack(planes[:3] if len(planes) >= 3 else planes[:1] * 3, axis=-1)
    alpha = planes[-1] if len(planes) in (2, 4) else None
    if alpha is None:
        return ExrPicture(_codes(colour), None, colour, tags)
    light: StoredLight = colour
    weight = alpha.astype(np.float32)
    if not np.all(weight == 1):
        light = np.where(weight[..., None] > 0, light / np.where(weight > 0, weight, 1)[..., None], light)
        colour = light = np.clip(light, -LARGEST_HALF, LARGEST_HALF)
    codes = np.asarray(np.rint(np.clip(weight, 0, 1) * 65535), np.uint16)
    return ExrPicture(_codes(colour), codes, light, tags)


def _choose_part(path: Path, headers: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """The number of the part to read, and its channels: red, green, blue or luminance, and alpha."""
    for colour in (("R", "G", "B"), ("Y",)):
        for number, header in enumerate(headers):
            names = [channel.name for channel in header["channels"]]
            layers = dict.fromkeys(["", *(name[: name.rfind(".") + 1] for name in names)])
            for layer in layers:
                wanted = [layer + channel for channel in colour]
                # Luminance with chroma beside it (RY, BY) is another way to store colour.
                if all(name in names for name in wanted) and layer + "RY" not in names:
                    return number, wanted + [name for name in (layer + "A",) if name in names]
    found = ", ".join(channel.name for header in headers for channel in header["channels"][:8])
    raise InputError(
        f"{path} has no channels R, G and B, nor Y alone; it has {found}.", "save it as RGB or RGBA"
    )


def _lay_into_window(channel: AnyArray, size: tuple[int, int], place: tuple[int, int]) -> FloatArray:
    """Cut or fill a channel to the window, finite; half stays half."""
    kind = np.float16 if channel.dtype == np.float16 else np.float32
    channel = channel.astype(kind, copy=False)
    if not np.isfinite(channel).all():
        channel = np.nan_to_num(channel, nan=0.0, posinf=LARGEST_HALF, neginf=-LARGEST_HALF)
    if place == (0, 0) and channel.shape == size:
        return channel
    window = np.zeros(size, kind)
    (row, column), (height, width) = place, channel.shape
    rows = slice(max(row, 0), min(row + height, size[0]))
    columns = slice(max(column, 0), min(column + width, size[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        window[rows, columns] = channel[
            rows.start - row : rows.stop - row, columns.start - column : columns.stop - column
        ]
    return window


def _codes(colour: FloatArray) -> Pixels:
    if colour.dtype == np.float16:
        return np.asarray(_codes_of_halves()[colour.view(np.uint16)])
    return encode(colour, SRGB, np.uint16)


@lru_cache(maxsize=1)
def _codes_of_halves() -> npt.NDArray[np.uint16]:
    """The code value of each of the 65,536 halves."""
    halves = np.nan_to_num(np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32))
    return encode(halves, SRGB, np.uint16)


def _tags(header: Mapping[str, Any]) -> PictureTags:
    chromaticities = header.get("chromaticities")
    # Without the attribute it is BT.709, by the standard.
    name = "bt709" if chromaticities is None else primaries_of(tuple(chromaticities))
    rate, code = header.get("framesPerSecond"), header.get("timeCode")
    aspect = Fraction(float(header.get("pixelAspectRatio", 1.0))).limit_denominator(1000)
    timecode = None
    if code is not None:
        mark = ";" if code.dropFrame else ":"
        timecode = f"{code.hours:02}:{code.minutes:02}:{code.seconds:02}{mark}{code.frame:02}"
    return PictureTags(
        bit_depth=16,
        colour=Colour("full", "rgb", name or "unspecified", SRGB),
        chromaticities=tuple(float(v) for v in chromaticities) if chromaticities is not None else None,
        white_luminance=header.get("whiteLuminance"),
        frame_rate=rate if isinstance(rate, Fraction) and rate > 0 else None,
        timecode=timecode,
        pixel_aspect=aspect if aspect > 0 else Fraction(1),
        space=space_of_primaries(None if chromaticities is None else tuple(chromaticities)),
    )


def parse_compression(compression: str | None) -> tuple[str, float | None]:
    """Read ``zip``, ``dwaa`` or ``dwaa:45``: the name, and the level if there is one.

    Raises:
        OptionError: An unknown name, a level out of range, or a level for a compression without one.
    """
    name, _, text = (compression or "zip").partition(":")
    if name not in COMPRESSIONS:
        raise OptionError(
            f"Expected a compression from {', '.join(COMPRESSIONS)}, got '{compression}'.",
            "dwaa and dwab take a level, as in dwaa:45",
        )
    if not text:
        return name, None
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if name not in ("dwaa", "dwab") or not 0 <= level <= 10_000:
        raise OptionError(
            f"Expected a level from 0 to 10000 for dwaa or dwab, got '{compression}'.",
            "0 loses the least, 45 is usual",
        )
    return name, level


def check_exr_encoding(encoding: Encoding, path: Path) -> None:
    """Check the options of an encoding against EXR.

    Raises:
        OptionError: An option that EXR lacks, or an option of EXR for another format.
    """
    is_exr = path.suffix.lower() == ".exr"
    for name, value in (("compression", encoding.compression), ("extra channels", encoding.channels)):
        if value and not is_exr:
            raise OptionError(f"Only EXR takes {name}, but {path.name} is not EXR.", "write .exr")
    parse_compression(encoding.compression)
    for name in encoding.channels:
        if name not in EXTRA_CHANNELS:
            raise OptionError(f"Expected extra channels from {', '.join(EXTRA_CHANNELS)}, got '{name}'.")
    if len(set(encoding.channels)) != len(encoding.channels):
        raise OptionError(f"An extra channel is named twice: {', '.join(encoding.channels)}.")


def check_light(picture: FloatArray, channels: int, extra: int) -> None:
    """Raise :class:`OptionError` unless the number of channels is right; 1 stands for (H, W)."""
    found = 1 if picture.ndim == 2 else picture.shape[2] if picture.ndim == 3 else 0
    if found != channels + extra:
        raise OptionError(f"Expected light of {channels} + {extra} channels, got {picture.shape}.")


def describe_light(channels: int, *, premultiplied: bool) -> str:
    """Comment for the file on the meaning of its numbers."""
    if channels == 1:
        return "Plain numbers from 0 to 1, without a transfer function."
    told = "Scene-linear light; 1.0 is reference white."
    if channels < 4:
        return told
    return (
        f"{told} Colour is {'multiplied by alpha' if premultiplied else 'straight, not multiplied by alpha'}."
    )


def check_exr() -> None:
    """Raise :class:`MissingExtraError` unless the OpenEXR library is installed."""
    _library("Writing EXR")


def write_exr(
    path: Path,
    picture: FloatArray,
    *,
    tags: PictureTags,
    channels: tuple[str, ...] = (),
    compression: str | None = None,
    comments: str = "",
    overwrite: bool = False,
    scratch: Path | None = None,
) -> None:
    """Write half floats: grey ``(height, width)``, or RGB or RGBA with the extra channels behind it.

    Numbers are written unchanged, also alpha and data; numbers beyond a half become its largest. The
    file is written beside ``path`` under a temporary name and renamed at the end.

    Args:
        path: The file.
        picture: Floats, linear; ``(height, width)``, or with n extra channels ``(height, width, 3 + n)`` or
            ``(height, width, 4 + n)``.
        tags: Metadata for the file.
        channels: Names of the extra channels, of :data:`EXTRA_CHANNELS`.
        compression: As :func:`parse_compression` reads it; ``zip`` if None.
        comments: A sentence for users.
        overwrite: Replace an existing file.
        scratch: Folder of the temporary file, on the same file system; beside ``path`` if None.

    Raises:
        OutputError: It cannot be written.
        OptionError: A value is out of range.
        MissingExtraError: The OpenEXR library is not installed.
    """
    library = _library("Writing EXR")
    name, level = parse_compression(compression)
    if picture.ndim == 2 and name in ("dwaa", "dwab"):
        name, level = "zip", None  # it would blur data as it does luminance, and FFmpeg reads none of it
    check_writable(path, overwrite=overwrite)
    halves = picture if picture.dtype == np.float16 else to_half(picture)
    header: dict[str, Any] = {
        "type": library.scanlineimage,
        "compression": getattr(library, f"{'NO' if name == 'none' else name.upper()}_COMPRESSION"),
        "pixelAspectRatio": float(tags.pixel_aspect),
        **_attributes(tags, library),
    }
    if halves.ndim == 2:
        header.pop("chromaticities", None)  # data has no colours
    if comments:
        header["comments"] = comments
    if level is not None:
        header["dwaCompressionLevel"] = level
    planes = _name_planes(halves, channels)
    with reporting_write_errors(path), temporary_file(path, folder=scratch) as partial:
        try:
            # Its own threads are for one large file; a sequence has the stages of the pipeline.
            library.File(header, planes, 0).write(str(partial))
        except RuntimeError as error:
            raise find_system_error(partial, str(error)) from error
        move_into_place(partial, path, overwrite=overwrite)


def _name_planes(halves: HalfArray, channels: tuple[str, ...]) -> dict[str, HalfArray]:
    """Split a picture into the channels of a file, by their names: Y, RGB or RGBA, and the extra ones."""
    if halves.ndim == 2:
        return {"Y": np.ascontiguousarray(halves)}
    own = halves.shape[2] - len(channels)
    planes = {"RGBA"[:own]: np.ascontiguousarray(halves[..., :own])}
    for number, extra in enumerate(channels):
        planes[EXTRA_CHANNELS[extra]] = np.ascontiguousarray(halves[..., own + number])
    return planes


def to_half(picture: FloatArray) -> HalfArray:
    """Round to half floats; numbers beyond their range become the largest."""
    return np.clip(picture, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)


def light_of_picture(pixels: AnyArray, transfer: str) -> Light:
    """Convert code values for EXR, float32 of the same shape: light, multiplied by alpha; grey unchanged.

    Args:
        pixels: uint8 or uint16, ``(height, width)``, ``(height, width, 3)``, or straight
            ``(height, width, 4)``.
        transfer: Transfer function of the colour.
    """
    top = np.float32(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:
        return np.asarray(pixels / top)
    colour = decode(np.ascontiguousarray(pixels[..., :3]), transfer)
    if pixels.shape[2] == 3:
        return colour
    alpha = pixels[..., 3:] / top
    return np.concatenate([colour * alpha, alpha], axis=2)


def _attributes(tags: PictureTags, library: ModuleType) -> dict[str, Any]:
    """The standard attributes for which there are tags."""
    found: dict[str, Any] = {"software": "cleanplate"}
    chromaticities = tags.chromaticities or chromaticities_of(tags.colour.primaries)
    if chromaticities is not None:
        found["chromaticities"] = chromaticities
    if tags.white_luminance is not None:
        found["whiteLuminance"] = float(tags.white_luminance)
    if tags.frame_rate is not None:
        found["framesPerSecond"] = tags.frame_rate
    parsed = None if tags.timecode is None else parse_timecode(tags.timecode)
    if parsed is not None and parsed[0] < 24 and parsed[3] < 60:
        flags = (int(parsed[4]), *[0] * 13)
        found["timeCode"] = library.TimeCode(*parsed[:4], *flags)
    return found


@contextlib.contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except CleanplateError:
        raise
    except MemoryError:
        raise InputError(f"{path} does not fit into memory.", "make it smaller") from None
    except Exception as error:
        raise InputError(f"{path} is damaged or cut short: {str(error).rstrip('.')}.") from error


def _library(purpose: str) -> ModuleType:
    try:
        import OpenEXR
    except ImportError:
        raise MissingExtraError("exr", purpose) from None
    library: ModuleType = OpenEXR
    return library
