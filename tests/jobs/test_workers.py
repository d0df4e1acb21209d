"""Several frames in the keyer at the same time: order, equality, errors, cancelling."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.waiting import wait_until

import cleanplate
from cleanplate.errors import OptionError, OutputError
from cleanplate.frame import Frame, Matte
from cleanplate.jobs.pipeline import CHAIN, Output, Trace, Workers, choose_workers, remind_of_memory, run
from cleanplate.jobs.pipeline.worker_count import MEMORY_SHARE, worker_bytes
from cleanplate.media import SourceInfo, write_image

COUNTS = (1, 2, 3)
FRAMES = 40
SIDE = 32


class BoomError(Exception):
    pass


class FakeSource:
    def __init__(self, count: int = FRAMES) -> None:
        self.info = SourceInfo(Path("clip.mp4"), SIDE, SIDE)
        self.notes: list[str] = []
        self.count, self.given = count, 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            self.given += 1
            pixels = np.full((SIDE, SIDE, 3), index % 256, np.uint8)
            yield Frame(pixels, pts=index, time_base=Fraction(1, 25), index=index)


class FakeSink:
    def __init__(self, delay: float = 0.0) -> None:
        self.path, self.notes = Path("cut.mov"), []
        self.written: list[tuple[int, int]] = []
        self.finished: list[str] = []
        self.delay = delay

    def write(self, pixels: np.ndarray, at: Frame) -> None:
        time.sleep(self.delay)
        self.written.append((at.index, int(pixels[0, 0, 0])))

    def close(self) -> None:
        self.finished.append("close")

    def abort(self) -> None:
        self.finished.append("abort")


@dataclass(frozen=True)
class FakeTask:
    frame: Frame
    plate: int | None

    @property
    def can_begin(self) -> bool:
        return self.plate is not None


class FakeKeyer:
    """Each frame's plate depends on the mattes before it, and changes at some frames."""

    def __init__(self, *, changes=(), fail: str = "", fail_at: int = 20, work=None) -> None:
        self.changes, self.fail, self.fail_at, self.do_work = set(changes), fail, fail_at, work
        self.plate: int | None = None
        self.sum = 0
        self.calls: list[str] = []
        self.late = 0
        self.chain = threading.Lock()

    def _check(self, part: str, frame: Frame) -> None:
        if part == self.fail and frame.index == self.fail_at:
            raise BoomError(part)

    def expect(self, frame: Frame) -> FakeTask:
        self._check("expect", frame)
        return FakeTask(frame, self.plate)

    def place(self, task: FakeTask) -> FakeTask:
        self._check("place", task.frame)
        if self.plate is None or task.frame.index in self.changes:
            self.plate = self.sum % 97
        return task if task.plate == self.plate else replace(task, plate=self.plate)

    def accept(self, keyed: tuple[FakeTask, Matte]) -> Matte:
        task, matte = keyed
        self._check("accept", task.frame)
        assert task.plate == self.plate
        self.sum = self.sum * 31 + int(matte.foreground[0, 0, 0])
        return matte

    def worker(self, task: FakeTask) -> tuple[FakeTask, Matte]:
        self.late += 1
        return self._work(task)

    def open_worker(self, threads: int):  # noqa: ARG002
        if self.fail == "open_worker":
            raise BoomError("open_worker")
        return self._work

    def _work(self, task: FakeTask) -> tuple[FakeTask, Matte]:
        self._check("work", task.frame)
        if self.do_work is not None:
            self.do_work(task.frame.index)
        if self.fail == "wrong plate" and task.frame.index in self.changes and task.plate != self.plate:
            raise BoomError("a frame on the wrong plate")
        pixels = (task.frame.pixels * 3 + task.plate).astype(np.uint8)
        return task, Matte(np.ones((SIDE, SIDE), np.float32), pixels, task.frame)

    def __call__(self, frame: Frame) -> Matte:
        return self.accept(self._work(self.place(self.expect(frame))))


def foreground(matte: Matte) -> np.ndarray:
    return matte.foreground


def uneven(index: int) -> None:
    time.sleep(0.001 * (index * 7 % 4))  # workers finish in another order


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    # Those of earlier tests may end.
    wait_until(lambda: set(threading.enumerate()) <= before, "end of the threads", seconds=60)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("changes", [(), (7,), (5, 6, 7, 8, 30), range(FRAMES)])
