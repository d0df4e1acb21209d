"""Messages and progress: streams, verbosity and JSON."""

from __future__ import annotations

import io

import pytest

from cleanplate.cli.reporter import Reporter, format_duration
from cleanplate.errors import OutputError, command_line_hints


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_results_and_notes_have_separate_streams():
    results, remarks = io.StringIO(), io.StringIO()
    with Reporter(results=results, remarks=remarks) as reporter, command_line_hints():
        reporter.note("the plate was shifted")
        reporter.note("the plate was shifted")
        reporter.progress("frame 3")
        reporter.result("cut.mov")
        reporter.error(OutputError("cut.mov exists.", "use --overwrite"))
    assert results.getvalue() == "cut.mov\n"
    assert (
        remarks.getvalue() == "note: the plate was shifted\nerror: cut.mov exists.\nhint: use --overwrite\n"
    )


def test_progress_is_redrawn_and_erased_on_a_terminal():
    remarks = Terminal()
    with Reporter(results=io.StringIO(), remarks=remarks) as reporter:
        reporter.progress("frame 10")
        reporter.progress("frame 9")
    assert remarks.getvalue() == "\rframe 10\rframe 9 " + "\r       \r"


def test_progress_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "12")
    remarks = Terminal()
    Reporter(remarks=remarks).progress("a long line of progress")
    assert remarks.getvalue() == "\ra long line"


def test_quiet_keeps_errors_and_results():
    results, remarks = io.StringIO(), Terminal()
    with Reporter(quiet=True, results=results, remarks=remarks) as reporter:
        reporter.note("a note")
        reporter.progress("frame 1")
        reporter.result("cut.mov")
        reporter.error(OutputError("No room."))
    assert results.getvalue() == "cut.mov\n"
    assert remarks.getvalue() == "error: No room.\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3600, "1:00:00"), (86399, "23:59:59")]
)
def test_durations_are_formatted(seconds, text):
    assert format_duration(seconds) == text


def test_progress_is_logged_at_intervals_without_a_terminal(monkeypatch):
    now = 100.0
    monkeypatch.setattr("cleanplate.cli.reporter.time.monotonic", lambda: now)
    for options, lines in (
        ({"log_seconds": 60}, ["step 61", "step 121"]),
        ({}, []),
        ({"quiet": True, "log_seconds": 60}, []),
    ):
        remarks = io.StringIO()
        now = 100.0
        with Reporter(results=io.StringIO(), remarks=remarks, **options) as reporter:
            for step in range(2, 150):
                now += 1
                reporter.progress(f"step {step}")
        assert remarks.getvalue().splitlines() == lines


def test_on_a_terminal_nothing_is_logged(monkeypatch):
    now = 100.0
    monkeypatch.setattr("cleanplate.cli.reporter.time.monotonic", lambda: now)
    remarks = Terminal()
    with Reporter(results=io.StringIO(), remarks=remarks, log_seconds=60) as reporter:
        now += 100
        reporter.progress("step 9")
    assert "\n" not in remarks.getvalue()
