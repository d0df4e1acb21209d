"""Low-level reading of TIFF: the tags of its first picture, and its samples of 8, 16, 32 and 64 bits.

Pillow decodes 8 bits, OpenCV the others. Each of them rotates or inverts some layouts and not others. So
neither gets the file's own tags: its directory is replaced by one that describes the same strips as "grey" or
"RGB, upright, interleaved", and the caller applies orientation, photometric interpretation and planes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cleanplate.frame import AnyArray
from cleanplate.media.stills.quiet_opencv import decode_unchanged

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_SIZES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES = 317, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, ICC_PROFILE, DNG_VERSION = 338, 339, 34675, 50706

MIN_IS_WHITE, MIN_IS_BLACK, RGB, CMYK = 0, 1, 2, 5
"""Photometric interpretations that are decoded here."""

COLOUR_SAMPLES = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, CMYK: 4}

ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
UNSIGNED, FLOATS = 1, 3

# None, LZW, Deflate by both numbers, PackBits: the lossless ones that both libraries support.
_COMPRESSIONS = (1, 5, 8, 32946, 32773)
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3

_BYTES_OF_TYPE = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_SHORT, _LONG, _LONG8 = 3, 4, 16

# More entries than any program writes, so that a damaged count cannot read the whole file as tags.
_MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Directory:
    """The tags of one picture, as stored in the file.

    Attributes:
        order: ``<`` or ``>``.
        big: Whether the file is BigTIFF.
        entries: Type, count and bytes of each tag.
    """

    order: str
    big: bool
    entries: Mapping[int, tuple[int, int, bytes]]

    def integers(self, tag: int) -> tuple[int, ...]:
        """The values of a tag of whole numbers; empty if it is missing or of another type."""
        kind, count, raw = self.entries.get(tag, (0, 0, b""))
        code = _INTEGERS.get(kind)
        return () if code is None else struct.unpack(f"{self.order}{count}{code}", raw)

    def integer(self, tag: int, default: int) -> int:
        """The first value of a tag of whole numbers."""
        return next(iter(self.integers(tag)), default)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, as stored."""
        return self.integer(HEIGHT, 0), self.integer(WIDTH, 0)

    @property
    def samples(self) -> int:
        return self.integer(SAMPLES, 1)

    @property
    def bits(self) -> int:
        """Bits of a sample; 0 if they differ."""
        values = set(self.integers(BITS)) or {1}
        return values.pop() if len(values) == 1 else 0

    @property
    def sample_format(self) -> int:
        """Unsigned, signed or floating; 0 if they differ."""
        values = set(self.integers(SAMPLE_FORMAT)) or {UNSIGNED}
        return values.pop() if len(values) == 1 else 0

    @property
    def profile(self) -> bytes | None:
        """The ICC profile."""
        return self.entries.get(ICC_PROFILE, (0, 0, b""))[2] or None

    @property
    def alpha(self) -> tuple[int, bool] | None:
        """The sample that is alpha, and whether colour is multiplied by it; None if there is none.

        A further sample of unspecified kind counts as alpha.
        """
        colours = COLOUR_SAMPLES.get(self.integer(PHOTOMETRIC, MIN_IS_BLACK), 3)
        kinds = self.integers(EXTRA_SAMPLES)
        if not kinds:
            return (colours, False) if self.samples == colours + 1 else None
        for number, kind in enumerate(kinds, colours):
            if kind in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA) and number < self.samples:
                return number, kind == ASSOCIATED_ALPHA
        return None

    @property
    def is_plain(self) -> bool:
        """True if :func:`decode_samples` supports the layout."""
        photometric = self.integer(PHOTOMETRIC, -1)
        numbers = {(8, UNSIGNED), (16, UNSIGNED), (16, FLOATS), (32, FLOATS), (64, FLOATS)}
        return (
            photometric in COLOUR_SAMPLES
            and COLOUR_SAMPLES[photometric] <= self.samples <= 16
            and (self.bits, self.sample_format) in numbers
            and self.integer(COMPRESSION, 1) in _COMPRESSIONS
        )


