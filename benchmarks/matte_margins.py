"""Margins of the matte's thresholds: ``python benchmarks/matte_margins.py [--groups hints specks ...]``.

As ``threshold_margins.py``, for hints, specks (``--despeckle``), props, and the search for the frames of a
plate that moves. The networks run once, for the props; all else works on made alpha. All groups take three
minutes of one core.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from margins import REFUSED, Case, measure, read_groups
from threshold_margins import SAMPLES, Bytes, Floats, expose, lay_figure, read_room, see

from cleanplate import Keyer
from cleanplate.cli.made_scene import build_scene
from cleanplate.compositing.specks import SpeckMemory, find_specks
from cleanplate.errors import PlateError
from cleanplate.frame import Frame, Matte
from cleanplate.keyer.hints.hint_sources import open_hint
from cleanplate.keyer.hints.hint_spread import spread_hint
from cleanplate.keyer.hints.hint_tracking import HintTracker
from cleanplate.keyer.props import compose_props
from cleanplate.plate.moving.content_search import match_by_content, take_thumbnails

HEIGHT, WIDTH = 270, 480
MOVE = (180, 320)
AREA = 200.0
"""Area of ``--despeckle``, in pixels."""

GROUPS = {
    "hints": ("keyer.hints.hint_spread",),
    "carried": ("keyer.hints.hint_tracking",),
    "specks": ("compositing.specks",),
    "props": ("keyer.props",),
    "search": ("plate.moving.content_search",),
}


def read_sample(name: str) -> Floats:
    """A sample picture at this benchmark's size, RGB in [0, 255]."""
    picture = cv2.cvtColor(cv2.imread(str(SAMPLES / name)), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def read_alpha() -> Floats:
    return np.ascontiguousarray(read_sample("photo_alpha.png")[..., 0] / 255)


def disc(x: float, y: float, radius: float, sigma: float = 1.0) -> Floats:
    """A disc with a soft border."""
    mask = cv2.circle(np.zeros((HEIGHT, WIDTH), np.float32), (round(x), round(y)), round(radius), 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)


def line(start: tuple[float, float], end: tuple[float, float]) -> Floats:
    ends = [tuple(round(value) for value in point) for point in (start, end)]
    return np.asarray(cv2.line(np.zeros((HEIGHT, WIDTH), np.float32), *ends, 1.0, 4), np.float32)


def find_middle(alpha: Floats) -> tuple[float, float]:
    rows, columns = np.nonzero(alpha > 0.99)
    return float(columns.mean()), float(np.median(rows))


# -- hints ------------------------------------------------------------------------------------------------


def make_hints() -> Iterator[Case]:
    """The sample's alpha with a fault each, and strokes for it: mean error around both, in levels of 255.

    Where the subject has a fault, the picture shows the wall, as where clothes have its colour.
    """
    truth, picture, wall = read_alpha(), read_sample("photo.jpg"), read_sample("plate.jpg")
    x, y = find_middle(truth)
    left, spot = int(np.flatnonzero(truth[round(y)] > 0.5)[0]), 0.9 * WIDTH
    nothing = np.zeros_like(truth)
    hole, bay, leak, blur = disc(x, y, 22), disc(left, y, 20), disc(spot, 60, 18), disc(left, y, 30)
    channel = line((left - 4, y), (x, y))
    middle = line((x - 12, y), (x + 12, y))
    # Alpha, parts of the subject in the wall's colour, strokes for subject and background.
    cases = {
        "hole": (truth * (1 - hole), hole, middle, nothing),
        "hole, short line": (truth * (1 - hole), hole, line((x - 4, y), (x + 4, y)), nothing),
        "faint hole": (truth * (1 - 0.7 * hole), 0.7 * hole, middle, nothing),
        "hole, line beyond": (truth * (1 - hole), hole, line((x - 12, y), (x + 60, y)), nothing),
        "hole with a gap": (truth * (1 - np.maximum(hole, channel)), hole, middle, nothing),
        "bay": (truth * (1 - bay), bay * truth, line((left + 1, y - 26), (left + 1, y + 26)), nothing),
        "leak": (np.maximum(truth, leak), nothing, nothing, line((spot - 8, 60), (spot + 8, 60))),
        "faint leak": (np.maximum(truth, 0.6 * leak), nothing, nothing, line((spot - 8, 60), (spot + 8, 60))),
        "stray stroke in the set": (truth, nothing, line((40, 60), (40, 80)), nothing),
        "stray stroke in the subject": (truth, nothing, nothing, middle),
        "soft edge, a stroke on each side": (
            truth + blur * (0.5 - truth),
            nothing,
            line((left + 12, y - 20), (left + 12, y + 20)),
            line((left - 12, y - 20), (left - 12, y + 20)),
        ),
    }
    for name, (alpha, painted, white, black) in cases.items():
        shown = picture + painted[..., None] * (wall - picture)
        error = np.maximum(0.3 * cv2.GaussianBlur(4 * alpha * (1 - alpha), (0, 0), 2), 0.01)
        guide = np.ascontiguousarray(expose(shown, 1).transpose(2, 0, 1) / np.float32(255))
        given = (guide, *(np.asarray(one, np.float32) for one in (alpha, error, white, black)))
        near = surround(np.maximum(np.abs(alpha - truth), np.maximum(white, black)), 31)
        yield partial(_spread, name, given, truth, near)


def surround(mask: Floats, side: int) -> npt.NDArray[np.bool_]:
    """The pixels around those above 0.1."""
    return np.asarray(cv2.dilate((mask > 0.1).astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def _spread(
    name: str, given: tuple[Floats, ...], truth: Floats, near: npt.NDArray[np.bool_]
) -> dict[str, float]:
    return {name: 255 * float(np.abs(spread_hint(*given) - truth)[near].mean())}


def make_carried() -> Iterator[Case]:
    """Clips of 30 frames with strokes on the first: percent of them lost, and off their part."""
    room = see(read_room("plate.jpg"))
    scene = build_scene(HEIGHT, WIDTH)
    for name in ("fast sway", "lamp", "turn", "bar in front"):
        frames, alphas = [], []
        for number in range(30):
            shift = (0.12 if name == "fast sway" else 0.06) * math.sin(number / 5)
            picture, alpha = lay_figure(scene, room, shift)
            if name == "turn":
                turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 0.7 * number, 1 - 0.005 * number)
                picture, alpha = (
                    cv2.warpAffine(one, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
                    for one in (picture, alpha)
                )
            if name == "bar in front":
                at = 20 * number
                picture[:, max(0, at - 60) : at], alpha[:, max(0, at - 60) : at] = (60, 80, 50), 0
            if name == "lamp":
                picture = picture * (1 + 0.012 * number)
            pixels = expose(np.asarray(picture, np.float32), number)
            frames.append(Frame(pixels, pts=number, time_base=Fraction(1, 5), index=number))
            alphas.append(alpha)
        inside = cv2.erode((alphas[0] > 0.99).astype(np.uint8), np.ones((9, 9), np.uint8))
        rows, columns = np.nonzero(inside)
        hint = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        middle = (int(np.median(columns)), int(np.median(rows)))
        cv2.line(hint, middle, (middle[0], middle[1] + 25), (255, 255, 255, 255), 5)
        cv2.line(hint, (middle[0], rows.min() + 4), (middle[0], rows.min() + 14), (255, 255, 255, 255), 5)
        yield partial(_carry, name, frames, alphas, hint)


def _carry(name: str, frames: list[Frame], alphas: list[Floats], hint: Bytes) -> dict[str, float]:
    tracker = HintTracker(open_hint(hint))
    first, lost, off = 0.0, [], []
    for frame, alpha in zip(frames, alphas, strict=True):
        found = tracker.follow(frame)
        white = np.zeros(alpha.shape, bool) if found is None else found.white
        first = first or float(white.sum())
        lost.append(100 - 100 * float(white.sum()) * (0 if found is None else found.weight) / first)
        off.append(100 * float((white & (alpha < 0.5)).sum()) / first)
    return {
        f"{name}, lost percent": max(0.0, float(np.mean(lost))),
        f"{name}, off percent": float(np.mean(off)),
    }


# -- specks -----------------------------------------------------------------------------------------------


def make_specks() -> Iterator[Case]:
    """The sample's alpha with islands and holes: mean error around them, in levels; specks that flash."""
    truth = read_alpha()
    x, y = find_middle(truth)
    edge = float(np.flatnonzero(truth[round(y)] > 0.5)[0])
    cases = {
        "islands": (np.maximum(disc(60, 60, 6, 1.5), disc(100, 200, 3)), True),
        "island with a wide border": (disc(60, 60, 5, 4), True),
        "faint island": (0.2 * disc(60, 60, 12, 3), True),
        "large island": (disc(60, 160, 14), False),
        "beside the subject": (disc(edge - 9, y, 4), True),
    }
    for name, (island, goes) in cases.items():
        alpha = np.maximum(truth, island)
        yield partial(_clean, name, alpha, truth if goes else alpha, surround(island, 25))
    hole = disc(x, y, 5)
    yield partial(_clean, "hole", truth * (1 - hole), truth, surround(hole, 9))
    strands = surround(4 * truth * (1 - truth), 5)
    yield partial(_clean, "hair and strands", truth, truth, strands)
    clips = {
        "island that grows": [disc(60, 60, 6 + 0.25 * number) for number in range(16)],
        "island that trembles": [disc(60 + number % 3, 60, 8 + number % 2) for number in range(16)],
        "island for three frames": [disc(60, 60, 9) * (6 <= number < 9) for number in range(16)],
        "island that appears": [disc(60, 60, 9) * (number > 3) for number in range(16)],
    }
    for name, drawn in clips.items():
        yield partial(_watch, name, [np.maximum(truth, one) for one in drawn])


def _clean(name: str, alpha: Floats, wanted: Floats, near: npt.NDArray[np.bool_]) -> dict[str, float]:
    found = find_specks(alpha, AREA)
    result = alpha.copy()
    if found.islands is not None:
        result[found.islands] = 0
    if found.holes is not None:
        result[found.holes] = 1
    return {name: 255 * float(np.abs(result - wanted)[near].mean())}


def _watch(name: str, alphas: list[Floats]) -> dict[str, float]:
    """Changes of an island between shown and hidden, and frames in which it is shown."""
    memory = SpeckMemory(AREA)
    shown = []
    for alpha in alphas:
        islands = memory.find(alpha).islands
        shown.append(alpha[60, 60] > 0.5 and (islands is None or not islands[60, 60]))
    changes = sum(one != other for one, other in itertools.pairwise(shown))
    return {f"{name}, changes": float(changes), f"{name}, frames": float(sum(shown))}


# -- props ------------------------------------------------------------------------------------------------


def make_props() -> Iterator[Case]:
    """A chair before and behind the subject, and gone: mean error in levels of 255, near the chair."""
    empty, person, alpha = read_sample("plate.jpg"), read_sample("photo.jpg"), read_alpha()
    x = float(np.average(np.arange(WIDTH), weights=alpha.sum(axis=0))) - 60
    chair = disc(x, 195, 50, 1.5)
    colour = np.float32([220, 60, 40])

    def put(mask: Floats, above: Floats, below: Floats) -> Floats:
        return np.asarray(mask[..., None] * above + (1 - mask[..., None]) * below, np.float32)

    furnished = put(chair, colour, empty)
    shots = {
        "before the chair": put(alpha, person, furnished),
        "behind the chair": put(chair, colour, put(alpha, person, empty)),
        "the chair is gone": put(alpha, person, empty),
    }
    plates = [expose(empty, 1), expose(furnished, 2)]
    from_empty, from_props = (Keyer(plate, align=False) for plate in plates)
    props_alpha = from_empty(plates[1]).alpha
    near = surround(chair, 25)
    for name, shot in shots.items():
        frame = Frame(expose(shot, 3))
        mattes = from_empty(frame), from_props(frame)
        for mode in ("keep", "drop"):
            if mode == "keep":
                wanted = alpha if "gone" in name else 1 - (1 - alpha) * (1 - chair)
            else:
                wanted = alpha * (1 - chair) if "behind" in name else alpha
            yield partial(_compose, f"{name}, {mode}", mattes, props_alpha, mode, wanted, near)


def _compose(
    name: str,
    mattes: tuple[Matte, Matte],
    props: Floats,
    mode: str,
    wanted: Floats,
    near: npt.NDArray[np.bool_],
) -> dict[str, float]:
    found = compose_props(*mattes, props, mode)
    return {name: 255 * float(np.abs(found.alpha - wanted)[near].mean())}


# -- search -----------------------------------------------------------------------------------------------


def make_searches() -> Iterator[Case]:
    """Moves over the samples' sets with a subject, at another speed: mean error in frames; another place."""
    scene = build_scene(*MOVE)
    rooms = {name: _enlarge(f"{name}.jpg") for name in ("plate", "clip_plate")}
    places = 0.05 + 0.9 * np.linspace(0, 1, 40) ** 1.5
    steady = np.linspace(0, 1, 60)
    for name, room in rooms.items():
        plate = [_shoot(room, place, number) for number, place in enumerate(steady)]
        for light in (1.0, 0.35):
            shots = [
                _shoot(room, place, 100 + number, scene=scene, gain=light)
                for number, place in enumerate(places)
            ]
            yield partial(_search, f"{name}, light {light}", shots, plate, 59 * places)
        slow = [
            _shoot(room, 0.4 + 0.05 * place, 100 + number, scene=scene) for number, place in enumerate(places)
        ]
        yield partial(_search, f"{name}, slow", slow, plate, 59 * (0.4 + 0.05 * places))
        waits = np.concatenate([np.full(15, 0.3), np.linspace(0.3, 0.9, 25)])
        pause = [_shoot(room, place, 100 + number, scene=scene) for number, place in enumerate(waits)]
        yield partial(_search, f"{name}, pause", pause, plate, 59 * waits)
    other = [_shoot(rooms["clip_plate"], place, number) for number, place in enumerate(steady)]
    shots = [_shoot(rooms["plate"], place, 100 + number, scene=scene) for number, place in enumerate(places)]
    yield partial(_search, "another place", shots, other, None)


def _enlarge(name: str) -> Floats:
    picture = cv2.cvtColor(cv2.imread(str(SAMPLES / name)), cv2.COLOR_BGR2RGB)
    return np.asarray(
        cv2.resize(picture, (3 * MOVE[1], 3 * MOVE[0]), interpolation=cv2.INTER_AREA), np.float32
    )


def _shoot(room: Floats, place: float, seed: int, *, scene=None, gain: float = 1.0) -> Bytes:
    zoom = 1.3 - 0.2 * place
    view = np.float32([[1 / zoom, 0, 30 + 420 * place], [0, 1 / zoom, 120 + 60 * np.sin(3 * place)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = np.asarray(cv2.warpAffine(room, view, MOVE[::-1], flags=flags), np.float32)
    if scene is not None:
        picture = lay_figure(scene, picture, 0.1 * math.sin(seed / 6))[0]
    return expose(np.asarray(picture * gain, np.float32), seed)


def _search(name: str, shots: list[Bytes], plate: list[Bytes], truth: Floats | None) -> dict[str, float]:
    source, empty = (
        take_thumbnails(Frame(pixels, index=number) for number, pixels in enumerate(clip))
        for clip in (shots, plate)
    )
    try:
        found = match_by_content(Path("plate.mov"), source, empty, None).table
    except PlateError:
        return {f"{name}, frames": REFUSED if truth is not None else 0.0}
    if truth is None or found is None:
        return {f"{name}, frames": REFUSED}
    return {f"{name}, frames": float(np.abs(found - truth).mean())}


def main() -> int:
    groups = read_groups(__doc__, GROUPS)
    cv2.setNumThreads(1)
    makers: dict[str, Callable[[], Iterator[Case]]] = {
        "hints": make_hints,
        "carried": make_carried,
        "specks": make_specks,
        "props": make_props,
        "search": make_searches,
    }
    for group in groups:
        measure(group, GROUPS[group], list(makers[group]()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
