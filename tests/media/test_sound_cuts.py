"""Sound to the sample: equal samples and times, for whole and cut clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from cleanplate.media import Reading, Span, open_sink, open_source

RATE = 48000
SECONDS = 5
SPAN = "3.1-4.37"
FIRST = Fraction(78, 25)
"""The first frame that begins within the span: its time is 0 then."""

Samples = npt.NDArray[np.float64]


def chirp(rate: int = RATE) -> npt.NDArray[np.float32]:
    """Make a chirp: rising, so that it matches at one place only, and smooth, so that codecs add no noise."""
    time = np.arange(SECONDS * rate) / rate
    left = 0.4 * np.sin(2 * np.pi * (300 * time + 200 * time**2)) + 0.1 * np.sin(2 * np.pi * 2217 * time)
    return np.stack([left, left / 2]).astype(np.float32)


def make_clip(
    path: Path,
    codec: str,
    *,
    options: dict[str, str] | None = None,
    rate: int = RATE,
    audio_start: int = 0,
    video_start: int = 0,
    missing: Sequence[int] = (),
) -> Path:
    """Make five seconds of grey pictures and a chirp; ``missing`` chunks of 1024 samples are left out."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg2video" if path.suffix == ".ts" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound: Any = output.add_stream(codec, rate=rate, options=options or {})
        sound.layout = "stereo"
        wave, done = chirp(rate), 0
        for i in range(SECONDS * 25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8)).reformat(format="yuv420p")
            frame.pts, frame.time_base = i + video_start, Fraction(1, 25)
            output.mux(stream.encode(frame))
            while done < min((i + 1) * rate // 25, wave.shape[1]):
                if done // 1024 not in missing:
                    part = np.ascontiguousarray(wave[:, done : done + 1024])
                    chunk = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
                    chunk.sample_rate, chunk.pts = rate, done + audio_start
                    chunk.time_base = Fraction(1, rate)
                    output.mux(sound.encode(chunk))
                done += 1024
        output.mux(sound.encode(None))
        output.mux(stream.encode(None))
    return path


def copy_through(source_path: Path, path: Path, span: str | None = None) -> list[str]:
    reading = Reading(span=Span.parse(span) if span else None)
    with (
        open_source(source_path, reading) as source,
        open_sink(path, source.info, layer="composite") as sink,
    ):
        for frame in source:
            sink.write(frame.pixels, frame)
    return [*source.notes, *sink.notes]


def read_sound(path: Path) -> tuple[float, Samples]:
    """Read the start of the sound, in samples from the first picture, and its samples."""
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
        zero = (picture.pts or 0) * Fraction(picture.time_base or 1)
    parts: list[Samples] = []
    start = None
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray()
            scale = 1.0 if values.dtype.kind == "f" else float(2 ** (8 * values.dtype.itemsize - 1))
            shaped = values if frame.format.is_planar else values.reshape(-1, 2).T
            parts.append(shaped / scale)
            if start is None:
                time = (frame.pts or 0) * Fraction(frame.time_base or 1) - zero
                start = float(time * frame.sample_rate)
    assert start is not None
    return start, np.concatenate(parts, 1)


def differences(got: tuple[float, Samples], wanted: tuple[float, Samples]) -> Samples:
    """Subtract the samples of the common time."""
    shift = round(got[0] - wanted[0])
    mine, other = got[1][:, max(0, -shift) :], wanted[1][:, max(0, shift) :]
    length = min(mine.shape[1], other.shape[1])
    return np.asarray(np.abs(mine[:, :length] - other[:, :length]).max(0))


COPIED = [
    ("aac.mp4", "aac", ".mov"),
    ("aac.mp4", "aac", ".mp4"),
    ("aac.mkv", "aac", ".mov"),
    ("aac.ts", "aac", ".mov"),
    ("mp3.mp4", "libmp3lame", ".mov"),
    ("mp3.mkv", "libmp3lame", ".mp4"),
    ("opus.mkv", "libopus", ".mp4"),
    ("ac3.mp4", "ac3", ".mov"),
    ("alac.mov", "alac", ".mov"),
    ("pcm16.mov", "pcm_s16le", ".mov"),
    ("pcm24.mov", "pcm_s24le", ".mkv"),
    ("flac.mkv", "flac", ".mkv"),
    ("flac.mkv", "flac", ".mp4"),
]
LOSSLESS = ("alac", "pcm_s16le", "pcm_s24le", "flac")


def options_of(codec: str) -> dict[str, str]:
    return {"aac_pns": "0"} if codec == "aac" else {}  # noise is not the same twice


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Make a clip of a name and codec, once."""
    folder = tmp_path_factory.mktemp("clips")

    def find(name: str, codec: str) -> Path:
        path = folder / name
        return path if path.exists() else make_clip(path, codec, options=options_of(codec))

    return find


@pytest.mark.parametrize(("name", "codec", "suffix"), COPIED)
def test_a_copy_sounds_the_same_at_the_same_time(
    tmp_path: Path, clips: Callable[[str, str], Path], name: str, codec: str, suffix: str
) -> None:
    clip = clips(name, codec)
    assert copy_through(clip, tmp_path / f"out{suffix}") == []
    before, after = read_sound(clip), read_sound(tmp_path / f"out{suffix}")
    assert after[0] == pytest.approx(before[0], abs=0.6)
    assert abs(after[1].shape[1] - before[1].shape[1]) < 1100  # padding at the very end may be heard
    assert differences(after, before).max() < 1e-4


@pytest.mark.parametrize(("name", "codec", "suffix"), COPIED)
def test_a_span_cuts_to_the_sample(
    tmp_path: Path, clips: Callable[[str, str], Path], name: str, codec: str, suffix: str
) -> None:
    clip = clips(name, codec)
    assert copy_through(clip, tmp_path / f"out{suffix}", SPAN) == []
    before, after = read_sound(clip), read_sound(tmp_path / f"out{suffix}")
    assert after[0] == pytest.approx(0, abs=0.6)
    cut = round(float(FIRST * RATE) - before[0])
    wanted = before[1][:, cut : cut + 60000]
    assert differences(after, (0, wanted)).max() < 1e-4
    if codec in LOSSLESS:
        assert after[1].shape[1] == 60000
    else:  # the last packet says that it is shorter; FFmpeg plays all of it
        assert 60000 <= after[1].shape[1] < 60000 + 1152


def test_a_span_in_matroska_begins_with_a_packet_and_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", "aac", options=options_of("aac"))
    (note,) = copy_through(clip, tmp_path / "out.mkv", SPAN)
    assert "matroska can cut aac only between packets" in note
    before, after = read_sound(clip), read_sound(tmp_path / "out.mkv")
    assert 0 <= after[0] < 1024 + 48
    cut = round(float(FIRST * RATE) - before[0])
    # Milliseconds, and a first packet that misses the one before it.
    apart = min(
        differences((after[0] + k, after[1][:, 1024:]), (0, before[1][:, cut + 1024 :])).max()
        for k in range(-30, 31)
    )
    assert apart < 1e-4


@pytest.mark.parametrize(
    ("codec", "suffix", "encoder"), [("pcm_s16le", ".mp4", "aac"), ("pcm_s16le", ".webm", "opus")]
)
@pytest.mark.parametrize("span", [None, SPAN])
def test_encoded_sound_keeps_its_time(
    tmp_path: Path, codec: str, suffix: str, encoder: str, span: str | None
) -> None:
    clip = make_clip(tmp_path / "a.mov", codec)
    (note,) = copy_through(clip, tmp_path / f"out{suffix}", span)
    assert f"as {encoder}: " in note
    before, after = read_sound(clip), read_sound(tmp_path / f"out{suffix}")
    cut = round(FIRST * RATE) if span else 0

    def apart(shift: int) -> float:
        wanted = before[1][0, cut + 6000 + shift : cut + 50000 + shift]
        return float(np.abs(after[1][0, 6000:50000] - wanted).max())

    assert after[0] == 0
    assert min(range(-50, 51), key=apart) == 0
    assert apart(0) < 0.05


def test_a_gap_is_silence_and_later_sound_keeps_its_time(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", "pcm_s16le", missing=range(60, 90))
    copy_through(clip, tmp_path / "out.mp4")
    after, wanted = read_sound(tmp_path / "out.mp4"), chirp()
    late = slice(110 * 1024, 120 * 1024)
    assert np.abs(after[1][0, late] - wanted[0, late]).max() < 0.05
    assert np.abs(after[1][:, 64 * 1024 : 86 * 1024]).max() < 0.01


@pytest.mark.parametrize(("audio", "video"), [(24000, 0), (0, 10)])
@pytest.mark.parametrize("span", [None, "0.2-"])
def test_sound_with_another_start_keeps_its_offset(
    tmp_path: Path, audio: int, video: int, span: str | None
) -> None:
    clip = make_clip(tmp_path / "a.mov", "pcm_s16le", audio_start=audio, video_start=video)
    copy_through(clip, tmp_path / "out.mov", span)
    before, after = read_sound(clip), read_sound(tmp_path / "out.mov")
    start = 0.2 * RATE if span else 0
    assert before[0] == audio - video * RATE / 25
    assert after[0] == (before[0] if span is None else max(0, before[0] - start))
    shifted = (before[0] - start, before[1])
    assert differences(after, shifted).max() == 0


def test_an_unsupported_sample_rate_is_resampled(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mov", "pcm_s16le", rate=37800)
    copy_through(clip, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.sample_rate == 44100
    seconds = read_sound(tmp_path / "out.mp4")[1].shape[1] / 44100
    assert seconds == pytest.approx(SECONDS, abs=0.06)
