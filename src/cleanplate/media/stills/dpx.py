"""Reading and writing of DPX (SMPTE 268M): RGB and grey of 8, 10, 12 and 16 bits, RGBA of 8 and 16.

Ten bits are three samples in 32 ("filled, method A"; B is read too), 12 bits one sample in 16, as is
usual. Code values are not converted, not even logarithmic ones.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import AnyArray, ByteArray
from cleanplate.media.colour.h273 import UNSPECIFIED, Colour
from cleanplate.media.stills.picture_kinds import check_budget
from cleanplate.media.stills.picture_tags import PictureTags, parse_timecode

HEADER_BYTES = 2048

_SAMPLES = {6: 1, 50: 3, 51: 4}
"""Samples of a pixel by the element's descriptor: luminance, RGB, RGBA."""

_DESCRIPTORS = {samples: descriptor for descriptor, samples in _SAMPLES.items()}
_UNDEFINED = 0xFFFFFFFF

# By the standard's numbers. Density and logarithmic (1, 3) have no name in FFmpeg; linear (2) is FFmpeg's
# default for every transfer, so it is ignored.
_VIDEO = 4
_TRANSFERS = {6: "bt709", 8: "smpte170m", 5: "bt709", 7: "smpte170m"}
_PRIMARIES = {6: "bt709", 7: "bt470bg", 8: "smpte170m", 5: "bt709"}


