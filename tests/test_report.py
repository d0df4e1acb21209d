"""The report of a run, and the frames that it names."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from cleanplate.errors import OutputError
from cleanplate.frame import Frame, Matte
from cleanplate.keyer import Sureness
from cleanplate.plate import Fit
from cleanplate.report import Recorder

PIXELS = np.zeros((64, 64, 3), np.uint8)


class Pretender:
    """Stands for a keyer; every frame's fate is set beforehand."""

    def __init__(self, confidences, stops=0.0):
        self.confidences = confidences
        self.stops = stops

    def __call__(self, frame):
        stops = self.stops if frame.index >= 8 else 0.0
        self.fit = Fit(np.eye(3), True, 1.5, 0.25, 1.0, np.ones(3), stops, 1.0)
        self.sureness = Sureness(0.2, self.confidences[frame.index])
        return Matte(np.zeros((64, 64), np.float32), frame.pixels, frame)


def frame(index):
    return Frame(PIXELS, pts=index, time_base=Fraction(1, 10), index=index)


def record(path, confidences, **pretence):
    recorder = Recorder(Pretender(confidences, **pretence), path, "clip.mp4")
    for index in range(len(confidences)):
        recorder(frame(index))
    return recorder


def test_every_frame_is_in_it(tmp_path):
    path = tmp_path / "report.json"
    record(path, [0.9] * 5).close()
    report = json.loads(path.read_text())
    assert report["format"] == "cleanplate-report-1"
    assert report["source"] == "clip.mp4"
    assert [entry["index"] for entry in report["frames"]] == [0, 1, 2, 3, 4]
    assert report["frames"][3] == {
        "index": 3, "seconds": 0.3, "shift_pixels": 1.5, "rotation_degrees": 0.25, "zoom": 1.0,
        "exposure_stops": 0.0, "gain": [1.0, 1.0, 1.0], "overlap": 1.0, "changed": 0.2, "confidence": 0.9,
    }  # fmt: skip
    assert report["mean_confidence"] == pytest.approx(0.9)
    assert report["look_at"] == []
    assert list(tmp_path.iterdir()) == [path]


def test_frames_to_look_at_are_runs(tmp_path):
    confidences = [0.9] * 30
    for index in (4, 5, 7, 20):
        confidences[index] = 0.3
    recorder = record(tmp_path / "report.json", confidences)
    recorder.close()
    assert list(recorder.tell()) == [
        "Look at frames 4-7 (0:00.4-0:00.7): the matte is unsure.",
        "Look at frame 20 (0:02.0): the matte is unsure.",
    ]
    listed = json.loads((tmp_path / "report.json").read_text())["look_at"]
    assert listed[0] == {"first": 4, "last": 7, "seconds": [0.4, 0.7], "why": "the matte is unsure"}


def test_a_jump_of_the_light_is_named(tmp_path):
    recorder = record(tmp_path / "report.json", [0.9] * 12, stops=0.5)
    recorder.close()
    assert list(recorder.tell()) == ["Look at frame 8 (0:00.8): the light jumped."]


def test_only_the_longest_runs_are_told(tmp_path):
    recorder = record(tmp_path / "report.json", [0.3 if index % 8 == 0 else 0.9 for index in range(80)])
    recorder.close()
    told = list(recorder.tell())
    assert len(told) == 6
    assert told[-1] == "5 more places to look at are in report.json."


def test_what_was_written_survives_an_abort_under_the_partial_name(tmp_path):
    record(tmp_path / "report.json", [0.9] * 3).abort()
    partial = tmp_path / "report.partial.json"
    assert list(tmp_path.iterdir()) == [partial]
    assert len(json.loads(partial.read_text())["frames"]) == 3


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        Recorder(Pretender([]), path, "clip.mp4")
    assert path.read_text() == "mine"
