"""Threads that hand one thing after another on: short queues between them, one way to stop them all."""

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
"""Frames that may wait between two stages at most: enough to even out their speeds, no more."""

PROGRESS_SECONDS = 0.1

GIVEN_WAY = 10
"""Steps of ``nice``: a ninth of the share of a thread with none, where both want the same core."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Stopped(Exception):  # noqa: N818 - not an error
    """Unwinds a stage because another one failed or the user cancelled."""


class Line:
    """State that all stages of one run share: a lock, and whether and why to stop."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.stopped = False
        self.failure: BaseException | None = None

    def stop(self, failure: BaseException | None = None) -> None:
        """Unblock every stage; the first failure is the one that counts."""
        with self.changed:
            if not self.stopped:
                self.failure = failure
            self.stopped = True
            self.changed.notify_all()


@dataclass
class PipelineStage:
    """A thread of a run, and how long it has waited for others.

    Attributes:
        name: What it does, for people: ``keying``.
        work: Done once, in a thread of its own; it is given the stage.
        gives_way: Whether the others go first where there are more threads than cores.
    """

    name: str
    work: Callable[[PipelineStage], None]
    gives_way: bool = True
    _waited: float = field(default=0.0, init=False)
    _since: float | None = field(default=None, init=False)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time within as time in which nothing is done."""
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
        """Wait for room; ``stage`` is the one that waits."""
        with self._line.changed:
            if len(self._items) >= self._depth:
                with stage.waiting():
                    self._line.changed.wait_for(lambda: self._line.stopped or len(self._items) < self._depth)
            if self._line.stopped:
                raise Stopped
            self._items.append(item)
            self._line.changed.notify_all()

    def end(self) -> None:
        """Say that nothing follows."""
        with self._line.changed:
            self._ended = True
            self._line.changed.notify_all()

    def items(self, stage: PipelineStage) -> Iterator[Item]:
        """Everything that is put, until the end; ``stage`` is the one that waits for it."""
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
    """Lower this thread's priority, and that of the codec's threads that it starts.

    The network's threads wait for each other many times a frame; if one of them shares its core, both are
    late. What gives way to them has time enough while they wait. Only Linux knows priorities of threads.
    """
    if sys.platform.startswith("linux"):
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + GIVEN_WAY)


def do_aside(work: Callable[[], Result]) -> Result:
    """Do it in a thread that gives way, as the threads do that it starts: those of a codec that it opens."""
    with ThreadPoolExecutor(1, initializer=_give_way) as pool:
        return pool.submit(work).result()


def run_stages(line: Line, stages: Sequence[PipelineStage], tick: Callable[[], None]) -> None:
    """Run every stage in its own thread until all are done; raise what the first one raised that failed.

    ``tick`` is called about ten times a second, in the calling thread.
    """

    def guarded(stage: PipelineStage) -> None:
        try:
            if stage.gives_way:
                _give_way()
            stage.work(stage)
        except Stopped:
            pass
        except BaseException as failure:  # noqa: BLE001 - carried to the caller's thread
            line.stop(failure)

    threads = [
        threading.Thread(target=guarded, args=(stage,), name=f"cleanplate-{stage.name}", daemon=True)
        for stage in stages
    ]
    started: list[threading.Thread] = []
    # The stages fill the cores already; threads of OpenCV's own would mostly wait for each other.
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
