"""Lists the files below a folder: pictures by their names without suffix, folders of frames, videos."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cleanplate.errors import InputError
from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES
from cleanplate.system.system_errors import reason_of
from cleanplate.training.datasets.clips import FrameFolder, Frames
from cleanplate.training.datasets.video_frames import VideoFile

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"})

_DEPTH = 8  # symbolic links may be circular


@dataclass
class Tree:
    """The files below ``root``; keys are paths below it in lower case and without suffix.

    Attributes:
        root: The folder.
        stills: Paths of pictures below the root, with ``/``.
        clips: A video's path or a folder of frames' path below the root, and its frames.
        doubles: Pictures and videos with the key of another one.
    """

    root: Path
    stills: dict[str, str] = field(default_factory=dict)
    clips: dict[str, tuple[str, Frames]] = field(default_factory=dict)
    doubles: list[str] = field(default_factory=list)


def read_tree(root: Path) -> Tree:
    """List pictures and videos below a folder at any depth; names that begin with a dot are left out.

    A sub-folder with only numbers as names of pictures is a clip, with its frames in numeric order.

    Raises:
        InputError: A folder cannot be listed.
    """
    tree = Tree(root)
    _read_folder(tree, "", 0)
    return tree


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """List the names of files and of folders in a folder, sorted, without names that begin with a dot."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if entry.is_dir() else files).append(entry.name)
    except FileNotFoundError:
        raise InputError(f"There is no folder {folder}.", "check the spelling") from None
    except NotADirectoryError:
        raise InputError(f"{folder} is not a folder.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"The folder {folder} cannot be read: {reason_of(error)}.") from error
    return sorted(files), sorted(folders)


def _read_folder(tree: Tree, below: str, depth: int) -> None:
    files, folders = list_folder(tree.root / below)
    prefix = f"{below}/" if below else ""
    pictures = [name for name in files if _suffix(name) in IMAGE_SUFFIXES]
    if depth and len(pictures) > 1 and all(_is_number(_stem(name)) for name in pictures):
        pictures.sort(key=lambda name: (int(_stem(name)), name))
        _add_clip(tree, below, below, FrameFolder(tree.root / below, tuple(pictures)))
    else:
        for name in pictures:
            key = (prefix + _stem(name)).lower()
            if key in tree.stills:
                tree.doubles.append(prefix + name)
            else:
                tree.stills[key] = prefix + name
    for name in files:
        if _suffix(name) in VIDEO_SUFFIXES:
            path = prefix + name
            _add_clip(tree, prefix + _stem(name), path, VideoFile(tree.root / path))
    if depth < _DEPTH:
        for name in folders:
            _read_folder(tree, prefix + name, depth + 1)


def _add_clip(tree: Tree, key: str, path: str, frames: Frames) -> None:
    key = key.lower()
    if key in tree.clips:
        tree.doubles.append(path)
    else:
        tree.clips[key] = (path, frames)


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def _stem(name: str) -> str:
    return Path(name).stem


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit()
