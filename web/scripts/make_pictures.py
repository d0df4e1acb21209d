"""Make the page's pictures from the bundled samples: ``python web/scripts/make_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import cleanplate
from cleanplate.media import read_image

WEB = Path(__file__).resolve().parents[1]
SAMPLES = WEB.parent / "samples"
PUBLIC = WEB / "public"

PART = (640, 0, 1540, 1080)
"""Left, top, right and bottom of what is shown of the sample."""

SIZE = (540, 648)
INK, PAPER, ACCENT = (24, 26, 31), (250, 249, 246), (0, 137, 123)


def main() -> None:
    photo, plate = (read_image(SAMPLES / name).pixels for name in ("photo.jpg", "plate.jpg"))
    matte = cleanplate.Keyer(plate, scale="fine")(photo)
    cutout = np.dstack([matte.foreground, np.rint(matte.alpha * 255).astype(np.uint8)])
    for name, pixels in (("subject", photo), ("plate", plate), ("cutout", cutout)):
        picture = Image.fromarray(pixels).crop(PART).resize(SIZE, Image.Resampling.LANCZOS)
        picture.save(PUBLIC / f"images/{name}.webp", quality=82, method=6)
    for side in (192, 512):
        draw_icon(side).save(PUBLIC / f"icons/{side}.png", optimize=True)


def draw_icon(side: int) -> Image.Image:
    """A figure cut out of a frame."""
    large = 4 * side
    icon = Image.new("RGB", (large, large), ACCENT)
    draw = ImageDraw.Draw(icon)
    unit = large / 32
    draw.rounded_rectangle([7 * unit, 6 * unit, 25 * unit, 26 * unit], 3 * unit, fill=PAPER)
    draw.ellipse([12.5 * unit, 9 * unit, 19.5 * unit, 16 * unit], fill=ACCENT)
    draw.pieslice([9.5 * unit, 17.5 * unit, 22.5 * unit, 34.5 * unit], 180, 360, fill=ACCENT)
    return icon.resize((side, side), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
