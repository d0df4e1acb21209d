"""Decoders and encoders of graphics units, found by a test; if they fail, the processor is used.

FFmpeg's own list is not enough: the driver, the card or the permission may be missing. So every
kind is tested with a tiny picture, once per process.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import av
from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.stream import VideoStream

from cleanplate.errors import UnavailableError
from cleanplate.media.containers.encoders import AV1, H264, HEVC, Encoder, Rate
from cleanplate.media.containers.opening import open_media
from cleanplate.media.contract import Encoding
from cleanplate.system.system_errors import reason_of

_PROBE_SIDE = 256
"""Pixels; some encoders refuse less than 145."""


@dataclass(frozen=True)
class HardwareKind:
    """Hardware of one kind, such as ``cuda``.

    Attributes:
        kind: As in :data:`cleanplate.vocabulary.HARDWARE` and FFmpeg's name of it.
        name: Name for users.
        hint: Requirements of this kind.
        encoders: The preferred first.
    """

    kind: str
    name: str
    hint: str
    encoders: tuple[Encoder, ...]


@dataclass(frozen=True)
class HardwareRow:
    """One line of a diagnosis.

    Attributes:
        kind: As in :data:`cleanplate.vocabulary.HARDWARE`.
        name: The task: ``decode``, or FFmpeg's name of an encoder.
        available: Whether it passed the test.
        why: The reason if it failed.
    """

    kind: str
    name: str
    available: bool
    why: str


def _encoders(kind: str, suffix: str, rate: Rate | None, options: Mapping[str, str]) -> tuple[Encoder, ...]:
    """Encoders of one maker's hardware: the software's formats, in the hardware's layouts."""
    return tuple(
        Encoder(
            soft.name,
            f"{soft.name}_{suffix}",
            soft.pixel_formats,
            soft.bit_depth,
            rate=rate,
            options=options,
            even=(True, True),
            tag=soft.tag,
            device=kind,
            handed_in={"yuv420p": "nv12", "yuv420p10le": "p010le"},
        )
        for soft in (H264, HEVC, AV1)
    )


DEVICES: Mapping[str, HardwareKind] = MappingProxyType(
    {
        device.kind: device
        for device in (
            HardwareKind(
                "cuda",
                "NVIDIA (NVENC, NVDEC)",
                "it needs NVIDIA's driver and a card that this process may use",
                _encoders("cuda", "nvenc", Rate("cq", default=19), {"preset": "p5", "rc": "vbr", "b": "0"}),
            ),
            HardwareKind(
                "videotoolbox",
                "Apple (VideoToolbox)",
                "it needs macOS",
                # Its quality grows with its number (65 of 100, times 118), on Apple's own processors.
                _encoders(
                    "videotoolbox", "videotoolbox", None, {"flags": "+qscale", "global_quality": "7670"}
                ),
            ),
            HardwareKind(
                "qsv",
                "Intel (Quick Sync Video)",
                "it needs an Intel graphics unit and Intel's media driver",
                _encoders("qsv", "qsv", Rate("global_quality", default=20, best=1), {"preset": "medium"}),
            ),
            HardwareKind(
                "vaapi",
                "VA-API",
                "it needs Linux, a graphics driver with VA-API, and a PyAV that is built with it",
                _encoders("vaapi", "vaapi", Rate("qp", default=20, best=1), {"rc_mode": "CQP"}),
            ),
            HardwareKind(
                "d3d11va",
                "Windows (Direct3D 11, AMF, Media Foundation)",
                "it needs Windows and a graphics driver",
                _encoders("d3d11va", "amf", Rate("qvbr_quality_level", default=20, best=1), {"rc": "qvbr"})
                + _encoders(
                    "d3d11va", "mf", None, {"hw_encoding": "1", "rate_control": "quality", "quality": "85"}
                ),
            ),
        )
    }
)
"""In the order in which they are tried."""


def find_decoder(path: Path, kind: str, notes: list[str]) -> HWAccel | None:
    """Device that decodes ``path``; None for the processor.

    Args:
        path: A file that may be a video; other files are refused elsewhere.
        kind: One of :data:`cleanplate.vocabulary.HARDWARE`.
        notes: Receives the reason if hardware is not used.

    Raises:
        UnavailableError: The named device does not work.
    """
    if kind == "off":
        return None
    problems = []
    for device in _choose_devices(kind):
        if kind == "auto" and device.kind not in hwdevices_available():
            continue
        problem = _decoding_problem(path, device.kind)
        if problem is None:
            return HWAccel(device.kind, allow_software_fallback=True)
        problems.append(f"{device.kind}: {problem}")
    notes.append(f"{path.name} is decoded by the processor, not by hardware ({_join(problems)}).")
    return None


