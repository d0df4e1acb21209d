"""Checks of the user's paths before the work starts, each failure as one sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av

from cleanplate.errors import InputError, OutputError
from cleanplate.media.numbering import suggest_pattern
from cleanplate.system.pipes import is_pipe
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import OVERWRITE_HINT, make_folder

# EFBIG and EDQUOT mean the same for the user: the file cannot grow.
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
ELSEWHERE_HINT = "choose another folder with -o"
_ADDRESSES = {"http:", "https:", "ftp:", "rtsp:", "rtmp:"}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


def check_readable(path: Path, what: str) -> None:
    """Raise :class:`InputError` unless ``path`` is a readable file that is not empty."""
    if is_pipe(path):
        return
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not {what}.", _name_pattern(path))
        size = path.stat().st_size
    except FileNotFoundError:
        hint = _name_pattern(path) or "check the spelling and the folder"
        if path.parts[:1] and path.parts[0] in _ADDRESSES:
            hint = "download it first: only cleanplate live opens network addresses"
        raise InputError(f"There is no file {path}.", hint) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}.") from error
    if size == 0 and path.is_file():
        raise InputError(f"{path} is empty (0 bytes).")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read: permission denied.")


def _name_pattern(path: Path) -> str:
    """The hint with the pattern of a folder, or of ``shot.####.png``; empty without numbered pictures."""
    with suppress(OSError):
        pattern = suggest_pattern(path)
        return "" if pattern is None else f"name its numbered pictures as {pattern}"
    return ""


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` unless a file may be written at ``path``; make its folder."""
    if is_pipe(path):
        return
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, so {path.name} cannot be written into it.")
    make_folder(folder)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; the result needs a file name.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already.", OVERWRITE_HINT)
    if not os.access(folder, os.W_OK):
        raise OutputError(f"The folder {folder} is read-only.", ELSEWHERE_HINT)


@contextmanager
def reporting_write_errors(path: Path) -> Iterator[None]:
    """Turn exceptions of the system and FFmpeg inside into an :class:`OutputError` about ``path``."""
    try:
        yield
    except BrokenPipeError:  # no failure: the reader of a pipe has all that it wants
        raise
    except (OSError, av.FFmpegError) as error:
        if error.errno in _NO_ROOM:
            raise OutputError(
                f"The disk is full: {path} could not be finished ({reason_of(error)}).",
                "free some space or choose another disk",
            ) from error
        if error.errno in _NO_PERMISSION:
            raise OutputError(
                f"{path} cannot be written: permission denied or read-only.", ELSEWHERE_HINT
            ) from error
        raise OutputError(f"{path} cannot be written: {reason_of(error)}.") from error


def url_of(path: Path) -> str:
    """A path in FFmpeg's form: ``take:1.mp4`` is a file, and not a protocol named ``take``."""
    text = str(path)
    return text if path.is_absolute() or ":" not in text else os.path.join(".", text)  # noqa: PTH118 - keeps ./


def find_system_error(partial: Path, reason: str) -> OSError:
    """The system's error behind a failed write, for libraries that report it without its kind.

    Args:
        partial: The unfinished file.
        reason: The library's words, if the system gives none.
    """
    try:
        # Asking for the same space again meets the same refusal.
        with partial.open("ab") as file:
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return OSError(None, reason)
