"""Initial weights of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from cleanplate.models.network_builder import build_network
from cleanplate.models.networks.lite import LEARNT_CHANNELS
from cleanplate.training.initial_weights import starting_weights
from cleanplate.training.presets import find_preset
from cleanplate.training.training_checkpoint import save_checkpoint


@torch.no_grad()
def test_weights_of_lite_1_start_a_network_with_the_equation(tmp_path: Path) -> None:
    preset, notes = find_preset("lite"), []
    learnt = LEARNT_CHANNELS
    torch.manual_seed(1)
    older = build_network(replace(preset.config, equation=False, hidden_channels=learnt)).eval()
    save_checkpoint({"average": older.state_dict()}, tmp_path / "lite1.pt")
    state = starting_weights(preset, str(tmp_path / "lite1.pt"), None, notes.append)
    assert state is not None
    assert "older" in notes[0]
    network = build_network(preset.config).eval()
    network.load_state_dict(state)
    source, plate = torch.rand(1, 3, 64, 96), torch.rand(1, 4, 64, 96)
    for mine, theirs in zip(network.coarse(source, plate)[:3], older.coarse(source, plate)[:3], strict=True):
        assert torch.equal(mine, theirs)
    half, full = torch.rand(1, preset.config.hidden_channels + 10, 38, 38), torch.rand(1, 6, 68, 68)
    theirs = older.refiner(torch.cat([half[:, :learnt], half[:, -10:]], dim=1), full)
    assert float((network.refiner(half, full) - theirs).abs().mean()) < 0.1
