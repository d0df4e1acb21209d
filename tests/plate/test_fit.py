from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanplate.errors import PlateError
from cleanplate.frame import Frame
from cleanplate.keyer.keyer import Keyer
from cleanplate.plate import FittedPlate, Plate, check_plate, fit_plate, load_plate
from cleanplate.plate.registration.homography import grid_points, move

SAMPLES = Path(__file__).parents[2] / "samples"


def read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def fit(plate: np.ndarray, frame: np.ndarray, **options: bool) -> FittedPlate:
    fitted = fit_plate(Plate(plate), Frame(frame), **options)
    assert fitted.pixels.shape == frame.shape
    assert fitted.pixels.dtype == frame.dtype
    assert np.all(np.isfinite(fitted.fit.homography))
    assert 0 <= fitted.fit.overlap <= 1
    assert fitted.valid is None or fitted.valid.mean() == pytest.approx(fitted.fit.overlap)
    return fitted


def is_refused(plate: np.ndarray, frame: np.ndarray) -> bool:
    try:
        notes = fit(plate, frame).fit.notes
    except PlateError:
        return True
    assert notes, "a plate of another place passed without a word"
    return False


def largest_error(fitted: FittedPlate, truth: np.ndarray) -> float:
    points = grid_points(*fitted.pixels.shape[:2])
    return float(np.max(np.linalg.norm(move(fitted.fit.homography, points) - move(truth, points), axis=1)))


@pytest.mark.parametrize("cover", [0.0, 0.3, 0.6])
def test_a_plate_that_fits_keeps_its_exact_pixels(make_set: type, studio: dict, cover: float) -> None:
    scene = make_set(1).plate
    plate = studio["shoot"](scene)
    frame = studio["shoot"](studio["subject"](scene, cover) if cover else scene, seed=1)
    fitted = fit(plate, frame)
    assert fitted.pixels is plate
    assert fitted.valid is None
    assert fitted.fit.aligned
    assert fitted.fit.notes == ()
    assert (fitted.fit.shift_pixels, fitted.fit.exposure_stops) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("shift", "degrees", "zoom", "cover"),
    [(0.5, 0, 1, 0.3), (3, 0.4, 1.0, 0.3), (10, 2, 1.01, 0.5), (24, 3, 0.97, 0.3), (6, 1, 1, 0.65)],
)
def test_a_shift_of_the_tripod_is_corrected(
    make_set: type, studio: dict, shift: float, degrees: float, zoom: float, cover: float
) -> None:
    place = make_set(2)
    truth = studio["motion"](360, 640, shift * 0.8, -shift * 0.6, degrees, zoom)
    frame = studio["shoot"](studio["subject"](place.seen_from(truth), cover), seed=1)
    fitted = fit(studio["shoot"](place.plate), frame)
    assert fitted.fit.aligned
    assert largest_error(fitted, truth) < 0.25
    assert fitted.fit.shift_pixels == pytest.approx(shift, abs=0.15)
    assert fitted.fit.rotation_degrees == pytest.approx(degrees, abs=0.05)
    assert fitted.fit.zoom == pytest.approx(zoom, abs=0.002)


def test_motion_and_light_together_in_16_bits(make_set: type, studio: dict) -> None:
    place = make_set(3)
    truth = studio["motion"](360, 640, 8, 5, 1.5)
    light = np.array([0.7, 0.75, 0.8], np.float32)
    clean = place.seen_from(truth) * light
    plate = studio["shoot"](place.plate)
    frame = studio["shoot"](clean, seed=1)
    fitted = fit(plate.astype(np.uint16) * 257, frame.astype(np.uint16) * 257)
    assert largest_error(fitted, truth) < 0.25
    assert np.allclose(fitted.fit.gain, light, rtol=0.01)
    difference = np.abs(fitted.pixels / 257 - clean)[fitted.valid]
    assert np.median(difference) < 2


def test_pixels_outside_of_the_plate_are_unknown(make_set: type, studio: dict) -> None:
    place = make_set(4)
    truth = studio["motion"](360, 640, 40, 0)
    plate = studio["shoot"](place.plate)
    fitted = fit(plate, studio["shoot"](place.seen_from(truth), seed=1))
    assert fitted.valid is not None
    assert not fitted.valid[:, :38].any()
    assert fitted.valid[:, 42:].all()
    assert fitted.fit.overlap == pytest.approx(0.9375, abs=0.003)
    assert any("94%" in note for note in fitted.fit.notes)
    # Filled from the nearest edge.
    assert np.abs(fitted.pixels[5:-5, 0].astype(int) - fitted.pixels[5:-5, 38]).max() <= 4


