"""A second plate with props: kept with the subject or left out, against the truth of made pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.errors import OptionError
from cleanplate.frame import Frame
from cleanplate.plate import MovingPlate

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH = 180, 320


class Stage:
    """The sample's set and subject, and a round chair with a soft edge that half covers the subject."""

    def __init__(self) -> None:
        def read(name: str) -> np.ndarray:
            picture = cv2.imread(str(SAMPLES / name))[..., ::-1]
            return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)

        self.empty, self.person = read("plate.jpg"), read("photo.jpg")
        self.person_alpha = read("photo_alpha.png")[..., 0] / 255
        centre = (int(np.average(np.arange(WIDTH), weights=self.person_alpha.sum(axis=0))) - 40, 130)
        disc = cv2.circle(np.zeros((HEIGHT, WIDTH), np.float32), centre, 34, 1.0, -1)
        self.chair_alpha = cv2.GaussianBlur(disc, (0, 0), 1.5)
        self.chair = np.broadcast_to(np.float32([220, 60, 40]), self.empty.shape)
        self.with_chair = self.put(self.chair_alpha, self.chair, self.empty)

    def put(self, alpha: np.ndarray, colour: np.ndarray, behind: np.ndarray) -> np.ndarray:
        return alpha[..., None] * colour + (1 - alpha[..., None]) * behind

    def shoot(self, order: str) -> np.ndarray:
        """The subject before the chair, behind it, or without it."""
        if order == "behind":
            return self.put(
                self.chair_alpha, self.chair, self.put(self.person_alpha, self.person, self.empty)
            )
        set_ = self.with_chair if order == "before" else self.empty
        return self.put(self.person_alpha, self.person, set_)

    def truth(self, order: str, mode: str) -> np.ndarray:
        person, chair = self.person_alpha, self.chair_alpha
        if mode == "drop":
            return person * (1 - chair) if order == "behind" else person
        return person if order == "gone" else 1 - (1 - person) * (1 - chair)


def pixels(picture: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1.5, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("mode", ["keep", "drop"])
def test_a_prop_is_kept_or_dropped_before_and_behind_the_subject(stage: Stage, mode: str) -> None:
    plates: dict[str, Any] = {"plate": pixels(stage.empty, 1), "props": pixels(stage.with_chair, 2)}
    for order in ("before", "behind", "gone"):
        photo = pixels(stage.shoot(order), 3)
        cutout = cleanplate.matte_image(photo, **plates, props_mode=mode, on_note=lambda _: None)
        wrong = np.abs(cutout.alpha - stage.truth(order, mode))
        assert wrong.mean() < 0.008, order
        edge = (stage.chair_alpha > 0.05) & (stage.chair_alpha < 0.95) & (stage.person_alpha < 0.01)
        assert wrong[edge].mean() < (0.2 if mode == "keep" else 0.02), order


def test_props_are_not_learned_into_the_empty_plate(stage: Stage) -> None:
    keyer = cleanplate.Keyer(pixels(stage.empty, 1), props=pixels(stage.with_chair, 2), follow=True)
    chair = (stage.chair_alpha > 0.99) & (stage.person_alpha < 0.01)
    for number in range(12):  # a frame a second, in which the subject moves
        frame = pixels(stage.shoot("before"), number)
        frame[:40, 20 * number : 20 * number + 20] = (30, 200, 90)
        matte = keyer(Frame(frame, pts=1000 * number, index=number))
    assert matte.alpha[chair].mean() > 0.95


def test_workers_give_equal_mattes(stage: Stage, tmp_path: Path) -> None:
    for number in range(6):
        picture = pixels(stage.shoot("before"), number)
        cv2.imwrite(str(tmp_path / f"clip_{number:03}.png"), picture[..., ::-1])
    for workers in (1, 3):
        cleanplate.matte_video(
            tmp_path / "clip_%03d.png",
            pixels(stage.empty, 1),
            tmp_path / f"{workers}_%03d.png",
            props=pixels(stage.with_chair, 2),
            props_mode="drop",
            workers=workers,
            on_note=lambda _: None,
        )
    for number in range(6):
        one, three = ((tmp_path / f"{workers}_{number:03}.png").read_bytes() for workers in (1, 3))
        assert one == three, number


def test_props_need_a_plate_that_stays(stage: Stage) -> None:
    with pytest.raises(OptionError, match="cannot be combined with a props plate"):
        cleanplate.Keyer(MovingPlate(Path("plate.mov")), props=pixels(stage.with_chair, 2))
    with pytest.raises(OptionError, match="props' mode as one of keep, drop"):
        cleanplate.matte_video("clip.mov", "plate.jpg", props="props.jpg", props_mode="both")
