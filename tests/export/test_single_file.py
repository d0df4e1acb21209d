"""Router and networks in one module, compared with two networks and the router."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import OptionError  # noqa: E402
from cleanplate.export.parity import key_with, read_pair  # noqa: E402
from cleanplate.export.single_file import SingleFile, check_scale, padding_multiple  # noqa: E402
from cleanplate.export.tile_operations import average  # noqa: E402
from cleanplate.frame import Padding  # noqa: E402
from cleanplate.models.load import load_network  # noqa: E402
from cleanplate.router import Refine  # noqa: E402
from cleanplate.runtimes import open_runtime  # noqa: E402
from cleanplate.runtimes.torchscript_runtime import CoarsePartOf  # noqa: E402


def build(model: Any, scale: float, refine: str) -> SingleFile:
    network: Any = load_network(model).requires_grad_(False)
    coarse = network.coarse if isinstance(network.coarse, torch.nn.Module) else CoarsePartOf(network)
    return SingleFile(coarse, network.refiner, model.config, scale, Refine.parse(refine)).eval()


def to_tensor(*pictures: np.ndarray) -> Any:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def expect(model: Any, source: np.ndarray, plate: np.ndarray, scale: float, refine: str) -> Any:
    padding = Padding.of(*source.shape[:2], padding_multiple(model.config, scale))
    runtime = open_runtime(model, "torch", "cpu")
    keyed = key_with(runtime, padding.pad(source), padding.pad(plate), scale, Refine.parse(refine))
    return padding.crop(keyed[0]), padding.crop(keyed[1])


@pytest.mark.parametrize("refine", ["threshold:0.2", "sampling:3000", "full", "off"])
@pytest.mark.parametrize(
    ("name", "scale", "size"),
    [
        ("lite", 0.5, (139, 221)),
        ("lite", 0.4, (120, 160)),
        ("bgmv2-3", 0.25, (101, 163)),
        ("bgmv2-1", 0.3, (96, 128)),
    ],
)
def test_the_single_graph_equals_the_router(
    open_model, name: str, scale: float, size: tuple[int, int], refine: str
) -> None:
    model = open_model(name)
    source, plate = read_pair(size)
    rng = np.random.default_rng(0)
    source[10:40, 20:70] = rng.integers(0, 256, (30, 50, 3))
    pha, fgr = build(model, scale, refine)(to_tensor(source), to_tensor(plate))
    alpha, foreground = expect(model, source, plate, scale, refine)
    assert pha.shape == (1, 1, *size)
    np.testing.assert_allclose(pha[0, 0], alpha, atol=1e-4)
    np.testing.assert_allclose(fgr[0].permute(1, 2, 0), foreground, atol=1e-4)


def test_pictures_of_a_batch_do_not_mix(open_model) -> None:
    module = build(open_model("lite"), 0.5, "sampling:800")
    source, plate = read_pair((100, 140))
    sources, plates = to_tensor(source, plate, source[::-1]), to_tensor(plate, plate, plate[::-1])
    together = module(sources, plates)
    for number in range(3):
        one = slice(number, number + 1)
        for whole, alone in zip(together, module(sources[one], plates[one]), strict=True):
            torch.testing.assert_close(whole[one], alone, atol=1e-5, rtol=0)


def test_unrefined_cells_stay_coarse_and_sampling_keeps_its_count(open_model) -> None:
    source, plate = (to_tensor(picture) for picture in read_pair((128, 160)))
    coarse = build(open_model("bgmv2-3"), 0.25, "off")(source, plate)[1]
    refined = build(open_model("bgmv2-3"), 0.25, "sampling:800")(source, plate)[1]
    changed = (coarse != refined).any(1)[0].unfold(0, 4, 4).unfold(1, 4, 4).flatten(2).any(2)
    assert 40 <= int(changed.sum()) <= 50


@pytest.mark.parametrize("halves", [2, 3, 4, 5, 7, 9])
def test_averages_are_means_of_areas(halves: int) -> None:
    flat = torch.rand(2, 3, 1, 1).expand(2, 3, 8 * halves, 16 * halves)
    small = average(flat, halves)
    assert small.shape == (2, 3, 16, 32)
    torch.testing.assert_close(small, flat[:, :, :16, :32], atol=1e-6, rtol=0)
    picture = torch.rand(1, 3, 8 * halves, 8 * halves)
    torch.testing.assert_close(average(picture, halves).mean((2, 3)), picture.mean((2, 3)))


def test_a_scale_without_whole_areas_is_refused(open_model) -> None:
    assert check_scale(open_model("lite").config, 2 / 7) == 2 / 7
    assert check_scale(open_model("bgmv2-3").config, 0.3) == 0.3
    with pytest.raises(OptionError, match=r"scale 0\.3.*nearest is 0\.285714"):
        check_scale(open_model("lite").config, 0.3)
