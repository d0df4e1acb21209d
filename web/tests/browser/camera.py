"""Make a film for Chromium's fake camera: ``python camera.py PLATE_SECONDS FILE.mjpeg [HEIGHT]``.

640 x 360 or another size of this shape, 30 frames a second, as Chromium plays it, again and
again: the empty set first, then the sample clip, forth and back for a while.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.media import open_source, read_image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
FRAME_RATE = 30


def main(plate_seconds: float, target: Path, height: int) -> None:
    plate = compress(read_image(SAMPLES / "clip_plate.jpg").pixels, height)
    with open_source(SAMPLES / "clip.mp4") as source:
        clip = [compress(frame.pixels, height) for frame in source]
    target.write_bytes(plate * round(plate_seconds * FRAME_RATE) + b"".join(3 * (clip + clip[::-1])))


def compress(pixels: np.ndarray, height: int) -> bytes:
    small = Image.fromarray(pixels).resize((height * 16 // 9, height), Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=92, subsampling="4:2:0")
    return file.getvalue()


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 360)
