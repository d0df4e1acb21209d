"""Make the pictures of the README and of docs/ from the bundled samples: ``python docs/make_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import cleanplate
from cleanplate.compositing.over import over
from cleanplate.frame import Frame
from cleanplate.media import read_image, write_image
from cleanplate.plate import Plate, fit_plate

ROOT = Path(__file__).resolve().parent.parent
GAP = 12
PANEL = (440, 400)  # height, width
MOTION = 61
"""Length of the motion blur in pixels."""


STOP = 2 ** (1 / 2.2)


def main() -> None:
    show_cut_out()
    show_plate_fit()
    show_edges()
    show_limits()


def show_cut_out() -> None:
    """Show photo, plate, alpha and a composite, side by side."""
    photo = read_image(ROOT / "samples/photo.jpg").pixels
    plate = read_image(ROOT / "samples/plate.jpg").pixels
    matte = cleanplate.Keyer(plate, scale="fine")(photo)
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


def show_edges() -> None:
    """Show the hair of the sample at full size: photo, true alpha, alpha, subject over grey."""
    photo = read_image(ROOT / "samples/photo.jpg").pixels
    truth = read_image(ROOT / "samples/photo_alpha.png").pixels
    matte = cleanplate.Keyer(ROOT / "samples/plate.jpg", scale="fine")(photo)
    soft = (truth[..., 0] > 20) & (truth[..., 0] < 235)
    weight = cv2.blur(soft.astype(np.float32), PANEL[::-1])
    row, column = (int(x) for x in np.unravel_index(weight.argmax(), weight.shape))
    top = min(max(row - PANEL[0] // 2, 0), photo.shape[0] - PANEL[0])
    left = min(max(column - PANEL[1] // 2, 0), photo.shape[1] - PANEL[1])
    alpha = np.repeat((matte.alpha * 255).round().astype(np.uint8)[..., None], 3, axis=2)
    grey = over(matte.foreground, matte.alpha, np.full_like(photo, 128))
    panels = [x[top : top + PANEL[0], left : left + PANEL[1]] for x in (photo, truth, alpha, grey)]
    gap = np.full((PANEL[0], GAP, 3), 255, np.uint8)
    joined = np.hstack([part for panel in panels for part in (panel, gap)][:-1])
    write_image(ROOT / "docs/images/edges.jpg", joined, overwrite=True, quality=90)


def show_limits() -> None:
    """Failures, with true alpha and alpha: a subject of 30%, a coat in the wall's colour, fast motion."""
    photo, plate, truth = (
        read_image(ROOT / "samples" / name).pixels.astype(np.float32)
        for name in ("photo.jpg", "plate.jpg", "photo_alpha.png")
    )
    truth = truth[..., :1] / 255
    subject = (photo - plate) * truth
    ghost = plate + 0.3 * subject, 0.3 * truth
    # The coat is the blue part of the subject; its folds stay, its colour becomes the wall's.
    blue = np.clip((photo[..., 2:] - photo[..., :1]) / 30, 0, 1) * truth
    blue = cv2.GaussianBlur(blue, (0, 0), 2)[..., None]
    folds = photo.mean(axis=2, keepdims=True) - cv2.GaussianBlur(photo.mean(axis=2), (0, 0), 20)[..., None]
    coat = photo + blue * (plate + 0.3 * folds - photo), truth
    sweep = np.full((1, MOTION), 1 / MOTION, np.float32)
    blurred = cv2.filter2D(truth, -1, sweep)[..., None]
    moved = cv2.filter2D(photo * truth, -1, sweep) + (1 - blurred) * plate, blurred
    rows = []
    for picture, alpha in (ghost, coat, moved):
        pixels = np.clip(picture, 0, 255).round().astype(np.uint8)
        made = cleanplate.Keyer(ROOT / "samples/plate.jpg", scale="fine")(pixels).alpha[..., None]
        masks = [np.repeat((x * 255).round().astype(np.uint8), 3, axis=2) for x in (alpha, made)]
        rows.append([_wide(panel) for panel in (pixels, *masks)])
    _write_rows(rows, "limits.jpg")


def show_plate_fit() -> None:
    """Show a plate of a bumped tripod with another exposure, unfitted and fitted, and the mattes."""
    photo = read_image(ROOT / "samples/photo.jpg").pixels
    plate = read_image(ROOT / "samples/plate.jpg").pixels
    height, width = plate.shape[:2]
    bump = cv2.getRotationMatrix2D((width / 2, height / 2), 2.0, 1.0)
    bump[:, 2] += (8, -6)
    faulty = cv2.warpAffine(plate, bump, (width, height), flags=cv2.INTER_CUBIC)
    faulty = np.clip(faulty / STOP * np.array([1.1, 1.0, 0.95]), 0, 255).astype(np.uint8)
    fitted = fit_plate(Plate(faulty), Frame(photo))
    as_it_is = fit_plate(Plate(faulty), Frame(photo), align=False, photometric=False)
    rows = []
    for side in (as_it_is, fitted):
        off = np.minimum(3.0 * cv2.absdiff(side.pixels, photo), 255).astype(np.uint8)
        alpha = cleanplate.Keyer(side)(photo).alpha
        matte = np.repeat((alpha * 255).round().astype(np.uint8)[..., None], 3, axis=2)
        known = np.ones((height, width), bool) if side.valid is None else side.valid
        shown = np.where(known[..., None], side.pixels, np.uint8(255))
        rows.append([_wide(panel) for panel in (shown, off, matte)])
    _write_rows(rows, "plate_fit.jpg")


def _write_rows(rows: list[list[np.ndarray]], name: str) -> None:
    """Write panels of one size as a table, with white gaps."""
    gap = np.full((rows[0][0].shape[0], GAP, 3), 255, np.uint8)
    joined = [np.hstack([part for panel in row for part in (panel, gap)][:-1]) for row in rows]
    between = np.full((GAP, joined[0].shape[1], 3), 255, np.uint8)
    table = np.vstack([part for row in joined for part in (row, between)][:-1])
    write_image(ROOT / "docs/images" / name, table, overwrite=True, quality=88)


def _wide(panel: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(panel, (560, 315), interpolation=cv2.INTER_AREA))


def _fit(panel: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(panel, PANEL[::-1], interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
