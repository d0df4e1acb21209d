"""Folders of test cases: pictures or clips with their plate and the true alpha and foreground.

::

    cases/cases.json            {"format": "cleanplate-cases-1", "made_by": {...},
                                 "cases": [{"name": "0000", "kind": "figure"}, {"name": "0007"}, ...]}
    cases/source/0000.png       RGB            of a clip: source/0007/000000.png, 000001.png ...
    cases/plate/0000.png        RGB                       plate/0007.png, one for all frames
    cases/alpha/0000.png        grey                      alpha/0007/000000.png ...
    cases/foreground/0000.png   RGB, straight             foreground/0007/000000.png ...

Pictures have 8 or 16 bits. The folder ``foreground`` may be missing. Without ``cases.json`` the names in
``source`` are the cases; any still format is then accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.frame import AnyArray, Float32Array, Pixels
from cleanplate.media import list_images, read_image, write_image
from cleanplate.media.files import reporting_write_errors
from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import make_folder, temporary_file

FORMAT = "cleanplate-cases-1"
INDEX = "cases.json"


@dataclass(frozen=True)
class CaseFrame:
    """One picture of a case, read.

    Attributes:
        source: uint8 or uint16 RGB ``(height, width, 3)``.
        alpha: True alpha, float32 in [0, 1], ``(height, width)``.
        foreground: True straight colour, shaped like ``source``; None if the case has none.
    """

    source: Pixels
    alpha: Float32Array
    foreground: Pixels | None

    @property
    def deep_alpha(self) -> AnyArray:
        """Alpha in 16 bits, uint16 ``(height, width)``."""
        return np.asarray((self.alpha * 65535).round(), np.uint16)


class Example(Protocol):
    """Interface of a case: one on disk, or one that is made when it is read.

    Attributes:
        name: Unique name.
        kind: Kind of the subject, for statistics by kind; None if unknown.
        is_clip: Whether the frames are consecutive in time.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def is_clip(self) -> bool: ...

    def read(self) -> tuple[Pixels, Iterator[CaseFrame]]:
        """Read the plate's pixels, RGB, and an iterator of the frames; equal at each call."""
        ...


@dataclass(frozen=True)
class RecordedCase:
    """An :class:`Example` on disk.

    Attributes:
        name: Unique in its folder.
        source: One file, or the frames of a clip in their order.
        plate: The clean plate.
        alpha: One file for each of ``source``.
        foreground: One file for each of ``source``; None if the case has none.
        is_clip: Whether the case is a clip, even if it has only one frame.
        kind: Kind of the subject, for statistics by kind; None if unknown.
    """

    name: str
    source: tuple[Path, ...]
    plate: Path
    alpha: tuple[Path, ...]
    foreground: tuple[Path, ...] | None
    is_clip: bool = False
    kind: str | None = None

    def read(self) -> tuple[Pixels, Iterator[CaseFrame]]:
        """Read the plate's pixels, RGB, and the frames of :meth:`read_frames`."""
        return read_image(self.plate).pixels, self.read_frames()

    def read_frames(self) -> Iterator[CaseFrame]:
        """Read the frames one by one; a clip is never in memory as a whole.

        Raises:
            InputError: A picture cannot be read, or its size is not that of its source.
        """
        for number, path in enumerate(self.source):
            source = read_image(path).pixels
            alpha = read_alpha(self.alpha[number])
            _check_size(self.alpha[number], alpha, path, source)
            foreground = None
            if self.foreground is not None:
                foreground = read_image(self.foreground[number]).pixels
                _check_size(self.foreground[number], foreground, path, source)
            yield CaseFrame(source, alpha, foreground)


def read_alpha(path: Path) -> Float32Array:
    """Read a grey picture of 8 or 16 bits as float32 in [0, 1], ``(height, width)``.

    Raises:
        InputError: The picture cannot be read, or is in colour.
    """
    pixels = read_image(path).pixels
    grey = pixels[..., 0]
    if not (np.array_equal(grey, pixels[..., 1]) and np.array_equal(grey, pixels[..., 2])):
        raise InputError(f"{path} is a picture in colour.", "alpha has to be a grey picture")
    return np.asarray(grey / np.float32(np.iinfo(pixels.dtype).max), np.float32)


