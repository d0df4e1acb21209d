"""A made clip with exact truth for each change: drift, lamp, moved chair, standing person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.plate.fit import Fit, FittedPlate
from cleanplate.plate.tracking.plate_update import Upkeep

HEIGHT, WIDTH = 180, 320
FIT = Fit(np.eye(3), True, 0.0, 0.0, 1.0, np.ones(3), 0.0, 1.0)


class Clip:
    """Figure in a room, and the plate, updated with the true matte."""

    def __init__(self, studio, rate):
        self.shoot = studio["shoot"]
        self.room = cv2.resize(studio["room"](3), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        self.x, self.y = x, y
        self.fitted = FittedPlate(self.shoot(self.room, 99), None, FIT)
        self.first = self.fitted.pixels
        self.upkeep = Upkeep()
        self.seconds = 1 / rate
        self.number = 0

    def figure(self, middle):
        """Make alpha of a standing person with the middle at ``middle``, in pixels."""
        inside = ((self.x - middle) / 30) ** 2 + ((self.y - HEIGHT) / 130) ** 2
        return np.clip((1 - np.sqrt(inside)) * 20, 0, 1).astype(np.float32)

    def step(self, middle, light=1.0, room=None, taken=None):
        """Shoot, relight, learn; ``taken`` is the keyer's matte, by default the truth.

        Returns the plate's mean error where background shows.
        """
        room = self.room if room is None else room
        alpha = self.figure(middle)
        coat = 120 + 60 * np.sin((self.x - middle) / 3)[..., None] * np.float32([1, 0.4, 0.2])
        frame = self.shoot((room * (1 - alpha[..., None]) + coat * alpha[..., None]) * light, self.number)
        self.number += 1
        plate = self.upkeep.relight(frame, self.fitted)
        self.plate = plate
        matte = alpha if taken is None else np.maximum(alpha, taken(plate.pixels, room * light))
        fresh = self.upkeep.learn(frame, matte, self.seconds)
        if fresh is not None:
            self.fitted = FittedPlate(fresh, None, FIT)
        return np.abs(plate.pixels - np.clip(room * light, 0, 255))[alpha == 0].mean()


@pytest.fixture
def make_clip(studio):
    return lambda rate: Clip(studio, rate)


@pytest.mark.slow
def test_a_drift_of_one_stop_is_followed_at_constant_error(make_clip):
    clip = make_clip(25)
    errors = [
        clip.step(160 + 40 * np.sin(number / 20), light=2 ** (-(number / 249) / 2.2)) for number in range(250)
    ]
    assert np.mean(errors[-50:]) <= 1.1 * np.mean(errors[:50])
    assert clip.plate.fit.exposure_stops == pytest.approx(-1, abs=0.06)


def test_a_lamp_at_one_side_is_followed_within_half_a_second(make_clip):
    clip = make_clip(25)
    lamp = 0.5 + np.exp(-3 * clip.x / WIDTH)[..., None] * np.float32([0.6, 0.5, 0.35])
    errors = [clip.step(160 + number / 4, light=0.5 if number < 20 else lamp) for number in range(45)]
    assert errors[20] < 12, "the smooth part at once"
    assert errors[32] < 1.5 * np.mean(errors[10:20]) + 1
    # Under the subject nothing of it was learned.
    assert np.abs(clip.plate.pixels - clip.room * lamp)[clip.figure(171) == 1].mean() < 14


def differing(pixels, truth):
    """Mask of pixels that differ from the plate, like the matte of a keyer."""
    apart = np.abs(pixels - truth).max(axis=2) > 40
    return cv2.morphologyEx(apart.astype(np.float32), cv2.MORPH_OPEN, np.ones((5, 5)))


def furnish(clip, left):
    room = clip.room.copy()
    room[110:170, left : left + 30] = (150, 60, 50)
    room[110:170:8, left : left + 30] = (20, 160, 60)
    return room


def test_a_moved_chair_and_its_old_place_are_learned(make_clip):
    clip = make_clip(10)
    before, after = furnish(clip, 20), furnish(clip, 270)
    clip.fitted = FittedPlate(clip.shoot(before, 99), None, FIT)
    for number in range(20):
        clip.step(160 + 20 * np.sin(number / 3), room=before, taken=differing)
    errors = [clip.step(160 + 20 * np.sin(number / 3), room=after, taken=differing) for number in range(120)]
    assert errors[30] > 3, "not at once: it might be a person who sat down"
    assert errors[-1] < 1.5
    assert np.abs(clip.plate.pixels - after)[110:170, 20:50].mean() < 4
    assert np.abs(clip.plate.pixels - after)[110:170, 270:300].mean() < 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "sway", [pytest.param(1.2, id="breathing", marks=pytest.mark.long), pytest.param(0.0, id="frozen")]
)
def test_a_figure_that_stands_for_minutes_is_not_learned(make_clip, sway):
    clip = make_clip(2)
    for number in range(300):
        clip.step(160 + sway * np.sin(number / 4))
    hidden = clip.figure(160) == 1
    assert np.abs(clip.plate.pixels - clip.room)[hidden].mean() < 3


def test_holes_of_the_matte_are_not_learned(make_clip):
    clip = make_clip(10)
    original = clip.figure

    def with_a_hole(middle):
        alpha = original(middle)
        alpha[120:140, int(middle) - 6 : int(middle) + 6] = 0
        return alpha

    for _ in range(100):
        alpha = original(160)
        coat = np.float32([20, 200, 40])
        frame = clip.shoot(clip.room * (1 - alpha[..., None]) + coat * alpha[..., None], clip.number)
        clip.number += 1
        clip.plate = clip.upkeep.relight(frame, clip.fitted)
        fresh = clip.upkeep.learn(frame, with_a_hole(160), 0.1)
        clip.fitted = clip.fitted if fresh is None else FittedPlate(fresh, None, FIT)
    assert np.abs(clip.plate.pixels - clip.room)[122:138, 156:164].mean() < 3


def test_an_unchanged_plate_is_the_same_object(make_clip):
    clip = make_clip(1000)
    alpha = clip.figure(160)
    frame = clip.shoot(clip.room, 1)
    first = clip.upkeep.relight(frame, clip.fitted)
    clip.upkeep.learn(frame, alpha, 0.001)
    assert clip.upkeep.relight(frame, clip.fitted).pixels is first.pixels


def test_a_matte_over_the_whole_frame_changes_no_pixel(make_clip):
    clip = make_clip(10)
    for number in range(5):
        frame = clip.shoot(clip.room, number)
        clip.upkeep.relight(frame, clip.fitted)
        assert clip.upkeep.learn(frame, np.ones((HEIGHT, WIDTH), np.float32), 0.1) is None


def test_with_a_moving_camera_only_the_light_is_followed(make_clip):
    clip = make_clip(10)
    for number in range(40):
        frame = clip.shoot(np.roll(clip.room, 3, axis=1) * 0.8, number)
        clip.upkeep.relight(frame, clip.fitted)
        assert clip.upkeep.learn(frame, clip.figure(160), 0.1, still=False) is None
    assert clip.upkeep.relight(frame, clip.fitted).fit.exposure_stops == pytest.approx(-0.7, abs=0.15)


def test_legs_that_the_matte_misses_for_two_seconds_are_not_learned(make_clip):
    clip = make_clip(10)
    for number in range(34):
        alpha = clip.figure(160)
        coat = np.float32([20, 200, 40])
        frame = clip.shoot(clip.room * (1 - alpha[..., None]) + coat * alpha[..., None], number)
        matte = alpha.copy()
        if number >= 10:
            matte[130:] = 0
        clip.upkeep.relight(frame, clip.fitted)
        fresh = clip.upkeep.learn(frame, matte, 0.1)
        clip.fitted = clip.fitted if fresh is None else FittedPlate(fresh, None, FIT)
    legs = clip.figure(160) == 1
    legs[:138] = False
    assert np.abs(clip.fitted.pixels - clip.room)[legs].mean() < 3


def test_a_still_foot_below_a_swaying_body_is_not_learned(make_clip):
    clip = make_clip(10)
    whole = clip.figure

    def without_legs(middle):
        alpha = whole(middle)
        alpha[130:] = 0
        return alpha

    clip.figure = without_legs
    foot = np.zeros((HEIGHT, WIDTH), np.float32)
    foot[160:176, 150:172] = 1
    room = clip.room.copy()
    room[foot == 1] = (150, 60, 50)
    room[160:176:4, 150:172] = (20, 160, 60)
    empty = clip.room.copy()
    for number in range(85):
        clip.step(160 + 6 * np.sin(number / 3), room=room, taken=lambda *_: foot)
    assert np.abs(clip.fitted.pixels - empty)[foot == 1].mean() < 3


def test_a_fast_subject_leaves_no_trace_in_the_light(make_clip):
    clip = make_clip(10)
    wall = np.full_like(clip.room, 130)
    clip.fitted = FittedPlate(clip.shoot(wall, 99), None, FIT)
    errors = [clip.step(20 + 24 * number, room=wall) for number in range(12)]
    assert max(errors[1:]) < 2.5
