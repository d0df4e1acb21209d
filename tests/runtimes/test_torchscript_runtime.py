"""Runtime of TorchScript archives."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.export.parity import key_with, read_pair  # noqa: E402
from cleanplate.models.networks.aspp import ASPP  # noqa: E402
from cleanplate.models.networks.decoder import CoarseDecoder  # noqa: E402
from cleanplate.models.networks.mobilenetv2 import MobileNetV2  # noqa: E402
from cleanplate.models.official import bgmv2_config  # noqa: E402
from cleanplate.models.registry import Model, find_model  # noqa: E402
from cleanplate.router import Refine  # noqa: E402
from cleanplate.runtimes import open_runtime  # noqa: E402
from cleanplate.runtimes.torchscript_runtime import quiet_torchscript  # noqa: E402


class Encoder(MobileNetV2):
    """The deepest features first, as in BGMv2's archives."""

    def forward(self, x: Tensor) -> Any:
        return tuple(reversed(super().forward(x)))


class Refiner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = ((42, 24), (24, 16), (22, 12))
        for number, (inner, outer) in enumerate(widths, 1):
            setattr(self, f"conv{number}", nn.Conv2d(inner, outer, 3, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(outer))
        self.conv4 = nn.Conv2d(12, 4, 3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Wrapper(nn.Module):
    """An archive laid out like BGMv2's: the network under ``model``, its parts under their names."""

    def __init__(self, marker: float) -> None:
        super().__init__()
        self.model = nn.Module()
        x = torch.zeros(1, 6, 64, 64)
        encoder, aspp, decoder = Encoder(6), ASPP(320), CoarseDecoder((256, 128, 64, 48, 37), (32, 24, 16, 6))
        for module in (encoder, aspp, decoder):
            module.eval().requires_grad_(False)
        features = encoder(x)
        self.model.backbone = torch.jit.trace(encoder, x)
        self.model.aspp = torch.jit.trace(aspp, features[0])
        self.model.decoder = torch.jit.trace(decoder, (aspp(features[0]), *features[1:]))
        self.model.refiner = torch.jit.script(Refiner().eval())
        self.marker = marker

    def forward(self, x: Tensor) -> Tensor:
        return x + self.marker


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("archive") / "torchscript_mobilenetv2.pth"
    with quiet_torchscript(), torch.no_grad():
        torch.jit.script(Wrapper(0.5).eval()).save(path)
    return path


def test_a_foreign_archive_equals_its_weights(official: Path) -> None:
    model = find_model(official)
    assert model.config == bgmv2_config("mobilenetv2")
    pair = read_pair((90, 121))
    for refine in (Refine("sampling", 3000), Refine("full"), Refine("off")):
        ran = key_with(open_runtime(model, "torchscript", "cpu"), *pair, 0.5, refine)
        read = key_with(open_runtime(model, "torch", "cpu"), *pair, 0.5, refine)
        for one, other in zip(ran, read, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_other_runtimes_refuse_an_archive(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the archive was loaded to be run")

    monkeypatch.setattr(torch.jit, "load", refuse)
    model = find_model(official)
    open_runtime(model, "auto", "cpu")
    with pytest.raises(AssertionError):
        open_runtime(model, "torchscript", "cpu")


def test_weights_are_compiled() -> None:
    runtime = open_runtime(find_model("lite"), "torchscript", "cpu")
    assert "compiled here" in runtime.description
    pair = read_pair((64, 96))
    expected = key_with(open_runtime(find_model("lite"), "torch", "cpu"), *pair, 0.5, Refine("full"))
    np.testing.assert_allclose(key_with(runtime, *pair, 0.5, Refine("full"))[0], expected[0], atol=1e-4)


def test_unsupported_archives_are_refused(official: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pth"
    with zipfile.ZipFile(official) as whole, zipfile.ZipFile(damaged, "w") as part:
        for entry in whole.infolist():
            if "/code/" not in entry.filename:
                part.writestr(entry, whole.read(entry))
    with pytest.raises(ModelError, match=r"damaged\.pth"):
        open_runtime(Model(bgmv2_config("mobilenetv2"), weights=damaged), "torchscript", "cpu")
    other = tmp_path / "other.pt"
    with quiet_torchscript():
        torch.jit.script(nn.Conv2d(3, 3, 1)).save(other)
    with pytest.raises(ModelError, match=r"other\.pt.*no BGMv2 network"):
        open_runtime(Model(bgmv2_config("mobilenetv2"), weights=other), "torchscript", "cpu")
