from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.errors import PlateError
from cleanplate.evaluation.cases import read_cases
from cleanplate.evaluation.difference_keyer import DifferenceKeyer, estimate_noise, guided_filter, unmix
from cleanplate.evaluation.metrics import holes, leak, mad
from cleanplate.frame import Frame


def test_the_sample_photo(case_folder):
    plate, frames = read_cases(case_folder)[0].read()
    truth = next(frames)
    alpha = DifferenceKeyer(plate)(truth.source).alpha
    assert holes(alpha, truth.alpha) < 0.005
    assert leak(alpha[:, :180], truth.alpha[:, :180]) < 1e-3
    assert mad(alpha, truth.alpha) < 0.07  # the shadow beside the figure goes with it


def test_lengths_follow_the_size_of_the_picture(case_folder):
    plate, frames = read_cases(case_folder)[0].read()
    source = next(frames).source
    large = [cv2.resize(x, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for x in (plate, source)]
    alpha = cv2.resize(DifferenceKeyer(large[0])(large[1]).alpha, (480, 270), interpolation=cv2.INTER_AREA)
    assert np.abs(alpha - DifferenceKeyer(plate)(source).alpha).mean() < 0.015


def test_an_empty_frame_has_no_alpha(case_folder):
    plate, _ = read_cases(case_folder)[0].read()
    noisy = np.clip(plate + np.random.default_rng(2).normal(0, 3, plate.shape), 0, 255).astype(np.uint8)
    assert DifferenceKeyer(plate)(noisy).alpha.mean() < 1e-3


def test_another_exposure_is_matched(case_folder):
    plate, frames = read_cases(case_folder)[0].read()
    truth = next(frames)
    darker = (plate * 0.8).astype(np.uint8)
    plain, matched = (DifferenceKeyer(p)(truth.source).alpha for p in (plate, darker))
    assert np.abs(plain - matched).mean() < 0.01


def test_16_bits_and_8_bits_agree(case_folder):
    plate, frames = read_cases(case_folder)[0].read()
    source = next(frames).source
    deep = DifferenceKeyer(plate.astype(np.uint16) * 257)(source.astype(np.uint16) * 257)
    assert deep.foreground.dtype == np.uint16
    assert np.abs(deep.alpha - DifferenceKeyer(plate)(source).alpha).mean() < 2e-3


def test_another_place_is_refused(case_folder):
    plate, frames = read_cases(case_folder)[2].read()
    with pytest.raises(PlateError):
        DifferenceKeyer(plate)(Frame(next(frames).source))


def test_noise_is_measured():
    random = np.random.default_rng(3)
    difference = random.normal(0, 0.02, (100, 120, 3)).astype(np.float32)
    difference[30:60, 30:60] += 0.5  # a subject
    assert estimate_noise(difference) == pytest.approx(0.02, rel=0.05)
    assert estimate_noise(np.zeros((50, 50, 3), np.float32)) > 0


def test_unmix_inverts_the_compositing_equation():
    random = np.random.default_rng(4)
    plate, foreground = random.random((2, 20, 30, 3), np.float32)
    alpha = random.uniform(0.3, 1, (20, 30)).astype(np.float32)
    source = alpha[..., None] * foreground + (1 - alpha[..., None]) * plate
    assert np.abs(unmix(source, plate, alpha) - foreground).max() < 1e-5
    assert np.array_equal(unmix(source, plate, np.zeros_like(alpha)), source)


def test_the_guided_filter_follows_its_definition():
    """Least-squares lines of picture over guide in each window, for one pixel."""
    random = np.random.default_rng(5)
    guide, picture = random.random((2, 30, 30), np.float32)
    radius, epsilon = 2, 0.01

    def line(y, x):
        window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
        g, p = guide[window], picture[window]
        slope = ((g * p).mean() - g.mean() * p.mean()) / (g.var() + epsilon)
        return slope, p.mean() - slope * g.mean()

    near = [line(y, x) for y in range(13, 18) for x in range(13, 18)]
    slope, offset = np.mean(near, axis=0)
    filtered = guided_filter(guide, picture, radius, epsilon)
    assert filtered[15, 15] == pytest.approx(slope * guide[15, 15] + offset, abs=1e-4)
    flat = cv2.resize(np.float32([[0.3, 0.3]]), (30, 30))
    assert np.abs(guided_filter(guide, flat, radius, epsilon) - 0.3).max() < 1e-5
