"""Several frames in the keyer at the same time, with mattes in order and equal to those of one at a time.

The keyer's work on a frame has three parts. *Place* gives the frame its plate, and *accept* updates the shot
from its matte; both need the frames before, so they run in order, in one thread. The networks between them
need the frame and its plate alone, and take nearly all the time: workers run them, each with its own runtime.

A frame is placed only after the frame before it was accepted. Its worker begins earlier, with the plate of
the last placed frame, because a plate at rest stays the same object. If *place* then gives another plate (a
camera moves, the light changes), the early result is dropped and the frame is keyed with the right one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import local
from typing import Any, Protocol

from cleanplate.frame import Frame, Matte
from cleanplate.jobs.pipeline.meter import StageMeter
from cleanplate.jobs.pipeline.stages import Load
from cleanplate.jobs.pipeline.trace import Trace


class Task(Protocol):
    """A frame for a worker."""

    @property
    def can_begin(self) -> bool:
        """True if a worker may begin before the frame is placed."""
        ...


class SplitKeyer(Protocol):
    """A keyer whose work on a frame is split, as that of :class:`cleanplate.Keyer`.

    All methods but :meth:`open_worker` and the workers themselves are called in one thread, in order.
    """

    def __call__(self, frame: Frame, /) -> Matte: ...

    @property
    def worker(self) -> Callable[[Any], Any]:
        """Worker for the thread that places frames."""
        ...

    def open_worker(self, threads: int) -> Callable[[Any], Any]:
        """Open a worker for another thread; its result for a task equals that of every other worker."""
        ...

    def expect(self, frame: Frame) -> Task:
        """Make the task of the next frame."""
        ...

    def place(self, task: Any) -> Task:
        """Complete the task by the frames before it; the same object if nothing was to be changed."""
        ...

    def accept(self, keyed: Any) -> Matte:
        """Take over a worker's result for the last placed frame."""
        ...


CHAIN = "keying in order"
"""Name of the work that needs the frames before."""

WORK = "networks"
"""Name of a worker's work on a frame in a trace."""

Step = tuple[Frame, Callable[[], Matte]]
"""A frame, and the function that gives its matte: called in order, before the next step is taken."""


class Workers:
    """Workers of a keyer.

    Args:
        keyer: The keyer.
        count: Number of frames that are keyed at the same time.
        threads: CPU threads of each worker.
    """

    def __init__(self, keyer: SplitKeyer, count: int, threads: int) -> None:
        self.keyer, self.count, self.threads = keyer, count, threads
        self._chain, self._work = StageMeter(CHAIN), StageMeter(WORK)

    @property
    def loads(self) -> tuple[Load, Load]:
        """Work so far: of the chain, in the thread that places frames, and of all workers."""
        return self._chain.load(CHAIN, 1), self._work.load(f"{self.count} workers", self.count)

    def key(self, frames: Iterable[Frame], trace: Trace | None = None) -> Generator[Step]:
        """Yield a step for each frame, in order; ``close`` ends the workers.

        ``count`` frames are in work when a step is taken, and one more waits for a worker.
        """
        self._chain.trace = self._work.trace = trace
        begun: deque[_Begun] = deque()
        own = local()

        def work(task: Any, index: int) -> Any:
            if not hasattr(own, "worker"):
                own.worker = self.keyer.open_worker(self.threads)
            with self._work.measure(index):
                return own.worker(task)

        pool = ThreadPoolExecutor(self.count, thread_name_prefix="cleanplate-keying")
        try:
            for frame in frames:
                task = self.keyer.expect(frame)
                result = pool.submit(work, task, frame.index) if task.can_begin else None
                begun.append(_Begun(frame, task, result))
                del frame, task, result  # or they would live on until the next frame
                if len(begun) > self.count:
                    yield self._finish(begun)
            while begun:
                yield self._finish(begun)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, begun: deque[_Begun]) -> Step:
        first = begun.popleft()
        return first.frame, partial(self._key, first, begun)

    def _key(self, first: _Begun, later: Iterable[_Begun]) -> Matte:
        index = first.frame.index
        with self._chain.measure(index):
            placed, result = self.keyer.place(first.task), first.result
        if result is not None and placed is not first.task:
            for each in (first, *later):  # later frames expect the wrong plate, too
                each.cancel()
        elif result is not None and not result.cancelled():
            return self._accept(result.result(), index)
        return self._accept(self.keyer.worker(placed), index)

    def _accept(self, keyed: Any, index: int) -> Matte:
        with self._chain.measure(index):
            return self.keyer.accept(keyed)


@dataclass(frozen=True)
class _Begun:
    """A frame in work.

    Attributes:
        frame: The frame.
        task: Its task.
        result: Result of a worker; None: no worker has begun.
    """

    frame: Frame
    task: Task
    result: Future[Any] | None

    def cancel(self) -> None:
        if self.result is not None:
            self.result.cancel()


def key_one_by_one(keyer: Callable[[Frame], Matte], frames: Iterable[Frame]) -> Generator[Step]:
    """Yield the steps of a keyer that is called for one frame at a time."""
    for frame in frames:
        yield frame, partial(keyer, frame)
