from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleanplate.media import open_sink, open_source

SAMPLES = Path(__file__).parents[2] / "samples"
MakeVideo = Callable[..., Path]


def packets_of_sound(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [
            (p.pts * Fraction(p.time_base), bytes(p)) for p in container.demux(stream) if p.pts is not None
        ]


def copy_through(source_path: Path, path: Path, **options: Any) -> list[str]:
    with (
        open_source(source_path) as source,
        open_sink(path, source.info, layer="composite", **options) as sink,
    ):
        for frame in source:
            sink.write(frame.pixels, frame)
    return sink.notes


def first_loud_moment(path: Path) -> float:
    """Seconds from the first picture to the first sample of sound that is not silence."""
    with av.open(str(path)) as container:
        shown = float(next(container.decode(video=0)).time)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.nonzero(np.abs(frame.to_ndarray().astype(float)).max(axis=0) > 0.05)[0]
            if loud.size:
                return float(frame.time) + loud[0] / frame.sample_rate - shown
    raise AssertionError("no sound")


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mp4"])
def test_packets_are_copied_as_they_are(tmp_path: Path, make_video: MakeVideo, suffix: str) -> None:
    clip = make_video("in.mp4", codec="libx264", pixel_format="yuv420p", pts=range(50), audio_codec="aac")
    out = tmp_path / f"out{suffix}"
    assert copy_through(clip, out) == []
    before, after = packets_of_sound(clip), packets_of_sound(out)
    assert [data for _, data in after] == [data for _, data in before]
    tick = Fraction(0) if suffix != ".mkv" else Fraction(1, 1000)
    # Matroska has no times below 0: picture and sound move by the same amount.
    shift = after[0][0] - before[0][0]
    assert all(abs(a - b - shift) <= tick for (a, _), (b, _) in zip(after, before, strict=True))
    assert first_loud_moment(out) == pytest.approx(first_loud_moment(clip), abs=0.003)


def test_sound_and_pictures_are_interleaved(tmp_path: Path, make_video: MakeVideo) -> None:
    clip = make_video("in.mp4", codec="libx264", pixel_format="yuv420p", pts=range(200), audio_codec="aac")
    out = tmp_path / "out.mov"
    copy_through(clip, out)
    with av.open(str(out)) as container:
        latest = {"video": Fraction(0), "audio": Fraction(0)}
        for packet in container.demux():
            if packet.dts is not None and packet.pos is not None:
                latest[packet.stream.type] = packet.dts * Fraction(packet.time_base)
                assert abs(latest["video"] - latest["audio"]) < 1.2


def test_an_offset_between_sound_and_pictures_is_kept(tmp_path: Path, make_video: MakeVideo) -> None:
    clip = make_video(
        "in.mkv", pts=range(20, 60), audio_codec="flac", audio_start=0, time_base=Fraction(1, 25)
    )
    for suffix in (".mov", ".mkv"):
        out = tmp_path / f"out{suffix}"
        copy_through(clip, out)
        assert first_loud_moment(out) == pytest.approx(first_loud_moment(clip), abs=0.03)


def test_sound_unsupported_by_the_container_is_encoded(tmp_path: Path, make_video: MakeVideo) -> None:
    clip = make_video("in.mp4", codec="libx264", pixel_format="yuv420p", pts=range(50), audio_codec="aac")
    out = tmp_path / "out.webm"
    (note,) = copy_through(clip, out)
    assert "as opus: webm cannot hold aac" in note
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        loudness = [float(np.abs(f.to_ndarray().astype(float)).max()) for f in container.decode(audio=0)]
    assert max(loudness) > 0.3
    assert first_loud_moment(out) == pytest.approx(first_loud_moment(clip), abs=0.03)


def test_the_start_of_the_clock_is_subtracted_from_the_sound(tmp_path: Path, make_video: MakeVideo) -> None:
    clip = make_video(
        "in.ts",
        codec="mpeg2video",
        pixel_format="yuv420p",
        pts=range(90000, 90050),
        audio_codec="aac",
        audio_start=3600 * 48000,
    )
    out = tmp_path / "out.mov"
    copy_through(clip, out)
    times = [time for time, _ in packets_of_sound(out)]
    assert -0.2 < times[0] < 0.2
    assert first_loud_moment(out) == pytest.approx(first_loud_moment(clip), abs=0.03)


def test_sound_can_be_left_out(tmp_path: Path, make_video: MakeVideo) -> None:
    clip = make_video("in.mp4", codec="libx264", pixel_format="yuv420p", audio_codec="aac")
    copy_through(clip, tmp_path / "out.mov", audio=False)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert not container.streams.audio
