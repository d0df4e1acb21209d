"""States changed together with their checksum: refused by the reader."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.media.test_icc import PROFILES

from cleanplate.frame import Frame
from cleanplate.jobs.checkpoint import Checkpoint, DamagedError, Keeping, Work
from cleanplate.jobs.holes import HoleWatch
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
from cleanplate.models.registry import Model
from cleanplate.plate import Plate
from cleanplate.plate.registration.mesh import COLUMNS, ROWS, Mesh

SIZE = (64, 96)
RNG = np.random.default_rng(3)
SET = RNG.integers(40, 200, (SIZE[0] // 4, SIZE[1] // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)


def frames() -> Iterator[Frame]:
    """Make frames of a moving square in a set that shifts by a pixel."""
    for number in range(5):
        pixels = np.roll(SET, number % 2, axis=1)
        pixels[20:44, 10 + 6 * number : 30 + 6 * number] = (230, 40, 60)
        yield Frame(pixels, index=number, pts=number, time_base=Fraction(1, 2))


class Holes(HoleWatch):
    """Holes of mattes, as the report measures them."""

    def __call__(self, frame: Frame) -> float:
        return self.measure((frame.pixels[..., 0] > 220).astype(np.float32), 0.5)


PARTS: dict[str, Callable[[Plate], Any]] = {
    "follow": lambda plate: Keyer(plate, scale=0.5, follow=True),
    "stand": lambda plate: Keyer(plate, scale=0.5),
    "holes": lambda _: Holes(),
}


def arrays_of(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """List all arrays of a state except the plate's, with their paths."""
    if isinstance(value, np.ndarray):
        yield way, value
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from arrays_of(part, (*way, number))
    elif hasattr(value, "__dict__") and not isinstance(value, Plate):
        for name, part in vars(value).items():
            yield from arrays_of(part, (*way, name))


def put(value: Any, way: tuple[Any, ...], array: Any) -> Any:
    """Replace the array at a path of the state; objects are changed in place."""
    if not way:
        return array
    if isinstance(value, (list, tuple)):
        parts = list(value)
        parts[way[0]] = put(parts[way[0]], way[1:], array)
        return type(value)(parts)
    vars(value)[way[0]] = put(vars(value)[way[0]], way[1:], array)
    return value


def change(array: np.ndarray) -> Iterator[Any]:
    """List arrays of other shapes and another type, and a value that is not an array."""
    yield np.concatenate([array, array[:1]])
    yield array[..., None]
    yield array.astype(np.complex64)
    yield 1


def check_every_array(part: Any, snapshot: Any, work: Work, least: int) -> None:
    """Restore the state as it is, then with one array after the other changed."""

    def restore(state: Any) -> None:
        checksum = work.remember(10, {"part": state})
        keeping = Keeping(work, replace(Checkpoint({}, False), frames=10, checksum=checksum), 10, [])
        keeping.add("part", part)
        keeping.restore()

    restore(copy.deepcopy(snapshot))
    found = list(arrays_of(snapshot))
    assert len(found) >= least
    for way, array in found:
        for other in change(array):
            with pytest.raises(DamagedError, match=r"^The checkpoint of a\.mov is damaged: "):
                restore(put(copy.deepcopy(snapshot), way, other))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    found = Work(tmp_path / "a.mov")
    found.folder.mkdir()
    return found


@pytest.mark.parametrize(("name", "least"), [("follow", 30), ("stand", 15), ("holes", 3)])
def test_each_array_of_a_state_is_checked_when_it_is_read(name: str, least: int, work: Work) -> None:
    part = PARTS[name](Plate(SET))
    for frame in frames():
        part(frame)
    snapshot = copy.deepcopy(part.snapshot())
    if name != "holes":  # like the fit of a plate with a mesh and unknown parts
        (((shot, *_),), *_) = snapshot
        fitted = vars(shot)["_fitted"]
        fit = replace(fitted.fit, mesh=Mesh(np.zeros((ROWS, COLUMNS, 2))))
        vars(shot)["_fitted"] = replace(fitted, valid=np.ones(SIZE, bool), fit=fit)
    check_every_array(part, snapshot, work, least)


def test_each_array_of_a_recurrent_state_is_checked(work: Work, tiny_recurrent_model: Model) -> None:
    keyer = RecurrentKeyer(model=tiny_recurrent_model)
    for frame in frames():
        keyer(frame)
    check_every_array(keyer, keyer.snapshot(), work, least=6)


@pytest.mark.parametrize("count", [1, 2])
def test_a_state_has_no_plate_that_was_converted_to_the_frames_colours(count: int) -> None:
    plates = [Plate(SET // (number + 1), icc_profile=PROFILES["p3"]) for number in range(count)]
    keyer = Keyer(plates, scale=0.5)
    for frame in frames():
        keyer(frame)
    assert b"cleanplate.plate.picture" not in pickle.dumps(keyer.snapshot())


def test_an_unknown_array_in_a_state_is_refused() -> None:
    keyer = Keyer(Plate(SET), scale=0.5)
    keyer(next(frames()))
    snapshot = copy.deepcopy(keyer.snapshot())
    (((shot, *_),), *_) = snapshot
    vars(shot)["_new"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"'new' is an array of float64 \(3,\)"):
        keyer.restore(snapshot)


@pytest.mark.parametrize(
    "damage",
    [
        {"pixels": SET[..., 0]},
        {"pixels": SET.astype(np.float32)},
        {"known": np.ones((3, 3), bool)},
        {"known": np.ones(SIZE, np.int16)},
    ],
)
def test_a_built_plate_of_another_shape_is_built_again(work: Work, damage: dict[str, Any]) -> None:
    plate = Plate(SET, known=np.ones(SIZE, bool))
    checkpoint = Checkpoint({}, False, plate_checksum=work.remember_plate(plate))
    back = work.recall_plate(checkpoint)
    assert back is not None
    assert np.array_equal(back.pixels, SET)
    vars(plate).update(damage)
    assert work.recall_plate(replace(checkpoint, plate_checksum=work.remember_plate(plate))) is None
