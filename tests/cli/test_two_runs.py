"""Two runs on one output, and results over inputs, on the real command line."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import stopped, wait_until

import cleanplate
from cleanplate.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"
COMMAND = [sys.executable, "-m", "cleanplate"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("clip.mp4", "clip_plate.jpg", "photo.jpg", "plate.jpg"):
        shutil.copy(SAMPLES / name, tmp_path / name)
    return tmp_path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_second_run_on_one_output_is_refused(folder, capsys):
    words = [
        "video",
        "clip.mp4",
        "--plate",
        "clip_plate.jpg",
        "-o",
        "cut.mov",
        "--range",
        "0-0.4",
        "--scale",
        "0.2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(cleanplate.__file__).parents[1])}
    first = subprocess.Popen([*COMMAND, *words], env=environment, stderr=subprocess.DEVNULL)
    wait_until((folder / ".cut.mov.lock").exists, "lock", process=first)
    with stopped(first.pid):
        assert main(words) == 2
        told = capsys.readouterr().err
        assert f"is being written by another run: process {first.pid}" in told
        assert main([*words, "--resume"]) == 2
    assert first.wait(600) == 0
    assert (folder / "cut.mov").exists()
    assert not list(folder.glob(".*lock*"))
    assert not list(folder.glob("*.partial*"))


@pytest.mark.parametrize(
    "words",
    [
        ["image", "photo.partial.png", "--plate", "plate.jpg", "-o", "photo.partial.png", "--overwrite"],
        ["image", "photo.jpg", "--plate", "plate.jpg", "-o", "sub/../plate.jpg", "--overwrite"],
        [
            "video",
            "clip.mp4",
            "--plate",
            "clip_plate.jpg",
            "-o",
            "link.mp4",
            "--overwrite",
            "--background",
            "blur",
        ],
        [
            "video",
            "clip.mp4",
            "--plate",
            "clip_plate.jpg",
            "-o",
            "a.mov",
            "--report",
            "clip_plate.jpg",
            "--overwrite",
        ],
        ["video", "clip.mp4", "--plate", "c_0001.png", "-o", "c_%04d.png", "--overwrite"],
    ],
)
def test_inputs_are_never_overwritten(words, folder, capsys):
    (folder / "sub").mkdir()
    (folder / "link.mp4").symlink_to(folder / "clip.mp4")
    for name in ("photo.partial.png", "c_0001.png"):
        (folder / name).write_bytes((folder / "plate.jpg").read_bytes())
    before = {path.name: digest(path) for path in folder.iterdir() if path.is_file()}
    assert main(words) == 2
    assert "overwrite" in capsys.readouterr().err
    assert {path.name: digest(path) for path in folder.iterdir() if path.is_file()} == before


def test_a_photo_with_the_name_of_a_temporary_file_survives(folder):
    shutil.copy(folder / "photo.jpg", folder / "x.partial.png")
    before = digest(folder / "x.partial.png")
    assert main(["image", "x.partial.png", "--plate", "plate.jpg", "-o", "x.png", "--scale", "0.2"]) == 0
    assert digest(folder / "x.partial.png") == before
    assert (folder / "x.png").exists()


def test_a_row_over_the_clip_of_another_is_refused_at_the_start(folder, capsys):
    shutil.copy(folder / "clip.mp4", folder / "b.mp4")
    before = digest(folder / "b.mp4")
    rows = [
        "clip,plate,output,background,overwrite",
        "clip.mp4,clip_plate.jpg,b.mp4,blur,yes",
        "b.mp4,clip_plate.jpg,c.mov,,",
    ]
    (folder / "shots.csv").write_text("\n".join(rows))
    assert main(["video", "shots.csv", "--range", "0-0.1", "--scale", "0.2"]) == 2
    assert "would overwrite an input of row 3" in capsys.readouterr().err
    assert digest(folder / "b.mp4") == before


@pytest.mark.parametrize("text", ['clip,plate\n"a.mp4,p.png\n', "clip,plate\na\0.mp4,p.png\n"])
def test_a_broken_manifest_names_the_row(text, folder, capsys):
    (folder / "shots.csv").write_text(text)
    assert main(["video", "shots.csv"]) == 2
    told = capsys.readouterr().err
    assert "ow 2" in told or "line 2" in told
    assert "Traceback" not in told
