"""Make the README's picture from the bundled sample: ``python docs/make_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import cleanplate
from cleanplate.composite import over
from cleanplate.media import read_image, write_image

ROOT = Path(__file__).resolve().parent.parent
GAP = 12
PANEL = (440, 400)  # height, width


def main() -> None:
    photo = read_image(ROOT / "samples/photo.jpg").pixels
    plate = read_image(ROOT / "samples/plate.jpg").pixels
    matte = cleanplate.Keyer(plate)(photo)
    height, width = photo.shape[:2]
    sky = np.linspace((250, 196, 120), (70, 110, 190), height)[:, None]
    backdrop = np.broadcast_to(sky, (height, width, 3)).round().astype(np.uint8)
    alpha = np.repeat((matte.alpha * 255).round().astype(np.uint8)[..., None], 3, axis=2)
    panels = [photo, plate, alpha, over(matte.foreground, matte.alpha, backdrop)]
    # The subject's half of the frame, and its hair at full size.
    columns = np.nonzero(matte.alpha.max(axis=0) > 0.5)[0]
    middle = int(columns.mean())
    half = int(height * PANEL[1] / PANEL[0] / 2)
    left = min(max(middle - half, 0), width - 2 * half)
    row = [_fit(panel[:, left : left + 2 * half]) for panel in panels]
    gap = np.full((PANEL[0], GAP, 3), 255, np.uint8)
    joined = np.hstack([part for panel in row for part in (panel, gap)][:-1])
    write_image(ROOT / "docs/images/hero.jpg", joined, overwrite=True, quality=90)


def _fit(panel: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(panel, PANEL[::-1], interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
