"""Fallback without a graphics unit; with one, equal pixels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from cleanplate.errors import InputError, OptionError, UnavailableError
from cleanplate.frame import Frame
from cleanplate.media import Colour, Encoding, Reading, SourceInfo, open_sink, open_source
from cleanplate.media.containers.encoders import H264
from cleanplate.media.containers.formats import CONTAINERS
from cleanplate.media.containers.hardware import (
    DEVICES,
    device_problem,
    encoding_problem,
    find_encoder,
    list_hardware,
)
from cleanplate.media.video.packing import Packer
from cleanplate.media.video.unpacking import Unpacker, planes
from cleanplate.vocabulary import HARDWARE

CLIP = Path(__file__).parents[2] / "samples" / "clip.mp4"
LIKE = SourceInfo(Path("none"), 256, 256, 8, Fraction(25), Fraction(1, 25), colour=Colour("limited"))


def is_absent(kind: str) -> bool:
    return device_problem(kind) is not None and all(
        encoding_problem(encoder, "yuv420p") for encoder in DEVICES[kind].encoders
    )


def write(path: Path, picture: Any, encoding: Encoding, like: SourceInfo = LIKE) -> list[str]:
    pixels = picture(like.height, like.width, 0.0, np.uint16 if like.bit_depth > 8 else np.uint8)
    with open_sink(path, like, layer="composite", encoding=encoding) as sink:
        for i in range(3):
            sink.write(pixels, Frame(pixels, i, like.time_base, 1, i))
    return sink.notes


def test_every_kind_is_reported_with_its_missing_parts() -> None:
    rows = list_hardware()
    assert {row.kind for row in rows} == set(HARDWARE) - {"off", "auto"}
    assert [row.kind for row in rows if row.name == "decode"] == list(DEVICES)
    for row in rows:
        assert row.available != bool(row.why)
        assert "\n" not in row.why


@pytest.mark.parametrize("kind", list(DEVICES))
def test_a_missing_named_device_is_refused(kind: str, tmp_path: Path) -> None:
    if not is_absent(kind):
        pytest.skip(f"this machine has {kind}")
    with pytest.raises(UnavailableError, match=f"hardware '{kind}' cannot be used here: .+") as caught:
        open_source(CLIP, Reading(hardware=kind))
    assert caught.value.hint == DEVICES[kind].hint
    for name in ("a.mp4", "a.mov"):
        with pytest.raises(UnavailableError, match=f"hardware '{kind}'"):
            open_sink(tmp_path / name, LIKE, layer="composite", encoding=Encoding(hardware=kind))
    assert list(tmp_path.iterdir()) == []


def test_auto_decodes_the_same_pixels_without_hardware() -> None:
    with open_source(CLIP) as plain, open_source(CLIP, Reading(hardware="auto")) as automatic:
        for (one, other), _ in zip(zip(plain, automatic, strict=True), range(5), strict=False):
            assert np.array_equal(one.pixels, other.pixels)
            assert one.pts == other.pts
        if all(device_problem(kind) for kind in DEVICES):
            (note,) = automatic.notes
            assert note.startswith("clip.mp4 is decoded by the processor, not by hardware (")
    assert plain.notes == []


def test_errors_of_a_damaged_file_are_those_of_software(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    with pytest.raises(InputError, match="is not a video"):
        open_source(tmp_path / "noise.mp4", Reading(hardware="auto"))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_auto_encodes_without_hardware_and_notes_the_encoder(
    tmp_path: Path, picture: Any, codec: str
) -> None:
    path = tmp_path / "a.mp4"
    notes = write(path, picture, Encoding(codec=codec, hardware="auto"))
    with open_source(path) as source:
        shown = [frame.pixels for frame in source]
    assert len(shown) == 3
    assert np.abs(shown[0].astype(int) - picture(256, 256)).mean() < 4
    if find_encoder(codec, "auto", "composite", False, "", []) is None:
        (note,) = notes
        assert note.startswith("a.mp4 is encoded by the processor, not by hardware (")
        assert f"{codec}_" in note


def test_auto_has_no_note_for_formats_without_hardware(tmp_path: Path, picture: Any) -> None:
    assert write(tmp_path / "a.mov", picture, Encoding(hardware="auto")) == []
    assert write(tmp_path / "a.mkv", picture, Encoding(hardware="auto")) == []


def test_a_device_falls_back_for_unsupported_formats(tmp_path: Path, picture: Any) -> None:
    there = [kind for kind in DEVICES if not is_absent(kind)]
    if not there:
        pytest.skip("this machine has no hardware for video")
    (note,) = write(tmp_path / "a.mov", picture, Encoding(hardware=there[0]))
    assert "has no prores" in note


@pytest.mark.parametrize(
    ("pixel_format", "bits", "handed_in"), [("yuv420p", 8, "nv12"), ("yuv420p10le", 10, "p010le")]
)
def test_hardware_layouts_have_the_same_pixels(
    picture: Any, pixel_format: str, bits: int, handed_in: str
) -> None:
    """NV12 and P010, to an encoder or from a decoder, hold the same picture."""
    pixels = picture(64, 96, 0.0, np.uint8 if bits == 8 else np.uint16)
    colour = Colour("limited", "bt709", "bt709", "bt709")
    planar = Packer(pixel_format, 64, 96, colour).pack(pixels)
    laid_out = VideoReformatter().reformat(planar, format=handed_in)
    back = VideoReformatter().reformat(laid_out, format=pixel_format)
    dtype = np.uint8 if bits == 8 else np.uint16
    for one, other in zip(planes(planar, dtype), planes(back, dtype), strict=True):
        assert np.array_equal(one, other)
    for frame in (planar, laid_out):
        frame.color_range = 1
    unpack = Unpacker(64, 96, bits, colour, 1).unpack
    assert np.array_equal(unpack(laid_out), unpack(planar))


def test_a_sink_converts_frames_to_hardware_layouts(
    tmp_path: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tested with libx264, which takes NV12 like hardware."""
    write(tmp_path / "planar.mp4", picture, Encoding(crf=10))
    other = replace(CONTAINERS[".mp4"], encoders=(replace(H264, handed_in={"yuv420p": "nv12"}),))
    monkeypatch.setattr("cleanplate.media.containers.formats.CONTAINERS", {".mp4": other})
    write(tmp_path / "nv12.mp4", picture, Encoding(crf=10))
    shown = []
    for name in ("planar.mp4", "nv12.mp4"):
        with av.open(str(tmp_path / name)) as container:
            shown.append([frame.to_ndarray() for frame in container.decode(video=0)])
    assert np.array_equal(*shown)


def test_unknown_hardware_is_refused() -> None:
    with pytest.raises(OptionError, match=r"hardware as one of off, auto, cuda, .*, got 'gpu'"):
        Reading(hardware="gpu")
