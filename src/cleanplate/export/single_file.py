"""Both networks and the router as one module: ``src, bgr -> pha, fgr``.

It is the content of a single file. :mod:`cleanplate.export.onnx_export` writes it as ONNX with fixed
settings; :mod:`cleanplate.export.torchscript_export` compiles it with settings that can be changed after
loading. Its numbers are those of :class:`cleanplate.router.torch_router.TorchRouter` for pictures padded to
multiples of :func:`padding_multiple`, but without rounding to code values.

The picture is divided into tiles of one side. A tile with a selected cell is refined as a whole, with its
halo, and the selected cells are written back; :mod:`cleanplate.export.tile_operations` has these steps.

Besides the networks' own operators the graph has: Conv, DepthToSpace, Resize, AveragePool, MatMul, Pad,
Gather, ScatterND, NonZero, ReduceMax; TopK and ScatterElements with ``sampling``; Add, Sub, Mul, Div, Mod,
Neg, Abs, Min, Clip, Cast; Greater, GreaterOrEqual, Less, And; Shape, Reshape, Transpose, Concat, Split,
Slice, Squeeze, Unsqueeze, Expand, ConstantOfShape. No ``If``, no ``Loop``, no functions.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.errors import OptionError
from cleanplate.export.export_options import ExportOptions
from cleanplate.export.tile_operations import (
    average,
    cut_windows,
    divide,
    enlarge_windows,
    list_cells,
    paste,
    resize,
    smaller,
    trim,
)
from cleanplate.models.config import ModelConfig
from cleanplate.models.networks.whole_picture import FULL_HALO, HALF_HALO
from cleanplate.router import Refine
from cleanplate.router.layout import lay_out

HD = 1080, 1920
"""Picture size that gives the scale and the number of sampled pixels of a graph of free size."""

CELL = 4
TILE = 32
"""Side of a tile in pixels: the fastest in measurements on pictures of 1920x1080."""

MODES = {"sampling": "sampling", "threshold": "thresholding", "full": "full", "off": "off"}
"""Modes of refinement by this package's names, with BGMv2's names, which the module uses."""


class SingleFile(nn.Module):
    """Module from source and plate to alpha and foreground, of any size.

    Args:
        coarse: ``(source, plate)`` to alpha, residual, error and hidden features.
        refiner: ``(half, full)`` to alpha and residual; None for a model without a refiner.
        config: The model's record.
        scale: Coarse input over picture. For a model that shrinks by averaging, it is one over a multiple of
            1/2; see :func:`check_scale`.
        refine: Rule that selects the cells.

    Attributes:
        backbone_scale: ``scale``.
        refine_mode: "sampling", "thresholding", "full" or "off".
        refine_sample_pixels: Pixels per picture for "sampling".
        refine_threshold: Lower limit of the error for "thresholding".
    """

    def __init__(
        self,
        coarse: nn.Module,
        refiner: nn.Module | None,
        config: ModelConfig,
        scale: float,
        refine: Refine,
    ) -> None:
        super().__init__()
        self.coarse = coarse
        self.refiner = refiner
        self.half_halo, self.full_halo = (HALF_HALO, FULL_HALO) if config.refiner_kernel == 3 else (0, 0)
        # Compiled code cannot read constants of a Python module.
        self.cell, self.tile = CELL, TILE
        self.plate_channels = config.plate_channels
        self.multiple = config.size_multiple
        self.averages = config.shrink == "area"
        self.stride = config.coarse_output_stride
        self.backbone_scale = float(scale)
        self.refine_mode = MODES[refine.mode] if refiner is not None else "off"
        self.refine_sample_pixels = int(refine.value) if refine.mode == "sampling" else 80_000
        self.refine_threshold = float(refine.value) if refine.mode == "threshold" else 0.1

    def forward(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """Key a batch.

        Args:
            src: ``(B, 3, H, W)`` in [0, 1].
            bgr: The plate, of the same shape.

        Returns:
            Alpha ``(B, 1, H, W)`` and foreground ``(B, 3, H, W)``, both in [0, 1].
        """
        return self.key(src, bgr)

    def key(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """Key a batch; a method of its own because compiled code has no ``super().forward``."""
        source, plate, small, small_plate = self.prepare(src, bgr)
        alpha, residual, error, hidden = self.run_coarse(small, small_plate)
        refiner = self.refiner
        if refiner is None or self.refine_mode == "off":
            return self.enlarge(src, alpha, residual)
        if self.refine_mode == "full":
            half, full = self.surround(source, plate, alpha, residual, hidden)
            return self.finish(src, refiner(half, full))
        blocks = self.select(error, source.shape[2], source.shape[3])
        tiles, half, full = self.cut(source, plate, alpha, residual, hidden, blocks)
        return self.paste(src, alpha, residual, blocks, tiles, refiner(half, full))

    def run_coarse(self, source: Tensor, plate: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the coarse network: alpha, residual, error and hidden features."""
        alpha, residual, error, hidden = self.coarse(source, plate)
        return alpha, residual, error, hidden

    def prepare(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pad both pictures and shrink them to the coarse input: returns source, plate, and both small."""
        source, plate = self.pad(src), self.pad(bgr)
        small, small_plate = self.shrink(source), self.shrink(plate)
        if self.plate_channels == 4:
            # The whole plate is valid.
            small_plate = torch.cat([small_plate, torch.ones_like(small_plate[:, :1])], 1)
        return source, plate, small, small_plate

    def pad(self, picture: Tensor) -> Tensor:
        """Repeat the last row and column until both sides are multiples for the coarse input."""
        below, right = self.missing(picture.shape[2]), self.missing(picture.shape[3])
        return F.pad(picture, [0, right, 0, below], mode="replicate")

    def missing(self, side: int) -> int:
        """Compute the pixels to add to a side."""
        return -side % (self.multiple * self.halves() // 2 if self.averages else self.cell)

    def halves(self) -> int:
        """Compute picture over averaged coarse input, counted in halves."""
        return max(2, int(2.0 / self.backbone_scale + 0.5))

    def shrink(self, picture: Tensor) -> Tensor:
        """Make the coarse input of a padded picture."""
        if self.averages:
            return average(picture, self.halves())
        size = [self.scaled(picture.shape[2]), self.scaled(picture.shape[3])]
        return resize(picture, size)

    def scaled(self, side: int) -> int:
        """Compute a side of the coarse input, rounded down."""
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return int(side * self.backbone_scale)
        ratio = Fraction(self.backbone_scale).limit_denominator(1 << 12)
        return side * ratio.numerator // ratio.denominator

    def select(self, error: Tensor, height: int, width: int) -> Tensor:
        """Select the cells of a padded picture: bool ``(B, R, C, step, step)``, tile by tile."""
        rows, columns = height // self.cell, width // self.cell
        per_cell = resize(error.float(), [rows, columns])[:, 0]
        if self.refine_mode == "thresholding":
            return divide(per_cell > self.refine_threshold, self.tile // self.cell)
        flat = per_cell.flatten(1)
        count = smaller(self.refine_sample_pixels // (self.cell * self.cell), rows * columns)
        highest = flat.topk(count, dim=1, sorted=False)[1]
        chosen = torch.zeros_like(flat).scatter(1, highest, 1.0)
        # Cells without an expected error are never refined, even if the number is not reached.
        return divide(((chosen > 0) & (flat > 0)).view(-1, rows, columns), self.tile // self.cell)

    def cut(
        self, source: Tensor, plate: Tensor, alpha: Tensor, residual: Tensor, hidden: Tensor, blocks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """List the tiles that hold a selected cell, ``(N, 3)``, and cut the refiner's inputs for them."""
        tiles = blocks.flatten(3).any(3).nonzero()
        # The half-resolution window is larger; the full-resolution window is its middle.
        windows = [
            cut_windows(picture, tiles, self.tile, 2 * self.half_halo, self.cell)
            for picture in (source, plate)
        ]
        pictures = torch.cat(windows, 1)
        maps = torch.cat([hidden, alpha, residual], 1)
        size = [source.shape[2] // 2, source.shape[3] // 2]
        side = self.tile // 2
        enlarged = enlarge_windows(maps, size, tiles, side, self.half_halo, self.coarse_ratio())
        half = torch.cat([enlarged, F.avg_pool2d(pictures, 2)], 1)
        spare = 2 * self.half_halo - self.full_halo
        return tiles, half, trim(trim(pictures, 2, spare), 3, spare)

    def surround(
        self, source: Tensor, plate: Tensor, alpha: Tensor, residual: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Make the refiner's inputs for the whole picture."""
        size = [source.shape[2] // 2, source.shape[3] // 2]
        both = torch.cat([source, plate], 1)
        maps = torch.cat([hidden, alpha, residual], 1)
        enlarged = resize(maps, size)
        half = torch.cat([enlarged, F.avg_pool2d(both, 2)], 1)
        return F.pad(half, [self.half_halo] * 4), F.pad(both, [self.full_halo] * 4)

    def coarse_ratio(self) -> float:
        """Compute the largest ratio of the coarse maps' sides to half of the picture's."""
        return 2.0 * self.backbone_scale / self.stride

    def enlarge(self, src: Tensor, alpha: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Enlarge the coarse result to the picture's size, without refinement."""
        return self.finish(src, torch.cat(self.enlarged(src, alpha, residual), 1))

    def enlarged(self, src: Tensor, alpha: Tensor, residual: Tensor) -> list[Tensor]:
        """Enlarge coarse alpha and residual to the size of the padded picture."""
        size = [src.shape[2] + self.missing(src.shape[2]), src.shape[3] + self.missing(src.shape[3])]
        return [resize(x, size) for x in (alpha, residual)]

    def paste(
        self, src: Tensor, alpha: Tensor, residual: Tensor, blocks: Tensor, tiles: Tensor, refined: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the selected cells of refined tiles ``(N, 4, side, side)`` over the coarse result."""
        coarse_alpha, coarse_residual = self.enlarged(src, alpha, residual)
        cells = list_cells(blocks, tiles)
        pasted = [
            paste(coarse_alpha, refined, 0, tiles, cells, self.cell),
            paste(coarse_residual, refined, 1, tiles, cells, self.cell),
        ]
        return self.crop(src, pasted[0], pasted[1])

    def finish(self, src: Tensor, matte: Tensor) -> tuple[Tensor, Tensor]:
        return self.crop(src, matte[:, :1], matte[:, 1:])

    def crop(self, src: Tensor, alpha: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Crop the padding, and compute the foreground from the residual."""
        height, width = src.shape[2], src.shape[3]
        pha = alpha[:, :, :height, :width].clamp(0.0, 1.0)
        return pha, (src + residual[:, :, :height, :width]).clamp(0.0, 1.0)


def check_scale(config: ModelConfig, scale: float) -> float:
    """Return the scale if a single file of this model supports it.

    Raises:
        OptionError: The model shrinks by averaging, and one over the scale is no multiple of 1/2.
    """
    if config.shrink == "area" and abs(round(2 / scale) - 2 / scale) > 1e-6:
        nearest = 2 / max(2, round(2 / scale))
        raise OptionError(
            f"A single file of '{config.name}' cannot have the scale {scale:g}: one over it has to be a "
            "multiple of 1/2.",
            f"the nearest is {nearest:.6g}",
        )
    return scale


def plan_single(config: ModelConfig, options: ExportOptions) -> tuple[float, Refine, int]:
    """Choose coarse input over picture, rule of refinement, and multiple for padding.

    Raises:
        OptionError: See :func:`check_scale`.
    """
    layout = lay_out(config, *(options.size or HD), options.scale, options.refine or "auto")
    scale = check_scale(config, layout.scale)
    return scale, layout.refine, padding_multiple(config, scale)


def padding_multiple(config: ModelConfig, scale: float) -> int:
    """Compute the multiple to which both sides of a picture are padded."""
    return config.size_multiple * round(2 / scale) // 2 if config.shrink == "area" else CELL
