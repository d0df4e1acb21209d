from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from cleanplate.errors import InputError, OptionError
from cleanplate.media import Reading, open_source
from cleanplate.media.colour.h273 import MATRICES

SAMPLES = Path(__file__).parents[2] / "samples"
MakeVideo = Callable[..., Path]
COEFFICIENTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}


def yuv_planes(rgb: tuple[float, float, float], matrix: str, full: bool, bits: int) -> list[int]:
    """By the definition (ITU-T H.273, section 8.3), so that swscale is not its own judge."""
    red, green, blue = rgb
    kr, kb = COEFFICIENTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = ((blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr))
    step = 1 << (bits - 8)
    if full:
        top = (1 << bits) - 1
        return [round(luma * top), *(round(c * top + (1 << (bits - 1))) for c in chroma)]
    return [round((16 + 219 * luma) * step), *(round((128 + 224 * c) * step) for c in chroma)]


def flat(values: list[int], bits: int) -> Callable[[av.VideoFrame, int], None]:
    def fill(frame: av.VideoFrame, _: int) -> None:
        for plane, value in zip(frame.planes, values, strict=True):
            np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)[:] = value

    return fill


def test_the_sample_is_described_and_decoded() -> None:
    with open_source(SAMPLES / "clip.mp4") as source:
        info = source.info
        assert (info.height, info.width, info.bit_depth) == (720, 1280, 8)
        assert info.frame_rate == 25
        assert info.has_audio
        assert (info.colour.matrix, info.colour.range) == ("bt709", "limited")
        frames = [(f.index, f.time_seconds) for f in source]
        assert source.notes == []
    assert frames == [(i, Fraction(i, 25)) for i in range(100)]
    assert info.frame_count == 100
    assert info.duration_seconds == 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_decoder_has_its_number_of_threads(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr("cleanplate.media.video.video_source.codec_threads", lambda: threads)
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    with open_source(SAMPLES / "clip.mp4") as source:
        frames = iter(source)
        next(frames)
        assert len(list(tasks.iterdir())) - before == (threads if threads > 1 else 0)


def test_lossless_rgb_comes_back_exactly(make_video: MakeVideo, picture: Any) -> None:
    path = make_video("a.mkv")
    with open_source(path) as source:
        frames = list(source)
    assert len(frames) == 5
    for i, frame in enumerate(frames):
        assert frame.pixels.flags.c_contiguous
        assert np.array_equal(frame.pixels, picture(48, 64, i / 3))


def test_frames_own_their_memory(make_video: MakeVideo, picture: Any) -> None:
    with open_source(make_video("a.mkv")) as source:
        frames = []
        for frame in source:
            frame.pixels[:] += 1
            frames.append(frame)
    assert np.array_equal(frames[0].pixels, picture(48, 64) + 1)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("bits", "pixel_format"), [(8, "yuv444p"), (10, "yuv444p10le"), (12, "yuv444p12le")])
def test_matrix_and_range_are_those_of_the_tags(
    make_video: MakeVideo, matrix: str, full: bool, bits: int, pixel_format: str
) -> None:
    code = next(c for c, name in MATRICES.items() if name == matrix)
    for rgb in [(1, 1, 1), (0, 0, 0), (0.9, 0.2, 0.1), (0.1, 0.3, 0.8)]:
        path = make_video(
            "a.mkv",
            pixel_format=pixel_format,
            pts=[0],
            colour=(2 if full else 1, code, 1, 1),
            fill=flat(yuv_planes(rgb, matrix, full, bits), bits),
        )
        with open_source(path) as source:
            assert source.info.colour.matrix == matrix
            assert source.info.bit_depth == bits
            (frame,) = source
        assert frame.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
        top = 255 if bits == 8 else 65535
        got = frame.pixels[20, 20] / top
        assert np.abs(got - rgb).max() < (1.6 / 255 if bits == 8 else 0.9 / 255)
        if rgb == (1, 1, 1):
            assert frame.pixels.min() >= top - (0 if bits == 8 else 64)


@pytest.mark.parametrize(("size", "matrix"), [((480, 640), "smpte170m"), ((720, 1280), "bt709")])
def test_untagged_video_is_601_when_small_and_709_when_large(
    make_video: MakeVideo, size: tuple[int, int], matrix: str
) -> None:
    rgb = (0.8, 0.3, 0.2)
    path = make_video(
        "a.mkv", pixel_format="yuv444p", pts=[0], size=size, fill=flat(yuv_planes(rgb, matrix, False, 8), 8)
    )
    with open_source(path) as source:
        assert source.info.colour.matrix == "unspecified"
        (frame,) = source
    assert np.abs(frame.pixels[9, 9] / 255 - rgb).max() < 1.6 / 255


