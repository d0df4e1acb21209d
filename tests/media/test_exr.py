"""EXR, against the OpenEXR library itself and FFmpeg's own decoder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.errors import InputError, MissingExtraError, OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.media import Colour, Encoding, SourceInfo, open_sink, open_source, read_image, write_image
from cleanplate.media.colour.transfer import SRGB, decode, encode
from cleanplate.media.stills.exr import COMPRESSIONS, LARGEST_HALF, parse_compression, write_exr
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags, chromaticities_of

OpenEXR = pytest.importorskip("OpenEXR")

HEIGHT, WIDTH = 40, 56
AP0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)


def noise(*shape: int, low: float = -0.25, high: float = 6.0) -> npt.NDArray[np.float16]:
    return np.random.default_rng(7).uniform(low, high, shape).astype(np.float16)


def bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(values.astype(np.float16)).view(np.uint16)


def write(path: Path, channels: dict[str, Any], **header: Any) -> Path:
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION, **header}
    OpenEXR.File(header, channels).write(str(path))
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
        return dict(file.header()), channels


def planes(rgb: npt.NDArray[Any], prefix: str = "") -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}{name}": np.ascontiguousarray(rgb[..., i]) for i, name in enumerate("RGB")}


@pytest.mark.parametrize("compression", [*COMPRESSIONS, None])
def test_floats_are_written_and_read_exactly(tmp_path: Path, compression: str | None) -> None:
    rgba = noise(HEIGHT, WIDTH, 4).astype(np.float32)
    rgba[..., 3] = np.clip(rgba[..., 3], 0, 1)
    write_exr(tmp_path / "a.exr", rgba, tags=NO_TAGS, compression=compression)
    header, channels = read(tmp_path / "a.exr")
    assert header["compression"].name == f"{(compression or 'zip').upper()}_COMPRESSION".replace("NONE", "NO")
    assert list(channels) == ["A", "B", "G", "R"]
    with av.open(str(tmp_path / "a.exr")) as file:
        frame = next(file.decode(video=0))
    kind = {"gbrapf16le": np.float16, "gbrapf32le": np.float32}[frame.format.name]
    shown = [np.frombuffer(plane, kind).reshape(HEIGHT, -1)[:, :WIDTH] for plane in frame.planes]
    for i, name in enumerate("RGBA"):
        if compression in ("dwaa", "dwab"):
            assert np.abs(channels[name] - rgba[..., i]).mean() < 0.05
            tolerance = 0.02  # two decoders' cosines, of noise
        else:
            assert np.array_equal(bits(channels[name]), bits(rgba[..., i]))
            tolerance = 0
        # FFmpeg is the second witness.
        second = shown["GBRA".index(name)].astype(np.float32)
        assert np.abs(second - channels[name]).max() <= tolerance


def test_the_level_of_dwaa_is_written_and_works(tmp_path: Path) -> None:
    picture = noise(128, 128, 3, low=0, high=1).astype(np.float32)
    for level in (5, 500):
        write_exr(tmp_path / f"{level}.exr", picture, tags=NO_TAGS, compression=f"dwaa:{level}")
        assert read(tmp_path / f"{level}.exr")[0]["dwaCompressionLevel"] == level
    assert (tmp_path / "500.exr").stat().st_size < (tmp_path / "5.exr").stat().st_size * 0.8


@pytest.mark.parametrize("compression", ["dwaa", "dwab:200"])
def test_data_channels_stay_exact_beside_lossy_colour(tmp_path: Path, compression: str) -> None:
    picture = noise(128, 128, 7, low=0, high=1).astype(np.float32)
    names = ("matte", "error", "refine")
    write_exr(tmp_path / "a.exr", picture, tags=NO_TAGS, channels=names, compression=compression)
    _, channels = read(tmp_path / "a.exr")
    for i, name in enumerate(("A", "matte.A", "error", "refine")):
        assert np.array_equal(bits(channels[name]), bits(picture[..., 3 + i]))
    assert not np.array_equal(bits(channels["R"]), bits(picture[..., 0]))
    write_exr(tmp_path / "b.exr", picture[..., 0], tags=NO_TAGS, compression=compression)
    header, channels = read(tmp_path / "b.exr")
    assert header["compression"] == OpenEXR.ZIP_COMPRESSION
    assert np.array_equal(bits(channels["Y"]), bits(picture[..., 0]))


@pytest.mark.parametrize("text", ["lzw", "zip:4", "dwaa:x", "dwaa:-1", "dwab:1e9"])
def test_unknown_compressions_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="Expected a"):
        parse_compression(text)


def test_the_header_has_primaries_rate_and_time_code(tmp_path: Path) -> None:
    tags = PictureTags(
        colour=Colour(primaries="bt2020"),
        white_luminance=203,
        frame_rate=Fraction(24000, 1001),
        timecode="01:02:03:04",
        pixel_aspect=Fraction(4, 3),
    )
    write_exr(tmp_path / "a.exr", noise(HEIGHT, WIDTH, 3).astype(np.float32), tags=tags, comments="A test.")
    header, _ = read(tmp_path / "a.exr")
    assert np.allclose(header["chromaticities"], chromaticities_of("bt2020"))
    assert header["whiteLuminance"] == 203
    assert header["framesPerSecond"] == Fraction(24000, 1001)
    assert (header["software"], header["comments"]) == ("cleanplate", "A test.")
    again = read_image(tmp_path / "a.exr").tags
    assert again.colour == Colour("full", "rgb", "bt2020", SRGB)
    assert (again.timecode, again.frame_rate) == ("01:02:03:04", Fraction(24000, 1001))
    assert again.pixel_aspect == Fraction(4, 3)


def test_values_beyond_half_floats_are_clipped(tmp_path: Path) -> None:
    picture = np.full((HEIGHT, WIDTH), 1e9, np.float32)
    picture[0, 0] = -1e9
    write_exr(tmp_path / "a.exr", picture, tags=NO_TAGS)
    _, channels = read(tmp_path / "a.exr")
    assert list(channels) == ["Y"]
    assert channels["Y"].max() == LARGEST_HALF
    assert channels["Y"].min() == -LARGEST_HALF


def test_extra_channels_lie_beside_the_colour(tmp_path: Path) -> None:
    picture = noise(HEIGHT, WIDTH, 6).astype(np.float32)
    write_exr(tmp_path / "a.exr", picture, tags=NO_TAGS, channels=("refine", "matte"))
    _, channels = read(tmp_path / "a.exr")
    assert sorted(channels) == ["A", "B", "G", "R", "matte.A", "refine"]
    assert np.array_equal(bits(channels["refine"]), bits(picture[..., 4]))
    assert np.array_equal(bits(channels["matte.A"]), bits(picture[..., 5]))
    # Layers with names do not hide the nameless one.
    alpha = np.clip(picture[..., 3], 0, 1)
    assert np.abs(read_image(tmp_path / "a.exr").alpha / 65535 - alpha).max() < 1e-3


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("storage", ["scanlineimage", "tiledimage"])
def test_light_is_read_unchanged(tmp_path: Path, storage: str, kind: type) -> None:
    rgb = noise(HEIGHT, WIDTH, 3).astype(kind)
    header = {"type": getattr(OpenEXR, storage)}
    if storage == "tiledimage":
        header["tiles"] = OpenEXR.TileDescription()
    picture = read_image(write(tmp_path / "a.exr", planes(rgb), **header))
    assert picture.light is not None
    assert picture.light.dtype == kind
    assert np.array_equal(picture.light, rgb.astype(np.float32))
    assert np.array_equal(picture.pixels, encode(rgb.astype(np.float32), SRGB, np.uint16))
    assert picture.alpha is None


def test_grey_files_layers_and_parts_are_read(tmp_path: Path) -> None:
    rgb = noise(HEIGHT, WIDTH, 3)
    grey = read_image(write(tmp_path / "grey.exr", {"Y": rgb[..., 0].copy()}))
    assert np.array_equal(bits(grey.light), bits(np.dstack([rgb[..., 0]] * 3)))
    layered = read_image(write(tmp_path / "layer.exr", {"Z": rgb[..., 0].copy(), **planes(rgb, "beauty.")}))
    assert np.array_equal(bits(layered.light), bits(rgb))
    parts = [
        OpenEXR.Part({"name": "depth"}, {"Z": rgb[..., 0].astype(np.float32)}),
        OpenEXR.Part({"name": "colour"}, planes(rgb)),
    ]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    assert np.array_equal(bits(read_image(tmp_path / "parts.exr").light), bits(rgb))


def test_a_file_without_colour_is_refused_with_its_channels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no channels R, G and B, nor Y alone; it has Z\."):
        read_image(write(tmp_path / "a.exr", {"Z": noise(HEIGHT, WIDTH)}))


@pytest.mark.parametrize(("left", "top"), [(-6, 3), (8, -5)])
def test_the_picture_is_the_display_window(tmp_path: Path, left: int, top: int) -> None:
    rgb = noise(HEIGHT, WIDTH, 3)
    data = (np.int32([left, top]), np.int32([left + WIDTH - 1, top + HEIGHT - 1]))
    display = (np.int32([0, 0]), np.int32([63, 47]))
    path = write(tmp_path / "a.exr", planes(rgb), dataWindow=data, displayWindow=display)
    whole = np.zeros((HEIGHT + 96, WIDTH + 96, 3), np.float16)
    whole[48 + top : 48 + top + HEIGHT, 48 + left : 48 + left + WIDTH] = rgb
    assert np.array_equal(bits(read_image(path).light), bits(whole[48:96, 48:112]))


def test_colour_is_divided_by_alpha(tmp_path: Path) -> None:
    light = noise(HEIGHT, WIDTH, 3, low=0).astype(np.float32)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[:20], alpha[20:30] = 1, 0.5
    stored = {**planes((light * alpha[..., None]).astype(np.float32)), "A": alpha}
    picture = read_image(write(tmp_path / "a.exr", stored))
    assert np.array_equal(picture.light[:30], light[:30])
    assert np.all(picture.light[30:] == 0)
    assert np.array_equal(picture.alpha, np.rint(alpha * 65535))


def test_nan_and_infinity_are_replaced(tmp_path: Path) -> None:
    rgb = noise(HEIGHT, WIDTH, 3)
    rgb[0, 0], rgb[0, 1], rgb[0, 2] = np.nan, np.inf, -np.inf
    picture = read_image(write(tmp_path / "a.exr", planes(rgb)))
    assert picture.light[0, :3, 0].tolist() == [0, LARGEST_HALF, -LARGEST_HALF]
    assert picture.pixels[0, :3, 0].tolist() == [0, 65535, 0]
    assert np.array_equal(bits(picture.light[1:]), bits(rgb[1:]))


def test_code_values_become_light(tmp_path: Path, picture: Any) -> None:
    rgba = np.dstack([picture(40, 50), picture(40, 50, 1.0)[..., 2]])
    write_image(tmp_path / "a.exr", rgba)
    _, channels = read(tmp_path / "a.exr")
    weight = rgba[..., 3] / np.float32(255)
    for i, name in enumerate("RGB"):
        assert np.array_equal(bits(channels[name]), bits(decode(rgba[..., i], SRGB) * weight))
    write_image(tmp_path / "grey.exr", rgba[..., 0])
    assert np.array_equal(bits(read(tmp_path / "grey.exr")[1]["Y"]), bits(rgba[..., 0] / np.float32(255)))


def test_damaged_files_are_input_errors(tmp_path: Path) -> None:
    good = write(tmp_path / "a.exr", planes(noise(HEIGHT, WIDTH, 3))).read_bytes()
    for size in (5, 200, len(good) // 2, len(good) - 10):
        (tmp_path / "b.exr").write_bytes(good[:size])
        with pytest.raises(InputError, match="damaged or cut short"):
            read_image(tmp_path / "b.exr")


def test_mutated_files_are_read_or_input_errors(tmp_path: Path) -> None:
    tags = PictureTags(frame_rate=Fraction(24), timecode="01:02:03:04", white_luminance=203)
    write_exr(tmp_path / "a.exr", noise(HEIGHT, WIDTH, 4).astype(np.float32), tags=tags)
    good = (tmp_path / "a.exr").read_bytes()
    rng = np.random.default_rng(11)
    read_again = 0
    for _ in range(120):
        data = np.frombuffer(good, np.uint8).copy()
        # The header is where the shape of everything is.
        where = rng.integers(0, 700, rng.integers(1, 6))
        data[where] = rng.choice([0, 1, 127, 255], where.size)
        (tmp_path / "b.exr").write_bytes(data.tobytes())
        try:
            picture = read_image(tmp_path / "b.exr", budget_bytes=50_000_000)
        except InputError:
            continue
        read_again += 1
        assert picture.pixels.dtype == np.uint16
        assert np.isfinite(picture.light).all()
    assert 0 < read_again < 120


def test_a_picture_over_the_memory_budget_is_refused_by_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", planes(noise(HEIGHT, WIDTH, 3)))
    with pytest.raises(InputError, match="over the budget"):
        read_image(path, budget_bytes=10_000)


def test_a_full_disk_is_an_output_error(
    tmp_path: Path, small_files: Callable[[int], AbstractContextManager[None]]
) -> None:
    with small_files(20_000), pytest.raises(OutputError, match="disk is full"):
        write_exr(tmp_path / "a.exr", noise(200, 200, 3).astype(np.float32), tags=NO_TAGS)
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.exr", planes(noise(HEIGHT, WIDTH, 3)))
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(MissingExtraError, match=r"Reading a\.exr needs the extra 'exr'"):
        read_image(path)
    with pytest.raises(MissingExtraError, match="Writing EXR needs the extra 'exr'"):
        open_sink(tmp_path / "b_%d.exr", SourceInfo(Path("a"), HEIGHT, WIDTH))


def test_a_sequence_keeps_light_rate_time_code_and_primaries(tmp_path: Path) -> None:
    for i in (7, 8, 10):
        tags = PictureTags(chromaticities=AP0, frame_rate=Fraction(24), timecode=f"10:00:00:{i:02}")
        write_exr(tmp_path / f"a_{i:03}.exr", noise(HEIGHT, WIDTH, 3).astype(np.float32) * i, tags=tags)
    with open_source(tmp_path / "a_%03d.exr") as source:
        frames = list(source)
        info = source.info
    assert info.frame_rate == 24
    assert info.colour.transfer == info.transfer == SRGB
    with open_sink(tmp_path / "b_%03d.exr", info, layer="composite") as sink:
        assert sink.takes_light
        for frame in frames:
            sink.write(frame.light, frame)
    for i in (7, 8, 10):
        header, channels = read(tmp_path / f"b_{i:03}.exr")
        before, stored = read(tmp_path / f"a_{i:03}.exr")
        assert all(np.array_equal(bits(channels[name]), bits(stored[name])) for name in "RGB")
        for attribute in ("chromaticities", "framesPerSecond"):
            assert header[attribute] == before[attribute]
        assert header["timeCode"].frame == i


def test_a_sink_accepts_the_light_of_its_layer_only(tmp_path: Path) -> None:
    info = SourceInfo(Path("a"), HEIGHT, WIDTH)
    sink = open_sink(tmp_path / "a_%d.exr", info, encoding=Encoding(channels=("matte",)))
    frame = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert sink.extra_channels == ("matte",)
    with pytest.raises(OptionError, match=r"Expected light of 4 \+ 1 channels"):
        sink.write(np.zeros((HEIGHT, WIDTH, 4), np.float32), frame)
    sink.write(np.zeros((HEIGHT, WIDTH, 5), np.float32), frame)
    assert open_sink(tmp_path / "b_%d.exr", info, layer="alpha").extra_channels == ()
    for asked in (Encoding(channels=("matte",)), Encoding(compression="piz")):
        with pytest.raises(OptionError, match="Only EXR takes"):
            open_sink(tmp_path / "a_%d.png", info, encoding=asked)
    for names in (("depth",), ("matte", "matte")):
        with pytest.raises(OptionError, match="xtra channel"):
            open_sink(tmp_path / "c_%d.exr", info, encoding=Encoding(channels=names))
