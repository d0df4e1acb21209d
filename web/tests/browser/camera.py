"""Make a film for Chromium's fake camera: ``python camera.py PLATE_SECONDS FILE.mjpeg``.

640 x 360, 30 frames a second, as Chromium plays it, again and again: the empty set first,
then the sample clip, forth and back for a while.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.media import open_source, read_image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
SIZE = (640, 360)
FRAME_RATE = 30


def main(plate_seconds: float, target: Path) -> None:
    plate = compress(read_image(SAMPLES / "clip_plate.jpg").pixels)
    with open_source(SAMPLES / "clip.mp4") as source:
        clip = [compress(frame.pixels) for frame in source]
    target.write_bytes(plate * round(plate_seconds * FRAME_RATE) + b"".join(3 * (clip + clip[::-1])))


def compress(pixels: np.ndarray) -> bytes:
    small = Image.fromarray(pixels).resize(SIZE, Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=92, subsampling="4:2:0")
    return file.getvalue()


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
