"""Spans of a clip: frame-exact, pixels equal to those of a full read, with and without seeking."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame
from cleanplate.media import Reading, Span, open_source, write_image
from cleanplate.media.containers.playback import Playback

MakeVideo = Callable[..., Path]
SAMPLES = Path(__file__).parents[2] / "samples"

# Long enough for seeking: a key frame every half second.
CLIPS: dict[str, dict[str, Any]] = {
    "a.mp4": {"codec": "libx264", "pixel_format": "yuv420p", "options": {"g": "12", "bf": "3"}},
    "open_gop.mp4": {
        "codec": "libx264",
        "pixel_format": "yuv420p",
        "options": {"x264-params": "keyint=12:bframes=3:open-gop=1:b-adapt=0"},
    },
    "hevc_open_gop.mp4": {
        "codec": "libx265",
        "pixel_format": "yuv420p",
        "options": {"x265-params": "keyint=12:bframes=3:open-gop=1:log-level=none"},
    },
    "refresh.mp4": {
        "codec": "libx264",
        "pixel_format": "yuv420p",
        "options": {"x264-params": "keyint=20:intra-refresh=1:bframes=0"},
    },
    "a.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le"},
    "a.mkv": {"codec": "ffv1", "pixel_format": "bgr0", "options": {"g": "10"}},
    "b.mkv": {"codec": "libx264", "pixel_format": "yuv420p", "options": {"g": "12", "bf": "3"}},
    "a.ts": {"codec": "mpeg2video", "pixel_format": "yuv420p", "options": {"g": "12", "bf": "2"}},
    "a.webm": {
        "codec": "libvpx-vp9",
        "pixel_format": "yuv420p",
        "options": {"g": "12", "deadline": "realtime"},
    },
    "b.ts": {"codec": "libx264", "pixel_format": "yuv420p", "options": {"g": "12", "bf": "3"}},
    "refresh.ts": {
        "codec": "libx264",
        "pixel_format": "yuv420p",
        "options": {"x264-params": "keyint=20:intra-refresh=1:bframes=0"},
    },
    "a.mxf": {"codec": "mpeg2video", "pixel_format": "yuv422p", "options": {"g": "12", "bf": "2"}},
    "a.avi": {"codec": "mpeg4", "pixel_format": "yuv420p", "options": {"g": "12"}},
}
COUNT = 110


def moving(i: int) -> np.ndarray:
    """Make moving noise with the frame's number in it, so that all frames differ."""
    noise = np.random.default_rng(1).integers(0, 256, (48, 64 + COUNT, 3), np.uint8)
    picture = noise[:, i : i + 64].copy()
    for bit in range(8):
        picture[:16, 8 * bit : 8 * bit + 8] = 255 * ((i >> bit) & 1)
    return picture


@pytest.fixture(scope="module")
def clips() -> dict[str, Path]:
    return {}


@pytest.fixture(params=CLIPS)
def clip(request: pytest.FixtureRequest, clips: dict[str, Path], make_video: MakeVideo) -> Path:
    name: str = request.param
    if name not in clips:
        clips[name] = make_video(name, pts=range(COUNT), picture=moving, **CLIPS[name])
    return clips[name]


def read(path: Path, span: Span | None = None) -> list[Frame]:
    with open_source(path, Reading(span=span)) as source:
        frames = list(source)
        assert source.notes == []
    return frames


def same(got: list[Frame], wanted: list[Frame], shift: int = 0, first: int = 0) -> bool:
    return len(got) == len(wanted) and all(
        a.pts == b.pts - shift
        and a.index == b.index - first
        and a.duration == b.duration
        and np.array_equal(a.pixels, b.pixels)
        for a, b in zip(got, wanted, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("0:03.2-0:03.6", 80, 90),
        ("3.01-3.05", 76, 77),
        ("-0.4", 0, 10),
        ("4.2-", 105, COUNT),
        ("3.9-9", 98, COUNT),
    ],
)
def test_a_span_equals_this_part_of_the_clip(clip: Path, text: str, first: int, last: int) -> None:
    whole = read(clip)
    assert len(whole) == COUNT
    with open_source(clip, Reading(span=Span.parse(text))) as source:
        frames = list(source)
        info = source.info
    if whole[0].time_base == Fraction(1, 1000):  # Matroska rounds: 3.01 s is frame 76 either way
        assert all(abs(f.time_seconds - Fraction(f.index, 25)) <= Fraction(1, 1000) for f in whole)
    assert same(frames, whole[first:last], shift=whole[first].pts, first=first)
    assert info.frame_count is None or abs(info.frame_count - (last - first)) <= 1


def test_starting_at_a_frame_gives_the_rest(clip: Path) -> None:
    whole = read(clip)
    for index in (0, 1, 13, 60, 77, 84, 95, COUNT - 1):
        with open_source(clip) as source:
            source.start_at(index, whole[index].pts)
            assert same(list(source), whole[index:])


