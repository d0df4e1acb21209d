"""Settings of a run."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from cleanplate.errors import InputError, OptionError
from cleanplate.training.presets import find_preset

EVERY_STAGE = "auto"
FIXED = ("preset", "stage", "seed", "batch", "accumulate")
"""Settings that cannot change when a run is resumed, because the stream of batches depends on them."""


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
        preset: Network and recipe, one of :data:`cleanplate.training.presets.PRESETS`.
        data: Data sets, as ``[NAME=]FOLDER[:WEIGHT]``.
        out: Folder of the run.
        backgrounds: Further folders of backgrounds.
        stage: One of the preset's stages, or ``auto`` for all in order.
        minutes: Length of the training, in total over all resumed runs. None if ``steps`` is given.
        steps: Number of steps, in place of ``minutes``.
        batch: Number of cases per batch and process; None for the preset's.
        accumulate: Number of batches per step and process.
        learning_rate: Peak of the preset's largest learning rate, which scales the others; None for the
            preset's.
        start: Initial weights: a model's name, a model file, or another run's checkpoint.
        init: Initial backbone: a state dict of a trained backbone or DeepLabV3.
        seed: Seed of weights and cases.
        workers: Number of processes that make cases; None: chosen for the machine; 0: none.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        validate_minutes: Time between validations.
        checkpoint_minutes: Time between checkpoints, the longest loss after a kill.
        sheet_minutes: Time between contact sheets.
        limit: Largest number of files to read from each folder.
        shapes: Number of procedural sprites to draw.
        trial_batches: Number of batches for validation, of four cases or two sequences.

    Raises:
        OptionError: A value is not allowed; the message names it.
    """

    preset: str
    data: tuple[str, ...]
    out: Path
    backgrounds: tuple[str, ...] = ()
    stage: str = EVERY_STAGE
    minutes: float | None = 60.0
    steps: int | None = None
    batch: int | None = None
    accumulate: int = 1
    learning_rate: float | None = None
    start: str | None = None
    init: Path | None = None
    seed: int = 0
    workers: int | None = None
    device: str = "auto"
    precision: str = "auto"
    validate_minutes: float = 8.0
    checkpoint_minutes: float = 5.0
    sheet_minutes: float = 15.0
    limit: int | None = None
    shapes: int = 500
    trial_batches: int = 16

    def __post_init__(self) -> None:
        stages = (EVERY_STAGE, *find_preset(self.preset).stages)
        if not self.data:
            raise OptionError("There is no data to train on.", "name data sets: --data FOLDER ...")
        if self.stage not in stages:
            raise OptionError(f"There is no stage '{self.stage}'.", f"one of: {', '.join(stages)}")
        if (self.minutes is None) == (self.steps is None):
            raise OptionError("Give the length of the training in minutes or in steps, one of them.")
        if self.start is not None and self.init is not None:
            raise OptionError("--start and --init both set the initial weights; give one of them.")
        for name in ("batch", "accumulate", "steps", "limit", "trial_batches"):
            self._require(name, 1)
        for name in ("seed", "workers", "shapes"):
            self._require(name, 0)
        for name in (
            "minutes", "learning_rate", "validate_minutes", "checkpoint_minutes", "sheet_minutes"
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise OptionError(f"--{name.replace('_', '-')} is {value:g}; expected more than 0.")

    def _require(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is not None and value < least:
            raise OptionError(f"--{name.replace('_', '-')} is {value}; expected {least} or more.")

    @property
    def plan(self) -> tuple[tuple[str, float], ...]:
        """List the stages of the run, and the share of the budget at which each ends."""
        if self.stage != EVERY_STAGE:
            return ((self.stage, 1.0),)
        stages = {name: stage for name, stage in find_preset(self.preset).stages.items() if stage.portion}
        ends = list(accumulate(stage.portion for stage in stages.values()))
        return tuple((name, end / ends[-1]) for name, end in zip(stages, ends, strict=True))

    def to_json(self) -> str:
        """Convert to JSON types for checkpoints."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def resumed(cls, text: str, given: dict[str, Any], origin: Path) -> Settings:
        """Make the settings of a resumed run: those of its checkpoint, replaced by those ``given`` now.

        Raises:
            OptionError: A given setting cannot change in a run, or is not allowed.
            InputError: The checkpoint is of another version.
        """
        try:
            kept: dict[str, Any] = json.loads(text)
            for name in FIXED:
                if name in given and given[name] != kept[name]:
                    raise OptionError(
                        f"The run in {origin} has {name} {kept[name]}, not {given[name]}.",
                        "a resumed run keeps it; start another run with another --out",
                    )
            kept.update(
                data=tuple(kept["data"]),
                backgrounds=tuple(kept["backgrounds"]),
                init=None if kept["init"] is None else Path(kept["init"]),
                out=origin,
            )
            if given.get("steps") is not None:
                kept["minutes"] = None
            if given.get("minutes") is not None:
                kept["steps"] = None
            return cls(**{**kept, **given})
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, OptionError):
                raise
            raise InputError(f"The run in {origin} was made by another version of cleanplate.") from error
