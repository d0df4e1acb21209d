"""Damaged frames: held, dropped or the end of it, and always named."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame
from cleanplate.media import Reading, Span, open_sink, open_source, write_image

MakeVideo = Callable[..., Path]
H264: dict[str, Any] = {"codec": "libx264", "pixel_format": "yuv420p"}
MPEG2: dict[str, Any] = {"codec": "mpeg2video", "pixel_format": "yuv420p"}


def noise(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8)


def packets(path: Path) -> list[tuple[int, int, int]]:
    """(time stamp, place in the file, size) of all pictures, in the order of presentation."""
    with av.open(str(path)) as container:
        return sorted(
            (packet.pts or 0, packet.pos or 0, packet.size)
            for packet in container.demux(video=0)
            if packet.size
        )


def destroy(path: Path, *numbers: int) -> Path:
    """Fill the packets of these frames with zeros; in Matroska all but their headers."""
    data = bytearray(path.read_bytes())
    places = packets(path)
    for number in numbers:
        _, place, size = places[number]
        head = 40 if path.suffix == ".mkv" else 0
        data[place + head : place + size] = bytes(size - head)
    hurt = path.with_name(f"hurt_{path.name}")
    hurt.write_bytes(data)
    return hurt


def read(path: Path, **reading: Any) -> tuple[list[Frame], list[str]]:
    with open_source(path, Reading(**reading)) as source:
        frames = list(source)
    return frames, source.notes


CLIPS: dict[str, dict[str, Any]] = {
    # Frames that nobody refers to: only what is hit is lost.
    "h264.mp4": {**H264, "options": {"g": "1"}},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le"},
    "jpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "png.mov": {"codec": "png", "pixel_format": "rgb24"},
    "ffv1.mkv": {
        "codec": "ffv1",
        "pixel_format": "bgr0",
        "options": {"g": "1", "slicecrc": "1", "level": "3"},
    },
}


@pytest.fixture(params=CLIPS)
def whole(request: pytest.FixtureRequest, make_video: MakeVideo) -> Path:
    return make_video(request.param, pts=range(30), picture=noise, **CLIPS[request.param])


def test_damaged_frames_repeat_the_frame_before(whole: Path) -> None:
    healthy, _ = read(whole)
    frames, notes = read(destroy(whole, 8, 20, 21))
    assert [(f.index, f.pts) for f in frames] == [(f.index, f.pts) for f in healthy]
    shown = [7 if i == 8 else 19 if i in (20, 21) else i for i in range(30)]
    assert all(np.array_equal(f.pixels, healthy[k].pixels) for f, k in zip(frames, shown, strict=True))
    assert len({f.pixels.__array_interface__["data"][0] for f in frames}) == 30
    (note,) = notes
    name = f"hurt_{whole.name}"
    assert note == f"Damaged frames of {name}: 3, at 0:00.32, 0:00.8, 0:00.84; the frame before is repeated."


def test_damaged_frames_can_be_dropped(whole: Path) -> None:
    healthy, _ = read(whole)
    frames, notes = read(destroy(whole, 8, 20, 21), damage="drop")
    left = [f for f in healthy if f.index not in (8, 20, 21)]
    assert [f.index for f in frames] == list(range(27))
    assert [f.pts for f in frames] == [f.pts for f in left]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, left, strict=True))
    assert any("3, at 0:00.32, 0:00.8, 0:00.84; they are left out" in note for note in notes)


def test_damaged_frames_can_end_the_clip(whole: Path) -> None:
    with open_source(destroy(whole, 8), Reading(damage="stop")) as source:
        frames = iter(source)
        for _ in range(8):
            next(frames)
        with pytest.raises(InputError, match=r"Frame 8 of hurt_.*, at 0:00\.32, is damaged"):
            next(frames)


def test_damage_outside_of_a_span_is_not_noted(whole: Path) -> None:
    span = Span(Fraction(4, 10), Fraction(8, 10))
    frames, notes = read(destroy(whole, 2, 25), damage="stop", span=span)
    assert len(frames) == 10
    assert notes == []


def test_a_span_starts_with_a_damaged_frame(whole: Path) -> None:
    healthy, _ = read(whole)
    frames, _ = read(destroy(whole, 10), span=Span(Fraction(4, 10)))
    assert len(frames) == 20
    assert np.array_equal(frames[0].pixels, healthy[9].pixels)


@pytest.mark.parametrize("damage", ["hold", "drop"])
def test_starting_after_damage_keeps_the_count(whole: Path, damage: str) -> None:
    hurt = destroy(whole, 8, 20)
    frames, _ = read(hurt, damage=damage)
    for index in (8, 12, 19, 25):
        with open_source(hurt, Reading(damage=damage)) as source:
            source.start_at(index, frames[index].pts)
            rest = list(source)
        assert [(f.index, f.pts) for f in rest] == [(f.index, f.pts) for f in frames[index:]]
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(rest, frames[index:], strict=True))


def test_sound_stays_in_step_with_held_frames(make_video: MakeVideo, tmp_path: Path) -> None:
    clip = make_video("a.mp4", pts=range(50), audio_codec="aac", options={"g": "1"}, **H264)
    with (
        open_source(destroy(clip, 10, 11, 30)) as source,
        open_sink(tmp_path / "out.mov", source.info, layer="composite") as sink,
    ):
        for frame in source:
            sink.write(frame.pixels, frame)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert len(list(container.decode(video=0))) == 50


def test_a_note_lists_the_first_damaged_frames_only(make_video: MakeVideo) -> None:
    clip = make_video("a.mov", pts=range(40), codec="prores_ks", pixel_format="yuv422p10le")
    frames, (note,) = read(destroy(clip, *range(10, 30)))
    assert len(frames) == 40
    assert note.startswith(
        "Damaged frames of hurt_a.mov: 20, at 0:00.4, 0:00.44, 0:00.48, 0:00.52, 0:00.56 and so on"
    )


def test_a_truncated_file_is_damage(make_video: MakeVideo) -> None:
    clip = make_video("a.mkv", pts=range(50))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with (
        open_source(clip, Reading(damage="stop")) as source,
        pytest.raises(InputError, match=r"damaged|early|short"),
    ):
        list(source)


def test_an_unknown_policy_for_damage_is_refused() -> None:
    with pytest.raises(OptionError, match="damage as one of hold, drop, stop, got 'ignore'"):
        Reading(damage="ignore")


def test_a_stream_cut_within_a_group_begins_with_its_first_key_frame(make_video: MakeVideo) -> None:
    clip = make_video("a.ts", pts=range(40), options={"g": "10"}, **MPEG2)
    healthy, _ = read(clip)
    places = packets(clip)
    data = clip.read_bytes()
    # From the fourth picture on, in whole packets of 188 bytes, after the tables at the start.
    tables = data[: 188 * 3]
    (clip.with_name("cut.ts")).write_bytes(tables + data[places[3][1] // 188 * 188 :])
    frames, notes = read(clip.with_name("cut.ts"))
    assert len(frames) == 30
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, healthy[10:], strict=True))
    assert any("The first 7 frames of cut.ts cannot be decoded" in note for note in notes)


def test_unmarked_key_frames_are_recognised(make_video: MakeVideo) -> None:
    clip = make_video("a.mp4", **H264)
    data = clip.read_bytes()
    place = data.index(b"stss")
    # No entry of the table is left: FFmpeg takes no frame for a key frame.
    changed = data[: place + 8] + (1).to_bytes(4, "big") + (999).to_bytes(4, "big") + data[place + 16 :]
    clip.write_bytes(changed)
    frames, _ = read(clip)
    assert len(frames) == 5


def test_a_change_of_size_within_a_stream(make_video: MakeVideo, tmp_path: Path) -> None:
    small, large = (
        make_video(
            f"{first}.ts",
            pts=range(first, first + 10),
            size=size,
            picture=lambda _, size=size, value=value: np.full((*size, 3), value, np.uint8),
            options={"bf": "0"},
            **H264,
        )
        for first, size, value in ((0, (48, 64), 60), (10, (96, 128), 180))
    )
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    frames, notes = read(tmp_path / "both.ts")
    assert len(frames) == 20
    assert {f.pixels.shape for f in frames} == {(48, 64, 3)}
    assert abs(int(frames[-1].pixels.mean()) - 180) < 4
    change = "changes to 128x96 yuv420p at 0:00.4"
    size = "all frames are converted to the size and depth of the first, 64x48"
    assert any(f"{change}; {size}" in note for note in notes)


@pytest.mark.parametrize(
    ("first", "then"), [("yuv420p", "yuv444p10le"), ("yuv444p10le", "yuv420p"), ("yuv420p", "yuv444p")]
)
def test_a_change_of_pixel_format_within_a_stream(
    make_video: MakeVideo, tmp_path: Path, first: str, then: str
) -> None:
    clips = [
        make_video(
            f"{i}.ts",
            codec="libx264",
            pixel_format=f,
            pts=range(10 * i, 10 * i + 10),
            options={"crf": "1", "bf": "0"},
            picture=lambda _: np.full((48, 64, 3), (200, 120, 40), np.uint8),
        )
        for i, f in enumerate((first, then))
    ]
    (tmp_path / "both.ts").write_bytes(b"".join(clip.read_bytes() for clip in clips))
    frames, notes = read(tmp_path / "both.ts")
    assert len(frames) == 20
    assert len({f.pixels.dtype for f in frames}) == 1
    top = np.iinfo(frames[0].pixels.dtype).max
    for frame in (frames[3], frames[16]):
        assert np.abs(frame.pixels[20, 20] / top - np.array((200, 120, 40)) / 255).max() < 0.012
    assert any(f"changes to 64x48 {then} at 0:00.4" in note for note in notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".ts"])
def test_one_frame(make_video: MakeVideo, suffix: str) -> None:
    clip = make_video(f"a{suffix}", pts=[0], **H264)
    frames, notes = read(clip)
    assert (len(frames), notes) == (1, [])
    frames, _ = read(clip, span=Span(Fraction(0), Fraction(1)))
    assert len(frames) == 1


def test_a_damaged_picture_of_a_sequence(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / f"a_{number}.png", np.full((40, 40, 3), number, np.uint8))
    for number in (2, 3):
        file = tmp_path / f"a_{number}.png"
        file.write_bytes(file.read_bytes()[:60])
    pattern = tmp_path / "a_%d.png"
    frames, notes = read(pattern)
    assert [(f.index, f.pts, f.pixels[0, 0, 0]) for f in frames] == [
        (0, 0, 0),
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 1),
        (4, 4, 4),
        (5, 5, 5),
    ]
    assert notes == ["Of a_%d.png, 2 to 3 are damaged; the frame before is repeated."]
    frames, notes = read(pattern, damage="drop")
    assert [(f.index, f.pts) for f in frames] == [(0, 0), (1, 1), (2, 4), (3, 5)]
    assert notes == ["Of a_%d.png, 2 to 3 are damaged; left out."]
    with pytest.raises(InputError, match=r"a_2\.png"):
        read(pattern, damage="stop")
    for damage, index, pts in (("hold", 3, 3), ("drop", 2, 4)):
        whole, _ = read(pattern, damage=damage)
        with open_source(pattern, Reading(damage=damage)) as source:
            source.start_at(index, pts)
            rest = [(f.index, f.pts, f.pixels[0, 0, 0]) for f in source]
        assert rest == [(f.index, f.pts, f.pixels[0, 0, 0]) for f in whole[index:]]


def test_odd_sizes(make_video: MakeVideo) -> None:
    clip = make_video("a.mkv", size=(47, 63), codec="libx264", pixel_format="yuv444p")
    assert {f.pixels.shape for f in read(clip)[0]} == {(47, 63, 3)}


def test_8k(make_video: MakeVideo) -> None:
    def fill(frame: av.VideoFrame, _: int) -> None:
        for plane, value in zip(frame.planes, (180, 100, 150), strict=True):
            np.frombuffer(plane, np.uint8)[:] = value

    clip = make_video("a.mov", size=(4320, 7680), codec="mjpeg", pixel_format="yuvj420p", pts=[0], fill=fill)
    (frame,), notes = read(clip)
    assert frame.pixels.shape == (4320, 7680, 3)
    assert len(np.unique(frame.pixels[::500, ::500].reshape(-1, 3), axis=0)) == 1
    assert notes == []