def find_encoder(
    name: str, kind: str, layer: str, deep: bool, file_name: str, notes: list[str]
) -> Encoder | None:
    """The working hardware encoder of a codec; None for the processor.

    Args:
        name: The user's name of the codec.
        kind: One of :data:`cleanplate.vocabulary.HARDWARE`, not ``off``.
        layer: One of :data:`cleanplate.media.LAYERS`.
        deep: Whether the source has more than 8 bits.
        file_name: Name of the output, for the notes.
        notes: Receives the reason if hardware is not used.

    Raises:
        UnavailableError: The named device does not work, or does not encode this codec.
    """
    problems = []
    for device in _choose_devices(kind):
        fitting = [e for e in device.encoders if e.name == name and layer in e.pixel_formats and e.available]
        for encoder in fitting:
            problem = encoding_problem(encoder, encoder.pixel_format(layer, deep=deep))
            if problem is None:
                return encoder
            problems.append(f"{encoder.codec}: {problem}")
        if kind != "auto" and not fitting:
            notes.append(f"{file_name} is encoded by the processor: {device.name} has no {name}.")
    if problems:
        notes.append(f"{file_name} is encoded by the processor, not by hardware ({_join(problems)}).")
    return None


def list_hardware() -> list[HardwareRow]:
    """Test every kind for decoding and encoding, which takes a second at most."""
    rows = []
    for device in DEVICES.values():
        problem = device_problem(device.kind)
        rows.append(HardwareRow(device.kind, "decode", problem is None, problem or ""))
        for encoder in device.encoders:
            if encoder.available:
                problem = encoding_problem(encoder, encoder.pixel_format("composite", deep=False))
                rows.append(HardwareRow(device.kind, encoder.codec, problem is None, problem or ""))
    return rows


def _choose_devices(kind: str) -> list[HardwareKind]:
    """All devices for ``auto``; else the named one, which has to work."""
    if kind == "auto":
        return list(DEVICES.values())
    device = DEVICES[kind]
    problem = device_problem(kind)
    if problem is not None and all(encoding_problem(e, "yuv420p") is not None for e in device.encoders):
        raise UnavailableError(f"The hardware '{kind}' cannot be used here: {problem}.", device.hint)
    return [device]


@cache
def device_problem(kind: str) -> str | None:
    """Reason why a device cannot decode here; None if it can be opened."""
    if kind not in hwdevices_available():
        return f"the FFmpeg of this PyAV build has no {kind}"
    with _listening() as heard:
        try:
            HWAccel(kind).create(Codec("h264", "r"))
        except NotImplementedError:
            return "FFmpeg's own decoders do not use it"
        except (av.FFmpegError, OSError) as error:
            return _explain(error, heard)
    return None


@cache
def encoding_problem(encoder: Encoder, pixel_format: str) -> str | None:
    """Reason why an encoder does not work here; None if it has encoded a picture of that format."""
    if not encoder.available:
        return "the FFmpeg of this PyAV build does not have it"
    taken = encoder.handed_in.get(pixel_format, pixel_format)
    with _listening() as heard:
        try:
            with av.open(io.BytesIO(), "w", format="matroska") as container:
                stream: Any = container.add_stream(
                    encoder.codec,
                    rate=25,
                    options=encoder.choose_options(pixel_format, Encoding()),
                    **stream_arguments(encoder),
                )
                stream.width = stream.height = _PROBE_SIDE
                stream.pix_fmt = taken
                frame = av.VideoFrame(_PROBE_SIDE, _PROBE_SIDE, taken)
                frame.pts = 0
                packets = [*stream.encode(frame), *stream.encode(None)]
        except (av.FFmpegError, OSError, RuntimeError, ValueError, TypeError) as error:
            return _explain(error, heard)
    return None if any(packet.size for packet in packets) else "it delivers no picture"


def stream_arguments(encoder: Encoder) -> dict[str, Any]:
    """Further settings of a stream of this encoder, beside codec, rate and options."""
    # The others take pictures from memory, VA-API only from the device.
    return {"hwaccel": HWAccel("vaapi")} if encoder.device == "vaapi" else {}


def _decoding_problem(path: Path, kind: str) -> str | None:
    """Reason why the device does not decode this file; None if it has decoded a frame of it."""
    problem = device_problem(kind)
    if problem is not None:
        return problem
    with _listening() as heard:
        try:
            with open_media(path, HWAccel(kind, allow_software_fallback=False)) as container:
                stream = cast(VideoStream, container.streams.video[0])
                next(container.decode(stream))
                return None if stream.codec_context.is_hwaccel else f"it has no {stream.codec_context.name}"
        except (av.FFmpegError, OSError, RuntimeError, IndexError, StopIteration) as error:
            return _explain(error, heard)


@contextmanager
def _listening() -> Iterator[list[tuple[int, str, str]]]:
    """Collect FFmpeg's log of this thread, because error codes ("operation not permitted") are too vague."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as heard:
            yield heard
    finally:
        av.logging.set_level(before)


def _explain(error: Exception, heard: list[tuple[int, str, str]]) -> str:
    text = heard[0][2] if heard else reason_of(error)
    return text.strip().rstrip(".")


def _join(problems: list[str]) -> str:
    return "; ".join(problems) or "the FFmpeg of this PyAV build has none"
