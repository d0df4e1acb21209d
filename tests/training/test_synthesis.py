from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cleanplate.errors import InputError
from cleanplate.training.synthesis.camera_model import blur, compress
from cleanplate.training.synthesis.material import Material, Mips, load_material, make_mips
from cleanplate.training.synthesis.placement import choose_close_place
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.relighting import reflect, spill
from cleanplate.training.synthesis.synthesis import Faults, Synthesis

NO_FAULTS = Faults.all_at(0)


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


def test_without_faults_plate_and_empty_source_are_equal(material: Material) -> None:
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


# Spill and look-alikes change the subject, all others what is seen beside it; reflections are too rare here.
BESIDE = [name for name in Faults.names() if name not in ("spill", "lookalike", "reflection")]


@pytest.mark.parametrize("fault", BESIDE)
def test_the_difference_grows_with_the_strength_of_each_fault(material: Material, fault: str) -> None:
    def difference(strength: float) -> float:
        faults = NO_FAULTS.with_strength(fault, strength)
        case = Synthesis(material, faults=faults, seed=4).batch(20, 48, 64)
        empty = (case.alpha == 0).expand(-1, 3, -1, -1)
        return float((case.source - case.plate[:, :3])[empty].abs().mean())

    weak, medium, strong = (difference(strength) for strength in (0.0, 1.0, 2.5))
    assert weak < 1e-6
    assert medium > 2e-5
    assert strong > medium


def test_lookalikes_have_colours_of_the_room(material: Material) -> None:
    # On a plain red set, look-alikes are red.
    red = torch.zeros(3, 40, 60, dtype=torch.uint8)
    red[0] = 200
    room = replace(material, backgrounds=[Mips((red,))])

    def redness(strength: float) -> float:
        faults = NO_FAULTS.with_strength("lookalike", strength)
        case = Synthesis(room, faults=faults, seed=11).batch(96, 32, 48, kind="figure")
        solid = (case.alpha > 0.9)[:, 0]
        colour = case.source.permute(0, 2, 3, 1)[solid]
        return float((colour[:, 0] - colour[:, 1:].amax(dim=1) > 0.3).float().mean())

    assert redness(1.0) > redness(0.0) + 0.02


def test_a_reflection_lies_below_the_subject_only() -> None:
    alpha = torch.zeros(64, 1, 40, 40)
    alpha[:, :, 8:20, 10:30] = 1
    set_, white = torch.zeros(64, 3, 40, 40), torch.ones(64, 3, 40, 40)
    random = RandomGenerator(1, torch.device("cpu"))
    assert float(reflect(random, NO_FAULTS, set_.clone(), white, alpha).max()) == 0
    mirrored = reflect(random, Faults(), set_.clone(), white, alpha)
    seen = mirrored.amax(dim=(1, 2, 3)) > 0
    assert 1 <= int(seen.sum()) < 20
    assert float(mirrored[seen][:, :, 22:28, 15:25].mean()) > 4 * float(mirrored[:, :, :6].mean())
    assert float(mirrored[:, :, 22:28].mean()) > float(mirrored[:, :, 36:].mean())


def test_spill_colours_the_edge_more_than_the_middle() -> None:
    alpha = torch.zeros(64, 1, 64, 64)
    alpha[:, :, 8:56, 8:56] = 1
    green = torch.tensor([0.0, 1.0, 0.0])[None, :, None, None].expand(64, 3, 64, 64)
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(64, 3, 64, 64).clone()
    random = RandomGenerator(2, torch.device("cpu"))
    assert torch.equal(spill(random, NO_FAULTS, red.clone(), alpha, green), red)
    spilled = spill(random, Faults(), red.clone(), alpha, green)[:, 1].mean(dim=0)
    assert float(spilled[10, 32]) > 4 * float(spilled[32, 32])


@pytest.mark.parametrize("fault", Faults.names())
def test_the_strength_of_a_fault_does_not_change_the_scene(material: Material, fault: str) -> None:
    first, other = (
        Synthesis(material, faults=Faults().with_strength(fault, strength), seed=12).batch(6, 48, 64)
        for strength in (0.0, 2.0)
    )
    if fault == "softness":  # a defocused edge is a soft edge
        assert torch.allclose(first.alpha.mean(dim=(1, 2, 3)), other.alpha.mean(dim=(1, 2, 3)), atol=0.02)
    else:
        assert torch.equal(first.alpha, other.alpha)


