"""Decode, key, composite and encode at the same time: in order, with few frames on the way.

Every stage is one thread that takes from a short queue and puts into the next::

    source ─> decode ─> key ─> render ─┬─> encode (sink 1)
                                       └─> encode (sink 2) ...

NumPy, OpenCV, ONNX Runtime and FFmpeg release the interpreter's lock while they compute, so the stages
overlap; the queues are short, so memory does not grow with the length of the clip. The thread that
called :func:`run` computes nothing: it waits, reports progress and receives Ctrl-C.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import cv2

from cleanplate.errors import InputError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.media.base import Sink, Source

QUEUE_DEPTH = 2
"""Frames that may wait between two stages: enough to even out their speeds, no more."""

PROGRESS_SECONDS = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger("cleanplate")


Fetch = Callable[[], Pixels]
"""Waits for pixels that are on their way from an accelerator."""


class Render(Protocol):
    """What turns a matte into the pixels of one output: ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``."""

    def __call__(self, matte: Matte, /) -> Pixels | Fetch: ...


@dataclass(frozen=True)
class Output:
    """One of the results that a run writes: how a matte is rendered for it, and the sink it goes to."""

    render: Render
    sink: Sink


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        frames: Frames written to every sink.
        total: The source's estimate of how many there are, where it has one.
        seconds: Since the run began.
        doing: What the frames are read for: ``keying``, or ``building`` the plate before it.
    """

    frames: int
    total: int | None
    seconds: float
    doing: str = "keying"

    @property
    def fps(self) -> float:
        """Frames per second, on average so far."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None while nothing is known to extrapolate from."""
        if self.total is None or not self.frames:
            return None
        return max(self.total - self.frames, 0) / self.fps


@dataclass(frozen=True)
class Summary:
    """What a run that went well has done: frames, seconds, and the files it wrote."""

    frames: int
    seconds: float
    paths: tuple[Path, ...]


class _Stopped(Exception):  # noqa: N818 - not an error
    """Unwinds a stage because another one failed or the user cancelled."""


class _Line:
    """What all stages of one run share: a lock, and whether and why to stop."""

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


class _Queue(Generic[Item]):
    """A bounded, ordered queue between two stages that gives way when its line stops."""

    def __init__(self, line: _Line, depth: int = QUEUE_DEPTH) -> None:
        self._line = line
        self._depth = depth
        self._items: deque[Item] = deque()
        self._ended = False

    def put(self, item: Item) -> None:
        """Wait for room."""
        with self._line.changed:
            self._line.changed.wait_for(lambda: self._line.stopped or len(self._items) < self._depth)
            if self._line.stopped:
                raise _Stopped
            self._items.append(item)
            self._line.changed.notify_all()

    def end(self) -> None:
        """Say that nothing follows."""
        with self._line.changed:
            self._ended = True
            self._line.changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._line.changed:
                self._line.changed.wait_for(lambda: self._line.stopped or self._items or self._ended)
                if self._line.stopped:
                    raise _Stopped
                if not self._items:
                    return
                item = self._items.popleft()
                self._line.changed.notify_all()
            yield item
            del item  # or the frame would live on until the next one arrives


