"""Interrupted and resumed jobs: results are equal to those of uninterrupted ones."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from tests.media.test_icc import PROFILES
from tests.waiting import wait_until

import cleanplate
from cleanplate.compositing import Finish
from cleanplate.errors import CleanplateError, OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.jobs.checkpoint import Moment, Work
from cleanplate.jobs.checkpoint.checkpointer import thin_out
from cleanplate.jobs.checkpoint.pickled_state import read_state, write_state
from cleanplate.jobs.checkpoint.record import FORMAT
from cleanplate.jobs.pipeline import Summary
from cleanplate.media import Encoding, Reading, Source, Span, open_source, read_image
from cleanplate.media.colour.transfer import SRGB, decode, encode
from cleanplate.media.numbering import numbered_files
from cleanplate.media.video.segments import find_parts
from cleanplate.models.registry import Model
from cleanplate.system.temporary_files import work_folder

HEIGHT, WIDTH, COUNT = 64, 96, 45
SEGMENT = 10  # of a clip with 2 frames per second
CUT_AT = 27


class PulledPlugError(Exception):
    """Any interruption of a run."""


def draw(number: int, plate: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """Draw the set, seen from slightly farther left, with a rolling ball."""
    centre = (int(10 + 1.7 * number), 34 + number % 5)
    return cv2.circle(draw_set(plate, shift), centre, 11, (230, 40, 60), -1, cv2.LINE_AA)


def draw_set(plate: np.ndarray, shift: float) -> np.ndarray:
    """Draw the empty set, seen from slightly farther left."""
    moved = np.float32([[1, 0, shift], [0, 1, 0]])
    return cv2.warpAffine(plate, moved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate, a clip with sound, a clip of a moving camera, and a loop for the background."""
    path = tmp_path_factory.mktemp("resume")
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    plate = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path / "plate.png"), plate[..., ::-1])
    write_clip(path / "clip.mp4", [draw(n, plate) for n in range(COUNT)], sound=True)
    write_clip(path / "pan.mkv", [draw(n, plate, 4 * np.sin(n / 9)) for n in range(COUNT)])
    write_clip(path / "empty_pan.mkv", [draw_set(plate, 4 * np.sin(n / 9)) for n in range(COUNT)])
    ramp = np.linspace(0.1, 1, WIDTH)[:, None]
    lamps = [decode(plate, SRGB) * ramp, decode(plate, SRGB) * ramp[::-1]]
    for name, light in zip(("left.png", "right.png"), lamps, strict=True):
        Image.fromarray(encode(light, SRGB, np.uint8)).save(path / name, icc_profile=PROFILES["p3"])
    lit = [encode((n * lamps[0] + (COUNT - n) * lamps[1]) / COUNT, SRGB, np.uint8) for n in range(COUNT)]
    write_clip(path / "lamps.mkv", [draw(n, each, n % 20 / 20) for n, each in enumerate(lit)])
    Image.fromarray(plate).save(path / "p3.png", icc_profile=PROFILES["p3"])
    chair = cv2.rectangle(plate.copy(), (60, 30), (80, 64), (20, 120, 240), -1)
    cv2.imwrite(str(path / "props.png"), chair[..., ::-1])
    loop = [np.full((HEIGHT, WIDTH, 3), (20 * n % 256, 90, 255 - 20 * n % 256), np.uint8) for n in range(13)]
    write_clip(path / "loop.mkv", loop)
    return path


def write_clip(path: Path, pictures: list[np.ndarray], *, sound: bool = False) -> None:
    """Write two frames per second; every third is slightly late."""
    codec, kind = ("libx264", "yuv420p") if path.suffix == ".mp4" else ("ffv1", "bgr0")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=2)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, kind
        stream.codec_context.time_base = Fraction(1, 1000)
        voice: Any = container.add_stream("aac", rate=16000) if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = 500 * number + 70 * (number % 3 == 2), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice is not None:
            tone = np.sin(np.arange(len(pictures) * 8000) / 6).astype(np.float32)[None] / 3
            heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            heard.sample_rate = 16000
            container.mux(voice.encode(heard))
            container.mux(voice.encode())


