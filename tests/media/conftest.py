"""Small clips made by PyAV itself, so that sources are not tested with our own sinks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.system.scheduling import ordinary_scheduling


def smooth_picture(height: int, width: int, phase: float = 0.0, dtype: type = np.uint8) -> npt.NDArray[Any]:
    """Gradients of RGB over the full range, different in every channel and along every axis."""
    y, x = np.mgrid[0:height, 0:width]
    red = x / max(1, width - 1)
    green = y / max(1, height - 1)
    blue = 0.5 + 0.5 * np.sin(2 * np.pi * (red + green) / 2 + phase)
    top = np.iinfo(dtype).max
    return np.rint(np.stack([red, green, blue], -1) * top).astype(dtype)


MakeVideo = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Write a clip of ``frames`` (planes of the pixel format, or RGB arrays) and give its path."""

    def make(
        name: str,
        *,
        codec: str = "ffv1",
        pixel_format: str = "bgr0",
        size: tuple[int, int] = (48, 64),
        pts: Sequence[int] = range(5),
        time_base: Fraction = Fraction(1, 25),
        rate: Fraction = Fraction(25),
        rotation: tuple[int, bool, bool] | None = None,
        colour: tuple[int, int, int, int] = (0, 2, 2, 2),
        pixel_aspect: Fraction | None = None,
        options: dict[str, str] | None = None,
        audio_codec: str | None = None,
        audio_start: int = 0,
        fill: Callable[[av.VideoFrame, int], None] | None = None,
        picture: Callable[[int], npt.NDArray[Any]] | None = None,
    ) -> Path:
        path = tmp_path / name
        height, width = size
        # SVT-AV1 would take real-time priority, and leave it to the tests after this one.
        with ordinary_scheduling(), av.open(str(path), "w") as output:
            stream: Any = output.add_stream(codec, rate=rate, options=options or {})
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            context = stream.codec_context
            context.time_base = time_base
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = colour
            if pixel_aspect:
                context.sample_aspect_ratio = pixel_aspect
            if rotation:
                stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
            sound: Any = None
            if audio_codec:
                sound = output.add_stream(audio_codec, rate=48000)
                sound.layout = "stereo"
            for i, stamp in enumerate(pts):
                if fill:
                    frame = av.VideoFrame(width, height, pixel_format)
                    fill(frame, i)
                else:
                    rgb = picture(i) if picture else smooth_picture(height, width, i / 3)
                    kind = "rgb24" if rgb.dtype == np.uint8 else "rgb48le"
                    frame = av.VideoFrame.from_ndarray(rgb, format=kind).reformat(format=pixel_format)
                frame.color_range, frame.colorspace = colour[0], colour[1]
                frame.color_primaries, frame.color_trc = colour[2], colour[3]
                frame.pts, frame.time_base = stamp, time_base
                output.mux(stream.encode(frame))
            if sound is not None:
                seconds = float((pts[-1] - pts[0] + 1) * time_base)
                for start in range(int(seconds * 48000) // 1024):
                    tone = np.sin((np.arange(1024) + 1024 * start) * 2 * np.pi * 440 / 48000) * 0.5
                    chunk = av.AudioFrame.from_ndarray(
                        np.tile(tone.astype(np.float32), (2, 1)), format="fltp", layout="stereo"
                    )
                    chunk.sample_rate, chunk.pts = 48000, audio_start + 1024 * start
                    chunk.time_base = Fraction(1, 48000)
                    output.mux(sound.encode(chunk))
                output.mux(sound.encode(None))
            output.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that may be looked into and not written to, with a file that may not be read.

    Root gives its privilege up for the while.
    """
    if os.name != "posix":
        pytest.skip("needs POSIX permissions")
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "locked"
        folder.mkdir()
        (folder / "secret.png").write_text("secret")
        (folder / "secret.png").chmod(0)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.fixture
def small_files() -> Callable[[int], AbstractContextManager[None]]:
    """Let files grow to so many bytes and no further: a full disk without mounting one.

    Only as long as needed: pytest's own output may go to a file that is larger already.
    """
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def picture() -> Callable[..., npt.NDArray[Any]]:
    return smooth_picture
