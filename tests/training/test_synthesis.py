from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cleanplate.errors import InputError
from cleanplate.training.camera import blur, compress
from cleanplate.training.material import Material, load_material
from cleanplate.training.synthesis import Faults, Synthesis

NO_FAULTS = Faults(exposure=0, shift=0, noise=0, softness=0, compression=0, shadow=0, coverage=0)


def test_the_same_seed_gives_the_same_cases(material: Material) -> None:
    first, again, other = (Synthesis(material, seed=seed).batch(3, 96, 128) for seed in (5, 5, 6))
    assert torch.equal(first.source, again.source)
    assert torch.equal(first.plate, again.plate)
    assert not torch.equal(first.source, other.source)


def test_cases_have_the_promised_shapes_and_ranges(material: Material) -> None:
    case = Synthesis(material, seed=1).batch(6, 96, 160)
    for tensor, channels in ((case.source, 3), (case.plate, 4), (case.alpha, 1), (case.foreground, 3)):
        assert tensor.shape == (6, channels, 96, 160)
        assert tensor.dtype == torch.float32
        assert bool(torch.isfinite(tensor).all())
        assert float(tensor.min()) >= 0
        assert float(tensor.max()) <= 1
    assert set(case.plate[:, 3].unique().tolist()) <= {0.0, 1.0}


def test_without_faults_the_plate_is_the_source_where_nothing_stands(material: Material) -> None:
    case = Synthesis(material, faults=NO_FAULTS, seed=2).batch(12, 96, 128)
    empty = (case.alpha == 0).expand(-1, 3, -1, -1)
    assert float(empty.float().mean()) > 0.3
    assert float((case.source - case.plate[:, :3])[empty].abs().max()) <= 1 / 255 + 1e-6
    assert float(case.plate[:, 3].min()) == 1


def test_truth_composes_back_to_the_source(material: Material) -> None:
    case = Synthesis(material, faults=NO_FAULTS, seed=3).batch(12, 96, 128)
    # Exposure bends code values after compositing, so the equation holds exactly at alpha 0 and 1 only.
    solid = (case.alpha == 1).expand(-1, 3, -1, -1)
    assert float(solid.float().mean()) > 0.02
    assert float((case.source - case.foreground)[solid].abs().max()) <= 0.5 / 255 + 1e-5


@pytest.mark.parametrize("fault", ["exposure", "shift", "noise", "softness", "compression", "coverage"])
def test_each_fault_alone_makes_plate_and_source_differ(material: Material, fault: str) -> None:
    case = Synthesis(material, faults=replace(NO_FAULTS, **{fault: 1.0}), seed=4).batch(16, 96, 128)
    empty = (case.alpha == 0).expand(-1, 3, -1, -1)
    assert float((case.source - case.plate[:, :3])[empty].abs().mean()) > 2e-4


def test_some_cases_are_empty_and_most_are_not(material: Material) -> None:
    case = Synthesis(material, seed=8).batch(60, 48, 64)
    covered = case.alpha.amax(dim=(1, 2, 3)) > 0.5
    assert 30 < int(covered.sum()) < 60


def test_blur_keeps_the_mean_and_compression_keeps_the_picture() -> None:
    picture = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    assert float((blur(picture, 2.0).mean() - picture.mean()).abs()) < 0.01
    smooth = blur(picture, 4.0)
    fine, rough = (float((compress(smooth, quality) - smooth).abs().mean()) for quality in (95.0, 10.0))
    assert fine < 0.01 < rough < 0.1


def test_missing_and_broken_material_is_named(material_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="garments"):
        load_material(tmp_path)
    for name in ("figures", "objects", "garments", "backgrounds"):
        (tmp_path / name).mkdir()
        source = next((material_folder / name).iterdir())
        (tmp_path / name / source.name).write_bytes(source.read_bytes())
    (tmp_path / "figures" / "a.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"a\.png"):
        load_material(tmp_path, shapes=1)
