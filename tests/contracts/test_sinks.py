"""Contract of all sinks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanplate.errors import OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.media import LAYERS, Colour, SourceInfo, open_sink, open_source
from cleanplate.media.colour.transfer import SRGB, decode, encode
from cleanplate.media.video.segments import Segment

HEIGHT, WIDTH, COUNT = 48, 64, 5
NAMES = (
    # Not an animated WebP, which joins equal pictures: see tests/media/test_animations.py.
    *("a.mov", "a.webm", "a.mkv", "a.mp4", "a.apng"),
    *("a_%03d.png", "a_%03d.tif", "a_%03d.webp", "a_%03d.avif", "a_%03d.jpg", "a_%03d.dpx", "a_%03d.exr"),
    "a_%03d.jxl",
)
OPAQUE = ("a.mp4", "a_%03d.jpg")
CASES = [(n, layer) for n in NAMES for layer in LAYERS if not (n in OPAQUE and layer == "cutout")]


def like(bit_depth: int) -> SourceInfo:
    return SourceInfo(
        Path("clip"),
        HEIGHT,
        WIDTH,
        colour=Colour(transfer="bt709"),
        bit_depth=bit_depth,
        frame_rate=Fraction(25),
        time_base=Fraction(1, 25),
    )


def layer_pixels(layer: str, dtype: type) -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgba = np.stack([x / WIDTH, y / HEIGHT, np.full(x.shape, 0.5), np.full(x.shape, 1.0)], -1)
    pixels: Any = np.rint(rgba * np.iinfo(dtype).max).astype(dtype)
    grey = pixels[..., 0]
    return {"cutout": pixels, "foreground": pixels[..., :3], "composite": pixels[..., :3]}.get(layer, grey)


def frames(dtype: type = np.uint8) -> list[Frame]:
    blank = np.zeros((HEIGHT, WIDTH, 3), dtype)
    return [Frame(blank, i, Fraction(1, 25), 1, i) for i in range(COUNT)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("name", "layer"), CASES)
def test_written_pixels_are_read_back(tmp_path: Path, name: str, layer: str, dtype: type) -> None:
    pixels = layer_pixels(layer, dtype)
    buffer = pixels.copy()
    with open_sink(tmp_path / name, like(8 if dtype == np.uint8 else 10), layer=layer) as sink:
        for frame in frames(dtype):
            buffer[:] = pixels
            sink.write(buffer, frame)
            buffer[:] = 0  # the caller may use its memory again at once
    assert not list(tmp_path.glob("*partial*"))
    with open_source(tmp_path / name) as source:
        shown = list(source)
    assert [f.time_seconds for f in shown] == [Fraction(i, 25) for i in range(COUNT)]
    got = shown[-1].pixels / np.iinfo(shown[-1].pixels.dtype).max
    wanted = pixels / np.iinfo(dtype).max
    if name.endswith(".exr"):  # holds light and data unchanged; sources show both as sRGB
        light = wanted if wanted.ndim == 2 else decode(pixels, "bt709")
        wanted = encode(light.astype(np.float32), SRGB, np.uint16) / 65535
    wanted = np.dstack([wanted] * 3) if wanted.ndim == 2 else wanted[..., :3]
    assert np.abs(got - wanted).mean() < 0.02


@pytest.mark.parametrize("segments", [None, ()], ids=["whole", "resumable"])
@pytest.mark.parametrize("name", NAMES)
def test_a_missing_folder_is_made(tmp_path: Path, name: str, segments: tuple[Segment, ...] | None) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, so"):
        open_sink(tmp_path / "file" / name, like(8), layer="composite", segments=segments)
    open_sink(tmp_path / "new" / "folder" / name, like(8), layer="composite", segments=segments).abort()
    assert (tmp_path / "new" / "folder").is_dir()


@pytest.mark.parametrize("name", NAMES)
def test_refusals_are_the_same_everywhere(tmp_path: Path, name: str) -> None:
    layer = "composite"
    with pytest.raises(OutputError, match="got no frame"):
        open_sink(tmp_path / name, like(8), layer=layer).close()
    with open_sink(tmp_path / name, like(8), layer=layer) as sink:
        with pytest.raises(OptionError, match="Expected uint8 or uint16"):
            sink.write(layer_pixels("cutout", np.uint8), frames()[0])
        with pytest.raises(OptionError, match="takes pictures of 64x48"):
            sink.write(layer_pixels(layer, np.uint8)[:-2], frames()[0])
        sink.write(layer_pixels(layer, np.uint8), frames()[0])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="exists already"):
        open_sink(tmp_path / name, like(8), layer=layer)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", OPAQUE)
def test_formats_without_alpha_refuse_cut_outs(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot hold a cut-out"):
        open_sink(tmp_path / name, like(8))


@pytest.mark.parametrize("name", NAMES)
def test_abort_without_frames_leaves_no_file(tmp_path: Path, name: str) -> None:
    assert open_sink(tmp_path / name, like(8), layer="composite").abort() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_abort_leaves_a_playable_file(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / name, like(8), layer="composite")
    for frame in frames():
        sink.write(layer_pixels("composite", np.uint8), frame)
    left = sink.abort()
    assert left is not None
    with open_source(left) as source:
        assert sum(1 for _ in source) == COUNT
