"""The scene of ``bench`` has the properties that it states."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.cli.made_scene import build_scene


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (270, 640)])
def test_the_subject_fills_about_a_third(size):
    scene = build_scene(*size)
    assert scene.alpha.shape == size
    assert 0.28 < scene.alpha.mean() < 0.4


def test_frames_are_the_same_every_time_and_differ_from_each_other():
    first, again = (list(build_scene(180, 320).frames(4)) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_the_plate_shows_the_set_without_the_figure():
    scene = build_scene(360, 640)
    frame = next(scene.frames(8)).astype(float)
    difference = np.abs(frame - scene.plate).mean(axis=2)
    far = np.zeros_like(scene.alpha, bool)
    far[:, :40] = True
    assert difference[far].mean() < 12
    assert difference[scene.alpha > 0.9].mean() > 40


def test_edges_are_soft_and_there_are_strands():
    alpha = build_scene(720, 1280).alpha
    assert 0.005 < np.mean((alpha > 0.02) & (alpha < 0.98)) < 0.05
