"""The plate of a moving camera: its clip, matched with the source before the first frame is keyed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cleanplate.errors import OptionError
from cleanplate.frame import Frame
from cleanplate.jobs.job import AUTO_PLATE, NO_PLATE, Job, is_word
from cleanplate.jobs.pipeline import PROGRESS_SECONDS, Progress
from cleanplate.media import Reading, Source, open_source
from cleanplate.media.files import check_readable
from cleanplate.plate.moving.content_search import Thumbnails, match_by_content, take_thumbnails
from cleanplate.plate.moving.moving_plate import MovingPlate, match_by_index, match_by_timecode
from cleanplate.plate.picture import is_clip
from cleanplate.system.pipes import is_pipe
from cleanplate.vocabulary.options import parse_offset


@dataclass(frozen=True)
class PlateMove:
    """A plate's clip that is to be matched with the source.

    Attributes:
        path: The clip, or a numbered sequence.
        motion: One of :data:`~cleanplate.vocabulary.PLATE_MOTIONS`, but not ``same``.
        offset: Number of frames, or seconds, that are added to the matched place.
    """

    path: Path
    motion: str
    offset: int | Fraction = 0


def plan_move(job: Job) -> PlateMove | None:
    """The plate's clip of a job whose camera moves; None for all other jobs.

    Raises:
        OptionError: An option does not go with a moving plate, or with a plate that does not move.
    """
    offset = parse_offset(job.plate_offset)
    if job.plate_motion not in ("index", "timecode") and offset:
        raise OptionError(
            f"A plate offset of {job.plate_offset} needs a plate that is matched by number.",
            "add --plate-motion=index or --plate-motion=timecode",
        )
    if job.plate_motion == "same":
        return None
    given = job.plate
    is_path = isinstance(given, (str, Path)) and not any(is_word(given, w) for w in (AUTO_PLATE, NO_PLATE))
    path = Path(str(given)) if is_path else Path()
    if not is_path or is_pipe(path) or not is_clip(path):
        raise OptionError(
            f"A plate that moves is a clip or a numbered sequence, not {_describe(given)}.",
            "give the clip of the empty set, or leave out --plate-motion",
        )
    if job.keyer.follow:
        raise OptionError(
            "A plate that moves is fitted anew to each frame, so there is nothing to follow.",
            "leave out --follow or --plate-motion",
        )
    if isinstance(job.background, str) and job.background == "blur":
        raise OptionError(
            "A plate that moves cannot be blurred as a background.", "give another --background"
        )
    if job.plate_motion == "search" and is_pipe(Path(job.clip)):
        raise OptionError(
            "The search for the plate's frames reads the clip twice, and a pipe can be read once.",
            "match by number with --plate-motion=index, or save the clip in a file",
        )
    return PlateMove(path, job.plate_motion, offset)


def match_plate(
    move: PlateMove, source: Source, reading: Reading, on_progress: Callable[[Progress], None] | None
) -> MovingPlate:
    """Match the plate's clip with a source, which is not read.

    Args:
        move: The plate's clip.
        source: The source, open.
        reading: Way in which the source is read.
        on_progress: Receives the progress of a search, about ten times a second.

    Raises:
        InputError: The plate's clip cannot be read.
        OptionError, PlateError: The clips cannot be matched.
    """
    info = source.info
    numbered = info.first_number is not None or reading.damage == "drop"
    rate = info.frame_rate if numbered else None
    if move.motion == "search":
        show = _ProgressTicker(on_progress)
        with open_source(info.path, reading) as again:
            thumbnails = _look_over(again, show, rate)
        with open_source(move.path) as clip:
            return match_by_content(move.path, thumbnails, _look_over(clip, show), rate)
    per_second = info.frame_rate or Fraction(0)
    offset = move.offset if isinstance(move.offset, int) else round(move.offset * per_second)
    if move.motion == "timecode":
        with open_source(move.path) as clip:
            return match_by_timecode(move.path, info, clip.info, offset, rate)
    start = Fraction(0) if reading.span is None else reading.span.start_seconds
    if "%" not in move.path.name:
        check_readable(move.path, "a video")
    return match_by_index(move.path, info, round(start * per_second), offset, rate)


def _look_over(source: Source, show: _ProgressTicker, rate: Fraction | None = None) -> Thumbnails:
    return take_thumbnails(show(source, source.info.frame_count), rate)


class _ProgressTicker:
    """Reports the frames that pass by."""

    def __init__(self, on_progress: Callable[[Progress], None] | None) -> None:
        self._on_progress = on_progress
        self._began = self._told = time.monotonic()

    def __call__(self, frames: Source, total: int | None) -> Iterator[Frame]:
        for count, frame in enumerate(frames, 1):
            now = time.monotonic()
            if self._on_progress is not None and now - self._told >= PROGRESS_SECONDS:
                self._told = now
                self._on_progress(Progress(count, total, now - self._began, doing="matching"))
            yield frame


def _describe(given: object) -> str:
    if isinstance(given, (str, Path)):
        return f"'{given}'"
    return "none" if given is None else f"an object of {type(given).__name__}"
