"""Sources and sinks on named pipes, against the real ffmpeg where it is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.media import (
    Encoding,
    Reading,
    SourceInfo,
    Span,
    open_sink,
    open_source,
    read_image,
    write_image,
)
from cleanplate.system.pipes import PipeWriter, is_pipe

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")

HEIGHT, WIDTH, FRAMES = 36, 64, 6
FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="the program ffmpeg is not installed")


def picture(number, channels=4, dtype=np.uint8):
    top = np.iinfo(dtype).max
    values = np.random.default_rng(number).integers(0, top + 1, (HEIGHT, WIDTH, channels))
    return values.astype(dtype)


def like(path="clip", **facts):
    base = {"frame_rate": Fraction(25), "time_base": Fraction(1, 1000)}
    return SourceInfo(Path(path), HEIGHT, WIDTH, **{**base, **facts})


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def collect(path):
    """Read a pipe in a thread; the returned function waits for its bytes."""
    found = []
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    thread.start()

    def wait():
        thread.join()
        return found[0]

    return wait


def feed(path, data):
    def write():
        with contextlib.suppress(BrokenPipeError):
            path.write_bytes(data)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def write_stream(
    fifo, *, layer="cutout", stamps=range(0, FRAMES * 40, 40), info=None, dtype=np.uint8, **encoding
):
    """The bytes of a stream of random pictures, and the sink's notes."""
    info = info or like()
    wait = collect(fifo)
    sink = open_sink(fifo, info, layer=layer, encoding=Encoding(**encoding))
    channels = {"cutout": 4, "alpha": 1}.get(layer, 3)
    with sink:
        for number, pts in enumerate(stamps):
            pixels = picture(number, channels, dtype)
            sink.write(
                pixels[..., 0] if channels == 1 else pixels,
                Frame(picture(0, 3), pts, info.time_base, 40, number),
            )
    return wait(), sink.notes


