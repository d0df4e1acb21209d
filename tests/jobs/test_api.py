"""The one-line calls, over real files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import cleanplate
from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import choose_layers, choose_shadow
from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer, check_finish
from cleanplate.media import open_source, read_image

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH, FRAMES = 180, 320, 10


@pytest.fixture(scope="module")
def photo():
    return cv2.resize(
        cv2.imread(str(SAMPLES / "photo.jpg"))[..., ::-1], (640, 360), interpolation=cv2.INTER_AREA
    )


@pytest.fixture(scope="module")
def plate():
    return cv2.resize(
        cv2.imread(str(SAMPLES / "plate.jpg"))[..., ::-1], (640, 360), interpolation=cv2.INTER_AREA
    )


@pytest.fixture(scope="module")
def cutout(photo, plate):
    return cleanplate.matte_image(photo, plate)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, photo):
    """Ten frames at uneven times, with a second of sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    small = cv2.resize(photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 600)
        sound = container.add_stream("aac", rate=48000)
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(small, format="rgb24")
            frame.pts, frame.time_base = 24 * number + 5 * (number % 2), Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        noise = np.zeros((2, 24000), np.float32)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
        frame.sample_rate = 48000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def read_video(path, pixel_format):
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format=pixel_format)) for frame in container.decode(video=0)]
        return frames, bool(container.streams.audio)


