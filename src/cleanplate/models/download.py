"""Downloads of files over HTTP that can be continued and are verified.

An incomplete file is kept as ``name.partial``; a later call continues it if the server still has the same
file. The hash of the first complete download is recorded, and later downloads from that address must have the
same hash.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cleanplate.errors import ModelError, OutputError, UnavailableError
from cleanplate.models.records import sha256_of
from cleanplate.system.system_errors import reason_of

RECORDS = "downloads.json"
ATTEMPTS = 4
TIMEOUT_SECONDS = 30.0
BLOCK_BYTES = 1 << 18

OnBytes = Callable[[int, "int | None"], None]
"""Callback with the bytes that have arrived, and the total size if the server sends it."""


class _Broken(Exception):  # noqa: N818 - not an error: the download is tried again
    """The connection ended before the file did."""


def download(url: str, folder: Path, *, on_bytes: OnBytes | None = None) -> Path:
    """Fetch ``url`` into ``folder``, under the last part of its address.

    Args:
        url: ``https://`` or ``http://``.
        folder: Created if it is missing; it also keeps the hashes.
        on_bytes: Called for every quarter of a megabyte.

    Returns:
        The complete file.

    Raises:
        UnavailableError: The server cannot be reached, has no such file, or the connection broke repeatedly;
            the received part is kept.
        ModelError: The file differs from that of the first download.
        OutputError: It cannot be written.
    """
    path = folder / url.rsplit("/", 1)[-1]
    partial = path.with_name(path.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _continue(url, partial, on_bytes)
                break
            except _Broken as error:
                if attempt == ATTEMPTS:
                    raise UnavailableError(
                        f"The connection to {_host(url)} broke {ATTEMPTS} times: {error}.",
                        "run the command again to continue the download",
                    ) from error
        _check(url, partial, folder / RECORDS)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {reason_of(error)}.") from error
    _version_of(partial).unlink(missing_ok=True)
    return path


def _continue(url: str, partial: Path, on_bytes: OnBytes | None) -> None:
    """Fetch the missing part of the file.

    Raises:
        _Broken: The connection ended early; the received part is kept.
        UnavailableError: The server refused.
    """
    have = partial.stat().st_size if partial.is_file() else 0
    version = _version_of(partial)
    known = version.read_text(encoding="utf-8") if version.is_file() else ""
    request = urllib.request.Request(url, headers={"User-Agent": "cleanplate"})
    if have and known:
        # Without If-Range, parts of two versions could be joined.
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            partial.unlink()
            raise _Broken("the received part does not fit the file") from error
        raise UnavailableError(f"{url} answered {error.code} ({error.reason}).") from error
    except urllib.error.URLError as error:
        cause = error.reason if isinstance(error.reason, Exception) else error
        raise UnavailableError(f"{_host(url)} cannot be reached: {reason_of(cause)}.") from error
    except (http.client.HTTPException, OSError) as error:
        raise _Broken(reason_of(error) or type(error).__name__) from error
    with response:
        start = _start_of(response)
        if start not in (0, have):
            raise UnavailableError(f"{_host(url)} sent a different part of the file from the requested one.")
        total = _total_of(response, start)
        version.write_text(
            response.headers.get("ETag") or response.headers.get("Last-Modified") or "", "utf-8"
        )
        with partial.open("ab" if start else "wb") as file:
            _copy(response, file, start, total, on_bytes)


def _copy(response: Any, file: IO[bytes], arrived: int, total: int | None, on_bytes: OnBytes | None) -> None:
    while True:
        try:
            block = response.read(BLOCK_BYTES)
        except (http.client.HTTPException, OSError) as error:
            raise _Broken(reason_of(error) or type(error).__name__) from error
        if not block:
            break
        file.write(block)
        arrived += len(block)
        if on_bytes is not None:
            on_bytes(arrived, total)
    if total is not None and arrived != total:
        raise _Broken(f"{arrived} of {total} bytes had arrived")


def _start_of(response: Any) -> int:
    """Read the offset of the first byte that the server sends: 0 unless it sends a part."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _total_of(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _check(url: str, partial: Path, records: Path) -> None:
    """Compare the hash with that of the first download from this address, or record it."""
    sha256, size = sha256_of(partial), partial.stat().st_size
    try:
        known: dict[str, dict[str, Any]] = json.loads(records.read_text(encoding="utf-8"))
        expected = known[url]["sha256"] if url in known else None
    except FileNotFoundError:
        known, expected = {}, None
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"The list of downloads '{records}' is damaged.", "delete it") from error
    if expected is None:
        known[url] = {"sha256": sha256, "size": size}
        beside = records.with_name(records.name + ".partial")
        beside.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        beside.replace(records)
    elif sha256 != expected:
        partial.unlink()
        _version_of(partial).unlink(missing_ok=True)
        raise ModelError(
            f"{url} differs from the first download: SHA-256 {sha256}, then {expected}.",
            f"do not use it; if its authors have changed it, delete its entry in '{records}'",
        )


def _version_of(partial: Path) -> Path:
    """Path of the file that keeps the server's version of the file: its ETag or date."""
    return partial.with_name(partial.name + ".version")


def _host(url: str) -> str:
    return url.split("/")[2]
