from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.plate import FittedPlate, Plate, fit_plate

HEIGHT, WIDTH = 540, 960


def bend(scene: np.ndarray, pixels: float, seed: int = 0) -> np.ndarray:
    """Displace by smooth noise of this deviation."""
    random = np.random.default_rng(seed)
    field = random.normal(0, pixels, (4, 6, 2)).astype(np.float32)
    field = cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return cv2.remap(
        scene, x + field[..., 0], y + field[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
    )


def difference(fitted: FittedPlate, clean: np.ndarray) -> float:
    off = np.abs(fitted.pixels - clean).mean(axis=2)
    return float(off.mean() if fitted.valid is None else off[fitted.valid].mean())


@pytest.mark.parametrize(("shift", "cover"), [(0.0, 0.0), (0.0, 0.4), (8.0, 0.3)])
def test_the_mesh_removes_parallax(studio: dict, shift: float, cover: float) -> None:
    room = studio["room"](3, HEIGHT, WIDTH)
    clean = bend(room, 2.0)
    if shift:
        motion = studio["motion"](HEIGHT, WIDTH, shift, 0, 0.3)
        clean = cv2.warpPerspective(
            clean, motion, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
    frame = studio["subject"](clean, cover) if cover else clean
    plate, frame = Plate(studio["shoot"](room)), Frame(studio["shoot"](frame, seed=1))
    stiff, supple = fit_plate(plate, frame, mesh=False), fit_plate(plate, frame)
    assert stiff.fit.mesh is None
    assert supple.fit.mesh is not None
    assert 1 < supple.fit.mesh.largest(WIDTH) < 12
    assert difference(supple, clean) < 0.75 * difference(stiff, clean)


def test_a_plate_that_fits_is_not_bent(studio: dict) -> None:
    room = studio["room"](5, HEIGHT, WIDTH)
    plate = studio["shoot"](room)
    for cover in (0.3, 0.7):
        frame = studio["shoot"](studio["subject"](room, cover), seed=1)
        fitted = fit_plate(Plate(plate), Frame(frame))
        assert fitted.fit.mesh is None
        assert fitted.pixels is plate


def test_a_bent_plate_keeps_its_type_and_has_a_validity_mask(studio: dict) -> None:
    room = studio["room"](6, HEIGHT, WIDTH)
    clean = np.roll(bend(room, 2.0), 25, axis=1)
    clean[:, :25] = 128
    plate = studio["shoot"](room).astype(np.uint16) * 257
    fitted = fit_plate(Plate(plate), Frame(studio["shoot"](clean, seed=1).astype(np.uint16) * 257))
    assert fitted.pixels.dtype == np.uint16
    assert fitted.valid is not None
    assert not fitted.valid[:, :12].any()
    assert fitted.valid[20:-20, 60:-20].all()
