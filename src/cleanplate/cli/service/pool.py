"""Workers of the service: threads that take tasks from the queue, each with a child process for pictures."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import LifoQueue
from typing import Any

from cleanplate.cli.service.child import PictureCutter, answer_requests
from cleanplate.cli.service.fair_queue import FairQueue
from cleanplate.cli.service.limits import INSPECTION_SECONDS, INSPECTORS
from cleanplate.cli.service.refusals import NO_ROOM, Refusal, hide_paths, spell_hint
from cleanplate.system.cores import usable_cores

MakeCutter = Callable[[int | None], PictureCutter]
"""Makes the cutter of a child process, for this number of threads; at the top of a module."""

_POLL_SECONDS = 0.25
_STOP_SECONDS = 60.0
_EXIT_SECONDS = 0.5
_START_SECONDS = 60.0
"""Time for the start of a process, not counted by its first call. Chosen: it takes 2 s on idle cores."""


class PictureProcess:
    """A child process that is started when it is needed and replaced when it has died.

    Args:
        make_cutter: Makes its cutter.
        threads: CPU threads of the network; None for one per core.
        stopping: Set when the service stops: a running call is then given up.
    """

    def __init__(self, make_cutter: MakeCutter, threads: int | None, stopping: threading.Event) -> None:
        self._make_cutter, self._threads, self._stopping = make_cutter, threads, stopping
        self._process: Any = None
        self._pipe: Connection | None = None
        self._lock = threading.RLock()

    def call(self, name: str, *arguments: object, names: dict[str, str], seconds: float) -> Any:
        """Call a method in the process.

        Args:
            name: Name of the method.
            arguments: For it.
            names: The client's names of the files, for messages.
            seconds: Longest time; then the process is replaced. Its start is not counted.

        Raises:
            Refusal: The method has failed, the process has died, or the time is over.
        """
        with self._lock:
            before = self._pipe
            pipe = self._start()
            try:
                pipe.send((name, arguments))
                self._wait(pipe, seconds if pipe is before else seconds + _START_SECONDS)
                answer = pipe.recv()
            except (EOFError, OSError) as error:
                self.end()
                raise Refusal(422, "The process that read the files has died.", "check the files") from error
            except Refusal:
                self.end()
                raise
        if answer[0] == "result":
            return answer[1]
        _, kind, message, hint = answer
        if kind == "full":
            raise Refusal(507, NO_ROOM, "try again later")
        status = {"large": 413, "UnavailableError": 503, "MissingExtraError": 501}.get(kind, 422)
        raise Refusal(status, hide_paths(message, names), spell_hint(hint, names))

    def end(self) -> None:
        """End the process, after a running call."""
        with self._lock:
            if self._pipe is not None:
                self._pipe.close()
            if self._process is not None:
                self._process.join(_EXIT_SECONDS)
                if self._process.exitcode is None:
                    self._process.kill()
                    self._process.join()
            self._process = self._pipe = None

    def _start(self) -> Connection:
        if self._process is not None and self._process.exitcode is None and self._pipe is not None:
            return self._pipe
        self.end()
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=answer_requests, args=(theirs, self._make_cutter, self._threads), daemon=True
        )
        self._process.start()
        theirs.close()
        return self._pipe

    def _wait(self, pipe: Connection, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not pipe.poll(_POLL_SECONDS):
            if self._stopping.is_set():
                raise Refusal(503, "The service is stopping.", "try again later", retry_seconds=10)
            if time.monotonic() > deadline:
                raise Refusal(422, f"The files took more than {seconds:g} seconds.", "send smaller files")


class Pool:
    """Threads that work off a queue.

    Args:
        queue: The tasks.
        workers: Number of threads.
        make_cutter: Makes the cutter of each child process.
    """

    def __init__(self, queue: FairQueue, workers: int, make_cutter: MakeCutter) -> None:
        self.stopping = threading.Event()
        self.threads = max(1, usable_cores() // workers)
        self._inspectors = [PictureProcess(make_cutter, 1, self.stopping) for _ in range(INSPECTORS)]
        self._idle_inspectors: LifoQueue[PictureProcess] = (
            LifoQueue()
        )  # the second starts if the first is busy
        for inspector in reversed(self._inspectors):
            self._idle_inspectors.put(inspector)
        self._queue = queue
        self._processes = [PictureProcess(make_cutter, self.threads, self.stopping) for _ in range(workers)]
        self._workers = [
            threading.Thread(target=self._work, args=(process,), name=f"worker {number}", daemon=True)
            for number, process in enumerate(self._processes)
        ]

    @property
    def is_alive(self) -> bool:
        """True if all threads are running."""
        return all(worker.is_alive() for worker in self._workers)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def inspect(self, *arguments: object, names: dict[str, str]) -> Any:
        """Call the method ``inspect`` in a process that does nothing else."""
        inspector = self._idle_inspectors.get()
        try:
            return inspector.call("inspect", *arguments, names=names, seconds=INSPECTION_SECONDS)
        finally:
            self._idle_inspectors.put(inspector)

    def stop(self) -> None:
        """End all work; interrupted clips can be resumed."""
        self.stopping.set()
        self._queue.close()
        for worker in self._workers:
            worker.join(_STOP_SECONDS)
        for process in (*self._processes, *self._inspectors):
            process.end()

    def _work(self, process: PictureProcess) -> None:
        while (task := self._queue.take()) is not None:
            began = time.monotonic()
            try:
                task.run(process)
            except Exception:  # noqa: BLE001 - the next task is another client's
                traceback.print_exc(file=sys.stderr)
            finally:
                self._queue.done(task, time.monotonic() - began)
