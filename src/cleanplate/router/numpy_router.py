"""The router on NumPy arrays: pictures are ``(B, H, W, C)`` in the source's own type."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from cleanplate.frame import AnyArray, BoolArray, Float32Array, IndexArray, Pixels
from cleanplate.router.cells import CELL, Tiles, find_cells, measure_windows, plan_tiles, select_cells
from cleanplate.router.changed_region import (
    QUIET_SHARE,
    SAMPLE_STEP,
    SPREAD,
    ChangedRegion,
    enclose,
    tolerance,
)
from cleanplate.router.refine import Refine
from cleanplate.router.router import Clock, Coarse, Shrink, halve_towards
from cleanplate.router.windows import Interpolation, cut_squares, enlarge, halve

# Pixels that the refiner computes at once. Bounds memory, and keeps the windows in the processor's cache.
_CHUNK_PIXELS = 1 << 15


class NumpyRouter:
    """Router on NumPy arrays; see :class:`cleanplate.router.router.Router`.

    Args:
        workers: Threads that share the tiles of a frame. A thread takes whole tiles, from cut to paste; many
            small convolutions would not use all cores.
    """

    def __init__(self, workers: int = 1) -> None:
        self.clock = Clock()
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, "router") if workers > 1 else None

    def upload(self, pixels: Pixels) -> AnyArray:
        return np.ascontiguousarray(pixels if pixels.ndim == 4 else pixels[None])

    def shrink(self, picture: AnyArray, size: tuple[int, int], method: Shrink) -> Float32Array:
        with self.clock.stage("shrink"):
            resize = _average if method == "area" else _interpolate
            small = [np.stack(cv2.split(resize(one, size))) for one in picture]
            return np.multiply(np.stack(small), 1 / np.iinfo(picture.dtype).max, dtype=np.float32)

    def bring(self, maps: Float32Array) -> Float32Array:
        return maps

    def take(self, maps: Float32Array) -> Float32Array:
        return np.ascontiguousarray(maps, np.float32)

    def find_change(self, source: Float32Array, plate: Float32Array) -> ChangedRegion | None:
        with self.clock.stage("change"):
            rows, columns = np.zeros(source.shape[2], bool), np.zeros(source.shape[3], bool)
            for one, its_plate in zip(source, plate, strict=True):
                known = its_plate[3]
                difference = np.zeros_like(known)
                for channel, its_channel in zip(one, its_plate, strict=False):
                    np.maximum(difference, cv2.absdiff(channel, its_channel), out=difference)
                sample = difference[::SAMPLE_STEP, ::SAMPLE_STEP].ravel()
                quiet = int(QUIET_SHARE * (sample.size - 1))
                limit = tolerance(float(np.partition(sample, quiet)[quiet]))
                mean = cv2.blur(difference, (SPREAD, SPREAD), borderType=cv2.BORDER_REPLICATE)
                changed = (mean > limit) | (known == 0)
                rows |= changed.any(1)
                columns |= changed.any(0)
            return enclose(rows.tolist(), columns.tolist())

    def expand(
        self, coarse: Coarse[Float32Array], region: ChangedRegion, size: tuple[int, int]
    ) -> Coarse[Float32Array]:
        return Coarse(
            *(
                _lay_into(x, region, size)
                for x in (coarse.alpha, coarse.residual, coarse.error, coarse.hidden)
            )
        )

    def nothing(self, batch: int, hidden: int, size: tuple[int, int]) -> Coarse[Float32Array]:
        return Coarse(*(np.zeros((batch, channels, *size), np.float32) for channels in (1, 3, 1, hidden)))

    def refine(
        self,
        source: AnyArray,
        plate: AnyArray,
        coarse: Coarse[Float32Array],
        refine: Refine,
        network: Callable[[Float32Array, Float32Array], Float32Array],
        kernel: int,
    ) -> tuple[Float32Array, AnyArray]:
        size = source.shape[1:3]
        with self.clock.stage("paste"):
            alpha = np.zeros(source.shape[:3], np.float32)
            for i, one in enumerate(coarse.alpha):
                for part, enlarged in enlarge(one, size):
                    alpha[i][part] = enlarged
        with self.clock.stage("foreground"):
            foreground = self._add_residual(source, coarse.residual)
        with self.clock.stage("select"):
            selected = select_cells(coarse.error, (size[0], size[1]), refine)
            tiles = plan_tiles(selected)

        def refine_tiles(some: Tiles) -> None:
            with self.clock.stage("cut"):
                half, full = cut_windows(source, plate, coarse, some, kernel)
            with self.clock.stage("refine"):
                refined = network(half, full)
            with self.clock.stage("paste"):
                _paste(refined, some, selected, source, alpha, foreground)

        share = -(-len(tiles) // self._workers)
        step = max(1, min(_CHUNK_PIXELS // tiles.side**2, share))
        chunks = [tiles[first : first + step] for first in range(0, len(tiles), step)]
        # Every cell belongs to one tile, so no two threads write to the same pixels.
        for _ in self._pool.map(refine_tiles, chunks) if self._pool else map(refine_tiles, chunks):
            pass
        return alpha, foreground

    def show_maps(
        self, coarse: Coarse[Float32Array], size: tuple[int, int], refine: Refine
    ) -> tuple[Float32Array, BoolArray]:
        error = np.stack([cv2.resize(one[0], size[::-1]) for one in coarse.error])
        selected = select_cells(coarse.error, size, refine)
        return np.clip(error, 0, 1), selected.repeat(CELL, axis=1).repeat(CELL, axis=2)

    def _add_residual(self, source: AnyArray, residual: Float32Array) -> AnyArray:
        """Enlarge the residual, add it to the source and round to the source's type."""
        foreground: AnyArray = source.copy()
        for i, one in enumerate(residual * np.float32(np.iinfo(source.dtype).max)):
            for part, enlarged in enlarge(one, source.shape[1:3]):
                _add(source[i][part], enlarged, foreground[i][part])
        return foreground


