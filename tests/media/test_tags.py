"""Colour tags for other programs, in the container and in the pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av import VideoFrame

from cleanplate.frame import Frame
from cleanplate.media import Colour, Encoding, SourceInfo, open_sink, open_source
from cleanplate.media.colour.hdr import Hdr

MakeVideo = Callable[..., Path]
SIZE = (64, 96)
HDR10 = Colour("limited", "bt2020nc", "bt2020", "smpte2084")
GRADED = Hdr(
    primaries=tuple(
        (Fraction(x, 10_000), Fraction(y, 10_000))
        for x, y in ((6800, 3200), (2650, 6900), (1500, 600), (3127, 3290))
    ),
    luminance=(Fraction(1, 200), Fraction(1000)),
    content_light=(1000, 400),
)


def write(path: Path, codec: str, *, layer: str = "composite", **told: Any) -> list[str]:
    like = SourceInfo(Path("none"), *SIZE, 10, Fraction(25), Fraction(1, 25), **{"colour": HDR10, **told})
    pixels = np.full((*SIZE, 4 if layer == "cutout" else 3), 40000, np.uint16)
    with open_sink(path, like, layer=layer, encoding=Encoding(codec=codec)) as sink:
        for i in range(3):
            sink.write(pixels, Frame(pixels[..., :3], i, like.time_base, 1, i))
    return sink.notes


def probe(path: Path) -> dict[str, Any]:
    """Read ffprobe's description of the first frame and of the stream."""
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_frames", "-read_intervals", "%+#1"]
    told = subprocess.run([*command, "-of", "json", path], capture_output=True, check=True, text=True)
    parsed = json.loads(told.stdout)
    return {**parsed["streams"][0], "frame": parsed["frames"][0]}


def strip(path: Path, raw: str) -> Path:
    """Extract the stream without its container."""
    bare = path.with_suffix(f".{raw}")
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-c", "copy", "-f", raw, bare], check=True)
    return bare


COLOURS = [HDR10, Colour("full", "smpte170m", "smpte170m", "bt709")]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("suffix", "codec", "raw", "tag"),
    [
        (".mp4", "h264", "h264", "avc1"),
        (".mov", "h264", "h264", "avc1"),
        (".mp4", "hevc", "hevc", "hvc1"),
        (".mkv", "hevc", "hevc", None),
        (".mp4", "av1", "ivf", "av01"),
        (".webm", "av1", "ivf", None),
        (".webm", "vp9", "ivf", None),
        (".mov", "prores", None, "apch"),
        (".mov", "prores-4444", None, "ap4h"),
        (".mov", "prores-xq", None, "ap4x"),
    ],
)
def test_colour_tags_are_in_container_and_stream(
    tmp_path: Path, suffix: str, codec: str, raw: str | None, tag: str | None, colour: Colour
) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, codec, colour=colour)
    expected = {
        "color_space": colour.matrix,
        "color_primaries": colour.primaries,
        "color_transfer": colour.transfer,
        "color_range": "pc" if colour.range == "full" and not codec.startswith("prores") else "tv",
    }
    told = probe(path)
    assert {key: told.get(key) for key in expected} == expected
    if tag:
        assert told["codec_tag_string"] == tag
        assert b"colrnclx" in path.read_bytes() or b"colrnclc" in path.read_bytes()
    if codec in ("h264", "hevc"):
        assert told["chroma_location"] == "left"
    if raw is None:
        bare = told["frame"]
        del expected["color_range"]  # ProRes has no other
    else:
        bare = probe(strip(path, raw))
        if codec == "vp9":
            # VP9 has a place for matrix and range alone.
            expected = {key: expected[key] for key in ("color_space", "color_range")}
    assert {key: bare.get(key) for key in expected} == expected


def test_lossless_formats_have_primaries_and_transfer(tmp_path: Path) -> None:
    for suffix, codec in ((".mkv", "ffv1"), (".mov", "png"), (".mov", "qtrle")):
        path = tmp_path / f"{codec}{suffix}"
        write(path, codec, layer="cutout")
        told = probe(path)
        assert (told["color_primaries"], told["color_transfer"]) == ("bt2020", "smpte2084")


def hdr_source(make_video: MakeVideo) -> Path:
    def draw(frame: VideoFrame, _: int) -> None:
        for plane in frame.planes:
            np.frombuffer(plane, np.uint16)[:] = 512

    return make_video(
        "hdr.mp4",
        codec="libx265",
        pixel_format="yuv420p10le",
        size=SIZE,
        colour=(1, 9, 9, 16),
        fill=draw,
        options={"x265-params": f"log-level=none:{GRADED.for_x265()}"},
    )


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "hevc"),
        (".mov", "hevc"),
        (".mkv", "hevc"),
        (".mp4", "h264"),
        (".mp4", "av1"),
        (".webm", "av1"),
    ],
)
def test_hdr_metadata_is_kept(make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str) -> None:
    with open_source(hdr_source(make_video)) as source:
        hdr = source.info.hdr
    assert hdr == GRADED
    path = tmp_path / f"a{suffix}"
    assert write(path, codec, hdr=hdr) == []
    with open_source(path) as source:
        got = source.info.hdr
    assert got is not None
    assert got.content_light == (1000, 400)
    assert got.primaries is not None
    assert got.luminance is not None
    assert GRADED.primaries is not None
    assert GRADED.luminance is not None
    # AV1 counts in steps of its own.
    for one, other in zip(got.primaries, GRADED.primaries, strict=True):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < Fraction(1, 65536)
    assert max(abs(a - b) for a, b in zip(got.luminance, GRADED.luminance, strict=True)) < Fraction(1, 16384)


def test_ffprobe_reads_the_hdr_metadata(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", "hevc", hdr=GRADED)
    seen = {data["side_data_type"]: data for data in probe(tmp_path / "a.mp4")["frame"]["side_data_list"]}
    assert seen["Content light level metadata"]["max_content"] == 1000
    assert Fraction(seen["Mastering display metadata"]["max_luminance"]) == 1000
    assert Fraction(seen["Mastering display metadata"]["red_x"]) == Fraction(68, 100)


def test_partial_hdr_metadata_is_kept(tmp_path: Path) -> None:
    light = Hdr(content_light=(600, 200))
    for codec in ("hevc", "h264", "av1"):
        assert write(tmp_path / f"{codec}.mp4", codec, hdr=light) == []
        with open_source(tmp_path / f"{codec}.mp4") as source:
            assert source.info.hdr == light


def test_lost_hdr_metadata_is_noted(tmp_path: Path) -> None:
    (note,) = write(tmp_path / "a.mov", "prores", hdr=GRADED)
    assert note == (
        "a.mov keeps the source's colours, but prores_aw cannot store the light levels of the display that "
        "they were graded on."
    )


def test_sources_without_hdr_metadata_have_none(make_video: MakeVideo) -> None:
    with open_source(make_video("a.mkv")) as source:
        assert source.info.hdr is None
