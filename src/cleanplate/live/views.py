"""Views of a frame in the window."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from cleanplate.compositing.over import alpha_picture, over
from cleanplate.frame import Pixels
from cleanplate.live.session import Shown

VIEWS = ("result", "source", "alpha", "split")

CHECKS = ((102, 102, 102), (153, 153, 153))
CHECK_SHARE = 1 / 36
"""Side of a square of the transparency pattern, as a share of the height."""

SEAM = (240, 240, 236)


def render_view(shown: Shown, view: str, *, mirrored: bool = False) -> Pixels:
    """Make the picture of a view, uint8 RGB ``(height, width, 3)``, in new memory.

    Args:
        shown: The result for a frame. Without a matte every view is the source.
        view: One of :data:`VIEWS`; ``split`` is the source on the left and the result on the right.
        mirrored: Swap left and right, as in a mirror.
    """
    source = shown.frame.pixels
    if shown.matte is None or view == "source":
        picture: Pixels = source.copy()
    elif view == "alpha":
        picture = np.asarray(cv2.cvtColor(alpha_picture(shown.matte), cv2.COLOR_GRAY2RGB))
    else:
        picture = _render_result(shown)
    if mirrored:
        picture, source = np.asarray(cv2.flip(picture, 1)), np.asarray(cv2.flip(source, 1))
    if view == "split" and shown.matte is not None:
        middle = picture.shape[1] // 2
        picture[:, :middle] = source[:, :middle]
        picture[:, middle - 1 : middle + 1] = SEAM
    return picture


def _render_result(shown: Shown) -> Pixels:
    matte = shown.matte
    if not shown.transparent or matte is None:
        return np.array(shown.result)
    return over(matte.foreground, matte.alpha, _paint_checks(*matte.alpha.shape))


@lru_cache(maxsize=1)
def _paint_checks(height: int, width: int) -> Pixels:
    side = max(4, round(CHECK_SHARE * height))
    y, x = np.mgrid[0:height, 0:width] // side
    picture: Pixels = np.array(CHECKS, np.uint8)[(y + x) % 2]
    return picture
