"""DPX, against FFmpeg's decoder and encoder, with every code value."""

from __future__ import annotations

import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame
from cleanplate.media import Colour, SourceInfo, open_sink, open_source, read_image, write_image
from cleanplate.media.stills.dpx import HEADER_BYTES, encode_dpx
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags

DEPTHS = (8, 10, 12, 16)


def every_code(bits: int, width: int = 256) -> npt.NDArray[np.uint32]:
    """Every code value in red, backwards in green, shuffled in blue; all of them only if 256 wide."""
    codes = np.arange(1 << bits, dtype=np.uint32)
    shuffled = np.random.default_rng(bits).permutation(codes)
    return np.stack(
        [np.resize(c, 65536).reshape(256, 256)[:, :width] for c in (codes, codes[::-1], shuffled)], -1
    )


def full_range(codes: npt.NDArray[np.uint32], bits: int) -> npt.NDArray[Any]:
    if bits == 8:
        return codes.astype(np.uint8)
    return np.rint(codes * (65535 / ((1 << bits) - 1))).astype(np.uint16)


@pytest.mark.parametrize("width", [256, 255, 254])
@pytest.mark.parametrize("bits", DEPTHS)
def test_every_code_value_is_written_and_read_exactly(tmp_path: Path, bits: int, width: int) -> None:
    codes = every_code(bits, width)
    pixels = full_range(codes, bits)
    path = tmp_path / "a.dpx"
    write_image(path, pixels, tags=PictureTags(bit_depth=bits))
    again = read_image(path)
    assert np.array_equal(again.pixels, pixels)
    assert again.tags.bit_depth == bits
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    name = frame.format.name
    order = ">" if name.endswith("be") else "<"
    sample = np.dtype("u1" if bits == 8 else f"{order}u2")
    rows = [np.frombuffer(plane, sample).reshape(256, -1) for plane in frame.planes]
    if bits in (10, 12):
        assert name.startswith(f"gbrp{bits}")
        shown = np.stack([rows[i][:, :width] for i in (2, 0, 1)], -1)
    else:
        shown = rows[0][:, : 3 * width].reshape(256, width, 3)
    assert np.array_equal(shown, codes)


@pytest.mark.parametrize("order", ["be", "le"])
@pytest.mark.parametrize("bits", DEPTHS)
def test_files_of_ffmpeg_are_read(tmp_path: Path, bits: int, order: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the program ffmpeg")
    codes = every_code(bits)
    name = {8: "rgb24", 10: f"gbrp10{order}", 12: f"gbrp12{order}", 16: f"rgb48{order}"}[bits]
    if name.startswith("gbrp"):
        codes_as_stored = codes[..., [1, 2, 0]].transpose(2, 0, 1)
    else:
        codes_as_stored = codes
    raw = codes_as_stored.astype("u1" if bits == 8 else (">" if order == "be" else "<") + "u2").tobytes()
    path = tmp_path / "a.dpx"
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", name, "-s", "256x256", "-i", "-"]
    subprocess.run([*command, "-c:v", "dpx", "-pix_fmt", name, str(path)], input=raw, check=True)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, full_range(codes, bits))
    assert picture.tags.colour.transfer == "unspecified"  # its "linear" says nothing


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_and_grey(tmp_path: Path, dtype: type, picture: Any) -> None:
    rgba = np.dstack([picture(40, 51, 0.0, dtype), picture(40, 51, 1.0, dtype)[..., 2]])
    write_image(tmp_path / "a.dpx", rgba, tags=PictureTags(bit_depth=10))
    again = read_image(tmp_path / "a.dpx")
    assert np.array_equal(np.dstack([again.pixels, again.alpha]), rgba)
    write_image(tmp_path / "b.dpx", rgba[..., 0])
    assert np.array_equal(read_image(tmp_path / "b.dpx").pixels, np.dstack([rgba[..., 0]] * 3))


def test_the_header_has_rate_time_code_and_transfer(tmp_path: Path, picture: Any) -> None:
    tags = PictureTags(
        colour=Colour(primaries="smpte170m", transfer="bt709"),
        frame_rate=Fraction(30000, 1001),
        timecode="21:59:58:23",
        pixel_aspect=Fraction(10, 11),
    )
    write_image(tmp_path / "a.dpx", picture(40, 50), tags=tags)
    told = read_image(tmp_path / "a.dpx").tags
    assert told.colour == Colour("full", "rgb", "smpte170m", "bt709")
    assert (told.frame_rate, told.timecode) == (tags.frame_rate, tags.timecode)
    assert told.pixel_aspect == tags.pixel_aspect
    data = encode_dpx(picture(40, 50), NO_TAGS)
    assert struct.unpack_from(">I", data, 16)[0] == len(data)
    assert read_image_bytes(tmp_path, data).tags.timecode is None
    assert read_image_bytes(tmp_path, data).tags.frame_rate is None


