"""Composites made on the fly: a source, its plate, and the true alpha and foreground.

A case is put together like a real shoot. Sprites are placed on a background (:mod:`.scene`), light falls on
them and they cast shadows (:mod:`.light`), then the set is photographed twice, once with them (the source)
and once empty (the plate), and between the two exposures things drift (:mod:`.exposures`). How much of each
is set by :class:`.Faults`.

Everything is drawn from one generator, so a seed gives the same cases again on the same device type. All of
it is plain torch: the same code makes cases on a CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cleanplate.training.synthesis.exposures import CameraSimulation
from cleanplate.training.synthesis.faults import MEDIUM, Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.relighting import cast_shadows, reflect, relight, spill
from cleanplate.training.synthesis.scene import SceneMaker

__all__ = ["MEDIUM", "Case", "Faults", "Synthesis"]

_AT_ONCE = 4  # cases worked on together: few enough to stay in a CPU's cache


@dataclass(frozen=True)
class Case:
    """A batch of cases.

    Attributes:
        source: ``(B, 3, H, W)`` in [0, 1].
        plate: ``(B, 4, H, W)`` in [0, 1]; the fourth channel is 1 where the plate is valid.
        alpha: ``(B, 1, H, W)`` in [0, 1].
        foreground: ``(B, 3, H, W)`` in [0, 1], straight; arbitrary where alpha is 0.
        trust: ``(B, 1, 1, 1)``: 1 where alpha is exact, 0 where its soft part is an estimate; None: all are
            exact.
    """

    source: Tensor
    plate: Tensor
    alpha: Tensor
    foreground: Tensor
    trust: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Case:
        """Put every tensor through ``change``."""
        source, plate, alpha, foreground = map(change, (self.source, self.plate, self.alpha, self.foreground))
        trust = None if self.trust is None else change(self.trust)
        return Case(source, plate, alpha, foreground, trust)


class Synthesis:
    """Draws batches of cases.

    Args:
        material: Sprites, textures and backgrounds of one split; kinds that it lacks do not occur.
        faults: Strengths of the differences between the two exposures.
        seed: Of the random stream.
        device: Where the cases are made and left.
        detail: Pixels of the case per pixel of a full-size picture: misregistration and blur, given in
            full-size pixels, shrink with it. 1 for crops of full-size pictures, 0.3 for pictures reduced
            to the coarse network's size.
        fine: Share of the figures that are fine figures and portraits.

    Raises:
        InputError: The material has no backgrounds.
    """

    def __init__(
        self,
        material: Material,
        *,
        faults: Faults | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        detail: float = 1.0,
        fine: float = 0.0,
    ) -> None:
        self.material = material
        self.faults = faults or Faults()
        self.device = torch.device(device)
        self.detail = detail
        self._random = RandomGenerator(seed, self.device)
        self._scenes = SceneMaker(material, self._random, self.faults, fine)
        self._camera = CameraSimulation(self.faults, self.device)

    def reseed(self, seed: int) -> None:
        """Start another random stream; what comes next depends on ``seed`` and ``detail`` alone."""
        self._random.generator.manual_seed(seed)

    def kind_of(self, seed: int) -> str:
        """The kind of main subject that a fresh stream of ``seed`` draws first; the stream here stays."""
        return SceneMaker(self.material, RandomGenerator(seed, self.device), self.faults).draw_kind()

    def case_of(self, seed: int, height: int, width: int, *, kind: str | None = None) -> Case:
        """One case that follows from ``seed`` alone, to the bit, whatever the number of cores."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums round by how they are shared out
        try:
            self.reseed(seed)
            return self.batch(1, height, width, kind=kind)
        finally:
            torch.set_num_threads(threads)

    def batch(self, count: int, height: int, width: int, *, kind: str | None = None) -> Case:
        """Draw ``count`` cases of ``height`` x ``width``, with one ``kind`` of main subject or with any."""
        with torch.no_grad():
            parts = [
                self._cases(min(_AT_ONCE, count - first), height, width, kind)
                for first in range(0, count, _AT_ONCE)
            ]
            return Case(*(torch.cat(x) for x in zip(*parts, strict=True)))

    def _cases(
        self, count: int, height: int, width: int, kind: str | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        faults = self.faults
        scenes = [self._scenes.set_up(height, width, self.detail, kind) for _ in range(count)]
        source_set, plate_set, alpha, foreground, trust = (
            torch.cat(parts) for parts in zip(*scenes, strict=True)
        )
        relighting, spilling, shading, mirroring, camera = (self._random.branch() for _ in range(5))
        foreground = relight(relighting, foreground, source_set)
        foreground = spill(spilling, faults, foreground, alpha, source_set)
        lit_set = cast_shadows(shading, faults, source_set, alpha)
        lit_set = reflect(mirroring, faults, lit_set, foreground, alpha)
        source = torch.lerp(lit_set, foreground, alpha)
        source, foreground, plate = self._camera.photograph(
            camera, source, foreground, plate_set, self.detail
        )
        return source, self._camera.uncover(camera, plate), alpha, foreground, trust
