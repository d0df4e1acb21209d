"""The loop with a recurrent network: learning, exact resuming, publishing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cleanplate.cli import main
from cleanplate.errors import OptionError
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
from cleanplate.media import read_image
from cleanplate.models.registry import find_model
from cleanplate.training.loop import read_run, train
from cleanplate.training.presets import Preset, find_preset
from cleanplate.training.settings import Settings


@pytest.fixture
def settings(tiny_recurrent: Preset, material_folder: Path, tmp_path: Path) -> Settings:
    assert tiny_recurrent
    return Settings(
        "tiny-recurrent", (str(material_folder),), tmp_path / "run", steps=7, minutes=None, workers=0,
        shapes=0, trial_batches=2, precision="float32",
    )  # fmt: skip


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.long
def test_the_loss_falls_and_a_model_is_published(settings: Settings, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    first = replace(settings, steps=1, batch=1, stage="short", out=tmp_path / "first")
    train(first)
    best = train(replace(settings, steps=24))
    before, *_, after = records(first.out) + records(settings.out)
    assert [record["stage"] for record in records(settings.out)] == ["short", "filter"]
    assert sum(after["loss"].values()) < 0.75 * sum(before["loss"].values())
    assert 0 < after["dtssd"] < 1
    assert after["loss"].keys() == {"alpha", "foreground"}
    sheet = read_image(settings.out / "sheets" / "0000024.png").pixels
    assert sheet.shape == (2 * 3 * 230, 5 * 384, 3)

    checkpoint, folder = str(best), tmp_path / "models"
    assert main(["publish", checkpoint, "-o", str(folder), "--version", "0.1", "--name", "mine"]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "mine.recurrent.onnx", "mine.safetensors", "manifest.json"
    }  # fmt: skip
    model = find_model(folder / "mine")
    assert (model.config.licence, model.config.needs_plate) == ("MIT", False)
    matte = RecurrentKeyer(model=model, runtime="onnx")(np.zeros((64, 96, 3), np.uint8))
    assert matte.alpha.shape == (64, 96)
    for choice in (["--half"], ["--refine", "off"]):
        assert main(["publish", checkpoint, "-o", str(folder), "--version", "1", *choice]) == 2


@pytest.mark.slow
def test_a_killed_run_resumes_bit_for_bit(settings: Settings, train_killed: Callable[..., None]) -> None:
    straight = replace(settings, out=settings.out / "straight", accumulate=2, trial_batches=1)
    settings.out.mkdir()
    train(straight)
    killed = replace(straight, out=settings.out / "killed", checkpoint_minutes=1e-9)
    train_killed(killed, 3, 6)
    one, other = (read_run(run.out) for run in (straight, killed))
    for name, tensor in one["average"].items():
        assert torch.equal(tensor, other["average"][name]), name
    assert one["progress"]["batches"] == other["progress"]["batches"]


def test_stages_are_those_of_the_preset(settings: Settings) -> None:
    assert [name for name, _ in settings.plan] == ["short", "filter"]
    whole = replace(settings, preset="rvm-resnet50").plan
    assert [name for name, _ in whole] == list(find_preset("rvm-resnet50").stages)
    assert whole[-1][1] == 1
    lite = replace(settings, preset="lite").plan
    assert lite == (("coarse", 0.45), ("joint", pytest.approx(0.85)), ("edges", 1.0))
    assert replace(settings, preset="lite", stage="finish").plan == (("finish", 1.0),)
    with pytest.raises(OptionError, match=r"no stage 'joint'"):
        replace(settings, stage="joint")
