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
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from cleanplate.errors import CleanplateError
from cleanplate.system.allocator import keep_freed_memory
from cleanplate.training.contact_sheets import draw_sheet
from cleanplate.training.distributed import join_group
from cleanplate.training.initial_weights import starting_weights
from cleanplate.training.interruption import postponed_interruption
from cleanplate.training.journal import Journal
from cleanplate.training.learner import Learner
from cleanplate.training.machine import choose_precision
from cleanplate.training.presets import find_preset
from cleanplate.training.settings import Settings
from cleanplate.training.stream import stream
from cleanplate.training.training_checkpoint import save_checkpoint
from cleanplate.training.training_progress import Listener, Silence, Speedometer, Timer, TrainingProgress
from cleanplate.training.training_run import (
    LAST,
    TrainingRun,
    open_cases,
    open_data,
    pictures_a_step,
    prepare_folder,
    read_run,
    settled_threads,
    worker_count,
)
from cleanplate.training.validation import Validation

__all__ = ["read_run", "schedule", "train"]

BEST = "best.pt"

WARM_UP_STEPS, WARM_UP_SHARE = 300, 0.05
"""Length of the warm-up in steps, and as a share of the stage; the shorter one counts. A choice, of the usual
order with Adam."""
TYPICAL_STEPS = 10_000
"""Order of magnitude of the steps to a useful network, for the note at the end of a short run."""
FINAL_RATE = 0.02
"""Share of the learning rate at the end of the cosine. A choice: at 0 the last minutes would change
nothing."""
PATIENCE = 5
"""Number of consecutive steps without a finite gradient after which the last good state is restored. A
choice: single ones are broken cases, several a broken network."""
PATIENCE_WITH_SCALER = 20
"""The same number in float16, where the scaler finds its scale by such steps."""
MOST_ROLLBACKS = 4
"""Number of rollbacks before the run stops. A choice: the learning rate is halved at each, and is a sixteenth
by then."""


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
        state = prepare_folder(settings.out, resume)
        progress = TrainingProgress(**state["progress"]) if state else TrainingProgress(settings.plan[0][0])
        torch.manual_seed(settings.seed)
        weights = None if state else starting_weights(preset, settings.start, settings.init, say.note)
        material, held_out = (open_data(settings, split) for split in ("train", "validation"))
        with (
            Journal(settings.out, progress.step) if group.leads else nullcontext() as journal,
            settled_threads(settings, group),
            postponed_interruption() as interruption,
        ):
            run = TrainingRun(
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


def _warn_of_a_short_run(run: TrainingRun, progress: TrainingProgress) -> None:
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


def _train_stage(run: TrainingRun, learner: Learner, progress: TrainingProgress, until: float) -> None:
    """Train a stage until its share of the budget is spent; ``progress`` is updated."""
    settings, group = run.settings, run.group
    stage = run.preset.stages[progress.stage]
    number = list(run.preset.stages).index(progress.stage)
    workers = worker_count(settings, group)
    cases = open_cases(run, stage, number, "cpu" if workers else group.device)
    validation = Validation(run.held_out, run.preset, stage.trial, settings.trial_batches, group)
    validation_due, checkpoint_due, sheet_due = (
        Timer(minutes, progress.spent)
        for minutes in (settings.validate_minutes, settings.checkpoint_minutes, settings.sheet_minutes)
    )
    speedometer = Speedometer(settings, run.journal, run.say, pictures_a_step(run, stage))
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


def _enter_stage(name: str, progress: TrainingProgress, done: float) -> TrainingProgress:
    return dataclasses.replace(
        progress, stage=name, stage_step=0, stage_began=done, batches=0, best=math.inf, caution=1.0
    )


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _keep(run: TrainingRun, learner: Learner, progress: TrainingProgress) -> dict[str, Any]:
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
    run: TrainingRun, learner: Learner, progress: TrainingProgress, good: dict[str, Any]
) -> dict[str, Any]:
    """Write the checkpoint, unless some of its weights are not finite."""
    if learner.is_finite():
        return _keep(run, learner, progress)
    _roll_back(run, learner, progress, good)
    return good


def _interrupt(
    run: TrainingRun, learner: Learner, progress: TrainingProgress, good: dict[str, Any]
) -> NoReturn:
    """Write the checkpoint, and end the run."""
    _keep_if_good(run, learner, progress, good)
    run.say.note(f"stopped and saved at step {progress.step}; continue with --resume")
    raise KeyboardInterrupt


def _finish_stage(
    run: TrainingRun,
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


def _save_weights(run: TrainingRun, learner: Learner, progress: TrainingProgress, path: Path) -> None:
    record = {"average": learner.average.state_dict(), "preset": run.settings.preset, "step": progress.step}
    save_checkpoint(record, path)


def _roll_back(run: TrainingRun, learner: Learner, progress: TrainingProgress, good: dict[str, Any]) -> None:
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
    run: TrainingRun,
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


def _draw(run: TrainingRun, learner: Learner, progress: TrainingProgress, validation: Validation) -> None:
    if run.journal is not None:
        run.journal.sheet(progress.step, draw_sheet(*validation.example(learner.average)))
