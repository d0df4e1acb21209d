"""Hints carried through a clip: the pixels of the strokes follow the motion of the picture.

Dense optical flow between reduced frames (DIS: Kroeger et al., Fast Optical Flow using Dense Inverse Search,
2016) moves the pixels of the strokes. Where the way forth and back does not return to a pixel, it moves with
its surroundings. It is lost where these have no consistent motion either, where the picture changes its
brightness, and at the border of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from cleanplate.frame import BoolArray, ByteArray, Float32Array, Frame, check_array, to_depth
from cleanplate.keyer.hints.hint_sources import HintSource, Strokes, hint_size

RETURN, RETURN_SHARE = 1.0, 0.1
"""Largest distance of a pixel from itself after the way forth and back: pixels, and share of the way. Usual
values of forward-backward checks."""

AROUND, LEAST_AROUND = 12.0, 0.1
"""Standard deviation of the surroundings whose motion a pixel without a consistent one takes, in pixels, and
the least share of them that has one. Chosen by looking at a curtain with folds."""

BRIGHTNESS = 40
"""Largest difference of grey along the way, of 255: more is another surface, or another shot. Chosen, not
measured."""

HOLD_SECONDS, FADE_SECONDS = 8.0, 2.0
"""Time for which a carried hint acts in full, and time in which it fades after that. Chosen, not measured."""


@dataclass(frozen=True)
class Hint:
    """Strokes on a frame, its own or carried ones.

    Attributes:
        white: Pixels of the subject, bool ``(height, width)`` of :func:`hint_size`.
        black: Pixels of the background.
        weight: Share of its effect, in (0, 1].
    """

    white: BoolArray
    black: BoolArray
    weight: float


@dataclass(frozen=True)
class _Track:
    """State after a frame.

    Attributes:
        white: Positions ``(N, 2)`` of the white strokes' pixels, x and y, float32.
        black: Positions of the black strokes' pixels.
        given_seconds: Time of the last strokes from the user.
        grey: The reduced frame, uint8.
    """

    white: Float32Array
    black: Float32Array
    given_seconds: Fraction
    grey: ByteArray


HintState = tuple[bool, Fraction | None, tuple[Any, ...] | None]
"""Three parts: whether a frame was seen, the state of the source, and the fields of the track."""


class HintTracker:
    """Gives each frame its hint; frames come in order.

    Args:
        source: Strokes of the user.
    """

    def __init__(self, source: HintSource) -> None:
        self._source = source
        self._begun = False
        self._track: _Track | None = None

    def follow(self, frame: Frame) -> Hint | None:
        """The hint for the next frame; None without strokes.

        Raises:
            InputError: As of :meth:`HintSource.strokes_on`.
        """
        new = self._source.strokes_on(frame, first=not self._begun)
        self._begun = True
        if not self._source.carries:
            return None if new is None else Hint(new.white, new.black, 1.0)
        if new is None and self._track is None:
            return None
        self._track = _move(self._track, new, frame)
        if self._track is None:
            return None
        age = float(frame.time_seconds - self._track.given_seconds)
        weight = min(1.0, (HOLD_SECONDS + FADE_SECONDS - age) / FADE_SECONDS)
        if weight <= 0:
            self._track = None
            return None
        size = self._track.grey.shape
        white, black = _draw(self._track.white, size), _draw(self._track.black, size)
        return Hint(white & ~black, black & ~white, weight)

    def begin(self) -> None:
        """Begin another shot: its first frame gets the first strokes."""
        self._begun, self._track = False, None

    def snapshot(self) -> HintState:
        """State after the frames so far."""
        track = self._track
        fields = None if track is None else (track.white, track.black, track.given_seconds, track.grey)
        return self._begun, self._source.snapshot(), fields

    def restore(self, snapshot: HintState) -> None:
        """Continue from a snapshot.

        Raises:
            ValueError: It is no state of a hint.
        """
        self._begun, origin, fields = snapshot
        self._source.restore(origin)
        self._track = None
        if fields is not None:
            track = _Track(*fields)
            for points in (track.white, track.black):
                check_array(points, "strokes of a hint", np.float32, (len(points), 2))
            check_array(track.grey, "a frame of a hint", np.uint8, np.shape(track.grey)[:2])
            self._track = track

    def close(self) -> None:
        """Close the files."""
        self._source.close()


def _move(track: _Track | None, new: Strokes | None, frame: Frame) -> _Track | None:
    """The strokes on the next frame: those before, moved, with the new ones over them."""
    grey = _shrink(frame)
    white = black = np.empty((0, 2), np.float32)
    given = frame.time_seconds
    if track is not None and track.grey.shape == grey.shape:
        white, black, given = track.white, track.black, track.given_seconds
        if len(white) or len(black):
            flow = _Flow(track.grey, grey)
            white, black = flow.move(white), flow.move(black)
    if new is not None:
        covered = new.white | new.black
        white, black = (
            np.concatenate([points[~covered[_index(points)]], _list_pixels(mask)])
            for points, mask in ((white, new.white), (black, new.black))
        )
        given = frame.time_seconds
    if not (len(white) or len(black)):
        return None
    return _Track(white, black, given, grey)


class _Flow:
    """Optical flow between two reduced frames; where it is not consistent, that of the surroundings."""

    def __init__(self, before: ByteArray, after: ByteArray) -> None:
        method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        forth = np.asarray(method.calc(before, after, None))  # type: ignore[call-overload]
        back = np.asarray(method.calc(after, before, None))  # type: ignore[call-overload]
        rows, columns = np.indices(before.shape, np.float32)
        there = columns + forth[..., 0], rows + forth[..., 1]
        missed = forth + cv2.remap(back, *there, cv2.INTER_LINEAR, borderValue=(1e3, 1e3, 0, 0))
        length = np.hypot(forth[..., 0], forth[..., 1])
        good = np.hypot(missed[..., 0], missed[..., 1]) <= RETURN + RETURN_SHARE * length
        share = cv2.GaussianBlur(good.astype(np.float32), (0, 0), AROUND)
        mean = cv2.GaussianBlur(forth * good[..., None], (0, 0), AROUND) / np.maximum(share, 1e-6)[..., None]
        self._way = np.where(good[..., None], forth, mean)
        self._known = good | (share >= LEAST_AROUND)
        self._before, self._after = before.astype(np.int16), after.astype(np.int16)

    def move(self, points: Float32Array) -> Float32Array:
        """Move positions ``(N, 2)``; lost ones are left out."""
        height, width = self._before.shape
        start = _index(points)
        moved = points + self._way[start]
        stays = self._known[start] & ((moved >= 0) & (moved <= (width - 1, height - 1))).all(axis=1)
        moved, was = moved[stays], self._before[start][stays]
        like = np.abs(self._after[_index(moved)] - was) <= BRIGHTNESS
        return np.asarray(moved[like], np.float32)


def _shrink(frame: Frame) -> ByteArray:
    height, width = hint_size(frame)
    small = cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(to_depth(small, np.uint8), cv2.COLOR_RGB2GRAY))


def _index(points: Float32Array) -> tuple[Any, Any]:
    """Rows and columns of the pixels at positions."""
    nearest = np.rint(points).astype(np.intp)
    return nearest[:, 1], nearest[:, 0]


def _list_pixels(mask: BoolArray) -> Float32Array:
    rows, columns = np.nonzero(mask)
    return np.stack([columns, rows], axis=1).astype(np.float32)


def _draw(points: Float32Array, size: tuple[int, ...]) -> BoolArray:
    """Pixels at positions; gaps of a pixel, which a growing subject makes, are closed."""
    mask = np.zeros(size, np.uint8)
    mask[_index(points)] = 1
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0)
