"""Plate, runtime and router together."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cleanplate.errors import InputError, ModelError, OptionError, PlateError
from cleanplate.frame import Frame, Padding
from cleanplate.keyer.keyer import Keyer
from cleanplate.models.config import FINER, ModelConfig
from cleanplate.models.registry import Model
from cleanplate.plate import Fit, FittedPlate
from cleanplate.router import Refine
from cleanplate.router.layout import lay_out

SAMPLES = Path(__file__).parents[2] / "samples"
NO_MOTION = Fit(np.eye(3), True, 0.0, 0.0, 1.0, np.ones(3), 0.0, 1.0)


def make_scene(height: int = 96, width: int = 160, dtype: type = np.uint8) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    plate = rng.integers(0, top // 3, (height, width, 3), dtype)
    frame = plate.copy()
    frame[height // 4 : height // 2, width // 4 : width // 2] = top
    return frame, plate


def fitted(plate: Any, valid: Any = None) -> FittedPlate:
    return FittedPlate(plate, valid, NO_MOTION)


@pytest.fixture
def make_keyer(tiny_model: Model) -> Any:
    return lambda plate, **options: Keyer(plate, model=tiny_model, **{"runtime": "onnx", **options})


@pytest.fixture
def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the fit by the plate itself, and record its frames."""
    frames: list[Any] = []

    class TakenAsItIs:
        learns = False

        def __init__(self, plate: Any, *, align: bool, **_: Any) -> None:
            self.plate, self.align, self.fitted = plate, align, None

        def plate_for(self, frame: Frame) -> FittedPlate:
            if self.fitted is None:
                frames.append((frame, self.align))
                height, width = frame.pixels.shape[:2]
                self.fitted = fitted(self.plate.pixels[:height, :width].astype(frame.pixels.dtype))
            return self.fitted

    monkeypatch.setattr("cleanplate.keyer.shot_plate.Shot", TakenAsItIs)
    return frames


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(96, 160), (97, 161), (33, 47), (110, 62)])
def test_a_matte_has_the_frame_s_size_and_type(size: tuple[int, int], dtype: type, make_keyer: Any) -> None:
    pixels, plate = make_scene(*size, dtype)
    frame = Frame(pixels, pts=7)
    matte = make_keyer(fitted(plate))(frame)
    assert matte.frame is frame
    assert matte.alpha.shape == size
    assert matte.foreground.dtype == dtype
    assert 0 <= matte.alpha.min() <= matte.alpha.max() <= 1


def test_changed_pixels_are_subject_and_unchanged_ones_are_not(make_keyer: Any) -> None:
    pixels, plate = make_scene()
    matte = make_keyer(fitted(plate), refine="off")(pixels)
    assert matte.alpha[28:44, 44:76].min() == 1
    assert matte.alpha[60:].max() == 0


def test_two_runs_are_equal_and_inputs_unchanged(make_keyer: Any) -> None:
    pixels, plate = make_scene()
    before = pixels.copy(), plate.copy()
    keyer = make_keyer(fitted(plate))
    first = keyer(pixels)
    kept = first.alpha.copy(), first.foreground.copy()
    keyer(pixels[::-1])
    second = keyer(pixels)
    np.testing.assert_array_equal(second.alpha, kept[0])
    np.testing.assert_array_equal(first.alpha, kept[0])
    np.testing.assert_array_equal(first.foreground, kept[1])
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(plate, before[1])


@pytest.mark.usefixtures("torch_loads_tiny")
def test_torch_and_onnx_agree(make_keyer: Any) -> None:
    pixels, plate = make_scene(128, 192)
    options = {"scale": 1.0, "refine": "full"}
    on_onnx = make_keyer(fitted(plate), **options)(pixels)
    on_torch = make_keyer(fitted(plate), runtime="torch", device="cpu", **options)(pixels)
    np.testing.assert_allclose(on_torch.alpha, on_onnx.alpha, atol=1e-4)
    assert np.abs(on_torch.foreground.astype(int) - on_onnx.foreground).max() <= 1


