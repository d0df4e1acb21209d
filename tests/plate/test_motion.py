from __future__ import annotations

import numpy as np
import pytest

from cleanplate.plate.registration.homography import (
    centre_shift,
    displacement,
    estimate_motion,
    grid_points,
    is_plausible,
    move,
    rotation_degrees,
    scale_matrix,
    translation,
    zoom,
)

HEIGHT, WIDTH = 360, 640


def pairs(
    motion: np.ndarray, count: int, outliers: int, noise: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    plate = random.uniform((0, 0), (WIDTH, HEIGHT), (count, 2))
    frame = move(motion, plate) + random.normal(0, noise, (count, 2))
    frame[:outliers] = random.uniform((0, 0), (WIDTH, HEIGHT), (outliers, 2))
    return plate, frame


def test_shift_rotation_and_zoom_of_a_known_motion(studio: dict) -> None:
    motion = studio["motion"](HEIGHT, WIDTH, 3.0, -4.0, 2.5, 1.04)
    assert centre_shift(motion, HEIGHT, WIDTH) == pytest.approx(5.0)
    assert rotation_degrees(motion, HEIGHT, WIDTH) == pytest.approx(2.5)
    assert zoom(motion, HEIGHT, WIDTH) == pytest.approx(1.04)
    assert displacement(motion, HEIGHT, WIDTH) > 15


def test_scaling_a_motion_moves_the_same_points(studio: dict) -> None:
    motion = studio["motion"](HEIGHT, WIDTH, 3.0, -4.0, 2.5, 1.04)
    points = grid_points(HEIGHT, WIDTH)
    large = scale_matrix(motion, 3.0, 2.0)
    expected = (move(motion, points) + 0.5) * (3, 2) - 0.5
    assert np.allclose(move(large, (points + 0.5) * (3, 2) - 0.5), expected)


@pytest.mark.parametrize("outliers", [0, 100, 180])
def test_the_common_motion_is_found_among_outliers(studio: dict, outliers: int) -> None:
    motion = studio["motion"](HEIGHT, WIDTH, 12.0, 5.0, 3.0, 0.97)
    plate, frame = pairs(motion, 300, outliers, 0.1)
    found = estimate_motion(plate, frame)
    assert found is not None
    points = grid_points(HEIGHT, WIDTH)
    assert np.max(np.abs(move(found[0], points) - move(motion, points))) < 0.15
    assert np.count_nonzero(found[1][outliers:]) == 300 - outliers


def test_perspective_is_found() -> None:
    motion = np.array([[1.01, 0.02, -4.0], [-0.01, 0.99, 6.0], [3e-5, -2e-5, 1.0]])
    found = estimate_motion(*pairs(motion, 300, 60, 0.1))
    assert found is not None
    points = grid_points(HEIGHT, WIDTH)
    assert np.max(np.abs(move(found[0], points) - move(motion, points))) < 0.25


def test_clustered_pairs_do_not_bend_the_far_side() -> None:
    random = np.random.default_rng(5)
    plate = random.uniform((20, 20), (80, 80), (20, 2))
    found = estimate_motion(plate, plate + random.normal((4.0, 2.0), 0.2, (20, 2)))
    assert found is not None
    points = grid_points(HEIGHT, WIDTH)
    assert np.max(np.abs(move(found[0], points) - points - (4.0, 2.0))) < 0.5


@pytest.mark.parametrize("count", [0, 3, 4, 12])
def test_coincident_points_give_no_motion(count: int) -> None:
    same = np.full((count, 2), 50.0)
    found = estimate_motion(same, same)
    assert found is None or np.all(np.isfinite(found[0]))


@pytest.mark.parametrize(
    "motion",
    [
        np.diag([-1.0, 1.0, 1.0]),  # mirrored
        np.diag([2.5, 2.5, 1.0]),
        np.diag([0.4, 0.4, 1.0]),
        np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),  # a quarter turn
        np.array([[1.0, 0, 0], [0, 1, 0], [-2e-3, 0, 1]]),  # folded: the horizon crosses the picture
        np.array([[1.0, 0, 0], [0, 1, 0], [8e-4, 0, 1]]),  # a wall seen from its end
        np.full((3, 3), np.nan),
    ],
)
def test_impossible_cameras_are_refused(motion: np.ndarray) -> None:
    assert not is_plausible(motion, HEIGHT, WIDTH)


def test_usual_cameras_are_not_refused(studio: dict) -> None:
    assert is_plausible(np.eye(3), HEIGHT, WIDTH)
    assert is_plausible(translation(-200, 30), HEIGHT, WIDTH)
    assert is_plausible(studio["motion"](HEIGHT, WIDTH, 30, 10, 10, 1.3), HEIGHT, WIDTH)
