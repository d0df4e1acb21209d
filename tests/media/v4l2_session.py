"""Session of `test_v4l2.py` with a preloaded fake device: prints its results as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from cleanplate.errors import CleanplateError
from cleanplate.media.cameras import v4l2
from cleanplate.media.cameras.camera import RETRY_SECONDS, StreamCamera
from cleanplate.media.cameras.camera_modes import RequestedMode, choose_mode
from cleanplate.media.cameras.discovery import address_of_device
from cleanplate.media.cameras.virtual_camera import LoopbackCamera

CONTROLS = [control for one in v4l2.AUTOMATICS for control in (one.control, one.moves)]


def read_controls(path: str) -> list[int | None]:
    def read(device: int, control: int) -> int | None:
        try:
            value: int = v4l2.call(device, v4l2.GET_CONTROL, v4l2.Control(id=control)).value
        except OSError:
            return None
        return value

    with v4l2.opened(path) as device:
        return [read(device, control) for control in CONTROLS]


def capture() -> dict[str, object]:
    """List devices, read frames, lose the camera and reconnect."""
    path = os.environ["FAKE_CAMERA"]
    unplugged = Path(os.environ["FAKE_UNPLUGGED"])
    devices = v4l2.list_devices(str(Path(path).parent))
    found = v4l2.read_camera(devices[0])
    mode = choose_mode(found.modes, RequestedMode((240, 320)))
    camera = StreamCamera(address_of_device(found, mode, "linux"))
    before = read_controls(path)
    held = camera.lock()
    during = read_controls(path)
    again = camera.lock()
    greys, times, lost = [], [], []

    def plug_in_again() -> None:
        for _ in range(12_000):  # two minutes
            if camera.is_lost:
                break
            time.sleep(0.01)
        lost.append(camera.is_lost)
        time.sleep(RETRY_SECONDS + 0.2)  # so that a search finds nothing
        unplugged.unlink()

    for frame in camera:
        greys.append(int(frame.pixels[0, 0, 0]))
        times.append(float(frame.time_seconds))
        if frame.index == 9:
            unplugged.touch()
            threading.Thread(target=plug_in_again).start()
        if frame.index == 20:
            camera.stop()
    relocked = read_controls(path)
    camera.close()
    camera.close()
    return {
        "devices": [vars(device) for device in devices],
        "modes": [str(one) for one in found.modes],
        "size": [camera.info.height, camera.info.width],
        "rate": str(camera.info.frame_rate),
        "shape": list(frame.pixels.shape),
        "held": [held, again],
        "controls": [before, during, relocked, read_controls(path)],
        "greys": greys,
        "times": times,
        "lost": [*lost, camera.is_lost],
    }


def refuse(call: Callable[[], object]) -> str:
    """Return the error message of a call."""
    try:
        call()
    except CleanplateError as error:
        return str(error)
    return ""


def send() -> dict[str, object]:
    """Write to the loopback device, and to a device that refuses output."""
    path = os.environ["FAKE_OUTPUT"]
    camera = LoopbackCamera(path, 48, 64, Fraction(30))
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 255
    for _ in range(2):
        camera.send(picture)
    refused = [
        refuse(lambda: camera.send(picture[:10])),
        refuse(lambda: LoopbackCamera(path, 48, 5000, Fraction(30))),
        refuse(lambda: LoopbackCamera(os.environ["FAKE_CAMERA"], 48, 64, Fraction(30))),
        refuse(lambda: LoopbackCamera("/dev/video77", 48, 64, Fraction(30))),
    ]
    camera.close()
    return {"name": camera.name, "refused": refused}


if __name__ == "__main__":
    json.dump({"capture": capture, "send": send}[sys.argv[1]](), sys.stdout)
