"""Frames of a clip by their numbers, read in step with another clip: one frame is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cleanplate.errors import InputError
from cleanplate.frame import Frame
from cleanplate.media import Source, open_source


class ClipReader:
    """Gives frames of a clip by number; rising numbers read it once.

    A lower number than the one before opens the file again, at that frame if it was read before. Numbers
    before the first frame and after the last give the first and the last.

    Args:
        path: A video file, or a numbered sequence.

    Attributes:
        frame_count: Number of frames; None until the end was reached.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frame_count: int | None = None
        self._times: list[int] = []  # time stamps of the frames that were read
        self._source: Source | None = None
        self._frames: Iterator[Frame] = iter(())
        self._current: Frame | None = None

    def frame(self, number: int) -> Frame:
        """The frame of this number, or the nearest one.

        Raises:
            InputError: The clip cannot be read, or has no frames.
        """
        number = max(0, number)
        if self.frame_count is not None:
            number = min(number, self.frame_count - 1)
        if self._current is None or number < self._current.index:
            self._open(number)
        while self._current is None or self._current.index < number:
            following = next(self._frames, None)
            if following is None:
                break
            self._current = following
            if following.index == len(self._times):
                self._times.append(following.pts)
        if self._current is None:
            raise InputError(f"The plate '{self.path.name}' has no frames.")
        if self._current.index < number:
            self.frame_count = self._current.index + 1
        return self._current

    def _open(self, number: int) -> None:
        self.close()
        self._source = open_source(self.path)
        if number < len(self._times):
            self._source.start_at(number, self._times[number])
        self._frames = iter(self._source)

    def close(self) -> None:
        """Close the file; a later call of :meth:`frame` opens it again."""
        if self._source is not None:
            self._source.close()
        self._source = self._current = None
        self._frames = iter(())
