"""Ctrl-C and SIGTERM: noticed at once, obeyed at the end of a step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interruption:
    """Whether somebody wants the run to stop."""

    asked = False


@contextmanager
def postponed_interruption() -> Iterator[Interruption]:
    """Let the first Ctrl-C or SIGTERM wait for the end of the step; a second one acts at once."""
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
    except ValueError:  # not the main thread, which alone may do so and alone is interrupted
        yield interruption
        return
    try:
        yield interruption
    finally:
        restore()