def _lay_into(maps: Float32Array, region: ChangedRegion, size: tuple[int, int]) -> Float32Array:
    whole = np.zeros((*maps.shape[:2], *size), np.float32)
    rows = slice(region.top, region.top + region.height)
    whole[:, :, rows, region.left : region.left + region.width] = maps
    return whole


def cut_windows(
    source: AnyArray, plate: AnyArray, coarse: Coarse[Float32Array], tiles: Tiles, kernel: int
) -> tuple[Float32Array, Float32Array]:
    """Cut the refiner's inputs for some tiles.

    Args:
        source: ``(B, H, W, 3)``, uint8 or uint16.
        plate: ``(B, H, W, 3)``, or ``(1, H, W, 3)`` for all.
        coarse: Result of the coarse network for them.
        tiles: The tiles to cut.
        kernel: Side of the refiner's convolutions.

    Returns:
        ``half`` ``(N, C + 10, side / 2 + 6, side / 2 + 6)``: hidden, alpha, residual, source and plate,
        bilinear at half resolution; and ``full`` ``(N, 6, side + 4, side + 4)``: source and plate. Both are
        zero outside the picture. With 1 x 1 kernels there is no halo, so the 6 and the 4 are missing.
    """
    size = measure_windows(tiles.side, kernel)
    hidden = coarse.hidden.shape[1]
    half = np.empty((len(tiles), hidden + 10, size.half, size.half), np.float32)
    full = np.empty((len(tiles), 6, size.full, size.full), np.float32)

    height, width = source.shape[1:3]
    interpolation = Interpolation(
        coarse.alpha.shape[2:],
        (height // 2, width // 2),
        tiles.batch,
        tiles.top // 2 - size.half_halo,
        tiles.left // 2 - size.half_halo,
        size.half,
    )
    interpolation.fill(half[:, :hidden], coarse.hidden)
    interpolation.fill(half[:, hidden : hidden + 1], coarse.alpha)
    interpolation.fill(half[:, hidden + 1 : hidden + 4], coarse.residual)

    # One square holds both windows: the full one is its middle, the half one its 2 x 2 averages.
    halo, side = 2 * size.half_halo, 2 * size.half
    middle = slice(halo - size.full_halo, halo - size.full_halo + size.full)
    scale = 1 / np.iinfo(source.dtype).max
    for picture, at in ((source, 0), (plate, 3)):
        batch = tiles.batch if len(picture) > 1 else np.zeros_like(tiles.batch)
        squares = cut_squares(picture, batch, tiles.top - halo, tiles.left - halo, side)
        for channel, plane in enumerate(cv2.split(squares.reshape(len(tiles) * side, side, 3))):
            scaled = np.multiply(plane.reshape(len(tiles), side, side), scale, dtype=np.float32)
            full[:, at + channel] = scaled[:, middle, middle]
            half[:, hidden + 4 + at + channel] = halve(scaled)
    return half, full


def _paste(
    refined: Float32Array,
    tiles: Tiles,
    selected: BoolArray,
    source: AnyArray,
    alpha: Float32Array,
    foreground: AnyArray,
) -> None:
    """Write the selected cells of refined tiles into alpha ``(B, H, W)`` and foreground ``(B, H, W, 3)``.

    The four pixels of a cell's row are copied as one item, several times as fast as one by one.
    """
    tile, row, column = find_cells(selected, tiles)
    in_tile = CELL * row - tiles.top[tile], column - tiles.left[tile] // CELL
    from_channel = tile[:, None] * 4 + np.arange(4)
    moved = _view_runs(refined, 1)[_find_runs((from_channel, *in_tile), tiles.side, tiles.side)]
    alpha_values, *residual = moved.view(np.float32).reshape(-1, 4, CELL, CELL).transpose(1, 0, 2, 3)

    runs = _find_runs((tiles.batch[tile, None], CELL * row, column), *alpha.shape[1:])[:, 0]
    _view_runs(alpha, 1)[runs] = _view_runs(alpha_values.clip(0, 1), 1).reshape(runs.shape)

    colour = _view_runs(source, 3)[runs].view(source.dtype).reshape(-1, CELL, 3)
    change = cv2.merge([channel.reshape(-1, CELL) for channel in residual])
    colour = _add(colour, change * np.float32(np.iinfo(source.dtype).max))
    _view_runs(foreground, 3)[runs] = _view_runs(colour, 3).reshape(runs.shape)


def _view_runs(picture: AnyArray, channels: int) -> AnyArray:
    """View contiguous pictures as items of four neighbouring pixels each."""
    return picture.reshape(-1).view(f"V{CELL * channels * picture.itemsize}")


def _find_runs(cells: tuple[IndexArray, IndexArray, IndexArray], height: int, width: int) -> IndexArray:
    """Number the items of the cells ``(M, P, 4)``, from plane ``(M, P)``, row and column in cells."""
    plane, row, column = cells
    rows = plane[..., None] * height + row[:, None, None] + np.arange(CELL)
    return np.asarray(rows * (width // CELL) + column[:, None, None])


def _add(source: AnyArray, change: Float32Array, into: AnyArray | None = None) -> AnyArray:
    """Add a change counted in code values to ``(H, W, 3)``; round to the source's type, within its range."""
    depth = cv2.CV_8U if source.dtype == np.uint8 else cv2.CV_16U
    return np.asarray(cv2.add(source, change, dst=into, dtype=depth), source.dtype)


def _average(picture: AnyArray, size: tuple[int, int]) -> AnyArray:
    """Resize to ``size``; each pixel is the average of the area that it covers."""
    while halve_towards(picture.shape[:2], size):
        halved = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = cv2.resize(picture, halved, interpolation=cv2.INTER_AREA)
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    return picture


def _interpolate(picture: AnyArray, size: tuple[int, int]) -> Float32Array:
    """Resize ``(H, W, C)`` bilinearly without rounding to the picture's type.

    Only the rows that contribute are converted to float; most do not when a picture is made much smaller.
    """
    position = np.clip((np.arange(size[0]) + 0.5) * (len(picture) / size[0]) - 0.5, 0, len(picture) - 1)
    low = position.astype(np.intp)
    share = (position - low).astype(np.float32)[:, None, None]
    rows = picture[low].astype(np.float32)
    below = picture[np.minimum(low + 1, len(picture) - 1)].astype(np.float32)
    below -= rows
    below *= share
    rows += below
    return np.asarray(cv2.resize(rows, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
