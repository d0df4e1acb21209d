"""Quality of plates built from the clip: ``python benchmarks/plate_build.py [--size 960x540]``.

Clips are composited with exact truth and encoded: a person who paces, one who stands in one place for 60% of
the time, one who stands there without any motion, and one filmed with a handheld camera under a flickering
lamp. Printed are the plate's mean error in 8-bit levels where it is confident, the confident share of the
frame, and mean |alpha - truth| in thousandths with the true plate and with the built one. With ``--rooms``
the places are photographs.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from cleanplate import Frame, Keyer, build_plate
from cleanplate.cli.made_scene import Scene, build_scene
from cleanplate.media import open_source, read_image

FRAMES, RATE = 200, 25
FIGURE_SIZE = 0.7
NOISE_LEVELS = 1.5


def pacing(number: int) -> tuple[float, float]:
    """Shift of a pacing figure in shares of the width, and its sway."""
    return 0.33 * math.cos(2 * math.pi * number / 90), 0.0


def standing(number: int) -> tuple[float, float]:
    """Shift of a figure that stands at the left for 60% of the clip, swaying slightly, then leaves."""
    place = -0.2 if number < 0.6 * FRAMES else min(0.3, -0.2 + 0.02 * (number - 0.6 * FRAMES))
    return place, 0.003 * math.sin(number / 7)


def frozen(number: int) -> tuple[float, float]:
    """Shift of the same figure without sway."""
    return standing(number)[0], 0.0


CLIPS = {"pacing": pacing, "standing": standing, "frozen": frozen, "hand-held": pacing}


def shoot(scene: Scene, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Make frames and their true alpha."""
    height, width = scene.alpha.shape
    random = np.random.default_rng(3)
    for number in range(FRAMES):
        place, sway = CLIPS[name](number)
        left = width * (0.5 * (1 - FIGURE_SIZE) + place + sway)
        move = np.array([[FIGURE_SIZE, 0, left], [0, FIGURE_SIZE, height * (1 - FIGURE_SIZE)]], np.float32)
        alpha = cv2.warpAffine(scene.alpha, move, (width, height))
        figure = cv2.warpAffine(scene.figure, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        picture = alpha[..., None] * figure + (1 - alpha[..., None]) * scene.plate
        if name == "hand-held":
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), 0.3 * math.sin(number / 11), 1.0)
            turn[:, 2] += width * 0.006 * np.array([math.sin(number / 8), math.cos(number / 13) - 1])
            picture = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
            alpha = cv2.warpAffine(alpha, turn, (width, height))
            picture = picture * (1 + 0.08 * math.sin(number * 1.7))
        picture = picture + random.normal(0, NOISE_LEVELS, picture.shape)
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8), alpha


def encode(path: Path, frames: Iterator[np.ndarray], height: int, width: int) -> None:
    """Encode like a camera: H.264 at a high rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def score(path: Path, plate: object, truths: list[np.ndarray], *, step: int = 8) -> float:
    """Mean |alpha - truth| over every ``step``-th frame, in thousandths."""
    keyer, errors = Keyer(plate), []
    with open_source(path) as source:
        for frame, truth in zip(source, truths, strict=True):
            if frame.index % step == 0:
                time = Fraction(frame.index, RATE)
                at = Frame(frame.pixels, pts=time.numerator, time_base=Fraction(1, time.denominator))
                keyer.refit(at)
                errors.append(float(np.abs(keyer(at).alpha - truth).mean()))
    return 1e3 * float(np.mean(errors))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--rooms", nargs="*", type=Path, default=[])
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    scene = build_scene(height, width)
    scenes = {"made room": scene}
    for path in options.rooms:
        room = cv2.resize(read_image(path).pixels, (width, height), interpolation=cv2.INTER_AREA)
        scenes[path.stem[:12]] = Scene(room, scene.figure, scene.alpha)
    with tempfile.TemporaryDirectory() as folder:
        for place, scene in scenes.items():
            for name in options.clips:
                path = Path(folder) / "clip.mp4"
                truths = [alpha for _, alpha in shoot(scene, name)]
                encode(path, (picture for picture, _ in shoot(scene, name)), height, width)
                built = build_plate(path)
                sure = built.confidence >= 0.5
                error = np.abs(built.pixels.astype(int) - scene.plate).mean(axis=2)[sure].mean()
                true, auto = score(path, scene.plate, truths), score(path, built.plate, truths)
                print(  # noqa: T201
                    f"{place:12} {name:10} plate {error:5.2f} levels on {sure.mean():.1%}  "
                    f"alpha: true plate {true:.2f}, built {auto:.2f} ({auto / true:.2f}x)",
                    flush=True,
                )
                path.unlink()


if __name__ == "__main__":
    main()
