"""A run of the training loop: its constant parts, and the opening of its folder, data and threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cleanplate.errors import InputError, OptionError
from cleanplate.media.files import reporting_write_errors
from cleanplate.system.cores import usable_cores
from cleanplate.training.datasets import parse_data_spec
from cleanplate.training.distributed import Group
from cleanplate.training.interruption import Interruption
from cleanplate.training.journal import Journal
from cleanplate.training.presets import Preset, TrainingStage
from cleanplate.training.settings import Settings
from cleanplate.training.stream import Cases, cases_in
from cleanplate.training.synthesis.material import Material, open_material
from cleanplate.training.training_checkpoint import load_checkpoint
from cleanplate.training.training_progress import Listener, TrainingProgress

LAST = "last.pt"
"""Name of the checkpoint that is resumed."""


@dataclass(frozen=True)
class TrainingRun:
    """Constant parts of a run."""

    settings: Settings
    preset: Preset
    group: Group
    precision: torch.dtype
    material: Material
    held_out: Material
    journal: Journal | None
    say: Listener
    began: float
    interruption: Interruption

    def done(self, progress: TrainingProgress) -> float:
        """Compute the spent part of the budget, in steps or seconds."""
        return progress.spent if self.settings.steps is None else progress.step

    def share(self, progress: TrainingProgress, until: float) -> float:
        """Compute the done share of a stage that ends at the share ``until`` of the budget."""
        budget = self.settings.steps or 60 * (self.settings.minutes or 0)
        end = round(until * budget) if self.settings.steps else until * budget
        length = end - progress.stage_began
        return (self.done(progress) - progress.stage_began) / length if length > 0 else 1.0


def read_run(folder: Path) -> dict[str, Any]:
    """Read the state of the run in ``folder``.

    Raises:
        InputError: There is no run, or it is damaged or of another version.
    """
    path = folder / LAST
    if not path.is_file():
        raise InputError(f"There is no run to resume in {folder}.", "leave out --resume to start one")
    state = load_checkpoint(path)
    if "progress" not in state:
        raise InputError(f"{path} holds weights only and cannot be resumed.", f"begin with --start={path}")
    return state


def prepare_folder(folder: Path, resume: bool) -> dict[str, Any] | None:
    """Read the state to resume, or make the folder of a new run and return None."""
    if resume:
        return read_run(folder)
    if (folder / LAST).exists():
        raise OptionError(f"{folder} holds a run already.", "continue with --resume, or choose another --out")
    with reporting_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return None


def open_data(settings: Settings, split: str) -> Material:
    """Open one split of the material of a run."""
    return open_material(
        [parse_data_spec(text) for text in settings.data],
        [Path(folder) for folder in settings.backgrounds],
        split,
        shapes=settings.shapes if split == "train" else min(60, settings.shapes),
        limit=settings.limit,
    )


def open_cases(run: TrainingRun, stage: TrainingStage, number: int, device: torch.device | str) -> Cases:
    """Open the cases of a stage; ``number`` is its place in the plan of the preset."""
    settings, group = run.settings, run.group
    return Cases(
        run.material, run.preset, stage,
        seed=(settings.seed, number), batch=settings.batch or run.preset.batch,
        rank=group.rank, world=group.world, device=device,
    )  # fmt: skip


def pictures_a_step(run: TrainingRun, stage: TrainingStage) -> float:
    """Compute the mean number of pictures of a step, in all processes."""
    batch_size = run.settings.batch or run.preset.batch
    pictures = [cases_in(course, batch_size) * max(1, course.frames) for course in stage.courses]
    return run.settings.accumulate * run.group.world * sum(pictures) / len(pictures)


def worker_count(settings: Settings, group: Group) -> int:
    """Choose the number of processes that make batches; 0 makes them on a GPU, in this process."""
    if settings.workers is not None:
        return settings.workers
    if group.device.type == "cuda":
        return 0
    return max(1, usable_cores() // group.local_world // 3)


@contextmanager
def settled_threads(settings: Settings, group: Group) -> Iterator[None]:
    """Limit PyTorch's threads to the cores without workers, unless the user has set their number."""
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        cores = usable_cores() // group.local_world
        torch.set_num_threads(max(1, cores - worker_count(settings, group)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
