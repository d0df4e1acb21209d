"""Operations on pictures and tiles in the graph of a single file.

They cut tiles with their halo out of a picture, enlarge coarse maps inside of them, and write selected cells
back. All compile to TorchScript and export to ONNX without control flow. Indices count groups of neighbouring
pixels in a row: a gather of groups is several times as fast as one of pixels.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F


def smaller(a: int, b: int) -> int:
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return min(a, b)
    return cast(int, torch.sym_min(a, b))  # type: ignore[no-untyped-call]


def resize(picture: Tensor, size: list[int]) -> Tensor:
    """Resize bilinearly, without aligned corners.

    ``torch.nn.functional.interpolate`` compiles to code that names every method of the PyTorch that wrote it.
    Older versions of LibTorch, as in Nuke, then refuse the file.
    """
    resized: Tensor = torch._C._nn.upsample_bilinear2d(picture, size, False, None)
    return resized


def average(picture: Tensor, halves: int) -> Tensor:
    """Shrink to the mean of ``halves / 2`` x ``halves / 2`` pixels; sides are multiples of ``8 * halves``.

    Steps are those of the router: without a whole ratio, the picture is halved as long as possible.
    """
    if halves % 2 == 0:
        return average_squares(picture, halves // 2, 1)
    results = 2
    while halves >= 2 * results:
        picture = average_squares(picture, 2, 1)
        results *= 2
    return average_squares(picture, halves, results)


def average_squares(picture: Tensor, side: int, results: int) -> Tensor:
    """Shrink each square of ``side`` pixels to ``results`` pixels, each the mean of its area.

    Implemented as a convolution, which is several times as fast as pooling in the runtimes.
    """
    ratio = side / results
    first = torch.arange(results, dtype=picture.dtype, device=picture.device)[:, None] * ratio
    pixel = torch.arange(side, dtype=picture.dtype, device=picture.device)
    covered = (torch.minimum(first + ratio, pixel + 1) - torch.maximum(first, pixel)).clamp(min=0.0) / ratio
    kernel = (covered[:, None, :, None] * covered[None, :, None, :]).reshape(-1, side, side)
    channels = picture.shape[1]
    one = torch.eye(channels, dtype=picture.dtype, device=picture.device)
    weight = (one[:, None, :, None, None] * kernel[None, :, None]).reshape(-1, channels, side, side)
    small = F.conv2d(picture, weight, stride=side)
    return F.pixel_shuffle(small, results) if results > 1 else small


def divide(selected: Tensor, step: int) -> Tensor:
    """View ``(B, rows, columns)`` as squares of ``step``: ``(B, R, C, step, step)``, False outside."""
    padded = F.pad(selected.to(torch.uint8), [0, -selected.shape[2] % step, 0, -selected.shape[1] % step])
    batch, rows, columns = padded.shape
    squares = padded.view(batch, rows // step, step, columns // step, step)
    return squares.permute(0, 1, 3, 2, 4) > 0


def trim(windows: Tensor, axis: int, spare: int) -> Tensor:
    """Remove ``spare`` from both ends."""
    return windows.narrow(axis, spare, windows.shape[axis] - 2 * spare) if spare > 0 else windows


def cut_windows(picture: Tensor, tiles: Tensor, side: int, halo: int, group: int) -> Tensor:
    """Cut tiles with ``halo`` pixels around them, zero outside of the picture.

    Args:
        picture: ``(B, C, H, W)``, with W a multiple of ``group``.
        tiles: ``(N, 3)``: picture, and row and column counted in tiles.
        side: Side of a tile, a multiple of ``group``.
        halo: Halo in pixels.
        group: Number of pixels that are gathered at once.

    Returns:
        ``(N, C, side + 2 * halo, side + 2 * halo)``.
    """
    channels, height, groups = picture.shape[1], picture.shape[2], picture.shape[3] // group
    spare = -halo % group  # windows do not end at the border of a group
    reach = (halo + spare) // group
    device = tiles.device
    row = tiles[:, 1:2] * side + torch.arange(-halo, side + halo, device=device)
    column = tiles[:, 2:3] * (side // group) + torch.arange(-reach, side // group + reach, device=device)
    inside = ((row >= 0) & (row < height))[:, None, :, None, None]
    inside = inside & ((column >= 0) & (column < groups))[:, None, None, :, None]
    index = plane_index(tiles, channels) * height + row.clamp(min=0).clamp(max=height - 1)[:, None, :]
    index = (index * groups)[:, :, :, None] + column.clamp(min=0).clamp(max=groups - 1)[:, None, None, :]
    windows = F.embedding(index, picture.reshape(-1, group)) * inside.to(picture.dtype)
    return trim(windows.flatten(3), 3, spare)


def plane_index(tiles: Tensor, channels: int) -> Tensor:
    """Compute ``(N, C, 1)``, the number of the plane of each tile and channel."""
    return (tiles[:, 0:1] * channels + torch.arange(channels, device=tiles.device))[:, :, None]


def enlarge_windows(
    maps: Tensor, size: list[int], tiles: Tensor, side: int, halo: int, ratio: float
) -> Tensor:
    """Enlarge maps bilinearly to half of the picture's size, inside of the tiles' windows only.

    Args:
        maps: ``(B, C, h, w)``.
        size: Half of the picture's height and width.
        tiles: ``(N, 3)``.
        side: Side of a tile, in pixels of half resolution.
        halo: Halo, in pixels of half resolution.
        ratio: Largest ratio of the maps' sides to ``size``.

    Returns:
        ``(N, C, side + 2 * halo, side + 2 * halo)``, zero outside of the picture.
    """
    channels, height, width = maps.shape[1], maps.shape[2], maps.shape[3]
    reach = math.ceil((side + 2 * halo - 1) * ratio) + 2
    row, down = weigh(tiles[:, 1:2], height, size[0], side, halo, reach, maps.dtype)
    column, across = weigh(tiles[:, 2:3], width, size[1], side, halo, reach, maps.dtype)
    index = (plane_index(tiles, channels) * height + row[:, None, :]) * width
    pixels = F.embedding(index[:, :, :, None] + column[:, None, None, :], maps.reshape(-1, 1))
    # One product per tile, then one per channel of it.
    wide = pixels.view(-1, channels * reach, reach) @ across.transpose(1, 2)
    return down[:, None] @ wide.view(-1, channels, reach, side + 2 * halo)


def weigh(
    tile: Tensor, size: int, enlarged: int, side: int, halo: int, reach: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Compute the weights of bilinear enlargement along one axis, for each window.

    Args:
        tile: ``(N, 1)``, position counted in tiles.
        size: Size of the map.
        enlarged: Size of the enlarged map.
        side: Side of a tile.
        halo: Halo around it.
        reach: Largest number of map pixels that a window needs.
        dtype: Type of the weights.

    Returns:
        ``(N, reach)``, pixels of the map, and ``(N, side + 2 * halo, reach)``, their weights.
    """
    at = tile * side + torch.arange(-halo, side + halo, device=tile.device)
    position = ((at.to(torch.float32) + 0.5) * (size / enlarged) - 0.5).clamp(min=0.0).clamp(max=size - 1)
    pixel = position[:, :1].to(torch.int64) + torch.arange(reach, device=tile.device)
    # Bilinear: the weight falls linearly from 1 to 0 at a distance of one pixel.
    weights = (1.0 - (position[:, :, None] - pixel[:, None, :]).abs()).clamp(min=0.0)
    inside = ((at >= 0) & (at < enlarged))[:, :, None]
    return pixel.clamp(max=size - 1), (weights * inside).to(dtype)


