"""Streams and tags beside the pictures: audio tracks, subtitles, chapters, timecode, reel, fonts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet

from cleanplate.media import Reading, Span, open_sink, open_source

MakeVideo = Callable[..., Path]
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, \
MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
LINES = [(200, 900, "one"), (1100, 1900, "two\\Nlines"), (2500, 3500, "three")]


def copy_through(source_path: Path, path: Path, span: str | None = None, **options: Any) -> list[str]:
    reading = Reading(span=Span.parse(span) if span else None)
    with (
        open_source(source_path, reading) as source,
        open_sink(path, source.info, layer="composite", **options) as sink,
    ):
        for frame in source:
            sink.write(frame.pixels, frame)
    return [*source.notes, *sink.notes]


def tone(frequency: float, start: int, count: int = 1024) -> av.AudioFrame:
    time = (np.arange(count) + start) / 48000
    values = (np.sin(2 * np.pi * frequency * time) * 0.5).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.tile(values, (2, 1)), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
    return frame


def make_rich(path: Path, *, subtitles: str, video: str = "libx264", audio: str = "aac") -> Path:
    """Make four seconds with two audio tracks, subtitles, three chapters, tags and a font."""
    with av.open(str(path), "w") as output:
        output.metadata.update({"title": "Shot 7", "artist": "Unit B", "comment": "second take"})
        output.metadata["creation_time"] = "2024-05-06T07:08:09.000000Z"
        stream: Any = output.add_stream(video, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tracks: list[Any] = []
        for language, title in (("deu", "Ton"), ("eng", "Commentary")):
            track: Any = output.add_stream(audio, rate=48000)
            track.layout = "stereo"
            if path.suffix == ".mov" and language == "deu":
                language = "ger"
            track.metadata.update({"language": language, "title": title})
            tracks.append(track)
        tracks[0].disposition = Disposition.default.value
        tracks[1].disposition = Disposition.comment.value
        text: Any = output.add_stream(subtitles)
        text.codec_context.subtitle_header = ASS_HEADER
        text.codec_context.time_base = text.time_base = Fraction(1, 1000)
        text.metadata["language"] = "fra"
        output.set_chapters(
            [
                {"id": i + 1, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": t}}
                for i, (a, b, t) in enumerate([(0, 1000, "A"), (1000, 2500, "B"), (2500, 4000, "C")])
            ]
        )
        if path.suffix == ".mkv":
            output.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
        for begin, end, line in LINES:
            event = SubtitleSet.create(b"0,0,Default,,0,0,0,," + line.encode(), 0, end - begin, begin)
            packet = text.codec_context.encode_subtitle(event)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            output.mux(packet)
        sounded = 0
        for i in range(100):
            while sounded < (i + 1) * 1920:
                for track, frequency in zip(tracks, (440, 880), strict=True):
                    output.mux(track.encode(tone(frequency, sounded)))
                sounded += 1024
            picture = np.full((48, 64, 3), 2 * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture).reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            output.mux(stream.encode(frame))
        for each in (*tracks, stream):
            output.mux(each.encode(None))
    return path


def subtitles_of(path: Path) -> list[tuple[float, float, str]]:
    found = []
    with av.open(str(path)) as container:
        stream: Any = container.streams.subtitles[0]
        for packet in container.demux(stream):
            for rect in stream.decode(packet) if packet.size else ():
                begin = float(packet.pts * packet.time_base)
                found.append(
                    (begin, begin + float(packet.duration * packet.time_base), rect.dialogue.decode())
                )
    return [entry for entry in found if entry[2]]


def loudest(path: Path, track: int) -> float:
    """Measure the strongest frequency of a track."""
    with av.open(str(path)) as container:
        chunks = [f.to_ndarray() for f in container.decode(audio=track)]
    values = np.concatenate([c if c.shape[0] == 2 else c.reshape(-1, 2).T for c in chunks], 1)[0, 4800:52800]
    return float(np.abs(np.fft.rfft(values.astype(float))).argmax()) * 48000 / len(values)


@pytest.mark.parametrize(
    ("source", "subtitles", "out"),
    [
        ("in.mkv", "subrip", "out.mov"),
        ("in.mkv", "ass", "out.mp4"),
        ("in.mkv", "subrip", "out.mkv"),
        ("in.mkv", "webvtt", "out.webm"),
        ("in.mkv", "subrip", "out.webm"),
        ("in.mov", "mov_text", "out.mov"),
        ("in.mp4", "mov_text", "out.mkv"),
    ],
)
def test_sound_subtitles_chapters_and_tags_are_kept(
    tmp_path: Path, source: str, subtitles: str, out: str
) -> None:
    clip = make_rich(tmp_path / source, subtitles=subtitles)
    path = tmp_path / out
    notes = copy_through(clip, path)
    expected_notes = ["as opus: webm cannot hold"] if out == "out.webm" else []
    if source == "in.mkv" and out != "out.mkv":
        expected_notes.append("Attached files cannot be stored in")
    assert len(notes) == len(expected_notes)
    assert all(part in note for part, note in zip(expected_notes, notes, strict=True))

    with av.open(str(path)) as container:
        names = [s.metadata.get("title", s.metadata.get("name")) for s in container.streams.audio]
        german = "ger" if out == "out.mov" else "deu"
        assert [s.language for s in container.streams.audio] == [german, "eng"]
        assert names == ["Ton", "Commentary"]
        assert container.streams.audio[0].disposition & Disposition.default
        assert not container.streams.audio[1].disposition & Disposition.default
        assert container.streams.subtitles[0].language in ("fra", "fre")
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        assert metadata["title"] == "Shot 7"
        assert metadata["comment"] == "second take"
        assert metadata["artist"] == "Unit B"
        assert metadata["creation_time"].startswith("2024-05-06T07:08:09")
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]
        assert chapters == [(0, 1, "A"), (1, 2.5, "B"), (2.5, 4, "C")]
        fonts = [(s.name, s.data) for s in container.streams.attachments]
        assert fonts == (
            [("font.ttf", b"not really a font")] if out == "out.mkv" and source == "in.mkv" else []
        )
    assert loudest(path, 0) == pytest.approx(440, abs=3)
    assert loudest(path, 1) == pytest.approx(880, abs=3)
    shown = subtitles_of(path)
    assert [text.split() for _, _, text in shown] == [["one"], ["two", "lines"], ["three"]]
    for (begin, end, _), (a, b, _) in zip(shown, LINES, strict=True):
        # Matroska has no times below 0: for sound that begins before, all moves by the same amount.
        assert (begin, end) == pytest.approx((a / 1000, b / 1000), abs=0.03)


@pytest.mark.parametrize("out", ["out.mov", "out.mkv", "out.webm"])
def test_sound_subtitles_and_chapters_are_cut_with_the_span(tmp_path: Path, out: str) -> None:
    clip = make_rich(tmp_path / "in.mkv", subtitles="subrip")
    path = tmp_path / out
    copy_through(clip, path, "0.6-2.7")
    shown = subtitles_of(path)
    expected = [(0, 0.3, ["one"]), (0.5, 1.3, ["two", "lines"]), (1.9, 2.1, ["three"])]
    assert [
        (pytest.approx(b, abs=0.002), pytest.approx(e, abs=0.002), t.split()) for b, e, t in shown
    ] == expected
    with av.open(str(path)) as container:
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]
    assert chapters == [(0, 0.4, "A"), (0.4, 1.9, "B"), (1.9, 2.1, "C")]


def make_timecode(path: Path, rate: Fraction, timecode: str, codec: str = "libx264") -> Path:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = 1 / rate
        if path.suffix == ".mxf":
            stream.pix_fmt = "yuv422p"
            output.metadata["timecode"] = timecode
        else:
            stream.metadata.update({"timecode": timecode, "reel_name": "A003C012"})
        for i in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8))
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = i, 1 / rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def tags_of(path: Path) -> tuple[str | None, str | None]:
    """Read timecode and reel from any place in the container."""
    with av.open(str(path)) as container:
        places = [{k.lower(): v for k, v in s.metadata.items()} for s in container.streams]
    return tuple(  # type: ignore[return-value]
        next((place[name] for place in places if name in place), None) for name in ("timecode", "reel_name")
    )


@pytest.mark.parametrize(
    ("rate", "first", "later"),
    [
        (Fraction(24), "01:00:00:00", "01:00:00:15"),
        (Fraction(24000, 1001), "23:59:59:20", "00:00:00:11"),
        (Fraction(25), "10:11:12:13", "10:11:13:03"),
        (Fraction(30000, 1001), "00:00:59;20", "00:01:00;07"),
        (Fraction(30000, 1001), "00:09:59;20", "00:10:00;05"),
        (Fraction(60000, 1001), "00:00:59;50", "00:01:00;09"),
        (Fraction(50), "00:00:00:00", "00:00:00:15"),
    ],
)
def test_timecode_and_reel_are_kept(tmp_path: Path, rate: Fraction, first: str, later: str) -> None:
    clip = make_timecode(tmp_path / "in.mov", rate, first)
    for suffix in (".mov", ".mp4", ".mkv"):
        reel = None if suffix == ".mp4" else "A003C012"  # MP4 has no place for it
        copy_through(clip, tmp_path / f"whole{suffix}")
        assert tags_of(tmp_path / f"whole{suffix}") == (first, reel)
        # Fifteen frames later: just before the fifteenth's own time, to show rounding.
        copy_through(clip, tmp_path / f"part{suffix}", f"{float(Fraction(29, 2) / rate):.4f}-")
        assert tags_of(tmp_path / f"part{suffix}") == (later, reel)
    probed = ffprobe(tmp_path / "part.mov", "stream=codec_tag_string:stream_tags=timecode")
    assert probed.count("tmcd") == 1
    assert later in probed


def test_a_lost_reel_or_timecode_is_noted(tmp_path: Path) -> None:
    clip = make_timecode(tmp_path / "in.mov", Fraction(25), "10:11:12:13")
    reel = "out.mp4 has no place for the reel's name, A003C012."
    assert reel in copy_through(clip, tmp_path / "out.mp4")
    assert copy_through(clip, tmp_path / "out.mov") == []
    lost = "a_%03d.png has no place for the timecode, 10:11:12:13."
    assert lost in copy_through(clip, tmp_path / "a_%03d.png")
    assert not any("timecode" in note for note in copy_through(clip, tmp_path / "a_%03d.dpx"))


def ffprobe(path: Path, entries: str) -> str:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("ffprobe is not installed")
    command = [program, "-v", "error", "-show_entries", entries, "-of", "default", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_timecode_of_mxf_is_read(tmp_path: Path) -> None:
    clip = make_timecode(tmp_path / "in.mxf", Fraction(25), "09:00:00:00", "mpeg2video")
    copy_through(clip, tmp_path / "out.mov", "0.4-")
    assert tags_of(tmp_path / "out.mov")[0] == "09:00:00:10"


def test_an_invalid_timecode_is_left_out(tmp_path: Path) -> None:
    clip = make_timecode(tmp_path / "in.mkv", Fraction(25), "yesterday")
    notes = copy_through(clip, tmp_path / "out.mov")
    assert "The timecode 'yesterday' is invalid at 25 fps: it is left out." in notes
    assert tags_of(tmp_path / "out.mov")[0] is None