def test_mattes_are_in_order_and_equal_to_those_of_one_worker(count: int, changes) -> None:
    wanted, sink = FakeSink(), FakeSink()
    run(FakeSource(), FakeKeyer(changes=changes), [Output(foreground, wanted)])
    keyer = FakeKeyer(changes=changes, work=uneven)
    seen = []
    run(
        FakeSource(),
        Workers(keyer, count, 1),
        [Output(foreground, sink)],
        observers=[lambda matte: seen.append(matte.frame.index)],
    )
    assert sink.written == wanted.written
    assert seen == [index for index, _ in sink.written] == list(range(FRAMES))
    assert sink.finished == ["close"]
    if not changes:
        assert keyer.late <= count + 1, "frames before the first plate is known"


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("part", ["expect", "place", "work", "accept", "open_worker"])
def test_an_error_of_any_part_ends_the_run(count: int, part: str) -> None:
    source, sink = FakeSource(1000), FakeSink()
    with pytest.raises(BoomError, match=part):
        run(source, Workers(FakeKeyer(fail=part), count, 1), [Output(foreground, sink)])
    assert sink.finished == ["abort"]
    assert source.given < 100
    assert [index for index, _ in sink.written] == list(range(len(sink.written)))
    assert len(sink.written) <= 20


def test_an_error_on_a_discarded_plate_is_ignored() -> None:
    sink = FakeSink()
    keyer = FakeKeyer(changes=(10, 20), fail="wrong plate")
    run(FakeSource(), Workers(keyer, 2, 1), [Output(foreground, sink)])
    assert len(sink.written) == FRAMES


@pytest.mark.parametrize("count", COUNTS)
def test_ctrl_c_ends_all_workers(count: int) -> None:
    sink = FakeSink(delay=0.002)

    def interrupt(progress) -> None:
        if progress.frames > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            FakeSource(10**6),
            Workers(FakeKeyer(work=uneven), count, 1),
            [Output(foreground, sink)],
            on_progress=interrupt,
        )
    assert sink.finished == ["abort"]


@pytest.mark.parametrize("count", COUNTS[1:])
def test_workers_work_at_the_same_time(count: int) -> None:
    together = threading.Barrier(count, timeout=600)

    def meet(index: int) -> None:
        if index > count:
            together.wait()

    # The first frames are keyed without workers, because their plate is not known yet.
    run(
        FakeSource(count + 1 + 4 * count),
        Workers(FakeKeyer(work=meet), count, 1),
        [Output(foreground, FakeSink())],
    )


@pytest.mark.parametrize("count", COUNTS)
def test_a_slow_sink_holds_the_workers_back(count: int) -> None:
    source, most = FakeSource(60), 0

    class Slow(FakeSink):
        def write(self, pixels: np.ndarray, at: Frame) -> None:
            nonlocal most
            super().write(pixels, at)
            most = max(most, source.given - len(self.written))

    run(source, Workers(FakeKeyer(), count, 1), [Output(foreground, Slow(delay=0.003))])
    assert most <= 3 * 2 + 4 + count + 1, "three queues, four stages, and the frames in work"


@pytest.mark.parametrize("count", COUNTS)
def test_a_snapshot_lies_between_its_frames_and_the_next(count: int) -> None:
    keyer, taken = FakeKeyer(changes=(13,), work=uneven), []
    plain = FakeKeyer(changes=(13,))
    sums = {}
    for frame in FakeSource():
        sums[frame.index] = plain.sum
        plain(frame)

    class Saving:
        every, start = 10, 0

        def take(self, frames: int, following: Frame | None) -> None:
            taken.append((frames, keyer.sum, following and following.index))

        def commit(self, frames: int) -> None: ...

    run(FakeSource(), Workers(keyer, count, 1), [Output(foreground, FakeSink())], saving=Saving())
    assert taken == [(n, sums[n], n) for n in (10, 20, 30)] + [(40, plain.sum, None)]


def test_the_number_of_workers_follows_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "cleanplate.jobs.pipeline.worker_count"
    pixels = 1080 * 1920
    each = worker_bytes(pixels) / MEMORY_SHARE

    def choose(cores: int, memory: float | None, wanted: int | str = "auto", threads: int | None = None):
        monkeypatch.setattr(f"{where}.usable_cores", lambda: cores)
        monkeypatch.setattr(f"{where}.available_memory", lambda: memory and int(memory))
        return choose_workers(wanted, pixels, threads)

    assert choose(2, 100 * each) == (2, 1)
    assert choose(2, None) == (2, 1)
    assert choose(2, 1.5 * each) == (1, 2)
    assert choose(2, 0.1 * each) == (1, 2)
    assert choose(16, 10 * each) == (8, 2)
    assert choose(3, 2.5 * each) == (1, 3)
    assert choose(16, 100 * each, threads=4) == (4, 1)
    assert choose(16, 100 * each, wanted=2) == (2, 8)
    assert choose(2, 0.1 * each, wanted="3") == (3, 1)
    assert choose(2, 10 * each) == (2, 1)
    assert choose_workers("auto", pixels, model_bytes=10**9) == (1, 2), "a model that fits once"


