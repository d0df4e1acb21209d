"""BGMv2 as a whole, through the keyer: the official code's numbers for every way to refine."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.keyer.keyer import Keyer  # noqa: E402
from cleanplate.models.load import save_model  # noqa: E402
from cleanplate.models.network_builder import build_network  # noqa: E402
from cleanplate.models.official import bgmv2_config  # noqa: E402
from cleanplate.models.registry import Model  # noqa: E402
from cleanplate.plate import Fit, FittedPlate  # noqa: E402

VECTORS = Path(__file__).parent / "vectors"
CASES = [f"keyed-{mode}-{kernel}" for kernel in (3, 1) for mode in ("sampling", "threshold", "full")]


@pytest.fixture(scope="module")
def models(vectors: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[int | None, Model]:
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for kernel in (3, 1, None):
        config = bgmv2_config("mobilenetv2", kernel)
        network = build_network(config)
        shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        network.load_state_dict(vectors.keyed_state(shapes))
        path = folder / f"{kernel}.safetensors"
        save_model(network, config, path)
        found[kernel] = Model(config, weights=path)
    return found


@pytest.mark.parametrize("name", [*CASES, "keyed-off"])
def test_mattes_equal_the_official_code(
    name: str, vectors: ModuleType, models: dict[int | None, Model]
) -> None:
    kernel, refine = vectors.KEYED_CASES[name]
    source, plate = vectors.seeded_pixels(10), vectors.seeded_pixels(11)
    scale = 1.0 if kernel is None else 1 / vectors.COARSE_SCALE
    keyer = Keyer(
        FittedPlate(plate, None, Fit.unmoved()),
        model=models[kernel],
        runtime="torch",
        scale=scale,
        refine=refine,
    )
    matte = keyer(source)
    expected = np.load(VECTORS / f"{name}.npz")
    assert expected["alpha"].std() > 0.03
    np.testing.assert_allclose(matte.alpha, expected["alpha"], atol=1e-5)
    # One code of sixteen bits is 1.5e-5.
    differences = np.abs(matte.foreground.astype(int) - expected["foreground"])
    assert differences.max() <= 1


@pytest.mark.parametrize("kernel", [3, 1])
def test_the_modes_of_refinement_differ(kernel: int) -> None:
    alphas = [np.load(VECTORS / f"{name}.npz")["alpha"] for name in CASES if name.endswith(f"-{kernel}")]
    for one, other in pairwise(alphas):
        changed = np.abs(one - other) > 1e-3
        assert 0.05 < changed.mean() < 0.95
