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

from cleanplate.cli.model_resolution import resolve_model
from cleanplate.cli.option_arguments import add_job_options, make_job
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, InputError, OptionError, OutputError
from cleanplate.jobs.job import AUTO_PLATE, NO_PLATE, Job, is_word
from cleanplate.system.cores import usable_cores
from cleanplate.system.pipes import is_standard, name_input, writes_to_stdout

if TYPE_CHECKING:
    from cleanplate.compositing.finish import Finish
    from cleanplate.keyer.keyer import Keyer
    from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
    from cleanplate.plate import Plate
    from cleanplate.plate.mixing.plate_set import PlateSet

NAME = "image"
SUMMARY = "cut the subject out of a photo or of every photo in a folder"
EXAMPLES = """\
Most runs need only --plate and -o. The first group has the options used most; docs/options.md lists all.

examples:
  cleanplate image photo.jpg --plate plate.jpg
  cleanplate image photo.jpg --plate plate.jpg -o cut.png --save cutout alpha
  cleanplate image shots/ --plate plates/ -o out/      (a plate of the same name each, or one file for all)
  cleanplate image photo.jpg --model rvm-mobilenetv3   (people, without a plate: see cleanplate models)
"""

UNKNOWN_PIXELS = 24_000_000
"""Pixels of a photo whose size only its own reader tells: a camera's usual size."""

MOST_NAMED = 8
"""Largest number of file names in a note."""


@dataclass(frozen=True)
class Photo:
    """One photo's job, and the file of each layer."""

    job: Job
    outputs: dict[str, Path]

    @property
    def path(self) -> Path:
        return Path(self.job.clip)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.usage = "cleanplate image PHOTO [--plate PLATE] [-o OUT] [options]"
    parser.add_argument(
        "source", type=Path, metavar="PHOTO", help="picture, - for standard input, or a folder of pictures"
    )
    add_job_options(parser, video=False)


def run(arguments: argparse.Namespace) -> int:
    """Key one photo or a folder; returns 2 if a photo of a folder fails."""
    with Reporter(quiet=arguments.quiet) as reporter:
        job = _without_word(make_job(resolve_model(arguments, reporter.note)))
        if not is_standard(arguments.source) and arguments.source.is_dir():
            with _lock_folder(job):
                return _run_folder(job, reporter)
        photo = _plan_photo(job)
        for note in PhotoCutter(threads=None)(photo):
            reporter.note(note)
        _report(photo, reporter)
    return 0


def _without_word(job: Job) -> Job:
    """Replace the word for no plate; refuse the one for a built plate."""
    if is_word(job.plate, AUTO_PLATE):
        raise OptionError("A plate can be built from a clip, but not from photos.", "give a plate")
    return replace(job, plate=None) if is_word(job.plate, NO_PLATE) else job


def _plan_photo(job: Job) -> Photo:
    from cleanplate.jobs.naming import IMAGE_SUFFIXES
    from cleanplate.jobs.plan import plan_results

    return Photo(job, plan_results(job, IMAGE_SUFFIXES))


def _report(photo: Photo, reporter: Reporter) -> None:
    for path in photo.outputs.values():
        if not writes_to_stdout(path):
            reporter.result(str(path))


