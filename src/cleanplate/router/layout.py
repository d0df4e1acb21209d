"""Layout of frames of one size for a model: padding, size of the coarse input, cells to refine."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from cleanplate.frame import Padding
from cleanplate.models.config import ModelConfig
from cleanplate.router import Refine
from cleanplate.router.cells import CELL

# Size of the picture for which a model's default number of sampled pixels is meant.
HD_PIXELS = 1920 * 1080

# Largest growth of a picture by padding for a whole ratio between picture and coarse input.
PADDING_LIMIT = 1.07


@dataclass(frozen=True)
class Layout:
    """Layout of frames of one size for one model.

    Attributes:
        padding: From the frame to the router's picture.
        coarse_size: Height and width of the coarse network's input.
        scale: Coarse input over frame, as requested; of the frame as it is shown, with square pixels.
        refine: Rule that selects the cells to refine.
    """

    padding: Padding
    coarse_size: tuple[int, int]
    scale: float
    refine: Refine


def lay_out(
    config: ModelConfig,
    height: int,
    width: int,
    scale: float | None = None,
    refine: Refine | str = "auto",
    finer: float = 1.0,
    stretch: float = 1.0,
) -> Layout:
    """Choose the layout of frames of ``height`` x ``width`` for a model.

    Args:
        config: Record of the model.
        height: Rows of a frame.
        width: Its columns.
        scale: Coarse input over frame; None: the model's choice.
        refine: Rule that selects the cells to refine, or ``auto``.
        finer: Factor of the model's scale.
        stretch: Width of a pixel divided by its height. The coarse input has square pixels, so that the
            network sees true proportions: people who are squeezed to 3/4 of their width have twice the error
            (docs/log.md, 2026-11-29).
    """
    if isinstance(refine, str):
        refine = Refine.parse(config.refine)
        if refine.mode == "sampling":
            refine = replace(refine, value=float(round(refine.value * height * width / HD_PIXELS)))
    if config.refiner_kernel is None:
        refine = Refine("off")
    taller, wider = max(1.0, 1 / stretch), max(1.0, stretch)
    scale = scale or config.default_scale(round(height * taller), round(width * wider), finer)
    multiple = config.size_multiple
    excess = max(1.0, scale * taller, scale * wider)  # the coarse input is not larger than the frame
    scales = scale * taller / excess, scale * wider / excess
    if multiple == 1:
        padding = Padding.of(height, width, CELL)
        padded = padding.padded_size
        return Layout(padding, (int(padded[0] * scales[0]), int(padded[1] * scales[1])), scale, refine)
    if stretch == 1:
        padding = _pad_to_whole_ratio(height, width, scale, multiple)
    else:
        padding = Padding.of(height, width, CELL)
    sizes = [
        max(1, min(round(side * of_side / multiple), side // multiple)) * multiple
        for side, of_side in zip(padding.padded_size, scales, strict=True)
    ]
    return Layout(padding, (sizes[0], sizes[1]), scale, refine)


def _pad_to_whole_ratio(height: int, width: int, scale: float, multiple: int) -> Padding:
    """Pad to multiples of 4; if it is cheap, pad further until picture and coarse input have a whole ratio.

    Shrinking by whole numbers is several times as fast, and the pixels of maps and picture are then aligned.
    """
    plain = Padding.of(height, width, CELL)
    ratio = round(1 / scale)
    if not math.isclose(ratio * scale, 1.0):
        return plain
    whole = Padding.of(height, width, math.lcm(CELL, ratio * multiple))
    return whole if math.prod(whole.padded_size) <= PADDING_LIMIT * height * width else plain
