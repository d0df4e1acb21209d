"""Listing of the pictures in a folder."""

from __future__ import annotations

import re
from pathlib import Path

from cleanplate.errors import InputError
from cleanplate.media.stills.picture_kinds import (
    PREVIEW_SUFFIXES,
    RAW_SUFFIXES,
    photo_suffixes,
    unread_suffixes,
)


def list_images(folder: str | Path) -> list[Path]:
    """The pictures directly inside a folder, in natural order: ``shot 2`` before ``shot 10``.

    Those of :func:`list_previews` are left out.

    Raises:
        InputError: No such folder, not a folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(f"There is no folder {folder}.", "check the spelling")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    previews = set(list_previews(folder))
    found = [path for path in _with_suffix(folder, photo_suffixes()) if path not in previews]
    unread = [] if found else list_unread(folder)
    if unread:
        raise InputError(
            f"No picture in the folder {folder} has a readable format: it has {unread[0].name}.",
            "save them as JPEG, PNG or TIFF",
        )
    if not found:
        raise InputError(
            f"There are no pictures in the folder {folder}.",
            "looked for " + ", ".join(sorted(suffix[1:] for suffix in photo_suffixes())),
        )
    return found


def list_unread(folder: Path) -> list[Path]:
    """Pictures directly inside a folder that :func:`list_images` leaves out: camera RAW, JPEG XL ..."""
    return _with_suffix(folder, unread_suffixes())


def list_previews(folder: Path) -> list[Path]:
    """JPEG and HEIC pictures beside a readable camera RAW of the same name: the same photo twice."""
    raws = {path.stem for path in _with_suffix(folder, RAW_SUFFIXES & photo_suffixes())}
    return [path for path in _with_suffix(folder, PREVIEW_SUFFIXES) if path.stem in raws]


def _with_suffix(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    found = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    return sorted((p for p in found if p.is_file()), key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
