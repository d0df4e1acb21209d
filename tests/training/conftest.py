from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.training.material import Material, load_material
from cleanplate.training.presets import PRESETS, Preset, find_preset


@pytest.fixture(scope="session")
def material_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty small pictures in each folder, in the layout of real training material."""
    root = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(3)
    for name in ("figures", "objects"):
        (root / name).mkdir()
        for i in range(20):
            picture = np.zeros((120, 90, 4), np.uint8)
            picture[..., :3] = cv2.resize(rng.integers(0, 256, (4, 3, 3), np.uint8), (90, 120))
            cv2.ellipse(picture, (45, 75), (25, 60), 0, 0, 360, (*rng.integers(0, 256, 3).tolist(), 255), -1)
            cv2.imwrite(str(root / name / f"{i:03d}.png"), picture)
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
    """The preset ``tiny``: lite on stamps."""
    specification = importlib.util.spec_from_file_location("tiny_run", TINY_RUN)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setitem(PRESETS, "tiny", module.tiny_preset)
    return find_preset("tiny")
