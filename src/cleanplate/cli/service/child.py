"""Child process of the service: it opens the files of strangers, so that a crash ends no more than itself."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from cleanplate.cli.service.file_kinds import CLIP_SUFFIX
from cleanplate.cli.service.refusals import is_full
from cleanplate.errors import CleanplateError, InputError, command_line_hints
from cleanplate.jobs.job import Job
from cleanplate.system.allocator import keep_freed_memory
from cleanplate.system.system_errors import explaining_system_errors

SAMPLE_BYTES = 16
"""Largest size of a pixel in memory: four channels of 32 bits."""

DEFAULT_RATE = 120
"""Assumed frames per second of a clip without a rate, for its largest number of frames."""


class TooLargeError(InputError):
    """A picture or a clip above a limit of the service."""


class PictureCutter(Protocol):
    """Keys pictures one by one; reuses its keyer while plate and options are the same."""

    def cut(self, job: Job) -> tuple[dict[str, Path], list[str]]:
        """Write the picture's results; returns the file of each layer, and notes."""
        ...


def answer_requests(
    requests: Connection, make_cutter: Callable[[int | None], PictureCutter], threads: int | None
) -> None:
    """Main loop of the process, until its parent closes the pipe.

    A request is a name of :class:`_Desk` and its arguments; the answer is ``("result", value)``, or
    ``("error", kind, message, hint)``, where the kind is ``full``, ``large`` or the class.
    """
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # The parent receives Ctrl-C, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory(share_among_threads=True)
    desk = _Desk(make_cutter, threads)
    while True:
        try:
            name, arguments = requests.recv()
        except (EOFError, OSError):
            return
        answer: tuple[Any, ...]
        try:
            with command_line_hints(), explaining_system_errors():
                answer = ("result", getattr(desk, name)(*arguments))
        except CleanplateError as error:
            kind = (
                "full"
                if is_full(error)
                else "large"
                if isinstance(error, TooLargeError)
                else type(error).__name__
            )
            answer = ("error", kind, error.message, error.hint)
        try:
            requests.send(answer)
        except OSError:
            return


class _Desk:
    """The requests that the process answers."""

    def __init__(self, make_cutter: Callable[[int | None], PictureCutter], threads: int | None) -> None:
        self._make_cutter, self._threads = make_cutter, threads
        self._cutter: PictureCutter | None = None

    def inspect(self, files: Mapping[str, Path], pixels: int, seconds: float, source: str) -> dict[str, Any]:
        """Refuse files above the limits; returns the facts of the source.

        Args:
            files: File of each field.
            pixels: Largest picture or frame.
            seconds: Longest clip.
            source: ``picture``, ``clip`` or ``any``.
        """
        facts: dict[str, Any] = {}
        for field, path in files.items():
            is_clip = path.suffix == CLIP_SUFFIX
            if field == "source" and source == "picture" and is_clip:
                raise InputError(
                    f"{path} is not a picture of a known format.", "send a clip as a job, by POST v1/videos"
                )
            limit = seconds if field == "source" else math.inf
            facts[field] = inspect_clip(path, pixels, limit) if is_clip else inspect_picture(path, pixels)
        return facts

    def cut(self, job: Job) -> tuple[dict[str, Path], list[str]]:
        """Key a picture."""
        if self._cutter is None:
            self._cutter = self._make_cutter(self._threads)
        return self._cutter.cut(job)

    def check(self, plate: Path, source: Path | None) -> tuple[dict[str, Any], list[str]]:
        """Load a plate and check it against a source; returns the diagnosis, if any, and notes."""
        from cleanplate.plate import check_plate, load_plate

        loaded = load_plate(plate)
        if source is None:
            return {}, list(loaded.notes)
        return check_plate(loaded, source).to_json(), list(loaded.notes)


def inspect_picture(path: Path, most_pixels: int) -> dict[str, Any]:
    """Read a picture's size, from its head where Pillow knows the format.

    Raises:
        TooLargeError: It has too many pixels.
        InputError: It cannot be read.
    """
    from cleanplate.media.stills.image_reader import read_image, read_size

    try:
        height, width = read_size(path)
    except InputError:
        height, width = read_image(path, budget_bytes=most_pixels * SAMPLE_BYTES).pixels.shape[:2]
    _check_pixels(path, width, height, most_pixels)
    return {"width": width, "height": height}


def inspect_clip(path: Path, most_pixels: int, most_seconds: float) -> dict[str, Any]:
    """Read the head of a clip.

    Raises:
        TooLargeError: Its frames have too many pixels, or it is too long.
        InputError: It cannot be read.
    """
    from cleanplate.media import open_source

    source = open_source(path)
    try:
        info = source.info
    finally:
        source.close()
    _check_pixels(path, info.width, info.height, most_pixels)
    seconds = info.duration_seconds
    if seconds is not None and seconds > most_seconds:
        raise TooLargeError(
            f"{path} lasts {float(seconds):.6g} seconds; the limit is {most_seconds:.6g}.",
            "send a shorter clip",
        )
    rate = info.frame_rate or DEFAULT_RATE
    # A container may lie: frames are counted as well.
    frames = None if math.isinf(most_seconds) else math.ceil((most_seconds + 1) * float(rate))
    return {
        "width": info.width,
        "height": info.height,
        "most_frames": frames,
    }


def _check_pixels(path: Path, width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        raise TooLargeError(
            f"{path} has {width}x{height} pixels; the limit is {most_pixels / 1e6:.6g} million.",
            "make it smaller",
        )
