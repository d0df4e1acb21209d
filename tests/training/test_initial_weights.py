"""The weights that a run begins with."""

from __future__ import annotations

import pytest
import torch

from cleanplate.models.build import build_network
from cleanplate.models.load import load_network
from cleanplate.models.registry import find_model
from cleanplate.training.initial_weights import starting_weights
from cleanplate.training.presets import find_preset


@torch.no_grad()
def test_lite_1_begins_a_network_that_solves_the_equation() -> None:
    lite = find_model("lite")
    if lite.config.equation:
        pytest.skip("the lite in the package solves it already")
    preset, notes = find_preset("lite"), []
    torch.manual_seed(1)
    state = starting_weights(preset, "lite", None, notes.append)
    assert state is not None
    assert "older" in notes[0]
    network, older = build_network(preset.config).eval(), load_network(lite)
    network.load_state_dict(state)
    source, plate = torch.rand(1, 3, 64, 96), torch.rand(1, 4, 64, 96)
    for mine, theirs in zip(network.coarse(source, plate)[:3], older.coarse(source, plate)[:3], strict=True):
        assert torch.equal(mine, theirs)
    half, full = torch.rand(1, preset.config.hidden_channels + 10, 38, 38), torch.rand(1, 6, 68, 68)
    learnt = lite.config.hidden_channels
    theirs = older.refiner(torch.cat([half[:, :learnt], half[:, -10:]], dim=1), full)
    assert float((network.refiner(half, full) - theirs).abs().mean()) < 0.1