def test_alpha_and_foreground_of_a_defocused_picture_are_defocused(material: Material) -> None:
    faults = Faults.all_at(0.0)
    sharp, soft = (
        Synthesis(material, faults=faults.with_strength("softness", strength), seed=3).batch(8, 64, 96)
        for strength in (0.0, 1.0)
    )
    assert not torch.equal(sharp.alpha, soft.alpha)
    for case in (sharp, soft):
        # Without other faults the equation holds, up to the 8 bits of the pictures.
        made = case.alpha * case.foreground + (1 - case.alpha) * case.plate[:, :3]
        near = (made - case.source).abs().mean(dim=(1, 2, 3))
        assert float(near.median()) < 2e-3


def test_a_kind_of_case_can_be_requested(material: Material) -> None:
    case = Synthesis(material, seed=8).batch(8, 48, 64, kind="nothing")
    assert float(case.alpha.max()) == 0
    case = Synthesis(material, seed=8).batch(8, 48, 64, kind="object")
    assert int((case.alpha.amax(dim=(1, 2, 3)) > 0.1).sum()) >= 6


def test_the_share_of_empty_sets_can_be_chosen(material: Material) -> None:
    kinds = [Synthesis(material, empty=0.5).kind_of(seed) for seed in range(200)]
    assert 70 < kinds.count("nothing") < 130
    usual = [Synthesis(material).kind_of(seed) for seed in range(200)]
    assert usual.count("nothing") < 25


def test_kinds_without_material_do_not_occur(material: Material) -> None:
    lacking = replace(material, figures=(), objects=(), textures=())
    case = Synthesis(lacking, seed=5).batch(6, 48, 64)
    assert bool(torch.isfinite(case.source).all())
    with pytest.raises(InputError, match="backgrounds"):
        Synthesis(replace(material, backgrounds=()))


def test_reseeding_equals_a_new_synthesis_of_this_seed(material: Material) -> None:
    used = Synthesis(material, seed=1)
    used.batch(2, 48, 64)
    used.reseed(9)
    assert torch.equal(used.batch(2, 48, 64).source, Synthesis(material, seed=9).batch(2, 48, 64).source)


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


def test_an_error_names_missing_and_broken_material(material_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="garments"):
        load_material(tmp_path)
    for name in ("figures", "objects", "garments", "backgrounds"):
        (tmp_path / name).mkdir()
        source = next((material_folder / name).iterdir())
        (tmp_path / name / source.name).write_bytes(source.read_bytes())
    (tmp_path / "figures" / "a.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"a\.png"):
        load_material(tmp_path, shapes=1)


def strand_material(material: Material) -> Material:
    """With red fine figures, and with green portraits cut by the lower border."""
    picture = np.zeros((400, 300, 4), np.uint8)
    picture[80:, 100:200, 3] = 255
    picture[:80:4, 100:200, 3] = 128
    red, green = picture.copy(), picture.copy()
    red[..., 0], green[..., 1] = 200, 200
    return replace(material, fine_figures=[make_mips(red)], portraits=[make_mips(green)])


def test_fine_figures_occur_on_request_only(material: Material) -> None:
    more = strand_material(material)
    without, unasked = (Synthesis(one, seed=13).batch(4, 64, 96) for one in (material, more))
    assert torch.equal(without.source, unasked.source)
    assert torch.equal(without.alpha, unasked.alpha)
    asked = Synthesis(more, faults=NO_FAULTS, seed=13, fine=1.0).batch(24, 96, 128, kind="figure")
    assert asked.trust is not None
    exact = int(asked.trust.sum())
    assert 10 < exact < 24  # some are portraits
    assert set(asked.trust.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("seed", range(8))
def test_a_close_up_shows_soft_alpha_and_no_cut_side(material: Material, seed: int) -> None:
    sprite = strand_material(material).fine_figures[0]
    place = choose_close_place(RandomGenerator(seed, torch.device("cpu")), sprite, 96, 128)
    alpha = place.seen(96, 128, torch.device("cpu"))[0, 3]
    assert int(((alpha > 0.05) & (alpha < 0.95)).sum()) > 10
    bottom = place.down + place.zoom * sprite.size[0] / 2
    assert bottom >= 96 / 2  # it is cut there
