"""How far a job has come, as JSON in the work folder of its first result."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cleanplate.checkpoint.fingerprint import Fingerprint
from cleanplate.checkpoint.state import read_state, write_state
from cleanplate.errors import CleanplateError
from cleanplate.media.files import partial_path, reporting_write_errors
from cleanplate.media.segments import Segment, remove_folder, work_folder
from cleanplate.plate import Plate

FORMAT = "cleanplate-checkpoint-1"


class DamagedError(CleanplateError):
    """What an interrupted run has left cannot be gone on with."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a job has come.

    Attributes:
        job: What it is.
        overwrite: Whether it may replace results that exist.
        frames: Frames that every sink has finished.
        pts: Time of the next frame, in the source's time base; None if there is none, or none are done.
        complete: Whether these are all frames, and only closing the results is left.
        checksum: Of the file with what the keyer remembers; None before the first segment is finished.
        plate_checksum: Of the file with the plate that was built; None if there is none.
        segments: The finished segments of each video, by the result's name.
    """

    job: Fingerprint
    overwrite: bool
    frames: int = 0
    pts: int | None = None
    complete: bool = False
    checksum: int | None = None
    plate_checksum: int | None = None
    segments: Mapping[str, Sequence[Segment]] = field(default_factory=dict)


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
        """Whether it is written down how far the job has come."""
        return self._record.exists()

    def read(self) -> Checkpoint | None:
        """What an interrupted run has left; None if there was none.

        Raises:
            DamagedError: It cannot be read.
        """
        try:
            entries = json.loads(self._record.read_text(encoding="utf-8"))
            if entries.pop("format") != FORMAT:
                raise ValueError("another version's")
            segments = {
                name: [Segment(int(frames), int(size)) for frames, size in pairs]
                for name, pairs in entries.pop("segments").items()
            }
            found = Checkpoint(**entries, segments=segments)
            if not isinstance(found.frames, int) or not isinstance(found.job, dict):
                raise ValueError("no numbers")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(f"{self._record} is damaged.", "start anew with --overwrite") from error
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        """Let this be how far the job has come; what the one before remembered is forgotten.

        Raises:
            OutputError: It cannot be written.
        """
        entries = asdict(checkpoint)
        entries["segments"] = {
            name: [[segment.frames, segment.size] for segment in segments]
            for name, segments in checkpoint.segments.items()
        }
        partial = partial_path(self._record)
        with reporting_write_errors(self.path):
            self.folder.mkdir(exist_ok=True)
            if checkpoint.checksum is not None:
                with self._state(checkpoint.frames).open("rb+") as file:
                    os.fsync(file.fileno())
            with partial.open("w", encoding="utf-8") as text:
                text.write(json.dumps({"format": FORMAT, **entries}))
                text.flush()
                os.fsync(text.fileno())
            partial.replace(self._record)
            for frames, earlier in self._states():
                if frames < checkpoint.frames:
                    earlier.unlink(missing_ok=True)

    def remember(self, frames: int, state: object, known: Mapping[str, object]) -> int:
        """Write what is remembered after so many frames; gives the checksum.

        Raises:
            OutputError: It cannot be written.
        """
        return self._remember(self._state(frames), state, known)

    def recall(self, checkpoint: Checkpoint, known: Mapping[str, object]) -> Any:
        """What was remembered when the job had come so far; None before the first segment was finished.

        Raises:
            DamagedError: It cannot be read.
        """
        return _recall(self._state(checkpoint.frames), checkpoint.checksum, known)

    def remember_plate(self, plate: Plate) -> int:
        """Write the plate that was built; gives the checksum.

        Raises:
            OutputError: It cannot be written.
        """
        return self._remember(self._plate, plate, {})

    def recall_plate(self, checkpoint: Checkpoint) -> Plate | None:
        """The plate that was built, if it was and can be read."""
        try:
            plate = _recall(self._plate, checkpoint.plate_checksum, {})
        except DamagedError:
            return None
        return plate if isinstance(plate, Plate) else None

    def clear(self) -> None:
        """Remove these files, and the folder if nothing else is in it."""
        with contextlib.suppress(OSError):
            for _, file in self._states():
                file.unlink(missing_ok=True)
            for file in (self._plate, partial_path(self._record), self._record):
                file.unlink(missing_ok=True)
        remove_folder(self.folder)

    def _state(self, frames: int) -> Path:
        return self.folder / f"state-{frames}.bin"

    def _states(self) -> list[tuple[int, Path]]:
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        found = [(re.fullmatch(r"state-(\d+)\.bin", file.name), file) for file in files]
        return [(int(match[1]), file) for match, file in found if match]

    def _remember(self, file: Path, state: object, known: Mapping[str, object]) -> int:
        with reporting_write_errors(self.path):
            return write_state(state, file, known)


def _recall(file: Path, checksum: int | None, known: Mapping[str, object]) -> object:
    if checksum is None:
        return None
    try:
        return read_state(file, checksum, known)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{file} is damaged.", "start anew with --overwrite") from error
