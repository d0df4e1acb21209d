"""All layouts are recognised, named or not, and keep the split of their authors."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.cli import main
from cleanplate.errors import InputError, OptionError
from cleanplate.training.datasets import DataSpec
from cleanplate.training.datasets.layouts import find_backgrounds, find_dataset
from cleanplate.training.datasets.pictures import MAXIMUM_SIDE, read_cutout, read_picture

ROOT = Path(__file__).parents[3]
OWN = ROOT.parent / "shared" / "data" / "train"


def names(entries):
    return [entry.name for entry in entries]


@pytest.mark.parametrize("name", ["videomatte240k", "fgr-alpha", None])
@pytest.mark.parametrize("inner", [True, False])
def test_videomatte_as_frames(videomatte_jpeg, name, inner, cutout):
    found = find_dataset(DataSpec(videomatte_jpeg if inner else videomatte_jpeg.parent, name))
    prefix = "" if inner else "VideoMatte240K_JPEG_SD/"
    train = found.clips_of("figures", "train")
    assert names(train) == [f"{prefix}train/fgr/{i:04}" for i in range(3)]
    assert names(found.clips_of("figures", "validation")) == [f"{prefix}test/fgr/0000"]
    assert not found.stills
    assert [len(clip) for clip in train] == [5, 6, 7]
    frames = train[2].read(3, 4)
    assert frames.shape == (4, 72, 96, 4)
    for number, frame in enumerate(frames, 3):
        solid = cutout(200 + number)
        assert np.abs(frame[..., 3].astype(int) - solid[..., 3]).max() < 16
        inside = solid[..., 3] == 255
        assert np.abs(frame.astype(int) - solid)[inside][:, :3].mean() < 4


@pytest.mark.parametrize("name", ["videomatte240k", None])
def test_videomatte_as_videos(videomatte_mp4, name, cutout):
    found = find_dataset(DataSpec(videomatte_mp4, name))
    assert names(found.clips_of("figures", "train")) == ["train/fgr/0000.mp4", "train/fgr/0001.mp4"]
    (held_out,) = found.clips_of("figures", "validation")
    frames = held_out.read(9, 3)
    for number, frame in enumerate(frames, 9):
        truth = cutout(1000 + number)
        assert np.abs(frame[..., 3].astype(int) - truth[..., 3]).mean() < 2
        inside = truth[..., 3] == 255
        assert np.abs(frame.astype(int) - truth)[inside][:, :3].mean() < 6
    with pytest.raises(OptionError, match="14 frames"):
        held_out.read(12, 3)


@pytest.mark.parametrize("name", ["photomatte85", "rgba", None])
def test_photomatte_as_downloaded(photomatte, name, cutout):
    found = find_dataset(DataSpec(photomatte, name))
    assert names(found.stills_of("figures", "validation")) == [
        "0051115Q_000001_0009.png", "0051115Q_000001_0019.png",
    ]  # fmt: skip
    train = found.stills_of("figures", "train")
    assert len(train) == 19
    np.testing.assert_array_equal(read_cutout(train[0].colour, train[0].alpha), cutout(800))


def test_photomatte_as_pairs(tmp_path, write_picture, cutout):
    for number in range(3):
        write_picture(tmp_path / f"fgr/{number}.jpg", cutout(number)[..., :3])
        write_picture(tmp_path / f"pha/{number}.png", cutout(number)[..., 3])
    found = find_dataset(DataSpec(tmp_path, "photomatte85"))
    assert len(found.stills_of("figures", "train")) == 3


@pytest.mark.parametrize("name", ["distinctions646", "fgr-alpha", None])
def test_distinctions(distinctions, name, cutout):
    found = find_dataset(DataSpec(distinctions, name))
    train = found.stills_of("figures", "train")
    assert names(train) == [f"Train/FG/{i}({i}).jpg" for i in range(4)]
    assert names(found.stills_of("figures", "validation")) == ["Test/FG/test_0.png", "Test/FG/test_1.png"]
    np.testing.assert_array_equal(read_cutout(train[3].colour, train[3].alpha)[..., 3], cutout(3)[..., 3])


@pytest.mark.parametrize("name", ["aim", None])
def test_adobe(adobe, name):
    found = find_dataset(DataSpec(adobe, name))
    assert len(found.stills_of("figures", "train")) == 6
    assert len(found.stills_of("figures", "validation")) == 3
    assert not [still for still in found.stills if "trimaps" in still.name]
    assert not found.findings


def test_a_validation_folder_with_other_names(tmp_path, write_picture, cutout):
    for split in ("TRAIN", "Valid"):
        write_picture(tmp_path / f"{split}/FGR/deep/a b.PNG", cutout(1)[..., :3])
        write_picture(tmp_path / f"{split}/PHA/deep/A B.jpeg", cutout(1)[..., 3])
    found = find_dataset(DataSpec(tmp_path))
    assert names(found.stills_of("figures", "train")) == ["TRAIN/FGR/deep/a b.PNG"]
    assert names(found.stills_of("figures", "validation")) == ["Valid/FGR/deep/a b.PNG"]


def test_pointing_at_the_test_part_alone_splits_it(videomatte_jpeg):
    found = find_dataset(DataSpec(videomatte_jpeg / "test"))
    assert [clip.split for clip in found.clips] == ["train"]


def test_own_material(own_material):
    found = find_dataset(DataSpec(own_material))
    assert found.layout == "material"
    for kind in ("figures", "objects", "textures", "backgrounds"):
        assert len(found.stills_of(kind, "train")) == 9
        assert len(found.stills_of(kind, "validation")) == 1
    assert names(found.stills_of("figures", "validation")) == ["figures/00009.webp"]
    assert names(found.clips_of("figures", "train")) == ["sequences/00_walk", "sequences/01_wave"]
    assert found.clips[0].read(1, 3).shape == (3, 72, 96, 4)


def test_backgrounds_are_pictures_and_videos(rooms):
    found = find_backgrounds(rooms)
    assert len(found.stills_of("backgrounds", "train")) == 11
    assert names(found.stills_of("backgrounds", "validation")) == ["inside/07.jpg"]
    assert names(found.clips) == ["street.mp4"]
    assert names(find_backgrounds(rooms / "street.mp4").clips) == ["street.mp4"]


def test_system_files_of_macos_and_windows_are_no_pictures(photomatte):
    (photomatte / "._0051115Q_000001_0000.png").write_bytes(b"\0\5\26\7")
    (photomatte / "Thumbs.db").write_bytes(b"x")
    assert len(find_dataset(DataSpec(photomatte, "rgba")).stills) == 21


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (None, "not laid out like a data set.*figures/.*fgr/ and pha/.*alpha channel"),
        ("material", "'material'.*garments"),
        ("videomatte240k", "'videomatte240k'.*train/ and test/"),
        ("distinctions646", "FG/ and GT/"),
        ("aim", "Training_set"),
        ("rgba", "alpha channel"),
    ],
)
def test_an_error_of_a_wrong_folder_lists_the_expected_files(tmp_path, name, words):
    with pytest.raises(InputError) as caught:
        find_dataset(DataSpec(tmp_path, name))
    assert re.search(words, str(caught.value))


def test_a_folder_of_stills_is_no_videomatte(distinctions, tmp_path):
    shutil.copytree(distinctions / "Train" / "FG", tmp_path / "x" / "fgr")
    shutil.copytree(distinctions / "Train" / "FG", tmp_path / "x" / "pha")
    with pytest.raises(InputError, match="'videomatte240k'"):
        find_dataset(DataSpec(tmp_path / "x", "videomatte240k"))


def test_an_error_names_a_missing_folder_and_a_file(tmp_path, photomatte):
    with pytest.raises(InputError, match=r"no folder .*nowhere"):
        find_dataset(DataSpec(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="is not a folder"):
        find_dataset(DataSpec(next(photomatte.iterdir())))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no backgrounds in"):
        find_backgrounds(tmp_path / "empty")
    (tmp_path / "own" / "figures").mkdir(parents=True)
    with pytest.raises(InputError, match="figures has no pictures"):
        find_dataset(DataSpec(tmp_path / "own"))


def test_a_folder_with_a_link_to_itself_is_read(photomatte):
    try:
        (photomatte / "again").symlink_to(photomatte, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    assert find_dataset(DataSpec(photomatte, "rgba")).stills


def test_an_error_names_pairs_of_two_sizes_and_pictures_without_alpha(tmp_path, write_picture, cutout):
    colour = write_picture(tmp_path / "c.png", cutout(1)[..., :3])
    alpha = write_picture(tmp_path / "a.png", cutout(1, 50, 60)[..., 3])
    with pytest.raises(InputError, match=r"a\.png is 60x50, but its colour .*c\.png is 96x72"):
        read_cutout(colour, alpha)
    with pytest.raises(InputError, match=r"c\.png has no alpha"):
        read_cutout(colour, None)


def test_large_pictures_are_reduced_without_a_dark_rim(tmp_path, write_picture):
    picture = np.zeros((1200, 4096, 4), np.uint8)
    picture[:, 1001:3001] = (200, 150, 100, 255)
    small = read_cutout(write_picture(tmp_path / "large.png", picture), None)
    assert small.shape == (600, MAXIMUM_SIDE, 4)
    rim = small[(small[..., 3] > 0) & (small[..., 3] < 255)]
    assert len(rim)
    assert np.abs(rim[:, :3].astype(int) - (200, 150, 100)).max() <= 1
    assert read_picture(tmp_path / "large.png").shape == (600, MAXIMUM_SIDE, 3)


def test_sixteen_bits_become_eight(tmp_path):
    picture = np.full((64, 64, 4), 65535, np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), picture)
    assert read_cutout(tmp_path / "deep.png", None).min() == 255


def test_the_held_out_part_of_the_material_equals_the_documented_one(capsys):
    if not OWN.is_dir():
        pytest.skip(f"there is no {OWN}")
    assert main(["datasets", "check", "--data", str(OWN), "--list-validation"]) == 0
    expected = (ROOT / "docs" / "validation-set.txt").read_text()
    assert capsys.readouterr().out == expected
