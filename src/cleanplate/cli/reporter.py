"""Everything the command line says: results to stdout, the rest to stderr, progress to a terminal only.

With ``--json``, everything goes to stdout instead, as one JSON object a line, for the program that started
this one::

    {"event": "progress", "frames": 48, "total": 240, "fps": 12.1, "seconds_left": 15.9, ...}
    {"event": "note", "text": "..."}
    {"event": "result", "path": "cut.mov"}
    {"event": "done", "frames": 240, "seconds": 19.8, "text": "..."}
    {"event": "error", "kind": "InputError", "message": "...", "hint": "..."}
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from types import TracebackType
from typing import Any, TextIO

from cleanplate.errors import CleanplateError

JSON_SECONDS = 0.5


class Reporter:
    """Writes results, notes, errors and one line of progress that is drawn over and over.

    Args:
        quiet: Say nothing but errors and results.
        results: Where results go; stdout by default.
        remarks: Where everything else goes; stderr by default.
        log_seconds: Without a terminal, write a line of progress this often; None: never.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        results: TextIO | None = None,
        remarks: TextIO | None = None,
        log_seconds: float | None = None,
    ) -> None:
        self._results = sys.stdout if results is None else results
        self._remarks = sys.stderr if remarks is None else remarks
        self._quiet = quiet
        self._draws_progress = not quiet and self._remarks.isatty()
        self._log_seconds = None if quiet or self._draws_progress else log_seconds
        self._logged = time.monotonic()
        self._line_length = 0
        self._said: set[str] = set()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear_progress()

    def result(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """What the user asked for; ``facts`` are for :class:`JsonReporter`, here and below."""
        self.clear_progress()
        print(text, file=self._results, flush=True)

    def note(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """What the user should know; the same note is shown once."""
        if not self._quiet and text not in self._said:
            self._said.add(text)
            self._remark(f"note: {text}")

    def done(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """How it went, at the end."""
        if not self._quiet:
            self._remark(text)

    def error(self, error: CleanplateError, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """What went wrong, and what to do about it."""
        self._remark(f"error: {error.message}")
        if error.hint:
            self._remark(f"hint: {error.hint}")

    def progress(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """Draw over the last line of progress, cut to the terminal's width."""
        if self._draws_progress:
            text = text[: shutil.get_terminal_size().columns - 1]
            print(f"\r{text:<{self._line_length}}", end="", file=self._remarks, flush=True)
            self._line_length = len(text)
        elif self._log_seconds is not None and time.monotonic() - self._logged >= self._log_seconds:
            self._logged = time.monotonic()
            self._remark(text)

    def clear_progress(self) -> None:
        """Wipe the line of progress."""
        if self._line_length:
            print("\r" + " " * self._line_length + "\r", end="", file=self._remarks, flush=True)
            self._line_length = 0

    def _remark(self, text: str) -> None:
        self.clear_progress()
        print(text, file=self._remarks, flush=True)


class JsonReporter(Reporter):
    """Writes everything as one JSON object a line; progress at most twice a second."""

    def __init__(self, results: TextIO | None = None) -> None:
        super().__init__(results=results)
        self._progressed = -JSON_SECONDS

    def result(self, text: str, **facts: Any) -> None:
        self._tell("result", path=text, **facts)

    def note(self, text: str, **facts: Any) -> None:
        if text not in self._said:
            self._said.add(text)
            self._tell("note", text=text, **facts)

    def done(self, text: str, **facts: Any) -> None:
        self._tell("done", **facts, text=text)

    def error(self, error: CleanplateError, **facts: Any) -> None:
        kind = type(error).__name__
        self._tell("error", **facts, kind=kind, message=error.message, hint=error.hint)

    def progress(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for people
        now = time.monotonic()
        if now - self._progressed >= JSON_SECONDS:
            self._progressed = now
            self._tell("progress", **facts)

    def _tell(self, event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, **facts}), file=self._results, flush=True)


def format_duration(seconds: float) -> str:
    """Hours only where there are any.

    >>> format_duration(75), format_duration(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
