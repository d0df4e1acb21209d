"""Colour tags in every codec: read by ffprobe, and colours by ffmpeg, as another program shows them."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.frame import Frame, to_depth
from cleanplate.media import Colour, Encoding, SourceInfo, open_sink, open_source
from cleanplate.media.colour.h273 import (
    LUMA_WEIGHTS,
    MATRICES,
    PRIMARIES,
    RANGES,
    TRANSFERS,
    UNSPECIFIED,
    ColourCodes,
    code_of,
)
from cleanplate.media.containers.encoders import PRORES
from cleanplate.media.containers.formats import CONTAINERS

MakeVideo = Callable[..., Path]

COLOURS = np.array([(200, 40, 60), (40, 180, 70), (30, 60, 220), (128, 128, 128)], np.uint8)
SIZES = {"small": (64, 128), "wide": (32, 1280)}
"""Of standard definition, which is BT.601 where nothing is tagged, and wider: BT.709."""
RGB = ("qtrle", "png", "ffv1")

CODECS = {
    (suffix, encoder.codec): encoder
    for suffix, container in CONTAINERS.items()
    for encoder in container.encoders
    if encoder.available and "composite" in encoder.pixel_formats
}
TAGGED = {
    "all": ("bt470bg", "gamma28"),
    "matrix": (UNSPECIFIED, UNSPECIFIED),
}
"""Primaries and transfer beside the matrix; with no matrix either, nothing is tagged."""


def patches(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return COLOURS[None].repeat(size[1] // 4, 1).repeat(size[0], 0).astype(np.uint8)


def middles(picture: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return picture[picture.shape[0] // 2, picture.shape[1] // 8 :: picture.shape[1] // 4].astype(int)


def program(name: str, *arguments: str) -> bytes:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return subprocess.run([found, "-v", "error", *arguments], check=True, capture_output=True).stdout


def probe(path: Path) -> dict[str, str]:
    entries = "stream=color_range,color_space,color_primaries,color_transfer"
    told = program("ffprobe", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", str(path))
    found: dict[str, str] = json.loads(told)["streams"][0]
    return found


def decode(path: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    raw = program(
        *("ffmpeg", "-i", str(path), "-frames:v", "1", "-sws_flags", "accurate_rnd+full_chroma_int"),
        *("-pix_fmt", "rgb24", "-f", "rawvideo", "-"),
    )
    return np.frombuffer(raw, np.uint8).reshape(*size, 3)


def cases() -> Iterator[Any]:
    quick = {
        *(("prores_aw", matrix, "all") for matrix in ("bt470bg", "smpte240m", "fcc", "ictcp")),
        *(("prores_ks", matrix, "all") for matrix in ("bt470bg", "smpte240m")),
        *(("libvpx-vp9", matrix, "all") for matrix in ("fcc", "smpte240m")),
        ("libx264", "fcc", "matrix"),
        ("prores_aw", UNSPECIFIED, "matrix"),
    }
    axes = ([*CODECS], [*MATRICES.values()], [*TAGGED], [*RANGES.values()])
    for places in itertools.product(*(range(len(axis)) for axis in axes)):
        (suffix, codec), matrix, tagged, range_ = (
            axis[place] for axis, place in zip(axes, places, strict=True)
        )
        if (codec, matrix, tagged) in quick and suffix != ".mp4" and range_ == "full":
            yield pytest.param(suffix, codec, matrix, tagged, range_)
        elif sum(places) % 3 == 0:
            # A third of the product, which has every pair of values of two axes.
            yield pytest.param(suffix, codec, matrix, tagged, range_, marks=pytest.mark.slow)


@pytest.mark.parametrize(("suffix", "codec", "matrix", "tagged", "range_"), [*cases()])
def test_other_programs_read_the_tags_and_see_the_colours(
    tmp_path: Path, suffix: str, codec: str, matrix: str, tagged: str, range_: str
) -> None:
    encoder = CODECS[suffix, codec]
    size = SIZES["wide" if tagged == "matrix" else "small"]
    primaries, transfer = TAGGED[tagged]
    colour = Colour(range_, matrix, primaries, transfer)
    like = SourceInfo(Path("none"), *size, 8, Fraction(25), Fraction(1, 25), colour=colour)
    path = tmp_path / f"a{suffix}"
    pixels = patches(size)
    best = Encoding(codec=codec, crf=None if encoder.rate is None else 2)
    with open_sink(path, like, layer="composite", encoding=best) as sink:
        sink.write(pixels, Frame(pixels))
    assert np.abs(middles(decode(path, size)) - COLOURS).max() <= 5
    told = probe(path)
    if codec in RGB:
        assert told["color_space"] == "gbr"
    else:
        assert told["color_space"] in LUMA_WEIGHTS
        assert told["color_range"] == ("pc" if range_ == "full" and encoder.full_range else "tv")
    assert "reserved" not in told.values()
    assert told.get("color_primaries") in (PRIMARIES.values() if tagged == "all" else ("bt709",))
    with open_source(path) as source:
        (frame,) = source
        assert (source.info.colour.primaries, source.info.colour.transfer) == (
            ("bt470bg", "gamma28") if tagged == "all" else ("bt709", "bt709")
        )
    assert np.abs(middles(to_depth(frame.pixels, np.uint8)) - COLOURS).max() <= 5


@pytest.mark.parametrize("encoder", [e for e in PRORES if e.name == "prores"], ids=lambda e: e.codec)
@pytest.mark.parametrize(
    ("part", "table", "place"),
    [("primaries", PRIMARIES, 22), ("transfer", TRANSFERS, 23), ("matrix", MATRICES, 24)],
)
def test_prores_headers_have_codes_of_their_standard(
    tmp_path: Path, encoder: Any, part: str, table: dict[int, str], place: int
) -> None:
    """SMPTE RDD 36 knows these; 0 is none of them."""
    known = {
        "primaries": {1, 2, 5, 6, 9, 11, 12},
        "transfer": {1, 2, 16, 18},
        "matrix": {1, 6, 9},
    }
    pixels = np.zeros((64, 96, 3), np.uint8)
    for name in table.values():
        plain = {"range": "limited", "matrix": "bt709", "primaries": "bt709", "transfer": "bt709"}
        colour = Colour(**{**plain, part: name})
        like = SourceInfo(Path("none"), 64, 96, 8, Fraction(25), Fraction(1, 25), colour=colour)
        path = tmp_path / "a.mov"
        encoding = Encoding(codec=encoder.codec)
        with open_sink(path, like, layer="composite", overwrite=True, encoding=encoding) as sink:
            sink.write(pixels, Frame(pixels))
        with av.open(str(path)) as container:
            header = bytes(next(container.demux(video=0)))
        assert header[place] in known[part], name
        lost = name not in (UNSPECIFIED, "rgb") and header[place] == 2
        assert any(f"no code for the {part} {name}" in note for note in sink.notes) == lost


def test_tags_without_a_code_in_a_header_are_replaced_or_dropped() -> None:
    codes = ColourCodes(frozenset({"bt709"}), frozenset({"smpte170m"}), frozenset({"bt709"}))
    told = Colour("full", "smpte240m", "smpte240m", "bt2020-10")
    assert codes.fit(told) == Colour("full", "bt709", "smpte170m", "bt709")
    assert codes.fit(Colour("full", "bt709", "film", "gamma28")) == Colour("full", "bt709")
    assert ColourCodes().fit(told) == told


def encode_grey_levels(frame: av.VideoFrame, _: int) -> None:
    """Code values of a saturated colour, so that matrix and range show."""
    for plane, value in zip(frame.planes, (120, 90, 190), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value


def expected_colour(matrix: str, *, full: bool) -> npt.NDArray[Any]:
    """H.273 for the code values above, in 8 bits."""
    red, blue = LUMA_WEIGHTS[matrix]
    y, cb, cr = (120 / 255, -38 / 255, 62 / 255) if full else (104 / 219, -38 / 224, 62 / 224)
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.array([r, g, b]) * 255


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", LUMA_WEIGHTS)
def test_every_matrix_is_read(make_video: MakeVideo, matrix: str, full: bool) -> None:
    colour = (2 if full else 1, code_of(MATRICES, matrix), 2, 2)
    path = make_video("a.mkv", pixel_format="yuv444p", fill=encode_grey_levels, colour=colour, pts=range(1))
    with open_source(path) as source:
        (frame,) = source
    assert np.abs(frame.pixels[24, 32] - expected_colour(matrix, full=full)).max() < 0.7


def test_the_container_fills_the_gaps_of_the_stream(make_video: MakeVideo) -> None:
    """VP9 has no code for the FCC's matrix, nor for primaries and transfer; Matroska has."""
    path = make_video(
        "a.webm",
        codec="libvpx-vp9",
        pixel_format="yuv420p",
        fill=encode_grey_levels,
        colour=(1, code_of(MATRICES, "fcc"), code_of(PRIMARIES, "film"), code_of(TRANSFERS, "gamma22")),
        options={"crf": "2", "b": "0"},
        pts=range(2),
    )
    with open_source(path) as source:
        assert source.info.colour == Colour("limited", "fcc", "film", "gamma22")
        frame = next(iter(source))
    assert np.abs(frame.pixels[24, 32] - expected_colour("fcc", full=False)).max() < 2.5


