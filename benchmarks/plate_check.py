"""Misses and false alarms of ``plate check``: ``python benchmarks/plate_check.py --data MATERIAL``.

Cut-out figures are composited over photographs (every tenth file of ``MATERIAL/figures`` and
``MATERIAL/backgrounds``, which training leaves out) at 480x270, eight frames a case. The plate is clean, or
it has the subject in it. Printed is one row for each kind of plate and for each condition: the cases, and the
numbers of the answers "nobody" and "somebody" in the plate and "cannot be told" from the clip. A miss is a
plate with the subject in it and the answer "nobody"; a false alarm is a clean plate that is not usable.
The thresholds were chosen on scenes 0 to 20; ``--first`` begins with another scene.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cleanplate.media.stills.image_reader import read_image
from cleanplate.media.stills.image_writer import write_image
from cleanplate.plate import Diagnosis, check_plate

HEIGHT, WIDTH = 270, 480
FRAMES = 8
MARGIN = 0.12
NOISE_LEVELS = 2.0
Picture = np.ndarray


@dataclass(frozen=True)
class Case:
    """A plate, and the frames for its check.

    Attributes:
        plate_kind: ``clean``, ``same place``, ``partly``, ``elsewhere`` or ``built in``.
        motion: ``sways``, ``walks``, ``leaves`` or ``still``.
        condition: Other differences: ``tripod``, ``shake 5%``, ``parallax``, ``light`` ...
    """

    scene: int
    plate_kind: str
    motion: str
    condition: str

    @property
    def is_clean(self) -> bool:
        return self.plate_kind == "clean"


CONDITIONS = ("tripod", "shake 1%", "shake 3%", "shake 5%", "parallax", "light", "lamp")
CLEAN_MOTIONS = ("sways", "walks", "leaves", "still")
PLATES = (
    ("same place", "sways"), ("same place", "leaves"), ("partly", "sways"), ("partly", "walks"),
    ("elsewhere", "sways"), ("elsewhere", "walks"), ("built in", "sways"),
)  # fmt: skip


class Scene:
    """A figure and a photograph, the photograph larger than the frame so that the camera can move."""

    def __init__(self, figure: Picture, alpha: Picture, room: Picture, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        width, height = round(WIDTH * (1 + 2 * MARGIN)), round(HEIGHT * (1 + 2 * MARGIN))
        self.room = _cover(room, height, width).astype(np.float32)
        rows, columns = np.nonzero(alpha > 0.5)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        tall = round(HEIGHT * self.random.uniform(0.55, 0.95))
        wide = max(8, round(tall * (columns.max() - columns.min()) / (rows.max() - rows.min())))
        self.figure = cv2.resize(figure[box], (wide, tall), interpolation=cv2.INTER_AREA).astype(np.float32)
        self.alpha = cv2.resize(alpha[box], (wide, tall), interpolation=cv2.INTER_AREA)
        self.width = wide / WIDTH
        self.place = float(self.random.uniform(0.3, 0.7))

    def shoot(self, place: float | None, lean: float = 0.0, camera: Picture | None = None) -> Picture:
        """float32 picture with the figure's middle at ``place`` (share of the width; None: nobody)."""
        camera = np.eye(3) if camera is None else camera
        left, top = WIDTH * MARGIN, HEIGHT * MARGIN
        offset = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        picture = cv2.warpPerspective(self.room, camera @ offset, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        if place is None:
            return picture
        tall, wide = self.alpha.shape
        stand = np.array(
            [[1, lean, place * WIDTH - wide / 2 - lean * tall], [0, 1, HEIGHT - tall + 4], [0, 0, 1]]
        )
        move = camera @ stand
        size = (WIDTH, HEIGHT)
        alpha = cv2.warpPerspective(self.alpha, move, size)[..., None]
        figure = cv2.warpPerspective(self.figure, move, size, borderMode=cv2.BORDER_REPLICATE)
        return alpha * figure + (1 - alpha) * picture


def _cover(picture: Picture, height: int, width: int) -> Picture:
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def places(scene: Scene, motion: str, random: np.random.Generator) -> list[tuple[float | None, float]]:
    """Compute the figure's place and lean, frame by frame."""
    steps = np.arange(FRAMES)
    if motion == "still":
        return [(scene.place, 0.0)] * FRAMES
    if motion == "walks":
        return [(float(x), 0.02 * (-1) ** int(n)) for n, x in enumerate(np.linspace(0.05, 0.95, FRAMES))]
    sway = scene.place + 0.02 * np.sin(2.1 * steps + random.uniform(0, 6)) + random.normal(0, 0.004, FRAMES)
    leans = 0.05 * np.sin(1.3 * steps + random.uniform(0, 6))
    there: list[tuple[float | None, float]] = [(float(x), float(y)) for x, y in zip(sway, leans, strict=True)]
    if motion == "leaves":
        gone = int(random.integers(2, 6))
        there[FRAMES - gone :] = [(None, 0.0)] * gone
    return there


def make(scene: Scene, case: Case) -> tuple[Picture, list[Picture]]:
    """Make plate and frames of a case, uint8 RGB."""
    random = np.random.default_rng([case.scene, CONDITIONS.index(case.condition), len(case.plate_kind)])
    where = places(scene, case.motion, random)
    shake = float(case.condition[6:-1]) / 100 if case.condition.startswith("shake") else 0.0
    frames = [scene.shoot(*at, camera=_shake(random, shake)) for at in where]
    if case.plate_kind == "built in":
        plate = np.median(np.stack([scene.shoot(*at) for at in where]), axis=0)
    else:
        plate = scene.shoot(_plate_place(scene, case, where))
    if case.condition == "parallax":
        bend = _bend(random)
        plate = cv2.remap(plate, *bend, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    light = _light(case.condition, random)
    frames = [frame * light for frame in frames]
    return _finish(plate, random), [_finish(frame, random) for frame in frames]


def _plate_place(scene: Scene, case: Case, where: list[tuple[float | None, float]]) -> float | None:
    """Compute the figure's place on the plate."""
    if case.is_clean:
        return None
    if case.plate_kind == "same place":
        return scene.place + 0.005
    if case.motion == "walks":
        first = where[1 if case.plate_kind == "partly" else 0][0] or 0.0
        return first + (0.25 * scene.width if case.plate_kind == "partly" else 0.0)
    side = 1 if scene.place < 0.5 else -1
    if case.plate_kind == "partly":
        return scene.place + side * 0.4 * scene.width
    return float(np.clip(scene.place + side * (scene.width + 0.08), 0.08, 0.92))


def _shake(random: np.random.Generator, share: float) -> Picture:
    if share == 0:
        return np.eye(3)
    x, y = random.uniform(-share, share, 2) * WIDTH
    angle, middle = np.radians(random.uniform(-20, 20) * share), ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    cosine, sine = np.cos(angle), np.sin(angle)
    about = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1.0]])
    return np.array([[cosine, -sine, middle[0] + x], [sine, cosine, middle[1] + y], [0, 0, 1.0]]) @ about


