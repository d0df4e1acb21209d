"""Colours compared with the formulas of ITU-T H.273, independently of swscale."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av import VideoFrame

from cleanplate.frame import Frame
from cleanplate.media import Colour, Encoding, SourceInfo, open_sink, open_source
from cleanplate.media.colour.chroma_siting import find_siting
from cleanplate.media.colour.dither import dither
from cleanplate.media.video.packing import Packer
from cleanplate.media.video.unpacking import Unpacker, planes

Picture = npt.NDArray[Any]
MakeVideo = Callable[..., Path]

MATRICES = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}
RANGES = ("limited", "full")
# 125 colours, in patches large enough that chroma of 4:2:0 is pure in their middle.
COLOURS = np.array(list(itertools.product((0, 0.13, 0.5, 0.81, 1), repeat=3))).reshape(5, 25, 3)
PATCH = 16


def patches(dtype: type) -> Picture:
    top = np.iinfo(dtype).max
    return np.rint(COLOURS * top).astype(dtype).repeat(PATCH, 0).repeat(PATCH, 1)


def middles(picture: Picture) -> Picture:
    """Take the middle pixel of each patch."""
    down, right = picture.shape[0] // 5, picture.shape[1] // 25
    return picture[down // 2 :: down, right // 2 :: right].astype(float)


def to_yuv(rgb: Picture, matrix: str, range_: str, bits: int) -> list[Picture]:
    """Convert R'G'B' in [0, 1] to code values, not rounded (H.273, section 8.3)."""
    kr, kb = MATRICES[matrix]
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    chroma = [(rgb[..., 2] - luma) / (2 - 2 * kb), (rgb[..., 0] - luma) / (2 - 2 * kr)]
    step, top = 1 << (bits - 8), (1 << bits) - 1
    if range_ == "full":
        return [luma * top, *(np.clip(c * top + (1 << (bits - 1)), 0, top) for c in chroma)]
    return [(16 + 219 * luma) * step, *((128 + 224 * c) * step for c in chroma)]


def to_rgb(codes: list[Picture], matrix: str, range_: str, bits: int) -> Picture:
    kr, kb = MATRICES[matrix]
    step, top = 1 << (bits - 8), (1 << bits) - 1
    if range_ == "full":
        luma, cb, cr = codes[0] / top, *((c - (1 << (bits - 1))) / top for c in codes[1:])
    else:
        luma, cb, cr = (codes[0] / step - 16) / 219, *((c / step - 128) / 224 for c in codes[1:])
    red, blue = luma + (2 - 2 * kr) * cr, luma + (2 - 2 * kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], -1), 0, 1)


def samples(frame: VideoFrame) -> list[Picture]:
    return planes(frame, np.uint16 if frame.format.components[0].bits > 8 else np.uint8)


def fill(pixel_format: str, codes: list[Picture]) -> VideoFrame:
    """Make a frame of rounded code values; chroma is that of the upper left pixel."""
    frame = VideoFrame(25 * PATCH, 5 * PATCH, pixel_format)
    for plane, values in zip(samples(frame), codes, strict=False):
        down, right = values.shape[0] // plane.shape[0], values.shape[1] // plane.shape[1]
        plane[:] = values[::down, ::right]
    return frame


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(
    ("pixel_format", "bits"),
    [("yuv420p", 8), ("yuv422p", 8), ("yuv420p10le", 10), ("yuv422p10le", 10), ("yuv444p12le", 12),
     ("yuv444p16le", 16)],
)  # fmt: skip
def test_decoded_pixels_follow_h273(pixel_format: str, bits: int, matrix: str, range_: str) -> None:
    size = (5 * PATCH, 25 * PATCH)
    codes = [np.rint(plane) for plane in to_yuv(patches(np.uint16) / 65535, matrix, range_, bits)]
    expected = to_rgb(codes, matrix, range_, bits)
    colour = Colour(range_, matrix, "bt709", "bt709")
    got = Unpacker(*size, bits, colour, 1).unpack(fill(pixel_format, codes))
    top = np.iinfo(got.dtype).max
    assert got.dtype == (np.uint8 if bits == 8 else np.uint16)
    # Half a value of 8 bits is rounding; of 16 bits, 4.5 values are a fourteenth of one of 10 bits.
    assert np.abs(middles(got) - middles(expected) * top).max() < (0.6 if bits == 8 else 4.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("yuv420p", 8), ("yuv420p10le", 10), ("yuv422p10le", 10), ("yuva444p10le", 10)]
)
def test_encoded_pixels_follow_h273(
    pixel_format: str, bits: int, matrix: str, range_: str, dtype: type
) -> None:
    pixels = patches(dtype)
    top = np.iinfo(dtype).max
    colour = Colour(range_, matrix, "bt709", "bt709")
    if pixel_format.startswith("yuva"):
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], top, dtype)])
    frame = Packer(pixel_format, *pixels.shape[:2], colour).pack(pixels)
    # 16 bits are dithered down to 8: to one of the two nearest values. Else rounded, nearly; chroma of full
    # range half a value too low.
    limit = (1 if bits == 8 and dtype == np.uint16 else 0.8) + (0.5 if range_ == "full" else 0)
    for plane, codes in zip(
        samples(frame), to_yuv(middles(patches(dtype)) / top, matrix, range_, bits), strict=False
    ):
        assert np.abs(middles(plane) - codes).max() <= limit


