"""Segments joined are what one sink would have written: times, tags, alpha, pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.errors import OutputError
from cleanplate.frame import Frame
from cleanplate.media import Colour, Encoding, Segment, Sink, SourceInfo, open_sink, open_source
from cleanplate.media.video.segments import (
    SegmentedSink,
    find_damage,
    find_parts,
    is_joined,
    segment_frames,
    work_folder,
)

SIZE = (48, 64)
COUNT, LENGTH = 23, 10
FORMATS = [
    ("a.mov", "cutout", None),
    ("a.mov", "composite", "prores_ks"),
    ("a.mkv", "cutout", None),
    ("a.mkv", "alpha", None),
    ("a.webm", "cutout", None),
    ("a.webm", "composite", None),
    ("a.mp4", "composite", None),
    ("a.mp4", "composite", "libx265"),
    ("a.mkv", "composite", "h264"),
    ("a.mkv", "composite", "hevc"),
    ("a.mkv", "composite", "vp9"),
    ("a.mov", "composite", "h264"),
    ("a.mov", "composite", "hevc"),
    ("a.mov", "cutout", "qtrle"),
    ("a.mov", "cutout", "png"),
]
LOSSLESS = (None, "prores_ks", "qtrle", "png")
"""Codecs of .mov and .mkv with packets that do not depend on earlier ones."""
CHANNELS = {"cutout": 4, "alpha": 1}


def like(time_base: Fraction = Fraction(1, 25), **changes: Any) -> SourceInfo:
    plain = SourceInfo(
        Path("none"),
        *SIZE,
        frame_rate=Fraction(25),
        time_base=time_base,
        colour=Colour("limited", "bt709", "bt709", "bt709"),
        pixel_aspect=Fraction(4, 3),
    )
    return replace(plain, **changes)


def picture(number: int, layer: str) -> npt.NDArray[Any]:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    red, green, blue = x * 2 + number * 3, y * 2 + number, x + y + number * 5
    pixels = np.stack([red, green, blue, x * 4 + number], -1).clip(0, 255).astype(np.uint8)
    return pixels[..., 0] if layer == "alpha" else pixels[..., : CHANNELS.get(layer, 3)]


def even_frames() -> list[Frame]:
    blank = np.zeros((*SIZE, 3), np.uint8)
    return [Frame(blank, number, Fraction(1, 25), 1, number) for number in range(COUNT)]


def uneven_frames() -> list[Frame]:
    blank = np.zeros((*SIZE, 3), np.uint8)
    frames, pts = [], 40
    for number, shown in enumerate(np.random.default_rng(1).integers(5, 60, COUNT)):
        frames.append(Frame(blank, pts, Fraction(1, 600), int(shown), number))
        pts += int(shown)
    return frames


def write(sink: Sink, frames: Sequence[Frame], layer: str, length: int | None = None) -> None:
    for frame in frames:
        if length is not None and frame.index and frame.index % length == 0:
            assert isinstance(sink, SegmentedSink)
            sink.cut()()
        sink.write(picture(frame.index, layer), frame)


def describe(path: Path) -> tuple[tuple[Any, ...], list[tuple[Any, ...]], list[Any]]:
    """The header, what is known of each packet, and the frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        head = (
            (context.name, context.codec_tag, context.pix_fmt, context.extradata, stream.sample_aspect_ratio),
            (context.colorspace, context.color_range, context.color_primaries, context.color_trc),
            (stream.time_base, stream.start_time, stream.duration, stream.frames, stream.average_rate),
            (container.duration, {k: v for k, v in stream.metadata.items() if k != "ENCODER"}),
        )
        stored = [packet for packet in container.demux(stream) if packet.size]
        times = [packet.dts for packet in stored]
        if path.suffix == ".mkv":  # its durations follow the order of presentation
            stored.sort(key=lambda packet: packet.pts)
        packets = [
            (dts, packet.duration, any("additional" in s.data_type for s in packet.iter_sidedata()))
            for dts, packet in zip(times, stored, strict=True)
        ]
    with av.open(str(path)) as container:
        return head, packets, list(container.decode(video=0))