def read_back(path: Path) -> tuple[list[tuple[Fraction, np.ndarray]], list[tuple[int | None, bytes]]]:
    """Read times and pixels of all frames, and the packets of sound."""
    if "%" in path.name:
        return [(Fraction(n), read_image(file).pixels) for n, file in enumerate(pictures(path))], []
    with av.open(str(path)) as container:
        frames = [
            (frame.pts * Fraction(frame.time_base), frame.to_ndarray(format="rgba64le"))
            for frame in container.decode(video=0)
        ]
    with av.open(str(path)) as container:
        packets = [
            (p.pts, bytes(p)) for s in container.streams.audio[:1] for p in container.demux(s) if p.size
        ]
    return frames, packets


def pictures(pattern: Path) -> list[Path]:
    return list(numbered_files(pattern).values())


class Unplugged:
    """Source that fails once a given number of frames is saved."""

    def __init__(self, source: Source, work: Work) -> None:
        self._source, self._work = source, work
        self.info, self.notes = source.info, source.notes
        self.start_at, self.close = source.start_at, source.close

    def __enter__(self) -> Unplugged:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            if frame.index == CUT_AT:
                self._wait()
                raise PulledPlugError
            yield frame

    def _wait(self) -> None:
        def is_saved() -> bool:
            left = self._work.read()
            return left is not None and left.frames >= CUT_AT // SEGMENT * SEGMENT

        wait_until(is_saved, "finished segments")


@contextmanager
def interrupt(out: Path) -> Iterator[None]:
    """Interrupt the job of a result at frame 27; 20 are finished by then."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(PulledPlugError):  # noqa: PT012
        patch.setattr(
            "cleanplate.jobs.video_run.open_source",
            lambda *arguments: Unplugged(open_source(*arguments), Work(out)),
        )
        yield


HINT = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
cv2.circle(HINT, (70, 20), 6, (255, 255, 255, 255), -1)

CASES: dict[str, dict[str, Any]] = {
    "prores": {"out": "a.mov"},
    "ffv1": {"out": "a.mkv", "save": ["cutout", "alpha"]},
    "h264": {"out": "a.mp4", "background": "#00b140"},
    "vp9": {"out": "a.webm"},
    "pictures": {"out": "a_%03d.png", "save": ["cutout", "alpha"]},
    "exr": {"out": "a_%03d.exr", "save": ["cutout", "error"]},
    "mixed": {"out": "here/", "save": ["cutout", "composite"], "background": "loop.mkv"},
    "follow": {
        "clip": "pan.mkv",
        "out": "a.mkv",
        "follow": True,
        "report": "report.json",
        "hint": HINT,
        "finish": Finish(despeckle=60),
    },
    "pan": {"clip": "pan.mkv", "out": "a.mkv", "report": "report.json"},
    "moving plate": {
        "clip": "pan.mkv",
        "plate": "empty_pan.mkv",
        "plate_motion": "index",
        "out": "a.mkv",
        "report": "report.json",
    },
    "mixed converted plates": {
        "clip": "lamps.mkv",
        "plate": ["left.png", "right.png"],
        "out": "a.mkv",
        "report": "report.json",
    },
    "converted plate": {"plate": "p3.png", "out": "a.mkv"},
    "props": {"props": "props.png", "props_mode": "drop", "out": "a.mkv", "follow": True},
    "loop": {"out": "a.mkv", "background": "loop.mkv", "shadow": "keep", "keep": "loop.mkv"},
    "auto": {"plate": "auto", "out": "a.mkv"},
    "part": {"out": "a.mkv", "reading": Reading(span=Span.parse("3-21"))},
}


def matte(folder: Path, out: Path, case: dict[str, Any], **more: Any) -> Summary:
    """Run one of the cases into a folder."""
    options = {
        "clip": "clip.mp4",
        "plate": "plate.png",
        "scale": 0.5,
        "on_note": lambda _: None,
        **case,
        **more,
    }
    for name in ("clip", "plate", "background", "keep", "props"):
        if isinstance(options.get(name), str) and (folder / options[name]).is_file():
            options[name] = folder / options[name]
    if isinstance(options["plate"], list):
        options["plate"] = [folder / name for name in options["plate"]]
    if "report" in options:
        options["report"] = out / options["report"]
    out.mkdir(exist_ok=True)
    name = options.pop("out")
    return cleanplate.matte_video(out=f"{out / name}{'/' if name.endswith('/') else ''}", **options)


Whole = Callable[[str], Summary]


@pytest.fixture(scope="module")
def make_whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Make the uninterrupted results of a case once for all tests, in a separate folder."""

    @lru_cache(None)
    def make(name: str) -> Summary:
        return matte(folder, tmp_path_factory.mktemp("whole") / name, CASES[name])

    return make


