from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from cleanplate.plate import Plate
from cleanplate.plate.registration.homography import grid_points, move
from cleanplate.plate.tracking import plate_tracker as track_module
from cleanplate.plate.tracking.motion_detector import Watch
from cleanplate.plate.tracking.plate_tracker import PlateTracker
from cleanplate.plate.tracking.registration_tracker import Follower

HEIGHT, WIDTH = 360, 640


def mean_distance(first: np.ndarray, second: np.ndarray) -> float:
    points = grid_points(HEIGHT, WIDTH)
    return float(np.mean(np.linalg.norm(move(first, points) - move(second, points), axis=1)))


def hand_held_position(number: int, amplitude: float) -> tuple[float, float, float]:
    """Position of a hand_held_position-held camera: x, y, degrees."""
    return (
        amplitude * math.sin(0.35 * number),
        amplitude * 0.7 * math.sin(0.23 * number + 1) - amplitude * 0.7 * math.sin(1),
        0.4 * math.sin(0.3 * number),
    )


@pytest.fixture
def count_measurements(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    counted: list[None] = []
    measure = Follower.measure

    def counting(self: Follower, *seen: np.ndarray | None) -> np.ndarray | None:
        counted.append(None)
        return measure(self, *seen)

    monkeypatch.setattr(Follower, "measure", counting)
    return counted


@pytest.mark.parametrize("follow", [False, True])
def test_a_still_camera_keeps_its_plate_and_costs_one_motion_detection(
    make_set: type, studio: dict, follow: bool, count_measurements: list[None]
) -> None:
    scene = make_set(1).plate
    plate = studio["shoot"](scene)
    tracker = PlateTracker(Plate(plate), follow=follow)
    for number in range(30):
        frame = studio["subject"](scene, 0.2 + 0.1 * math.sin(number / 5))
        fitted = tracker.plate_for(studio["shoot"](frame, seed=number))
        assert fitted.pixels is plate
        tracker.learn(frame, (np.abs(frame - scene).sum(axis=2) > 1).astype(np.float32))
    assert len(count_measurements) <= (16 if follow else 2)


@pytest.mark.parametrize(
    ("follow", "amplitude", "cover"), [(True, 19.0, 0.3), (True, 1.5, 0.0), (False, 19.0, 0.0)]
)
def test_a_hand_held_camera_is_followed(
    make_set: type, studio: dict, follow: bool, amplitude: float, cover: float
) -> None:
    place = make_set(2)
    tracker = PlateTracker(Plate(studio["shoot"](place.plate)), follow=follow)
    errors = []
    for number in range(14):
        truth = studio["motion"](HEIGHT, WIDTH, *hand_held_position(number, amplitude))
        clean = place.seen_from(truth)
        frame = studio["subject"](clean, cover) if cover else clean
        fitted = tracker.plate_for(studio["shoot"](frame, seed=number + 1))
        tracker.learn(frame, (np.abs(frame - clean).sum(axis=2) > 1).astype(np.float32))
        errors.append(mean_distance(fitted.fit.homography, truth))
    assert max(errors) < 0.35
    assert np.mean(errors) < 0.12
    # Parts that came into view are unknown.
    assert fitted.valid is not None
    assert fitted.fit.overlap == pytest.approx(fitted.valid.mean())


def test_without_follow_the_plate_rests_until_the_camera_clearly_moves(make_set: type, studio: dict) -> None:
    place = make_set(3)
    tracker = PlateTracker(Plate(studio["shoot"](place.plate)))
    first = tracker.plate_for(studio["shoot"](place.plate, seed=1))
    limit = track_module.CLEAR_MOTION * WIDTH
    for number, share in enumerate((0.0, 0.4, 0.7, 0.7, 0.4)):
        seen = place.seen_from(studio["motion"](HEIGHT, WIDTH, share * limit, 0))
        assert tracker.plate_for(studio["shoot"](seen, seed=number)) is first
    bumped = studio["motion"](HEIGHT, WIDTH, 6, 2, 0.2)
    for number in range(8):
        fitted = tracker.plate_for(studio["shoot"](place.seen_from(bumped), seed=number))
    assert mean_distance(fitted.fit.homography, bumped) < 0.1


def test_noise_does_not_move_the_plate(make_set: type, studio: dict) -> None:
    place = make_set(4)
    tracker = PlateTracker(Plate(studio["shoot"](place.plate)), follow=True)
    truth = studio["motion"](HEIGHT, WIDTH, 4, 3)
    tracker.plate_for(studio["shoot"](place.plate, seed=1))
    poses = [
        tracker.plate_for(studio["shoot"](place.seen_from(truth), seed=number, noise=4.0)).fit.homography
        for number in range(12)
    ]
    assert max(mean_distance(pose, poses[-1]) for pose in poses[3:]) < 0.05


def test_tracking_recovers_after_a_jump(make_set: type, studio: dict) -> None:
    place = make_set(5)
    tracker = PlateTracker(Plate(studio["shoot"](place.plate)), follow=True)
    tracker.plate_for(studio["shoot"](place.plate, seed=1))
    tracker.plate_for(studio["shoot"](studio["room"](77), seed=2))  # a hand_held_position before the lens
    truth = studio["motion"](HEIGHT, WIDTH, 9, -4)
    for number in range(4):
        fitted = tracker.plate_for(studio["shoot"](place.seen_from(truth), seed=number))
    assert mean_distance(fitted.fit.homography, truth) < 0.2


def test_the_gain_is_applied_where_the_plate_lies(make_set: type, studio: dict) -> None:
    place = make_set(6)
    plate = studio["shoot"](place.plate)
    tracker = PlateTracker(Plate(plate))
    frame = studio["shoot"](place.plate, seed=1)
    first = tracker.plate_for(frame)
    tracker.gain = np.array([0.5, 1.0, 0.8])
    lit = tracker.plate_for(frame)
    assert lit is not first
    assert np.abs(lit.pixels - plate * np.array([0.5, 1.0, 0.8])).max() <= 0.51
    assert np.allclose(lit.fit.gain, (0.5, 1.0, 0.8))
    tracker.gain = np.array([0.5, 1.0, 0.8])
    assert tracker.plate_for(frame) is lit


def test_a_renewed_plate_is_the_new_reference_of_motion(make_set: type, studio: dict) -> None:
    place = make_set(7)
    tracker = PlateTracker(Plate(studio["shoot"](place.plate)), follow=True)
    first, second = (studio["motion"](HEIGHT, WIDTH, x, 0) for x in (5, 9))
    tracker.plate_for(studio["shoot"](place.plate, seed=1))
    tracker.plate_for(studio["shoot"](place.seen_from(first), seed=2))
    fresh = studio["shoot"](place.seen_from(first) * 0.9, seed=3)
    assert tracker.renew(fresh).pixels is fresh
    assert np.array_equal(tracker.motion, np.eye(3))
    for number in range(3):
        tracker.plate_for(studio["shoot"](place.seen_from(second) * 0.9, seed=number))
    assert mean_distance(tracker.motion, studio["motion"](HEIGHT, WIDTH, 4, 0)) < 0.1


def test_a_frame_of_another_size_starts_another_shot(make_set: type, studio: dict) -> None:
    scene = make_set(8).plate
    tracker = PlateTracker(Plate(studio["shoot"](scene)))
    large = tracker.plate_for(studio["shoot"](scene, seed=1))
    small = tracker.plate_for(studio["shoot"](scene, seed=2)[::2, ::2])
    assert large.pixels.shape == (HEIGHT, WIDTH, 3)
    assert small.pixels.shape == (HEIGHT // 2, WIDTH // 2, 3)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_frames_change_nothing(value: int) -> None:
    tracker = PlateTracker(Plate(np.full((90, 160, 3), value, np.uint8)), follow=True)
    first = tracker.plate_for(np.full((90, 160, 3), value, np.uint8))
    for other in (value, 255 - value, value):
        assert tracker.plate_for(np.full((90, 160, 3), other, np.uint8)) is first


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
def test_the_motion_detector_measures_small_motions(make_set: type, studio: dict, shift: float) -> None:
    place = make_set(9)
    watch = Watch(studio["shoot"](place.plate))
    seen = place.seen_from(studio["motion"](HEIGHT, WIDTH, shift, 0))
    moved = watch.moved(studio["shoot"](seen, seed=1))
    assert moved == pytest.approx(shift, abs=0.1 + 0.3 * shift)


def test_the_motion_detector_ignores_light_and_subject(make_set: type, studio: dict) -> None:
    scene = make_set(10).plate
    watch = Watch(studio["shoot"](scene))
    frame = studio["subject"](scene * 0.95, 0.25)
    subject = np.abs(frame - scene * 0.95).sum(axis=2) > 1
    assert watch.moved(studio["shoot"](frame, seed=1), subject) < 0.1


def test_a_swaying_figure_in_a_dim_room_is_no_camera_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scene of the upkeep benchmark: little texture, a soft shadow that sways with the figure."""
    path = Path(__file__).parents[2] / "benchmarks" / "plate_upkeep.py"
    specification = importlib.util.spec_from_file_location("plate_upkeep", path)
    assert specification is not None
    assert specification.loader is not None
    upkeep = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "plate_upkeep", upkeep)  # its data classes look themselves up
    specification.loader.exec_module(upkeep)
    scene = upkeep.build_scene(HEIGHT, WIDTH)
    dim = (scene.plate * np.float32(0.55)).astype(np.uint8)
    tracker = PlateTracker(Plate(dim), follow=True)
    for pixels, alpha in itertools.islice(upkeep.lamp(scene), 36):
        fitted = tracker.plate_for(pixels)
        tracker.learn(pixels, alpha)
        assert fitted.fit.shift_pixels < 0.1
