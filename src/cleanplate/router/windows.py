"""Cuts the refiner's windows out of NumPy pictures and maps.

Only the pixels in the windows are converted to float or interpolated; the picture itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided

from cleanplate.frame import AnyArray, Float32Array, IndexArray

# Rows of a map that are enlarged at once.
_PIECE_ROWS = 16


def cut_squares(
    pictures: AnyArray, batch: IndexArray, top: IndexArray, left: IndexArray, side: int
) -> AnyArray:
    """Cut squares out of ``(B, H, W, C)``, zero outside of the picture.

    Args:
        pictures: Contiguous, any type.
        batch: ``(N,)``, number of the picture of each square.
        top: ``(N,)``, first row, may be negative.
        left: ``(N,)``, first column, may be negative.
        side: Side of the squares in pixels.

    Returns:
        ``(N, side, side, C)`` of the same type.
    """
    count, height, width, channels = pictures.shape
    squares = np.zeros((len(batch), side, side, channels), pictures.dtype)
    inside = (top >= 0) & (left >= 0) & (top <= height - side) & (left <= width - side)
    if inside.any():
        # One row of a square is contiguous in memory, so it is copied at once.
        by_batch, by_row, by_column, by_channel = pictures.strides
        runs = as_strided(
            pictures,
            (count, height - side + 1, width - side + 1, side, side * channels),
            (by_batch, by_row, by_column, by_row, by_channel),
            writeable=False,
        )
        squares.reshape(len(batch), side, side * channels)[inside] = runs[
            batch[inside], top[inside], left[inside]
        ]
    for i in np.flatnonzero(~inside):
        rows = slice(max(top[i], 0), min(top[i] + side, height))
        columns = slice(max(left[i], 0), min(left[i] + side, width))
        squares[
            i, rows.start - top[i] : rows.stop - top[i], columns.start - left[i] : columns.stop - left[i]
        ] = pictures[batch[i], rows, columns]
    return squares


def halve(planes: Float32Array) -> Float32Array:
    """Average 2 x 2 pixels of ``(N, side, side)``, which equals bilinear resizing to half the size."""
    count, side, _ = planes.shape
    tall = planes.reshape(count * side, side)
    halved = cv2.resize(tall, (side // 2, count * side // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(halved, np.float32).reshape(count, side // 2, side // 2)


def enlarge(maps: Float32Array, size: tuple[int, ...]) -> Iterator[tuple[tuple[slice, slice], Float32Array]]:
    """Enlarge ``(C, h, w)`` maps bilinearly to ``size``, piece by piece, where they are not 0.

    A piece fits the processor's cache and reuses memory that is already mapped.

    Yields:
        Rows and columns of a piece, and its values: ``(height, width, C)``, or ``(height, width)`` for one
        map. Outside of all pieces the values are 0.
    """
    height, width = maps.shape[1:]
    down, across = size[0] // height, size[1] // width
    if (down * height, across * width) != size:
        whole = cv2.resize(cv2.merge(list(maps)), (size[1], size[0]))
        yield (slice(0, size[0]), slice(0, size[1])), np.asarray(whole, np.float32)
        return
    # One pixel more on each side makes a piece equal to its part of the whole enlarged map.
    left, top, columns, rows = cv2.boundingRect((maps != 0).any(0).view(np.uint8))
    left, right = max(left - 1, 0), min(left + columns + 1, width)
    for first in range(max(top - 1, 0), min(top + rows + 1, height), _PIECE_ROWS):
        last = min(first + _PIECE_ROWS, top + rows + 1, height)
        above, below = max(first - 1, 0), min(last + 1, height)
        part = cv2.merge(list(maps[:, above:below, left:right]))
        enlarged = cv2.resize(part, ((right - left) * across, (below - above) * down))
        piece = enlarged[(first - above) * down : (last - above) * down]
        yield (
            (slice(first * down, last * down), slice(left * across, right * across)),
            np.asarray(piece, np.float32),
        )


class Interpolation:
    """Bilinear enlargement of maps, computed inside of square windows only.

    Half-pixel centres, the map's edge repeated, zero outside of the enlarged map: equal to resizing the whole
    map and padding it with zeros.

    Args:
        size: Height and width of the maps.
        enlarged: Height and width of the enlarged maps.
        top: ``(N,)``, first row of each window in the enlarged map, may be negative.
        left: ``(N,)``, first column.
        side: Side of the windows.
    """

    def __init__(
        self,
        size: tuple[int, int],
        enlarged: tuple[int, int],
        batch: IndexArray,
        top: IndexArray,
        left: IndexArray,
        side: int,
    ) -> None:
        self._batch = batch
        self._top, self._rows = _weigh(size[0], enlarged[0], top, side)
        self._left, self._columns = _weigh(size[1], enlarged[1], left, side)

    def fill(self, windows: Float32Array, maps: Float32Array) -> None:
        """Write the windows of ``(B, C, h, w)`` maps into ``(N, C, side, side)``."""
        count, channels, side, _ = windows.shape
        reach_down, reach_right = self._rows.shape[2], self._columns.shape[2]
        height, width = maps.shape[2:]
        by_batch, by_channel, by_row, by_column = maps.strides
        blocks = as_strided(
            maps,
            (len(maps), height - reach_down + 1, width - reach_right + 1, reach_down, channels, reach_right),
            (by_batch, by_row, by_column, by_row, by_channel, by_column),
            writeable=False,
        )[self._batch, self._top, self._left]
        # One product per tile and axis: smaller ones would cost more, and BLAS would spread a single one for
        # all tiles over threads that the runtime and the pipeline need.
        across = blocks.reshape(count, reach_down * channels, reach_right) @ self._columns.transpose(0, 2, 1)
        down = self._rows @ across.reshape(count, reach_down, channels * side)
        windows[...] = down.reshape(count, side, channels, side).transpose(0, 2, 1, 3)


def _weigh(size: int, enlarged: int, first: IndexArray, side: int) -> tuple[IndexArray, Float32Array]:
    """Compute the weights of bilinear interpolation along one axis, for each window.

    Returns:
        ``(N,)``, the first pixel of the map that the window needs, and ``(N, side, reach)``, the weights of
        the ``reach`` pixels from there on; all zero outside of the picture.
    """
    ratio = size / enlarged
    reach = min(size, int(np.ceil((side - 1) * ratio)) + 2)
    at = first[:, None] + np.arange(side)
    position = np.clip((at + 0.5) * ratio - 0.5, 0, size - 1)
    low = position.astype(np.intp)
    high = np.minimum(low + 1, size - 1)
    share = (position - low) * ((at >= 0) & (at < enlarged))
    rest = (1 - (position - low)) * ((at >= 0) & (at < enlarged))
    start = np.clip(low[:, 0], 0, size - reach)
    pixel = start[:, None, None] + np.arange(reach)
    weights = (pixel == low[..., None]) * rest[..., None] + (pixel == high[..., None]) * share[..., None]
    return start, weights.astype(np.float32)
