"""Shadow measurement: right where background shows, zero without a shadow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.plate.photometry.shadow import measure_shadow

HEIGHT, WIDTH = 360, 640


@pytest.fixture
def scene(studio):
    """Plate, alpha of a figure, and the true share of light that its shadow takes beside it."""
    plate = studio["room"](5)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    alpha = np.clip((90 - np.hypot((x - 220) * 1.4, (y - 220) * 0.7)) / 4, 0, 1)
    shadow = 0.5 * np.clip((60 - np.hypot((x - 320) * 0.8, (y - 230) * 0.5)) / 25, 0, 1)
    return plate, alpha.astype(np.float32), shadow.astype(np.float32)


def render(studio, plate, alpha, shadow, gain=1.0, seed=1):
    figure = np.float32([160, 90, 60])
    shown = plate * (1 - shadow[..., None]) * gain
    return studio["shoot"](shown * (1 - alpha[..., None]) + figure * alpha[..., None], seed)


@pytest.mark.parametrize("gain", [1.0, 0.93, 1.06])
def test_the_measured_depth_is_right_at_any_exposure(scene, studio, gain):
    plate, alpha, shadow = scene
    measured = measure_shadow(render(studio, plate, alpha, shadow, gain), studio["shoot"](plate, 2), alpha)
    clear = alpha == 0
    assert measured.dtype == np.float32
    assert np.abs(measured - shadow)[clear].mean() < 0.012
    core = clear & (shadow > 0.45)
    assert np.abs(measured[core] - shadow[core]).mean() < 0.04


def test_an_empty_set_has_no_shadow(scene, studio):
    plate, alpha, _ = scene
    measured = measure_shadow(render(studio, plate, alpha, 0 * alpha), studio["shoot"](plate, 2), alpha)
    assert measured[alpha == 0].mean() < 0.002
    assert np.quantile(measured[alpha == 0], 0.999) < 0.06


def test_a_code_value_of_dark_background_is_no_shadow_but_half_its_light_is(scene, studio):
    plate, alpha, shadow = scene
    dark = np.array(plate, np.float32)
    dark[:, 400:] = dark[:, 400:] / dark[:, 400:].max() * 30
    shown = np.array(dark)
    shown[:, 400:] -= 1
    measured = measure_shadow(render(studio, shown, alpha, 0 * shadow), studio["shoot"](dark, 2), alpha)
    assert np.quantile(measured[:, 420:], 0.999) < 0.06
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    cast = 0.5 * np.clip((60 - np.hypot((x - 520) * 0.8, (y - 230) * 0.5)) / 25, 0, 1)
    measured = measure_shadow(render(studio, dark, alpha, cast), studio["shoot"](dark, 2), alpha)
    core = cast > 0.45
    assert np.abs(measured[core] - cast[core]).mean() < 0.1


def test_the_shadow_has_no_seam_at_the_edge_of_the_subject(scene, studio):
    plate, alpha, shadow = scene
    measured = measure_shadow(render(studio, plate, alpha, shadow), studio["shoot"](plate, 2), alpha)
    rim = (cv2.dilate(alpha, np.ones((9, 9))) > 0) & (alpha < 0.5)
    assert np.abs(measured - shadow)[rim].mean() < 0.04
    steps = np.abs(np.diff(measured, axis=1))
    assert steps.max() < 0.08


def test_sixteen_bits_and_black_plates_are_measured(scene, studio):
    plate, alpha, _ = scene
    wide = studio["shoot"](plate).astype(np.uint16) * 257
    assert measure_shadow(wide, wide, alpha).max() < 0.02
    black = np.zeros_like(wide)
    assert measure_shadow(black, black, alpha).max() == 0
    assert np.isfinite(measure_shadow(wide, wide, np.ones_like(alpha))).all()
