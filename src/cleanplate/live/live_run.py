"""A live session with its threads: capture, keying, each output, and the window in the calling thread.

::

    camera ─> newest frame ─> keying ─┬─> newest ─> window (calling thread)
                                      ├─> newest ─> virtual camera
                                      └─> recorder

Between two threads there is a slot for one frame, and a newer frame replaces it: a slow stage misses frames,
and no frame waits in a queue.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2

from cleanplate.frame import Frame
from cleanplate.live.meters import Meter
from cleanplate.live.session import Session, Shown
from cleanplate.live.session_recorder import SessionRecorder
from cleanplate.live.slot import Slot
from cleanplate.media.cameras.camera import Camera
from cleanplate.media.cameras.virtual_camera import VirtualCamera

WAIT_SECONDS = 0.2
"""Seconds that a stage waits for a frame before it checks for the end. A choice: the end is no later than
that."""

TICK_SECONDS = 0.1
"""Seconds between two steps of the calling thread if there is no window. A choice: a command waits no
longer."""

END_SECONDS = 6.0
"""Seconds that a camera may take for its last frame; then its thread is abandoned. A choice between a late
end and a device that stays open."""


@dataclass(frozen=True)
class Delivery:
    """A result to show, and the arrival time of its frame on the monotonic clock."""

    shown: Shown
    arrived: float


@dataclass
class Figures:
    """Figures of a run so far; latencies are those of keyed frames.

    Attributes:
        captured: Number of frames from the camera.
        missed: Number of frames that were replaced by newer ones before they were keyed.
        keying: Time in the keyer.
        ready: Time from a frame's arrival to its result.
        window: Time from a frame's arrival to its display.
        virtual: Time from a frame's arrival to its delivery to the virtual camera.
        began: Start on the monotonic clock.
    """

    captured: int = 0
    missed: int = 0
    keying: Meter = field(default_factory=Meter)
    ready: Meter = field(default_factory=Meter)
    window: Meter = field(default_factory=Meter)
    virtual: Meter = field(default_factory=Meter)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    @property
    def latest(self) -> Meter:
        """The latency for the user: of the window, else of the virtual camera, else of the result."""
        return next((meter for meter in (self.window, self.virtual) if meter.count), self.ready)

    def to_json(self) -> dict[str, Any]:
        """Convert to dictionaries and numbers."""

        def describe(meter: Meter) -> dict[str, float] | None:
            if not meter.count:
                return None
            figures = {"median": meter.share(0.5), "p95": meter.share(0.95), "longest": meter.longest_seconds}
            return {name: round(1000 * value, 1) for name, value in figures.items()} | {"count": meter.count}

        return {
            "seconds": round(self.seconds, 2),
            "captured": self.captured,
            "missed": self.missed,
            "keyed": self.keying.count,
            "fps": round(self.ready.count / max(self.seconds, 1e-6), 2),
            "milliseconds": {
                "keyer": describe(self.keying),
                "ready": describe(self.ready),
                "window": describe(self.window),
                "virtual_camera": describe(self.virtual),
            },
        }


class Live:
    """Runs a session until the source ends, :meth:`stop` is called, or a stage fails.

    Args:
        camera: The camera; the caller closes it, unless :attr:`is_stuck`.
        session: The session that keys its frames.
        recorder: Writer of stills and clips.
        virtual: Virtual camera for the results, or None.
        on_show: Callback in the calling thread for each result to show; None: there is no display.

    Attributes:
        figures: Figures of the run.
        headline: Instruction for the user; may be empty.
        is_stuck: Whether the camera did not stop at the end.
    """

    def __init__(
        self,
        camera: Camera,
        session: Session,
        recorder: SessionRecorder,
        *,
        virtual: VirtualCamera | None = None,
        on_show: Callable[[Shown], None] | None = None,
    ) -> None:
        self._camera = camera
        self._session = session
        self._recorder = recorder
        self._virtual = virtual
        self._on_show = on_show
        self._frames: Slot[tuple[Frame, float]] = Slot()
        self._to_window: Slot[Delivery] = Slot()
        self._to_virtual: Slot[Delivery] = Slot()
        self._orders: deque[Callable[[], None]] = deque()
        self._failure: BaseException | None = None
        self._ending = threading.Event()
        self.figures = Figures(keying=session.keying)
        self.headline = ""
        self.is_stuck = False

    def order(self, action: Callable[[], None]) -> None:
        """Queue a command for the session, to be executed between two frames; from any thread."""
        self._orders.append(action)

    def ask_for_plate(self) -> None:
        """Request a new plate; from any thread, and from a signal handler."""
        self.order(self._session.ask_for_plate)

    def stop(self) -> None:
        """Request the end; from any thread, and from a signal handler."""
        self._ending.set()

    def run(self, *, on_tick: Callable[[], None] = lambda: None, seconds: float | None = None) -> Figures:
        """Run to the end; returns the figures.

        Args:
            on_tick: Callback of this thread, called often, for the window's events.
            seconds: Duration after which the run ends; None: no limit.

        Raises:
            Exception: The first exception of any thread.
        """
        stages: dict[str, Callable[[], None]] = {"capture": self._capture, "key": self._key}
        if self._virtual is not None:
            stages["virtual"] = self._send
        threads = {
            name: threading.Thread(target=self._guard, args=(stage,), name=f"cleanplate-{name}", daemon=True)
            for name, stage in stages.items()
        }
        self.figures.began = time.monotonic()
        # The stages fill the cores already; OpenCV's own threads would mostly wait for each other.
        opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for thread in threads.values():
                thread.start()
            while not self._ending.is_set() and threads["key"].is_alive():
                if seconds is not None and self.figures.seconds >= seconds:
                    break
                self._show()
                on_tick()
        finally:
            self._end(threads)
            cv2.setNumThreads(opencv_threads)
        if self._failure is not None:
            raise self._failure
        return self.figures

    def _end(self, threads: dict[str, threading.Thread]) -> None:
        self._ending.set()
        self._camera.stop()
        for slot in (self._frames, self._to_virtual, self._to_window):
            slot.end()
        for name, thread in threads.items():
            if thread.ident is not None:
                thread.join(END_SECONDS if name == "capture" else None)
        self.is_stuck = threads["capture"].is_alive()

    def _guard(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as failure:  # noqa: BLE001 - raised again in the calling thread
            self._failure = self._failure or failure
            self._ending.set()

    def _capture(self) -> None:
        for frame in self._camera:
            self._frames.put((frame, self._camera.clock_zero + float(frame.time_seconds)))
            self.figures.captured += 1
            if self._ending.is_set():
                return
        self._frames.end()

    def _key(self) -> None:
        last: Frame | None = None
        while not self._ending.is_set() and not self._frames.has_ended:
            taken = self._frames.take(WAIT_SECONDS)
            self.figures.missed = self._frames.missed
            while self._orders:
                self._orders.popleft()()
            if taken is not None:
                last, arrived = taken
                self._deliver(self._session.see(last), arrived)
            elif last is not None and self._camera.is_lost:
                self._deliver(self._session.wait_for_camera(last), time.monotonic())

    def _deliver(self, shown: Shown, arrived: float) -> None:
        self.headline = shown.headline
        if shown.matte is not None:
            self.figures.ready.add(time.monotonic() - arrived)
        delivery = Delivery(shown, arrived)
        if self._on_show is not None:
            self._to_window.put(delivery)
        if self._virtual is not None:
            self._to_virtual.put(delivery)
        self._recorder.offer(shown)

    def _send(self) -> None:
        while not self._ending.is_set() and self._virtual is not None:
            delivery = self._to_virtual.take(WAIT_SECONDS)
            if delivery is not None:
                self._virtual.send(delivery.shown.result)
                if delivery.shown.matte is not None:
                    self.figures.virtual.add(time.monotonic() - delivery.arrived)

    def _show(self) -> None:
        if self._on_show is None:
            self._ending.wait(TICK_SECONDS)
            return
        delivery = self._to_window.take(TICK_SECONDS)
        if delivery is not None:
            self._on_show(delivery.shown)
            if delivery.shown.matte is not None:
                self.figures.window.add(time.monotonic() - delivery.arrived)