@pytest.mark.parametrize(
    ("cores", "gigabytes", "height", "expected"),
    [(2, 22, 1080, (2, 1)), (2, 22, 2160, (1, 2)), (16, 128, 2160, (8, 2)), (16, 60, 1080, (8, 2))],
)
def test_a_clip_takes_two_gigabytes_or_a_sixteenth_of_the_memory(
    cores, gigabytes, height, expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "cleanplate.jobs.pipeline.worker_count"
    monkeypatch.setattr(f"{where}.usable_cores", lambda: cores)
    monkeypatch.setattr(f"{where}.available_memory", lambda: gigabytes * 10**9)
    assert choose_workers("auto", height * height * 16 // 9, of_clip=True) == expected


@pytest.mark.parametrize(
    ("gigabytes", "bits", "workers", "said"),
    [
        (3, 8, 1, "Frames of 7680x4320 take some 4.9 GB of memory, and 3.0 GB are available: .* run.$"),
        (3, 8, 2, "take some 7.5 GB.* workers=1 takes less.$"),
        (6, 10, 1, "take some 7.7 GB"),
        (6, 8, 1, None),
        (None, 8, 1, None),
    ],
)
def test_a_clip_that_is_too_large_for_the_memory_is_noted(
    gigabytes, bits, workers, said, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = gigabytes and gigabytes * 10**9
    monkeypatch.setattr("cleanplate.jobs.pipeline.worker_count.available_memory", lambda: memory)
    note = remind_of_memory(4320, 7680, bits, workers)
    assert note is None if said is None else re.search(said, note or "")


def test_a_run_without_enough_memory_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("cleanplate.jobs.pipeline.worker_count.available_memory", lambda: 10**8)
    for name in ("clip_0.png", "clip_1.png", "plate.png"):
        write_image(tmp_path / name, np.full((SIDE, SIDE, 3), 90, np.uint8))
    notes: list[str] = []
    summary = cleanplate.matte_video(
        tmp_path / "clip_%d.png", tmp_path / "plate.png", tmp_path / "cut_%d.png", on_note=notes.append
    )
    assert summary.frames == 2
    assert any(note.startswith("Frames of 32x32 take some 0.3 GB of memory, and 0.1 GB") for note in notes)


@pytest.mark.parametrize("workers", [0, -2, "many", 1.5, None])
def test_a_wrong_number_is_refused(workers) -> None:
    with pytest.raises(OptionError, match="workers"):
        cleanplate.matte_video("clip.mp4", "plate.png", workers=workers)


def test_a_summary_has_the_work_of_each_stage() -> None:
    def work(index: int) -> None:  # noqa: ARG001
        time.sleep(0.005)

    workers = Workers(FakeKeyer(work=work), 2, 1)
    loads = run(FakeSource(), workers, [Output(foreground, FakeSink())]).loads
    assert [load.name for load in loads] == [
        "reading", "keying", "compositing", "writing cut.mov", CHAIN, "2 workers"
    ]  # fmt: skip
    keyed = loads[-1]
    assert keyed.threads == 2
    assert keyed.busy_seconds > (FRAMES - 4) * 0.005
    assert keyed.processor_seconds < keyed.busy_seconds


@pytest.mark.parametrize("count", [None, 2])
def test_a_trace_has_the_work_of_each_thread_on_each_frame(tmp_path: Path, count: int | None) -> None:
    keyer, path = FakeKeyer(), tmp_path / "trace.json"
    trace = Trace(path)
    workers = keyer if count is None else Workers(keyer, count, 1)
    run(FakeSource(), workers, [Output(foreground, FakeSink())], trace=trace)
    assert not path.exists()
    trace.close()
    events = json.loads(path.read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    work = [event for event in events if event["ph"] == "X"]
    assert {event["tid"] for event in work} == set(names)
    assert {"cleanplate-reading", "cleanplate-keying", "cleanplate-writing cut.mov"} <= set(names.values())
    for stage in ("keying", "compositing", "for cut.mov", "writing cut.mov"):
        assert [e["args"]["frame"] for e in work if e["name"] == stage] == list(range(FRAMES)), stage
    networks = {event["args"]["frame"] for event in work if event["name"] == "networks"}
    assert networks == (set() if count is None else set(range(count + 1, FRAMES)))
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in work)
    with pytest.raises(OutputError, match="exists"):
        Trace(path)
    Trace(path, overwrite=True).close()
    assert json.loads(path.read_text())["traceEvents"] == []
    assert [file.name for file in tmp_path.iterdir()] == ["trace.json"]
