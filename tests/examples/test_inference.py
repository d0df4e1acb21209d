"""Nuke's contract in LibTorch: the C++ example runs the module as a whole and in tiles."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from cleanplate.export.export_options import ExportOptions
from cleanplate.export.parity import read_pair
from cleanplate.export.write import export_model
from cleanplate.frame import Pixels
from cleanplate.keyer.keyer import Keyer
from cleanplate.models.registry import find_model
from cleanplate.plate import Fit, FittedPlate

EXAMPLES = Path(__file__).parents[2] / "examples" / "cpp"

TOLERANCE = 1e-3
"""As in tests/export/test_nuke_export.py: the keyer rounds to 16 bits, the module does not."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built example and the module."""
    if not all(shutil.which(tool) for tool in ("make", "g++")):
        pytest.skip("no C++ compiler: g++ and make are needed")
    folder = tmp_path_factory.mktemp("inference")
    program = folder / "inference"
    command = ["make", "-C", EXAMPLES, f"PYTHON={sys.executable}", f"INFERENCE={program}", program]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    export_model(find_model("lite"), "nuke", folder / "lite.pt", ExportOptions(size=(96, 160)))
    return folder


def infer(folder: Path, source: Pixels, plate: Pixels, *options: str) -> np.ndarray:
    """Run the example on code values: foreground and alpha, ``(4, H, W)``."""
    height, width = source.shape[:2]
    both = np.concatenate([source, plate], 2).transpose(2, 0, 1).astype(np.float32) / 65535
    both.tofile(folder / "in.raw")
    command = ["./inference", "lite.pt", str(height), str(width), "in.raw", "out.raw", "linear=0", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "out.raw", np.float32).reshape(4, height, width)


def key(source: Pixels, plate: Pixels, scale: float | str) -> np.ndarray:
    """Key with the package: foreground and alpha, ``(4, H, W)``."""
    matte = Keyer(FittedPlate(plate, None, Fit.unmoved()), align=False, scale=scale)(source)
    return np.concatenate([matte.foreground.transpose(2, 0, 1) / 65535, matte.alpha[None]])


def key_tiles(source: Pixels, plate: Pixels, scale: float, tile: int, overlap: int) -> np.ndarray:
    height, width = source.shape[:2]
    step = tile - 2 * overlap
    result = np.empty((4, height, width))
    for top in range(0, height, step):
        for left in range(0, width, step):
            y, x = max(top - overlap, 0), max(left - overlap, 0)
            part = np.s_[y : top + step + overlap, x : left + step + overlap]
            keyed = key(np.ascontiguousarray(source[part]), np.ascontiguousarray(plate[part]), scale)
            inner = keyed[:, top - y : top - y + step, left - x : left - x + step]
            result[:, top : top + step, left : left + step] = inner
    return result


def check(found: np.ndarray, expected: np.ndarray) -> None:
    assert 0.05 < (expected[3] > 0.5).mean() < 0.9
    np.testing.assert_allclose(found[3], expected[3], atol=TOLERANCE)
    seen = expected[3] > 0
    np.testing.assert_allclose(found[:3, seen], expected[:3, seen], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("size", "scale", "tile", "overlap"),
    [
        pytest.param((192, 320), 0.5, 128, 32, marks=[pytest.mark.slow, pytest.mark.long]),
        pytest.param((1080, 1920), "fine", 1024, 64, marks=pytest.mark.hosts),
        pytest.param((1080, 2048), "fine", 1024, 64, marks=pytest.mark.hosts),
    ],
)
def test_whole_pictures_and_tiles_are_the_keyers(folder: Path, size, scale, tile, overlap) -> None:
    source, plate = (pixels.astype(np.uint16) * 257 for pixels in read_pair(size))
    chosen = 0 if scale == "fine" else scale
    check(infer(folder, source, plate, f"scale={chosen}"), key(source, plate, scale))
    # Sides of tiles are multiples of 32, so that keyer and module pad alike at a scale of 1/2.
    found = infer(folder, source, plate, "scale=0.5", f"tile={tile}", f"overlap={overlap}")
    check(found, key_tiles(source, plate, 0.5, tile, overlap))


@pytest.mark.slow
@pytest.mark.long
def test_a_knob_that_the_module_lacks_is_named(folder: Path) -> None:
    (folder / "in.raw").write_bytes(bytes(6 * 4 * 4 * 4))
    command = ["./inference", "lite.pt", "4", "4", "in.raw", "out.raw", "sharpness=1"]
    wrong = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "sharpness" in wrong.stderr
