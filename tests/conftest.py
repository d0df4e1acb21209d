"""A model small enough for every test that needs one: random weights, the shapes and files of a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cleanplate.models.config import ModelConfig
from cleanplate.models.registry import Model

TINY_CONFIG = ModelConfig(
    name="tiny",
    version="1.0",
    family="lite",
    backbone=None,
    refiner_kernel=3,
    hidden_channels=3,
    coarse_output_stride=2,
    size_multiple=4,
    shrink="area",
    plate_channels=4,
    target_long_side=64,
    refine="threshold:0.2",
    licence="MIT",
    source="random",
)


@pytest.fixture(scope="session")
def tiny_network() -> Any:
    """A network of two parts whose alpha follows the difference of source and plate."""
    torch = pytest.importorskip("torch")
    from torch import nn
    from torch.nn import functional as F

    class Coarse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Conv2d(7, 8, 3, stride=2, padding=1)
            self.decode = nn.Conv2d(8, 4 + 3, 3, padding=1)

        def forward(self, source: Any, plate: Any) -> tuple[Any, ...]:
            features = F.relu(self.encode(torch.cat([source, plate], 1)))
            x = self.decode(features)
            difference = F.avg_pool2d((source - plate[:, :3]).abs().sum(1, keepdim=True) * plate[:, 3:], 2)
            alpha = (4 * difference).clamp(0, 1)
            return alpha, 0.1 * x[:, :3], (4 * alpha * (1 - alpha)).clamp(0, 1), F.relu(x[:, 4:])

    class Refiner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(13, 8, 3), nn.Conv2d(8, 8, 3)
            self.third, self.fourth = nn.Conv2d(14, 8, 3), nn.Conv2d(8, 4, 3)

        def forward(self, half: Any, full: Any) -> Any:
            x = F.interpolate(F.relu(self.second(F.relu(self.first(half)))), scale_factor=2.0, mode="nearest")
            return self.fourth(F.relu(self.third(torch.cat([x, full], 1))))

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.coarse, self.refiner = Coarse(), Refiner()

    torch.manual_seed(1)
    torch.set_num_threads(1)
    return Tiny().eval()


@pytest.fixture(scope="session")
def tiny_model(tiny_network: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The tiny network as ONNX files, and weights that ``load_network`` is to be patched for."""
    pytest.importorskip("onnxscript")
    from cleanplate.export.onnx import export_onnx

    prefix: Path = tmp_path_factory.mktemp("model") / "tiny"
    coarse, refiner = export_onnx(tiny_network, TINY_CONFIG, prefix)
    return Model(TINY_CONFIG, coarse, refiner, prefix.with_suffix(".safetensors"))


@pytest.fixture
def torch_loads_tiny(tiny_network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the torch runtime take the tiny network, which no record can describe."""
    import copy

    monkeypatch.setattr(
        "cleanplate.runtimes.torch_runtime.load_network", lambda _: copy.deepcopy(tiny_network)
    )
