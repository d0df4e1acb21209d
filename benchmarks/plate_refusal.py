"""Clips that ``plate build`` must refuse or take: ``python benchmarks/plate_refusal.py --data MATERIAL``.

Six figures move in their place and never leave it, six leave it for a third of the time or more: moving
figures of ``MATERIAL/sequences`` and still ones of ``MATERIAL/figures`` before photographs of
``MATERIAL/backgrounds``, 120 frames at 320x180. No limit was chosen on these clips. Printed is one row for
each clip: the answer, the share of the covered area that was never seen empty where the clip is refused, and
otherwise the share of the frame in which the plate is off by more than 8% and its confidence 0.5 or more.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from cleanplate import build_plate
from cleanplate.errors import PlateError
from cleanplate.media import read_image

HEIGHT, WIDTH, FRAMES = 180, 320, 120
NOISE_LEVELS = 2.0
WRONG = 0.08
FIRST_FIGURE, FIRST_ROOM = 311, 503
"""Figures and photographs are taken from these numbers on."""

Array = np.ndarray
Figure = list[Array]
"""Premultiplied float32 RGBA pictures of one figure, played to and fro."""

Place = tuple[float, float] | None
"""Middle of the figure as a share of the width, and its size; None: it is away."""


def stay(number: int) -> Place:
    return 0.5 + 0.004 * math.sin(number / 9), 0.85


def leave_midway(number: int) -> Place:
    """Leave to the left at a third of the clip, and return to the same place at three quarters."""
    out, back = max(0, number - 40) * 0.06, max(0, 100 - number) * 0.06
    return (0.4 - min(out, back), 0.85) if min(out, back) < 0.8 else None


def visit(number: int) -> Place:
    """Enter from the right, stand for half of the clip, leave to the right."""
    return (0.45 + 0.05 * max(0, 22 - number, number - 82), 0.8) if 10 < number < 96 else None


def end_outside(number: int) -> Place:
    return (0.55 + 0.07 * max(0, number - 72), 0.85) if number < 84 else None


def come_closer(number: int) -> Place:
    """Sway three times, nearer every time."""
    return 0.5 + 0.38 * math.sin(number / 60 * 3.1), 0.5 + 0.4 * number / FRAMES


def cross(number: int) -> Place:
    return -0.2 + 1.4 * number / FRAMES, 0.75


def cross_back(number: int) -> Place:
    return 1.2 - 1.4 * number / FRAMES, 0.8


CLIPS: dict[str, tuple[list[tuple[str, Callable[[int], Place]]], bool]] = {
    "waves": ([("01_wave", stay)], False),
    "turns the head": ([("02_headturn", stay)], False),
    "talks": ([("04_talk", stay)], False),
    "spins": ([("05_spin", stay)], False),
    "jumps": ([("06_jump", stay)], False),
    "drinks": ([("07_drink", stay)], False),
    "waves, away for 40% midway": ([("01_wave", leave_midway)], True),
    "sits down and gets up, away for 30% at the end": ([("03_sitdown", end_outside)], True),
    "talks, away for 30% at both ends": ([("04_talk", visit)], True),
    "stands still, away for 30% at the end": ([("", end_outside)], True),
    "paces and comes closer": ([("", come_closer)], True),
    "two cross": ([("00_walk", cross), ("", cross_back)], True),
}
"""Figures with their motions, and whether a plate must be built."""


def load_figure(data: Path, name: str, number: int) -> Figure:
    """Load a sequence of that name, or a still figure."""
    files = sorted((data / "sequences" / name).glob("*.webp")) if name else []
    files = files or [sorted((data / "figures").glob("*.webp"))[FIRST_FIGURE + 17 * number]]
    pictures = []
    for file in files:
        picture = read_image(file)
        alpha = (picture.alpha[..., None] / np.float32(255)).astype(np.float32)
        pictures.append(np.dstack([picture.pixels * alpha, alpha]).astype(np.float32))
    rows, columns = np.nonzero(np.max([picture[..., 3] for picture in pictures], axis=0) > 0.5)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    return [picture[box] for picture in pictures]


def lay_over(picture: Array, figure: Figure, place: Place, number: int) -> Array:
    if place is None:
        return picture
    round_trip = 2 * len(figure) - 2 or 1
    step = number % round_trip
    shown = figure[min(step, round_trip - step)]
    scale = place[1] * HEIGHT / shown.shape[0]
    left = place[0] * WIDTH - scale * shown.shape[1] / 2
    move = np.float32([[scale, 0, left], [0, scale, HEIGHT * (1 - place[1]) + 2]])
    soft = cv2.GaussianBlur(shown, (0, 0), max(0.1, 0.4 / scale))
    laid = cv2.warpAffine(soft, move, (WIDTH, HEIGHT))
    return laid[..., :3] + (1 - laid[..., 3:]) * picture


def shoot(room: Array, actors: list[tuple[Figure, Callable[[int], Place]]], path: Path) -> None:
    """Write a clip without loss."""
    random = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for number in range(FRAMES):
            picture = room
            for figure, motion in actors:
                picture = lay_over(picture, figure, motion(number), number)
            noisy = np.clip(np.rint(picture + random.normal(0, NOISE_LEVELS, picture.shape)), 0, 255)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())


def answer(path: Path, room: Array) -> tuple[bool, str]:
    """Tell whether a plate was built, and the row's figures."""
    try:
        built = build_plate(path)
    except PlateError as refused:
        unseen = re.search(r"(\d+%) of the area", refused.message)
        return False, f"refused | {unseen[1] if unseen else refused.message} | "
    apart = np.abs(cv2.GaussianBlur(built.pixels - room, (0, 0), 1.5)).max(axis=2) / 255 > WRONG
    return True, f"built | | {np.mean(apart & (built.confidence >= 0.5)):.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="MATERIAL")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the clips there")
    options = parser.parse_args()
    rooms = sorted((options.data / "backgrounds").glob("*.jpg"))
    print("| clip | answer | unseen | wrong and sure |\n| --- | --- | --- | --- |")  # noqa: T201
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (cast, must_build)) in enumerate(CLIPS.items()):
            photograph = read_image(rooms[FIRST_ROOM + 31 * number]).pixels
            room = cv2.resize(photograph, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
            actors = [
                (load_figure(options.data, who, number + 3 * turn), motion)
                for turn, (who, motion) in enumerate(cast)
            ]
            path = Path(options.keep or folder) / f"{number:02}.mkv"
            shoot(room, actors, path)
            was_built, row = answer(path, room)
            faults += was_built != must_build
            print(f"| {name} | {row} |", flush=True)  # noqa: T201
    print(f"{faults} of {len(CLIPS)} clips answered wrongly")  # noqa: T201


if __name__ == "__main__":
    main()