CODECS = [
    # suffix, codec, layer, bits of the source, the largest error in code values of 8 bits
    (".mp4", "h264", "composite", 8, 4.1),
    (".mp4", "h264", "composite", 10, 1.2),
    (".mp4", "hevc", "composite", 8, 3.2),
    (".mp4", "hevc", "composite", 10, 1.2),
    (".mp4", "av1", "composite", 10, 3),
    (".webm", "vp9", "composite", 8, 3.2),
    (".mov", "prores", "composite", 10, 1.2),
    (".mov", "prores-xq", "cutout", 10, 1),
    (".mov", "png", "cutout", 16, 0),
    (".mkv", "ffv1", "composite", 8, 0),
    (".mkv", "ffv1", "cutout", 16, 0),
]


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("suffix", "codec", "layer", "bits", "limit"), CODECS)
def test_colours_make_the_round_trip(
    tmp_path: Path, suffix: str, codec: str, layer: str, bits: int, limit: float, matrix: str, range_: str
) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    top = np.iinfo(dtype).max
    pixels = patches(dtype)
    transfer = "smpte2084" if matrix == "bt2020nc" else "bt709"
    colour = Colour(range_, matrix, "bt2020" if matrix == "bt2020nc" else "bt709", transfer)
    like = SourceInfo(Path("none"), *pixels.shape[:2], bits, Fraction(25), Fraction(1, 25), colour=colour)
    best = Encoding(codec=codec, crf=2 if codec in ("h264", "hevc", "av1", "vp9") else None)
    path = tmp_path / f"a{suffix}"
    with open_sink(path, like, layer=layer, encoding=best) as sink:
        opaque = np.full(pixels.shape[:2], top, dtype)
        sink.write(np.dstack([pixels, opaque]) if layer == "cutout" else pixels, Frame(pixels))
    with open_source(path) as source:
        tags = source.info.colour
        (frame,) = source
    got = middles(frame.pixels) / np.iinfo(frame.pixels.dtype).max * 255
    assert np.abs(got - middles(pixels) / top * 255).max() <= limit
    assert (tags.primaries, tags.transfer) == (colour.primaries, transfer)
    if codec not in ("png", "ffv1"):
        assert tags.matrix == matrix
        assert tags.range == ("limited" if codec.startswith("prores") else range_)


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_twelve_bits_are_kept_from_source_to_sink(
    make_video: MakeVideo, tmp_path: Path, matrix: str, range_: str
) -> None:
    """A lossless file of 12 bits keeps its code values through reading and writing."""
    codes = [np.rint(plane) for plane in to_yuv(patches(np.uint16) / 65535, matrix, range_, 12)]
    code = {"bt709": 1, "smpte170m": 6, "bt2020nc": 9}[matrix]

    def draw(frame: VideoFrame, _: int) -> None:
        for plane, values in zip(samples(frame), codes, strict=True):
            plane[:] = values

    path = make_video(
        "a.mp4",
        codec="libx265",
        pixel_format="yuv444p12le",
        size=(5 * PATCH, 25 * PATCH),
        pts=range(3),
        fill=draw,
        colour=(2 if range_ == "full" else 1, code, 1, 1),
        options={"x265-params": "log-level=none:lossless=1"},
    )
    with open_source(path) as source, open_sink(tmp_path / "b.mkv", source.info, layer="composite") as sink:
        assert (source.info.bit_depth, source.info.full_chroma) == (12, True)
        for frame in source:
            sink.write(frame.pixels, frame)
    with open_source(tmp_path / "b.mkv") as source:
        shown = next(iter(source)).pixels
    expected = to_rgb(codes, matrix, range_, 12) * 65535
    # A quarter of a code value of 12 bits.
    assert np.abs(middles(shown) - middles(expected)).max() < 4.5


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize(
    ("suffix", "layer"), [(".mp4", "composite"), (".mov", "foreground"), (".mkv", "cutout")]
)
def test_every_value_of_hdr_is_kept(tmp_path: Path, transfer: str, suffix: str, layer: str) -> None:
    """Nothing of the curve is clipped or bent: all 876 values of 10 bits from black to white."""
    ramp = np.rint(np.linspace(0, 65535, 876)).astype(np.uint16)
    pixels = np.broadcast_to(ramp[None, :, None], (64, 876, 3)).copy()
    like = SourceInfo(
        Path("none"), 64, 876, 10, Fraction(25), Fraction(1, 25),
        colour=Colour("limited", "bt2020nc", "bt2020", transfer),
    )  # fmt: skip
    encoding = Encoding(crf=0) if suffix == ".mp4" else Encoding()
    with open_sink(tmp_path / f"a{suffix}", like, layer=layer, encoding=encoding) as sink:
        sink.write(np.dstack([pixels, pixels[..., 0] | 1]) if layer == "cutout" else pixels, Frame(pixels))
    with open_source(tmp_path / f"a{suffix}") as source:
        assert source.info.colour.transfer == transfer
        (frame,) = source
    shown = frame.pixels[32].astype(float) / 65535 * 876
    assert np.abs(shown - np.arange(876)[:, None] * 876 / 875).max() < 2.5
    assert np.abs(shown[-1] - 876).max() < 1
    assert np.abs(shown[0]).max() < 1


