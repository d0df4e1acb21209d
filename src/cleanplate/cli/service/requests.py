"""Requests that bring files: a picture, a plate, a clip; from the upload to the result or the queued job."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from pydantic import BaseModel
from starlette.requests import Request

from cleanplate.cli.option_arguments import make_job
from cleanplate.cli.service.access import Caller
from cleanplate.cli.service.clip_job import plan_clip
from cleanplate.cli.service.engine import Service, client_names
from cleanplate.cli.service.job_store import JobRecord, PlateRecord
from cleanplate.cli.service.limits import PICTURE_SECONDS
from cleanplate.cli.service.pool import PictureProcess
from cleanplate.cli.service.query import FILE_FIELDS, make_arguments, words_of
from cleanplate.cli.service.refusals import Refusal, hide_paths, refusal_of
from cleanplate.cli.service.uploads import UploadedFile, receive_files
from cleanplate.errors import CleanplateError
from cleanplate.jobs.job import AUTO_PLATE, NO_PLATE

FIELDS = ("source", *FILE_FIELDS)


@dataclass(frozen=True)
class CutPicture:
    """A keyed picture.

    Attributes:
        folder: To remove when the answer is sent.
        file: The layer, or an archive of several.
        name: Name for the download.
        notes: Notes of the run.
    """

    folder: Path
    file: Path
    name: str
    notes: list[str]


async def cut_picture(service: Service, request: Request, caller: Caller, query: BaseModel) -> CutPicture:
    """Receive a picture, key it, and give the file of the result.

    Raises:
        Refusal: The request is wrong, or the service is busy.
        CleanplateError: An option is wrong.
    """
    service.check_room(caller)
    with service.queue.reserve(caller.queue):
        folder = service.store.new_folder("pictures")
        try:
            words = words_of(query, video=False)
            plate = find_plate(service, caller, query)
            if plate == AUTO_PLATE:
                raise Refusal(
                    422, "A plate can be built from a clip, but not from a picture.", "send a plate"
                )
            files = await _receive(service, request, folder, plate, "picture")
            suffix = "." + (getattr(query, "format", None) or "png")
            paths = {field: file.path for field, file in files.items()}
            out = str(folder / f"result{suffix}")
            word = plate if isinstance(plate, str) else None
            job = make_job(make_arguments(words, paths, word, video=False, output=out, overwrite=False))
        except BaseException:
            service.store.remove_folder(folder)
            raise
    names = client_names(files)
    stem = Path(files["source"].name).stem

    def work(process: PictureProcess) -> tuple[Path, str, list[str]]:
        outputs, notes = process.call("cut", job, names=names, seconds=PICTURE_SECONDS)
        notes = [hide_paths(note, names) for note in notes]
        if len(outputs) == 1:
            ((layer, file),) = outputs.items()
            return file, download_name(stem, layer, file.suffix), notes
        return _pack(folder / "results.zip", outputs, stem), f"{stem}.zip", notes

    return CutPicture(folder, *await service.work_on(request, caller, work, folder))


async def store_plate(service: Service, request: Request, caller: Caller) -> PlateRecord:
    """Receive a plate, check it, and store it.

    Raises:
        Refusal: The request is wrong, or the service is busy.
    """
    service.check_room(caller, plate=True)
    with service.queue.reserve(caller.queue):
        folder = service.store.new_folder("plates")
        try:
            files = await receive_files(request, folder, ("plate", "source"), service.limits.upload_bytes)
            if "plate" not in files:
                raise Refusal(422, "The file plate is missing.")
            sizes = await service.inspect(files, "any")
        except BaseException:
            service.store.remove_folder(folder)
            raise
    names = client_names(files)
    plate, source = files["plate"], files.get("source")

    def work(process: PictureProcess) -> tuple[dict[str, Any], list[str]]:
        found: tuple[dict[str, Any], list[str]] = process.call(
            "check", plate.path, source and source.path, names=names, seconds=PICTURE_SECONDS
        )
        return found

    diagnosis, notes = await service.work_on(request, caller, work, folder)
    size = {side: sizes["plate"][side] for side in ("height", "width")}
    facts = {**size, "diagnosis": diagnosis or None, "notes": [hide_paths(note, names) for note in notes]}
    record = PlateRecord(folder.name, caller.owner, plate.path.name, plate.name, time.time(), facts)
    try:
        if source is not None:
            source.path.unlink(missing_ok=True)
        service.store.save(record)
    except OSError:
        service.store.remove_folder(folder)
        raise
    return record


async def queue_clip(service: Service, request: Request, caller: Caller, query: BaseModel) -> JobRecord:
    """Receive a clip and queue its job.

    Raises:
        Refusal: The request is wrong, or the service is busy.
        CleanplateError: An option is wrong.
    """
    service.check_room(caller, job=True)
    with service.queue.reserve(caller.queue):
        folder = service.store.new_folder("jobs")
        try:
            words = words_of(query, video=True)
            plate = find_plate(service, caller, query)
            files = await _receive(service, request, folder, plate, "clip")
            facts = await service.inspect(files, "any")
            wanted = getattr(query, "format", None)
            record = JobRecord(
                id=folder.name,
                owner=caller.owner,
                client=caller.queue,
                words=words,
                plate=plate if isinstance(plate, str) else None,
                format=f".{wanted}" if wanted else _usual_format(words),
                files={field: file.path.name for field, file in files.items()},
                names={field: file.name for field, file in files.items()},
                most_frames=facts["source"].get("most_frames") or 1,
                created=time.time(),
            )
            try:
                record.results = await to_thread.run_sync(plan_clip, record, folder)
            except CleanplateError as error:
                raise refusal_of(error, client_names(files)) from error
            service.store.save(record)
        except BaseException:
            service.store.remove_folder(folder)
            raise
    service.queue_job(record)
    return record


def find_plate(service: Service, caller: Caller, query: BaseModel) -> PlateRecord | str | None:
    """The stored plate of the query's id, its word, or None.

    Raises:
        Refusal: 404 for an id that the client does not have.
    """
    given = getattr(query, "plate", None)
    if given is None or given in (AUTO_PLATE, NO_PLATE):
        return given
    found = service.store.find_plate(given, caller.owner)
    if found is None:
        raise Refusal(404, "There is no plate of this id.", "store it again: POST /v1/plates")
    service.store.use_plate(found)
    return found


def download_name(stem: str, layer: str, suffix: str) -> str:
    """Name of a result for the client: ``photo.cleanplate.png``."""
    return f"{stem}.{'cleanplate' if layer == 'cutout' else layer}{suffix}"


async def _receive(
    service: Service, request: Request, folder: Path, plate: PlateRecord | str | None, source: str
) -> dict[str, UploadedFile]:
    """Receive the files of a request, inspect those of a picture, and bring a stored plate in."""
    files = await receive_files(request, folder, FIELDS, service.limits.upload_bytes)
    if "source" not in files:
        raise Refusal(422, "The file source is missing.")
    if plate is not None and "plate" in files:
        raise Refusal(422, "A plate came twice: as a file and in the query.", "give one of them")
    if source == "picture":
        await service.inspect(files, source)
    if isinstance(plate, PlateRecord):
        stored = service.store.folder_of("plates", plate.id) / plate.file
        if source == "clip":  # the plate may be removed before the job's turn comes
            stored = await to_thread.run_sync(_copy, stored, folder / plate.file)
        files["plate"] = UploadedFile(stored, plate.name)
    return files


def _copy(source: Path, target: Path) -> Path:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
    return target


def _pack(archive: Path, outputs: dict[str, Path], stem: str) -> Path:
    """Several layers as one file; they are compressed already."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        for layer, file in outputs.items():
            opened.write(file, download_name(stem, layer, file.suffix))
    return archive


def _usual_format(words: list[str]) -> str:
    """Format of a clip without one in the query: ProRes, or H.264 for a composite alone."""
    has_backdrop = any(word.startswith("--background=") for word in words)
    return ".mp4" if has_backdrop and "--save" not in words else ".mov"
