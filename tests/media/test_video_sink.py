from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.errors import OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.media import LAYERS, Colour, Encoding, Sink, SourceInfo, open_sink, open_source, sink_formats
from cleanplate.media.containers.encoders import Encoder
from cleanplate.media.containers.formats import CONTAINERS, choose_encoder
from cleanplate.media.contract import CHANNELS

SIZE = (48, 64)
MakeVideo = Callable[..., Path]


def info(**changes: Any) -> SourceInfo:
    plain = SourceInfo(
        Path("none"), *SIZE, frame_rate=Fraction(25), time_base=Fraction(1, 25), colour=Colour("limited")
    )
    return replace(plain, **changes)


def frames(like: SourceInfo, count: int = 4) -> list[Frame]:
    blank = np.zeros((like.height, like.width, 3), np.uint8)
    return [Frame(blank, i, like.time_base, 1, i) for i in range(count)]


def cutout(picture: Any, dtype: type = np.uint8, size: tuple[int, int] = SIZE) -> npt.NDArray[Any]:
    """Straight RGBA in which every alpha of 8 bits occurs and no whole block is hidden."""
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, 1, size[0] * size[1]).reshape(size)
    alpha = np.rint(ramp * top).astype(dtype)
    return np.dstack([picture(*size, 0.0, dtype), alpha])


def write_into(
    sink: Sink,
    like: SourceInfo,
    pixels: npt.NDArray[Any],
    count: int = 4,
    error: type[BaseException] | None = None,
) -> None:
    with sink:
        for frame in frames(like, count):
            sink.write(pixels, frame)
        if error is not None:
            raise error


def write(
    path: Path, like: SourceInfo, pixels: npt.NDArray[Any], count: int = 4, **options: Any
) -> list[str]:
    sink = open_sink(path, like, **options)
    write_into(sink, like, pixels, count)
    return sink.notes


def decode(path: Path, pixel_format: str, decoder: str | None = None) -> list[npt.NDArray[Any]]:
    """Pictures as FFmpeg decodes them, full range."""
    decoded: list[Any] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if decoder is None:
            decoded = list(container.decode(stream))
        else:
            context: Any = av.CodecContext.create(decoder, "r")
            context.extradata = stream.codec_context.extradata
            for packet in container.demux(stream):
                decoded += context.decode(packet)
            if not decoded:
                decoded += context.decode(None)
    for frame in decoded:
        # Pixels as they are: PyAV 17 has swscale look at the transfer, and refuse ProRes' reserved one.
        frame.color_trc = 2
    return [f.to_ndarray(format=pixel_format, dst_color_range="JPEG") for f in decoded]


def raw_planes(path: Path, index: int = 0) -> tuple[str, list[npt.NDArray[Any]]]:
    """The first frame's planes as stored."""
    with av.open(str(path)) as container:
        frame = list(container.decode(video=0))[index]
    deep = frame.format.components[0].bits > 8
    planes = [
        np.frombuffer(p, np.uint16 if deep else np.uint8).reshape(p.height, -1)[:, : p.width].astype(int)
        for p in frame.planes
    ]
    return frame.format.name, planes