def _bend(random: np.random.Generator) -> tuple[Picture, Picture]:
    """Bend by up to three pixels, like parallax of a moved camera."""
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    grid = random.uniform(-3, 3, (2, 3, 4)).astype(np.float32)
    x, y = (cv2.resize(side, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for side in grid)
    return columns + x, rows + y


def _light(condition: str, random: np.random.Generator) -> Picture | float:
    if condition == "light":
        return (2.0 ** (random.uniform(-1, 0.4) / 2.2) * random.uniform(0.93, 1.07, 3)).astype(np.float32)
    if condition == "lamp":
        x = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None]
        return 0.75 + np.exp(-3 * x) * np.array([0.3, 0.25, 0.18], np.float32)
    return 1.0


def _finish(picture: Picture, random: np.random.Generator) -> Picture:
    return np.clip(np.rint(picture + random.normal(0, NOISE_LEVELS, picture.shape)), 0, 255).astype(np.uint8)


def list_cases(count: int, first: int = 0, turns: int = 3) -> Iterator[Case]:
    """List all cases: all plates and motions in each scene, under alternating conditions.

    A clean plate has ``turns`` conditions in each scene, a plate with the subject two at most.
    """
    for scene in range(first, first + count):
        for number, motion in enumerate(CLEAN_MOTIONS):
            for turn in range(turns):
                yield Case(scene, "clean", motion, CONDITIONS[(scene + number + 2 * turn) % len(CONDITIONS)])
        for number, (plate, motion) in enumerate(PLATES):
            for turn in range(min(2, turns)):
                yield Case(scene, plate, motion, CONDITIONS[(scene + number + 3 * turn) % len(CONDITIONS)])


