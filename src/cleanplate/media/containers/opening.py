"""Opening of media files, limited to formats that do not refer to other files.

FFmpeg recognises a format by its content, not by its name: a few lines of text can be a list of other files
or of network addresses, which it would open. Only formats that contain their pictures and sounds are
opened here, and only as files.
"""

from __future__ import annotations

import re
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from cleanplate.errors import InputError
from cleanplate.media.files import url_of
from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES
from cleanplate.system.pipes import PipeReader, name_input
from cleanplate.system.system_errors import reason_of

_VIDEO = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    *("matroska,webm", "avi", "mpegts", "mpegtsraw", "mpeg", "mpegvideo", "flv", "kux", "live_flv", "ogg"),
    *("asf", "asf_o", "mxf", "gxf", "lxf", "nut", "nuv", "ivf", "rm", "dv", "swf", "wtv", "ty", "pva", "nsv"),
    *("h261", "h263", "h264", "hevc", "vvc", "evc", "av1", "obu", "m4v", "vc1", "vc1test", "mjpeg"),
    *("mjpeg_2000", "dirac", "dnxhd", "cavsvideo", "avs2", "avs3", "apv", "yuv4mpegpipe", "mpjpeg"),
    *("gif", "apng", "jpegxl_anim", "cine", "r3d", "mlv", "ser", "filmstrip", "fits", "v210", "v210x"),
    *("bink", "smk", "roq", "flic", "film_cpk", "ea", "4xm", "vmd", "xmv", "usm", "thp", "mtv", "smjpeg"),
    *("dhav", "ifv", "iv8", "luodat", "hxvs", "mxg", "moflex", "mods", "ivr", "vivo", "siff", "rpl", "iff"),
)
_SOUND = (
    *("mp3", "aac", "ac3", "eac3", "ac4", "dts", "dtshd", "truehd", "mlp", "flac", "wav", "w64", "aiff"),
    *("caf", "au", "voc", "amr", "ape", "tta", "wv", "tak", "oma", "dsf", "mpc", "mpc8", "loas", "iamf"),
)
_PICTURES = (
    *("bmp", "cri", "dds", "dpx", "exr", "gif", "hdr", "j2k", "jpeg", "jpegls", "jpegxl", "jpegxs", "pam"),
    *("pbm", "pcx", "pfm", "pgm", "pgmyuv", "pgx", "phm", "photocd", "png", "ppm", "psd", "qdraw", "qoi"),
    *("sgi", "sunrast", "svg", "tiff", "webp", "xbm", "xpm", "xwd"),
)
"""Formats of pictures, recognised only for a clear error."""

FORMATS = (*_VIDEO, *_SOUND, *(f"{name}_pipe" for name in _PICTURES))
"""FFmpeg's names of demuxers that open no other file: no concat, hls, dash, imf, sdp, image2, vobsub."""

PROTOCOLS = "file,pipe"

CONFINED = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": PROTOCOLS}
"""Options for :func:`av.open`."""

_PLAYLISTS = {
    "ffconcat": re.compile(r"ffconcat\s+version"),
    "HLS or M3U": re.compile(r"#EXTM3U|#EXTINF"),
    "DASH": re.compile(r"(?s)\s*(<\?xml.*?)?<MPD\b"),
    "Smooth Streaming": re.compile(r"(?s)\s*(<\?xml.*?)?<SmoothStreamingMedia\b"),
    "IMF": re.compile(r"(?s)\s*(<\?xml.*?)?<(\w+:)?(AssetMap|CompositionPlaylist)\b"),
    "SDP": re.compile(r"v=0\r?\n"),
    "PLS": re.compile(r"(?i)\s*\[(playlist|reference)\]"),
}

_LOOKED_AT = 4096
"""Number of bytes at the start that show whether a file is text."""


_TABLE = re.compile(r'(?i)([^\n]*[,;\t])?\s*"?(clip|source)"?\s*[,;\t\n]')
"""Heading of a manifest."""

PICTURE_HINT = "key a picture with cleanplate image; name a numbered sequence as name_%05d.png"
_NUT, _Y4M = b"nut/multimedia container\0", b"YUV4MPEG2 "

_BUFFER_BYTES = 1 << 20
"""Size of a read from a pipe; FFmpeg's 32 kB would mean 800 calls for a picture of 4K."""


