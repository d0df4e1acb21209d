"""Plates built from clips whose background is known."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.errors import InputError, OutputError, PlateError
from cleanplate.frame import Frame
from cleanplate.plate import load_plate
from cleanplate.plate.building import plate_builder
from cleanplate.plate.building.clip_samples import MOST_SAMPLES, look_over
from cleanplate.plate.building.plate_builder import build_plate

HEIGHT, WIDTH = 180, 320
SAMPLES = Path(__file__).parents[2] / "samples"
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
    """Let ``build_plate`` read made frames with noise."""

    def use(shots):
        def read(*_, **__):
            for number, picture in enumerate(shots()):
                yield Frame(studio["shoot"](picture, number), pts=number, index=number)

        monkeypatch.setattr(plate_builder, "_read", read)
        return build_plate("made.mp4")

    return use


def error(built, room):
    return np.abs(built.pixels - room).mean(axis=2)


def test_a_mostly_standing_figure_is_not_on_the_plate(film, room):
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


SMALL = (72, 128)


class Clip:
    """A small clip: a striped coat before a room, its middle and its top by frame; None is an empty frame."""

    def __init__(self, room: np.ndarray, where: Sequence[tuple[float, float] | None]) -> None:
        self.room = cv2.resize(room, SMALL[::-1], interpolation=cv2.INTER_AREA)
        self.where = where

    def __iter__(self) -> Iterator[np.ndarray]:
        y, x = np.mgrid[: SMALL[0], : SMALL[1]].astype(np.float32)
        for at in self.where:
            if at is None:
                yield self.room.copy()
                continue
            middle, top = at
            inside = ((x - middle) / 17) ** 2 + ((y - SMALL[0]) / (SMALL[0] - top)) ** 2
            alpha = np.clip((1 - np.sqrt(inside)) * 15, 0, 1)[..., None]
            coat = COAT + 25 * np.sin((x - middle) / 4 + y / 7)[..., None]
            yield self.room * (1 - alpha) + coat * alpha


def walk_out_and_stay_away(away: float, count: int = 50) -> list[tuple[float, float] | None]:
    """A subject that sways, then walks out and stays away for a share of the frames."""
    walk = 8
    stays = round(count * (1 - away)) - walk
    sway = [(64 + 1.5 * np.sin(number / 3), 20.0) for number in range(stays)]
    return [*sway, *((64 + 11 * step, 20.0) for step in range(walk)), *[None] * (count - stays - walk)]


def two_subjects() -> list[tuple[float, float] | None]:
    """Make a subject that leaves from the left; after a tenth, another comes from the right."""
    first = [(32 + 1.5 * np.sin(n / 3), 20.0) for n in range(24)] + [(32 - 8 * n, 20.0) for n in range(8)]
    second = [(96 + 1.5 * np.sin(n / 3), 20.0) for n in range(24)]
    return [*first, *[None] * 7, *[(160 - 8 * n, 20.0) for n in range(8)], *second]


IN_PLACE = {
    "sways": [(64 + 3 * np.sin(n / 4), 20.0) for n in range(40)],
    "sways a little": [(64 + 0.8 * np.sin(n / 4), 20.0) for n in range(40)],
    "sits and turns": [(64 + 4 * np.sin(n / 9), 26 + 3 * np.sin(n / 5)) for n in range(40)],
    # A subject that rests is still there.
    "sways now and then": [(64 + (3 * np.sin(n / 4) if n % 40 > 20 else 0), 20.0) for n in range(80)],
}


@pytest.mark.parametrize("motion", IN_PLACE)
def test_a_subject_that_hardly_leaves_its_place_is_refused(film, room, motion):
    with pytest.raises(PlateError, match=r"hardly leaves its place in made.mp4: \d+% of the area") as refused:
        film(lambda: iter(Clip(room, IN_PLACE[motion])))
    assert "clean plate" in refused.value.hint


@pytest.mark.parametrize(
    "where",
    [walk_out_and_stay_away(0.3), walk_out_and_stay_away(0.6), two_subjects()],
    ids=["away for 30%", "away for 60%", "two in turn"],
)
def test_a_subject_that_leaves_its_place_is_not_on_the_plate(film, room, where):
    clip = Clip(room, where)
    built = film(lambda: iter(clip))
    sure = built.confidence > 0.5
    assert sure.mean() > 0.9
    assert np.quantile(error(built, clip.room)[sure], 0.99) < 8


def test_a_subject_that_leaves_for_a_tenth_is_not_on_the_plate(film, room):
    clip = Clip(room, walk_out_and_stay_away(0.1, 60))
    built = film(lambda: iter(clip))
    assert np.quantile(error(built, clip.room)[built.confidence > 0.5], 0.99) < 8


def test_a_clip_without_motion_is_refused(film, room):
    alpha = pose(160)
    with pytest.raises(PlateError, match=r"Nothing moves in made\.mp4") as refused:
        film(lambda: (room * (1 - alpha) + COAT * alpha for _ in range(12)))
    assert "as the plate itself" in refused.value.hint


def test_a_waving_hand_before_a_body_that_stays_is_refused(film, room):
    alpha = pose(160)

    def waving():
        for number in range(40):
            hand = np.roll(pose(160, 60), (-40, round(3 * np.sin(number))), axis=(0, 1))
            scene = room * (1 - alpha) + COAT * alpha
            yield scene * (1 - hand) + COAT[::-1] * hand

    with pytest.raises(PlateError, match="hardly leaves its place"):
        film(waving)


@pytest.mark.slow
def test_no_plate_is_built_from_the_sample_clip():
    with pytest.raises(PlateError, match=r"hardly leaves its place in clip.mp4: [2-5]\d% of the area"):
        build_plate(SAMPLES / "clip.mp4")


@pytest.mark.slow
def test_flicker_and_shake_are_corrected(film, studio, make_set):
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
    # The plate has the position of one frame: register it before comparing.
    shown = [
        made.seen_from(studio["motion"](HEIGHT, WIDTH, x, y, turn))
        for x in np.arange(-3, 3.1, 0.75)
        for y in np.arange(-2, 2.1, 1)
        for turn in (-0.3, 0, 0.3)
    ]
    assert min(np.abs(built.pixels - scene)[20:-20, 20:-20].mean() for scene in shown) < 9
    # Confidence is low around the subject's last place.
    assert (built.confidence > 0.5).mean() > 0.92


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


def test_averaging_takes_the_documented_memory(film, room):
    """28 bytes a pixel, beside the samples and a frame or two."""
    large = cv2.resize(room, (1280, 720))

    def shots():
        for number in range(4):
            picture = large.copy()
            picture[200:500, 300 * number : 300 * number + 200] = 255
            yield picture

    tracemalloc.start()
    built = film(shots)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The made frames themselves are float64 while noise is added: some 80 bytes a pixel of the test's own.
    assert peak < 1280 * 720 * (28 + 80 + 40)
    assert "too few to tell whether the subject leaves" in built.notes[0]


def test_a_clip_that_is_too_short_is_refused(film, room):
    with pytest.raises(PlateError, match=r"made.mp4 has 1 frame\(s\): a plate is built from a clip"):
        film(lambda: iter([room]))
    with pytest.raises(PlateError, match="no frames"):
        film(lambda: iter([]))


def test_a_loaded_plate_is_unknown_at_low_confidence(film, room, tmp_path):
    places = [60 + 3 * number for number in range(20)]
    built = film(lambda: (room * (1 - pose(x)) + COAT * pose(x) for x in places))
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
def test_the_man_of_the_real_clip_is_not_on_the_plate():
    built = build_plate(REAL / "clip.mp4")
    plate = cv2.imread(str(REAL / "plate.png"))[..., ::-1]
    assert error(built, plate.astype(np.float32)).mean() < 5
