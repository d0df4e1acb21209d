"""Animated GIF, PNG, WebP and AVIF as clips, and WebP and PNG as results."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleanplate import matte_video
from cleanplate.errors import InputError, OutputError
from cleanplate.frame import Frame
from cleanplate.media import Encoding, Reading, SourceInfo, Span, open_sink, open_source
from cleanplate.media.video import animation_sink

SIZE = (64, 96)
MILLISECONDS = (40, 70, 1000, 30, 110)


def cutout(i: int) -> np.ndarray:
    """A translucent disc with a hole in it, at another place in each frame."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(x - 20 - 12 * i, y - 32)
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[..., :3] = np.stack([x * 2, y * 3, np.full_like(x, 90)], -1)
    pixels[..., 3] = np.clip((18 - far) * 60, 0, 255) * (far > 6)
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def save(path: Path, kind: str) -> Path:
    """Write five frames with Pillow."""
    pictures = [Image.fromarray(cutout(i)) for i in range(5)]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 90}, "GIF": {"disposal": 2}}.get(kind, {})
    more = {"save_all": True, "append_images": pictures[1:], "duration": list(MILLISECONDS), **options}
    pictures[0].save(path, kind, **more)
    return path


def measure(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """Pictures and milliseconds of an animation, by Pillow."""
    pictures, durations = [], []
    with Image.open(path) as image:
        for i in range(image.n_frames):
            image.seek(i)
            pictures.append(np.asarray(image.convert("RGBA")))
            durations.append(image.info["duration"])
        assert image.info["loop"] == 0
    return pictures, durations


def write(path: Path, pixels: Callable[[int], np.ndarray], like: SourceInfo, **encoding: int) -> list[str]:
    with open_sink(path, like, encoding=Encoding(**encoding)) as sink:
        starts = [0, *accumulate(MILLISECONDS)]
        for i, milliseconds in enumerate(MILLISECONDS):
            made = pixels(i)
            sink.write(made, Frame(made[..., :3], starts[i], Fraction(1, 1000), milliseconds, i))
    return sink.notes


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_a_clip_with_its_own_times_and_alpha(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path / f"a.{kind.lower()}", kind)
    with open_source(path) as source:
        assert (source.info.height, source.info.width, source.info.has_alpha) == (*SIZE, True)
        frames = list(source)
    assert source.notes == []
    starts = [0, *accumulate(MILLISECONDS)]
    assert [f.time_seconds * 1000 for f in frames] == starts[:-1]
    assert [(f.duration or 0) * f.time_base * 1000 for f in frames] == list(MILLISECONDS)
    for i, frame in enumerate(frames):
        assert frame.alpha is not None
        wanted = cutout(i)
        inside = wanted[..., 3] == 255
        slack = {"GIF": 24, "AVIF": 24}.get(kind, 0)
        assert np.abs(frame.pixels[inside].astype(int) - wanted[..., :3][inside]).max() <= slack
        if kind == "GIF":  # one bit
            assert np.all(frame.alpha[inside] == 255)
            assert np.all(frame.alpha[wanted[..., 3] == 0] == 0)
        else:
            assert np.abs(frame.alpha.astype(int) - wanted[..., 3]).max() <= slack


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_span_of_an_animation_and_the_frames_after_a_restart(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path / "a.bin", kind)
    with open_source(path, Reading(span=Span(Fraction(1, 10), Fraction(112, 100)))) as source:
        frames = list(source)
    assert [f.time_seconds * 1000 for f in frames] == [0, 1000]
    with open_source(path) as source:
        source.start_at(3, (source.info.time_base.denominator * 1110) // 1000)
        assert [f.index for f in source] == [3, 4]
    with pytest.raises(InputError, match="range"):
        open_source(path, Reading(span=Span(Fraction(5), None)))


def test_a_cut_off_webp_gives_its_first_frames(tmp_path: Path) -> None:
    path = save(tmp_path / "a.webp", "WEBP")
    whole = path.read_bytes()
    last = whole.rindex(b"ANMF")
    path.write_bytes(whole[: last + 40] + bytes(len(whole) - last - 40))
    with open_source(path) as source:
        assert len(list(source)) == 4
        assert "4 of its 5 frames" in source.notes[0]
    with pytest.raises(InputError, match="4 of its 5 frames"):
        open_source(path, Reading(damage="stop"))
    path.write_bytes(whole[:60])
    with pytest.raises(InputError, match=r"a\.webp"):
        open_source(path)


def test_equal_frames_of_webp_become_one_of_their_length(tmp_path: Path) -> None:
    like = SourceInfo(Path("clip"), *SIZE, 8, Fraction(4), Fraction(1, 1000))
    write(tmp_path / "a.webp", lambda i: cutout(min(i, 2)), like)
    pictures, durations = measure(tmp_path / "a.webp")
    assert durations == [40, 70, 1000 + 30 + 110]
    assert len(pictures) == 3


@pytest.mark.parametrize("suffix", [".webp", ".apng"])
def test_an_animation_out_is_exact_in_pixels_and_times(tmp_path: Path, suffix: str) -> None:
    like = SourceInfo(Path("clip"), *SIZE, 8, Fraction(4), Fraction(1, 1000), has_audio=True)
    notes = write(tmp_path / f"a{suffix}", cutout, like)
    assert notes == [f"a{suffix} is an animation and has no sound."]
    pictures, durations = measure(tmp_path / f"a{suffix}")
    assert durations == list(MILLISECONDS)
    for i, picture in enumerate(pictures):
        seen = cutout(i)[..., 3] > 0
        assert np.array_equal(picture[..., 3], cutout(i)[..., 3])
        assert np.array_equal(picture[seen], cutout(i)[seen])


def test_apng_keeps_16_bits_and_webp_says_that_it_has_8(tmp_path: Path) -> None:
    like = SourceInfo(Path("clip"), *SIZE, 16, Fraction(4), Fraction(1, 1000))
    deep = [cutout(i).astype(np.uint16) * 257 - (cutout(i) > 9) * np.uint16(100) for i in range(5)]
    assert write(tmp_path / "a.apng", lambda i: deep[i], like) == []
    with open_source(tmp_path / "a.apng") as source:
        frames = list(source)
    for frame, wanted in zip(frames, deep, strict=True):
        assert frame.alpha is not None
        assert np.array_equal(frame.alpha, wanted[..., 3])
        assert np.array_equal(frame.pixels[wanted[..., 3] > 0], wanted[..., :3][wanted[..., 3] > 0])
    assert write(tmp_path / "a.webp", lambda i: deep[i], like) == [
        "a.webp has 8 bits a sample; the source has 16."
    ]


def test_a_quality_makes_webp_smaller_with_exact_alpha(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 60, (*SIZE, 4), np.uint8) * np.array([1, 1, 1, 0], np.uint8)
    like = SourceInfo(Path("clip"), *SIZE, 8, Fraction(4), Fraction(1, 1000))
    for name, quality in (("best", None), ("small", 60)):
        encoding = {} if quality is None else {"quality": quality}
        write(tmp_path / f"{name}.webp", lambda i: cutout(i) + noise, like, **encoding)
    sizes = [(tmp_path / f"{name}.webp").stat().st_size for name in ("best", "small")]
    assert sizes[1] < sizes[0] / 2
    pictures, _ = measure(tmp_path / "small.webp")
    assert all(np.array_equal(picture[..., 3], cutout(i)[..., 3]) for i, picture in enumerate(pictures))


def test_a_clip_too_long_for_webp_is_refused_before_and_during_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    like = SourceInfo(Path("clip"), 1080, 1920, 8, Fraction(25), Fraction(1, 25), 500)
    with pytest.raises(OutputError, match="at most 482 frames"):
        open_sink(tmp_path / "a.webp", like)
    monkeypatch.setattr(animation_sink, "MOST_PIXELS", 3 * SIZE[0] * SIZE[1])
    with pytest.raises(OutputError, match="at most 3 frames"):
        write(tmp_path / "a.webp", cutout, SourceInfo(Path("clip"), *SIZE, 8))
    assert not (tmp_path / "a.webp").exists()


def test_a_clip_is_keyed_from_webp_to_webp(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    room = rng.integers(60, 120, (96, 128, 3), np.uint8)
    shown = room.copy()
    shown[30:80, 50:90] = (220, 40, 40)
    pictures = [Image.fromarray(shown)] * 2
    pictures[0].save(
        tmp_path / "a.webp",
        save_all=True,
        append_images=[Image.fromarray(np.roll(shown, 1, 1))],
        duration=[40, 60],
        lossless=True,
    )
    Image.fromarray(room).save(tmp_path / "plate.png")
    summary = matte_video(tmp_path / "a.webp", tmp_path / "plate.png", tmp_path / "cut.webp")
    assert summary.frames == 2
    _, durations = measure(tmp_path / "cut.webp")
    assert durations == [40, 60]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.webp", "cut.webp", "plate.png"]
