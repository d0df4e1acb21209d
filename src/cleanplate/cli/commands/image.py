"""``cleanplate image``: one photo, or a folder of them with several at a time."""

from __future__ import annotations

import argparse
import contextlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.options import MattingOptions, add_matting_options, matting_options
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, InputError, OptionError
from cleanplate.jobs.naming import IMAGE_SUFFIXES, is_result
from cleanplate.system.cores import usable_cores

if TYPE_CHECKING:
    from cleanplate.compositing.finish import Finish
    from cleanplate.keyer.keyer import Keyer
    from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
    from cleanplate.plate import Plate

NAME = "image"
SUMMARY = "cut the subject out of a photo or of every photo in a folder"
EXAMPLES = """\
examples:
  cleanplate image photo.jpg --plate plate.jpg
  cleanplate image photo.jpg --plate plate.jpg -o cut.png --save cutout alpha
  cleanplate image shots/ --plate plates/ -o out/      (a plate of the same name each, or one file for all)
  cleanplate image photo.jpg --model rvm-mobilenetv3   (people, without a plate: see cleanplate models)
"""

MOST_WORKERS = 4
"""Each holds a whole picture and what the network makes of it, some 100 bytes a pixel."""


MOST_NAMED = 8
"""Files that a note lists by their names."""