def test_a_prores_header_with_code_0_is_a_gap(make_video: MakeVideo) -> None:
    """As FFmpeg's prores_aw writes tags that it does not know."""
    path = make_video(
        "a.mov",
        codec="prores_ks",
        pixel_format="yuv422p10le",
        colour=(1, code_of(MATRICES, "smpte240m"), 5, 7),
        pts=range(1),
        picture=lambda _: patches((48, 64)),
    )
    with open_source(path) as source:
        wanted = next(iter(source)).pixels
    data = bytearray(path.read_bytes())
    header = data.index(b"icpf") + 18
    assert data[header : header + 3] == bytes((5, 7, 7))
    data[header : header + 3] = bytes(3)
    path.write_bytes(data)
    with open_source(path) as source:
        assert source.info.colour == Colour("limited", "smpte240m", "bt470bg", "smpte240m")
        assert np.array_equal(next(iter(source)).pixels, wanted)


def test_a_matrix_that_cannot_be_computed_is_named(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", pixel_format="yuv444p", colour=(1, code_of(MATRICES, "ictcp"), 9, 16))
    with open_source(path) as source:
        assert any("the matrix ictcp, which is not supported" in note for note in source.notes)
        assert "read as smpte170m" in source.notes[0]


@pytest.mark.parametrize("changed", ["range", "matrix"])
def test_a_change_of_range_or_matrix_midway_is_followed_and_named(
    make_video: MakeVideo, tmp_path: Path, changed: str
) -> None:
    after = (2, 1, 2, 2) if changed == "range" else (1, 9, 2, 2)
    parts = [
        make_video(
            f"{number}.mkv",
            codec="libvpx-vp9",
            pixel_format="yuv420p",
            fill=encode_grey_levels,
            colour=colour,
            options={"crf": "2", "b": "0"},
        )
        for number, colour in enumerate([(1, 1, 2, 2), after])
    ]
    path = tmp_path / "both.mkv"
    with av.open(str(path), "w") as target:
        stream: Any = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as container:
                stream = stream or target.add_stream_from_template(container.streams.video[0])
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts += 200 * number
                        packet.dts = packet.pts
                        packet.stream = stream
                        target.mux(packet)
    with open_source(path) as source:
        frames = [frame.pixels[24, 32].astype(int) for frame in source]
    assert len(frames) == 10
    then = expected_colour("bt709" if changed == "range" else "bt2020nc", full=changed == "range")
    for frame in frames[:5]:
        assert np.abs(frame - expected_colour("bt709", full=False)).max() < 2.5
    for frame in frames[5:]:
        assert np.abs(frame - then).max() < 2.5
    value = "range full" if changed == "range" else "matrix bt2020nc"
    assert any(f"{value} at" in note for note in source.notes)
