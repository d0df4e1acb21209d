"""The command line with a preset that trains in seconds: ``python tiny_run.py train tiny ...``."""

from __future__ import annotations

import dataclasses
import sys

from cleanplate.cli import main
from cleanplate.training import settings
from cleanplate.training.presets import PRESETS, Preset, find_preset


def tiny_preset() -> Preset:
    """``lite`` on tiny pictures; without replay, so that the cases' order does not depend on the process.

    The coarse stage goes without Muon, which magnifies the rounding in which processes differ.
    """
    lite = find_preset("lite")
    stages = {}
    for name, stage in lite.stages.items():
        courses = tuple(
            dataclasses.replace(course, sizes=((64, 80), (48, 96)), scales=(1.0, 0.5), share=1.0)
            for course in stage.courses
        )
        trial = dataclasses.replace(stage.trial, size=(64, 96))
        rate = 0.0 if name == "coarse" else stage.kernel_rate
        stages[name] = dataclasses.replace(stage, courses=courses, trial=trial, kernel_rate=rate)
    return dataclasses.replace(lite, stages=stages, batch=2, replay=1, window=32)


def tiny_recurrent_preset() -> Preset:
    """``rvm-mobilenetv3`` on short clips of very small pictures; two of its stages."""
    rvm = find_preset("rvm-mobilenetv3")
    stages = {}
    for name in ("short", "filter"):
        stage = rvm.stages[name]
        courses = tuple(
            dataclasses.replace(
                course, sizes=((48, 64), (56, 40)), scales=(0.5,) if course.refines else (1.0,), share=1.0,
                frames=4, chunk=3,
            )
            for course in stage.courses
        )  # fmt: skip
        trial = dataclasses.replace(stage.trial, size=(48, 80), frames=4)
        rates = dict.fromkeys(stage.rates, 3e-3)
        stages[name] = dataclasses.replace(stage, courses=courses, trial=trial, rates=rates)
    return dataclasses.replace(rvm, stages=stages, batch=2)


if __name__ == "__main__":

    @dataclasses.dataclass(frozen=True)
    class SmallSettings(settings.Settings):
        """Settings of the command with fewer shapes and validation cases."""

        shapes: int = 8
        trial_batches: int = 1

    settings.Settings = SmallSettings  # type: ignore[misc]
    PRESETS.update({"tiny": tiny_preset, "tiny-recurrent": tiny_recurrent_preset})
    raise SystemExit(main(sys.argv[1:]))