class PhotoCutter:
    """Keys photos one by one; reuses its keyer while plate, options and kinds of results are the same.

    Args:
        threads: CPU threads of each network; None for one per core.
    """

    def __init__(self, threads: int | None) -> None:
        self._threads = threads
        self._opened_for: object = None
        self._opened: tuple[Plate | PlateSet | None, Keyer | RecurrentKeyer, Finish] | None = None

    def __call__(self, photo: Photo) -> list[str]:
        """Key one photo and return its notes; options are refused before anything is computed."""
        from cleanplate.media.locks import lock_outputs

        with lock_outputs(photo.outputs.values()):
            return self._key(photo)

    def cut(self, job: Job) -> tuple[dict[str, Path], list[str]]:
        """Key the photo of a job; returns the file of each layer, and notes."""
        photo = _plan_photo(_without_word(job))
        return photo.outputs, self(photo)

    def _key(self, photo: Photo) -> list[str]:
        from cleanplate.compositing.layers import remind_of_alpha
        from cleanplate.jobs.api import cut_out
        from cleanplate.jobs.plan import encode_layers
        from cleanplate.media import read_image
        from cleanplate.media.files import check_writable
        from cleanplate.media.stills.image_writer import check_image_suffix
        from cleanplate.plate.picture import is_clip

        job = photo.job
        if is_clip(photo.path):
            raise InputError(f"{photo.path} is a clip, not a photo.", "key a clip with cleanplate video")
        encodings = encode_layers(job, photo.outputs)
        for layer, path in photo.outputs.items():
            check_image_suffix(path, alpha=layer == "cutout", quality=encodings[layer].quality)
            check_writable(path, overwrite=job.overwrite)
        picture = read_image(photo.path)
        notes = remind_of_alpha(job.alpha, photo.outputs)
        cutout = cut_out(
            picture, *self._open_keyer(photo, notes.append), notes.append, name_input(photo.path).name
        )
        for layer, path in photo.outputs.items():
            cutout.save(
                path,
                layer=layer,
                background=job.background if layer == "composite" else None,
                alpha=job.alpha,
                linear=job.linear,
                overwrite=job.overwrite,
                encoding=encodings[layer],
                background_colour=job.background_colour,
            )
        return notes

    def _open_keyer(
        self, photo: Photo, on_note: Callable[[str], None]
    ) -> tuple[Plate | PlateSet | None, Keyer | RecurrentKeyer, Finish]:
        from cleanplate.compositing.finish import plan_finish
        from cleanplate.compositing.layers import holds_light
        from cleanplate.jobs.plan import plan_keyer
        from cleanplate.keyer.recurrent_keyer import check_maps, open_keyer
        from cleanplate.media.colour.transfer import SRGB
        from cleanplate.plate.mixing.plate_set import load_plates

        job = photo.job
        kinds = [(layer, path.suffix) for layer, path in photo.outputs.items()]
        opened_for = (replace(job, clip="", out=None), kinds)
        if self._opened is None or self._opened_for != opened_for:
            plate = None if job.plate is None else load_plates(job.plate)
            in_light = job.linear or any(map(holds_light, photo.outputs.values()))
            wanted = replace(job.finish, transfer=SRGB if in_light else None)
            asked = plan_keyer(job, photo.outputs)
            shadow, finish = plan_finish(asked.shadow, wanted)
            # Pictures are read and written in main memory.
            asked = replace(asked, shadow=shadow, threads=self._threads, on_device=False)
            keyer = open_keyer(plate, asked, on_note=on_note)
            check_maps((*photo.outputs, *job.encoding.channels), keyer)
            self._opened = plate, keyer, finish
            self._opened_for = opened_for
        return self._opened


def _lock_folder(job: Job) -> contextlib.AbstractContextManager[str]:
    """Lock this pair of source and result folder; runs from other folders may write to the same place."""
    from cleanplate.media.locks import lock_outputs

    source = Path(job.clip).resolve()
    return lock_outputs([Path(job.out or source) / f"{source.name}-{zlib.crc32(os.fsencode(source)):08x}"])


