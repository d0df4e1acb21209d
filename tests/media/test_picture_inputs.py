"""Paths and Pillow's images are taken wherever pixels are; keyers are copied; notebooks get pictures."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

import cleanplate
from cleanplate.compositing.backdrops import open_backdrop
from cleanplate.keyer.regions import open_region
from cleanplate.media.stills.picture_inputs import take_picture
from cleanplate.plate import load_plate

SIZE = (48, 64)


def paint(seed):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def plate():
    return paint(1)


@pytest.fixture
def photo(plate):
    photo = plate.copy()
    photo[16:40, 20:44] = (200, 30, 30)
    return photo


@pytest.fixture
def keyer(plate, tiny_model):
    return cleanplate.Keyer(plate, model=tiny_model, runtime="onnx", device="cpu", align=False)


def test_a_frame_is_given_as_pixels_path_or_image(keyer, photo, tmp_path):
    expected = keyer(photo).alpha
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    for given in (Image.fromarray(photo), path, str(path)):
        assert np.array_equal(keyer(given).alpha, expected)
        assert keyer.refit(given).overlap == 1


def test_images_are_accepted_everywhere(plate, photo, tiny_model):
    image = Image.fromarray(plate)
    assert np.array_equal(load_plate(image).pixels, plate)
    frame = cleanplate.Frame(photo)
    assert np.array_equal(open_backdrop(image)(frame), plate)
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :20] = 255
    assert np.array_equal(open_region(Image.fromarray(mask))(frame), mask / np.float32(255))
    options = {"model": tiny_model, "runtime": "onnx", "device": "cpu", "align": False}
    cut = cleanplate.matte_image(Image.fromarray(photo), image, keep=Image.fromarray(mask), **options)
    assert np.array_equal(cut.foreground[:, :20], photo[:, :20])
    assert (cut.alpha[:, :20] == 1).all()
    same = cleanplate.matte_image(photo, plate, keep=mask, **options)
    assert np.array_equal(cut.composite(Image.fromarray(photo)), same.composite(photo))
    assert cleanplate.check_plate(image, [Image.fromarray(photo)] * 2).frames == 2


def test_an_image_is_turned_upright_and_keeps_its_depth_and_profile():
    pixels = paint(3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = 6
    assert np.array_equal(take_picture(image).pixels, np.rot90(pixels, -1))
    deep = np.random.default_rng(1).integers(0, 65536, SIZE, np.uint16)
    assert np.array_equal(take_picture(Image.fromarray(deep)).pixels[..., 1], deep)
    clear = take_picture(Image.fromarray(np.dstack([pixels, np.full(SIZE, 7, np.uint8)])))
    assert np.array_equal(clear.pixels, pixels)
    assert (clear.alpha == 7).all()
    grey = take_picture(Image.fromarray(pixels[..., 0]))
    assert np.array_equal(grey.pixels[..., 2], pixels[..., 0])
    with pytest.raises(cleanplate.InputError, match="mode F"):
        take_picture(Image.fromarray(np.ones(SIZE, np.float32)))


def test_an_image_of_a_truncated_file_is_an_input_error(tmp_path):
    Image.fromarray(paint(3)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    with (
        Image.open(tmp_path / "a.png") as image,
        pytest.raises(cleanplate.InputError, match="cannot be read"),
    ):
        take_picture(image)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda keyer: pickle.loads(pickle.dumps(keyer))])
def test_a_copied_keyer_has_the_state_of_the_original(plate, photo, tiny_model, copied):
    options = {"runtime": "onnx", "device": "cpu", "follow": True, "keep": "rect:0,0,0.1,1"}
    keyer = cleanplate.Keyer(plate, model=tiny_model, **options)
    frames = [cleanplate.Frame(np.roll(photo, 2 * n, 1), pts=40 * n, index=n) for n in range(4)]
    for frame in frames[:2]:
        keyer(frame)
    keyer.tune(0.5, "full")
    other = copied(keyer)
    assert other.describe().split(", scale")[0] == keyer.describe().split(", scale")[0]
    for frame in frames[2:]:
        one, two = keyer(frame), other(frame)
        assert np.array_equal(one.alpha, two.alpha)
        assert np.array_equal(one.foreground, two.foreground)
    assert other.describe() == keyer.describe()


def test_a_keyer_whose_runtime_was_open_is_copied(plate, photo, tiny_model):
    from cleanplate.runtimes import open_runtime

    keyer = cleanplate.Keyer(plate, runtime=open_runtime(tiny_model, "onnx", "cpu"), align=False)
    other = copy.deepcopy(keyer)
    assert other._runtime is not keyer._runtime
    assert np.array_equal(other(photo).alpha, keyer(photo).alpha)


def test_a_keyer_without_a_plate_is_copied(photo, tiny_recurrent_model):
    keyer = cleanplate.RecurrentKeyer(model=tiny_recurrent_model, runtime="onnx", device="cpu")
    keyer(photo)
    other = pickle.loads(pickle.dumps(keyer))
    assert np.array_equal(other(photo).alpha, keyer(photo).alpha)


def test_a_keyer_is_pickled_for_a_pool_of_processes(keyer, photo):
    # The bound keyer goes to the process with every call, as of Ray.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(keyer, (photo,)).alpha, keyer(photo).alpha)


def test_notebooks_show_a_picture_and_a_short_text(keyer, photo, plate):
    matte = keyer(photo)
    shown = cv2.imdecode(np.frombuffer(matte._repr_png_(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown[..., 2::-1], matte.foreground)
    assert np.array_equal(shown[..., 3], np.rint(matte.alpha * 255))
    cutout = cleanplate.jobs.api.Cutout(matte, load_plate(plate))
    assert cutout._repr_png_() == matte._repr_png_()
    for thing in (matte, cutout, matte.frame, cutout.plate):
        assert "64x48 uint8" in repr(thing)
        assert len(repr(thing)) < 70
    large = cleanplate.Matte(
        np.zeros((1500, 3000), np.float32), np.zeros((1500, 3000, 3), np.uint16), cleanplate.Frame(
            np.zeros((1500, 3000, 3), np.uint16)
        )
    )  # fmt: skip
    small = cv2.imdecode(np.frombuffer(large._repr_png_(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert small.shape == (512, 1024, 4)
