"""Material from any mix of data sets."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from cleanplate.errors import InputError, OptionError
from cleanplate.training.datasets import DataSpec, parse_data_spec
from cleanplate.training.datasets.mips import make_mips
from cleanplate.training.synthesis import pools
from cleanplate.training.synthesis.material import open_material
from cleanplate.training.synthesis.pools import LazyPictures, mix


def pixels(pictures):
    return {picture.levels[0].numpy().tobytes() for picture in pictures}


def test_own_material_alone(own_material):
    material = open_material([own_material], [], "train", shapes=3)
    assert [len(material.figures), len(material.objects), len(material.textures)] == [9, 9, 9]
    assert [len(material.shapes), len(material.backgrounds), len(material.clips)] == [3, 9, 2]
    held_out = open_material([own_material], [], "validation", shapes=3)
    for kind in ("figures", "objects", "textures", "backgrounds"):
        assert len(getattr(held_out, kind)) == 1
        assert not pixels(getattr(material, kind)) & pixels(getattr(held_out, kind))


def test_kinds_that_a_mix_lacks_are_empty(videomatte_mp4, rooms):
    material = open_material([DataSpec(videomatte_mp4, "videomatte240k")], [rooms], "train", shapes=0)
    assert not material.objects
    assert not material.textures
    assert not material.shapes
    assert len(material.figures) == 28
    assert material.figures[27].levels[0].shape == (4, 72, 96)
    assert len(material.clips) == 2
    assert len(material.backgrounds) == 11 + 3  # the video's key frames, a second apart
    assert all(picture.levels[0].shape == (3, 72, 96) for picture in material.backgrounds)
    validation = open_material([videomatte_mp4], [rooms], "validation", shapes=0)
    assert [len(validation.figures), len(validation.backgrounds)] == [14, 1]


def test_shapes_need_no_textures(rooms):
    material = open_material([], [rooms], "train", shapes=4)
    assert len(material.shapes) == 4
    assert not material.figures


def test_weights_are_shares_of_the_subjects(photomatte, distinctions, rooms):
    specs = [parse_data_spec(f"photomatte85={photomatte}:3"), parse_data_spec(f"{distinctions}:1")]
    figures = open_material(specs, [rooms], "train", shapes=0).figures
    first = pixels(open_material(specs[:1], [rooms], "train", shapes=0).figures)
    drawn = Counter(picture.levels[0].numpy().tobytes() in first for picture in figures)
    assert drawn[True] / len(figures) == pytest.approx(0.75, abs=0.05)
    assert pixels(figures) > first
    assert len(pixels(figures)) == 19 + 4


def test_a_large_weight_brings_a_small_set_up_often():
    small, large = [torch.tensor(i) for i in range(3)], [torch.tensor(i) for i in range(10, 110)]
    mixed = mix([(small, 9.0), (large, 1.0)])
    drawn = Counter(int(x) for x in mixed)
    assert sum(drawn[i] for i in range(3)) / len(mixed) == pytest.approx(0.9, abs=0.01)
    assert set(drawn) == {*range(3), *range(10, 110)}
    assert mix([([], 5.0), (small, 1.0)]) is small
    with pytest.raises(IndexError):
        mixed[len(mixed)]


def test_material_is_pickled_for_other_processes(videomatte_mp4, photomatte, rooms):
    material = open_material([videomatte_mp4, photomatte], [rooms], "train", shapes=1)
    before = material.figures[5].levels[0]
    again = pickle.loads(pickle.dumps(material))
    assert torch.equal(again.figures[5].levels[0], before)
    assert again.clips[0].read(2, 2).shape == (2, 72, 96, 4)
    context = torch.multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert torch.equal(pool.apply(material.figures.__getitem__, (5,)).levels[0], before)


def test_the_cache_of_a_lazy_sequence_is_bounded(monkeypatch, cutout):
    reads = []

    def read(number):
        reads.append(number)
        return cutout(number)

    one = sum(level.numel() for level in make_mips(cutout(0)).levels)
    monkeypatch.setattr(pools, "KEPT_BYTES", 3 * one)
    pictures = LazyPictures(range(10), read)
    for index in (0, 1, 2, 0, 3, 0, 1):
        _ = pictures[index]
    assert reads == [0, 1, 2, 3, 1]
    assert len(pictures._kept) == 3
    assert len(pickle.dumps(LazyPictures(range(10), make_mips))) < 2000


def test_limit_takes_a_few_of_each(own_material, photomatte, rooms):
    material = open_material([own_material, photomatte], [rooms], "train", shapes=0, limit=2)
    assert len(pixels(material.figures)) == 4
    assert len(material.clips) == 2


def test_an_error_names_bad_data(distinctions, videomatte_jpeg, rooms):
    (distinctions / "Train/FG/1(1).jpg").write_bytes(b"broken")
    figures = open_material([distinctions], [rooms], "train", shapes=0).figures
    with pytest.raises(InputError, match=r"1\(1\)\.jpg"):
        _ = figures[1]
    (distinctions / "Train/GT/0(0).png").unlink()
    (distinctions / "Train/GT/2(2).png").unlink()
    with pytest.raises(InputError, match=r"0\(0\)\.jpg has no alpha in .* for 1 more.*datasets check"):
        open_material([distinctions], [rooms], "train", shapes=0)
    (videomatte_jpeg / "train/pha/0001/00002.jpg").unlink()
    with pytest.raises(InputError, match="fgr/0001 has 6 frames of colour, but 5 of alpha"):
        open_material([videomatte_jpeg], [rooms], "train", shapes=0)


def test_a_split_without_subjects_or_backgrounds_is_refused(photomatte, rooms):
    with pytest.raises(InputError, match=r"no backgrounds for the split 'train'.*with backgrounds"):
        open_material([photomatte], [], "train")
    with pytest.raises(InputError, match="no subject for the split 'train'"):
        open_material([], [rooms], "train", shapes=0)
    with pytest.raises(InputError, match=r"no backgrounds for the split 'validation'.*ten are needed"):
        open_material([photomatte], [rooms / "street.mp4"], "validation")
    with pytest.raises(OptionError, match="'test'"):
        open_material([photomatte], [rooms], "test")


def test_fine_figures_and_portraits_are_kinds_of_their_own(own_material, tmp_path, cutout, write_picture):
    """Separate from the figures, whose held-out part stays as it was for older scores."""
    before = open_material([own_material], [], "validation", shapes=0)
    root = tmp_path / "more"
    shutil.copytree(own_material, root)
    for folder, first in (("figures_fine", 900), ("portraits", 950)):
        for number in range(20):
            write_picture(root / folder / f"{number:03d}.png", cutout(first + number))
    material = open_material([root], [], "train", shapes=0)
    assert [len(material.figures), len(material.fine_figures), len(material.portraits)] == [9, 18, 18]
    held_out = open_material([root], [], "validation", shapes=0)
    assert pixels(held_out.figures) == pixels(before.figures)
    assert pixels(held_out.fine_figures) == {
        make_mips(cutout(n)).levels[0].numpy().tobytes() for n in (909, 919)
    }
    assert isinstance(material.fine_figures, Sequence)