def test_grey_is_full_range(make_video: MakeVideo) -> None:
    for bits, pixel_format, top in ((8, "gray", 255), (16, "gray16le", 65535)):
        value = top // 3
        path = make_video("a.mkv", pixel_format=pixel_format, pts=[0], fill=flat([value], bits))
        with open_source(path) as source:
            (frame,) = source
        assert np.unique(frame.pixels).tolist() == [value]


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_rotation_is_applied(
    make_video: MakeVideo, degrees: int, flips: tuple[bool, bool], picture: Any
) -> None:
    path = make_video(
        "a.mov",
        codec="libx264",
        pixel_format="yuv444p",
        rotation=(degrees, *flips),
        pixel_aspect=Fraction(4, 3),
        options={"crf": "1"},
    )
    expected = picture(48, 64)
    # FFmpeg mirrors after it has turned; set_display_rotation counts counterclockwise.
    expected = np.rot90(expected, degrees // 90)
    if flips[0]:
        expected = expected[:, ::-1]
    if flips[1]:
        expected = expected[::-1]
    with open_source(path) as source:
        frame = next(iter(source))
        assert (source.info.height, source.info.width) == expected.shape[:2]
        assert source.info.pixel_aspect == (Fraction(3, 4) if degrees in (90, -90) else Fraction(4, 3))
    assert frame.pixels.shape == expected.shape
    assert np.abs(frame.pixels.astype(int) - expected).mean() < 3


def test_variable_frame_rate_is_exact(make_video: MakeVideo) -> None:
    pts = [0, 1001, 1500, 5005, 5006, 90000]
    path = make_video("a.mov", codec="libx264", pixel_format="yuv420p", pts=pts, time_base=Fraction(1, 30000))
    with open_source(path) as source:
        frames = list(source)
    assert [f.time_seconds for f in frames] == [Fraction(p, 30000) for p in pts]
    assert [f.index for f in frames] == list(range(6))
    assert frames[0].duration == 1001 * source.info.time_base.denominator // 30000


def test_a_running_clock_starts_at_zero(make_video: MakeVideo) -> None:
    pts = [3600 * 25 + i for i in range(5)]
    path = make_video("a.ts", codec="mpeg2video", pixel_format="yuv420p", pts=pts)
    with open_source(path) as source:
        assert source.info.clock_start >= 3600
        assert [f.time_seconds for f in source] == [Fraction(i, 25) for i in range(5)]


def test_an_offset_of_the_first_frame_is_kept(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", pts=[7, 8, 9])
    with open_source(path) as source:
        assert [f.time_seconds for f in source] == [Fraction(i, 25) for i in (7, 8, 9)]


def test_a_raw_stream_without_times(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", codec="libx264", pixel_format="yuv420p", options={"bf": "0"})
    with av.open(str(path)) as container:
        filtered = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        packets = [bytes(q) for p in container.demux(video=0) for q in filtered.filter(p)]
    raw = path.with_name("a.h264")
    raw.write_bytes(b"".join(packets))
    with open_source(raw) as source:
        times = [f.time_seconds for f in source]
    assert len(times) == 5
    assert [b - a for a, b in pairwise(times)] == [Fraction(1, 25)] * 4


def test_a_truncated_file_gives_its_frames_and_names_the_loss(tmp_path: Path) -> None:
    whole = (SAMPLES / "clip.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with open_source(tmp_path / "cut.mp4") as source:
        frames = sum(1 for _ in source)
        assert 10 < frames < 100
        assert any("cut.mp4 was cut short" in note and "4.00 s" in note for note in source.notes)


def test_a_truncated_matroska_file(make_video: MakeVideo, tmp_path: Path) -> None:
    whole = make_video("a.mkv", pts=range(50)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with open_source(tmp_path / "cut.mkv") as source:
        frames = sum(1 for _ in source)
        assert 10 < frames < 50
        assert source.notes


def test_damage_in_the_middle_costs_only_some_frames(tmp_path: Path) -> None:
    data = bytearray((SAMPLES / "clip.mp4").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    (tmp_path / "hurt.mp4").write_bytes(data)
    with open_source(tmp_path / "hurt.mp4") as source:
        assert sum(1 for _ in source) > 80


def test_mistakes_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("not a video\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "still.jpg")
    with pytest.raises(InputError, match=r"no file .*missing\.mp4"):
        open_source(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="is a folder, not a video"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"empty\.mp4 is empty"):
        open_source(tmp_path / "empty.mp4")
    with pytest.raises(InputError, match=r"notes\.txt is not a video"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"noise\.mp4 is not a video"):
        open_source(tmp_path / "noise.mp4")
    with pytest.raises(InputError, match=r"still\.jpg is a picture"):
        open_source(tmp_path / "still.jpg")
    with pytest.raises(OptionError, match="frame rate of its own"):
        open_source(SAMPLES / "clip.mp4", Reading(frame_rate=Fraction(24)))


def test_a_file_with_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(InputError, match="has no video stream, only audio"):
        open_source(path)


def test_a_file_without_its_index_is_refused(make_video: MakeVideo, tmp_path: Path) -> None:
    whole = make_video("a.mp4", codec="libx264", pixel_format="yuv420p").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    with pytest.raises(InputError, match="has no index"):
        open_source(tmp_path / "cut.mp4")


def test_a_stream_without_frames_is_refused(make_video: MakeVideo, tmp_path: Path) -> None:
    data = bytearray(make_video("a.mp4", codec="libx264", pixel_format="yuv420p").read_bytes())
    # The index stays and says there is a video; the video itself is gone.
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    (tmp_path / "gone.mp4").write_bytes(data)
    with pytest.raises(InputError, match="Not one frame"):
        open_source(tmp_path / "gone.mp4")


def test_a_source_is_read_once(make_video: MakeVideo) -> None:
    with open_source(make_video("a.mkv")) as source:
        list(source)
        with pytest.raises(RuntimeError, match="once"):
            next(iter(source))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(edits=[(0.078125, 128)])
@given(edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=30))
def test_mutated_files_are_read_or_input_errors(
    make_video: MakeVideo, edits: list[tuple[float, int]]
) -> None:
    path = make_video("a.mkv", pts=range(3))
    data = bytearray(path.read_bytes())
    for where, value in edits:
        data[int(where * len(data))] = value
    path.write_bytes(data)
    try:
        with open_source(path) as source:
            for frame in source:
                assert frame.pixels.shape == (source.info.height, source.info.width, 3)
    except InputError:
        pass