def folder_of(name: str, whole: Summary) -> Path:
    """A case's folder of :func:`matte`."""
    return next(parent for parent in whole.paths[0].parents if parent.name == name)


def check_pictures(path: Path, frames: list[Any], wanted: list[Any]) -> None:
    """Compare frames, ``(time, pixels)``; those of lossless codecs exactly."""
    assert [time for time, _ in frames] == [time for time, _ in wanted]
    # libx264 reads uninitialised memory: equal pictures do not always give equal bits.
    allowed = 300 if path.suffix == ".mp4" else 0
    for number, ((_, pixels), (_, others)) in enumerate(zip(frames, wanted, strict=True)):
        assert np.abs(pixels.astype(int) - others).mean() <= allowed, number


SLOW = {"prores", "pan", "mixed", "auto", "exr"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES]
)
def test_a_resumed_job_equals_an_uninterrupted_one(
    folder: Path, tmp_path: Path, name: str, make_whole: Whole
) -> None:
    case = CASES[name]
    whole = make_whole(name)
    peace = folder_of(name, whole)
    main = tmp_path / "cut" / whole.paths[0].relative_to(peace)
    notes: list[str] = []
    with interrupt(main):
        matte(folder, tmp_path / "cut", case, on_note=notes.append)
    assert notes[-1] == "20 frames are done; key the rest with resume=True."
    if "%" not in main.name:
        assert not main.exists()
        assert [part.stem for part in find_parts(main)][:2] == ["000000", "000001"]
    summary = matte(folder, tmp_path / "cut", case, resume=True)
    assert (summary.frames, summary.resumed) == (whole.frames, 20)
    assert whole.frames == (36 if name == "part" else COUNT)
    assert [path.name for path in summary.paths] == [path.name for path in whole.paths]
    listed = [sorted(p.relative_to(f) for p in f.rglob("*")) for f in (tmp_path / "cut", peace)]
    assert listed[0] == listed[1]
    for path, other in zip(summary.paths, whole.paths, strict=True):
        (frames, sound), (wanted, wanted_sound) = read_back(path), read_back(other)
        assert len(frames) == whole.frames
        check_pictures(path, frames, wanted)
        assert sound == wanted_sound
        assert bool(sound) == ("%" not in path.name and "clip" not in case)
    if "report" in case:
        reports = [(where / "report.json").read_text() for where in (tmp_path / "cut", peace)]
        assert reports[0] == reports[1]
        assert len(json.loads(reports[0])["frames"]) == COUNT


@pytest.mark.parametrize(
    "name", ["ffv1", "follow", *(pytest.param(name, marks=pytest.mark.slow) for name in ("loop", "pan"))]
)
def test_the_number_of_workers_changes_no_bit(folder: Path, tmp_path: Path, name: str) -> None:
    counts = (1, 2, 8)  # the mattes of eight workers are composited by two threads
    summaries = [matte(folder, tmp_path / str(n), CASES[name], workers=n) for n in counts]
    (first, *others) = ([read_back(path) for path in summary.paths] for summary in summaries)
    for other in others:
        for (frames, sound), (wanted, wanted_sound) in zip(other, first, strict=True):
            assert len(frames) == COUNT
            assert [time for time, _ in frames] == [time for time, _ in wanted]
            assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(frames, wanted, strict=True))
            assert sound == wanted_sound
    if "report" in CASES[name]:
        assert len({(tmp_path / str(n) / "report.json").read_text() for n in counts}) == 1


@pytest.mark.parametrize(
    ("before", "after"), [(3, 2), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((1, 3), (2, 1)))]
)
def test_a_job_resumes_with_another_number_of_workers(
    folder: Path, tmp_path: Path, before: int, after: int, make_whole: Whole
) -> None:
    with interrupt(tmp_path / "a.mkv"):
        matte(folder, tmp_path, CASES["loop"], workers=before)
    summary = matte(folder, tmp_path, CASES["loop"], resume=True, workers=after)
    assert (summary.frames, summary.resumed) == (COUNT, 20)
    wanted = read_back(make_whole("loop").paths[0])[0]
    check_pictures(summary.paths[0], read_back(summary.paths[0])[0], wanted)


