"""V4L2 without a kernel module, over a preloaded fake of the driver (`fake_v4l2.c`).

FFmpeg's own reader runs against it, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cleanplate.media.cameras import v4l2

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    made = tmp_path_factory.mktemp("fake") / "fake_v4l2.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "fake_v4l2.c"), "-ldl"]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode:
        pytest.skip(f"the fake device cannot be compiled: {compiled.stderr[:300]}")
    return made


@pytest.fixture
def run(library: Path, tmp_path: Path):
    (tmp_path / "video0").touch()
    (tmp_path / "video1").touch()

    def run_session(what: str):
        environment = os.environ | {
            "LD_PRELOAD": str(library),
            "FAKE_CAMERA": str(tmp_path / "video0"),
            "FAKE_OUTPUT": str(tmp_path / "video1"),
            "FAKE_UNPLUGGED": str(tmp_path / "unplugged"),
        }
        done = subprocess.run(
            [sys.executable, str(HERE / "v4l2_session.py"), what],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        # Memory of the driver that is released too late crashes, even at the end.
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_session


def test_a_camera_is_read_and_reopened_after_a_loss(run):
    found = run("capture")
    assert [one["name"] for one in found["devices"]] == ["Fake Webcam", "cleanplate"]
    # Capabilities of the hardware may belong to its other device.
    assert [(one["captures"], one["outputs"]) for one in found["devices"]] == [(True, False), (False, True)]
    assert found["modes"] == ["640x480 30 fps mjpeg", "320x240 30 fps yuyv422"]
    assert (found["size"], found["shape"], found["rate"]) == ([240, 320], [240, 320, 3], "30")
    assert all(a < b for a, b in pairwise(found["greys"]))
    steps = np.diff(found["times"])
    assert steps[9] > 1.0  # it was away
    assert 0.02 < np.median(np.delete(steps, 9)) < 0.9
    assert found["lost"] == [True, False]


def test_exposure_and_white_balance_are_locked_and_unlocked(run):
    found = run("capture")
    assert found["held"] == [["exposure", "white balance"]] * 2
    before, during, relocked, after = found["controls"]
    # Manual, at the value of the automatic, although the driver resets it.
    assert before == [3, 157, None, None, 1, 4600, None, None]
    assert during == [1, 157, None, None, 0, 4600, None, None]
    assert relocked == during
    assert after == before


def test_pictures_are_written_as_yuyv_and_wrong_ones_refused(run, tmp_path):
    found = run("send")
    assert found["name"] == "cleanplate"
    written = np.frombuffer((tmp_path / "video1").read_bytes(), np.uint8).reshape(2, 48, 64, 2)
    assert np.all(written[:, :, :32] == (16, 128))
    assert np.all(written[:, :, 32:] == (235, 128))
    size, large, camera, missing = found["refused"]
    assert "takes uint8 pictures of 64x48" in size
    assert "does not accept pictures of 5000x48" in large
    assert "is a camera and accepts no pictures" in camera
    assert "modprobe v4l2loopback exclusive_caps=1 card_label=cleanplate video_nr=77" in missing


@pytest.mark.skipif(sys.maxsize < 2**32, reason="the sizes of 64-bit systems")
def test_request_numbers_equal_those_of_the_kernel():
    """Compared with a C program that includes linux/videodev2.h."""
    assert [
        f"{number:x}"
        for number in (
            *(v4l2.QUERY_CAPABILITY, v4l2.ENUMERATE_FORMATS, v4l2.SET_FORMAT, v4l2.SET_PARAMETERS),
            *(v4l2.GET_CONTROL, v4l2.SET_CONTROL, v4l2.QUERY_CONTROL),
            *(v4l2.ENUMERATE_SIZES, v4l2.ENUMERATE_INTERVALS),
        )
    ] == [
        *("80685600", "c0405602", "c0d05605", "c0cc5616"),
        *("c008561b", "c008561c", "c0445624", "c02c564a", "c034564b"),
    ]
    assert [f"{one.control:x} {one.moves:x}" for one in v4l2.AUTOMATICS] == [
        *("9a0901 9a0902", "980912 980913", "98090c 98091a", "9a090c 9a090a")
    ]
