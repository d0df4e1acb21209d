"""Writing of video that can be resumed: in segments, each a playable file, joined at the end.

The segments of ``cut.mov`` grow in the folder ``cut.mov.partial`` beside it::

    cut.mov.partial/000000.mov      finished: on the disk, and renamed
                    000001.mov
                    000002.partial.mov      the one that is being written
                    joined.partial.mov      at the end: all packets, copied, and the sound

The joined file is complete when its name is ``joined.mov``. Only then are the segments removed, and it is
moved to the path of the result: so the files left by a kill show the progress.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cleanplate.errors import OutputError
from cleanplate.frame import AnyArray, Frame
from cleanplate.media.contract import Encoding, Sink, SourceInfo
from cleanplate.media.files import check_writable, reporting_write_errors
from cleanplate.media.video.joining import join
from cleanplate.media.video.video_sink import VideoSink
from cleanplate.system.temporary_files import end_move, move_into_place, work_folder

SEGMENT_SECONDS = 5
"""Seconds of video in a segment: the largest loss at a kill."""

FEWEST_FRAMES, MOST_FRAMES = 10, 600

_PIECE_BYTES = 1 << 20

MOST_PIXELS = 600_000_000
"""Largest number of pixels of a segment: 72 frames of 4K, because these are slower than real time."""


def segment_frames(like: SourceInfo) -> int:
    """Frames of a segment: the same for every run over this source."""
    frames = round(SEGMENT_SECONDS * (like.frame_rate or 25))
    frames = min(frames, MOST_FRAMES, MOST_PIXELS // (like.height * like.width))
    return max(frames, FEWEST_FRAMES)


@dataclass(frozen=True)
class Segment:
    """A finished segment.

    Attributes:
        frames: Number of its frames.
        size: Bytes of its file.
        checksum: CRC-32 of its file.
    """

    frames: int
    size: int
    checksum: int

    @classmethod
    def of(cls, file: Path, frames: int) -> Segment:
        """Describe a complete file, after flushing it to the disk."""
        flush(file)
        return cls(frames, file.stat().st_size, _sum_up(file))

    def is_intact(self, file: Path) -> bool:
        """Tell whether the file exists and is unchanged."""
        try:
            return file.stat().st_size == self.size and _sum_up(file) == self.checksum
        except OSError:
            return False


class SegmentedSink(Sink):
    """A :class:`~cleanplate.media.contract.Segmented` sink for video.

    Args:
        path: The result.
        like, layer, overwrite, encoding: As for :func:`cleanplate.media.open_sink`.
        finished: Segments of an earlier run; the next frame begins the segment after them.
        joins: Whether :meth:`close` makes the result of them. If not, they stay for a later run: they are a
            span of another result.

    Raises:
        OutputError, OptionError: As :func:`cleanplate.media.open_sink`.
    """

    def __init__(
        self,
        path: Path,
        like: SourceInfo,
        *,
        layer: str,
        overwrite: bool,
        encoding: Encoding,
        finished: Sequence[Segment] = (),
        joins: bool = True,
    ) -> None:
        check_writable(path, overwrite=overwrite)
        self.path = path
        self.notes: list[str] = []
        self.finished = list(finished)
        self._like, self._layer, self._encoding = like, layer, encoding
        self._overwrite, self._joins = overwrite, joins
        self._folder = work_folder(path)
        self._number = len(self.finished)
        self._segment: VideoSink | None = None
        self._frames = 0
        self._closed = False
        make_work_folder(path)
        for part in find_parts(path):  # of a run that was killed
            if part not in find_finished(path):
                part.unlink(missing_ok=True)
        if not finished:  # a path that cannot be written is refused at once
            try:
                self._segment = self._open(self._number)
            except BaseException:
                remove_folder(self._folder)
                raise

    def _open(self, number: int) -> VideoSink:
        file = segment_path(self.path, number)
        try:
            segment = open_segment(file, self._like, self._layer, self._encoding)
        except OutputError as error:
            raise OutputError(error.message.replace(file.name, self.path.name), error.hint) from error
        self._take_notes(segment)
        return segment

    def _take_notes(self, part: VideoSink) -> None:
        for note in part.notes:
            named = note.replace(part.path.name, self.path.name)
            if named not in self.notes:
                self.notes.append(named)

    def write(self, pixels: AnyArray, at: Frame) -> None:
        if self._segment is None:
            self._segment = self._open(self._number)
        self._segment.write(pixels, at)
        self._frames += 1

    def cut(self) -> Callable[[], None]:
        if self._segment is None or not self._frames:
            return lambda: None
        # Closed and released at once, because two encoders would need twice the memory.
        self._segment.close()
        finish = partial(self._finish, self._segment.path, self._frames)
        self._segment, self._frames = None, 0
        self._number += 1
        return finish

    def _finish(self, file: Path, frames: int) -> None:
        with reporting_write_errors(self.path):
            self.finished.append(Segment.of(file, frames))

    def close(self) -> None:
        if self._closed:
            return
        try:
            self._complete()
        except BaseException:
            self.abort()
            raise

    def _complete(self) -> None:
        self.cut()()
        joined = _joined_path(self.path)
        if not self.finished:
            raise OutputError(f"{self.path} was not written: it got no frame.")
        if not self._joins:
            self._closed = True
            return
        if not joined.exists():
            self._join(joined)
        with reporting_write_errors(self.path):
            for number in range(len(self.finished)):
                segment_path(self.path, number).unlink(missing_ok=True)
            move_into_place(joined, self.path, overwrite=self._overwrite)
        self._closed = True
        remove_folder(self._folder)

    def _join(self, joined: Path) -> None:
        whole = VideoSink(
            joined, self._like, layer=self._layer, overwrite=True, audio=True, encoding=self._encoding
        )
        with contextlib.ExitStack() as undo:
            undo.callback(whole.partial.unlink, missing_ok=True)
            undo.callback(whole.abort)
            files = [segment_path(self.path, number) for number in range(len(self.finished))]
            join(files, [segment.frames for segment in self.finished], whole)
            with reporting_write_errors(self.path):
                flush(whole.partial)
            whole.close()
            undo.pop_all()
        self._take_notes(whole)

    def abort(self) -> Path | None:
        if self._closed:
            return None
        self._closed = True
        left = None if self._segment is None else self._segment.abort()
        if self.finished:
            frames = sum(segment.frames for segment in self.finished)
            self.notes.append(f"The first {frames} frames of {self.path.name} are kept in {self._folder}.")
            return self._folder
        if left is not None:
            self.notes.append(f"The first frames of {self.path.name} are in {left}.")
            return left
        remove_folder(self._folder)
        return None


def make_work_folder(path: Path) -> Path:
    """Make the work folder of a result, unless it exists.

    Raises:
        OutputError: It cannot be made, or there is a file or link of its name.
    """
    folder = work_folder(path)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is needed as a folder, but it is a link or a file.", "move it away")
    with reporting_write_errors(path):
        folder.mkdir(exist_ok=True)
    return folder


def is_joined(path: Path) -> bool:
    """Tell whether the segments of a result are joined, so that it only has to be moved into place."""
    return _joined_path(path).exists()


def end_joined_move(path: Path) -> None:
    """Finish the move of a joined result that a kill has interrupted between its two steps."""
    end_move(_joined_path(path), path)


def find_parts(path: Path) -> list[Path]:
    """The files of segments in the work folder of a result, without other files."""
    suffix = re.escape(path.suffix)
    names = re.compile(rf"(\d{{6,}}|joined)(\.partial(-\d+)?)?{suffix}")
    folder = work_folder(path)
    return sorted(file for file in folder.iterdir() if names.fullmatch(file.name)) if folder.is_dir() else []


def find_finished(path: Path) -> list[Path]:
    """The finished ones among the files of segments."""
    return [file for file in find_parts(path) if ".partial" not in file.stem]


def clear_parts(path: Path) -> None:
    """Remove the files of segments, and the folder if it is empty then.

    Raises:
        OutputError: They cannot be removed.
    """
    with reporting_write_errors(path):
        for file in find_parts(path):
            file.unlink(missing_ok=True)
    remove_folder(work_folder(path))


def find_damage(path: Path, finished: Sequence[Segment]) -> list[int]:
    """Numbers of the segments that are missing or have changed."""
    return [
        number for number, segment in enumerate(finished) if not segment.is_intact(segment_path(path, number))
    ]


def remove_folder(folder: Path) -> None:
    """Remove a work folder if it is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def segment_path(path: Path, number: int) -> Path:
    return work_folder(path) / f"{number:06d}{path.suffix}"


def _joined_path(path: Path) -> Path:
    return work_folder(path) / f"joined{path.suffix}"


def open_segment(file: Path, like: SourceInfo, layer: str, encoding: Encoding) -> VideoSink:
    """A sink for one segment.

    Raises:
        OutputError, OptionError: As :func:`cleanplate.media.open_sink`.
    """
    return VideoSink(file, like, layer=layer, overwrite=True, audio=False, encoding=encoding)


def flush(path: Path) -> None:
    """Flush a file to the disk, so that finished segments survive a loss of power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sum_up(file: Path) -> int:
    checksum = 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            checksum = zlib.crc32(piece, checksum)
    return checksum
