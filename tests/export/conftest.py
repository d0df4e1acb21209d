from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cleanplate.models.registry import Model, find_model


@pytest.fixture(scope="session")
def open_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """``lite``, or BGMv2's MobileNetV2 with random weights: ``bgmv2-3`` and ``bgmv2-1``, by their kernel."""
    torch = pytest.importorskip("torch")
    from cleanplate.models.load import save_model
    from cleanplate.models.network_builder import build_network
    from cleanplate.models.official import bgmv2_config

    made: dict[str, Model] = {}

    def open_model(name: str) -> Model:
        if name == "lite":
            return find_model(name)
        if name not in made:
            torch.manual_seed(4)
            config = bgmv2_config("mobilenetv2", int(name[-1]))
            network: Any = build_network(config).eval()
            with torch.no_grad():
                # Errors over the whole range, so that each mode of refinement selects some cells.
                network.decoder.conv4.weight[4] *= 3
                network.decoder.conv4.bias[4] = 0.3
            path: Path = tmp_path_factory.mktemp("models") / f"{name}.safetensors"
            save_model(network, config, path)
            made[name] = find_model(path)
        return made[name]

    return open_model
