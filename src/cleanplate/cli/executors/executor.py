"""Protocol of an executor: it takes rows of a manifest, keys each of them in a process, and tells events."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError

RowWork = Callable[[Namespace, Reporter, int | None], object]
"""Function that keys the clip of these arguments with this number of threads; at the top of a module."""

Told = tuple[str, str, dict[str, Any]]
"""Kind, text and facts of an event within the row's process."""


@dataclass(frozen=True)
class RowEvent:
    """News of a row that runs.

    Attributes:
        row: Number of the row.
        kind: ``progress``, ``result``, ``note``, ``done`` or ``error``, as the methods of a reporter. The
            last event is ``ended``, or ``lost`` if the row's process or node died: it may be submitted again.
        text: Sentence for users.
        facts: For programs; ``hint`` of an error.
    """

    row: int
    kind: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Executor(Protocol):
    """Keys rows, each in a process of its own, up to ``slots`` of them at the same time.

    A row gets its arguments and the token of the locks that the caller holds (``media.locks.adopt``).
    """

    slots: int

    def submit(self, row: ManifestRow, arguments: Namespace, token: str) -> None:
        """Start a row, or queue it; returns at once."""

    def hear(self) -> Iterator[RowEvent]:
        """Wait for a second at most, and tell the events since the last call."""

    def cancel(self) -> None:
        """End all rows as Ctrl-C would, and wait for them: what they have done can be resumed."""

    def close(self) -> None:
        """Release the executor when no row runs any more."""


@dataclass(frozen=True)
class ExecutorRequest:
    """Request for the executor of a plug-in, whose entry point is a function of it.

    Attributes:
        address: Value of ``--on``: the entry point's name, or ``NAME://...``.
        work: Function that keys a row; processes on other machines import it.
        jobs: Value of ``--jobs``.
        cpus: Value of ``--num-cpus``.
        gpus: Value of ``--num-gpus``; 1 if None was given for CUDA, else 0.
        reporter: Receives notes.
    """

    address: str
    work: RowWork
    jobs: int | None
    cpus: float | None
    gpus: float
    reporter: Reporter


class EventReporter(Reporter):
    """Reporter of a row's process: passes each event on."""

    def __init__(self, send: Callable[[Told], object]) -> None:
        super().__init__(quiet=True)
        self._send = send

    def result(self, text: str, **facts: Any) -> None:
        self._send(("result", text, facts))

    def note(self, text: str, **facts: Any) -> None:
        self._send(("note", text, facts))

    def done(self, text: str, **facts: Any) -> None:
        self._send(("done", text, facts))

    def error(self, error: CleanplateError, **facts: Any) -> None:
        self._send(("error", error.message, {**facts, "hint": error.hint}))

    def progress(self, text: str, **facts: Any) -> None:
        self._send(("progress", text, facts))
