"""Conversions between ICC profiles against Little CMS, and results of photos that have one."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from cleanplate.frame import AnyArray, Frame, Matte
from cleanplate.jobs.api import Cutout, matte_image
from cleanplate.media import read_image
from cleanplate.media.colour.icc import convert_colours, read_profile, same_colours, transfer_of_profile
from cleanplate.media.colour.transfer import decode
from cleanplate.plate import Plate, check_plate

SRGB_MATRIX = (
    0.4360747,
    0.2225045,
    0.0139322,
    0.3850649,
    0.7168786,
    0.0971045,
    0.1430804,
    0.0606169,
    0.7141733,
)
ADOBE_MATRIX = (0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457)
P3_MATRIX = (0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407)
PROPHOTO_MATRIX = (0.79767, 0.28804, 0.0, 0.13519, 0.71188, 0.0, 0.03134, 0.00009, 0.82491)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def make_profile(matrix: tuple[float, ...], *curve: float) -> bytes:
    """A display profile of ICC version 4, made by hand: one gamma, or the numbers of a ``para`` curve."""

    def fixed(*numbers: float) -> bytes:
        return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))

    points = [b"XYZ \0\0\0\0" + fixed(*matrix[i : i + 3]) for i in (0, 3, 6)]
    kind = 0 if len(curve) == 1 else 3
    trc = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*curve)
    text = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + "t".encode("utf-16-be")
    white = b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)
    tags = [(b"desc", text), (b"wtpt", white)]
    tags += list(zip((b"rXYZ", b"gXYZ", b"bXYZ"), points, strict=True))
    tags += [(name, trc) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = bytearray(128)
    head[8:12] = b"\x04\x20\0\0"
    head[12:24] = b"mntrRGB XYZ "
    head[36:40] = b"acsp"
    head[68:80] = fixed(0.9642, 1.0, 0.8249)
    struct.pack_into(">I", head, 0, 128 + len(table) + len(body))
    return bytes(head) + table + body


PROFILES = {
    "adobe": make_profile(ADOBE_MATRIX, 563 / 256),
    "p3": make_profile(P3_MATRIX, *SRGB_CURVE),
    "prophoto": make_profile(PROPHOTO_MATRIX, 1.8),
    "linear": make_profile(SRGB_MATRIX, 1.0),
}


def by_lcms(pixels: np.ndarray, source: bytes | None, target: bytes | None) -> np.ndarray:
    def opened(profile: bytes | None) -> ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile:
        return (
            ImageCms.createProfile("sRGB")
            if profile is None
            else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        )

    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(opened(source), opened(target), "RGB", "RGB", renderingIntent=intent)
    return np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("to_profile", [True, False])
def test_conversions_equal_little_cms(name: str, to_profile: bool) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    source, target = (None, PROFILES[name]) if to_profile else (PROFILES[name], None)
    ours, theirs = convert_colours(pixels, source, target), by_lcms(pixels, source, target)
    off = np.abs(ours.astype(int) - theirs)
    assert off.max() <= 1
    assert off.mean() < 0.05
    deep = convert_colours(pixels.astype(np.uint16) * 257, source, target)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - theirs).max() < 1.6


def test_srgb_under_another_name_changes_no_colour() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8)
    theirs = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (make_profile(SRGB_MATRIX, *SRGB_CURVE), theirs):
        assert same_colours(profile, None)
        assert transfer_of_profile(profile) is None
        assert convert_colours(pixels, profile, None) is pixels


@pytest.mark.parametrize("cut", [0, 100, 140, 200, 300])
def test_damaged_profiles_change_nothing(cut: int) -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    assert convert_colours(pixels, PROFILES["adobe"][:cut], None) is pixels


def test_primaries_are_those_of_the_standard() -> None:
    space = read_profile(PROFILES["adobe"])
    assert space is not None
    adobe = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)
    assert np.abs(np.subtract(space.chromaticities, adobe)).max() < 0.001


def cutout_of(profile: bytes | None, dtype: type = np.uint8) -> Cutout:
    top = np.iinfo(dtype).max
    pixels = (np.random.default_rng(1).random((48, 64, 3)) * top).astype(dtype)
    alpha = np.zeros((48, 64), np.float32)
    alpha[:, :32] = 1
    return Cutout(Matte(alpha=alpha, foreground=pixels, frame=Frame(pixels)), None, profile)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_backdrops_look_the_same_behind_a_photo_with_a_profile(
    tmp_path: Path, name: str, dtype: type
) -> None:
    colour = (200, 40, 40)
    picture = np.full((48, 64, 3), colour, np.uint8)
    Image.fromarray(picture).save(tmp_path / "plain.png")
    adobe = by_lcms(picture, None, PROFILES["adobe"])
    Image.fromarray(adobe).save(tmp_path / "adobe.png", icc_profile=PROFILES["adobe"])
    cutout = cutout_of(PROFILES[name], dtype)
    for background in ("#c82828", tmp_path / "plain.png", tmp_path / "adobe.png", picture):
        mixed = cutout.composite(background)
        shown = convert_colours(mixed[:, 32:], PROFILES[name], None) / np.iinfo(dtype).max * 255
        # A linear space of 8 bits has steps of several sRGB codes in its darks.
        allowed = 1.6 if name != "linear" or dtype == np.uint16 else 4
        assert np.abs(shown - colour).max() < allowed, background
        assert np.array_equal(mixed[:, :32], cutout.foreground[:, :32])


def test_a_backdrop_with_a_profile_becomes_srgb_behind_a_photo_without(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), (200, 40, 40), np.uint8)
    adobe = by_lcms(picture, None, PROFILES["adobe"])
    Image.fromarray(adobe).save(tmp_path / "adobe.png", icc_profile=PROFILES["adobe"])
    mixed = cutout_of(None).composite(tmp_path / "adobe.png")
    assert np.abs(mixed[:, 32:].astype(int) - (200, 40, 40)).max() <= 1


@pytest.mark.parametrize("name", PROFILES)
def test_dpx_has_srgb_colours_without_a_profile(tmp_path: Path, name: str) -> None:
    cutout = cutout_of(PROFILES[name], np.uint16)
    cutout.save(tmp_path / "a.dpx", layer="composite", background="#c82828")
    pixels = read_image(tmp_path / "a.dpx").pixels / 257
    assert np.abs(pixels[:, 33:] - (200, 40, 40)).max() < 1
    theirs = by_lcms((cutout.foreground[:, :32] / 257).round().astype(np.uint8), PROFILES[name], None)
    assert np.abs(pixels[:, :32] - theirs).mean() < 1


@pytest.mark.parametrize("name", PROFILES)
def test_exr_has_light_of_its_named_primaries(tmp_path: Path, name: str) -> None:
    pytest.importorskip("OpenEXR")
    cutout = cutout_of(PROFILES[name], np.uint16)
    cutout.save(tmp_path / "a.exr", layer="composite", background="#c82828")
    picture = read_image(tmp_path / "a.exr")
    space = read_profile(PROFILES[name])
    assert space is not None
    assert picture.tags.chromaticities is not None
    assert np.abs(np.subtract(picture.tags.chromaticities, space.chromaticities)).max() < 1e-4
    transfer = transfer_of_profile(PROFILES[name])
    assert transfer is not None
    assert picture.light is not None
    wanted = decode(cutout.foreground[:, :32], transfer)
    assert np.abs(picture.light[:, :32] - wanted).max() < 0.001
    # The backdrop in those primaries: its XYZ is that of sRGB's colour.
    srgb = read_profile(None)
    assert srgb is not None
    seen = space.to_d50 @ picture.light[10, 50].astype(float)
    meant = srgb.to_d50 @ srgb.decode(np.array([[200, 40, 40]]) / 255)[0]
    assert np.abs(seen - meant).max() < 0.002


@pytest.fixture(scope="module")
def red_room() -> tuple[AnyArray, AnyArray]:
    """A photo and its plate in sRGB: strong reds and greens, which P3 and Adobe RGB store as other codes."""
    random = np.random.default_rng(7)
    plate = np.empty((180, 320, 3), np.uint8)
    plate[:, :160], plate[:, 160:] = (200, 40, 30), (40, 170, 60)
    plate = np.clip(plate + random.normal(0, 12, plate.shape[:2])[..., None], 0, 255).astype(np.uint8)
    plate[::20] //= 2
    photo = plate.copy()
    photo[50:150, 130:190] = (90, 90, 180)
    return photo, plate


@pytest.mark.parametrize("photos", [None, "p3", "adobe"])
@pytest.mark.parametrize("plates", [None, "p3", "adobe"])
def test_a_plate_of_another_profile(
    tmp_path: Path, red_room: tuple[AnyArray, AnyArray], photos: str | None, plates: str | None
) -> None:
    def save(name: str, pixels: AnyArray, profile: str | None) -> Path:
        profile_bytes = None if profile is None else PROFILES[profile]
        path = tmp_path / f"{name}.png"
        Image.fromarray(convert_colours(pixels, None, profile_bytes)).save(path, icc_profile=profile_bytes)
        return path

    paths = save("photo", red_room[0], photos), save("plate", red_room[1], plates)
    # Without the light's fit, which would hide a part of the difference.
    cut = matte_image(*paths, align=False, model="lite")
    assert cut.alpha[60:140, 140:180].min() > 0.95
    assert cut.alpha[:, :110].max() < 0.1
    assert cut.alpha[:, 210:].max() < 0.1
    blurred = cut.composite("blur")[:, :40].reshape(-1, 3).mean(0)
    photo = np.asarray(Image.open(paths[0]))[:, :40].reshape(-1, 3).mean(0)
    assert np.abs(blurred - photo).max() < 6


def test_pixels_are_a_plate_like_the_frame(red_room: tuple[AnyArray, AnyArray]) -> None:
    plate = Plate(red_room[1])
    assert plate.in_profile(PROFILES["p3"]) is plate
    tagged = Plate(red_room[1], icc_profile=None)
    assert tagged.in_profile(None) is tagged
    assert not np.array_equal(tagged.in_profile(PROFILES["p3"]).pixels, tagged.pixels)


def test_the_check_converts_the_plate(tmp_path: Path, red_room: tuple[AnyArray, AnyArray]) -> None:
    photo, plate = red_room
    Image.fromarray(photo).save(tmp_path / "photo.png")
    converted = convert_colours(plate, None, PROFILES["prophoto"])
    Image.fromarray(converted).save(tmp_path / "plate.png", icc_profile=PROFILES["prophoto"])
    colour = {
        finding.topic: finding
        for finding in check_plate(tmp_path / "plate.png", tmp_path / "photo.png").findings
    }
    Image.fromarray(converted).save(tmp_path / "untagged.png")
    wrong = {
        finding.topic: finding
        for finding in check_plate(tmp_path / "untagged.png", tmp_path / "photo.png").findings
    }
    assert colour["colour"].severity == "good"
    assert colour["colour"] != wrong["colour"]
