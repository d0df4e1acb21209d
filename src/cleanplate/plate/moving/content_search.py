"""Search for the frame of a plate's clip that shows the view of each frame of the source.

Both clips are reduced to thumbnails of local detail, normalised so that exposure does not count, in blocks.
The similarity of two frames is the mean correlation of the better half of the blocks with texture: the
subject covers the others. Dynamic programming (Sakoe and Chiba 1978, with free ends) then finds the sequence
of plate frames with the highest sum that never goes back: first on some hundred frames of each clip, then
for every frame near that path.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from cleanplate.errors import PlateError
from cleanplate.frame import ByteArray, Float32Array, Float64Array, Frame, IndexArray
from cleanplate.plate.moving.moving_plate import MovingPlate, number_of
from cleanplate.plate.structure import reduce_picture

# Numbers without a reason are choices; docs/plate-design.md has the measurements.

THUMBNAIL = (36, 64)
"""Height and width of a thumbnail, at any aspect ratio: 30 pixels of HD are one."""

BLOCK = (6, 8)
"""Height and width of a block: 48 blocks, so that the subject leaves many whole."""

DETAIL_SIGMA = 3.0
"""Sigma of the blur that is taken off a thumbnail: light varies over more than a block."""

NOISE = 1.0
"""Standard deviation of detail, of 255, in a block of noise: a sensor averaged over a hundred pixels."""

TEXTURED = NOISE
"""Standard deviation from which a block is compared."""

KEPT = 0.5
"""Share of the textured blocks that count, the most alike: a subject may cover the rest."""

MOST_THUMBNAILS = 2048
"""Thumbnails of a clip at most, 5 MB: at 25 frames a second, all of 82 s; of longer clips every k-th."""

MOST_COARSE = 512
"""Frames of each clip at most in the first pass; half and twice as many give the same path in made moves."""

FASTEST = 8
"""Frames of the plate at most from one frame of the source to the next, at the same density."""

STEP_PRICE = 1e-3
"""Price, in similarity, of each frame by which a step is not 1: it decides only where views are alike."""

LEAST_SIMILARITY = 0.47
"""Mean similarity below which the plate does not show the shot: of 12 made moves, 11 have 0.58 or more (the
other is fog, without texture), and 132 pairs of different places 0.43 or less."""


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of a clip.

    Attributes:
        pictures: uint8 ``(n, height, width)``, grey.
        numbers: Number in the clip of each.
    """

    pictures: ByteArray
    numbers: IndexArray


def take_thumbnails(frames: Iterable[Frame], frame_rate: Fraction | None = None) -> Thumbnails:
    """Read a clip once; every k-th frame is kept, so that there are :data:`MOST_THUMBNAILS` at most.

    Args:
        frames: Its frames.
        frame_rate: Rate by which frames are numbered; None: by their index.
    """
    kept: list[ByteArray] = []
    numbers: list[int] = []
    stride = 1
    for place, frame in enumerate(frames):
        if place % stride:
            continue
        kept.append(_reduce(frame))
        numbers.append(number_of(frame, frame_rate))
        if len(kept) > MOST_THUMBNAILS:
            kept, numbers, stride = kept[::2], numbers[::2], 2 * stride
    pictures = np.stack(kept) if kept else np.zeros((0, *THUMBNAIL), np.uint8)
    return Thumbnails(pictures, np.asarray(numbers, np.intp))


def match_by_content(
    path: Path, source: Thumbnails, plate: Thumbnails, frame_rate: Fraction | None
) -> MovingPlate:
    """Match each frame of the source with the frame of the plate that shows the same view.

    Args:
        path: The plate's clip.
        source: Thumbnails of the source.
        plate: Thumbnails of the plate's clip.
        frame_rate: As of :class:`MovingPlate`.

    Raises:
        PlateError: A clip has no frames, or the plate does not show the place of the shot.
    """
    if not len(source.numbers) or not len(plate.numbers):
        raise PlateError(f"The clip or the plate '{path.name}' has no frames to compare.")
    steps, similarity = find_warp(source.pictures, plate.pictures)
    if similarity < LEAST_SIMILARITY:
        raise PlateError(
            f"The plate '{path.name}' does not show the places of the clip, or they have too little texture: "
            f"their frames are {similarity:.0%} alike.",
            "shoot the plate with the same camera move, or match it with --plate-motion=index",
        )
    every = np.arange(source.numbers[-1] + 1)
    table = np.interp(every, source.numbers, plate.numbers[steps])
    return MovingPlate(path, table=np.rint(table).astype(np.intp), frame_rate=frame_rate)


