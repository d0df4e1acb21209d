"""Choice of a camera and its mode; files and streams in the place of a camera."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError
from cleanplate.media.cameras import discovery as cameras
from cleanplate.media.cameras import v4l2
from cleanplate.media.cameras.camera import ClipCamera, StreamCamera, sleep_unless
from cleanplate.media.cameras.camera_modes import CameraInfo, CameraMode, RequestedMode, choose_mode
from cleanplate.media.cameras.live_stream import Address

TYPICAL = (
    CameraMode("yuyv422", 720, 1280, Fraction(10)),
    CameraMode("mjpeg", 720, 1280, Fraction(30)),
    CameraMode("h264", 720, 1280, Fraction(30)),
    CameraMode("mjpeg", 1080, 1920, Fraction(30)),
    CameraMode("yuyv422", 480, 640, Fraction(30)),
    CameraMode("mjpeg", 480, 640, Fraction(30)),
)


@pytest.mark.parametrize(
    ("size", "rate", "expected"),
    [
        ((720, 1280), 30, "1280x720 30 fps mjpeg"),
        ((720, 1280), 10, "1280x720 10 fps yuyv422"),
        ((1080, 1920), 60, "1920x1080 30 fps mjpeg"),
        ((1088, 1920), 30, "1920x1080 30 fps mjpeg"),
        ((480, 640), 30, "640x480 30 fps yuyv422"),
        ((2160, 3840), 30, "1920x1080 30 fps mjpeg"),
    ],
)
def test_the_nearest_mode_is_chosen(size, rate, expected):
    assert str(choose_mode(TYPICAL, RequestedMode(size, Fraction(rate)))) == expected


def test_without_known_modes_none_is_chosen():
    assert choose_mode((), RequestedMode()) is None
    unknown = CameraMode("", 720, 1280, Fraction(0))
    assert choose_mode([unknown], RequestedMode()) == unknown


CAMERAS = [
    CameraInfo("HD Webcam: HD Webcam", "/dev/video0"),
    CameraInfo("Logitech BRIO", "/dev/video2"),
    CameraInfo("OBS Virtual Camera", "/dev/video10"),
]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (None, "/dev/video0"),
        ("2", "/dev/video2"),
        ("/dev/video10", "/dev/video10"),
        ("brio", "/dev/video2"),
        ("HD Webcam", "/dev/video0"),
    ],
)
def test_a_camera_is_found_by_number_device_and_part_of_its_name(text, address):
    assert cameras.find_camera(CAMERAS, text).address == address


def test_outside_linux_numbers_count_cameras():
    named = [CameraInfo("Integrated Camera", "Integrated Camera"), CameraInfo("C920", "C920")]
    assert cameras.find_camera(named, "1").name == "C920"
    with pytest.raises(InputError, match="no camera or file '2'"):
        cameras.find_camera(named, "2")


def test_an_unknown_camera_is_refused_with_a_list():
    with pytest.raises(InputError, match=r"no camera or file 'clip.mp4'.*/dev/video2 \(Logitech BRIO\)"):
        cameras.find_camera(CAMERAS, "clip.mp4")
    with pytest.raises(InputError, match=r"There is no camera on this machine.*--from clip.mp4 --loop"):
        cameras.find_camera([], None)


def test_an_unlisted_device_is_tried():
    assert cameras.find_camera(CAMERAS, "/dev/video5").address == "/dev/video5"
    with pytest.raises(InputError, match="The camera '/dev/video77' cannot be opened: no such file"):
        cameras.open_camera("/dev/video77")


def test_a_camera_without_permission_has_a_hint(monkeypatch):
    monkeypatch.setattr(v4l2, "find_forbidden", lambda: ["/dev/video0"])
    with pytest.raises(InputError, match="usermod -aG video"):
        cameras.find_camera([], None)


def test_every_system_has_its_ffmpeg_input():
    camera = CameraInfo("C920", "/dev/video0")
    mode = CameraMode("mjpeg", 720, 1280, Fraction(30))
    linux = cameras.address_of_device(camera, mode, "linux")
    assert (linux.url, linux.format, linux.device_path) == ("/dev/video0", "v4l2", "/dev/video0")
    assert linux.options == {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}
    windows = cameras.address_of_device(camera, mode, "win32")
    assert (windows.url, windows.format) == ("video=C920", "dshow")
    assert windows.options["vcodec"] == "mjpeg"
    raw = CameraMode("yuyv422", 480, 640, Fraction(0))
    assert "framerate" not in cameras.address_of_device(camera, raw, "win32").options
    assert cameras.address_of_device(camera, raw, "win32").options["pixel_format"] == "yuyv422"
    mac = cameras.address_of_device(CameraInfo("FaceTime HD Camera", "0"), mode, "darwin")
    assert (mac.url, mac.format, mac.options["pixel_format"]) == ("0:none", "avfoundation", "nv12")
    assert cameras.address_of_device(camera, None, "linux").options == {}


DSHOW_LOG = """\
DirectShow video device options (from video devices)
 Pin "Capture" (alternative pin name "0")
  pixel_format=yuyv422  min s=640x480 fps=5 max s=640x480 fps=30
  pixel_format=yuyv422  min s=640x480 fps=5 max s=640x480 fps=30 (tv, bt470bg/bt709/unknown, topleft)
  vcodec=mjpeg  min s=1280x720 fps=5 max s=1280x720 fps=29.97
