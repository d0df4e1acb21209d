"""Cache of windows for training the refiner.

A case with its coarse maps costs ten times as much as a step of the refiner alone. While the coarse network
hardly changes, its maps can be reused.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CAPACITY = 6000
"""Windows of 128 pixels: some 3 GB."""
_SIDEWAYS, _UPSIDE_DOWN = -1, -2


@dataclass(frozen=True)
class Windows:
    """Inputs and truth of the refiner, windows of ``side`` x ``side`` pixels.

    Attributes:
        half: ``(N, C + 10, side / 2 + 6, side / 2 + 6)``.
        full: ``(N, 6, side + 4, side + 4)``, in [0, 1].
        alpha: ``(N, 1, side, side)``, true.
        foreground: ``(N, 3, side, side)``, true.
        trust: ``(N, 1, 1, 1)``, of :class:`cleanplate.training.synthesis.synthesis.Case`.
    """

    half: Tensor
    full: Tensor
    alpha: Tensor
    foreground: Tensor
    trust: Tensor


class WindowPool:
    """The newest windows, on the host: maps as bfloat16, pictures as bytes.

    Args:
        capacity: Largest number of windows; new ones replace the oldest.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity, self._added = capacity, 0
        self._kept: list[tuple[Tensor, ...]] = []

    def __len__(self) -> int:
        return len(self._kept)

    @torch.no_grad()
    def add(self, windows: Windows) -> None:
        """Keep ``windows``."""
        half, full, alpha, foreground, trust = _tensors(windows)
        pictures = (x.mul(255).round().byte().cpu() for x in (full, alpha, foreground))
        packed = (half.to(torch.bfloat16).cpu(), *pictures, trust.cpu())
        for one in zip(*packed, strict=True):
            place, self._added = self._added % self._capacity, self._added + 1
            copies = tuple(x.clone() for x in one)  # a view would keep the whole batch
            if place < len(self._kept):
                self._kept[place] = copies
            else:
                self._kept.append(copies)

    def draw(self, count: int, device: torch.device) -> Windows:
        """Draw random windows, mirrored in one direction, both or none."""
        numbers = torch.randint(len(self._kept), (count,)).tolist()
        parts = zip(*(self._kept[number] for number in numbers), strict=True)
        axes = [axis for axis in (_SIDEWAYS, _UPSIDE_DOWN) if torch.rand(()) < 0.5]
        half, full, alpha, foreground, trust = (torch.stack(part).to(device).flip(axes) for part in parts)
        return Windows(half.float(), full / 255, alpha / 255, foreground / 255, trust)


def _tensors(windows: Windows) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return windows.half, windows.full, windows.alpha, windows.foreground, windows.trust
