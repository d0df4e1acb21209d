from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.errors import InputError
from cleanplate.training.datasets.clips import Clip, FrameFolder
from cleanplate.training.datasets.mips import Mips
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.motion_paths import MOST_DRIFTS, Pose, draw_path
from cleanplate.training.synthesis.moving_sequences import SequenceSynthesis, _fold
from cleanplate.training.synthesis.placement import Placement

NO_FAULTS = Faults.all_at(0)


def test_the_same_seed_gives_the_same_sequences(material: Material) -> None:
    first, again, other = (SequenceSynthesis(material, seed=seed).batch(2, 5, 48, 64) for seed in (5, 5, 6))
    assert torch.equal(first.source, again.source)
    assert torch.equal(first.alpha, again.alpha)
    assert not torch.equal(first.source, other.source)


@pytest.mark.parametrize("stills", [0.0, 1.0])
def test_sequences_have_the_promised_shapes_and_ranges(material: Material, stills: float) -> None:
    footage = SequenceSynthesis(material, seed=1).batch(3, 9, 48, 80, stills)
    for tensor, channels in ((footage.source, 3), (footage.alpha, 1), (footage.foreground, 3)):
        assert tensor.shape == (3, 9, channels, 48, 80)
        assert tensor.dtype == torch.float32
        assert float(tensor.min()) >= 0
        assert float(tensor.max()) <= 1


def test_truth_composes_back_to_the_source(material: Material) -> None:
    footage = SequenceSynthesis(material, faults=NO_FAULTS, seed=3).batch(4, 4, 48, 64)
    solid = (footage.alpha == 1).expand_as(footage.source)
    assert float(solid.float().mean()) > 0.02
    assert float((footage.source - footage.foreground)[solid].abs().max()) <= 0.5 / 255 + 1e-5


@pytest.mark.parametrize("stills", [0.0, 1.0])
def test_neighbouring_frames_are_more_alike_than_distant_ones(material: Material, stills: float) -> None:
    footage = SequenceSynthesis(material, faults=NO_FAULTS, seed=4).batch(8, 12, 48, 64, stills)
    for layer in (footage.source, footage.alpha):
        near, far = ((layer[:, step:] - layer[:, :-step]).abs().mean() for step in (1, 5))
        assert 0 < 1.4 * near < far


def test_videos_serve_as_backgrounds(material: Material, material_folder: Path) -> None:
    files = tuple(sorted(path.name for path in (material_folder / "backgrounds").iterdir()))[:12]
    video = Clip("video", "backgrounds", "train", FrameFolder(material_folder / "backgrounds", files))
    moving = replace(material, background_clips=[video])
    footage = SequenceSynthesis(moving, faults=NO_FAULTS, seed=2).batch(6, 4, 48, 64, 1.0)
    jumps = (footage.source[:, 1:] - footage.source[:, :-1]).abs().mean(dim=(2, 3, 4))
    # Its frames have nothing in common, those of a still have.
    assert {bool(jump > 0.1) for jump in jumps.amin(dim=1)} == {True, False}


def test_a_network_without_a_plate_needs_figures(material: Material) -> None:
    with pytest.raises(InputError, match="no figures"):
        SequenceSynthesis(replace(material, figures=[], clips=[]))
    with pytest.raises(InputError, match="no backgrounds"):
        SequenceSynthesis(replace(material, backgrounds=[]))


def test_a_clip_plays_forwards_and_backwards() -> None:
    assert [_fold(place, 3) for place in range(-2, 9)] == [2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert _fold(5.0, 0) == 0


@given(st.integers(0, 2**32), st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_paths_are_smooth_and_bounded(seed: int, frames: int) -> None:
    path = draw_path(np.random.default_rng(seed), frames)
    assert len(path) == frames
    poses = np.array([[pose.down, pose.across, np.log(pose.zoom), pose.angle] for pose in path])
    assert np.allclose(poses[0], 0)
    assert (np.abs(poses) < np.array(MOST_DRIFTS) + 0.1).all()
    assert (np.abs(np.diff(poses, axis=0)) < 0.4).all()


@given(
    st.tuples(*[st.booleans()] * 4),
    st.booleans(),
    st.builds(Pose, *[st.floats(-0.3, 0.3)] * 2, st.floats(0.7, 1.4), st.floats(-0.2, 0.2)),
)
@settings(max_examples=100, deadline=None)
def test_cut_sides_of_figures_stay_outside_of_the_frame(
    touches: tuple[bool, bool, bool, bool], flip: bool, pose: Pose
) -> None:
    sprite = Mips((torch.full((4, 50, 40), 255, dtype=torch.uint8),), touches)
    moved = Placement(sprite, 1.0, 0.0, flip, 0.0, 0.0).moved(pose, 60, 80)
    left, right, top, bottom = touches
    left, right = (right, left) if flip else (left, right)
    height, width = 50 * moved.zoom, 40 * moved.zoom
    assert not bottom or moved.down + height / 2 >= 30
    assert not top or moved.down - height / 2 <= -30
    assert not right or moved.across + width / 2 >= 40
    assert not left or moved.across - width / 2 <= -40
    assert not any(touches) or moved.angle == 0
