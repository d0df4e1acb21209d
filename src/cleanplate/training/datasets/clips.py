"""Clips: consecutive frames with alpha, from video files or from folders of pictures."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import ByteArray, to_depth
from cleanplate.media import Picture, read_image
from cleanplate.training.datasets.pictures import join_cutout, reduce


class Frames(Protocol):
    """Pictures of one moving layer, numbered from 0."""

    def __len__(self) -> int: ...

    def name_of(self, index: int) -> str:
        """Name a frame in a sentence."""
        ...

    def read(self, start: int, length: int) -> Iterator[Picture]:
        """Read ``length`` frames from number ``start`` on; raises :class:`InputError`."""
        ...


@dataclass(frozen=True)
class FrameFolder:
    """A folder of pictures, in the order of ``names``."""

    folder: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name_of(self, index: int) -> str:
        return str(self.folder / self.names[index])

    def read(self, start: int, length: int) -> Iterator[Picture]:
        for name in self.names[start : start + length]:
            yield read_image(self.folder / name)


@dataclass(frozen=True)
class Clip:
    """A moving subject or a moving background.

    Attributes:
        name: Path of its colour below the data set's folder.
        kind: ``"figures"`` or ``"backgrounds"``.
        split: ``"train"`` or ``"validation"``.
        colour: Frames in RGB, or in RGBA for a subject with ``alpha`` None.
        alpha: Frames in grey.
    """

    name: str
    kind: str
    split: str
    colour: Frames
    alpha: Frames | None = None

    def __len__(self) -> int:
        """Number of frames.

        Raises:
            InputError: Colour and alpha differ in length, or a file cannot be read.
        """
        count = len(self.colour)
        if self.alpha is not None and len(self.alpha) != count:
            raise InputError(
                f"The clip {self.name} has {count} frames of colour, but {len(self.alpha)} of alpha.",
                "list all such clips with cleanplate datasets check",
            )
        return count

    def read(self, start: int, length: int) -> ByteArray:
        """Read consecutive cut-outs as straight RGBA ``(length, height, width, 4)``.

        Raises:
            InputError: A file cannot be read, or sizes differ.
            OptionError: The clip is too short.
        """
        if not 0 <= start < start + length <= len(self):
            raise OptionError(
                f"The clip {self.name} has {len(self)} frames, too few for {length} from number {start} on."
            )
        frames = list(self.cutouts(start, length))
        if len({frame.shape for frame in frames}) > 1:
            raise InputError(f"The frames of the clip {self.name} differ in size.")
        return np.stack(frames)

    def pictures(self, start: int, length: int) -> Iterator[ByteArray]:
        """Read consecutive frames of colour, one by one, RGB ``(height, width, 3)``."""
        for colour in self.colour.read(start, length):
            yield reduce(np.asarray(to_depth(colour.pixels, np.uint8), np.uint8))

    def cutouts(self, start: int, length: int) -> Iterator[ByteArray]:
        """Read consecutive cut-outs one by one, each straight RGBA ``(height, width, 4)``."""
        colours = self.colour.read(start, length)
        alphas = None if self.alpha is None else self.alpha.read(start, length)
        for index, colour in enumerate(colours, start):
            yield join_cutout(
                colour,
                None if alphas is None else next(alphas),
                self.colour.name_of(index),
                "" if self.alpha is None else self.alpha.name_of(index),
            )


class ClipFrames(Sequence[tuple[Clip, int]]):
    """Sequence of all frames of all clips as ``(clip, number)``, computed on access."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        self._ends = list(accumulate(len(clip) for clip in clips))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> tuple[Clip, int]:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        return self._clips[number], index - (self._ends[number - 1] if number else 0)
