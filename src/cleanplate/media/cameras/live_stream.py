"""A device or network address through FFmpeg: opened without buffers, read in small steps, closed safely."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import av

from cleanplate.errors import InputError
from cleanplate.system.system_errors import reason_of

OPEN_SECONDS, READ_SECONDS = 10.0, 5.0
"""Timeout in seconds for the start of a stream and for each frame."""

_EMPTY_SECONDS = 0.002
"""Pause before the next read of a device without a ready frame."""


@dataclass(frozen=True)
class Address:
    """Address of a camera or stream, in the form that FFmpeg opens.

    Attributes:
        url: The device's name in the form that FFmpeg's format takes, or a URL.
        name: Name for users.
        format: FFmpeg's input device; None for URLs.
        options: FFmpeg's.
        device_path: For V4L2's controls; None elsewhere.
    """

    url: str
    name: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    device_path: str | None = None


class Stream:
    """The video of an address.

    FFmpeg's v4l2 returns the driver's own memory, also as raw frames; use of this memory after the
    device is closed crashes the process. So packets are copied before they are decoded.

    Args:
        address: The camera or stream to open.

    Raises:
        InputError: The address cannot be opened, or has no video.

    Attributes:
        is_recording: Whether it is a file at a URL, which has an end and is read faster than real time.
        video: FFmpeg's stream.
    """

    def __init__(self, address: Address) -> None:
        try:
            self._container = av.open(
                address.url,
                format=address.format,
                options=address.options,
                timeout=(OPEN_SECONDS, READ_SECONDS),
            )
        except (av.FFmpegError, OSError) as error:
            raise InputError(*explain(address, error)) from error
        videos = self._container.streams.video
        if not videos:
            self._container.close()
            raise InputError(f"The camera '{address.name}' delivers no picture.")
        self.video = videos[0]
        # Frame threads delay the output by as many frames.
        self.video.thread_type = "SLICE"
        self.is_recording = address.format is None and bool(self._container.duration)
        self._copies = address.format == "v4l2"
        self._packets = self._container.demux(self.video)

    def read(self) -> tuple[float, list[av.VideoFrame]] | None:
        """Wait for data and decode it; None at the end.

        Returns:
            Time of arrival, by :func:`time.monotonic`, and the frames: usually one, none for a damaged one.

        Raises:
            OSError, av.FFmpegError: The device or the connection is lost.
        """
        try:
            packet = next(self._packets)
        except StopIteration:
            return None
        except av.error.BlockingIOError:
            time.sleep(_EMPTY_SECONDS)
            self._packets = self._container.demux(self.video)
            return time.monotonic(), []
        arrived = time.monotonic()
        if packet.size == 0:
            return None  # the empty packet that flushes the decoder
        try:
            if self._copies:
                return arrived, self.video.codec_context.decode(av.Packet(bytes(packet)))
            return arrived, packet.decode()
        except av.error.InvalidDataError:
            return arrived, []

    def close(self) -> None:
        """Close the stream; a second call does nothing."""
        self._packets.close()  # type: ignore[attr-defined]  # it holds the last packet
        self._container.close()


def explain(address: Address, error: Exception) -> tuple[str, str]:
    """Error message and hint for an address that cannot be read."""
    reason = reason_of(error)
    message = f"The camera '{address.name}' cannot be opened: {reason}."
    if isinstance(error, PermissionError) and address.device_path:
        return message, "add yourself to the group 'video': sudo usermod -aG video $USER, then log in again"
    if "busy" in reason:
        return message, "another program is using it; close that one"
    if address.format is None:
        return message, "check the address, and whether it plays in a video player"
    return message, "cleanplate live --list shows the cameras of this machine"
