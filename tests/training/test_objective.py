from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from cleanplate.models.network_builder import build_network
from cleanplate.models.networks.lite import LiteNetwork
from cleanplate.models.networks.whole_picture import cut_windows, refine_everywhere, refiner_inputs
from cleanplate.training.losses import (
    alpha_loss,
    enlarged_error_loss,
    error_loss,
    foreground_loss,
    recomposition_loss,
)
from cleanplate.training.objective import SOFT_WEIGHT, Objective, doubtful_corners, soft_corners, weigh_soft
from cleanplate.training.presets import PRESETS, find_preset
from cleanplate.training.stream import Batch
from cleanplate.training.synthesis.synthesis import Case


def make_case(height: int, width: int) -> Case:
    torch.manual_seed(3)
    return Case(
        torch.rand(2, 3, height, width), torch.rand(2, 4, height, width).round(decimals=1),
        torch.rand(2, 1, height, width), torch.rand(2, 3, height, width),
    )  # fmt: skip


def test_an_estimated_alpha_counts_less_where_it_is_soft() -> None:
    alpha = torch.zeros(2, 1, 32, 32)
    alpha[..., 16:], alpha[..., 15] = 1, 0.5
    weight = weigh_soft(alpha, torch.tensor([0.0, 1.0])[:, None, None, None])
    assert float(weight[1].min()) == 1
    assert weight[0, 0, 5].tolist() == [1.0] * 13 + [pytest.approx(SOFT_WEIGHT)] * 5 + [1.0] * 14
    assert float(weigh_soft(alpha, None).min()) == 1


def test_recomposition_sees_alpha_and_colour_together() -> None:
    truth, colour = torch.full((4, 1, 8, 8), 0.5), torch.rand(4, 3, 8, 8)
    assert float(recomposition_loss(truth, colour, truth, colour)) == 0
    assert float(recomposition_loss(truth, colour + 0.2, truth, colour)) == pytest.approx(0.1, abs=1e-6)
    assert float(recomposition_loss(truth + 0.2, colour, truth, colour)) > 0.02


@pytest.mark.parametrize("name", PRESETS)
def test_every_part_of_every_network_has_a_learning_rate(name: str) -> None:
    preset = find_preset(name)
    with torch.device("meta"):
        network = build_network(preset.config)
    for stage_name, stage in preset.stages.items():
        parts = dict.fromkeys(stage.rates, 0)
        for parameter, _ in network.named_parameters():
            prefix = next((p for p in stage.rates if parameter.startswith(p)), None)
            unrefined = not any(course.refines for course in stage.courses)
            waits = parameter.startswith("project_seg.") or (unrefined and parameter.startswith("refiner."))
            frozen = stage_name == "edges" and parameter.startswith("coarse.")
            assert prefix or waits or frozen, (stage_name, parameter)
            if prefix:
                parts[prefix] += 1
        assert all(parts.values())


@pytest.mark.parametrize("name", ["lite", "mobilenetv2"])
@pytest.mark.parametrize("refines", [False, True])
def test_every_trained_weight_gets_a_gradient(name: str, refines: bool) -> None:
    preset = find_preset(name)
    torch.manual_seed(1)
    network = build_network(preset.config).train()
    for module in network.modules():  # residual branches begin at zero, which hides the layers before them
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.05)
    terms = Objective(network, preset)(Batch(make_case(192, 256), 0.5 if refines else 1.0, refines))
    recomposed, flat = preset.losses.recomposed is not None, preset.losses.flat > 0
    assert len(terms) == (5 + recomposed + flat if refines else 3)
    total = torch.stack(list(terms.values())).sum()
    assert bool(torch.isfinite(total))
    total.backward()
    for parameter_name, parameter in network.named_parameters():
        trained = refines or not parameter_name.startswith("refiner.")
        assert (parameter.grad is not None) == trained, parameter_name


def test_weights_of_edges_and_flat_parts_apply_to_the_refiner() -> None:
    preset = find_preset("lite")
    torch.manual_seed(2)
    network = build_network(preset.config).eval()
    found = {}
    for edge, flat in ((0.0, 0.0), (2.0, 0.0), (0.0, 3.0)):
        weighed = replace(preset, losses=replace(preset.losses, edge=edge, flat=flat))
        torch.manual_seed(3)  # of the windows and the backdrops
        with torch.no_grad():
            found[edge, flat] = Objective(network, weighed)(Batch(make_case(192, 256), 0.5, True))
    plain, edges, flats = found.values()
    assert edges["fine_alpha"] > 1.2 * plain["fine_alpha"]
    assert plain["fine_foreground"] < edges["fine_foreground"] < 2 * plain["fine_foreground"]
    assert edges["recomposed"] == plain["recomposed"]
    assert "flat_alpha" not in plain
    assert float(flats["flat_alpha"]) > 0
    assert flats["fine_alpha"] == plain["fine_alpha"]


def test_windows_equal_the_whole_picture() -> None:
    torch.manual_seed(0)
    network = LiteNetwork().eval()
    source, plate = torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96)
    maps = (torch.rand(2, 1, 16, 24), torch.rand(2, 3, 16, 24), torch.rand(2, 11, 16, 24))
    whole = torch.cat(refine_everywhere(network.refiner, *maps, source, plate), dim=1)
    corners = [(0, 0, 0), (1, 32, 64), (1, 20, 10)]
    windows = network.refiner(*cut_windows(*refiner_inputs(*maps, source, plate), corners, 32))
    for window, (member, top, left) in zip(windows, corners, strict=True):
        assert torch.allclose(window, whole[member, :, top : top + 32, left : left + 32], atol=1e-6)


def test_corners_lie_inside_and_near_soft_alpha_or_doubt() -> None:
    alpha = torch.zeros(2, 1, 100, 120)
    alpha[0, 0, 90, 110] = 0.5
    error = torch.zeros(2, 1, 50, 60)
    error[0, 0, 45, 55] = 1e4
    for find, what in ((soft_corners, (alpha,)), (doubtful_corners, (error, alpha))):
        corners = find(*what, 3, 40)
        assert [member for member, _, _ in corners] == [0, 0, 0, 1, 1, 1]
        for member, top, left in corners:
            assert top % 2 == left % 2 == 0
            assert 0 <= top <= 60
            assert 0 <= left <= 80
            if member == 0:
                assert top <= 90 < top + 40
                assert left <= 110 < left + 40


def test_losses_are_zero_at_the_truth_and_not_elsewhere() -> None:
    truth = torch.rand(2, 1, 24, 32)
    assert float(alpha_loss(truth, truth)) == 0
    assert float(alpha_loss(truth * 0.9, truth)) > 0.01
    flat = torch.full((1, 1, 8, 8), 0.5)
    coarse = torch.full((1, 1, 4, 4), 0.25)
    for loss in (error_loss, enlarged_error_loss):
        assert float(loss(torch.full((1, 1, 4, 4), 0.25), coarse, flat)) == 0
        assert float(loss(torch.zeros(1, 1, 4, 4), coarse, flat)) > 0.05


def test_foreground_errors_count_at_positive_alpha_only() -> None:
    alpha = torch.tensor([0.0, 0.01, 0.5]).reshape(1, 1, 1, 3)
    wrong, right = torch.ones(1, 3, 1, 3), torch.zeros(1, 3, 1, 3)
    assert float(foreground_loss(wrong, right, alpha)) == pytest.approx(1 / 3)
    assert float(foreground_loss(wrong, right, alpha, above=0.0)) == pytest.approx(2 / 3)
