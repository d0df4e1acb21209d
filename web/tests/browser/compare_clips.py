"""Compare alpha of two clips in their last frame: ``python compare_clips.py FIRST SECOND X Y RADIUS``.

Prints the mean alpha of each in the disc, and the mean of the differences farther than two radii, all in
[0, 1]. With a path as sixth parameter, both alphas are written there, side by side.
"""

from __future__ import annotations

import json
import sys

import av
import numpy as np
from PIL import Image


def main(first: str, second: str, *disc: str) -> None:
    x, y, radius = (float(value) for value in disc[:3])
    alphas = [read_last_alpha(path) for path in (first, second)]
    rows, columns = np.indices(alphas[0].shape)
    distance = np.hypot(columns - x, rows - y)
    inside = [float(alpha[distance < 0.8 * radius].mean()) for alpha in alphas]
    far = float(np.abs(alphas[0] - alphas[1])[distance > 2 * radius].mean())
    if disc[3:]:
        Image.fromarray((255 * np.hstack(alphas)).astype(np.uint8)).save(disc[3])
    sys.stdout.write(json.dumps({"hole": inside, "far": far}))


def read_last_alpha(path: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    with av.open(path) as container:
        decoder = av.CodecContext.create("libvpx-vp9", "r")  # the default one drops alpha
        frames = [frame for packet in container.demux(video=0) for frame in decoder.decode(packet)]
    return frames[-1].to_ndarray(format="rgba")[..., 3] / 255


if __name__ == "__main__":
    main(*sys.argv[1:])
