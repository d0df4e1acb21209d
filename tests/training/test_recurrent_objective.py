from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cleanplate.models.network_builder import build_network
from cleanplate.training.losses import (
    incoherence,
    laplacian_pyramid,
    sequence_alpha_loss,
    sequence_foreground_loss,
)
from cleanplate.training.presets import Preset
from cleanplate.training.rvm_objective import RecurrentObjective, run_through
from cleanplate.training.stream import Batch
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.moving_sequences import Footage, SequenceSynthesis


def make_batch(frames: int = 5, chunk: int = 2) -> Batch:
    torch.manual_seed(3)
    footage = Footage(*(torch.rand(2, frames, channels, 40, 56) for channels in (3, 1, 3)))
    return Batch(footage, 1.0, refines=False, chunk=chunk)


def test_a_sequence_is_cut_into_consecutive_parts() -> None:
    batch = make_batch()
    parts = batch.parts()
    assert [part.begins for part, _ in parts] == [True, False, False]
    assert [share for _, share in parts] == [0.4, 0.4, 0.2]
    again = torch.cat([part.case.alpha for part, _ in parts], dim=1)
    assert torch.equal(again, batch.case.alpha)


def test_the_state_lasts_for_one_sequence(tiny_recurrent: Preset) -> None:
    torch.manual_seed(1)
    network = build_network(tiny_recurrent.config).eval()
    objective = RecurrentObjective(network)
    batch = make_batch()
    (first, _), (second, _), _ = batch.parts()
    fresh = objective(replace(second, begins=True))["alpha"]
    objective(first)
    carried = objective(second)["alpha"]
    assert not torch.equal(fresh, carried)
    assert torch.equal(objective(replace(second, begins=True))["alpha"], fresh)
    # Parts give the same as a whole sequence, to rounding.
    source = batch.case.source
    whole, _, _ = run_through(network, source, None, 1.0)
    memory, made = None, []
    for part, _ in batch.parts():
        matte, _, memory = run_through(network, part.case.source, memory, 1.0)
        made.append(matte)
    assert torch.allclose(torch.cat(made, dim=1), whole, atol=1e-5)


def test_gradients_end_at_the_start_of_a_part(tiny_recurrent: Preset) -> None:
    network = build_network(tiny_recurrent.config).eval()
    objective = RecurrentObjective(network)
    source = torch.rand(1, 4, 3, 32, 32, requires_grad=True)
    alpha, colour = torch.rand(1, 4, 1, 32, 32), torch.rand(1, 4, 3, 32, 32)
    batch = Batch(Footage(source, alpha, colour), 1.0, refines=False, chunk=2)
    (first, _), (second, _) = batch.parts()
    objective(first)
    objective(second)["alpha"].backward()
    assert source.grad is not None
    reached = source.grad.abs().sum(dim=(0, 2, 3, 4))
    assert reached[:2].tolist() == [0, 0]
    assert bool((reached[2:] > 0).all())
    source.grad = None
    matte, _, _ = run_through(network, source, None, 1.0)
    matte[:, 3].sum().backward()
    assert float(source.grad[:, 0].abs().sum()) > 0


@pytest.mark.parametrize("refines", [False, True])
def test_every_trained_part_gets_a_gradient(tiny_recurrent: Preset, refines: bool) -> None:
    network = build_network(tiny_recurrent.config).train()
    batch = replace(make_batch(), scale=0.5 if refines else 1.0, refines=refines)
    sum(RecurrentObjective(network)(batch).values()).backward()
    for name, parameter in network.named_parameters():
        used = not name.startswith("project_seg.") and (refines or not name.startswith("refiner."))
        assert (parameter.grad is not None) == used, name


def test_losses_of_sequences() -> None:
    torch.manual_seed(0)
    truth, colour = torch.rand(2, 4, 1, 37, 50), torch.rand(2, 4, 3, 37, 50)
    assert float(sequence_alpha_loss(truth, truth)) == 0
    steady, flicker = truth + 0.1, truth + torch.tensor([0.1, -0.1, 0.1, -0.1])[:, None, None, None]
    assert float(incoherence(steady, truth)) == pytest.approx(0, abs=1e-12)
    assert float(incoherence(flicker, truth)) == pytest.approx(0.04)
    assert float(incoherence(flicker[:, :1], truth[:, :1])) == 0
    assert sequence_alpha_loss(flicker, truth) > sequence_alpha_loss(steady, truth)
    elsewhere = torch.where(truth > 0.5, colour, 1 - colour)
    assert float(sequence_foreground_loss(elsewhere, colour, (truth > 0.5).float())) == 0
    assert float(sequence_foreground_loss(elsewhere, colour, truth)) > 0.1


def test_a_pyramid_level_measures_structure_of_its_size() -> None:
    assert all(float(level.abs().max()) < 1e-6 for level in laplacian_pyramid(torch.ones(1, 1, 64, 96)))
    assert [level.shape[2:] for level in laplacian_pyramid(torch.rand(1, 1, 33, 70))] == [
        (33, 70), (16, 35), (8, 17), (4, 8)
    ]  # fmt: skip
    x = torch.arange(128.0).expand(1, 1, 128, 128)
    fine, coarse = (torch.sin(2 * torch.pi * x / period) for period in (2.5, 20))
    energies = [[float(level.abs().mean()) for level in laplacian_pyramid(wave)] for wave in (fine, coarse)]
    assert energies[0].index(max(energies[0])) < energies[1].index(max(energies[1]))


@pytest.mark.slow
def test_one_batch_is_overfitted(tiny_recurrent: Preset, material: Material) -> None:
    torch.manual_seed(1)
    network = build_network(tiny_recurrent.config).train()
    footage = SequenceSynthesis(material, seed=3).batch(2, 4, 48, 64, 1.0)
    parts = Batch(footage, 1.0, refines=False, chunk=2).parts()
    objective = RecurrentObjective(network)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(0.0)
        for part, share in parts:
            loss = share * objective(part)["alpha"]
            loss.backward()
            losses[-1] += float(loss.detach())
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    nothing = sequence_alpha_loss(torch.zeros_like(footage.alpha), footage.alpha)
    assert losses[-1] < 0.5 * float(nothing)