@pytest.mark.parametrize("codec", ["prores_aw", "prores_ks"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_prores_alpha_is_exact_to_one_code_of_ten_bits(
    tmp_path: Path, picture: Any, codec: str, dtype: type
) -> None:
    pixels = cutout(picture, dtype)
    like = info(bit_depth=8 if dtype == np.uint8 else 16)
    write(tmp_path / "a.mov", like, pixels, encoding=Encoding(codec=codec))
    name, planes = raw_planes(tmp_path / "a.mov")
    # FFmpeg decodes 4444 to 12 bits where it can.
    bits = 12 if "12" in name else 10
    top = np.iinfo(dtype).max
    exact = pixels[..., 3].astype(float) / top * 1023
    assert np.abs(planes[3] / ((1 << bits) - 1) * 1023 - exact).max() <= 1
    assert planes[3].min() == 0
    # prores_aw's opaque falls short by as much as 10 bits fall short of 16.
    assert planes[3].max() >= (1 << bits) - (1 if codec == "prores_ks" else 4)
    assert decode(tmp_path / "a.mov", "rgba")[0][..., 3].max() == 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("layer", ["cutout", "foreground", "composite"])
def test_prores_colour_comes_back(tmp_path: Path, picture: Any, dtype: type, layer: str) -> None:
    like = info(bit_depth=8 if dtype == np.uint8 else 10)
    pixels = cutout(picture, dtype)
    pixels[..., 3] = np.iinfo(dtype).max
    write(tmp_path / "a.mov", like, pixels if layer == "cutout" else pixels[..., :3], layer=layer)
    with open_source(tmp_path / "a.mov") as source:
        assert source.info.bit_depth in (10, 12)
        got = next(iter(source)).pixels / 65535
    error = np.abs(got - pixels[..., :3] / np.iinfo(dtype).max)
    assert error.mean() < 0.004
    assert np.abs((got - pixels[..., :3] / np.iinfo(dtype).max).mean()) < 0.001


CODECS = sorted(
    {(row.suffix, row.name) for row in sink_formats() if row.suffix in CONTAINERS and row.available}
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("suffix", "codec"), CODECS)
def test_supported_layers_of_every_codec_are_written(
    tmp_path: Path, picture: Any, suffix: str, codec: str, dtype: type
) -> None:
    rgba = cutout(picture, dtype)
    like = info(bit_depth=8 if dtype == np.uint8 else 10)
    holds_alpha = any(r.alpha for r in sink_formats() if (r.suffix, r.name) == (suffix, codec))
    for layer in LAYERS:
        pixels = rgba if layer == "cutout" else rgba[..., 3] if CHANNELS[layer] == 1 else rgba[..., :3]
        path = tmp_path / f"{layer}{suffix}"
        if layer == "cutout" and not holds_alpha:
            with pytest.raises(OutputError, match="cannot hold a cut-out"):
                open_sink(path, like, layer=layer, encoding=Encoding(codec=codec))
            continue
        write(path, like, pixels, 2, layer=layer, encoding=Encoding(codec=codec))
        with open_source(path) as source:
            shown = [frame.pixels for frame in source]
        assert len(shown) == 2
        expected = pixels[..., :3] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
        error = shown[1] / np.iinfo(shown[1].dtype).max - expected / np.iinfo(dtype).max
        assert np.abs(error).mean() < 0.02


def test_hidden_colour_is_not_written(tmp_path: Path, picture: Any) -> None:
    pixels = cutout(picture)
    pixels[:16, :, 3] = 0
    pixels[16:, :, 3] = 255
    before = pixels.copy()
    write(tmp_path / "a.mov", info(), pixels)
    shown = decode(tmp_path / "a.mov", "rgba")[0]
    assert np.array_equal(pixels, before)
    assert shown[:16, :, :3].max() <= 1
    assert np.abs(shown[16:, :, :3].astype(int) - pixels[16:, :, :3]).mean() < 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("layer", ["cutout", "foreground", "alpha"])
def test_ffv1_is_exact(tmp_path: Path, picture: Any, dtype: type, layer: str) -> None:
    deep = dtype == np.uint16
    pixels = cutout(picture, dtype)
    pixels = {"cutout": pixels, "foreground": pixels[..., :3], "alpha": pixels[..., 3]}[layer]
    write(tmp_path / "a.mkv", info(bit_depth=12 if deep else 8), pixels, layer=layer)
    kind = {"cutout": ("rgba", "rgba64le"), "foreground": ("rgb24", "rgb48le"), "alpha": ("gray", "gray16le")}
    shown = decode(tmp_path / "a.mkv", kind[layer][deep])
    assert len(shown) == 4
    assert all(np.array_equal(s, pixels) for s in shown)


def test_ffv1_stretches_8_bits_for_a_deep_source(tmp_path: Path, picture: Any) -> None:
    pixels = cutout(picture)
    write(tmp_path / "a.mkv", info(bit_depth=10), pixels)
    assert np.array_equal(decode(tmp_path / "a.mkv", "rgba64le")[0], pixels.astype(np.uint16) * 257)


def test_vp9_has_alpha(tmp_path: Path, picture: Any) -> None:
    pixels = cutout(picture)
    write(tmp_path / "a.webm", info(), pixels, encoding=Encoding(quality=95))
    shown = decode(tmp_path / "a.webm", "rgba", "libvpx-vp9")[0]
    assert np.abs(shown[..., 3].astype(int) - pixels[..., 3]).mean() < 2
    seen = pixels[..., 3] > 128
    assert np.abs(shown[..., :3].astype(int) - pixels[..., :3])[seen].mean() < 5


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".webm"])
def test_alpha_as_a_picture_is_black_and_white(tmp_path: Path, suffix: str) -> None:
    alpha = np.zeros(SIZE, np.uint8)
    alpha[:, 32:] = 255
    write(
        tmp_path / f"a{suffix}",
        info(),
        alpha,
        layer="alpha",
        encoding=Encoding(quality=None if suffix == ".mov" else 100),
    )
    shown = decode(tmp_path / f"a{suffix}", "rgb24")[0].astype(int)
    assert np.abs(shown[:, :24]).max() <= 2
    assert np.abs(shown[:, 40:] - 255).max() <= 2


