"""Decode, key, composite and encode at the same time: in order, with few frames on the way.

Every stage is one thread that takes from a short queue and puts into the next::

    source ─> decode ─> key ─> render ─┬─> encode (sink 1) ─> bring its segments to the disk
                                       └─> encode (sink 2) ─> ...

NumPy, OpenCV, ONNX Runtime and FFmpeg release the interpreter's lock while they compute, so the stages
overlap; the queues are short, so memory does not grow with the length of the clip. The thread that
called :func:`run` computes nothing: it waits, reports progress and receives Ctrl-C.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

from cleanplate.errors import InputError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.jobs.pipeline.checkpointing import Saver, Saving
from cleanplate.jobs.pipeline.frame_memory import queue_depth
from cleanplate.jobs.pipeline.progress import Bottleneck, Progress
from cleanplate.jobs.pipeline.stages import Line, Queue, Stage, run_stages
from cleanplate.media.contract import Sink, Source
from cleanplate.system.allocator import give_back_memory

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
class Summary:
    """What a run that went well has done.

    Attributes:
        frames: Frames of the results.
        seconds: How long this run took.
        paths: The results.
        resumed: Frames that an earlier run had done already.
    """

    frames: int
    seconds: float
    paths: tuple[Path, ...]
    resumed: int = 0


def run(
    source: Source,
    keyer: Callable[[Frame], Matte],
    outputs: Sequence[Output],
    *,
    prepare: Callable[[Frame], Frame] | None = None,
    finish: Callable[[Matte], Matte] | None = None,
    saving: Saving | None = None,
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
        saving: What makes the run one that can be resumed.
        on_progress: Called about ten times a second, in the calling thread.
        on_note: Receives the notes of source and sinks at the end: what was lost, where a partial result is.

    Raises:
        InputError: The source has no frames.
        KeyboardInterrupt: Ctrl-C; what was written until then is kept under the sinks' temporary names.
        Exception: Whatever a stage raised first.
    """
    line = Line()
    depth = queue_depth(source.info)
    frames: Queue[Frame] = Queue(line, depth)
    mattes: Queue[Matte] = Queue(line, depth)
    pictures: list[Queue[tuple[Pixels | Fetch, Frame]]] = [Queue(line, depth) for _ in outputs]
    ends: list[Queue[tuple[Callable[[], None], int]]] = [Queue(line, 1) for _ in outputs]
    sinks = [output.sink for output in outputs]
    saver = None if saving is None else Saver(saving, sinks)
    start = 0 if saving is None else saving.start
    written = [start] * len(outputs)
    first_seconds: list[Fraction] = []
    shown_seconds: list[Fraction | None] = [None] * len(outputs)

    def decode(stage: Stage) -> None:
        for frame in source:
            if not first_seconds:
                first_seconds.append(frame.time_seconds)
            frames.put(frame if prepare is None else prepare(frame), stage)
        frames.end()

    def key(stage: Stage) -> None:
        keyed = start
        for frame in frames.items(stage):
            if saver is not None and saver.is_due(frame):
                saver.take(keyed, frame)
            mattes.put(keyer(frame), stage)
            keyed = frame.index + 1
        if saver is not None and keyed > start:
            saver.take(keyed, None)
        mattes.end()

    def render(stage: Stage) -> None:
        for keyed in mattes.items(stage):
            matte = keyed if finish is None else finish(keyed)
            for output, queue in zip(outputs, pictures, strict=True):
                queue.put((output.render(matte), matte.frame), stage)
        for queue in pictures:
            queue.end()

    def encode(number: int, stage: Stage) -> None:
        for picture, frame in pictures[number].items(stage):
            if saver is not None and saver.is_due(frame):
                ends[number].put((saver.cut(number), frame.index), stage)
            if callable(picture):
                with stage.waiting():  # for the accelerator
                    picture = picture()
            sinks[number].write(picture, frame)
            written[number] += 1
            shown_seconds[number] = frame.time_seconds
        if saver is not None and written[number] > start:
            ends[number].put((saver.cut(number), written[number]), stage)
        ends[number].end()

    def finish_segments(number: int, stage: Stage) -> None:
        for finish_segment, count in ends[number].items(stage):
            finish_segment()
            give_back_memory()
            if saver is not None:
                saver.finished(number, count)

    numbers = range(len(outputs))
    stages = [Stage("reading", decode), Stage("keying", key, gives_way=False), Stage("compositing", render)]
    stages += [Stage(f"writing {sinks[number].path.name}", partial(encode, number)) for number in numbers]
    bottleneck = Bottleneck(stages)
    if saver is not None:
        stages += [Stage("finishing", partial(finish_segments, number)) for number in numbers]
    began = time.perf_counter()

    def progress(doing: str = "keying") -> Progress:
        shown = [seconds for seconds in shown_seconds if seconds is not None]
        return Progress(
            min(written),
            source.info.frame_count,
            time.perf_counter() - began,
            doing,
            start,
            float(min(shown) - first_seconds[0]) if len(shown) == len(outputs) else None,
            bottleneck.look(),
        )

    def tick() -> None:
        if on_progress is not None:
            on_progress(progress())

    try:
        run_stages(line, stages, tick)
        if not min(written):
            raise InputError(f"{source.info.path.name} has no frames.")
        if on_progress is not None and saver is not None:
            on_progress(progress("joining"))
    except BaseException:
        for sink in sinks:
            _abort(sink, on_note)
        _tell(source, sinks, on_note)
        raise
    paths = close_sinks(source, sinks, on_note)
    return Summary(min(written), time.perf_counter() - began, paths, start)


def close_sinks(
    source: Source, sinks: Sequence[Sink], on_note: Callable[[str], None] = log.warning
) -> tuple[Path, ...]:
    """Close the sinks, which have got all frames, and pass on what there is to be noted; gives their paths.

    Raises:
        Exception: Whatever a sink raised first; those that were not closed yet are aborted.
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
    """Keep what a sink has; its notes say where. An error in that must not hide the one that led here."""
    try:
        sink.abort()
    except Exception as failure:  # noqa: BLE001 - the first error is on its way up already
        on_note(f"{sink.path.name} could not be finished: {failure}")