def run_ffmpeg(data, *arguments):
    done = subprocess.run(
        [FFMPEG, "-v", "error", "-i", "-", *arguments, "-"], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@cache
def make_stream(*arguments, pix_fmt="", duration=0.24):
    text = f"testsrc2=s={WIDTH}x{HEIGHT}:r=25:d={duration}"
    pix_fmt = pix_fmt or ("yuv420p" if arguments == Y4M else "rgb24")
    done = subprocess.run(
        [FFMPEG, "-v", "error", "-f", "lavfi", "-i", text, "-pix_fmt", pix_fmt, *arguments, "-"],
        capture_output=True,
        check=True,
    )
    return done.stdout


def read_stream(fifo, data, reading=Reading()):  # noqa: B008 - frozen
    feed(fifo, data)
    with open_source(fifo, reading) as source:
        frames = list(source)
    return source, frames


NUT = ("-c:v", "rawvideo", "-f", "nut")
Y4M = ("-strict", "-1", "-f", "yuv4mpegpipe")


@needs_ffmpeg
@pytest.mark.parametrize(
    ("layer", "encoding", "asked", "dtype", "tolerance"),
    [
        ("cutout", {}, "rgba", np.uint8, 0),
        ("foreground", {}, "rgb24", np.uint8, 0),
        ("alpha", {}, "gray", np.uint8, 0),
        ("cutout", {"codec": "raw-rgb"}, "rgba64le", np.uint16, 0),
        ("cutout", {"codec": "ffv1"}, "rgba", np.uint8, 0),
        ("cutout", {"pipe_format": "mkv"}, "rgba", np.uint8, 0),
    ],
)
def test_ffmpeg_reads_the_pixels_and_the_alpha(fifo, layer, encoding, asked, dtype, tolerance):
    deep = dtype == np.uint16
    data, _ = write_stream(fifo, layer=layer, dtype=dtype, info=like(bit_depth=16 if deep else 8), **encoding)
    channels = {"cutout": 4, "foreground": 3, "alpha": 1}[layer]
    raw = np.frombuffer(run_ffmpeg(data, "-f", "rawvideo", "-pix_fmt", asked), dtype)
    found = raw.reshape(FRAMES, HEIGHT, WIDTH, channels)
    for number in range(FRAMES):
        wanted = picture(number, channels, dtype)
        assert np.abs(found[number].astype(int) - wanted).max() <= tolerance


@needs_ffmpeg
def test_ten_bits_of_colour_and_alpha_arrive_in_ffmpeg(fifo):
    info = like(bit_depth=10)
    wait = collect(fifo)
    pixels = np.full((HEIGHT, WIDTH, 4), 65535, np.uint16)
    pixels[..., 3] = np.linspace(0, 65535, WIDTH).astype(np.uint16)
    with open_sink(fifo, info) as sink:
        sink.write(pixels, Frame(picture(0, 3), 0, info.time_base))
    raw = np.frombuffer(run_ffmpeg(wait(), "-f", "rawvideo", "-pix_fmt", "yuva444p10le"), np.uint16)
    luma, _, _, alpha = raw.reshape(4, HEIGHT, WIDTH)
    assert np.abs(alpha[0].astype(int) - np.rint(np.linspace(0, 1023, WIDTH))).max() <= 1
    assert luma[:, WIDTH // 2 :].min() == luma[:, WIDTH // 2 :].max() == 940  # white of limited range
    assert any("cannot tag the colour of" in note and "yuva444p10le" in note for note in sink.notes)


def test_the_times_of_a_variable_rate_survive_in_nut(fifo):
    stamps = [0, 40, 50, 130, 1300, 1301]
    data, notes = write_stream(fifo, stamps=stamps)
    _, frames = read_stream(fifo, data)
    assert [frame.time_seconds for frame in frames] == [Fraction(pts, 1000) for pts in stamps]
    assert notes == []


def test_y4m_notes_the_loss_of_a_variable_rate(fifo):
    stamps = [0, 40, 80, 120, 1300, 1301]
    data, notes = write_stream(fifo, layer="composite", stamps=stamps, pipe_format="y4m")
    assert data.startswith(b"YUV4MPEG2 W64 H36 F25:1 ")
    assert any("constant rate, 25" in note and "times of 2 frames" in note for note in notes)
    _, constant = write_stream(fifo, layer="composite", pipe_format="y4m")
    assert not any("constant" in note for note in constant)


def test_y4m_holds_no_cutout(fifo):
    wait = collect(fifo)
    with pytest.raises(OutputError, match="cannot hold a cut-out"):
        open_sink(fifo, like(), encoding=Encoding(pipe_format="y4m"))
    os.close(os.open(fifo, os.O_WRONLY))
    wait()


@needs_ffmpeg
@pytest.mark.parametrize(
    ("arguments", "pix_fmt", "bits", "has_alpha"),
    [
        (NUT, "rgb24", 8, False),
        (NUT, "rgba", 8, True),
        (NUT, "yuva444p10le", 10, True),
        (Y4M, "yuv420p", 8, False),
        (Y4M, "yuv444p10le", 10, False),
        (("-c:v", "ffv1", "-f", "matroska"), "bgra", 8, True),
    ],
)
def test_a_pipe_gives_the_frames_of_the_file(fifo, tmp_path, arguments, pix_fmt, bits, has_alpha):
    data = make_stream(*arguments, pix_fmt=pix_fmt)
    file = tmp_path / "same"
    file.write_bytes(data)
    source, frames = read_stream(fifo, data)
    assert (source.info.bit_depth, source.info.has_alpha) == (bits, has_alpha)
    assert source.failure is None
    assert source.notes == []
    with open_source(file) as other:
        wanted = list(other)
    assert len(frames) == len(wanted) == FRAMES
    for frame, same in zip(frames, wanted, strict=True):
        assert frame.time_seconds == same.time_seconds
        np.testing.assert_array_equal(frame.pixels, same.pixels)
        if has_alpha:
            np.testing.assert_array_equal(frame.alpha, same.alpha)


@needs_ffmpeg
def test_a_span_of_a_pipe_is_read_in_one_pass(fifo):
    data = make_stream(*NUT)
    _, whole = read_stream(fifo, data)
    _, part = read_stream(fifo, data, Reading(span=Span(Fraction(8, 100), Fraction(20, 100))))
    assert [frame.pts * frame.time_base for frame in part] == [0, Fraction(1, 25), Fraction(2, 25)]
    np.testing.assert_array_equal(part[0].pixels, whole[2].pixels)


@needs_ffmpeg
@pytest.mark.parametrize("arguments", [NUT, Y4M], ids=["nut", "y4m"])
def test_a_stream_that_ends_within_a_frame_gives_its_whole_frames_and_a_failure(fifo, arguments):
    data = make_stream(*arguments)
    source, frames = read_stream(fifo, data[: len(data) // 2])
    assert 1 <= len(frames) < FRAMES
    assert f"ends within frame {len(frames)}" in source.failure.message
    _, whole = read_stream(fifo, data)
    for frame, same in zip(frames, whole, strict=False):
        np.testing.assert_array_equal(frame.pixels, same.pixels)


@needs_ffmpeg
def test_a_stream_that_ends_within_its_first_frame_is_refused(fifo):
    for arguments in (NUT, Y4M):
        feed(fifo, make_stream(*arguments)[:1500])
        with pytest.raises(InputError, match="fifo"):
            open_source(fifo)


@needs_ffmpeg
@pytest.mark.parametrize("arguments", [NUT, Y4M], ids=["nut", "y4m"])
def test_wrong_bytes_within_a_stream_are_a_failure(fifo, arguments):
    data = bytearray(make_stream(*arguments, duration=0.8))
    third = len(data) // 3
    data[third : third + 20000] = np.random.default_rng(1).bytes(20000)
    source, frames = read_stream(fifo, bytes(data))
    assert 1 <= len(frames) < 20
    assert source.failure is not None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.random.default_rng(1).bytes(5000), "is not a video that FFmpeg can read"),
        (b"clip,plate,output\na.mov,p.png,b.mov\n", "is a table of clips, not a video"),
        (b"plate;clip\np.png;a.mov\n", "is a table of clips, not a video"),
        (b"YUV4MPEG2 W64 H36 F25:1 Cnonsense\nFRAME\n", "Y4M of a kind .* W64 H36 F25:1 Cnonsense"),
        (b"\0\0\0\x14ftypisom\0\0\2\0isom\0\0\0\x10mdat" + bytes(8), "MP4 or MOV with its index at the end"),
        (b"\0\0\0\x20ftypisom" + bytes(3000), "MP4 or MOV with its index at the end"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "is a playlist"),
        (b"", "is empty"),
    ],
)
def test_other_bytes_are_an_input_error(fifo, data, sentence):
    feed(fifo, data)
    with pytest.raises(InputError, match=sentence):
        open_source(fifo)


def test_a_picture_is_read_from_a_pipe_and_written_to_one(fifo, tmp_path):
    for dtype in (np.uint8, np.uint16):
        pixels = picture(3, 4, dtype)
        wait = collect(fifo)
        write_image(fifo, pixels)
        data = wait()
        assert data.startswith(b"\x89PNG")
        feed(fifo, data)
        found = read_image(fifo)
        np.testing.assert_array_equal(np.dstack([found.pixels, found.alpha]), pixels)
    assert is_pipe(fifo)
    write_image(tmp_path / "picture.tif", picture(3, 3))
    feed(fifo, (tmp_path / "picture.tif").read_bytes())
    np.testing.assert_array_equal(read_image(fifo).pixels, picture(3, 3))


def test_a_closed_reader_is_a_broken_pipe_and_leaves_no_note(fifo):
    with subprocess.Popen(["head", "-c", "100", fifo], stdout=subprocess.DEVNULL) as reader:
        sink = open_sink(fifo, like())

        def write_all():
            for number in range(2000):
                sink.write(picture(number), Frame(picture(0, 3), number * 40, Fraction(1, 1000), 40, number))

        with pytest.raises(BrokenPipeError):
            write_all()
        assert sink.abort() is None
        assert sink.notes == []
    assert reader.returncode == 0


def test_a_write_to_a_reader_that_pauses_can_be_interrupted(fifo):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = PipeWriter(fifo)
    thread = threading.Thread(target=writer.write, args=(bytes(8 << 20),), daemon=True)
    thread.start()
    time.sleep(0.05)
    assert thread.is_alive()
    writer.interrupt()
    thread.join(600)
    assert not thread.is_alive()
    writer.close()
    os.close(reader)


def test_a_read_from_a_writer_that_pauses_can_be_interrupted(fifo):
    data, _ = write_stream(fifo, stamps=range(0, 4000, 40))
    gate = threading.Event()

    def write():
        with fifo.open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            gate.wait(600)

    threading.Thread(target=write, daemon=True).start()
    with open_source(fifo) as source:
        frames = iter(source)
        assert next(frames).index == 0
        threading.Timer(0.1, source.interrupt).start()
        assert len(list(frames)) < 100
    gate.set()


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
def test_a_pipe_that_may_not_be_read_is_refused(fifo):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    fifo.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        open_source(fifo)


def test_an_unknown_pipe_format_is_refused():
    with pytest.raises(OptionError, match="nut, y4m, mkv"):
        Encoding(pipe_format="avi")