def load_scenes(data: Path, count: int, first: int = 0) -> Iterator[Scene]:
    """Load pairs of a held-out figure and photograph, from number ``first`` on."""
    figures = sorted((data / "figures").glob("*.webp"))[::10]
    rooms = sorted((data / "backgrounds").glob("*.jpg"))[::10]
    for number in range(first, first + count):
        picture = read_image(figures[(3 * number) % len(figures)])
        alpha = picture.alpha if picture.alpha is not None else np.full(picture.pixels.shape[:2], 255)
        room = read_image(rooms[(2 * number) % len(rooms)]).pixels
        yield Scene(picture.pixels, (alpha / 255).astype(np.float32), room, number)


def judge(diagnosis: Diagnosis) -> str:
    """Give ``nobody``, ``somebody``, ``cannot be told``, or the reason for an unusable plate."""
    finding = diagnosis.find("subject")
    if not diagnosis.is_usable and (finding is None or finding.severity != "bad"):
        return next(one.topic for one in diagnosis.findings if one.severity == "bad")
    if finding is None or "cannot be told" in finding.message:
        return "cannot be told"
    return "nobody" if finding.severity == "good" else "somebody"


def is_wrong(case: Case, answer: str) -> bool:
    """Tell whether a clean plate is refused, or a plate with the subject accepted as empty."""
    return answer not in ("nobody", "cannot be told") if case.is_clean else answer == "nobody"


def save_picture(path: Path, plate: Picture, frames: list[Picture]) -> None:
    """Write the plate and every frame of a case side by side."""
    half = [cv2.resize(side, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for side in (plate, *frames)]
    half += [np.zeros_like(half[0])] * (-len(half) % 3)
    sheet = np.vstack([np.hstack(half[row : row + 3]) for row in range(0, len(half), 3)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, sheet, overwrite=True)


def run(data: Path, count: int, first: int, turns: int, pictures: Path | None) -> dict[Case, str]:
    """Compute the answers to all cases; print a line for each scene and for each wrong answer."""
    answers: dict[Case, str] = {}
    for number, scene in enumerate(load_scenes(data, count, first), first):
        cases = list(list_cases(1, number, turns))
        for case in cases:
            plate, frames = make(scene, case)
            diagnosis = check_plate(plate, frames)
            answers[case] = judge(diagnosis)
            if is_wrong(case, answers[case]):
                finding = diagnosis.find("subject")
                score = finding.figures.get("outline_score", 0.0) if finding else 0.0
                print(f"  wrong: {case}: {answers[case]}, score {score:.2f}", flush=True)  # noqa: T201
                if pictures:
                    name = f"{number:02}-{case.plate_kind}-{case.motion}-{case.condition}.png"
                    save_picture(pictures / name.replace(" ", "-").replace("%", ""), plate, frames)
        wrong = sum(is_wrong(case, answers[case]) for case in cases)
        print(f"scene {number}: {wrong} of {len(cases)} wrong", flush=True)  # noqa: T201
    return answers


def print_table(title: str, key: Callable[[Case], str], answers: dict[Case, str]) -> None:
    """Print the numbers of answers, a row for each value of the key."""
    print(f"| {title} | cases | nobody | somebody | cannot be told | another fault |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for row in dict.fromkeys(map(key, answers)):
        tally = Counter(answer for case, answer in answers.items() if key(case) == row)
        told = [tally.pop(answer, 0) for answer in ("nobody", "somebody", "cannot be told")]
        cells = [row, sum(told) + tally.total(), *told, ", ".join(f"{k} {n}" for k, n in tally.items())]
        print(f"| {' | '.join(map(str, cells))} |")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="MATERIAL")
    parser.add_argument("--scenes", type=int, default=12, help="number of scenes")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument(
        "--turns", type=int, default=3, help="conditions for each plate and motion of a scene"
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write wrong answers there as PNG")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    answers = run(options.data, options.scenes, options.first, options.turns, options.pictures)
    print_table("plate, motion", _by_plate, answers)
    print_table("condition", _by_condition, answers)
    clean = [is_wrong(case, answer) for case, answer in answers.items() if case.is_clean]
    spoilt = [is_wrong(case, answer) for case, answer in answers.items() if not case.is_clean]
    print(f"false alarms {sum(clean)} of {len(clean)}, misses {sum(spoilt)} of {len(spoilt)}")  # noqa: T201


def _by_plate(case: Case) -> str:
    return f"{case.plate_kind}, {case.motion}"


def _by_condition(case: Case) -> str:
    return f"{'clean' if case.is_clean else 'subject in it'}, {case.condition}"


if __name__ == "__main__":
    main()