def test_full_range_is_kept_by_codecs_with_a_tag_for_it(tmp_path: Path) -> None:
    white = np.full((*SIZE, 3), 255, np.uint8)
    like = info(colour=Colour("full", "bt709", "bt709", "bt709"))
    for suffix, expected, full in ((".mp4", 255, True), (".mov", 940, False)):
        write(tmp_path / f"a{suffix}", like, white, layer="composite")
        with open_source(tmp_path / f"a{suffix}") as source:
            assert source.info.colour.range == ("full" if full else "limited")
        name, planes = raw_planes(tmp_path / f"a{suffix}")
        assert abs(int(planes[0].mean()) - expected * (4 if "12" in name else 1)) <= 1


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".webm", ".mkv"])
def test_colour_tags_are_kept(tmp_path: Path, suffix: str, picture: Any) -> None:
    colour = Colour("limited", "bt2020nc", "bt2020", "arib-std-b67")
    write(tmp_path / f"a{suffix}", info(colour=colour), picture(*SIZE), layer="composite")
    with open_source(tmp_path / f"a{suffix}") as source:
        tags = source.info.colour
        shown = next(iter(source)).pixels
    assert (tags.primaries, tags.transfer) == ("bt2020", "arib-std-b67")
    assert tags.matrix == ("rgb" if suffix == ".mkv" else "bt2020nc")
    scale = 1 if shown.dtype == np.uint8 else 257
    assert np.abs(shown / scale - picture(*SIZE)).mean() < 6


def test_untagged_high_definition_is_tagged_709(tmp_path: Path) -> None:
    like = info(height=720, width=1280, colour=Colour())
    write(tmp_path / "a.mp4", like, np.zeros((720, 1280, 3), np.uint8), layer="composite", count=1)
    with open_source(tmp_path / "a.mp4") as source:
        assert source.info.colour == Colour("limited", "bt709", "bt709", "bt709")


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mp4", ".webm"])
@pytest.mark.parametrize("start", [0, 40])
def test_times_are_exact(tmp_path: Path, suffix: str, start: int, picture: Any) -> None:
    base = Fraction(1001, 30000) if suffix in (".mov", ".mp4") else Fraction(1, 1000)
    like = info(time_base=base, frame_rate=Fraction(30000, 1001))
    stamps = [start + s for s in (0, 33, 67, 100, 450, 451, 1000)]
    durations = [33, 34, 33, 350, 1, 549, 77]
    pixels = picture(*SIZE)
    with open_sink(tmp_path / f"a{suffix}", like, layer="composite") as sink:
        for i, (stamp, duration) in enumerate(zip(stamps, durations, strict=True)):
            sink.write(pixels, Frame(pixels, stamp, base, duration, i))
    with open_source(tmp_path / f"a{suffix}") as source:
        shown = list(source)
    assert [f.time_seconds for f in shown] == [s * base for s in stamps]
    if suffix == ".mov":
        last = shown[-1]
        assert last.duration is not None
        assert last.duration * last.time_base == 77 * base


