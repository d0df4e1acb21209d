"""What follows from a job's options alone: files, layers, encodings, and what makes it this job."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cleanplate.compositing.layers import (
    check_alpha,
    check_exr_options,
    check_linear,
    choose_layers,
    choose_shadow,
    encode_layer,
    needs_maps,
)
from cleanplate.errors import OptionError
from cleanplate.jobs.checkpoint import Checkpoint, Fingerprint, Work, fingerprint, is_done, versions_of
from cleanplate.jobs.job import AUTO_PLATE, FILES, NO_PLATE, VideoJob, is_word
from cleanplate.jobs.naming import VIDEO_SUFFIXES, plan_outputs
from cleanplate.media import Encoding, Sink, Source, open_sink
from cleanplate.media.numbering import is_pattern
from cleanplate.models.registry import DEFAULT_MODEL, Model, find_model
from cleanplate.plate import Plate, load_plate
from cleanplate.plate.picture import confidence_path


@dataclass(frozen=True)
class Plan:
    """What follows from a job's options alone.

    Attributes:
        clip: The source.
        paths: The result of each layer.
        shadow: As it was chosen.
        plate: Where one was given.
        builds: Whether it is to be built.
        report: Where one is wanted.
        options: The keyer's, with those that files have by default and the model that was found.
        encodings: How each layer is encoded.
    """

    clip: Path
    paths: Mapping[str, Path]
    shadow: str
    plate: Plate | None
    builds: bool
    report: Path | None
    options: Mapping[str, Any]
    encodings: Mapping[str, Encoding]

    @property
    def results(self) -> tuple[Path, ...]:
        return tuple(self.paths.values())


def plan_job(job: VideoJob) -> Plan:
    clip = Path(job.clip)
    shadow = choose_shadow(job.shadow, job.save)
    layers = choose_layers(job.save, job.background, shadow)
    check_alpha(job.alpha, layers)
    check_linear(job.linear, layers)
    builds = is_word(job.plate, AUTO_PLATE)
    report = None if job.report is None else Path(job.report)
    inputs = list_inputs(job.plate, job.background, job.keyer)
    reports = [] if report is None else [report]
    paths = plan_outputs(clip, layers, job.out, VIDEO_SUFFIXES, inputs=inputs, reports=reports)
    shot = None if builds or job.plate is None or is_word(job.plate, NO_PLATE) else load_plate(job.plate)
    encodings = {layer: encode_layer(job.encoding, path, job.alpha) for layer, path in paths.items()}
    check_exr_options(job.encoding, paths)
    model = job.keyer.get("model", DEFAULT_MODEL)
    found = model if isinstance(model, Model) else find_model(model)
    maps = needs_maps(layers, job.encoding.channels)
    options = {**FILES, **job.keyer, "model": found, "maps": maps}
    return Plan(clip, paths, shadow, shot, builds, report, options, encodings)


def list_inputs(plate: object, background: object, keyer: Mapping[str, Any]) -> list[object]:
    """All that a run reads beside its clip, words and arrays among it."""
    given = plate.path if isinstance(plate, Plate) else plate
    named = Path(given) if isinstance(given, (str, os.PathLike)) else Path()
    beside = confidence_path(named) if named.name else None
    return [given, beside, background, keyer.get("keep"), keyer.get("ignore"), keyer.get("model")]


def describe_job(job: VideoJob, plan: Plan, every: int) -> Fingerprint:
    """All that the result depends on; empty if a part cannot be told from another in the next process."""
    apart = ("plate", "out", "save", "report", "overwrite", "resume", "keyer")
    parts = {entry.name: getattr(job, entry.name) for entry in fields(job) if entry.name not in apart}
    parts["plate"] = plan.plate or ("built" if plan.builds else None)
    parts["results"] = [str(path.resolve()) for path in plan.results]
    parts["layers"] = list(plan.paths)
    parts["report"] = None if plan.report is None else plan.report.resolve()
    parts["keyer"] = {name: value for name, value in plan.options.items() if name != "threads"}
    parts["version"] = versions_of("cleanplate", "av", "numpy")
    parts["segment_frames"] = every
    try:
        return fingerprint(parts)
    except OptionError:
        if job.resume:
            raise
        return {}


def open_sinks(
    plan: Plan,
    source: Source,
    begun: Checkpoint,
    work: Work,
    undo: contextlib.ExitStack,
) -> dict[str, Sink]:
    """A sink for each layer that is not complete; ``undo`` aborts them."""
    sinks: dict[str, Sink] = {}
    for layer, path in plan.paths.items():
        if is_done(path, begun):
            continue
        sinks[layer] = open_sink(
            path,
            source.info,
            layer=layer,
            # The pictures of a job that was begun are its own.
            overwrite=begun.overwrite or (work.is_begun and is_pattern(path)),
            encoding=plan.encodings[layer],
            segments=begun.segments.get(path.name, ()),
        )
        undo.callback(sinks[layer].abort)
    return sinks
