"""Plan of a job, from its options alone: files, layers, encodings and fingerprint."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
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
from cleanplate.compositing.own_space import AUTO
from cleanplate.errors import OptionError
from cleanplate.jobs.checkpoint import Checkpoint, Fingerprint, Work, fingerprint, is_done, versions_of
from cleanplate.jobs.checkpoint.fingerprint import describe_file
from cleanplate.jobs.job import AUTO_PLATE, NO_PLATE, Job, is_word
from cleanplate.jobs.matched_plate import PlateMove, plan_move
from cleanplate.jobs.naming import VIDEO_SUFFIXES, plan_outputs
from cleanplate.jobs.piping import check_pipe_format, check_pipes
from cleanplate.media import Encoding, Sink, SourceInfo, open_sink
from cleanplate.media.colour.camera_spaces import SRGB_WORD, config_name
from cleanplate.media.numbering import is_pattern
from cleanplate.media.video.animation_sink import is_animated
from cleanplate.media.video.segments import segment_frames
from cleanplate.plate import Plate
from cleanplate.plate.mixing.plate_set import PlateSet, load_plates
from cleanplate.plate.picture import confidence_path
from cleanplate.runtimes.model_choice import find_model_for
from cleanplate.system.pipes import is_pipe
from cleanplate.vocabulary import KeyerOptions
from cleanplate.vocabulary.flags import check_needs


@dataclass(frozen=True)
class Plan:
    """The part of a job that follows from its options alone.

    Attributes:
        clip: The source.
        paths: The result of each layer.
        plate: The given plate, or several to mix; None without a plate, or if it is built or moves.
        move: The plate's clip, if it moves.
        builds: Whether the plate is built from the clip.
        piped: Whether the clip or a result is a pipe.
        in_one_piece: Whether it keeps no checkpoint: with a pipe, or an animation, which has no segments.
        report: Path of the report; None without one.
        keyer: Options of the keyer, with the loaded model and the chosen treatment of the shadow.
        encodings: Encoding of each layer.
    """

    clip: Path
    paths: Mapping[str, Path]
    plate: Plate | PlateSet | None
    move: PlateMove | None
    builds: bool
    piped: bool
    in_one_piece: bool
    report: Path | None
    keyer: KeyerOptions
    encodings: Mapping[str, Encoding]

    @property
    def results(self) -> tuple[Path, ...]:
        return tuple(self.paths.values())


def plan_job(job: Job) -> Plan:
    """Check a clip's options against each other and against its files."""
    report = None if job.report is None else Path(job.report)
    reports = [Path(path) for path in (job.report, job.profile) if path is not None]
    paths = plan_results(job, VIDEO_SUFFIXES, reports=reports)
    builds = is_word(job.plate, AUTO_PLATE)
    keyer = plan_keyer(job, paths)
    model = find_model_for(keyer)
    move = plan_move(job)
    no_plate = builds or move is not None or job.plate is None or is_word(job.plate, NO_PLATE)
    given = None if no_plate or job.plate is None else load_plates(job.plate)
    encodings = encode_layers(job, paths)
    clip = Path(job.clip)
    piped = any(map(is_pipe, (clip, *paths.values())))
    in_one_piece = piped or any(map(is_animated, paths.values()))
    keyer = replace(keyer, model=model)
    return Plan(clip, paths, given, move, builds, piped, in_one_piece, report, keyer, encodings)


def plan_results(job: Job, suffixes: dict[str, str], *, reports: Sequence[Path] = ()) -> dict[str, Path]:
    """Name the file of each layer of a photo or a clip, and check options that concern layers or each other.

    Args:
        job: The photo's or the clip's.
        suffixes: Default suffix of each layer, as :func:`cleanplate.jobs.naming.plan_outputs` takes them.
        reports: Further output files.

    Raises:
        CleanplateError: An option makes no sense with the layers or without another option, or a result would
            replace an input.
    """
    check_needs(job)
    check_needs(job.keyer)
    layers = list_layers(job)
    check_alpha(job.alpha, layers)
    check_linear(job.linear, layers)
    check_pipes(job, layers)
    inputs = list_inputs(job)
    paths = plan_outputs(Path(job.clip), layers, job.out, suffixes, inputs=inputs, reports=reports)
    check_exr_options(job.encoding, paths)
    check_pipe_format(job.encoding, paths)
    return paths


