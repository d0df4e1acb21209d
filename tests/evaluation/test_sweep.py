from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from cleanplate.errors import InputError, OptionError
from cleanplate.evaluation.evaluate_cases import open_peer
from cleanplate.evaluation.evaluation_report import Tally
from cleanplate.evaluation.fault_sweep import (
    chart_of,
    draw_cases,
    draw_sweep_table,
    list_faults,
    sweep,
    sweep_to_json,
)
from cleanplate.training.synthesis.material import load_material
from cleanplate.training.synthesis.synthesis import Faults

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "train"


@pytest.fixture(scope="module")
def material():
    if not DATA.is_dir():
        pytest.skip("the training material is not part of the repository")
    return load_material(DATA, "validation", shapes=2, limit=30)


def test_the_same_scene_at_each_strength(material):
    weak, again, strong = (
        [case.read() for case in draw_cases(material, Faults(noise=noise, coverage=0), 2, (72, 128), seed=5)]
        for noise in (0.5, 0.5, 4)
    )
    for (plate, frames), (same_plate, same_frames), (noisy_plate, noisy_frames) in zip(
        weak, again, strong, strict=True
    ):
        first, second, noisy = (next(iter(x)) for x in (frames, same_frames, noisy_frames))
        assert np.array_equal(plate, same_plate)
        assert np.array_equal(first.source, second.source)
        assert np.array_equal(first.alpha, noisy.alpha)
        assert not np.array_equal(plate, noisy_plate)


@pytest.mark.slow
def test_faults_cost_quality(material, monkeypatch):
    monkeypatch.setattr("cleanplate.training.synthesis.material.load_material", lambda *_, **__: material)
    steps = []
    found = sweep(
        DATA,
        ["exposure"],
        [open_peer("keyer")],
        count=3,
        size=(180, 320),
        strengths=(0.0, 4.0),
        on_case=lambda: steps.append(1),
    )
    assert len(steps) == 6
    clean, spoiled = (tally.means("keyer")["mad"] for _, tally in found["exposure"])
    assert spoiled > 1.5 * clean
    report = sweep_to_json(found, {})
    assert [step["strength"] for step in report["sweep"]["exposure"]] == [0.0, 4.0]
    assert f"{1000 * clean:.2f}" in draw_sweep_table(found)
    assert chart_of("exposure", found["exposure"]).startswith("<svg")


def test_the_faults_of_a_sweep(tmp_path):
    assert {"exposure", "shift", "noise"} <= set(list_faults())
    assert "coverage" not in list_faults()
    with pytest.raises(OptionError, match="coverage"):
        sweep(tmp_path, ["coverage"], [], count=1, size=(64, 64))
    with pytest.raises(InputError, match="laid out"):
        sweep(tmp_path, ["noise"], [], count=1, size=(64, 64))


def test_an_empty_tally_is_nan():
    assert np.isnan(Tally(["a"]).means("a")["mad"])
