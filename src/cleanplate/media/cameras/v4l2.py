"""Video4Linux2 by ioctl: capabilities and modes of a device, its automatic controls, written pictures.

The structures and numbers are those of the kernel's ``linux/videodev2.h``. FFmpeg reads cameras itself, but
it neither lists their modes nor sets their controls.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from cleanplate.media.cameras.camera_modes import CameraInfo, CameraMode

_CAPTURE, _OUTPUT, _DEVICE_CAPS = 0x1, 0x2, 0x80000000
_BUFFER_CAPTURE, _BUFFER_OUTPUT = 1, 2
_DISCRETE = 1
_FIELD_NONE = 1
_COLOURSPACE_SRGB, _ENCODING_601, _QUANTISATION_LIMITED = 8, 1, 2
_CONTROL_DISABLED, _CONTROL_READ_ONLY = 0x1, 0x4

_MOST_ENTRIES = 512
"""Limit of a driver's list, against broken drivers whose lists never end."""

FOURCC_NAMES = {
    "MJPG": "mjpeg",
    "JPEG": "mjpeg",
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "NV12": "nv12",
    "YU12": "yuv420p",
    "RGB3": "rgb24",
    "BGR3": "bgr24",
    "H264": "h264",
}
"""Formats that can be read, and FFmpeg's names of them."""


class Capability(ctypes.Structure):
    """``v4l2_capability``."""

    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", ctypes.c_uint32),
        ("capabilities", ctypes.c_uint32),
        ("device_caps", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """``v4l2_fmtdesc``."""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", ctypes.c_uint32),
        ("mbus_code", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


class FrameSize(ctypes.Structure):
    """``v4l2_frmsizeenum``; ``numbers`` are width and height, or the bounds and steps of both."""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("numbers", ctypes.c_uint32 * 6),
        ("reserved", ctypes.c_uint32 * 2),
    )


class FrameInterval(ctypes.Structure):
    """``v4l2_frmivalenum``; ``numbers`` are one interval's numerator and denominator, or those of three."""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("numbers", ctypes.c_uint32 * 6),
        ("reserved", ctypes.c_uint32 * 2),
    )


class QueryControl(ctypes.Structure):
    """``v4l2_queryctrl``."""

    _fields_ = (
        ("id", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("name", ctypes.c_char * 32),
        ("minimum", ctypes.c_int32),
        ("maximum", ctypes.c_int32),
        ("step", ctypes.c_int32),
        ("default_value", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 2),
    )


class Control(ctypes.Structure):
    """``v4l2_control``."""

    _fields_ = (("id", ctypes.c_uint32), ("value", ctypes.c_int32))


class PixelFormat(ctypes.Structure):
    """``v4l2_pix_format``."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in (
            *("width", "height", "pixelformat", "field", "bytesperline", "sizeimage"),
            *("colorspace", "priv", "flags", "ycbcr_enc", "quantization", "xfer_func"),
        )
    )


class _AnyFormat(ctypes.Union):
    # One of the kinds of format holds pointers, which align the whole union.
    _fields_ = (("pix", PixelFormat), ("raw", ctypes.c_uint8 * 200), ("pointer", ctypes.c_void_p))


class Format(ctypes.Structure):
    """``v4l2_format``."""

    _fields_ = (("type", ctypes.c_uint32), ("fmt", _AnyFormat))


class StreamParameters(ctypes.Structure):
    """``v4l2_streamparm`` of an output: ``numerator / denominator`` are seconds per frame."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("capability", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("numerator", ctypes.c_uint32),
        ("denominator", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * 184),
    )


def request(number: int, structure: type[ctypes.Structure], *, writes: bool, reads: bool = True) -> int:
    """The number of an ioctl as the kernel composes it: direction, size, letter, number."""
    direction = (1 if writes else 0) | (2 if reads else 0)
    return direction << 30 | ctypes.sizeof(structure) << 16 | ord("V") << 8 | number


