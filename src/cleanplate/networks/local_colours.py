"""Colours of the subject and light of the set, spread from where they are sure to where they are not.

A pull-push pyramid (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.3.2): sure pixels are averaged
over larger and larger areas, and each pixel takes the smallest area in which enough of them are. It is made
of average pooling and bilinear resizing alone, so that every runtime has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.networks.layers import upsample_to

LEVELS = 5
"""Halvings: the widest areas are 32 pixels of the maps."""
ENOUGH = 0.25
"""Share of sure pixels in an area from which its mean is taken alone."""
_LEAST = 1e-4


def spread(values: Tensor, weight: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
    """Spread ``values`` ``(B, C, h, w)`` from where ``weight`` ``(B, 1, h, w)`` is high.

    Args:
        values: In [0, 1].
        weight: In [0, 1].
        first: Level of the pyramid below which nothing is taken: 0 for single pixels, 1 for means of 2 x 2 ...

    Returns:
        Weighted means of ``values`` nearby, at their size, and the share of sure pixels in the widest areas.
    """
    levels = [torch.cat([values * weight, weight], dim=1)]
    for _ in range(LEVELS):
        levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True, count_include_pad=False))
    whole = levels[-1].mean(dim=(2, 3), keepdim=True)
    result = whole[:, :-1] / (whole[:, -1:] + _LEAST)
    for level in reversed(levels[first:]):
        sums, share = level[:, :-1], level[:, -1:]
        if result.shape[2:] != share.shape[2:] and level is not levels[-1]:
            result = upsample_to(result, share)
        known = (share * (1 / ENOUGH)).clamp(0, 1)
        result = result + known * (sums / (share + _LEAST) - result)
    if first:
        result = upsample_to(result, values)
    return result, upsample_to(levels[-1][:, -1:], values)
