"""Whole runs with light: EXR in and out, linear composites, layers of error and refinement."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.compositing.finish import Finish
from cleanplate.compositing.linear_layers import render_light
from cleanplate.compositing.over import over
from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Matte
from cleanplate.jobs.api import matte_image, matte_video
from cleanplate.media import Encoding, open_source, read_image, write_image
from cleanplate.media.colour.transfer import SRGB, decode, shadow_of_light
from cleanplate.media.stills.exr import write_exr
from cleanplate.media.stills.picture_tags import PictureTags
from cleanplate.models.registry import Model
from cleanplate.plate import load_plate

OpenEXR = pytest.importorskip("OpenEXR")

HEIGHT, WIDTH, FIRST, COUNT = 96, 160, 1001, 3
SUBJECT = (slice(24, 72), slice(50, 110))


def read(path: Path) -> dict[str, npt.NDArray[np.float16]]:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(values.astype(np.float16)).view(np.uint16)


def make_plate() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 0.15, (HEIGHT, WIDTH, 3)).astype(np.float32)


def make_shot() -> npt.NDArray[np.float32]:
    """Make a bright subject with highlights above white and values below black; a faint one below it."""
    light = make_plate()
    light[72:80, 50:110] += 0.02
    light[SUBJECT] = np.random.default_rng(1).uniform(-0.1, 9, (48, 60, 3))
    light[SUBJECT][..., 0] += 1
    return light


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Write a sequence of floats and its plate; returns the pattern."""
    write_exr(tmp_path / "plate.exr", make_plate(), tags=PictureTags())
    for i in range(COUNT):
        tags = PictureTags(frame_rate=Fraction(24), timecode=f"10:00:00:{i:02}")
        write_exr(tmp_path / f"shot_{FIRST + i}.exr", make_shot() * (1 + i / 8), tags=tags)
    return tmp_path / "shot_%04d.exr"


@pytest.fixture
def keyed(tiny_model: Model) -> dict[str, Any]:
    return {"model": tiny_model, "runtime": "onnx", "align": False}


def test_opaque_pixels_keep_their_light_exactly(shots: Path, tmp_path: Path, keyed: dict[str, Any]) -> None:
    matte_video(shots, tmp_path / "plate.exr", tmp_path / "cut_%04d.exr", **keyed)
    for i in range(COUNT):
        source = read(tmp_path / f"shot_{FIRST + i}.exr")
        cut = read(tmp_path / f"cut_{FIRST + i}.exr")
        opaque = cut["A"] == 1
        assert 0.1 < opaque.mean() < 0.5
        for name in "RGB":
            assert np.array_equal(bits(cut[name][opaque]), bits(source[name][opaque]))
            assert np.all(cut[name][cut["A"] == 0] == 0)
        assert cut["R"][opaque].max() > 5
        assert min(cut[name][opaque].min() for name in "RGB") < 0


def test_straight_exr_has_a_note_and_unpremultiplied_colour(
    shots: Path, tmp_path: Path, keyed: dict[str, Any]
) -> None:
    notes: list[str] = []
    plate = tmp_path / "plate.exr"
    matte_video(shots, plate, tmp_path / "a_%d.exr", alpha="straight", on_note=notes.append, **keyed)
    assert any("a_%d.exr is straight, but EXR is premultiplied by convention" in note for note in notes)
    notes.clear()
    matte_video(shots, plate, tmp_path / "b_%d.exr", on_note=notes.append, **keyed)
    assert not any("premultiplied" in note for note in notes)
    straight, multiplied = read(tmp_path / f"a_{FIRST}.exr"), read(tmp_path / f"b_{FIRST}.exr")
    expected = straight["G"].astype(np.float32) * straight["A"].astype(np.float32)
    assert np.allclose(multiplied["G"], expected, rtol=2e-3, atol=2e-4)


def test_every_layer_as_exr_and_channels_beside_the_colour(
    shots: Path, tmp_path: Path, keyed: dict[str, Any]
) -> None:
    layers = ("cutout", "alpha", "foreground", "composite", "shadow", "error", "refine", "hint")
    summary = matte_video(
        shots,
        tmp_path / "plate.exr",
        tmp_path / "out_%d.exr",
        save=layers,
        background="#808080",
        encoding=Encoding(channels=("matte", "error", "refine"), compression="piz"),
        refine="sampling:1600",
        **keyed,
    )
    assert len(summary.paths) == len(layers)
    got = {path.name.split(".")[-2]: read(Path(str(path) % FIRST)) for path in summary.paths}
    cut = got["out_%d"]
    for layer in ("alpha", "shadow", "error", "refine", "hint"):
        assert list(got[layer]) == ["Y"]
    for layer in ("out_%d", "foreground", "composite"):
        assert {"matte.A", "error", "refine"} <= set(got[layer])
    assert np.array_equal(cut["matte.A"], got["alpha"]["Y"])
    assert np.array_equal(cut["A"], got["alpha"]["Y"])
    assert np.array_equal(cut["error"], got["error"]["Y"])
    assert set(np.unique(got["refine"]["Y"])) == {0, 1}
    assert 0 < np.count_nonzero(got["refine"]["Y"]) <= 1600
    assert 0 <= got["error"]["Y"].min() < got["error"]["Y"].max() <= 1
    # The composite is the cut-out over the grey, as light, darkened by the shadow.
    grey = decode(np.uint16([[128 * 257]]), SRGB)[0, 0]
    rest = (1 - got["alpha"]["Y"].astype(np.float32)) * got["shadow"]["Y"]
    assert np.allclose(got["composite"]["G"], cut["G"] + rest * grey, rtol=2e-3, atol=1e-3)