@pytest.mark.parametrize("frames", [even_frames(), uneven_frames()], ids=["even", "uneven"])
@pytest.mark.parametrize(("name", "layer", "codec"), FORMATS)
def test_joined_segments_equal_a_single_sink(
    tmp_path: Path, name: str, layer: str, codec: str | None, frames: list[Frame]
) -> None:
    info, encoding = like(frames[0].time_base), Encoding(codec=codec)
    with open_sink(tmp_path / f"whole-{name}", info, layer=layer, encoding=encoding) as sink:
        write(sink, frames, layer)
    with open_sink(tmp_path / name, info, layer=layer, encoding=encoding, segments=()) as sink:
        write(sink, frames, layer, LENGTH)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"whole-{name}"]
    whole_head, whole_packets, whole_frames = describe(tmp_path / f"whole-{name}")
    head, packets, shown = describe(tmp_path / name)
    assert head == whole_head
    assert packets == whole_packets
    assert all(has_alpha for *_, has_alpha in packets) == (name == "a.webm" and layer == "cutout")
    assert [frame.pts for frame in shown] == [frame.pts for frame in whole_frames]
    for frame, other, number in zip(shown, whole_frames, range(COUNT), strict=True):
        got, wanted = (f.to_ndarray(format="rgba").astype(int) for f in (frame, other))
        if name in ("a.mov", "a.mkv") and codec in LOSSLESS:
            assert np.array_equal(got, wanted), number
        else:
            assert np.abs(got - wanted).mean() < 6, number


