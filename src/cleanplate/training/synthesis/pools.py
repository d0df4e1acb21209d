"""Sequences of pictures that are read on access, and mixed by weight."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from cleanplate.frame import ByteArray
from cleanplate.training.datasets.mips import Mips, make_mips

KEPT_BYTES = 64 << 20
"""Size of a lazy sequence's cache of the last pictures, in each process."""

_Entry = TypeVar("_Entry")


class LazyPictures(Sequence[Mips], Generic[_Entry]):
    """Pictures that are decoded on access; copies in other processes start with an empty cache.

    Args:
        entries: Descriptions of the pictures, small enough for a list.
        read: Function from an entry to uint8 ``(height, width, 3 | 4)``; at module level, for pickling.
    """

    def __init__(self, entries: Sequence[_Entry], read: Callable[[_Entry], ByteArray]) -> None:
        self._entries = entries
        self._read = read
        self._kept: OrderedDict[int, Mips] = OrderedDict()
        self._kept_bytes = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict(), "_kept_bytes": 0}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Mips:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        picture = self._kept[index] = make_mips(self._read(self._entries[index]))
        self._kept_bytes += _bytes_of(picture)
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= _bytes_of(self._kept.popitem(last=False)[1])
        return picture


def _bytes_of(picture: Mips) -> int:
    return sum(level.numel() for level in picture.levels)


class Mixture(Sequence[Mips]):
    """Several sequences as one, in which each has a share of the indices in proportion to its weight.

    Uniform indices therefore draw the parts by their weights. The part with most pictures for its share sets
    the length; pictures of the others have several indices, equally many except for rounding.
    """

    def __init__(self, parts: Sequence[tuple[Sequence[Mips], float]]) -> None:
        self._parts = parts
        length_per_weight = max(len(pictures) / weight for pictures, weight in parts)
        lengths = [max(len(pictures), round(weight * length_per_weight)) for pictures, weight in parts]
        self._ends = list(accumulate(lengths))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Mips:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        start = self._ends[number - 1] if number else 0
        pictures = self._parts[number][0]
        return pictures[(index - start) * len(pictures) // (self._ends[number] - start)]


def mix(parts: Sequence[tuple[Sequence[Mips], float]]) -> Sequence[Mips]:
    """Join sequences by weight; empty ones are ignored."""
    parts = [(pictures, weight) for pictures, weight in parts if len(pictures)]
    if len(parts) > 1:
        return Mixture(parts)
    return parts[0][0] if parts else []


def pool(parts: Sequence[Sequence[Mips]]) -> Sequence[Mips]:
    """Join sequences so that every picture is equally likely."""
    return mix([(pictures, float(len(pictures))) for pictures in parts])
