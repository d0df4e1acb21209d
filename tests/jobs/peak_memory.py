"""Key a clip of still 4K pictures with a moving ball, and print the peak memory.

Run by ``test_memory.py`` in a process of its own.

    python peak_memory.py FOLDER FRAMES
"""

from __future__ import annotations

import resource
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

import cleanplate

HEIGHT, WIDTH = 2160, 3840


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT // 24, WIDTH // 24, 3), np.uint8)
    plate = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / "plate.png"), plate[..., ::-1])
    options = {"preset": "ultrafast"}
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(count):
            picture = cv2.circle(plate.copy(), (900 + 20 * number, 1100), 500, (230, 40, 60), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    before = peak_kib()
    # Machines with much memory would take more workers.
    cleanplate.matte_video(folder / "clip.mp4", folder / "plate.png", folder / "cut.mov", workers=1)
    sys.stdout.write(f"{before} {peak_kib()}\n")


def peak_kib() -> int:
    """Peak memory of this program; Linux's ``ru_maxrss`` includes its parent process."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
