"""Fakes for live sessions: a room with a person, a camera, a difference keyer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.waiting import wait_until

from cleanplate.frame import Frame, Matte
from cleanplate.live.live_backdrops import Backgrounds
from cleanplate.live.session import Session, SessionSettings
from cleanplate.media.contract import SourceInfo

HEIGHT, WIDTH, RATE = 96, 128, 30
TIME_BASE = Fraction(1, 90_000)


def paint_room() -> np.ndarray:
    random = np.random.default_rng(3)
    coarse = random.uniform(40, 200, (12, 16, 3)).astype(np.float32)
    fine = random.uniform(-20, 20, (48, 64, 3)).astype(np.float32)
    room = cv2.resize(coarse, (WIDTH, HEIGHT)) + cv2.resize(fine, (WIDTH, HEIGHT))
    return np.clip(room, 0, 255).astype(np.uint8)


class Room:
    """Frames of a room by number; ``person`` is the left edge of a person in it; None: the room is empty."""

    def __init__(self) -> None:
        self.empty = paint_room()
        self.random = np.random.default_rng(4)
        self.number = 0

    def frame(self, person: int | None = None, gain: float = 1.0) -> Frame:
        picture = self.empty.astype(np.float32) * gain
        if person is not None:
            picture[30:, person : person + 30] = (220, 40, 40)
        picture += self.random.normal(0, 1.5, picture.shape)
        frame = Frame(
            np.clip(np.rint(picture), 0, 255).astype(np.uint8),
            self.number * 90_000 // RATE,
            TIME_BASE,
            None,
            self.number,
        )
        self.number += 1
        return frame


class ComparingKeyer:
    def __init__(self, plate, props=None) -> None:
        self.plate, self.props = plate, props
        self.closed = False
        self.error: Exception | None = None

    def __call__(self, frame: Frame) -> Matte:
        if self.error is not None:
            raise self.error
        apart = cv2.absdiff(frame.pixels, self.plate.pixels).max(axis=2)
        return Matte((apart > 24).astype(np.float32), frame.pixels, frame)

    def describe(self) -> str:
        return "a comparison"

    def close(self) -> None:
        self.closed = True


class FakeCamera:
    """Camera in real time at ten times the usual rate; it can be disconnected, and ends by itself."""

    def __init__(self, room: Room | None = None, *, count: int = 10**9, rate: float = 300.0) -> None:
        self.room = room or Room()
        self.name = "Fake Webcam"
        self.notes: list[str] = []
        self.info = SourceInfo(Path(self.name), HEIGHT, WIDTH, frame_rate=Fraction(RATE), time_base=TIME_BASE)
        self.is_lost = False
        self.clock_zero = time.monotonic()
        self.count, self.period = count, 1 / rate
        self.stopped = threading.Event()
        self.calls: list[str] = []
        self.fail_at: int | None = None
        self.end_after: Callable[[], object] = lambda: True  # the camera waits for this after its last frame
        self.held: tuple[str, ...] = ("exposure", "white balance")

    def __iter__(self) -> Iterator[Frame]:
        self.clock_zero = time.monotonic()
        for number in range(self.count):
            if self.stopped.wait(self.period):
                return
            if number == self.fail_at:
                raise ValueError("the driver is broken")
            frame = self.room.frame(40)
            pts = round((time.monotonic() - self.clock_zero) * 90_000)
            yield Frame(frame.pixels, max(pts, number), TIME_BASE, None, number)
        wait_until(lambda: self.end_after() or self.stopped.is_set(), "outputs of the last frame")

    def stop(self) -> None:
        self.stopped.set()

    def lock(self) -> tuple[str, ...]:
        self.calls.append("lock")
        return self.held

    def unlock(self) -> None:
        self.calls.append("unlock")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def camera(room: Room) -> FakeCamera:
    return FakeCamera(room)


@pytest.fixture
def messages() -> list[str]:
    return []


OpenSession = Callable[..., Session]


@pytest.fixture
def open_session(camera: FakeCamera, messages: list[str]) -> OpenSession:
    def make(plate=None, *, backgrounds=("#00ff00",), settings=None, **options) -> Session:
        return Session(
            camera,
            ComparingKeyer,
            Backgrounds(backgrounds),
            settings or SessionSettings(countdown_seconds=1.0),
            plate=plate,
            say=messages.append,
            **options,
        )

    return make


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Check that no thread outlives a test, except those of a network's router."""
    before = set(threading.enumerate())
    yield

    def find_new() -> list[str]:
        return [
            thread.name
            for thread in threading.enumerate()
            if thread not in before and not thread.name.startswith("router_")
        ]

    wait_until(lambda: not find_new(), "end of the threads", seconds=60)