def test_a_job_without_a_plate_resumes(folder: Path, tmp_path: Path, tiny_recurrent_model: Model) -> None:
    case = {
        "out": "a.mkv",
        "plate": None,
        "model": tiny_recurrent_model,
        "scale": "auto",
        "ignore": folder / "loop.mkv",
    }
    for runtime in ("onnx", "torch"):
        whole = matte(folder, tmp_path / f"whole-{runtime}", case, runtime=runtime)
        with interrupt(tmp_path / runtime / "a.mkv"):
            matte(folder, tmp_path / runtime, case, runtime=runtime)
        again = matte(folder, tmp_path / runtime, case, runtime=runtime, resume=True)
        frames, wanted = read_back(again.paths[0])[0], read_back(whole.paths[0])[0]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(frames, wanted, strict=True))


@pytest.mark.slow
@pytest.mark.usefixtures("torch_loads_tiny")
def test_a_job_on_a_device_resumes(
    folder: Path, tmp_path: Path, tiny_model: Model, tiny_recurrent_model: Model
) -> None:
    cases = [
        {"clip": "pan.mkv", "model": tiny_model, "follow": True, "report": "report.json"},
        {"plate": None, "model": tiny_recurrent_model, "scale": "auto"},
    ]
    for number, case in enumerate(cases):
        case |= {"out": "a.mkv", "runtime": "torch", "device": "cpu", "on_device": True}
        whole = matte(folder, tmp_path / f"whole-{number}", case)
        with interrupt(tmp_path / str(number) / "a.mkv"):
            matte(folder, tmp_path / str(number), case)
        again = matte(folder, tmp_path / str(number), case, resume=True)
        assert (again.frames, again.resumed) == (COUNT, 20)
        check_pictures(again.paths[0], read_back(again.paths[0])[0], read_back(whole.paths[0])[0])
    reports = [(tmp_path / where / "report.json").read_text() for where in ("0", "whole-0")]
    assert reports[0] == reports[1]


def test_a_plate_is_built_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with interrupt(tmp_path / "a.mkv"):
        matte(folder, tmp_path, CASES["auto"])
    monkeypatch.setattr(
        "cleanplate.jobs.built_plate.build_plate", lambda *_, **__: pytest.fail("built again")
    )
    assert matte(folder, tmp_path, CASES["auto"], resume=True).frames == COUNT