def test_segments_play_and_are_removed_with_the_result(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    sink = open_sink(path, like(), segments=())
    frames = even_frames()
    for number in range(3):
        write(sink, frames[number * 5 : number * 5 + 5], "cutout")
        assert isinstance(sink, SegmentedSink)
        sink.cut()()
    assert sink.cut()() is None, "nothing to end"
    assert [segment.frames for segment in sink.finished] == [5, 5, 5]
    parts = find_parts(path)
    assert [part.name for part in parts] == ["000000.mov", "000001.mov", "000002.mov"]
    for number, part in enumerate(parts):
        with open_source(part) as source:
            assert [frame.pts * frame.time_base for frame in source] == [
                Fraction(number * 5 + i, 25) for i in range(5)
            ]
    assert not path.exists()
    (work_folder(path) / "mine.txt").write_text("precious")
    sink.close()
    sink.close()
    assert sink.abort() is None
    assert [file.name for file in work_folder(path).iterdir()] == ["mine.txt"]
    with open_source(path) as source:
        assert sum(1 for _ in source) == 15


def test_a_segment_is_flushed_while_the_next_is_written(tmp_path: Path) -> None:
    path, frames = tmp_path / "a.mp4", even_frames()
    sink = SegmentedSink(path, like(), layer="composite", overwrite=False, encoding=Encoding())
    write(sink, frames[:10], "composite")
    finish = sink.cut()
    write(sink, frames[10:], "composite")
    assert sink.finished == []
    finish()
    assert [segment.frames for segment in sink.finished] == [10]
    sink.close()
    with open_source(path) as source:
        assert [frame.pts * frame.time_base for frame in source] == [Fraction(i, 25) for i in range(COUNT)]


def test_another_sink_continues_after_an_abort(tmp_path: Path) -> None:
    path, frames = tmp_path / "a.mov", even_frames()
    sink = SegmentedSink(path, like(), layer="cutout", overwrite=False, encoding=Encoding())
    write(sink, frames[:17], "cutout", LENGTH)
    assert sink.abort() == work_folder(path)
    assert "The first 10 frames of a.mov are kept in" in sink.notes[-1]
    assert [part.name for part in find_parts(path)] == ["000000.mov", "000001.partial.mov"]
    assert find_damage(path, sink.finished) == []
    assert find_damage(path, [replace(sink.finished[0], size=7)]) == [0]
    with open_sink(path, like(), segments=sink.finished) as again:
        write(again, frames[10:], "cutout", LENGTH)
    with open_sink(tmp_path / "whole.mov", like()) as whole:
        write(whole, frames, "cutout")
    assert describe(path)[:2] == describe(tmp_path / "whole.mov")[:2]


def test_an_abort_within_the_first_segment_leaves_a_playable_file(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "a.mkv", like(), segments=())
    write(sink, even_frames()[:7], "cutout")
    left = sink.abort()
    assert left == work_folder(tmp_path / "a.mkv") / "000000.partial.mkv"
    assert str(left) in sink.notes[-1]
    with open_source(left) as source:
        assert sum(1 for _ in source) == 7


def test_a_sink_without_frames_leaves_no_file(tmp_path: Path) -> None:
    assert open_sink(tmp_path / "a.mov", like(), segments=()).abort() is None
    with pytest.raises(OutputError, match="got no frame"):
        open_sink(tmp_path / "a.mov", like(), segments=()).close()
    with pytest.raises(OutputError, match="cannot hold a cut-out"):
        open_sink(tmp_path / "a.mp4", like(), segments=())
    assert list(tmp_path.iterdir()) == []


def test_notes_and_errors_name_the_result(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^a\.avi has no suffix of a video format"):
        open_sink(tmp_path / "a.avi", like(), segments=())
    sink = open_sink(tmp_path / "a.mp4", like(width=63), layer="composite", segments=())
    assert sink.notes == [
        "a.mp4 is 64x48 instead of 63x48: its format needs even sides, so the last row or column is repeated."
    ]
    sink.abort()


def test_an_error_names_a_damaged_segment_and_keeps_the_others(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "a.mov", like(), segments=())
    write(sink, even_frames(), "cutout", LENGTH)
    (work_folder(sink.path) / "000001.mov").write_bytes(b"rubbish")
    with pytest.raises(OutputError, match=r"000001\.mov is damaged"):
        sink.close()
    assert "The first 23 frames of a.mov are kept in" in sink.notes[-1]
    assert sink.abort() is None
    names = [part.name for part in find_parts(sink.path)]
    assert names == ["000000.mov", "000001.mov", "000002.mov"]


def test_a_disk_that_fills_up_while_joining_keeps_the_segments(tmp_path: Path, small_files: Any) -> None:
    path, frames = tmp_path / "a.mkv", even_frames()
    sink = SegmentedSink(path, like(), layer="cutout", overwrite=False, encoding=Encoding())
    write(sink, frames, "cutout", LENGTH)
    sink.cut()()
    largest = max(part.stat().st_size for part in find_parts(path))
    with small_files(largest + 1000), pytest.raises(OutputError, match="disk is full"):
        sink.close()
    assert [part.name for part in find_parts(path)] == ["000000.mkv", "000001.mkv", "000002.mkv"]
    with open_sink(path, like(), segments=sink.finished):
        pass
    assert list(tmp_path.iterdir()) == [path]
    assert len(describe(path)[2]) == COUNT


def test_a_kill_between_joining_and_renaming_leaves_a_result_to_rename(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    with open_sink(path, like(), segments=()) as sink:
        write(sink, even_frames(), "cutout", LENGTH)
    folder = work_folder(path)
    folder.mkdir()
    path.rename(folder / "joined.mov")
    assert is_joined(path)
    with open_sink(path, like(), segments=[Segment(10, 1, 1), Segment(10, 1, 1), Segment(3, 1, 1)]):
        pass
    assert len(describe(path)[2]) == COUNT
    assert list(tmp_path.iterdir()) == [path]


def test_sound_is_brought_in_when_joining(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    clip = make_video(
        "clip.mp4", codec="libx264", pixel_format="yuv420p", pts=range(COUNT), audio_codec="aac"
    )
    with open_source(clip) as source:
        info = replace(source.info, colour=Colour())
    for name, segments in (("whole.mov", None), ("a.mov", ())):
        with open_sink(tmp_path / name, info, segments=segments) as sink:
            for frame in even_frames():
                if segments is not None and frame.index and frame.index % LENGTH == 0:
                    assert isinstance(sink, SegmentedSink)
                    sink.cut()()
                sink.write(picture(frame.index, "cutout"), frame)
    sounds = []
    for name in ("whole.mov", "a.mov"):
        with av.open(str(tmp_path / name)) as container:
            sounds.append([(p.pts, p.dts, p.duration, bytes(p)) for p in container.demux(audio=0) if p.size])
    assert sounds[0] == sounds[1]
    assert len(sounds[0]) > 30


def test_a_segment_is_five_seconds_or_less() -> None:
    assert segment_frames(like()) == 125
    assert segment_frames(like(frame_rate=None)) == 125
    assert segment_frames(like(frame_rate=Fraction(1))) == 10
    assert segment_frames(like(frame_rate=Fraction(1000))) == 600
    assert segment_frames(like(height=2160, width=3840)) == 72
