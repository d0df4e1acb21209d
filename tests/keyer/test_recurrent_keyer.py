"""Keying without a plate: order, memory, cuts, options."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate import RecurrentKeyer
from cleanplate.errors import OptionError
from cleanplate.jobs.api import matte_image, matte_video
from cleanplate.media import open_source

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def keyer(tiny_recurrent_model):
    return RecurrentKeyer(model=tiny_recurrent_model, threads=1)


@pytest.fixture(scope="module")
def photo():
    picture = cv2.imread(str(SAMPLES / "photo.jpg"))[..., ::-1]
    return np.ascontiguousarray(cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def elsewhere(photo):
    """Make another place, with other colours and positions."""
    return np.ascontiguousarray(photo[::-1, ::-1, ::-1] // 2 + np.array([0, 0, 120], np.uint8))


@pytest.fixture
def clip(tmp_path, photo):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "bgr0"
        for number in range(4):
            pixels = np.roll(photo, 2 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_earlier_frames_count_until_the_state_is_reset(keyer, photo):
    first = keyer(photo)
    second = keyer(photo)
    assert first.alpha.shape == photo.shape[:2]
    assert first.foreground.dtype == np.uint8
    assert np.abs(first.alpha - second.alpha).max() > 1e-3
    keyer.forget()
    assert np.array_equal(keyer(photo).alpha, first.alpha)


def test_a_cut_and_another_size_reset_the_state(tiny_recurrent_model, keyer, photo, elsewhere):
    alone = RecurrentKeyer(model=tiny_recurrent_model, threads=1)(elsewhere).alpha
    keyer(photo)
    assert np.array_equal(keyer(elsewhere).alpha, alone)
    small = np.ascontiguousarray(elsewhere[:80])
    alone = RecurrentKeyer(model=tiny_recurrent_model, threads=1)(small).alpha
    assert np.array_equal(keyer(small).alpha, alone)
    deep = small.astype(np.uint16) * 257
    np.testing.assert_allclose(keyer(deep).alpha, alone, atol=1e-5)
    assert set(keyer.timings) == {"cut", "network"}


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [((90, 160), "auto", "0.4"), ((40, 60), "auto", "1"), ((90, 160), 0.25, "0.25")],
)
def test_the_downsampled_picture_has_its_longest_side(tiny_recurrent_model, size, scale, expected):
    keyer = RecurrentKeyer(model=tiny_recurrent_model, scale=scale, threads=1)
    keyer(np.zeros((*size, 3), np.uint8))
    assert keyer.describe().endswith(f"scale {expected}")


def test_regions(tiny_recurrent_model, photo):
    keyer = RecurrentKeyer(model=tiny_recurrent_model, ignore="rect:0,0,0.5,1", keep="rect:0.5,0,0.5,1")
    alpha = keyer(photo).alpha
    assert alpha[:, :75].max() == 0
    assert alpha[:, 85:].min() == 1


def test_a_photo(tiny_recurrent_model, photo, tmp_path):
    cutout = matte_image(photo, model=tiny_recurrent_model, on_note=pytest.fail)
    assert cutout.plate is None
    assert cutout.rgba().shape == (90, 160, 4)
    cutout.save(tmp_path / "cut.png", layer="composite", background="white")
    with pytest.raises(OptionError, match="'blur' needs a plate"):
        cutout.composite("blur")
    notes = []
    cutout = matte_image(photo, photo, model=tiny_recurrent_model, on_note=notes.append)
    assert notes == ["The model 'tiny-rvm' does not use the plate."]
    assert cutout.composite("blur").shape == photo.shape


@pytest.mark.parametrize("plate", [None, "none"])
def test_a_clip(tiny_recurrent_model, clip, tmp_path, plate):
    out = tmp_path / "alpha.mkv"
    summary = matte_video(clip, plate, out, save=["alpha"], model=tiny_recurrent_model, on_note=pytest.fail)
    assert summary.frames == 4
    keyer = RecurrentKeyer(model=tiny_recurrent_model)
    with open_source(clip) as source, open_source(out) as result:
        for frame, written in zip(source, result, strict=True):
            expected = keyer(frame).alpha
            shown = written.pixels[..., 0] / np.iinfo(written.pixels.dtype).max
            assert np.abs(shown - expected).max() < 0.01


def test_a_model_that_needs_a_plate_is_refused(photo, clip):
    for call in (
        lambda: RecurrentKeyer(model="lite"),
        lambda: matte_image(photo),
        lambda: matte_video(clip, "none"),
    ):
        with pytest.raises(OptionError, match="'lite' needs a plate"):
            call()


@pytest.mark.parametrize(
    "option",
    [
        {"follow": True},
        {"refine": "full"},
        {"shadow": "keep"},
        {"hint": np.zeros((9, 9))},
        {"align": False},
        {"plate_colour": "slog3"},
    ],
)
def test_options_that_need_a_plate_are_refused(tiny_recurrent_model, clip, option):
    with pytest.raises(OptionError, match=f"'{next(iter(option))}' needs one"):
        matte_video(clip, model=tiny_recurrent_model, **option)
    assert not list(clip.parent.glob("*.mov"))


def test_a_report_is_refused(tiny_recurrent_model, clip, tmp_path):
    with pytest.raises(OptionError, match="report"):
        matte_video(clip, model=tiny_recurrent_model, report=tmp_path / "report.json")
    assert not (tmp_path / "report.json").exists()


def test_the_keyer_with_a_plate_refuses_recurrent_models(tiny_recurrent_model, photo):
    with pytest.raises(OptionError, match="works without a plate"):
        cleanplate.Keyer(photo, model=tiny_recurrent_model)
