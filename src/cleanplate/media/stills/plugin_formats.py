"""Formats of still pictures that plug-ins bring; a plug-in's name is the suffix, without its dot."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from cleanplate.errors import InputError, UnavailableError
from cleanplate.frame import AnyArray, Pixels
from cleanplate.media.colour.bit_depth import check_layer
from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES, check_budget
from cleanplate.system.plugins import Plugin, explaining_plugin, find_plugins, load_plugin, working_plugins


class PictureFormat(Protocol):
    """A format of still pictures.

    Attributes:
        has_alpha: Whether it holds cut-outs.
        bit_depth: Largest number of bits of a sample: 8 or 16.
    """

    has_alpha: bool
    bit_depth: int

    def decode(self, data: bytes) -> AnyArray:
        """Decode a file to uint8 or uint16: ``(H, W)``, ``(H, W, 3)`` or straight ``(H, W, 4)``, upright.

        Raises:
            ValueError: The file is damaged; the text says where.
        """
        ...

    def encode(self, pixels: AnyArray) -> bytes:
        """Encode such pixels, contiguous; uint16 only if ``bit_depth`` is 16."""
        ...


def find_format(suffix: str) -> tuple[Plugin, PictureFormat] | None:
    """Load the plug-in for a suffix; None if there is none.

    Raises:
        UnavailableError: It is broken.
    """
    plugin = find_plugins("format").get(suffix.removeprefix(".")) if suffix else None
    return None if plugin is None else (plugin, load_plugin(plugin))


def list_formats() -> list[tuple[str, PictureFormat]]:
    """Load all formats of plug-ins, with their suffixes; a broken one is left out with a warning."""
    return [(f".{plugin.name}", found) for plugin, found in working_plugins("format")]


def read_by_plugin(path: Path, budget_bytes: int | None) -> tuple[Pixels, AnyArray | None] | None:
    """Read a file to colour and alpha; None if its suffix is one of cleanplate's own, or of no plug-in.

    Raises:
        InputError: It is damaged, or over the budget.
        UnavailableError: The plug-in is broken, or gives something else than pixels.
    """
    suffix = path.suffix.lower()
    found = None if suffix in IMAGE_SUFFIXES else find_format(suffix)
    if found is None:
        return None
    plugin, kind = found
    data = path.read_bytes()
    try:
        with explaining_plugin(plugin):
            pixels = kind.decode(data)
    except UnavailableError as error:
        if isinstance(error.__cause__, ValueError):
            raise InputError(f"{path} is damaged or cut short: {error.__cause__}.") from error
        raise
    with explaining_plugin(plugin):
        if not isinstance(pixels, np.ndarray):
            raise TypeError(f"decode gave {type(pixels).__name__}, not an array")
        check_layer(pixels, (1, 3, 4))
    height, width = pixels.shape[:2]
    check_budget(path, width, height, pixels.nbytes // max(1, height * width), budget_bytes)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2), None
    return np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].copy() if pixels.shape[2] == 4 else None


def encode_by_plugin(plugin: Plugin, kind: PictureFormat, pixels: AnyArray) -> bytes:
    """Encode pixels of no more bits than the format has.

    Raises:
        UnavailableError: The plug-in is broken.
    """
    with explaining_plugin(plugin):
        encoded = kind.encode(pixels)
        if not isinstance(encoded, bytes):
            raise TypeError(f"encode gave {type(encoded).__name__}, not bytes")
    return encoded
