"""The compositing equation inside of lite's refiner, and the colours that it is solved with."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from cleanplate.models.networks.equation import EquationRefiner, solve  # noqa: E402
from cleanplate.models.networks.lite import HIDDEN_CHANNELS, LEARNT_CHANNELS, LiteNetwork  # noqa: E402
from cleanplate.models.networks.local_colours import CANDIDATES, find_local_colours, spread  # noqa: E402
from cleanplate.models.networks.whole_picture import cut_windows, refine_everywhere, refiner_inputs  # noqa: E402


def test_a_mixture_of_two_colours_is_solved_exactly() -> None:
    torch.manual_seed(1)
    alpha = torch.rand(1, 1, 8, 8)
    subject = torch.tensor([0.9, 0.2, 0.1])[None, :, None, None].expand(1, 3, 8, 8)
    plate = torch.tensor([0.1, 0.6, 0.3])[None, :, None, None].expand(1, 3, 8, 8)
    solved = solve(alpha * subject + (1 - alpha) * plate, plate, subject)
    assert torch.allclose(solved[:, :1], alpha, atol=5e-3)
    assert float(solved[:, 1].max()) < 1e-2
    assert torch.allclose(solved[:, 2], torch.tensor(0.84**0.5), atol=1e-4)


def test_a_colour_that_is_no_mixture_has_a_residual() -> None:
    red, blue, green = torch.eye(3)[:, None, :, None, None].unbind(0)
    alpha, residual, contrast = solve(green, red, blue)[0].flatten().tolist()
    assert alpha == pytest.approx(0.5, abs=1e-3)
    assert residual == pytest.approx(1.5**0.5, abs=1e-3)
    assert contrast == pytest.approx(2**0.5, abs=1e-3)


def test_equal_colours_of_subject_and_plate_give_no_contrast_and_no_overflow() -> None:
    grey = torch.full((1, 3, 4, 4), 0.5)
    solved = solve(grey + 0.01, grey, grey)
    assert bool(torch.isfinite(solved).all())
    assert float(solved[:, 0].max()) == 0
    assert float(solved[:, 2].max()) <= 2e-3


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (72, 56)])
def test_sure_pixels_keep_their_value_and_fill_the_others(size: tuple[int, int]) -> None:
    values, weight = torch.zeros(1, 3, *size), torch.zeros(1, 1, *size)
    values[..., : size[1] // 2] = 0.8
    weight[..., 1 : size[1] // 2 - 1] = 1
    result = spread(values, weight)
    assert result.shape == values.shape
    assert torch.allclose(result, torch.tensor(0.8), atol=4e-3)


def test_the_nearest_sure_colour_is_chosen() -> None:
    values, weight = torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    values[:, 0, :, :8], weight[:, :, :, :8] = 1, 1
    values[:, 1, :, 24:], weight[:, :, :, 24:] = 1, 1
    result = spread(values, weight)
    assert float(result[0, 0, 16, 8]) > 0.8 > 0.2 > float(result[0, 1, 16, 8])
    assert float(result[0, 1, 16, 23]) > 0.8 > 0.2 > float(result[0, 0, 16, 23])


def test_the_light_of_a_shadowed_set_is_found_beside_the_subject() -> None:
    torch.manual_seed(2)
    colour = torch.rand(1, 3, 64, 96) * 0.5 + 0.2
    plate = torch.cat([colour, torch.ones(1, 1, 64, 96)], dim=1)
    source, alpha = colour * 0.6, torch.zeros(1, 1, 32, 48)
    source[..., 30:60] = torch.tensor([0.9, 0.1, 0.1])[:, None, None]
    alpha[..., 15:30] = 1
    found = find_local_colours(source, plate, alpha)
    assert found.shape[1] == HIDDEN_CHANNELS - LEARNT_CHANNELS == 3 * CANDIDATES + 3
    assert torch.allclose(found[:, :3], torch.tensor([0.9, 0.1, 0.1])[:, None, None], atol=0.01)
    assert torch.allclose(found[:, -3:, :, :10], torch.tensor(0.3), atol=0.01)
    assert float((found[:, -3:, :, 15:30] - 0.3).abs().max()) < 0.03


def make_network() -> LiteNetwork:
    torch.manual_seed(4)
    network = LiteNetwork(HIDDEN_CHANNELS, equation=True).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@torch.no_grad()
def test_a_tile_equals_the_whole_picture() -> None:
    network = make_network()
    source, plate = torch.rand(1, 3, 96, 128), torch.rand(1, 4, 96, 128)
    small, small_plate = (F.avg_pool2d(x, 2) for x in (source, plate))
    alpha, residual, _, hidden = network.coarse(small, small_plate)
    colour = plate[:, :3]
    whole = torch.cat(refine_everywhere(network.refiner, alpha, residual, hidden, source, colour), dim=1)
    assert whole.shape == (1, 4, 96, 128)
    corners = [(0, 0, 0), (0, 32, 64), (0, 64, 96)]
    half, full = refiner_inputs(alpha, residual, hidden, source, colour)
    for tile, (_, top, left) in zip(
        network.refiner(*cut_windows(half, full, corners, 32)), corners, strict=True
    ):
        assert torch.allclose(tile, whole[0, :, top : top + 32, left : left + 32], atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    network = make_network().train()
    alpha, residual, error, hidden = network.coarse(torch.rand(1, 3, 64, 64), torch.rand(1, 4, 64, 64))
    source, plate = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    fine = torch.cat(refine_everywhere(network.refiner, alpha, residual, hidden, source, plate), dim=1)
    (fine.sum() + error.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


def test_the_colour_of_a_candidate_can_be_used() -> None:
    """With the shares of alpha and of the first candidate at 1, colour is its own and alpha is solved."""
    refiner = EquationRefiner(HIDDEN_CHANNELS).eval()
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.zero_()
        refiner.conv4.bias[4:6] = 1
    subject, plate, alpha = torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.1, 0.2, 0.9]), 0.4
    half, full = torch.zeros(1, HIDDEN_CHANNELS + 10, 14, 14), torch.zeros(1, 6, 20, 20)
    half[:, LEARNT_CHANNELS : LEARNT_CHANNELS + 3] = subject[:, None, None]
    half[:, HIDDEN_CHANNELS - 3 : HIDDEN_CHANNELS] = 0.5
    full[:, :3] = (alpha * subject + (1 - alpha) * plate)[:, None, None]
    full[:, 3:] = plate[:, None, None]
    fine = refiner(half, full)
    assert fine.shape == (1, 4, 16, 16)
    assert torch.allclose(fine[:, :1], torch.tensor(alpha), atol=2e-3)
    assert torch.allclose(
        full[:, :3, 2:-2, 2:-2] + fine[:, 1:], subject[:, None, None].expand(3, 16, 16), atol=1e-6
    )
