"""The options that ``image``, ``video`` and ``bench`` share: added by one function, carried by one object."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.models.registry import DEFAULT_MODEL
from cleanplate.vocabulary import ALPHAS, EXR_CHANNELS, LAYERS, RUNTIMES, SHADOWS, SOURCE_ALPHAS

if TYPE_CHECKING:
    from cleanplate.compositing.finish import Finish
    from cleanplate.media import Encoding


@dataclass(frozen=True)
class KeyerOptions:
    """How mattes are made; the fields are the keyword arguments of :class:`cleanplate.Keyer`."""

    model: str
    runtime: str
    device: str
    scale: str
    refine: str
    precision: str = "auto"
    align: bool = True
    follow: bool = False
    shadow: str = "remove"
    keep: str | None = None
    ignore: str | None = None
    source_alpha: str = "use"


@dataclass(frozen=True)
class MattingOptions:
    """What ``image`` and ``video`` were asked for."""

    source: Path
    plate: Path | None
    out: str | None
    save: list[str] | None
    background: str | None
    alpha: str | None
    linear: bool
    quality: int | None
    compression: str | None
    channels: tuple[str, ...]
    despill: float
    matte_choke: float
    matte_blur: float
    matte_gamma: float
    overwrite: bool
    quiet: bool
    keyer: KeyerOptions

    def make_encoding(self, **more: Any) -> Encoding:
        """How results are encoded; ``more`` are fields that only videos have."""
        from cleanplate.media import Encoding

        return Encoding(quality=self.quality, compression=self.compression, channels=self.channels, **more)

    def make_finish(self) -> Finish:
        """The last touch that was asked for."""
        from cleanplate.compositing.finish import Finish

        return Finish(
            despill=self.despill,
            choke_pixels=self.matte_choke,
            blur_pixels=self.matte_blur,
            gamma=self.matte_gamma,
        )


def add_keyer_options(parser: argparse.ArgumentParser, *, scale: str = "fine") -> None:
    """Add what chooses and tunes the network; ``scale`` is the default."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME", help=f"name or file (default: {DEFAULT_MODEL})"
    )
    group.add_argument("--runtime", default="auto", metavar="NAME", help="auto, " + ", ".join(RUNTIMES))
    group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, ...")
    group.add_argument(
        "--precision",
        default="auto",
        metavar="NAME",
        help="auto, float32, float16 or bfloat16 (PyTorch)",
    )
    group.add_argument(
        "--scale",
        default=scale,
        help=f"of the coarse network: auto (real time), fine or 0.125..1 (default: {scale})",
    )
    group.add_argument(
        "--refine", default="auto", metavar="HOW", help="auto, sampling:80000, threshold:0.1 or full"
    )


def add_data_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the data sets and backgrounds that cases are made from."""
    parser.add_argument(
        "--data", nargs="+", action="extend", default=[], required=required, metavar="SPEC",
        help="[NAME=]FOLDER[:WEIGHT]",
    )  # fmt: skip
    parser.add_argument(
        "--backgrounds", nargs="+", action="extend", default=[], type=Path, metavar="PATH",
        help="folders of pictures and videos, or video files",
    )  # fmt: skip


def add_matting_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that keying a picture and keying a clip have in common."""
    parser.add_argument(
        "--plate",
        type=Path,
        metavar="PLATE",
        help="picture of the empty set; or auto (video), none",
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="file or folder of the result")
    parser.add_argument(
        "--save", nargs="+", choices=LAYERS, metavar="LAYER", help="any of: " + ", ".join(LAYERS)
    )
    parser.add_argument(
        "--background", metavar="WHAT", help="for the composite: colour, picture, video or 'blur'"
    )
    parser.add_argument(
        "--alpha",
        choices=ALPHAS,
        help="colour of the cut-out: apart from alpha, or multiplied by it (default: multiplied in EXR)",
    )
    parser.add_argument(
        "--linear", action="store_true", help="mix the composite as light, not as code values"
    )
    parser.add_argument(
        "--despill",
        type=float,
        default=0.0,
        metavar="AMOUNT",
        help="take the plate's colour off edges, 0 (default) to 1",
    )
    for name, default, metavar, what in (
        ("choke", 0.0, "PIXELS", "move the edge of alpha in; out if negative"),
        ("blur", 0.0, "PIXELS", "blur alpha, by its standard deviation"),
        ("gamma", 1.0, "G", "above 1: denser where translucent; below: thinner"),
    ):
        parser.add_argument(f"--matte-{name}", type=float, default=default, metavar=metavar, help=what)
    parser.add_argument(
        "--shadow",
        choices=SHADOWS,
        default="remove",
        help="remove the subject's, keep it in alpha, or write it to a file of its own, to multiply with",
    )
    for name, what in (("keep", "surely the subject"), ("ignore", "never the subject")):
        parser.add_argument(
            f"--{name}",
            metavar="REGION",
            help=f"what is {what}: picture, video, rect:x,y,w,h[,feather] or polygon:x,y,...[,feather=f]",
        )
    parser.add_argument(
        "--source-alpha",
        choices=SOURCE_ALPHAS,
        default="use",
        metavar="HOW",
        help="alpha channel of the source: use (default) or ignore",
    )
    parser.add_argument("--no-align", action="store_true", help="take the plate as it is, do not move it")
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors and results")
    add_keyer_options(parser)
    group = parser.add_argument_group("encoding")
    group.add_argument("--quality", type=int, metavar="N", help="1 to 100, where the codec has a choice")
    group.add_argument(
        "--exr-compression", metavar="NAME", help="zip (default), zips, piz, rle, none, dwaa:45, dwab:45"
    )
    group.add_argument(
        "--exr-channels",
        nargs="+",
        default=[],
        choices=EXR_CHANNELS,
        metavar="NAME",
        help="beside the colour in EXR: " + ", ".join(EXR_CHANNELS),
    )


def keyer_options(arguments: argparse.Namespace) -> KeyerOptions:
    """Collect what :func:`add_keyer_options` added."""
    return KeyerOptions(
        model=arguments.model,
        runtime=arguments.runtime,
        device=arguments.device,
        scale=arguments.scale,
        refine=arguments.refine,
        precision=arguments.precision,
        align=not getattr(arguments, "no_align", False),
        follow=getattr(arguments, "follow", False),
        shadow=getattr(arguments, "shadow", "remove"),
        keep=getattr(arguments, "keep", None),
        ignore=getattr(arguments, "ignore", None),
        source_alpha=getattr(arguments, "source_alpha", "use"),
    )


def matting_options(arguments: argparse.Namespace) -> MattingOptions:
    """Collect what :func:`add_matting_options` added, with the source."""
    return MattingOptions(
        source=arguments.source,
        plate=None if str(arguments.plate) == "none" else arguments.plate,
        out=arguments.output,
        save=arguments.save,
        background=arguments.background,
        alpha=arguments.alpha,
        linear=arguments.linear,
        quality=arguments.quality,
        compression=arguments.exr_compression,
        channels=tuple(arguments.exr_channels),
        despill=arguments.despill,
        matte_choke=arguments.matte_choke,
        matte_blur=arguments.matte_blur,
        matte_gamma=arguments.matte_gamma,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
        keyer=keyer_options(arguments),
    )
