"""List the cameras of this machine, and open the requested one."""

from __future__ import annotations

import contextlib
import re
import stat
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av

from cleanplate.errors import InputError, OptionError
from cleanplate.media.cameras import v4l2
from cleanplate.media.cameras.camera import Camera, ClipCamera, StreamCamera
from cleanplate.media.cameras.camera_modes import CameraInfo, CameraMode, RequestedMode, choose_mode
from cleanplate.media.cameras.live_stream import Address
from cleanplate.media.numbering import is_sequence

# "  pixel_format=yuyv422  min s=640x480 fps=5 max s=640x480 fps=30", or vcodec= in the place of pixel_format=
_DSHOW_MODE = re.compile(
    r"(?:pixel_format|vcodec)=(?P<format>\w+)\s+min s=\d+x\d+ fps=[\d.]+ "
    r"max s=(?P<width>\d+)x(?P<height>\d+) fps=(?P<rate>[\d.]+)"
)
# "  1280x720@[1.000000 30.000000]fps"
_AVFOUNDATION_MODE = re.compile(r"(?P<width>\d+)x(?P<height>\d+)@\[[\d.]+ (?P<rate>[\d.]+)\]fps")

_NETWORK = "rtsp,rtsps,rtp,srtp,udp,udplite,tcp,tls,http,https,httpproxy,rtmp,rtmps,rtmpt,srt,rist,mmsh,mmst"
"""Protocols that a stream may use; no files, so that an address cannot make this machine read its own."""

_COMPRESSED = ("mjpeg", "h264")


def list_cameras() -> list[CameraInfo]:
    """The cameras of this machine, in the system's order, including those in use by other programs."""
    platform: str = sys.platform  # whose other values the type checker is not to take for unreachable
    if platform == "win32":
        return [_describe(title, title, f"video={name}", "dshow") for name, title in _enumerate("dshow")]
    if platform == "darwin":
        found = enumerate(_enumerate("avfoundation"))
        return [_describe(title, str(index), str(index), "avfoundation") for index, (_, title) in found]
    cameras = []
    for device in v4l2.list_devices():
        if device.captures:
            try:
                cameras.append(v4l2.read_camera(device))
            except OSError:
                cameras.append(CameraInfo(device.name, device.path))
    # The second device of a camera, for metadata, and an unused loopback device have no modes.
    return sorted(cameras, key=lambda camera: not camera.modes)


def open_camera(
    text: str | None = None, requested: RequestedMode | None = None, *, loop: bool = False
) -> Camera:
    """Open a camera by the user's name for it.

    Args:
        text: A number, a device such as ``/dev/video0`` or part of a name, as :func:`list_cameras` has them;
            a URL (``rtsp://``, ``http://`` ...); a video file or a numbered sequence. None: the first camera.
        requested: Size and rate to request from a device; 720p at 30 if None.
        loop: Whether a file starts again at its end.

    Raises:
        InputError: There is no such camera, or it delivers no picture.
        OptionError: A device or stream cannot be looped.
    """
    if text is not None:
        if is_sequence(Path(text)) or _is_file(text):
            return ClipCamera(Path(text), loop=loop)
        if "://" in text:
            _refuse_loop(text, loop=loop)
            return StreamCamera(address_of_url(text))
    _refuse_loop(text or "the camera", loop=loop)
    camera = find_camera(list_cameras(), text)
    return StreamCamera(
        address_of_device(camera, choose_mode(camera.modes, requested or RequestedMode()), sys.platform)
    )


def find_camera(cameras: Sequence[CameraInfo], text: str | None) -> CameraInfo:
    """Find a camera by a number, an address or a part of its name; None: the first camera.

    Raises:
        InputError: There is none.
    """
    if text is not None and text.startswith("/dev/") and text not in {one.address for one in cameras}:
        return CameraInfo(text, text)  # any error appears when it is opened
    if not cameras:
        hint = "plug one in; or use a video as the camera: cleanplate live --from clip.mp4 --loop"
        if v4l2.find_forbidden():
            hint = "the existing cameras need permission: sudo usermod -aG video $USER, then log in again"
        raise InputError("There is no camera on this machine.", hint)
    if text is None:
        return cameras[0]
    for camera in cameras:
        if text == camera.address or (text.isdigit() and camera.address == f"/dev/video{text}"):
            return camera
    if text.isdigit():
        if int(text) < len(cameras) and not cameras[0].address.startswith("/dev/"):
            return cameras[int(text)]
    else:
        for camera in cameras:
            if text.lower() in camera.name.lower():
                return camera
    known = ", ".join(f"{camera.address} ({camera.name})" for camera in cameras)
    raise InputError(f"There is no camera or file '{text}'.", f"the cameras are: {known}")