def test_a_frame_of_another_time_base_is_converted(tmp_path: Path, picture: Any) -> None:
    like = info(time_base=Fraction(1, 1000))
    with open_sink(tmp_path / "a.mov", like, layer="composite") as sink:
        for i in range(3):
            sink.write(picture(*SIZE), Frame(picture(*SIZE), i, Fraction(1, 25), 1, i))
    with open_source(tmp_path / "a.mov") as source:
        assert [f.time_seconds for f in source] == [Fraction(i, 25) for i in range(3)]


def test_odd_sizes_are_padded(tmp_path: Path, picture: Any) -> None:
    size = (47, 63)
    like = info(height=47, width=63)
    notes = write(tmp_path / "a.mp4", like, picture(*size), layer="composite")
    assert "64x48 instead of 63x47" in notes[0]
    with open_source(tmp_path / "a.mp4") as source:
        shown = next(iter(source)).pixels
    assert shown.shape == (48, 64, 3)
    assert np.abs(shown[:47, :63].astype(int) - picture(*size)).mean() < 4
    for name, layer in (
        ("a.mov", "cutout"),
        ("a.webm", "cutout"),
        ("a.mkv", "cutout"),
        ("b.mov", "composite"),
    ):
        pixels = cutout(picture, size=size)
        notes = write(tmp_path / name, like, pixels if layer == "cutout" else pixels[..., :3], layer=layer)
        assert notes == []
        assert raw_planes(tmp_path / name)[1][0].shape == size


def test_odd_sizes_can_be_scaled(tmp_path: Path, picture: Any) -> None:
    like, pixels = info(height=47, width=63), picture(47, 63)
    encoding = Encoding(odd="scale", crf=1)
    notes = write(tmp_path / "a.mp4", like, pixels, layer="composite", encoding=encoding)
    assert notes == ["a.mp4 is 62x46 instead of 63x47: its format needs even sides, so it is scaled."]
    with open_source(tmp_path / "a.mp4") as source:
        shown = next(iter(source)).pixels
    assert shown.shape == (46, 62, 3)
    # Both ends of every gradient are there: nothing was cut off.
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.abs(shown[corner].astype(int) - pixels[corner]).max() < 12
    assert write(tmp_path / "a.mkv", like, pixels, layer="composite", encoding=Encoding(odd="scale")) == []


def test_a_rate_factor_is_passed_to_the_codec(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    sizes = {}
    for crf in (5, 20.5, 45):
        path = tmp_path / f"{crf}.mp4"
        write(path, info(), noise, layer="composite", encoding=Encoding(crf=crf))
        sizes[crf] = path.stat().st_size
        if crf == 20.5:
            assert b"crf=20.5" in path.read_bytes()
    assert sizes[5] > 1.3 * sizes[20.5] > 1.3 * sizes[45]


@pytest.mark.parametrize(
    "wrong",
    [
        {"quality": 0},
        {"quality": 101},
        {"crf": -1},
        {"crf": 64},
        {"crf": 18, "quality": 90},
        {"hardware": "gpu"},
        {"odd": "crop"},
    ],
)
def test_wrong_encodings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=str(next(iter(wrong.values())))):
        Encoding(**wrong)


def test_two_sinks_opened_alike_write_the_same_header(tmp_path: Path, picture: Any) -> None:
    for suffix, codec in ((".mp4", "h264"), (".mp4", "hevc"), (".mp4", "av1"), (".mkv", "ffv1")):
        headers = set()
        for name in "ab":
            path = tmp_path / f"{name}{codec}{suffix}"
            write(path, info(), picture(*SIZE), layer="composite", encoding=Encoding(codec=codec))
            with av.open(str(path)) as container:
                headers.add(container.streams.video[0].codec_context.extradata)
        assert len(headers) == 1
        assert headers != {None}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_shortest_clips_keep_their_times(tmp_path: Path, picture: Any, codec: str, count: int) -> None:
    for attempt in range(4):
        path = tmp_path / f"{attempt}.mp4"
        write(path, info(), picture(*SIZE), count, layer="composite", encoding=Encoding(codec=codec))
        with open_source(path) as source:
            assert [frame.time_seconds for frame in source] == [Fraction(i, 25) for i in range(count)]
            assert source.notes == []