def read_png(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_photo_in_one_call(cutout, photo):
    assert cutout.alpha.shape == photo.shape[:2]
    assert cutout.alpha.dtype == np.float32
    assert cutout.foreground.shape == photo.shape
    rgba = cutout.rgba()
    assert rgba.shape == (*photo.shape[:2], 4)
    assert np.array_equal(rgba[..., :3], cutout.foreground)
    assert np.abs(rgba[..., 3] / 255 - cutout.alpha).max() <= 0.5 / 255 + 1e-6


def test_a_saved_cutout_is_read_back_exactly(cutout, tmp_path):
    cutout.save(tmp_path / "cut.png")
    assert np.array_equal(read_png(tmp_path / "cut.png"), cutout.rgba())
    cutout.save(str(tmp_path / "alpha.png"), layer="alpha")
    assert np.array_equal(read_png(tmp_path / "alpha.png"), cutout.rgba()[..., 3])
    cutout.save(tmp_path / "over.png", layer="composite", background="#00b140")
    assert np.array_equal(read_png(tmp_path / "over.png"), cutout.composite("#00b140"))
    cutout.save(tmp_path / "fg.png", layer="foreground")
    assert np.array_equal(read_png(tmp_path / "fg.png"), cutout.foreground)


def test_a_premultiplied_cutout_is_dark_at_low_alpha(cutout, tmp_path):
    cutout.save(tmp_path / "cut.tif", alpha="premultiplied")
    with Image.open(tmp_path / "cut.tif") as image:
        assert image.tag_v2[338] == (1,)
    cutout.save(tmp_path / "cut.png", alpha="premultiplied")
    stored = read_png(tmp_path / "cut.png").astype(float)
    assert np.array_equal(stored[..., 3], cutout.rgba()[..., 3])
    expected = cutout.rgba()[..., :3] * (stored[..., 3:] / 255)
    assert np.abs(stored[..., :3] - expected).max() <= 0.5
    cutout.save(tmp_path / "alpha.png", layer="alpha", alpha="premultiplied")
    assert np.array_equal(read_png(tmp_path / "alpha.png"), cutout.rgba()[..., 3])
    with pytest.raises(OptionError, match="'associated'"):
        cutout.save(tmp_path / "x.png", alpha="associated")


def test_formats_without_a_premultiplied_tag_get_a_note(clip, plate, tmp_path):
    told = []
    for name in ("cut.mkv", "cut_%03d.tif"):
        cleanplate.matte_video(
            clip, plate, tmp_path / name, alpha="premultiplied", scale="auto", on_note=told.append
        )
    assert [note.split(",")[0] for note in told if "premultiplied" in note] == ["cut.mkv is premultiplied"]
    rgba = read_video(tmp_path / "cut.mkv", "rgba")[0][4][1]
    assert np.all(rgba[..., :3] <= rgba[..., 3:]), "never brighter than alpha"
    with Image.open(tmp_path / "cut_004.tif") as image:
        assert image.tag_v2[338] == (1,)
    with pytest.raises(OptionError, match="Only a cut-out"):
        cleanplate.matte_video(clip, plate, tmp_path / "a.mkv", save=["alpha"], alpha="premultiplied")


def test_results_are_overwritten_on_request_only(cutout, tmp_path):
    (tmp_path / "cut.png").write_text("precious")
    with pytest.raises(OutputError, match=r"cut\.png"):
        cutout.save(tmp_path / "cut.png")
    assert (tmp_path / "cut.png").read_text() == "precious"
    cutout.save(tmp_path / "cut.png", overwrite=True)
    assert read_png(tmp_path / "cut.png").shape[2] == 4


def test_the_composite_follows_the_over_equation(cutout):
    green = np.array([0, 177, 64], np.float32)
    alpha = cutout.alpha[..., None]
    expected = cutout.foreground * alpha + green * (1 - alpha)
    assert np.abs(cutout.composite("#00b140") - expected).max() <= 0.6


def test_blur_shows_the_plate(cutout, plate):
    blurred = cutout.composite("blur").astype(float)
    background = cutout.alpha < 0.01
    if not background.any():
        pytest.skip("this model sees no background")
    assert abs(blurred[background].mean() - plate[background].mean()) < 12


def test_orientation_and_profile_of_files_are_kept(tmp_path, photo, plate):
    turned = Image.fromarray(np.rot90(photo))
    exif = Image.Exif()
    exif[0x0112] = 6
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned.save(tmp_path / "photo.png", exif=exif, icc_profile=profile)
    Image.fromarray(plate).save(tmp_path / "plate.png")
    cutout = cleanplate.matte_image(tmp_path / "photo.png", plate=str(tmp_path / "plate.png"))
    assert cutout.alpha.shape == photo.shape[:2]
    assert cutout.icc_profile == profile
    cutout.save(tmp_path / "cut.png")
    assert read_image(tmp_path / "cut.png").icc_profile == profile


def test_16_bits_stay_16_bits(photo, plate, tmp_path):
    cutout = cleanplate.matte_image(photo.astype(np.uint16) * 257, plate, refine="off")
    assert cutout.rgba().dtype == np.uint16
    cutout.save(tmp_path / "cut.png")
    assert cv2.imread(str(tmp_path / "cut.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_unknown_layers_and_missing_backgrounds(cutout, tmp_path):
    with pytest.raises(OptionError, match="'mask'"):
        cutout.save(tmp_path / "x.png", layer="mask")
    with pytest.raises(OptionError, match="needs a background"):
        cutout.save(tmp_path / "x.png", layer="composite")
    assert not list(tmp_path.iterdir())


def test_layers():
    assert choose_layers(None, None) == ("cutout",)
    assert choose_layers(None, "white") == ("composite",)
    assert choose_layers(["alpha", "cutout", "alpha"], None) == ("alpha", "cutout")
    assert choose_layers("alpha", None) == ("alpha",)
    assert choose_layers(["composite", "alpha"], "white") == ("composite", "alpha")
    for save, background, message in (
        ([], None, "no layer"),
        (["mask"], None, "'mask'"),
        (["composite"], None, "needs a background"),
        (["alpha"], "white", "not used"),
    ):
        with pytest.raises(OptionError, match=message):
            choose_layers(save, background)


def test_a_clip_in_one_call(clip, plate, tmp_path):
    heard, seen = [], []
    summary = cleanplate.matte_video(
        clip, plate, tmp_path / "cut.mov", on_note=heard.append, on_progress=seen.append
    )
    assert summary.frames == FRAMES
    assert summary.paths == (tmp_path / "cut.mov",)
    frames, has_sound = read_video(tmp_path / "cut.mov", "rgba")
    source, _ = read_video(clip, "rgb24")
    assert [time for time, _ in frames] == pytest.approx([time for time, _ in source], abs=1e-6)
    assert has_sound
    assert frames[0][1].shape == (HEIGHT, WIDTH, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mov"]


def test_several_layers_at_once(clip, plate, tmp_path):
    layers = ("cutout", "alpha", "foreground", "composite")
    summary = cleanplate.matte_video(clip, plate, tmp_path, save=layers, background="#ff0000")
    assert [path.name for path in summary.paths] == [
        "clip.cleanplate.mov",
        "clip.alpha.mov",
        "clip.foreground.mov",
        "clip.composite.mp4",
    ]
    for path in summary.paths:
        assert len(read_video(path, "rgb24")[0]) == FRAMES


def test_a_numbered_sequence_and_back(clip, plate, tmp_path):
    layers = ["cutout", "composite"]
    cleanplate.matte_video(clip, plate, tmp_path / "f_%03d.png", save=layers, background=plate)
    assert len(list(tmp_path.glob("f_*.png"))) == 2 * FRAMES
    picture = cv2.imread(str(tmp_path / "f_004.png"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (HEIGHT, WIDTH, 4)
    again = tmp_path / "f_%03d.composite.png"
    cleanplate.matte_video(again, plate, tmp_path / "again.mkv", save=["alpha"])
    assert len(read_video(tmp_path / "again.mkv", "gray")[0]) == FRAMES


def test_a_clip_equals_its_frames_keyed_alone(clip, plate, tmp_path):
    cleanplate.matte_video(clip, plate, tmp_path / "a.mkv", save=["alpha"])
    alphas, _ = read_video(tmp_path / "a.mkv", "gray")
    keyer = cleanplate.Keyer(plate)
    with open_source(clip) as source:
        for (_, alpha), frame in zip(alphas, source, strict=True):
            assert np.abs(alpha / 255 - keyer(frame).alpha).max() <= 0.51 / 255


def test_a_failing_clip_leaves_nothing(clip, tmp_path):
    wide = np.zeros((100, 400, 3), np.uint8)
    with pytest.raises(cleanplate.PlateError, match="400x100"):
        cleanplate.matte_video(clip, wide, tmp_path / "cut.mov", save=["cutout", "alpha"])
    assert list(tmp_path.iterdir()) == []


def test_one_unusable_output_leaves_no_other_output(clip, plate, tmp_path):
    (tmp_path / "cut.alpha.mov").write_text("precious")
    with pytest.raises(OutputError, match=r"cut\.alpha\.mov"):
        cleanplate.matte_video(clip, plate, tmp_path / "cut.mov", save=["cutout", "alpha"])
    assert [path.name for path in tmp_path.iterdir()] == ["cut.alpha.mov"]


def test_a_missing_clip(plate, tmp_path):
    with pytest.raises(InputError, match=r"gone\.mp4"):
        cleanplate.matte_video(tmp_path / "gone.mp4", plate)


def test_the_shadow_is_a_layer(photo, plate, tmp_path):
    cutout = cleanplate.matte_image(photo, plate, shadow="separate")
    cutout.save(tmp_path / "shadow.png", layer="shadow")
    shadow = read_png(tmp_path / "shadow.png")
    assert shadow.shape == photo.shape[:2]
    assert shadow.max() == 255
    assert shadow[cutout.alpha == 0].min() < 200, "the sample has a shadow"
    white = np.full_like(photo, 255)
    kept = cleanplate.matte_image(photo, plate, shadow="keep")
    assert np.abs(kept.composite(white).astype(int) - cutout.composite(white)).max() <= 1
    removed = cleanplate.matte_image(photo, plate)
    assert removed.composite(white)[removed.alpha == 0].min() == 255
    with pytest.raises(OptionError, match="was not measured"):
        removed.save(tmp_path / "none.png", layer="shadow")


def test_finish_options_apply_to_every_layer(photo, plate, cutout, tmp_path):
    finish = Finish(despill=1, choke_pixels=1.5)
    touched = cleanplate.matte_image(photo, plate, finish=finish)
    assert touched.alpha.sum() < cutout.alpha.sum()
    edge = (cutout.alpha > 0.4) & (cutout.alpha < 0.9)
    assert np.any(touched.foreground[edge] != cutout.foreground[edge])
    touched.save(tmp_path / "alpha.png", layer="alpha")
    assert np.array_equal(read_png(tmp_path / "alpha.png"), touched.rgba()[..., 3])
    white = touched.composite("white")
    assert white[touched.alpha == 0].min() == 255


def test_despill_without_a_plate_is_refused(plate):
    without = object.__new__(RecurrentKeyer)
    check_finish(Finish(choke_pixels=1), without)
    check_finish(Finish(despill=1), cleanplate.Keyer(plate))
    with pytest.raises(OptionError, match="works without a plate"):
        check_finish(Finish(despill=1), without)


def test_regions_of_a_photo(photo, plate, cutout):
    kept = cleanplate.matte_image(photo, plate, keep="rect:0,0,0.1,0.1", ignore="rect:0,0.2,1,0.8")
    assert kept.alpha[:36, :64].min() == 1
    np.testing.assert_array_equal(kept.foreground[:30, :60], photo[:30, :60])
    assert kept.alpha[80:].max() == 0
    assert cutout.alpha[80:].max() == 1


def test_no_plate_is_built_from_a_photo(photo):
    with pytest.raises(OptionError, match="from a clip, not from one photo"):
        cleanplate.matte_image(photo, "auto")


def test_a_clip_with_everything(clip, plate, tmp_path):
    told = []
    summary = cleanplate.matte_video(
        clip,
        plate,
        tmp_path / "out_%05d.png",
        save=["cutout", "shadow"],
        report=tmp_path / "report.json",
        follow=True,
        keep="rect:0,0,0.2,0.2",
        on_note=told.append,
    )
    assert summary.frames == FRAMES
    assert len(list(tmp_path.glob("out_*.png"))) == 2 * FRAMES
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["frames"]) == FRAMES
    assert all(0 <= entry["confidence"] <= 1 for entry in report["frames"])


def test_no_plate_is_built_from_a_clip_in_which_nothing_moves(clip, tmp_path):
    with pytest.raises(cleanplate.PlateError, match=r"Nothing moves in clip\.mp4"):
        cleanplate.matte_video(clip, "auto", tmp_path / "cut.mkv")
    assert not list(tmp_path.iterdir())


def test_an_unwritable_result_is_refused_before_the_plate_is_built(clip, tmp_path, monkeypatch):
    monkeypatch.setattr("cleanplate.jobs.built_plate.build_plate", lambda *_, **__: pytest.fail("built"))
    (tmp_path / "cut.mkv").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        cleanplate.matte_video(clip, "auto", tmp_path / "cut.mkv")
    with pytest.raises(OutputError, match="would overwrite"):
        cleanplate.matte_video(clip, "auto", tmp_path / "new.mkv", report=clip, overwrite=True)


def test_the_shadow_is_kept_in_the_cutout_or_written_as_a_layer():
    assert choose_layers(None, None, "separate") == ("cutout", "shadow")
    assert choose_layers(None, "white", "separate") == ("composite", "shadow")
    assert choose_layers(["shadow"], None, choose_shadow("remove", ["shadow"])) == ("shadow",)
    with pytest.raises(OptionError, match="in alpha and as a layer"):
        choose_shadow("keep", ["shadow"])
