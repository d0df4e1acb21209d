"""Sheets of pictures: the worst cases of a peer, beside the truth, with a map of its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.evaluation.evaluate_cases import View
from cleanplate.evaluation.score import METRICS
from cleanplate.frame import AnyArray, ByteArray, Float32Array, Pixels, to_depth

TILE_WIDTH = 400
_GAP = 6
_CAPTION = 22
_PAPER = 24
_INK = (225, 225, 225)


@dataclass(frozen=True)
class Exhibit:
    """One row of a sheet: a view reduced to tiles, to save memory.

    Attributes:
        name: Name of the case.
        mad: MAD of each peer on the whole case.
        source, plate, truth: uint8 RGB tiles.
        alphas, errors: Tiles of each peer.
    """

    name: str
    mad: dict[str, float]
    source: ByteArray
    plate: ByteArray
    truth: ByteArray
    alphas: dict[str, ByteArray]
    errors: dict[str, ByteArray]


def make_exhibit(name: str, mad: dict[str, float], view: View) -> Exhibit:
    """Reduce a view to tiles of one size."""
    height, width = view.frame.alpha.shape
    size = (max(1, round(TILE_WIDTH * height / width)), TILE_WIDTH)
    return Exhibit(
        name,
        mad,
        _tile(view.frame.source, size),
        _tile(view.plate, size),
        _tile(_grey(view.frame.alpha), size),
        {peer: _tile(_grey(alpha), size) for peer, alpha in view.alphas.items()},
        {peer: _tile(draw_error(alpha, view.frame.alpha), size) for peer, alpha in view.alphas.items()},
    )


def draw_error(alpha: Float32Array, truth: Float32Array) -> ByteArray:
    """Draw errors of alpha: red where it is too high, blue where it is too low, over a faint truth.

    Small errors are raised to the power of 0.6, so that 5% is visible.
    """
    error = alpha - truth
    strength = np.power(np.abs(error), np.float32(0.6))[..., None]
    colour = np.where(error[..., None] > 0, (255, 64, 32), (48, 128, 255)).astype(np.float32)
    faint = (40 + 50 * truth)[..., None]
    return np.asarray(np.clip(strength * colour + (1 - strength) * faint, 0, 255), np.uint8)


def draw_worst(exhibits: Sequence[Exhibit], peer: str) -> ByteArray:
    """Draw source, plate, true alpha, alpha and errors of one peer, a case in each row."""
    rows = [
        [
            (exhibit.name, exhibit.source),
            ("plate", exhibit.plate),
            ("true alpha", exhibit.truth),
            (_describe(exhibit, peer), exhibit.alphas[peer]),
            ("red: too much, blue: missing", exhibit.errors[peer]),
        ]
        for exhibit in exhibits
    ]
    return _lay_out(rows)


def draw_side_by_side(exhibits: Sequence[Exhibit], peers: Sequence[str]) -> ByteArray:
    """Draw source and true alpha, then alpha and errors of each peer."""
    rows = []
    for exhibit in exhibits:
        row = [(exhibit.name, exhibit.source), ("true alpha", exhibit.truth)]
        for peer in peers:
            row += [(_describe(exhibit, peer), exhibit.alphas[peer]), ("errors", exhibit.errors[peer])]
        rows.append(row)
    return _lay_out(rows)


def _describe(exhibit: Exhibit, peer: str) -> str:
    return f"{peer[-32:]}: MAD {METRICS['mad'].factor * exhibit.mad[peer]:.2f}"


def _lay_out(rows: Sequence[Sequence[tuple[str, ByteArray]]]) -> ByteArray:
    """Arrange tiles with captions above them on a dark background; rows may differ in height."""
    columns = max(len(row) for row in rows)
    width = columns * (TILE_WIDTH + _GAP) + _GAP
    heights = [max(tile.shape[0] for _, tile in row) + _CAPTION + _GAP for row in rows]
    sheet = np.full((sum(heights) + _GAP, width, 3), _PAPER, np.uint8)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, (caption, tile) in enumerate(row):
            left = _GAP + column * (TILE_WIDTH + _GAP)
            _write(sheet, caption, left, top)
            picture_top = top + _CAPTION
            sheet[picture_top : picture_top + tile.shape[0], left : left + TILE_WIDTH] = tile
        top += height
    return sheet


def _write(sheet: ByteArray, text: str, left: int, top: int) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV draws ASCII only
    cv2.putText(sheet, plain, (left, top + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)


def _tile(picture: Pixels, size: tuple[int, int]) -> ByteArray:
    how = cv2.INTER_AREA if picture.shape[1] > size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(to_depth(picture, np.uint8), size[::-1], interpolation=how), np.uint8)


def _grey(alpha: Float32Array) -> AnyArray:
    return np.repeat(np.rint(alpha * 255).astype(np.uint8)[..., None], 3, axis=2)
