"""Record of a job's progress, as JSON in the work folder of its first result."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import CleanplateError, InputError
from cleanplate.jobs.checkpoint.fingerprint import Fingerprint
from cleanplate.jobs.checkpoint.pickled_state import read_state, write_state
from cleanplate.media.files import reporting_write_errors
from cleanplate.media.video.segments import Segment, make_work_folder, remove_folder
from cleanplate.plate import Plate
from cleanplate.system.temporary_files import temporary_file, work_folder

FORMAT = "cleanplate-checkpoint-4"


@dataclass(frozen=True)
class Moment:
    """Moment at which a job can continue.

    Attributes:
        frames: Frames before it.
        pts: Time of the next frame, in the source's time base; None if there is none.
        checksum: Hash of the file with the keyer's state.
    """

    frames: int
    pts: int | None
    checksum: int


class DamagedError(CleanplateError):
    """Damaged files of an interrupted run, which cannot be continued."""


@dataclass(frozen=True)
class Checkpoint:
    """Progress of a job.

    Attributes:
        job: Fingerprint of the job.
        overwrite: Whether it may replace results that exist.
        frames: Frames that every sink has finished.
        pts: Time of the next frame, in the source's time base; None if there is none, or none are done.
        complete: Whether these are all frames, and only closing the results is left.
        checksum: Hash of the file with the keyer's state; None before the first segment is finished.
        plate_checksum: Hash of the file with the built plate; None if there is none.
        segments: The finished segments of each video, by the result's name.
        moments: Earlier moments, from which a damaged segment can be keyed again.
        report: Name of the temporary file of the report; None if there is none.
    """

    job: Fingerprint
    overwrite: bool
    frames: int = 0
    pts: int | None = None
    complete: bool = False
    checksum: int | None = None
    plate_checksum: int | None = None
    segments: Mapping[str, Sequence[Segment]] = field(default_factory=dict)
    moments: Sequence[Moment] = ()
    report: str | None = None

    def check(self) -> None:
        """Raise ValueError for values that no run writes, as in a damaged record."""
        for value in (self.frames, self.pts, self.checksum, self.plate_checksum):
            if value is not None and type(value) is not int:
                raise ValueError(f"expected a whole number, got {value!r}")
        lengths = [sum(segment.frames for segment in segments) for segments in self.segments.values()]
        if self.frames < 0 or any(length != self.frames for length in lengths):
            raise ValueError(f"segments of {lengths} frames for {self.frames} frames")
        if self.frames and self.checksum is None:
            raise ValueError("frames without a state")
        if not isinstance(self.job, dict) or not all(
            type(flag) is bool for flag in (self.overwrite, self.complete)
        ):
            raise ValueError("no job")
        if self.report is not None and (
            type(self.report) is not str or Path(self.report).name != self.report
        ):
            raise ValueError(f"{self.report!r} is no file name")

    def back_to(self, moment: Moment | None) -> Checkpoint:
        """The same job at an earlier moment, None for its beginning."""
        segments = {}
        for name, finished in self.segments.items():
            ends = itertools.accumulate(segment.frames for segment in finished)
            within = 0 if moment is None else moment.frames
            segments[name] = [segment for segment, end in zip(finished, ends, strict=True) if end <= within]
        changes: dict[str, Any] = {"segments": segments, "complete": False}
        if moment is None:
            return replace(self, frames=0, pts=None, checksum=None, moments=(), **changes)
        kept = [other for other in self.moments if other.frames < moment.frames]
        return replace(
            self, frames=moment.frames, pts=moment.pts, checksum=moment.checksum, moments=kept, **changes
        )


class Work:
    """The files of a job in the work folder of its first result; the segments there are not among them.

    Args:
        path: The first result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = work_folder(path)
        self._record = self.folder / "checkpoint.json"
        self._plate = self.folder / "plate.bin"

    @property
    def is_begun(self) -> bool:
        """True if a record exists."""
        return self._record.exists()

    def read(self) -> Checkpoint | None:
        """Read the record of an interrupted run; None if there was none.

        Raises:
            DamagedError: It cannot be read.
        """
        try:
            entries = json.loads(self._record.read_text(encoding="utf-8"))
            written = entries.pop("format")
            if written != FORMAT:
                raise DamagedError(
                    f"{self._record} has the format '{written}', and this version of cleanplate reads "
                    f"'{FORMAT}' only.",
                    "start again with --overwrite",
                )
            segments = {
                name: [Segment(*map(_as_count, numbers)) for numbers in listed]
                for name, listed in entries.pop("segments").items()
            }
            moments = [
                Moment(_as_count(frames), None if pts is None else int(pts), _as_count(checksum))
                for frames, pts, checksum in entries.pop("moments")
            ]
            found = Checkpoint(**entries, segments=segments, moments=moments)
            found.check()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedError(f"{self._record} is damaged.", "start again with --overwrite") from error
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the record of progress, and remove states that it does not name.

        Raises:
            OutputError: It cannot be written.
        """
        entries = asdict(checkpoint)
        entries["segments"] = {
            name: [astuple(segment) for segment in segments] for name, segments in checkpoint.segments.items()
        }
        entries["moments"] = [astuple(moment) for moment in checkpoint.moments]
        make_work_folder(self.path)
        with reporting_write_errors(self.path):
            if checkpoint.checksum is not None:
                with self._state(checkpoint.frames).open("rb+") as file:
                    os.fsync(file.fileno())
            with temporary_file(self._record) as partial:
                with partial.open("w", encoding="utf-8") as text:
                    text.write(json.dumps({"format": FORMAT, **entries}))
                    text.flush()
                    os.fsync(text.fileno())
                partial.replace(self._record)
            kept = {moment.frames for moment in checkpoint.moments}
            for frames, earlier in self._states():
                if frames < checkpoint.frames and frames not in kept:
                    earlier.unlink(missing_ok=True)

    def remember(self, frames: int, state: object) -> int:
        """Write the state after so many frames; returns the checksum.

        Raises:
            OutputError: It cannot be written.
        """
        return self._remember(self._state(frames), state)

    def recall(self, at: Checkpoint | Moment) -> Any:
        """Read the state at a moment; None before the first segment was finished.

        Raises:
            DamagedError: It cannot be read.
        """
        return _recall(self._state(at.frames), at.checksum)

    def has_intact(self, at: Checkpoint | Moment) -> bool:
        """Tell whether the file with the state at this moment is intact."""
        try:
            return at.checksum is None or zlib.crc32(self._state(at.frames).read_bytes()) == at.checksum
        except OSError:
            return False

    def remember_plate(self, plate: Plate) -> int:
        """Write the built plate; returns the checksum.

        Raises:
            OutputError: It cannot be written.
        """
        return self._remember(self._plate, plate)

    def recall_plate(self, checkpoint: Checkpoint) -> Plate | None:
        """Read the built plate; None if there is none or it is damaged."""
        try:
            plate = _recall(self._plate, checkpoint.plate_checksum)
            if not isinstance(plate, Plate) or (plate.known is not None and plate.known.dtype != np.bool_):
                return None
            return replace(plate)  # which checks its arrays
        except (DamagedError, InputError, AttributeError):
            return None

    def clear(self) -> None:
        """Remove these files, and the folder if it is empty then.

        The record is removed first, because a record that names missing states counts as damaged.
        """
        with contextlib.suppress(OSError):
            for file in (self._record, *self.folder.glob("checkpoint.partial*.json"), self._plate):
                file.unlink(missing_ok=True)
            for _, file in self._states():
                file.unlink(missing_ok=True)
        remove_folder(self.folder)

    def _state(self, frames: int) -> Path:
        return self.folder / f"state-{frames}.bin"

    def _states(self) -> list[tuple[int, Path]]:
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        found = [(re.fullmatch(r"state-(\d+)\.bin", file.name), file) for file in files]
        return [(int(match[1]), file) for match, file in found if match]

    def _remember(self, file: Path, state: object) -> int:
        with reporting_write_errors(self.path):
            return write_state(state, file)


class NoWork(Work):
    """A job that cannot be continued, on pipes or in one piece: nothing is recorded."""

    @property
    def is_begun(self) -> bool:
        return False

    def read(self) -> Checkpoint | None:
        return None

    def write(self, checkpoint: Checkpoint) -> None:
        pass

    def remember_plate(self, plate: Plate) -> int:  # noqa: ARG002 - as the other one
        return 0

    def recall_plate(self, checkpoint: Checkpoint) -> Plate | None:  # noqa: ARG002 - as the other one
        return None

    def clear(self) -> None:
        pass


def _as_count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a count, got {value!r}")
    return value


def _recall(file: Path, checksum: int | None) -> object:
    if checksum is None:
        return None
    try:
        return read_state(file, checksum)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{file} is damaged.", "start again with --overwrite") from error
