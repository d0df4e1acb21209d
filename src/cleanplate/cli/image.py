"""``cleanplate image``: one photo, or a folder of them with several at a time."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from cleanplate.cli.options import MattingOptions, add_matting_options, matting_options
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, InputError
from cleanplate.naming import IMAGE_SUFFIXES, is_folder, is_result, make_folder, name_outputs

NAME = "image"
SUMMARY = "cut the subject out of a photo or of every photo in a folder"
EXAMPLES = """\
examples:
  cleanplate image photo.jpg --plate plate.jpg
  cleanplate image photo.jpg --plate plate.jpg -o cut.png --save cutout alpha
  cleanplate image shots/ --plate plates/ -o out/      (a plate of the same name each, or one file for all)
"""

MOST_WORKERS = 4
"""Each holds a whole picture and what the network makes of it, some 100 bytes a pixel."""


@dataclass(frozen=True)
class Job:
    """One photo, the plate it is keyed with, and where each layer goes."""

    photo: Path
    plate: Path
    outputs: dict[str, Path]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("source", type=Path, metavar="PHOTO", help="picture, or a folder of pictures")
    add_matting_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Key one photo or a folder; 2 when any photo of a folder failed."""
    options = matting_options(arguments)
    with Reporter(quiet=options.quiet) as reporter:
        if options.source.is_dir():
            return _run_folder(options, reporter)
        if options.out is not None and is_folder(options.out):
            make_folder(options.out)
        outputs = name_outputs(options.source, options.save, options.out, IMAGE_SUFFIXES)
        _Worker(options, reporter)(Job(options.source, options.plate, outputs))
        for path in outputs.values():
            reporter.result(str(path))
    return 0


class _Worker:
    """Does one job after another, or several at once, with one loaded network."""

    def __init__(self, options: MattingOptions, reporter: Reporter) -> None:
        from cleanplate.keyer import open_runtime

        self._options = options
        self._reporter = reporter
        self._runtime = open_runtime(options.keyer.model, options.keyer.runtime, options.keyer.device)

    def __call__(self, job: Job) -> None:
        from cleanplate.api import matte_image

        options = self._options
        cutout = matte_image(
            job.photo,
            job.plate,
            runtime=self._runtime,
            scale=options.keyer.scale,
            refine=options.keyer.refine,
            align=options.keyer.align,
            on_note=lambda note: self._reporter.note(f"{job.photo.name}: {note}"),
        )
        for layer, path in job.outputs.items():
            cutout.save(path, layer=layer, background=options.background, overwrite=options.overwrite)


def _run_folder(options: MattingOptions, reporter: Reporter) -> int:
    """Key every photo of the folder; those that fail are told at the end, the others are done."""
    from cleanplate.pipeline import map_ordered

    jobs, failures = _plan(options)
    count = len(jobs) + len(failures)
    if options.out is not None:
        make_folder(options.out)
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    for number, (job, future) in enumerate(map_ordered(_Worker(options, reporter), jobs, workers=workers), 1):
        try:
            future.result()
        except CleanplateError as error:
            failures.append((job.photo, error))
        else:
            for path in job.outputs.values():
                reporter.result(str(path))
        reporter.progress(f"picture {number} of {len(jobs)}")
    for photo, failure in failures:
        reporter.error(CleanplateError(f"{photo.name}: {failure.message}", failure.hint))
    if failures:
        reporter.note(f"{len(failures)} of {count} pictures failed.")
    return 2 if failures else 0


def _plan(options: MattingOptions) -> tuple[list[Job], list[tuple[Path, CleanplateError]]]:
    """Find the photos, a plate for each, and names for the results; and the photos that cannot be done."""
    from cleanplate.media import list_images

    plates = {path.stem: path for path in list_images(options.plate)} if options.plate.is_dir() else None
    jobs: list[Job] = []
    failures: list[tuple[Path, CleanplateError]] = []
    taken: dict[Path, Path] = {}
    folder = options.source if options.out is None else f"{options.out}/"
    for photo in list_images(options.source):
        if is_result(photo) or photo.resolve() == options.plate.resolve():
            continue
        outputs = name_outputs(photo, options.save, folder, IMAGE_SUFFIXES)
        plate = options.plate if plates is None else plates.get(photo.stem)
        main = next(iter(outputs.values()))
        if plate is None:
            failures.append((photo, InputError(f"{options.plate} has no plate of the same name.")))
        elif main in taken:
            failures.append((photo, InputError(f"{main.name} is the result of {taken[main].name}.")))
        else:
            taken[main] = photo
            jobs.append(Job(photo, plate, outputs))
    return jobs, failures