@dataclass(frozen=True)
class _Element:
    """Position and layout of the samples of the first element."""

    height: int
    width: int
    samples: int
    bits: int
    packing: int
    at: int
    order: str

    @property
    def row_bytes(self) -> int:
        if self.bits == 10:
            return 4 * -(-self.width * self.samples // 3)
        return self.width * self.samples * (1 if self.bits == 8 else 2)


def read_dpx(path: Path, budget_bytes: int | None) -> tuple[AnyArray, PictureTags]:
    """Read the first element: uint8, or uint16 over its full range, ``(height, width, 1, 3 or 4)``; and tags.

    Raises:
        InputError: Damaged, over the budget, or of a layout that is not read.
    """
    data = path.read_bytes()
    order = {b"SDPX": ">", b"XPDS": "<"}.get(data[:4])
    if order is None:
        raise InputError(f"{path} is not a DPX file: its first bytes are {data[:4]!r}.")
    if len(data) < HEADER_BYTES:
        raise InputError(f"{path} is damaged or cut short: it has {len(data)} bytes.")
    element = _read_element(path, data, order)
    check_budget(path, element.width, element.height, element.samples * 4, budget_bytes, bits=element.bits)
    # Rows end on 32 bits, but not in files of some writers.
    stride = -(-element.row_bytes // 4) * 4
    if len(data) - element.at == element.row_bytes * element.height:
        stride = element.row_bytes
    if len(data) - element.at < stride * element.height:
        raise InputError(
            f"{path} is damaged or cut short: {stride * element.height:,} bytes of pixels are incomplete."
        )
    rows = np.frombuffer(data, np.uint8, stride * element.height, element.at)
    rows = rows.reshape(element.height, stride)[:, : element.row_bytes]
    pixels = _unpack(np.ascontiguousarray(rows), element)
    orientation = struct.unpack_from(order + "H", data, 768)[0]
    if orientation & 1:
        pixels = pixels[:, ::-1]
    if orientation & 2:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels), _read_tags(data, order, element.bits)


def _read_element(path: Path, data: bytes, order: str) -> _Element:
    width, height = struct.unpack_from(order + "II", data, 772)
    descriptor, _, _, bits = struct.unpack_from("BBBB", data, 800)
    packing, encoding, at = struct.unpack_from(order + "HHI", data, 804)
    orientation = struct.unpack_from(order + "H", data, 768)[0]
    if at in (0, _UNDEFINED):
        at = struct.unpack_from(order + "I", data, 4)[0]
    what = None
    if descriptor not in _SAMPLES:
        what = f"its samples are of kind {descriptor}, neither RGB nor luminance"
    elif bits not in (8, 10, 12, 16):
        what = f"its samples have {bits} bits"
    elif bits in (10, 12) and packing not in (1, 2):
        what = f"its {bits} bits are packed without gaps"
    elif bits == 10 and _SAMPLES[descriptor] != 3:
        what = "its 10 bits are not RGB"
    elif encoding == 1:
        what = "it is run-length encoded"
    elif 3 < orientation < 0xFFFF:
        what = "its lines run downwards"
    if what is not None:
        raise InputError(f"{path} cannot be read: {what}.", "save it as RGB of 10 or 16 bits")
    if not width or not height:
        raise InputError(f"{path} is damaged or cut short: it is {width}x{height}.")
    return _Element(height, width, _SAMPLES[descriptor], bits, packing, at, order)


def _unpack(rows: ByteArray, element: _Element) -> AnyArray:
    shape = (element.height, element.width, element.samples)
    if element.bits == 8:
        return rows.reshape(shape)
    if element.bits == 10:
        words = rows.view(element.order + "u4").astype(np.uint32)
        lowest = 2 if element.packing == 1 else 0
        codes = np.stack([words >> shift + lowest & 1023 for shift in (20, 10, 0)], axis=-1).reshape(shape)
    else:
        codes = rows.view(element.order + "u2").astype(np.uint32).reshape(shape)
        if element.bits == 16:
            return codes.astype(np.uint16)
        codes = codes >> 4 if element.packing == 1 else codes & 4095
    top = (1 << element.bits) - 1
    return ((codes * 65535 + top // 2) // top).astype(np.uint16)


def _read_tags(data: bytes, order: str, bits: int) -> PictureTags:
    transfer, primaries = data[801], data[802]
    film_rate, video_rate = (struct.unpack_from(order + "f", data, at)[0] for at in (1724, 1940))
    rate = next((r for r in (film_rate, video_rate) if math.isfinite(r) and 1 <= r <= 1000), None)
    code = struct.unpack_from(order + "I", data, 1920)[0]
    across, down = struct.unpack_from(order + "II", data, 1628)
    # Pixels per line and per picture height: the aspect is the other way round than in most files.
    known = across not in (0, _UNDEFINED) and down not in (0, _UNDEFINED)
    text = f"{code:08x}"
    timecode = ":".join(text[i : i + 2] for i in range(0, 8, 2)) if text.isdecimal() else None
    if timecode is not None and (parse_timecode(timecode) is None or code == 0):
        timecode = None  # writers without a timecode leave zero there
    return PictureTags(
        bit_depth=bits,
        colour=Colour(
            "full", "rgb", _PRIMARIES.get(primaries, UNSPECIFIED), _TRANSFERS.get(transfer, UNSPECIFIED)
        ),
        frame_rate=None if rate is None else _exact_rate(rate),
        timecode=timecode,
        pixel_aspect=Fraction(across, down) if known else Fraction(1),
    )


def _exact_rate(rate: float) -> Fraction:
    """Restore a rate that single precision rounded: to a whole number or one of NTSC's, else unchanged."""
    for exact in (Fraction(round(rate)), Fraction(round(rate) * 1000, 1001)):
        if abs(rate - float(exact)) < 2e-5 * rate:
            return exact
    return Fraction(rate).limit_denominator(1001)


def encode_dpx(pixels: AnyArray, tags: PictureTags) -> bytes:
    """DPX, big-endian, with one element; of ``tags.bit_depth`` bits, or those of the pixels' type.

    Args:
        pixels: uint8 or uint16 ``(height, width)``, ``(height, width, 3)`` or ``(height, width, 4)``. Bits
            between 8 and 16 are for RGB; grey and RGBA have 16 then.
        tags: The header's metadata.
    """
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    if samples not in _DESCRIPTORS:
        raise OptionError(f"DPX holds grey, RGB and RGBA, got {samples} samples.")
    bits = 8 if pixels.dtype == np.uint8 else 16
    if bits == 16 and samples == 3 and tags.bit_depth in (10, 12):
        bits = tags.bit_depth
    rows = _pack(pixels.reshape(height, width * samples), bits)
    short = -rows.shape[1] % 4
    if short:
        rows = np.pad(rows, ((0, 0), (0, short)))
    header = _make_header(height, width, samples, bits, rows.size, tags)
    return header + rows.tobytes()


def _pack(rows: AnyArray, bits: int) -> ByteArray:
    if bits == 8:
        return rows
    if bits == 16:
        return np.ascontiguousarray(rows.astype(">u2")).view(np.uint8)
    top = (1 << bits) - 1
    codes = (rows.astype(np.uint32) * np.uint32(top) + 32767) // 65535
    if bits == 12:
        return np.ascontiguousarray((codes << 4).astype(">u2")).view(np.uint8)
    words = codes[:, 0::3] << 22 | codes[:, 1::3] << 12 | codes[:, 2::3] << 2
    return np.ascontiguousarray(words.astype(">u4")).view(np.uint8)


def _make_header(height: int, width: int, samples: int, bits: int, size: int, tags: PictureTags) -> bytes:
    header = bytearray(HEADER_BYTES)
    header[0:4] = b"SDPX"
    header[8:16] = b"V2.0".ljust(8, b"\0")
    struct.pack_into(">I", header, 4, HEADER_BYTES)
    struct.pack_into(">IIIII", header, 16, HEADER_BYTES + size, 1, 1664, 384, 0)
    header[160:170] = b"cleanplate"
    struct.pack_into(">I", header, 660, _UNDEFINED)  # not encrypted
    struct.pack_into(">HHII", header, 768, 0, 1, width, height)
    struct.pack_into(">IIfIf", header, 780, 0, 0, 0.0, (1 << bits) - 1, 0.0)
    transfer = next((n for n, name in _TRANSFERS.items() if name == tags.colour.transfer), _VIDEO)
    primaries = next((n for n, name in _PRIMARIES.items() if name == tags.colour.primaries), 0)
    primaries = 0 if samples == 1 else primaries  # data has no colours
    struct.pack_into("BBBB", header, 800, _DESCRIPTORS[samples], transfer, primaries, bits)
    struct.pack_into(">HHI", header, 804, int(bits in (10, 12)), 0, HEADER_BYTES)
    aspect = tags.pixel_aspect
    struct.pack_into(">II", header, 1628, aspect.numerator, aspect.denominator)
    rate = struct.pack(">I", _UNDEFINED) if tags.frame_rate is None else struct.pack(">f", tags.frame_rate)
    header[1724:1728] = header[1940:1944] = rate
    parsed = None if tags.timecode is None else parse_timecode(tags.timecode)
    code = _UNDEFINED
    if parsed is not None and parsed[0] < 24 and parsed[3] < 100:
        code = int("".join(f"{part:02}" for part in parsed[:4]), 16)
    struct.pack_into(">II", header, 1920, code, 0)
    return bytes(header)
