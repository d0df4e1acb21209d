"""``cleanplate synthesize`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from cleanplate.cli import main
from cleanplate.cli.commands.synthesize import parse_faults
from cleanplate.errors import OptionError
from cleanplate.evaluation.cases import read_cases
from cleanplate.training.synthesis.synthesis import MEDIUM, Faults


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with cut-outs and rooms, ten of each, so that one of each is held out."""
    rng = np.random.default_rng(4)
    for folder in ("cutouts", "rooms"):
        (tmp_path / folder).mkdir()
    for number in range(10):
        cutout = np.zeros((120, 90, 4), np.uint8)
        cutout[..., :3] = rng.integers(0, 256, 3)
        cv2.circle(cutout, (45, 60), 30, (*rng.integers(0, 256, 3).tolist(), 255), -1)
        cv2.imwrite(str(tmp_path / "cutouts" / f"{number}.png"), cutout)
        room = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (160, 120))
        cv2.imwrite(str(tmp_path / "rooms" / f"{number}.png"), room)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def synthesize(*more: str) -> int:
    return main(["synthesize", "--data", "rgba=cutouts", "--backgrounds", "rooms", "--size", "96x64", *more])


def pixels(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


def test_equal_options_give_equal_cases(here, capsys):
    assert synthesize("-n", "3", "-o", "a") == 0
    assert synthesize("-n", "3", "-o", "b") == 0
    assert synthesize("-n", "2", "-o", "c") == 0
    assert synthesize("-n", "2", "-o", "d", "--seed", "1") == 0
    assert "3 cases in a" in capsys.readouterr().err
    first, again, fewer, other = (pixels(here / name) for name in "abcd")
    assert len(first) == 12
    assert first == again
    assert fewer == {name: data for name, data in first.items() if "0002" not in name}
    assert fewer != other
    index = json.loads((here / "a" / "cases.json").read_text())
    assert index["made_by"]["faults"]["coverage"] == 0
    assert {case["kind"] for case in index["cases"]} <= {"figure", "object", "shape", "nothing"}


def test_cases_match_their_description(here):
    assert synthesize("-n", "4", "-o", "cases", "--faults", "none") == 0
    for case in read_cases(here / "cases"):
        plate, frames = case.read()
        frame = next(frames)
        assert frame.source.shape == plate.shape == (64, 96, 3)
        empty = frame.alpha == 0
        assert np.abs(frame.source[empty].astype(int) - plate[empty]).max(initial=0) <= 1
        solid = frame.alpha == 1
        assert np.abs(frame.source[solid].astype(int) - frame.foreground[solid]).max(initial=0) <= 1


def test_clips_have_one_plate_and_are_scored_with_flicker(here, capsys):
    assert synthesize("-n", "2", "--frames", "3", "-o", "a") == 0
    assert synthesize("-n", "1", "--frames", "3", "-o", "b") == 0
    first = {name: data for name, data in pixels(here / "a").items() if "/0001" not in name}
    assert pixels(here / "b") == first
    for clip in read_cases(here / "a"):
        assert (clip.is_clip, len(clip.source), len(clip.alpha)) == (True, 3, 3)
    index = json.loads((here / "a" / "cases.json").read_text())
    assert index["made_by"]["frames"] == 3
    capsys.readouterr()
    assert main(["evaluate", "--data", "a", "--model", "lite", "--json", "--quiet"]) == 0
    scores = json.loads(capsys.readouterr().out)["peers"]["lite"]["mean"]
    assert all(scores[name] is not None for name in ("mad", "edge", "leak", "dtssd"))
    # No frame of a longer clip, and no clip, is left under a case that replaces it.
    assert synthesize("-n", "1", "--frames", "2", "-o", "b", "--overwrite") == 0
    (shorter,) = read_cases(here / "b")
    assert len(shorter.source) == 2
    assert synthesize("-n", "1", "-o", "b", "--overwrite") == 0
    (still,) = read_cases(here / "b")
    assert not still.is_clip


def test_faults_are_presets_and_strengths():
    assert parse_faults(["medium"]) == parse_faults([]) == MEDIUM
    assert parse_faults(["none", "noise=2.5"]) == Faults.all_at(0).with_strength("noise", 2.5)
    assert parse_faults(["all"]) == Faults()
    for wrong in ("nois=1", "noise", "noise=much", "noise=-1", "noise=nan", "noise=11", "="):
        with pytest.raises(OptionError):
            parse_faults([wrong])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-n", "0"], "-n is 0"),
        (["--frames", "1"], "--frames is 1"),
        (["--seed", "-1"], "--seed is -1"),
        (["--size", "big"], "big"),
        (["--faults", "fog"], "fog"),
    ],
)
def test_mistakes_end_with_exit_code_2(here, capsys, options, said):
    assert synthesize("-o", "cases", *options) == 2
    assert said in capsys.readouterr().err
    assert not (here / "cases").exists()


def test_cases_are_not_overwritten_unless_asked(here, capsys):
    assert synthesize("-n", "1", "-o", "cases") == 0
    before = pixels(here / "cases")
    assert synthesize("-n", "1", "-o", "cases", "--seed", "5") == 2
    assert "has cases already" in capsys.readouterr().err
    assert pixels(here / "cases") == before
    assert synthesize("-n", "1", "-o", "cases", "--seed", "5", "--overwrite") == 0
    assert pixels(here / "cases") != before


def test_an_error_names_missing_material(tmp_path, capsys):
    cases = tmp_path / "cases"
    assert main(["synthesize", "--data", str(tmp_path / "nothing"), "-o", str(cases)]) == 2
    assert "nothing" in capsys.readouterr().err
    assert not cases.exists()
