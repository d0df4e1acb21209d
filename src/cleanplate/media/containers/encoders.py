"""FFmpeg's encoders and how cleanplate drives each: pixel formats, rate, options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from cleanplate.errors import OptionError
from cleanplate.media.colour.h273 import ColourCodes
from cleanplate.media.colour.hdr import Hdr
from cleanplate.media.contract import Encoding
from cleanplate.vocabulary import LAYERS

Options = dict[str, str]


@dataclass(frozen=True)
class Rate:
    """A constant rate factor: the quality that an encoder keeps constant instead of the bit rate.

    Attributes:
        option: FFmpeg's name for it.
        default: Visually lossless value.
        best: The lowest value, for a quality of 100.
        worst: The highest value, close to a quality of 1.
    """

    option: str
    default: int
    best: int = 0
    worst: int = 51

    def choose(self, encoding: Encoding) -> str:
        """Choose the factor for the options; :class:`OptionError` outside the encoder's limits."""
        if encoding.crf is not None:
            if not self.best <= encoding.crf <= self.worst:
                raise OptionError(
                    f"Expected a rate factor from {self.best} (the best) to {self.worst}, "
                    f"got {encoding.crf:g}."
                )
            return f"{encoding.crf:g}"
        if encoding.quality is None:
            return str(self.default)
        return str(round(self.best + (100 - encoding.quality) / 100 * (self.worst - self.best)))


