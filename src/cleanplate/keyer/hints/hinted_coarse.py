"""A hint in the coarse result, before cells are selected for the refiner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, Frame, Padding
from cleanplate.keyer.hints.hint_spread import spread_hint
from cleanplate.keyer.hints.hint_tracking import Hint
from cleanplate.router import Coarse
from cleanplate.router.router import Router

TAKEN = 0.05
"""Change of alpha from which the hint decides, and the refiner does not run: it sees the plate's colour where
the hint sees the subject, and took the change back in the experiment."""


def apply_hint(
    coarse: Coarse[Any], hint: Hint, source: Any, router: Router[Any], frame: Frame, padding: Padding
) -> Coarse[Any]:
    """Change the coarse result of one frame by a hint; the same object if the hint agrees with it.

    Where the hint decides, the error is -1, so that no cell is refined, and the foreground is the source.

    Args:
        coarse: Maps of one frame.
        hint: The hint.
        source: The padded picture.
        router: The runtime's.
        frame: The frame.
        padding: Padding of the picture.
    """
    alpha, residual, error = (router.bring(maps)[0] for maps in (coarse.alpha, coarse.residual, coarse.error))
    size = (alpha.shape[1], alpha.shape[2])
    guide = router.bring(router.shrink(source, size, "area"))[0]
    white, black = (_fit(mask, frame, padding, size) for mask in (hint.white, hint.black))
    own = alpha[0]
    spread = spread_hint(guide, own, np.clip(error[0], 0, 1), white, black)
    if np.array_equal(spread, own):
        return coarse
    changed = own + np.float32(hint.weight) * (spread - own)
    taken = cv2.dilate(np.abs(changed - own), np.ones((3, 3), np.uint8)) > TAKEN
    # An opaque foreground is the source.
    mixed = np.where(changed > own, (1 - changed) / np.maximum(1 - own, np.float32(1e-6)), np.float32(1))
    return replace(
        coarse,
        alpha=router.take(changed[None, None]),
        residual=router.take((residual * mixed)[None]),
        error=router.take(np.where(taken, np.float32(-1), error[0])[None, None]),
    )


def _fit(mask: BoolArray, frame: Frame, padding: Padding, size: tuple[int, int]) -> Float32Array:
    """Strokes at the size of the maps, which show the padded frame."""
    height, width = padding.padded_size
    rows, columns = (
        max(1, round(frame.height * size[0] / height)),
        max(1, round(frame.width * size[1] / width)),
    )
    larger = rows > mask.shape[0]
    small = cv2.resize(
        mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    )
    return np.pad(small, [(0, size[0] - rows), (0, size[1] - columns)], mode="edge")
