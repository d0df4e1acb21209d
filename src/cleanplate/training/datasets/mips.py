"""Pictures with a pyramid of halvings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cleanplate.frame import ByteArray
from cleanplate.training.datasets.pictures import shrink

_MINIMUM_SIDE = 96


@dataclass(frozen=True)
class Mips:
    """A picture and its halvings, so that shrinking it later does not alias.

    Attributes:
        levels: uint8 ``(channels, height, width)``, each half of the one before. RGBA levels hold straight
            colour averaged with alpha as the weight.
        touches: For sprites, whether the subject is cut at the left, right, top and bottom of the picture.
    """

    levels: tuple[Tensor, ...]
    touches: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def at_scale(self, scale: float) -> Tensor:
        """Choose the smallest level for sampling a picture of ``scale`` times the original's size."""
        level = 0
        while level + 1 < len(self.levels) and scale < 0.5 ** (level + 0.6):
            level += 1
        return self.levels[level]

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the original."""
        return self.levels[0].shape[1], self.levels[0].shape[2]


def make_mips(picture: ByteArray) -> Mips:
    """Build the pyramid of ``(height, width, 3 | 4)``."""
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 2 * _MINIMUM_SIDE:
        height, width = levels[-1].shape[:2]
        levels.append(shrink(levels[-1], height // 2, width // 2))
    touches = [False] * 4
    if picture.shape[2] == 4:
        alpha = picture[..., 3]
        edges = (alpha[:, :2], alpha[:, -2:], alpha[:2], alpha[-2:])
        touches = [bool((edge > 128).mean() > 0.02) for edge in edges]
    return Mips(
        tuple(torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1))) for x in levels),
        (touches[0], touches[1], touches[2], touches[3]),
    )
