"""The training loop: one process or many, limited by time or by steps, can be interrupted at any time.

A run executes the stages of its plan. Each has a network that starts from the average of the stage before, an
optimiser and a schedule of its own, and an endless stream of batches. At intervals the average is validated
and the whole state written to ``last.pt``; the best average so far is ``best.pt``.

Resuming is exact. The number of a step determines its cases (see :mod:`cleanplate.training.stream`) and the
state of PyTorch's random numbers, which is set before each step: neither needs to be saved.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from cleanplate.errors import CleanplateError, InputError, OptionError
from cleanplate.media.files import reporting_write_errors
from cleanplate.system.allocator import keep_freed_memory
from cleanplate.system.cores import usable_cores
from cleanplate.training.contact_sheets import draw_sheet
from cleanplate.training.datasets import parse_data_spec
from cleanplate.training.distributed import Group, join_group
from cleanplate.training.initial_weights import starting_weights
from cleanplate.training.interruption import Interruption, postponed_interruption
from cleanplate.training.journal import Journal
from cleanplate.training.learner import Learner
from cleanplate.training.machine import choose_precision
from cleanplate.training.presets import Preset, TrainingStage, find_preset
from cleanplate.training.settings import Settings
from cleanplate.training.stream import Cases, cases_in, stream
from cleanplate.training.synthesis.material import Material, open_material
from cleanplate.training.training_checkpoint import load_checkpoint, save_checkpoint
from cleanplate.training.training_progress import Listener, Silence, Speedometer, Timer, TrainingProgress
from cleanplate.training.validation import Validation

LAST, BEST = "last.pt", "best.pt"

WARM_UP_STEPS, WARM_UP_SHARE = 300, 0.05
"""Length of the warm-up in steps, and as a share of the stage; the shorter one counts."""
TYPICAL_STEPS = 10_000
"""Order of magnitude of the steps to a useful network, for the note at the end of a short run."""
FINAL_RATE = 0.02
"""Share of the learning rate at the end of the cosine."""
PATIENCE = 5
"""Number of consecutive steps without a finite gradient after which the last good state is restored."""
PATIENCE_WITH_SCALER = 20
"""The same number in float16, where the scaler finds its scale by such steps."""
MOST_ROLLBACKS = 4


@dataclass(frozen=True)
class _TrainingRun:
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


def train(settings: Settings, *, resume: bool = False, listener: Listener | None = None) -> Path:
    """Train, and return the path of the best checkpoint by validation.

    Under ``torchrun`` every process calls this with the same settings.

    Args:
        settings: Settings of the run.
        resume: Continue the run in ``settings.out``.
        listener: Receiver of notes and progress.

    Raises:
        KeyboardInterrupt: After Ctrl-C or SIGTERM, once the state is saved.
        OutputError: The folder cannot be written to; the last checkpoint is intact.
        CleanplateError: A setting or the data are wrong, the machine lacks a part, or the training diverges.
    """
    began = time.monotonic()
    preset = find_preset(settings.preset)
    keep_freed_memory()  # saves some 40% of the time of full-size cases
    with join_group(settings.device) as group:
        say = listener if listener is not None and group.leads else Silence()
        precision = choose_precision(settings.precision, group.device)
        state = _prepare_folder(settings.out, resume)
        progress = TrainingProgress(**state["progress"]) if state else TrainingProgress(settings.plan[0][0])
        torch.manual_seed(settings.seed)
        weights = None if state else starting_weights(preset, settings.start, settings.init, say.note)
        material, held_out = (_open_data(settings, split) for split in ("train", "validation"))
        with (
            Journal(settings.out, progress.step) if group.leads else nullcontext() as journal,
            _settled_threads(settings, group),
            postponed_interruption() as interruption,
        ):
            run = _TrainingRun(
                settings, preset, group, precision, material, held_out, journal, say,
                began - progress.spent, interruption,
            )  # fmt: skip
            names = [name for name, _ in settings.plan]
            for name, until in settings.plan[names.index(progress.stage) :]:
                if name != progress.stage:
                    progress = _enter_stage(name, progress, run.done(progress))
                learner = Learner(
                    preset, preset.stages[name], group, precision, weights, settings.learning_rate
                )
                if learner.note:
                    say.note(learner.note)
                if state is not None:
                    learner.restore(state)
                _train_stage(run, learner, progress, until)
                weights, state = learner.average.state_dict(), None
                if group.leads and name != names[-1]:
                    _save_weights(run, learner, progress, settings.out / f"{name}.pt")
            _warn_of_a_short_run(run, progress)
    return settings.out / BEST


def _warn_of_a_short_run(run: _TrainingRun, progress: TrainingProgress) -> None:
    """Warn that the weights are untrained if the learning rate has hardly reached its peak."""
    if progress.step >= WARM_UP_STEPS or run.settings.start is not None:
        return
    steps = f"{progress.step} step{'s' * (progress.step != 1)}"
    minutes = max(1, round(progress.spent / 60))
    run.say.note(
        f"{steps} in {minutes} minute{'s' * (minutes != 1)}: enough to test the machine, but not for a "
        "model. "
        f"Training takes some {TYPICAL_STEPS} steps or more: continue with --resume and more --minutes."
    )


def _train_stage(run: _TrainingRun, learner: Learner, progress: TrainingProgress, until: float) -> None:
    """Train a stage until its share of the budget is spent; ``progress`` is updated."""
    settings, group = run.settings, run.group
    stage = run.preset.stages[progress.stage]
    number = list(run.preset.stages).index(progress.stage)
    workers = _worker_count(settings, group)
    cases = _open_cases(run, stage, number, "cpu" if workers else group.device)
    validation = Validation(run.held_out, run.preset, stage.trial, settings.trial_batches, group)
    validation_due, checkpoint_due, sheet_due = (
        Timer(minutes, progress.spent)
        for minutes in (settings.validate_minutes, settings.checkpoint_minutes, settings.sheet_minutes)
    )
    speedometer = Speedometer(settings, run.journal, run.say, _pictures_a_step(run, stage))
    good = _keep(run, learner, progress)
    skipped = 0

    start = -(-progress.batches // group.world)
    with closing(stream(cases, start=start, replay=run.preset.replay, workers=workers)) as drawn:
        batches = (batch.to(group.device) for batch in drawn)
        while True:
            progress.spent, interrupted = group.largest(
                [time.monotonic() - run.began if group.leads else 0.0, float(run.interruption.asked)]
            )
            share = run.share(progress, until)
            if interrupted:
                _interrupt(run, learner, progress, good)
            if share >= 1:
                break

            torch.manual_seed(_mix(settings.seed, number, progress.stage_step, group.rank))
            rate = progress.caution * schedule(progress.stage_step, share)
            terms = learner.learn(batches, settings.accumulate, rate)
            progress.step += 1
            progress.stage_step += 1
            progress.batches += settings.accumulate * group.world

            if terms is None:
                skipped += 1
                if skipped > (PATIENCE_WITH_SCALER if learner.scaler.is_enabled() else PATIENCE):
                    _roll_back(run, learner, progress, good)
                    skipped = 0
                continue
            skipped = 0
            learner.follow(progress.stage_step)
            speedometer.passed(progress, terms, rate)

            if validated := validation_due.at(progress.spent):
                _validate(run, learner, progress, validation, speedometer, rate)
            if group.leads and sheet_due.at(progress.spent):
                _draw(run, learner, progress, validation)
            if checkpoint_due.at(progress.spent) or validated:  # the checkpoint includes the best score
                good = _keep_if_good(run, learner, progress, good)
    _finish_stage(run, learner, progress, validation, speedometer, good)


def schedule(step: int, share: float) -> float:
    """Compute the learning rate as a share of its peak: warm-up, then half a cosine.

    Args:
        step: Number of steps in this stage so far.
        share: Done share of the stage, by time or by steps.
    """
    warm = min(1.0, max((step + 1) / WARM_UP_STEPS, share / WARM_UP_SHARE))
    return warm * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


# -- before the first step ------------------------------------------------------------------------


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


def _prepare_folder(folder: Path, resume: bool) -> dict[str, Any] | None:
    """Read the state to resume, or make the folder of a new run and return None."""
    if resume:
        return read_run(folder)
    if (folder / LAST).exists():
        raise OptionError(f"{folder} holds a run already.", "continue with --resume, or choose another --out")
    with reporting_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return None


def _open_data(settings: Settings, split: str) -> Material:
    return open_material(
        [parse_data_spec(text) for text in settings.data],
        [Path(folder) for folder in settings.backgrounds],
        split,
        shapes=settings.shapes if split == "train" else min(60, settings.shapes),
        limit=settings.limit,
    )


def _open_cases(run: _TrainingRun, stage: TrainingStage, number: int, device: torch.device | str) -> Cases:
    """Open the cases of a stage; ``number`` is its place in the plan of the preset."""
    settings, group = run.settings, run.group
    return Cases(
        run.material, run.preset, stage,
        seed=(settings.seed, number), batch=settings.batch or run.preset.batch,
        rank=group.rank, world=group.world, device=device,
    )  # fmt: skip


def _pictures_a_step(run: _TrainingRun, stage: TrainingStage) -> float:
    """Compute the mean number of pictures of a step, in all processes."""
    batch_size = run.settings.batch or run.preset.batch
    pictures = [cases_in(course, batch_size) * max(1, course.frames) for course in stage.courses]
    return run.settings.accumulate * run.group.world * sum(pictures) / len(pictures)


def _enter_stage(name: str, progress: TrainingProgress, done: float) -> TrainingProgress:
    return dataclasses.replace(
        progress, stage=name, stage_step=0, stage_began=done, batches=0, best=math.inf, caution=1.0
    )


def _worker_count(settings: Settings, group: Group) -> int:
    if settings.workers is not None:
        return settings.workers
    if group.device.type == "cuda":
        return 0
    return max(1, usable_cores() // group.local_world // 3)


@contextmanager
def _settled_threads(settings: Settings, group: Group) -> Iterator[None]:
    """Limit PyTorch's threads to the cores without workers, unless the user has set their number."""
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        cores = usable_cores() // group.local_world
        torch.set_num_threads(max(1, cores - _worker_count(settings, group)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- during the run -------------------------------------------------------------------------------


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _keep(run: _TrainingRun, learner: Learner, progress: TrainingProgress) -> dict[str, Any]:
    """Write the checkpoint, and return a copy of the state to roll back to."""
    state = learner.state()
    if run.group.leads:
        record = {
            **state,
            "progress": dataclasses.asdict(progress),
            "preset": run.settings.preset,
            "settings": run.settings.to_json(),
        }
        save_checkpoint(record, run.settings.out / LAST)
    return copy.deepcopy(state)


def _keep_if_good(
    run: _TrainingRun, learner: Learner, progress: TrainingProgress, good: dict[str, Any]
) -> dict[str, Any]:
    """Write the checkpoint, unless some of its weights are not finite."""
    if learner.is_finite():
        return _keep(run, learner, progress)
    _roll_back(run, learner, progress, good)
    return good


def _interrupt(
    run: _TrainingRun, learner: Learner, progress: TrainingProgress, good: dict[str, Any]
) -> NoReturn:
    """Write the checkpoint, and end the run."""
    _keep_if_good(run, learner, progress, good)
    run.say.note(f"stopped and saved at step {progress.step}; continue with --resume")
    raise KeyboardInterrupt


def _finish_stage(
    run: _TrainingRun,
    learner: Learner,
    progress: TrainingProgress,
    validation: Validation,
    speedometer: Speedometer,
    good: dict[str, Any],
) -> None:
    """Validate the last average, and write the checkpoint at the end of a stage."""
    if not learner.is_finite():
        _roll_back(run, learner, progress, good)
    _validate(run, learner, progress, validation, speedometer, 0.0)
    if run.group.leads:
        _draw(run, learner, progress, validation)
    _keep(run, learner, progress)


def _save_weights(run: _TrainingRun, learner: Learner, progress: TrainingProgress, path: Path) -> None:
    record = {"average": learner.average.state_dict(), "preset": run.settings.preset, "step": progress.step}
    save_checkpoint(record, path)


def _roll_back(run: _TrainingRun, learner: Learner, progress: TrainingProgress, good: dict[str, Any]) -> None:
    """Restore the last good weights, and continue with new batches and a lower learning rate."""
    progress.rollbacks += 1
    if progress.rollbacks > MOST_ROLLBACKS:
        raise CleanplateError(
            f"The training diverged {progress.rollbacks} times and was stopped at step {progress.step}.",
            "look for broken pictures in the data, or resume with a lower --learning-rate",
        )
    progress.caution /= 2
    learner.restore(good)
    run.say.note(
        f"step {progress.step}: the loss is not finite; back to the last good weights, "
        f"learning rate times {progress.caution:g}"
    )


def _validate(
    run: _TrainingRun,
    learner: Learner,
    progress: TrainingProgress,
    validation: Validation,
    speed: Speedometer,
    rate: float,
) -> None:
    scores = validation.measure(learner.average)
    if not run.group.leads or run.journal is None:
        return
    speed.mad = scores["mad"]
    record = {
        "minutes": round(progress.spent / 60, 3), "stage": progress.stage, "step": progress.step,
        "rate": rate, "loss": speed.losses(), **scores,
    }  # fmt: skip
    run.journal.record(record)
    run.journal.curves(progress.step, {f"{progress.stage}/{name}": score for name, score in scores.items()})
    if scores["mad"] < progress.best:
        progress.best = scores["mad"]
        _save_weights(run, learner, progress, run.settings.out / BEST)


def _draw(run: _TrainingRun, learner: Learner, progress: TrainingProgress, validation: Validation) -> None:
    if run.journal is not None:
        run.journal.sheet(progress.step, draw_sheet(*validation.example(learner.average)))
