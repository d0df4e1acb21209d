"""Material of the synthesis: cut-out sprites, textures, backgrounds and clips of one split.

The project's own material is small and held in memory. Pictures of all other data sets are read when they are
used; :mod:`cleanplate.training.synthesis.pools` caches some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import ByteArray
from cleanplate.training.datasets.clips import Clip, ClipFrames
from cleanplate.training.datasets.layouts import (
    SPLITS,
    SUBJECT_KINDS,
    DataSet,
    Still,
    find_backgrounds,
    find_dataset,
)
from cleanplate.training.datasets.mips import Mips, make_mips
from cleanplate.training.datasets.near_duplicates import without_near_duplicates
from cleanplate.training.datasets.pictures import read_cutout, read_picture
from cleanplate.training.datasets.spec import DataSpec
from cleanplate.training.datasets.video_frames import VideoFile
from cleanplate.training.synthesis.pools import LazyPictures, mix, pool
from cleanplate.training.synthesis.shapes import draw_shape

__all__ = ["Material", "Mips", "load_material", "make_mips", "open_material"]

LARGE_KINDS = ("fine_figures", "portraits")
"""Kinds of the project's own material that are read when they are used: together they would fill 9 GB."""


@dataclass(frozen=True)
class Material:
    """All pictures of one split; a kind that the data sets lack is empty.

    Attributes:
        figures: Subjects that stand upright, RGBA: people, and all of the public data sets.
        objects: Subjects that may be turned, RGBA.
        shapes: Procedural subjects, RGBA.
        textures: Cloth and similar surfaces, RGB.
        backgrounds: Empty sets, RGB.
        clips: Moving subjects, for consecutive frames. In a data set of clips, their single frames are
            ``figures``, too.
        background_clips: Videos of empty sets; some of their frames are ``backgrounds``, too.
        fine_figures: Subjects with strands of one to three pixels, RGBA.
        portraits: Photographed people, RGBA; their soft alpha is an estimate.
    """

    figures: Sequence[Mips]
    objects: Sequence[Mips]
    shapes: Sequence[Mips]
    textures: Sequence[Mips]
    backgrounds: Sequence[Mips]
    clips: Sequence[Clip] = ()
    background_clips: Sequence[Clip] = ()
    fine_figures: Sequence[Mips] = ()
    portraits: Sequence[Mips] = ()


def load_material(
    root: Path, split: str = "train", *, shapes: int = 500, limit: int | None = None
) -> Material:
    """Read the project's own material below ``root``; see :func:`open_material`."""
    return open_material([DataSpec(root, "material")], [], split, shapes=shapes, limit=limit)


def open_material(
    specs: Sequence[DataSpec | Path],
    backgrounds: Sequence[Path],
    split: str,
    *,
    shapes: int = 500,
    limit: int | None = None,
) -> Material:
    """Open one split of any mix of data sets.

    Subjects are drawn from the data sets in proportion to their weights, regardless of their sizes; textures
    and backgrounds are pooled picture by picture. The project's own material is read at once (about 4 GB for
    the 919 figures and 1,038 backgrounds) except for fine figures and portraits; for all others, the files
    are listed. Pictures that look like a held-out picture are not used for training.

    Args:
        specs: The data sets; a bare path is recognised by its layout.
        backgrounds: Folders of pictures and videos, or video files; a video gives its key frames.
        split: ``"train"`` or ``"validation"``.
        shapes: Number of procedural sprites to draw.
        limit: Largest number of stills and clips of each kind of a data set (for tests).

    Raises:
        InputError: A folder is missing or has an unknown layout, a file has no partner, a picture of the
            project's own material cannot be read, or the split has no subject or no background.
        OptionError: The split is unknown.
    """
    if split not in SPLITS:
        raise OptionError(f"Expected a split from {', '.join(SPLITS)}, got '{split}'.")
    named = [spec if isinstance(spec, DataSpec) else DataSpec(spec) for spec in specs]
    datasets = [(find_dataset(spec), spec.weight) for spec in named]
    for dataset, _ in datasets:
        _refuse_findings(dataset)
    sets = [*(dataset for dataset, _ in datasets), *(find_backgrounds(path) for path in backgrounds)]
    _require_kinds(sets, split, shapes)

    with ThreadPoolExecutor(2) as threads:
        open_kind = partial(_open_kind, split=split, limit=limit, threads=threads)
        textures = pool([open_kind(dataset, "textures") for dataset, _ in datasets])
        seed = SPLITS.index(split)
        drawn = threads.map(
            lambda i: make_mips(_textured_shape(np.random.default_rng((seed, i)), textures)),
            range(shapes),
        )
        return Material(
            figures=mix([(open_kind(dataset, "figures"), weight) for dataset, weight in datasets]),
            objects=mix([(open_kind(dataset, "objects"), weight) for dataset, weight in datasets]),
            shapes=list(drawn),
            textures=textures,
            backgrounds=pool([open_kind(dataset, "backgrounds") for dataset in sets]),
            clips=[clip for dataset, _ in datasets for clip in dataset.clips_of("figures", split)[:limit]],
            background_clips=[
                clip for dataset in sets for clip in dataset.clips_of("backgrounds", split)[:limit]
            ],
            fine_figures=pool([open_kind(dataset, "fine_figures") for dataset, _ in datasets]),
            portraits=pool([open_kind(dataset, "portraits") for dataset, _ in datasets]),
        )


