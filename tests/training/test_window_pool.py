from __future__ import annotations

import dataclasses

import torch

from cleanplate.models.network_builder import build_network
from cleanplate.training.distributed import Group
from cleanplate.training.learner import Learner
from cleanplate.training.objective import Objective
from cleanplate.training.presets import Preset, find_preset
from cleanplate.training.stream import Batch
from cleanplate.training.synthesis.synthesis import Case
from cleanplate.training.window_pool import WindowPool, Windows

SIDE = 32
HOST = torch.device("cpu")


def small_preset() -> Preset:
    return dataclasses.replace(find_preset("lite"), window=SIDE)


def make_windows(count: int, value: int) -> Windows:
    """Windows whose every pixel is ``value`` / 255, except for a bright top left corner."""
    torch.manual_seed(value)
    full = torch.full((count, 6, SIDE + 4, SIDE + 4), value / 255)
    half = torch.full((count, 30, SIDE // 2 + 6, SIDE // 2 + 6), value / 255)
    alpha, colour = (torch.full((count, channels, SIDE, SIDE), value / 255) for channels in (1, 3))
    for x in (full, half, alpha, colour):
        x[..., 0, 0] = 1
    return Windows(half, full, alpha, colour, torch.ones(count, 1, 1, 1))


def make_batch() -> Batch:
    torch.manual_seed(3)
    pictures = (torch.rand(2, channels, 96, 128) for channels in (3, 4, 1, 3))
    return Batch(Case(*pictures), 0.5, True)


def test_the_pool_keeps_the_newest_windows() -> None:
    pool = WindowPool(capacity=4)
    pool.add(make_windows(3, 10))
    pool.add(make_windows(3, 20))
    assert len(pool) == 4
    drawn = pool.draw(200, HOST)
    values = (drawn.full[:, 0, 5, 5] * 255).round().int().tolist()
    assert set(values) == {10, 20}
    assert 120 < values.count(20) < 180


def test_windows_of_the_pool_are_mirrored_alike() -> None:
    pool, given = WindowPool(), make_windows(1, 40)
    pool.add(given)
    corners = set()
    torch.manual_seed(1)
    for _ in range(20):
        drawn = pool.draw(1, HOST)
        places = {
            tuple(2 * place // (x.shape[2] - 1) for place in divmod(int(x[0, 0].argmax()), x.shape[3]))
            for x in (drawn.half, drawn.full, drawn.alpha, drawn.foreground)
        }
        assert len(places) == 1
        corners |= places
        assert torch.allclose(drawn.full.mean(), given.full.mean(), atol=1e-6)
    assert corners == {(0, 0), (0, 2), (2, 0), (2, 2)}


def test_windows_of_a_batch_give_the_losses_of_the_batch() -> None:
    objective = Objective(build_network(small_preset().config), small_preset())
    torch.manual_seed(5)
    terms = objective(make_batch())
    windows = objective.windows
    assert windows is not None
    assert len(windows.alpha) == 2 * (2 + 2)
    assert not windows.half.requires_grad
    again = objective(windows)
    for name in ("fine_alpha", "fine_foreground"):
        assert torch.equal(again[name], terms[name])
    sum(again.values()).backward()  # type: ignore[union-attr]
    trained = {name for name, x in objective.network.named_parameters() if x.grad is not None}
    assert trained
    assert all(name.startswith("refiner.") for name in trained)


def test_a_stage_can_train_the_refiner_alone_in_between() -> None:
    moved = {}
    for again in (0, 3):
        torch.manual_seed(0)
        stage = dataclasses.replace(small_preset().stages["edges"], again=again)
        learner = Learner(small_preset(), stage, Group(0, 1, HOST), torch.float32)
        before = {name: x.detach().clone() for name, x in learner.network.named_parameters()}
        steps: list[int] = []
        learner.optimizer.register_step_post_hook(lambda *_, steps=steps: steps.append(1))
        torch.manual_seed(7)
        assert learner.learn(iter([make_batch()]), 1, 1.0) is not None
        assert len(steps) == 1 + again
        moved[again] = {
            name: (x.detach() - before[name]).abs().sum() for name, x in learner.network.named_parameters()
        }
    for name, distance in moved[0].items():
        if name.startswith("coarse."):
            assert moved[3][name] == distance, name
    assert moved[3]["refiner.conv3.weight"] > moved[0]["refiner.conv3.weight"]