def _run_folder(job: Job, reporter: Reporter) -> int:
    """Key every photo of the folder; failures are reported at the end and stop no other photo."""
    from cleanplate.jobs.pipeline import choose_workers, map_ordered
    from cleanplate.media.stills.picture_folders import list_previews, list_unread

    photos, failures = _plan_folder(job)
    folder = Path(job.clip)
    for skipped, reason in (
        (list_unread(folder), "their format cannot be read"),
        (list_previews(folder), "a RAW file of the same name is there"),
    ):
        if skipped:
            names = ", ".join(path.name for path in skipped[:MOST_NAMED])
            more = f" and {len(skipped) - MOST_NAMED} more" if len(skipped) > MOST_NAMED else ""
            reporter.note(f"Skipped, because {reason}: {names}{more}.")
    count = len(photos) + len(failures)
    largest = max((_count_pixels(photo.path) for photo in photos), default=1)
    workers, _ = choose_workers(job.workers, largest)
    workers = min(workers, len(photos) or 1)
    threads = max(1, usable_cores() // workers)
    finished = map_ordered(lambda: PhotoCutter(threads), photos, workers=workers)
    for number, (photo, future) in enumerate(finished, 1):
        try:
            notes = future.result()
        except CleanplateError as error:
            failures.append((photo.path, error))
        else:
            for note in notes:
                reporter.note(f"{photo.path.name}: {note}")
            _report(photo, reporter)
        reporter.progress(f"picture {number} of {len(photos)}")
    for path, failure in failures:
        reporter.error(CleanplateError(f"{path.name}: {failure.message}", failure.hint))
    if failures:
        reporter.done(f"{len(failures)} of {count} pictures failed.")
    return 2 if failures else 0


def _count_pixels(path: Path) -> int:
    """Pixels of a photo, from its header."""
    from cleanplate.media.stills.image_reader import read_size

    try:
        height, width = read_size(path)
    except Exception:  # noqa: BLE001 - the photo's own reader names what is wrong
        return UNKNOWN_PIXELS
    return height * width


def _plan_folder(job: Job) -> tuple[list[Photo], list[tuple[Path, CleanplateError]]]:
    """Find the photos with their plates and the names of their results; and the photos that fail already."""
    from cleanplate.jobs.naming import is_result
    from cleanplate.media import list_images
    from cleanplate.media.files import check_readable
    from cleanplate.media.guard import FileGuard
    from cleanplate.media.stills.image_writer import WRITABLE_SUFFIXES

    source = Path(job.clip)
    given = job.plate if isinstance(job.plate, (Path, tuple)) else None
    hint = None if job.keyer.hint is None else Path(str(job.keyer.hint))
    several = (*(given if isinstance(given, tuple) else [given]), hint)
    shared = [path for path in several if isinstance(path, Path)]
    plates = _list_by_name(given if isinstance(given, Path) else None)
    hints = _list_by_name(hint)
    folder = source if job.out is None else job.out
    planned: list[Photo] = []
    failures: list[tuple[Path, CleanplateError]] = []
    if (
        job.out is not None
        and Path(job.out).suffix.lower() in WRITABLE_SUFFIXES
        and not Path(job.out).is_dir()
    ):
        raise OutputError(
            f"{job.out} is the name of one picture, but {source} is a folder.", "give a folder with -o"
        )
    guard = FileGuard()
    photos = [photo for photo in list_images(source) if not is_result(photo)]
    for path in shared:
        if not path.is_dir():
            check_readable(path, "a picture")
    guard.read([*shared, *(plates or {}).values(), *(hints or {}).values(), *photos])
    for path in photos:
        if any(path.resolve() == each.resolve() for each in shared):
            continue
        plate = given if plates is None else plates.get(path.stem)
        if plate is None and plates is not None:
            failures.append((path, InputError(f"{given} has no plate of the same name.")))
            continue
        keyer = job.keyer if hints is None else replace(job.keyer, hint=hints.get(path.stem))
        photo = _plan_photo(replace(job, clip=path, plate=plate, out=f"{folder}/", keyer=keyer))
        try:
            guard.write(photo.outputs.values(), path.name)
        except CleanplateError as error:
            failures.append((path, error))
        else:
            planned.append(photo)
    return planned, failures


def _list_by_name(folder: Path | None) -> dict[str, Path] | None:
    """Pictures of a folder by their names without suffix; None if it is no folder."""
    from cleanplate.media import list_images

    return {path.stem: path for path in list_images(folder)} if folder and folder.is_dir() else None
