from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from cleanplate.training.datasets.mips import Mips, make_mips
from cleanplate.training.datasets.near_duplicates import without_near_duplicates
from cleanplate.training.synthesis.material import load_material


def picture(seed: int, channels: int = 4) -> Mips:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 4, channels), np.uint8)
    return make_mips(cv2.resize(small, (160, 200), interpolation=cv2.INTER_LINEAR))


def changed(original: Mips, by: int) -> Mips:
    """The picture with every channel nearer to grey by so many steps."""
    pixels = original.levels[0].numpy().transpose(1, 2, 0).astype(int)
    return make_mips((pixels + by * np.where(pixels > 127, -1, 1)).clip(0, 255).astype(np.uint8))


def test_near_duplicates_are_left_out() -> None:
    pictures = [picture(seed) for seed in range(6)]
    assert without_near_duplicates(pictures, []) == pictures
    assert without_near_duplicates(pictures, [picture(9)]) == pictures
    assert without_near_duplicates(pictures, [picture(9), picture(3)]) == [*pictures[:3], *pictures[4:]]
    assert without_near_duplicates(pictures, [changed(pictures[3], 1)]) == [*pictures[:3], *pictures[4:]]
    assert without_near_duplicates(pictures, [changed(pictures[3], 40)]) == pictures


def test_near_duplicates_of_held_out_pictures_are_left_out_of_training(
    material_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "material"
    shutil.copytree(material_folder, folder)
    names = sorted(path.name for path in (folder / "objects").iterdir())
    held_out = load_material(folder, "validation", shapes=0)
    before = load_material(folder, "train", shapes=0)
    # The tenth by name is held out; another picture becomes the same, as another file.
    same = cv2.imread(str(folder / "objects" / names[9]), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / "objects" / names[2]), same, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    after = load_material(folder, "train", shapes=0)
    assert len(after.objects) == len(before.objects) - 1
    assert len(load_material(folder, "validation", shapes=0).objects) == len(held_out.objects)
