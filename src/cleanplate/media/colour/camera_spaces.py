"""Colour spaces of cameras and of ACES, found in OpenColorIO's configuration: the extra ``vfx``.

The configuration is that of ``$OCIO``, or else the studio configuration inside of the library. A space is
named by a word of :data:`cleanplate.vocabulary.words.INPUT_COLOURS`, or as the configuration names it,
aliases included.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cleanplate.errors import InputError, MissingExtraError, OptionError
from cleanplate.media.iso_boxes import find_box
from cleanplate.vocabulary.words import INPUT_COLOURS

BUILT_IN = "ocio://studio-config-latest"
"""The configuration without ``$OCIO``: that of the Academy, with the spaces of the cameras' makers."""

SRGB_WORD = "srgb"
"""Word for code values that are shown as they are."""

_ALIASES: dict[str, tuple[str, ...]] = {
    "slog3": ("slog3_sgamut3cine", "slog3_sgamutcine"),
    "logc3": ("arri_logc3_ei800", "logc3ei800_alexawide"),
    "logc4": ("arri_logc4",),
    "vlog": ("vlog_vgamut",),
    "canonlog2": ("canonlog2_cinemagamut_d55", "canonlog2_cgamutday"),
    "canonlog3": ("canonlog3_cinemagamut_d55", "canonlog3_cgamutday"),
    "log3g10": ("log3g10_redwidegamutrgb", "rl3g10_rwg"),
    "acescct": ("acescct", "acescct_ap1"),
    "acescg": ("acescg", "lin_ap1"),
}
"""Names of the words' spaces in the Academy's configurations, of this and of earlier versions."""

_SIDECARS = ("{stem}M01.XML", "{stem}.XML")
"""Names of the XML beside a clip: Sony's, of XAVC in MP4 and in MXF."""

_LARGEST_XML = 1 << 20
"""Largest box of metadata that is searched, in bytes: Sony's has some four thousand."""

_SONY_GAMUTS = {
    "s-gamut3-cine": "slog3_sgamut3cine",
    "s-gamut3": "slog3_sgamut3",
}

_GAMMAS: tuple[tuple[str, str], ...] = (
    ("slog3cine", "slog3_sgamut3cine"),
    ("slog3", "slog3"),
    ("logc4", "logc4"),
    ("logc3", "logc3"),
    ("logc", "logc3"),
    ("vlog", "vlog"),
    ("canonlog2", "canonlog2"),
    ("clog2", "canonlog2"),
    ("canonlog3", "canonlog3"),
    ("clog3", "canonlog3"),
    ("log3g10", "log3g10"),
    ("applelog", "apple_log"),
    ("dlog", "dlog_dgamut"),
)
"""Names of curves in metadata, as letters and digits alone, and their spaces; the longer name first."""

_GAMMA_TAGS = (
    "com.arri.camera.colorgammasxs",
    "com.dji.camera.colorgammasxs",
    "com.atomos.hdr.gamma",
    "com.atomos.hdr.gammacurve",
    "com.apple.proapps.customgamma",
)
"""Tags of QuickTime files in which cameras and recorders name the curve."""

_CHROMATICITIES = {
    "lin_ap1": (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767),
    "lin_ap0": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
}
"""Primaries and white of ACEScg and ACES2065-1 (SMPTE ST 2065-1, S-2014-004)."""


