"""The refiner over a whole picture at once: what training uses, and what the router's tiles must equal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_HALO = 3
"""Half-resolution pixels needed around a window by two 3 x 3 convolutions there and two at full size."""
FULL_HALO = 2


def refine_everywhere(
    refiner: Callable[[Tensor, Tensor], Tensor],
    alpha: Tensor,
    residual: Tensor,
    hidden: Tensor,
    source: Tensor,
    plate: Tensor,
    *,
    kernel_size: int = 3,
) -> tuple[Tensor, Tensor]:
    """Refine every pixel.

    Args:
        refiner: ``(half, full) -> (B, 4, H, W)``, valid convolutions.
        alpha: ``(B, 1, h, w)``, coarse.
        residual: ``(B, 3, h, w)``, coarse.
        hidden: ``(B, C, h, w)``, coarse.
        source: ``(B, 3, H, W)`` in [0, 1], both sides even.
        plate: ``(B, 3, H, W)`` in [0, 1].
        kernel_size: 3, or 1 for refiners without context.

    Returns:
        Alpha ``(B, 1, H, W)`` (not clamped) and foreground residual ``(B, 3, H, W)``.
    """
    size = (source.shape[2] // 2, source.shape[3] // 2)
    both = torch.cat([source, plate], dim=1)
    maps = torch.cat([hidden, alpha, residual], dim=1)
    half = torch.cat(
        [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (maps, both)], dim=1
    )
    if kernel_size == 3:
        half = F.pad(half, (HALF_HALO,) * 4)
        both = F.pad(both, (FULL_HALO,) * 4)
    fine = refiner(half, both)
    return fine[:, :1], fine[:, 1:]