def test_a_deep_picture_of_4_4_4_stays_one_in_prores(tmp_path: Path, picture: Any) -> None:
    pixels = picture(*SIZE, 0.0, np.uint16)
    with open_sink(tmp_path / "a.mov", info(bit_depth=12), encoding=Encoding(codec="prores-xq")) as sink:
        sink.write(np.dstack([pixels, pixels[..., 0]]), frames(info())[0])
    with open_source(tmp_path / "a.mov") as source:
        like = source.info
    assert like.full_chroma
    write(tmp_path / "b.mov", like, pixels, layer="composite")
    assert raw_planes(tmp_path / "b.mov")[0].startswith("yuv444p")
    write(tmp_path / "c.mov", info(bit_depth=10), pixels, layer="composite")
    assert raw_planes(tmp_path / "c.mov")[0].startswith("yuv422p")
    with open_source(tmp_path / "c.mov") as source:
        assert not source.info.full_chroma
    write(
        tmp_path / "d.mov",
        info(bit_depth=10),
        pixels,
        layer="composite",
        encoding=Encoding(codec="prores-4444"),
    )
    assert raw_planes(tmp_path / "d.mov")[0].startswith("yuv444p")


def test_lost_depth_is_noted(tmp_path: Path, picture: Any) -> None:
    pixels = picture(*SIZE, 0.0, np.uint16)
    for suffix, codec in ((".webm", "vp9"), (".mov", "qtrle")):
        encoding = Encoding(codec=codec)
        notes = write(
            tmp_path / f"a{suffix}", info(bit_depth=10), pixels, layer="composite", encoding=encoding
        )
        assert notes == [f"a{suffix} has 8 bits a sample; the source has 10."]
    notes = write(tmp_path / "b.mov", info(bit_depth=12), pixels, layer="composite")
    assert notes == ["b.mov has 10 bits a sample; the source has 12."]


@pytest.mark.parametrize(
    ("name", "codec", "found"),
    [
        ("a.mp4", None, "hevc"),
        ("a.mp4", "h264", "h264"),
        ("a.mp4", "hevc", "hevc"),
        ("a.mp4", "av1", "av1"),
        ("a.webm", None, "av1"),
        ("a.mkv", "h264", "h264"),
        ("a.mov", "libx265", "hevc"),
    ],
)
def test_ten_bits_are_kept(tmp_path: Path, picture: Any, name: str, codec: str | None, found: str) -> None:
    pixels = picture(*SIZE, 0.0, np.uint16)
    like, encoding = info(bit_depth=10), Encoding(codec=codec)
    assert write(tmp_path / name, like, pixels, layer="composite", encoding=encoding) == []
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == found
    with open_source(tmp_path / name) as source:
        assert source.info.bit_depth == 10
        got = next(iter(source)).pixels
    assert abs(float(got.mean()) - float(pixels.mean())) < 300


def test_pixel_aspect_is_kept(tmp_path: Path, picture: Any) -> None:
    like = info(pixel_aspect=Fraction(16, 11))
    assert "square pixels" in write(tmp_path / "a.mkv", like, picture(*SIZE), layer="composite")[0]
    for suffix in (".mov", ".mp4"):
        assert write(tmp_path / f"a{suffix}", like, picture(*SIZE), layer="composite") == []
        with open_source(tmp_path / f"a{suffix}") as source:
            assert source.info.pixel_aspect == Fraction(16, 11)