@dataclass(frozen=True, eq=False)  # each is one of a kind, and can be looked up by itself
class Encoder:
    """One of FFmpeg's encoders and how cleanplate drives it.

    Attributes:
        name: The user's name of the codec; several encoders may share it, the preferred one first.
        codec: FFmpeg's name of the encoder.
        pixel_formats: For each layer that it can hold, the formats for sources of 8 bits and of more.
        bit_depth: Largest number of bits of a sample.
        common_bits: Largest number of bits that most players support; more are used only on request.
        rate: The scale of its quality; None for a fixed quality.
        options: FFmpeg's options for every source.
        profiles: FFmpeg's name or number of the profile for pixel formats that need one.
        hdr_options: Function from HDR metadata to FFmpeg's options.
        threading: "FRAME" encodes several frames at once, "SLICE" parts of one.
        full_range: Whether full-range YUV survives; ProRes is limited range by definition.
        even: Whether height and width have to be even.
        opaque: The code value that this encoder turns into an alpha of 1, if it is not the highest one.
        hurried: Options that replace others for frames in real time.
        tag: Four-letter name of the codec in MP4 and MOV, if not all players support FFmpeg's choice.
        device: The kind of hardware that it runs on, of :mod:`cleanplate.media.containers.hardware`; "" for
            software.
        colour_codes: The colour tags that its header can hold, if it cannot hold all.
        handed_in: Pixel formats of its input, if they differ from those above only in the layout.
        most_alpha_pixels: Largest cut-out, in pixels with both sides rounded up to 16; None without a limit.
        lossy: Options that replace others if a quality of 1 to 100 is requested, which it takes unchanged;
            None: it takes none.
    """

    name: str
    codec: str
    pixel_formats: Mapping[str, tuple[str, str]]
    bit_depth: int
    common_bits: int = 16
    rate: Rate | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)
    hdr_options: Callable[[Hdr], Options] | None = None
    threading: str = "SLICE"
    full_range: bool = True
    even: tuple[bool, bool] = (False, False)
    opaque: float | None = None
    hurried: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    device: str = ""
    handed_in: Mapping[str, str] = field(default_factory=dict)
    colour_codes: ColourCodes = field(default_factory=ColourCodes)
    lossy: Mapping[str, str] | None = None
    most_alpha_pixels: int | None = None

    def holds(self, layer: str, height: int, width: int) -> bool:
        """Tell whether it encodes a layer of this size."""
        pixels = (-(-height // 16) * 16) * (-(-width // 16) * 16)
        return layer != "cutout" or self.most_alpha_pixels is None or pixels <= self.most_alpha_pixels

    @property
    def available(self) -> bool:
        """True if the installed FFmpeg has it; a hardware encoder may still fail."""
        return _has_encoder(self.codec)

    def choose_options(self, pixel_format: str, encoding: Encoding, hdr: Hdr | None = None) -> Options:
        """FFmpeg's options for one stream.

        Raises:
            OptionError: A quality or rate factor for a codec without one, or out of its limits.
        """
        options = dict(self.options)
        if self.rate is not None:
            options[self.rate.option] = self.rate.choose(encoding)
        elif self.lossy is not None and encoding.crf is None:
            if encoding.quality is not None:
                options.update(self.lossy, quality=str(encoding.quality))
        elif encoding.quality is not None or encoding.crf is not None:
            asked = encoding.crf if encoding.quality is None else encoding.quality
            raise OptionError(
                f"{self.name} has one quality and takes no other, got {asked:g}.",
                "leave out --quality and --crf",
            )
        if pixel_format in self.profiles:
            options["profile"] = self.profiles[pixel_format]
        if encoding.real_time:
            options.update(self.hurried)
        if hdr is not None and self.hdr_options is not None:
            for option, value in self.hdr_options(hdr).items():
                # Options of the encoder's own library are one text, joined by colons.
                options[option] = ":".join(filter(None, (options.get(option), value)))
        return options

    def pixel_format(self, layer: str, *, deep: bool) -> str:
        """The pixel format for a layer, of a source of 8 bits or of more (``deep``)."""
        return self.pixel_formats[layer][deep]


@cache
def _has_encoder(codec: str) -> bool:
    try:
        Codec(codec, "w")
    except UnknownCodecError:
        return False
    return True


_GREY_LAYERS = tuple(layer for layer in LAYERS if layer not in ("cutout", "foreground", "composite"))


def _opaque(shallow: str, deep: str) -> dict[str, tuple[str, str]]:
    """All layers but cut-outs."""
    return dict.fromkeys((*_GREY_LAYERS, "foreground", "composite"), (shallow, deep))


def _grey(shallow: str, deep: str) -> dict[str, tuple[str, str]]:
    """The layers of one channel."""
    return dict.fromkeys(_GREY_LAYERS, (shallow, deep))


# Composites in ProRes are 4:2:2, as edit suites expect of a finished picture; the foreground keeps all of its
# chroma, because it will be multiplied by an alpha as sharp as its own edge.
_PRORES_422 = _opaque("yuv422p10le", "yuv422p10le")
_PRORES_444 = _opaque("yuv444p10le", "yuv444p10le") | {"cutout": ("yuva444p10le", "yuva444p10le")}
_PRORES_FITTING = _PRORES_422 | {layer: _PRORES_444[layer] for layer in ("cutout", "foreground")}
# SMPTE RDD 36, tables 5 to 7.
_PRORES_CODES = ColourCodes(
    frozenset({"bt709", "smpte170m", "bt2020nc"}),
    frozenset({"bt709", "bt470bg", "smpte170m", "bt2020", "smpte431", "smpte432"}),
    frozenset({"bt709", "smpte2084", "arib-std-b67"}),
)
_AW_ALPHA_PIXELS = ((1 << 28) - 16_900) // 16
"""Limit of prores_aw (FFmpeg 8): its buffer of 16 bytes a pixel has to have fewer than 2^31 bits. 5760x2880
works, 4096x4320 and 8K fail with "internal bug"."""
_PRORES_HQ, _PRORES_4444, _PRORES_XQ = "3", "4", "5"


def _prores(name: str, formats: Mapping[str, tuple[str, str]], profile_444: str) -> tuple[Encoder, ...]:
    """Two encoders of FFmpeg for one name.

    prores_aw has the visual quality of prores_ks in a third of its time. It shifts alpha up to the 16 bits of
    ProRes, while prores_ks repeats the upper bits: its opaque value is 65472 of 65535.
    """
    profiles = {"yuv422p10le": _PRORES_HQ, "yuv444p10le": profile_444, "yuva444p10le": profile_444}
    quick = Encoder(
        name,
        "prores_aw",
        formats,
        10,
        profiles=profiles,
        threading="FRAME",
        full_range=False,
        even=(False, True),
        opaque=65535 / 64,
        colour_codes=_PRORES_CODES,
        most_alpha_pixels=_AW_ALPHA_PIXELS,
    )
    thorough = Encoder(
        name,
        "prores_ks",
        formats,
        10,
        options={"alpha_bits": "16"},
        profiles=profiles,
        threading="FRAME",
        full_range=False,
        colour_codes=_PRORES_CODES,
    )
    return quick, thorough


PRORES = (
    *_prores("prores", _PRORES_FITTING, _PRORES_4444),
    *_prores("prores-4444", _PRORES_444, _PRORES_4444),
    *_prores("prores-xq", _PRORES_444, _PRORES_XQ),
)
QTRLE = Encoder("qtrle", "qtrle", _opaque("rgb24", "rgb24") | {"cutout": ("argb", "argb")}, 8)
PNG = Encoder(
    "png",
    "png",
    _opaque("rgb24", "rgb48be") | _grey("gray", "gray16be") | {"cutout": ("rgba", "rgba64be")},
    16,
    options={"pred": "sub", "compression_level": "1"},
    threading="FRAME",
)
APNG = Encoder(
    "apng",
    "apng",
    _opaque("rgb24", "rgb48be") | _grey("gray", "gray16be") | {"cutout": ("rgba", "rgba64be")},
    16,
    options={"pred": "sub", "compression_level": "3"},
)
WEBP_ANIMATION = Encoder(
    "webp",
    "libwebp_anim",
    _opaque("bgr0", "bgr0") | _grey("gray", "gray") | {"cutout": ("bgra", "bgra")},
    8,
    # A frame of the sample clip, 1280x720: 0.04 s and 149 kB; with level 4 and quality 75, 0.11 s and 135 kB.
    options={"lossless": "1", "compression_level": "1", "quality": "20"},
    lossy={"lossless": "0", "compression_level": "4"},
    handed_in={"bgr0": "bgra", "gray": "bgra"},
)
FFV1 = Encoder(
    "ffv1",
    "ffv1",
    _opaque("bgr0", "gbrp16le") | _grey("gray", "gray16le") | {"cutout": ("bgra", "gbrap16le")},
    16,
    options={"level": "3", "slices": "4", "slicecrc": "1"},
)
VP9 = Encoder(
    "vp9",
    "libvpx-vp9",
    _opaque("yuv420p", "yuv420p") | {"cutout": ("yuva420p", "yuva420p")},
    8,
    rate=Rate("crf", default=20, worst=63),
    options={
        "b": "0",
        "deadline": "good",
        "cpu-used": "5",
        "row-mt": "1",
        "tile-columns": "2",
        # Hidden reference frames and alpha exclude each other: the alpha encoder does not support them.
        "auto-alt-ref": "0",
    },
    hurried={"deadline": "realtime", "cpu-used": "8"},
    colour_codes=ColourCodes(frozenset({"bt709", "bt470bg", "smpte170m", "smpte240m", "bt2020nc"})),
)
_BOTH = (True, True)
H264 = Encoder(
    "h264",
    "libx264",
    _opaque("yuv420p", "yuv420p10le"),
    10,
    common_bits=8,
    rate=Rate("crf", default=18),
    options={"preset": "faster"},  # size, time and PSNR of presets: docs/log.md, 2026-11-27
    hdr_options=lambda hdr: {"x264-params": hdr.for_x264()},
    threading="FRAME",
    even=_BOTH,
    hurried={"preset": "superfast"},
)
HEVC = Encoder(
    "hevc",
    "libx265",
    _opaque("yuv420p", "yuv420p10le"),
    10,
    rate=Rate("crf", default=20),
    # The encoder writes its own log to stderr, not through FFmpeg's.
    options={"preset": "fast", "x265-params": "log-level=none"},
    hdr_options=lambda hdr: {"x265-params": hdr.for_x265()},
    threading="FRAME",
    even=_BOTH,
    hurried={"preset": "superfast"},
    tag="hvc1",
)
AV1 = Encoder(
    "av1",
    "libsvtav1",
    _opaque("yuv420p", "yuv420p10le"),
    10,
    rate=Rate("crf", default=23, worst=63),
    options={"preset": "8"},
    hdr_options=lambda hdr: {"svtav1-params": hdr.for_svt_av1()},
    hurried={"preset": "12"},
)
# x265 can do it too, but no PyAV of PyPI has it built in, and FFmpeg refuses to open it.
HEVC_ALPHA = Encoder(
    "hevc-alpha",
    "hevc_videotoolbox",
    {"cutout": ("bgra", "bgra")},
    8,
    options={"alpha_quality": "1", "flags": "+qscale", "global_quality": "7670"},
    even=_BOTH,
    tag="hvc1",
)
