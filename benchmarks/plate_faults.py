"""Effect of faulty plates: ``python benchmarks/plate_faults.py --data MATERIAL [-n 6] [--json]``.

Held-out figures of the material sway before held-out backgrounds in HD, seen by a camera that stands still or
is held by hand; the plate is shot with a known fault. Each clip is keyed with the perfect plate, with the
faulty one as it is, and with the faulty one fitted. Figures are means over the clips: MAD in thousandths of
alpha, dtSSD in hundredths, and the MAD over that with the perfect plate. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate import CleanplateError, Keyer
from cleanplate.frame import Frame, Pixels
from cleanplate.plate import FittedPlate, Plate, fit_plate
from cleanplate.training.datasets import parse_data_spec
from cleanplate.training.datasets.layouts import find_dataset

HEIGHT, WIDTH = 1080, 1920
MARGIN = 120
FRAMES = 8
FRAME_RATE = 25.0
NOISE = 1.5
STOP = 2 ** (1 / 2.2)

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fault:
    """Difference of the plate's camera from the clip's, and shake of the clip's as a share of the width."""

    name: str
    shift: float = 0.0
    degrees: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shake: float = 0.0


FAULTS = (
    Fault("none"),
    Fault("shift 3 px", shift=3),
    Fault("shift 10 px", shift=10),
    Fault("turned 2 degrees", degrees=2),
    Fault("a stop darker", gain=(1 / STOP,) * 3),
    Fault("a stop brighter", gain=(STOP,) * 3),
    Fault("white balance 15%", gain=(1.15, 1.0, 0.87)),
    Fault("all of these", shift=10, degrees=2, gain=(1.15 / STOP, 1 / STOP, 0.87 / STOP)),
    Fault("shake 0.3%", shake=0.003),
    Fault("shake 3%", shake=0.03),
)


