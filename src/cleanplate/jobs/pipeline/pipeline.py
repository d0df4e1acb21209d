"""Decode, key, composite and encode at the same time: in order, with few frames in memory.

Every stage is one thread that takes from a short queue and puts into the next::

    source ─> decode ─> key ─> render ─┬─> encode (sink 1) ─> bring its segments to the disk
                                       └─> encode (sink 2) ─> ...

The stage that keys may have workers, see :mod:`cleanplate.jobs.pipeline.keying`; the one that renders may
have several threads.
NumPy, OpenCV, ONNX Runtime and FFmpeg release the interpreter's lock while they compute, so the stages
overlap; the queues are short, so memory does not grow with the length of the clip. The thread that
called :func:`run` only waits, reports progress and receives Ctrl-C.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

from cleanplate.errors import InputError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.jobs.pipeline.checkpointing import Saver, Saving
from cleanplate.jobs.pipeline.frame_memory import queue_depth
from cleanplate.jobs.pipeline.keying import Workers, key_one_by_one
from cleanplate.jobs.pipeline.meter import StageMeter
from cleanplate.jobs.pipeline.ordered import map_ordered
from cleanplate.jobs.pipeline.progress import Bottleneck, Progress
from cleanplate.jobs.pipeline.stages import Line, Load, PipelineStage, Queue, run_stages
from cleanplate.jobs.pipeline.trace import Trace, trace_span
from cleanplate.media.contract import Interruptible, Sink, Source
from cleanplate.system.allocator import give_back_memory

log = logging.getLogger("cleanplate")

COMPOSITING = "compositing"
"""Name of the stage that finishes and renders, and of its work on a matte."""

Fetch = Callable[[], Pixels]
"""Function that waits for pixels from an accelerator."""


class Render(Protocol):
    """Function from a matte to the pixels of one output: ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``."""

    def __call__(self, matte: Matte, /) -> Pixels | Fetch: ...


@dataclass(frozen=True)
class Output:
    """One result of a run: a function that renders a matte, and a sink for its pixels."""

    render: Render
    sink: Sink


@dataclass(frozen=True)
class Summary:
    """Summary of a completed run.

    Attributes:
        frames: Frames of the results.
        seconds: Duration of this run.
        paths: The results.
        resumed: Frames of an earlier run.
        loads: Work of each stage, and of the keyer's workers.
        processor_seconds: Processor time of this run in all threads of the process.
    """

    frames: int
    seconds: float
    paths: tuple[Path, ...]
    resumed: int = 0
    loads: tuple[Load, ...] = ()
    processor_seconds: float = 0.0


def run(
    source: Source,
    keyer: Callable[[Frame], Matte] | Workers,
    outputs: Sequence[Output],
    *,
    prepare: Callable[[Frame], Frame] | None = None,
    settle: Callable[[Matte], Matte] | None = None,
    finish: Callable[[Matte], Matte] | None = None,
    observers: Sequence[Callable[[Matte], None]] = (),
    saving: Saving | None = None,
    compositors: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] = log.warning,
    trace: Trace | None = None,
) -> Summary:
    """Key every frame of ``source`` into every one of ``outputs``.

    Also after an error, all threads have ended and every sink was finished by exactly one call of ``close``
    or ``abort``. The source stays open; the caller closes it.

    Args:
        source: Iterated once, in its own thread.
        keyer: Frame in, matte out; called for one frame at a time, in order. Or workers of a keyer, which key
            several frames at the same time.
        outputs: At least one; each gets every frame.
        prepare: Step on a frame before it is keyed, while the keyer works on the frame before.
        settle: Step on a matte that needs those before it: called in order, in the keyer's thread, and before
            a checkpoint is taken.
        finish: Step on a matte before it is rendered, while the keyer works on the next frame.
        observers: Each is called with every matte, right after the keyer and in its thread.
        saving: Checkpoints, if the run can be resumed.
        compositors: Threads that finish and render. More than one needs a finish and outputs without state,
            because several mattes are in work at the same time.
        on_progress: Called about ten times a second, in the calling thread.
        on_note: Receives the notes of source and sinks at the end, such as losses and partial results.
        trace: Records the work of each thread.

    Raises:
        InputError: The source has no frames.
        KeyboardInterrupt: Ctrl-C; the finished part is kept under the sinks' temporary names.
        Exception: The first error of a stage.
    """
    pipeline = _Pipeline(
        source, keyer, outputs, prepare, settle, finish, observers, saving, compositors, trace
    )
    return pipeline.run(on_progress, on_note)


class _Pipeline:
    """One run: the queues between its stages, the counts of its frames, and the work of each stage.

    Each method ``_decode`` to ``_finish_segments`` is a stage and runs in its own thread.
    """

    def __init__(
        self,
        source: Source,
        keyer: Callable[[Frame], Matte] | Workers,
        outputs: Sequence[Output],
        prepare: Callable[[Frame], Frame] | None,
        settle: Callable[[Matte], Matte] | None,
        finish: Callable[[Matte], Matte] | None,
        observers: Sequence[Callable[[Matte], None]],
        saving: Saving | None,
        compositors: int,
        trace: Trace | None,
    ) -> None:
        self._source, self._keyer, self._outputs = source, keyer, outputs
        self._prepare, self._settle, self._finish, self._observers = prepare, settle, finish, observers
        self._trace = trace
        self._compositors, self._meter = compositors, StageMeter(COMPOSITING, trace)
        self._sinks = [output.sink for output in outputs]
        self._saver = None if saving is None else Saver(saving, self._sinks)
        self._start = 0 if saving is None else saving.start
        self._line = Line()
        ends = (source, *self._sinks)
        self._line.on_stop += [end.interrupt for end in ends if isinstance(end, Interruptible)]
        depth = queue_depth(source.info)
        self._frames: Queue[Frame] = Queue(self._line, depth)
        self._mattes: Queue[Matte] = Queue(self._line, depth)
        self._pictures: list[Queue[tuple[Pixels | Fetch, Frame]]] = [
            Queue(self._line, depth) for _ in outputs
        ]
        self._ends: list[Queue[tuple[Callable[[], None], int]]] = [Queue(self._line, 1) for _ in outputs]
        self._written = [self._start] * len(outputs)
        self._first_seconds: Fraction | None = None
        self._shown_seconds: list[Fraction | None] = [None] * len(outputs)

    def run(self, on_progress: Callable[[Progress], None] | None, on_note: Callable[[str], None]) -> Summary:
        """Run all stages to their end; see :func:`run`."""
        stages, bottleneck = self._make_stages()
        began, processor = time.perf_counter(), time.process_time()

        def tell(doing: str = "keying") -> None:
            if on_progress is not None:
                on_progress(self._measure(time.perf_counter() - began, doing, bottleneck))

        try:
            run_stages(self._line, stages, tell)
            if not min(self._written):
                raise InputError(f"{self._source.info.path.name} has no frames.")
            if self._saver is not None:
                tell("joining")
        except BaseException:
            for sink in self._sinks:
                _abort(sink, on_note)
            _tell(self._source, self._sinks, on_note)
            raise
        paths = close_sinks(self._source, self._sinks, on_note)
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
        loads = self._list_loads(stages)
        return Summary(min(self._written), seconds, paths, self._start, loads, processor)

    def _list_loads(self, stages: Sequence[PipelineStage]) -> tuple[Load, ...]:
        loads = [stage.load for stage in stages if stage.load is not None]
        if isinstance(self._keyer, Workers):
            loads += self._keyer.loads
        if self._compositors > 1:
            loads.append(self._meter.load(f"{self._compositors} compositors", self._compositors))
        return tuple(loads)

    def _make_stages(self) -> tuple[list[PipelineStage], Bottleneck]:
        stages = [
            PipelineStage("reading", self._decode),
            PipelineStage("keying", self._key, gives_way=False),
            PipelineStage(COMPOSITING, self._render),
        ]
        for number, sink in enumerate(self._sinks):
            stages.append(PipelineStage(f"writing {sink.path.name}", partial(self._encode, number)))
        bottleneck = Bottleneck(stages)
        if self._saver is not None:
            numbers = range(len(self._sinks))
            stages += [
                PipelineStage("finishing", partial(self._finish_segments, number)) for number in numbers
            ]
        return stages, bottleneck

    def _decode(self, stage: PipelineStage) -> None:
        frames = iter(self._source)
        while True:
            with trace_span(self._trace, stage.name):
                frame = next(frames, None)
                if frame is None:
                    break
                if self._first_seconds is None:
                    self._first_seconds = frame.time_seconds
                prepared = frame if self._prepare is None else self._prepare(frame)
            self._frames.put(prepared, stage)
            del frame, prepared  # or they would live on until the next frame
        self._frames.end()

    def _key(self, stage: PipelineStage) -> None:
        keyed, saver = self._start, self._saver
        frames = self._frames.items(stage)
        keyer = self._keyer
        if isinstance(keyer, Workers):
            steps = keyer.key(frames, self._trace)
        else:
            steps = key_one_by_one(keyer, frames)
        with contextlib.closing(steps):
            for frame, key in steps:
                if saver is not None and saver.is_due(frame):
                    saver.take(keyed, frame)
                with trace_span(self._trace, stage.name, frame.index):
                    matte = key()
                    if self._settle is not None:
                        matte = self._settle(matte)
                for observe in self._observers:
                    observe(matte)
                self._mattes.put(matte, stage)
                keyed = frame.index + 1
                del frame, key, matte  # or they would live on until the next step
        if saver is not None and keyed > self._start:
            saver.take(keyed, None)
        self._mattes.end()

    def _render(self, stage: PipelineStage) -> None:
        with contextlib.closing(self._composite_all(stage)) as composited:
            for pictures, frame in composited:
                for picture, queue in zip(pictures, self._pictures, strict=True):
                    queue.put((picture, frame), stage)
                del pictures, frame  # or they would live on until the next matte
        for queue in self._pictures:
            queue.end()

    def _composite_all(self, stage: PipelineStage) -> Generator[tuple[list[Pixels | Fetch], Frame]]:
        """Finish and render the mattes, and give the pictures of each in order."""
        mattes = self._mattes.items(stage)
        if self._compositors == 1:
            for matte in mattes:
                yield self._composite(matte)
            return
        results = map_ordered(
            lambda: self._composite, mattes, workers=self._compositors, limit=self._compositors + 1
        )
        with contextlib.closing(results):
            for _, result in results:
                yield result.result()

    def _composite(self, keyed: Matte) -> tuple[list[Pixels | Fetch], Frame]:
        index = keyed.frame.index
        pictures = []
        with self._meter.measure(index):
            matte = keyed if self._finish is None else self._finish(keyed)
            for output in self._outputs:
                with trace_span(self._trace, f"for {output.sink.path.name}", index):
                    pictures.append(output.render(matte))
        return pictures, matte.frame

    def _encode(self, number: int, stage: PipelineStage) -> None:
        ends, saver = self._ends[number], self._saver
        for picture, frame in self._pictures[number].items(stage):
            if saver is not None and saver.is_due(frame):
                ends.put((saver.cut(number), frame.index), stage)
            if callable(picture):
                with stage.waiting():  # for the accelerator
                    picture = picture()
            with trace_span(self._trace, stage.name, frame.index):
                self._sinks[number].write(picture, frame)
            self._written[number] += 1
            self._shown_seconds[number] = frame.time_seconds
        if saver is not None and self._written[number] > self._start:
            ends.put((saver.cut(number), self._written[number]), stage)
        ends.end()

    def _finish_segments(self, number: int, stage: PipelineStage) -> None:
        for finish_segment, count in self._ends[number].items(stage):
            with trace_span(self._trace, stage.name):
                finish_segment()
                give_back_memory()
            if self._saver is not None:
                self._saver.finished(number, count)

    def _measure(self, seconds: float, doing: str, bottleneck: Bottleneck) -> Progress:
        shown = [each for each in self._shown_seconds if each is not None]
        position = None
        if self._first_seconds is not None and len(shown) == len(self._outputs):
            position = float(min(shown) - self._first_seconds)
        return Progress(
            min(self._written),
            self._source.info.frame_count,
            seconds,
            doing,
            self._start,
            position,
            bottleneck.look(),
        )


def close_sinks(
    source: Source, sinks: Sequence[Sink], on_note: Callable[[str], None] = log.warning
) -> tuple[Path, ...]:
    """Close the sinks after the last frame, and pass on their notes; returns their paths.

    Raises:
        Exception: The first error of a sink; the sinks that are still open are aborted.
    """
    finished = 0
    try:
        for sink in sinks:
            finished += 1
            sink.close()
    except BaseException:
        for sink in sinks[finished:]:
            _abort(sink, on_note)
        raise
    finally:
        _tell(source, sinks, on_note)
    return tuple(sink.path for sink in sinks)


def _tell(source: Source, sinks: Sequence[Sink], on_note: Callable[[str], None]) -> None:
    for notes in (source.notes, *(sink.notes for sink in sinks)):
        for note in notes:
            on_note(note)


def _abort(sink: Sink, on_note: Callable[[str], None]) -> None:
    """Keep the partial result of a sink, with a note. A further error must not hide the first one."""
    try:
        sink.abort()
    except Exception as failure:  # noqa: BLE001 - the first error is on its way up already
        on_note(f"{sink.path.name} could not be finished: {failure}")
