"""Inspection of a data set: every file is decoded, and faults that would harm training are listed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import InputError
from cleanplate.frame import AnyArray
from cleanplate.media import Picture, read_image
from cleanplate.media.stills.image_reader import read_mode
from cleanplate.training.datasets.clips import Clip, FrameFolder, Frames
from cleanplate.training.datasets.layouts import SUBJECT_KINDS, DataSet, FileFinding, Still
from cleanplate.training.datasets.video_frames import VideoFile

MINIMUM_SIDE = 64
"""Smallest side of a useful picture in pixels. A choice: a third of the smallest training frame."""

_GREY_MODES = frozenset({"1", "L", "LA", "I;16"})
# JPEG leaves traces of chroma on a grey picture; a larger difference on over 1/1000 of the pixels is colour.
_GREY_TOLERANCE = 12 / 255
_COLOURED_SHARE = 1e-3


@dataclass
class Inspection:
    """Result of the inspection of one still or clip.

    Attributes:
        entry: The still or clip.
        findings: Its faults.
        frames: Number of readable pictures.
        sizes: Their ``(height, width)``.
        decoded_bytes: Size of all of them, decoded as uint8.
        digest: Hash of the decoded pixels, for finding duplicates; empty if no picture could be read.
    """

    entry: Still | Clip
    findings: list[FileFinding] = field(default_factory=list)
    frames: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)
    decoded_bytes: int = 0
    digest: str = ""

    def find(self, kind: str, path: str | Path, message: str) -> None:
        """Add a finding."""
        self.findings.append(FileFinding(kind, str(path), message))


def inspect(entry: Still | Clip) -> Inspection:
    """Decode all of a still or clip (of a moving background, the key frames that training uses)."""
    seen = Inspection(entry)
    if isinstance(entry, Still):
        _inspect_still(entry, seen)
    elif entry.kind in SUBJECT_KINDS:
        _inspect_clip(entry, seen)
    else:
        _inspect_background(entry, seen)
    for height, width in sorted(seen.sizes):
        if min(height, width) < MINIMUM_SIDE:
            path = entry.colour if isinstance(entry, Still) else entry.name
            seen.find(
                "too-small", path, f"{path} is {width}x{height}; sides need at least {MINIMUM_SIDE} pixels."
            )
    return seen


def find_duplicates(inspections: Iterable[Inspection]) -> list[FileFinding]:
    """List files in both splits with equal pixels."""
    trained: dict[str, Still | Clip] = {}
    held_out: list[Inspection] = []
    for seen in inspections:
        if not seen.digest:
            continue
        if seen.entry.split == "train":
            trained.setdefault(seen.digest, seen.entry)
        else:
            held_out.append(seen)
    return [
        FileFinding(
            "duplicate",
            _path_of(seen.entry),
            f"{_path_of(seen.entry)} is held out, but {_path_of(trained[seen.digest])} is the same.",
        )
        for seen in held_out
        if seen.digest in trained
    ]


def summarise(dataset: DataSet, inspections: Iterable[Inspection]) -> dict[str, Any]:
    """Summarise counts and sizes of one data set as JSON types, by kind and split."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for seen in inspections:
        key = (seen.entry.kind, seen.entry.split)
        row = rows.setdefault(
            key,
            {"kind": key[0], "split": key[1], "stills": 0, "clips": 0, "frames": 0, "decoded_bytes": 0,
             "smallest": None, "largest": None},
        )  # fmt: skip
        row["stills" if isinstance(seen.entry, Still) else "clips"] += 1
        row["frames"] += seen.frames
        row["decoded_bytes"] += seen.decoded_bytes
        sizes = [*seen.sizes, *(tuple(row[end]) for end in ("smallest", "largest") if row[end])]
        if sizes:
            by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
            row["smallest"], row["largest"] = list(by_area[0]), list(by_area[-1])
    return {
        "root": str(dataset.root),
        "layout": dataset.layout,
        "parts": [rows[key] for key in sorted(rows)],
    }


# -- stills ---------------------------------------------------------------------------------------