def test_the_plate_is_fitted_once_per_size_and_on_demand(make_keyer: Any, count_fits: list[Any]) -> None:
    pixels, plate = make_scene()
    keyer = make_keyer(plate, align=False)
    assert keyer.fit is None
    keyer(pixels)
    keyer(pixels)
    assert len(count_fits) == 1
    assert count_fits[0][1] is False
    assert keyer.fit is NO_MOTION
    keyer(pixels[:64])
    assert len(count_fits) == 2
    keyer(pixels[:64].astype(np.uint16))
    assert len(count_fits) == 3
    assert keyer.refit(pixels) is NO_MOTION
    assert len(count_fits) == 4


def test_invalid_pixels_of_the_plate_are_unknown_to_the_model(make_keyer: Any) -> None:
    pixels, plate = make_scene()
    valid = np.ones(pixels.shape[:2], bool)
    valid[20:52, 36:84] = False
    matte = make_keyer(fitted(plate, valid), refine="off")(pixels)
    # the tiny network keys unknown parts as background; only its input is tested
    assert matte.alpha[28:44, 44:76].max() == 0
    filled_with_anything = plate.copy()
    filled_with_anything[~valid] = 200
    again = make_keyer(fitted(filled_with_anything, valid), refine="full")(pixels)
    np.testing.assert_array_equal(again.alpha, make_keyer(fitted(plate, valid), refine="full")(pixels).alpha)


def test_a_plate_that_was_fitted_to_another_size_is_refused(make_keyer: Any) -> None:
    pixels, plate = make_scene()
    with pytest.raises(PlateError, match="160x96 uint8, the frame 160x64 uint8"):
        make_keyer(fitted(plate))(pixels[:64])


