"""Alpha channels of videos and sequences come with their frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.cli import main
from cleanplate.media import open_source, read_image, write_image

MakeVideo = Callable[..., Path]
HEIGHT, WIDTH = 64, 96
LEVELS = (0, 51, 128, 255)
"""Of alpha, in four columns from the left."""


def columns() -> npt.NDArray[np.uint8]:
    return np.repeat(np.array(LEVELS, np.uint8), WIDTH // 4)[None].repeat(HEIGHT, 0)


def draw(frame: av.VideoFrame, _: int) -> None:
    """Grey, with the columns as alpha; planes and packed samples are written without swscale."""
    name = frame.format.name
    deep = frame.format.components[0].bits
    top = (1 << deep) - 1
    alpha = np.rint(columns() * (top / 255))
    stored: Any = (
        np.uint8 if deep == 8 else np.dtype(np.uint16).newbyteorder(">" if name.endswith("be") else "<")
    )
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, stored).reshape(plane.height, -1)
        rows[:] = top // 2 + 1
        if index == 3:
            rows[:, : plane.width] = alpha
        elif len(frame.planes) == 1:
            rows[:, "argb".index("a") if name == "argb" else 3 :: 4][:, :WIDTH] = alpha


CASES = [
    ("a.mov", "prores_ks", "yuva444p10le", {"alpha_bits": "16", "profile": "4"}, 1),
    ("a.mov", "png", "rgba", {}, 0),
    ("a.mov", "png", "rgba64be", {}, 0),
    ("a.mov", "qtrle", "argb", {}, 0),
    ("a.mkv", "ffv1", "bgra", {}, 0),
    ("a.mkv", "ffv1", "yuva420p", {}, 0),
    ("a.mkv", "ffv1", "yuva444p10le", {}, 0),
    ("a.mkv", "ffv1", "gbrap16le", {}, 0),
    ("a.webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b": "0"}, 2),
    ("a.mkv", "libvpx", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b": "2M"}, 4),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options", "limit"), CASES)
def test_frames_have_the_alpha_of_the_source(
    make_video: MakeVideo,
    name: str,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    limit: int,
) -> None:
    path = make_video(
        name, codec=codec, pixel_format=pixel_format, size=(HEIGHT, WIDTH), fill=draw, options=options
    )
    if name.endswith((".webm", ".mkv")) and codec.startswith("libvpx"):
        path = tag_alpha(path)
    with open_source(path) as source:
        assert source.info.has_alpha
        frames = list(source)
    assert len(frames) == 5
    for frame in frames:
        assert frame.alpha is not None
        assert frame.alpha.dtype == frame.pixels.dtype
        top = np.iinfo(frame.alpha.dtype).max
        middles = frame.alpha[HEIGHT // 2, WIDTH // 8 :: WIDTH // 4] / top * 255
        assert np.abs(middles - LEVELS).max() <= limit + (0.2 if top > 255 else 0)


def tag_alpha(path: Path) -> Path:
    """Copy the packets into a file whose stream says that it has alpha."""
    tagged = path.with_stem("tagged")
    with av.open(str(path)) as source, av.open(str(tagged), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.metadata["alpha_mode"] = "1"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return tagged


def test_opaque_videos_have_none(make_video: MakeVideo) -> None:
    for name, codec, pixel_format in (("a.mkv", "ffv1", "bgr0"), ("b.webm", "libvpx-vp9", "yuv420p")):
        with open_source(make_video(name, codec=codec, pixel_format=pixel_format)) as source:
            assert not source.info.has_alpha
            assert next(iter(source)).alpha is None


def test_alpha_turns_with_the_picture(make_video: MakeVideo) -> None:
    path = make_video(
        "a.mov",
        codec="png",
        pixel_format="rgba",
        size=(HEIGHT, WIDTH),
        fill=draw,
        rotation=(90, False, False),
    )
    with open_source(path) as source:
        frame = next(iter(source))
    assert frame.alpha is not None
    assert frame.alpha.shape == frame.pixels.shape[:2] == (WIDTH, HEIGHT)
    assert set(frame.alpha[:, 5].tolist()) == set(LEVELS)


def test_frames_of_a_sequence_have_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([np.full((HEIGHT, WIDTH, 3), 90, np.uint8), columns()])
    for number in (1, 2):
        write_image(tmp_path / f"a_{number:04d}.png", rgba)
    with open_source(tmp_path / "a_%04d.png") as source:
        assert source.info.has_alpha
        for frame in source:
            assert frame.alpha is not None
            np.testing.assert_array_equal(frame.alpha, columns())


@pytest.mark.parametrize("choice", ["use", "ignore"])
def test_the_command_line_uses_or_ignores_it(
    make_video: MakeVideo, tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    def show(frame: av.VideoFrame, number: int) -> None:
        draw(frame, number)
        rows = np.frombuffer(frame.planes[0], np.uint8).reshape(HEIGHT, -1)[:, : 4 * WIDTH]
        rows.reshape(HEIGHT, WIDTH, 4)[..., :3] = plate
        rows.reshape(HEIGHT, WIDTH, 4)[:, : WIDTH // 4, :3] = 0  # as cut-outs are: black where transparent

    plate = np.random.default_rng(2).integers(90, 160, (HEIGHT, WIDTH, 3), np.uint8)
    clip = make_video(
        "a.mov", codec="png", pixel_format="rgba", size=(HEIGHT, WIDTH), fill=show, pts=range(2)
    )
    write_image(tmp_path / "plate.png", plate)
    arguments = ["video", str(clip), "--plate", str(tmp_path / "plate.png"), "--save", "alpha", "--no-align"]
    asked = [] if choice == "use" else ["--source-alpha", "ignore"]
    assert main([*arguments, "-o", str(tmp_path / "o_%02d.png"), *asked]) == 0
    alpha = read_image(next(tmp_path.glob("o_*.png"))).pixels[..., 0]
    black = alpha[4:-4, 2 : WIDTH // 4 - 4]
    assert black.max() == 0 if choice == "use" else black.mean() > 200
    said = capsys.readouterr().err
    assert (
        "a.mov has an alpha channel" in said
        if choice == "use"
        else "alpha channel of a.mov is ignored" in said
    )
