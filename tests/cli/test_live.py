"""The command `live` on a file, without camera and screen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.waiting import wait_until

from cleanplate.cli import build_parser, main
from cleanplate.cli.commands.live import live_options, parse_rate
from cleanplate.errors import OptionError
from cleanplate.live.live_run import Live
from cleanplate.live.session_setup import LiveOptions, sort_outputs
from cleanplate.media import open_sink, open_source, read_image, write_image
from cleanplate.media.cameras import v4l2

SAMPLES = Path(__file__).parents[2] / "samples"
CLIP = ("--from", str(SAMPLES / "clip.mp4"))
PLATE = ("--plate", str(SAMPLES / "clip_plate.jpg"))


@pytest.fixture(autouse=True)
def no_threads_left():
    before = set(threading.enumerate())
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield

    def find_new():
        return [
            one for one in threading.enumerate() if one not in before and one.name.startswith("cleanplate")
        ]

    wait_until(lambda: not find_new(), "end of the threads")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two seconds of the sample, 320x180, as arguments: small enough for a busy machine."""
    folder = tmp_path_factory.mktemp("small")
    frames = []
    with open_source(SAMPLES / "clip.mp4") as clip:
        for frame in clip:
            frames.append(replace(frame, pixels=cv2.resize(frame.pixels, (320, 180))))
            if len(frames) == 50:
                break
        like = replace(clip.info, height=180, width=320, has_audio=False)
    with open_sink(folder / "clip.mp4", like, layer="composite") as sink:
        for frame in frames:
            sink.write(frame.pixels, frame)
    plate = read_image(SAMPLES / "clip_plate.jpg").pixels
    write_image(folder / "plate.png", cv2.resize(plate, (320, 180), interpolation=cv2.INTER_AREA))
    return "--from", str(folder / "clip.mp4"), "--plate", str(folder / "plate.png")


def parse(*arguments):
    return live_options(build_parser().parse_args(["live", *arguments]))


def test_good_defaults():
    assert parse() == LiveOptions(
        keyer={
            **dict.fromkeys(("runtime", "device", "scale", "refine", "precision"), "auto"),
            "model": "lite",
            "align": True,
            "follow": True,
            "locked_off": False,
            "shadow": "remove",
            "keep": None,
            "ignore": None,
            "hint": None,
            "props": None,
            "props_mode": "keep",
            "source_alpha": "use",
            "input_colour": "auto",
            "plate_colour": None,
        }
    )


def test_every_option_is_parsed():
    options = parse(
        *(
            "--from",
            "brio",
            "--size",
            "1920x1080",
            "--rate",
            "60",
            "--no-lock",
            "--no-follow",
            "--no-remember",
        ),
        *("--to", "virtual:/dev/video7", "out.mov", "--background", "blur", "beach.jpg", "--countdown", "3"),
        *("--no-window", "--overwrite", "--plate", "p.jpg", "--folder", "clips", "--scale", "0.25"),
    )
    assert (options.source, options.size, options.rate) == ("brio", (1080, 1920), 60)
    assert (options.locks, options.remembers, options.window, options.overwrite) == (
        False,
        False,
        False,
        True,
    )
    assert options.keyer["follow"] is False
    assert options.to == ("virtual:/dev/video7", "out.mov")
    assert options.backgrounds == ("blur", "beach.jpg")
    assert (options.countdown_seconds, options.plate, options.folder) == (3, Path("p.jpg"), Path("clips"))
    assert sort_outputs(options.to) == ([Path("out.mov")], ["/dev/video7"])
    assert sort_outputs(("virtual",)) == ([], [None])