def _inspect_still(still: Still, seen: Inspection) -> None:
    colour = _read(still.colour, seen)
    if still.kind not in SUBJECT_KINDS:
        if colour is not None:
            _count(seen, colour.pixels, still_digest(colour))
        return
    alpha = None if still.alpha is None else _read(still.alpha, seen)
    if colour is None or (still.alpha is not None and alpha is None):
        return
    if read_mode(still.colour) in _GREY_MODES:
        seen.find(
            "channels", still.colour, f"{still.colour} is grey; the colour of a subject has 3 channels."
        )
    _count(seen, colour.pixels, still_digest(colour, alpha), channels=4)
    cover = _check_alpha(colour, alpha, str(still.colour), str(still.alpha), seen)
    if cover is None:
        return
    path = still.alpha or still.colour
    if not cover.any():
        seen.find("alpha-empty", path, f"The alpha of {path} is 0 everywhere.")
    elif cover.min() == np.iinfo(cover.dtype).max:
        seen.find("alpha-solid", path, f"The alpha of {path} is 1 everywhere.")


def still_digest(colour: Picture, alpha: Picture | None = None) -> str:
    """Compute a hash of the pixels of a picture or pair."""
    hasher = hashlib.blake2b(digest_size=12)
    _hash(hasher, colour, alpha)
    return str(hasher.hexdigest())


def _hash(hasher: Any, colour: Picture, alpha: Picture | None) -> None:
    for pixels in (colour.pixels, colour.alpha, None if alpha is None else alpha.pixels):
        if pixels is not None:
            hasher.update(repr(pixels.shape).encode())
            hasher.update(np.ascontiguousarray(pixels).data)


def _read(path: Path, seen: Inspection) -> Picture | None:
    try:
        return read_image(path)
    except InputError as error:
        seen.find("unreadable", path, error.message)
        return None


def _count(seen: Inspection, pixels: AnyArray, digest: str, channels: int = 3) -> None:
    height, width = pixels.shape[:2]
    seen.frames += 1
    seen.sizes.add((height, width))
    seen.decoded_bytes += height * width * channels
    seen.digest = digest


def _check_alpha(
    colour: Picture, alpha: Picture | None, colour_name: str, alpha_name: str, seen: Inspection
) -> AnyArray | None:
    """Check the alpha of one picture; None if it cannot be used."""
    if alpha is None:
        if colour.alpha is None:
            seen.find("channels", colour_name, f"{colour_name} has no alpha channel.")
        return colour.alpha
    height, width = colour.pixels.shape[:2]
    rows, columns = alpha.pixels.shape[:2]
    if (rows, columns) != (height, width):
        seen.find(
            "size-mismatch",
            alpha_name,
            f"{alpha_name} is {columns}x{rows}, but its colour {colour_name} is {width}x{height}.",
        )
        return None
    if alpha.alpha is not None and alpha.alpha.min() < np.iinfo(alpha.alpha.dtype).max:
        seen.find("channels", alpha_name, f"{alpha_name} has transparency; alpha has to be a grey picture.")
    if not is_grey(alpha.pixels):
        seen.find("alpha-coloured", alpha_name, f"{alpha_name} has colours; alpha has to be a grey picture.")
        return None
    cover: AnyArray = alpha.pixels[..., 1]
    return cover


def is_grey(pixels: AnyArray) -> bool:
    """Tell whether ``(height, width, 3)`` is grey, except for traces of compression."""
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    return bool((spread > _GREY_TOLERANCE * np.iinfo(pixels.dtype).max).mean() <= _COLOURED_SHARE)


# -- clips ----------------------------------------------------------------------------------------


