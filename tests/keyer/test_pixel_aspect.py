"""Frames whose pixels are not square: keyed in true proportions, with a plate of either shape."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cleanplate import Keyer, check_plate, matte_video
from cleanplate.compositing.still_backdrops import PictureBackdrop
from cleanplate.errors import PlateError
from cleanplate.frame import Frame, Pixels
from cleanplate.keyer.regions import open_region
from cleanplate.media import open_source, read_image, write_image
from cleanplate.models.config import ModelConfig
from cleanplate.models.registry import find_model
from cleanplate.router.layout import lay_out

SAMPLES = Path(__file__).parents[2] / "samples"
TWO = Fraction(2)


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return find_model("lite").config


def squeeze(pixels: Pixels) -> Pixels:
    """Half of the width, as an anamorphic lens records it."""
    size = (pixels.shape[1] // 4, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def halve(pixels: Pixels) -> Pixels:
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def shot() -> tuple[Pixels, Pixels, Pixels]:
    """Frame of the sample clip, its plate and its true alpha."""
    with open_source(SAMPLES / "clip.mp4") as clip, open_source(SAMPLES / "clip_alpha.mkv") as truth:
        frame, alpha = next(iter(clip)).pixels, next(iter(truth)).pixels
    return frame, read_image(SAMPLES / "clip_plate.jpg").pixels, alpha


def test_the_network_sees_true_proportions(shot: tuple[Pixels, Pixels, Pixels]) -> None:
    frame, plate, truth = shot
    keyer = Keyer(squeeze(plate))
    wanted = squeeze(truth)[..., 0] / 255
    errors = [
        float(np.square(keyer(Frame(squeeze(frame), pixel_aspect=aspect)).alpha - wanted).mean())
        for aspect in (Fraction(1), TWO)
    ]
    assert errors[1] < 0.75 * errors[0]


def test_a_plate_may_be_stored_like_the_frame_or_have_square_pixels(
    shot: tuple[Pixels, Pixels, Pixels],
) -> None:
    frame = Frame(squeeze(shot[0]), pixel_aspect=TWO)
    like_the_frame, square = Keyer(squeeze(shot[1])), Keyer(halve(shot[1]))
    alphas = [keyer(frame).alpha for keyer in (like_the_frame, square)]
    assert np.abs(alphas[0] - alphas[1]).mean() < 0.002
    for keyer, note in ((like_the_frame, "counts as stored like the frame"), (square, "has square pixels")):
        assert keyer.fit is not None
        assert any(note in one and "2:1" in one for one in keyer.fit.notes)
    with pytest.raises(PlateError, match="another aspect ratio"):
        square(Frame(squeeze(shot[0])))


@pytest.mark.parametrize("aspect", [Fraction(1, 100), Fraction(100), Fraction(4480, 4479)])
def test_a_wrong_aspect_and_a_rounded_one_count_as_square(aspect: Fraction) -> None:
    assert Frame(np.zeros((40, 40, 3), np.uint8), pixel_aspect=aspect).stretch == 1


@pytest.mark.parametrize(
    ("size", "stretch", "scale", "expected"),
    [
        ((1080, 1440), 4 / 3, None, (360, 640)),  # as of 1080x1920
        ((1440, 1080), 3 / 4, None, (640, 360)),  # turned
        ((1080, 1920), 1.0, None, (360, 640)),
        ((540, 720), 4 / 3, 1.0, (400, 720)),  # not larger than the frame, and still square
    ],
)
def test_the_coarse_input_has_square_pixels(
    config: ModelConfig, size: tuple[int, int], stretch: float, scale: float | None, expected: tuple[int, int]
) -> None:
    coarse = lay_out(config, *size, scale, stretch=stretch).coarse_size
    assert coarse == pytest.approx(expected, abs=config.size_multiple)
    shown = size[1] * stretch / size[0]
    assert coarse[1] / coarse[0] == pytest.approx(shown, rel=0.05)


def test_a_backdrop_and_a_region_keep_their_proportions() -> None:
    square = np.zeros((100, 200, 3), np.uint8)
    square[30:70, 80:120] = 255
    frame = Frame(np.zeros((100, 100, 3), np.uint8), pixel_aspect=TWO)
    shown = PictureBackdrop(square)(frame)[..., 0] > 127
    assert (shown.any(axis=1).sum(), shown.any(axis=0).sum()) == (40, 20)
    region = open_region(square)
    assert region is not None
    mask = np.asarray(region(frame)) > 0.5
    assert (mask.any(axis=1).sum(), mask.any(axis=0).sum()) == (40, 20)


def test_a_clip_keeps_its_stored_size_and_its_aspect(
    shot: tuple[Pixels, Pixels, Pixels], tmp_path: Path
) -> None:
    frame, plate, _ = (squeeze(pixels) for pixels in shot)
    with av.open(str(tmp_path / "a.mov"), "w") as output:
        stream = output.add_stream("prores_ks", rate=25)
        stream.height, stream.width = frame.shape[:2]
        stream.pix_fmt = "yuv422p10le"
        stream.codec_context.sample_aspect_ratio = TWO
        for _ in range(2):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    write_image(tmp_path / "plate.png", halve(shot[1]))
    notes: list[str] = []
    matte_video(tmp_path / "a.mov", tmp_path / "plate.png", tmp_path / "cut.mov", on_note=notes.append)
    assert any("has square pixels" in note for note in notes)
    with open_source(tmp_path / "cut.mov") as cut:
        assert (cut.info.height, cut.info.width) == frame.shape[:2]
        assert cut.info.pixel_aspect == TWO
    assert plate.shape == frame.shape
    checked = check_plate(tmp_path / "plate.png", tmp_path / "a.mov")
    assert checked.findings[0].severity == "good"
