"""TIFF files of any layout, written by hand from the specification (TIFF 6.0 and BigTIFF)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np


def make_tiff(
    pixels: np.ndarray,
    *,
    photometric: int | None = None,
    orientation: int | None = None,
    extra: Sequence[int] = (),
    tile: int = 0,
    separate: bool = False,
    differences: bool = False,
    order: str = "<",
    big: bool = False,
    more: dict[int, list[int]] | None = None,
) -> bytes:
    """One strip (for each sample, if they are separate), or tiles.

    Args:
        pixels: ``(height, width, samples)`` as they are stored.
        photometric: Grey (black is zero) for one or two samples, else RGB, if None.
        orientation: EXIF's number.
        extra: Kinds of the samples after the colour; if empty, the fourth of RGB is straight alpha.
        tile: Side of the tiles; strips if 0.
        separate: Planes instead of interleaved samples.
        differences: Deflate with horizontal differencing.
        order: Byte order.
        big: BigTIFF.
        more: Further tags.
    """
    height, width, samples = pixels.shape
    blocks = _cut(pixels, tile, separate)
    if differences:
        blocks = [np.concatenate([b[:, :1], np.diff(b, axis=1)], axis=1) for b in blocks]
    packed = [block.astype(block.dtype.newbyteorder(order)).tobytes() for block in blocks]
    if differences:
        packed = [zlib.compress(block) for block in packed]
    offsets = [16 + sum(map(len, packed[:i])) for i in range(len(packed))]
    sizes = [len(block) for block in packed]
    kind = 3 if pixels.dtype.kind == "f" else 1
    if photometric is None:
        photometric = 1 if samples < 3 else 2
    extra = extra or ([2] if photometric == 2 and samples == 4 else [])
    tags = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * samples, 259: [8 if differences else 1]}
    tags |= {262: [photometric], 277: [samples], 284: [2 if separate else 1]}
    tags |= {322: [tile], 323: [tile], 324: offsets, 325: sizes} if tile else {273: offsets, 279: sizes}
    tags |= {} if tile else {278: [height]}
    tags |= {} if orientation is None else {274: [orientation]}
    tags |= {317: [2]} if differences else {}
    tags |= {338: list(extra)} if extra else {}
    tags |= {339: [kind] * samples} | (more or {})
    return _write(tags, b"".join(packed), order, big)


def _cut(pixels: np.ndarray, tile: int, separate: bool) -> list[np.ndarray]:
    planes = [pixels[..., i] for i in range(pixels.shape[2])] if separate else [pixels]
    if not tile:
        return planes
    blocks = []
    for plane in planes:
        rest = [(0, -side % tile) for side in plane.shape[:2]] + [(0, 0)] * (plane.ndim - 2)
        padded = np.pad(plane, rest)
        blocks += [
            padded[y : y + tile, x : x + tile]
            for y in range(0, len(padded), tile)
            for x in range(0, padded.shape[1], tile)
        ]
    return blocks


def _write(tags: dict[int, list[int]], body: bytes, order: str, big: bool) -> bytes:
    at = 16 + len(body)
    word, entry, count = ("Q", 20, "Q") if big else ("I", 12, "H")
    values_at = at + struct.calcsize(f"<{count}") + entry * len(tags) + struct.calcsize(f"<{word}")
    directory, values = struct.pack(order + count, len(tags)), b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(packed) > struct.calcsize(f"<{word}"):
            field = struct.pack(order + word, values_at + len(values))
            values += packed
        else:
            field = packed.ljust(struct.calcsize(f"<{word}"), b"\0")
        directory += struct.pack(f"{order}HH{word}", tag, 4, len(numbers)) + field
    mark = b"II" if order == "<" else b"MM"
    if big:
        header = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, at)
    else:
        header = (mark + struct.pack(f"{order}HI", 42, at)).ljust(16, b"\0")
    return header + body + directory + struct.pack(order + word, 0) + values
