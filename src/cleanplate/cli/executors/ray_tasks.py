"""Tasks on a Ray cluster as an executor: ``--on ray``, ``--on ray://head:10001``.

Each row is one task in a worker process of its own. Clips, plates and results are on storage that all nodes
see under the same path; only arguments and events travel through Ray. The caller, and not Ray
(``max_retries=0``), submits the row of a dead node again, because the second run needs ``--resume``.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cleanplate import __version__
from cleanplate.cli.executors.executor import EventReporter, RowEvent, RowWork, Told
from cleanplate.cli.executors.ray_address import check_head, short_timeouts
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import (
    CleanplateError,
    InputError,
    MissingExtraError,
    OptionError,
    UnavailableError,
    command_line_hints,
)
from cleanplate.system.system_errors import explaining_system_errors

SLOTS = 1000
"""Rows in Ray's queue: enough for a cluster to see its load and to grow, and few enough to list."""

CPUS = 4
"""Default CPUs of a row, if the largest node has as many."""

TELL_SECONDS = 1.0
"""Time between two messages of a row's progress."""

FENCE_SECONDS = 5.0
"""Time between two checks in a row's process that it still has the lock of its result."""

CANCEL_SECONDS = 60.0
"""Time for the rows to end their segments after Ctrl-C; then they are killed, and can be resumed, too."""


class RayTasks:
    """Executor whose rows are tasks of a Ray cluster.

    Args:
        address: ``ray``: the cluster of this machine or of ``RAY_ADDRESS``, or a new one on this machine;
            ``ray://HOST:PORT``: the client port of a cluster's head.
        work: Function that keys a row.
        jobs: Number of rows that Ray has at the same time; None: :data:`SLOTS`.
        cpus: CPUs of a row; None: :data:`CPUS`, or those of the largest node.
        gpus: GPUs of a row.
        reporter: Receives notes about the cluster.

    Raises:
        OptionError: A number is out of range.
        MissingExtraError: Ray is not installed.
        UnavailableError: There is no cluster at the address.
    """

    def __init__(
        self,
        address: str,
        work: RowWork,
        jobs: int | None,
        cpus: float | None,
        gpus: float,
        reporter: Reporter,
    ) -> None:
        self.slots = SLOTS if jobs is None else jobs
        if self.slots < 1:
            raise OptionError(f"Expected --jobs of at least 1, got {jobs}.")
        for name, number in (("cpus", cpus), ("gpus", gpus)):
            if number is not None and not 0 <= number < float("inf"):
                raise OptionError(f"Expected --num-{name} of at least 0, got {number}.")
        self._address, self._work = address, work
        self._ray = _connect(address)
        largest = _find_room(self._ray)
        self._cpus = float(min(CPUS, largest["CPU"]) or 1) if cpus is None else cpus
        if self._cpus > largest["CPU"] or gpus > largest["GPU"]:
            reporter.note(f"The rows wait: no node of the cluster has {self._cpus:g} CPUs and {gpus:g} GPUs.")
        self._board = self._ray.remote(_Board).options(num_cpus=0, max_restarts=-1).remote()
        options = {"num_cpus": self._cpus, "num_gpus": gpus, "max_retries": 0}
        task = self._ray.remote(**options, max_calls=1, scheduling_strategy="SPREAD")
        self._key = task(_key_on_node)
        self._rows: dict[Any, int] = {}

    def submit(self, row: ManifestRow, arguments: Namespace, token: str) -> None:
        """Queue the task of a row."""
        threads = max(1, int(self._cpus))
        place = (os.fspath(Path.cwd()), __version__)
        given = (row.number, arguments, row.results)
        with self._explaining():
            task = self._key.remote(given, self._work, threads, token, place, self._board)
        self._rows[task] = row.number

    def hear(self) -> Iterator[RowEvent]:
        """Tell the progress of running rows and the events of ended ones, after a second at most."""
        with self._explaining():
            ended, _ = self._ray.wait(list(self._rows), num_returns=1, timeout=TELL_SECONDS)
            if ended:
                ended, _ = self._ray.wait(list(self._rows), num_returns=len(self._rows), timeout=0)
            progress = self._read_board()
            events = {task: self._fetch(task) for task in ended}
        waited_for = set(self._rows.values())
        for row, facts in progress.items():
            if row in waited_for:
                yield RowEvent(row, "progress", "", facts)
        for task in ended:
            del self._rows[task]
            yield from events[task]

    def cancel(self) -> None:
        """Cancel the tasks: a running one ends its segment."""
        with contextlib.suppress(CleanplateError), self._explaining():
            tasks = list(self._rows)
            for task in tasks:
                self._ray.cancel(task)
            if tasks:
                _, left = self._ray.wait(tasks, num_returns=len(tasks), timeout=CANCEL_SECONDS)
                for task in left:
                    self._ray.cancel(task, force=True)
        self._rows.clear()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()

    def _read_board(self) -> dict[int, dict[str, Any]]:
        """Progress of the rows that told any; empty while the board's node is replaced."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            return dict(self._ray.get(self._board.read.remote(), timeout=5))
        return {}

    def _fetch(self, task: Any) -> list[RowEvent]:
        """The events of a task that ended, by its result or by its exception."""
        row, errors = self._rows[task], self._ray.exceptions
        try:
            return [RowEvent(row, *event) for event in self._ray.get(task)] + [RowEvent(row, "ended")]
        except errors.RayTaskError as error:
            last = (str(error).strip().splitlines() or [""])[-1]
            text, hint = (
                f"Its task failed: {last}",
                "compare the node's installation with this one",
            )
            return [RowEvent(row, "error", text, {"hint": hint}), RowEvent(row, "ended")]
        except errors.RayError as error:
            what = "ran out of memory" if isinstance(error, errors.OutOfMemoryError) else "died"
            return [RowEvent(row, "lost", f"Its worker or node {what}.", {"hint": "continue with --resume"})]

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn the loss of the whole cluster into an error of the user."""
        try:
            yield
        except (ConnectionError, self._ray.exceptions.RaySystemError) as error:
            raise UnavailableError(
                f"The Ray cluster {self._address} does not answer any more.", "continue with --resume"
            ) from error


