"""Make a short clip of a moving subject with a hole: ``python make_holed_clip.py FRAMES FOLDER``.

``holed.mp4`` (480 x 270) and ``holed_plate.png``, out of the samples: the photo's subject moves to the left
by :data:`STEP` pixels a frame, and a disc of its clothes, which moves with it, has the colours of the plate
behind it. Prints the disc on the first frame: x, y, radius, and pixels a frame.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
SIZE = (480, 270)
STEP = 3
HOLE, RADIUS = (295, 215), 15
TEXTURE = 0.12
"""Share of the clothes' own structure that the disc keeps: it moves with them."""


def main(count: int, folder: Path) -> None:
    photo, plate = (open_sample(name).astype(np.float32) for name in ("photo.jpg", "plate.jpg"))
    alpha = open_sample("photo_alpha.png", "L").astype(np.float32)[..., None] / 255
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    disc = (np.hypot(x - HOLE[0], y - HOLE[1]) < RADIUS)[..., None]
    clothes = photo[disc[..., 0]].mean(axis=0)
    Image.fromarray(plate.astype(np.uint8)).save(folder / "holed_plate.png")
    with av.open(folder / "holed.mp4", "w") as target:
        video = target.add_stream("libx264", rate=25, options={"crf": "8", "preset": "veryfast"})
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        for index in range(count):
            subject, share, hole = (np.roll(one, -STEP * index, axis=1) for one in (photo, alpha, disc))
            subject = np.where(hole, plate + TEXTURE * (subject - clothes), subject)
            picture = share * subject + (1 - share) * plate
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
    sys.stdout.write(json.dumps([*HOLE, RADIUS, STEP]))


def open_sample(name: str, mode: str = "RGB") -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(SAMPLES / name).convert(mode).resize(SIZE, Image.Resampling.BOX))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
