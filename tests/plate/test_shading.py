from __future__ import annotations

import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.plate import Plate, fit_plate
from cleanplate.plate.photometry.shading import Shading

HEIGHT, WIDTH = 360, 640


def darken_corners(scene: np.ndarray, fall: float) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    square = ((x * WIDTH) ** 2 + (y * HEIGHT) ** 2) / (WIDTH**2 + HEIGHT**2)
    return scene * np.exp(fall * square)[..., None]


@pytest.mark.parametrize("cover", [0.0, 0.5])
@pytest.mark.parametrize(("gamma", "fall"), [(1.2, 0.0), (0.85, 0.0), (1.0, -0.3), (1.15, -0.2)])
def test_gamma_and_vignetting_are_found_beside_a_subject(
    studio: dict, gamma: float, fall: float, cover: float
) -> None:
    room = studio["room"](3)
    clean = darken_corners(255 * (np.clip(room, 1, 255) / 255) ** gamma, fall).astype(np.float32)
    frame = studio["subject"](clean, cover) if cover else clean
    fitted = fit_plate(Plate(studio["shoot"](room)), Frame(studio["shoot"](frame, seed=1)))
    assert fitted.fit.gamma == pytest.approx(gamma, abs=0.02)
    assert fitted.fit.shading.corner == pytest.approx(np.exp(fall), abs=0.04)
    assert np.median(np.abs(fitted.pixels - clean)) < 2.0


@pytest.mark.parametrize("cover", [0.0, 0.6])
def test_the_same_light_is_left_alone(studio: dict, cover: float) -> None:
    room = studio["room"](4)
    frame = studio["subject"](room, cover) if cover else room
    fit = fit_plate(Plate(studio["shoot"](room)), Frame(studio["shoot"](frame, seed=1))).fit
    assert (fit.shading.gamma, fit.shading.vignetting) == (1.0, (0.0, 0.0))
    assert np.all(fit.gain == 1)


def test_light_can_be_left_out(studio: dict) -> None:
    room = studio["room"](4)
    plate = studio["shoot"](room)
    fitted = fit_plate(Plate(plate), Frame(studio["shoot"](room * 0.7, seed=1)), photometric=False)
    assert fitted.pixels is plate
    assert fitted.fit.exposure_stops == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_applying_follows_the_formula(dtype: type) -> None:
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, 48 * 64 * 3).astype(dtype).reshape(48, 64, 3)
    shading = Shading(np.array([0.9, 1.0, 1.3]), 1.2, (-0.3, 0.1))
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    square = ((x * 64) ** 2 + (y * 48) ** 2) / (48**2 + 64**2)
    exact = top * (values / top) ** 1.2 * shading.gain
    exact = np.clip(exact * np.exp(-0.3 * square + 0.1 * square**2)[..., None], 0, top)
    result = shading.apply(values)
    assert result.dtype == dtype
    assert np.abs(result - exact).max() <= 0.51 + 0.02 * (dtype == np.uint16)
