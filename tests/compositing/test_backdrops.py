from __future__ import annotations

import types
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from cleanplate.compositing.backdrops import VideoBackdrop, open_backdrop
from cleanplate.compositing.still_backdrops import BlurBackdrop, ColourBackdrop, PictureBackdrop
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame

SAMPLES = Path(__file__).parents[2] / "samples"


class CountingSource:
    """Frames whose colour is their number; counts how many sources are open."""

    opened: ClassVar[list[CountingSource]] = []
    times: tuple[int, ...] = (0, 1, 2, 3)
    rate: Fraction | None = Fraction(10)
    duration: int | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info = types.SimpleNamespace(frame_rate=self.rate)
        self.open = True
        self.opened.append(self)

    def __iter__(self) -> Iterator[Frame]:
        for index, time in enumerate(self.times):
            assert self.open
            pixels = np.full((40, 60, 3), index, np.uint8)
            yield Frame(pixels, time, Fraction(1, 10), self.duration, index)

    def close(self) -> None:
        self.open = False


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> type[CountingSource]:
    class Source(CountingSource):
        opened: ClassVar[list[CountingSource]] = []

    monkeypatch.setattr("cleanplate.compositing.backdrops.open_source", Source)
    return Source


def at(seconds: float | Fraction, dtype: type = np.uint8) -> Frame:
    time = Fraction(seconds).limit_denominator(1000)
    return Frame(np.zeros((80, 120, 3), dtype), time.numerator, Fraction(1, time.denominator))


def shown(backdrop: VideoBackdrop, *seconds: float) -> list[int]:
    return [int(backdrop(at(second))[0, 0, 0]) for second in seconds]


def test_a_video_runs_by_time_and_loops(source: type[CountingSource]) -> None:
    with VideoBackdrop("loop.mp4") as backdrop:
        assert shown(backdrop, 0, 0.05, 0.1, 0.15, 0.35, 0.399) == [0, 0, 1, 1, 3, 3]
        assert shown(backdrop, 0.4, 0.5, 0.8, 0.9) == [0, 1, 0, 1]
        assert sum(opened.open for opened in source.opened) == 1
    assert not any(opened.open for opened in source.opened)


def test_the_time_of_a_video_counts_from_the_first_frame(source: type[CountingSource]) -> None:
    source.times = (70, 71, 72, 73)
    assert shown(VideoBackdrop("late.mp4"), 1000.0, 1000.1, 1000.25) == [0, 1, 2]


def test_loops_are_skipped(source: type[CountingSource]) -> None:
    backdrop = VideoBackdrop("loop.mp4")
    assert shown(backdrop, 0, 4000.1, 4000.2) == [0, 1, 2]
    assert len(source.opened) <= 3


def test_an_earlier_time_restarts_the_video(source: type[CountingSource]) -> None:
    assert shown(VideoBackdrop("loop.mp4"), 0.3, 0.6, 0.1, 0.2) == [0, 3, 0, 1]
    assert [opened.open for opened in source.opened].count(True) == 1


@pytest.mark.parametrize(
    ("rate", "duration", "frames"), [(Fraction(10), None, 1), (None, 1, 2), (None, None, 1)]
)
def test_short_videos_loop_too(
    source: type[CountingSource], rate: Fraction | None, duration: int | None, frames: int
) -> None:
    source.times, source.rate, source.duration = tuple(range(frames)), rate, duration
    assert shown(VideoBackdrop("short.mp4"), *(n / 10 for n in range(6))) == [n % frames for n in range(6)]


def test_uneven_frame_times_are_kept(source: type[CountingSource]) -> None:
    source.times, source.duration = (0, 5, 6, 20), 2
    assert shown(VideoBackdrop("vfr.mp4"), 0.4, 0.4 + 0.5, 0.4 + 0.6, 0.4 + 1.9, 0.4 + 2.1, 0.4 + 2.2) == [
        0,
        1,
        2,
        2,
        3,
        0,
    ]


@pytest.mark.usefixtures("source")
def test_each_frame_gets_its_size_and_type() -> None:
    backdrop = VideoBackdrop("loop.mp4")
    assert backdrop(at(0)).shape == (80, 120, 3)
    deep = backdrop(at(0.1, np.uint16))
    assert deep.dtype == np.uint16
    assert np.all(deep == 257)
    assert backdrop(at(0.15, np.uint16)) is deep, "filled once per picture of the video"


def test_a_video_without_frames_is_refused(source: type[CountingSource]) -> None:
    source.times = ()
    with pytest.raises(InputError, match=r"empty\.mp4"):
        VideoBackdrop("empty.mp4")
    assert not source.opened[0].open


def test_backdrops_without_a_file() -> None:
    plate = np.full((40, 60, 3), 50, np.uint8)
    assert isinstance(open_backdrop("#00b140"), ColourBackdrop)
    assert isinstance(open_backdrop("white"), ColourBackdrop)
    assert isinstance(open_backdrop("blur", plate), BlurBackdrop)
    assert isinstance(open_backdrop(plate), PictureBackdrop)
    mine = ColourBackdrop((1, 2, 3))
    assert open_backdrop(mine) is mine


def test_blur_needs_a_plate() -> None:
    with pytest.raises(OptionError, match="needs a plate"):
        open_backdrop("blur")


@pytest.mark.parametrize("spec", ["beech.jpg", "grren", Path("nowhere/clip.mp4")])
def test_a_text_that_is_no_colour_and_no_file_is_refused(spec: str | Path) -> None:
    with pytest.raises(OptionError, match="neither a colour nor a file") as caught:
        open_backdrop(spec)
    assert str(spec) in str(caught.value)


def test_a_wrong_hash_colour_is_a_wrong_colour() -> None:
    with pytest.raises(OptionError, match="'#12345' is not a colour"):
        open_backdrop("#12345")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a folder"):
        open_backdrop(tmp_path)


def test_other_types_are_refused() -> None:
    with pytest.raises(OptionError, match="got int"):
        open_backdrop(3)  # type: ignore[arg-type]


def test_a_real_picture_and_a_real_video() -> None:
    pytest.importorskip("cleanplate.media.stills.image_reader")
    picture = open_backdrop(SAMPLES / "photo.jpg")
    assert picture(at(0)).std() > 10
    video = open_backdrop(str(SAMPLES / "clip.mp4"))
    assert isinstance(video, VideoBackdrop)
    first = video(at(0)).copy()
    assert not np.array_equal(first, video(at(1)))
    video.close()
