"""Files as phones, cameras and screen recorders write them; RAW video is refused by name."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleanplate.errors import InputError
from cleanplate.media import open_sink, open_source

MakeVideo = Callable[..., Path]


@dataclass(frozen=True)
class Recorder:
    """One kind of file, and where it comes from."""

    made_by: str
    name: str
    codec: str
    pixel_format: str
    size: tuple[int, int] = (64, 96)
    rate: Fraction = Fraction(25)
    options: dict[str, str] = field(default_factory=dict)
    pts: Sequence[int] = range(4)
    slack: float = 6.0  # mean error of a smooth picture, of 255


PAL = (576, 720)
OWN_MATRIX = 10.0  # DNxHR's header says BT.709, by which the fixture does not convert
INTRA = {"x264-params": "keyint=1"}
RECORDERS = [
    Recorder("iPhone", "a.mov", "libx265", "yuv420p10le", options={"x265-params": "log-level=none"}),
    Recorder("iPhone, ProRes", "b.mov", "prores_ks", "yuv422p10le"),
    Recorder("slow motion", "c.mov", "libx264", "yuv420p", rate=Fraction(240)),
    Recorder("Android, full range", "d.mp4", "libx264", "yuvj420p"),
    Recorder("Android, variable rate", "e.mp4", "libx264", "yuv420p", pts=(0, 3, 4, 9)),
    Recorder("Android, AV1", "f.mp4", "libsvtav1", "yuv420p10le"),
    Recorder("old phones", "g.3gp", "h263", "yuv420p", size=(144, 176)),
    Recorder("mirrorless, All-Intra 4:2:2", "h.mp4", "libx264", "yuv422p10le", options=INTRA),
    Recorder(
        "mirrorless, HEVC 4:2:2", "i.mp4", "libx265", "yuv422p10le", options={"x265-params": "log-level=none"}
    ),
    Recorder("AVCHD", "j.mts", "libx264", "yuv420p", rate=Fraction(50)),
    Recorder("XAVC", "k.mxf", "libx264", "yuv422p10le", options=INTRA),
    Recorder("XDCAM", "l.mxf", "mpeg2video", "yuv422p"),
    Recorder(
        "DNxHR", "m.mxf", "dnxhd", "yuv422p", (128, 256), options={"profile": "dnxhr_hq"}, slack=OWN_MATRIX
    ),
    Recorder(
        "DNxHR 444",
        "n.mov",
        "dnxhd",
        "yuv444p10le",
        (128, 256),
        options={"profile": "dnxhr_444"},
        slack=OWN_MATRIX,
    ),
    Recorder("CineForm", "o.mov", "cfhd", "yuv422p10le", (128, 256)),
    Recorder("CineForm 444", "p.avi", "cfhd", "gbrp12le", (128, 256)),
    Recorder("DV", "q.avi", "dvvideo", "yuv420p", PAL),
    Recorder("DV tape", "dv.dv", "dvvideo", "yuv420p", PAL),
    Recorder("v210 of capture cards", "r.mov", "v210", "yuv422p10le"),
    Recorder("OBS, 4:4:4", "s.mkv", "libx264", "yuv444p"),
    Recorder("OBS, lossless", "t.mkv", "libx264rgb", "bgr0"),
    Recorder("OBS, stream", "u.flv", "libx264", "yuv420p"),
    Recorder("OBS, Ut Video", "v.avi", "utvideo", "yuv422p"),
    Recorder("browser, VP8", "w.webm", "libvpx", "yuv420p", pts=(0, 1, 5, 6)),
    Recorder("browser, AV1", "x.webm", "libsvtav1", "yuv420p"),
    Recorder("GNOME, VP9", "y.webm", "libvpx-vp9", "yuv420p"),
    Recorder("Windows", "z.wmv", "wmv2", "yuv420p"),
    Recorder("TechSmith-like", "aa.avi", "zmbv", "bgr0"),
    Recorder("webcam", "bb.avi", "mjpeg", "yuvj422p"),
]


@pytest.mark.parametrize("kind", RECORDERS, ids=lambda kind: f"{kind.made_by}: {kind.name}")
def test_a_file_of_a_recorder_is_read(make_video: MakeVideo, picture: Any, kind: Recorder) -> None:
    smooth = picture(*kind.size)
    clip = make_video(
        kind.name,
        codec=kind.codec,
        pixel_format=kind.pixel_format,
        size=kind.size,
        pts=kind.pts,
        rate=kind.rate,
        time_base=1 / kind.rate,
        options=kind.options,
        colour=(2 if kind.pixel_format.startswith("yuvj") else 0, 2, 2, 2),
        picture=lambda _: smooth,
    )
    with open_source(clip) as source:
        frames = list(source)
        deep = source.info.bit_depth > 8
        rate = source.info.frame_rate
    assert len(frames) == len(kind.pts)
    first = frames[0].time_seconds
    assert [round((f.time_seconds - first) * kind.rate, 1) for f in frames] == list(kind.pts)
    if kind.pts == range(4):
        assert rate == kind.rate
    top = 65535 if deep else 255
    assert deep == ("10le" in kind.pixel_format or "12le" in kind.pixel_format)
    assert np.abs(frames[-1].pixels / top - smooth / 255).mean() * 255 < kind.slack
    assert [note for note in source.notes if "interlaced" not in note] == []


def add_dolby_vision(clip: Path, out: Path, profile: int, compatibility: int) -> Path:
    """Put Dolby's box into the description of an MP4's only track, whose index follows the pictures."""
    data = bytearray(clip.read_bytes())
    record = bytes([1, 0, profile << 1, 6 << 3 | 5, compatibility << 4]) + bytes(19)
    box = struct.pack(">I4s", 8 + len(record), b"dvvC" if profile > 7 else b"dvcC") + record
    start, end, at = 0, len(data), []
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1"):
        while data[start + 4 : start + 8] != name:
            start += int.from_bytes(data[start : start + 4], "big")
        at.append(start)
        end = start + int.from_bytes(data[start : start + 4], "big")
        start += 16 if name == b"stsd" else 8
    assert at[0] > data.index(b"mdat")
    data[end:end] = box
    for place in at:
        size = int.from_bytes(data[place : place + 4], "big") + len(box)
        data[place : place + 4] = size.to_bytes(4, "big")
    out.write_bytes(data)
    return out


def test_dolby_vision_is_read_by_its_base_layer_or_refused(make_video: MakeVideo, tmp_path: Path) -> None:
    hlg = (1, 9, 9, 18)
    clip = make_video(
        "hlg.mp4",
        codec="libx265",
        pixel_format="yuv420p10le",
        size=(64, 96),
        colour=hlg,
        options={"x265-params": "log-level=none"},
    )
    # PyAV tags it as hev1; phones as hvc1.
    clip.write_bytes(clip.read_bytes().replace(b"hev1", b"hvc1"))
    with open_source(clip) as source:
        assert source.notes == []
        plain = list(source)
    phone = add_dolby_vision(clip, tmp_path / "phone.mp4", 8, 4)
    with (
        open_source(phone) as source,
        open_sink(tmp_path / "out.mp4", source.info, layer="composite") as sink,
    ):
        assert source.info.colour.transfer == "arib-std-b67"
        frames = list(source)
        (note,) = source.notes
        assert note.startswith("phone.mp4 is Dolby Vision (profile 8.4): HLG is read")
        for frame in frames:
            sink.write(frame.pixels, frame)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, plain, strict=True))
    with open_source(tmp_path / "out.mp4") as again:
        assert (again.info.colour.transfer, again.info.bit_depth) == ("arib-std-b67", 10)
    with pytest.raises(InputError, match="is Dolby Vision of profile 5, whose colours only Dolby's decoders"):
        open_source(add_dolby_vision(clip, tmp_path / "film.mp4", 5, 0))


@pytest.mark.parametrize(
    ("codec", "told"), [("braw", "Blackmagic RAW"), ("CRAW", "Canon Cinema RAW Light"), ("zzzz", "'zzzz'")]
)
def test_an_unknown_codec_is_named(make_video: MakeVideo, codec: str, told: str) -> None:
    clip = make_video("a.mov", codec="mjpeg", pixel_format="yuvj420p")
    clip.write_bytes(clip.read_bytes().replace(b"jpeg", codec.encode()))
    with pytest.raises(InputError, match=told) as refused:
        open_source(clip)
    assert "ProRes" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.R3D", "REDCODE RAW"), ("a.crm", "Canon Cinema RAW Light"), ("a.ari", "ARRIRAW"), ("a.nev", "N-RAW")],
)
def test_raw_video_is_refused_even_with_a_preview_inside(
    make_video: MakeVideo, tmp_path: Path, name: str, told: str
) -> None:
    preview = make_video("a.mov", codec="mjpeg", pixel_format="yuvj420p")
    with pytest.raises(InputError, match=f"is .*{told}, which cleanplate cannot develop"):
        open_source(preview.rename(tmp_path / name))


def test_a_mosaic_is_not_taken_for_colours(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.nut"), "w") as output:
        stream: Any = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bayer_rggb16le"
        output.mux(stream.encode(av.VideoFrame(64, 48, "bayer_rggb16le")))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"undeveloped RAW video \(rawvideo\)"):
        open_source(tmp_path / "a.nut")