def test_a_start_within_a_span_gives_the_rest_of_it(clip: Path) -> None:
    span = Span(Fraction(1), Fraction(4))
    part = read(clip, span)
    assert len(part) == 75
    with open_source(clip, Reading(span=span)) as source:
        source.start_at(70, part[70].pts)
        assert same(list(source), part[70:])


def test_frames_before_the_key_frame_are_not_decoded(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If that is safe: a stream with gradual refresh is decoded from its start."""
    places: list[int] = []
    place = Playback._place

    def counting(self: Playback, decoded: Any) -> Any:
        for picture in place(self, decoded):
            places.append(picture.pts)
            yield picture

    monkeypatch.setattr(Playback, "_place", counting)
    with open_source(clip, Reading(span=Span(Fraction(4)))):
        pass
    assert (len(places) > 100) == clip.stem.startswith("refresh")


def test_a_span_of_a_variable_frame_rate(make_video: MakeVideo) -> None:
    times = np.cumsum([0] + [(7 * i) % 90 + 1 for i in range(119)]).tolist()
    clip = make_video(
        "a.mp4",
        codec="libx264",
        pixel_format="yuv420p",
        pts=times,
        time_base=Fraction(1, 1000),
        options={"g": "15"},
        picture=lambda i: moving(i % COUNT),
    )
    whole = read(clip)
    assert [f.time_seconds for f in whole] == [Fraction(t, 1000) for t in times]
    for start, end in ((0, 50), (60, 61), (77, 110)):
        got = read(clip, Span(Fraction(times[start], 1000), Fraction(times[end], 1000)))
        assert same(got, whole[start:end], shift=whole[start].pts, first=start)


def test_a_span_of_a_sequence(tmp_path: Path) -> None:
    for number in (7, 8, 9, 11, 12):
        write_image(tmp_path / f"a_{number:02d}.png", np.full((40, 40, 3), number, np.uint8))
    reading = Reading(frame_rate=Fraction(10), span=Span.parse("0.15-0.5"))
    with open_source(tmp_path / "a_%02d.png", reading) as source:
        assert source.info.first_number == 9
        assert source.info.duration_seconds == Fraction(3, 10)
        frames = list(source)
    assert [(f.pixels[0, 0, 0], f.pts, f.index) for f in frames] == [(9, 0, 0), (11, 2, 1)]
    with open_source(tmp_path / "a_%02d.png", reading) as source:
        source.start_at(1, 2)
        assert [(f.pixels[0, 0, 0], f.pts, f.index) for f in source] == [(11, 2, 1)]
    with open_source(tmp_path / "a_%02d.png") as source, pytest.raises(InputError, match="no picture 10"):
        source.start_at(3, 3)
    with pytest.raises(InputError, match=r"lasts 0:00\.6 at 10 fps; the range 0:07- lies outside"):
        open_source(tmp_path / "a_%02d.png", Reading(frame_rate=Fraction(10), span=Span.parse("7-")))


def test_a_span_beyond_the_end_is_refused_with_the_length(make_video: MakeVideo) -> None:
    for name in ("a.mp4", "a.ts"):
        with pytest.raises(InputError, match=rf"{name} lasts 0:04; the range 0:09-0:10 lies outside"):
            open_source(make_video(name, pts=range(100), **CLIPS[name]), Reading(span=Span.parse("9-10")))
    with pytest.raises(InputError, match=r"shows no new frame within 0:00\.01-0:00\.02"):
        open_source(SAMPLES / "clip.mp4", Reading(span=Span.parse("0.01-0.02")))


def test_a_start_beyond_the_end_of_a_changed_file_is_refused(make_video: MakeVideo) -> None:
    for pts in (2, 10**6):
        with (
            open_source(make_video("a.mp4", codec="libx264", pixel_format="yuv420p")) as source,
            pytest.raises(InputError, match=r"no frame 3 at .* any more"),
        ):
            source.start_at(3, pts)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("00:10-00:42.5", 10, Fraction(85, 2)),
        ("10-", 10, None),
        ("-00:42.5", 0, Fraction(85, 2)),
        ("1:02:03.25-2:00:00", Fraction(14893, 4), 7200),
        (" 90 - 1:40 ", 90, 100),
        ("0.001-0.002", Fraction(1, 1000), Fraction(1, 500)),
    ],
)
def test_spans_in_words(text: str, start: Fraction, end: Fraction | None) -> None:
    assert Span.parse(text) == Span(Fraction(start), None if end is None else Fraction(end))
    assert Span.parse(str(Span.parse(text))) == Span.parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Expected a range such as"),
        ("-", "Expected a range such as"),
        ("10", "Expected a range such as"),
        ("a-b", "'a' in the range 'a-b' is not a time"),
        ("1:2:3:4-", "is not a time"),
        ("1:75-2:00", "more than 59"),
        ("1:75:00-", "more than 59"),
        ("10-5", "ends after it begins, got 0:10-0:05"),
        ("5-5", "ends after it begins"),
        ("--5", "is not a time"),
    ],
)
def test_wrong_spans_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        Span.parse(text)


def test_a_span_before_the_clip() -> None:
    with pytest.raises(OptionError, match="begins at 0 or later"):
        Span(Fraction(-1))
