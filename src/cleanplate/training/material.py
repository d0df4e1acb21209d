"""What synthesis is made of: cut-out sprites, textures and backgrounds, held in memory as uint8.

Every tenth file of each folder, by sorted name, is set aside for validation and never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cleanplate.errors import InputError
from cleanplate.training.datasets import DataSpec
from cleanplate.training.shapes import draw_shape

Bytes = npt.NDArray[np.uint8]

SPLITS = ("train", "validation")
_HELD_OUT = 10
_PICTURES = {".webp", ".png", ".jpg", ".jpeg"}
_MINIMUM_MIP_SIDE = 96


@dataclass(frozen=True)
class Mips:
    """A picture and its halvings, so that shrinking it later does not alias.

    Attributes:
        levels: uint8 ``(channels, height, width)``, each half of the one before. RGBA levels hold straight
            colour averaged with alpha as the weight.
        touches: For sprites, whether the subject is cut at the picture's left, right, top and bottom.
    """

    levels: tuple[Tensor, ...]
    touches: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def at_scale(self, scale: float) -> Tensor:
        """The smallest level from which a picture ``scale`` times the original's size can be sampled."""
        level = 0
        while level + 1 < len(self.levels) and scale < 0.5 ** (level + 0.6):
            level += 1
        return self.levels[level]

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the original."""
        return self.levels[0].shape[1], self.levels[0].shape[2]


@dataclass(frozen=True)
class Material:
    """All pictures of one split."""

    figures: Sequence[Mips]
    objects: Sequence[Mips]
    shapes: Sequence[Mips]
    textures: Sequence[Mips]
    backgrounds: Sequence[Mips]


def split_files(folder: Path, split: str) -> list[Path]:
    """The pictures of ``folder`` that belong to ``split``, sorted by name."""
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}.", "training material has figures/ objects/ garments/ backgrounds/"
        )
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _PICTURES)
    if not files:
        raise InputError(f"{folder} has no pictures.")
    keep_held_out = split == "validation"
    return [p for i, p in enumerate(files) if (i % _HELD_OUT == _HELD_OUT - 1) == keep_held_out]


def load_material(
    root: Path, split: str = "train", *, shapes: int = 500, limit: int | None = None
) -> Material:
    """Read the training material below ``root``.

    Args:
        root: Folder with ``figures`` and ``objects`` (RGBA), ``garments`` and ``backgrounds`` (RGB).
        split: ``"train"`` or ``"validation"``.
        shapes: How many procedural sprites to draw.
        limit: Read so many files of each folder only (for tests).

    Raises:
        InputError: A folder is missing or empty, or a file cannot be read.
    """
    with ThreadPoolExecutor(2) as pool:

        def read(name: str, reader: Callable[[Path], Mips]) -> list[Mips]:
            return list(pool.map(reader, split_files(root / name, split)[:limit]))

        textures = read("garments", read_picture)
        seed = SPLITS.index(split)
        drawn = pool.map(
            lambda i: make_mips(_textured_shape(np.random.default_rng((seed, i)), textures)), range(shapes)
        )
        return Material(
            figures=read("figures", read_sprite),
            objects=read("objects", read_sprite),
            shapes=list(drawn),
            textures=textures,
            backgrounds=read("backgrounds", read_picture),
        )


def open_material(
    specs: Sequence[DataSpec | Path],
    backgrounds: Sequence[Path],
    split: str,
    *,
    shapes: int = 500,
    limit: int | None = None,
    rank: int = 0,
    world: int = 1,
) -> Material:
    """Open the material of one split, put together from any mix of data sets; see ``docs/datasets.md``."""
    (spec,) = specs
    root = spec.path if isinstance(spec, DataSpec) else spec
    return load_material(root, split, shapes=shapes, limit=limit)


def read_picture(path: Path) -> Mips:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"Cannot read {path} as a picture.")
    return make_mips(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))


def read_sprite(path: Path) -> Mips:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
        raise InputError(f"Cannot read {path} as a picture with alpha.")
    return make_mips(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA), np.uint8))


def make_mips(picture: Bytes) -> Mips:
    """Halve ``(height, width, 3 | 4)`` until it is small."""
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 2 * _MINIMUM_MIP_SIDE:
        levels.append(_halve(levels[-1]))
    touches = [False] * 4
    if picture.shape[2] == 4:
        alpha = picture[..., 3]
        edges = (alpha[:, :2], alpha[:, -2:], alpha[:2], alpha[-2:])
        touches = [bool((edge > 128).mean() > 0.02) for edge in edges]
    return Mips(
        tuple(torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1))) for x in levels),
        (touches[0], touches[1], touches[2], touches[3]),
    )


def _halve(
    picture: Bytes,
) -> Bytes:
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    if picture.shape[2] == 3:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    weighted = picture.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] + 0.5
    small = np.asarray(cv2.resize(weighted, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    small[..., :3] /= small[..., 3:] + 0.5
    return np.asarray(small.round().clip(0, 255), np.uint8)


def _textured_shape(rng: np.random.Generator, textures: Sequence[Mips]) -> Bytes:
    alpha = draw_shape(rng)
    if rng.random() < 0.6:
        texture = textures[int(rng.integers(len(textures)))].levels[0].numpy().transpose(1, 2, 0)
        colour = cv2.resize(texture, alpha.shape[::-1], interpolation=cv2.INTER_AREA)
    else:
        corners = rng.integers(0, 256, (2, 2, 3)).astype(np.float32)
        colour = cv2.resize(corners, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return np.dstack([colour, alpha])
