"""Hints: reading, spreading over the coarse alpha, and the way through a clip."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame
from cleanplate.keyer.hints.hint_sources import CONTACT, open_hint, read_strokes
from cleanplate.keyer.hints.hint_spread import spread_hint
from cleanplate.keyer.hints.hint_tracking import FADE_SECONDS, HOLD_SECONDS, HintTracker
from cleanplate.media import write_image

HEIGHT, WIDTH = 90, 160
FRAME = Frame(np.full((HEIGHT, WIDTH, 3), 120, np.uint8))


def disc(x: int, y: int, radius: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return cv2.circle(np.zeros((height, width), np.float32), (x, y), radius, 1.0, -1)


def stroke(start: tuple[int, int], end: tuple[int, int], thick: int = 3) -> np.ndarray:
    return cv2.line(np.zeros((HEIGHT, WIDTH), np.float32), start, end, 1.0, thick)


NOTHING = np.zeros((HEIGHT, WIDTH), np.float32)
FLAT = np.full((3, HEIGHT, WIDTH), 0.5, np.float32)
SUBJECT = disc(80, 45, 35)
HOLE = disc(80, 45, 12)


def test_grey_and_transparent_parts_are_unknown() -> None:
    picture = np.full((HEIGHT, WIDTH), 128, np.uint8)
    picture[10:20], picture[70:80] = 255, 0
    strokes = read_strokes(picture, None, FRAME)
    assert np.array_equal(np.flatnonzero(strokes.white.any(axis=1)), np.arange(10, 20))
    assert np.array_equal(np.flatnonzero(strokes.black.any(axis=1)), np.arange(70, 80))
    alpha = np.zeros_like(picture)
    alpha[:, :40] = 255
    strokes = read_strokes(picture, alpha, FRAME)
    assert strokes.white[:, :40].any()
    assert not (strokes.white | strokes.black)[:, 40:].any()


def test_a_hint_may_be_drawn_over_an_anamorphic_frame_as_it_is_shown() -> None:
    picture = np.full((HEIGHT, 2 * WIDTH), 255, np.uint8)
    picture[:, :WIDTH] = 128
    strokes = read_strokes(picture, None, replace(FRAME, pixel_aspect=Fraction(2)))
    assert strokes.white[:, WIDTH // 2 + 1 :].all()
    assert not strokes.white[:, : WIDTH // 2].any()
    with pytest.raises(InputError, match="another aspect ratio"):
        read_strokes(picture, None, FRAME)


def test_the_edge_of_a_rough_matte_is_unknown() -> None:
    strokes = read_strokes((SUBJECT * 255).astype(np.uint8), None, FRAME)
    assert strokes.white[45, 80]
    assert strokes.black[5, 5]
    known = np.flatnonzero((strokes.white | strokes.black)[45])
    gap = known[np.flatnonzero(np.diff(known) > 1)] + 1
    assert np.all(np.abs(gap - (80 - 35, 80 + 35 - 2 * CONTACT)) <= CONTACT + 2)


def test_a_stroke_closes_the_whole_hole_and_nothing_else() -> None:
    alpha = SUBJECT - HOLE
    closed = spread_hint(FLAT, alpha, NOTHING, stroke((73, 45), (87, 45)), NOTHING)
    assert closed[HOLE > 0].min() > 0.98
    assert np.array_equal(closed[HOLE == 0], alpha[HOLE == 0])


def test_a_line_across_the_mouth_closes_a_bay() -> None:
    bay = disc(80 - 35, 45, 14)
    alpha = SUBJECT * (1 - bay)
    closed = spread_hint(FLAT, alpha, NOTHING, stroke((47, 28), (47, 62)), NOTHING)
    inside = (SUBJECT * bay * (np.arange(WIDTH) > 48)) > 0
    assert inside.sum() > 200
    assert closed[inside].mean() > 0.95
    assert not closed[:, :30].any()


def test_a_stroke_in_the_background_stays_near_and_is_soft() -> None:
    lifted = spread_hint(FLAT, SUBJECT, NOTHING, stroke((10, 40), (10, 50)), NOTHING)
    assert lifted[45, 10] > 0.9
    assert np.array_equal(lifted[:, 30:], SUBJECT[:, 30:])
    assert np.abs(np.diff(lifted[45, :20])).max() < 0.7


def test_a_black_stroke_removes_an_island_and_an_edge_of_colour_stops_it() -> None:
    leak = disc(140, 45, 12)
    removed = spread_hint(FLAT, SUBJECT + leak, NOTHING, NOTHING, stroke((134, 45), (146, 45)))
    assert removed[leak > 0].max() < 0.02
    assert np.array_equal(removed[:, :120], SUBJECT[:, :120])
    guide = FLAT.copy()
    guide[:, :, 80:] = 0.9
    unsure = np.full_like(NOTHING, 0.5)
    half = spread_hint(guide, np.full_like(NOTHING, 0.5), unsure, stroke((74, 10), (74, 80)), NOTHING)
    assert half[45, 78] > 0.9
    assert half[45, 82] == 0.5


def test_a_hint_that_agrees_changes_nothing() -> None:
    assert spread_hint(FLAT, SUBJECT, NOTHING, SUBJECT, 1 - SUBJECT) is SUBJECT


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a plate, a frame with a subject that has a hole of the wall's colour, and the true alpha."""
    rng = np.random.default_rng(3)
    wall = cv2.resize(rng.integers(60, 190, (12, 20, 3), np.uint8), (320, 192), interpolation=cv2.INTER_CUBIC)
    truth = cv2.GaussianBlur(disc(150, 96, 60, 192, 320), (0, 0), 1)
    cloth = cv2.resize(rng.integers(0, 256, (24, 40, 3), np.uint8), (320, 192)) // 2 + (0, 0, 120)
    hole = disc(150, 96, 18, 192, 320)
    share = (truth * (1 - hole))[..., None]
    noise = rng.normal(0, 1, wall.shape)
    return wall, np.rint(cloth * share + wall * (1 - share) + noise).clip(0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize("refine", ["auto", "full"])
def test_a_stroke_brings_the_matte_to_the_truth(runtime: str, refine: str) -> None:
    if runtime == "torch":
        pytest.importorskip("torch")
    wall, pixels, truth = scene()
    hint = np.zeros((192, 320, 4), np.uint8)
    cv2.line(hint, (140, 96), (160, 96), (255, 255, 255, 255), 4)
    options = {"scale": 1.0, "runtime": runtime, "device": "cpu", "refine": refine, "align": False}
    without = cleanplate.Keyer(wall, **options)(pixels).alpha
    matte = cleanplate.Keyer(wall, hint=hint, **options)(pixels)
    hole = disc(150, 96, 16, 192, 320) > 0
    assert without[hole].mean() < 0.2, "the network cannot know"
    assert matte.alpha[hole].min() > 0.98
    assert np.abs(matte.foreground[hole].astype(int) - pixels[hole]).max() <= 1
    assert np.abs(matte.alpha - truth).mean() < 0.5 * np.abs(without - truth).mean()
    far = disc(150, 96, 45, 192, 320) == 0
    np.testing.assert_allclose(matte.alpha[far], without[far], atol=0 if runtime == "onnx" else 1e-5)


def moving(count: int) -> list[Frame]:
    """Make a textured patch that moves by three pixels a frame, at 25 frames a second."""
    rng = np.random.default_rng(4)
    behind, patch = (
        cv2.GaussianBlur(rng.integers(0, 256, size, np.uint8), (0, 0), 2)
        for size in ((180, 320, 3), (60, 60, 3))
    )
    frames = []
    for n in range(count):
        pixels = behind.copy()
        pixels[60:120, 40 + 3 * n : 100 + 3 * n] = cv2.convertScaleAbs(patch, alpha=1.4)
        frames.append(Frame(pixels, pts=n, time_base=Fraction(1, 25), index=n))
    return frames


def test_strokes_follow_the_picture_and_continue_from_a_snapshot() -> None:
    hint = np.zeros((180, 320, 4), np.uint8)
    cv2.circle(hint, (70, 90), 8, (255, 255, 255, 255), -1)
    cv2.circle(hint, (280, 30), 8, (0, 0, 0, 255), -1)
    tracker, other = HintTracker(open_hint(hint)), HintTracker(open_hint(hint))
    before = tracker.snapshot()
    for n, frame in enumerate(moving(24)):
        found = tracker.follow(frame)
        if n == 12:
            other.restore(before)
        if n >= 12:
            again = other.follow(frame)
            assert np.array_equal(again.white, found.white)
        before = tracker.snapshot()
    rows, columns = np.nonzero(found.white)
    assert abs(columns.mean() - (70 + 3 * 23)) < 2
    assert abs(rows.mean() - 90) < 2
    assert 100 < len(rows) < 300
    rows, columns = np.nonzero(found.black)
    assert (abs(columns.mean() - 280), abs(rows.mean() - 30)) < (1, 1)


def test_a_carried_hint_ends_at_a_cut_and_fades_with_time() -> None:
    hint = np.zeros((180, 320, 4), np.uint8)
    cv2.circle(hint, (70, 90), 8, (255, 255, 255, 255), -1)
    first = moving(1)[0]
    late = int(25 * (HOLD_SECONDS + FADE_SECONDS / 2))
    tracker = HintTracker(open_hint(hint))
    assert tracker.follow(first).weight == 1
    assert tracker.follow(Frame(first.pixels, late, Fraction(1, 25), None, 1)).weight == pytest.approx(0.5)
    assert tracker.follow(Frame(first.pixels, late + 50, Fraction(1, 25), None, 2)) is None
    tracker.begin()
    assert tracker.follow(first).weight == 1
    cut = tracker.follow(Frame(255 - first.pixels, 1, Fraction(1, 25), None, 1))
    assert cut is None or cut.white.sum() < 60


def test_a_folder_has_hints_by_frame_and_a_sequence_one_for_each(tmp_path: Path) -> None:
    frames = moving(4)
    white, black = np.full((36, 64), 255, np.uint8), np.zeros((36, 64), np.uint8)
    write_image(tmp_path / "shot_0001.png", white)
    write_image(tmp_path / "shot_0003.png", black)
    tracker = HintTracker(open_hint(tmp_path))
    found = [tracker.follow(frame) for frame in frames]
    assert found[0] is None
    assert found[1].white.all()
    assert found[2].white.mean() > 0.7
    assert found[3].black.all()
    for n in range(4):
        write_image(tmp_path / f"each_{n}.png", white if n < 2 else black)
    each = HintTracker(open_hint(tmp_path / "each_%d.png"))
    assert [bool(each.follow(frame).white.all()) for frame in frames] == [True, True, False, False]
    each.close()


def test_wrong_hints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"gone\.png"):
        open_hint(tmp_path / "gone.png")
    with pytest.raises(InputError, match="another aspect ratio"):
        HintTracker(open_hint(np.full((90, 90), 255, np.uint8))).follow(FRAME)
    with pytest.raises(InputError, match="neither white nor black"):
        HintTracker(open_hint(np.full((HEIGHT, WIDTH), 128, np.uint8))).follow(FRAME)
    with pytest.raises(InputError, match=r"\(3,\)"):
        open_hint(np.zeros(3, np.uint8))
    with pytest.raises(InputError, match="no pictures"):
        open_hint(tmp_path)
    write_image(tmp_path / "first.png", np.zeros((32, 32), np.uint8))
    with pytest.raises(InputError, match=r"first\.png"):
        open_hint(tmp_path)
    (tmp_path / "first.png").unlink()
    for name in ("shot_07.png", "7.png"):
        write_image(tmp_path / name, np.zeros((32, 32), np.uint8))
    with pytest.raises(InputError, match="both for frame 7"):
        open_hint(tmp_path)
