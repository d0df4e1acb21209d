"""Measures the losses of each format and adds them to docs/media.md: ``python tests/media/format_table.py``.

Every row is a file that was written and read again, not a claim.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from beside_table import describe_beside, probe_with_pyav, write_subtitle_clips

from cleanplate.frame import Frame
from cleanplate.media import (
    Colour,
    Encoding,
    Sink,
    SinkFormat,
    SourceInfo,
    open_sink,
    open_source,
    read_image,
    sink_formats,
)
from cleanplate.media.colour.hdr import Hdr
from cleanplate.media.colour.transfer import decode
from cleanplate.media.container_tags import Tags
from cleanplate.media.containers.formats import CONTAINERS
from cleanplate.media.timecode import Timecode

PAGE = Path(__file__).parents[2] / "docs" / "media.md"

SIZE = (64, 128)
TICKS = (0, 33, 100, 101)
"""Milliseconds: a variable frame rate."""

HDR10 = Colour("limited", "bt2020nc", "bt2020", "smpte2084")
LIGHT = Hdr(content_light=(1000, 400))
STEPS = (0, 0.25, 0.75, 1.5, 3, 6, 12, 25, 50, 100)
"""Errors are rounded up to these, so that another processor's rounding does not change the page."""

SOUNDS = {
    **dict.fromkeys(("aac", "alac", "ac3", "eac3", "mp3", "flac", "opus", "vorbis"), ".mkv"),
    "pcm_s16le": ".mov",
    "pcm_s24le": ".mkv",
}
"""Codecs, and the files that they are brought in. PCM in Matroska does not say which channels it has."""

ENCODERS = {"mp3": "libmp3lame", "opus": "libopus"}

COLOURS = {
    "BT.709": ("bt709", "bt709"),
    "BT.601": ("smpte170m", "smpte170m"),
    "BT.2020, PQ": ("bt2020", "smpte2084"),
}
"""Primaries and transfer that numbered pictures are tried with."""

RATE = Fraction(24000, 1001)
TIMECODES = ("10:11:12:23", "10:11:13:00")


def smooth(size: tuple[int, int], dtype: type) -> npt.NDArray[Any]:
    """Gradients of RGB."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    red, green = x / (size[1] - 1), y / (size[0] - 1)
    blue = 0.5 + 0.5 * np.sin(np.pi * (red + green))
    return np.rint(np.stack([red, green, blue], -1) * np.iinfo(dtype).max).astype(dtype)


def every_alpha(dtype: type) -> npt.NDArray[Any]:
    """All 256 values of 8 bits, or all 1024 of 10 scaled to 16, in patches of 2 x 4 pixels."""
    count = 256 if dtype == np.uint8 else 1024
    values = np.rint(np.linspace(0, np.iinfo(dtype).max, count)).astype(dtype)
    patches = np.random.default_rng(1).permutation(np.resize(values, 1024)).reshape(32, 32)
    return patches.repeat(2, 0).repeat(4, 1)


def write(sink: Sink, pixels: npt.NDArray[Any]) -> list[str]:
    with sink:
        for i, tick in enumerate(TICKS):
            sink.write(pixels, Frame(pixels[..., :3], tick, Fraction(1, 1000), 1, i))
    return sink.notes


def like(bits: int, **told: Any) -> SourceInfo:
    return SourceInfo(Path("none"), *SIZE, bits, Fraction(25), Fraction(1, 1000), **told)


def round_up(error: float) -> str:
    step = next(step for step in STEPS if error <= step + 1e-6)
    return "exact" if step == 0 else f"{step:g}"


def decoded_alpha(path: Path) -> npt.NDArray[np.float64]:
    """Alpha of the first frame in [0, 1]."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name == "vp9":  # FFmpeg's own decoder leaves alpha out
            context: Any = av.CodecContext.create("libvpx-vp9", "r")
            frames = [frame for packet in container.demux(stream) for frame in context.decode(packet)]
        else:
            frames = list(container.decode(stream))
    frame = frames[0]
    if frame.format.is_planar:
        deep = frame.format.components[0].bits > 8
        plane = frame.planes[3]
        values = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)[
            :, : plane.width
        ]
        return values / ((1 << frame.format.components[0].bits) - 1)
    deep = frame.format.components[0].bits > 8
    return frame.to_ndarray(format="rgba64le" if deep else "rgba")[..., 3] / (65535 if deep else 255)


