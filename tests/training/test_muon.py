from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cleanplate.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12), (96, 864)])
def test_singular_values_become_one_and_singular_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    matrix = 1e-3 * torch.randn(shape)
    result = orthogonalise(matrix)
    assert result.shape == shape
    values = torch.linalg.svdvals(result)
    assert float(values.max()) < 1.3
    assert float(values.median()) > 0.6
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ result @ v.T
    assert float((turned - torch.diag(turned.diagonal())).abs().max()) < 0.02


def test_groups_that_are_not_orthogonal_take_the_steps_of_adamw() -> None:
    torch.manual_seed(2)
    ours = nn.Linear(5, 3)
    reference = copy.deepcopy(ours)
    optimizer = Muon([{"params": ours.parameters(), "orthogonal": False}], weight_decay=0.1)
    adamw = torch.optim.AdamW(reference.parameters(), lr=0.01, weight_decay=0.1)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    for _ in range(20):
        x = torch.randn(7, 5)
        for network, one in ((ours, optimizer), (reference, adamw)):
            one.zero_grad()
            network(x).square().mean().backward()
            one.step()
    for mine, theirs in zip(ours.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_weak_directions_are_learnt_as_fast_as_strong_ones() -> None:
    # One input of the two is a hundred times weaker: plain gradients hardly move its weight.
    inputs = torch.diag(torch.tensor([1.0, 0.01]))
    kernel = nn.Parameter(torch.zeros(2, 2, 1, 1))
    optimizer = Muon([{"params": [kernel], "orthogonal": True, "lr": 0.05}])
    for _ in range(60):
        optimizer.zero_grad()
        (kernel[:, :, 0, 0] @ inputs - inputs).square().sum().backward()
        optimizer.step()
    assert float((kernel.detach()[:, :, 0, 0] - torch.eye(2)).abs().max()) < 0.3


def test_a_saved_state_continues_exactly() -> None:
    def run(network: nn.Conv2d, optimizer: Muon, steps: range) -> None:
        for number in steps:
            torch.manual_seed(number)
            optimizer.zero_grad()
            network(torch.randn(2, 3, 8, 8)).square().mean().backward()
            optimizer.step()

    def make() -> tuple[nn.Conv2d, Muon]:
        torch.manual_seed(3)
        network = nn.Conv2d(3, 4, 3)
        groups = [
            {"params": [network.weight], "orthogonal": True, "lr": 0.02},
            {"params": [network.bias], "orthogonal": False, "lr": 0.01},
        ]
        return network, Muon(groups)

    straight, optimizer = make()
    run(straight, optimizer, range(8))
    first, optimizer = make()
    run(first, optimizer, range(4))
    saved = copy.deepcopy((first.state_dict(), optimizer.state_dict()))
    second, optimizer = make()
    second.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    run(second, optimizer, range(4, 8))
    assert torch.equal(straight.weight, second.weight)
    assert torch.equal(straight.bias, second.bias)


def test_parameters_without_a_gradient_are_unchanged() -> None:
    kernel = nn.Parameter(torch.ones(2, 2))
    Muon([{"params": [kernel], "orthogonal": True, "lr": 1.0}], weight_decay=0.5).step()
    assert torch.equal(kernel, torch.ones(2, 2))
