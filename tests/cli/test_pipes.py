"""``cleanplate video -`` and ``image -`` between other programs, as a shell would connect them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.waiting import wait_until

from cleanplate.cli import main
from cleanplate.media import open_source, read_image

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")

HEIGHT, WIDTH, FRAMES = 48, 64, 5
CLEANPLATE = [sys.executable, "-m", "cleanplate"]
FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="the program ffmpeg is not installed")


def paint(number=None):
    pixels = cv2.resize(
        np.random.default_rng(1).integers(40, 200, (6, 8, 3), np.uint8), (WIDTH, HEIGHT), interpolation=2
    )
    if number is not None:
        pixels[12:44, 8 + 6 * number : 28 + 6 * number] = (230, 40, 30)
    return pixels


def write_video(path, stamps, pix_fmt="rgb24"):
    with av.open(str(path), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, pts in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipes")
    cv2.imwrite(str(folder / "plate.png"), paint()[..., ::-1])
    cv2.imwrite(str(folder / "photo.png"), paint(2)[..., ::-1])
    write_video(folder / "clip.nut", range(0, 40 * FRAMES, 40))
    return folder


@contextlib.contextmanager
def standard_streams(given, taken):
    """Connect the real standard input and output of this process to these files."""
    saved = os.dup(0), os.dup(1)
    sys.stdout.flush()
    try:
        os.dup2(given, 0)
        os.dup2(taken, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved[0], 0)
        os.dup2(saved[1], 1)
        for file in saved:
            os.close(file)


def pipe_through(arguments, data):
    """Run a command with these bytes on a pipe; returns its exit code and its standard output."""
    given, feeding = os.pipe()
    collecting, taken = os.pipe()
    found = []

    def feed():
        with contextlib.suppress(BrokenPipeError), os.fdopen(feeding, "wb") as file:
            file.write(data)

    def collect():
        with os.fdopen(collecting, "rb") as file:
            found.append(file.read())

    threads = [threading.Thread(target=work, daemon=True) for work in (feed, collect)]
    for thread in threads:
        thread.start()
    try:
        with standard_streams(given, taken):
            code = main(arguments)
    finally:
        os.close(given)
        os.close(taken)
    for thread in threads:
        thread.join()
    return code, found[0]


def read_frames(path):
    with open_source(path) as source:
        return [(frame.time_seconds, np.dstack([frame.pixels, frame.alpha])) for frame in source]


def test_a_clip_through_pipes_equals_that_of_files(files, tmp_path, capsys):
    plate = str(files / "plate.png")
    stamps = [0, 40, 55, 130, 900]
    write_video(tmp_path / "clip.nut", stamps)
    code, data = pipe_through(
        ["video", "-", "--plate", plate, "-o", "-"], (tmp_path / "clip.nut").read_bytes()
    )
    assert code == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "5 frames in" in told.err
    (tmp_path / "piped.nut").write_bytes(data)
    assert (
        main(["video", str(tmp_path / "clip.nut"), "--plate", plate, "-o", str(tmp_path / "file.mkv")]) == 0
    )
    piped, filed = read_frames(tmp_path / "piped.nut"), read_frames(tmp_path / "file.mkv")
    assert [time for time, _ in piped] == [Fraction(pts, 1000) for pts in stamps]
    for (_, one), (_, other) in zip(piped, filed, strict=True):
        np.testing.assert_array_equal(one, other)
    assert piped[2][1][30, 28, 3] > 200  # the subject
    assert piped[2][1][4, 60, 3] < 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.nut", "file.mkv", "piped.nut"]


def test_a_picture_through_pipes_equals_that_of_files(files, tmp_path, capsys):
    plate = str(files / "plate.png")
    code, data = pipe_through(["image", "-", "--plate", plate, "-o", "-"], (files / "photo.png").read_bytes())
    assert code == 0
    assert main(["image", str(files / "photo.png"), "--plate", plate, "-o", str(tmp_path / "cut.png")]) == 0
    assert data == (tmp_path / "cut.png").read_bytes()
    assert read_image(tmp_path / "cut.png").alpha.max() > 200
    code, same = pipe_through(
        ["image", str(files / "photo.png"), "--plate", "-", "-o", "-"], (files / "plate.png").read_bytes()
    )
    assert (code, same) == (0, data)
    assert capsys.readouterr().out == f"{tmp_path / 'cut.png'}\n"


def test_json_is_on_the_other_stream_than_data(files, capsys):
    code, data = pipe_through(
        ["video", "-", "--plate", str(files / "plate.png"), "-o", "-", "--json"],
        (files / "clip.nut").read_bytes(),
    )
    assert (code, data[:3]) == (0, b"nut")
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events][-1] == "done"
    assert not any(event["event"] == "result" for event in events)


def test_a_pipe_can_be_keyed_into_a_file_and_a_file_into_a_pipe(files, tmp_path, capsys):
    plate = str(files / "plate.png")
    out = tmp_path / "cut.mkv"
    arguments = ["video", "-", "--plate", plate, "-o", str(out), "--save", "cutout", "alpha"]
    code, data = pipe_through(arguments, (files / "clip.nut").read_bytes())
    assert (code, data) == (0, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.alpha.mkv", "cut.mkv"]
    code, data = pipe_through(["video", str(files / "clip.nut"), "--plate", plate, "-o", "-"], b"")
    assert code == 0
    (tmp_path / "same.nut").write_bytes(data)
    for (_, one), (_, other) in zip(read_frames(tmp_path / "same.nut"), read_frames(out), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "cut.mkv" in capsys.readouterr().out


@pytest.mark.parametrize("out", ["-", "cut.mkv"])
def test_a_stream_that_is_cut_short_gives_its_frames_and_code_2(files, tmp_path, monkeypatch, capsys, out):
    monkeypatch.chdir(tmp_path)
    whole = (files / "clip.nut").read_bytes()
    code, data = pipe_through(
        ["video", "-", "--plate", str(files / "plate.png"), "-o", out], whole[: len(whole) * 7 // 10]
    )
    assert code == 2
    told = capsys.readouterr().err
    assert "error: stdin is cut short or damaged: it ends within frame 3." in told
    assert "Traceback" not in told
    result = tmp_path / "cut.mkv"
    if out == "-":
        result.write_bytes(data)
    assert len(read_frames(result)) == 3
    assert list(tmp_path.iterdir()) == [result]


MISTAKES = {
    "video - --plate - -o -": "cannot both be read from stdin",
    "video - --plate auto -o -": "A plate cannot be built from stdin",
    "video - --plate plate.png -o - --save cutout alpha": "stdout takes one layer, but 2",
    "video - --plate plate.png -o - --shadow separate": "stdout takes one layer, but 2",
    "video - --plate plate.png": "has no name",
    "video - --plate plate.png -o cut.mov --resume": "cannot be resumed",
    "video clip.nut --plate plate.png -o - --resume": "cannot be resumed",
    "video - --plate plate.png -o - --report -": "report cannot be written to a pipe",
    "video - --plate plate.png -o - --background -": "--background cannot be read from stdin",
    "video - --plate plate.png -o - --keep -": "--keep cannot be read from stdin",
    "video - --plate plate.png -o - --pipe-format y4m": "cannot hold a cut-out",
    "video - --plate plate.png -o - --codec h264": "No codec 'h264' is known for nut",
    "video - --plate plate.png -o cut.mov --pipe-format y4m": "but the results are files: cut.mov",
    "video - --plate plate.png -o - --jobs 2": "--jobs needs a manifest",
    "video shots.csv -o -": "cannot use stdin or stdout",
    "image - --plate plate.png -o -": "is not a picture",
    "image - --plate - -o -": "cannot both be read from stdin",
    "image - --plate plate.png": "has no name",
    "image - --plate plate.png -o - --save cutout alpha": "stdout takes one layer, but 2",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_sentence(command, files, tmp_path, monkeypatch, capsys):
    for name in ("plate.png", "clip.nut"):
        shutil.copy(files / name, tmp_path)
    (tmp_path / "shots.csv").write_text("clip,plate\nclip.nut,plate.png\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, data = pipe_through(shlex.split(command), (files / "clip.nut").read_bytes())
    told = capsys.readouterr().err
    assert code == 2, told
    assert MISTAKES[command] in told
    assert "Traceback" not in told
    assert data == b""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "stdin is empty"),
        (b"clip,plate\na.mov,b.png\n", "stdin is a table of clips"),
        (bytes(range(256)) * 40, "stdin is not a video"),
        (cv2.imencode(".png", paint())[1].tobytes(), "stdin is a picture, not a video"),
    ],
)
def test_a_stream_of_another_kind_is_one_sentence(data, sentence, files, capsys):
    code, out = pipe_through(["video", "-", "--plate", str(files / "plate.png"), "-o", "-"], data)
    assert (code, out) == (2, b"")
    assert sentence in capsys.readouterr().err


def test_data_to_a_terminal_is_refused(files, capsys):
    master, terminal = os.openpty()
    try:
        with standard_streams(terminal, terminal):
            plate = str(files / "plate.png")
            assert main(["video", "-", "--plate", plate, "-o", "-"]) == 2
            assert main(["video", str(files / "clip.nut"), "--plate", plate, "-o", "-"]) == 2
    finally:
        os.close(terminal)
        os.close(master)
    told = capsys.readouterr().err
    assert "stdin is a terminal" in told
    assert "stdout is a terminal" in told


def test_a_closed_stream_is_one_sentence(files, monkeypatch, capsys):
    plate = str(files / "plate.png")
    monkeypatch.setattr(sys, "__stdin__", None)
    monkeypatch.setattr(sys, "__stdout__", None)
    assert main(["video", "-", "--plate", plate, "-o", "-"]) == 2
    assert main(["video", str(files / "clip.nut"), "--plate", plate, "-o", "-"]) == 2
    told = capsys.readouterr().err
    assert "stdin is closed" in told
    assert "stdout is closed" in told


def test_a_closed_reader_ends_the_run_with_141(files, capsys):
    given = os.open(files / "clip.nut", os.O_RDONLY)
    reading, taken = os.pipe()
    os.close(reading)
    try:
        with standard_streams(given, taken):
            code = main(["video", "-", "--plate", str(files / "plate.png"), "-o", "-"])
    finally:
        os.close(given)
        with contextlib.suppress(OSError):
            os.close(taken)
    assert code == 141
    assert "error" not in capsys.readouterr().err


@needs_ffmpeg
def test_the_pipeline_of_the_documentation(files, tmp_path):
    """In a real shell, with the exit code of each program and nothing but data on standard output."""
    command = (
        f"ffmpeg -v error -i {files / 'clip.nut'} -f nut -c:v rawvideo -pix_fmt rgb24 - "
        f"| {shlex.join(CLEANPLATE)} video - --plate {files / 'plate.png'} -o - --quiet "
        f"| ffmpeg -v error -i - -c:v prores_ks -pix_fmt yuva444p10le {tmp_path / 'cut.mov'}; "
        'echo "${PIPESTATUS[@]}"'
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", "0", "0"], done.stderr
    assert done.stderr == ""
    frames = read_frames(tmp_path / "cut.mov")
    assert len(frames) == FRAMES
    assert frames[2][1][30, 28, 3] > 0.9 * 65535
    assert frames[2][1][4, 60, 3] < 0.1 * 65535


@pytest.mark.slow
def test_a_reader_that_closes_the_pipe_ends_the_run(files):
    command = (
        f"{shlex.join(CLEANPLATE)} video - --plate {files / 'plate.png'} -o - < {files / 'clip.nut'} "
        "| head -c 1000 | wc -c; "
        'echo "${PIPESTATUS[@]}"'
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1000", "141", "0", "0"]
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the first byte", "within the stream", "before the reader comes"])
def test_ctrl_c_ends_every_wait(moment, files, tmp_path):
    given, out = tmp_path / "in", tmp_path / "out"
    os.mkfifo(given)
    os.mkfifo(out)
    command = [*CLEANPLATE, "video", str(given), "--plate", str(files / "plate.png"), "-o", str(out)]
    with contextlib.ExitStack() as opened:
        process = opened.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        opened.callback(process.kill)
        feeding = os.open(given, os.O_RDWR)
        opened.callback(os.close, feeding)
        data = (files / "clip.nut").read_bytes()
        if moment == "before the first byte":
            wait_until(lambda: is_open(process, given), "open source", process=process)
        else:
            os.write(feeding, data[: len(data) * 7 // 10])
        if moment == "within the stream":
            reading = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
            opened.callback(os.close, reading)
            found = bytearray()

            def read():
                with contextlib.suppress(BlockingIOError):
                    found.extend(os.read(reading, 1 << 16))
                return len(found) > HEIGHT * WIDTH * 4  # the last frames of the stream wait in the workers

            wait_until(read, "frame", process=process)
        if moment == "before the reader comes":
            wait_until(
                lambda: is_open(process, files / "plate.png") or is_open(process, given),
                "open source",
                process=process,
            )
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=600)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "Interrupted." in told


def is_open(process, path):
    files = Path(f"/proc/{process.pid}/fd")
    if not files.parent.parent.is_dir():
        pytest.skip("this system does not list the open files of a process")
    with contextlib.suppress(OSError):
        return any(file.resolve() == path for file in files.iterdir())
    return False
