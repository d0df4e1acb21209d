from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from cleanplate.networks.lite import LiteNetwork
from cleanplate.networks.windows import cut_windows, refine_everywhere, refiner_inputs
from cleanplate.training.loop import Settings, interesting_corners, train
from cleanplate.training.losses import alpha_loss, error_loss


def _last_record(folder: Path) -> dict[str, float]:
    record: dict[str, float] = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    return record


def test_training_improves_and_resumes(material_folder: Path, tmp_path: Path) -> None:
    settings = Settings(
        material_folder, tmp_path / "run", minutes=0.1, batch=4, validate_minutes=1, workers=0, seed=1,
        learning_rate=2e-3, shapes=8, trial_batches=2,
    )  # fmt: skip
    best = train(settings)
    state = torch.load(best, weights_only=True)
    LiteNetwork().load_state_dict(state["average"])
    first = _last_record(settings.out)
    train(replace(settings, minutes=0.2))
    second = _last_record(settings.out)
    assert second["step"] > first["step"] > 2
    assert second["mad"] <= first["mad"] * 1.2


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


def test_corners_lie_inside_and_near_soft_alpha() -> None:
    alpha = torch.zeros(2, 1, 100, 120)
    alpha[0, 0, 90, 110] = 0.5
    for member, top, left in interesting_corners(alpha, 3, 40):
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
    assert float(error_loss(torch.full((1, 1, 4, 4), 0.25), coarse, flat)) == 0
    assert float(error_loss(torch.zeros(1, 1, 4, 4), coarse, flat)) > 0.05