def read_directory(data: bytes) -> Directory | None:
    """The tags of the first picture of a TIFF; None if the file is cut short or is none."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    try:
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        at = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
        at += 8 if big else 2
        if count > _MOST_ENTRIES:
            return None
        entries = {}
        for start in range(at, at + count * (20 if big else 12), 20 if big else 12):
            tag, kind, length = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, start)
            size = length * _BYTES_OF_TYPE.get(kind, 0)
            place = start + (12 if big else 8)
            if size > (8 if big else 4):
                place = struct.unpack_from(order + ("Q" if big else "I"), data, place)[0]
            if place + size <= len(data):
                entries[tag] = (kind, length, data[place : place + size])
    except struct.error:
        return None
    return Directory(order, big, entries)


def without_orientation(data: bytes, directory: Directory) -> bytes:
    """Copy of the file with the tag for an upright picture."""
    kept = {tag: entry for tag, entry in directory.entries.items() if tag != ORIENTATION}
    return _with_directory(data, directory.order, directory.big, kept)


def decode_samples(data: bytes, directory: Directory) -> AnyArray | None:
    """The stored samples, ``(height, width, samples)``: not rotated, inverted or divided by alpha.

    uint8, uint16, float16, float32 or float64. None if they are damaged.

    Args:
        data: The whole file.
        directory: Its tags, which have to be plain (:attr:`Directory.is_plain`).
    """
    samples = directory.samples
    if directory.integer(PLANAR, 1) == 2 and samples > 1:
        planes = [_decode_reduced(data, directory, 1, plane) for plane in range(samples)]
        found = [plane for plane in planes if plane is not None]
        return np.stack(found, axis=-1) if len(found) == samples else None
    if samples in (1, 3, 4):
        stored = _decode_reduced(data, directory, samples)
        return stored if stored is None or stored.ndim == 3 else stored[..., None]
    return _decode_as_grey(data, directory)


def _decode_as_grey(data: bytes, directory: Directory) -> AnyArray | None:
    """Decode pixels of two or of many samples, which OpenCV lacks, as the rows of a wider grey picture."""
    samples, predictor = directory.samples, directory.integer(PREDICTOR, 1)
    if predictor == _FLOAT_DIFFERENCES or (predictor == _DIFFERENCES and directory.bits > 16):
        return None
    height, width = directory.size
    rows = _decode_reduced(data, directory, 1, stretch=samples)
    if rows is None or rows.shape != (height, width * samples):
        return None
    pixels = rows.reshape(height, width, samples)
    if predictor == _DIFFERENCES:
        whole = pixels.view(np.uint16) if pixels.dtype == np.float16 else pixels
        step = directory.integer(TILE_WIDTH, width)
        for left in range(0, width, step):
            part = whole[:, left : left + step]
            whole[:, left : left + step] = np.cumsum(part, axis=1, dtype=whole.dtype)
    return pixels


def _decode_reduced(
    data: bytes, directory: Directory, samples: int, plane: int = 0, stretch: int = 1
) -> AnyArray | None:
    """Decode as grey, RGB or RGBA with a minimal directory.

    Args:
        data: The whole file.
        directory: Its tags.
        samples: 1, 3 or 4 of each pixel, interleaved.
        plane: The plane to read, of a file with separate planes.
        stretch: Factor on the width of the rows, without undoing horizontal differencing.
    """
    bits = directory.bits
    halves = bits == 16 and directory.sample_format == FLOATS
    kept: dict[int, tuple[int, ...]] = {
        tag: directory.integers(tag) for tag in (HEIGHT, COMPRESSION, FILL_ORDER, ROWS_PER_STRIP, TILE_HEIGHT)
    }
    kept |= {tag: tuple(n * stretch for n in directory.integers(tag)) for tag in (WIDTH, TILE_WIDTH)}
    kept[PREDICTOR] = () if stretch > 1 else directory.integers(PREDICTOR)
    for tag in (STRIP_OFFSETS, STRIP_SIZES, TILE_OFFSETS, TILE_SIZES):
        values = directory.integers(tag)
        if directory.integer(PLANAR, 1) == 2 and directory.samples > 1:
            each = len(values) // directory.samples
            values = values[plane * each : (plane + 1) * each]
        kept[tag] = values
    kept |= {BITS: (bits,) * samples, SAMPLES: (samples,), PLANAR: (1,)}
    kept[PHOTOMETRIC] = (MIN_IS_BLACK if samples == 1 else RGB,)
    kept[SAMPLE_FORMAT] = (UNSIGNED if halves else directory.sample_format,) * samples
    if samples == 4:
        kept[EXTRA_SAMPLES] = (UNASSOCIATED_ALPHA,)
    order = "<" if bits == 8 else directory.order  # bytes have none, and Pillow knows no BigTIFF of ">"
    packed = {tag: _pack(tag, values, order, directory.big) for tag, values in kept.items() if values}
    encoded = _with_directory(data, order, directory.big, packed)
    if bits == 8:
        with Image.open(io.BytesIO(encoded), formats=["TIFF"]) as image:
            return np.array(image)
    decoded = decode_unchanged(encoded)
    kind = np.dtype(np.uint16 if bits == 16 else f"f{bits // 8}")
    if decoded is None or decoded.dtype != kind:
        return None
    if decoded.ndim == 3:
        decoded = decoded[..., [2, 1, 0, 3][: decoded.shape[2]]]  # OpenCV has blue first
    return decoded.view(np.float16) if halves else decoded


def _pack(tag: int, values: tuple[int, ...], order: str, big: bool) -> tuple[int, int, bytes]:
    long = tag in (STRIP_OFFSETS, STRIP_SIZES, TILE_OFFSETS, TILE_SIZES) and big
    short = tag in (BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT)
    kind = _LONG8 if long else _SHORT if short or tag == FILL_ORDER else _LONG
    return kind, len(values), struct.pack(f"{order}{len(values)}{_INTEGERS[kind]}", *values)


def _with_directory(
    data: bytes, order: str, big: bool, entries: Mapping[int, tuple[int, int, bytes]]
) -> bytes:
    """The file with another directory appended, to which its header points."""
    start = len(data) + len(data) % 2
    field, word = (8, "Q") if big else (4, "I")
    values_at = start + (8 if big else 2) + len(entries) * (20 if big else 12) + field
    listed, values = struct.pack(order + ("Q" if big else "H"), len(entries)), b""
    for tag, (kind, count, raw) in sorted(entries.items()):
        inline = raw
        if len(raw) > field:
            inline = struct.pack(order + word, values_at + len(values))
            values += raw + b"\0" * (len(raw) % 2)
        listed += struct.pack(order + "HH" + word, tag, kind, count) + inline.ljust(field, b"\0")
    header = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    header += (struct.pack(order + "HH", 8, 0) if big else b"") + struct.pack(order + word, start)
    behind = listed + struct.pack(order + word, 0) + values
    return b"".join([header, data[len(header) :], b"\0" * (len(data) % 2), behind])
