"""A clip in spans: frames, times and sound equal those of a whole locked-off run, to the bit."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from tests.jobs.test_resume import CASES, COUNT, draw, matte, read_back, write_clip

import cleanplate
from cleanplate.errors import CleanplateError, OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.jobs.checkpoint import SpanFiles, span_path
from cleanplate.jobs.job import Job
from cleanplate.jobs.pipeline import Summary
from cleanplate.jobs.split_run import join_spans, key_span, plan_spans
from cleanplate.media import Reading, Span, open_source
from cleanplate.media.locks import lock_path, this_process
from cleanplate.media.video.segments import segment_path
from cleanplate.models.config import ModelConfig
from cleanplate.plate import Plate, fit_plate
from cleanplate.plate.tracking.drift import measure_drift
from cleanplate.vocabulary import FinishOptions, KeyerOptions

SPANS = 3  # of two segments each, and the rest: 20, 20 and 5 frames
SECONDS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate, a clip with sound, uneven times and light that rises at its end, a loop, numbered pictures."""
    path = tmp_path_factory.mktemp("split")
    random = np.random.default_rng(5)
    plate = cv2.resize(
        random.integers(0, 256, (16, 24, 3), np.uint8), (96, 64), interpolation=cv2.INTER_CUBIC
    )
    cv2.imwrite(str(path / "plate.png"), plate[..., ::-1])
    pictures = [cv2.convertScaleAbs(draw(n, plate), alpha=1 - 0.01 * max(0, n - 20)) for n in range(COUNT)]
    write_clip(path / "clip.mp4", pictures, sound=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(path / f"shot_{number + 7:03d}.png"), picture[..., ::-1])
    write_clip(
        path / "loop.mkv", [np.full((64, 96, 3), (20 * n % 256, 90, 200), np.uint8) for n in range(13)]
    )
    return path


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A whole locked-off run, which tells that the light at the end is another."""
    notes: list[str] = []
    out = tmp_path_factory.mktemp("plain")
    summary = matte(folder, out, {"out": "a.mkv"}, locked_off=True, on_note=notes.append)
    assert [note for note in notes if "the light has changed by -" in note], notes
    return summary


def check_equal(whole: Any, split: Any) -> None:
    assert [path.name for path in split.paths] == [path.name for path in whole.paths]
    assert split.frames == whole.frames
    for path, other in zip(split.paths, whole.paths, strict=True):
        listed = [sorted(p.name for p in where.parent.iterdir()) for where in (path, other)]
        assert listed[0] == listed[1]
        (frames, sound), (wanted, wanted_sound) = read_back(path), read_back(other)
        assert [time for time, _ in frames] == [time for time, _ in wanted]
        # libx264 reads uninitialised memory: equal pictures do not always give equal bits.
        if path.suffix != ".mp4":
            assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(frames, wanted, strict=True))
        assert sound == wanted_sound


SPLIT_CASES: dict[str, dict[str, Any]] = {
    "ffv1": CASES["ffv1"],
    "loop": CASES["loop"],
    "part": {"out": "a.mkv", "reading": CASES["part"]["reading"]},
    "numbered": {"out": "a_%03d.png"},
    "stills": {"clip": "shot_%03d.png", "out": "a_%03d.png", "reading": Reading(frame_rate=Fraction(2))},
    "auto": CASES["auto"],
    "mixed": CASES["mixed"],
    "vp9": CASES["vp9"],
}


SLOW = {"auto", "mixed", "vp9", "part", "loop", "numbered"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in SPLIT_CASES],
)
def test_joined_spans_equal_a_whole_run(folder: Path, tmp_path: Path, name: str) -> None:
    case = dict(SPLIT_CASES[name])
    if "shot" in case.get("clip", ""):
        case["clip"] = folder / case["clip"]
    whole = matte(folder, tmp_path / "whole", case, locked_off=True)
    split = matte(folder, tmp_path / "split", case, split_seconds=SECONDS)
    check_equal(whole, split)


def make_job(folder: Path, out: Path, **more: Any) -> Job:
    return Job(
        folder / "clip.mp4",
        folder / "plate.png",
        out,
        split_seconds=SECONDS,
        keyer=KeyerOptions(scale=0.5, on_device=None),
        **more,
    )


def drop(_: str) -> None:
    pass


def test_spans_are_keyed_in_any_order_and_never_twice(folder: Path, tmp_path: Path, plain: Summary) -> None:
    out = tmp_path / "split" / "a.mkv"
    out.parent.mkdir()
    job = make_job(folder, out)
    plan = plan_spans(job, on_note=drop)
    assert plan is not None
    assert plan.lengths() == [20, 20, 5]
    with pytest.raises(OutputError, match=r"Span 1 of a\.mkv is not done"):
        join_spans(job, on_note=drop)
    for number in (2, 0):
        key_span(job, number, on_note=drop)
    counted = SpanFiles(out).count()
    assert (counted.done, counted.spans, counted.frames, counted.of) == (2, SPANS, 25, COUNT)
    first = segment_path(span_path(out, 0), 0)
    stamp = first.stat().st_mtime_ns
    assert key_span(job, 0, on_note=drop).resumed == 20
    assert first.stat().st_mtime_ns == stamp
    with pytest.raises(OutputError, match=r"25 frames of a\.mkv are done already, in spans"):
        plan_spans(job, on_note=drop)
    assert plan_spans(make_job(folder, out, resume=True), on_note=drop) == plan
    key_span(job, 1, on_note=drop)
    check_equal(plain, join_spans(job, on_note=drop))


class PulledPlugError(Exception):
    """Any interruption of a run."""


def test_an_interrupted_span_continues_after_its_last_segment(
    folder: Path, tmp_path: Path, plain: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "split" / "a.mkv"
    from cleanplate.jobs import span_source

    begin = span_source.SpanSource.__iter__

    def end_at(self: Any) -> Any:
        for frame in begin(self):
            if self.info.first_index + frame.index == 35:
                from tests.waiting import wait_until

                wait_until(lambda: SpanFiles(out).count().frames == 30, "finished segment")
                raise PulledPlugError
            yield frame

    notes: list[str] = []
    with monkeypatch.context() as patch, pytest.raises(PulledPlugError):  # noqa: PT012
        patch.setattr(span_source.SpanSource, "__iter__", end_at)
        matte(folder, out.parent, {"out": "a.mkv"}, split_seconds=SECONDS, on_note=notes.append)
    assert notes[-1] == "10 frames of span 2 of 3 are done; key the rest with resume=True."
    for other in ({"split_seconds": 9}, {"locked_off": True}):
        with pytest.raises(OptionError, match="was begun with another split seconds"):
            matte(folder, out.parent, {"out": "a.mkv"}, resume=True, **other)
    again = matte(folder, out.parent, {"out": "a.mkv"}, split_seconds=SECONDS, resume=True)
    assert again.resumed == 30
    check_equal(plain, again)


def test_a_new_run_removes_the_spans_of_an_old_one(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mkv"
    job = make_job(folder, out)
    plan_spans(job, on_note=drop)
    key_span(job, 1, on_note=drop)
    # The lock of a run that was killed before this machine was started again.
    lock = lock_path(span_path(out, 2))
    lock.write_text(json.dumps({**asdict(this_process()), "boot": "another"}))
    for name in (
        "spans.partial.json",
        "a.span-000001.partial.json",
    ):  # of a run that was killed within a write
        (tmp_path / "a.mkv.partial" / name).touch()
    mine = tmp_path / "a.mkv.partial" / "notes.txt"
    mine.write_text("of the user")
    matte(folder, tmp_path, {"out": "a.mkv"}, overwrite=True)
    assert [path.name for path in mine.parent.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_lost_segment_is_keyed_again_by_the_next_run(folder: Path, tmp_path: Path, plain: Summary) -> None:
    job = make_job(folder, tmp_path / "a.mkv")
    plan_spans(job, on_note=drop)
    for number in range(SPANS):
        key_span(job, number, on_note=drop)
    segment_path(span_path(tmp_path / "a.mkv", 1), 1).unlink()
    with pytest.raises(OutputError, match="A segment of span 2 is gone"):
        join_spans(job, on_note=drop)
    again = matte(folder, tmp_path, {"out": "a.mkv"}, split_seconds=SECONDS, resume=True)
    check_equal(plain, again)


def test_the_end_of_a_clip_that_the_plate_does_not_fit_is_told(folder: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    plan_spans(make_job(folder, tmp_path / "a.mkv"), on_note=notes.append)
    assert [note for note in notes if "the light has changed by -" in note], notes


def test_drift_tells_motion_and_light() -> None:
    random = np.random.default_rng(3)
    large = cv2.resize(
        random.integers(0, 256, (50, 66, 3), np.uint8), (660, 500), interpolation=cv2.INTER_CUBIC
    )
    still = np.ascontiguousarray(large[10:490, 10:650])
    fitted = fit_plate(Plate(still), Frame(still))
    assert measure_drift(fitted, Frame(still)).tell() is None
    moved = measure_drift(fitted, Frame(np.ascontiguousarray(large[10:490, 13:653])))
    assert "the camera has moved by 3.0 pixels:" in str(moved.tell())
    darker = measure_drift(fitted, Frame((still * 0.9).astype(np.uint8)))
    assert "the light has changed by -0." in str(darker.tell())
    other = random.integers(0, 256, (60, 80, 3), np.uint8)
    lost = measure_drift(fitted, Frame(cv2.resize(other, (640, 480), interpolation=cv2.INTER_CUBIC)))
    assert "nothing of the plate is found" in str(lost.tell())


def test_a_locked_off_plate_stays_as_it_was_fitted(folder: Path) -> None:
    frames = list(open_source(folder / "clip.mp4"))
    keyer = cleanplate.Keyer(folder / "plate.png", locked_off=True, scale=0.5)
    keyer(frames[0])
    fitted = keyer.fitted
    for frame in frames[30:]:
        keyer(frame)
    assert fitted is not None
    assert keyer.fitted is not None
    assert keyer.fitted.pixels is fitted.pixels
    alone = cleanplate.Keyer(fitted, scale=0.5)(frames[-1])
    assert np.array_equal(keyer(frames[-1]).alpha, alone.alpha)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"hint": "gone.png"}, "--hint is carried from frame to frame"),
        ({"finish": FinishOptions(despeckle=9)}, "--despeckle compares each frame"),
        ({"follow": True}, "--follow updates the plate from frame to frame"),
        ({"report": "r.json"}, "--report is written by one run"),
        ({"out": "-"}, "A pipe cannot be cut into spans"),
        ({"split_seconds": 0}, "Expected --split-seconds above 0, got 0"),
        ({"split_seconds": None, "follow": True, "locked_off": True}, "A locked-off plate stays as it is"),
    ],
)
def test_what_goes_from_frame_to_frame_is_refused(folder: Path, more: dict[str, Any], sentence: str) -> None:
    options = {"out": folder / "no.mkv", "split_seconds": SECONDS, **more}
    with pytest.raises(OptionError, match=sentence):
        cleanplate.matte_video(folder / "clip.mp4", folder / "plate.png", **options)


def test_a_model_without_a_plate_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelConfig, "needs_plate", False)
    with pytest.raises(OptionError, match="has a memory from frame to frame"):
        matte(folder, tmp_path, {"out": "a.mkv"}, split_seconds=SECONDS)


def test_a_clip_with_other_frames_than_its_packets_tell_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleanplate.media.video.video_source import VideoSource

    times = open_source(folder / "clip.mp4").list_times()
    monkeypatch.setattr(VideoSource, "list_times", lambda _: times[:7] + times[8:])
    with pytest.raises(CleanplateError, match=r"clip\.mp4 has more frames from frame 0 on"):
        matte(folder, tmp_path, {"out": "a.mkv"}, split_seconds=SECONDS)


def test_damage_is_refused_where_decoding_begins_in_the_middle(folder: Path, tmp_path: Path) -> None:
    clip = tmp_path / "bad.mp4"
    with av.open(str(folder / "clip.mp4")) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray((folder / "clip.mp4").read_bytes())
    place, size = packets[30]
    data[place + 20 : place + size - 10] = b"\xff" * (size - 30)
    clip.write_bytes(data)
    with pytest.raises(CleanplateError, match=r"bad\.mp4 is damaged near 0:1[45]"):
        matte(folder, tmp_path / "out", {"clip": clip, "out": "a.mkv"}, split_seconds=SECONDS)
    # A single span is decoded from the start.
    matte(folder, tmp_path / "one", {"clip": clip, "out": "a.mkv"}, split_seconds=60)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp4", "libx264", "25"),
        ("a.mkv", "libx264", "30000/1001"),
        ("a.ts", "libx264", "25"),
        ("a.webm", "libvpx", "25"),
        ("a.avi", "mpeg4", "24"),
    ],
)
def test_times_are_listed_without_decoding(tmp_path: Path, name: str, codec: str, rate: str) -> None:
    path = tmp_path / name
    options = {"bf": "2"} if codec == "libx264" else {"auto-alt-ref": "1", "lag-in-frames": "16"}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            codec, rate=Fraction(rate), options=options if codec != "mpeg4" else {}
        )
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(40):
            picture = np.full((64, 96, 3), 6 * number, np.uint8)
            picture[10:30, 2 * number : 2 * number + 10] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        assert source.list_times() == [frame.pts for frame in source]
    with open_source(path, Reading(span=Span.parse("0.3-1.1"))) as source:
        listed = source.list_times()
        assert listed == [frame.pts for frame in source]
        assert 15 < len(listed) < 25


def test_a_damaged_plan_starts_nothing(folder: Path, tmp_path: Path) -> None:
    job = make_job(folder, tmp_path / "a.mkv", resume=True)
    plan_spans(make_job(folder, tmp_path / "a.mkv"), on_note=drop)
    plan = tmp_path / "a.mkv.partial" / "spans.json"
    entries = json.loads(plan.read_text())
    for marks in ([], [[5, 0]], [[0, 0], [0, 0]], "no"):
        plan.write_text(json.dumps({**entries, "marks": marks}))
        with pytest.raises(CleanplateError, match=r"spans\.json is damaged"):
            plan_spans(job, on_note=drop)
