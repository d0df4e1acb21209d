"""Random numbers for synthesis, all from one seeded generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


class RandomGenerator:
    """Seeded random numbers, drawn on the host, so that all devices get equal ones; tensors on ``device``."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.device = device

    def branch(self) -> RandomGenerator:
        """Make an independent generator; draws from it do not change later numbers of this one.

        Draws that depend on a fault's strength use a branch, so that cases of other strengths keep the same
        scenes.
        """
        return RandomGenerator(self.seed(), self.device)

    def seed(self) -> int:
        """Draw a seed for another generator."""
        return int(torch.randint(2**62, (), generator=self.generator))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def normal(self, deviation: float = 1.0) -> float:
        return deviation * float(torch.randn((), generator=self.generator))

    def happens(self, probability: float) -> bool:
        return self.uniform() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(torch.randint(len(items), (), generator=self.generator))]

    def normals(self, *size: int) -> Tensor:
        return torch.randn(*size, generator=self.generator).to(self.device)

    def uniforms(self, *size: int) -> Tensor:
        return torch.rand(*size, generator=self.generator).to(self.device)

    def column(self, count: int, channels: int, deviation: float) -> Tensor:
        """Draw ``(count, channels, 1, 1)`` normal numbers; one member in eight is doubled."""
        values = self.normals(count, channels, 1, 1) * deviation
        return torch.where(self.uniforms(count, 1, 1, 1) < 0.125, 2 * values, values)

    def some(self, count: int, probability: float) -> list[int]:
        """Draw the indices of some members of a batch, each with the given probability."""
        chosen = torch.rand(count, generator=self.generator) < probability
        return [int(index) for index in chosen.nonzero()[:, 0]]
