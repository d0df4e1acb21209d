"""Cases of the papers' protocols: their numbers, reproducible by seed, and errors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError
from cleanplate.evaluation import protocols
from cleanplate.evaluation.cutout_samples import find_samples
from cleanplate.evaluation.protocols import make_cases


def read_all(cases):
    return [(plate, [frame.source for frame in frames]) for plate, frames in (case.read() for case in cases)]


def same(first, second):
    return all(
        np.array_equal(a, b) and len(x) == len(y) and all(map(np.array_equal, x, y))
        for (a, x), (b, y) in zip(first, second, strict=True)
    )


@pytest.mark.parametrize(("protocol", "samples"), [("bgmv2", "stills"), ("rvm", "clips")])
def test_a_seed_gives_the_same_cases(cut_outs, protocol, samples):
    first, again, other = (
        make_cases(
            protocol, find_samples(cut_outs / samples), cut_outs / "backgrounds", seed=seed, size=(72, 128)
        )
        for seed in (3, 3, 4)
    )
    assert [case.name for case in first] == [case.name for case in again]
    assert len({case.name for case in first}) == len(first)
    assert same(read_all(first[:6]), read_all(again[:6]))
    assert same(read_all(first[:6]), read_all(first[:6])), "reading twice gives the same"
    assert not same(read_all(first[:6]), read_all(other[:6]))


def test_cases_of_bgmv2(cut_outs):
    cases = make_cases("bgmv2", find_samples(cut_outs / "stills"), cut_outs / "backgrounds")
    assert len(cases) == 2 * 5
    assert not any(case.is_clip for case in cases)
    for case in cases:
        plate, (frame,) = case.read()
        assert frame.source.shape == plate.shape == (64, 96, 3)
        behind = frame.alpha == 0
        inside = frame.alpha == 1
        assert np.array_equal(frame.source[inside], frame.foreground[inside])
        # The plate is another picture of the background: similar, but not equal.
        made, shot = frame.source[behind] / 255, plate[behind] / 255
        assert not np.array_equal(made, shot)
        gamma = np.median(np.log(np.clip(shot, 0.05, 0.95)) / np.log(np.clip(made, 0.05, 0.95)))
        assert 0.8 < gamma < 1.2
        assert np.abs(shot - made**gamma).mean() < 0.06


def test_the_plate_of_bgmv2_is_moved_by_a_fraction_of_a_pixel():
    y, x = np.mgrid[:200, :200].astype(np.float32)
    picture = (127 + 90 * np.sin(x / 9) * np.cos(y / 11))[..., None].repeat(3, axis=2).astype(np.uint8)
    for seed in range(6):
        plate = protocols._shoot_again(picture, np.random.default_rng(seed))
        window = cv2.createHanningWindow((200, 200), cv2.CV_32F)
        moved, _ = cv2.phaseCorrelate(
            picture[..., 0].astype(np.float32), plate[..., 0].astype(np.float32), window
        )
        assert max(map(abs, moved)) < 0.4


def test_cases_of_rvm(cut_outs):
    cases = make_cases("rvm", find_samples(cut_outs / "clips"), cut_outs / "backgrounds")
    assert [case.kind for case in cases] == ["static"] * 25 + ["moving"] * 25
    assert all(case.is_clip for case in cases)
    plate, frames = cases[0].read()
    frames = list(frames)
    assert len(frames) == 6  # shorter than 100: all there is
    assert frames[0].source.shape == plate.shape == (288, 512, 3)
    behind = frames[0].alpha == 0
    assert np.array_equal(frames[0].source[behind], plate[behind]), "the plate is perfect"
    mirrored = next(cases[2].read()[1])
    assert np.allclose(mirrored.alpha[:, ::-1], frames[0].alpha)


def test_rvm_moves_the_camera(cut_outs):
    case = make_cases("rvm", find_samples(cut_outs / "clips"), cut_outs / "backgrounds", size=(72, 128))[25]
    plate, frames = case.read()
    frames = list(frames)
    behind = [np.abs(frame.source.astype(int) - plate)[frame.alpha == 0].mean() for frame in frames]
    assert behind[0] < 0.6, "the plate is the first frame's"
    assert behind[1] > 0
    assert behind[5] > 1.5 * behind[1], "and then the camera goes away"


def test_rvm_takes_videos_and_stills(cut_outs, video_cut_outs, monkeypatch):
    monkeypatch.setattr(protocols, "CLIP_FRAMES", 5)
    cases = make_cases("rvm", find_samples(video_cut_outs), video_cut_outs / "backgrounds", size=(36, 64))
    assert {case.name.split("-")[-1] for case in cases if case.kind == "moving"} == {"street"}
    assert {case.name.split("-")[-1] for case in cases if case.kind == "static"} == {"room0"}
    plate, frames = cases[25].read()
    sources = [frame.source for frame in frames]
    assert len(sources) == 5
    assert np.abs(sources[0][0].astype(int) - plate[0]).max() <= 1
    assert np.abs(sources[4][0].astype(int) - plate[0]).mean() > 5, "the street moves"

    stills = make_cases("rvm", find_samples(cut_outs / "stills"), cut_outs / "backgrounds", size=(36, 64))
    alphas = [frame.alpha for frame in stills[0].read()[1]]
    assert len(alphas) == 5
    near, far = (np.abs(alphas[other] - alphas[0]).mean() for other in (1, 4))
    assert 0 < near < far


def test_rvm_takes_a_hundred_frames(cut_outs, monkeypatch):
    monkeypatch.setattr(protocols, "CLIP_FRAMES", 4)
    cases = make_cases("rvm", find_samples(cut_outs / "clips"), cut_outs / "backgrounds", size=(36, 64))
    assert {len(list(case.read()[1])) for case in cases} == {4}
    firsts = {float(next(case.read()[1]).alpha[:, ::-1].argmax()) for case in cases}
    assert len(firsts) > 1, "from a random frame on"


def test_stills_and_clips_are_told_apart(cut_outs):
    with pytest.raises(InputError, match="clip0 is a clip"):
        make_cases("bgmv2", find_samples(cut_outs / "clips"), cut_outs / "backgrounds")
    with pytest.raises(OptionError, match="nosuch"):
        make_cases("nosuch", find_samples(cut_outs / "stills"), cut_outs / "backgrounds")
    with pytest.raises(InputError, match="gone"):
        make_cases("bgmv2", find_samples(cut_outs / "stills"), cut_outs / "gone")


def test_folders_of_a_protocol_are_recognised(cut_outs):
    apart, inside = find_samples(cut_outs / "stills"), find_samples(cut_outs / "rgba")
    assert [sample.name for sample in apart] == [sample.name for sample in inside] == ["still0", "still1"]
    for one, other in zip(apart, inside, strict=True):
        (colour, alpha), (same_colour, same_alpha) = (next(sample.read(0, 1)) for sample in (one, other))
        assert np.array_equal(colour, same_colour)
        assert np.abs(alpha - same_alpha).mean() < 0.02  # JPEG
    clips = find_samples(cut_outs / "clips")
    assert [(len(clip), clip.is_clip) for clip in clips] == [(6, True)] * 2


def test_clips_are_read_from_videos(cut_outs, video_cut_outs):
    (sample,) = find_samples(video_cut_outs)
    assert (sample.name, len(sample), sample.is_clip) == ("clip0", 6, True)
    as_frames = find_samples(cut_outs / "clips")[0]
    for (colour, alpha), (other, truth) in zip(sample.read(2, 3), as_frames.read(2, 3), strict=True):
        assert np.abs(colour.astype(int) - other).mean() < 4
        assert np.abs(alpha - truth).mean() < 0.02
    (video_cut_outs / "pha" / "clip0.mp4").rename(video_cut_outs / "pha" / "other.mp4")
    with pytest.raises(InputError, match=r"clip0\.mp4 has no alpha"):
        find_samples(video_cut_outs)


def test_an_error_names_the_broken_layout(cut_outs, tmp_path):
    with pytest.raises(InputError, match="gone"):
        find_samples(tmp_path / "gone")
    (tmp_path / "fgr").mkdir()
    with pytest.raises(InputError, match="neither pha/ nor alpha/"):
        find_samples(tmp_path)
    (tmp_path / "pha").mkdir()
    cv2.imwrite(str(tmp_path / "fgr" / "a.png"), np.zeros((40, 40, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "pha" / "b.png"), np.zeros((40, 40), np.uint8))
    with pytest.raises(InputError, match=r"fgr.a\.png has no alpha"):
        find_samples(tmp_path)
    cv2.imwrite(str(tmp_path / "pha" / "a.png"), np.zeros((41, 40), np.uint8))
    with pytest.raises(InputError, match="40x41"):
        next(find_samples(tmp_path)[0].read(0, 1))
    cv2.imwrite(str(tmp_path / "pha" / "a.png"), np.full((40, 40, 3), (0, 0, 200), np.uint8))
    with pytest.raises(InputError, match=r"pha.a\.png is a picture in colour"):
        next(find_samples(tmp_path)[0].read(0, 1))
    with pytest.raises(InputError, match="no alpha"):
        next(find_samples(cut_outs / "backgrounds")[0].read(0, 1))
