"""Layers of a run: their choice, their names, and the conversion of a matte to the pixels of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cleanplate.compositing.linear_layers import show_data
from cleanplate.compositing.over import (
    alpha_picture,
    data_picture,
    fold_shadow,
    over,
    premultiply,
    shadow_picture,
    straight_rgba,
)
from cleanplate.compositing.still_backdrops import Backdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Matte, Pixels
from cleanplate.media.colour.transfer import SRGB
from cleanplate.media.contract import Encoding
from cleanplate.media.stills.image_writer import tells_premultiplied
from cleanplate.vocabulary import ALPHAS, LAYERS

ON_DEVICE = {"cutout", "alpha", "foreground", "composite"}
"""Layers with a device version, in code values; a run with any other layer uses main memory."""

NO_LIGHT = "Mattes that stay on the device give no linear light."

PathLike = str | os.PathLike[str]
Background = str | os.PathLike[str] | Pixels

Render = Callable[[Matte], Pixels]
"""Function from a matte to the pixels of one layer: ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``."""


def choose_shadow(shadow: str, save: Sequence[str] | None) -> str:
    """Choose the shadow mode: a shadow that is saved as a layer is separate.

    Raises:
        OptionError: It is wanted both in alpha and as a layer.
    """
    if save is None or "shadow" not in save:
        return shadow
    if shadow == "keep":
        raise OptionError(
            "The shadow is requested both in alpha and as a layer.", "use --shadow=separate to save it"
        )
    return "separate"


def choose_layers(
    save: Sequence[str] | None, background: Background | None, shadow: str = "remove"
) -> tuple[str, ...]:
    """List the layers to write, each once. A background implies the composite, a separate shadow itself.

    Raises:
        OptionError: An unknown layer, no layer, a composite without a background, or a background without a
            composite.
    """
    asked_apart = ("shadow",) if shadow == "separate" else ()
    if save is None:
        return ("cutout" if background is None else "composite", *asked_apart)
    named = (save,) if isinstance(save, str) else tuple(save)
    layers = tuple(dict.fromkeys(named + asked_apart))
    for layer in layers:
        _check_layer(layer)
    if not named:
        raise OptionError("There is no layer to save.", f"name some of {', '.join(LAYERS)}")
    if "composite" in layers and background is None:
        raise OptionError("A composite needs a background.", "add --background='#00b140', blur or a file")
    if "composite" not in layers and background is not None:
        raise OptionError(
            f"The background is not used by the saved layers: {', '.join(layers)}.", "add composite to --save"
        )
    return layers


def check_alpha(alpha: str | None, layers: Sequence[str]) -> None:
    """Check the kind of alpha; None is allowed.

    Raises:
        OptionError: It is unknown, or premultiplied without a cut-out among the layers.
    """
    if alpha is not None and alpha not in ALPHAS:
        raise OptionError(f"Expected alpha as {' or '.join(ALPHAS)}, got '{alpha}'.")
    if alpha == "premultiplied" and "cutout" not in layers:
        raise OptionError(
            f"Only a cut-out can be premultiplied, but the saved layers are: {', '.join(layers)}.",
            "add cutout to --save",
        )


def choose_alpha(path: Path, alpha: str | None) -> str:
    """Choose the alpha: the user's value, or the format's convention: EXR premultiplied, others straight."""
    return alpha or ("premultiplied" if holds_light(path) else "straight")


def holds_light(path: Path) -> bool:
    """Tell whether a file of this suffix holds linear light."""
    return path.suffix.lower() == ".exr"


def encode_layer(encoding: Encoding, path: Path, alpha: str | None) -> Encoding:
    """Encoding of one layer's file: its kind of alpha, and EXR's options only for EXR."""
    encoding = replace(encoding, premultiplied=choose_alpha(path, alpha) == "premultiplied")
    return encoding if holds_light(path) else replace(encoding, channels=(), compression=None)


def check_exr_options(encoding: Encoding, outputs: Mapping[str, Path]) -> None:
    """Check EXR's options.

    Raises:
        OptionError: A compression without an EXR file, or extra channels without an EXR file of colour.
    """
    names = ", ".join(path.name for path in outputs.values())
    if encoding.compression and not any(map(holds_light, outputs.values())):
        raise OptionError(f"Only EXR takes a compression, but the results are: {names}.", "write .exr")
    colours = [outputs[layer] for layer in ("cutout", "foreground", "composite") if layer in outputs]
    if encoding.channels and not any(map(holds_light, colours)):
        raise OptionError(
            f"Extra channels ({', '.join(encoding.channels)}) need colour in EXR, but {names} has none.",
            "write .exr, or save them as layers",
        )


def needs_maps(layers: Iterable[str], channels: Iterable[str] = ()) -> bool:
    """Tell whether any layer takes the keyer's maps: the expected error, and the refined cells."""
    return not {"error", "refine"}.isdisjoint((*layers, *channels))


