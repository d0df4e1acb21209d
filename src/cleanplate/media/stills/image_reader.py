"""Reading of still pictures, as upright RGB of the file's own depth, with separate alpha."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cleanplate.errors import InputError
from cleanplate.media.files import check_readable
from cleanplate.media.stills import tiff
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.media.stills.dpx import read_dpx
from cleanplate.media.stills.exr import read_exr
from cleanplate.media.stills.picture_kinds import is_raw, is_raw_tiff
from cleanplate.media.stills.pillow_pictures import (
    explaining_damage,
    open_header,
    read_beginning,
    read_by_pillow,
)
from cleanplate.media.stills.plugin_formats import read_by_plugin
from cleanplate.media.stills.raw import WhiteBalance, read_raw
from cleanplate.media.stills.studio_formats import is_studio_format, read_studio
from cleanplate.media.stills.tiff_pictures import read_tiff
from cleanplate.system.pipes import is_pipe, name_input, read_all

_EXR = b"\x76\x2f\x31\x01"
_DPX = (b"SDPX", b"XPDS")


def read_image(
    path: str | Path, *, budget_bytes: int | None = None, white_balance: WhiteBalance | None = None
) -> Picture:
    """Read a picture: JPEG, PNG, WebP, TIFF, HEIC, RAW, others of Pillow, EXR, DPX; an animation's first.

    Grey, palette and CMYK become RGB (CMYK through its profile, to sRGB), EXIF's orientation is applied, and
    16 bits stay 16 bits. The numbers of EXR, and of TIFF with floats, are linear light: the pixels are their
    sRGB code values of 16 bits, and the numbers themselves are the picture's ``light``.

    Args:
        path: The file; ``-`` for standard input, or a named pipe, read into memory at once.
        budget_bytes: Largest memory for the decoded pixels; a larger picture is refused before decoding.
            If None, a picture is refused if keying it needs more memory than is free.
        white_balance: For camera RAW, that of another photo; None: its own.

    Raises:
        InputError: No such file, a folder, not a picture, damaged, or over the budget.
        MissingExtraError: The format is EXR, HEIC, RAW or JPEG XL, and its library is not installed.
    """
    path = Path(path)
    check_readable(path, "a picture")
    data = read_all(path) if is_pipe(path) else None
    named = name_input(path)
    with explaining_damage(named):
        beginning = read_beginning(path) if data is None else data[:64]
    magic = beginning[:4]
    if data is not None and (magic == _EXR or magic in _DPX or is_studio_format(beginning)):
        raise InputError(f"{named} is of a format that cannot be read from a pipe.", "give the file")
    if is_studio_format(beginning):
        studio = read_studio(path, beginning, budget_bytes)
        return Picture(studio.pixels, studio.alpha, studio.icc_profile, tags=studio.tags)
    if magic == _EXR:
        decoded = read_exr(path, budget_bytes)
        return Picture(decoded.pixels, decoded.alpha, None, decoded.light, decoded.tags)
    if magic in _DPX:
        return _read_dpx(path, budget_bytes)
    if is_raw(beginning):
        return _develop(named, data, budget_bytes, white_balance)
    if magic in tiff.MAGIC:
        return _read_tiff(named, data, budget_bytes, white_balance)
    if data is None and (brought := read_by_plugin(path, budget_bytes)):
        return Picture(*brought, None)
    return read_by_pillow(named, data, budget_bytes)


def read_mode(path: Path) -> str:
    """Pillow's mode of a picture, from its header: ``"L"`` is grey, ``"RGBA"`` has alpha."""
    with explaining_damage(path), open_header(path) as image:
        return str(image.mode)


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture as stored, from its header.

    Raises:
        InputError: Pillow cannot read it: it is damaged, or EXR or DPX.
    """
    with explaining_damage(path), open_header(path) as image:
        return image.height, image.width


def _read_dpx(path: Path, budget_bytes: int | None) -> Picture:
    samples, tags = read_dpx(path, budget_bytes)
    if samples.shape[2] == 1:
        return Picture(np.repeat(samples, 3, axis=2), None, None, tags=tags)
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(samples[..., :3]), alpha, None, tags=tags)


def _develop(
    path: Path, piped: bytes | None, budget_bytes: int | None, white_balance: WhiteBalance | None
) -> Picture:
    developed = read_raw(path, piped, budget_bytes, white_balance)
    return Picture(developed.pixels, None, None, white_balance=developed.white_balance)


def _read_tiff(
    path: Path, piped: bytes | None, budget_bytes: int | None, white_balance: WhiteBalance | None
) -> Picture:
    """Read a TIFF, or the camera RAW that is one."""
    with explaining_damage(path):
        data = path.read_bytes() if piped is None else piped
    directory = tiff.read_directory(data)
    if directory is None:
        raise InputError(f"{path} is damaged or cut short: it has no list of tags.")
    if is_raw_tiff(path, directory):
        return _develop(path, piped, budget_bytes, white_balance)
    return read_tiff(path, data, directory, budget_bytes)
