"""Names of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanplate import media
from cleanplate.errors import OutputError
from cleanplate.jobs.naming import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_result, name_outputs
from cleanplate.system.temporary_files import claim_partial, make_folder, move_into_place
from cleanplate.vocabulary import LAYERS


def names(source, layers, out, suffixes=IMAGE_SUFFIXES):
    return [path.as_posix() for path in name_outputs(Path(source), layers, out, suffixes).values()]


def test_results_are_named_beside_the_source():
    assert names("shots/photo.jpg", LAYERS, None) == [
        "shots/photo.cleanplate.png",
        "shots/photo.alpha.png",
        "shots/photo.foreground.png",
        "shots/photo.composite.png",
        "shots/photo.shadow.png",
        "shots/photo.error.png",
        "shots/photo.refine.png",
        "shots/photo.hint.png",
    ]
    assert names("clip.mp4", ["cutout", "composite"], None, VIDEO_SUFFIXES) == [
        "clip.cleanplate.mov",
        "clip.composite.mp4",
    ]


def test_a_folder_keeps_the_names(tmp_path):
    assert names("a/photo.jpg", ["alpha"], tmp_path) == [f"{tmp_path.as_posix()}/photo.alpha.png"]
    assert names("a/photo.jpg", ["alpha"], "not_there_yet/") == ["not_there_yet/photo.alpha.png"]


def test_a_file_is_the_cutout_and_the_others_are_named_after_it():
    assert names("clip.mp4", ["alpha", "cutout"], "x/cut.mov") == ["x/cut.alpha.mov", "x/cut.mov"]
    assert names("clip.mp4", ["composite", "alpha"], "out.mp4") == ["out.mp4", "out.alpha.mp4"]
    assert names("clip.mp4", ["alpha"], "a.mkv") == ["a.mkv"]
    assert names("clip.mp4", ["cutout", "alpha"], "c_%05d.png") == ["c_%05d.png", "c_%05d.alpha.png"]


def test_a_sequence_loses_its_number():
    assert names("in/shot_%05d.png", ["cutout"], None, VIDEO_SUFFIXES) == ["in/shot.cleanplate.mov"]
    assert names("in/%05d.png", ["cutout"], None, VIDEO_SUFFIXES) == ["in/sequence.cleanplate.mov"]


def test_names_of_results_are_recognised():
    assert all(is_result(path) for path in name_outputs(Path("a.jpg"), LAYERS, None, IMAGE_SUFFIXES).values())
    assert not any(is_result(Path(name)) for name in ("a.png", "alpha.png", "a.b.png", "cleanplate.jpg"))


def test_a_folder_is_made_with_its_parents(tmp_path):
    make_folder(tmp_path / "out")
    make_folder(tmp_path / "out")
    assert (tmp_path / "out").is_dir()
    make_folder(tmp_path / "a" / "b" / "out")
    assert (tmp_path / "a" / "b" / "out").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        make_folder(tmp_path / "file")


def test_layers_are_those_of_media():
    assert LAYERS == media.LAYERS


def test_temporary_files_have_new_names(tmp_path):
    stranger = tmp_path / "cut.partial.png"
    stranger.write_bytes(b"mine")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "cut.partial-2.png").symlink_to(elsewhere)
    partial = claim_partial(tmp_path / "cut.png")
    assert partial.name == "cut.partial-3.png"
    assert stranger.read_bytes() == b"mine"
    assert not elsewhere.exists()


def test_a_result_that_appears_during_the_run_is_kept(tmp_path):
    result = tmp_path / "cut.png"
    partial = claim_partial(result)
    partial.write_bytes(b"new")
    result.write_bytes(b"mine")
    with pytest.raises(OutputError, match="appeared during the run"):
        move_into_place(partial, result, overwrite=False)
    assert result.read_bytes() == b"mine"
    move_into_place(partial, result, overwrite=True)
    assert result.read_bytes() == b"new"
    assert not partial.exists()