def read_cases(folder: str | Path) -> list[RecordedCase]:
    """Find the cases of a folder; existence of the pictures is checked, but they are not opened.

    Raises:
        InputError: The folder does not exist or has no case, ``cases.json`` is damaged, or a picture is
            missing; the sentence names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "cases are made with 'cleanplate synthesize'")
    index = folder / INDEX
    entries = _read_index(index) if index.exists() else _list_names(folder / "source")
    if not entries:
        raise InputError(f"{folder} has no cases.")
    has_foreground = (folder / "foreground").is_dir()
    return [_find_case(folder, name, kind, has_foreground=has_foreground) for name, kind in entries.items()]


class CaseWriter:
    """Writes a folder of cases.

    ``cases.json`` is updated with every case, so the result of an interrupted run can be used.

    Args:
        folder: Folder of the cases; created if it is missing, but not its parent.
        made_by: Settings from which the cases were made, in JSON types, to make them again.
        overwrite: Replace existing cases. Files of cases that are not made again stay, but are no longer
            listed.

    Raises:
        OutputError: The folder cannot be made or written, or has cases already.
    """

    def __init__(self, folder: str | Path, made_by: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.folder = Path(folder)
        self._made_by = dict(made_by)
        self._entries: list[dict[str, Any]] = []
        make_folder(self.folder)
        for there in (self.folder / INDEX, self.folder / "source"):
            if there.exists() and not overwrite:
                raise OutputError(
                    f"{self.folder} has cases already: {there.name} exists.",
                    "choose another folder or add --overwrite",
                )
        self._overwrite = overwrite

    def __enter__(self) -> CaseWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self,
        name: str,
        source: Pixels | Sequence[Pixels],
        plate: Pixels,
        alpha: AnyArray | Sequence[AnyArray],
        foreground: Pixels | Sequence[Pixels] | None = None,
        *,
        kind: str | None = None,
        **facts: str | float,
    ) -> None:
        """Write one case.

        Args:
            name: Unique name that is valid as a file name.
            source: uint8 or uint16 RGB ``(height, width, 3)``, or a sequence of them for a clip.
            plate: RGB, of any size.
            alpha: uint8 or uint16 ``(height, width)``, or a sequence of them for a clip.
            foreground: Straight RGB, or a sequence of them for a clip.
            kind: Kind of the subject.
            facts: Further entries for ``cases.json``.

        Raises:
            OptionError: The name is taken or invalid, or the members differ in number or size.
            OutputError: A file cannot be written.
        """
        self._check_name(name)
        is_clip = not isinstance(source, np.ndarray)
        members: dict[str, list[AnyArray]] = {
            role: [pictures] if isinstance(pictures, np.ndarray) else list(pictures)
            for role, pictures in (("source", source), ("alpha", alpha), ("foreground", foreground))
            if pictures is not None
        }
        _check_alike(name, members)
        self._remove_frames(name)
        for role, pictures in members.items():
            folder = self._make_folder(role, name) if is_clip else self._make_folder(role)
            for number, picture in enumerate(pictures):
                path = folder / (_frame_name(number) if is_clip else f"{name}.png")
                write_image(path, picture, overwrite=self._overwrite)
        self._list(name, plate, kind, facts)

    def add_clip(
        self, name: str, plate: Pixels, frames: Iterable[CaseFrame], *, kind: str | None = None
    ) -> None:
        """Write a clip frame by frame, alpha in 16 bits; it is listed after its last frame.

        Raises:
            OptionError: The name is taken or invalid.
            OutputError: A file cannot be written.
        """
        self._check_name(name)
        self._remove_frames(name)
        for number, frame in enumerate(frames):
            members = (
                ("source", frame.source),
                ("alpha", frame.deep_alpha),
                ("foreground", frame.foreground),
            )
            for role, picture in members:
                if picture is not None:
                    path = self._make_folder(role, name) / _frame_name(number)
                    write_image(path, picture, overwrite=self._overwrite)
        self._list(name, plate, kind, {})

    def close(self) -> None:
        """Write ``cases.json`` once more, as there may have been no case."""
        self._write_index()

    def _check_name(self, name: str) -> None:
        if not _is_plain(name) or any(entry["name"] == name for entry in self._entries):
            raise OptionError(f"{name!r} cannot name a case: it is taken, or not valid as a file name.")

    def _remove_frames(self, name: str) -> None:
        """Remove the frames of an earlier clip: it may be longer, and a still of this name is no clip."""
        for role in ("source", "alpha", "foreground") if self._overwrite else ():
            folder = self.folder / role / name
            with reporting_write_errors(folder):
                for path in folder.glob("[0-9]" * 6 + ".png"):
                    path.unlink()
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _list(self, name: str, plate: Pixels, kind: str | None, facts: Mapping[str, str | float]) -> None:
        write_image(self._make_folder("plate") / f"{name}.png", plate, overwrite=self._overwrite)
        self._entries.append({"name": name, **({"kind": kind} if kind else {}), **facts})
        self._write_index()

    def _make_folder(self, *parts: str) -> Path:
        folder = self.folder.joinpath(*parts)
        make_folder(folder)
        return folder

    def _write_index(self) -> None:
        path = self.folder / INDEX
        content = {"format": FORMAT, "made_by": self._made_by, "cases": self._entries}
        write_text(path, json.dumps(content, indent=1) + "\n")


def _frame_name(number: int) -> str:
    return f"{number:06d}.png"


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; an existing file is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    with reporting_write_errors(path), temporary_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)


def _read_index(path: Path) -> dict[str, str | None]:
    """Read names and kinds, in the order of the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        said = content.get("format") if isinstance(content, dict) else None
        raise InputError(f"{path} is not an index of cases: its format is {said!r}, expected {FORMAT!r}.")
    entries: dict[str, str | None] = {}
    cases = content.get("cases")
    for entry in cases if isinstance(cases, list) else [None]:
        entry = entry if isinstance(entry, dict) else {}
        name, kind = entry.get("name"), entry.get("kind")
        if not isinstance(name, str) or not _is_plain(name) or name in entries:
            raise InputError(f"{path} lists a case without a unique, valid name: {name!r}.")
        entries[name] = kind if isinstance(kind, str) else None
    return entries


