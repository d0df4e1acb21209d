"""Part of a clip, in seconds from the first frame that players show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from cleanplate.errors import OptionError

_CLOCK = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d{1,12})?)")


@dataclass(frozen=True)
class Span:
    """Half-open interval from ``start_seconds`` to ``end_seconds``; None is the clip's own end.

    Raises:
        OptionError: The span is empty, or begins before the clip.
    """

    start_seconds: Fraction = Fraction(0)
    end_seconds: Fraction | None = None

    def __post_init__(self) -> None:
        if self.start_seconds < 0:
            raise OptionError(f"Expected a range that begins at 0 or later, got {self}.")
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise OptionError(
                f"Expected a range that ends after it begins, got {self}.", "write it as 00:10-00:42.5"
            )

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read "00:10-00:42.5": seconds, optionally with minutes and hours; either end may be open.

        Raises:
            OptionError: The text has another form, or the span is empty.
        """
        start, dash, end = text.strip().partition("-")
        if not dash or not (start.strip() or end.strip()):
            raise OptionError(
                f"Expected a range such as 00:10-00:42.5, 00:10- or -00:42.5, got '{text}'.",
                "write times as seconds, minutes:seconds or hours:minutes:seconds",
            )
        return cls(
            _parse_clock(start, text) if start.strip() else Fraction(0),
            _parse_clock(end, text) if end.strip() else None,
        )

    def __str__(self) -> str:
        end = "" if self.end_seconds is None else clock_text(self.end_seconds)
        return f"{clock_text(self.start_seconds)}-{end}"


def _parse_clock(text: str, whole: str) -> Fraction:
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise OptionError(
            f"'{text.strip()}' in the range '{whole}' is not a time.",
            "write times as seconds, minutes:seconds or hours:minutes:seconds",
        )
    hours, minutes, seconds = match.groups()
    if (minutes is not None and Fraction(seconds) >= 60) or (hours is not None and int(minutes) >= 60):
        raise OptionError(f"'{text.strip()}' in the range '{whole}' has more than 59 minutes or seconds.")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)


def clock_text(seconds: Fraction) -> str:
    """ "0:04.2" for people: hours only where there are some, milliseconds at most."""
    sign = "-" if seconds < 0 else ""
    milliseconds = round(abs(seconds) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 1000:02d}" + (f".{rest % 1000:03d}".rstrip("0") if rest % 1000 else "")
    return f"{sign}{hours}:{minutes:02d}:{text}" if hours else f"{sign}{minutes}:{text}"