def open_media(path: Path, hardware: HWAccel | None = None) -> InputContainer:
    """Open one file with a demuxer that opens no other.

    Raises:
        av.FFmpegError, OSError: FFmpeg cannot read it, or its format is not one of :data:`FORMATS`.
    """
    return av.open(url_of(path), metadata_errors="replace", container_options=CONFINED, hwaccel=hardware)


def open_container(path: Path, hardware: HWAccel | None = None) -> InputContainer:
    """Open a file that FFmpeg recognises as a video; :class:`InputError` with the reason for other files."""
    try:
        container = open_media(path, hardware)
    except av.FFmpegError as error:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
        raise _explain(path, start, error) from error
    if container.format.name.endswith("_pipe"):
        container.close()
        raise InputError(f"{path} is a picture, not a video.", PICTURE_HINT)
    return container


def open_piped(path: Path, reader: PipeReader) -> InputContainer:
    """Open a stream that FFmpeg recognises as a video by its first bytes.

    Args:
        path: ``-`` or a named pipe.
        reader: Gives its bytes.

    Raises:
        InputError: It is no video, or one that can only be read from a file.
    """
    name = name_input(path)
    start = reader.beginning[:_LOOKED_AT]
    options = CONFINED
    if start.startswith(_NUT):
        # Its header and one packet tell all; FFmpeg would wait for twenty frames, which may come late.
        options = {**options, "fpsprobesize": "0"}
    if _has_late_index(start):
        # FFmpeg reads a short one to its end, and then finds no frame.
        raise _refuse_late_index(name)
    try:
        container = av.open(
            reader, "r", metadata_errors="replace", container_options=options, buffer_size=_BUFFER_BYTES
        )
    except av.FFmpegError as error:
        reader.check()
        if start[4:8] == b"ftyp":
            raise _refuse_late_index(name) from error
        if start.startswith(_Y4M):
            header = start.removeprefix(_Y4M).partition(b"\n")[0][:80].decode("ascii", "replace")
            raise InputError(
                f"{name} is Y4M of a kind that FFmpeg cannot read: {header}.",
                "pipe it as NUT, or convert it: -pix_fmt yuv420p",
            ) from error
        text = _read_text(start)
        if text is not None and _TABLE.match(text):
            raise InputError(
                f"{name} is a table of clips, not a video.", "give the manifest as a file: shots.csv"
            ) from error
        raise _explain(name, start, error) from error
    if container.format.name.endswith("_pipe"):
        container.close()
        raise InputError(f"{name} is a picture, not a video.", "key a picture with cleanplate image -")
    return container


def _has_late_index(start: bytes) -> bool:
    """Tell by the first bytes of an MP4 whether its index comes after its pictures."""
    before, pictures, _ = start.partition(b"mdat")
    return start[4:8] == b"ftyp" and bool(pictures) and b"moov" not in before


def _refuse_late_index(name: Path | str) -> InputError:
    return InputError(
        f"{name} is MP4 or MOV with its index at the end, and a pipe cannot be read from its end.",
        "pipe it as NUT (ffmpeg -f nut), or give the file",
    )


def _explain(path: Path, start: bytes, error: av.FFmpegError) -> InputError:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return InputError(f"{path} is a picture, not a video.", PICTURE_HINT)
    if start[4:8] == b"ftyp":
        return InputError(
            f"{path} is damaged: it has no index, as after an interrupted recording.",
            "a repair tool may restore it with a sound file of the same camera",
        )
    text = _read_text(start)
    if text is None:
        return InputError(f"{path} is not a video that FFmpeg can read ({reason_of(error)}).")
    for name, pattern in _PLAYLISTS.items():
        if pattern.match(text):
            return InputError(
                f"{path} is a playlist ({name}), not a video, and would open other files.",
                "give the video itself",
            )
    return InputError(f"{path} is not a video that FFmpeg can read (it looks like text).")


def _read_text(start: bytes) -> str | None:
    """The start of a file as text; None if it is none."""
    for encoding in ("utf-8-sig", "utf-16") if start[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            # The last character may be cut in two.
            text = start.decode(encoding, errors="ignore" if len(start) == _LOOKED_AT else "strict")
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
            return text
    return None
