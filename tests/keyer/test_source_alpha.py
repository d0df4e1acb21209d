"""The alpha channel of a source, multiplied into the matte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cleanplate.compositing.over import apply_source_alpha
from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame, Matte
from cleanplate.keyer.keyer import Keyer
from cleanplate.models.registry import Model
from cleanplate.plate.tracking.shot import Shot

SIZE = (64, 96)


def make_frame(dtype: Any = np.uint8) -> Frame:
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(3).integers(0, top, (*SIZE, 3), dtype)
    alpha = np.full(SIZE, top, dtype)
    alpha[:, :32] = 0
    alpha[:, 32:48] = top // 5  # 51 of 255: exactly a fifth
    return Frame(pixels, alpha=alpha)


def make_matte(frame: Frame) -> Matte:
    ones = np.ones(SIZE, np.float32)
    return Matte(ones, frame.pixels, frame, shadow=ones, error=ones, refined=ones.astype(bool))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_maps_are_multiplied(dtype: Any) -> None:
    masked = apply_source_alpha(make_matte(make_frame(dtype)))
    for map_ in (masked.alpha, masked.shadow, masked.error):
        assert map_ is not None
        np.testing.assert_allclose(map_[0, [0, 40, 60]], [0, 0.2, 1], atol=1e-6)
    assert masked.refined is not None
    assert masked.refined[0, [0, 40, 60]].tolist() == [False, True, True]
    assert masked.foreground is masked.frame.pixels


def test_opaque_sources_give_the_same_matte() -> None:
    matte = make_matte(replace(make_frame(), alpha=None))
    assert apply_source_alpha(matte) is matte


def test_a_matte_on_a_device_is_multiplied_there() -> None:
    torch = pytest.importorskip("torch")
    from cleanplate.compositing.device.device_matte import DeviceMatte

    frame = make_frame()
    matte = DeviceMatte(torch.ones(SIZE), torch.zeros((3, *SIZE)), frame)
    masked = apply_source_alpha(matte)
    assert isinstance(masked, DeviceMatte)
    np.testing.assert_allclose(masked.alpha.numpy()[0, [0, 40, 60]], [0, 0.2, 1], atol=1e-6)


@pytest.mark.parametrize("shadow", ["remove", "keep", "separate"])
def test_the_keyer_uses_it_or_ignores_it(tiny_model: Model, shadow: str) -> None:
    frame = make_frame()
    plate = np.full((*SIZE, 3), 128, np.uint8)
    plate[:, 48:] += 12  # not all of one colour, which is refused

    def key(**options: Any) -> Matte:
        return Keyer(plate, model=tiny_model, runtime="onnx", align=False, shadow=shadow, **options)(frame)

    used, ignored = key(), key(source_alpha="ignore")
    assert ignored.alpha[:, :32].any()
    assert not used.alpha[:, :32].any()
    np.testing.assert_array_equal(used.alpha[:, 48:], ignored.alpha[:, 48:])
    if shadow != "keep":
        np.testing.assert_allclose(used.alpha[:, 32:48], ignored.alpha[:, 32:48] / 5, atol=1e-6)
    if used.shadow is not None:
        assert not used.shadow[:, :32].any()


def test_the_fit_uses_hidden_pixels_only_if_alpha_is_ignored(tiny_model: Model) -> None:
    random = np.random.default_rng(5)
    plate = random.integers(60, 120, (*SIZE, 3), np.uint8)
    pixels, alpha = plate.copy(), np.full(SIZE, 255, np.uint8)
    alpha[:, 20:] = 0
    pixels[:, 20:] *= 2
    frame = Frame(pixels, alpha=alpha)
    for choice, gain in (("use", 1.0), ("ignore", 2.0)):
        keyer = Keyer(plate, model=tiny_model, runtime="onnx", align=False, source_alpha=choice)
        keyer(frame)
        assert keyer.fit is not None
        np.testing.assert_allclose(keyer.fit.gain, gain, rtol=0.03)


@pytest.mark.parametrize(("runtime", "on_device"), [("onnx", False), ("torch", True)])
def test_transparent_parts_are_not_learned(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch, runtime: str, on_device: bool
) -> None:
    if runtime == "torch":
        pytest.importorskip("torch")
    plate = np.random.default_rng(5).integers(60, 120, (*SIZE, 3), np.uint8)
    model = "lite" if on_device else tiny_model
    keyer = Keyer(plate, model=model, runtime=runtime, align=False, follow=True, on_device=on_device)
    learned: list[Any] = []
    monkeypatch.setattr(Shot, "learn", lambda _, *given: learned.extend(given[1:]))
    keyer(replace(make_frame(), pixels=plate))
    assert len(learned) == (2 if on_device else 1)
    for covered in learned:
        assert covered[:, :32].min() == 1
        assert covered[:, 33:48].min() > 0.79


def test_wrong_values_are_refused(tiny_model: Model) -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    with pytest.raises(InputError, match="alpha as uint8"):
        Frame(pixels, alpha=np.zeros(SIZE, np.uint16))
    with pytest.raises(OptionError, match="'premultiply'"):
        Keyer(pixels, model=tiny_model, source_alpha="premultiply")