def measure_cutout(path: Path, row: SinkFormat) -> str:
    if not row.alpha:
        return "–"
    deep = row.bit_depth > 8
    alpha = every_alpha(np.uint16 if deep else np.uint8)
    pixels = np.dstack([np.full((*SIZE, 3), 128 * (257 if deep else 1)), alpha]).astype(alpha.dtype)
    write(open_sink(path, like(16 if deep else 8), encoding=Encoding(codec=row.name)), pixels)
    codes = 1023 if deep else 255
    error = np.abs(decoded_alpha(path) - alpha / np.iinfo(alpha.dtype).max).max() * codes
    if error < 1e-6:
        return f"{row.bit_depth} bits, exact"
    return f"{row.bit_depth} bits, off by {round_up(float(error))}"


def chroma_of(path: Path) -> tuple[str, int]:
    with av.open(str(path)) as container:
        frame = next(iter(container.decode(video=0)))
    layout = frame.format
    across, down = layout.chroma_width(16) < 16, layout.chroma_height(16) < 16
    name = "RGB" if layout.is_rgb else "4:2:0" if down else "4:2:2" if across else "4:4:4"
    return name, max(component.bits for component in layout.components)


def measure(row: SinkFormat, folder: Path) -> dict[str, str]:
    """Measure the losses of a suffix and codec."""
    path = folder / f"{row.name}{row.suffix}"
    deep = row.bit_depth > 8
    dtype = np.uint16 if deep else np.uint8
    pixels = smooth(SIZE, dtype)
    info = like(row.bit_depth, colour=HDR10, hdr=LIGHT)
    write(open_sink(path, info, layer="composite", encoding=Encoding(codec=row.name)), pixels)
    chroma, bits = chroma_of(path)
    if bits < row.bit_depth:
        raise AssertionError(f"{path.name} has {bits} bits, and {row.bit_depth} are claimed.")
    with open_source(path) as source:
        told, frames = source.info, list(source)
    shown = frames[0].pixels / np.iinfo(frames[0].pixels.dtype).max
    error = np.abs(shown - pixels / np.iinfo(dtype).max).mean() * 255
    kept = [
        name
        for name, one, other in (
            ("matrix", told.colour.matrix, HDR10.matrix),
            ("range", told.colour.range, HDR10.range),
            ("primaries", told.colour.primaries, HDR10.primaries),
            ("transfer", told.colour.transfer, HDR10.transfer),
        )
        if one == other or (chroma == "RGB" and name in ("matrix", "range"))
    ]
    odd = folder / f"odd-{path.name}"
    wide = smooth((63, 127), dtype)
    notes = write(
        open_sink(
            odd,
            SourceInfo(Path("none"), 63, 127, row.bit_depth, Fraction(25), Fraction(1, 1000)),
            layer="composite",
            encoding=Encoding(codec=row.name),
        ),
        wide,
    )
    cutout = measure_cutout(folder / f"cutout-{path.name}", row)
    return {
        "name ends in": f"`{row.suffix}`",
        "`--codec`": f"`{row.name}`",
        "bits": str(row.bit_depth),
        "colour kept as": chroma,
        "colour off by, of 255": round_up(float(error)),
        "alpha of cut-outs": cutout,
        "variable times": "exact"
        if [f.time_seconds for f in frames] == [Fraction(t, 1000) for t in TICKS]
        else "no",
        "colour tags": "all" if len(kept) == 4 else ", ".join(kept) or "none",
        "HDR light": "yes" if told.hdr == LIGHT else "no",
        "odd sizes": "padded or scaled" if notes else "kept",
    }


