"""What results are called when several layers are written, or only a folder is named, or nothing."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cleanplate.errors import OutputError

LAYERS = ("cutout", "alpha", "foreground", "composite", "shadow", "error", "refine")

SHADOWS = ("remove", "keep", "separate")
"""What may become of the subject's shadow: it is left out, put into alpha as black, or a layer of its own."""

ALPHAS = ("straight", "premultiplied")
"""How a cut-out's colour relates to its alpha: apart from it, or multiplied by it."""

SOURCE_ALPHAS = ("use", "ignore")
"""Handling of a source's own alpha channel: multiply it into the matte, or ignore it."""

IMAGE_SUFFIXES = dict.fromkeys(LAYERS, ".png")
VIDEO_SUFFIXES = dict.fromkeys(LAYERS, ".mov") | {"composite": ".mp4"}

CHOOSE = "choose another name or add --overwrite"
"""The hint where a result exists."""

_NUMBER = re.compile(r"%0?\d*d")

_INFIXES = {layer: layer for layer in LAYERS} | {"cutout": "cleanplate"}


def name_outputs(
    source: Path, layers: Sequence[str], out: str | Path | None, suffixes: Mapping[str, str]
) -> dict[str, Path]:
    """Give every layer a path.

    >>> name_outputs(Path("clip.mp4"), ["cutout", "alpha"], "cut.mov", VIDEO_SUFFIXES)["alpha"].name
    'cut.alpha.mov'
    >>> name_outputs(Path("clip.mp4"), ["cutout"], None, VIDEO_SUFFIXES)["cutout"].name
    'clip.cleanplate.mov'

    Args:
        source: The picture or clip that is keyed.
        layers: What is written.
        out: A file; or a folder, which exists or ends with a slash; or None for the source's own folder.
            A file is the name of the cutout, or of the first layer where there is no cutout; the others get
            the layer's name before the suffix.
        suffixes: The suffix of each layer where ``out`` names no file.
    """
    if out is None or is_folder(out):
        folder = source.parent if out is None else Path(out)
        return {layer: folder / f"{_stem(source)}.{_INFIXES[layer]}{suffixes[layer]}" for layer in layers}
    out = Path(out)
    main = "cutout" if "cutout" in layers else layers[0]
    return {
        layer: out if layer == main else out.with_name(f"{out.stem}.{layer}{out.suffix}") for layer in layers
    }


def is_folder(out: str | Path) -> bool:
    """Whether ``out`` exists as a folder, or was written as one."""
    return str(out).endswith(("/", "\\")) or Path(out).is_dir()


def is_result(path: Path) -> bool:
    """Whether :func:`name_outputs` would call a result so: ``photo.alpha.png``.

    >>> is_result(Path("photo.alpha.png")), is_result(Path("photo.png"))
    (True, False)
    """
    return Path(path.stem).suffix.lstrip(".") in _INFIXES.values()


def make_folder(out: str | Path) -> None:
    """Make the folder ``out`` and its parents, where they are missing.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"The folder {out} cannot be made: {reason}.", "choose another folder") from error


def work_folder(path: Path) -> Path:
    """The folder in which a video grows, with its checkpoint: ``cut.mov.partial`` beside ``cut.mov``."""
    return path.with_name(f"{path.name}.partial")


def claim_partial(path: Path) -> Path:
    """Create an empty temporary file beside ``path``: ``name.partial.ext``, ``name.partial-2.ext`` and so on.

    The suffix stays, so that other programs can open an unfinished result. The file is created exclusively:
    a name that exists, be it a file of the user's, the input or a link, is left alone, and the next is tried.

    Raises:
        OSError: It cannot be created.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    for number in itertools.count(1):
        partial = path.with_name(f"{path.stem}.partial{f'-{number}' if number > 1 else ''}{path.suffix}")
        with suppress(FileExistsError):
            os.close(os.open(partial, flags, 0o666))
            return partial
    raise AssertionError("unreachable")


def move_into_place(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Give a finished temporary file its name.

    Raises:
        OutputError: Another file has appeared at ``path`` in the meantime, and ``overwrite`` is not set.
        OSError: It cannot be moved.
    """
    if overwrite:
        partial.replace(path)
        return
    try:
        os.link(partial, path)  # unlike a rename, it fails where a file exists
    except FileExistsError:
        raise OutputError(f"{path} exists already: it appeared during the run.", CHOOSE) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):  # a broken link counts
            raise OutputError(f"{path} exists already: it appeared during the run.", CHOOSE) from None
        partial.replace(path)
    else:
        partial.unlink()


def _stem(source: Path) -> str:
    """The name without its suffix and a sequence's number: ``shot_%05d.png`` is ``shot``."""
    before, *rest = _NUMBER.split(source.stem, maxsplit=1)
    return (before.rstrip("_-. ") or "sequence") if rest else source.stem