@pytest.mark.parametrize(("suffix", "codec"), [(".mov", "png"), (".mkv", "ffv1")])
def test_every_alpha_of_16_bits_is_kept(tmp_path: Path, suffix: str, codec: str) -> None:
    alpha = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = np.dstack([np.full((256, 256, 3), 30000, np.uint16), alpha])
    assert np.abs(alpha_through(tmp_path / f"a{suffix}", codec, pixels, 16) - alpha).max() == 0


@pytest.mark.parametrize("codec", ["prores_aw", "prores_ks", "prores-xq"])
def test_every_alpha_of_10_bits_is_kept(tmp_path: Path, codec: str) -> None:
    """All 1024 values, each in a patch of its own, come back within one of 10 bits."""
    codes = np.arange(1024).reshape(32, 32).repeat(4, 0).repeat(4, 1)
    pixels = np.dstack([np.full((128, 128, 3), 30000), np.rint(codes / 1023 * 65535)]).astype(np.uint16)
    got = alpha_through(tmp_path / "a.mov", codec, pixels, 10)
    assert np.abs(got / 4095 * 1023 - codes).max() <= 1


def alpha_through(path: Path, codec: str, pixels: Picture, bits: int) -> Picture:
    like = SourceInfo(Path("none"), *pixels.shape[:2], bits, Fraction(25), Fraction(1, 25))
    with open_sink(path, like, encoding=Encoding(codec=codec)) as sink:
        sink.write(pixels, Frame(pixels[..., :3]))
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
    if frame.format.is_planar:
        return samples(frame)[3].astype(int)
    return frame.to_ndarray(format="rgba64le")[..., 3].astype(int)


def edge(bits: int) -> tuple[Picture, Picture, Picture]:
    """Luma of one tone, and chroma of 4:2:0 with a sharp step, across in one plane and down in the other."""
    across, down = np.full((16, 16), 90), np.full((16, 16), 90)
    across[:, 8:] = down[8:] = 160
    return np.full((32, 32), 120) << (bits - 8), across << (bits - 8), down << (bits - 8)


def spread(chroma: Picture, offset: float, axis: int) -> Picture:
    """Linear interpolation to twice the size; a sample lies ``offset`` pixels after the first of its two."""
    at = np.clip((np.arange(32) - offset) / 2, 0, 15)
    low, part = np.floor(at).astype(int), at % 1
    high = np.minimum(low + 1, 15)
    shape = (-1, 1) if axis == 0 else (1, -1)
    part = part.reshape(shape)
    return np.take(chroma, low, axis) * (1 - part) + np.take(chroma, high, axis) * part


SITINGS = {"left": (0.0, 0.5), "topleft": (0.0, 0.0), "center": (0.5, 0.5)}


@pytest.mark.parametrize("tag", ["left", "topleft", "center", None])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mp4", "libx264", {"qp": "0"}), ("a.mkv", "ffv1", {}), ("a.webm", "libvpx-vp9", {"lossless": "1"})],
)
def test_chroma_is_read_at_its_siting(
    make_video: MakeVideo, name: str, codec: str, options: dict[str, str], tag: str | None
) -> None:
    """Tagged siting is followed; the default is left."""
    luma, across, down = edge(8)

    def draw(frame: VideoFrame, _: int) -> None:
        for plane, values in zip(samples(frame), (luma, across, down), strict=True):
            plane[:] = values

    path = make_video(
        name, codec=codec, pixel_format="yuv420p", size=(32, 32), pts=[0], fill=draw, colour=(1, 1, 1, 1),
        options=options | ({"chroma_sample_location": tag} if tag else {}),
    )  # fmt: skip
    right, below = SITINGS[tag or "left"]
    if codec != "libx264" and tag == "center":
        right = 0.0  # indistinguishable from no tag there, which is far more likely
    codes = [spread(spread(plane.astype(float), right, 1), below, 0) for plane in (across, down)]
    expected = to_rgb([luma, *codes], "bt709", "limited", 8) * 255
    with open_source(path) as source:
        (frame,) = source
    assert np.abs(frame.pixels - expected).max() <= 1


