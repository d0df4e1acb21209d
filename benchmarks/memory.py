"""Memory over the length of a clip: ``python benchmarks/memory.py [--size 1920x1080 --frames 1000]``.

A clip is made from the bench's scene and cut out into ProRes 4444. Resident memory of the process is read at
every progress report; the output is its values over time, the peak, and its range from frame 100 on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2

from cleanplate import matte_video
from cleanplate.cli.made_scene import build_scene
from cleanplate.jobs.pipeline import Progress

DIFFERENT_FRAMES = 20
SETTLED = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=1000)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    samples: list[tuple[int, float]] = []

    def note(progress: Progress) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        samples.append((progress.frames, pages * resource.getpagesize() / 1e6))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: its memory would be counted with the run's.
        maker = multiprocessing.get_context("spawn").Process(
            target=write_clip, args=(folder, height, width, options.frames)
        )
        maker.start()
        maker.join()
        matte_video(folder / "clip.mp4", folder / "plate.png", folder / "cut.mov", on_progress=note)
    settled = [megabytes for frames, megabytes in samples if frames >= SETTLED]
    for step in range(0, options.frames, max(options.frames // 10, 1)):
        frames, megabytes = min(samples, key=lambda sample: abs(sample[0] - step))
        say(f"frame {frames:5}: {megabytes:6.0f} MB")
    middle = sorted(settled)[len(settled) // 2]
    say(f"peak {max(megabytes for _, megabytes in samples):.0f} MB")
    say(
        f"from frame {SETTLED} on: {min(settled):.0f} to {max(settled):.0f} MB, "
        f"{min(settled) / middle - 1:+.1%} to {max(settled) / middle - 1:+.1%} of the median"
    )


def write_clip(folder: Path, height: int, width: int, count: int) -> None:
    """Write ``plate.png`` and ``clip.mp4``: one sway of the scene's figure, repeated."""
    scene = build_scene(height, width)
    cv2.imwrite(str(folder / "plate.png"), scene.plate[..., ::-1])
    pictures = list(scene.frames(DIFFERENT_FRAMES))
    with av.open(folder / "clip.mp4", "w") as clip:
        stream = clip.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(pictures[number % DIFFERENT_FRAMES], "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode(None))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
