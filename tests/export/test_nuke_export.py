"""The module for Nuke's Inference node: the keyer's numbers, knobs, and a file that older LibTorch loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.compositing.highlights import light_of_foreground  # noqa: E402
from cleanplate.export.export_options import ExportOptions  # noqa: E402
from cleanplate.export.parity import read_pair  # noqa: E402
from cleanplate.export.write import export_model  # noqa: E402
from cleanplate.frame import Frame, Matte, Pixels  # noqa: E402
from cleanplate.keyer.keyer import Keyer  # noqa: E402
from cleanplate.media.colour.transfer import SRGB, decode  # noqa: E402
from cleanplate.models.config import FINER  # noqa: E402
from cleanplate.models.registry import find_model  # noqa: E402
from cleanplate.plate import Fit, FittedPlate  # noqa: E402
from cleanplate.runtimes.torchscript_runtime import quiet_torchscript  # noqa: E402

SIZE = 192, 320
"""Sides are multiples of 32, so that keyer and module pad alike at a scale of 1/2."""

TOLERANCE = 1e-3
"""The keyer rounds source, plate and coarse input to 16 bits, and the refiner's equation enlarges that where
foreground and plate are similar: 4.1e-4 at 1920x1080 and 8.3e-4 at 2048x1080, in LibTorch 1.12.1, 2.1.1 and
2.13 alike."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,), difference = export_model(
        find_model("lite"), "nuke", tmp_path_factory.mktemp("nuke") / "lite.pt", ExportOptions(size=SIZE)
    )
    assert difference.passes
    return path


@pytest.fixture
def module(path: Path) -> Any:
    with quiet_torchscript():
        return torch.jit.load(path)


@pytest.fixture(scope="module")
def pair() -> tuple[Pixels, Pixels]:
    source, plate = (pixels.astype(np.uint16) * 257 for pixels in read_pair(SIZE))
    return source, plate


def run(module: Any, source: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Key floats as the node does: returns foreground and alpha."""
    x = torch.from_numpy(np.concatenate([source, plate], 2).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        y = module(x.contiguous())
    assert y.shape == (1, 4, *source.shape[:2])
    return y[0, :3].permute(1, 2, 0).numpy(), y[0, 3].numpy()


def key(source: Pixels, plate: Pixels, **options: Any) -> Matte:
    return Keyer(FittedPlate(plate, None, Fit.unmoved()), align=False, **options)(Frame(source))


def check(found: tuple[np.ndarray, np.ndarray], alpha: np.ndarray, foreground: np.ndarray) -> None:
    np.testing.assert_allclose(found[1], alpha, atol=TOLERANCE)
    seen = alpha > 0
    np.testing.assert_allclose(found[0][seen], foreground[seen], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("scale", "threshold", "refine"), [(0.5, 0.1, "threshold:0.1"), (0.25, 0.0, "full"), (0.5, 1.0, "off")]
)
def test_with_code_values_the_matte_is_the_keyers(module, pair, scale, threshold, refine) -> None:
    module.linear, module.scale, module.refine_threshold = 0, scale, threshold
    matte = key(*pair, scale=scale, refine=refine)
    assert 0.05 < (matte.alpha > 0.5).mean() < 0.9
    check(run(module, *(x / 65535 for x in pair)), matte.alpha, matte.foreground / 65535)


def test_with_light_highlights_and_negative_values_of_the_subject_are_kept(module, pair) -> None:
    source, plate = pair
    light = decode(source, SRGB)
    light[light > 0.6] *= 4
    light[::7, ::5] *= np.float32(-0.1)
    codes = np.round(65535 * _encode(light)).astype(np.uint16)
    matte = key(codes, plate, scale=0.5)
    frame = Frame(codes, light=light)
    expected = light_of_foreground(matte.foreground, matte.alpha, frame)
    module.scale = 0.5
    found = run(module, light, decode(plate, SRGB))
    check(found, matte.alpha, expected)
    solid = matte.alpha >= 0.9995
    assert light[solid].max() > 1.5
    assert light[solid].min() < 0
    np.testing.assert_array_equal(found[0][solid], light[solid])


def _encode(light: np.ndarray) -> np.ndarray:
    x = np.clip(light.astype(np.float64), 0, 1)
    return np.where(x < 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def test_an_empty_set_and_values_that_are_no_numbers_give_no_alpha(module, pair) -> None:
    plate = pair[1] / 65535
    shot = plate.copy()
    shot[100, 100] = plate[100, 100] = np.nan
    foreground, alpha = run(module, shot, plate)
    assert alpha.max() == 0
    assert np.isfinite(foreground).all()


def test_a_scale_of_0_is_fine_for_the_size(module) -> None:
    config = find_model("lite").config
    assert (module.scale, module.linear, module.refine_threshold) == (0.0, 1, 0.1)
    for size in ((1080, 1920), (1080, 2048), (2160, 3840), (270, 480)):
        assert module.choose_scale(*size) == pytest.approx(config.default_scale(*size, FINER))
    module.scale = 0.3
    assert module.choose_scale(1080, 1920) == pytest.approx(2 / 7), "one over it is a multiple of 1/2"


def test_a_model_of_bgmv2_passes_the_parity_check(open_model, tmp_path: Path) -> None:
    _, difference = export_model(
        open_model("bgmv2-3"), "nuke", tmp_path / "x.pt", ExportOptions(size=(96, 160), scale=0.5)
    )
    assert difference.passes


def test_the_operators_are_those_that_libtorch_1_12_has_loaded(module) -> None:
    known = Path(__file__).with_name("operators_of_nuke.txt").read_text().split()
    assert set(torch.jit.export_opnames(module)) <= set(known), "load the file with Nuke's LibTorch again"
