"""Files that refer to other files are refused under any name, by all readers of media."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cleanplate.cli import main
from cleanplate.compositing.backdrops import open_backdrop
from cleanplate.errors import CleanplateError, InputError
from cleanplate.keyer.regions import open_region
from cleanplate.media import open_source
from cleanplate.media.cameras.discovery import address_of_url, open_camera
from cleanplate.media.containers.opening import CONFINED, FORMATS, open_media
from cleanplate.plate import load_plate

MakeVideo = Callable[..., Path]

DASH = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
 mediaPresentationDuration="PT1S"><Period><AdaptationSet><Representation id="0" bandwidth="1000"
 mimeType="video/mp4"><BaseURL>{referenced_clip}</BaseURL></Representation></AdaptationSet></Period></MPD>"""
IMF = """<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">
<Id>urn:uuid:0</Id></CompositionPlaylist>"""
PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{referenced_clip}'\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{referenced_clip}\n#EXT-X-ENDLIST\n",
    "DASH": DASH,
    "IMF": IMF,
    "SDP": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "PLS": "[playlist]\nFile1={referenced_clip}\nNumberOfEntries=1\n",
}
TEXTS = {
    "reference": "# QTtext\n{referenced_clip}\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nHello\n",
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n",
    "ffmetadata": ";FFMETADATA1\ntitle=x\n",
}


@pytest.fixture
def referenced_clip(make_video: MakeVideo) -> Path:
    return make_video("referenced_clip.mkv", size=(48, 64))


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".txt"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_refused_by_any_name(
    tmp_path: Path, referenced_clip: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text(PLAYLISTS[kind].format(referenced_clip=referenced_clip), newline="")
    with pytest.raises(InputError, match=rf"x\{suffix} is a playlist \({kind}"):
        open_source(path)


@pytest.mark.parametrize("kind", TEXTS)
def test_other_text_files_are_no_videos(tmp_path: Path, referenced_clip: Path, kind: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_text(TEXTS[kind].format(referenced_clip=referenced_clip))
    with pytest.raises(InputError, match="not a video that FFmpeg can read"):
        open_source(path)


def test_playlists_are_refused_in_every_argument(tmp_path: Path, referenced_clip: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_text(PLAYLISTS["ffconcat"].format(referenced_clip=referenced_clip))
    uses: list[Callable[[], Any]] = [
        lambda: open_source(path),
        lambda: open_backdrop(path, None),
        lambda: open_region(path),
        lambda: load_plate(path),
        lambda: open_camera(str(path)),
        lambda: open_media(path),
    ]
    for use in uses:
        with pytest.raises((CleanplateError, av.FFmpegError)):
            use()


@pytest.mark.parametrize("option", ["clip", "plate", "background", "keep"])
def test_the_command_line_refuses_playlists(
    tmp_path: Path, referenced_clip: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    path = tmp_path / "x.mp4"
    path.write_text(PLAYLISTS["ffconcat"].format(referenced_clip=referenced_clip))
    plate = tmp_path / "plate.png"
    cv2.imwrite(str(plate), np.zeros((48, 64, 3), np.uint8))
    clip = path if option == "clip" else referenced_clip
    arguments = ["video", str(clip), "--plate", str(path if option == "plate" else plate)]
    if option in ("background", "keep"):
        arguments += [f"--{option}", str(path)]
    assert main([*arguments, "-o", str(tmp_path / "out.mkv")]) == 2
    said = capsys.readouterr().err
    assert "x.mp4" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out.mkv").exists()


def atom(name: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + name + data


def alias_of(path: Path) -> bytes:
    """A Macintosh alias with the absolute path of a file, as QuickTime's reference movies have them."""
    name = str(path).encode()
    return bytes(150) + struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2) + b"\xff\xff\x00\x00"


def refer_to(path: Path, other: Path) -> None:
    """Have the data of a movie's only track lie in another file."""
    data = path.read_bytes()
    own = atom(b"dinf", atom(b"dref", struct.pack(">II", 0, 1), atom(b"url ", b"\x00\x00\x00\x01")))
    foreign = atom(b"dinf", atom(b"dref", struct.pack(">II", 0, 1), atom(b"alis", bytes(4), alias_of(other))))
    at = data.index(own)
    added = len(foreign) - len(own)
    result = bytearray(data[:at] + foreign + data[at + len(own) :])
    for name in (b"moov", b"trak", b"mdia", b"minf"):
        start = result.index(name) - 4
        size = struct.unpack_from(">I", result, start)[0]
        struct.pack_into(">I", result, start, size + added)
    path.write_bytes(result)


def test_a_movie_with_external_pictures_is_refused(make_video: MakeVideo) -> None:
    movie = make_video("x.mov", codec="png", pixel_format="rgb24")
    other = make_video("other.mov", codec="png", pixel_format="rgb24")
    refer_to(movie, other)
    with av.open(str(movie), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert len(list(container.decode(video=0))) == 5, "the reference works where it is wanted"
    with pytest.raises(InputError, match="Not one frame"):
        open_source(movie)


def test_formats_with_references_are_refused() -> None:
    refused = {"concat", "hls", "dash", "imf", "sdp", "rtsp", "rtp", "sap", "image2", "vobsub", "lavfi"}
    refused |= {"webm_dash_manifest", "tty", "v4l2", "data", "rawvideo", "srt", "ass", "webvtt", "sbg"}
    names = {part for name in FORMATS for part in name.split(",")}
    assert not names & refused
    assert {"mxf", "matroska", "mp4", "avi", "mpegts", "flac", "png_pipe"} <= names
    assert CONFINED["protocol_whitelist"] == "file,pipe"


def test_mxf_files_are_read(make_video: MakeVideo) -> None:
    path = make_video("x.mxf", codec="mpeg2video", pixel_format="yuv422p", size=(64, 96))
    with open_source(path) as source:
        assert len(list(source)) == 5


def test_opening_a_file_uses_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        for text in (
            PLAYLISTS["HLS"].replace("file://{referenced_clip}", url),
            f"ffconcat version 1.0\nfile '{url}'\n",
        ):
            path = tmp_path / "x.mp4"
            path.write_text(text)
            with pytest.raises(InputError):
                open_source(path)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match="There is no file"):
            open_source(url)
        with pytest.raises(TimeoutError):
            server.accept()


def test_names_with_a_colon_are_files(
    referenced_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    referenced_clip.rename(tmp_path / "take:1.mkv")
    monkeypatch.chdir(tmp_path)
    with open_source("take:1.mkv") as source:
        assert len(list(source)) == 5


def test_a_stream_reads_no_files() -> None:
    allowed = address_of_url("rtsp://camera/1").options["protocol_whitelist"].split(",")
    assert {"rtsp", "tcp", "udp", "http", "https", "tls"} <= set(allowed)
    assert not {"file", "pipe", "concat", "data", "subfile"} & set(allowed)
    with pytest.raises(InputError, match="is a file"):
        address_of_url("file:///etc/passwd")