def _list_names(folder: Path) -> dict[str, str | None]:
    """List the cases of a folder without an index: stems of pictures, and names of folders of frames."""
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}.",
            "a folder of cases has source/, plate/ and alpha/, see docs/evaluation.md",
        )
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    names = [p.name if p.is_dir() else p.stem for p in entries if p.is_dir() or _is_picture(p)]
    return dict.fromkeys(sorted(names))


def _find_case(folder: Path, name: str, kind: str | None, *, has_foreground: bool) -> RecordedCase:
    is_clip = (folder / "source" / name).is_dir()
    if is_clip:
        source = tuple(list_images(folder / "source" / name))
        alpha = find_partners(folder / "alpha" / name, source, "alpha")
        foreground = (
            find_partners(folder / "foreground" / name, source, "foreground") if has_foreground else None
        )
    else:
        source = (_find_picture(folder / "source", name),)
        alpha = (_find_picture(folder / "alpha", name),)
        foreground = (_find_picture(folder / "foreground", name),) if has_foreground else None
    return RecordedCase(name, source, _find_picture(folder / "plate", name), alpha, foreground, is_clip, kind)


def _find_picture(folder: Path, name: str) -> Path:
    usual = folder / f"{name}.png"
    if usual.is_file():
        return usual
    for suffix in sorted(IMAGE_SUFFIXES):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise InputError(f"The case {name} has no {folder.name}: there is no file {usual}.")


def find_partners(folder: Path, sources: Sequence[Path], part: str) -> tuple[Path, ...]:
    """Find the pictures of a folder with the names of the sources, with any suffix.

    Raises:
        InputError: A source has no partner; the message calls it ``part``.
    """
    there = {path.stem: path for path in list_images(folder)}
    for path in sources:
        if path.stem not in there:
            raise InputError(f"{path} has no {part}: there is no file {folder / path.name}.")
    return tuple(there[path.stem] for path in sources)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _is_plain(name: str) -> bool:
    """Tell whether a name stays inside of its folder."""
    return bool(name) and name not in (".", "..") and not set(name) & set('/\\:\0<>"|?*')


def _check_size(path: Path, picture: AnyArray, source_path: Path, source: Pixels) -> None:
    if picture.shape[:2] != source.shape[:2]:
        sizes = [f"{x.shape[1]}x{x.shape[0]}" for x in (picture, source)]
        raise InputError(f"{path} is {sizes[0]}, but {source_path} is {sizes[1]}.")


def _check_alike(name: str, members: Mapping[str, Sequence[AnyArray]]) -> None:
    for role, pictures in members.items():
        if len(pictures) != len(members["source"]) or not pictures:
            raise OptionError(
                f"Case {name!r} has {len(members['source'])} source and {len(pictures)} {role} pictures."
            )
        for picture, source in zip(pictures, members["source"], strict=True):
            if picture.shape[:2] != source.shape[:2]:
                sizes = [f"{x.shape[1]}x{x.shape[0]}" for x in (picture, source)]
                raise OptionError(f"The {role} of case {name!r} is {sizes[0]}, its source {sizes[1]}.")
