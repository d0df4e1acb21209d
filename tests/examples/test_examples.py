"""The examples, each in a separate process that cannot import this package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from cleanplate.export.export_options import ExportOptions  # noqa: E402
from cleanplate.export.parity import read_pair  # noqa: E402
from cleanplate.export.write import export_model  # noqa: E402
from cleanplate.models.registry import find_model  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = 150, 202


def run(*command: object, cwd: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair as PPM, and a TorchScript archive."""
    folder = tmp_path_factory.mktemp("examples")
    for name, pixels in zip(("source", "plate"), read_pair(SIZE), strict=True):
        Image.fromarray(pixels).save(folder / f"{name}.ppm")
    export_model(find_model("lite"), "torchscript", folder / "lite.pt", ExportOptions(size=SIZE))
    run(
        sys.executable,
        EXAMPLES / "torchscript.py",
        "lite.pt",
        "source.ppm",
        "plate.ppm",
        "cut.png",
        cwd=folder,
    )
    return folder


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def test_torchscript(folder: Path) -> None:
    cut = read(folder / "cut.png")
    assert cut.shape == (*SIZE, 4)
    assert 0.05 < (cut[..., 3] > 128).mean() < 0.95
    subject = cut[..., 3] == 255
    assert np.abs(cut[..., :3] - read(folder / "source.ppm"))[subject].mean() < 3


@pytest.mark.slow
@pytest.mark.long
def test_onnx_single_file(folder: Path) -> None:
    pytest.importorskip("onnxscript")
    export_model(find_model("lite"), "onnx", folder / "lite.onnx", ExportOptions(size=SIZE, single_file=True))
    program = EXAMPLES / "onnx_single_file.py"
    run(sys.executable, program, "lite.onnx", "source.ppm", "plate.ppm", "onnx.png", cwd=folder)
    assert np.abs(read(folder / "onnx.png") - read(folder / "cut.png")).max() <= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_cpp(folder: Path) -> None:
    if not all(shutil.which(tool) for tool in ("make", "g++")):
        pytest.skip("no C++ compiler: g++ and make are needed")
    run("make", "-C", EXAMPLES / "cpp", f"PYTHON={sys.executable}", f"OUT={folder / 'matte'}", cwd=folder)
    run("./matte", "lite.pt", "source.ppm", "plate.ppm", "alpha.pgm", cwd=folder)
    assert np.abs(read(folder / "alpha.pgm") - read(folder / "cut.png")[..., 3]).max() <= 1
    # A mistake is one sentence, without a trace.
    wrong = subprocess.run(
        ["./matte", "nothing.pt", "source.ppm", "plate.ppm", "x.pgm"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert wrong.returncode == 1
    assert "nothing.pt" in wrong.stderr
    assert "frame #" not in wrong.stderr
