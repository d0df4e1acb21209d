"""Writing of still pictures in all formats; a file gets its name when it is complete."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.errors import OptionError, OutputError
from cleanplate.frame import AnyArray, to_depth
from cleanplate.media.colour.bit_depth import check_layer
from cleanplate.media.colour.dither import dither
from cleanplate.media.colour.h273 import UNSPECIFIED
from cleanplate.media.colour.transfer import SRGB
from cleanplate.media.files import check_writable, reporting_write_errors
from cleanplate.media.stills.avif import check_avif, encode_avif
from cleanplate.media.stills.dpx import encode_dpx
from cleanplate.media.stills.exr import check_exr, light_of_picture, write_exr
from cleanplate.media.stills.picture_kinds import plugin_suffixes
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags
from cleanplate.media.stills.plugin_formats import encode_by_plugin, find_format
from cleanplate.media.stills.studio_formats import check_jpeg_xl, write_jpeg_xl
from cleanplate.system.pipes import is_pipe, write_all
from cleanplate.system.temporary_files import move_into_place, temporary_file

WRITABLE_SUFFIXES = (
    *(".png", ".tif", ".tiff", ".webp", ".avif"),
    *(".jpg", ".jpeg", ".dpx", ".exr", ".jxl"),
)

NO_PROFILE_SUFFIXES = (".dpx",)
"""Formats of code values that cannot store an ICC profile."""

_STRIP_BYTES = 1 << 18

_JPEG_KEEPS_DITHER = 98
"""The quality from which JPEG keeps the pattern of a dither; below, dither only costs bytes."""


def write_image(
    path: str | Path,
    pixels: AnyArray,
    *,
    icc_profile: bytes | None = None,
    overwrite: bool = False,
    quality: int | None = None,
    premultiplied: bool = False,
    tags: PictureTags = NO_TAGS,
    scratch: Path | None = None,
) -> None:
    """Write a picture; the suffix chooses the format.

    PNG, TIFF, DPX and JPEG XL keep 8 and 16 bits exactly. WebP, AVIF and JPEG XL are lossless unless
    ``quality`` is given. AVIF has 8 bits, or 12, to which uint16 is rounded (10 for a source of 10 bits, by
    ``tags``). WebP and JPEG have 8 bits, to which uint16 is rounded; colour is dithered if the coding keeps
    the pattern: in lossless WebP, and in JPEG from quality 98. For EXR, colour is converted to linear light
    by the tags' transfer (sRGB without one) and multiplied by alpha, in half floats; grey is not converted.
    The file is written under a temporary name and renamed at the end.

    Args:
        path: File with one of :data:`WRITABLE_SUFFIXES` or a plug-in's; ``-`` for standard output, or a
            named pipe, which get PNG unless a pipe's name has another suffix.
        pixels: uint8 or uint16: grey ``(height, width)``, RGB ``(height, width, 3)`` or RGBA
            ``(height, width, 4)``.
        icc_profile: Embedded unchanged, but not a profile of RGB in a grey picture, which PNG forbids and
            programs misread.
        overwrite: Replace an existing file.
        quality: 1 to 100 for JPEG (95 if None), lossy WebP, whose alpha stays exact, lossy JPEG XL, and
            lossy AVIF, whose alpha gets the same quality; 100 is lossless in AVIF.
        premultiplied: Whether the colour of RGBA is already multiplied by alpha. Only TIFF has a tag for it;
            for EXR, colour has to be straight.
        tags: Metadata for DPX and EXR.
        scratch: Folder of the temporary file, on the same file system; beside ``path`` if None.

    Raises:
        OutputError: The file exists, the folder is missing or read-only, the disk is full, the suffix is
            unknown, or the format has no alpha.
        OptionError: The quality is out of range, the format has none, or the pixels have another shape or
            type.
        MissingExtraError: The format is EXR or JPEG XL, and its library is not installed.
    """
    path = Path(path)
    check_layer(pixels, (1, 3, 4))
    check_image_suffix(path, alpha=pixels.ndim == 3 and pixels.shape[2] == 4, quality=quality)
    check_writable(path, overwrite=overwrite)
    suffix = _suffix_of(path)
    if suffix == ".exr":
        if premultiplied:
            raise OptionError(
                f"Expected straight colour for {path.name}: EXR multiplies light by alpha, not code values."
            )
        transfer = SRGB if tags.colour.transfer == UNSPECIFIED else tags.colour.transfer
        write_exr(path, light_of_picture(pixels, transfer), tags=tags, overwrite=overwrite, scratch=scratch)
        return
    pixels = np.ascontiguousarray(pixels)
    if icc_profile is not None and icc_profile[16:20] != (b"GRAY" if pixels.ndim == 2 else b"RGB "):
        icc_profile = None
    if suffix == ".jxl":
        write_jpeg_xl(
            path, pixels, icc_profile=icc_profile, quality=quality, overwrite=overwrite, scratch=scratch
        )
        return
    encoded = _encode(suffix, pixels, icc_profile, quality, premultiplied, tags)
    if is_pipe(path):
        write_all(path, encoded)
        return
    with reporting_write_errors(path), temporary_file(path, folder=scratch) as partial:
        partial.write_bytes(encoded)
        move_into_place(partial, path, overwrite=overwrite)


def _suffix_of(path: Path) -> str:
    """Suffix that chooses the format; PNG for a pipe without one."""
    suffix = path.suffix.lower()
    return ".png" if is_pipe(path) and suffix not in WRITABLE_SUFFIXES else suffix


def check_image_suffix(path: Path, *, alpha: bool, quality: int | None = None) -> None:
    """Raise unless :func:`write_image` can write to a file of this suffix; called before any work."""
    suffix = _suffix_of(path)
    if suffix in (".exr", ".jxl") and is_pipe(path):
        raise OutputError(f"{path} is a pipe, to which {suffix} cannot be written.", "write .png, or a file")
    brought = None if suffix in WRITABLE_SUFFIXES else find_format(suffix)
    if suffix not in WRITABLE_SUFFIXES and brought is None:
        raise OutputError(
            f"{path.name} has no suffix of a picture format that can be written.",
            "use " + ", ".join((*WRITABLE_SUFFIXES, *sorted(plugin_suffixes()))),
        )
    if alpha and brought is not None and not brought[1].has_alpha:
        raise OutputError(f"{path.name} cannot hold a cut-out: {suffix} has no alpha.", "use .png")
    if alpha and suffix in (".jpg", ".jpeg"):
        raise OutputError(
            f"{path.name} cannot hold a cut-out: JPEG has no alpha.", "use .png, .webp, .avif, .tif or .exr"
        )
    if quality is not None:
        if not 1 <= quality <= 100:
            raise OptionError(f"Expected a quality from 1 to 100, got {quality}.")
        if suffix not in (".webp", ".avif", ".jpg", ".jpeg", ".jxl"):
            raise OptionError(f"{suffix} is lossless and takes no quality, got {quality}.")
    if suffix == ".exr":
        check_exr()
    if suffix == ".jxl":
        check_jpeg_xl()
    if suffix == ".avif":
        check_avif()


def tells_premultiplied(path: Path) -> bool:
    """Tell whether files of a suffix have a tag for premultiplied colour; colour in EXR always is.

    PNG and WebP are straight by definition, and OpenCV writes no tag of AVIF's. In MOV the tag would be the
    graphics mode of ``vmhd``, and Matroska has none; FFmpeg writes neither.
    """
    return path.suffix.lower() in (".tif", ".tiff", ".exr")


def _encode(
    suffix: str,
    pixels: AnyArray,
    icc_profile: bytes | None,
    quality: int | None,
    premultiplied: bool,
    tags: PictureTags,
) -> bytes:
    if suffix == ".dpx":
        return encode_dpx(pixels, tags)
    if suffix == ".png":
        return encode_png(pixels, icc_profile)
    if suffix == ".avif":
        return encode_avif(pixels, icc_profile, quality, tags.bit_depth)
    if suffix in (".tif", ".tiff"):
        return encode_tiff(pixels, icc_profile, premultiplied=premultiplied)
    if suffix not in WRITABLE_SUFFIXES and (brought := find_format(suffix)):
        plugin, kind = brought
        fitting = pixels if kind.bit_depth > 8 else to_depth(pixels, np.uint8)
        return encode_by_plugin(plugin, kind, fitting)
    keeps_dither = quality is None if suffix == ".webp" else (quality or 95) >= _JPEG_KEEPS_DITHER
    falls = pixels.ndim == 3 and pixels.dtype == np.uint16
    image = Image.fromarray(dither(pixels) if falls and keeps_dither else to_depth(pixels, np.uint8))
    encoded = io.BytesIO()
    profile = {"icc_profile": icc_profile} if icc_profile else {}
    try:
        if suffix != ".webp":
            image.save(encoded, "JPEG", quality=quality or 95, subsampling=0, **profile)
        elif quality is None:
            # "exact" keeps the colour where alpha is 0; straight pixels need not be black there.
            image.save(encoded, "WEBP", lossless=True, exact=True, method=0, **profile)
        else:
            image.save(encoded, "WEBP", quality=quality, alpha_quality=100, **profile)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise OutputError(
            f"{suffix} cannot hold a picture of {width}x{height}: {error}.", "use .png"
        ) from error
    return encoded.getvalue()


def encode_png(pixels: AnyArray, icc_profile: bytes | None = None) -> bytes:
    """PNG of 8 or 16 bits (W3C PNG, third edition), compressed for speed.

    One filter ("Sub") for all rows and zlib's run-length strategy: about twice as fast as libpng's choice of
    filters at level 1, and as small on cut-outs, which are mostly empty.
    """
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    colour_type = {1: 0, 3: 2, 4: 6}[samples]
    pixel_bytes = samples * pixels.dtype.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + width * pixel_bytes), np.uint8)
    filtered[:, 0] = 1  # "Sub": each byte less the one a pixel before
    filtered[:, 1 : 1 + pixel_bytes] = rows[:, :pixel_bytes]
    np.subtract(rows[:, pixel_bytes:], rows[:, :-pixel_bytes], out=filtered[:, 1 + pixel_bytes :])
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    data = deflate.compress(filtered.data) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, colour_type, 0, 0, 0)
    chunks = [b"\x89PNG\r\n\x1a\n", _png_chunk(b"IHDR", header)]
    if icc_profile:
        chunks.append(_png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile)))
    return b"".join([*chunks, _png_chunk(b"IDAT", data), _png_chunk(b"IEND", b"")])


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


_SHORT, _LONG, _UNDEFINED = 3, 4, 7
"""Types of values in a TIFF directory."""


def encode_tiff(pixels: AnyArray, icc_profile: bytes | None = None, *, premultiplied: bool = False) -> bytes:
    """TIFF 6.0 of 8 or 16 bits, little-endian, deflate with horizontal differencing.

    A fourth sample is tagged as unassociated (straight) or associated (premultiplied) alpha; OpenCV
    does not write this tag, and Pillow does not support 16 bits.
    """
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = 8 * pixels.dtype.itemsize
    rows = pixels.reshape(height, width, samples).astype(pixels.dtype.newbyteorder("<"), copy=True)
    rows[:, 1:] -= pixels.reshape(height, width, samples)[:, :-1]
    rows_per_strip = max(1, _STRIP_BYTES // (width * samples * bits // 8))
    strips = [
        zlib.compress(rows[top : top + rows_per_strip].tobytes(), 1)
        for top in range(0, height, rows_per_strip)
    ]
    sizes = [len(strip) for strip in strips]
    offsets = list(itertools.accumulate(sizes[:-1], initial=8))

    entries: list[tuple[int, int, list[int] | bytes]] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [bits] * samples),
        (259, _SHORT, [8]),  # deflate
        (262, _SHORT, [1 if samples == 1 else 2]),  # black is zero, or RGB
        (273, _LONG, offsets),
        (277, _SHORT, [samples]),
        (278, _LONG, [rows_per_strip]),
        (279, _LONG, sizes),
        (284, _SHORT, [1]),  # samples interleaved
        (317, _SHORT, [2]),  # horizontal differencing
    ]
    if samples == 4:
        entries.append((338, _SHORT, [1 if premultiplied else 2]))
    if icc_profile:
        entries.append((34675, _UNDEFINED, icc_profile))

    body = b"".join(strips)
    body += b"\0" * (len(body) % 2)
    directory_at = 8 + len(body)
    directory = _encode_directory(entries, directory_at)
    if directory_at + len(directory) >= 1 << 32:
        raise OutputError(f"TIFF cannot hold a picture of {width}x{height}: it would pass 4 GB.", "use .png")
    return b"".join([struct.pack("<2sHI", b"II", 42, directory_at), body, directory])


def _encode_directory(entries: Sequence[tuple[int, int, list[int] | bytes]], at: int) -> bytes:
    """Encode tags with their types and values as a TIFF directory at an address.

    Values of more than four bytes follow the directory, on even addresses.
    """
    values_at = at + 2 + 12 * len(entries) + 4
    directory, values = [struct.pack("<H", len(entries))], b""
    for tag, kind, value in entries:
        packed = (
            value
            if isinstance(value, bytes)
            else struct.pack(f"<{len(value)}{'H' if kind == _SHORT else 'I'}", *value)
        )
        if len(packed) > 4:
            field = struct.pack("<I", values_at + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        else:
            field = packed.ljust(4, b"\0")
        directory.append(struct.pack("<HHI", tag, kind, len(value)) + field)
    return b"".join([*directory, struct.pack("<I", 0), values])
