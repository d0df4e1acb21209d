"""Waiting for an event in another thread or process, in place of a sleep of some length."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest


def wait_until(
    condition: Callable[[], object],
    what: str,
    *,
    seconds: float = 120.0,
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
