"""Cut-outs that protocols put before backgrounds: pictures and clips in the layouts of the public data sets.

::

    fgr/a.jpg  pha/a.jpg                stills: PhotoMatte85, AIM and Distinctions-646 ("alpha" for "pha" too)
    fgr/clip/0000.jpg  pha/clip/...     clips as frames: VideoMatte240K
    a.png                               stills as RGBA
    clip/0000.png                       clips as RGBA frames
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cleanplate.errors import InputError
from cleanplate.evaluation.cases import Alpha, read_alpha
from cleanplate.frame import Pixels
from cleanplate.media import list_images, read_image

ALPHA_FOLDERS = ("pha", "alpha")


class Sample(Protocol):
    """A picture or a clip cut out, with its true alpha; any reader of a data set will do."""

    @property
    def name(self) -> str: ...
    @property
    def is_clip(self) -> bool: ...
    def __len__(self) -> int: ...
    def read(self, index: int) -> tuple[Pixels, Alpha]:
        """Straight RGB, uint8 or uint16, and alpha, float32 in [0, 1], of one frame."""
        ...


@dataclass(frozen=True)
class FileSample:
    """A :class:`Sample` in files: colour, and alpha apart or (if None) inside of the colour's files."""

    name: str
    colour: tuple[Path, ...]
    alpha: tuple[Path, ...] | None
    is_clip: bool

    def __len__(self) -> int:
        return len(self.colour)

    def read(self, index: int) -> tuple[Pixels, Alpha]:
        """See :class:`Sample`.

        Raises:
            InputError: A picture cannot be read, has no alpha, or another size than its alpha.
        """
        path = self.colour[index]
        picture = read_image(path)
        if self.alpha is None:
            if picture.alpha is None:
                raise InputError(f"{path} has no alpha.", "give RGBA pictures, or folders fgr/ and pha/")
            top = np.float32(np.iinfo(picture.alpha.dtype).max)
            return picture.pixels, np.asarray(picture.alpha / top, np.float32)
        alpha = read_alpha(self.alpha[index])
        if alpha.shape != picture.pixels.shape[:2]:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (alpha.shape, picture.pixels.shape)]
            raise InputError(f"{self.alpha[index]} is {sizes[0]}, but {path} is {sizes[1]}.")
        return picture.pixels, alpha


def find_samples(folder: str | Path) -> list[FileSample]:
    """The samples of a folder in any of the layouts above, by name.

    Raises:
        InputError: No such folder, none of the layouts, or a picture without its alpha.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "check the spelling")
    if not (folder / "fgr").is_dir():
        return [
            FileSample(name, files, None, is_clip) for name, files, is_clip in _list_pictures_or_clips(folder)
        ]
    apart = next((folder / name for name in ALPHA_FOLDERS if (folder / name).is_dir()), None)
    if apart is None:
        raise InputError(f"{folder} has fgr/, but neither pha/ nor alpha/.")
    return [
        FileSample(name, files, _find_alphas(files, folder / "fgr", apart), is_clip)
        for name, files, is_clip in _list_pictures_or_clips(folder / "fgr")
    ]


def _list_pictures_or_clips(folder: Path) -> list[tuple[str, tuple[Path, ...], bool]]:
    clips = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if clips:
        return [(clip.name, tuple(list_images(clip)), True) for clip in clips]
    return [(path.stem, (path,), False) for path in list_images(folder)]


def _find_alphas(files: Sequence[Path], root: Path, apart: Path) -> tuple[Path, ...]:
    """The file of the same name, whatever its suffix, at the same place below ``apart``."""
    folder = apart / files[0].parent.relative_to(root)
    there = {path.stem: path for path in list_images(folder)}
    for path in files:
        if path.stem not in there:
            raise InputError(f"{path} has no alpha: there is no file {folder / path.name}.")
    return tuple(there[path.stem] for path in files)
