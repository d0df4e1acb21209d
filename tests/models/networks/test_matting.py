"""BGMv2: parameter counts, names, and the official code's numbers (stored by vectors/make.py)."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import OptionError  # noqa: E402
from cleanplate.models.networks.matting import CoarseNetwork, MattingNetwork  # noqa: E402
from cleanplate.models.networks.refiner import Refiner  # noqa: E402

VECTORS = Path(__file__).parent / "vectors"


def seeded(network, vectors: ModuleType):
    state = vectors.seeded_state({name: tuple(value.shape) for name, value in network.state_dict().items()})
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("backbone", "count"), [("mobilenetv2", 5_006_839), ("resnet50", 40_247_703), ("resnet101", 59_239_831)]
)
def test_the_number_of_parameters_is_the_official_one(backbone: str, count: int) -> None:
    with torch.device("meta"):
        network = MattingNetwork(backbone)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_coarse_network_is_the_matting_network_without_its_refiner() -> None:
    with torch.device("meta"):
        whole, coarse = MattingNetwork("mobilenetv2"), CoarseNetwork("mobilenetv2")
    assert coarse.refiner is None
    assert [name for name in whole.state_dict() if not name.startswith("refiner.")] == list(
        coarse.state_dict()
    )


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50", "resnet101"])
def test_coarse_maps_equal_the_official_code(backbone: str, vectors: ModuleType) -> None:
    network = seeded(MattingNetwork(backbone), vectors)
    size = vectors.COARSE_CASES[backbone]
    maps = network(vectors.seeded_picture(1, 1, 3, *size), vectors.seeded_picture(2, 1, 3, *size))
    expected = np.load(VECTORS / f"coarse-{backbone}.npz")
    assert expected["residual"].std() > 0.1
    for name, values in zip(maps._fields, maps, strict=True):
        values = values[:, ::8] if name == "hidden" else values
        np.testing.assert_allclose(values.numpy(), expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kernel", [3, 1])
def test_refiner_over_a_padded_picture_equals_the_official_code(kernel: int, vectors: ModuleType) -> None:
    refiner = seeded(Refiner(kernel_size=kernel), vectors)
    height, width = vectors.REFINER_CASES[kernel]
    both = torch.cat([vectors.seeded_picture(seed, 1, 3, height, width) for seed in (3, 4)], dim=1)
    alpha, residual, hidden = (
        vectors.seeded_picture(seed, 1, channels, height // 4, width // 4)
        for seed, channels in ((5, 1), (6, 3), (8, 32))
    )
    half = torch.cat(
        [
            torch.nn.functional.interpolate(
                x, (height // 2, width // 2), mode="bilinear", align_corners=False
            )
            for x in (torch.cat([hidden, alpha, residual], dim=1), both)
        ],
        dim=1,
    )
    if kernel == 3:
        half, both = torch.nn.functional.pad(half, (3,) * 4), torch.nn.functional.pad(both, (2,) * 4)
    expected = np.load(VECTORS / f"refiner-{kernel}.npz")["refined"]
    np.testing.assert_allclose(refiner(half, both).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 1])
@pytest.mark.parametrize("normalisation", [True, False])
def test_a_tile_with_its_halo_equals_the_whole_picture(kernel: int, normalisation: bool) -> None:
    torch.manual_seed(0)
    refiner = Refiner(12, (16, 16, 8, 4), kernel, normalisation=normalisation).eval().requires_grad_(False)
    halo_half, halo_full = (6, 4) if kernel == 3 else (0, 0)
    half, full = (
        torch.rand(1, 22, 20 + halo_half, 24 + halo_half),
        torch.rand(1, 6, 40 + halo_full, 48 + halo_full),
    )
    whole = refiner(half, full)
    assert whole.shape == (1, 4, 40, 48)
    tile = refiner(
        half[..., 4 : 12 + halo_half, 6 : 16 + halo_half], full[..., 8 : 24 + halo_full, 12 : 32 + halo_full]
    )
    torch.testing.assert_close(tile, whole[..., 8:24, 12:32])
    assert any("bn" in name for name in refiner.state_dict()) == normalisation


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (61, 18)])
def test_any_size_and_batch_is_accepted(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = CoarseNetwork("mobilenetv2").eval().requires_grad_(False)
    source, plate = torch.rand(2, 3, *size), torch.rand(2, 3, *size)
    maps = network(source, plate)
    assert [tuple(x.shape) for x in maps] == [(2, channels, *size) for channels in (1, 3, 1, 32)]
    for one in (maps.alpha, maps.error):
        assert one.min() >= 0
        assert one.max() <= 1
    assert maps.hidden.min() >= 0
    torch.testing.assert_close(
        network(source[1:], plate[1:]).residual, maps.residual[1:], rtol=1e-4, atol=1e-5
    )


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    network = MattingNetwork("mobilenetv2").train()
    maps = network(torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48))
    refined = network.refiner(torch.rand(1, 42, 14, 14), torch.rand(1, 6, 20, 20))
    (sum(values.sum() for values in maps) + refined.sum()).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_unknown_backbone_and_kernel_are_named() -> None:
    with pytest.raises(OptionError, match="vgg"):
        CoarseNetwork("vgg")
    with pytest.raises(OptionError, match="got 5"):
        Refiner(kernel_size=5)
