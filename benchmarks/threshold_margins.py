"""Margins of the plate's thresholds: ``python benchmarks/threshold_margins.py [--groups fit follow ...]``.

Halves and doubles each number at the top of the plate's modules (between 0.5 and 1: its distance to 1) and
repeats made cases, whose truth is known, on the bundled samples: plates with faults that are fitted, followed
shots, changes of light, shadows, checks, built plates. Printed are the numbers for which a case changes by
more than 0.2 levels of 255 (or percent, or one step of a finding's severity) and a quarter, and those for
which none does. These few cases give a lower bound: other scenes may need a number that no case here
depends on. ``fit`` takes 5 minutes of one core, the others 1 to 10. ``matte_margins.py`` has hints, specks,
props and the search for the plate of a camera move; ``margins.py`` changes the numbers for both.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from margins import REFUSED, Case, measure, read_groups

from cleanplate import CleanplateError
from cleanplate.cli.made_scene import Scene, build_scene
from cleanplate.frame import Frame
from cleanplate.plate import Plate, build_plate, check_plate, fit_plate, measure_shadow
from cleanplate.plate.tracking.plate_tracker import PlateTracker
from cleanplate.plate.tracking.shot import Shot

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
HEIGHT, WIDTH, MARGIN = 270, 480, 32
SMALL, LARGE = (144, 256), (360, 640)
NOISE = 1.5
STOP = 2 ** (1 / 2.2)
DIFFERENT = 24.0
LEARNED = 64
"""Frames of a shot whose plate is updated, five a second: a moved box is learned after 6 seconds at rest."""

GROUPS = {
    "fit": (
        "plate.fit",
        "plate.structure",
        "plate.channel_order",
        "plate.registration.alignment",
        "plate.registration.dense",
        "plate.registration.homography",
        "plate.registration.mesh",
        "plate.registration.same_place",
        "plate.photometry.exposure",
        "plate.photometry.shading",
        "plate.photometry.clipping",
    ),
    "follow": (
        "plate.tracking.plate_tracker",
        "plate.tracking.motion_detector",
        "plate.tracking.registration_tracker",
    ),
    "light": (
        "plate.tracking.shot",
        "plate.tracking.plate_update",
        "plate.photometry.illumination",
    ),
    "objects": ("plate.tracking.static_objects", "plate.tracking.subject_extent"),
    "shadow": ("plate.photometry.shadow",),
    "check": (
        "plate.checking.check",
        "plate.checking.place_findings",
        "plate.checking.picture_findings",
        "plate.checking.image_quality",
        "plate.checking.intruder",
    ),
    "build": (
        "plate.building.plate_builder",
        "plate.building.background_model",
        "plate.building.clip_samples",
        "plate.building.occupancy",
    ),
}

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def read_room(name: str, height: int = HEIGHT, width: int = WIDTH) -> Floats:
    """Read a sample plate, larger than a frame of this size by ``MARGIN`` on each side."""
    picture = cv2.cvtColor(cv2.imread(str(SAMPLES / name)), cv2.COLOR_BGR2RGB)
    size = (width + 2 * MARGIN, height + 2 * MARGIN)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def see(room: Floats, x: float = 0.0, y: float = 0.0, degrees: float = 0.0) -> Floats:
    """Give the room in view of a camera that is moved and turned."""
    turn = cv2.getRotationMatrix2D((room.shape[1] / 2, room.shape[0] / 2), degrees, 1.0)
    turn[:, 2] += (x - MARGIN, y - MARGIN)
    size = (room.shape[1] - 2 * MARGIN, room.shape[0] - 2 * MARGIN)
    return np.asarray(cv2.warpAffine(room, turn, size, flags=cv2.INTER_CUBIC), np.float32)


def bend(picture: Floats, pixels: float) -> Floats:
    """Displace the lower half smoothly along x, as parallax does."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    columns = columns + pixels * np.clip(rows / HEIGHT - 0.3, 0, 1) * np.sin(columns / WIDTH * np.pi)
    moved = cv2.remap(picture, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def expose(picture: Floats, seed: int) -> Bytes:
    noise = np.random.default_rng(seed).standard_normal(picture.shape, dtype=np.float32)
    return np.clip(np.rint(picture + np.float32(NOISE) * noise), 0, 255).astype(np.uint8)


def lay_figure(scene: Scene, background: Floats, shift: float) -> tuple[Floats, Floats]:
    """Compose the made figure, three quarters of its size, over a background; give alpha as well."""
    height, width = background.shape[:2]
    left, top = width * (0.125 + shift), height * 0.25
    move = np.array([[0.75, 0, left], [0, 0.75, top]], np.float32)
    alpha = np.asarray(cv2.warpAffine(scene.alpha, move, (width, height)), np.float32)
    figure = cv2.warpAffine(scene.figure, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    mixed = alpha[..., None] * figure + (1 - alpha[..., None]) * background
    return np.asarray(mixed, np.float32), alpha


def distance(plate: Bytes, valid: npt.NDArray[np.bool_] | None, background: Floats, alpha: Floats) -> float:
    """Mean difference in levels where plate and background are visible, and 10 levels for each unknown."""
    seen = (alpha < 0.01) if valid is None else (alpha < 0.01) & valid
    wrong = np.abs(plate.astype(np.float32) - np.clip(background, 0, 255)).mean(axis=2)
    unknown = 0.0 if valid is None else float((~valid).mean())
    return float(wrong[seen].mean()) + 10 * unknown


def make_fits(scene: Scene) -> Iterator[Case]:
    """Plates with one fault each, and plates to refuse."""
    room = read_room("plate.jpg")
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    corner = np.exp(-0.3 * (rows**2 + columns**2) / 2)[..., None]
    still = see(room)
    frame, alpha = lay_figure(scene, still, 0.0)
    plates = {
        "as it is": still,
        "4 px, 2 degrees, a stop darker": see(room, 3, 3, 2.0) / STOP * np.float32((1.1, 1, 0.9)),
        "a stop brighter": still * STOP,
        "gamma 1.15, vignetting": 255 * (still.clip(0, 255) / 255) ** 1.15 * corner,
        "parallax": bend(still, 4.0),
        "blue first": still[..., ::-1],
    }
    shot = expose(frame, 1)
    for fault, picture in plates.items():
        yield partial(_fit, fault, expose(picture, 2), shot, still, alpha)
    yield partial(_refuse, "another place", expose(see(read_room("clip_plate.jpg")), 2), shot)
    yield partial(_refuse, "black", np.full_like(shot, 2), shot)


def _fit(name: str, plate: Bytes, frame: Bytes, truth: Floats, alpha: Floats) -> dict[str, float]:
    fitted = fit_plate(Plate(plate), Frame(frame))
    if "blue first" in name:
        return {name: 0.0 if any("BGR" in note for note in fitted.fit.notes) else REFUSED}
    return {name: distance(fitted.pixels, fitted.valid, truth, alpha)}


def _refuse(name: str, plate: Bytes, frame: Bytes) -> dict[str, float]:
    try:
        fit_plate(Plate(plate), Frame(frame))
    except CleanplateError:
        return {name: 0.0}
    return {name: REFUSED}


def make_shots() -> Iterator[Case]:
    """Shots of a still, a shaken and a covered camera."""
    scene, room = build_scene(*LARGE), read_room("plate.jpg", *LARGE)
    for title, size, follow in (
        ("still", 0.0, False),
        ("shake of 0.2 px", 0.2, True),
        ("shake of 3 px", 3.0, True),
        ("jolt of 3 px", 3.0, False),
        ("hand before the lens", 1.5, True),
    ):
        yield partial(_track, title, scene, room, size, follow)


def _track(name: str, scene: Scene, room: Floats, size: float, follow: bool) -> dict[str, float]:
    tracker = PlateTracker(Plate(expose(see(room), 2)), follow=follow)
    errors = []
    for number in range(12):
        phase = 0.0 if "jolt" in name and number < 4 else number / 1.5
        x, y = size * math.sin(phase), 0.6 * size * (math.cos(0.7 * phase) - 1)
        background = see(room, x, y)
        frame, alpha = lay_figure(scene, background, 0.02 * math.sin(number / 4))
        if "hand" in name and 4 <= number < 6:
            frame, alpha = frame * 0 + 90, alpha * 0 + 1
        shot = expose(frame, 10 + number)
        fitted = tracker.plate_for(shot)
        tracker.learn(shot, alpha)
        if alpha.min() < 1:
            errors.append(distance(fitted.pixels, fitted.valid, background, alpha))
    return {name: float(np.mean(errors))}


def make_lights() -> Iterator[Case]:
    """A shot of a lamp that is switched on."""
    yield partial(_learn, "lamp", build_scene(*SMALL))


def make_objects() -> Iterator[Case]:
    """A shot of a box that is moved to another place, and a figure that stands nearly still."""
    for title in ("box", "rest"):
        yield partial(_learn, title, build_scene(*SMALL))


def _learn(title: str, scene: Scene) -> dict[str, float]:
    """Give the mean difference of plate and set over a shot, and at its end."""
    height, width = scene.alpha.shape
    dark = np.float32(0.55)
    glow = dark + np.exp(-3 * np.linspace(0, 1, width))[None, :, None] * (0.4, 0.3, 0.2)
    room = scene.plate.astype(np.float32)
    box, later = room.copy(), room.copy()
    top, bottom = round(0.6 * height), round(0.95 * height)
    for picture, left in ((box, 0.02), (later, 0.86)):
        corners = (round(left * width), top), (round((left + 0.12) * width), bottom)
        cv2.rectangle(picture, *corners, (150.0, 60.0, 50.0), -1)
    first = {"box": box, "lamp": room * dark}.get(title, room)
    shot = Shot(Plate(expose(np.asarray(first, np.float32), 2)), follow=True)
    errors = []
    for number in range(LEARNED):
        shift = {"lamp": 0.05, "box": 0.1, "rest": 0.004}[title] * math.sin(number / 2.5)
        back: Any = {
            "lamp": room * (dark if number < 10 else glow),
            "box": box if number < 10 else later,
        }.get(title, room)
        picture, alpha = lay_figure(scene, np.asarray(back, np.float32), shift)
        at = Frame(expose(picture, 10 + number), pts=number, time_base=Fraction(1, 5), index=number)
        fitted = shot.plate_for(at)
        # The network's matte has the figure, and all that the plate does not show.
        differs = np.abs(fitted.pixels.astype(np.float32) - back).max(axis=2) > DIFFERENT
        shot.learn(at, np.maximum(alpha, differs.astype(np.float32)) if title == "box" else alpha)
        errors.append(distance(fitted.pixels, None, back, alpha))
    return {f"{title}, mean": float(np.mean(errors)), f"{title}, end": float(np.mean(errors[-10:]))}


def make_shadows(scene: Scene) -> Iterator[Case]:
    """Frames with a soft and a hard shadow, and with another exposure."""
    background = see(read_room("plate.jpg"))
    for title, strength, sigma, gain in (("soft", 0.3, 16.0, 1.0), ("hard", 0.5, 3.0, 1.04), ("no", 0, 1, 1)):
        yield partial(_shade, f"{title} shadow, percent", scene, background, strength, sigma, gain)


def _shade(
    name: str, scene: Scene, background: Floats, strength: float, sigma: float, gain: float
) -> dict[str, float]:
    _, alpha = lay_figure(scene, background, 0.0)
    shape = cv2.GaussianBlur(np.roll(alpha, (20, 60), (0, 1)), (0, 0), sigma)
    # The share of light is linear, the pixels are encoded: light falls by the exponent of sRGB's curve, 2.2.
    darker = (1 - strength * shape)[..., None] ** (1 / 2.2)
    frame, alpha = lay_figure(scene, np.asarray(background * darker * gain, np.float32), 0.0)
    found = measure_shadow(expose(frame, 1), expose(background, 2), alpha)
    return {name: 100 * float(np.abs(found - strength * shape)[alpha < 0.01].mean())}


def make_checks(scene: Scene) -> Iterator[Case]:
    """Plates with a fault each; a case gives the severity of each finding as a number."""
    room = read_room("clip_plate.jpg")
    still = see(room)
    frames = [expose(lay_figure(scene, still, 0.1 * number - 0.2)[0], 10 + number) for number in range(4)]
    subject = lay_figure(scene, still, 0.25)[0]
    blurred = expose(np.asarray(cv2.GaussianBlur(still, (0, 0), 1.5), np.float32), 2)
    compressed = cv2.imencode(".jpg", blurred, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    plates = {
        "clean": expose(still, 2),
        "subject": expose(subject, 2),
        "blurred, quality 15": np.asarray(cv2.imdecode(compressed, cv2.IMREAD_COLOR), np.uint8),
        "moved, a stop darker": expose(see(room, 15, 9, 1.0) / STOP * np.float32((1.1, 1, 0.9)), 2),
    }
    for name, plate in plates.items():
        yield partial(_check, name, plate, frames)


def _check(name: str, plate: Bytes, frames: list[Bytes]) -> dict[str, float]:
    ranks = {"good": 0, "care": 1, "bad": 2}
    diagnosis = check_plate(plate, frames)
    return {f"{name}, {one.topic}": float(ranks.get(one.severity, 3)) for one in diagnosis.findings}


def make_builds(folder: Path) -> Iterator[Case]:
    """Clips of 60 frames of a pacing figure, seen by a still and by a hand-held camera."""
    scene = build_scene(*SMALL)
    room = cv2.resize(see(read_room("plate.jpg")), SMALL[::-1], interpolation=cv2.INTER_AREA)
    for name in ("pacing", "hand-held"):
        path = folder / f"{name}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast"})
            (stream.height, stream.width), stream.pix_fmt = SMALL, "yuv420p"
            for number in range(60):
                shift = 0.35 * math.cos(number / 9)
                picture, _ = lay_figure(scene, np.asarray(room, np.float32), shift)
                if name == "hand-held":
                    move = np.array([[1, 0, 2 * math.sin(number / 8)], [0, 1, math.cos(number / 13) - 1]])
                    picture = cv2.warpAffine(
                        picture, move, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT
                    )
                    picture = picture * np.float32(1 + 0.05 * math.sin(1.7 * number))
                pixels = expose(np.asarray(picture, np.float32), number)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        yield partial(_build, name, path, np.asarray(room, np.float32))


def _build(name: str, path: Path, room: Floats) -> dict[str, float]:
    built = build_plate(path)
    sure = built.confidence >= 0.5
    wrong = np.abs(built.pixels.astype(np.float32) - room).mean(axis=2)
    return {
        f"{name}, levels": float(wrong[sure].mean()),
        f"{name}, unknown percent": 100 * float((~sure).mean()),
    }


def main() -> int:
    groups = read_groups(__doc__, GROUPS)
    cv2.setNumThreads(1)
    scene = build_scene(HEIGHT, WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        makers: dict[str, Callable[[], Iterator[Case]]] = {
            "fit": partial(make_fits, scene),
            "follow": make_shots,
            "light": make_lights,
            "objects": make_objects,
            "shadow": partial(make_shadows, scene),
            "check": partial(make_checks, scene),
            "build": partial(make_builds, Path(folder)),
        }
        for group in groups:
            measure(group, GROUPS[group], list(makers[group]()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