@pytest.fixture(scope="module")
def interrupted_shared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise, for tests that do not change it."""
    path = tmp_path_factory.mktemp("interrupted_shared")
    with interrupt(path / "a.mov"):
        matte(folder, path, CASES["prores"])
    return path / "a.mov"


@pytest.fixture
def interrupted(folder: Path, tmp_path: Path) -> Path:
    """Result of an interrupted job; 20 of its frames are finished."""
    with interrupt(tmp_path / "a.mov"):
        matte(folder, tmp_path, CASES["prores"])
    return tmp_path / "a.mov"


def test_an_interrupted_job_does_not_restart_without_overwrite(folder: Path, interrupted: Path) -> None:
    before = sorted(work_folder(interrupted).iterdir())
    with pytest.raises(OutputError, match=r"20 frames of a\.mov are done already") as caught:
        matte(folder, interrupted.parent, CASES["prores"])
    assert caught.value.hint == "continue with resume=True, or start again with overwrite=True"
    assert sorted(work_folder(interrupted).iterdir()) == before
    (work_folder(interrupted) / "mine.mov").write_text("precious")
    summary = matte(folder, interrupted.parent, CASES["prores"], overwrite=True)
    assert (summary.frames, summary.resumed) == (COUNT, 0)
    assert [file.name for file in work_folder(interrupted).iterdir()] == ["mine.mov"]


def test_another_job_does_not_overwrite_an_interrupted_one(folder: Path, tmp_path: Path) -> None:
    with interrupt(tmp_path / "a.mkv"):
        matte(folder, tmp_path, CASES["ffv1"])
    with pytest.raises(OutputError, match=r"a\.alpha\.mkv\.partial has parts of an earlier run"):
        matte(folder, tmp_path, {"out": "a.alpha.mkv", "save": ["alpha"]})
    assert len(find_parts(tmp_path / "a.alpha.mkv")) >= 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scale": 0.25}, "another scale"),
        ({"clip": "pan.mkv"}, "another clip"),
        ({"plate": np.zeros((HEIGHT, WIDTH, 3), np.uint8)}, "another plate"),
        ({"encoding": Encoding(codec="prores_ks")}, "another codec"),
        ({"follow": True, "shadow": "keep"}, "another follow, shadow"),
        ({"keep": np.zeros((HEIGHT, WIDTH), np.uint8)}, "another keep"),
    ],
)
def test_a_changed_job_does_not_resume(
    folder: Path, interrupted_shared: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(OptionError, match=rf"a\.mov was begun with {named}\.") as caught:
        matte(folder, interrupted_shared.parent, {**CASES["prores"], **change}, resume=True)
    assert "start again with overwrite=True" in caught.value.hint
    assert len(find_parts(interrupted_shared)) >= 2


def test_a_job_with_a_custom_object_cannot_resume(folder: Path, tmp_path: Path) -> None:
    class Everywhere:
        def __call__(self, frame: Frame) -> np.ndarray:
            return np.ones((frame.height, frame.width), np.float32)

        def close(self) -> None: ...

    with pytest.raises(OptionError, match="keep is an object of Everywhere cannot be resumed"):
        matte(folder, tmp_path, {"out": "a.mov", "keep": Everywhere()}, resume=True)
    assert matte(folder, tmp_path, {"out": "a.mov", "keep": Everywhere()}).frames == COUNT


def test_a_damaged_record_is_reported_and_no_file_is_lost(folder: Path, interrupted: Path) -> None:
    damaged = work_folder(interrupted) / "checkpoint.json"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    for resume in (True, False):
        with pytest.raises(CleanplateError, match=r"checkpoint\.json is damaged") as caught:
            matte(folder, interrupted.parent, CASES["prores"], resume=resume)
        assert caught.value.hint == "start again with overwrite=True"  # type: ignore[attr-defined]
    assert len(find_parts(interrupted)) >= 2
    assert matte(folder, interrupted.parent, CASES["prores"], overwrite=True).frames == COUNT


def flip_a_byte(file: Path) -> None:
    """Damage a file without a change of its size."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "first", "second", "told"),
    [
        ("ffv1", flip_a_byte, None, "Frames 0 to 9"),
        ("follow", None, flip_a_byte, "Frames 10 to 19"),
        ("loop", Path.unlink, Path.unlink, "Frames 0 to 9"),
    ],
)
def test_damaged_segments_are_rendered_again(
    folder: Path, tmp_path: Path, name: str, first: Any, second: Any, told: str, make_whole: Whole
) -> None:
    case = CASES[name]
    whole = make_whole(name)
    peace = folder_of(name, whole)
    main = tmp_path / "cut" / whole.paths[0].relative_to(peace)
    with interrupt(main):
        matte(folder, tmp_path / "cut", case)
    for number, damage in enumerate([first, second]):
        file = work_folder(main) / f"{number:06d}{main.suffix}"
        if damage is not None:
            damage(file)
    notes: list[str] = []
    summary = matte(folder, tmp_path / "cut", case, resume=True, on_note=notes.append)
    assert f"{told} of {main.name} are damaged and are keyed again." in notes
    assert (summary.frames, summary.resumed) == (COUNT, 20)
    for path, other in zip(summary.paths, whole.paths, strict=True):
        (frames, sound), (wanted, wanted_sound) = read_back(path), read_back(other)
        check_pictures(path, frames, wanted)
        assert sound == wanted_sound
    if "report" in case:
        reports = [(where / "report.json").read_text() for where in (tmp_path / "cut", peace)]
        assert reports[0] == reports[1]