def test_alignment_can_be_left_out(make_set: type, studio: dict) -> None:
    place = make_set(5)
    plate = studio["shoot"](place.plate)
    frame = studio["shoot"](place.seen_from(studio["motion"](360, 640, 6, 0)), seed=1)
    fitted = fit(plate, frame, align=False)
    assert fitted.pixels is plate
    assert not fitted.fit.aligned


def test_a_plate_of_another_size_is_resized(make_set: type, studio: dict) -> None:
    scene = make_set(6).plate
    frame = studio["shoot"](scene, seed=1)
    large = cv2.resize(studio["shoot"](scene), (960, 540), interpolation=cv2.INTER_CUBIC)
    fitted = fit(large, frame)
    assert np.median(cv2.absdiff(fitted.pixels, frame)) <= 3


def checker(period: int, offset: int = 0) -> np.ndarray:
    y, x = np.mgrid[:360, :640]
    return (((x + offset) // period + y // period) % 2 * 150 + 50.0)[..., None].repeat(3, axis=2)


def stripes(period: int, offset: int = 0) -> np.ndarray:
    x = np.broadcast_to(np.arange(640), (360, 640))
    return ((x + offset) // period % 2 * 150 + 50.0)[..., None].repeat(3, axis=2)


WALL = np.full((360, 640, 3), 140.0)
HARD = {
    "plain wall": (WALL, WALL),
    "dim wall": (WALL * 0.05, WALL * 0.05),
    "black": (WALL * 0, WALL * 0),
    "white": (WALL * 3, WALL * 3),
    "gradient": (WALL * np.linspace(0.5, 1.5, 640)[None, :, None],) * 2,
    "checker": (checker(24), checker(24)),
    "fine checker": (checker(5), checker(5)),
    "stripes": (stripes(20), stripes(20)),
}


@pytest.mark.parametrize("cover", [0.0, pytest.param(0.4, marks=pytest.mark.slow), 0.85])
@pytest.mark.parametrize("name", HARD)
def test_pictures_without_texture_stay_unmoved(studio: dict, name: str, cover: float) -> None:
    scene, seen = HARD[name]
    frame = studio["subject"](seen.astype(np.float32), cover) if cover else seen
    for noise in (0.0, 4.0):
        fitted = fit(studio["shoot"](scene, noise=noise), studio["shoot"](frame, seed=1, noise=noise))
        assert fitted.fit.shift_pixels < 0.5


@pytest.mark.parametrize(("pattern", "offset"), [(checker, 3), (checker, 12), (checker, 19), (stripes, 3)])
def test_registration_never_worsens_a_repeated_pattern(
    studio: dict, pattern: Callable[[int, int], np.ndarray], offset: int
) -> None:
    plate, frame = studio["shoot"](pattern(24, 0)), studio["shoot"](pattern(24, offset), seed=1)
    before, after = (float(np.mean(cv2.absdiff(side, frame))) for side in (plate, fit(plate, frame).pixels))
    assert after <= before + 0.5


def test_a_note_gives_the_reason_for_an_unmoved_plate() -> None:
    black = np.zeros((360, 640, 3), np.uint8)
    (note,) = fit(black, black).fit.notes
    assert note == "Kept the plate where it was: it has too little texture to align by."


def test_a_subject_that_fills_the_frame_is_no_error_on_a_bare_wall(studio: dict) -> None:
    fitted = fit(studio["shoot"](WALL), studio["shoot"](studio["room"](9), seed=1))
    assert fitted.fit.shift_pixels == 0


def test_another_room_is_refused(studio: dict) -> None:
    frame = studio["subject"](studio["room"](11), 0.3)
    with pytest.raises(PlateError, match="another place"):
        fit(studio["shoot"](studio["room"](10)), studio["shoot"](frame, seed=1))


def test_a_mirrored_plate_is_refused(studio: dict) -> None:
    plate = studio["shoot"](studio["room"](12))
    with pytest.raises(PlateError, match="another place"):
        fit(np.ascontiguousarray(plate[:, ::-1]), plate)


@pytest.mark.parametrize("light", [0.73, 1.0, 1.3])
@pytest.mark.parametrize("cover", [0.6, 0.8])
def test_a_large_subject_is_not_another_place(
    make_set: type, studio: dict, light: float, cover: float
) -> None:
    scene = make_set(13).plate
    frame = studio["shoot"](studio["subject"](scene, cover) * light, seed=1)
    assert fit(studio["shoot"](scene), frame).fit.aligned


def test_photographs_of_different_rooms_are_refused(rooms: list[Path]) -> None:
    chosen = [cv2.resize(read(path), (640, 360), interpolation=cv2.INTER_AREA) for path in rooms[3:300:25]]
    refused = sum(is_refused(plate, frame) for plate, frame in itertools.pairwise(chosen))
    assert refused >= len(chosen) - 3


def test_photographs_of_the_same_room_are_not(rooms: list[Path], studio: dict) -> None:
    for index, path in enumerate(rooms[5:300:30]):
        scene = cv2.resize(read(path), (640, 360), interpolation=cv2.INTER_AREA).astype(np.float32)
        frame = studio["shoot"](studio["subject"](scene, 0.6) * 0.8, seed=index)
        fitted = fit(studio["shoot"](scene), frame)
        assert not any("another place" in note for note in fitted.fit.notes)


def test_the_sample_photo_comes_close_to_its_plate() -> None:
    photo, plate, alpha = (read(SAMPLES / name) for name in ("photo.jpg", "plate.jpg", "photo_alpha.png"))
    fitted = fit(plate, photo)
    assert fitted.fit.aligned
    background = cv2.dilate(alpha[..., 0], np.ones((9, 9))) == 0
    before, after = (cv2.absdiff(side, photo)[background].mean() for side in (plate, fitted.pixels))
    assert after < 0.8 * before


@given(
    st.integers(32, 90),
    st.integers(32, 90),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_pictures_fit_or_raise_a_plate_error(
    height: int, width: int, dtype: type, seed: int, alike: float
) -> None:
    random = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    plate, other = random.integers(0, top + 1, (2, height, width, 3), dtype=dtype)
    frame = np.where(random.random((height, width, 1)) < alike, plate, other)
    with suppress(PlateError):
        fit(plate, frame)


@pytest.mark.parametrize(
    "size", [(32, 32), (32, 64), (32, 1920), (1920, 32), (33, 4000), (4000, 33), (40, 900), (64, 3840)]
)
def test_narrow_pictures_are_fitted_checked_and_keyed(size):
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (*size, 3)).astype(np.uint8)
    plate = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    frame = plate.copy()
    subject = slice(size[0] // 4, size[0] // 2), slice(size[1] // 4, size[1] // 2)
    frame[subject] = (200, 30, 40)
    fit = fit_plate(load_plate(plate), Frame(frame)).fit
    assert fit.shift_pixels < 0.5
    check_plate(load_plate(plate), [frame, frame])
    alpha = Keyer(plate, follow=True)(frame).alpha
    assert alpha[subject].mean() > 0.6
    assert alpha[3 * size[0] // 4 :, 3 * size[1] // 4 :].mean() < 0.1


@pytest.mark.parametrize("level", [0, 255, 128, (0, 177, 64)])
def test_a_blank_plate_is_refused_unless_the_frame_is_as_blank(level):
    random = np.random.default_rng(1)
    noise = random.integers(0, 255, (90, 160, 3)).astype(np.uint8)
    room = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 20, 235, cv2.NORM_MINMAX)
    blank = load_plate(np.full((90, 160, 3), level, np.uint8))
    with pytest.raises(
        PlateError,
        match=r"is all (black|white|one colour \((128, 128, 128|0, 177, 64)\)), but the frame is not",
    ):
        fit_plate(blank, Frame(room))
    render = np.full((90, 160, 3), level, np.uint8)
    render[20:80, 50:110] = room[20:80, 50:110]
    fit_plate(blank, Frame(render))


@pytest.mark.parametrize("hidden", ["unmoved", "brighter", "another place"])
@pytest.mark.parametrize("share", [pytest.param(0.6, marks=pytest.mark.slow), 0.9])
def test_transparent_parts_of_the_frame_are_not_compared(
    make_set: type, studio: dict, hidden: str, share: float
) -> None:
    place = make_set(2)
    truth = studio["motion"](360, 640, 5, -3)
    plate = studio["shoot"](place.plate)
    shown = studio["shoot"](place.seen_from(truth) * 0.8, seed=1)
    beneath = {
        "unmoved": plate,
        "brighter": studio["shoot"](place.plate * 1.4),
        "another place": studio["shoot"](make_set(7).plate),
    }[hidden]
    opaque = np.zeros((360, 640), bool)
    opaque[:, : round(640 * (1 - share))] = True
    pixels = np.where(opaque[..., None], shown, beneath)
    seen = fit_plate(Plate(plate), Frame(pixels, alpha=opaque * np.uint8(255)))
    points = grid_points(360, round(640 * (1 - share)))
    error = np.linalg.norm(move(seen.fit.homography, points) - move(truth, points), axis=1)
    assert error.max() < 0.5
    np.testing.assert_allclose(seen.fit.gain, 0.8, atol=0.02)


def test_a_mesh_alone_does_not_make_another_place_the_same() -> None:
    with av.open(str(SAMPLES / "clip.mp4")) as clip:
        frame = next(itertools.islice(clip.decode(video=0), 80, None)).to_ndarray(format="rgb24")
    (note, *rest) = fit(read(SAMPLES / "plate.jpg"), frame).fit.notes
    assert note.startswith("The plate may show another place: only 5% of it was found in the frame;")
    assert not rest
