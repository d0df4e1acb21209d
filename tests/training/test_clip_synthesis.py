"""Clips with a plate: subjects that move before a set that does not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from cleanplate.training.synthesis.clip_synthesis import SMALLEST, ClipSynthesis
from cleanplate.training.synthesis.exposures import ChangingLight
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.motion_paths import Pose, draw_times, pose_at
from cleanplate.training.synthesis.placement import Placement
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.synthesis import Case

NO_FAULTS = Faults.all_at(0)
SIZE = (48, 64)


def film(material: Material, faults: Faults, seed: int, frames: int = 5) -> list[Case]:
    return list(ClipSynthesis(material, faults=faults).clip_of(seed, frames, *SIZE))


def test_without_faults_only_the_subject_differs_from_the_plate(material: Material) -> None:
    moved = 0
    for seed in range(4):
        clip = film(material, NO_FAULTS, seed)
        for case in clip:
            assert case.plate is clip[0].plate
            difference = (case.source - case.plate[:, :3]).abs() * (case.alpha == 0)
            assert float(difference.max()) <= 1 / 255 + 1e-5
            assert float(case.alpha.mean()) > SMALLEST / 2
        moved += not torch.equal(clip[0].alpha, clip[-1].alpha)
    assert moved >= 2


def test_noise_differs_from_frame_to_frame(material: Material) -> None:
    for before, after in pairwise(film(material, NO_FAULTS.with_strength("noise", 1.0), 0)):
        empty = (before.alpha == 0) & (after.alpha == 0)
        assert 0 < float(((after.source - before.source).abs() * empty).mean()) < 0.05


def test_the_light_of_a_clip_drifts_from_the_first_frame_on() -> None:
    grey = torch.full((1, 3, 4, 4), 0.5)
    light = ChangingLight(RandomGenerator(1, torch.device("cpu")), Faults(flicker=0))
    first, middle, last = (light.on(grey, number, 9) for number in (0, 4, 8))
    assert torch.equal(first, grey)
    assert torch.allclose((middle / grey) ** 2, last / grey)
    assert not torch.equal(last, grey)


def test_some_clips_have_bands_of_light_that_roll() -> None:
    grey, faults = torch.full((1, 3, 16, 1), 0.5), Faults(exposure=0)
    lights = [ChangingLight(RandomGenerator(seed, torch.device("cpu")), faults) for seed in range(40)]
    lit = [[light.on(grey, number, 3) for number in range(2)] for light in lights]
    banded = [(one, two) for one, two in lit if not torch.equal(one, grey)]
    assert 1 <= len(banded) <= 12
    assert all(not torch.equal(one, two) for one, two in banded)


def test_moving_figures_of_the_material_play(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanplate.training.synthesis.clip_synthesis.MOVING_FIGURES", 1.0)
    monkeypatch.setattr("cleanplate.training.synthesis.subject_motion.draw_path", lambda _, n: [Pose()] * n)
    alone = replace(material, objects=[], shapes=[])
    changes = [
        float((a.alpha - b.alpha).abs().max()) for a, b in pairwise(film(alone, NO_FAULTS, 3, frames=6))
    ]
    assert max(changes) > 0.5  # with stills in their place, nothing would move


def test_subjects_stop_on_their_paths() -> None:
    stopped = [draw_times(np.random.default_rng(seed), 20, stops=1.0) for seed in range(20)]
    for times in stopped:
        steps = np.diff(times)
        assert times[0] == 0
        assert ((steps >= 0) & (steps <= 1 + 1e-9)).all()
        assert (steps == 0).sum() >= 2
    assert draw_times(np.random.default_rng(0), 3, stops=0.0) == [0, 1, 2]
    path = [Pose(), Pose(down=1.0, zoom=3.0)]
    assert pose_at(path, 0.25) == Pose(down=0.25, zoom=1.5)
    assert pose_at(path, -1) == path[0]
    assert pose_at(path, 9) == path[1]


def test_a_held_sprite_goes_with_its_holder(material: Material) -> None:
    before = Placement(material.figures[0], 0.5, 0.1, flip=False, down=3.0, across=-4.0)
    after = Placement(material.figures[0], 0.6, 0.3, flip=False, down=9.0, across=2.0)
    itself = before.carried(before, after)
    assert (itself.zoom, itself.angle) == pytest.approx((after.zoom, after.angle))
    assert (itself.down, itself.across) == pytest.approx((after.down, after.across))
    held = Placement(material.objects[0], 0.2, -0.7, flip=True, down=8.0, across=1.0)
    there_and_back = held.carried(before, after).carried(after, before)
    assert (there_and_back.zoom, there_and_back.angle) == pytest.approx((held.zoom, held.angle))
    assert (there_and_back.down, there_and_back.across) == pytest.approx((held.down, held.across))
