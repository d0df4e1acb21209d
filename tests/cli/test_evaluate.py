"""``cleanplate evaluate`` as a user runs it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.cli import main
from cleanplate.evaluation.cases import CaseWriter

SAMPLES = Path(__file__).parents[2] / "samples"

needs_training = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra train")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with two cases, a cut-out in the layout of the data sets, and a background."""
    photo, plate, alpha = (
        cv2.resize(cv2.imread(str(SAMPLES / name)), (480, 270), interpolation=cv2.INTER_AREA)[..., ::-1]
        for name in ("photo.jpg", "plate.jpg", "photo_alpha.png")
    )
    alpha = np.ascontiguousarray(alpha[..., 0])
    with CaseWriter(tmp_path / "cases", {}) as writer:
        for name in ("one", "two"):
            writer.add(name, photo, plate, alpha, photo)
    for folder, picture in (("fgr", photo), ("pha", alpha)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / folder / "a.png"), picture)
    (tmp_path / "rooms").mkdir()
    cv2.imwrite(str(tmp_path / "rooms" / "room.png"), plate)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_a_table(capsys):
    assert main(["evaluate", "--data", "cases", "--against", "keyer"]) == 0
    header, lite, keyer = (line.split() for line in capsys.readouterr().out.splitlines()[:3])
    assert header[:2] == ["MAD", "MSE"]
    assert (lite[0], keyer[0]) == ("lite", "keyer")
    assert 0 < float(lite[1]) < float(keyer[1]) < 100


def test_json_and_a_report(here, capsys):
    arguments = ["evaluate", "--data", "cases", "-n", "1", "--report", "report", "--json"]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((here / "report" / "report.json").read_text())
    assert [case["name"] for case in said["cases"]] == ["one"]
    assert said["setup"]["region"] == "all"
    assert (here / "report" / "worst_lite.png").stat().st_size > 10_000
    assert main(arguments) == 2
    assert "report.json exists" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.usefixtures("here")
def test_scale_and_region_are_applied(capsys):
    figures = set()
    for more in ([], ["--scale", "0.25"], ["--refine", "off"], ["--region", "unknown"]):
        assert main(["evaluate", "--data", "cases", "-n", "1", "--json", *more]) == 0
        figures.add(json.loads(capsys.readouterr().out)["peers"]["lite"]["mean"]["mad"])
    assert len(figures) == 4


@pytest.mark.usefixtures("here")
def test_a_protocol(capsys):
    arguments = [
        "evaluate",
        "--data",
        "set",
        "--protocol",
        "bgmv2",
        "--backgrounds",
        "rooms",
        "--size",
        "320x180",
    ]
    assert main([*arguments, "-n", "2", "--model", "keyer"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header == ["SAD", "MSE", "Grad", "Conn", "F", "MSE"]


def test_an_interrupted_evaluation_reports_finished_cases(here, capsys, monkeypatch):
    from cleanplate.evaluation import evaluate_cases as run

    score = run.score_frame
    calls = []

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(run, "score_frame", interrupt)
    assert main(["evaluate", "--data", "cases", "--model", "keyer", "--report", "report"]) == 130
    said = capsys.readouterr()
    assert "first 1 case" in said.err
    assert "means over 1 case;" in said.out
    assert list((here / "report").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--data", "gone"], "gone"),
        (["--data", "set"], "source"),
        (["--data", "cases", "-n", "0"], "-n is 0"),
        (["--data", "cases", "--model", "nosuch"], "nosuch"),
        (["--data", "cases", "--against", "lite"], "'lite' is compared with itself"),
        (["--data", "cases", "--scale", "9"], "9"),
        (["--data", "cases", "--size", "640x360"], "--size"),
        (["--data", "cases", "--report", "cases/cases.json/report"], "cases.json/report cannot be made"),
        (["--data", "set", "--protocol", "bgmv2"], "--backgrounds"),
        (["--data", "set", "--protocol", "bgmv2", "--backgrounds", "rooms", "--size", "big"], "big"),
        (["--data", "set", "--protocol", "bgmv2", "--backgrounds", "rooms", "--sweep", "noise"], "--sweep"),
        pytest.param(["--data", "set", "--sweep", "weather"], "weather", marks=needs_training),
        pytest.param(["--data", "set", "--sweep", "noise"], "ten are needed", marks=needs_training),
    ],
)
def test_wrong_options_are_refused(here, capsys, arguments, named):
    before = sorted(here.rglob("*"))
    assert main(["evaluate", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert named in said.err
    assert sorted(here.rglob("*")) == before