"""
AVFOUNDATION_LOG = """\
Selected framerate (29.970030) is not supported by the device.
Supported modes:
  640x480@[1.000000 30.000030]fps
  1280x720@[1.000000 60.000240]fps
"""


def test_modes_are_read_from_what_ffmpeg_logs():
    assert [str(mode) for mode in cameras.parse_dshow_modes(DSHOW_LOG)] == [
        "640x480 30 fps yuyv422",
        "1280x720 29.97 fps mjpeg",
    ]
    assert [str(mode) for mode in cameras.parse_avfoundation_modes(AVFOUNDATION_LOG)] == [
        "640x480 30 fps",
        "1280x720 60 fps",
    ]
    assert cameras.parse_dshow_modes("nonsense") == ()


def test_streams_are_opened_without_buffers_and_shown_without_passwords():
    address = cameras.address_of_url("rtsp://admin:secret@10.0.0.5/stream1")
    assert address.name == "rtsp://10.0.0.5/stream1"
    opened = {"fflags": "nobuffer", "flags": "low_delay", "rtsp_transport": "tcp"}
    assert {name: address.options[name] for name in opened} == opened
    assert set(address.options) == {*opened, "protocol_whitelist"}
    assert "rtsp_transport" not in cameras.address_of_url("http://10.0.0.5/video").options


def test_a_device_delivers_in_real_time_and_stops_when_told():
    camera = StreamCamera(Address("testsrc2=size=128x96:rate=100,realtime", "pattern", "lavfi"))
    assert (camera.info.height, camera.info.width, camera.info.frame_rate) == (96, 128, 100)
    frames, ages = [], []
    for frame in camera:
        ages.append(time.monotonic() - camera.clock_zero - float(frame.time_seconds))
        frames.append(frame)
        if frame.index == 30:
            camera.stop()
    camera.close()
    assert len(frames) == 31
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert frames[0].pixels.shape == (96, 128, 3)
    assert 0 <= min(ages) < 0.02  # the others may wait for the processor
    assert float(frames[-1].time_seconds) > 0.2
    assert camera.lock() == ()


def test_a_camera_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(InputError, match="The camera 'nosuch' cannot be opened"):
        StreamCamera(Address(str(tmp_path / "video9"), "nosuch", "v4l2"))
    with pytest.raises(InputError, match="check the address"):
        cameras.open_camera("http://127.0.0.1:9/nothing")
    with pytest.raises(OptionError, match="cannot be looped"):
        cameras.open_camera("rtsp://127.0.0.1:9/nothing", loop=True)


@pytest.fixture
def clip(make_video) -> Path:
    """Half a second: 25 frames at 50."""
    path: Path = make_video(
        "clip.mkv",
        pts=range(25),
        time_base=Fraction(1, 50),
        rate=Fraction(50),
        picture=lambda number: np.full((48, 64, 3), 10 * number, np.uint8),
    )
    return path


def test_a_file_plays_the_camera_at_its_own_pace(clip):
    camera = cameras.open_camera(str(clip))
    assert isinstance(camera, ClipCamera)
    assert camera.info.frame_rate == 50
    began = time.monotonic()
    frames = list(camera)
    assert 0.45 < time.monotonic() - began < 300
    camera.close()
    # On a busy machine some may be left out, as a camera would.
    assert 2 <= len(frames) <= 25
    for frame in frames:
        assert frame.pixels[0, 0, 0] // 10 == round(float(frame.time_seconds) * 50)


def test_a_looped_file_continues_with_rising_times(clip):
    camera = cameras.open_camera(str(clip), loop=True)
    frames = []
    for frame in camera:
        frames.append(frame)
        if frame.time_seconds > 1.2:
            camera.stop()
    camera.close()
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    late = [frame for frame in frames if 0.6 < frame.time_seconds < 0.9]
    for frame in late:
        assert frame.pixels[0, 0, 0] // 10 == round(float(frame.time_seconds) * 50 - 25)


def test_deep_colour_becomes_eight_bits(make_video):
    path = make_video("deep.mkv", pixel_format="gbrp16le", pts=range(3), rate=Fraction(50))
    camera = cameras.open_camera(str(path))
    assert next(iter(camera)).pixels.dtype == np.uint8
    camera.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


def test_a_recording_at_an_address_plays_at_its_pace_and_ends(make_video):
    path = make_video(
        "clip.mp4", codec="libx264", pixel_format="yuv420p", pts=range(10), options={"tune": "zerolatency"}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(path.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        camera = cameras.open_camera(f"http://127.0.0.1:{server.server_port}/clip.mp4")
        began = time.monotonic()
        frames = list(camera)
        took = time.monotonic() - began
        assert took > 0.25
        camera.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert 8 <= len(frames) <= 10
    assert 0.25 < float(frames[-1].time_seconds) <= took + 1 / 90_000


def test_a_sleep_ends_at_its_event():
    began = time.monotonic()
    sleep_unless(lambda: time.monotonic() - began > 0.1, 600)
    assert time.monotonic() - began < 300
    sleep_unless(lambda: False, -1)
