"""Several exposures of one plate: mixed for each frame as its lamps are, against the truth of made light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.cli import build_parser, main
from cleanplate.errors import OptionError, PlateError
from cleanplate.frame import Frame
from cleanplate.media import open_source
from cleanplate.media.colour.transfer import SRGB, decode, encode
from cleanplate.plate.mixing.light_mixture import fit_mixture, mix
from cleanplate.plate.mixing.mixed_shot import MixedShot
from cleanplate.plate.mixing.plate_set import load_plates

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH = 180, 320
LAMPS = ((0.7, 0.5), (0.7, 0.5), (0.6, 0.6), (0.4, 0.8), (0.1, 1.1), (0.1, 1.1))
"""Brightness of both lamps in each frame of the clip."""


class Room:
    """The sample's set, lit by a warm lamp on the left and a cold one on the right."""

    def __init__(self) -> None:
        size = (WIDTH, HEIGHT)
        read = {
            name: cv2.imread(str(SAMPLES / name)) for name in ("plate.jpg", "photo.jpg", "photo_alpha.png")
        }
        small = {
            name: cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for name, picture in read.items()
        }
        light = decode(np.ascontiguousarray(small["plate.jpg"][..., ::-1]), SRGB)
        self.subject = small["photo.jpg"][..., ::-1].astype(np.float32)
        self.alpha = small["photo_alpha.png"][..., 0].astype(np.float32) / 255
        self.lamps = []
        for place, colour in ((0.0, (1.0, 0.9, 0.7)), (1.0, (0.8, 0.95, 1.0))):
            across = (np.arange(WIDTH, dtype=np.float32) / WIDTH - place) ** 2
            self.lamps.append(light * (2.0 * np.exp(-across / 0.35) + 0.05)[:, None] * np.float32(colour))

    def shoot_set(self, left: float, right: float, seed: int = 0) -> np.ndarray:
        code = encode(left * self.lamps[0] + right * self.lamps[1], SRGB, np.uint8)
        noise = np.random.default_rng(seed).normal(0, 1.5, code.shape)
        return np.clip(np.rint(code + noise), 0, 255).astype(np.uint8)

    def shoot(self, left: float, right: float, seed: int = 0) -> np.ndarray:
        alpha = self.alpha[..., None]
        mixed = alpha * self.subject + (1 - alpha) * self.shoot_set(left, right, seed)
        return np.rint(mixed).astype(np.uint8)


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


