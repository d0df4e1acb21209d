"""Margins of thresholds: ``python benchmarks/thresholds.py [--sequences FOLDER]``.

Compares thresholds of the router, live capture and the report with the bundled samples: noise at which an
empty frame counts as changed, noise and motion that a capture refuses, holes and jumps of true mattes.
``--sequences`` adds folders of RGBA frames of one moving figure each. Takes half a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from cleanplate import PlateError
from cleanplate.frame import Frame
from cleanplate.jobs.holes import VIEW_SIDE, HoleWatch
from cleanplate.jobs.report import HOLE_SHARE, JUMP_SHARE
from cleanplate.live.capture import PlateTaker
from cleanplate.plate.structure import reduced_size
from cleanplate.router.numpy_router import NumpyRouter

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
COARSE = 288, 512
NOISES = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16)

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def show(line: str) -> None:
    sys.stdout.write(line + "\n")


def decode(path: Path) -> Iterator[Bytes]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def add_noise(pixels: Bytes, deviation: float, random: np.random.Generator) -> Bytes:
    noise = random.standard_normal(pixels.shape, np.float32) * np.float32(deviation)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def shrink(pixels: Bytes) -> Floats:
    small = cv2.resize(pixels, COARSE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.moveaxis(small, 2, 0)[None] / np.float32(255), np.float32)


def measure_region(plate: Bytes, frames: list[Bytes], alphas: list[Floats]) -> None:
    """Print the noise at which an empty frame is changed, and the share of alpha outside of the region."""
    router, random = NumpyRouter(), np.random.default_rng(0)

    def find(frame: Bytes, empty: Bytes) -> Floats:
        known = np.ones((1, 1, *COARSE), np.float32)
        region = router.find_change(shrink(frame), np.concatenate([shrink(empty), known], axis=1))
        mask = np.zeros(COARSE, np.float32)
        if region is not None:
            mask[region.top : region.top + region.height, region.left : region.left + region.width] = 1
        return mask

    for noise in NOISES:
        shares = [
            find(add_noise(plate, noise, random), add_noise(plate, noise, random)).mean() for _ in range(5)
        ]
        show(f"region, empty frame, noise {noise} of 255: {np.mean(shares):.0%} of the frame")
    missed, areas = 0.0, []
    for frame, alpha in zip(frames, alphas, strict=True):
        mask = find(frame, plate)
        small = cv2.resize(alpha, COARSE[::-1], interpolation=cv2.INTER_AREA)
        missed = max(missed, float((small * (1 - mask)).sum() / small.sum()))
        areas.append(float(mask.mean()))
    show(f"region, sample clip: {np.mean(areas):.0%} of the frame, at most {missed:.2%} of alpha outside")


def capture(frames: list[Bytes]) -> str:
    taker = PlateTaker(frames[0].nbytes)
    try:
        for index, frame in enumerate(frames):
            if taker.add(Frame(frame, pts=index, time_base=Fraction(1, 25), index=index)) is not None:
                return "taken"
    except PlateError as error:
        return str(error).splitlines()[0]
    return "not settled"


def measure_capture(plate: Bytes, frames: list[Bytes]) -> None:
    """Print the noise and the changes of light that a capture takes, and whether it refuses the subject."""
    random = np.random.default_rng(0)
    for noise in NOISES:
        show(
            f"capture, noise {noise} of 255: {capture([add_noise(plate, noise, random) for _ in range(30)])}"
        )
    for change in (0.01, 0.015, 0.02, 0.03, 0.05):
        steps = np.linspace(1, 1 + change, 24)
        brighter = [np.clip(np.rint(plate * step), 0, 255).astype(np.uint8) for step in steps]
        show(f"capture, light rising by {change:.1%} in 0.8 s: {capture(brighter)}")
    windows = [capture(frames[start : start + 30]) for start in range(0, len(frames) - 30, 10)]
    show(f"capture, sample clip: {sum(answer == 'taken' for answer in windows)} of {len(windows)} taken")
    for side in (4, 8, 12, 16, 24, 32, 48):
        moving = []
        for index in range(30):
            picture = plate.copy()
            picture[200 : 200 + side, 100 + 4 * index : 100 + 4 * index + side] = (200, 30, 30)
            moving.append(picture)
        show(f"capture, square of {side} pixels at 720p moving by 4 pixels a frame: {capture(moving)}")


def measure_report(name: str, alphas: list[Floats], seconds: float) -> tuple[float, float]:
    """Print the largest hole and jump of true mattes, in which neither is to be reported."""
    watch, holes, covered = HoleWatch(), [], []
    for alpha in alphas:
        height, width = reduced_size(*alpha.shape, VIEW_SIDE)
        small = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
        holes.append(watch.measure(np.asarray(small, np.float32), seconds))
        covered.append(float(alpha.mean()))
    jump = float(np.abs(np.diff(covered)).max())
    show(f"report, {name}: largest hole {max(holes):.4f} of {HOLE_SHARE}, jump {jump:.4f} of {JUMP_SHARE}")
    return max(holes), jump


def measure_holes_made(alphas: list[Floats], seconds: float) -> None:
    """Print the share of frames with a round hole in the subject's middle that the report names."""
    for share in (0.0025, 0.005, 0.01, 0.02, 0.05):
        watch, found = HoleWatch(), []
        for index, alpha in enumerate(alphas):
            height, width = reduced_size(*alpha.shape, VIEW_SIDE)
            small = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), np.float32)
            if index >= len(alphas) // 2:
                depth = cv2.distanceTransform((small > 0.99).astype(np.uint8), cv2.DIST_L2, 5)
                place = np.unravel_index(int(depth.argmax()), depth.shape)
                radius = np.sqrt(share * (small >= 0.5).sum() / np.pi)
                y, x = np.mgrid[:height, :width]
                small = small.copy()
                small[np.hypot(x - place[1], y - place[0]) <= radius] = 0
                found.append(watch.measure(small, seconds))
            else:
                watch.measure(small, seconds)
        named = np.mean([hole > HOLE_SHARE for hole in found])
        show(f"report, holes of {share:.2%} of the subject: {named:.0%} of frames named")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=Path, help="folder with a folder of RGBA frames for each figure")
    arguments = parser.parse_args()
    plate = cv2.cvtColor(cv2.imread(str(SAMPLES / "clip_plate.jpg")), cv2.COLOR_BGR2RGB)
    frames = list(decode(SAMPLES / "clip.mp4"))
    alphas = [frame[..., 0] / np.float32(255) for frame in decode(SAMPLES / "clip_alpha.mkv")]
    measure_region(np.asarray(plate, np.uint8), frames[::5], alphas[::5])
    measure_capture(np.asarray(plate, np.uint8), frames)
    measure_report("sample clip", alphas, 1 / 25)
    measure_holes_made(alphas[:40], 1 / 25)
    for folder in sorted(arguments.sequences.iterdir()) if arguments.sequences else []:
        paths = sorted(path for path in folder.glob("*") if path.suffix in (".png", ".webp"))
        if paths:
            pictures = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]
            measure_report(folder.name, [picture[..., 3] / np.float32(255) for picture in pictures], 1 / 25)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
