"""Everything the command line says: results to stdout, the rest to stderr, progress to a terminal only."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType
from typing import TextIO

from cleanplate.errors import CleanplateError


class Reporter:
    """Writes results, notes, errors and one line of progress that is drawn over and over.

    Args:
        quiet: Say nothing but errors and results.
        results: Where results go; stdout by default.
        remarks: Where everything else goes; stderr by default.
    """

    def __init__(
        self, *, quiet: bool = False, results: TextIO | None = None, remarks: TextIO | None = None
    ) -> None:
        self._results = sys.stdout if results is None else results
        self._remarks = sys.stderr if remarks is None else remarks
        self._quiet = quiet
        self._draws_progress = not quiet and self._remarks.isatty()
        self._line_length = 0
        self._said: set[str] = set()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear_progress()

    def result(self, text: str) -> None:
        """What the user asked for."""
        self.clear_progress()
        print(text, file=self._results, flush=True)

    def note(self, text: str) -> None:
        """What the user should know; the same note is shown once."""
        if not self._quiet and text not in self._said:
            self._said.add(text)
            self._remark(f"note: {text}")

    def done(self, text: str) -> None:
        """How it went, at the end."""
        if not self._quiet:
            self._remark(text)

    def error(self, error: CleanplateError) -> None:
        """What went wrong, and what to do about it."""
        self._remark(f"error: {error.message}")
        if error.hint:
            self._remark(f"hint: {error.hint}")

    def progress(self, text: str) -> None:
        """Draw over the last line of progress, cut to the terminal's width."""
        if self._draws_progress:
            text = text[: shutil.get_terminal_size().columns - 1]
            print(f"\r{text:<{self._line_length}}", end="", file=self._remarks, flush=True)
            self._line_length = len(text)

    def clear_progress(self) -> None:
        """Wipe the line of progress."""
        if self._line_length:
            print("\r" + " " * self._line_length + "\r", end="", file=self._remarks, flush=True)
            self._line_length = 0

    def _remark(self, text: str) -> None:
        self.clear_progress()
        print(text, file=self._remarks, flush=True)


def format_duration(seconds: float) -> str:
    """Hours only where there are any.

    >>> format_duration(75), format_duration(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
