"""Counter of repeated events for a note."""

from __future__ import annotations

MOST_NAMED = 5
"""Largest number of times that a note lists."""


class EventTally:
    """Counter of repeated events, with the names of the first few."""

    def __init__(self) -> None:
        self.count = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= MOST_NAMED:
            self._names.append(name)

    def __str__(self) -> str:
        return ", ".join(self._names) + (" and so on" if self.count > len(self._names) else "")
