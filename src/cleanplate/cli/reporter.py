"""Output of the command line: results to stdout, the rest to stderr, progress to a terminal only.

With ``--json``, everything goes to stdout as one JSON object per line, for a calling program::

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

from cleanplate.cli.streams import drop_stdout, or_nowhere
from cleanplate.errors import CleanplateError, OutputError
from cleanplate.system.system_errors import reason_of

JSON_SECONDS = 0.5


class Reporter:
    """Writes results, notes, errors and one line of progress, which is overwritten in place.

    Args:
        quiet: Write only errors and results.
        results: Stream of results; stdout by default.
        remarks: Stream of everything else; stderr by default.
        log_seconds: Time between lines of progress without a terminal; None: no such lines.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        results: TextIO | None = None,
        remarks: TextIO | None = None,
        log_seconds: float | None = None,
    ) -> None:
        self._results = or_nowhere(sys.stdout if results is None else results)
        self._remarks = or_nowhere(sys.stderr if remarks is None else remarks)
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
        """Report a result; ``facts`` are for :class:`JsonReporter`, here and below."""
        self.clear_progress()
        self._write_result(text)

    def heading(self, text: str) -> None:
        """Write the heading of a table."""
        self._write_result(text)

    def row(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """Write a row of a table."""
        self._write_result(text)

    def note(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """Show a note, each text once."""
        if not self._quiet and text not in self._said:
            self._said.add(text)
            self._remark(f"note: {text}")

    def done(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """Show the summary at the end."""
        if not self._quiet:
            self._remark(text)

    def error(self, error: CleanplateError, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """Show an error and its hint."""
        self._remark(f"error: {error.message}")
        if error.hint:
            self._remark(f"hint: {error.hint}")

    def progress(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for programs
        """Overwrite the line of progress, cut to the terminal's width."""
        if self._draws_progress:
            text = text[: shutil.get_terminal_size().columns - 1]
            self._draw(f"\r{text:<{self._line_length}}")
            self._line_length = len(text)
        elif self._log_seconds is not None and time.monotonic() - self._logged >= self._log_seconds:
            self._logged = time.monotonic()
            self._remark(text)

    def clear_progress(self) -> None:
        """Wipe the line of progress."""
        if self._line_length:
            self._draw("\r" + " " * self._line_length + "\r")
            self._line_length = 0

    def _remark(self, text: str) -> None:
        self.clear_progress()
        self._draw(f"{text}\n")

    def _draw(self, text: str) -> None:
        try:
            print(text, end="", file=self._remarks, flush=True)
        except BrokenPipeError:
            raise
        except OSError:
            return  # a full device: the work continues without remarks

    def _write_result(self, text: str) -> None:
        try:
            print(text, file=self._results, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._results is sys.stdout:
                drop_stdout()
            reason = reason_of(error)
            raise OutputError(f"Standard output cannot be written: {reason}.") from error


class JsonReporter(Reporter):
    """Writes everything as one JSON object per line; progress at most twice a second."""

    def __init__(self, results: TextIO | None = None) -> None:
        super().__init__(results=results)
        self._progressed = -JSON_SECONDS

    def result(self, text: str, **facts: Any) -> None:
        self._tell("result", path=text, **facts)

    def heading(self, text: str) -> None:
        pass

    def row(self, text: str, **facts: Any) -> None:  # noqa: ARG002 - for people
        self._tell("row", **facts)

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
        self._write_result(json.dumps({"event": event, **facts}))


def format_duration(seconds: float) -> str:
    """Write a duration as minutes and seconds, from one hour on with hours.

    >>> format_duration(75), format_duration(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
