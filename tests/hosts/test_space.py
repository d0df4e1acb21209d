"""The Space on this machine, asked through its API: ``make test-hosts SPACE_PYTHON=python``.

``SPACE_PYTHON`` is a Python with cleanplate and Gradio; without it, this one if it has Gradio.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.waiting import wait_until

import cleanplate
from cleanplate.compositing import Finish
from cleanplate.media import open_source, read_image, write_image

PYTHON = os.environ.get("SPACE_PYTHON") or (sys.executable if find_spec("gradio") else "")
ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(not PYTHON, reason="SPACE_PYTHON names no Python with Gradio"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("space")
    port = str(17860 + os.getpid() % 1000)
    environment = {**os.environ, "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": port}
    environment |= {
        "CLEANPLATE_SECONDS": "0.3",
        "GRADIO_ANALYTICS_ENABLED": "0",
        "GRADIO_TEMP_DIR": str(folder),
    }
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [PYTHON, ROOT / "integrations/space/app.py"], env=environment, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: _answers(port), "the page's answer", seconds=120, process=process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=10) as answer:
            return bool(json.load(answer)["title"] == "cleanplate")
    except OSError:
        return False


def ask(address: str, name: str, *data: Any) -> Any:
    """Call a function of the page with files, texts and numbers; its results, or its error."""
    sent = [_upload(address, each) if isinstance(each, Path) else each for each in data]
    asked = httpx.post(f"{address}/gradio_api/call/{name}", json={"data": sent}, timeout=60)
    event = asked.json()["event_id"]
    text = httpx.get(f"{address}/gradio_api/call/{name}/{event}", timeout=120).text
    found = re.findall(r"event: (complete|error)\ndata: (.*)", text)
    assert found, text
    return found[-1][0], json.loads(found[-1][1])


def _upload(address: str, path: Path) -> dict[str, Any]:
    files = {"files": (path.name, path.read_bytes())}
    kept = httpx.post(f"{address}/gradio_api/upload", files=files, timeout=60).json()[0]
    return {"path": kept, "meta": {"_type": "gradio.FileData"}}


def test_a_photo_is_keyed_as_by_the_command_line(address: str) -> None:
    state, result = ask(address, "key_photo", SAMPLES / "photo.jpg", SAMPLES / "plate.jpg", 0.5, "#00b140")
    assert state == "complete", result
    cut, over, report = result
    finish = Finish(despill=0.5)
    expected = cleanplate.matte_image(SAMPLES / "photo.jpg", plate=SAMPLES / "plate.jpg", finish=finish)
    picture = read_image(cut["path"])
    np.testing.assert_array_equal(np.dstack([picture.pixels, picture.alpha]), expected.rgba())
    np.testing.assert_array_equal(read_image(over["path"]).pixels, expected.composite("#00b140"))
    assert report.startswith("**The plate is usable.**")


def test_a_clip_is_keyed_up_to_the_limit_of_seconds(address: str) -> None:
    clip = SAMPLES / "clip.mp4"
    state, result = ask(
        address,
        "key_clip",
        clip,
        SAMPLES / "clip_plate.jpg",
        False,
        "over a colour (MP4)",
        "rgba(254.7, 0, 0.2, 1)",
    )
    assert state == "complete", result
    with open_source(result[0]["path"]) as source:
        frames = list(source)
    assert len(frames) == 8
    assert np.abs(frames[0].pixels[2, 2].astype(int) - (255, 0, 0)).max() < 12


def test_a_missing_plate_is_one_sentence(address: str) -> None:
    state, result = ask(address, "key_photo", SAMPLES / "photo.jpg", None, 0.5, "#00b140")
    assert state == "error"
    assert result["error"] == "Add the plate."


def test_a_plate_of_another_shape_is_the_sentence_of_cleanplate(address: str, tmp_path: Path) -> None:
    write_image(tmp_path / "tall.png", np.zeros((200, 40, 3), np.uint8))
    state, result = ask(address, "key_photo", SAMPLES / "photo.jpg", tmp_path / "tall.png", 0.5, "#00b140")
    assert state == "error"
    assert "another aspect ratio" in result["error"]