def test_the_result_appears_only_when_it_is_complete(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "a.mov"
    sink = open_sink(path, info())
    for frame in frames(info()):
        sink.write(cutout(picture), frame)
        assert not path.exists()
        assert (tmp_path / "a.partial.mov").exists()
    sink.close()
    sink.close()
    assert sink.abort() is None
    assert [p.name for p in tmp_path.iterdir()] == ["a.mov"]


@pytest.mark.parametrize("suffix", [".mov", ".webm", ".mkv"])
def test_an_aborted_file_plays_under_its_temporary_name(tmp_path: Path, suffix: str, picture: Any) -> None:
    sink = open_sink(tmp_path / f"a{suffix}", info())
    with pytest.raises(KeyboardInterrupt):
        write_into(sink, info(), cutout(picture), 10, KeyboardInterrupt)
    partial = tmp_path / f"a.partial{suffix}"
    assert [p.name for p in tmp_path.iterdir()] == [partial.name]
    with open_source(partial) as source:
        assert sum(1 for _ in source) == 10
    assert any(str(partial) in note for note in sink.notes)


def test_a_sink_without_frames_leaves_no_file(tmp_path: Path) -> None:
    assert open_sink(tmp_path / "a.mov", info()).abort() is None
    with pytest.raises(OutputError, match="got no frame"):
        open_sink(tmp_path / "a.mov", info()).close()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_survives_until_the_end(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "a.mov"
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"a\.mov exists already"):
        open_sink(path, info())
    with pytest.raises(ZeroDivisionError):
        write_into(open_sink(path, info(), overwrite=True), info(), cutout(picture), 1, ZeroDivisionError)
    assert path.read_text() == "precious"
    write(path, info(), cutout(picture), overwrite=True)
    with open_source(path) as source:
        assert sum(1 for _ in source) == 4


def test_mistakes_are_output_errors(tmp_path: Path, picture: Any) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file is a file, so a\.mov"):
        open_sink(tmp_path / "file" / "a.mov", info())
    with pytest.raises(OutputError, match=r"a\.avi has no suffix of a video format"):
        open_sink(tmp_path / "a.avi", info())
    with pytest.raises(OutputError, match="cannot hold a cut-out") as caught:
        open_sink(tmp_path / "a.mp4", info())
    assert caught.value.hint == "use .mov, .webm or .mkv, or write a composite with background"
    with pytest.raises(OutputError, match=r"No codec 'av9' is known for .webm") as caught:
        open_sink(tmp_path / "a.webm", info(), encoding=Encoding(codec="av9"))
    assert caught.value.hint == "use vp9 or av1"
    with pytest.raises(OutputError, match=r"No codec 'prores' is known for .mp4") as caught:
        open_sink(tmp_path / "a.mp4", info(), encoding=Encoding(codec="prores"))
    assert caught.value.hint == "use h264, hevc or av1; .mov can hold prores"
    with pytest.raises(OutputError, match=r"hevc in .mkv has no alpha") as caught:
        open_sink(tmp_path / "a.mkv", info(), encoding=Encoding(codec="hevc"))
    assert caught.value.hint == "use ffv1 or vp9, or write a composite with background"
    with pytest.raises(OutputError, match=r"h264 in .mov has no alpha") as caught:
        open_sink(tmp_path / "a.mov", info(), encoding=Encoding(codec="h264"))
    assert caught.value.hint.startswith("use prores, prores-4444, prores-xq, qtrle or png")
    with pytest.raises(OptionError, match=r"layer from cutout, .*'matte'"):
        open_sink(tmp_path / "a.mov", info(), layer="matte")
    with pytest.raises(OptionError, match="one quality"):
        open_sink(tmp_path / "a.mov", info(), encoding=Encoding(quality=50))
    with pytest.raises(OptionError, match="one quality"):
        open_sink(tmp_path / "a.mkv", info(), encoding=Encoding(crf=18))
    with pytest.raises(OptionError, match=r"sequence has no rate factor, got 18"):
        open_sink(tmp_path / "a_%03d.jpg", info(), layer="composite", encoding=Encoding(crf=18))
    with pytest.raises(OptionError, match=r"rate factor from 0 .* to 51, got 52"):
        open_sink(tmp_path / "a.mp4", info(), layer="composite", encoding=Encoding(crf=52))
    assert [path.name for path in tmp_path.iterdir() if path.name != "file"] == []
    with open_sink(tmp_path / "a.mov", info()) as sink:
        sink.write(cutout(picture), frames(info())[1])
        with pytest.raises(OptionError, match=r"Frame 0 at 0.000 s is not later"):
            sink.write(cutout(picture), frames(info())[0])
        with pytest.raises(OptionError, match=r"height, width, 4\).*\(48, 64, 3\)"):
            sink.write(picture(*SIZE), frames(info())[2])
        with pytest.raises(OptionError, match="takes pictures of 64x48, got 64x40"):
            sink.write(cutout(picture)[:40], frames(info())[2])


def test_a_read_only_folder_is_an_output_error(locked_folder: Path) -> None:
    with pytest.raises(OutputError, match="read-only"):
        open_sink(locked_folder / "a.mov", info())


def test_a_missing_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Encoder("h264", "h264_made_up", CONTAINERS[".mp4"].encoders[0].pixel_formats, 8)
    assert not absent.available
    monkeypatch.setattr(
        "cleanplate.media.containers.formats.CONTAINERS",
        dict(CONTAINERS) | {".mp4": replace(CONTAINERS[".mp4"], encoders=(absent,))},
    )
    with pytest.raises(OutputError, match=r"no encoder h264_made_up, which .mp4 needs") as caught:
        open_sink(tmp_path / "a.mp4", info(), layer="composite")
    assert ".mov" in caught.value.hint


# The limit holds the first frame, which an encoder on one core writes at once.
@pytest.mark.parametrize(("suffix", "limit"), [(".mov", 400_000), (".mkv", 400_000), (".webm", 20_000)])
def test_a_full_disk_is_an_output_error_and_keeps_written_frames(
    tmp_path: Path, small_files: Any, suffix: str, limit: int
) -> None:
    path = tmp_path / f"a{suffix}"
    like = info(height=240, width=320)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 4), np.uint8)
    noise[..., 3] |= 1
    with small_files(limit), pytest.raises(OutputError, match="disk is full"):
        write(path, like, noise, count=60)
    assert not path.exists()
    assert (tmp_path / f"a.partial{suffix}").stat().st_size > 0


