"""Key real pairs with the Python package, for the browser to repeat: ``python parity.py FOLDER``.

For each pair: photo and plate as they were shot, the plate as the package fitted it (transparent where it is
unknown), all raw RGBA, and the package's alpha and cut-out; ``pairs.json`` lists them. For the sample also a
hint, with a white stroke over the wall and a black one over an arm, and alpha with it. The captures of
``<repository>/../shared/data/real`` are taken where they are there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import cleanplate
from cleanplate.frame import Frame
from cleanplate.media import read_image
from cleanplate.plate import fit_plate, load_plate

ROOT = Path(__file__).resolve().parents[3]
REAL = ROOT.parent / "shared/data/real"


def main(folder: Path) -> None:
    pairs = {"sample": (ROOT / "samples/photo.jpg", ROOT / "samples/plate.jpg")}
    for name in ("desk_cup", "leaves", "glass", "bottle"):
        if (REAL / name).is_dir():
            pairs[name] = (REAL / name / "photo_a.jpg", REAL / name / "plate_a.jpg")
    entries = []
    for name, (photo_path, plate_path) in pairs.items():
        photo = Frame(read_image(photo_path).pixels)
        plate = load_plate(plate_path)
        fitted = fit_plate(plate, photo)
        for quality, scale in (("fine", "fine"), ("live", "auto")):
            matte = cleanplate.Keyer(fitted, scale=scale)(photo)
            stem = f"{name}.{quality}"
            matte.alpha.tofile(folder / f"{stem}.alpha")
            matte.foreground.tofile(folder / f"{stem}.foreground")
            height, width = matte.alpha.shape
            entries.append({"name": name, "quality": quality, "height": height, "width": width})
        if name == "sample":
            hint = draw_hint(*photo.pixels.shape[:2])
            hint.tofile(folder / "sample.hint")
            cleanplate.Keyer(fitted, scale="auto", hint=hint)(photo).alpha.tofile(folder / "sample.hinted")
        write_rgba(folder / f"{name}.photo", photo.pixels, None)
        write_rgba(folder / f"{name}.plate", plate.pixels, None)
        write_rgba(folder / f"{name}.fitted", fitted.pixels, fitted.valid)
    (folder / "pairs.json").write_text(json.dumps(entries))


def draw_hint(height: int, width: int) -> np.ndarray[Any, Any]:
    hint = np.zeros((height, width, 4), np.uint8)
    cv2.line(hint, (280, 600), (340, 800), (255, 255, 255, 255), 30)
    cv2.line(hint, (1420, 780), (1460, 960), (0, 0, 0, 255), 30)
    return hint


def write_rgba(
    path: Path, pixels: np.ndarray[Any, Any], valid: np.ndarray[Any, np.dtype[np.bool_]] | None
) -> None:
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    if valid is not None:
        opaque[~valid] = 0
    np.concatenate([pixels, opaque], axis=2).tofile(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