class Scene:
    """A figure before a background that is larger than the frame."""

    def __init__(self, figure: Path, background: Path, seed: int) -> None:
        self._seed = seed
        size = (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN)
        self._room = fill(read(background), size)
        sprite = cv2.imread(str(figure), cv2.IMREAD_UNCHANGED)
        scale = 0.95 * HEIGHT / sprite.shape[0]
        place = np.array([[scale, 0, (WIDTH - scale * sprite.shape[1]) / 2], [0, scale, 0.05 * HEIGHT]])
        self._alpha = cv2.warpAffine(sprite[..., 3].astype(np.float32) / 255, place, (WIDTH, HEIGHT))
        self._colour = cv2.warpAffine(
            cv2.cvtColor(sprite[..., :3], cv2.COLOR_BGR2RGB).astype(np.float32),
            place,
            (WIDTH, HEIGHT),
            borderMode=cv2.BORDER_REPLICATE,
        )

    def background(self, pose: Matrix) -> Floats:
        """Empty set, 0 to 255, in view of a camera at ``pose``."""
        offset = np.array([[1.0, 0, -MARGIN], [0, 1, -MARGIN], [0, 0, 1]])
        seen = cv2.warpPerspective(self._room, pose @ offset, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        return np.asarray(seen, np.float32)

    def plate(self, fault: Fault) -> Pixels:
        """The faulty plate."""
        angle = math.radians(40)
        pose = camera(fault.shift * math.cos(angle), fault.shift * math.sin(angle), fault.degrees)
        return shoot(self.background(pose) * np.float32(fault.gain), self._seed)

    def frames(self, fault: Fault) -> Iterator[tuple[Pixels, Floats, Pixels]]:
        """Frames, with true alpha and perfect plate of each."""
        for number, (x, y, degrees) in enumerate(shake(fault.shake * WIDTH, self._seed)):
            empty = self.background(camera(x, y, degrees))
            sway = np.array([[1.0, 0, 0.02 * WIDTH * math.sin(0.5 * number)], [0, 1, 0]])
            alpha = cv2.warpAffine(self._alpha, sway, (WIDTH, HEIGHT))
            colour = cv2.warpAffine(self._colour, sway, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
            mixed = alpha[..., None] * colour + (1 - alpha[..., None]) * empty
            seed = 1000 * self._seed + number
            yield shoot(mixed, seed + 100), np.asarray(alpha, np.float32), shoot(empty, seed + 500)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="lite")
    parser.add_argument("-n", type=int, default=6, help="scenes")
    parser.add_argument("--fault", nargs="+", choices=[fault.name for fault in FAULTS], help="only these")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    material = find_dataset(parse_data_spec(str(options.data)))
    figures, backgrounds = (
        [still.colour for still in material.stills_of(kind, "validation")]
        for kind in ("figures", "backgrounds")
    )
    picks = [int(i) for i in np.linspace(0, 0.999, options.n) * 1e6]
    scenes = [
        Scene(figures[i * len(figures) // 10**6], backgrounds[i * len(backgrounds) // 10**6], seed)
        for seed, i in enumerate(picks, 1)
    ]
    if not options.json:
        print("| fault | perfect MAD, dtSSD | unfitted | fitted | ratio |\n| --- | --- | --- | --- | --- |")  # noqa: T201
    for fault in FAULTS:
        if options.fault and fault.name not in options.fault:
            continue
        scores = np.mean([measure(scene, fault, options.model) for scene in scenes], axis=0)
        names = ("perfect", "unfitted", "fitted")
        ratio = scores[2, 0] / scores[0, 0]
        if options.json:
            values = {name: dict(zip(("mad", "dtssd"), map(float, row))) for name, row in zip(names, scores)}  # noqa: B905
            print(json.dumps({"fault": fault.name, **values, "ratio": float(ratio)}), flush=True)  # noqa: T201
        else:
            cells = (f"{mad:.2f}, {dtssd:.2f}" for mad, dtssd in scores)
            print(f"| {fault.name} |", " | ".join(cells), f"| {ratio:.2f} |", flush=True)  # noqa: T201


def measure(scene: Scene, fault: Fault, model: str) -> npt.NDArray[np.float64]:
    """Measure MAD and dtSSD of a clip with the perfect, faulty and fitted plate; ``(3, 2)``."""
    plate = Plate(scene.plate(fault))
    fitting = Keyer(plate, model=model, follow=fault.shake > 0)
    mattes: list[list[Floats]] = [[], [], []]
    truths: list[Floats] = []
    unfitted: Keyer | None = None
    for frame, truth, perfect in scene.frames(fault):
        truths.append(truth)
        given = fit_plate(Plate(perfect), Frame(frame), align=False, photometric=False)
        if unfitted is None:
            unfitted = Keyer(FittedPlate(plate.pixels, None, given.fit), model=model)
        mattes[0].append(Keyer(given, model=model)(frame).alpha)
        mattes[1].append(unfitted(frame).alpha)
        try:
            mattes[2].append(fitting(frame).alpha)
        except CleanplateError:  # a refused plate gives an empty matte
            mattes[2].append(np.ones_like(truth))
    return np.array([score(alphas, truths) for alphas in mattes])


def score(alphas: list[Floats], truths: list[Floats]) -> tuple[float, float]:
    """MAD x 1000 and dtSSD x 100 (as in RVM's tables) of a clip."""
    mad = 1e3 * float(np.mean([np.abs(a - t).mean() for a, t in zip(alphas, truths, strict=True)]))
    steps = [
        np.sqrt(np.mean(((alphas[i] - alphas[i - 1]) - (truths[i] - truths[i - 1])) ** 2))
        for i in range(1, len(truths))
    ]
    return mad, 1e2 * float(np.mean(steps))


def camera(x: float, y: float, degrees: float) -> Matrix:
    """Turn about the middle of the frame, then shift."""
    a, b = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    about = np.array([[1, 0, -(WIDTH - 1) / 2], [0, 1, -(HEIGHT - 1) / 2], [0, 0, 1.0]])
    turn = np.array([[a, -b, (WIDTH - 1) / 2 + x], [b, a, (HEIGHT - 1) / 2 + y], [0, 0, 1.0]])
    return np.asarray(turn @ about)


def shake(amplitude: float, seed: int) -> list[tuple[float, float, float]]:
    """Shifts and turns of a hand: a few slow waves, largest for the slowest; at most ``amplitude`` pixels."""
    random = np.random.default_rng(seed)
    times = np.arange(FRAMES) / FRAME_RATE
    paths = []
    for _ in range(3):
        waves = [
            random.normal() / (1 + rate) * np.sin(2 * np.pi * rate * times + random.uniform(0, 2 * np.pi))
            for rate in (0.4, 0.9, 1.7, 3.1)
        ]
        path = np.sum(waves, axis=0)
        paths.append(path / max(np.abs(path).max(), 1e-9))
    x, y, turn = paths
    if not amplitude:
        return [(0.0, 0.0, 0.0)] * FRAMES
    return [
        (float(a * amplitude), float(b * amplitude), float(0.3 * c))
        for a, b, c in zip(x, y, turn, strict=True)
    ]


def shoot(scene: Floats, seed: int) -> Pixels:
    """Sensor noise and 8 bits."""
    noise = np.random.default_rng(seed).standard_normal(scene.shape, dtype=np.float32) * np.float32(NOISE)
    return np.clip(np.rint(scene + noise), 0, 255).astype(np.uint8)


def read(path: Path) -> Floats:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.float32)


def fill(picture: Floats, size: tuple[int, int]) -> Floats:
    """Scale and crop to fill ``(width, height)``."""
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[0])
    large = cv2.resize(picture, None, fx=scale + 1e-3, fy=scale + 1e-3, interpolation=cv2.INTER_CUBIC)
    top, left = (large.shape[0] - size[1]) // 2, (large.shape[1] - size[0]) // 2
    return np.asarray(np.clip(large[top : top + size[1], left : left + size[0]], 0, 255), np.float32)


if __name__ == "__main__":
    main()
