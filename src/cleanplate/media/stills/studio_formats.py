"""Reading of Cineon, PSD and JPEG XL, and writing of JPEG XL, through OpenImageIO: the extra ``vfx``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import InputError, MissingExtraError
from cleanplate.frame import AnyArray, Pixels
from cleanplate.media.files import check_writable, find_system_error, reporting_write_errors
from cleanplate.media.stills.picture_kinds import check_budget
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags
from cleanplate.system.temporary_files import move_into_place, temporary_file

_FORMATS = {
    b"\xff\x0a": ("JPEG XL", "jpegxl"),
    b"\0\0\0\x0cJXL ": ("JPEG XL", "jpegxl"),
    b"\x80\x2a\x5f\xd7": ("Cineon", "cineon"),
    b"\xd7\x5f\x2a\x80": ("Cineon", "cineon"),
    b"8BPS": ("PSD", "psd"),
}
_GREY, _RGB = 1, 3
"""Colour modes of PSD that are decoded here."""

CINEON_BITS = 10

LOSSLESS_EFFORT = 1
"""libjxl's least effort: a cut-out of 1080p with 16 bits takes 20 ms and 3.4 MB; 3 takes 360 ms and 2.7 MB,
its default of 7 2,700 ms and 2.0 MB."""


@dataclass(frozen=True)
class StudioPicture:
    """A picture: uint8 or uint16 RGB, straight alpha or None, its ICC profile and tags."""

    pixels: Pixels
    alpha: AnyArray | None
    icc_profile: bytes | None
    tags: PictureTags


def is_studio_format(beginning: bytes) -> bool:
    """Tell whether :func:`read_studio` reads a file with these first bytes, 26 or more.

    PSD of 8 bits, and of inks or palettes, is left to Pillow if OpenImageIO is missing, or does not read it.
    """
    name = _name_format(beginning)
    if name != "psd":
        return name is not None
    depth, mode = (int.from_bytes(beginning[at : at + 2], "big") for at in (22, 24))
    return mode in (_GREY, _RGB) and (depth == 16 or (depth == 8 and find_spec("OpenImageIO") is not None))


def _name_format(beginning: bytes) -> str | None:
    return next((found for magic, (_, found) in _FORMATS.items() if beginning.startswith(magic)), None)


def read_studio(path: Path, beginning: bytes, budget_bytes: int | None) -> StudioPicture:
    """Read the merged picture of a PSD, the first frame of a JPEG XL, or a Cineon with its code values.

    The transparency of a PSD is that of Photoshop, whose merged colours are those over white.

    Raises:
        InputError: Damaged, or over the budget.
        MissingExtraError: OpenImageIO is not installed.
    """
    name = str(_name_format(beginning))
    title = next(title for title, found in _FORMATS.values() if found == name)
    library = _library(f"Reading {title}")
    asked = library.ImageSpec()
    asked.attribute("oiio:UnassociatedAlpha", 1)
    file = library.ImageInput.open(str(path), asked)
    if file is None:
        raise InputError(f"{path} is damaged or cut short: {_explain(library)}.")
    try:
        found = file.spec()
        deep = str(found.format) != "uint8"
        colours = found.nchannels if found.nchannels < 5 else 4
        check_budget(path, found.width, found.height, 4 * (1 + deep), budget_bytes, bits=16 if deep else 8)
        samples = file.read_image(0, 0, 0, colours, "uint16" if deep else "uint8")
        if samples is None:
            raise InputError(f"{path} is damaged or cut short: {_explain(file)}.")
        profile = found.getattribute("ICCProfile")
    finally:
        file.close()
    samples = np.asarray(samples).reshape(found.height, found.width, colours)
    alpha = np.ascontiguousarray(samples[..., -1]) if colours in (2, 4) else None
    pixels = samples[..., :3] if colours > 2 else np.repeat(samples[..., :1], 3, axis=2)
    tags = PictureTags(bit_depth=CINEON_BITS) if name == "cineon" else NO_TAGS
    embedded = b"" if profile is None else bytes(bytearray(profile))
    profile = embedded if embedded[16:20] == b"RGB " else None
    return StudioPicture(np.ascontiguousarray(pixels), alpha, profile, tags)


def check_jpeg_xl() -> None:
    """Raise :class:`MissingExtraError` unless OpenImageIO is installed."""
    _library("Writing JPEG XL")


def write_jpeg_xl(
    path: Path,
    pixels: AnyArray,
    *,
    icc_profile: bytes | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    scratch: Path | None = None,
) -> None:
    """Write JPEG XL of 8 or 16 bits with straight alpha: lossless, or with a quality from 1 to 100.

    Args:
        path: The file.
        pixels: uint8 or uint16: grey, RGB or RGBA. Grey becomes RGB, because OpenImageIO 3.2 does not read
            JPEG XL of one channel.
        icc_profile: Embedded; sRGB without one.
        quality: Quality of lossy coding; None: lossless.
        overwrite: Replace an existing file.
        scratch: Folder of the temporary file, on the same file system; beside ``path`` if None.

    Raises:
        OutputError: It cannot be written.
        MissingExtraError: OpenImageIO is not installed.
    """
    library = _library("Writing JPEG XL")
    check_writable(path, overwrite=overwrite)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    height, width, samples = pixels.shape
    wanted = library.ImageSpec(width, height, samples, str(pixels.dtype))
    wanted.attribute("oiio:UnassociatedAlpha", 1)
    if icc_profile is not None:
        wanted.attribute("ICCProfile", f"uint8[{len(icc_profile)}]", np.frombuffer(icc_profile, np.uint8))
    if quality is None:
        wanted.attribute("jpegxl:effort", LOSSLESS_EFFORT)
    else:
        wanted.attribute("compression", f"jpegxl:{min(quality, 99)}")
    with reporting_write_errors(path), temporary_file(path, folder=scratch) as partial:
        file = library.ImageOutput.create("jpegxl")
        written = file.open(str(partial), wanted) and file.write_image(np.ascontiguousarray(pixels))
        if not (file.close() and written):
            raise find_system_error(partial, _explain(file))
        move_into_place(partial, path, overwrite=overwrite)


def _explain(source: Any) -> str:
    """The last error of a file, or of the library, in one line."""
    reason = " ".join(str(source.geterror()).split()).rstrip(".")
    return reason or "OpenImageIO gives no reason"


def _library(purpose: str) -> Any:
    try:
        import OpenImageIO
    except ImportError:
        raise MissingExtraError("vfx", purpose) from None
    return OpenImageIO