def test_a_photo_of_floats_in_one_call(tmp_path: Path, shots: Path, keyed: dict[str, Any]) -> None:
    cutout = matte_image(str(shots) % FIRST, tmp_path / "plate.exr", maps=True, **keyed)
    cutout.save(tmp_path / "cut.exr", encoding=Encoding(channels=("error",), compression="dwaa:10"))
    cutout.save(tmp_path / "cut.png")
    cutout.save(tmp_path / "error.png", layer="error")
    cutout.save(tmp_path / "comp.exr", layer="composite", background="white")
    assert "error" in read(tmp_path / "cut.exr")
    png = read_image(tmp_path / "cut.png")
    assert png.pixels.dtype == np.uint16
    again = read_image(tmp_path / "comp.exr")
    opaque = cutout.alpha == 1
    assert np.array_equal(bits(again.light[opaque]), bits(make_shot()[opaque]))
    expected = np.rint(cutout.matte.error * np.float32(65535))
    assert np.array_equal(read_image(tmp_path / "error.png").pixels[..., 0], expected)
    with pytest.raises(OptionError, match=r"Only EXR takes compression, but cut2\.png is not EXR"):
        cutout.save(tmp_path / "cut2.png", encoding=Encoding(compression="zip"))


def test_maps_are_computed_on_request_only(tmp_path: Path, keyed: dict[str, Any]) -> None:
    shot, plate = (np.rint(np.clip(p, 0, 1) * 255).astype(np.uint8) for p in (make_shot(), make_plate()))
    cutout = matte_image(shot, plate, **keyed)
    assert cutout.matte.error is cutout.matte.refined is None
    with pytest.raises(OptionError, match="The matte has no refine"):
        cutout.save(tmp_path / "a.png", layer="refine")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_linear_composite_of_a_sequence_equals_that_of_srgb(
    tmp_path: Path, keyed: dict[str, Any], dtype: type
) -> None:
    top = np.iinfo(dtype).max
    plate, shot = (np.clip(p, 0, 1) * top for p in (make_plate(), make_shot()))
    for name, picture in (("plate", plate), ("shot_1", shot)):
        write_image(tmp_path / f"{name}.png", picture.astype(dtype))
    # A blur softens enough of alpha.
    finish = Finish(blur_pixels=3)
    arguments: dict[str, Any] = {"plate": tmp_path / "plate.png", "finish": finish, **keyed}
    layers = ["composite", "foreground", "alpha"]
    for name, linear in (("lin", True), ("codes", False)):
        out = tmp_path / f"{name}_%d.png"
        matte_video(
            tmp_path / "shot_%d.png", out=out, background="white", save=layers, linear=linear, **arguments
        )
    names = ("lin_1", "codes_1", "lin_1.foreground", "lin_1.alpha")
    comp, codes, foreground, alpha = (read_image(tmp_path / f"{name}.png").pixels for name in names)
    weight = alpha[..., 0] / np.float32(top)
    white = np.full_like(foreground, top)
    soft = (weight > 0.05) & (weight < 0.95)
    assert soft.mean() > 0.02
    wanted = over(foreground, weight, white, linear_light=True)
    # Alpha was rounded by the file that is read here.
    tolerance = 3 if dtype == np.uint8 else 8
    assert np.abs(comp.astype(int) - wanted)[soft].max() <= tolerance
    assert np.mean(comp[soft].astype(float) - codes[soft]) > 0.01 * top


def test_a_linear_composite_uses_the_transfer_of_the_video(
    tmp_path: Path, keyed: dict[str, Any], make_clip: Callable[..., Path]
) -> None:
    clip, plate = make_clip("smpte2084")
    matte_video(clip, plate, tmp_path / "cut_%d.exr", **keyed)
    matte_video(clip, plate, tmp_path / "fg_%d.png", save=["foreground", "alpha"], **keyed)
    cut = read(tmp_path / "cut_0.exr")
    foreground = read_image(tmp_path / "fg_0.png").pixels
    opaque = cut["A"] == 1
    assert opaque.any()
    light = decode(foreground, "smpte2084")
    assert np.array_equal(bits(cut["R"][opaque]), bits(light[..., 0][opaque]))
    with OpenEXR.File(str(tmp_path / "cut_0.exr"), header_only=True) as file:
        header = dict(file.header())
    assert header["whiteLuminance"] == 203
    assert header["chromaticities"][0] == pytest.approx(0.708)


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[[str], tuple[Path, npt.NDArray[np.uint16]]]:
    """Write two frames of lossless 16-bit RGB with tags of BT.2020 and a transfer, and their plate."""
    import av

    from cleanplate.media.colour.h273 import TRANSFERS, code_of

    def make(transfer: str) -> tuple[Path, npt.NDArray[np.uint16]]:
        path = tmp_path / "clip.mkv"
        plate = np.rint(make_plate() * 65535).astype(np.uint16)
        shot = np.rint(np.clip(make_shot(), 0, 1) * 65535).astype(np.uint16)
        with av.open(str(path), "w") as output:
            stream: Any = output.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gbrp16le"
            stream.codec_context.color_primaries = 9
            stream.codec_context.color_trc = code_of(TRANSFERS, transfer)
            for _ in range(2):
                frame = av.VideoFrame.from_ndarray(shot, format="rgb48le").reformat(format="gbrp16le")
                frame.color_primaries, frame.color_trc = 9, code_of(TRANSFERS, transfer)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path, plate

    return make