def run(
    source: Source,
    keyer: Callable[[Frame], Matte],
    outputs: Sequence[Output],
    *,
    prepare: Callable[[Frame], Frame] | None = None,
    finish: Callable[[Matte], Matte] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] = log.warning,
) -> Summary:
    """Key every frame of ``source`` into every one of ``outputs``.

    Whatever happens, no thread is left behind and every sink was finished by exactly one call of ``close``
    or ``abort``. The source stays open; who opened it closes it.

    Args:
        source: Iterated once, in a thread of its own.
        keyer: Frame in, matte out; called for one frame at a time, in order.
        outputs: At least one; each gets every frame.
        prepare: What is done to a frame before it is keyed, beside the keyer's work on the one before.
        finish: What is done to a matte before any output renders it, beside the keyer's work on the next.
        on_progress: Called about ten times a second, in the calling thread.
        on_note: Receives the notes of source and sinks at the end: what was lost, where a partial result is.

    Raises:
        InputError: The source has no frames.
        KeyboardInterrupt: Ctrl-C; what was written until then is kept under the sinks' temporary names.
        Exception: Whatever a stage raised first.
    """
    line = _Line()
    frames: _Queue[Frame] = _Queue(line)
    mattes: _Queue[Matte] = _Queue(line)
    pictures: list[_Queue[tuple[Pixels | Fetch, Frame]]] = [_Queue(line) for _ in outputs]
    written = [0] * len(outputs)

    def decode() -> None:
        for frame in source:
            frames.put(frame if prepare is None else prepare(frame))
        frames.end()

    def key() -> None:
        for frame in frames:
            mattes.put(keyer(frame))
        mattes.end()

    def render() -> None:
        for keyed in mattes:
            matte = keyed if finish is None else finish(keyed)
            for output, queue in zip(outputs, pictures, strict=True):
                queue.put((output.render(matte), matte.frame))
        for queue in pictures:
            queue.end()

    def encode(number: int) -> Callable[[], None]:
        def write() -> None:
            for pixels, frame in pictures[number]:
                outputs[number].sink.write(pixels() if callable(pixels) else pixels, frame)
                written[number] += 1

        return write

    began = time.perf_counter()

    def progress() -> Progress:
        return Progress(min(written), source.info.frame_count, time.perf_counter() - began)

    stages = [decode, key, render, *(encode(number) for number in range(len(outputs)))]
    finished = 0
    try:
        _run_stages(line, stages, lambda: on_progress(progress()) if on_progress else None)
        if not min(written):
            raise InputError(f"{source.info.path.name} has no frames.")
        for output in outputs:
            finished += 1
            output.sink.close()
    except BaseException:
        for output in outputs[finished:]:
            _abort(output.sink, on_note)
        raise
    finally:
        for notes in (source.notes, *(output.sink.notes for output in outputs)):
            for note in notes:
                on_note(note)
    return Summary(min(written), time.perf_counter() - began, tuple(output.sink.path for output in outputs))


def _run_stages(line: _Line, stages: Sequence[Callable[[], None]], tick: Callable[[], None]) -> None:
    """Run every stage in its own thread until all are done; raise what the first one raised that failed."""

    def guarded(stage: Callable[[], None]) -> None:
        try:
            stage()
        except _Stopped:
            pass
        except BaseException as failure:  # noqa: BLE001 - carried to the caller's thread
            line.stop(failure)

    threads = [
        threading.Thread(target=guarded, args=(stage,), name=f"cleanplate-{stage.__name__}", daemon=True)
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


def _abort(sink: Sink, on_note: Callable[[str], None]) -> None:
    """Keep what a sink has; its notes say where. An error in that must not hide the one that led here."""
    try:
        sink.abort()
    except Exception as failure:  # noqa: BLE001 - the first error is on its way up already
        on_note(f"{sink.path.name} could not be finished: {failure}")


def map_ordered(
    open_worker: Callable[[], Callable[[Item], Result]], items: Iterable[Item], *, workers: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Do independent items with several workers; give back ``(item, future)`` in order.

    Every thread calls ``open_worker`` once for a worker of its own, which then does one item after another.
    At most ``2 * workers`` items are on the way or waiting to be taken, so that memory does not grow with
    their number. The futures are finished; ``result()`` raises what the worker raised for that item alone.
    When the caller stops iterating (or is interrupted), items that were not begun are dropped.
    """
    pending: deque[tuple[Item, Future[Result]]] = deque()
    own = threading.local()

    def work(item: Item) -> Result:
        if not hasattr(own, "worker"):
            own.worker = open_worker()
        result: Result = own.worker(item)
        return result

    pool = ThreadPoolExecutor(workers, thread_name_prefix="cleanplate-work")
    try:
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) >= 2 * workers:
                yield _finished(pending.popleft())
        while pending:
            yield _finished(pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(entry: tuple[Item, Future[Result]]) -> tuple[Item, Future[Result]]:
    entry[1].exception()
    return entry