@dataclass(frozen=True)
class Job:
    """One photo, the plate it is keyed with, and where each layer goes."""

    photo: Path
    plate: Path | None
    outputs: dict[str, Path]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.usage = "cleanplate image PHOTO [--plate PLATE] [-o OUT] [options]"
    parser.add_argument("source", type=Path, metavar="PHOTO", help="picture, or a folder of pictures")
    add_matting_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Key one photo or a folder; 2 when any photo of a folder failed."""
    options = matting_options(arguments)
    if str(options.plate) == "auto":
        raise OptionError("A plate can be built from a clip, not from photos.", "give a plate")
    with Reporter(quiet=options.quiet) as reporter:
        if options.source.is_dir():
            with _lock_folder(options):
                return _run_folder(options, reporter)
        job = _plan_job(options, options.source, options.plate, options.out)
        for note in _Worker(options, threads=None)(job):
            reporter.note(note)
        _report(job, reporter)
    return 0


def _plan_job(options: MattingOptions, photo: Path, plate: Path | None, out: str | None) -> Job:
    from cleanplate.compositing.layers import (
        check_alpha,
        check_exr_options,
        check_linear,
        choose_layers,
        choose_shadow,
    )
    from cleanplate.jobs.naming import plan_outputs
    from cleanplate.jobs.plan import list_inputs

    shadow = choose_shadow(options.keyer.shadow, options.save)
    layers = choose_layers(options.save, options.background, shadow)
    check_alpha(options.alpha, layers)
    check_linear(options.linear, layers)
    inputs = list_inputs(plate, options.background, vars(options.keyer))
    outputs = plan_outputs(photo, layers, out, IMAGE_SUFFIXES, inputs=inputs)
    check_exr_options(options.make_encoding(), outputs)
    return Job(photo, plate, outputs)


def _report(job: Job, reporter: Reporter) -> None:
    for path in job.outputs.values():
        reporter.result(str(path))


class _Worker:
    """Does one job after another; keeps its keyer as long as the plate is the same.

    Args:
        options: What was asked for.
        threads: CPU threads of each network; None for one per core.
    """

    def __init__(self, options: MattingOptions, threads: int | None) -> None:
        self._options = options
        self._threads = threads
        self._path: Path | None = None
        self._opened: tuple[Plate | None, Keyer | RecurrentKeyer, Finish] | None = None

    def __call__(self, job: Job) -> list[str]:
        """Do one job and return its notes; what can be refused without computing is refused first."""
        from cleanplate.media.locks import lock_outputs

        with lock_outputs(job.outputs.values()):
            return self._do(job)

    def _do(self, job: Job) -> list[str]:
        from cleanplate.compositing.layers import encode_layer, remind_of_alpha
        from cleanplate.jobs.api import cut_out
        from cleanplate.media import read_image
        from cleanplate.media.files import check_writable
        from cleanplate.media.stills.image_writer import check_image_suffix

        options = self._options
        for layer, path in job.outputs.items():
            encoding = encode_layer(options.make_encoding(), path, options.alpha)
            check_image_suffix(path, alpha=layer == "cutout", quality=encoding.quality)
            check_writable(path, overwrite=options.overwrite)
        picture = read_image(job.photo)
        notes = remind_of_alpha(options.alpha, job.outputs)
        cutout = cut_out(picture, *self._open_keyer(job, notes.append), notes.append, job.photo.name)
        for layer, path in job.outputs.items():
            background = options.background if layer == "composite" else None
            cutout.save(
                path,
                layer=layer,
                background=background,
                alpha=options.alpha,
                linear=options.linear,
                overwrite=options.overwrite,
                encoding=encode_layer(options.make_encoding(), path, options.alpha),
            )
        return notes

    def _open_keyer(
        self, job: Job, on_note: Callable[[str], None]
    ) -> tuple[Plate | None, Keyer | RecurrentKeyer, Finish]:
        from cleanplate.compositing.finish import plan_finish
        from cleanplate.compositing.layers import choose_shadow, holds_light, needs_maps
        from cleanplate.keyer.recurrent_keyer import check_maps, open_keyer
        from cleanplate.media.colour.transfer import SRGB
        from cleanplate.plate import load_plate

        options, path = self._options, job.plate
        if self._opened is None or self._path != path:
            plate = None if path is None else load_plate(path)
            shadow = choose_shadow(options.keyer.shadow, options.save)
            in_light = options.linear or any(map(holds_light, job.outputs.values()))
            wanted = replace(options.make_finish(), transfer=SRGB if in_light else None)
            shadow, finish = plan_finish(shadow, wanted)
            maps = needs_maps(job.outputs, options.channels)
            asked = vars(options.keyer) | {"shadow": shadow, "maps": maps}
            keyer = open_keyer(plate, **asked, threads=self._threads, on_note=on_note)
            check_maps((*job.outputs, *options.channels), keyer)
            self._opened = plate, keyer, finish
            self._path = path
        return self._opened


def _lock_folder(options: MattingOptions) -> contextlib.AbstractContextManager[str]:
    """One run at a time from this folder into that one; others may write other photos there."""
    from cleanplate.media.locks import lock_outputs

    source = options.source.resolve()
    return lock_outputs(
        [Path(options.out or source) / f"{source.name}-{zlib.crc32(os.fsencode(source)):08x}"]
    )


def _run_folder(options: MattingOptions, reporter: Reporter) -> int:
    """Key every photo of the folder; those that fail are told at the end, the others are done."""
    from cleanplate.jobs.pipeline import map_ordered
    from cleanplate.media.stills.image_reader import list_unread

    jobs, failures = _plan_folder(options)
    unread = list_unread(options.source)
    if unread:
        names = ", ".join(path.name for path in unread[:MOST_NAMED])
        more = f" and {len(unread) - MOST_NAMED} more" if len(unread) > MOST_NAMED else ""
        reporter.note(f"Left out, as their format is not read: {names}{more}.")
    count = len(jobs) + len(failures)
    cores = usable_cores()
    workers = min(cores, MOST_WORKERS, len(jobs) or 1)
    # Several photos at once use the cores better than several threads on one: reading and writing overlap.
    threads = max(1, cores // workers)
    finished = map_ordered(lambda: _Worker(options, threads), jobs, workers=workers)
    for number, (job, future) in enumerate(finished, 1):
        try:
            notes = future.result()
        except CleanplateError as error:
            failures.append((job.photo, error))
        else:
            for note in notes:
                reporter.note(f"{job.photo.name}: {note}")
            _report(job, reporter)
        reporter.progress(f"picture {number} of {len(jobs)}")
    for photo, failure in failures:
        reporter.error(CleanplateError(f"{photo.name}: {failure.message}", failure.hint))
    if failures:
        reporter.done(f"{len(failures)} of {count} pictures failed.")
    return 2 if failures else 0


def _plan_folder(options: MattingOptions) -> tuple[list[Job], list[tuple[Path, CleanplateError]]]:
    """Find the photos, a plate for each, and names for the results; and the photos that cannot be done."""
    from cleanplate.media import list_images
    from cleanplate.media.guard import FileGuard

    given = options.plate
    plates = None
    if given is not None and given.is_dir():
        plates = {path.stem: path for path in list_images(given)}
    folder = options.source if options.out is None else options.out
    jobs: list[Job] = []
    failures: list[tuple[Path, CleanplateError]] = []
    guard = FileGuard()
    guard.read([given, *(plates or {}).values(), *list_images(options.source)])
    for photo in list_images(options.source):
        if is_result(photo) or (given is not None and photo.resolve() == given.resolve()):
            continue
        plate = given if plates is None else plates.get(photo.stem)
        if plate is None and plates is not None:
            failures.append((photo, InputError(f"{given} has no plate of the same name.")))
            continue
        job = _plan_job(options, photo, plate, f"{folder}/")
        try:
            guard.write(job.outputs.values(), photo.name)
        except CleanplateError as error:
            failures.append((photo, error))
        else:
            jobs.append(job)
    return jobs, failures
