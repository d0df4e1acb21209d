"""The guard of inputs and results: by device and inode, patterns expanded."""

from __future__ import annotations

import os

import pytest

from cleanplate.errors import OutputError
from cleanplate.media.guard import FileGuard, check_files


@pytest.fixture
def folder(tmp_path):
    for name in ("clip.mp4", "plate.png", "c_0001.png", "c_0002.png", "s.0999.png", "s.1000.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("reads", "write"),
    [
        (["clip.mp4"], "clip.mp4"),
        (["clip.mp4"], "sub/../clip.mp4"),
        (["c_0001.png"], "c_%04d.png"),
        (["c_%04d.png"], "c_0002.png"),
        (["s.%04d.png"], "s.%d.png"),
    ],
)
def test_results_over_inputs_are_refused(reads, write, folder):
    with pytest.raises(OutputError, match="would overwrite"):
        check_files([folder / item for item in reads], [folder / write])


def test_links_are_recognised(folder):
    (folder / "link.mp4").symlink_to(folder / "clip.mp4")
    os.link(folder / "clip.mp4", folder / "hard.mp4")
    for name in ("link.mp4", "hard.mp4"):
        with pytest.raises(OutputError, match="would overwrite"):
            check_files([folder / "clip.mp4"], [folder / name])
    with pytest.raises(OutputError, match="would overwrite"):
        check_files([folder / "link.mp4"], [folder / "clip.mp4"])


@pytest.mark.parametrize("write", ["cut.mov", "c_%04d.exr", "d_%04d.png", "sub/clip.mp4", "c_0003.jpg"])
def test_other_names_are_accepted(write, folder):
    check_files([folder / "clip.mp4", folder / "c_%04d.png", "#00b140", None], [folder / write])


def test_an_existing_file_is_no_pattern(folder):
    (folder / "take_%04d.mp4").write_bytes(b"x")
    with pytest.raises(OutputError, match="would overwrite"):
        check_files([folder / "take_%04d.mp4"], [folder / "take_%04d.mp4"])


def test_results_over_inputs_of_other_rows_are_refused(folder):
    guard = FileGuard()
    guard.read([folder / "clip.mp4"], "row 2")
    guard.read([folder / "later.mov"], "row 3")  # may be the result of a row
    guard.write([folder / "cut.mov"], "row 2")
    with pytest.raises(OutputError, match=r"is the result of row 2"):
        guard.write([folder / "sub" / ".." / "cut.mov"], "row 3")
    with pytest.raises(OutputError, match=r"an input of row 2"):
        guard.write([folder / "clip.mp4"], "row 3")
    with pytest.raises(OutputError, match=r"an input of row 3"):
        guard.write([folder / "later.mov"], "row 2")
    with pytest.raises(OutputError, match="twice"):
        guard.write([folder / "a.mov", folder / "sub" / ".." / "a.mov"], "row 4")