def choose_place(asked: bool | None, layers: Iterable[str], *, in_light: bool) -> bool | None:
    """Tell whether mattes stay on the runtime's device, as ``on_device`` of :class:`cleanplate.Keyer`.

    Args:
        asked: The user's value; None: if it is possible and faster.
        layers: The layers to write.
        in_light: Whether any of them is in linear light.

    Raises:
        OptionError: ``asked`` is True with linear light.
    """
    if asked and in_light:
        raise OptionError(NO_LIGHT, "leave on_device out")
    if asked is None and (in_light or not ON_DEVICE.issuperset(layers)):
        return False
    return asked


def check_linear(linear: bool, layers: Sequence[str]) -> None:
    """Refuse linear mixing without a composite.

    Raises:
        OptionError: ``linear`` without a composite.
    """
    if linear and "composite" not in layers:
        raise OptionError(
            f"Linear light is for composites, but the saved layers are: {', '.join(layers)}.",
            "give a background, or write .exr, which is linear",
        )


def remind_of_alpha(alpha: str | None, outputs: Mapping[str, Path]) -> list[str]:
    """Note on a cut-out whose alpha differs from its format's convention, or cannot be tagged."""
    path = outputs.get("cutout")
    if path is None:
        return []
    kind = choose_alpha(path, alpha)
    if holds_light(path) and kind == "straight":
        return [
            f"{path.name} is straight, but EXR is premultiplied by convention: set this in the program "
            "that reads the file."
        ]
    if kind == "straight" or tells_premultiplied(path):
        return []
    return [
        f"{path.name} is premultiplied, but its format has no tag for this: set it in the program that "
        "reads the file, or it will multiply again."
    ]


def render_layer(
    layer: str, backdrop: Backdrop | None, *, alpha: str = "straight", transfer: str | None = None
) -> Render:
    """Function from a matte to the pixels of a layer, as code values.

    Args:
        layer: One of :data:`cleanplate.vocabulary.LAYERS`.
        backdrop: For the composite.
        alpha: The cut-out's, ``straight`` or ``premultiplied``.
        transfer: Mix the composite in linear light, by this transfer function; None: mix code values.

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
    if layer in ("error", "refine", "hint"):
        return lambda matte: data_picture(show_data(layer, matte, SRGB), matte.foreground.dtype)
    if backdrop is None:
        raise OptionError("A composite needs a background.", "add --background='#00b140', blur or a file")
    return lambda matte: _lay_over(matte, backdrop, transfer)


def _lay_over(matte: Matte, backdrop: Backdrop, transfer: str | None) -> Pixels:
    matte = fold_shadow(matte, transfer)
    behind = backdrop(matte.frame)
    if transfer is None:
        return over(matte.foreground, matte.alpha, behind)
    return over(matte.foreground, matte.alpha, behind, linear_light=True, transfer=transfer)


def _check_layer(layer: str) -> None:
    if layer not in LAYERS:
        raise OptionError(f"Unknown layer {layer!r}.", f"known: {', '.join(LAYERS)}")
