"""Contract of all sources."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from cleanplate.errors import InputError
from cleanplate.media import Reading, Source, Span, open_source, write_image

HEIGHT, WIDTH, COUNT = 40, 56, 6


def picture(i: int, dtype: type) -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    ramp = np.stack([x / WIDTH, y / HEIGHT, np.full_like(x, i / COUNT, dtype=float)], -1)
    return np.rint(ramp * np.iinfo(dtype).max).astype(dtype)


def write_video(path: Path, codec: str, pixel_format: str, dtype: type) -> Path:
    kind = "rgb24" if dtype == np.uint8 else "rgb48le"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for i in range(COUNT):
            frame = av.VideoFrame.from_ndarray(picture(i, dtype), format=kind)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_sequence(path: Path, dtype: type) -> Path:
    for i in range(COUNT):
        write_image(path.with_name(path.name % i), picture(i, dtype))
    return path


SOURCES = {
    "h264 in mp4": lambda f: write_video(f / "a.mp4", "libx264", "yuv420p", np.uint8),
    "prores in mov": lambda f: write_video(f / "a.mov", "prores_ks", "yuv422p10le", np.uint16),
    "vp9 in webm": lambda f: write_video(f / "a.webm", "libvpx-vp9", "yuv420p", np.uint8),
    "ffv1 in mkv": lambda f: write_video(f / "a.mkv", "ffv1", "gbrp16le", np.uint16),
    "motion jpeg in avi": lambda f: write_video(f / "a.avi", "mjpeg", "yuvj420p", np.uint8),
    "mpeg-2 in ts": lambda f: write_video(f / "a.ts", "mpeg2video", "yuv420p", np.uint8),
    "gif": lambda f: write_video(f / "a.gif", "gif", "rgb8", np.uint8),
    "apng": lambda f: write_video(f / "a.apng", "apng", "rgb24", np.uint8),
    "animated webp": lambda f: write_video(f / "a.webp", "libwebp_anim", "bgra", np.uint8),
    "png sequence": lambda f: write_sequence(f / "a_%02d.png", np.uint8),
    "tiff sequence of 16 bits": lambda f: write_sequence(f / "a_%02d.tif", np.uint16),
}


@pytest.fixture(params=SOURCES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made: Path = SOURCES[request.param](tmp_path)
    return made


@pytest.fixture
def source(path: Path) -> Source:
    return open_source(path)


def test_every_frame_has_the_announced_size_and_type(source: Source) -> None:
    with source:
        info = source.info
        dtype = np.uint8 if info.bit_depth <= 8 else np.uint16
        frames = list(source)
    assert (info.height, info.width) == (HEIGHT, WIDTH)
    assert all(f.pixels.shape == (HEIGHT, WIDTH, 3) and f.pixels.dtype == dtype for f in frames)
    assert len(frames) == COUNT
    assert source.notes == []


def test_times_rise_and_indices_count(source: Source) -> None:
    with source:
        frames = list(source)
    assert [f.index for f in frames] == list(range(COUNT))
    assert all(f.time_base == source.info.time_base for f in frames)
    times = [f.time_seconds for f in frames]
    assert all(0 <= a < b for a, b in pairwise(times))
    assert abs(times[-1] - times[0] - Fraction(COUNT - 1, 25)) <= Fraction(1, 100)


def test_pictures_are_upright_rgb_of_full_range(source: Source) -> None:
    with source:
        frame = next(iter(source))
    shown = frame.pixels / np.iinfo(frame.pixels.dtype).max
    expected = picture(0, np.uint8) / 255
    tolerance = 0.25 if source.info.path.suffix == ".gif" else 0.04
    assert np.abs(shown - expected).mean() < tolerance
    # Red grows to the right, green downwards.
    assert shown[:, -8:, 0].mean() > shown[:, :8, 0].mean() + 0.5
    assert shown[-8:, :, 1].mean() > shown[:8, :, 1].mean() + 0.5


def test_frames_own_their_memory(source: Source) -> None:
    with source:
        frames = list(source)
    assert len({f.pixels.__array_interface__["data"][0] for f in frames}) == COUNT
    assert all(f.pixels.flags.writeable and f.pixels.flags.c_contiguous for f in frames)


def test_a_source_can_be_closed_early_and_twice(source: Source) -> None:
    with source:
        next(iter(source))
    source.close()


def test_the_length_is_estimated(source: Source) -> None:
    with source:
        assert source.info.frame_count in (None, COUNT)
        assert source.info.frame_rate is not None
        assert abs(source.info.frame_rate - 25) < Fraction(1, 2)


def test_starting_at_a_frame_gives_the_rest_of_it(path: Path) -> None:
    with open_source(path) as source:
        whole = list(source)
    for start in (0, 2, COUNT - 1):
        with open_source(path) as source:
            source.start_at(start, whole[start].pts)
            rest = list(source)
        assert [(f.index, f.pts, f.duration) for f in rest] == [
            (f.index, f.pts, f.duration) for f in whole[start:]
        ]
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(rest, whole[start:], strict=True))


def test_a_span_begins_at_zero_and_keeps_the_differences(path: Path) -> None:
    with open_source(path) as source:
        whole = list(source)
    with open_source(path, Reading(span=Span(Fraction(7, 100), Fraction(19, 100)))) as source:
        part = list(source)
        assert source.info.frame_count in (None, 3)
    assert [f.index for f in part] == [0, 1, 2]
    assert [f.pts for f in part] == [f.pts - whole[2].pts for f in whole[2:5]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(part, whole[2:5], strict=True))


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    for name in ("missing.mp4", "missing_%03d.png"):
        with pytest.raises(InputError, match=r"There (is|are) no"):
            open_source(tmp_path / name)