def load_library(purpose: str) -> Any:
    """Import OpenColorIO.

    Args:
        purpose: The subject of the error's sentence.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import PyOpenColorIO
    except ImportError:
        raise MissingExtraError("vfx", purpose) from None
    return PyOpenColorIO


def config_name() -> str:
    """File or name of the configuration: that of ``$OCIO``, or the built-in one."""
    return os.environ.get("OCIO") or BUILT_IN


def load_config(purpose: str) -> Any:
    """The configuration of ``$OCIO``, or the built-in one.

    Raises:
        MissingExtraError: OpenColorIO is not installed.
        InputError: The file of ``$OCIO`` is missing or damaged.
    """
    return _open_config(load_library(purpose), config_name())


@lru_cache(maxsize=2)
def _open_config(library: Any, named: str) -> Any:
    if named == BUILT_IN:
        return library.Config.CreateFromBuiltinConfig(BUILT_IN)
    if not named.startswith("ocio://") and not Path(named).is_file():
        raise InputError(
            f"$OCIO names '{named}', which is no file.", "unset it for the built-in configuration"
        )
    try:
        return library.Config.CreateFromFile(named)
    except library.Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"The configuration of $OCIO, '{named}', cannot be read: {reason}.",
            "unset it for the built-in configuration",
        ) from None


def find_space(name: str) -> str:
    """The configuration's own name of a space.

    Args:
        name: A word, a name or an alias.

    Raises:
        OptionError: The configuration has no such space, or it holds data; the hint has similar names.
        InputError, MissingExtraError: As of :func:`load_config`.
    """
    config = load_config(f"The colour space '{name}'")
    for candidate in _ALIASES.get(name.lower(), (name,)):
        space = config.getColorSpace(candidate)
        if space is not None:
            if space.isData():
                raise OptionError(
                    f"The space '{space.getName()}' holds data, not colour.", "name another one"
                )
            return str(space.getName())
    raise OptionError(f"OpenColorIO's configuration has no colour space '{name}'.", _suggest(config, name))


def _suggest(config: Any, name: str) -> str:
    known: dict[str, str] = {word: word for word in INPUT_COLOURS}
    for space in config.getColorSpaces():
        if not space.isData():
            known |= {alias.lower(): space.getName() for alias in (space.getName(), *space.getAliases())}
    wanted = name.lower()
    close = difflib.get_close_matches(wanted, known, n=6, cutoff=0.5)
    close += [other for other in known if wanted in other]
    names = list(dict.fromkeys(known[other] for other in close))[:4]
    return "similar: " + ", ".join(names) if names else "known: " + ", ".join(INPUT_COLOURS)


def space_of_primaries(chromaticities: tuple[float, ...] | None) -> str | None:
    """Alias of the linear space with the primaries and the white of a file of light.

    Args:
        chromaticities: x and y of its red, green, blue and white.

    Returns:
        None unless they are those of ACES.
    """
    if chromaticities is None:
        return None
    for name, known in _CHROMATICITIES.items():
        # Files have the white rounded to three or four digits.
        if all(abs(a - b) < 0.0006 for a, b in zip(chromaticities, known, strict=True)):
            return name
    return None


def space_of_tags(metadata: Mapping[str, str]) -> str | None:
    """A log space that the tags of a clip name; None if they name none.

    Args:
        metadata: Tags with their names in lower case.
    """
    for tag in _GAMMA_TAGS:
        if (space := _space_of_gamma(metadata.get(tag, ""))) is not None:
            return space
    return None


def _space_of_gamma(text: str) -> str | None:
    letters = re.sub(r"[^a-z0-9]", "", text.lower().replace("slog3-cine", "slog3cine"))
    return next((space for gamma, space in _GAMMAS if gamma in letters), None)


def space_of_file(path: Path) -> str | None:
    """A log space that the XML of a Sony camera names.

    Args:
        path: The clip; the XML is a file beside it, or a box inside of an MP4.

    Returns:
        None without such an XML.
    """
    for pattern in _SIDECARS:
        beside = path.with_name(pattern.format(stem=path.stem))
        if beside.is_file() and beside.stat().st_size <= _LARGEST_XML:
            return _space_of_xml(beside.read_bytes())
    if path.suffix.lower() not in (".mp4", ".mov"):
        return None
    try:
        return _space_of_xml(_read_meta_box(path))
    except OSError:
        return None


def _read_meta_box(path: Path) -> bytes:
    """The content of a file's own ``meta`` box (ISO 14496-12, 8.11); empty without one."""
    with path.open("rb") as file:
        box = find_box(file, b"meta")
        if box is None or box[1] > _LARGEST_XML:
            return b""
        file.seek(box[0])
        return file.read(box[1])


def _space_of_xml(xml: bytes) -> str | None:
    found = dict(re.findall(rb'name="(Capture\w+)"\s+value="([^"]*)"', xml))
    gamma = found.get(b"CaptureGammaEquation", b"").decode(errors="replace")
    gamut = found.get(b"CaptureColorPrimaries", b"").decode(errors="replace").lower()
    space = _space_of_gamma(gamma)
    return _SONY_GAMUTS.get(gamut, space) if space == "slog3" else space