def find_warp(source: ByteArray, plate: ByteArray) -> tuple[IndexArray, float]:
    """Find the plate's thumbnail for each of the source's; they never go back.

    Args:
        source: uint8 ``(n, height, width)``.
        plate: uint8 ``(m, height, width)``.

    Returns:
        Indices into ``plate``, ``(n,)``, and the mean similarity, 1 at most.
    """
    source_blocks, textured = _describe(source)
    plate_blocks, _ = _describe(plate)
    rows = np.arange(0, len(source), -(-len(source) // MOST_COARSE))
    columns = np.arange(0, len(plate), -(-len(plate) // MOST_COARSE))
    alike = _compare(source_blocks[rows], textured[rows], plate_blocks[columns])
    row_stride, column_stride = _stride(rows), _stride(columns)
    fastest = max(1, round(FASTEST * row_stride / column_stride))
    path = _find_path(alike, fastest)
    if row_stride == column_stride == 1:
        steps, found = path, alike[np.arange(len(path)), path]
    else:
        guess = np.interp(np.arange(len(source)), rows, columns[path])
        reach = 2 * column_stride * max(1, round(row_stride * _speed(guess))) + FASTEST
        near = _compare_near(source_blocks, textured, plate_blocks, guess, reach)
        steps = _find_path(near, FASTEST)
        found = near[np.arange(len(steps)), steps]
    return steps, float(np.mean(found))


def _reduce(frame: Frame) -> ByteArray:
    height, width = THUMBNAIL
    small = cv2.cvtColor(reduce_picture(frame.pixels, 4 * width), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(255 * np.clip(small, 0, 1)), np.uint8)


def _describe(pictures: ByteArray) -> tuple[Float32Array, Float32Array]:
    """Normalised detail of each block, ``(n, blocks, pixels)``, and 1 where a block has texture."""
    (height, width), (rows, columns) = THUMBNAIL, BLOCK
    detail = np.empty(pictures.shape, np.float32)
    for picture, result in zip(pictures.astype(np.float32), detail, strict=True):
        result[...] = picture - cv2.GaussianBlur(picture, (0, 0), DETAIL_SIGMA)
    blocks = detail.reshape(-1, height // rows, rows, width // columns, columns).swapaxes(2, 3)
    blocks = blocks.reshape(len(pictures), -1, rows * columns)
    power = np.mean(blocks * blocks, axis=2)
    scale = np.sqrt(rows * columns * (power + NOISE**2))
    return blocks / scale[..., None], (power > TEXTURED**2).astype(np.float32)


def _compare(source: Float32Array, textured: Float32Array, plate: Float32Array) -> Float32Array:
    """Similarity of each frame of the source with each of the plate's, ``(n, m)``."""
    result = np.empty((len(source), len(plate)), np.float32)
    plate_by_block = np.ascontiguousarray(plate.transpose(1, 2, 0))
    for number, (blocks, counts) in enumerate(zip(source, textured, strict=True)):
        used = counts > 0
        if not used.any():
            result[number] = 0
            continue
        kept = max(1, round(KEPT * np.count_nonzero(used)))
        correlation = np.matmul(blocks[used][:, None], plate_by_block[used])[:, 0]
        best = np.partition(correlation, len(correlation) - kept, axis=0)[-kept:]
        result[number] = best.mean(axis=0)
    return result


def _compare_near(
    source: Float32Array, textured: Float32Array, plate: Float32Array, guess: Float64Array, reach: int
) -> Float32Array:
    """The same within ``reach`` frames of a guess; minus infinity elsewhere."""
    result = np.full((len(source), len(plate)), -np.inf, np.float32)
    for number, middle in enumerate(np.rint(guess).astype(int)):
        near = slice(max(0, middle - reach), middle + reach + 1)
        result[number, near] = _compare(
            source[number : number + 1], textured[number : number + 1], plate[near]
        )
    return result


def _find_path(alike: Float32Array, fastest: int) -> IndexArray:
    """The column of each row with the highest sum, rising by 0 to ``fastest`` from row to row."""
    count, length = alike.shape
    fastest = min(fastest, length - 1)
    total = alike[0].astype(np.float64)
    came = np.zeros((count, length), np.uint16)
    for row in range(1, count):
        best = total - STEP_PRICE
        for step in range(1, fastest + 1):
            from_there = np.full(length, -np.inf)
            from_there[step:] = total[: length - step] - STEP_PRICE * (step - 1)
            better = from_there > best
            best = np.where(better, from_there, best)
            came[row, better] = step
        total = best + alike[row]
    path = np.empty(count, np.intp)
    path[-1] = int(np.argmax(total))
    for row in range(count - 1, 0, -1):
        path[row - 1] = path[row] - came[row, path[row]]
    return path


def _stride(numbers: IndexArray) -> int:
    return int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1


def _speed(guess: Float64Array) -> float:
    """Largest number of plate frames for one of the source."""
    return float(np.diff(guess).max(initial=1.0))