def sound_clip(path: Path, codec: str) -> None:
    """Make a clip with sound in ``codec``."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        experimental = {"strict": "-2"} if codec == "vorbis" else {}
        sound: Any = output.add_stream(ENCODERS.get(codec, codec), rate=48000, options=experimental)
        sound.layout = "stereo"
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts = 0
        output.mux(video.encode(frame))
        for start in range(0, 6144, 1024):
            chunk = av.AudioFrame(format="s16", layout="stereo", samples=1024)
            for plane in chunk.planes:
                plane.update(bytes(plane.buffer_size))
            chunk.sample_rate, chunk.pts, chunk.time_base = 48000, start, Fraction(1, 48000)
            output.mux(sound.encode(chunk))
        output.mux(sound.encode(None))
        output.mux(video.encode(None))


def measure_sound(suffix: str, folder: Path) -> dict[str, str]:
    """List the sound formats that a suffix copies, and the conversion of all others."""
    copied, became = [], set()
    for codec in SOUNDS:
        clip = folder / f"{codec}{SOUNDS[codec]}"
        if not clip.exists():
            sound_clip(clip, codec)
        path = folder / f"{codec}-in{suffix}"
        with open_source(clip) as source, open_sink(path, source.info, layer="composite") as sink:
            for frame in source:
                sink.write(frame.pixels, frame)
        with av.open(str(path)) as container:
            got = container.streams.audio[0].codec_context.codec.canonical_name
        if got == codec:
            copied.append(codec)
        else:
            became.add(got)
    names = ["every one tried"] if len(copied) == len(SOUNDS) else copied
    return {
        "name ends in": f"`{suffix}`",
        "sound copied as it is": ", ".join(names).replace("pcm_s16le, pcm_s24le", "PCM"),
        "other sound becomes": ", ".join(sorted(became)) or "–",
    }


def measure_pictures(row: SinkFormat, folder: Path) -> dict[str, str]:
    """Measure the losses of numbered pictures of a suffix."""

    def name(what: str) -> Path:
        return folder / f"{what}{row.suffix[1:]}_%04d{row.suffix}"

    def first(what: str) -> Path:
        return Path(str(name(what)) % 1)

    bits = []
    for depth in (8, 10, 12, 16):
        pixels = smooth(SIZE, np.uint16 if depth > 8 else np.uint8)
        info = like(depth, first_number=1, has_audio=True)
        notes = write(open_sink(name(f"depth{depth}"), info, layer="composite"), pixels)
        with open_source(name(f"depth{depth}")) as source:
            bits.append(source.info.bit_depth)
    deep = row.bit_depth > 8
    dtype = np.uint16 if deep else np.uint8
    best = f"depth{16 if deep else 8}"
    with open_source(name(best)) as source:
        frame = next(iter(source))
    shown = frame.pixels / np.iinfo(frame.pixels.dtype).max
    error = np.abs(shown - smooth(SIZE, dtype) / np.iinfo(dtype).max).mean() * 255
    halves = frame.light is not None and frame.light.dtype == np.float16

    cutout, colour_of_cutout = "–", "–"
    if row.alpha:
        alpha = every_alpha(dtype)
        colour = np.full((*SIZE, 3), 128 * (257 if deep else 1), dtype)
        write(open_sink(name("cutout"), like(row.bit_depth, first_number=1)), np.dstack([colour, alpha]))
        got = read_image(first("cutout")).alpha
        assert got is not None
        codes = 1023 if deep else 255
        off = np.abs(got / np.iinfo(got.dtype).max - alpha / np.iinfo(dtype).max).max() * codes
        kept_bits = "half floats" if halves else f"{row.bit_depth} bits"
        cutout = f"{kept_bits}, " + ("exact" if off < 1e-6 else f"off by {round_up(float(off))}")
        colour_of_cutout = "straight" if is_straight(first("cutout"), alpha) else "multiplied by alpha"

    primaries, transfers, lights = [], [], []
    for told, tags in COLOURS.items():
        kept, right_light, followed = measure_tags(name(tags[0]), tags)
        primaries += [told.partition(", ")[0]] if kept.primaries == tags[0] else []
        transfers += [told.rpartition(", ")[2]] if kept.transfer == tags[1] else []
        lights.append(right_light)
    return {
        "name ends in": f"`{row.suffix}`",
        "bits": "16, half floats" if halves else ", ".join(map(str, sorted(set(bits)))),
        "colour kept as": "linear light" if halves else _kept_as(first(best)),
        "colour off by, of 255": round_up(float(error)),
        "alpha of cut-outs": cutout,
        "colour of cut-outs": colour_of_cutout,
        "primaries": "all tried" if len(primaries) == len(COLOURS) else ", ".join(primaries) or "–",
        "transfer": "not needed" if all(lights) else ", ".join(transfers) or "–",
        "frame rate": "kept" if followed[0] else "–",
        "timecode": "of every picture" if followed[1] else "–",
        "sound": "no, and a note" if any("no sound" in note for note in notes) else "no",
    }


def _kept_as(path: Path) -> str:
    # PyAV has no decoder of JPEG XL; lossless means RGB there.
    return "RGB" if path.suffix == ".jxl" else chroma_of(path)[0]


def is_straight(path: Path, alpha: npt.NDArray[Any]) -> bool:
    """Tell whether a cut-out of one colour has one red in the file at any alpha."""
    if path.suffix == ".jxl":
        red = read_image(path).pixels[..., 0]
    else:
        with av.open(str(path)) as container:
            red = next(iter(container.decode(video=0))).to_ndarray(format="rgba64le")[..., 0]
    seen = red[alpha > np.iinfo(alpha.dtype).max // 8]
    return bool(np.ptp(seen.astype(int)) < 512)


def measure_tags(pattern: Path, tags: tuple[str, str]) -> tuple[Colour, bool, tuple[bool, bool]]:
    """Measure the colour tags of two pictures, the light, and the kept rate and timecode."""
    pixels = smooth(SIZE, np.uint16)
    timecode = Timecode.parse(TIMECODES[0], RATE)
    info = SourceInfo(
        Path("none"), *SIZE, 16, RATE, 1 / RATE, colour=Colour("limited", "bt709", *tags), tags=Tags(timecode)
    )
    with open_sink(pattern, info, layer="composite") as sink:
        for i in range(2):
            sink.write(pixels, Frame(pixels, i, 1 / RATE, 1, i))
    with open_source(pattern) as source:
        told, light = source.info, next(iter(source)).light
    right = light is not None and np.allclose(light, decode(pixels, tags[1]), rtol=1e-3, atol=1e-5)
    codes = tuple(read_image(Path(str(pattern) % i)).tags.timecode for i in range(2))
    return told.colour, right, (told.frame_rate == RATE, codes == TIMECODES)


def as_table(rows: Sequence[dict[str, str]]) -> list[str]:
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return lines + ["| " + " | ".join(row[head] for head in heads) + " |" for row in rows]


def build_tables(folder: Path) -> dict[str, str]:
    """Build the tables of the page, by the names of their markers."""
    rows: dict[tuple[str, str], SinkFormat] = {}
    for row in sink_formats():
        if row.available:
            rows.setdefault((row.suffix, row.name), row)
    # ".tiff" and ".jpeg" are other names of the same.
    pictures = {row.codec: row for row in reversed(rows.values()) if row.suffix not in CONTAINERS}
    videos = [measure(row, folder) for row in rows.values() if row.suffix in CONTAINERS]
    numbered = [measure_pictures(row, folder) for row in reversed(pictures.values())]
    sounds = [measure_sound(suffix, folder) for suffix in CONTAINERS]
    beside = [
        describe_beside(suffix, [probe_with_pyav(path) for path in write_subtitle_clips(suffix, folder)])
        for suffix in CONTAINERS
    ]
    return {
        "formats": "\n".join([*as_table(videos), "", *as_table(sounds)]),
        "pictures": "\n".join(as_table(numbered)),
        "beside": "\n".join(as_table(beside)),
    }


def split_page(text: str, name: str) -> tuple[str, str, str]:
    """Split the page before, between and after the markers of a table."""
    start, end = f"<!-- {name}: written by tests/media/format_table.py -->\n", f"\n<!-- /{name} -->"
    before, _, rest = text.partition(start)
    between, _, after = rest.partition(end)
    return before + start, between, end + after


def main() -> int:
    """Write the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        tables = build_tables(Path(folder))
    for name, table in tables.items():
        before, _, after = split_page(text, name)
        text = before + table + after
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
