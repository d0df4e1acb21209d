"""Faults that the inspection of data sets finds, and its command."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanplate.cli import main
from cleanplate.training.datasets import DataSpec
from cleanplate.training.datasets.inspection import inspect
from cleanplate.training.datasets.layouts import find_dataset


def check(capsys, *arguments):
    """Exit code and findings as (kind, file name)."""
    code = main(["datasets", "check", *map(str, arguments), "--json"])
    report = json.loads(capsys.readouterr().out)
    return code, sorted(
        (f["kind"], f["path"].replace("\\", "/").rsplit("/", 1)[-1]) for f in report["findings"]
    )


@pytest.mark.parametrize(
    "layout", ["videomatte_jpeg", "videomatte_mp4", "photomatte", "distinctions", "adobe", "own_material"]
)
def test_good_data_sets_pass(layout, request, capsys):
    assert check(capsys, "--data", request.getfixturevalue(layout)) == (0, [])


def test_good_backgrounds_pass(rooms, capsys):
    assert check(capsys, "--backgrounds", rooms) == (0, [])


def test_a_missing_partner(distinctions, capsys):
    (distinctions / "Train/GT/1(1).png").unlink()
    (distinctions / "Train/FG/2(2).jpg").unlink()
    assert check(capsys, "--data", distinctions) == (
        1, [("missing-partner", "1(1).jpg"), ("missing-partner", "2(2).png")],
    )  # fmt: skip


def test_a_missing_clip(videomatte_mp4, capsys):
    (videomatte_mp4 / "train/pha/0001.mp4").unlink()
    assert check(capsys, "--data", videomatte_mp4) == (1, [("missing-partner", "0001.mp4")])


def test_two_files_for_one_name(distinctions, write_picture, cutout, capsys):
    write_picture(distinctions / "Train/FG/1(1).png", cutout(1)[..., :3])
    assert check(capsys, "--data", distinctions) == (1, [("double-name", "1(1).png")])


def test_another_size(distinctions, write_picture, cutout, capsys):
    write_picture(distinctions / "Test/GT/test_0.png", cutout(5, 100, 90)[..., 3])
    assert check(capsys, "--data", distinctions) == (1, [("size-mismatch", "test_0.png")])


def test_truncated_files(distinctions, rooms, capsys):
    for path in (distinctions / "Train/FG/0(0).jpg", distinctions / "Test/GT/test_1.png", rooms / "02.jpg"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (rooms / "inside/03.jpg").write_bytes(b"")
    (rooms / "04.jpg").write_bytes(b"this is text")
    assert check(capsys, "--data", distinctions, "--backgrounds", rooms) == (
        1, [("unreadable", name) for name in ("0(0).jpg", "02.jpg", "03.jpg", "04.jpg", "test_1.png")],
    )  # fmt: skip


def test_channels(photomatte, distinctions, write_picture, cutout, capsys):
    write_picture(photomatte / "0051115Q_000001_0003.png", cutout(3)[..., :3])
    write_picture(distinctions / "Test/FG/test_0.png", cutout(3)[..., 0])
    write_picture(distinctions / "Test/GT/test_1.png", np.dstack([cutout(3)[..., 3]] * 4))
    assert check(capsys, "--data", photomatte, distinctions) == (
        1,
        [("channels", "0051115Q_000001_0003.png"), ("channels", "test_0.png"), ("channels", "test_1.png")],
    )


def test_empty_full_and_coloured_alphas_are_found(distinctions, write_picture, cutout, capsys):
    write_picture(distinctions / "Train/GT/0(0).png", np.zeros((72, 96), np.uint8))
    write_picture(distinctions / "Train/GT/1(1).png", np.full((72, 96), 255, np.uint8))
    write_picture(distinctions / "Train/GT/2(2).png", cutout(2)[..., :3])
    assert check(capsys, "--data", distinctions) == (
        1, [("alpha-coloured", "2(2).png"), ("alpha-empty", "0(0).png"), ("alpha-solid", "1(1).png")],
    )  # fmt: skip


def test_alpha_of_a_clip(videomatte_mp4, videomatte_jpeg, write_clip, write_picture, cutout, capsys):
    black = [np.zeros((72, 96), np.uint8)] * 14
    write_clip(videomatte_mp4 / "train/pha/0000.mp4", black)
    write_picture(videomatte_jpeg / "train/pha/0000/00001.jpg", black[0])  # one empty frame is not a fault
    write_picture(videomatte_jpeg / "train/pha/0001/00002.jpg", cutout(2)[..., :3])
    assert check(capsys, "--data", videomatte_mp4, videomatte_jpeg) == (
        1, [("alpha-coloured", "00002.jpg"), ("alpha-empty", "0000.mp4")],
    )  # fmt: skip


def test_frame_counts(videomatte_mp4, videomatte_jpeg, write_clip, cutout, capsys):
    write_clip(videomatte_mp4 / "train/pha/0001.mp4", [cutout(i)[..., 3] for i in range(13)])
    (videomatte_jpeg / "train/pha/0002/00003.jpg").unlink()
    code, findings = check(capsys, "--data", videomatte_mp4, videomatte_jpeg)
    assert (code, findings) == (1, [("frame-count", "0001.mp4"), ("frame-count", "0002")])


def test_the_missing_frame_is_named(videomatte_jpeg, capsys):
    (videomatte_jpeg / "train/pha/0002/00003.jpg").unlink()
    assert main(["datasets", "check", "--data", str(videomatte_jpeg)]) == 1
    assert "7 frames of colour, but 6 of alpha (00003 has no counterpart)" in capsys.readouterr().out


def test_damaged_clips(videomatte_mp4, videomatte_jpeg, capsys):
    video = videomatte_mp4 / "train/fgr/0000.mp4"
    video.write_bytes(video.read_bytes()[:-300])
    frame = videomatte_jpeg / "train/fgr/0001/00004.jpg"
    frame.write_bytes(frame.read_bytes()[:400])
    assert check(capsys, "--data", videomatte_mp4, videomatte_jpeg) == (
        1, [("unreadable", "0000.mp4"), ("unreadable", "00004.jpg")],
    )  # fmt: skip


def test_frames_of_several_sizes_and_small_pictures(
    videomatte_jpeg, photomatte, write_picture, cutout, capsys
):
    for layer in ("fgr", "pha"):
        picture = cutout(2, 90, 80)
        write_picture(
            videomatte_jpeg / f"train/{layer}/0000/00002.jpg",
            picture[..., :3] if layer == "fgr" else picture[..., 3],
        )
    write_picture(photomatte / "0051115Q_000001_0003.png", cutout(3, 40, 200))
    assert check(capsys, "--data", videomatte_jpeg, photomatte) == (
        1, [("size-mismatch", "0000"), ("too-small", "0051115Q_000001_0003.png")],
    )  # fmt: skip


def test_duplicates_across_the_split_under_any_name(distinctions, capsys):
    shutil.copy(distinctions / "Train/FG/3(3).jpg", distinctions / "Test/FG/again.jpg")
    shutil.copy(distinctions / "Train/GT/3(3).png", distinctions / "Test/GT/again.png")
    assert check(capsys, "--data", distinctions) == (1, [("duplicate", "again.jpg")])
    assert main(["datasets", "check", "--data", str(distinctions)]) == 1
    out = capsys.readouterr().out
    assert "again.jpg is held out" in out
    assert "3(3).jpg" in out


def test_duplicate_clips(videomatte_mp4, capsys):
    for layer in ("fgr", "pha"):
        shutil.copy(videomatte_mp4 / f"train/{layer}/0001.mp4", videomatte_mp4 / f"test/{layer}/0007.mp4")
    assert check(capsys, "--data", videomatte_mp4) == (1, [("duplicate", "0007.mp4")])


def test_a_background_that_is_no_video_is_found(rooms, capsys):
    (rooms / "broken.mp4").write_bytes(b"\0" * 5000)
    assert check(capsys, "--backgrounds", rooms) == (1, [("unreadable", "broken.mp4")])


def test_the_summary_has_counts_sizes_and_memory(videomatte_jpeg, rooms, capsys):
    assert main(["datasets", "check", "--data", str(videomatte_jpeg), "--backgrounds", str(rooms)]) == 0
    said = capsys.readouterr().err
    assert "3 clips, 18 frames, 96x72, 0 MB decoded" in said
    assert "Nothing wrong was found." in said
    main(["datasets", "check", "--data", str(videomatte_jpeg), "--json"])
    (summary,) = json.loads(capsys.readouterr().out)["datasets"]
    assert summary["parts"][0] == {
        "kind": "figures", "split": "train", "stills": 0, "clips": 3, "frames": 18,
        "decoded_bytes": 18 * 72 * 96 * 4, "smallest": [72, 96], "largest": [72, 96],
    }  # fmt: skip


def test_the_held_out_names(photomatte, distinctions, capsys):
    assert main(["datasets", "check", "--data", str(photomatte), "--list-validation"]) == 0
    assert capsys.readouterr().out == "0051115Q_000001_0009.png\n0051115Q_000001_0019.png\n"
    main(["datasets", "check", "--data", str(photomatte), str(distinctions), "--list-validation", "--json"])
    assert json.loads(capsys.readouterr().out)[str(distinctions)] == [
        "Test/FG/test_0.png",
        "Test/FG/test_1.png",
    ]


def test_mistakes_end_with_exit_code_2(tmp_path, capsys):
    assert main(["datasets", "check"]) == 2
    assert main(["datasets", "check", "--data", str(tmp_path / "nowhere")]) == 2
    assert main(["datasets", "check", "--data", "vm=/d"]) == 2
    assert main(["datasets", "check", "--data", str(tmp_path), "--threads", "0"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["FG/0(0).jpg", "GT/0(0).png"]))
def test_damaged_bytes_are_findings(distinctions, seed, name):
    path = distinctions / "Train" / name
    good = path.read_bytes()
    rng = np.random.default_rng(seed)
    data = np.frombuffer(good, np.uint8).copy()
    data[rng.integers(0, len(data), 8)] = rng.integers(0, 256, 8)
    try:
        path.write_bytes(data[: rng.integers(1, len(data) + 1)].tobytes())
        for still in find_dataset(DataSpec(distinctions)).stills[-4:]:
            for finding in inspect(still).findings:
                assert "0(0)" in finding.message
    finally:
        path.write_bytes(good)
