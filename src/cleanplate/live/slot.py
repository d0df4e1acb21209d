"""A slot between two threads, in which a newer item replaces an older one."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Slot(Generic[Item]):
    """Holds one item; a newer one replaces it, so that a slow reader gets the newest without a queue's delay.

    Attributes:
        missed: Number of items that were replaced before they were taken.
    """

    def __init__(self) -> None:
        self.missed = 0
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._ended = False

    def put(self, item: Item) -> None:
        """Put an item in; does not wait."""
        with self._changed:
            self.missed += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self, timeout_seconds: float) -> Item | None:
        """Wait for an item and take it; None after the timeout, or at once after the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._ended, timeout_seconds)
            item, self._item = self._item, None
            return item

    def end(self) -> None:
        """Declare that no item follows."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def has_ended(self) -> bool:
        """True if the slot is empty and no item follows."""
        with self._changed:
            return self._ended and self._item is None
