"""The parts of the keyer's work on a frame: chain and workers."""

from __future__ import annotations

import cv2
import numpy as np

import cleanplate
from cleanplate.frame import Frame, Matte, Pixels

HEIGHT, WIDTH = 240, 400


def make_plate() -> Pixels:
    noise = np.random.default_rng(3).integers(0, 256, (30, 50, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def draw(plate: Pixels, number: int, shift: float = 0.0) -> Frame:
    moved = cv2.warpAffine(
        plate, np.float32([[1, 0, shift], [0, 1, 0]]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
    )
    ball = cv2.circle(moved, (150 + 3 * number, 120), 50, (230, 40, 60), -1, cv2.LINE_AA)
    return Frame(ball, pts=number, index=number)


def check_equal(matte: Matte, other: Matte) -> None:
    assert np.array_equal(matte.alpha, other.alpha)
    assert np.array_equal(matte.foreground, other.foreground)


def test_the_number_of_threads_changes_no_bit() -> None:
    """Workers have fewer threads than the keyer itself, which keys the frames that were not expected."""
    plate = make_plate()
    frame = draw(plate, 1)
    first, *others = (
        cleanplate.Keyer(plate, scale=0.25, runtime="onnx", device="cpu", threads=n)(frame) for n in (1, 2, 3)
    )
    assert 0 < first.alpha.mean() < 1
    for other in others:
        check_equal(other, first)


def test_a_plate_at_rest_is_expected_and_one_that_moves_is_not() -> None:
    plate = make_plate()
    whole, parts = (cleanplate.Keyer(plate, scale=0.25, runtime="onnx", device="cpu") for _ in range(2))
    other = parts.open_worker(1)
    expected, right = [], []
    for number in range(12):
        frame = draw(plate, number, shift=0.0 if number < 8 else 2.0 * (number - 7))
        task = parts.expect(frame)
        placed = parts.place(task)
        keyed = (other if task.can_begin and placed is task else parts.worker)(placed)
        check_equal(parts.accept(keyed), whole(frame))
        expected.append(task.can_begin)
        right.append(placed is task)
    assert parts.fit is not None
    assert whole.fit is not None
    assert np.array_equal(parts.fit.homography, whole.fit.homography)
    assert parts.fit.shift_pixels > 2
    assert parts.confidence == whole.confidence
    assert right[4:8] == expected[4:8] == [True] * 4
    assert not any(right[:3])
    assert expected[8]
    assert not any(right[8:])
    assert not any(expected[9:])
