"""Where the newest wins: what one thread hands to another that may be slower."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Slot(Generic[Item]):
    """Holds one item; a newer one takes its place, so that whoever takes it is never late by a queue.

    Attributes:
        missed: Items that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.missed = 0
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._ended = False

    def put(self, item: Item) -> None:
        """Leave an item; does not wait."""
        with self._changed:
            self.missed += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self, timeout_seconds: float) -> Item | None:
        """Wait for an item and take it; None after the time, or at once when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._ended, timeout_seconds)
            item, self._item = self._item, None
            return item

    def end(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def has_ended(self) -> bool:
        """Whether nothing is there and nothing follows."""
        with self._changed:
            return self._ended and self._item is None