def read_image_bytes(folder: Path, data: bytes) -> Any:
    (folder / "bytes.dpx").write_bytes(data)
    return read_image(folder / "bytes.dpx")


def test_other_orientations_are_read(tmp_path: Path, picture: Any) -> None:
    data = bytearray(encode_dpx(picture(40, 50), NO_TAGS))
    for orientation, turn in ((1, np.fliplr), (2, np.flipud), (3, lambda p: p[::-1, ::-1])):
        struct.pack_into(">H", data, 768, orientation)
        assert np.array_equal(read_image_bytes(tmp_path, bytes(data)).pixels, turn(picture(40, 50)))


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (800, b"\x64", "kind 100, neither RGB nor luminance"),
        (803, b"\x20", "samples have 32 bits"),
        (804, b"\0\0", "packed without gaps"),
        (806, b"\0\1", "run-length encoded"),
        (768, b"\0\5", "lines run downwards"),
        (772, b"\0\0\0\0", "damaged"),
        (776, b"\0\1\0\0", "are incomplete"),
        (776, b"\x7f\0\0\0", "keying it takes"),
    ],
)
def test_unsupported_files_are_input_errors(
    tmp_path: Path, picture: Any, at: int, value: bytes, said: str
) -> None:
    data = bytearray(encode_dpx(picture(40, 50, 0.0, np.uint16), PictureTags(bit_depth=10)))
    data[at : at + len(value)] = value
    with pytest.raises(InputError, match=said):
        read_image_bytes(tmp_path, bytes(data))


def test_truncated_files_are_input_errors(tmp_path: Path, picture: Any) -> None:
    data = encode_dpx(picture(40, 50), NO_TAGS)
    for size in (4, 900, HEADER_BYTES, len(data) - 1):
        with pytest.raises(InputError, match="damaged or cut short"):
            read_image_bytes(tmp_path, data[:size])
    with pytest.raises(OptionError, match="grey, RGB and RGBA"):
        encode_dpx(np.zeros((32, 32, 2), np.uint8), NO_TAGS)


def test_ten_bits_of_a_sequence_stay_ten_bits(tmp_path: Path) -> None:
    pixels = full_range(every_code(10), 10)
    for i in (86399, 86400):
        tags = PictureTags(bit_depth=10, frame_rate=Fraction(24), timecode=f"00:59:59:{i - 86377:02}")
        write_image(tmp_path / f"in_{i}.dpx", pixels, tags=tags)
    with open_source(tmp_path / "in_%d.dpx") as source:
        info, frames = source.info, list(source)
    assert (info.bit_depth, info.frame_rate, str(info.tags.timecode)) == (10, 24, "00:59:59:22")
    with open_sink(tmp_path / "out_%d.dpx", info, layer="foreground") as sink:
        for frame in frames:
            sink.write(frame.pixels, frame)
    last = read_image(tmp_path / "out_86400.dpx")
    assert np.array_equal(last.pixels, pixels)
    assert (last.tags.bit_depth, last.tags.timecode) == (10, "00:59:59:23")


def test_video_of_ten_bits_becomes_dpx_of_ten_bits(tmp_path: Path) -> None:
    info = SourceInfo(Path("a.mov"), 256, 256, bit_depth=10, frame_rate=Fraction(25))
    pixels = full_range(every_code(10), 10)
    with open_sink(tmp_path / "a_%d.dpx", info, layer="composite") as sink:
        sink.write(pixels, Frame(pixels))
    shown = read_image(tmp_path / "a_0.dpx")
    assert shown.tags.bit_depth == 10
    assert np.array_equal(shown.pixels, pixels)


@pytest.mark.parametrize("bits", [10, 12])
def test_method_b_is_read_too(tmp_path: Path, bits: int) -> None:
    pixels = full_range(every_code(bits), bits)
    data = bytearray(encode_dpx(pixels, PictureTags(bit_depth=bits)))
    struct.pack_into(">H", data, 804, 2)
    # The gap is above the samples instead of below.
    sample, gap = (">u4", 2) if bits == 10 else (">u2", 4)
    body = np.frombuffer(bytes(data[HEADER_BYTES:]), sample) >> gap
    data[HEADER_BYTES:] = body.astype(sample).tobytes()
    assert np.array_equal(read_image_bytes(tmp_path, bytes(data)).pixels, pixels)
