"""Times as players show them, from files whose clocks start anywhere, wrap, jump or are cut by edit lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.media import open_sink, open_source
from cleanplate.media.containers.timeline import Timeline

MakeVideo = Callable[..., Path]
H264: dict[str, Any] = {"codec": "libx264", "pixel_format": "yuv420p"}
MPEG2: dict[str, Any] = {"codec": "mpeg2video", "pixel_format": "yuv420p"}


def read(path: Path) -> tuple[list[Frame], list[str]]:
    with open_source(path) as source:
        frames = list(source)
    return frames, source.notes


def copy(path: Path, out: Path) -> list[str]:
    with open_source(path) as source, open_sink(out, source.info, layer="composite") as sink:
        for frame in source:
            sink.write(frame.pixels, frame)
    return [*source.notes, *sink.notes]


def first_sound(path: Path) -> float:
    """Seconds from the first picture to the first sound."""
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = next(f for f in container.decode(audio=0) if np.abs(f.to_ndarray()).max() > 0.01)
    return float(sound.time or 0) - float(picture.time or 0)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_ntsc_rates_are_exact_in_and_out(
    make_video: MakeVideo, tmp_path: Path, rate: Fraction, suffix: str
) -> None:
    clip = make_video("in.mov", pts=range(60), time_base=1 / rate, rate=rate, **H264)
    assert copy(clip, tmp_path / f"out{suffix}") == []
    for path in (clip, tmp_path / f"out{suffix}"):
        frames, _ = read(path)
        assert [f.time_seconds for f in frames] == [i / rate for i in range(60)]
    with open_source(tmp_path / f"out{suffix}") as source:
        assert source.info.frame_rate == rate
        assert source.info.duration_seconds == 60 / rate


def test_b_frames_are_in_the_order_of_presentation(make_video: MakeVideo) -> None:
    def fill(frame: av.VideoFrame, i: int) -> None:
        for plane, value in zip(frame.planes, (20 + 4 * i, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8)[:] = value

    clip = make_video("a.mp4", pts=range(40), fill=fill, options={"bf": "4", "g": "20", "crf": "1"}, **H264)
    frames, _ = read(clip)
    light = [float(f.pixels.mean()) for f in frames]
    assert light == sorted(light)
    assert [f.time_seconds for f in frames] == [Fraction(i, 25) for i in range(40)]


def remux(path: Path, out: Path, shift: Fraction) -> Path:
    """The same packets, so much later: into QuickTime, that writes an edit list."""
    with av.open(str(path)) as container, av.open(str(out), "w") as output:
        source = container.streams.video[0]
        stream = output.add_stream_from_template(source, opaque=True)
        for packet in container.demux(source):
            if packet.size and packet.pts is not None and packet.dts is not None:
                ticks = round(shift / Fraction(packet.time_base))
                packet.pts += ticks
                packet.dts += ticks
                packet.stream = stream
                output.mux(packet)
    return out


@pytest.mark.parametrize("bf", ["0", "3"])
def test_an_edit_list_cuts_the_start(make_video: MakeVideo, tmp_path: Path, bf: str) -> None:
    whole = make_video("in.mp4", pts=range(40), options={"bf": bf, "g": "12"}, **H264)
    cut = remux(whole, tmp_path / "cut.mp4", -Fraction(15, 25))
    frames, notes = read(cut)
    everything, _ = read(whole)
    assert notes == []
    assert [f.time_seconds for f in frames] == [Fraction(i, 25) for i in range(25)]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, everything[15:], strict=True))


def test_an_empty_edit_delays_the_pictures(make_video: MakeVideo, tmp_path: Path) -> None:
    whole = make_video("in.mp4", pts=range(10), **H264)
    frames, notes = read(remux(whole, tmp_path / "late.mov", Fraction(2)))
    assert [f.time_seconds for f in frames] == [2 + Fraction(i, 25) for i in range(10)]
    assert notes == []


def test_the_clock_of_a_transport_stream_wraps(make_video: MakeVideo, tmp_path: Path) -> None:
    start = int(2**33 / 90000 * 25) - 50  # two seconds before 26 hours and a half
    clip = make_video(
        "in.ts", pts=range(start, start + 100), audio_codec="mp2", audio_start=start * 48000 // 25, **MPEG2
    )
    frames, notes = read(clip)
    assert notes == []
    assert [f.time_seconds - frames[0].time_seconds for f in frames] == [Fraction(i, 25) for i in range(100)]
    copy(clip, tmp_path / "out.mov")
    assert first_sound(tmp_path / "out.mov") == pytest.approx(first_sound(clip), abs=0.03)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert float(container.duration or 0) / 1e6 == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("years", [1, 30])
def test_a_clip_that_starts_years_late_begins_at_zero(
    make_video: MakeVideo, tmp_path: Path, years: int
) -> None:
    seconds = years * 31_557_600
    clip = make_video(
        "in.mkv",
        pts=range(25 * seconds, 25 * seconds + 50),
        audio_codec="pcm_s16le",
        audio_start=48000 * seconds,
    )
    frames, notes = read(clip)
    assert [f.time_seconds for f in frames] == [Fraction(i, 25) for i in range(50)]
    assert notes == []
    copy(clip, tmp_path / "out.mov")
    assert first_sound(tmp_path / "out.mov") == pytest.approx(0, abs=0.01)


def test_a_jump_of_years_is_corrected(make_video: MakeVideo, tmp_path: Path) -> None:
    far = 25 * 31_557_600
    clip = make_video("in.mkv", pts=[0, 1, 2, 3, far, far + 1, far + 2, far + 7])
    frames, notes = read(clip)
    assert [f.time_seconds for f in frames] == [Fraction(i, 25) for i in (0, 1, 2, 3, 4, 5, 6, 11)]
    assert any("jumps or goes back at 1 frames" in note for note in notes)
    copy(clip, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        assert (container.duration or 0) < 1_000_000


def test_recordings_joined_by_their_bytes_have_rising_times(make_video: MakeVideo, tmp_path: Path) -> None:
    """The clock starts anew in the middle, for pictures and for sound."""
    part = make_video("part.ts", pts=range(50), audio_codec="mp2", options={"g": "10"}, **MPEG2)
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 2)
    frames, notes = read(tmp_path / "joined.ts")
    assert len(frames) == 100
    assert [f.time_seconds for f in frames] == [frames[0].time_seconds + Fraction(i, 25) for i in range(100)]
    assert any("goes back at 1 frames" in note for note in notes)
    copy(tmp_path / "joined.ts", tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        sound = list(container.decode(audio=0))
    assert sum(f.samples for f in sound) / 48000 == pytest.approx(4, abs=0.1)
    assert float(sound[-1].time or 0) == pytest.approx(4, abs=0.15)


def place(stamps: Sequence[int | None], shift: int = 0) -> tuple[list[int], int]:
    timeline = Timeline(Fraction(1, 100), 4, shift)
    return [timeline.place(stamp, None)[0] for stamp in stamps], timeline.repaired


@pytest.mark.parametrize(
    ("stamps", "placed", "repaired"),
    [
        ([0, 4, 8], [0, 4, 8], 0),
        ([0, 4, None, None, 16], [0, 4, 8, 12, 16], 0),
        ([None, None], [0, 4], 0),
        ([0, 4, 4, 8], [0, 4, 5, 8], 1),
        ([0, 4, 3, 12], [0, 4, 5, 12], 1),
        ([1000, 1004, 0, 4], [1000, 1004, 1008, 1012], 1),
        ([0, 10**15, 8], [0, 4, 8], 2),
        ([0, -(10**15), 8], [0, 4, 8], 2),
        ([0, 4, 300_000], [0, 4, 300_000], 0),
        ([10**15, 10**15 + 4], [0, 4], 1),
    ],
)
def test_time_stamps_are_corrected_to_rise(
    stamps: list[int | None], placed: list[int], repaired: int
) -> None:
    assert place(stamps) == (placed, repaired)
