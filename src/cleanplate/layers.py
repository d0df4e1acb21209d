"""What a run writes: which layers, under which names, and how a matte becomes the pixels of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cleanplate.composite import (
    Backdrop,
    alpha_picture,
    fold_shadow,
    over,
    premultiply,
    shadow_picture,
    straight_rgba,
)
from cleanplate.errors import OptionError
from cleanplate.frame import Matte, Pixels
from cleanplate.media.image_files import tells_premultiplied
from cleanplate.naming import ALPHAS, LAYERS, is_folder, make_folder, name_outputs, protect_inputs

PathLike = str | os.PathLike[str]
Background = str | os.PathLike[str] | Pixels

Render = Callable[[Matte], Pixels]
"""What turns a matte into the pixels of one layer: ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``."""


def choose_shadow(shadow: str, save: Sequence[str] | None) -> str:
    """What becomes of the shadow: who saves it as a layer wants it separate.

    Raises:
        OptionError: It was asked for in alpha and as a layer.
    """
    if save is None or "shadow" not in save:
        return shadow
    if shadow == "keep":
        raise OptionError(
            "The shadow was asked for in alpha and as a layer.", "use --shadow separate to save it"
        )
    return "separate"


def choose_layers(
    save: Sequence[str] | None, background: Background | None, shadow: str = "remove"
) -> tuple[str, ...]:
    """What to write: each layer once. A background asks for the composite, a separate shadow for itself.

    Raises:
        OptionError: An unknown layer, none, or a composite without a background or the other way round.
    """
    asked_apart = ("shadow",) if shadow == "separate" else ()
    if save is None:
        return ("cutout" if background is None else "composite", *asked_apart)
    named = (save,) if isinstance(save, str) else tuple(save)
    layers = tuple(dict.fromkeys(named + asked_apart))
    for layer in layers:
        _check_layer(layer)
    if not named:
        raise OptionError("There is no layer to save.", f"name some out of {', '.join(LAYERS)}")
    if "composite" in layers and background is None:
        raise OptionError("A composite needs a background.", "add --background '#00b140', blur or a file")
    if "composite" not in layers and background is not None:
        raise OptionError(
            f"The background is not used by what is saved: {', '.join(layers)}.", "add composite to --save"
        )
    return layers


def check_alpha(alpha: str, layers: Sequence[str]) -> None:
    """Refuse a kind of alpha that there is not, or that nothing of what is saved would have.

    Raises:
        OptionError: It is one of these.
    """
    if alpha not in ALPHAS:
        raise OptionError(f"Expected alpha as {' or '.join(ALPHAS)}, got '{alpha}'.")
    if alpha == "premultiplied" and "cutout" not in layers:
        raise OptionError(
            f"Only a cut-out can be premultiplied, and what is saved is {', '.join(layers)}.",
            "add cutout to --save",
        )


def remind_of_alpha(alpha: str, outputs: Mapping[str, Path]) -> list[str]:
    """What to tell of a premultiplied cut-out whose format cannot tell it."""
    path = outputs.get("cutout")
    if alpha == "straight" or path is None or tells_premultiplied(path):
        return []
    return [
        f"{path.name} is premultiplied, which its format has no tag for: "
        "tell so the program that reads it, or it will multiply again."
    ]


def plan_outputs(
    source: Path,
    layers: Sequence[str],
    out: PathLike | None,
    suffixes: dict[str, str],
    inputs: Sequence[object] = (),
) -> dict[str, Path]:
    """Name the file of each layer, make the folder it was asked into, and keep away from what is read."""
    out = None if out is None else os.fspath(out)
    if out is not None and is_folder(out):
        make_folder(out)
    paths = name_outputs(source, layers, out, suffixes)
    files = [Path(item) for item in inputs if isinstance(item, (str, os.PathLike))]
    protect_inputs(paths.values(), [source, *files])
    return paths


def render_layer(layer: str, backdrop: Backdrop | None, *, alpha: str = "straight") -> Render:
    """What turns a matte into the pixels of a layer; ``alpha`` is the cut-out's.

    Raises:
        OptionError: An unknown layer or kind of alpha, or a composite without a backdrop.
    """
    _check_layer(layer)
    check_alpha(alpha, [layer, "cutout"])
    if layer == "cutout" and alpha == "premultiplied":
        return lambda matte: premultiply(straight_rgba(matte))
    if layer == "cutout":
        return straight_rgba
    if layer == "alpha":
        return alpha_picture
    if layer == "foreground":
        return lambda matte: matte.foreground
    if layer == "shadow":
        return shadow_picture
    if backdrop is None:
        raise OptionError("A composite needs a background.", "add --background '#00b140', blur or a file")
    return lambda matte: _lay_over(fold_shadow(matte), backdrop)


def _lay_over(matte: Matte, backdrop: Backdrop) -> Pixels:
    return over(matte.foreground, matte.alpha, backdrop(matte.frame))


def _check_layer(layer: str) -> None:
    if layer not in LAYERS:
        raise OptionError(f"Unknown layer {layer!r}.", f"known: {', '.join(LAYERS)}")
