"""SMPTE timecode: the number of a frame as an edit suite writes it, drop-frame counting included."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d\d?)")
_DROPPING = {30: 2, 60: 4}
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Timecode:
    """One frame's timecode.

    Drop-frame counting (SMPTE ST 12-1) leaves out the first 2 numbers of every minute but each tenth, 4 at
    59.94 fps, so that the count keeps step with the clock. It exists at 29.97 and 59.94 fps only.

    Attributes:
        number: Frames since 00:00:00:00, within a day.
        nominal: Frames per counted second: 24 at 23.976 fps, 30 at 29.97.
        drop: Whether it is a drop-frame timecode.
    """

    number: int
    nominal: int
    drop: bool = False

    @classmethod
    def parse(cls, text: str, rate: Fraction) -> Timecode | None:
        """Read ``01:00:00:00`` or, drop-frame, ``01:00:00;00``; None if it is invalid at this frame rate."""
        match = _TEXT.fullmatch(text.strip())
        nominal = round(rate)
        if match is None or nominal < 1:
            return None
        hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
        drop = match[4] != ":"
        if hours > 23 or minutes > 59 or seconds > 59 or frames >= nominal:
            return None
        if drop and (nominal not in _DROPPING or rate.denominator != 1001):
            return None
        number = ((hours * 60 + minutes) * 60 + seconds) * nominal + frames
        if drop:
            total_minutes = hours * 60 + minutes
            number -= _DROPPING[nominal] * (total_minutes - total_minutes // 10)
        return cls(number, nominal, drop)

    def after(self, frames: int) -> Timecode:
        """The timecode so many frames later; midnight follows on 23:59:59."""
        day = _MINUTES_A_DAY * 60 * self.nominal
        if self.drop:
            day -= _DROPPING[self.nominal] * (_MINUTES_A_DAY - _MINUTES_A_DAY // 10)
        return Timecode((self.number + frames) % day, self.nominal, self.drop)

    def __str__(self) -> str:
        number = self.number
        if self.drop:
            dropped = _DROPPING[self.nominal]
            minute = 60 * self.nominal - dropped
            tens, rest = divmod(number, 10 * minute + dropped)
            # The first minute of ten is a whole one.
            minutes = 0 if rest < 60 * self.nominal else 1 + (rest - 60 * self.nominal) // minute
            number += dropped * (9 * tens + minutes)
        seconds, frames = divmod(number, self.nominal)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return f"{clock}{';' if self.drop else ':'}{frames:02d}"