@pytest.fixture(scope="module")
def files(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate for each lamp, a photo, and a sequence whose light goes from one to the other."""
    folder = tmp_path_factory.mktemp("lamps")
    pictures = {
        "left": room.shoot_set(1, 0, 1),
        "right": room.shoot_set(0, 1, 2),
        "photo": room.shoot(0.7, 0.5, 3),
    }
    for number, lamps in enumerate(LAMPS):
        pictures[f"clip_{number:03}"] = room.shoot(*lamps, 10 + number)
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture[..., ::-1])
    return folder


def test_a_photo_in_mixed_light_is_keyed_as_with_its_own_plate(room: Room, files: Path) -> None:
    empty = room.alpha < 0.001

    def key(plate: Any) -> tuple[float, float, float]:
        """Mean error of alpha, leak, and difference of the plate from the background, in levels."""
        cutout = cleanplate.matte_image(files / "photo.png", plate, on_note=lambda _: None)
        plate_error = np.abs(cutout.matte.plate.astype(float) - room.shoot_set(0.7, 0.5)).mean(axis=2)[empty]
        return np.abs(cutout.alpha - room.alpha).mean(), cutout.alpha[empty].mean(), plate_error.mean()

    perfect = key(room.shoot_set(0.7, 0.5, 5))
    mixed = key([files / "left.png", files / "right.png"])
    singles = [key(files / name) for name in ("left.png", "right.png")]
    assert mixed[0] < 1.1 * perfect[0] + 1e-4
    assert mixed[1] < 0.1 * min(single[1] for single in singles)
    assert mixed[2] < 0.3 * min(single[2] for single in singles)


def test_the_weights_follow_the_lamps_through_a_clip(room: Room, files: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "save": ["alpha"],
        "on_note": lambda _: None,
    }
    plates = [files / "left.png", files / "right.png"]
    alphas = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.mkv"
        cleanplate.matte_video(files / "clip_%03d.png", plates, out, workers=workers, **options)
        with open_source(out) as source:
            alphas.append([frame.pixels for frame in source])
    assert all(np.array_equal(*pair) for pair in zip(*alphas, strict=True))
    for pixels in alphas[0]:
        assert np.abs(pixels[..., 0] / np.iinfo(pixels.dtype).max - room.alpha).mean() < 0.008


def test_the_plate_keeps_its_pixels_while_the_light_stays(room: Room, files: Path) -> None:
    shot = MixedShot(load_plates([files / "left.png", files / "right.png"]))  # type: ignore[arg-type]
    fitted = [shot.plate_for(Frame(room.shoot(0.7, 0.5, seed), index=seed)) for seed in range(4)]
    assert fitted[1] is fitted[2] is fitted[3]
    assert shot.plate_for(Frame(room.shoot(0.3, 0.9, 9), index=9)) is not fitted[3]


def test_a_camera_that_moves_keeps_the_mixture(room: Room, files: Path) -> None:
    shot = MixedShot(load_plates([files / "left.png", files / "right.png"]))  # type: ignore[arg-type]
    first = room.shoot(0.7, 0.5, 3)
    shot.plate_for(Frame(first))
    shot.learn(Frame(first), room.alpha)
    shift = np.float32([[1, 0, 4], [0, 1, 1]])
    moved = cv2.warpAffine(first, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    truth = cv2.warpAffine(room.shoot_set(0.7, 0.5), shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    for index in range(3):
        fitted = shot.plate_for(Frame(moved, index=index + 1))
    assert fitted.fit.shift_pixels == pytest.approx(4.1, abs=0.3)
    assert fitted.valid is not None
    assert np.abs(fitted.pixels.astype(float) - truth)[8:, 8:].mean() < 2.5


def test_weights_are_exact_where_light_adds_up() -> None:
    random = np.random.default_rng(2)
    pictures = cv2.resize(random.random((12, 20, 9), np.float32), (240, 135)).reshape(135, 240, 3, 3)
    pictures = np.ascontiguousarray(pictures.transpose(2, 0, 1, 3)) + 0.05
    frame = np.tensordot(np.float32([0.6, 0.0, 0.3]), pictures, 1)
    frame[40:, 60:200] = random.random(3, np.float32)  # a subject over 47% of the frame
    found = fit_mixture(frame, pictures, np.ones(frame.shape[:2], bool))
    assert found is not None
    assert np.abs(mix(pictures, found)[:40] - frame[:40]).max() < 0.01
    assert found.weights.mean(axis=(1, 2)) == pytest.approx([0.6, 0.0, 0.3], abs=0.02)


def test_a_plate_of_another_place_is_left_out_with_a_note(room: Room, files: Path) -> None:
    other = cv2.resize(np.random.default_rng(7).integers(0, 256, (18, 32, 3), np.uint8), (WIDTH, HEIGHT))
    frame = Frame(room.shoot(0.9, 0.1))
    fitted = MixedShot(load_plates([files / "left.png", other, files / "right.png"])).plate_for(frame)  # type: ignore[arg-type]
    assert any("another place" in note and "left out" in note for note in fitted.fit.notes)
    with pytest.raises(PlateError, match="another place"):
        MixedShot(load_plates([other, other])).plate_for(frame)  # type: ignore[arg-type]


def test_the_command_line_takes_several_plates(files: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = build_parser().parse_args(["video", "--plate", "a.jpg", "b.jpg", "clip.mov", "-o", "cut.mov"])
    assert (arguments.source, arguments.plate) == (Path("clip.mov"), (Path("a.jpg"), Path("b.jpg")))
    assert build_parser().parse_args(["image", "--plate", "a.jpg", "photo.jpg"]).plate == Path("a.jpg")
    plates = [str(files / "left.png"), str(files / "right.png")]
    out = tmp_path / "cut.png"
    assert main(["image", str(files / "photo.png"), "--plate", *plates, "-o", str(out)]) == 0
    assert out.is_file()
    assert "left.png 5" in capsys.readouterr().err


def test_a_row_of_a_manifest_takes_several_plates(files: Path, tmp_path: Path) -> None:
    table = tmp_path / "shots.csv"
    table.write_text(
        f"clip,plate,output,fps\n{files}/clip_%03d.png,{files}/left.png|{files}/right.png,cut.mkv,25\n"
    )
    assert main(["video", str(table)]) == 0
    assert (tmp_path / "cut.mkv").is_file()


@pytest.mark.parametrize(
    ("plates", "options", "said"),
    [(2, {"follow": True}, "nothing to follow"), (9, {}, "2 to 8 plates"), (0, {}, "2 to 8 plates")],
)
def test_a_wrong_set_of_plates_is_refused(
    files: Path, plates: int, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        cleanplate.matte_image(files / "photo.png", [files / "left.png"] * plates, **options)
