"""The refiner over a whole picture at once, for training and as a reference for the router's tiles."""

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
    fine = refiner(*refiner_inputs(alpha, residual, hidden, source, plate, kernel_size=kernel_size))
    return fine[:, :1], fine[:, 1:]


def refiner_inputs(
    alpha: Tensor, residual: Tensor, hidden: Tensor, source: Tensor, plate: Tensor, *, kernel_size: int = 3
) -> tuple[Tensor, Tensor]:
    """Make the refiner's inputs for a whole picture, with halo; arguments as for :func:`refine_everywhere`.

    Returns:
        ``(B, C + 10, H / 2 + 6, W / 2 + 6)`` and ``(B, 6, H + 4, W + 4)``; a kernel of 1 needs no halo.
    """
    size = (source.shape[2] // 2, source.shape[3] // 2)
    both = torch.cat([source, plate], dim=1)
    maps = torch.cat([hidden, alpha, residual], dim=1)
    half = torch.cat(
        [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (maps, both)], dim=1
    )
    if kernel_size == 1:
        return half, both
    return F.pad(half, (HALF_HALO,) * 4), F.pad(both, (FULL_HALO,) * 4)


def cut_windows(
    half: Tensor, full: Tensor, corners: list[tuple[int, int, int]], side: int
) -> tuple[Tensor, Tensor]:
    """Cut square windows for 3 x 3 refiners out of :func:`refiner_inputs`.

    Args:
        half: ``(B, C + 10, H / 2 + 6, W / 2 + 6)``.
        full: ``(B, 6, H + 4, W + 4)``.
        corners: Member of the batch, top and left of each window in full-size pixels, both even.
        side: Side of the refined result, even.

    Returns:
        ``(N, C + 10, side / 2 + 6, side / 2 + 6)`` and ``(N, 6, side + 4, side + 4)``.
    """
    reach = side // 2 + 2 * HALF_HALO, side + 2 * FULL_HALO
    return (
        torch.stack(
            [half[b, :, y // 2 : y // 2 + reach[0], x // 2 : x // 2 + reach[0]] for b, y, x in corners]
        ),
        torch.stack([full[b, :, y : y + reach[1], x : x + reach[1]] for b, y, x in corners]),
    )
