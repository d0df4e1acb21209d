"""What results are called when several layers are written, or only a folder is named, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """Make the folder ``out``, but not what it should lie in: a mistyped path must not grow a tree.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        Path(out).mkdir(exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"The folder {out} cannot be made: {reason}.", "name one that exists") from error


def protect_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write a result over what it is made from, whether overwriting is allowed or not.

    Raises:
        OutputError: One of ``outputs`` is one of ``inputs``.
    """
    known = {path.resolve() for path in inputs}
    for output in outputs:
        if output.resolve() in known:
            raise OutputError(
                f"{output} would overwrite what it is made from.", "choose another name with -o"
            )


def _stem(source: Path) -> str:
    """The name without its suffix and a sequence's number: ``shot_%05d.png`` is ``shot``."""
    if "%" not in source.stem:
        return source.stem
    return source.stem.partition("%")[0].rstrip("_-. ") or "sequence"
