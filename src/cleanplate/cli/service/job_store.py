"""Folder of the service: plates and jobs, each in a folder of its own with a record. The jobs are the queue.

::

    FOLDER/cleanplate-service.json       mark: the service may remove its own files here
    FOLDER/plates/ID/record.json         and plate.png
    FOLDER/jobs/ID/record.json           and source.mkv, plate.png ..., result.mov, report.json
    FOLDER/pictures/ID/                  a picture, until its answer is sent
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from cleanplate.errors import InputError, OutputError
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import make_folder

MARK = "cleanplate-service.json"
FORMAT = "cleanplate-service-1"
RECORD = "record.json"
KINDS = ("plates", "jobs", "pictures")
ENDED = ("done", "failed", "cancelled")
USE_SECONDS = 60.0
TRANSIENT = ("progress", "version")

_ID = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass
class PlateRecord:
    """A stored plate.

    Attributes:
        id: Made by the service.
        owner: Hash of the owner's token; empty without tokens.
        file: Name of the file in the record's folder.
        name: The client's name of it.
        used: Time of the last use, in seconds since 1970.
        facts: Size, diagnosis and notes, for answers.
    """

    id: str
    owner: str
    file: str
    name: str
    used: float
    facts: dict[str, Any]


@dataclass
class JobRecord:
    """A clip's job.

    Attributes:
        id: Made by the service.
        owner: Hash of the owner's token; empty without tokens.
        client: Its place in the fair queue.
        state: ``queued``, ``running``, or one of :data:`ENDED`.
        words: The options, as words of a command line.
        plate: ``auto``, ``none``, or None if it is among the files.
        format: Suffix of the results.
        files: Name of each file, by its field.
        names: The client's name of each file, by its field.
        most_frames: Frames after which the clip is longer than the service takes.
        created: Time of the upload, in seconds since 1970.
        started: Time of the first frame.
        finished: Time of the end.
        frames: Number of keyed frames.
        resumed_frames: Frames that an earlier run of the job had keyed.
        results: Name of the file of each layer.
        notes: Notes of the run.
        error: Message and hint of a failed job.
        report: Summary of the report.
        progress: Progress of a running job; not stored.
        version: Counts the changes; not stored.
    """

    id: str
    owner: str
    client: str
    words: list[str]
    plate: str | None
    format: str
    files: dict[str, str]
    names: dict[str, str]
    most_frames: int
    created: float
    state: str = "queued"
    started: float | None = None
    finished: float | None = None
    frames: int | None = None
    resumed_frames: int | None = None
    results: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    report: dict[str, Any] | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    version: int = 0


Record = TypeVar("Record", PlateRecord, JobRecord)


class Store:
    """Records and files of the service; for several threads.

    Args:
        folder: New, empty, or of an earlier service.

    Raises:
        InputError: The folder has other files.
        OutputError: It cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = _claim(folder.absolute())
        self._lock = threading.RLock()
        for name in KINDS:
            make_folder(self.folder / name)
        for stale in self._folders("pictures"):
            self._remove(stale)
        self.plates = {record.id: record for record in self._read("plates", PlateRecord)}
        self.jobs = {record.id: record for record in self._read("jobs", JobRecord)}

    def new_folder(self, kind: str) -> Path:
        """Make the folder of a new plate, job or picture; its name cannot be guessed."""
        folder = self.folder / kind / secrets.token_urlsafe(24)
        folder.mkdir(mode=0o700)
        return folder

    def folder_of(self, kind: str, name: str) -> Path:
        """Folder of a record."""
        return self.folder / kind / name

    def save(self, record: PlateRecord | JobRecord) -> None:
        """Write a record, in one step.

        Raises:
            OSError: The disk is full, or the folder has gone.
        """
        with self._lock:
            is_job = isinstance(record, JobRecord)
            if isinstance(record, JobRecord):
                record.version += 1
            folder = self.folder_of("jobs" if is_job else "plates", record.id)
            kept = {name: value for name, value in asdict(record).items() if name not in TRANSIENT}
            fresh = folder / f"{RECORD}.new"
            with fresh.open("w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, **kept}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(folder / RECORD)
            if isinstance(record, JobRecord):
                self.jobs[record.id] = record
            else:
                self.plates[record.id] = record

    def find_plate(self, name: str, owner: str) -> PlateRecord | None:
        """The owner's plate of this id."""
        with self._lock:
            found = self.plates.get(name)
        return found if found is not None and found.owner == owner else None

    def find_job(self, name: str, owner: str) -> JobRecord | None:
        """The owner's job of this id."""
        with self._lock:
            found = self.jobs.get(name)
        return found if found is not None and found.owner == owner else None

    def count(self, owner: str) -> tuple[int, int]:
        """Number of the owner's plates and jobs."""
        with self._lock:
            plates = sum(record.owner == owner for record in self.plates.values())
            return plates, sum(record.owner == owner for record in self.jobs.values())

    def use_plate(self, record: PlateRecord) -> None:
        """Remember that a plate was used; to the minute, which spares the disk."""
        if time.time() - record.used > USE_SECONDS:
            record.used = time.time()
            with suppress(FileNotFoundError):  # it has just been removed
                self.save(record)

    def unfinished_jobs(self) -> list[JobRecord]:
        """Jobs to queue again after a restart: the running ones, then the others, in their order."""
        left = [record for record in self.jobs.values() if record.state not in ENDED]
        return sorted(left, key=lambda record: (record.state != "running", record.created))

    def remove_plate(self, record: PlateRecord) -> None:
        with self._lock:
            self.plates.pop(record.id, None)
        self._remove(self.folder_of("plates", record.id))

    def remove_job(self, record: JobRecord) -> None:
        with self._lock:
            self.jobs.pop(record.id, None)
        self._remove(self.folder_of("jobs", record.id))

    def remove_files(self, record: JobRecord) -> None:
        """Remove the files of a cancelled job; its record stays."""
        folder = self.folder_of("jobs", record.id)
        for path in list(folder.iterdir()) if folder.is_dir() else []:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != RECORD:
                path.unlink(missing_ok=True)

    def remove_folder(self, folder: Path) -> None:
        """Remove the folder of an unfinished upload, or of a picture."""
        self._remove(folder)

    def remove_old(self, keep_seconds: float) -> int:
        """Remove ended jobs and unused plates of more than this age; returns their number."""
        limit = time.time() - keep_seconds
        with self._lock:
            jobs = [job for job in self.jobs.values() if job.finished is not None and job.finished < limit]
            plates = [plate for plate in self.plates.values() if plate.used < limit]
        for job in jobs:
            self.remove_job(job)
        for plate in plates:
            self.remove_plate(plate)
        return len(jobs) + len(plates)

    def _read(self, kind: str, record: type[Record]) -> Iterator[Record]:
        """Records of an earlier service; a folder without one is an unfinished upload."""
        known = {entry.name for entry in fields(record)}
        for folder in self._folders(kind):
            path = folder / RECORD
            if not path.is_file():
                self._remove(folder)
                continue
            with _explaining_damage(path):
                stored = json.loads(path.read_text(encoding="utf-8"))
                found = record(**{name: value for name, value in stored.items() if name in known})
            yield found

    def _folders(self, kind: str) -> Iterable[Path]:
        return [path for path in sorted((self.folder / kind).iterdir()) if _ID.fullmatch(path.name)]

    def _remove(self, folder: Path) -> None:
        """Remove a folder that the service made; never another one."""
        is_own = (
            folder.parent.parent == self.folder and folder.parent.name in KINDS and _ID.fullmatch(folder.name)
        )
        if is_own and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no record of the service.", "remove its folder") from error


def _claim(folder: Path) -> Path:
    """Make the folder the service's own."""
    make_folder(folder)
    mark = folder / MARK
    try:
        if mark.is_file():
            return folder
        if any(folder.iterdir()):
            raise InputError(
                f"{folder} has files that are not the service's.", "give a new or empty folder with --folder"
            )
        mark.write_text(json.dumps({"format": FORMAT}) + "\n", encoding="utf-8")
    except OSError as error:
        reason = reason_of(error)
        raise OutputError(
            f"The folder {folder} cannot be used: {reason}.", "give another --folder"
        ) from error
    return folder
