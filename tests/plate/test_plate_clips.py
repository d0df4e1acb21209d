"""A clip of the empty set as the plate."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.plate import fit_plate, load_plate
from cleanplate.plate.sampling import spread_frames, take_median

SAMPLES = Path(__file__).parents[2] / "samples"


def test_a_sequence_gives_its_median_and_a_note(tmp_path: Path, studio: dict) -> None:
    room = studio["room"](1)
    for number in range(9):
        picture = studio["shoot"](room, seed=number, noise=4.0)
        if number == 4:
            picture[100:200] = 255  # somebody walks through
        cv2.imwrite(str(tmp_path / f"empty_{number:03}.png"), picture[..., ::-1])
    plate = load_plate(tmp_path / "empty_%03d.png")
    assert np.abs(plate.pixels - room).mean() < 2.0
    assert plate.notes == ("The plate 'empty_%03d.png' is a clip: the median of 9 of its frames was taken.",)
    fitted = fit_plate(plate, Frame(studio["shoot"](room, seed=20)))
    assert plate.notes[0] in fitted.fit.notes


def test_a_video_is_a_clip() -> None:
    plate = load_plate(SAMPLES / "clip.mp4")
    assert plate.pixels.shape == (720, 1280, 3)
    assert "is a clip" in plate.notes[0]


def test_a_clip_of_one_frame_gives_this_frame(tmp_path: Path, studio: dict) -> None:
    picture = studio["shoot"](studio["room"](2))
    cv2.imwrite(str(tmp_path / "one_0001.png"), picture[..., ::-1])
    plate = load_plate(tmp_path / "one_%04d.png")
    assert np.array_equal(plate.pixels, picture)
    assert "one frame" in plate.notes[0]


@pytest.mark.parametrize("length", [1, 5, 9, 10, 11, 100, 1000])
def test_frames_are_sampled_evenly_from_any_clip(length: int) -> None:
    frames = (Frame(np.full((32, 32, 3), number % 256, np.uint8), index=number) for number in range(length))
    kept = [int(pixels[0, 0, 0]) for pixels in spread_frames(frames, 5)]
    assert kept[0] == 0
    assert min(length, 5) <= len(kept) <= 9
    if length <= 256:
        assert len({*np.diff(kept)}) <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_the_median_is_a_value_of_the_frames(count: int) -> None:
    random = np.random.default_rng(count)
    pictures = list(random.integers(0, 65536, (count, 40, 50, 3), dtype=np.uint16))
    median = take_median(pictures)
    assert median.dtype == np.uint16
    assert np.array_equal(median, np.sort(np.stack(pictures), axis=0)[(count - 1) // 2])