def _inspect_clip(clip: Clip, seen: Inspection) -> None:
    if not _frame_counts_agree(clip, seen):
        return
    count = len(clip.colour)
    alphas = iter([None] * count) if clip.alpha is None else _frames(clip.alpha, count, seen)
    hasher = hashlib.blake2b(digest_size=12)
    sprite = Inspection(clip)
    lowest, highest = np.inf, -np.inf
    for index, (colour, alpha) in enumerate(zip(_frames(clip.colour, count, seen), alphas, strict=False)):
        if colour is None or (clip.alpha is not None and alpha is None):
            continue
        _count(seen, colour.pixels, "", channels=4)
        _hash(hasher, colour, alpha)
        alpha_name = "" if clip.alpha is None else clip.alpha.name_of(index)
        cover = _check_alpha(colour, alpha, clip.colour.name_of(index), alpha_name, sprite)
        if cover is not None:
            white = np.iinfo(cover.dtype).max
            lowest, highest = min(lowest, cover.min() / white), max(highest, cover.max() / white)
    seen.findings += _first_of_each_kind(sprite.findings)
    if len(seen.sizes) > 1:
        seen.find("size-mismatch", clip.name, f"The frames of the clip {clip.name} differ in size.")
    # A subject may enter late or leave; only a clip without any subject is a fault.
    if highest == 0:
        seen.find("alpha-empty", clip.name, f"The alpha of the clip {clip.name} is 0 everywhere.")
    if lowest == 1:
        seen.find("alpha-solid", clip.name, f"The alpha of the clip {clip.name} is 1 everywhere.")
    seen.digest = hasher.hexdigest() if seen.frames else ""


def _frame_counts_agree(clip: Clip, seen: Inspection) -> bool:
    counts = []
    for frames in (clip.colour, clip.alpha):
        if frames is None:
            continue
        try:
            counts.append(frames.count_frames() if isinstance(frames, VideoFile) else len(frames))
        except InputError as error:
            seen.find("unreadable", _path_of_frames(frames), error.message)
            return False
        if len(frames) != counts[-1]:
            seen.find(
                "frame-count",
                clip.name,
                f"A file of the clip {clip.name} announces {len(frames)} frames but has {counts[-1]}.",
            )
            return False
    if len(set(counts)) > 1:
        seen.find(
            "frame-count",
            clip.name,
            f"The clip {clip.name} has {counts[0]} frames of colour, but {counts[1]} of alpha"
            f"{_odd_one(clip)}.",
        )
        return False
    return True


def _odd_one(clip: Clip) -> str:
    """Name the frame without a partner, if the file names tell it."""
    if not (isinstance(clip.colour, FrameFolder) and isinstance(clip.alpha, FrameFolder)):
        return ""
    stems = [{Path(name).stem: name for name in frames.names} for frames in (clip.colour, clip.alpha)]
    lonely = sorted(stems[0].keys() ^ stems[1].keys())
    return f" ({lonely[0]} has no counterpart)" if lonely else ""


def _frames(frames: Frames, count: int, seen: Inspection) -> Iterator[Picture | None]:
    """Read all frames, None for unreadable ones; a video ends at the first of them."""
    if isinstance(frames, FrameFolder):
        for index in range(count):
            yield _read(frames.folder / frames.names[index], seen)
        return
    try:
        yield from frames.read(0, count)
    except InputError as error:
        seen.find("unreadable", _path_of_frames(frames), error.message)


def _first_of_each_kind(findings: list[FileFinding]) -> list[FileFinding]:
    """Keep one finding of each kind, with the number of others: a bad clip has hundreds of bad frames."""
    by_kind: dict[str, list[FileFinding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    return [
        FileFinding(
            first.kind,
            first.path,
            first.message + (f" The same holds for {len(others)} more frames." if others else ""),
        )
        for first, *others in by_kind.values()
    ]


def _inspect_background(clip: Clip, seen: Inspection) -> None:
    if not isinstance(clip.colour, VideoFile):
        return
    hasher = hashlib.blake2b(digest_size=12)
    try:
        for number in clip.colour.key_frames():
            for picture in clip.colour.read(number, 1):
                _hash(hasher, picture, None)
                _count(seen, picture.pixels, hasher.hexdigest())
    except InputError as error:
        seen.find("unreadable", clip.colour.path, error.message)


def _path_of(entry: Still | Clip) -> str:
    if isinstance(entry, Still):
        return str(entry.colour)
    return _path_of_frames(entry.colour)


def _path_of_frames(frames: Frames) -> str:
    return str(frames.folder) if isinstance(frames, FrameFolder) else str(getattr(frames, "path", ""))