QUERY_CAPABILITY = request(0, Capability, writes=False)
ENUMERATE_FORMATS = request(2, FormatDescription, writes=True)
SET_FORMAT = request(5, Format, writes=True)
SET_PARAMETERS = request(22, StreamParameters, writes=True)
GET_CONTROL = request(27, Control, writes=True)
SET_CONTROL = request(28, Control, writes=True)
QUERY_CONTROL = request(36, QueryControl, writes=True)
ENUMERATE_SIZES = request(74, FrameSize, writes=True)
ENUMERATE_INTERVALS = request(75, FrameInterval, writes=True)

Structure = TypeVar("Structure", bound=ctypes.Structure)


def call(device: int, number: int, structure: Structure) -> Structure:
    """Call an ioctl, which fills the structure; raises the kernel's :class:`OSError`."""
    import fcntl  # not on Windows

    while True:
        try:
            fcntl.ioctl(device, number, structure)
        except InterruptedError:
            continue
        return structure


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[int]:
    """A device's file descriptor; opening it does not disturb other users of the device."""
    device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield device
    finally:
        os.close(device)


@dataclass(frozen=True)
class V4l2Device:
    """Description of the device behind a ``/dev/video`` file."""

    path: str
    name: str
    driver: str
    captures: bool
    outputs: bool


def read_device(path: str) -> V4l2Device:
    """Query a device's capabilities; :class:`OSError` if it is none or may not be opened."""
    with opened(path) as device:
        capability = call(device, QUERY_CAPABILITY, Capability())
    flags = capability.device_caps if capability.capabilities & _DEVICE_CAPS else capability.capabilities
    return V4l2Device(
        path,
        capability.card.decode("utf-8", "replace"),
        capability.driver.decode("ascii", "replace"),
        bool(flags & _CAPTURE),
        bool(flags & _OUTPUT),
    )


def list_devices(folder: str = "/dev") -> list[V4l2Device]:
    """All devices that answer, by number."""

    def number(path: Path) -> int:
        digits = path.name.removeprefix("video")
        return int(digits) if digits.isdigit() else 1 << 16

    devices = []
    for path in sorted(Path(folder).glob("video*"), key=number):
        with contextlib.suppress(OSError):
            devices.append(read_device(str(path)))
    return devices


def find_forbidden(folder: str = "/dev") -> list[str]:
    """Devices that this user may not open."""
    return [str(path) for path in Path(folder).glob("video*") if not os.access(path, os.R_OK | os.W_OK)]


def read_camera(device: V4l2Device) -> CameraInfo:
    """A camera's modes, by size and rate; :class:`OSError` if it may not be opened."""
    modes: set[CameraMode] = set()
    with opened(device.path) as file:
        for fourcc in _list_formats(file):
            name = FOURCC_NAMES.get(fourcc.to_bytes(4, "little").decode("ascii", "replace"))
            if name is None:
                continue
            for height, width in _list_sizes(file, fourcc):
                rate = _find_rate(file, fourcc, height, width)
                modes.add(CameraMode(name, height, width, rate))
    ordered = sorted(modes, key=lambda mode: (-mode.height * mode.width, -mode.rate, mode.pixel_format))
    return CameraInfo(device.name, device.path, tuple(ordered))


def _enumerate(file: int, number: int, make: type[Structure], **fields: int) -> Iterator[Structure]:
    """Entries of one of the driver's lists."""
    for index in range(_MOST_ENTRIES):
        entry = make(**fields)
        entry.index = index
        try:
            yield call(file, number, entry)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY):  # the end; no such list
                return
            raise


def _list_formats(file: int) -> list[int]:
    kinds = _enumerate(file, ENUMERATE_FORMATS, FormatDescription, type=_BUFFER_CAPTURE)
    return [int(kind.pixelformat) for kind in kinds]


def _list_sizes(file: int, fourcc: int) -> Iterator[tuple[int, int]]:
    for size in _enumerate(file, ENUMERATE_SIZES, FrameSize, pixel_format=fourcc):
        numbers = list(size.numbers)
        if size.type == _DISCRETE:
            yield numbers[1], numbers[0]
            continue
        # A range, of loopback devices and the like: the usual sizes within it.
        for height, width in ((480, 640), (720, 1280), (1080, 1920), (2160, 3840)):
            if numbers[0] <= width <= numbers[1] and numbers[3] <= height <= numbers[4]:
                yield height, width
        return