def list_layers(job: Job) -> tuple[str, ...]:
    """Layers that a job writes."""
    return choose_layers(job.save, job.background, choose_shadow(job.keyer.shadow, job.save))


def plan_keyer(job: Job, layers: Iterable[str]) -> KeyerOptions:
    """Options of the keyer for these layers: the shadow's treatment, and the maps."""
    shadow = choose_shadow(job.keyer.shadow, job.save)
    locked_off = job.keyer.locked_off or job.split_seconds is not None
    maps = needs_maps(layers, job.encoding.channels)
    return replace(job.keyer, shadow=shadow, maps=maps, locked_off=locked_off)


def encode_layers(job: Job, paths: Mapping[str, Path]) -> dict[str, Encoding]:
    """Encoding of each layer."""
    return {layer: encode_layer(job.encoding, path, job.alpha) for layer, path in paths.items()}


def list_inputs(job: Job) -> list[object]:
    """All inputs of a job except its clip, including words and arrays."""
    keyer = job.keyer
    plates: list[object] = []
    for plate in job.plate if isinstance(job.plate, (list, tuple)) else [job.plate]:
        given = plate.path if isinstance(plate, Plate) else plate
        named = Path(given) if isinstance(given, (str, os.PathLike)) else Path()
        plates += [given, confidence_path(named) if named.name else None]
    return [*plates, job.background, keyer.keep, keyer.ignore, keyer.props, keyer.hint, keyer.model]


def describe_job(job: Job, plan: Plan, source: SourceInfo) -> Fingerprint:
    """Fingerprint of the job; empty if a part has none that is valid in another process."""
    parts = list_fields(job)
    parts["keyer"] = plan.keyer
    moving = None if plan.move is None else plan.move.path
    given = plan.plate.plates if isinstance(plan.plate, PlateSet) else plan.plate
    parts["plate"] = given or moving or ("built" if plan.builds else None)
    parts["results"] = [str(path.resolve()) for path in plan.results]
    parts["layers"] = list(plan.paths)
    parts["report"] = None if plan.report is None else plan.report.resolve()
    parts["version"] = versions_of("cleanplate", "av", "numpy")
    parts["segment_frames"] = segment_frames(source)
    parts["OCIO_configuration"] = describe_configuration(job, source.space)
    try:
        return fingerprint(parts)
    except OptionError:
        if job.resume:
            raise
        return {}


def describe_configuration(job: Job, found: str | None = None) -> list[object] | None:
    """OpenColorIO's configuration and version; None for a job that converts by none.

    Args:
        job: The job.
        found: Space that the source's metadata name.
    """
    keyer = job.keyer
    asked = (keyer.input_colour, keyer.plate_colour, job.background_colour)
    is_named = any(name not in (None, AUTO, SRGB_WORD) for name in asked)
    if not is_named and (found is None or keyer.input_colour == SRGB_WORD):
        return None
    return [describe_file(Path(config_name())), *versions_of("opencolorio")]


def list_fields(job: Job) -> dict[str, Any]:
    """The fields of a job that distinguish it from another, by name."""
    return {
        entry.name: getattr(job, entry.name)
        for entry in fields(job)
        if entry.metadata.get("fingerprint", True)
    }


def open_sinks(
    plan: Plan,
    like: SourceInfo,
    begun: Checkpoint,
    work: Work,
    undo: contextlib.ExitStack,
    span: Path | None = None,
) -> dict[str, Sink]:
    """Open a sink for each incomplete layer of results like this; ``undo`` aborts them.

    ``span`` is the folder of a span's run.
    """
    sinks: dict[str, Sink] = {}
    for layer, path in plan.paths.items():
        if is_done(path, begun):
            continue
        sinks[layer] = open_sink(
            path,
            like,
            layer=layer,
            # A resumed job may replace its own pictures.
            overwrite=begun.overwrite or (work.is_begun and is_pattern(path)),
            encoding=plan.encodings[layer],
            segments=None if plan.in_one_piece else begun.segments.get(path.name, ()),
            span=span,
        )
        undo.callback(sinks[layer].abort)
    return sinks
