"""Measures the other streams and tags of a video, for docs/media.md; see format_table.py."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.subtitles.subtitle import SubtitleSet

from cleanplate.media import open_sink, open_source

TIMECODE = "10:11:12:23"
REEL = "A003C012"
SUBTITLES = {"subrip": "fra", "ass": "ita", "webvtt": "spa", "mov_text": "por"}
"""Kinds, and the language that a track of each is found by."""

ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
TRACKS = {"eng": "Boom", "jpn": "Commentary"}
CHAPTERS = ("Arrival", "Departure")
CREATED = "2024-05-06T07:08:09"


def rich_clip(path: Path, subtitles: Sequence[str]) -> None:
    """Make a second of video with sound, subtitles, chapters and tags."""
    with av.open(str(path), "w") as output:
        output.metadata.update({"title": "Shot 7", "creation_time": f"{CREATED}.000000Z"})
        video: Any = output.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video.metadata.update({"timecode": TIMECODE, "reel_name": REEL})
        tracks: list[Any] = [output.add_stream("aac", rate=48000) for _ in TRACKS]
        for track, (language, title) in zip(tracks, TRACKS.items(), strict=True):
            track.layout = "stereo"
            track.metadata.update({"language": language, "title": title})
        texts: list[Any] = [output.add_stream(kind) for kind in subtitles]
        tick = Fraction(1, 1000)
        for text, kind in zip(texts, subtitles, strict=True):
            text.codec_context.subtitle_header = ASS_HEADER
            text.codec_context.time_base = text.time_base = tick
            text.metadata["language"] = SUBTITLES[kind]
        chapters = [
            {"id": i + 1, "start": 500 * i, "end": 500 * (i + 1), "time_base": tick, "metadata": {"title": t}}
            for i, t in enumerate(CHAPTERS)
        ]
        output.set_chapters(chapters)
        if path.suffix == ".mkv":
            output.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
        for text in texts:
            line = SubtitleSet.create(b"0,0,Default,,0,0,0,,Hello", 0, 500, 200)
            packet = text.codec_context.encode_subtitle(line)
            packet.stream, packet.time_base = text, tick
            output.mux(packet)
        for i in range(25):
            for track in tracks:
                chunk = av.AudioFrame.from_ndarray(
                    np.zeros((2, 1920), np.float32), format="fltp", layout="stereo"
                )
                chunk.sample_rate, chunk.pts, chunk.time_base = 48000, 1920 * i, Fraction(1, 48000)
                output.mux(track.encode(chunk))
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = i
            output.mux(video.encode(frame))
        for each in (*tracks, video):
            output.mux(each.encode(None))


def write_subtitle_clips(suffix: str, folder: Path) -> list[Path]:
    """Write two clips that together have all kinds of subtitles."""
    found = []
    for name, subtitles in (("rich.mkv", ("subrip", "ass", "webvtt")), ("rich.mov", ("mov_text",))):
        clip, path = folder / name, folder / f"{name[-3:]}-rich{suffix}"
        if not clip.exists():
            rich_clip(clip, subtitles)
        if not path.exists():
            with open_source(clip) as source, open_sink(path, source.info, layer="composite") as sink:
                for frame in source:
                    sink.write(frame.pixels, frame)
        found.append(path)
    return found


def probe_with_pyav(path: Path) -> dict[str, Any]:
    """Read the description of a file, in the form of ffprobe."""
    with av.open(str(path)) as container:
        streams = [
            {
                "codec_type": stream.type,
                "codec_name": None
                if stream.codec_context is None
                else stream.codec_context.codec.canonical_name,
                "tags": dict(stream.metadata),
            }
            for stream in container.streams
        ]
        chapters = [{"tags": dict(entry["metadata"])} for entry in container.chapters()]
        return {"format": {"tags": dict(container.metadata)}, "streams": streams, "chapters": chapters}


def describe_beside(suffix: str, files: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Make a row of the table from the two files of :func:`write_subtitle_clips`."""
    first = files[0]
    streams = [
        {**stream, "tags": {key.lower(): value for key, value in stream.get("tags", {}).items()}}
        for file in files
        for stream in file["streams"]
    ]
    whole = {key.lower(): value for key, value in first["format"]["tags"].items()}

    def tagged(name: str, value: str) -> str:
        return "kept" if value in [whole.get(name), *(s["tags"].get(name) for s in streams)] else "–"

    sounds = {
        s["tags"].get("language"): s["tags"].get("title", s["tags"].get("name"))
        for s in streams[: len(first["streams"])]
        if s["codec_type"] == "audio"
    }
    found = {s["tags"].get("language"): s["codec_name"] for s in streams if s["codec_type"] == "subtitle"}
    copied = [kind for kind, language in SUBTITLES.items() if found.get(language) == kind]
    became = {
        found[language] for kind, language in SUBTITLES.items() if found.get(language) not in (kind, None)
    }
    kept = len(found) == len(SUBTITLES)
    return {
        "name ends in": f"`{suffix}`",
        "timecode": tagged("timecode", TIMECODE),
        "reel name": tagged("reel_name", REEL),
        "chapters": "kept" if [c["tags"].get("title") for c in first["chapters"]] == list(CHAPTERS) else "–",
        "sound tracks": "all, with language" if list(sounds) == list(TRACKS) else "–",
        "their titles": "kept" if sounds == TRACKS else "–",
        "subtitles copied": ", ".join(copied) or "–",
        "other text becomes": (", ".join(sorted(became)) or "–") if kept else "some is lost",
        "title": tagged("title", "Shot 7"),
        "creation time": "kept" if whole.get("creation_time", "").startswith(CREATED) else "–",
        "attached fonts": "kept" if any(s["codec_type"] == "attachment" for s in streams) else "–",
    }
