"""The plate built from the clip: once per job, also across interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cleanplate.jobs.checkpoint import Checkpoint, Work
from cleanplate.jobs.pipeline import PROGRESS_SECONDS, Progress
from cleanplate.plate import Plate
from cleanplate.plate.building.plate_builder import build_plate


def get_built(
    clip: Path,
    work: Work,
    begun: Checkpoint,
    on_progress: Callable[[Progress], None] | None,
    on_note: Callable[[str], None],
) -> tuple[Checkpoint, Plate]:
    """The plate built from the clip: the one that an interrupted run has built, or a new one."""
    plate = work.recall_plate(begun)
    if plate is not None:
        return begun, plate
    plate = _build(clip, on_progress, on_note)
    begun = replace(begun, plate_checksum=work.remember_plate(plate))
    work.write(begun)
    return begun, plate


def _build(
    clip: Path, on_progress: Callable[[Progress], None] | None, on_note: Callable[[str], None]
) -> Plate:
    """Build the plate from the clip, and report progress about ten times a second."""
    began = told = time.monotonic()

    def tick(frames: int, total: int | None) -> None:
        nonlocal told
        now = time.monotonic()
        if on_progress is not None and now - told >= PROGRESS_SECONDS:
            told = now
            on_progress(Progress(frames, total, now - began, doing="building"))

    built = build_plate(clip, on_progress=tick)
    for note in built.notes:
        on_note(note)
    return built.plate