@pytest.mark.parametrize(("damaged", "goes_on"), [((20,), 10), ((10, 20), 0)])
def test_a_damaged_state_falls_back_to_the_last_intact_one(
    folder: Path, tmp_path: Path, damaged: tuple[int, ...], goes_on: int, make_whole: Whole
) -> None:
    case = CASES["follow"]
    whole = make_whole("follow")
    main = tmp_path / "cut" / whole.paths[0].name
    with interrupt(main):
        matte(folder, tmp_path / "cut", case)
    for frames in damaged:
        flip_a_byte(work_folder(main) / f"state-{frames}.bin")
    notes: list[str] = []
    summary = matte(folder, tmp_path / "cut", case, resume=True, on_note=notes.append)
    told = f"The state after frame 20 is damaged; {main.name} continues from frame {goes_on}."
    assert told in notes
    assert (summary.frames, summary.resumed) == (COUNT, goes_on)
    check_pictures(main, read_back(main)[0], read_back(whole.paths[0])[0])
    assert sorted(file.name for file in main.parent.iterdir()) == sorted(
        file.name for file in whole.paths[0].parent.iterdir()
    )


def test_a_state_of_another_shape_with_its_checksum_is_refused(folder: Path, tmp_path: Path) -> None:
    with interrupt(tmp_path / "a.mkv"):
        matte(folder, tmp_path, CASES["ffv1"])
    work = Work(tmp_path / "a.mkv")
    record = work.read()
    assert record is not None
    state = work.recall(record)
    state["keyer"][0][0][0]._tracker._watch._values = np.zeros(5, np.float32)
    checksum = work.remember(record.frames, state)
    work.write(replace(record, checksum=checksum))
    with pytest.raises(CleanplateError) as refused:
        matte(folder, tmp_path, CASES["ffv1"], resume=True)
    told = "The checkpoint of a.mkv is damaged: 'values' is an array of float32 (5,)."
    assert (refused.value.message, refused.value.hint) == (told, "start again with overwrite=True")
    assert len(find_parts(tmp_path / "a.mkv")) >= 2


