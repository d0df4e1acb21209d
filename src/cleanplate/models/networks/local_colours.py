"""Colours of the subject and light of the set, propagated from certain pixels to uncertain ones.

A pull-push pyramid (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.3.2): certain pixels are
averaged over larger and larger areas, and each pixel takes the smallest area with enough of them. Only
average pooling and bilinear resizing are used, which every runtime has.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.models.networks.blocks import upsample_to

LEVELS = 4
"""Number of halvings: the widest areas are 64 pixels of the network's input."""
ENOUGH = 0.25
"""Share of certain pixels above which the mean of an area is used alone."""
_LEAST = 1e-4
_FAINT = 1e-4  # weight of a black or white pixel, used where there is no other
_DARK = 0.01  # where both are darker than this, noise dominates their ratio

CANDIDATES = 2
"""Number of colours of the subject, a dark and a light one: hair and cloth are mostly mixtures of two."""
COLOUR_CHANNELS = 3 * CANDIDATES + 3


def spread(values: Tensor, weight: Tensor) -> Tensor:
    """Propagate ``values`` ``(B, C, h, w)`` from pixels of high ``weight`` ``(B, 1, h, w)``.

    Args:
        values: In [0, 1].
        weight: In [0, 1].

    Returns:
        Weighted means of ``values`` nearby, at their size.
    """
    levels = [torch.cat([values * weight, weight], dim=1)]
    for _ in range(LEVELS):
        levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True, count_include_pad=False))
    whole = levels[-1].mean(dim=(2, 3), keepdim=True)
    result = whole[:, :-1] / (whole[:, -1:] + _LEAST)
    for level in reversed(levels):
        sums, share = level[:, :-1], level[:, -1:]
        if level is not levels[-1]:
            result = upsample_to(result, share)
        known = (share * (1 / ENOUGH)).clamp(0, 1)
        result = result + known * (sums / (share + _LEAST) - result)
    return result


def find_local_colours(source: Tensor, plate: Tensor, alpha: Tensor) -> Tensor:
    """Compute the local colours and the light that the compositing equation needs at each pixel.

    Args:
        source: ``(B, 3, h, w)`` in [0, 1], both sides multiples of 4.
        plate: ``(B, 4, h, w)``, the fourth channel 1 where it is valid.
        alpha: ``(B, 1, h / 2, w / 2)`` in [0, 1]. No gradient goes back through it.

    Returns:
        ``(B, COLOUR_CHANNELS, h / 2, w / 2)`` in [0, 1]: a dark and a light colour of the subject nearby, and
        half the ratio of the set's light in the source to that in the plate; in a shadow, less than 0.5.
    """
    known_at = alpha.detach()
    alpha, seen, empty = F.avg_pool2d(known_at, 2), F.avg_pool2d(source, 4), F.avg_pool2d(plate, 4)
    subject = ((alpha - 0.9) * 12.5).clamp(0, 1)
    bright = seen.mean(dim=1, keepdim=True)
    dark, light = (subject * (share**3 + _FAINT) for share in (1 - bright, bright))
    known = ((0.05 - alpha) * 25).clamp(0, 1) * empty[:, 3:]
    both = spread(torch.cat([seen, empty[:, :3]], dim=1), known)
    ratio = ((both[:, :3] + _DARK) / (both[:, 3:] + _DARK) * 0.5).clamp(0, 1)
    return upsample_to(torch.cat([spread(seen, dark), spread(seen, light), ratio], dim=1), known_at)
