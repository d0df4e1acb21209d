"""Endless stream of batches made from the material, which can be entered at any batch.

The cases of draw number ``c`` of a stage depend only on the seed ``(seed, stage, c)``, and batch number ``n``
is one such draw, new or replayed. So a resumed run continues with the same next batch, for any number of
workers; and processes share one stream, each with every ``world``-th draw.
"""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cleanplate.training.presets import Course, Preset, TrainingStage
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.moving_sequences import Footage, SequenceSynthesis
from cleanplate.training.synthesis.synthesis import Case, Synthesis

ROUND = 4
"""Number of batches between a batch and its replay, as consecutive steps on equal cases would overfit."""

_CHANNEL_ORDERS = [order for order in itertools.permutations(range(3)) if order != (0, 1, 2)]


@dataclass(frozen=True)
class Batch:
    """Cases for one step.

    Attributes:
        case: Source, plate and truth; for a network without a plate, sequences and their truth.
        scale: Coarse network's input over case.
        refines: Whether the refiner is trained on it, too.
        chunk: For sequences: number of frames for back-propagation through time.
        begins: For sequences: whether the batch is the start of its sequences.
    """

    case: Case | Footage
    scale: float
    refines: bool
    chunk: int = 0
    begins: bool = True

    def to(self, device: torch.device) -> Batch:
        """Copy to ``device``."""
        return replace(self, case=self.case.map(lambda x: x.to(device, non_blocking=True)))

    def parts(self) -> list[tuple[Batch, float]]:
        """Split into parts for consecutive gradients, each with its share of the whole."""
        if isinstance(self.case, Case):
            return [(self, 1.0)]
        frames = self.case.source.shape[1]
        parts = []
        for start in range(0, frames, self.chunk):
            stop = min(start + self.chunk, frames)
            case = self.case.map(lambda x, start=start, stop=stop: x[:, start:stop])  # type: ignore[misc]
            parts.append((replace(self, case=case, begins=start == 0), (stop - start) / frames))
        return parts


class Cases(Dataset[Batch]):
    """Sequence of draws of new cases, numbered for this process, each made on access.

    Args:
        material: Sprites, textures and backgrounds.
        preset: Preset with the faults of the plates.
        stage: Stage with its kinds of batches.
        seed: Seed of the stage's stream.
        batch: Number of cases in a batch of full share.
        rank: Number of this process.
        world: Number of processes.
        device: Device on which the cases are made.
    """

    def __init__(
        self,
        material: Material,
        preset: Preset,
        stage: TrainingStage,
        *,
        seed: tuple[int, ...],
        batch: int,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self._preset, self._material, self._device = preset, material, device
        self._made: dict[Faults, Synthesis | SequenceSynthesis] = {}
        self._courses = stage.courses
        self._seed, self._batch, self._rank, self._world = seed, batch, rank, world

    def __getitem__(self, index: int) -> Batch:
        number = index * self._world + self._rank
        course = self._courses[index % len(self._courses)]
        synthesis, random = self._synthesis_of(course), np.random.default_rng((*self._seed, number))
        synthesis.reseed(int(random.integers(1 << 32)))
        synthesis.detail = float(random.uniform(*course.detail))
        height, width = course.sizes[int(random.integers(len(course.sizes)))]
        count = cases_in(course, self._batch)
        scale = course.scales[number // len(self._courses) % len(course.scales)]
        if isinstance(synthesis, Synthesis):
            return Batch(synthesis.batch(count, height, width), scale, course.refines)
        footage = synthesis.batch(count, course.frames, height, width, course.stills)
        return Batch(footage, scale, course.refines, course.chunk)

    def _synthesis_of(self, course: Course) -> Synthesis | SequenceSynthesis:
        """Synthesis with the course's faults, created in the worker that uses it."""
        faults = course.faults or self._preset.faults
        if faults not in self._made:
            self._made[faults] = (
                Synthesis(
                    self._material,
                    faults=faults,
                    device=self._device,
                    fine=self._preset.fine,
                    empty=self._preset.empty,
                )
                if self._preset.config.needs_plate
                else SequenceSynthesis(self._material, faults=faults, device=self._device)
            )
        return self._made[faults]


def cases_in(course: Course, batch: int) -> int:
    """Compute the number of cases in one batch of this kind."""
    return max(1, round(batch * course.share))


def stream(
    cases: Cases, *, start: int = 0, replay: int = 1, workers: int = 0
) -> Generator[Batch, None, None]:
    """Yield batches from number ``start`` on, without end.

    They come in rounds: ``ROUND`` new ones, then the same ones ``replay - 1`` times with variations.

    Args:
        cases: Source of new batches.
        start: Number of the first batch.
        replay: Number of uses of each case.
        workers: Number of processes that make cases; 0 for none, as on a GPU, which makes them itself.
    """
    rounds, skip = divmod(start, ROUND * replay)
    fresh = iter(
        DataLoader(
            cases,
            batch_size=None,
            sampler=itertools.count(rounds * ROUND),
            num_workers=workers,
            prefetch_factor=3 if workers else None,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # the loader draws a number, not to be one of a step's own
            worker_init_fn=_settle_worker,
            # Forked workers share the material's memory; sending it would need an open file per picture.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        )
    )
    held: list[Batch] = []
    for again, place in itertools.cycle(itertools.product(range(replay), range(ROUND))):
        if again == 0:
            batch = next(fresh)
            if place == 0:
                held.clear()
            if replay > 1:
                held.append(batch)
        else:
            batch = vary(held[place], again, place)
        if skip:
            skip -= 1
        else:
            yield batch


def vary(batch: Batch, again: int, place: int) -> Batch:
    """Mirror every other batch, and permute the colour channels of all its pictures equally.

    Both keep alpha and all relations between source, plate and foreground.
    """
    order = list(_CHANNEL_ORDERS[(again + place) % len(_CHANNEL_ORDERS)])

    def change(x: Tensor) -> Tensor:
        if x.shape[-3] >= 3:  # not alpha
            x = x[..., [*order, *range(3, x.shape[-3])], :, :]
        return x.flip(-1) if again % 2 else x

    return replace(batch, case=batch.case.map(change))


def _as_it_is(batch: Any) -> Any:
    return batch


def _settle_worker(_: int) -> None:
    """Limit a worker to one thread, and ignore Ctrl-C there, as the main process handles it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