def test_a_stream_with_a_change_of_size_and_format_is_read_to_its_end() -> None:
    unpack = Unpacker(32, 32, 8, Colour("limited", "bt709", "bt709", "bt709"), 1, "vp9").unpack
    for side, pixel_format in ((32, "yuv420p"), (48, "yuv420p"), (48, "yuv444p"), (32, "yuv420p10le")):
        frame = VideoFrame(side, side, pixel_format)
        for plane in samples(frame):
            plane[:] = 128 << (frame.format.components[0].bits - 8)
        assert np.unique(unpack(frame)).tolist() == [130]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("cutout", [False, True])
def test_chroma_is_written_at_the_left(dtype: type, cutout: bool) -> None:
    top = np.iinfo(dtype).max
    rgb = np.full((32, 32, 3), 0.3)
    rgb[:, 15:, 0] = 0.8
    rgb[13:, :, 2] = 0.9
    pixels = np.rint(rgb * top).astype(dtype)
    if cutout:
        pixels = np.dstack([pixels, np.full((32, 32), top, dtype)])
    colour = Colour("limited", "bt709", "bt709", "bt709")
    frame = Packer("yuva420p" if cutout else "yuv420p", 32, 32, colour).pack(pixels)
    assert find_siting(frame) == SITINGS["left"]
    for plane, full in zip(samples(frame)[1:3], to_yuv(rgb, "bt709", "limited", 8)[1:], strict=True):
        # A quarter, a half, a quarter across; the mean of two rows down.
        padded = np.pad(full, ((0, 0), (1, 1)), "edge")
        across = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:])[:, ::2] / 4
        expected = (across[::2] + across[1::2]) / 2
        assert np.abs(plane - expected).max() <= (1.1 if dtype == np.uint16 else 0.8)


def ramp(low: int, high: int) -> Picture:
    """Colour of 16 bits that rises slowly from left to right."""
    row = np.linspace(low, high, 512)
    return np.tile(np.stack([row, row * 0.8, row * 0.5], -1)[None], (64, 1, 1)).round().astype(np.uint16)


def block_means(error: Picture) -> Picture:
    return error.reshape(error.shape[0] // 8, 8, error.shape[1] // 8, 8).mean((1, 3))


def test_dithering_has_the_right_mean_and_no_bands() -> None:
    pixels = ramp(20000, 23000)
    got = dither(pixels)
    for channel in range(3):
        error = got[..., channel] - pixels[..., channel] / 257
        assert np.abs(error).max() < 1
        assert np.abs(block_means(error)).max() < 0.1
        # Rounded, the same ramp has bands in which every error has one sign.
        rounded = np.rint(pixels[..., channel] / 257) - pixels[..., channel] / 257
        assert np.abs(block_means(rounded)).max() > 0.4
    assert np.array_equal(dither(np.full((9, 7, 3), 65535, np.uint16)), np.full((9, 7, 3), 255))
    assert not dither(np.zeros((9, 7, 3), np.uint16)).any()
    eight = np.arange(256).astype(np.uint16).reshape(16, 16, 1).repeat(4, 2) * 257
    assert np.array_equal(dither(eight), eight // 257)


def test_alpha_is_never_dithered() -> None:
    pixels = np.full((16, 16, 4), 12345, np.uint16)
    assert np.unique(dither(pixels)[..., 3]).tolist() == [48]
    assert np.unique(dither(pixels + np.uint16(100))[..., 0]).tolist() == [48, 49]
    colour = Colour("limited", "bt709", "bt709", "bt709")
    for pixel_format in ("yuva420p", "argb"):
        frame = Packer(pixel_format, 16, 16, colour).pack(pixels)
        assert np.unique(frame.to_ndarray(format="rgba")[..., 3]).tolist() == [48]


def test_video_of_8_bits_is_dithered_alike_in_every_frame() -> None:
    colour = Colour("limited", "bt709", "bt709", "bt709")
    pixels = ramp(20000, 23000)
    packer = Packer("yuv420p", *pixels.shape[:2], colour)
    first, second = (samples(packer.pack(pixels)) for _ in range(2))
    for one, other, exact in zip(first, second, to_yuv(pixels / 65535, "bt709", "limited", 8), strict=True):
        assert np.array_equal(one, other)
        down, right = exact.shape[0] // one.shape[0], exact.shape[1] // one.shape[1]
        means = exact.reshape(one.shape[0], down, one.shape[1], right).mean((1, 3))
        assert np.abs(block_means(one - means)[:, 1:-1]).max() < 0.1
