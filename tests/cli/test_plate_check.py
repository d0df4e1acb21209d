"""``cleanplate plate check`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"


def test_a_clip_with_its_plate(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["plate", "check", str(SAMPLES / "clip.mp4"), "--plate", str(SAMPLES / "clip_plate.jpg")]) == 0
    )
    said = capsys.readouterr().out
    assert said.startswith("Usable")
    assert "found in" in said
    assert "Nobody is in the plate." in said


def test_the_diagnosis_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "plate",
        "check",
        str(SAMPLES / "photo.jpg"),
        "--plate",
        str(SAMPLES / "plate.jpg"),
        "--json",
    ]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["usable"] is True
    shift = next(one for one in told["findings"] if one["topic"] == "motion")["figures"]["shift_pixels"]
    assert 1.5 < shift < 2.5


def test_a_bad_plate_ends_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plate = cv2.imread(str(SAMPLES / "plate.jpg"))
    cv2.imwrite(str(tmp_path / "mirrored.png"), np.ascontiguousarray(plate[:, ::-1]))
    arguments = ["plate", "check", str(SAMPLES / "photo.jpg"), "--plate", str(tmp_path / "mirrored.png")]
    assert main(arguments) == 1
    assert "mirrored" in capsys.readouterr().out


def test_an_error_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plate", "check", "nowhere.mp4", "--plate", str(SAMPLES / "plate.jpg")]) == 2
    assert "nowhere.mp4" in capsys.readouterr().err


def test_a_plate_clip_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plate", "check", str(SAMPLES / "clip.mp4"), "--plate", str(SAMPLES / "clip.mp4")]) in (0, 1)
    assert "the median of" in capsys.readouterr().err