@pytest.fixture(scope="module")
def job_before_cleanup(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a job that ended before its cleanup."""
    path = tmp_path_factory.mktemp("clear") / "cut"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "clear", lambda _: None)
        matte(folder, path, CASES["follow"])
    return path


@pytest.mark.parametrize("removed", range(1, 5))
def test_a_kill_during_the_removal_of_segments_leaves_no_file(
    folder: Path, tmp_path: Path, removed: int, job_before_cleanup: Path
) -> None:
    """The cleanup ends after a number of removals; the next run finds a complete job."""
    cut = tmp_path / "cut"
    shutil.copytree(job_before_cleanup, cut)
    unlink, left = Path.unlink, [removed]

    def unlink_some(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Path, "unlink", unlink_some)
        Work(cut / "a.mkv").clear()
    assert left[0] <= 0
    summary = matte(folder, cut, CASES["follow"], resume=True)
    assert summary.frames == 0
    assert sorted(file.name for file in cut.iterdir()) == ["a.mkv", "report.json"]


def test_kept_states_are_denser_towards_the_end() -> None:
    moments: list[Moment] = []
    for frames in range(10, 7210, 10):
        moments = thin_out([*moments, Moment(frames, 0, 0)], frames + 10, 10)
    assert [moment.frames for moment in moments][-3:] == [7180, 7190, 7200]
    assert len(moments) <= 20
    gaps = [moments[0].frames, *(b.frames - a.frames for a, b in itertools.pairwise(moments))]
    for moment, gap in zip(moments, gaps, strict=True):
        assert gap <= 7210 - moment.frames + 10


@pytest.mark.parametrize(
    "change",
    [
        {"frames": "20"}, {"frames": -20}, {"frames": True}, {"frames": 30}, {"checksum": None}, {"job": []},
        {"segments": []}, {"segments": {"a.mov": 7}}, {"segments": {"a.mov": [[20, 1]]}}, {"moments": 3},
        {"segments": {"a.mov": [[20, "1", 2]]}}, {"moments": [[1, 2]]}, {"moments": [[10, "x", 2]]},
        {"report": "../x.json"}, {"report": 3}, {"complete": 1}, {"overwrite": None}, {"pts": 1.5},
        {"more": 1}, {"plate_checksum": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_manipulated_record_is_reported_as_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    work = Work(tmp_path / "a.mov")
    work.folder.mkdir()
    record = {
        "format": FORMAT, "job": {}, "overwrite": False, "frames": 20, "pts": 10,
        "complete": False, "checksum": 5, "plate_checksum": None, "segments": {"a.mov": [[20, 9, 9]]},
        "moments": [[10, 5, 7]], "report": None,
    }  # fmt: skip
    (work.folder / "checkpoint.json").write_text(json.dumps(record))
    assert work.read() is not None
    (work.folder / "checkpoint.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(CleanplateError, match="is damaged"):
        work.read()


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    work = Work(tmp_path / "a.mov")
    work.folder.mkdir()
    (work.folder / "checkpoint.json").write_text(json.dumps({"format": "cleanplate-checkpoint-2"}))
    with pytest.raises(CleanplateError, match="has the format 'cleanplate-checkpoint-2'") as refused:
        work.read()
    assert refused.value.hint == "start again with overwrite=True"


def test_resume_starts_a_new_job_and_keeps_a_complete_one(folder: Path, tmp_path: Path) -> None:
    for case in (CASES["prores"], CASES["pictures"]):
        first = matte(folder, tmp_path, case, resume=True)
        before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
        notes: list[str] = []
        again = matte(folder, tmp_path, case, resume=True, on_note=notes.append)
        assert again.paths == first.paths
        assert notes == [
            f"{path.name} exists and is left as it is, also if it was made with other options; "
            "overwrite=True makes it again."
            for path in first.paths
        ]
        assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["pictures", "ffv1"])
def test_a_kill_while_work_folders_are_removed_leaves_none(folder: Path, tmp_path: Path, name: str) -> None:
    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cleanplate.media.stills.sequences.SequenceSink._leave_scratch", lambda _: None)
        patch.setattr("cleanplate.media.video.segments.remove_folder", lambda _: None)
        patch.setattr("cleanplate.jobs.video_run.OpenJob.close", kill)
        patch.setattr("cleanplate.jobs.video_run.leaving", lambda *_: nullcontext())
        with pytest.raises(KeyboardInterrupt):
            matte(folder, tmp_path, CASES[name])
    assert len(list(tmp_path.glob("*.partial"))) == 2
    matte(folder, tmp_path, CASES[name], resume=True)
    assert not list(tmp_path.glob("*.partial"))


def test_a_kill_within_the_first_segment_leaves_no_report(folder: Path, tmp_path: Path) -> None:
    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cleanplate.jobs.video_run.OpenJob.repair", kill)
        patch.setattr("cleanplate.jobs.video_run.leaving", lambda *_: nullcontext())
        with pytest.raises(KeyboardInterrupt):
            matte(folder, tmp_path, CASES["pan"])
    assert (tmp_path / "report.partial.json").exists()
    matte(folder, tmp_path, CASES["pan"], resume=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mkv", "report.json"]


@pytest.mark.parametrize("at", ["a.mkv", "report.json"])
def test_a_kill_between_the_two_steps_of_a_move_loses_no_result(
    folder: Path, tmp_path: Path, at: str, make_whole: Whole
) -> None:
    """A move without overwriting is a link to the new name, and the removal of the old one."""
    unlink = Path.unlink

    def kill(path: Path, missing_ok: bool = False) -> None:
        if (tmp_path / at).exists() and ".lock" not in path.name:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(Path, "unlink", kill)
        matte(folder, tmp_path, CASES["pan"])
    assert sum((tmp_path / at).samefile(file) for file in tmp_path.rglob("*") if file.is_file()) == 2
    matte(folder, tmp_path, CASES["pan"], resume=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mkv", "report.json"]
    (path,) = make_whole("pan").paths
    check_pictures(path, read_back(tmp_path / "a.mkv")[0], read_back(path)[0])
    assert (tmp_path / "report.json").read_text() == (path.parent / "report.json").read_text()


def test_an_overwritten_result_stays_until_the_new_one_is_complete(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_text("precious")
    with interrupt(tmp_path / "a.mov"):
        matte(folder, tmp_path, CASES["prores"], overwrite=True)
    assert (tmp_path / "a.mov").read_text() == "precious"
    assert matte(folder, tmp_path, CASES["prores"], resume=True).frames == COUNT
    assert len(read_back(tmp_path / "a.mov")[0]) == COUNT


def test_a_disk_that_fills_up_keeps_finished_segments(folder: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    dice, plate = np.random.default_rng(2), cv2.imread(str(folder / "plate.png"))[..., ::-1]
    # The fourth segment is too large. It is begun when the first one is recorded, however slow the disk is.
    noise = [dice.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(COUNT - 30)]
    write_clip(folder / "noisy.mkv", [draw(n, plate) for n in range(30)] + noise)
    case, notes = {"clip": "noisy.mkv", "out": "a.mkv"}, []
    whole = matte(folder, tmp_path / "whole", case)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        with pytest.raises(OutputError, match="disk is full"):
            matte(folder, tmp_path / "cut", case, on_note=notes.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert notes[-1].endswith("0 frames are done; key the rest with resume=True.")
    summary = matte(folder, tmp_path / "cut", case, resume=True)
    assert summary.frames == COUNT
    assert summary.resumed in (10, 20, 30)
    assert list((tmp_path / "cut").iterdir()) == [summary.paths[0]]
    check_pictures(summary.paths[0], read_back(summary.paths[0])[0], read_back(whole.paths[0])[0])


def test_a_full_disk_during_joining_keeps_all_segments(folder: Path, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OutputError("The disk is full.")

    notes: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cleanplate.media.video.segments.join", full)
        with pytest.raises(OutputError, match="disk is full"):
            matte(folder, tmp_path, CASES["prores"], on_note=notes.append)
    assert notes[-1] == "45 frames are done; finish the results with resume=True."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cleanplate.keyer.keyer.Keyer.__call__", lambda *_: pytest.fail("keyed again"))
        assert matte(folder, tmp_path, CASES["prores"], resume=True).frames == COUNT
    assert len(read_back(tmp_path / "a.mov")[0]) == COUNT


def kill_and_resume(folder: Path, tmp_path: Path, make_whole: Whole, name: str, *how: Any) -> None:
    """Kill jobs, as ``kill_session.py`` describes; then compare their final results."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    case, whole = CASES[name], make_whole(name)
    session = Path(__file__).with_name("kill_session.py")
    files = [folder / "clip.mp4", folder / "plate.png", tmp_path]
    arguments = [*map(str, files), json.dumps({"scale": 0.5, **case}), *map(str, how)]
    ended = subprocess.run(
        [sys.executable, str(session), *arguments], capture_output=True, text=True, timeout=800, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for job in range(int(ended.stdout)):
        names = sorted(file.name for file in (tmp_path / str(job)).iterdir())
        assert names == sorted(file.name for file in folder_of(name, whole).iterdir()), job
        for path in whole.paths:
            (frames, sound), (wanted, wanted_sound) = (
                read_back(tmp_path / str(job) / path.name),
                read_back(path),
            )
            check_pictures(path, frames, wanted)
            assert sound == wanted_sound


def test_a_killed_job_resumes(folder: Path, tmp_path: Path, make_whole: Whole) -> None:
    kill_and_resume(folder, tmp_path, make_whole, "ffv1", "changes", 35, 40)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [("ffv1", 13), ("pictures", 101)])
def test_a_job_killed_before_any_change_of_a_file_resumes(
    folder: Path, tmp_path: Path, make_whole: Whole, name: str, step: int
) -> None:
    kill_and_resume(folder, tmp_path, make_whole, name, "changes", 3, step)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", ["ffv1", "pictures", "h264", "vp9"])
def test_a_job_killed_at_random_moments_resumes(
    folder: Path, tmp_path: Path, make_whole: Whole, name: str
) -> None:
    kill_and_resume(folder, tmp_path, make_whole, name, "random", 20, 20)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo ran > /tmp/ran",)


@pytest.mark.parametrize("state", [Evil(), Counter("x"), np.linalg.norm, [print]])
def test_a_manipulated_checkpoint_runs_no_code(tmp_path: Path, state: Any) -> None:
    checksum = write_state(state, tmp_path / "state")
    with pytest.raises(ValueError, match="has no place in a checkpoint"):
        read_state(tmp_path / "state", checksum)


def test_a_state_is_restored_exactly(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    state = [
        array,
        array,
        array[::2, ::2],
        np.dtype(np.uint16),
        Fraction(1, 3),
        np.float64(0.5),
        {"a": (1,)},
    ]
    checksum = write_state(state, tmp_path / "state")
    back: Any = read_state(tmp_path / "state", checksum)
    assert np.array_equal(back[0], array)
    assert back[0] is back[1]
    assert back[0].flags.writeable
    assert np.array_equal(back[2], array[::2, ::2])
    assert back[3:] == state[3:]
