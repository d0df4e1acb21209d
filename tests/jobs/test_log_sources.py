"""Log and ACES sources: keyed as their display twins, written in their own values."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.errors import OptionError
from cleanplate.frame import Pixels
from cleanplate.jobs.checkpoint.fingerprint import Fingerprint, find_differences
from cleanplate.jobs.job import Job
from cleanplate.jobs.plan import describe_job, plan_job
from cleanplate.live.session_setup import LiveOptions, open_live
from cleanplate.media import open_source, read_image, write_image
from cleanplate.media.colour import display_view
from cleanplate.media.colour.display_view import open_view
from cleanplate.media.colour.transfer import decode
from cleanplate.vocabulary import KeyerOptions

pytest.importorskip("PyOpenColorIO", reason="needs the extra vfx")

SAMPLES = Path(__file__).parents[2] / "samples"
SIZE = (192, 320)
OPAQUE = 65535


class Scene(NamedTuple):
    folder: Path
    clip: Path
    plate: Path


def log_codes(name: str) -> Pixels:
    """A sample picture in S-Log3, as a camera with this display rendering would have recorded it."""
    picture = cv2.resize(read_image(SAMPLES / name).pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.rint(np.clip(open_view("slog3").recover(picture), 0, 1) * 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A clip of three frames in ProRes with 12 bits, the subject moving, and its plate."""
    folder = tmp_path_factory.mktemp("log")
    photo, plate = log_codes("photo.jpg"), log_codes("plate.jpg")
    with av.open(str(folder / "shot.mov"), "w") as file:
        stream = file.add_stream("prores_ks", rate=25, options={"profile": "4444"})
        stream.width, stream.height, stream.pix_fmt = *SIZE[::-1], "yuv444p10le"
        for number in range(3):
            moved = np.roll(photo, 2 * number, axis=1)
            moved[:, :120] = plate[:, :120]
            frame = av.VideoFrame.from_ndarray(moved, format="rgb48le")
            frame = frame.reformat(format="yuv444p10le", dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.colorspace, frame.color_range = 1, 1
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    write_image(folder / "plate.png", plate)
    return Scene(folder, folder / "shot.mov", folder / "plate.png")


def frames_of(path: Path) -> list[Any]:
    with open_source(path) as source:
        return list(source)


def test_alpha_is_that_of_the_display_twin_and_code_values_are_the_sources(scene: Scene) -> None:
    view, folder = open_view("slog3"), scene.folder
    own = frames_of(scene.clip)
    for frame in own:
        write_image(folder / f"twin_{frame.index}.png", view.render(frame.pixels))
    write_image(folder / "twin.png", view.render(read_image(scene.plate).pixels))
    cleanplate.matte_video(folder / "twin_%d.png", folder / "twin.png", folder / "twin_cut_%d.png")
    cleanplate.matte_video(
        scene.clip, scene.plate, folder / "cut.mkv", input_colour="slog3", save=["cutout", "composite"],
        background="#00b140",
    )  # fmt: skip
    composite = frames_of(folder / "cut.composite.mkv")
    for frame, cut, mixed in zip(own, frames_of(folder / "cut.mkv"), composite, strict=True):
        twin = read_image(folder / f"twin_cut_{frame.index}.png")
        # The same pixels are keyed; the file has 12 bits of alpha, the twin 16.
        assert np.abs(cut.alpha.astype(int) - twin.alpha).max() <= 65535 / 4095
        solid = cut.alpha == OPAQUE
        assert 0.05 < solid.mean() < 0.5
        assert np.abs(cut.pixels[solid].astype(int) - frame.pixels[solid]).max() <= 65535 / 4095
        soft = (cut.alpha > 0.2 * OPAQUE) & (cut.alpha < 0.9 * OPAQUE)
        difference = view.render(cut.pixels)[soft].astype(int) - twin.pixels[soft]
        assert np.abs(difference).mean() < 257  # one step of 8 bits
        assert np.abs(view.render(mixed.pixels)[:, 0].mean(axis=0) / 257 - (0, 177, 64)).max() < 1.5


def test_a_log_job_is_another_one_with_another_configuration(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(colour: str) -> Fingerprint:
        job = Job(scene.clip, scene.plate, tmp_path / "cut.mov", keyer=KeyerOptions(input_colour=colour))
        with open_source(scene.clip) as source:
            return describe_job(job, plan_job(job), source.info)

    monkeypatch.delenv("OCIO", raising=False)
    log, shown = describe("slog3"), describe("auto")
    own = tmp_path / "show.ocio"
    own.write_text("ocio_profile_version: 2")
    monkeypatch.setenv("OCIO", str(own))
    assert find_differences(log, describe("slog3")) == ["OCIO configuration"]
    assert find_differences(shown, describe("auto")) == []  # a clip without a space needs none


def test_exr_has_the_curves_light_and_the_cameras_primaries(scene: Scene) -> None:
    pytest.importorskip("OpenEXR", reason="needs the extra exr")
    view = open_view("slog3")
    cleanplate.matte_video(
        scene.clip, scene.plate, scene.folder / "cut_%d.exr", input_colour="slog3", background="blur",
        save=["cutout", "composite"],
    )  # fmt: skip
    cut = read_image(scene.folder / "cut_1.exr")
    light = decode(frames_of(scene.clip)[1].pixels, str(view.transfer))
    solid = cut.alpha == OPAQUE
    assert cut.light is not None
    # Half floats have 11 bits, and alpha of 0.9998 is 1 in them.
    assert np.allclose(cut.light[solid], light[solid], rtol=2**-9, atol=1e-4)
    assert cut.tags.chromaticities == pytest.approx(view.chromaticities, abs=1e-6)
    mixed = read_image(scene.folder / "cut_1.composite.exr").light
    assert mixed is not None
    assert np.allclose(mixed[solid], light[solid], rtol=2**-9, atol=1e-3)


def test_aces_light_is_found_by_its_primaries_and_written_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("OpenEXR", reason="needs the extra exr")
    from cleanplate.media.stills.exr import write_exr
    from cleanplate.media.stills.picture_tags import PictureTags

    view = open_view("acescg")
    for name in ("photo", "plate"):
        light = view.convert_from(log_codes(f"{name}.jpg"), open_view("slog3").name)
        write_exr(tmp_path / f"{name}.exr", light, tags=PictureTags(chromaticities=view.chromaticities))
    notes: list[str] = []
    cutout = cleanplate.matte_image(tmp_path / "photo.exr", tmp_path / "plate.exr", on_note=notes.append)
    assert any("ACEScg" in note for note in notes)
    source = read_image(tmp_path / "photo.exr").light
    cutout.save(tmp_path / "cut.exr")
    cut = read_image(tmp_path / "cut.exr")
    solid = cutout.alpha == 1
    assert 0.05 < solid.mean() < 0.5
    assert np.array_equal(cut.light[solid], source[solid])
    assert cut.tags.space == "lin_ap1"
    # Code values, as of PNG, are those of the rendering.
    assert np.abs(cutout.foreground[solid] / 257 - view.render(source)[solid] / 257).mean() < 1
    unseen = cleanplate.matte_image(tmp_path / "photo.exr", tmp_path / "plate.exr", input_colour="srgb")
    assert not np.array_equal(unseen.foreground[solid], cutout.foreground[solid])
    assert unseen.matte.frame.space is None
    monkeypatch.setitem(sys.modules, "PyOpenColorIO", None)
    display_view._make_view.cache_clear()
    without = cleanplate.matte_image(tmp_path / "photo.exr", tmp_path / "plate.exr")
    without.save(tmp_path / "without.exr")
    assert np.array_equal(without.foreground, unseen.foreground)


def test_a_plate_and_a_backdrop_may_have_other_spaces(scene: Scene) -> None:
    view = open_view("slog3")
    shown = view.render(read_image(scene.plate).pixels)
    photo = frames_of(scene.clip)[0].pixels
    options: dict[str, Any] = {"input_colour": "slog3"}
    same = cleanplate.matte_image(photo, read_image(scene.plate).pixels, **options)
    other = cleanplate.matte_image(photo, shown, plate_colour="srgb", **options)
    assert np.array_equal(same.alpha, other.alpha)
    empty = same.alpha == 0
    as_log = same.composite(read_image(scene.plate).pixels, background_colour="slog3")
    assert np.array_equal(as_log[empty], read_image(scene.plate).pixels[empty])
    assert np.array_equal(other.composite("blur"), same.composite("blur")) or (
        np.abs(other.composite("blur").astype(int) - same.composite("blur")).mean() < 65535 / 1023
    )


def test_a_live_session_and_a_film_density_in_exr_are_refused(scene: Scene) -> None:
    with (
        pytest.raises(OptionError, match="input_colour is 'slog3'"),
        open_live(
            LiveOptions(keyer={"input_colour": "slog3"}),
            board=None,  # type: ignore[arg-type]
        ),
    ):
        pass
    with pytest.raises(OptionError, match="'ADX10' has no curve"):
        cleanplate.matte_video(scene.clip, scene.plate, scene.folder / "adx_%d.exr", input_colour="ADX10")