def test_a_backdrop_of_floats_keeps_its_highlights(
    shots: Path, tmp_path: Path, keyed: dict[str, Any]
) -> None:
    sky = np.random.default_rng(9).uniform(-0.1, 20, (HEIGHT, WIDTH, 3)).astype(np.float16)
    for i in range(2):
        write_exr(tmp_path / f"sky_{i}.exr", sky.astype(np.float32), tags=PictureTags())
    for name in ("sky_0.exr", "sky_%d.exr"):
        out = tmp_path / f"{name.split('.')[0].replace('%d', 'n')}_comp_%d.exr"
        matte_video(shots, tmp_path / "plate.exr", out, background=tmp_path / name, **keyed)
        comp = read(Path(str(out) % FIRST))
        clear = np.s_[:8]  # above the subject there is sky only
        assert all(
            np.array_equal(bits(comp[c][clear]), bits(sky[clear][..., i])) for i, c in enumerate("RGB")
        )
    cutout = matte_image(str(shots) % FIRST, tmp_path / "plate.exr", **keyed)
    shown = cutout.composite(tmp_path / "sky_0.exr", linear=True)
    assert np.array_equal(shown[:8], read_image(tmp_path / "sky_0.exr").pixels[:8])


@pytest.mark.parametrize("shadow", [None, 0.4])
def test_a_shadow_that_is_kept_darkens_light(shadow: float | None) -> None:
    rng = np.random.default_rng(5)
    foreground = rng.integers(0, 65536, (32, 40, 3)).astype(np.uint16)
    alpha = rng.random((32, 40)).astype(np.float32)
    shade = None if shadow is None else np.full_like(alpha, shadow)
    matte = Matte(alpha, foreground, Frame(foreground), shade)
    backdrop = rng.integers(0, 65536, (32, 40, 3)).astype(np.uint16)

    class Still:
        def __call__(self, _: Frame) -> Any:
            return backdrop

        def close(self) -> None: ...

    kept = Finish(keep_shadow=True, transfer="bt709")(matte)
    got = render_light("composite", Still(), transfer="bt709")(kept)
    separate = render_light("composite", Still(), transfer="bt709")(Finish()(matte))
    assert np.allclose(got, separate, rtol=2e-3, atol=2e-4)
    taken = 0 if shade is None else shadow_of_light(shade, "bt709")
    assert np.allclose(render_light("shadow", None, transfer="bt709")(matte), 1 - taken, atol=5e-4)
    assert np.allclose(kept.alpha, alpha + (1 - alpha) * taken, atol=1e-6)


def test_contradicting_options_are_refused(shots: Path, tmp_path: Path, keyed: dict[str, Any]) -> None:
    plate = tmp_path / "plate.exr"
    for said, asked in (
        ("Linear light is for composites", {"linear": True}),
        (
            "Only EXR takes a compression, but the results are: a.mov",
            {"encoding": Encoding(compression="zip")},
        ),
        ("need colour in EXR, but a.mov has none", {"encoding": Encoding(channels=("matte",))}),
        ("Nothing is refined", {"save": ["refine"], "refine": "off"}),
        ("Expected alpha as straight or premultiplied, got 'none'", {"alpha": "none"}),
    ):
        with pytest.raises(OptionError, match=said):
            matte_video(shots, plate, tmp_path / "a.mov", **keyed, **asked)
    assert not list(tmp_path.glob("a*"))


def test_a_model_without_a_plate_has_no_maps(
    tiny_recurrent_model: Model, tmp_path: Path, shots: Path
) -> None:
    with pytest.raises(OptionError, match="gives no error map and refines nothing"):
        matte_video(shots, None, tmp_path / "a_%d.exr", save=["error"], model=tiny_recurrent_model)
    assert not list(tmp_path.glob("a_*"))


def test_a_sequence_of_floats_serves_as_plate(shots: Path) -> None:
    plate = load_plate(shots)
    assert plate.pixels.dtype == np.uint16
    with open_source(shots) as source:
        assert np.array_equal(plate.pixels, list(source)[1].pixels)  # the median of three exposures
