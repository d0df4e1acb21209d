"""The shipped model on samples with known truth and on real captures: whole bodies, clean walls."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate import Frame, Keyer, matte_image
from cleanplate.media.stills.image_reader import read_image

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
REAL = ROOT.parent / "shared" / "data" / "real"

needs_captures = pytest.mark.skipif(
    not REAL.is_dir(), reason="the real captures are not part of the repository"
)


def decode(path: Path, wanted: set[int], layout: str = "rgb24") -> Iterator[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as clip:
        for number, frame in enumerate(clip.decode(video=0)):
            if number in wanted:
                yield frame.to_ndarray(format=layout)


def test_the_sample_photo() -> None:
    alpha = matte_image(SAMPLES / "photo.jpg", SAMPLES / "plate.jpg").alpha
    truth = read_image(SAMPLES / "photo_alpha.png").pixels[..., 0] / 255
    made = np.abs(alpha - truth)
    assert made.mean() < 8e-3
    assert made[truth < 0.004].mean() < 2e-3
    assert made[truth > 0.98].mean() < 15e-3


def test_the_sample_clip() -> None:
    keyer = Keyer(SAMPLES / "clip_plate.jpg")
    wanted = {0, 33, 66, 99}
    frames = decode(SAMPLES / "clip.mp4", wanted)
    truths = decode(SAMPLES / "clip_alpha.mkv", wanted, "gray")
    for frame, truth in zip(frames, truths, strict=True):
        assert np.abs(keyer(frame).alpha - truth / 255).mean() < 6e-3


def test_torch_and_onnx_agree_on_the_sample() -> None:
    pytest.importorskip("torch")
    photo = read_image(SAMPLES / "photo.jpg").pixels
    first, second = (Keyer(SAMPLES / "plate.jpg", runtime=name)(photo) for name in ("onnx", "torch"))
    assert np.abs(first.alpha - second.alpha).max() < 1e-4
    assert np.abs(first.foreground.astype(int) - second.foreground).max() <= 1


@needs_captures
def test_a_man_leaving_the_frame_is_keyed() -> None:
    keyer = Keyer(REAL / "wall_clip" / "plate.png")
    frames = decode(REAL / "wall_clip" / "clip.mp4", {60, 180, 300})
    for frame in frames:
        last = frame
        alpha = keyer(frame).alpha
        if alpha.mean() > 0.1:
            # The man's face is whole, and the wall beside his head is removed.
            rows, columns = np.nonzero(alpha > 0.5)
            middle = int(np.median(columns[rows < 0.5 * alpha.shape[0]]))
            assert alpha[80:130, middle - 15 : middle + 15].min() > 0.95
            assert alpha[:100, :60].max() < 0.05
    # Only a shoulder is left in the corner.
    alpha = keyer(last).alpha
    assert alpha[:, 60:].mean() < 1e-3
    assert alpha[-6:, :20].mean() > 0.9


@needs_captures
@pytest.mark.slow
def test_an_updated_plate_learns_nothing_of_the_man() -> None:
    path = REAL / "wall_clip" / "plate.png"
    fresh, fixed = Keyer(path, follow=True), Keyer(path)
    wanted = range(0, 360, 15)
    for number, pixels in zip(wanted, decode(REAL / "wall_clip" / "clip.mp4", {*wanted}), strict=True):
        frame = Frame(pixels, pts=number, time_base=Fraction(1, 60), index=number)
        matte, before = fresh(frame), fixed(frame)
        body = cv2.erode((before.alpha > 0.9).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        if before.alpha.mean() > 0.05:  # without the last of a shoulder in the corner
            assert matte.alpha.sum() > 0.98 * before.alpha.sum(), number
        assert np.count_nonzero(matte.alpha[body] < 0.5) <= 0.001 * body.size, number
        # His shadow on the wall is 25 levels deep; hair, face and shirt are 60 levels away from the wall.
        learned = np.abs(matte.plate.astype(int) - before.plate).max(axis=2)[body] > 40
        assert np.count_nonzero(learned) <= 0.001 * body.size, number


@needs_captures
@pytest.mark.parametrize("shot", ["a", "b"])
def test_a_cup_shot_by_hand(shot: str) -> None:
    folder = REAL / "desk_cup"
    alpha = matte_image(folder / f"photo_{shot}.jpg", folder / f"plate_{shot}.jpg").alpha
    assert alpha[120:260, 200:380].mean() > 0.9
    assert alpha[:, 560:].mean() < 0.02
    assert alpha[:25].mean() < 0.02
