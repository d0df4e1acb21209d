"""Foreign files beside results, results over inputs, results locked by another run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.cli import main
from cleanplate.media.locks import lock_outputs

SIZE = (160, 96)
COUNT = 6


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A small set, a photo and a clip of a ball in it."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(1).integers(30, 220, (24, 40, 3), np.uint8)
    plate = cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)
    pictures = [cv2.circle(plate.copy(), (40 + 8 * n, 50), 20, (30, 60, 230), -1) for n in range(COUNT)]
    cv2.imwrite("plate.png", plate)
    cv2.imwrite("photo.png", pictures[3])
    with av.open("clip.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return tmp_path


@pytest.mark.parametrize(
    ("command", "result", "stranger"),
    [
        (("image", "photo.png"), "z.exr", "z.partial.exr"),
        (("image", "photo.png"), "z.tif", "z.partial.tif"),
        (("video", "clip.mkv"), "take.mov", "take.partial.mov"),
        (("video", "clip.mkv"), "s_%04d.png", "s_0003.partial.png"),
    ],
)
@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.usefixtures("here")
def test_foreign_files_with_temporary_names_are_unchanged(command, result, stranger, is_link):
    if result.endswith(".exr"):
        pytest.importorskip("OpenEXR")
    Path("precious").write_text("mine")
    if is_link:
        Path(stranger).symlink_to("precious")
    else:
        Path(stranger).write_text("mine")
    assert main([*command, "--plate", "plate.png", "-o", result]) == 0
    assert Path(stranger).read_text() == Path("precious").read_text() == "mine"
    assert Path(stranger).is_symlink() == is_link
    left = {path.name for path in Path().iterdir() if "partial" in path.name}
    assert left == {stranger}
    assert len(list(Path().glob(result.replace("%04d", "0*[0-9]")))) == (COUNT if "%" in result else 1)


@pytest.mark.usefixtures("here")
def test_a_foreign_file_in_place_of_the_work_folder_is_unchanged(capsys):
    Path("take.mov.partial").write_text("mine")
    assert main(["video", "clip.mkv", "--plate", "plate.png", "-o", "take.mov"]) == 2
    assert "take.mov.partial is needed as a folder, but it is a link or a file." in capsys.readouterr().err
    assert Path("take.mov.partial").read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "hard.png"),
        ("-o", "a.mp4", "--background", "bg.png", "--report", "bg.png"),
        ("-o", "a.mov", "--keep", "bg.png", "--report", "./bg.png"),
        ("-o", "a.mov", "--ignore", "bg.png", "--report", "bg.png"),
        ("-o", "a.mov", "--report", "plate.png"),
    ],
)
@pytest.mark.usefixtures("here")
def test_reports_and_hard_links_are_guarded_as_results(options, capsys):
    cv2.imwrite("bg.png", np.full((*SIZE[::-1], 3), 90, np.uint8))
    os.link("plate.png", "hard.png")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    command = "image" if options[1] == "hard.png" else "video"
    source = "photo.png" if command == "image" else "clip.mkv"
    assert main([command, source, "--plate", "plate.png", *options, "--overwrite"]) == 2
    assert f"{Path(options[-1]).name} would overwrite its own source." in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


HOLDER = """
import sys
from pathlib import Path
from cleanplate.media.locks import lock_outputs
with lock_outputs([Path(name) for name in sys.argv[1:]]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(here):
    """Another process that holds results of each kind."""
    results = ["built.png", "s_%04d.png", "out/photo.png", "photo.exr", "report.json", "one.mov"]
    (here / "out").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(cleanplate.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, *results],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_results_of_every_kind_are_refused_while_another_run_writes_them(here, holder, capsys):
    keyed = ["--plate", "plate.png", "--overwrite", "-o"]
    commands = {
        "built.png": ["plate", "build", "clip.mkv", "-o", "built.png"],
        "s_%04d.png": ["video", "clip.mkv", *keyed, "s_%04d.png"],
        "photo.png": ["image", "photo.png", *keyed, "out/photo.png"],
        "photo.exr": ["image", "photo.png", *keyed, "photo.exr"],
        "report.json": ["video", "clip.mkv", *keyed, "b.mov", "--report", "report.json"],
        "one.mov": ["video", "shots.csv"],
    }
    (here / "shots.csv").write_text(
        "clip,plate,output\nclip.mkv,plate.png,two.mov\nclip.mkv,plate.png,one.mov\n"
    )
    before = {path.name for path in here.iterdir()}
    for name, command in commands.items():
        assert main(command) == 2, name
        assert f"{name} is being written by another run: process {holder.pid}" in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == before
    holder.kill()
    holder.wait()
    with lock_outputs([here / name for name in ("built.png", "one.mov")]):  # taken over from an ended process
        pass
