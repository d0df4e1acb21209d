"""Contract of virtual cameras: the direct one over a file, the other over a fake of its library."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest

from cleanplate.errors import MissingExtraError, OptionError, OutputError, UnavailableError
from cleanplate.media.cameras import v4l2, virtual_camera

HEIGHT, WIDTH = 48, 64


def fake_pyvirtualcam(sent, *, fails=False):
    """A module with the part of pyvirtualcam's interface that is used."""

    class Camera:
        def __init__(self, width, height, fps, *, device=None):
            if fails:
                raise RuntimeError("virtual camera output could not be started\nsee the log")
            assert (width, height, fps) == (WIDTH, HEIGHT, 30.0)
            self.device = device or "OBS Virtual Camera"
            self.closed = False

        def send(self, frame):
            if self.closed:
                raise RuntimeError("it is closed")
            assert frame.flags.c_contiguous
            sent.append(frame.copy())

        def close(self):
            self.closed = True

    module = ModuleType("pyvirtualcam")
    module.Camera = Camera
    return module


@pytest.fixture(params=["direct", "pyvirtualcam"])
def opened(request, tmp_path, monkeypatch):
    """Open camera, and a function that gives the sent pictures as RGB."""
    if request.param == "pyvirtualcam":
        sent = []
        monkeypatch.setitem(sys.modules, "pyvirtualcam", fake_pyvirtualcam(sent))
        yield virtual_camera.PyVirtualCamera(HEIGHT, WIDTH, Fraction(30), None), lambda: sent
        return
    device = tmp_path / "video10"
    device.touch()

    def answer(_, number, structure):
        if number == v4l2.QUERY_CAPABILITY:
            structure.card, structure.driver, structure.capabilities = b"cleanplate", b"v4l2 loopback", 2
        return structure

    monkeypatch.setattr(v4l2, "call", answer)

    def received():
        import cv2

        stored = np.frombuffer(device.read_bytes(), np.uint8).reshape(-1, HEIGHT, WIDTH, 2)
        return [cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_YUY2) for picture in stored]

    yield virtual_camera.LoopbackCamera(str(device), HEIGHT, WIDTH, Fraction(30)), received


def test_pictures_keep_their_colours(opened):
    camera, received = opened
    assert camera.name in ("cleanplate", "OBS Virtual Camera")
    colours = [(250, 10, 20), (10, 200, 30), (30, 40, 220)]
    for colour in colours:
        camera.send(np.full((HEIGHT, WIDTH, 3), colour, np.uint8))
    wide = np.full((HEIGHT, 2 * WIDTH, 3), (90, 90, 90), np.uint8)
    camera.send(wide[:, ::2])  # not contiguous
    camera.close()
    pictures = received()
    assert len(pictures) == 4
    for picture, colour in zip(pictures, [*colours, (90, 90, 90)], strict=True):
        assert np.abs(picture.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (WIDTH, HEIGHT, 3), (HEIGHT, WIDTH, 4)])
def test_pictures_of_another_shape_are_refused(opened, shape):
    camera, _ = opened
    with pytest.raises(OptionError, match="takes uint8 pictures of 64x48"):
        camera.send(np.zeros(shape, np.uint8))
    camera.close()


def test_deep_pictures_are_refused(opened):
    camera, _ = opened
    with pytest.raises(OptionError, match="uint16"):
        camera.send(np.zeros((HEIGHT, WIDTH, 3), np.uint16))
    camera.close()


def test_a_device_that_has_gone_is_an_output_error(opened):
    camera, _ = opened
    camera.close()
    camera.close()
    with pytest.raises(OutputError, match="failed"):
        camera.send(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def test_odd_sizes_are_refused():
    with pytest.raises(OptionError, match="even sides, got 65x48"):
        virtual_camera.open_virtual_camera(48, 65, Fraction(30))


def test_without_a_device_the_hint_has_the_modprobe_command(monkeypatch):
    monkeypatch.setattr(v4l2, "list_devices", list)
    with pytest.raises(UnavailableError, match="sudo modprobe v4l2loopback exclusive_caps=1"):
        virtual_camera.find_loopback()


def test_a_hardware_camera_is_no_loopback_device(monkeypatch):
    devices = [
        v4l2.V4l2Device("/dev/video0", "Webcam", "uvcvideo", True, False),
        v4l2.V4l2Device("/dev/video2", "Encoder", "bcm2835-codec", True, True),
        v4l2.V4l2Device("/dev/video7", "cleanplate", "v4l2 loopback", False, True),
    ]
    monkeypatch.setattr(v4l2, "list_devices", lambda: devices)
    assert virtual_camera.find_loopback() == "/dev/video7"


def test_outside_linux_pyvirtualcam_is_used(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "pyvirtualcam", fake_pyvirtualcam([]))
    camera = virtual_camera.open_virtual_camera(HEIGHT, WIDTH, Fraction(30), "OBS")
    assert camera.name == "OBS"
    monkeypatch.setitem(sys.modules, "pyvirtualcam", fake_pyvirtualcam([], fails=True))
    with pytest.raises(UnavailableError, match=r"output could not be started\. \(install OBS Studio"):
        virtual_camera.open_virtual_camera(HEIGHT, WIDTH, Fraction(30))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingExtraError, match=r"cleanplate\[virtual\]"):
        virtual_camera.open_virtual_camera(HEIGHT, WIDTH, Fraction(30))


@pytest.mark.skipif(not os.path.exists("/dev/video0"), reason="this machine has no video device")  # noqa: PTH110
def test_a_loopback_device_receives_pictures():
    try:
        path = virtual_camera.find_loopback()
    except UnavailableError:
        pytest.skip("v4l2loopback is not loaded")
    camera = virtual_camera.LoopbackCamera(path, HEIGHT, WIDTH, Fraction(30))
    camera.send(np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    camera.close()