def test_a_wrong_frame_is_an_input_error(make_keyer: Any) -> None:
    keyer = make_keyer(fitted(make_scene()[1]))
    for bad in (
        np.zeros((96, 160), np.uint8),
        np.zeros((96, 160, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
    ):
        with pytest.raises(InputError):
            keyer(bad)


@pytest.mark.parametrize("scale", [0, 0.05, 1.5, -1, "half", float("nan"), "", None])
def test_a_wrong_scale_is_an_option_error(scale: Any, make_keyer: Any) -> None:
    with pytest.raises(OptionError, match="scale"):
        make_keyer(fitted(make_scene()[1]), scale=scale)


def test_wrong_options_are_option_errors(make_keyer: Any) -> None:
    plate = make_scene()[1]
    with pytest.raises(OptionError, match="everything"):
        make_keyer(plate, refine="everything")
    with pytest.raises(OptionError, match="abacus"):
        make_keyer(plate, runtime="abacus")
    with pytest.raises(ModelError, match="nonesuch"):
        Keyer(plate, model="nonesuch")
    with pytest.raises(InputError, match=r"missing\.png"):
        make_keyer(SAMPLES / "missing.png")


def test_a_keyer_is_described_in_one_line(make_keyer: Any) -> None:
    pixels, plate = make_scene()
    keyer = make_keyer(fitted(plate), threads=2)
    assert "scale auto, refine auto" in keyer.describe()
    keyer(pixels)
    line = keyer.describe()
    for part in (
        "tiny 1.0",
        "ONNX Runtime",
        "cpu",
        "2 threads",
        "scale 0.333 (56x32)",
        "refine threshold:0.2",
    ):
        assert part in line
    assert "\n" not in line


def test_the_steps_of_the_last_frame_are_timed(make_keyer: Any) -> None:
    pixels, plate = make_scene()
    keyer = make_keyer(fitted(plate), refine="full")
    stages = {"upload", "shrink", "coarse", "select", "cut", "refine", "paste", "foreground"}
    keyer(pixels)
    assert set(keyer.timings) == stages | {"fit", "learn"}


def test_the_coarse_network_runs_in_the_changed_region_only(
    make_keyer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, plate = make_scene(320, 480)
    pixels[:] = plate
    pixels[:40, :40] = 255
    keyer = make_keyer(fitted(plate), scale=1)
    seen: list[Any] = []
    coarse = keyer._runtime.coarse
    monkeypatch.setattr(keyer._runtime, "coarse", lambda s, p: (seen.append(s.shape), coarse(s, p))[1])
    alpha = keyer(pixels).alpha
    assert seen[0][2] < 160
    assert seen[0][3] < 160
    assert alpha[:30, :30].mean() > 0.5
    assert not alpha[200:].any()
    empty = keyer(plate)
    assert len(seen) == 1
    assert not empty.alpha.any()
    assert np.array_equal(empty.foreground, plate)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_refining_all_cells_leaves_the_set_empty(runtime: str) -> None:
    if runtime == "torch":
        pytest.importorskip("torch")
    plate = np.random.default_rng(3).integers(100, 180, (256, 384, 3), dtype=np.uint8)
    plate = cv2.GaussianBlur(plate, (0, 0), 2)
    pixels = plate.copy()
    pixels[100:140, 60:100] = (200, 30, 40)
    alpha = Keyer(fitted(plate), runtime=runtime, refine="full")(pixels).alpha
    assert alpha[110:130, 70:90].mean() > 0.9
    assert alpha[:, 200:].mean() < 0.01


def test_a_model_without_refiner_enlarges_the_coarse_result(tiny_model: Model) -> None:
    config = dataclasses.replace(tiny_model.config, refiner_kernel=None)
    model = dataclasses.replace(tiny_model, config=config, refiner_onnx=None)
    pixels, plate = make_scene()
    keyer = Keyer(fitted(plate), model=model, runtime="onnx", refine="full")
    assert keyer(pixels).alpha.max() == 1
    assert "refine off" in keyer.describe()


def test_the_sample_is_keyed_from_files(make_keyer: Any) -> None:
    from cleanplate.media.stills.image_reader import read_image

    keyer = make_keyer(SAMPLES / "plate.jpg")
    matte = keyer(read_image(SAMPLES / "photo.jpg").pixels)
    assert matte.alpha.max() > 0.9
    assert keyer.fit.overlap > 0.9


def config_like(tiny: ModelConfig, **changes: Any) -> ModelConfig:
    return dataclasses.replace(tiny, **changes)


@pytest.mark.parametrize(
    ("size", "scale", "expected", "padded"),
    [
        ((1080, 1920), 0.25, (270, 480), (1080, 1920)),
        ((1081, 1917), 0.25, (271, 480), (1084, 1920)),
        ((1084, 1920), 0.125, (135, 240), (1084, 1920)),  # rounded down, as the official code does
        ((480, 640), 1.0, (480, 640), (480, 640)),
    ],
)
def test_a_layout_without_a_multiple_equals_the_official_one(
    size: tuple[int, int], scale: float, expected: Any, padded: Any, tiny_model: Model
) -> None:
    layout = lay_out(config_like(tiny_model.config, size_multiple=1), *size, scale)
    assert layout.coarse_size == expected
    assert layout.padding.padded_size == padded


@pytest.mark.parametrize(
    ("size", "scale", "expected", "padded"),
    [
        ((1080, 1920), 0.5, (544, 960), (1088, 1920)),  # padded to a whole ratio of 2
        ((720, 1280), 0.5, (368, 640), (736, 1280)),
        ((2160, 3840), 0.25, (544, 960), (2176, 3840)),
        ((720, 1280), 0.75, (544, 960), (720, 1280)),  # no whole ratio: the nearest multiple
        (
            (33, 33),
            1.0,
            (32, 32),
            (36, 36),
        ),  # padding to 48 would cost too much; never larger than the picture
        ((32, 32), 0.125, (16, 16), (32, 32)),  # one multiple at least
    ],
)
def test_a_layout_with_a_multiple(
    size: tuple[int, int], scale: float, expected: Any, padded: Any, tiny_model: Model
) -> None:
    layout = lay_out(config_like(tiny_model.config, size_multiple=16), *size, scale)
    assert layout.coarse_size == expected
    assert layout.padding.padded_size == padded


def test_the_model_s_number_of_pixels_grows_with_the_picture(tiny_model: Model) -> None:
    config = config_like(tiny_model.config, refine="sampling:80000")
    assert lay_out(config, 1080, 1920).refine == Refine("sampling", 80_000)
    assert lay_out(config, 2160, 3840).refine == Refine("sampling", 320_000)
    assert lay_out(config, 2160, 3840, None, Refine("sampling", 80_000)).refine == Refine("sampling", 80_000)
    assert lay_out(tiny_model.config, 1080, 1920).padding == Padding.of(1080, 1920, 4)


def test_fine_enlarges_each_side_of_the_coarse_input_by_half(tiny_model) -> None:
    config = config_like(tiny_model.config, target_long_side=512)
    assert lay_out(config, 720, 1280).scale == 0.4
    assert lay_out(config, 720, 1280, finer=FINER).scale == pytest.approx(2 / 3)
    assert lay_out(config, 1080, 1920, finer=FINER).scale == 0.5
    assert lay_out(config, 200, 300, finer=FINER).scale == 1
    assert lay_out(config, 1080, 1920, 0.25, finer=FINER).scale == 0.25


def test_a_loaded_network_serves_one_plate_after_the_other(make_keyer: Any, tiny_model: Model) -> None:
    from cleanplate.runtimes import open_runtime

    frame, plate = make_scene()
    runtime = open_runtime(tiny_model, "onnx", "cpu", 1)
    for shade in (0, 40):
        shaded = fitted(plate + np.uint8(shade))
        own, shared = make_keyer(shaded, threads=1)(frame), make_keyer(shaded, runtime=runtime)(frame)
        assert np.array_equal(own.alpha, shared.alpha)
        assert np.array_equal(own.foreground, shared.foreground)


@pytest.mark.usefixtures("torch_loads_tiny")
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_maps_show_the_error_and_what_was_refined(runtime: str, make_keyer: Any) -> None:
    frame, plate = make_scene(95, 158)
    frame = np.where(frame == 255, plate + 60, frame).astype(np.uint8)  # half changed: in doubt
    plain = make_keyer(plate, runtime=runtime, align=False)(frame)
    assert plain.error is plain.refined is None
    keyer = make_keyer(plate, runtime=runtime, align=False, maps=True)
    matte = keyer(frame)
    coarse_only = make_keyer(plate, runtime=runtime, align=False, refine="off", maps=True)(frame)
    assert np.array_equal(matte.alpha, plain.alpha)
    assert matte.error.shape == matte.refined.shape == (95, 158)
    assert matte.error.dtype == np.float32
    assert matte.refined.dtype == bool
    assert 0 <= matte.error.min() < matte.error.max() <= 1
    # The refiner's random weights change all selected cells, and nothing else.
    assert np.array_equal(matte.refined, (matte.foreground != coarse_only.foreground).any(axis=2))
    assert 0 < matte.refined.mean() < 0.5
    assert not coarse_only.refined.any()
    # A cell is selected by the error at its middle.
    assert matte.error[matte.refined].mean() > 5 * matte.error[~matte.refined].mean()


def test_a_keyer_knows_whether_it_refines(make_keyer: Any, tiny_model: Model) -> None:
    _, plate = make_scene()
    assert make_keyer(plate).refines
    assert not make_keyer(plate, refine="off").refines
    config = dataclasses.replace(tiny_model.config, refiner_kernel=None)
    model = dataclasses.replace(tiny_model, config=config, refiner_onnx=None)
    assert not Keyer(plate, model=model, runtime="onnx").refines


def test_options_of_a_keyer_change_between_frames(make_keyer: Any, count_fits: list[Any]) -> None:
    frame, plate = make_scene()
    keyer = make_keyer(plate, scale=0.5)
    keyer(frame)
    keyer.tune(0.25, "full")
    tuned = keyer(frame)
    assert "scale 0.25" in keyer.describe()
    assert "refine full" in keyer.describe()
    assert len(count_fits) == 1  # the plate is not moved
    expected = make_keyer(plate, scale=0.25, refine="full")(frame)
    assert np.array_equal(tuned.alpha, expected.alpha)
    with pytest.raises(OptionError, match="scale"):
        keyer.tune(7, "auto")
