from __future__ import annotations

import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.plate import Plate, fit_plate
from cleanplate.plate.photometry.clipping import restore_burnt

STOP = 2 ** (1 / 2.2)


@pytest.mark.parametrize("deep", [False, True])
def test_clipped_parts_of_the_plate_are_restored_from_the_frame(studio: dict, deep: bool) -> None:
    room = studio["room"](3) * 0.8 + 60
    room[:200, 300:600] = 225  # a window
    frame = studio["subject"](room, 0.2)
    plate, shot = studio["shoot"](room * STOP), studio["shoot"](frame, seed=1)
    if deep:
        plate, shot = plate.astype(np.uint16) * 257, shot.astype(np.uint16) * 257
    fitted = fit_plate(Plate(plate), Frame(shot))
    assert fitted.fit.burnt > 0.1
    assert any("burnt out" in note for note in fitted.fit.notes)
    off = np.abs(fitted.pixels / (257 if deep else 1) - np.clip(room, 0, 255))
    assert off.mean() < 4
    assert off[20:180, 320:580].mean() < 3


def test_a_dark_subject_before_a_clipped_wall_is_not_background() -> None:
    wall = np.full((180, 320, 3), 230, np.uint8)
    frame = wall.copy()
    frame[60:, 120:200] = (60, 80, 120)
    plate = np.full_like(wall, 255)
    shaded = np.full_like(wall, 186)
    restored, share = restore_burnt(plate, shaded, frame)
    assert share == 1
    assert np.abs(restored.astype(int) - 230).max() <= 2


def test_a_plate_without_clipping_is_unchanged(studio: dict) -> None:
    plate = studio["shoot"](np.clip(studio["room"](5), 0, 220))
    shaded = (plate * 0.7).astype(np.uint8)
    restored, share = restore_burnt(plate, shaded, plate)
    assert restored is shaded
    assert share == 0
