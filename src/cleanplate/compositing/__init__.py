"""Mattes into pixels: the *over* equation, backdrops, finish, layers, linear light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.compositing.backdrops import VideoBackdrop, open_backdrop
    from cleanplate.compositing.finish import Finish
    from cleanplate.compositing.layers import render_layer
    from cleanplate.compositing.over import alpha_picture, premultiply, straight_rgba
    from cleanplate.compositing.still_backdrops import (
        Backdrop,
        BlurBackdrop,
        ColourBackdrop,
        PictureBackdrop,
        parse_colour,
    )

__all__ = [
    "Backdrop",
    "BlurBackdrop",
    "ColourBackdrop",
    "Finish",
    "PictureBackdrop",
    "VideoBackdrop",
    "alpha_picture",
    "open_backdrop",
    "parse_colour",
    "premultiply",
    "render_layer",
    "straight_rgba",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "VideoBackdrop": "backdrops",
            "open_backdrop": "backdrops",
            "Finish": "finish",
            "render_layer": "layers",
            "Backdrop": "still_backdrops",
            "BlurBackdrop": "still_backdrops",
            "ColourBackdrop": "still_backdrops",
            "PictureBackdrop": "still_backdrops",
            "alpha_picture": "over",
            "parse_colour": "still_backdrops",
            "premultiply": "over",
            "straight_rgba": "over",
        },
    )
