from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from cleanplate.models.networks.rvm import BACKBONES
from cleanplate.training.learner import Learner
from cleanplate.training.loop import train
from cleanplate.training.presets import PRESETS, Preset, find_preset
from cleanplate.training.settings import Settings
from cleanplate.training.synthesis.material import Material, load_material


@pytest.fixture(scope="session")
def material_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty small pictures in each folder and ten clips, in the layout of real training material."""
    root = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(3)
    for name in ("figures", "objects"):
        (root / name).mkdir()
        for i in range(20):
            picture = np.zeros((120, 90, 4), np.uint8)
            picture[..., :3] = cv2.resize(rng.integers(0, 256, (4, 3, 3), np.uint8), (90, 120))
            cv2.ellipse(picture, (45, 75), (25, 60), 0, 0, 360, (*rng.integers(0, 256, 3).tolist(), 255), -1)
            cv2.imwrite(str(root / name / f"{i:03d}.png"), picture)
    for number in range(10):
        (root / "sequences" / f"{number:02d}").mkdir(parents=True)
        colour = cv2.resize(rng.integers(0, 256, (4, 3, 3), np.uint8), (90, 120))
        for frame in range(6):
            alpha = np.zeros((120, 90), np.uint8)
            cv2.circle(alpha, (25 + 8 * frame, 60), 20, 255, -1)
            path = root / "sequences" / f"{number:02d}" / f"{frame:04d}.png"
            cv2.imwrite(str(path), np.dstack([colour, alpha]))
    for name in ("garments", "backgrounds"):
        (root / name).mkdir()
        for i in range(20):
            coarse = rng.integers(0, 256, (9, 12, 3), np.uint8)
            cv2.imwrite(str(root / name / f"{i:03d}.png"), cv2.resize(coarse, (240, 180)))
    return root


@pytest.fixture(scope="session")
def material(material_folder: Path) -> Material:
    return load_material(material_folder, "train", shapes=8)


TINY_RUN = Path(__file__).with_name("tiny_run.py")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Preset:
    """The preset ``tiny``: lite on very small pictures."""
    monkeypatch.setitem(PRESETS, "tiny", _load_tiny_run().tiny_preset)
    return find_preset("tiny")


@pytest.fixture
def tiny_recurrent(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Any) -> Preset:
    """The preset ``tiny-recurrent``: RVM with a small encoder, on short clips of very small pictures."""
    monkeypatch.setitem(BACKBONES, "mobilenetv3", tiny_backbone)
    monkeypatch.setitem(PRESETS, "tiny-recurrent", _load_tiny_run().tiny_recurrent_preset)
    return find_preset("tiny-recurrent")


def _load_tiny_run() -> ModuleType:
    specification = importlib.util.spec_from_file_location("tiny_run", TINY_RUN)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def train_killed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Train to the end; the run is killed at two steps and resumed each time."""
    learn, calls = Learner.learn, []

    def train_through(settings: Settings, *deaths: int) -> None:
        def die(self: Learner, *arguments: Any) -> Any:
            calls.append(1)
            if len(calls) in deaths:
                raise MemoryError
            return learn(self, *arguments)

        monkeypatch.setattr(Learner, "learn", die)
        for resume in (False, True):
            with pytest.raises(MemoryError):
                train(settings, resume=resume)
        train(settings, resume=True)

    return train_through
