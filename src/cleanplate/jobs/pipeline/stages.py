"""Threads of a pipeline, with short queues between them and a common way to stop."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import cv2

QUEUE_DEPTH = 2
"""Largest number of frames between two stages, enough to even out their speeds; longer queues gain nothing
(docs/log.md, 2026-11-28, end to end)."""

PROGRESS_SECONDS = 0.1

GIVEN_WAY = 10
"""Steps of ``nice``: a ninth of the time of a thread without, if both need the same core. Measured end to end
(docs/log.md, 2026-11-28)."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Stopped(Exception):  # noqa: N818 - not an error
    """Unwinds a stage because another one failed or the user cancelled."""


@dataclass(frozen=True)
class Load:
    """Work of a stage in a whole run.

    Attributes:
        name: Its name for users.
        threads: Number of its threads.
        busy_seconds: Time in which they did not wait for other stages, added up.
        processor_seconds: Processor time of these threads, without those that a codec or a network starts.
    """

    name: str
    threads: int
    busy_seconds: float
    processor_seconds: float


class Line:
    """Shared state of all stages of a run: a lock, the flag to stop, and the first failure.

    Attributes:
        on_stop: Functions that end the waits of stages for other programs.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.on_stop: list[Callable[[], None]] = []
        self.stopped = False
        self.failure: BaseException | None = None

    def stop(self, failure: BaseException | None = None) -> None:
        """Unblock every stage; only the first failure is kept."""
        with self.changed:
            if not self.stopped:
                self.failure = failure
            self.stopped = True
            self.changed.notify_all()
        for interrupt in self.on_stop:
            interrupt()


@dataclass
class PipelineStage:
    """A thread of a run, with the time that it has waited for others.

    Attributes:
        name: Its name for users: ``keying``.
        work: Function that runs once, in its own thread, with the stage as its argument.
        gives_way: Whether the thread has a lower priority than the others.
        load: Its work, as soon as it has ended.
    """

    name: str
    work: Callable[[PipelineStage], None]
    gives_way: bool = True
    load: Load | None = field(default=None, init=False)
    _waited: float = field(default=0.0, init=False)
    _since: float | None = field(default=None, init=False)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time within the block as waiting."""
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._waited += time.perf_counter() - self._since
            self._since = None

    def waited(self, now: float) -> float:
        """Seconds until ``now``, a time of ``time.perf_counter``, in which it has waited."""
        since = self._since
        return self._waited + (0.0 if since is None else max(0.0, now - since))


class Queue(Generic[Item]):
    """A bounded, ordered queue between two stages that gives way when its line stops."""

    def __init__(self, line: Line, depth: int) -> None:
        self._line = line
        self._depth = depth
        self._items: deque[Item] = deque()
        self._ended = False

    def put(self, item: Item, stage: PipelineStage) -> None:
        """Put an item, after waiting for space; ``stage`` is the waiting one."""
        with self._line.changed:
            if len(self._items) >= self._depth:
                with stage.waiting():
                    self._line.changed.wait_for(lambda: self._line.stopped or len(self._items) < self._depth)
            if self._line.stopped:
                raise Stopped
            self._items.append(item)
            self._line.changed.notify_all()

    def end(self) -> None:
        """Mark the end of the items."""
        with self._line.changed:
            self._ended = True
            self._line.changed.notify_all()

    def items(self, stage: PipelineStage) -> Iterator[Item]:
        """Yield all items until the end; ``stage`` is the waiting one."""
        while True:
            with self._line.changed:
                if not (self._items or self._ended):
                    with stage.waiting():
                        self._line.changed.wait_for(lambda: self._line.stopped or self._items or self._ended)
                if self._line.stopped:
                    raise Stopped
                if not self._items:
                    return
                item = self._items.popleft()
                self._line.changed.notify_all()
            yield item
            del item  # or the frame would live on until the next one arrives


def _give_way() -> None:
    """Lower the priority of this thread and of the codec's threads that it starts.

    The network's threads wait for each other many times a frame; if one of them shares its core, all are
    late. The other threads get enough time while the network's wait. Only Linux has priorities of threads.
    """
    if sys.platform.startswith("linux"):
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + GIVEN_WAY)


def do_aside(work: Callable[[], Result]) -> Result:
    """Call a function in a thread of low priority, which the threads that it starts inherit (a codec's)."""
    with ThreadPoolExecutor(1, initializer=_give_way) as pool:
        return pool.submit(work).result()


def run_stages(line: Line, stages: Sequence[PipelineStage], tick: Callable[[], None]) -> None:
    """Run every stage in its own thread until all are done; raise the first error of a stage.

    ``tick`` is called about ten times a second, in the calling thread.
    """

    def guarded(stage: PipelineStage) -> None:
        began = time.perf_counter()
        try:
            if stage.gives_way:
                _give_way()
            stage.work(stage)
            now = time.perf_counter()
            stage.load = Load(stage.name, 1, now - began - stage.waited(now), time.thread_time())
        except Stopped:
            pass
        except BaseException as failure:  # noqa: BLE001 - carried to the caller's thread
            line.stop(failure)

    threads = [
        threading.Thread(target=guarded, args=(stage,), name=f"cleanplate-{stage.name}", daemon=True)
        for stage in stages
    ]
    started: list[threading.Thread] = []
    # The stages already use all cores; OpenCV's own threads would mostly wait for each other.
    opencv_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        # Joining with a time limit, not for good: so that Ctrl-C is received and progress reported.
        for thread in threads:
            while thread.is_alive():
                thread.join(PROGRESS_SECONDS)
                tick()
    except BaseException as failure:
        line.stop(failure)
        raise
    finally:
        for thread in started:
            thread.join()
        cv2.setNumThreads(opencv_threads)
    if line.failure is not None:
        raise line.failure
