"""Names of results: of several layers, in a folder, or beside the source."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cleanplate.media.guard import check_files
from cleanplate.system.pipes import STANDARD, is_standard, name_input
from cleanplate.system.temporary_files import make_folder
from cleanplate.vocabulary import LAYERS

IMAGE_SUFFIXES = dict.fromkeys(LAYERS, ".png")
VIDEO_SUFFIXES = dict.fromkeys(LAYERS, ".mov") | {"composite": ".mp4"}

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
        source: The picture or clip to key.
        layers: Layers to write.
        out: A file; or a folder, which exists or ends with a slash; or None for the source's own folder; or
            ``-`` for standard output, which takes one layer.
            A file is the name of the cutout, or of the first layer where there is no cutout; the others get
            the layer's name before the suffix.
        suffixes: The suffix of each layer if ``out`` is not a file.
    """
    if is_standard(out):
        return {layers[0]: Path(STANDARD)}
    if out is None or is_folder(out):
        folder = source.parent if out is None else Path(out)
        return {layer: folder / f"{_stem(source)}.{_INFIXES[layer]}{suffixes[layer]}" for layer in layers}
    out = Path(out)
    main = "cutout" if "cutout" in layers else layers[0]
    return {
        layer: out if layer == main else out.with_name(f"{out.stem}.{layer}{out.suffix}") for layer in layers
    }


def is_folder(out: str | Path) -> bool:
    """Tell whether ``out`` exists as a folder, or was written as one."""
    return not is_standard(out) and _is_folder(out)


def _is_folder(out: str | Path) -> bool:
    return str(out).endswith(("/", "\\")) or Path(out).is_dir()


def is_result(path: Path) -> bool:
    """Tell whether a name has the form of :func:`name_outputs`: ``photo.alpha.png``.

    >>> is_result(Path("photo.alpha.png")), is_result(Path("photo.png"))
    (True, False)
    """
    return Path(path.stem).suffix.lstrip(".") in _INFIXES.values()


def plan_outputs(
    source: Path,
    layers: Sequence[str],
    out: str | os.PathLike[str] | None,
    suffixes: dict[str, str],
    inputs: Sequence[object] = (),
    reports: Sequence[Path] = (),
) -> dict[str, Path]:
    """Name the file of each layer, make the folder, and refuse results that would replace an input.

    Args:
        source: The picture or clip to key.
        layers: Layers to write.
        out: As for :func:`cleanplate.jobs.naming.name_outputs`.
        suffixes: As for :func:`cleanplate.jobs.naming.name_outputs`.
        inputs: Further inputs; only text and paths count.
        reports: Further output files.

    Raises:
        OutputError: A result is an input, or another result.
    """
    out = None if out is None else os.fspath(out)
    if out is not None and is_folder(out):
        make_folder(out)
    paths = name_outputs(source, layers, out, suffixes)
    check_files([source, *inputs], [*paths.values(), *reports])
    return paths


def _stem(source: Path) -> str:
    """The name without its suffix and a sequence's number: ``shot_%05d.png`` is ``shot``."""
    stem = name_input(source).stem
    before, *rest = _NUMBER.split(stem, maxsplit=1)
    return (before.rstrip("_-. ") or "sequence") if rest else stem
