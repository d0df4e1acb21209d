"""Uploads: files of a multipart request, streamed to the disk within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from anyio import to_thread
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from cleanplate.cli.service.file_kinds import suffix_of
from cleanplate.cli.service.limits import IDLE_SECONDS
from cleanplate.cli.service.refusals import FULL, NO_ROOM, Refusal, clean_name


@dataclass(frozen=True)
class UploadedFile:
    """A file of a request.

    Attributes:
        path: Here; the name is the service's own.
        name: The client's name, for messages and downloads.
    """

    path: Path
    name: str


async def receive_files(
    request: Request, folder: Path, fields: Collection[str], most_bytes: int
) -> dict[str, UploadedFile]:
    """Write the files of a request into a folder, each named after its field.

    Args:
        request: With a body of ``multipart/form-data``.
        folder: An empty folder of the service.
        fields: The fields that may come, each at most once.
        most_bytes: Largest body.

    Raises:
        Refusal: The body is too large, damaged, late, or has other fields; or the disk is full.
        ClientDisconnect: The client has gone.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 200:
        raise Refusal(
            415, "The body is not multipart/form-data.", f"send the files {', '.join(sorted(fields))}"
        )
    check_length(request.headers.get("content-length"), most_bytes)
    parts = _Parts(folder, fields)
    parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
    length = 0
    try:
        async for chunk in _chunks(request):
            length += len(chunk)
            check_length(str(length), most_bytes)
            await to_thread.run_sync(parser.write, chunk)
        if not parts.is_complete:
            raise Refusal(400, "The body ends before its last boundary.")
    except MultipartParseError as error:
        raise Refusal(400, "The body is not valid multipart/form-data.") from error
    except OSError as error:
        if error.errno in FULL:
            raise Refusal(507, NO_ROOM, "try again later") from error
        raise
    finally:
        parts.close()
    return {field: _name_by_content(file) for field, file in parts.files.items()}


def check_length(length: str | None, most_bytes: int) -> None:
    """Raise :class:`Refusal` for a body, or for an announced body, above the limit."""
    if length is not None and length.isdecimal() and int(length) > most_bytes:
        raise Refusal(413, f"The request is larger than {most_bytes / 1e6:,.6g} MB.", "send smaller files")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body, with a limit for pauses."""
    stream = request.stream().__aiter__()
    while (chunk := await _next(stream)) is not None:
        yield chunk


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    try:
        return await asyncio.wait_for(stream.__anext__(), IDLE_SECONDS)
    except StopAsyncIteration:
        return None
    except (asyncio.TimeoutError, TimeoutError):
        raise Refusal(408, f"Nothing came for {IDLE_SECONDS:g} seconds.", "send again") from None


class _Parts:
    """Receives the parser's events and writes the files."""

    def __init__(self, folder: Path, fields: Collection[str]) -> None:
        self.files: dict[str, UploadedFile] = {}
        self.is_complete = False
        self._folder, self._fields = folder, fields
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._file: IO[bytes] | None = None

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._headers = {}

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field not in self._fields:
            known = ", ".join(sorted(self._fields))
            raise Refusal(
                422,
                f"The field '{clean_name(field)}' is unknown.",
                f"known files: {known}; options go into the query",
            )
        if b"filename" not in options:
            raise Refusal(422, f"The field '{field}' is not a file.", "send it with a file name")
        if field in self.files:
            raise Refusal(422, f"The field '{field}' came twice.")
        # The file's name is one of the known fields.
        path = self._folder / field
        self._file = path.open("xb")
        self.files[field] = UploadedFile(path, clean_name(options[b"filename"].decode("utf-8", "replace")))

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        self.is_complete = True


def _name_by_content(file: UploadedFile) -> UploadedFile:
    """Give a file the suffix of its content."""
    with file.path.open("rb") as opened:
        beginning = opened.read(32)
    if not beginning:
        raise Refusal(422, f"{file.name} is empty.")
    named = file.path.with_suffix(suffix_of(beginning))
    file.path.rename(named)
    return UploadedFile(named, file.name)
