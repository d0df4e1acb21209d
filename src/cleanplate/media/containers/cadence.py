"""Constant frame rates that a container has rounded to its own clock.

Matroska counts milliseconds, MPEG transport streams 90,000ths of a second: at 24000/1001 frames per second
their stamps have steps of 41 and 42 ms, which editors treat as a variable rate. Stamps within a tick of the
grid of one rate are moved to it; variable ones keep their times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median

PEEKED = 240
"""Frames at the start of a file that decide whether its rate is constant."""

_FEWEST = 3
"""Fewest frames that show a constant rate, because any two lie on a grid."""

_NTSC = [Fraction(1000 * rate, 1001) for rate in (12, 15, 24, 30, 48, 60, 72, 90, 96, 120, 240)]
_STANDARD = [*_NTSC, *map(Fraction, range(1, 241))]


class Cadence:
    """The grid of a constant rate, in a time base that also holds all stamps of the file exactly.

    Args:
        rate: Frames per second.
        tick: Time base of the file.
        origin: A stamp that lies on the grid.

    Attributes:
        time_base: Seconds per unit of the results of :meth:`place` and :meth:`last`.
    """

    def __init__(self, rate: Fraction, tick: Fraction, origin: int) -> None:
        self.rate = rate
        self._tick = tick
        frame = 1 / rate
        # The largest unit of which a tick and a frame are multiples.
        self.time_base = Fraction(
            math.gcd(tick.numerator * frame.denominator, frame.numerator * tick.denominator),
            tick.denominator * frame.denominator,
        )
        self._units = int(tick / self.time_base)
        self._frame = int(frame / self.time_base)
        self._origin = origin * self._units

    def place(self, stamp: int) -> int:
        """A stamp of the file, moved to the grid if it lies less than a tick from it."""
        time = stamp * self._units
        nearest = self._origin + round(Fraction(time - self._origin, self._frame)) * self._frame
        return nearest if abs(nearest - time) < self._units else time

    def last(self, duration: int) -> int:
        """A duration of the file; one frame of the rate if it is less than a tick from that."""
        time = duration * self._units
        return self._frame if abs(time - self._frame) < self._units else time

    def stamp_before(self, time: int) -> int:
        """A stamp of the file that is no later than the one placed at ``time``."""
        return time // self._units - 1


def find_cadence(stamps: Sequence[int], tick: Fraction, declared: Fraction | None) -> Cadence | None:
    """The constant rate of a file with rounded stamps; None without one, or if the stamps are exact.

    Args:
        stamps: Stamps of the first frames, in any order.
        tick: Time base of the file.
        declared: Frames per second, from the file or FFmpeg's estimate. The result is the nearest usual rate
            that fits the stamps, or this one if none fits.
    """
    ordered = sorted(set(stamps))
    if len(ordered) < _FEWEST:
        return None
    usual = Fraction(median(after - before for before, after in pairwise(ordered))) * tick
    nearest: Fraction = declared or 1 / usual
    rates = [rate for rate in _STANDARD if abs(1 / rate - usual) <= tick]
    for rate in (*sorted(rates, key=lambda rate: abs(rate - nearest)), nearest):
        if _is_regular(ordered, tick, rate):
            return None if (1 / rate / tick).denominator == 1 else Cadence(rate, tick, ordered[0])
    return None


def _is_regular(ordered: Sequence[int], tick: Fraction, rate: Fraction) -> bool:
    """Tell whether the stamps lie on the grid of a rate after rounding; frames may be missing."""
    places = [(stamp - ordered[0]) * tick * rate for stamp in ordered]
    offs = [place - round(place) for place in places]
    numbers = {round(place) for place in places}
    return max(offs) - min(offs) <= tick * rate and len(numbers) == len(ordered)
