"""Colour spaces of cameras and of ACES: reference values, round trips, names, metadata, the missing extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError
from cleanplate.media import open_source
from cleanplate.media.colour.camera_spaces import find_space, space_of_file, space_of_primaries
from cleanplate.media.colour.display_view import open_view
from cleanplate.media.colour.transfer import curve_of, decode, encode
from cleanplate.vocabulary.words import INPUT_COLOURS

ocio: Any = pytest.importorskip("PyOpenColorIO", reason="needs the extra vfx")

SPACES = INPUT_COLOURS[2:]

MID_GREY = {
    # Code value of 18 % grey, from the makers' papers: Sony (Technical Summary for S-Gamut3.Cine/S-Log3),
    # ARRI (ALEXA Log C Curve; LogC4 Specification), Panasonic (V-Log/V-Gamut), Canon (Canon Log 2 and 3), RED
    # (REDWideGamutRGB and Log3G10), Academy (S-2016-001).
    "slog3": 420 / 1023,
    "logc3": 0.391007,
    "logc4": 0.278396,
    "vlog": 0.423311,
    "canonlog2": 0.398254,
    "canonlog3": 0.343390,
    "log3g10": 0.333333,
    "acescct": 0.413588,
    "acescg": 0.18,
}

CHART = np.array(
    # sRGB of the 24 patches of a ColorChecker (BabelColor's averages).
    (
        *[(115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)],
        *[(214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)],
        *[(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)],
        *[(243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)],
    ),
    np.uint16,
)
RAMP = np.repeat(np.arange(20, 236, dtype=np.uint16)[:, None], 3, axis=1)
SHOWN = np.concatenate([CHART, RAMP]) * np.uint16(257)
TEN_BITS = 1023.0


@pytest.mark.parametrize("word", SPACES)
def test_mid_grey_has_the_makers_code_value(word: str) -> None:
    transfer = open_view(word).transfer
    assert transfer is not None
    code = float(curve_of(transfer).encode(np.array([0.18]))[0])
    assert code == pytest.approx(MID_GREY[word], abs=2e-5)


@pytest.mark.parametrize("word", SPACES)
def test_a_ramp_and_a_chart_come_back_from_light_and_from_the_rendering(word: str) -> None:
    view = open_view(word)
    assert view.transfer is not None
    codes = np.arange(0, 65536, 64, dtype=np.uint16)
    back = encode(decode(codes, view.transfer), view.transfer, np.uint16)
    assert np.abs(back.astype(int) - codes).max() <= 1
    own = view.recover(SHOWN)
    # The lattice costs a fraction of a step, in a few saturated colours more.
    error = np.abs(view.render(own) / 257 - SHOWN / 257)
    assert error.mean() < 0.2
    assert np.quantile(error, 0.99) < 1
    if not view.is_linear:
        codes = np.rint(own * 65535).astype(np.uint16)
        again = view.recover(view.render(codes))
        assert np.abs(again - own).mean() * TEN_BITS < 0.25
        assert np.abs(again - own).max() * TEN_BITS < 3


@pytest.mark.parametrize("word", ["slog3", "acescg"])
def test_the_rendering_is_that_of_the_configuration(word: str) -> None:
    view = open_view(word)
    config = ocio.Config.CreateFromBuiltinConfig("ocio://studio-config-latest")
    display = "sRGB - Display"
    look = config.getDefaultView(display)
    exact = config.getProcessor(view.name, display, look, ocio.TRANSFORM_DIR_FORWARD).getDefaultCPUProcessor()
    own = view.recover(SHOWN)
    expected = own.copy()
    exact.applyRGB(expected)
    assert np.abs(view.render(own) / 65535 - expected).max() * 255 < 0.7


def test_floats_above_white_and_single_bytes_are_rendered() -> None:
    bright = open_view("acescg").render(np.array([[0.18] * 3, [1.0] * 3, [8.0] * 3], np.float32))[:, 1]
    assert 80 * 257 < bright[0] < bright[1] < bright[2]
    view = open_view("slog3")
    assert np.array_equal(
        view.render(np.full((1, 3), 107, np.uint8)), view.render(np.full((1, 3), 107 * 257, np.uint16))
    )


def test_primaries_are_the_makers() -> None:
    found = open_view("slog3").chromaticities
    assert found == (0.766, 0.275, 0.225, 0.8, 0.089, -0.087, 0.3127, 0.329)
    assert open_view("vlog").chromaticities == (0.73, 0.28, 0.165, 0.84, 0.1, -0.03, 0.3127, 0.329)
    aces = open_view("acescg").chromaticities
    assert aces == (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
    assert space_of_primaries(aces) == "lin_ap1"


def test_a_space_without_a_curve_per_channel_has_no_light() -> None:
    view = open_view("ADX10")
    assert view.transfer is None
    assert view.chromaticities is None


def test_names_and_aliases_are_found_and_similar_ones_suggested() -> None:
    assert find_space("S-Log3 S-Gamut3") == find_space("slog3_sgamut3") == "S-Log3 S-Gamut3"
    with pytest.raises(OptionError, match=r"no colour space 'slog'.*similar: slog3"):
        find_space("slog")
    with pytest.raises(OptionError, match="Canon"):
        find_space("canon")
    with pytest.raises(OptionError, match="holds data"):
        find_space("raw")


def test_the_configuration_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "config.ocio"
    text = ocio.Config.CreateFromBuiltinConfig("ocio://cg-config-latest").serialize()
    own.write_text(text.replace("name: ACEScct", "name: House log"))
    monkeypatch.setenv("OCIO", str(own))
    assert find_space("House log") == "House log"
    with pytest.raises(OptionError, match="slog3"):
        find_space("slog3")
    own.write_text("no configuration")
    monkeypatch.setenv("OCIO", str(tmp_path / "gone.ocio"))
    with pytest.raises(InputError, match=r"gone\.ocio"):
        find_space("acescg")


def write_clip(path: Path, **tags: str) -> Path:
    """Write a short clip by FFmpeg, with tags as QuickTime's own."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as file:
        file.metadata.update(tags)
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for packet in stream.encode(av.VideoFrame(64, 48, "yuv420p")):
            file.mux(packet)
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("tag", "value", "space"),
    [
        ("com.arri.camera.ColorGammaSxS", "LOG-C", "logc3"),
        ("com.arri.camera.ColorGammaSxS", "REC-709", None),
        ("com.atomos.hdr.gamma", "V-Log", "vlog"),
        ("com.apple.proapps.customgamma", "com.sony.s-log3", "slog3"),
        ("comment", "S-Log3", None),
    ],
)
def test_tags_of_a_clip_name_its_space(tmp_path: Path, tag: str, value: str, space: str | None) -> None:
    with open_source(write_clip(tmp_path / "a.mov", **{tag: value})) as source:
        assert source.info.space == space
        assert next(iter(source)).space == space


