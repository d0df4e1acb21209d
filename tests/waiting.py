"""Waiting for an event in another thread or process, in place of a sleep; stopping a process meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def wait_until(
    condition: Callable[[], object],
    what: str,
    *,
    seconds: float = 600.0,
    process: subprocess.Popen[Any] | None = None,
) -> None:
    """Poll a condition until it holds.

    Args:
        condition: Polled a hundred times a second.
        what: Name of the event, for the message of a failure.
        seconds: Time after which the test fails.
        process: Fail at once when this process ends before.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None and not condition():
            pytest.fail(f"no {what}: the process ended with {process.returncode}, {process.communicate()}")
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {seconds:g} seconds")
        time.sleep(0.01)


@contextlib.contextmanager
def stopped(*processes: int) -> Iterator[None]:
    """Stop processes by their ids, so that they do not end before they are looked at; they go on afterwards.

    Without it a test compares two speeds: a run, and the start of another program on a busy machine.
    """
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("this system cannot stop a process")
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def find_children(process: int) -> list[int]:
    """Ids of the child processes of a process."""
    command = ["ps", "-A", "-o", "pid=,ppid="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == process]
