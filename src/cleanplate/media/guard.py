"""Guard against results that would overwrite inputs or each other, with a list of all files of a run."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from cleanplate.errors import OutputError
from cleanplate.media.numbering import compile_pattern, is_pattern, is_sequence, numbered_files
from cleanplate.system.pipes import is_standard
from cleanplate.system.temporary_files import work_folder

Identity = tuple[object, ...]
"""Device and inode of an existing file; for a new one, those of its folder, and its name."""

_HINT = "choose another name with -o"


class FileGuard:
    """All files of a run, or of several that belong together, such as the rows of a manifest.

    Files are compared by device and inode, so links, ``a/../a`` and other letter cases are recognised. A
    numbered result covers every file that its pattern matches. Register all inputs before the first result.
    """

    def __init__(self) -> None:
        self._reads: dict[Identity, str] = {}
        self._awaited: list[tuple[Path, str]] = []
        self._writes: dict[Identity, tuple[Path, str]] = {}
        self._patterns: list[tuple[Path, str]] = []

    def read(self, items: Iterable[object], user: str = "") -> None:
        """Register inputs.

        Args:
            items: Files, or patterns of numbered files; a missing file counts too, because it may be
                a result of another row. Anything but text and paths is skipped.
            user: The reader, for the message: ``row 3``.
        """
        named = [item for item in items if isinstance(item, (str, os.PathLike)) and not is_standard(item)]
        for path in map(Path, named):
            if not is_sequence(path):
                self._reads.setdefault(identify(path), user)
            elif files := numbered_files(path):
                for file in files.values():
                    self._reads.setdefault(identify(file), user)
            else:
                self._awaited.append((path, user))

    def write(self, results: Iterable[Path], user: str = "") -> None:
        """Register results, all or none of them.

        Args:
            results: Files, or patterns of numbered files.
            user: The writer, for the message.

        Raises:
            OutputError: One of them is an input, or an already registered result.
        """
        paths = [path for path in dict.fromkeys(results) if not is_standard(path)]
        for number, path in enumerate(paths):
            for reader in self._find_readers(path):
                whose = f"an input of {reader}" if reader and reader != user else "its own source"
                raise OutputError(f"{path} would overwrite {whose}.", _HINT)
            for writer in self._find_writers(path):
                raise OutputError(f"{path} is the result of {writer}.", _HINT)
            if any(_collide(path, other) for other in paths[:number]):
                raise OutputError(f"{path} would be written twice.", _HINT)
        for path in paths:
            if is_pattern(path):
                self._patterns.append((path, user))
            else:
                self._writes.setdefault(identify(path), (path, user))

    def _find_readers(self, path: Path) -> list[str]:
        found = [reader for pattern, reader in self._awaited if _collide(path, pattern)]
        if is_pattern(path):
            touched = {identify(path), *(identify(file) for file in numbered_files(path).values())}
        else:
            # A link itself would be replaced, but its target is refused, too.
            touched = {identify(path), _place(path), *_identify_all(work_folder(path))}
        return found + [self._reads[key] for key in touched if key in self._reads]

    def _find_writers(self, path: Path) -> list[str]:
        found = [writer for pattern, writer in self._patterns if _collide(path, pattern)]
        if is_pattern(path):
            return found + [writer for other, writer in self._writes.values() if _collide(path, other)]
        same = self._writes.get(identify(path))
        return found if same is None else [same[1], *found]


def check_files(reads: Iterable[object], writes: Iterable[Path]) -> None:
    """Refuse results that would overwrite inputs or each other, even if overwriting is allowed.

    Raises:
        OutputError: A result would overwrite an input or another result.
    """
    guard = FileGuard()
    guard.read(reads)
    guard.write(writes)


def identify(path: Path) -> Identity:
    """Identity of a file under any of its names."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return _place(path)
    # Without inodes (some network file systems on Windows), the path is used.
    return (status.st_dev, status.st_ino) if status.st_ino else _place(path)


def _place(path: Path) -> Identity:
    """Folder and name of a file that need not exist."""
    rest: list[str] = []
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - resolving would follow the last name as well
    while folder.parent != folder:
        rest.append(folder.name)
        folder = folder.parent
        try:
            status = folder.stat()
        except (OSError, ValueError):
            continue
        if _ignores_case(folder):
            rest = [unicodedata.normalize("NFC", name).casefold() for name in rest]
        return (status.st_dev, status.st_ino, *reversed(rest))
    return (str(path),)


def _ignores_case(folder: Path) -> bool:
    """Tell whether the file system ignores the case of names, tested with the folder's own name."""
    other = folder.with_name(folder.name.swapcase()) if folder.name else folder
    try:
        return other.name != folder.name and other.samefile(folder)
    except (OSError, ValueError):
        return False


def _identify_all(folder: Path) -> list[Identity]:
    """The files in a result's work folder, which is cleared at the end."""
    return [identify(file) for file in folder.iterdir()] if folder.is_dir() else []


def _collide(one: Path, other: Path) -> bool:
    """Tell whether two names, each of a file or a pattern, may match the same file."""
    if not (is_pattern(one) or is_pattern(other)):
        return identify(one) == identify(other)
    if _place(one)[:-1] != _place(other)[:-1]:
        return False
    if is_pattern(one) and is_pattern(other):
        return _overlap(one.name, other.name)
    pattern, path = (one, other) if is_pattern(one) else (other, one)
    return compile_pattern(pattern).fullmatch(path.name) is not None


def _overlap(one: str, other: str) -> bool:
    """Tell whether two patterns, such as ``a_%d.png`` and ``a_1%04d.png``, have names in common."""
    (before, _, after), (other_before, _, other_after) = one.rpartition("%"), other.rpartition("%")
    if after.partition("d")[2].lower() != other_after.partition("d")[2].lower():
        return False
    longer, shorter = sorted((before, other_before), key=len, reverse=True)
    rest = longer.removeprefix(shorter)
    return longer.startswith(shorter) and (not rest or rest.isdigit())
