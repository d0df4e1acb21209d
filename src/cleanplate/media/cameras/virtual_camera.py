"""Virtual cameras for other programs: a device of v4l2loopback, or pyvirtualcam."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from cleanplate.errors import MissingExtraError, OptionError, OutputError, UnavailableError
from cleanplate.frame import Pixels
from cleanplate.media.cameras import v4l2
from cleanplate.system.system_errors import reason_of

LOOPBACK_COMMAND = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=cleanplate"
"""Command that makes a virtual camera on Linux; browsers list it only with ``exclusive_caps``."""

LOOPBACK_DRIVER = "v4l2 loopback"


class VirtualCamera(Protocol):
    """A camera device of the system that shows our pictures.

    All failures after opening are :class:`~cleanplate.errors.OutputError`.

    Attributes:
        name: Name in other programs.
    """

    name: str

    def send(self, pixels: Pixels) -> None:
        """Show a picture, uint8 RGB ``(height, width, 3)``, until the next one comes."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


def open_virtual_camera(height: int, width: int, rate: Fraction, device: str | None = None) -> VirtualCamera:
    """Open a virtual camera: directly on Linux, through pyvirtualcam on Windows and macOS.

    Args:
        height: Rows; even.
        width: Columns; even.
        rate: Frames per second for other programs.
        device: On Linux a device such as ``/dev/video10``, elsewhere pyvirtualcam's name; None: the first.

    Raises:
        UnavailableError: There is none; the hint describes how to install one.
        MissingExtraError: pyvirtualcam is not installed, and is needed.
        OptionError: The size is odd.
    """
    if height % 2 or width % 2:
        raise OptionError(
            f"A virtual camera needs even sides, got {width}x{height}.", "choose another --size"
        )
    platform: str = sys.platform  # whose other values the type checker is not to take for unreachable
    if platform.startswith("linux"):
        return LoopbackCamera(device or find_loopback(), height, width, rate)
    return PyVirtualCamera(height, width, rate, device)


def find_loopback() -> str:
    """The first device of v4l2loopback.

    Raises:
        UnavailableError: There is none.
    """
    for device in v4l2.list_devices():
        if device.outputs and device.driver == LOOPBACK_DRIVER:
            return device.path
    raise UnavailableError(
        "There is no virtual camera on this machine.",
        f"install v4l2loopback (Debian: sudo apt install v4l2loopback-dkms), then: {LOOPBACK_COMMAND}",
    )


class LoopbackCamera:
    """See :class:`VirtualCamera`: YUYV written to a V4L2 output device, such as v4l2loopback makes.

    Raises:
        UnavailableError: The device does not exist, or does not accept such pictures.
    """

    def __init__(self, path: str, height: int, width: int, rate: Fraction) -> None:
        self._path = path
        self._size = (height, width)
        try:
            kind = v4l2.read_device(path)
            if not kind.outputs:
                raise UnavailableError(
                    f"{path} ({kind.name}) is a camera and accepts no pictures.",
                    f"make an output device: {LOOPBACK_COMMAND}",
                )
            self.name = kind.name
            self._device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise UnavailableError(*_explain(path, error)) from error
        try:
            v4l2.set_output(self._device, height, width, rate)
        except OSError as error:
            os.close(self._device)
            raise UnavailableError(
                f"{path} does not accept pictures of {width}x{height}: {reason_of(error)}.",
                "close the programs that show it, or reload it: sudo modprobe -r v4l2loopback",
            ) from error

    def send(self, pixels: Pixels) -> None:
        _check(pixels, self._size)
        packed = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_YUY2)
        try:
            os.write(self._device, np.ascontiguousarray(packed).data)
        except OSError as error:
            raise OutputError(f"The virtual camera {self._path} failed: {reason_of(error)}.") from error

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._device)


class PyVirtualCamera:
    """See :class:`VirtualCamera`: OBS's camera on Windows and macOS, through pyvirtualcam (GPL-2.0).

    Raises:
        MissingExtraError: pyvirtualcam is not installed.
        UnavailableError: There is no such camera.
    """

    def __init__(self, height: int, width: int, rate: Fraction, device: str | None) -> None:
        try:
            pyvirtualcam = importlib.import_module("pyvirtualcam")
        except ImportError as error:
            raise MissingExtraError("virtual", "The virtual camera") from error
        self._size = (height, width)
        try:
            self._camera = pyvirtualcam.Camera(width, height, float(rate), device=device)
        except RuntimeError as error:
            raise UnavailableError(
                f"The virtual camera cannot be opened: {str(error).strip().splitlines()[0].rstrip('.')}.",
                "install OBS Studio, start its virtual camera once and stop it again",
            ) from error
        self.name = str(self._camera.device)

    def send(self, pixels: Pixels) -> None:
        _check(pixels, self._size)
        try:
            self._camera.send(np.ascontiguousarray(pixels))
        except RuntimeError as error:
            raise OutputError(f"The virtual camera {self.name} failed: {error}.") from error

    def close(self) -> None:
        self._camera.close()


def _check(pixels: Pixels, size: tuple[int, int]) -> None:
    if pixels.shape != (*size, 3) or pixels.dtype != np.uint8:
        raise OptionError(
            f"The virtual camera takes uint8 pictures of {size[1]}x{size[0]}, "
            f"got {pixels.dtype} {pixels.shape}."
        )


def _explain(path: str, error: OSError) -> tuple[str, str]:
    message = f"The virtual camera {path} cannot be opened: {reason_of(error)}."
    if error.errno == errno.EACCES:
        return message, "add yourself to the group 'video': sudo usermod -aG video $USER, then log in again"
    number = Path(path).name.removeprefix("video")
    option = f" video_nr={number}" if number.isdigit() else ""
    return message, f"make one: {LOOPBACK_COMMAND}{option}"
