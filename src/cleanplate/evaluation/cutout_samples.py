"""Cut-outs for the protocols' composites: pictures and clips in the layouts of the public data sets.

::

    fgr/a.jpg  pha/a.jpg                stills: PhotoMatte85, AIM and Distinctions-646 ("alpha" for "pha" too)
    fgr/clip/0000.jpg  pha/clip/...     clips as frames: VideoMatte240K
    fgr/0000.mp4  pha/0000.mp4          clips as videos: VideoMatte240K
    a.png                               stills as RGBA
    clip/0000.png                       clips as RGBA frames
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cleanplate.errors import InputError
from cleanplate.evaluation.cases import find_partners
from cleanplate.frame import AnyArray, Float32Array, Pixels
from cleanplate.media import list_images
from cleanplate.training.datasets.clips import FrameFolder, Frames
from cleanplate.training.datasets.trees import VIDEO_SUFFIXES
from cleanplate.training.datasets.video_frames import VideoFile

ALPHA_FOLDERS = ("pha", "alpha")

_COLOURED = 1 / 16
"""Largest difference of channels in a grey picture, as a share of white, to allow for lossy coding."""


class CutoutSample(Protocol):
    """A cut-out picture or clip with its true alpha; a reader of any data set can implement it."""

    @property
    def name(self) -> str: ...
    @property
    def is_clip(self) -> bool: ...
    def __len__(self) -> int: ...
    def read(self, start: int, length: int) -> Iterator[tuple[Pixels, Float32Array]]:
        """Read consecutive frames: straight RGB, uint8 or uint16, and alpha, float32 in [0, 1]."""
        ...


@dataclass(frozen=True)
class FileSample:
    """A :class:`CutoutSample` in files: colour, and alpha apart or (None) in the same files."""

    name: str
    colour: Frames
    alpha: Frames | None
    is_clip: bool

    def __len__(self) -> int:
        return len(self.colour)

    def read(self, start: int, length: int) -> Iterator[tuple[Pixels, Float32Array]]:
        """Read frames; see :class:`CutoutSample`.

        Raises:
            InputError: A frame cannot be read, has no alpha, or differs in size from its alpha.
        """
        alphas = None if self.alpha is None else self.alpha.read(start, length)
        for index, picture in enumerate(self.colour.read(start, length), start):
            name = self.colour.name_of(index)
            if self.alpha is None or alphas is None:
                if picture.alpha is None:
                    raise InputError(f"{name} has no alpha.", "give RGBA pictures, or folders fgr/ and pha/")
                cover = picture.alpha
            else:
                alpha_name = self.alpha.name_of(index)
                cover = _as_grey(next(alphas).pixels, alpha_name)
                if cover.shape != picture.pixels.shape[:2]:
                    sizes = [f"{shape[1]}x{shape[0]}" for shape in (cover.shape, picture.pixels.shape)]
                    raise InputError(f"{alpha_name} is {sizes[0]}, but {name} is {sizes[1]}.")
            yield picture.pixels, np.asarray(cover / np.float32(np.iinfo(cover.dtype).max), np.float32)


def _as_grey(pixels: Pixels, name: str) -> AnyArray:
    """Take one channel of a grey picture in RGB."""
    some = pixels[::4, ::4].astype(np.int32)
    if np.ptp(some, axis=2).max() > _COLOURED * np.iinfo(pixels.dtype).max:
        raise InputError(f"{name} is a picture in colour.", "alpha has to be a grey picture")
    return pixels[..., 1]


def find_samples(folder: str | Path) -> list[FileSample]:
    """Find the samples of a folder in any of the layouts above, by name.

    Raises:
        InputError: The folder does not exist or has none of the layouts, or a picture or clip lacks its
            alpha.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "check the spelling")
    if not (folder / "fgr").is_dir():
        return [FileSample(name, frames, None, is_clip) for name, frames, is_clip in _list_frames(folder)]
    apart = next((folder / name for name in ALPHA_FOLDERS if (folder / name).is_dir()), None)
    if apart is None:
        raise InputError(f"{folder} has fgr/, but neither pha/ nor alpha/.")
    return [
        FileSample(name, frames, _find_alpha(frames, folder / "fgr", apart), is_clip)
        for name, frames, is_clip in _list_frames(folder / "fgr")
    ]


def list_videos(folder: Path) -> list[Path]:
    """List the video files directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if is_video(path) and not path.name.startswith("."))


def is_video(path: Path) -> bool:
    """Tell by the suffix whether a file is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _list_frames(folder: Path) -> list[tuple[str, FrameFolder | VideoFile, bool]]:
    """List name, frames and ``is_clip`` of sub-folders and videos, or else of single pictures."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    clips: list[tuple[str, FrameFolder | VideoFile, bool]] = [
        (clip.name, FrameFolder(clip, tuple(path.name for path in list_images(clip))), True)
        for clip in folders
    ]
    clips += [(path.stem, VideoFile(path), True) for path in list_videos(folder)]
    if clips:
        return sorted(clips, key=lambda clip: clip[0])
    return [(path.stem, FrameFolder(folder, (path.name,)), False) for path in list_images(folder)]


def _find_alpha(colour: FrameFolder | VideoFile, root: Path, apart: Path) -> FrameFolder | VideoFile:
    """Find the files of the same names with any suffix, at the same place below ``apart``."""
    if isinstance(colour, VideoFile):
        videos = {path.stem: path for path in list_videos(apart)}
        if colour.path.stem not in videos:
            raise InputError(f"{colour.path} has no alpha: there is no file {apart / colour.path.name}.")
        alpha = VideoFile(videos[colour.path.stem])
        if len(alpha) != len(colour):
            raise InputError(f"{colour.path} has {len(colour)} frames, but {alpha.path} has {len(alpha)}.")
        return alpha
    folder = apart / colour.folder.relative_to(root)
    found = find_partners(folder, [colour.folder / name for name in colour.names], "alpha")
    return FrameFolder(folder, tuple(path.name for path in found))
