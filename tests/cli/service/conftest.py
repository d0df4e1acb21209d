"""Small files for the service, and a server for the tests that change nothing in it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

LIBRARIES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx")
collect_ignore_glob = ["test_*.py"] if any(find_spec(name) is None for name in LIBRARIES) else []

HEIGHT, WIDTH = 72, 128


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A plate, a photo, and clips of a red square in front of the plate: 12, 3000, and 160 slow frames."""
    folder = tmp_path_factory.mktemp("small")
    random = np.random.default_rng(1)
    plate = cv2.resize(
        random.integers(40, 210, (9, 16, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    cv2.imwrite(str(folder / "plate.png"), plate)
    photo = plate.copy()
    photo[20:60, 40:90] = (40, 30, 230)
    cv2.imwrite(str(folder / "photo.png"), photo)
    for name, frames, rate in (("short", 12, 25), ("slow", 160, 2), ("long", 3000, 25)):
        write_clip(folder / f"{name}.mp4", plate, frames, rate)
    return folder


def write_clip(path: Path, plate, frames: int, rate: int) -> None:
    with av.open(str(path), "w") as result:
        stream = result.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            picture = plate.copy()
            left = 5 + number % 70
            picture[20:60, left : left + 40] = (40, 30, 230)
            result.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        result.mux(stream.encode(None))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A server with the two tokens of the tests and small limits."""
    from tests.cli.service.running import run_service

    folder = tmp_path_factory.mktemp("shared")
    limits = (
        "--workers",
        "1",
        "--upload-mb",
        "3",
        "--megapixels",
        "1",
        "--clip-minutes",
        "3",
        "--keep-hours",
        "1",
        "--stored-plates",
        "5",
    )
    with run_service(folder, *limits) as running:
        running.folder = folder / "service"
        yield running


@pytest.fixture(scope="session")
def client(shared):
    """A client with the first token."""
    import httpx
    from tests.cli.service.running import TOKEN

    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=shared.url, headers=headers, timeout=300) as opened:
        yield opened


@pytest.fixture
def other(shared):
    """A client with the second token."""
    import httpx
    from tests.cli.service.running import OTHER_TOKEN

    headers = {"Authorization": f"Bearer {OTHER_TOKEN}"}
    with httpx.Client(base_url=shared.url, headers=headers, timeout=300) as opened:
        yield opened
