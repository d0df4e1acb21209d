"""Kept and ignored regions: shapes, pictures and videos, and their effect on a matte."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.compositing.over import over
from cleanplate.errors import CleanplateError, InputError, OptionError
from cleanplate.frame import Frame, Matte
from cleanplate.keyer.regions import apply_regions, open_region

FRAME = Frame(np.full((90, 160, 3), 200, np.uint8))


def draw(spec, frame=FRAME):
    region = open_region(spec)
    mask = region(frame)
    region.close()
    return mask


def test_a_rectangle_in_shares_and_in_pixels():
    mask = draw("rect:0.25,0.5,0.5,0.5")
    assert mask.dtype == np.float32
    assert mask.mean() == pytest.approx(0.25)
    assert mask[45:, 40:120].min() == 1
    np.testing.assert_array_equal(mask, draw("rect:40px,45px,80px,45px"))


def test_a_feather_lies_on_both_sides_of_the_edge():
    mask = draw("rect:0,0,0.5,1,16px")
    row = mask[45]
    assert row[79:81].mean() == pytest.approx(0.5, abs=0.02)
    assert np.all(np.diff(row) <= 0)
    assert row[70] == 1
    assert row[89] == 0
    assert mask[:, 0].min() == 1, "the frame's own edge is no edge of the region"


def test_a_polygon():
    mask = draw("polygon:0,0,1,0,0,1")
    assert mask.mean() == pytest.approx(0.5, abs=0.01)
    assert mask[5, 5] == 1
    assert mask[-5, -5] == 0
    assert 0 < draw("polygon:0,0,1,0,0,1,feather=0.1")[45, 80] < 1


@pytest.mark.parametrize(
    "spec", ["rect:1,2,3", "rect:0,0,0,1", "rect:a,b,c,d", "rect:", "polygon:0,0,1,1", "polygon:0,0,1,0,1"]
)
def test_a_wrong_shape_is_refused(spec):
    with pytest.raises(OptionError, match="is not a region") as caught:
        open_region(spec)
    assert "rect:x,y,width,height" in caught.value.hint


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["rect:", "polygon:"]), st.text("0123456789.,-+px=feather ", max_size=40))
def test_any_text_gives_a_mask_or_an_error(kind, text):
    try:
        mask = draw(kind + text)
    except CleanplateError:
        return
    assert mask.shape == (90, 160)
    assert 0 <= mask.min() <= mask.max() <= 1


def test_a_mask_of_another_size_is_scaled(tmp_path):
    path = tmp_path / "left.png"
    picture = np.zeros((45, 80), np.uint8)
    picture[:, :40] = 255
    cv2.imwrite(str(path), picture)
    mask = draw(path)
    assert mask.shape == (90, 160)
    assert mask[:, :78].min() == 1
    assert mask[:, 82:].max() == 0


def test_a_mask_of_another_aspect_is_refused(tmp_path):
    path = tmp_path / "square.png"
    cv2.imwrite(str(path), np.zeros((64, 64), np.uint8))
    with pytest.raises(InputError, match=r"'square.png' is 64x64, the frame 160x90: another aspect ratio"):
        draw(path)


def test_a_text_that_is_no_shape_and_no_file_is_refused(tmp_path):
    with pytest.raises(OptionError, match="neither a shape nor a file"):
        open_region("nosuch.png")
    with pytest.raises(OptionError, match="is a folder"):
        open_region(tmp_path)


def test_a_mask_video_follows_the_frames(tmp_path):
    path = tmp_path / "wipe.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "bgr0"
        for number in range(4):
            picture = np.zeros((90, 160, 3), np.uint8)
            picture[:, : 40 * number] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    region = open_region(path)
    shares = [
        float(region(Frame(FRAME.pixels, pts=number, time_base=Fraction(1, 10))).mean())
        for number in (0, 1, 1, 3)
    ]
    region.close()
    assert shares == pytest.approx([0, 0.25, 0.25, 0.75], abs=0.01)


def test_arrays_and_regions_are_accepted():
    assert draw(np.ones((90, 160), bool)).min() == 1
    assert draw(np.full((90, 160), 65535, np.uint16)).min() == 1
    region = open_region("rect:0,0,1,1")
    assert open_region(region) is region
    with pytest.raises(InputError, match="uint8, uint16 or float"):
        open_region(np.zeros((4, 4), np.int64))


def make_matte():
    alpha = np.zeros((90, 160), np.float32)
    alpha[:, 40:80] = 1
    alpha[:, 80:90] = 0.5
    return Matte(alpha, np.full((90, 160, 3), 50, np.uint8), FRAME)


def test_ignored_is_never_the_subject_and_kept_is_the_source():
    matte = apply_regions(make_matte(), draw("rect:0.8,0,0.2,1"), draw("rect:0,0,0.4,1"))
    assert matte.alpha[:, :64].max() == 0
    assert matte.alpha[:, 128:].min() == 1
    assert np.all(matte.foreground[:, 128:] == 200)
    assert np.all(matte.foreground[:, 70] == 50)


def test_keep_takes_precedence_over_ignore():
    whole = draw("rect:0,0,1,1")
    assert apply_regions(make_matte(), whole, whole).alpha.min() == 1


def test_the_soft_edge_of_keep_mixes_the_finished_pictures():
    matte, keep = make_matte(), draw("rect:0.3,0,0.4,1,0.2")
    black = np.zeros_like(FRAME.pixels)
    mixed = apply_regions(matte, keep, None)
    plain = over(matte.foreground, matte.alpha, black).astype(float)
    wanted = plain * (1 - keep[..., None]) + FRAME.pixels * keep[..., None]
    got = over(mixed.foreground, mixed.alpha, black)
    assert np.abs(got - wanted).max() <= 1.5