def list_cells(blocks: Tensor, tiles: Tensor) -> Tensor:
    """List the selected cells of tiles, ``(M, 3)``: number of the tile, row and column of the cell in it."""
    number = (tiles[:, 0] * blocks.shape[1] + tiles[:, 1]) * blocks.shape[2] + tiles[:, 2]
    return blocks.flatten(0, 2).index_select(0, number).nonzero()


def paste(coarse: Tensor, refined: Tensor, first: int, tiles: Tensor, cells: Tensor, cell: int) -> Tensor:
    """Write the selected cells over the coarse result.

    Args:
        coarse: ``(B, C, H, W)``; it is not changed.
        refined: ``(N, 4, side, side)``; the channels from ``first`` on are used.
        first: First channel of ``refined``.
        tiles: ``(N, 3)``.
        cells: ``(M, 3)``, result of :func:`list_cells`.
        cell: Side of a cell.
    """
    channels, height, groups = coarse.shape[1], coarse.shape[2], coarse.shape[3] // cell
    side = refined.shape[2]
    step = side // cell
    tile, row, column = cells[:, 0:1], cells[:, 1:2], cells[:, 2:3]
    place = tiles.index_select(0, cells[:, 0])
    channel = torch.arange(channels, device=cells.device)
    line = torch.arange(cell, device=cells.device)
    taken = (tile * refined.shape[1] + first + channel)[:, :, None] * side + (row * cell + line)[:, None, :]
    values = F.embedding(taken * step + column[:, :, None], refined.reshape(-1, cell))
    written = plane_index(place, channels) * height + ((place[:, 1:2] * step + row) * cell + line)[:, None, :]
    written = written * groups + (place[:, 2:3] * step + column)[:, :, None]
    result = coarse.reshape(-1, cell).index_put([written.flatten()], values.reshape(-1, cell))
    return result.view(coarse.shape)
