"""Synthesis of cases on the fly: a source, its plate, and the true alpha and foreground.

A case follows a real shoot. Sprites are placed on a background (:mod:`.scene`), light and shadows are added
(:mod:`.relighting`), then the set is photographed twice, once with the sprites (the source) and once empty
(the plate), with changes between the two exposures (:mod:`.exposures`). :class:`.Faults` sets the strength of
each change.

All random numbers come from one generator, so a seed gives equal cases on the same type of device. The code
is plain torch and runs on a CPU or a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from cleanplate.training.synthesis.exposures import CameraSimulation
from cleanplate.training.synthesis.faults import MEDIUM, Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.relighting import light_scene
from cleanplate.training.synthesis.scene import EMPTY_SHARE, SceneMaker

__all__ = ["MEDIUM", "Case", "Faults", "Synthesis"]

_AT_ONCE = 4  # cases that are computed together: few enough for a CPU's cache


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
        """Apply ``change`` to every tensor."""
        source, plate, alpha, foreground = map(change, (self.source, self.plate, self.alpha, self.foreground))
        trust = None if self.trust is None else change(self.trust)
        return Case(source, plate, alpha, foreground, trust)


@contextmanager
def single_thread() -> Iterator[None]:
    """Compute with one thread: the rounding of sums depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Synthesis:
    """Draws batches of cases.

    Args:
        material: Sprites, textures and backgrounds of one split; kinds that it lacks do not occur.
        faults: Strengths of the differences between the two exposures.
        seed: Seed of the random stream.
        device: Device of the computation and of the results.
        detail: Pixels of the case per pixel of a full-size picture: misregistration and blur, given in
            full-size pixels, shrink with it. 1 for crops of full-size pictures, 0.3 for pictures reduced
            to the coarse network's size.
        fine: Share of the figures that are fine figures and portraits.
        empty: Share of the cases without a subject.

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
        empty: float = EMPTY_SHARE,
    ) -> None:
        self.material = material
        self.faults = faults or Faults()
        self.device = torch.device(device)
        self.detail = detail
        self._random = RandomGenerator(seed, self.device)
        self._shares = (fine, empty)
        self._scenes = SceneMaker(material, self._random, self.faults, *self._shares)
        self._camera = CameraSimulation(self.faults, self.device)

    def reseed(self, seed: int) -> None:
        """Start another random stream; the next results depend on ``seed`` and ``detail`` alone."""
        self._random.generator.manual_seed(seed)

    def kind_of(self, seed: int) -> str:
        """Give the kind of main subject that a new stream of ``seed`` draws first; this stream stays."""
        random = RandomGenerator(seed, self.device)
        return SceneMaker(self.material, random, self.faults, *self._shares).draw_kind()

    def case_of(self, seed: int, height: int, width: int, *, kind: str | None = None) -> Case:
        """Make one case that depends on ``seed`` alone, to the bit, for any number of cores."""
        with single_thread():
            self.reseed(seed)
            return self.batch(1, height, width, kind=kind)

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
        scenes = [self._scenes.set_up(height, width, self.detail, kind) for _ in range(count)]
        source_set, plate_set, alpha, foreground, trust = (
            torch.cat(parts) for parts in zip(*scenes, strict=True)
        )
        *lights, camera = (self._random.branch() for _ in range(5))
        source, foreground = light_scene(lights, self.faults, foreground, alpha, source_set)
        source, alpha, foreground, plate = self._camera.photograph(
            camera, source, alpha, foreground, plate_set, self.detail
        )
        return source, self._camera.uncover(camera, plate), alpha, foreground, trust
