"""The nodes in the real ComfyUI, on the CPU: ``make test-hosts COMFYUI=folder COMFYUI_PYTHON=python``.

``COMFYUI`` is a checkout of ComfyUI, ``COMFYUI_PYTHON`` a Python with its requirements and cleanplate.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tests.integrations.comfyui_prompt import FOLDER, read_prompt
from tests.waiting import wait_until

import cleanplate
from cleanplate.media import read_image

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(not os.environ.get("COMFYUI"), reason="COMFYUI names no checkout of ComfyUI"),
    pytest.mark.timeout(900),
]

SAMPLES = Path(__file__).parents[2] / "samples"
RECORDED = Path(__file__).parents[1] / "integrations" / "comfyui_object_info.json"
FRAMES, WIDTH, HEIGHT = 6, 320, 180


class Server:
    """A ComfyUI that runs in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        python, code = os.environ.get("COMFYUI_PYTHON") or "python", Path(os.environ["COMFYUI"])
        command = [python, code / "main.py", "--cpu", "--listen", "127.0.0.1", "--port", self.port]
        command += ["--disable-api-nodes", "--disable-auto-launch", "--base-directory", folder]
        self.log = (folder / "log.txt").open("w+")
        self.process = subprocess.Popen(
            [str(part) for part in command], cwd=code, stdout=self.log, stderr=subprocess.STDOUT
        )

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=60) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log.txt").read_text()[-3000:]
        try:
            self.ask("/system_stats")
        except OSError:
            return False
        return True

    def run(self, prompt: dict[str, Any], *, interrupt: bool = False) -> dict[str, Any]:
        """Run a prompt to its end, or interrupt it, and return its entry of the history."""
        number = self.ask("/prompt", {"prompt": prompt})["prompt_id"]
        if interrupt:
            wait_until(lambda: self.ask("/queue")["queue_running"], "the start of the workflow")
            time.sleep(3)  # in the midst of keying
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/interrupt", b"", timeout=10).close()
        wait_until(lambda: number in self.ask(f"/history/{number}"), "the end of the workflow", seconds=300)
        return self.ask(f"/history/{number}")[number]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("comfyui")
    for name in ("custom_nodes", "input", "output", "temp", "user", "models"):
        (folder / name).mkdir()
    shutil.copytree(FOLDER, folder / "custom_nodes" / "cleanplate")
    for name in ("photo.jpg", "plate.jpg", "clip_plate.jpg"):
        shutil.copy(SAMPLES / name, folder / "input")
    _shorten(SAMPLES / "clip.mp4", folder / "input" / "clip.mp4")
    started = Server(folder)
    try:
        wait_until(started.answers, "ComfyUI's answer", seconds=180)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(30)
        started.log.close()


def _shorten(source: Path, target: Path) -> None:
    with av.open(str(source)) as clip, av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        every_tenth = itertools.islice(clip.decode(video=0), 0, FRAMES * 10, 10)
        for number, frame in enumerate(every_tenth):
            picture = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())


def _our_nodes(server: Server) -> dict[str, Any]:
    found = server.ask("/object_info")
    return {name: info for name, info in found.items() if name.startswith("Cleanplate")}


def test_comfyui_describes_the_nodes_as_recorded(server: Server) -> None:
    found = _our_nodes(server)
    for info in found.values():
        del info["python_module"]
    found["CleanplateLoadPlate"]["input"]["required"]["file"][1]["options"] = []
    if "RECORD" in os.environ:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(RECORDED.read_text())


def test_the_photo_workflow_gives_the_cutout_of_the_command_line(server: Server) -> None:
    entry = server.run(read_prompt("key_photo.json", server.ask("/object_info")))
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert any("The plate is usable" in str(each) for each in entry["outputs"].values())
    cutout = read_image(server.folder / "output/cleanplate/cutout_00001_.png")
    expected = cleanplate.matte_image(SAMPLES / "photo.jpg", plate=SAMPLES / "plate.jpg", scale="fine").alpha
    difference = np.abs(cutout.alpha / 255.0 - expected)
    assert difference.max() < 0.01, "rounded to 8 bits"
    assert read_image(server.folder / "output/cleanplate/composite_00001_.png").pixels[5, 5].tolist() == [
        0,
        177,
        64,
    ]


def test_the_clip_workflow_keeps_order_number_and_rate_of_the_frames(server: Server) -> None:
    entry = server.run(read_prompt("key_clip.json", server.ask("/object_info")))
    assert entry["status"]["status_str"] == "success", entry["status"]
    with av.open(str(next((server.folder / "output/cleanplate").glob("clip_*.mp4")))) as result:
        assert result.streams.video[0].average_rate == 25
        frames = [frame.to_ndarray(format="rgb24") for frame in result.decode(video=0)]
    assert len(frames) == FRAMES
    with av.open(str(server.folder / "input/clip.mp4")) as clip:
        sources = [frame.to_ndarray(format="rgb24").astype(int) for frame in clip.decode(video=0)]
    green = np.abs(frames[0].astype(int) - (0, 177, 64)).max(axis=2) < 25
    assert 0.3 < green.mean() < 0.95
    for number, frame in enumerate(frames):  # the subject moves: each frame is nearest to its own source
        solid = np.abs(frame.astype(int) - (0, 177, 64)).max(axis=2) > 60
        nearest = [np.abs(frame - source)[solid].mean() for source in sources]
        assert int(np.argmin(nearest)) == number


def test_a_cancelled_clip_ends_between_two_frames(server: Server) -> None:
    shutil.copy(SAMPLES / "clip.mp4", server.folder / "input" / "whole.mp4")
    prompt = read_prompt("key_clip.json", server.ask("/object_info"))
    for node in prompt.values():
        if node["class_type"] == "LoadVideo":
            node["inputs"]["file"] = "whole.mp4"
        if node["class_type"] == "CleanplateKeyImages":
            node["inputs"]["scale"] = "1"
    entry = server.run(prompt, interrupt=True)
    kinds = dict(entry["status"]["messages"])
    assert kinds["execution_interrupted"]["node_type"] == "CleanplateKeyImages"


def test_a_wrong_value_ends_a_workflow_with_the_sentence_of_cleanplate(server: Server) -> None:
    prompt = read_prompt("key_photo.json", server.ask("/object_info"))
    for node in prompt.values():
        if node["class_type"] == "CleanplateKeyImages":
            node["inputs"]["refine"] = "some"
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "error"
    message = next(each[1] for each in entry["status"]["messages"] if each[0] == "execution_error")
    assert message["node_type"] == "CleanplateKeyImages"
    assert "'some'" in message["exception_message"]
