"""The pipeline with small fakes: order, overlap, errors, cancelling, memory, cleanup."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.waiting import wait_until

from cleanplate.errors import InputError
from cleanplate.frame import Frame, Matte
from cleanplate.jobs.pipeline import (
    QUEUE_DEPTH,
    Output,
    Progress,
    bytes_in_flight,
    choose_compositors,
    map_ordered,
    run,
)
from cleanplate.jobs.pipeline.stages import GIVEN_WAY
from cleanplate.media import SourceInfo

COMPOSITORS = (1, 3)


class BoomError(Exception):
    pass


class FakeSource:
    def __init__(self, count, *, fail_at=None, estimate=None):
        self.info = SourceInfo(Path("clip.mp4"), 32, 32, frame_count=estimate)
        self.notes = []
        self.count = count
        self.fail_at = fail_at
        self.given = 0
        self.unwound = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        try:
            for index in range(self.count):
                if index == self.fail_at:
                    raise BoomError("decode")
                self.given += 1
                pixels = np.full((32, 32, 3), index % 256, np.uint8)
                yield Frame(pixels, pts=index, time_base=Fraction(1, 25), index=index)
        finally:
            self.unwound.set()


class FakeSink:
    def __init__(self, path="cut.mov", *, fail_at=None, fail_close=False, delay=0.0):
        self.path = Path(path)
        self.notes = []
        self.written = []
        self.finished = []
        self.fail_at = fail_at
        self.fail_close = fail_close
        self.delay = delay

    def write(self, pixels, at):
        if at.index == self.fail_at:
            raise BoomError("encode")
        time.sleep(self.delay)  # a slow encoder
        self.written.append((at.index, int(pixels[0, 0, 0])))

    def close(self):
        self.finished.append("close")
        if self.fail_close:
            raise BoomError("close")

    def abort(self):
        self.finished.append("abort")
        if self.written:
            self.notes.append(f"The first {len(self.written)} frames are in {self.path.stem}.partial.")
        return self.path.with_suffix(".partial.mov") if self.written else None


def key(frame: Frame) -> Matte:
    return Matte(np.ones(frame.pixels.shape[:2], np.float32), frame.pixels, frame)


def foreground(matte: Matte):
    return matte.foreground


def fail_at(index, function, what):
    def wrapped(item):
        if (
            getattr(item, "index", None) == index
            or getattr(getattr(item, "frame", None), "index", None) == index
        ):
            raise BoomError(what)
        return function(item)

    return wrapped


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    # Those of earlier tests may end.
    wait_until(lambda: set(threading.enumerate()) <= before, "end of the threads", seconds=60)


@pytest.mark.parametrize("compositors", COMPOSITORS)
def test_every_frame_reaches_every_sink_once_and_in_order(compositors):
    def render(matte):
        time.sleep(0.001 * (matte.frame.index * 7 % 3))  # threads finish in another order
        return matte.foreground

    sinks = [FakeSink("a.mov"), FakeSink("b.mov", delay=0.001)]
    source = FakeSource(100)
    summary = run(source, key, [Output(render, sink) for sink in sinks], compositors=compositors)
    expected = [(index, index) for index in range(100)]
    assert [sink.written for sink in sinks] == [expected, expected]
    assert [sink.finished for sink in sinks] == [["close"], ["close"]]
    assert summary.frames == 100
    assert summary.paths == (Path("a.mov"), Path("b.mov"))
    assert summary.seconds > 0


@pytest.mark.parametrize("compositors", COMPOSITORS)
@pytest.mark.parametrize("stage", ["decode", "key", "render", "encode"])
def test_an_error_in_any_stage_ends_all_stages_and_is_raised(stage, compositors):
    source = FakeSource(1000, fail_at=20 if stage == "decode" else None)
    sinks = [FakeSink("a.mov", fail_at=20 if stage == "encode" else None), FakeSink("b.mov", delay=0.001)]
    outputs = [
        Output(fail_at(20, foreground, "render") if stage == "render" else foreground, sink) for sink in sinks
    ]
    with pytest.raises(BoomError, match=stage):
        run(
            source,
            fail_at(20, key, "key") if stage == "key" else key,
            outputs,
            compositors=compositors,
            on_note=lambda _: None,
        )
    assert [sink.finished for sink in sinks] == [["abort"], ["abort"]]
    assert source.unwound.wait(600)
    assert source.given < 100


def test_an_error_while_closing_aborts_the_sinks_that_were_not_closed():
    sinks = [FakeSink("a.mov"), FakeSink("b.mov", fail_close=True), FakeSink("c.mov")]
    notes = []
    with pytest.raises(BoomError, match="close"):
        run(FakeSource(3), key, [Output(foreground, sink) for sink in sinks], on_note=notes.append)
    assert [sink.finished for sink in sinks] == [["close"], ["close"], ["abort"]]
    assert notes == ["The first 3 frames are in c.partial."]


def test_an_error_in_abort_does_not_hide_the_first_one():
    class Stubborn(FakeSink):
        def abort(self):
            super().abort()
            raise OSError("disk gone")

    sinks = [Stubborn("a.mov", fail_at=5), FakeSink("b.mov")]
    notes = []
    with pytest.raises(BoomError, match="encode"):
        run(FakeSource(50), key, [Output(foreground, sink) for sink in sinks], on_note=notes.append)
    assert [sink.finished for sink in sinks] == [["abort"], ["abort"]]
    assert "a.mov could not be finished: disk gone" in notes


@pytest.mark.parametrize("compositors", COMPOSITORS)
def test_ctrl_c_keeps_partial_files_and_names_them(compositors):
    sink, source, notes = FakeSink(delay=0.005), FakeSource(10**6), []

    def interrupt(progress: Progress):
        if progress.frames > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            source,
            key,
            [Output(foreground, sink)],
            compositors=compositors,
            on_progress=interrupt,
            on_note=notes.append,
        )
    assert sink.finished == ["abort"]
    assert notes == [f"The first {len(sink.written)} frames are in cut.partial."]
    assert len(sink.written) > 10
    assert source.unwound.wait(600)


def test_a_missing_partial_result_is_not_mentioned():
    notes = []
    with pytest.raises(BoomError):
        run(FakeSource(5, fail_at=0), key, [Output(foreground, FakeSink())], on_note=notes.append)
    assert notes == []


@pytest.mark.parametrize("compositors", COMPOSITORS)
def test_a_slow_sink_holds_the_source_back(compositors):
    source, most = FakeSource(60), 0

    class Slow(FakeSink):
        def write(self, pixels, at):
            nonlocal most
            super().write(pixels, at)
            most = max(most, source.given - len(self.written))

    run(source, key, [Output(foreground, Slow(delay=0.003))], compositors=compositors)
    stages = 4
    assert most <= (stages - 1) * QUEUE_DEPTH + stages + (compositors + 1 if compositors > 1 else 0)


def test_compositors_work_at_the_same_time():
    together = threading.Barrier(3, timeout=600)

    def meet(matte):
        together.wait()
        return matte.foreground

    loads = run(FakeSource(12), key, [Output(meet, FakeSink())], compositors=3).loads
    assert [(load.name, load.threads) for load in loads][-1] == ("3 compositors", 3)
    assert loads[-1].busy_seconds > 0


def test_stages_overlap():
    """Every frame is written while the next one is keyed, and keyed while the one before it is written."""
    together = threading.Barrier(2, timeout=600)

    def meet_in_key(frame):
        if frame.index > 0:
            together.wait()
        return key(frame)

    class Meeting(FakeSink):
        def write(self, pixels, at):
            if at.index < 9:
                together.wait()
            super().write(pixels, at)

    sink = Meeting()
    run(FakeSource(10), meet_in_key, [Output(foreground, sink)])
    assert len(sink.written) == 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="priorities of threads")
def test_the_keyer_goes_first():
    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    keyed, rendered = [], []

    def key_and_look(frame):
        keyed.append(priority())
        return key(frame)

    def render_and_look(matte):
        rendered.append(priority())
        return foreground(matte)

    before = priority()
    run(FakeSource(3), key_and_look, [Output(render_and_look, FakeSink())])
    assert set(keyed) == {before}
    assert set(rendered) == {min(19, before + GIVEN_WAY)}
    assert priority() == before


def test_finished_frames_are_released():
    alive, most = set(), 0

    class Counted(Frame):
        def __post_init__(self):
            super().__post_init__()
            alive.add(self.index)

        def __del__(self):
            alive.discard(self.index)

    class Source(FakeSource):
        def __iter__(self):
            nonlocal most
            for index in range(200):
                yield Counted(np.zeros((32, 32, 3), np.uint8), pts=index, index=index)
                most = max(most, len(alive))

    run(Source(200), key, [Output(foreground, FakeSink(delay=0.0005))])
    assert most <= 4 * QUEUE_DEPTH + 6


def test_a_source_without_frames_is_an_error_and_leaves_no_file():
    sink = FakeSink()
    with pytest.raises(InputError, match=r"clip\.mp4 has no frames"):
        run(FakeSource(0), key, [Output(foreground, sink)])
    assert sink.finished == ["abort"]


def test_progress_has_the_count_and_the_time_left():
    seen = []
    run(FakeSource(40, estimate=40), key, [Output(foreground, FakeSink(delay=0.01))], on_progress=seen.append)
    frames = [progress.frames for progress in seen]
    assert frames == sorted(frames)
    assert seen[-1].frames == 40
    assert seen[-1].seconds_left == 0
    assert Progress(10, 40, 2.0).fps == 5
    assert Progress(10, 40, 2.0).seconds_left == 6
    assert Progress(10, None, 2.0).seconds_left is None
    assert Progress(0, 40, 0.0).seconds_left is None
    assert Progress(50, 40, 2.0).seconds_left == 0


def test_the_speed_of_a_resumed_run_excludes_earlier_frames():
    progress = Progress(60, 100, 4.0, resumed=40, video_seconds=2.0)
    assert progress.fps == 5
    assert progress.seconds_left == 8
    assert progress.speed == 0.5
    assert Progress(40, 100, 4.0, resumed=40).seconds_left is None
    assert Progress(10, None, 4.0).speed is None


def test_progress_has_the_written_seconds_of_video():
    seen = []
    run(FakeSource(50), key, [Output(foreground, FakeSink(delay=0.01))], on_progress=seen.append)
    assert seen[-1].video_seconds == pytest.approx(49 / 25)
    assert seen[-1].speed == pytest.approx(49 / 25 / seen[-1].seconds)


@pytest.mark.parametrize("slow", ["reading", "keying", "compositing", "writing b.mov"])
def test_progress_names_the_bottleneck(slow):
    def slowly(function, stage):
        def wrapped(item):
            time.sleep(0.02 if stage == slow else 0)  # one slow stage
            return function(item)

        return wrapped

    class Source(FakeSource):
        def __iter__(self):
            return map(slowly(lambda frame: frame, "reading"), super().__iter__())

    sinks = [FakeSink("a.mov"), FakeSink("b.mov", delay=0.02 if slow == "writing b.mov" else 0)]
    outputs = [Output(slowly(foreground, "compositing"), sinks[0]), Output(foreground, sinks[1])]
    seen = []
    run(Source(50), slowly(key, "keying"), outputs, on_progress=seen.append)
    assert seen[0].bottleneck is None, "nothing is known yet"
    assert seen[-1].bottleneck == slow


class FakeSaving:
    """Records its calls, with the frames that each sink has finished by then."""

    def __init__(self, sinks, every=10, start=0):
        self.every, self.start, self.sinks = every, start, sinks
        self.taken, self.committed = [], []

    def take(self, frames, following):
        self.taken.append((frames, None if following is None else following.index))

    def commit(self, frames):
        self.committed.append((frames, [sum(sink.segments) for sink in self.sinks]))


class SegmentedFake(FakeSink):
    def __init__(self, *arguments, slow_end=0.0, fail_end=None, **options):
        super().__init__(*arguments, **options)
        self.segments, self.slow_end, self.fail_end = [], slow_end, fail_end
        self.ended = 0

    def cut(self):
        count, self.ended = len(self.written) - self.ended, len(self.written)

        def finish():
            time.sleep(self.slow_end)  # a slow disk
            if len(self.segments) == self.fail_end:
                raise BoomError("end of a segment")
            self.segments.append(count)

        return finish


def test_a_checkpoint_is_valid_when_every_sink_has_finished_its_segment():
    sinks = [SegmentedFake("a.mov"), SegmentedFake("b.mov", slow_end=0.03), FakeSink("c_%d.png")]
    saving = FakeSaving(sinks[:2])
    summary = run(FakeSource(35), key, [Output(foreground, sink) for sink in sinks], saving=saving)
    assert saving.taken == [(10, 10), (20, 20), (30, 30), (35, None)]
    assert sinks[0].segments == sinks[1].segments == [10, 10, 10, 5]
    assert [frames for frames, _ in saving.committed] == [10, 20, 30, 35]
    assert all(min(finished) >= frames for frames, finished in saving.committed)
    assert (summary.frames, summary.resumed) == (35, 0)
    assert [sink.finished for sink in sinks] == [["close"]] * 3


def test_a_segment_is_written_to_disk_beside_the_next_one():
    class Patient(SegmentedFake):
        def cut(self):
            finish, written = super().cut(), len(self.written)

            def wait_for_more():
                if written < 60:
                    wait_until(lambda: len(self.written) >= written + 5, "frames written meanwhile")
                finish()

            return wait_for_more

    sink = Patient()
    run(FakeSource(60), key, [Output(foreground, sink)], saving=FakeSaving([sink]))
    assert sink.segments == [10] * 6


def test_an_error_at_the_end_of_a_segment_keeps_earlier_checkpoints():
    sink = SegmentedFake(fail_end=2)
    saving = FakeSaving([sink])
    with pytest.raises(BoomError, match="end of a segment"):
        run(FakeSource(100), key, [Output(foreground, sink)], saving=saving, on_note=lambda _: None)
    assert [frames for frames, _ in saving.committed] == [10, 20]
    assert sink.finished == ["abort"]


def test_a_resumed_run_continues_the_count_and_cuts_at_the_same_frames():
    class Later(FakeSource):
        def __iter__(self):
            return (frame for frame in super().__iter__() if frame.index >= 20)

    sink, seen = SegmentedFake(), []
    saving = FakeSaving([sink], start=20)
    outputs = [Output(foreground, sink)]
    summary = run(Later(35), key, outputs, saving=saving, on_progress=seen.append)
    assert saving.taken == [(30, 30), (35, None)]
    assert sink.segments == [10, 5]
    assert (summary.frames, summary.resumed) == (35, 20)
    assert seen[-1].doing == "joining"
    assert (seen[-1].frames, seen[-1].resumed) == (35, 20)


def test_the_limit_of_memory_includes_queued_frames():
    info = SourceInfo(Path("clip"), 1080, 1920)
    frame = 1080 * 1920 * 3
    assert 20 * frame < bytes_in_flight(info, ["cutout"]) < 60 * frame
    assert bytes_in_flight(replace(info, height=2160, width=3840), ["cutout"]) < 700_000_000
    deep = bytes_in_flight(replace(info, bit_depth=10), ["cutout"])
    assert 1.5 < deep / bytes_in_flight(info, ["cutout"]) < 2
    assert bytes_in_flight(info, ["cutout", "alpha"]) > bytes_in_flight(info, ["cutout"])
    more = bytes_in_flight(info, ["cutout"], workers=4) - bytes_in_flight(info, ["cutout"], workers=2)
    assert 4 * frame < more < 12 * frame
    assert choose_compositors(7) == 1 < choose_compositors(8) == 2
    more = bytes_in_flight(info, ["cutout"], workers=8) - bytes_in_flight(info, ["cutout"], workers=7)
    assert 12 * frame < more < 40 * frame, "a second compositor, with mattes and pictures"


def test_notes_of_source_and_sinks_are_kept_after_an_error():
    source, sink, notes = FakeSource(50, fail_at=30), FakeSink(), []
    source.notes.append("the file ends early")
    sink.notes.append("no audio")
    with pytest.raises(BoomError):
        run(source, key, [Output(foreground, sink)], on_note=notes.append)
    assert notes[:2] == ["the file ends early", "no audio"]
    assert notes[2].startswith("The first ")


def test_map_ordered_keeps_order_and_returns_errors_with_their_items():
    def halve(number):
        if number % 7 == 3:
            raise BoomError(str(number))
        time.sleep(0.002 * (number % 3))  # items of unequal length
        return number / 2

    seen = [
        (item, future.exception() or future.result())
        for item, future in map_ordered(lambda: halve, range(20), workers=3)
    ]
    assert [item for item, _ in seen] == list(range(20))
    assert all(
        isinstance(result, BoomError) if item % 7 == 3 else result == item / 2 for item, result in seen
    )


def test_map_ordered_is_bounded_and_ends_with_its_consumer():
    begun = []
    results = map_ordered(lambda: begun.append, iter(range(1000)), workers=2)
    next(results)
    wait_until(lambda: len(begun) >= 4, "items for two workers")
    assert len(begun) <= 5
    results.close()
    assert len(begun) <= 5


def test_map_ordered_uses_its_workers_at_once():
    together = threading.Barrier(3, timeout=600)
    assert len(list(map_ordered(lambda: lambda _: together.wait(), range(6), workers=3))) == 6


def test_map_ordered_gives_every_thread_a_worker_of_its_own():
    def open_worker():
        mine = threading.get_ident()
        # Slow work: every thread gets some.
        return lambda _: (mine, threading.get_ident(), time.sleep(0.002))

    results = [future.result() for _, future in map_ordered(open_worker, range(20), workers=3)]
    assert all(opened == used for opened, used, _ in results)
    assert len({opened for opened, _, _ in results}) <= 3
