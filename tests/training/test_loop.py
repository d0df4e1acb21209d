from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cleanplate.errors import CleanplateError, InputError, OptionError, OutputError
from cleanplate.media import read_image
from cleanplate.training import loop
from cleanplate.training.learner import Learner
from cleanplate.training.loop import read_run, schedule, train
from cleanplate.training.objective import Objective
from cleanplate.training.presets import PRESETS, Preset
from cleanplate.training.settings import Settings
from cleanplate.training.training_checkpoint import load_checkpoint

SHARED = Path(__file__).parents[3] / "shared" / "data" / "train"


class Heard:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, text: str) -> None:
        pass

    @property
    def troubles(self) -> list[str]:
        """Notes, without the last one of every short run."""
        return [note for note in self.notes if "enough to test the machine" not in note]


@pytest.fixture
def settings(tiny: Preset, material_folder: Path, tmp_path: Path) -> Settings:
    assert tiny
    return Settings(
        "tiny", (str(material_folder),), tmp_path / "run", steps=9, minutes=None, workers=0, shapes=8,
        trial_batches=1, precision="float32",
    )  # fmt: skip


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same(one: Any, other: Any) -> None:
    """Two states, bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["made here", pytest.param("shared", marks=pytest.mark.long)])
def test_training_lowers_the_error(settings: Settings, origin: str) -> None:
    if origin == "shared":
        if not SHARED.is_dir():
            pytest.skip(f"no training material at {SHARED}")
        settings = replace(settings, data=(str(SHARED),), limit=20)
    first = replace(settings, steps=1, batch=1, stage="coarse", out=settings.out / "first")
    settings.out.mkdir()
    train(first)
    best = train(replace(settings, steps=70, batch=6, stage="coarse", learning_rate=3e-3))
    before, after = records(first.out)[-1], records(settings.out)[-1]
    assert after["mad"] < 0.8 * before["mad"]
    assert load_checkpoint(best)["step"] == 70


def test_a_run_writes_every_documented_file(settings: Settings) -> None:
    heard = Heard()
    best = train(settings, listener=heard)
    assert best == settings.out / "best.pt"
    assert "9 steps in 1 minute: enough to test the machine, but not for a model." in heard.notes[-1]
    assert {path.name for path in settings.out.iterdir()} == {
        "best.pt", "last.pt", "coarse.pt", "joint.pt", "log.jsonl", "sheets", "tensorboard"
    }  # fmt: skip
    assert [(record["stage"], record["step"]) for record in records(settings.out)] == [
        ("coarse", 4), ("joint", 8), ("edges", 9)
    ]  # fmt: skip
    assert all(math.isfinite(record["mad"]) for record in records(settings.out))
    sheet = read_image(settings.out / "sheets" / "0000009.png").pixels
    assert sheet.shape == (4 * 256, 6 * 384, 3)
    columns = np.split(sheet, 6, axis=1)
    assert columns[2].mean() > 5  # there is a subject
    assert any((settings.out / "tensorboard").iterdir())


@pytest.mark.parametrize("replay", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_run_resumes_bit_for_bit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, train_killed: Callable[..., None], replay: int
) -> None:
    tiny = PRESETS["tiny"]
    monkeypatch.setitem(PRESETS, "tiny", lambda: replace(tiny(), replay=replay))
    straight = replace(settings, out=settings.out / "straight", accumulate=2)
    settings.out.mkdir()
    train(straight)

    killed = replace(straight, out=settings.out / "killed", checkpoint_minutes=1e-9)
    train_killed(killed, 3, 7)
    one, other = (read_run(run.out) for run in (straight, killed))
    for part in ("network", "average", "optimizer"):
        assert_same(one[part], other[part])
    assert one["progress"]["batches"] == other["progress"]["batches"]


def test_minutes_count_resumed_runs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 0.5 * next(ticks))  # half a second a look
    monkeypatch.setattr("cleanplate.training.loop.time", clock)
    settings = replace(settings, steps=None, minutes=0.1, stage="coarse")
    train(settings)
    first = read_run(settings.out)["progress"]
    assert 6 <= first["spent"] < 7
    assert 5 <= first["step"] <= 12
    train(replace(settings, minutes=0.15), resume=True)
    second = read_run(settings.out)["progress"]
    assert second["step"] > first["step"]
    assert 9 <= second["spent"] < 10


def _poison(monkeypatch: pytest.MonkeyPatch, steps: range) -> None:
    """Let the loss be NaN in these calls."""
    forward, calls = Objective.forward, []

    def poisoned(self: Objective, batch: Any) -> Any:
        calls.append(1)
        terms = forward(self, batch)
        return {**terms, "alpha": terms["alpha"] * math.nan} if len(calls) in steps else terms

    monkeypatch.setattr(Objective, "forward", poisoned)


def test_a_few_bad_steps_are_skipped(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _poison(monkeypatch, range(2, 5))
    heard = Heard()
    train(replace(settings, stage="coarse"), listener=heard)
    state = read_run(settings.out)
    assert not heard.troubles
    assert state["progress"]["caution"] == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state["network"].values())


def test_many_bad_steps_restore_the_last_good_state(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _poison(monkeypatch, range(4, 5 + loop.PATIENCE))
    heard = Heard()
    train(replace(settings, stage="coarse", steps=12), listener=heard)
    state = read_run(settings.out)
    assert len(heard.troubles) == 1
    assert "step 9" in heard.troubles[0]
    assert state["progress"]["rollbacks"] == 1
    assert state["progress"]["caution"] == 0.5
    assert state["progress"]["step"] == 12
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state["network"].values())


def test_a_diverging_run_ends_with_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _poison(monkeypatch, range(1, 1000))
    with pytest.raises(CleanplateError, match="diverged 5 times"):
        train(replace(settings, stage="coarse", steps=100))
    assert read_run(settings.out)["progress"]["step"] == 0


def test_nan_weights_never_replace_a_checkpoint(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Learner.learn

    def spoil(self: Learner, *arguments: Any) -> Any:
        terms = learn(self, *arguments)
        with torch.no_grad():
            next(self.network.parameters()).fill_(math.nan)
        return terms

    monkeypatch.setattr(Learner, "learn", spoil)
    heard = Heard()
    train(replace(settings, stage="coarse", steps=2), listener=heard)
    assert len(heard.troubles) == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in read_run(settings.out)["network"].values())


def test_a_full_disk_ends_the_run_and_keeps_its_checkpoint(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, calls = loop.save_checkpoint, []

    def fill_up(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) > 2:
            monkeypatch.setattr("os.fsync", _no_room)
        synced(*arguments)

    monkeypatch.setattr(loop, "save_checkpoint", fill_up)
    with pytest.raises(OutputError, match="disk is full"):
        train(replace(settings, stage="coarse", checkpoint_minutes=1e-9))
    assert read_run(settings.out)["progress"]["step"] == 1
    assert not list(settings.out.glob("*partial*"))


def _no_room(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_stage_starts_from_the_weights_of_another(settings: Settings) -> None:
    train(replace(settings, stage="coarse", steps=2))
    joint = replace(settings, out=settings.out / "joint", stage="joint", steps=2)
    train(replace(joint, start=str(settings.out / "best.pt")))
    assert read_run(joint.out)["progress"]["stage"] == "joint"


def test_the_embedded_weights_start_a_training(settings: Settings) -> None:
    train(replace(settings, stage="coarse", steps=1, batch=1, start="lite", learning_rate=1e-9))
    first = records(settings.out)[-1]["mad"]
    train(replace(settings, stage="coarse", steps=1, batch=1, out=settings.out / "random"))
    assert first < 0.5 * records(settings.out / "random")[-1]["mad"]


def test_the_schedule_warms_up_and_cools_down() -> None:
    rates = [schedule(step, step / 1000) for step in range(1000)]
    assert rates[0] < 0.01
    assert max(rates) > 0.9
    assert rates[-1] == pytest.approx(loop.FINAL_RATE, abs=0.01)
    peak = rates.index(max(rates))
    assert 40 <= peak <= 60
    assert all(a > b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))


def test_a_run_is_not_overwritten_and_resume_needs_one(settings: Settings) -> None:
    with pytest.raises(InputError, match="no run to resume"):
        train(settings, resume=True)
    train(replace(settings, stage="coarse", steps=1))
    with pytest.raises(OptionError, match="holds a run already"):
        train(settings)
    (settings.out / "last.pt").write_bytes((settings.out / "best.pt").read_bytes())
    with pytest.raises(InputError, match="weights only"):
        train(settings, resume=True)


def test_a_resumed_run_keeps_the_options_of_its_stream(settings: Settings) -> None:
    text = settings.to_json()
    assert Settings.resumed(text, {}, settings.out) == settings
    longer = Settings.resumed(text, {"minutes": 5.0, "device": "cpu"}, settings.out)
    assert (longer.minutes, longer.steps, longer.device) == (5.0, None, "cpu")
    for name, value in (("seed", 9), ("batch", 3), ("stage", "joint"), ("preset", "lite")):
        with pytest.raises(OptionError, match=f"has {name} "):
            Settings.resumed(text, {name: value}, settings.out)
    with pytest.raises(InputError, match="another version"):
        Settings.resumed("{}", {}, settings.out)
