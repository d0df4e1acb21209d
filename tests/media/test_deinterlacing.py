"""Interlaced video: found by the frames' marks or the container's field order, and made whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.media import Reading, open_source

MakeVideo = Callable[..., Path]

SIZE = (64, 96)
COUNT = 30


def moment(field: int) -> np.ndarray:
    """A bright bar on a dark wall, six pixels further in each field."""
    picture = np.full((*SIZE, 3), 40, np.uint8)
    left = 4 + 6 * (field % 12)
    picture[8:56, left : left + 16] = 220
    return picture


def woven(index: int, *, top_first: bool = False) -> np.ndarray:
    """The rows of two moments in one picture; x264 takes frames without a mark as bottom field first."""
    picture, second = moment(2 * index), 1 if top_first else 0
    picture[second::2] = moment(2 * index + 1)[second::2]
    return picture


def read(path: Path, reading: Reading | None = None) -> tuple[list[Frame], list[str]]:
    with open_source(path, reading or Reading()) as source:
        frames = list(source)
    return frames, source.notes


def error(frame: Frame, index: int) -> float:
    return float(np.abs(frame.pixels.astype(float) - moment(2 * index)).mean())


def test_a_frame_of_two_fields_becomes_the_picture_of_the_first(make_video: MakeVideo) -> None:
    clip = make_video(
        "a.mp4",
        codec="libx264",
        pixel_format="yuv420p",
        size=SIZE,
        pts=range(6),
        options={"x264-params": "interlaced=1", "crf": "4"},
        picture=woven,
    )
    frames, notes = read(clip)
    kept, kept_notes = read(clip, Reading(deinterlace="off"))
    assert [f.pts for f in frames] == [f.pts for f in kept]
    assert [f.duration for f in frames] == [f.duration for f in kept]
    assert max(error(f, i) for i, f in enumerate(frames)) < 4
    assert min(error(f, i) for i, f in enumerate(kept)) > 8
    assert len(notes) == len(kept_notes) == 1
    assert "is interlaced: each frame becomes the whole picture of its first field" in notes[0]
    assert "field order is lost" in kept_notes[0]


def test_progressive_frames_of_an_interlaced_stream_stay_to_the_bit(make_video: MakeVideo) -> None:
    parts = [
        make_video(
            f"{name}.ts",
            codec="libx264",
            pixel_format="yuv420p",
            size=SIZE,
            pts=range(5),
            options={"x264-params": params},
            picture=moment if name == "progressive" else woven,
        )
        for name, params in (("progressive", "bframes=0"), ("interlaced", "interlaced=1:bframes=0"))
    ]
    joined = parts[0].with_name("joined.ts")
    joined.write_bytes(b"".join(part.read_bytes() for part in (*parts, parts[0])))
    frames, notes = read(joined)
    kept, _ = read(joined, Reading(deinterlace="off"))
    assert len(frames) == len(kept) == 15
    changed = [not np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, kept, strict=True)]
    assert changed == [False] * 5 + [True] * 5 + [False] * 5
    assert sum("is interlaced" in note for note in notes) == 1


def test_reading_from_a_frame_on_gives_the_same_pictures(make_video: MakeVideo) -> None:
    clip = make_video(
        "a.mkv",
        codec="libx264",
        pixel_format="yuv420p",
        size=SIZE,
        pts=range(COUNT + 20),
        options={"x264-params": "interlaced=1", "g": "5"},
        picture=woven,
    )
    whole, _ = read(clip)
    with open_source(clip) as source:
        source.start_at(COUNT, whole[COUNT].pts)
        rest = list(source)
    assert [f.pts for f in rest] == [f.pts for f in whole[COUNT:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(rest, whole[COUNT:], strict=True))


@pytest.mark.skipif(not hasattr(av.VideoCodecContext, "field_order"), reason="PyAV 17 has no field order")
@pytest.mark.parametrize("order", [2, 3])  # AVFieldOrder: top field first, bottom field first
def test_the_containers_field_order_counts_where_frames_have_no_mark(tmp_path: Path, order: int) -> None:
    with av.open(str(tmp_path / "a.mov"), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "rgb24"
        stream.codec_context.field_order = order
        for i in range(4):
            picture = woven(i, top_first=order == 2)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    frames, notes = read(tmp_path / "a.mov")
    assert len(notes) == 1
    assert max(error(f, i) for i, f in enumerate(frames)) < 3