def _open_kind(
    dataset: DataSet, kind: str, *, split: str, limit: int | None, threads: ThreadPoolExecutor
) -> Sequence[Mips]:
    """Open the pictures of one kind and split: read at once in the project's own material, else on access."""
    stills = dataset.stills_of(kind, split)[:limit]
    if kind in LARGE_KINDS:
        return LazyPictures(stills, _read_still)
    if dataset.layout == "material":
        opened = list(threads.map(_open_still, stills))
        if split != "train":
            return opened
        held_out = dataset.stills_of(kind, "validation")[:limit]
        return without_near_duplicates(opened, list(threads.map(_open_still, held_out)))
    frames: Sequence[tuple[Clip, int]]
    clips = dataset.clips_of(kind, split)[:limit]
    if kind == "backgrounds":
        frames = [(clip, number) for clip in clips for number in _key_frames(clip)]
    else:
        frames = ClipFrames(clips)
    return pool([LazyPictures(stills, _read_still), LazyPictures(frames, _read_frame)])


def _refuse_findings(dataset: DataSet) -> None:
    if dataset.findings:
        first, *others = dataset.findings
        more = f" The same holds for {len(others)} more." if others else ""
        raise InputError(first.message + more, "list them all with cleanplate datasets check")


def _require_kinds(datasets: Sequence[DataSet], split: str, shapes: int) -> None:
    """Raise InputError unless the material has a background and at least one kind of subject."""
    hint = "every tenth by name is held out, so at least ten are needed" if split == "validation" else ""
    kinds = {still.kind for d in datasets for still in d.stills if still.split == split}
    kinds |= {clip.kind for d in datasets for clip in d.clips if clip.split == split}
    if not (shapes or kinds & set(SUBJECT_KINDS)):
        raise InputError(f"The data sets have no subject for the split '{split}'.", hint)
    if "backgrounds" not in kinds:
        raise InputError(
            f"There are no backgrounds for the split '{split}'.",
            hint or "name a folder of pictures or videos with --backgrounds",
        )


def _key_frames(clip: Clip) -> list[int]:
    return clip.colour.key_frames() if isinstance(clip.colour, VideoFile) else []


def _open_still(still: Still) -> Mips:
    return make_mips(_read_still(still))


def _read_still(still: Still) -> ByteArray:
    if still.kind in SUBJECT_KINDS:
        return read_cutout(still.colour, still.alpha)
    return read_picture(still.colour)


def _read_frame(frame: tuple[Clip, int]) -> ByteArray:
    clip, number = frame
    if clip.kind in SUBJECT_KINDS:
        return next(clip.cutouts(number, 1))
    return next(clip.pictures(number, 1))


def _textured_shape(rng: np.random.Generator, textures: Sequence[Mips]) -> ByteArray:
    alpha = draw_shape(rng)
    if rng.random() < 0.6 and textures:
        texture = textures[int(rng.integers(len(textures)))].levels[0].numpy().transpose(1, 2, 0)
        colour = cv2.resize(texture, alpha.shape[::-1], interpolation=cv2.INTER_AREA)
    else:
        corners = rng.integers(0, 256, (2, 2, 3)).astype(np.float32)
        colour = cv2.resize(corners, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return np.dstack([colour, alpha])
