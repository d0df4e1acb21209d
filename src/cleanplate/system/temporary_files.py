"""Folders of results, and temporary files beside them that are renamed at the end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cleanplate.errors import OutputError
from cleanplate.system.system_errors import reason_of

OVERWRITE_HINT = "choose another name or add --overwrite"
"""The hint where a result exists."""


def make_folder(out: str | Path) -> None:
    """Make the folder ``out`` and its parents, where they are missing.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = reason_of(error)
        raise OutputError(f"The folder {out} cannot be made: {reason}.", "choose another folder") from error


def work_folder(path: Path) -> Path:
    """The folder of an unfinished video and its checkpoint: ``cut.mov.partial`` beside ``cut.mov``."""
    return path.with_name(f"{path.name}.partial")


def claim_partial(path: Path) -> Path:
    """Create an empty temporary file beside ``path``: ``name.partial.ext``, ``name.partial-2.ext`` and so on.

    The suffix stays, so that other programs can open an unfinished result. The file is created exclusively:
    an existing name (a file of the user, the input, a link) is left alone, and the next one is tried.

    Raises:
        OSError: It cannot be created.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    for partial in _name_partials(path):
        with suppress(FileExistsError):
            os.close(os.open(partial, flags, 0o666))
            return partial
    raise AssertionError("unreachable")


def find_partial(path: Path) -> Path:
    """The name that :func:`claim_partial` would take now."""
    return next(partial for partial in _name_partials(path) if not os.path.lexists(partial))


def _name_partials(path: Path) -> Iterator[Path]:
    for number in itertools.count(1):
        yield path.with_name(f"{path.stem}.partial{f'-{number}' if number > 1 else ''}{path.suffix}")


@contextmanager
def temporary_file(path: Path, *, folder: Path | None = None) -> Iterator[Path]:
    """Give an empty temporary file for ``path``; it is removed if the block ends with an error.

    Args:
        path: The file that the block moves it to.
        folder: Its folder, on the same file system; None: beside ``path``.

    Raises:
        OSError: It cannot be created.
    """
    partial = claim_partial(path if folder is None else folder / path.name)
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def move_into_place(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Give a finished temporary file its name.

    Raises:
        OutputError: Another file has appeared at ``path`` in the meantime, and ``overwrite`` is not set.
        OSError: It cannot be moved.
    """
    if overwrite:
        partial.replace(path)
        return
    try:
        os.link(partial, path)  # unlike a rename, it fails where a file exists
    except FileExistsError:
        raise OutputError(f"{path} exists already: it appeared during the run.", OVERWRITE_HINT) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):  # a broken link counts
            raise OutputError(f"{path} exists already: it appeared during the run.", OVERWRITE_HINT) from None
        partial.replace(path)
    else:
        partial.unlink()


def end_move(partial: Path, path: Path) -> None:
    """Remove the temporary name of a file that has its own name already.

    A kill within :func:`move_into_place` leaves both names. Renaming one to the other then does nothing.
    """
    with suppress(OSError):
        if partial.samefile(path):
            partial.unlink()
