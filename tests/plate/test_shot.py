"""Intervals at which a shot measures light and scene."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.plate import load_plate
from cleanplate.plate.tracking.plate_update import Upkeep
from cleanplate.plate.tracking.shot import Shot


def paint_room():
    random = np.random.default_rng(5)
    return cv2.resize(
        random.integers(40, 200, (16, 24, 3), np.uint8), (192, 128), interpolation=cv2.INTER_CUBIC
    )


@pytest.mark.parametrize(("look_seconds", "expected"), [(0.0, 12), (0.09, 4), (1.0, 1)])
def test_look_seconds_is_the_interval_of_updates(monkeypatch, look_seconds, expected):
    looks = []
    plain = Upkeep.learn
    monkeypatch.setattr(
        Upkeep, "learn", lambda self, *rest, **more: (looks.append(rest[2]), plain(self, *rest, **more))[1]
    )
    room = paint_room()
    shot = Shot(load_plate(room), follow=True, look_seconds=look_seconds)
    for number in range(12):
        frame = Frame(room.copy(), number, Fraction(1, 30))
        shot.plate_for(frame)
        shot.learn(frame, np.zeros(room.shape[:2], np.float32))
    assert len(looks) == expected
    # No time is lost: the time between two measurements counts.
    assert sum(looks[1:]) == pytest.approx((len(looks) - 1) * max(1 / 30, {0.09: 0.1}.get(look_seconds, 0)))


def test_a_drifting_light_is_followed_with_look_seconds():
    room = paint_room()
    shot = Shot(load_plate(room), follow=True, look_seconds=0.09)
    alpha = np.zeros(room.shape[:2], np.float32)
    for number in range(90):
        gain = 1 + 0.15 * min(number, 60) / 60
        frame = Frame(np.clip(room * gain, 0, 255).astype(np.uint8), number, Fraction(1, 30))
        fitted = shot.plate_for(frame)
        shot.learn(frame, alpha)
    assert np.abs(fitted.pixels.astype(int) - frame.pixels).mean() < 2