def test_rates_are_parsed_as_fractions_and_decimals():
    assert parse_rate("29.97") == Fraction("29.97")
    assert parse_rate("30000/1001") == Fraction(30000, 1001)
    for text in ("0", "-1", "many", "1/0"):
        with pytest.raises(OptionError, match="frames per second"):
            parse_rate(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "--seconds is 0"),
        (["--countdown", "-1"], "--countdown is -1"),
        (["--size", "big"], "--size is 'big'"),
        (["--scale", "fine"], "'fine' is for files"),
        (["--to", "virtual", "virtual"], "one virtual camera"),
        (["--from", "nosuch.mp4"], "no camera"),
        ([*CLIP, "--background", "nosuch.jpg"], "neither a colour nor a file"),
        ([*CLIP, "--plate", "nosuch.jpg"], "no file nosuch.jpg"),
        ([*CLIP, *PLATE, "--to", "out.mp4", "--background", "transparent"], "has no alpha"),
    ],
)
def test_wrong_options_are_refused_at_the_start(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(v4l2, "list_devices", list)
    assert main(["live", "--no-window", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_camera_a_video_is_offered(capsys, monkeypatch):
    monkeypatch.setattr(v4l2, "list_devices", list)
    assert main(["live", "--list"]) == 0
    assert "cleanplate live --from clip.mp4" in capsys.readouterr().err
    assert main(["live", "--no-window"]) == 2
    assert "There is no camera on this machine." in capsys.readouterr().err


@pytest.fixture
def end_when(monkeypatch):
    """End the command once its figures fulfil a condition; ``--seconds`` is then only a limit."""

    def choose(condition):
        plain = Live._show

        def show_and_look(live):
            plain(live)
            if condition(live.figures):
                live.stop()

        monkeypatch.setattr(Live, "_show", show_and_look)

    return choose


def test_a_clip_is_keyed_into_a_video_a_camera_and_a_report(small, tmp_path, capsys, monkeypatch, end_when):
    sent = []

    class Fake:
        name = "fake"

        def send(self, pixels):
            sent.append(pixels[5, 5].tolist())

        def close(self):
            sent.append("closed")

    asked = []

    def open_fake(*arguments):
        asked.append(arguments)
        return Fake()

    monkeypatch.setattr("cleanplate.live.session_setup.open_virtual_camera", open_fake)
    out, report = tmp_path / "out.mp4", tmp_path / "report.json"
    end_when(lambda figures: figures.virtual.count >= 3)
    code = main(
        ["live", *small, "--loop", "--no-window", "--to", "virtual", str(out), "--seconds", "600",
         "--background", "#00b140", "--report", str(report)]
    )  # fmt: skip
    captured = capsys.readouterr()
    assert code == 0
    assert asked == [(180, 320, 25, None)]
    assert sent[0] == [0, 177, 64]
    assert sent[-1] == "closed"
    told = json.loads(report.read_text())
    assert told["keyed"] >= 1
    assert told["milliseconds"]["virtual_camera"]["count"] == len(sent) - 1
    assert "Other programs see the camera 'fake'." in captured.err
    assert f"Saved {out}" in captured.err
    assert "from camera to result" in captured.err
    assert captured.out.strip() == str(report)
    with open_source(out) as clip:
        frame = next(iter(clip))
    assert np.abs(frame.pixels[5, 5].astype(int) - (0, 177, 64)).max() < 12


def test_a_session_ends_after_its_seconds(small, tmp_path):
    report = tmp_path / "report.json"
    assert main(["live", *small, "--loop", "--no-window", "--seconds", "0.3", "--report", str(report)]) == 0
    assert 0.3 <= json.loads(report.read_text())["seconds"] < 300


def test_a_window_is_opened_and_closed(small, tmp_path, monkeypatch, end_when):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    report = tmp_path / "report.json"
    end_when(lambda figures: figures.window.count >= 2)
    assert main(["live", *small, "--loop", "--seconds", "600", "--report", str(report)]) == 0
    assert json.loads(report.read_text())["milliseconds"]["window"]["count"] >= 1
    assert not pygame.display.get_init()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a display always")
def test_without_a_display_it_ends_with_an_error(small, monkeypatch, capsys):
    pytest.importorskip("pygame")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    assert main(["live", *small, "--loop", "--seconds", "4"]) == 2
    said = capsys.readouterr().err
    assert "there is no display" in said
    assert "hint: use --no-window, with --to or --seconds" in said


LIVE_THAT_TELLS = """
import sys
from cleanplate.cli import main
from cleanplate.live.session import Session

def print_after_call(name):
    plain = getattr(Session, name)
    def tell_after(self, *arguments):
        result = plain(self, *arguments)
        print(name, flush=True)
        return result
    setattr(Session, name, tell_after)

print_after_call("see")
print_after_call("ask_for_plate")
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs POSIX signals")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_signals_take_a_plate_and_end_in_order(small, tmp_path, ending):
    command = [sys.executable, "-c", LIVE_THAT_TELLS, "live", *small, "--loop", "--no-window"]
    out = tmp_path / "out.mp4"
    process = subprocess.Popen(
        [*command, "--to", str(out), "--countdown", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"CLEANPLATE_HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "see\n"
        process.send_signal(signal.SIGUSR1)
        assert "ask_for_plate\n" in process.stdout
        process.send_signal(getattr(signal, ending))
        _, said = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert f"Saved {out}" in said
    assert "Traceback" not in said
