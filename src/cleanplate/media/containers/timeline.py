"""Correction of time stamps of files, so that each frame is later than the one before it."""

from __future__ import annotations

from fractions import Fraction

GLITCH_SECONDS = Fraction(1, 2)
"""Limit for steps back of the clock: a smaller step is an error of one frame, a larger one a new clock. A
choice: frames in a wrong order differ by less."""

FAR_SECONDS = Fraction(3600)
"""Longest duration of a picture, and latest start of a clip: a longer jump is damage, or another clock."""


class Timeline:
    """Places the frames of one stream, in units of its time base.

    Args:
        time_base: Seconds per unit.
        usual: Duration of a frame if the file has none.
        shift: Subtracted from every time stamp.
    """

    def __init__(self, time_base: Fraction, usual: int, shift: int) -> None:
        self.repaired = 0
        self._usual = usual
        self._offset = -shift
        self._glitch = int(GLITCH_SECONDS / time_base)
        self._far = int(FAR_SECONDS / time_base)
        self._last: int | None = None
        self._duration = usual

    @property
    def end(self) -> int | None:
        """End time of the last frame; None before the first one."""
        return None if self._last is None else self._last + self._duration

    def place(self, stamp: int | None, duration: int | None) -> tuple[int, int | None]:
        """Time and duration of the next frame, whose stamp may be missing, in the past or years ahead."""
        # A duration of hours is as wrong as a stamp that far away.
        believed = duration if duration and 0 < duration <= self._far else None
        self._last = self._place(stamp)
        self._duration = believed or self._usual
        return self._last, believed

    def _place(self, stamp: int | None) -> int:
        if self._last is None:
            time = 0 if stamp is None else stamp + self._offset
            if abs(time) <= self._far:
                return time
            self.repaired += 1
            self._offset -= time
            return 0
        following = self._last + self._duration
        if stamp is None:
            return following
        time = stamp + self._offset
        if self._last < time <= self._last + self._far:
            return time
        self.repaired += 1
        if self._last - self._glitch < time <= self._last:
            return self._last + 1
        self._offset += following - time
        return following