class _Board:
    """Actor that holds the latest progress of each row."""

    def __init__(self) -> None:
        self._facts: dict[int, dict[str, Any]] = {}

    def tell(self, row: int, facts: dict[str, Any]) -> None:
        self._facts[row] = facts

    def read(self) -> dict[int, dict[str, Any]]:
        """The progress since the last call."""
        facts, self._facts = self._facts, {}
        return facts


def _key_on_node(
    given: tuple[int, Namespace, Sequence[Path]],
    work: RowWork,
    threads: int,
    token: str,
    place: tuple[str, str],
    board: Any,
) -> list[Told]:
    """Key a row in the process of a Ray worker; returns its events, without the progress."""
    from cleanplate.media.locks import adopt
    from cleanplate.system.allocator import keep_freed_memory

    keep_freed_memory(share_among_threads=True)
    events: list[Told] = []
    row, arguments, results = given
    fence = _Fence(results)
    told = 0.0

    def send(event: Told) -> None:
        nonlocal told
        if event[0] != "progress":
            events.append(event)
            return
        fence.check()
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            board.tell.remote(row, {**event[2], "node": platform.node()})

    reporter = EventReporter(send)
    try:
        _enter(*place)
        adopt(token)
        with command_line_hints(), explaining_system_errors():
            work(arguments, reporter, threads)
    except CleanplateError as error:
        reporter.error(error)
    return events


def _enter(folder: str, version: str) -> None:
    """Change to the folder of the command, with the same version of the package.

    Raises:
        InputError: The node lacks the folder.
        UnavailableError: The node has another version.
    """
    if version != __version__:
        raise UnavailableError(
            f"The node {platform.node()} has cleanplate {__version__}, this command has {version}.",
            "install the same version on all nodes",
        )
    try:
        os.chdir(folder)
    except OSError as error:
        raise InputError(
            f"The node {platform.node()} does not see the folder {folder}.",
            "mount the storage of clips, plates and results under the same path on all nodes",
        ) from error


class _Fence:
    """Ends this process at once if another one has taken the lock of its result over.

    A node that was cut off from the cluster for a while is dead to Ray, and its row runs elsewhere, in the
    same files. Nothing is cleaned up here, because the files are the other's.
    """

    def __init__(self, results: Sequence[Path]) -> None:
        self._results = results[:1]
        self._checked = time.monotonic()

    def check(self) -> None:
        """Check if it is time. The row has its lock from its first progress on."""
        from cleanplate.media.locks import is_taken

        if time.monotonic() - self._checked >= FENCE_SECONDS:
            self._checked = time.monotonic()
            if any(is_taken(path) for path in self._results):
                os._exit(1)


def _connect(address: str) -> Any:
    """Ray, connected to the cluster."""
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "--on ray")
    check_head(address)
    short_timeouts()
    ray: Any = import_module("ray")
    before = signal.getsignal(signal.SIGTERM)
    try:
        _initialise(ray, address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[0].rstrip(".")
        raise UnavailableError(
            f"There is no usable Ray cluster at {address}: {reason}.",
            "start one with 'ray start --head', with the same versions of Ray and Python",
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray's handler would exit without an end of the rows
    return ray


def _initialise(ray: Any, address: str) -> None:
    """Start a cluster, or join one: a busy head gets a second try, as it starts a process for each client."""
    # A warning would repeat the error.
    warnings.filterwarnings("ignore", message="Ray Client connection timed out")
    if address == "ray":
        ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False)
        return
    try:
        ray.init(address, logging_level="ERROR", log_to_driver=False)
    except ConnectionError as error:
        if "Initialization failure" not in str(error):
            raise
        ray.init(address, logging_level="ERROR", log_to_driver=False)


def _find_room(ray: Any) -> dict[str, float]:
    """CPUs and GPUs of the largest node."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in ("CPU", "GPU")}