def test_a_device_without_space_is_an_output_error(
    tmp_path: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    full = tmp_path / "full.mkv"
    full.symlink_to("/dev/full")
    monkeypatch.setattr("cleanplate.media.video.video_sink.claim_partial", lambda _: full)
    with pytest.raises(OutputError, match="disk is full") as caught:
        write(tmp_path / "a.mkv", info(), cutout(picture), count=60)
    assert caught.value.__cause__ is not None
    assert getattr(caught.value.__cause__, "errno", None) == errno.ENOSPC
    assert not (tmp_path / "a.mkv").exists()


def test_the_list_of_formats_is_complete() -> None:
    rows = sink_formats()
    assert {row.suffix for row in rows} >= {".mov", ".webm", ".mkv", ".mp4", ".png", ".tif", ".webp", ".jpg"}
    holding = {row.suffix for row in rows if row.alpha}
    assert {row.suffix for row in rows} - holding == {".mp4", ".jpg", ".jpeg"}
    assert {row.name for row in rows if row.suffix == ".mov" and row.alpha} == {
        "prores",
        "prores-4444",
        "prores-xq",
        "qtrle",
        "png",
        "hevc-alpha",
    }
    lacking = {row.name for row in rows if row.suffix in (".mov", ".mkv", ".webm") and not row.available}
    assert lacking <= {"hevc-alpha"}
    assert max(row.bit_depth for row in rows if row.suffix == ".mkv") == 16


@pytest.mark.parametrize(
    ("height", "width", "layer", "codec"),
    [
        (2160, 4096, "cutout", "prores_aw"),
        (4320, 7680, "cutout", "prores_ks"),  # prores_aw fails with "internal bug"
        (4320, 7680, "composite", "prores_aw"),
    ],
)
def test_prores_of_8k_has_the_encoder_that_holds_it(height: int, width: int, layer: str, codec: str) -> None:
    like = SourceInfo(Path("clip"), height, width, 10)
    _, encoder = choose_encoder(Path("a.mov"), layer, like, Encoding(), [])
    assert encoder.codec == codec


@pytest.mark.slow
def test_a_cutout_of_8k_is_written(tmp_path: Path) -> None:
    like = SourceInfo(Path("clip"), 4320, 7680, 8, Fraction(60), Fraction(1, 60))
    pixels = np.zeros((4320, 7680, 4), np.uint8)
    pixels[1000:3000, 2000:5000] = (200, 90, 40, 255)
    with open_sink(tmp_path / "a.mov", like) as sink:
        sink.write(pixels, Frame(pixels[..., :3], 0, Fraction(1, 60), 1, 0))
    with open_source(tmp_path / "a.mov") as source:
        (frame,) = list(source)
    assert frame.alpha is not None
    assert (int(frame.alpha[2000, 3000]), int(frame.alpha[10, 10])) == (65535, 0)
