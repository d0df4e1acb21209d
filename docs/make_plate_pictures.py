"""Make the pictures of building, shadows and regions from the samples: ``docs/make_plate_pictures.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

import cleanplate
import cleanplate.keyer.regions
from cleanplate.media import read_image, write_image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs/images"
GAP, HEIGHT = 12, 300


def main() -> None:
    build()
    shadows()
    regions()


def build() -> None:
    """Show two frames, the plate built from the clip, and its confidence.

    The clip is made: the figure of the sample photo stands at the left for 60% of the time.
    """
    photo, plate = (read_image(ROOT / f"samples/{name}.jpg").pixels for name in ("photo", "plate"))
    alpha = read_image(ROOT / "samples/photo_alpha.png").pixels
    with tempfile.TemporaryDirectory() as folder:
        frames = []
        for number in range(40):
            left = -430 if number < 24 else 20 * (number - 24)
            figure, cover = (np.roll(picture, left, axis=1) for picture in (photo, alpha))
            share = cover / np.float32(np.iinfo(cover.dtype).max)
            frames.append(np.rint(figure * share + plate * (1 - share)).astype(np.uint8))
            write_image(Path(folder) / f"shot_{number:02}.jpg", frames[-1])
        built = cleanplate.build_plate(Path(folder) / "shot_%02d.jpg")
    save("plate-build.jpg", [frames[0], frames[-1], built.pixels, grey(built.seen)])


def shadows() -> None:
    """Show a composite with the shadow removed and kept, and the shadow layer."""
    photo, plate = (read_image(ROOT / f"samples/{name}.jpg").pixels for name in ("photo", "plate"))
    removed, kept, apart = (
        cleanplate.matte_image(photo, plate, shadow=shadow) for shadow in ("remove", "keep", "separate")
    )
    wall = np.full_like(photo, (196, 204, 190))
    shadow = apart.matte.shadow
    assert shadow is not None
    save("plate-shadow.jpg", [photo, removed.composite(wall), kept.composite(wall), grey(1 - shadow)])


def regions() -> None:
    """Show a region, and the composites with it ignored and kept."""
    photo, plate = (read_image(ROOT / f"samples/{name}.jpg").pixels for name in ("photo", "plate"))
    region = "polygon:0.1,0.1,0.75,0.1,0.6,0.75,0.1,0.9,feather=0.05"
    mask = cleanplate.keyer.regions.open_region(region)(cleanplate.Frame(photo))
    wall = np.full_like(photo, (196, 204, 190))
    ignored = cleanplate.matte_image(photo, plate, ignore=region).composite(wall)
    kept = cleanplate.matte_image(photo, plate, keep=region).composite(wall)
    save("plate-regions.jpg", [photo, grey(mask), ignored, kept])


def grey(map_: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(map_ * 255).astype(np.uint8)[..., None], 3, axis=2)


def save(name: str, panels: list[np.ndarray]) -> None:
    """Save pictures side by side, with a white gap."""
    row = []
    for panel in panels:
        width = round(panel.shape[1] * HEIGHT / panel.shape[0])
        row += [cv2.resize(panel, (width, HEIGHT), interpolation=cv2.INTER_AREA)]
        row += [np.full((HEIGHT, GAP, 3), 255, np.uint8)]
    write_image(IMAGES / name, np.hstack(row[:-1]), overwrite=True, quality=88)


if __name__ == "__main__":
    main()
