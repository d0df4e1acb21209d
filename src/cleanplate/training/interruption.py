"""Handling of Ctrl-C and SIGTERM: a run stops at the end of its step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interruption:
    """State of an interruption: whether the run should stop."""

    asked = False


@contextmanager
def postponed_interruption() -> Iterator[Interruption]:
    """Delay the first Ctrl-C or SIGTERM to the end of the step; a second one acts at once."""
    interruption = Interruption()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(one) for one in signals]

    def restore() -> None:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)

    def postpone(*_: object) -> None:
        interruption.asked = True
        restore()

    try:
        for one in signals:
            signal.signal(one, postpone)
    except ValueError:  # another thread: only the main thread can set handlers and is interrupted
        yield interruption
        return
    try:
        yield interruption
    finally:
        restore()