SONY = (
    b'<AcquisitionRecord><Group name="CameraUnitMetadataSet">'
    b'<Item name="CaptureGammaEquation" value="s-log3-cine"/>'
    b'<Item name="CaptureColorPrimaries" value="s-gamut3-cine"/>'
    b"</Group></AcquisitionRecord>"
)


def test_the_xml_of_a_sony_camera_names_the_space(tmp_path: Path) -> None:
    beside = write_clip(tmp_path / "C0001.mov")
    assert space_of_file(beside) is None
    (tmp_path / "C0001M01.XML").write_bytes(SONY.replace(b"-cine", b""))
    assert space_of_file(beside) == "slog3_sgamut3"
    inside = write_clip(tmp_path / "C0002.mp4")
    content = b"\0\0\0\0" + SONY
    with inside.open("ab") as file:
        file.write((len(content) + 8).to_bytes(4, "big") + b"meta" + content)
    with open_source(inside) as source:
        assert source.info.space == "slog3_sgamut3cine"


def test_the_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['PyOpenColorIO'] = None\n"
        "from cleanplate.media.colour.camera_spaces import find_space\n"
        "try: find_space('slog3')\n"
        "except Exception as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "The colour space 'slog3' needs the extra 'vfx'. (pip install 'cleanplate[vfx]')\n"
