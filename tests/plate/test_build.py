"""Plates built from clips whose background is known."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.errors import InputError, OutputError, PlateError
from cleanplate.frame import Frame
from cleanplate.plate import load_plate
from cleanplate.plate.building import build
from cleanplate.plate.building.build import build_plate
from cleanplate.plate.building.clip_samples import MOST_SAMPLES, look_over

HEIGHT, WIDTH = 180, 320
REAL = Path(__file__).parents[3] / "shared" / "data" / "real" / "wall_clip"


@pytest.fixture
def room(studio):
    return cv2.resize(studio["room"](11), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def pose(middle, height=130):
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    inside = ((x - middle) / 32) ** 2 + ((y - HEIGHT) / height) ** 2
    return np.clip((1 - np.sqrt(inside)) * 20, 0, 1).astype(np.float32)[..., None]


COAT = np.float32([170, 60, 40])


@pytest.fixture
def film(monkeypatch, studio):
    """Let ``build_plate`` read frames that are made here, noise included."""

    def use(shots):
        def read(*_, **__):
            for number, picture in enumerate(shots()):
                yield Frame(studio["shoot"](picture, number), pts=number, index=number)

        monkeypatch.setattr(build, "_read", read)
        return build_plate("made.mp4")

    return use


def error(built, room):
    return np.abs(built.pixels - room).mean(axis=2)


def test_somebody_who_stands_in_one_place_for_most_of_the_time_is_not_the_background(film, room):
    def shots():
        for number in range(60):
            alpha = pose(100 if number < 36 else 230)
            yield room * (1 - alpha) + COAT * alpha

    built = film(shots)
    sure = built.confidence > 0.5
    assert error(built, room)[sure].mean() < 2
    assert sure[(pose(100) > 0)[..., 0]].mean() > 0.8
    assert np.quantile(error(built, room)[(pose(100) == 1)[..., 0]], 0.9) < 12
    assert built.seen[170, 100] == pytest.approx(0.4, abs=0.06)


@pytest.mark.slow
def test_where_the_background_was_never_seen_is_said(film, room):
    def shots():
        for number in range(60):
            alpha = pose(160 + 6 * np.sin(number / 2))
            yield room * (1 - alpha) + COAT * alpha

    built = film(shots)
    hidden = (pose(160) == 1)[..., 0]
    hidden[:, :150] = hidden[:, 170:] = False
    assert built.confidence[hidden].mean() < 0.2
    assert not built.plate.known[hidden].all()
    assert built.confidence[:, :90].min() > 0.9
    assert "never surely seen" in built.notes[-1]


def test_a_subject_that_stays_where_it_is_is_warned_of(film, room):
    alpha = pose(160)
    still = film(lambda: (room * (1 - alpha) + COAT * alpha for _ in range(12)))
    assert still.notes == ("Nothing moves in made.mp4: a subject that is in it is on the plate, too.",)

    def waving():
        for number in range(40):
            hand = np.roll(pose(160, 60), (-40, round(3 * np.sin(number))), axis=(0, 1))
            scene = room * (1 - alpha) + COAT * alpha
            yield scene * (1 - hand) + COAT[::-1] * hand

    assert "hardly leaves its place" in film(waving).notes[0]


@pytest.mark.slow
def test_flicker_and_a_shaking_hand_are_undone(film, studio, make_set):
    made = make_set(4, HEIGHT, WIDTH)

    def shots():
        for number in range(48):
            motion = studio["motion"](
                HEIGHT, WIDTH, 3 * np.sin(number / 3), 2 * np.cos(number / 5), 0.4 * np.sin(number / 7)
            )
            alpha = pose(60 + 4 * number)
            scene = made.seen_from(motion)
            yield (scene * (1 - alpha) + COAT * alpha) * (1 + 0.1 * np.sin(number * 1.7))

    built = film(shots)
    # The plate lies as one of the frames does: find it again before comparing.
    shown = [
        made.seen_from(studio["motion"](HEIGHT, WIDTH, x, y, turn))
        for x in np.arange(-3, 3.1, 0.75)
        for y in np.arange(-2, 2.1, 1)
        for turn in (-0.3, 0, 0.3)
    ]
    assert min(np.abs(built.pixels - scene)[20:-20, 20:-20].mean() for scene in shown) < 9
    assert (built.confidence > 0.5).mean() > 0.97


def test_memory_does_not_grow_with_the_clip(room):
    def frames(count):
        small = np.clip(room[:90, :160], 0, 255).astype(np.uint8)
        return (Frame(np.roll(small, number, axis=1), pts=number, index=number) for number in range(count))

    assert [len(look_over(frames(count)).samples) for count in (5, 128, 129, 700)] == [5, 128, 65, 88]
    peaks = []
    for count in (2 * MOST_SAMPLES, 8 * MOST_SAMPLES):
        tracemalloc.start()
        samples = look_over(frames(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert samples.frames == count
    assert peaks[1] < 1.1 * peaks[0]


def test_averaging_takes_what_its_page_promises(film, room):
    """28 bytes a pixel, beside the samples and a frame or two."""
    large = cv2.resize(room, (1280, 720))
    tracemalloc.start()
    film(lambda: (np.roll(large, 0, axis=1) for _ in range(4)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The made frames themselves are float64 while noise is added: some 80 bytes a pixel of the test's own.
    assert peak < 1280 * 720 * (28 + 80 + 40)


def test_a_clip_that_is_too_short_is_refused(film, room):
    with pytest.raises(PlateError, match=r"made.mp4 has 1 frame\(s\): a plate is built from a clip"):
        film(lambda: iter([room]))
    with pytest.raises(PlateError, match="no frames"):
        film(lambda: iter([]))


def test_saved_and_loaded_it_is_unknown_where_it_is_unsure(film, room, tmp_path):
    built = film(lambda: (room * (1 - pose(150 + n % 4)) + COAT * pose(150 + n % 4) for n in range(20)))
    plate, beside = built.save(tmp_path / "plate.png")
    assert [plate.name, beside.name] == ["plate.png", "plate.confidence.png"]
    loaded = load_plate(plate)
    np.testing.assert_array_equal(loaded.pixels, built.pixels)
    assert np.mean(loaded.known != built.plate.known) < 0.01
    with pytest.raises(OutputError, match="exists already"):
        built.save(plate)
    cv2.imwrite(str(beside), np.zeros((40, 40), np.uint8))
    with pytest.raises(InputError, match=r"plate\.confidence\.png is 40x40"):
        load_plate(plate)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/real")
@pytest.mark.slow
def test_the_man_before_the_wall_is_gone():
    built = build_plate(REAL / "clip.mp4")
    plate = cv2.imread(str(REAL / "plate.png"))[..., ::-1]
    assert error(built, plate.astype(np.float32)).mean() < 5
