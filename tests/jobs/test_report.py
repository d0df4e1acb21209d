"""The report of a run, and its frames to check."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from cleanplate.errors import OutputError
from cleanplate.frame import Frame, Matte
from cleanplate.jobs.report import ReportWriter
from cleanplate.keyer.keyer import Confidence
from cleanplate.plate import Fit

PIXELS = np.zeros((64, 64, 3), np.uint8)


class Pretender:
    """Fake keyer with preset fit and confidence of each frame."""

    device_router = None

    def __init__(self, confidences, stops=0.0, alphas=None):
        self.confidences = confidences
        self.stops = stops
        self.alphas = alphas

    def __call__(self, frame):
        stops = self.stops if frame.index >= 8 else 0.0
        self.fit = Fit(np.eye(3), True, 1.5, 0.25, 1.0, np.ones(3), stops, 1.0)
        self.confidence = Confidence(0.2, self.confidences[frame.index])
        alpha = np.zeros((64, 64), np.float32) if self.alphas is None else self.alphas[frame.index]
        return Matte(alpha, frame.pixels, frame)


def frame(index):
    return Frame(PIXELS, pts=index, time_base=Fraction(1, 10), index=index)


def record(path, confidences, **pretence):
    keyer = Pretender(confidences, **pretence)
    recorder = ReportWriter(keyer, path, "clip.mp4")
    for index in range(len(confidences)):
        recorder.add(keyer(frame(index)))
    return recorder


def test_the_report_has_every_frame(tmp_path):
    path = tmp_path / "report.json"
    record(path, [0.9] * 5).close()
    report = json.loads(path.read_text())
    assert report["format"] == "cleanplate-report-1"
    assert report["source"] == "clip.mp4"
    assert [entry["index"] for entry in report["frames"]] == [0, 1, 2, 3, 4]
    assert report["frames"][3] == {
        "index": 3, "seconds": 0.3, "shift_pixels": 1.5, "rotation_degrees": 0.25, "zoom": 1.0,
        "exposure_stops": 0.0, "gain": [1.0, 1.0, 1.0], "overlap": 1.0, "changed": 0.2, "confidence": 0.9,
        "hole_share": 0.0,
    }  # fmt: skip
    assert report["mean_confidence"] == pytest.approx(0.9)
    assert report["look_at"] == []
    assert list(tmp_path.iterdir()) == [path]


def test_frames_to_check_are_grouped_into_spans(tmp_path):
    confidences = [0.9] * 30
    for index in (4, 5, 7, 20):
        confidences[index] = 0.3
    recorder = record(tmp_path / "report.json", confidences)
    recorder.close()
    assert list(recorder.tell()) == [
        "Check frames 4-7 (0:00.4-0:00.7): the matte has a low confidence.",
        "Check frame 20 (0:02.0): the matte has a low confidence.",
    ]
    listed = json.loads((tmp_path / "report.json").read_text())["look_at"]
    assert listed[0] == {
        "first": 4,
        "last": 7,
        "seconds": [0.4, 0.7],
        "why": "the matte has a low confidence",
    }


def test_a_jump_of_the_light_is_named(tmp_path):
    recorder = record(tmp_path / "report.json", [0.9] * 12, stops=0.5)
    recorder.close()
    assert list(recorder.tell()) == ["Check frame 8 (0:00.8): the light changed suddenly."]


def test_only_the_longest_spans_are_listed(tmp_path):
    recorder = record(tmp_path / "report.json", [0.3 if index % 8 == 0 else 0.9 for index in range(80)])
    recorder.close()
    told = list(recorder.tell())
    assert len(told) == 6
    assert told[-1] == "5 more places to check are listed in report.json."


def test_an_abort_keeps_the_report_under_its_partial_name(tmp_path):
    record(tmp_path / "report.json", [0.9] * 3).abort()
    partial = tmp_path / "report.partial.json"
    assert list(tmp_path.iterdir()) == [partial]
    assert len(json.loads(partial.read_text())["frames"]) == 3


def test_an_existing_report_is_not_overwritten(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        ReportWriter(Pretender([]), path, "clip.mp4")
    assert path.read_text() == "mine"


def figure(hole=False, arm=0, shift=0):
    """Make alpha of a body and an arm; the gap between them is ``arm`` pixels wide."""
    alpha = np.zeros((64, 64), np.float32)
    alpha[10:60, 20 + shift : 40 + shift] = 1
    if arm:
        alpha[20:24, 40 + shift : 44 + arm + shift] = 1
        alpha[20:44, 40 + arm + shift : 44 + arm + shift] = 1
        alpha[40:44, 40 + shift : 44 + arm + shift] = 1
    if hole:
        alpha[30:38, 26 + shift : 34 + shift] = 0
    return alpha


def test_a_hole_that_opens_in_a_solid_subject_is_named_with_its_area(tmp_path):
    alphas = [figure(hole=12 <= index < 15, shift=index // 4) for index in range(20)]
    recorder = record(tmp_path / "report.json", [0.9] * 20, alphas=alphas)
    recorder.close()
    assert list(recorder.tell()) == ["Check frames 12-14 (0:01.2-0:01.4): a hole opened inside the subject."]
    shares = [one["hole_share"] for one in json.loads((tmp_path / "report.json").read_text())["frames"]]
    assert shares[12:15] == pytest.approx([64 / 1000] * 3, abs=0.005)
    assert max(shares[:12] + shares[15:]) == 0


def test_the_gap_between_an_arm_and_the_body_is_no_hole(tmp_path):
    alphas = [figure(arm=8 if index >= 10 else 0) for index in range(20)]
    recorder = record(tmp_path / "report.json", [0.9] * 20, alphas=alphas)
    recorder.close()
    assert list(recorder.tell()) == []


def test_a_hole_is_remembered_after_resuming(tmp_path):
    alphas = [figure(hole=index >= 12) for index in range(20)]
    first = record(tmp_path / "report.json", [0.9] * 12, alphas=alphas)
    snapshot = first.snapshot()
    first.abort()
    report = tmp_path / "report.json"
    keyer = Pretender([0.9] * 20, alphas=alphas)
    again = ReportWriter(keyer, report, "clip.mp4", partial=first.partial)
    again.restore(snapshot)
    again.add(keyer(frame(12)))
    again.close()
    assert [run.why for run in again.look_at] == ["a hole opened inside the subject"]