def _find_rate(file: int, fourcc: int, height: int, width: int) -> Fraction:
    """The highest rate; 0 if the driver gives none."""
    fields = {"pixel_format": fourcc, "height": height, "width": width}
    # Of a range the shortest interval comes first, as of an entry that stands alone.
    entries = _enumerate(file, ENUMERATE_INTERVALS, FrameInterval, **fields)
    rates = []
    for entry in entries:
        if entry.numbers[0]:
            rates.append(Fraction(entry.numbers[1], entry.numbers[0]))
        if entry.type != _DISCRETE:
            break
    return max(rates, default=Fraction(0))


@dataclass(frozen=True)
class _Automatic:
    """An automatic setting of cameras: the control that switches it, and the control that it sets."""

    name: str
    control: int
    manual: int
    moves: int


_USER, _CAMERA = 0x00980900, 0x009A0900
AUTOMATICS = (
    _Automatic("exposure", _CAMERA + 1, 1, _CAMERA + 2),
    _Automatic("gain", _USER + 18, 0, _USER + 19),
    _Automatic("white balance", _USER + 12, 0, _USER + 26),
    _Automatic("focus", _CAMERA + 12, 0, _CAMERA + 10),
)
"""Exposure's control is a menu, in which 1 is manual; the others are switches."""


class Lock:
    """Locks a camera's exposure, gain, white balance and focus, as far as the driver allows.

    Args:
        path: The device.

    Attributes:
        held: The held controls, by name.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._before: list[Control] = []
        held = []
        with contextlib.suppress(OSError), opened(path) as device:
            held = [each.name for each in AUTOMATICS if self._hold(device, each)]
        self.held: tuple[str, ...] = tuple(held)

    def _hold(self, device: int, automatic: _Automatic) -> bool:
        try:
            query = call(device, QUERY_CONTROL, QueryControl(id=automatic.control))
            if query.flags & (_CONTROL_DISABLED | _CONTROL_READ_ONLY):
                return False
            before = call(device, GET_CONTROL, Control(id=automatic.control))
            if before.value == automatic.manual:
                return True
            # Many drivers return to an old value when their automatic is switched off.
            now: Control | None = None
            with contextlib.suppress(OSError):
                now = call(device, GET_CONTROL, Control(id=automatic.moves))
            call(device, SET_CONTROL, Control(id=automatic.control, value=automatic.manual))
        except OSError:
            return False
        self._before.append(before)
        if now is not None:
            with contextlib.suppress(OSError):
                call(device, SET_CONTROL, now)
        return True

    def release(self) -> None:
        """Switch the automatic settings on again; a second call does nothing."""
        before, self._before = self._before, []
        with contextlib.suppress(OSError), opened(self._path) as device:
            for control in before:
                with contextlib.suppress(OSError):
                    call(device, SET_CONTROL, control)


def fourcc(name: str) -> int:
    """Four letters as the kernel's number."""
    return int.from_bytes(name.encode("ascii"), "little")


def set_output(device: int, height: int, width: int, rate: Fraction) -> int:
    """Set a device to pictures of YUYV, BT.601 in limited range; returns the bytes of a picture.

    Raises:
        OSError: The device does not accept such pictures.
    """
    wanted = Format(type=_BUFFER_OUTPUT)
    pix = wanted.fmt.pix
    pix.width, pix.height, pix.pixelformat = width, height, fourcc("YUYV")
    pix.field, pix.bytesperline, pix.sizeimage = _FIELD_NONE, 2 * width, 2 * width * height
    pix.colorspace, pix.ycbcr_enc = _COLOURSPACE_SRGB, _ENCODING_601
    pix.quantization = _QUANTISATION_LIMITED
    got = call(device, SET_FORMAT, wanted).fmt.pix
    if (got.width, got.height, got.pixelformat) != (width, height, fourcc("YUYV")):
        raise OSError(errno.EBUSY, f"it delivers {got.width}x{got.height} in another pixel format")
    parameters = StreamParameters(type=_BUFFER_OUTPUT, numerator=rate.denominator, denominator=rate.numerator)
    with contextlib.suppress(OSError):  # readers can do without the rate
        call(device, SET_PARAMETERS, parameters)
    return 2 * width * height
