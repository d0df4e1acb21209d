"""Writer of a session's stills and clips, in its own thread, so that keying does not wait for an encoder."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cleanplate.compositing.over import straight_rgba
from cleanplate.errors import CleanplateError, OutputError
from cleanplate.frame import Pixels
from cleanplate.live.session import Shown
from cleanplate.media import Encoding, open_sink, write_image
from cleanplate.media.contract import Sink, SourceInfo

DEPTH = 8
"""Largest number of frames waiting for the encoder; with more, the newest are left out."""


@dataclass
class _Clip:
    """A recording in progress."""

    sink: Sink
    layer: str
    began: float
    first_pts: int | None = None
    missed: int = 0
    has_failed: bool = False


class SessionRecorder:
    """Writes keyed frames; its thread ends with :meth:`close`.

    Args:
        like: Description of the frames.
        folder: Folder of results without a name.
        say: Callback for messages on results, from any thread.

    Attributes:
        failure: The first error while writing a clip; None without errors.
    """

    def __init__(self, like: SourceInfo, folder: Path, say: Callable[[str], None]) -> None:
        self._like = replace(like, has_audio=False)
        self._folder = folder
        self._say = say
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._closed = False
        self._clip: _Clip | None = None
        self.failure: CleanplateError | None = None
        self._thread = threading.Thread(target=self._work, name="cleanplate-record", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float | None:
        """Duration of the clip that is being recorded; None if there is none."""
        clip = self._clip
        return None if clip is None else time.monotonic() - clip.began

    def start(self, path: Path | None = None, *, transparent: bool = False, overwrite: bool = False) -> None:
        """Record from the next keyed frame on, with alpha if the background is transparent.

        Raises:
            OutputError: The file cannot be written.
        """
        layer = "cutout" if transparent else "composite"
        path = path or self._name(".mov" if transparent else ".mp4")
        sink = open_sink(
            path, self._like, layer=layer, overwrite=overwrite, encoding=Encoding(real_time=True)
        )
        self._clip = _Clip(sink, layer, time.monotonic())
        self._say(f"Recording {path.name}")

    def stop(self) -> None:
        """Finish the clip, after the waiting frames."""
        clip, self._clip = self._clip, None
        if clip is not None:
            self._do(lambda: self._finish(clip))

    def offer(self, shown: Shown) -> None:
        """Add a frame to the clip, if there is one and the frame is keyed; does not wait."""
        clip = self._clip
        if clip is None or shown.matte is None:
            return
        if len(self._jobs) >= DEPTH:
            clip.missed += 1
            return
        self._do(lambda: self._write(clip, shown))

    def still(self, shown: Shown) -> None:
        """Save a picture: the cut-out if the background is transparent, the result otherwise."""
        if shown.matte is None:
            self._say("There is nothing to save yet: capture a plate first.")
            return
        pixels = _render(shown, shown.transparent)
        path = self._name(".png")

        def save() -> None:
            try:
                write_image(path, pixels)
            except CleanplateError as error:
                self._say(str(error))
            else:
                self._say(f"Saved {path}")

        self._do(save)

    def close(self) -> None:
        """Finish all results and end the thread."""
        self.stop()
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _do(self, job: Callable[[], None]) -> None:
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job = self._jobs.popleft()
            job()
            del job  # with the frame in it

    def _write(self, clip: _Clip, shown: Shown) -> None:
        if clip.has_failed:
            return
        clip.first_pts = shown.frame.pts if clip.first_pts is None else clip.first_pts
        at = replace(shown.frame, pts=shown.frame.pts - clip.first_pts)
        try:
            clip.sink.write(_render(shown, clip.layer == "cutout"), at)
        except CleanplateError as error:
            self._give_up(clip, error)

    def _give_up(self, clip: _Clip, error: CleanplateError) -> None:
        clip.has_failed = True
        self.failure = self.failure or error
        if self._clip is clip:
            self._clip = None
        clip.sink.abort()
        for note in (str(error), *clip.sink.notes):
            self._say(note)

    def _finish(self, clip: _Clip) -> None:
        if clip.has_failed:
            return
        if clip.first_pts is None:
            clip.sink.abort()
            self._say(f"{clip.sink.path.name} was not written: no frame was keyed.")
            return
        try:
            clip.sink.close()
        except OutputError as error:
            self._give_up(clip, error)
            return
        missed = f"; {clip.missed} frames were dropped" if clip.missed else ""
        self._say(f"Saved {clip.sink.path}{missed}")

    def _name(self, suffix: str) -> Path:
        """Find an unused name."""
        stem = time.strftime("cleanplate-%Y%m%d-%H%M%S")
        path = self._folder / f"{stem}{suffix}"
        number = 2
        while path.exists():
            path = self._folder / f"{stem}-{number}{suffix}"
            number += 1
        return path


def _render(shown: Shown, cut: bool) -> Pixels:
    """Render the cut-out or the result."""
    return straight_rgba(shown.matte) if cut and shown.matte is not None else shown.result
