"""The router on torch tensors: pictures are ``(B, C, H, W)``, uint8, or int32 that holds uint16.

All arrays stay on the device until alpha and foreground are finished; these stay there, too, if the caller
asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.frame import AnyArray, BoolArray, Float32Array, Padding, Pixels
from cleanplate.router.cells import CELL, COST_MARGIN, TILE_SIDES, measure_windows
from cleanplate.router.changed_region import (
    QUIET_SHARE,
    SAMPLE_STEP,
    SPREAD,
    ChangedRegion,
    enclose,
    tolerance,
)
from cleanplate.router.device_transfers import Sent, Transfers
from cleanplate.router.refine import Refine
from cleanplate.router.router import Clock, Coarse, Shrink, halve_towards

# Pixels that the refiner computes at once; bounds memory. Large batches keep a GPU busy.
_CHUNK_PIXELS = {"cpu": 1 << 15}
_CHUNK_PIXELS_OF_OTHERS = 1 << 21

FULL_RANGE = {torch.uint8: 255, torch.int32: 65535}
"""White, by the type of a picture."""


class TorchRouter:
    """Router on torch tensors; see :class:`cleanplate.router.router.DeviceRouter`.

    Args:
        device: The device that computes.
        dtype: Float type of the networks' inputs.

    Attributes:
        transfers: Copies to the device and back.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.clock = Clock()
        self.transfers = Transfers(device)
        self.is_apart = device.type == "cuda"
        self._device = device
        self._dtype = dtype
        self._chunk_pixels = _CHUNK_PIXELS.get(device.type, _CHUNK_PIXELS_OF_OTHERS)

    def upload(self, pixels: Pixels) -> Tensor:
        return to_planes(self.transfers.send(pixels if pixels.ndim == 4 else pixels[None]).take())

    def send(self, pixels: Pixels) -> Sent:
        return self.transfers.send(pixels)

    def receive(self, sent: Sent, padding: Padding) -> Tensor:
        picture = to_planes(sent.take()[None])
        # torch cannot pad integers by repetition.
        if padding.below:
            last = picture[:, :, -1:].expand(-1, -1, padding.below, -1)
            picture = torch.cat([picture, last], 2)
        if padding.right:
            picture = torch.cat([picture, picture[..., -1:].expand(-1, -1, -1, padding.right)], 3)
        return picture

    @torch.inference_mode()
    def glance(self, alpha: Tensor, size: tuple[int, int], method: Shrink) -> Float32Array:
        if method == "area":
            down, across = (cover(a, b, alpha) for a, b in zip(alpha.shape, size, strict=True))
            return self.transfers.bring(down @ alpha @ across.T)
        small = F.interpolate(alpha[None, None], size, mode="bilinear", align_corners=False)
        return self.transfers.bring(small[0, 0])

    def shrink(self, picture: Tensor, size: tuple[int, int], method: Shrink) -> Tensor:
        with self.clock.stage("shrink"), torch.inference_mode():
            if method == "area":
                small = _average(picture.float(), size) / FULL_RANGE[picture.dtype]
            else:
                pixels = _as_float(picture, torch.float32)
                small = F.interpolate(pixels, size, mode="bilinear", align_corners=False)
            return small.to(self._dtype)

    def bring(self, maps: Tensor) -> Float32Array:
        return self.transfers.bring(maps.float())

    def take(self, maps: Float32Array) -> Tensor:
        with torch.inference_mode():
            return torch.from_numpy(np.ascontiguousarray(maps)).to(self._device, self._dtype)

    @torch.inference_mode()
    def find_change(self, source: Tensor, plate: Tensor) -> ChangedRegion | None:
        with self.clock.stage("change"):
            known = plate[:, 3]
            difference = (source - plate[:, :3]).abs().amax(1).float()
            samples = difference[:, ::SAMPLE_STEP, ::SAMPLE_STEP].flatten(1).sort(dim=1).values
            noise = samples[:, int(QUIET_SHARE * (samples.shape[1] - 1))].tolist()
            around = F.pad(difference[:, None], (SPREAD // 2,) * 4, mode="replicate")
            mean = F.avg_pool2d(around, SPREAD, 1)[:, 0]
            limits = torch.tensor([tolerance(one) for one in noise], device=mean.device)[:, None, None]
            changed = (mean > limits) | (known == 0)
            return enclose(changed.any(2).any(0).tolist(), changed.any(1).any(0).tolist())

    def expand(self, coarse: Coarse[Tensor], region: ChangedRegion, size: tuple[int, int]) -> Coarse[Tensor]:
        below, right = size[0] - region.top - region.height, size[1] - region.left - region.width
        around = (region.left, right, region.top, below)
        return Coarse(
            *(F.pad(x, around) for x in (coarse.alpha, coarse.residual, coarse.error, coarse.hidden))
        )

    def nothing(self, batch: int, hidden: int, size: tuple[int, int]) -> Coarse[Tensor]:
        shapes = [(batch, channels, *size) for channels in (1, 3, 1, hidden)]
        return Coarse(*(torch.zeros(shape, dtype=self._dtype, device=self._device) for shape in shapes))

    def refine(
        self,
        source: Tensor,
        plate: Tensor,
        coarse: Coarse[Tensor],
        refine: Refine,
        network: Callable[[Tensor, Tensor], Tensor],
        kernel: int,
    ) -> tuple[Float32Array, AnyArray]:
        alpha, foreground = self.refine_on_device(source, plate, coarse, refine, network, kernel)
        with self.clock.stage("foreground"):
            return self.transfers.bring(alpha), self.transfers.bring(to_pixels(foreground))

    @torch.inference_mode()
    def refine_on_device(
        self,
        source: Tensor,
        plate: Tensor,
        coarse: Coarse[Tensor],
        refine: Refine,
        network: Callable[[Tensor, Tensor], Tensor],
        kernel: int,
    ) -> tuple[Tensor, Tensor]:
        size = (source.shape[2], source.shape[3])
        with self.clock.stage("paste"):
            joined = torch.cat([coarse.alpha, coarse.residual], 1).float()
            result = F.interpolate(joined, size, mode="bilinear", align_corners=False)
        with self.clock.stage("select"):
            selected = select_cells(coarse.error, size, refine)
            side, tiles = plan_tiles(selected)
        if len(tiles):
            with self.clock.stage("cut"):
                cutter = _Cutter(source, plate, coarse, side, kernel, self._dtype)
            step = max(1, self._chunk_pixels // side**2)
            for chunk in (tiles[i : i + step] for i in range(0, len(tiles), step)):
                with self.clock.stage("cut"):
                    half, full = cutter.cut(chunk)
                with self.clock.stage("refine"):
                    refined = network(half, full)
                with self.clock.stage("paste"):
                    _paste(refined, chunk, selected, result)
        with self.clock.stage("foreground"):
            alpha = result[:, 0].clamp(0, 1)
            foreground = (_as_float(source, torch.float32) + result[:, 1:]).clamp(0, 1)
            return alpha, (foreground * FULL_RANGE[source.dtype]).round().to(source.dtype)

    @torch.inference_mode()
    def show_maps(
        self, coarse: Coarse[Tensor], size: tuple[int, int], refine: Refine
    ) -> tuple[Float32Array, BoolArray]:
        error = F.interpolate(coarse.error.float(), size, mode="bilinear", align_corners=False)
        selected = select_cells(coarse.error, size, refine)
        pixels = selected.repeat_interleave(CELL, dim=1).repeat_interleave(CELL, dim=2)
        return error[:, 0].clamp(0, 1).cpu().numpy(), pixels.cpu().numpy()


def to_planes(pixels: Tensor) -> Tensor:
    """Convert ``(..., H, W, C)`` uint8 or uint16 to a picture: channels first, uint16 in int32.

    torch supports little more than copies for uint16.
    """
    wide = torch.int32 if pixels.dtype == torch.uint16 else pixels.dtype
    return pixels.movedim(-1, -3).to(wide, memory_format=torch.contiguous_format).contiguous()


def to_pixels(picture: Tensor) -> Tensor:
    """Convert a picture back; the inverse of :func:`to_planes`."""
    narrow = torch.uint16 if picture.dtype == torch.int32 else picture.dtype
    return picture.movedim(-3, -1).contiguous().to(narrow)


def select_cells(error: Tensor, size: tuple[int, int], refine: Refine) -> Tensor:
    """Select cells like :func:`cleanplate.router.cells.select_cells`: bool ``(B, height / 4, width / 4)``."""
    rows, columns = size[0] // CELL, size[1] // CELL
    if refine.mode == "off":
        return torch.zeros((len(error), rows, columns), dtype=torch.bool, device=error.device)
    per_cell = F.interpolate(error.float(), (rows, columns), mode="bilinear", align_corners=False)[:, 0]
    if refine.mode == "full":
        return per_cell >= 0
    if refine.mode == "threshold":
        return per_cell > refine.value
    flat = per_cell.flatten(1)
    count = min(int(refine.value) // CELL**2, flat.shape[1])
    highest = flat.topk(count, dim=1, sorted=False).indices
    selected = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, highest, True)
    return (selected & (flat > 0)).view_as(per_cell)


def plan_tiles(selected: Tensor) -> tuple[int, Tensor]:
    """Plan tiles like :func:`cleanplate.router.cells.plan_tiles`.

    Returns:
        The side of the tiles in pixels, and ``(N, 3)``: picture, and row and column counted in tiles.
    """
    occupied = {side: F.max_pool2d(selected.float(), side // CELL, ceil_mode=True) > 0 for side in TILE_SIDES}
    # One synchronisation for all counts.
    counts = torch.stack([mask.count_nonzero() for mask in occupied.values()]).tolist()
    costs = [count * (side + COST_MARGIN) ** 2 for count, side in zip(counts, TILE_SIDES, strict=True)]
    side = TILE_SIDES[costs.index(min(costs))]
    return side, occupied[side].nonzero()


class _Cutter:
    """The refiner's inputs as whole padded pictures, from which windows are cut chunk by chunk."""

    def __init__(
        self,
        source: Tensor,
        plate: Tensor,
        coarse: Coarse[Tensor],
        side: int,
        kernel: int,
        dtype: torch.dtype,
    ) -> None:
        self._dtype = dtype
        height, width = source.shape[2:]
        pictures = torch.cat([source, plate.expand_as(source)], 1)
        maps = torch.cat([coarse.hidden, coarse.alpha, coarse.residual], 1).to(dtype)
        half_size = (height // 2, width // 2)
        halves = F.avg_pool2d(_as_float(pictures, torch.float32), 2).to(dtype)
        enlarged = F.interpolate(maps, half_size, mode="bilinear", align_corners=False)
        windows = measure_windows(side, kernel)
        self._half = _view_windows(torch.cat([enlarged, halves], 1), side // 2, windows.half_halo)
        self._full = _view_windows(pictures, side, windows.full_halo)

    def cut(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the ``half`` and ``full`` windows of ``(N, 3)`` tiles for the refiner."""
        batch, row, column = tiles.unbind(1)
        half = self._half[batch, row, column]
        full = self._full[batch, row, column]
        return half.contiguous(), _as_float(full, self._dtype).contiguous()


def _view_windows(picture: Tensor, step: int, halo: int) -> Tensor:
    """View ``(B, C, H, W)`` as overlapping windows ``(B, rows, columns, C, side, side)``, zero outside."""
    height, width = picture.shape[2:]
    padded = F.pad(picture, (halo, halo + -width % step, halo, halo + -height % step))
    side = step + 2 * halo
    return padded.unfold(2, side, step).unfold(3, side, step).permute(0, 2, 3, 1, 4, 5)


def _paste(refined: Tensor, tiles: Tensor, selected: Tensor, result: Tensor) -> None:
    """Write the selected cells of refined tiles ``(N, 4, side, side)`` into the result ``(B, 4, H, W)``."""
    step = refined.shape[2] // CELL
    batch, row, column = tiles.unbind(1)
    height, width = selected.shape[1:]
    padded = F.pad(selected, (0, -width % step, 0, -height % step))
    blocks = padded.unfold(1, step, step).unfold(2, step, step)
    tile, row_in_tile, column_in_tile = blocks[batch, row, column].nonzero().unbind(1)
    values = refined.view(len(refined), 4, step, CELL, step, CELL)
    cells = result.view(len(result), 4, height, CELL, width, CELL)
    cells[batch[tile], :, row[tile] * step + row_in_tile, :, column[tile] * step + column_in_tile] = values[
        tile, :, row_in_tile, :, column_in_tile
    ].to(result.dtype)


def _as_float(picture: Tensor, dtype: torch.dtype) -> Tensor:
    return (picture.float() / FULL_RANGE[picture.dtype]).to(dtype)


def _average(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize to ``size`` in code values; each pixel is the average of the area that it covers.

    Steps and rounding are those of the NumPy router, so that the networks see the same numbers.
    """
    while halve_towards((values.shape[2], values.shape[3]), size):
        values = (F.avg_pool2d(values, 2) + 0.5).floor()
    if values.shape[2:] != size:
        down, across = (cover(a, b, values) for a, b in zip(values.shape[2:], size, strict=True))
        values = (down @ values @ across.T).round()
    return values


def cover(size: int, smaller: int, like: Tensor) -> Tensor:
    """Weights of averaging along one axis, ``(smaller, size)``: shares of old pixels in new ones."""
    edges = torch.arange(smaller + 1, device=like.device, dtype=torch.float64) * (size / smaller)
    old = torch.arange(size, device=like.device, dtype=torch.float64)
    top = torch.minimum(edges[1:, None], old + 1)
    bottom = torch.maximum(edges[:-1, None], old)
    return ((top - bottom).clamp(min=0) * (smaller / size)).to(like.dtype)
