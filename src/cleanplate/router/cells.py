"""Selection of cells, and the tiles that cover them.

A cell is 4 x 4 pixels. A tile is a square of several cells, aligned to a grid of its own side; the refiner
computes one tile at once. Neighbouring cells share a tile's halo, which is most of the work when cells are
computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.frame import AnyArray, BoolArray, Float32Array, IndexArray
from cleanplate.router.refine import Refine

CELL = 4
TILE_SIDES = (8, 16, 32, 64)


# Overhead of a tile, as pixels added to its side: fitted to measured times of cutting, refining and pasting
# on a CPU, which follow (side + COST_MARGIN) ** 2 closely.
COST_MARGIN = 6


@dataclass(frozen=True)
class WindowSizes:
    """Sizes of the windows that the refiner needs for one tile.

    Attributes:
        side: Side of the result, in pixels.
        full: Side of the window at full resolution.
        half: Side of the window at half resolution.
        full_halo: Pixels of the full window beyond the tile, on each side.
        half_halo: Pixels of the half window beyond the tile, on each side.
    """

    side: int
    full: int
    half: int
    full_halo: int
    half_halo: int


def measure_windows(side: int, kernel: int) -> WindowSizes:
    """Compute the sizes of the refiner's windows.

    The refiner has two convolutions at half resolution, nearest x2, and two at full resolution. With 3 x 3
    kernels each convolution takes one pixel off every side. The windows are zero outside the picture.
    """
    half_halo, full_halo = (3, 2) if kernel == 3 else (0, 0)
    return WindowSizes(side, side + 2 * full_halo, side // 2 + 2 * half_halo, full_halo, half_halo)


@dataclass(frozen=True)
class Tiles:
    """Tiles of one side that cover the selected cells of a batch.

    Attributes:
        side: In pixels.
        batch: ``(N,)``, number of the picture of each tile.
        top: ``(N,)``, first row in pixels; a multiple of ``side``. The last tile may extend beyond the
            picture.
        left: ``(N,)``, first column.
    """

    side: int
    batch: IndexArray
    top: IndexArray
    left: IndexArray

    def __len__(self) -> int:
        return len(self.batch)

    def __getitem__(self, part: slice) -> Tiles:
        return Tiles(self.side, self.batch[part], self.top[part], self.left[part])


def select_cells(error: Float32Array, size: tuple[int, int], refine: Refine) -> BoolArray:
    """Choose the cells of a picture of ``size`` to refine.

    Args:
        error: ``(B, 1, h, w)`` of any size; resized bilinearly to one value per cell. Below 0, no cell is
            refined.
        size: Height and width of the picture, multiples of 4.
        refine: The rule of choice.

    Returns:
        ``(B, height / 4, width / 4)``. With ``sampling``, any of several equal errors at the limit may be
        chosen, but never more cells than requested.
    """
    rows, columns = size[0] // CELL, size[1] // CELL
    if refine.mode == "off":
        return np.zeros((len(error), rows, columns), bool)
    per_cell = np.stack([cv2.resize(one[0], (columns, rows)) for one in error])
    if refine.mode == "full":
        return np.asarray(per_cell >= 0)
    if refine.mode == "threshold":
        return np.asarray(per_cell > refine.value)
    return np.stack([_select_highest(one, int(refine.value) // CELL**2) for one in per_cell])


def _select_highest(error: AnyArray, count: int) -> BoolArray:
    positive = np.asarray(error > 0)
    if np.count_nonzero(positive) <= count:
        return positive
    selected = np.zeros(error.size, bool)
    if count:
        selected[np.argpartition(error, error.size - count, axis=None)[-count:]] = True
    return selected.reshape(error.shape)


def plan_tiles(selected: BoolArray, sides: tuple[int, ...] = TILE_SIDES) -> Tiles:
    """Cover the selected cells ``(B, rows, columns)`` with tiles of the side that costs least.

    Small tiles suit scattered cells, as they compute few others; large tiles suit dense cells, as they spend
    little on halos.
    """
    plans, occupied, step = [], selected, 1
    for side in sides:
        while step * CELL < side:
            occupied, step = _halve(occupied), 2 * step
        plans.append((np.count_nonzero(occupied) * (side + COST_MARGIN) ** 2, side, occupied))
    _, side, occupied = min(plans, key=lambda plan: plan[0])
    batch, row, column = np.nonzero(occupied)
    return Tiles(side, batch, row * side, column * side)


def _halve(mask: BoolArray) -> BoolArray:
    """Mark the blocks of 2 x 2 that hold a set element."""
    if mask.shape[1] % 2 or mask.shape[2] % 2:
        mask = np.pad(mask, [(0, 0), (0, mask.shape[1] % 2), (0, mask.shape[2] % 2)])
    rows = mask[:, ::2] | mask[:, 1::2]
    return np.asarray(rows[:, :, ::2] | rows[:, :, 1::2])


def find_cells(selected: BoolArray, tiles: Tiles) -> tuple[IndexArray, IndexArray, IndexArray]:
    """List the selected cells inside of tiles.

    Returns:
        ``(M,)`` each: the tile's number, and the cell's row and column in the picture, counted in cells.
    """
    step = tiles.side // CELL
    inside = np.arange(step)
    rows = tiles.top[:, None] // CELL + inside
    columns = tiles.left[:, None] // CELL + inside
    height, width = selected.shape[1:]
    chosen = selected[
        tiles.batch[:, None, None],
        np.minimum(rows, height - 1)[:, :, None],
        np.minimum(columns, width - 1)[:, None, :],
    ]
    chosen &= (rows < height)[:, :, None] & (columns < width)[:, None, :]
    tile, row, column = np.nonzero(chosen)
    return tile, rows[tile, row], columns[tile, column]