def address_of_device(camera: CameraInfo, mode: CameraMode | None, platform: str) -> Address:
    """Address of a camera in a mode, with FFmpeg's options; None: the camera's own mode."""
    options: dict[str, str] = {}
    if mode is not None:
        options["video_size"] = f"{mode.width}x{mode.height}"
        if mode.rate:
            options["framerate"] = str(mode.rate)
    name = mode.pixel_format if mode else ""
    if platform == "win32":
        if name:
            options["vcodec" if name in _COMPRESSED else "pixel_format"] = name
        # By default FFmpeg warns from 3 MB on, which is one raw frame.
        options["rtbufsize"] = "64M"
        return Address(f"video={camera.name}", camera.name, "dshow", options)
    if platform == "darwin":
        options.setdefault("framerate", "30")
        options["pixel_format"] = "nv12"
        return Address(f"{camera.address}:none", camera.name, "avfoundation", options)
    if name:
        options["input_format"] = name
    return Address(camera.address, camera.name, "v4l2", options, device_path=camera.address)


def address_of_url(url: str) -> Address:
    """Address of a stream, with FFmpeg's options: without buffers, which delay it, and without files.

    Raises:
        InputError: It is the address of a file.
    """
    scheme = url.partition("://")[0].lower()
    if scheme == "file":
        raise InputError(f"'{url}' is a file.", "give its path, without file://")
    options = {"fflags": "nobuffer", "flags": "low_delay", "protocol_whitelist": _NETWORK}
    if scheme == "rtsp":
        options["rtsp_transport"] = "tcp"  # over UDP, a lost packet is a smeared picture
    shown = re.sub(r"//[^/@]*@", "//", url)  # not the password
    return Address(url, shown, None, options)


def parse_dshow_modes(log: str) -> tuple[CameraMode, ...]:
    """Parse the modes in FFmpeg's log of ``list_options``."""
    return _collect(
        CameraMode(found["format"], int(found["height"]), int(found["width"]), _rate(found["rate"]))
        for found in _DSHOW_MODE.finditer(log)
    )


def parse_avfoundation_modes(log: str) -> tuple[CameraMode, ...]:
    """Parse the modes in FFmpeg's log of a request for a missing mode."""
    return _collect(
        CameraMode("", int(found["height"]), int(found["width"]), _rate(found["rate"]))
        for found in _AVFOUNDATION_MODE.finditer(log)
    )


def _collect(modes: Iterable[CameraMode]) -> tuple[CameraMode, ...]:
    return tuple(dict.fromkeys(modes))


def _rate(text: str) -> Fraction:
    return Fraction(text).limit_denominator(1001)


def _describe(title: str, address: str, url: str, format_name: str) -> CameraInfo:
    if format_name == "dshow":
        modes = parse_dshow_modes(_ask_for_modes(url, format_name, {"list_options": "true"}))
    else:
        modes = parse_avfoundation_modes(_ask_for_modes(url, format_name, {"video_size": "1x1"}))
    return CameraInfo(title, address, modes)


def _enumerate(format_name: str) -> list[tuple[str, str]]:
    """Name and title of each device that FFmpeg finds; none if this build has no such function."""
    try:
        devices = av.enumerate_input_devices(format_name)
    except (AttributeError, ValueError, av.FFmpegError):
        return []
    return [(one.name, one.description) for one in devices if "video" in (one.media_types or ["video"])]


def _ask_for_modes(url: str, format_name: str, options: dict[str, str]) -> str:
    """FFmpeg's log of a device's modes: they are not returned, only listed while opening fails."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as said, contextlib.suppress(av.FFmpegError, OSError):
            av.open(url, format=format_name, options=options).close()
    finally:
        av.logging.set_level(level)
    return "\n".join(message for _, _, message in said)


def _is_file(text: str) -> bool:
    """Tell whether it is a file or a pipe rather than a device."""
    try:
        return not stat.S_ISCHR(Path(text).stat().st_mode)
    except (OSError, ValueError):
        return False


def _refuse_loop(text: str, *, loop: bool) -> None:
    if loop:
        raise OptionError(f"'{text}' has no end, so it cannot be looped.", "leave --loop out")
