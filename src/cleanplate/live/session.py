"""State machine of a session, without threads: a frame is checked, added to a plate's capture, or keyed.

::

    CHECKING ── the last plate fits ──────────────┐
       │ it does not                              v
       └──────> COUNTDOWN ──> TAKING ── good ──> KEYING
                    ^            │                 │
                    └─ refused ──┴─ "plate", "props" ┘
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cleanplate.compositing.over import over
from cleanplate.errors import CleanplateError, PlateError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
from cleanplate.live.capture import PlateTaker
from cleanplate.live.live_backdrops import Backgrounds, paint_neutral
from cleanplate.live.meters import Meter
from cleanplate.live.pace import AUTO, Pace, Quality
from cleanplate.live.plate_memory import PlateMemory
from cleanplate.live.quality_control import QualityControl
from cleanplate.media.contract import SourceInfo
from cleanplate.plate import Plate, check_plate
from cleanplate.system.system_errors import reason_of

CHECKED_FRAMES, CHECKED_SECONDS = 3, 0.6
"""Number of frames to which the last plate is compared, and the seconds between first and last. A choice
between waiting and somebody who stands still by chance."""

SETTLING_SECONDS = 0.4
"""Seconds between locking the exposure and the capture, as frames in the camera's buffers are older."""

RETRY_SECONDS = 3.0
"""Seconds added to the countdown after a refused plate. A choice: time to read the sentence with the
reason."""


class SessionStage(Enum):
    """Stages of a session."""

    CHECKING = "checking"
    COUNTDOWN = "countdown"
    TAKING = "taking"
    KEYING = "keying"


class SteadyCamera(Protocol):
    """Interface of a camera for a session; see :class:`cleanplate.media.cameras.camera.Camera`."""

    name: str
    info: SourceInfo

    def lock(self) -> tuple[str, ...]: ...
    def unlock(self) -> None: ...


@dataclass(frozen=True)
class Shown:
    """Result for one frame.

    Attributes:
        frame: The frame of the camera.
        result: The subject over the background, uint8 RGB ``(height, width, 3)``; a neutral picture as long
            as there is no plate. Read-only.
        matte: The matte; None as long as there is no plate.
        stage: Stage of the session.
        headline: Instruction for the user; may be empty.
        transparent: Whether the background is transparent; the result then has black there.
    """

    frame: Frame
    result: Pixels
    matte: Matte | None
    stage: SessionStage
    headline: str = ""
    transparent: bool = False


@dataclass(frozen=True)
class SessionSettings:
    """Constant settings of a session.

    Attributes:
        countdown_seconds: Seconds from the request of a plate to its capture.
        locks: Whether the camera's automatic settings are locked while a plate is in use.
        quality: Initial quality of keying.
    """

    countdown_seconds: float = 5.0
    locks: bool = True
    quality: Quality = AUTO


class Session:
    """Processes a camera's frames in order; each gives a :class:`Shown`.

    Args:
        camera: The camera of the frames.
        open_keyer: Function that makes the keyer for a plate, or for a plate and one with props; called with
            None for a model without a plate.
        backgrounds: Backgrounds for the result.
        settings: Constant settings.
        needs_plate: Whether the model needs a plate.
        plate: A plate from the user; it is not checked.
        memory: Store of plates; None: plates are not stored.
        pace: Adapts the quality to the camera's rate; None: the quality stays.
        auto_scale: Numeric value of the scale ``auto``, from which keys change it.
        say: Callback for messages to the user.

    Attributes:
        stage: Current stage.
        quality_control: Quality of keying, for keys.
        description: Model, runtime and settings in one line; empty before the first keyed frame.
        keying: Time in the keyer.
    """

    def __init__(
        self,
        camera: SteadyCamera,
        open_keyer: Callable[..., Keyer | RecurrentKeyer],
        backgrounds: Backgrounds,
        settings: SessionSettings,
        *,
        needs_plate: bool = True,
        plate: Plate | None = None,
        memory: PlateMemory | None = None,
        pace: Pace | None = None,
        auto_scale: float = 0.25,
        say: Callable[[str], None],
    ) -> None:
        self._camera = camera
        self._open_keyer = open_keyer
        self._backgrounds = backgrounds
        self._settings = settings
        self._needs_plate = needs_plate
        self._memory = memory
        self._say = say
        self._keyer: Keyer | RecurrentKeyer | None = None
        self._taker: PlateTaker | None = None
        self._plate: Plate | None = None
        self._takes_props = False
        self._neutral = paint_neutral(camera.info.height, camera.info.width)
        self._recent: list[Frame] = []
        self._until: float | None = None
        self._more_seconds = 0.0
        self._last: Plate | None = None
        self.quality_control = QualityControl(settings.quality, pace, auto_scale, tune=self._tune, say=say)
        self.description = ""
        self.keying = Meter()
        self.stage = SessionStage.COUNTDOWN
        if not needs_plate or plate is not None:
            self._use(plate)
        elif memory is not None:
            self._last = memory.recall(camera.name, camera.info.height, camera.info.width)
            self.stage = SessionStage.COUNTDOWN if self._last is None else SessionStage.CHECKING

    def see(self, frame: Frame) -> Shown:
        """Process the next frame, of the camera's size."""
        now = float(frame.time_seconds)
        if self.stage is SessionStage.CHECKING:
            return self._check_last(frame, now)
        if self.stage is SessionStage.COUNTDOWN:
            return self._count_down(frame, now)
        if self.stage is SessionStage.TAKING:
            return self._take(frame, now)
        return self._key(frame)

    def wait_for_camera(self, frame: Frame) -> Shown:
        """Make the result while the camera is disconnected; ``frame`` is its last frame."""
        return Shown(
            frame, self._neutral, None, self.stage, "The camera is disconnected. Waiting for it to return."
        )

    def ask_for_plate(self) -> None:
        """Start the countdown to a new plate; a second call starts the capture at once."""
        if not self._needs_plate:
            self._say("This model works without a plate.")
        elif self.stage is SessionStage.COUNTDOWN and not self._takes_props:
            self._until = float("-inf")
        else:
            self._takes_props = False
            self._restart()

    def ask_for_props(self) -> None:
        """Start the countdown to a plate with props; a second call starts the capture at once."""
        if self.stage is SessionStage.COUNTDOWN and self._takes_props:
            self._until = float("-inf")
        elif self.stage is not SessionStage.KEYING or self._plate is None:
            self._say(
                "The empty plate comes first." if self._needs_plate else "This model works without a plate."
            )
        else:
            self._takes_props = True
            self._wait_for_capture()

    def change_background(self) -> None:
        """Select the next background."""
        self._backgrounds.next()
        self._say(f"Background: {self._backgrounds.name}")

    def close(self) -> None:
        """Close the keyer and the backgrounds, and let the camera adjust itself again."""
        if self._keyer is not None:
            self._keyer.close()
        self._backgrounds.close()
        self._camera.unlock()

    def _check_last(self, frame: Frame, now: float) -> Shown:
        """Compare the stored plate with some frames."""
        if not self._recent or now - float(self._recent[-1].time_seconds) >= CHECKED_SECONDS / CHECKED_FRAMES:
            self._recent.append(frame)
        if len(self._recent) < CHECKED_FRAMES or self._last is None:
            return self._wait(frame, "Checking whether the last plate still fits.")
        frames, self._recent = [one.pixels for one in self._recent], []
        diagnosis = check_plate(self._last, frames)
        place = diagnosis.find("place")
        if diagnosis.is_usable and place is not None and place.severity == "good":
            self._use(self._last)
            self._say("The last plate of this camera still fits. Press B for a new one.")
            return self._key(frame)
        worst = next((one for one in diagnosis.findings if one.severity == "bad"), place)
        self._say(f"The last plate does not fit. {worst.message if worst else ''}".strip())
        self._restart()
        return self._count_down(frame, now)

    def _count_down(self, frame: Frame, now: float) -> Shown:
        if self._until is None:
            self._until = now + self._settings.countdown_seconds + self._more_seconds
        left = self._until - now
        if left > 0:
            props, key = (" and put the props back", "P") if self._takes_props else ("", "B")
            headline = f"Step out of the picture{props}: plate in {math.ceil(left)}."
            return self._wait(frame, f"{headline} {key} captures it now.")
        if self._settings.locks:
            held = self._camera.lock()
            if held:
                self._say(f"The camera's {_list(held)} will be locked.")
        self._until = now + SETTLING_SECONDS
        self.stage = SessionStage.TAKING
        self._taker = PlateTaker(frame.pixels.nbytes)
        return self._take(frame, now)

    def _take(self, frame: Frame, now: float) -> Shown:
        if self._taker is None or self._until is None or now < self._until:
            return self._wait(frame, "Capturing the plate.")
        try:
            plate = self._taker.add(frame)
        except PlateError as refused:
            self._refuse(refused)
            return self._count_down(frame, now)
        if plate is None:
            return self._wait(frame, "Capturing the plate.")
        if self._takes_props:
            self._use(self._plate, plate)
            self._say("The props are known. Step in. Press P for others, B for a new empty plate.")
        else:
            self._use(plate)
            self._say("The plate is ready. Step in. Press B for a new one, P for one with props.")
            self._remember(plate)
        return self._key(frame)

    def _use(self, plate: Plate | None, props: Plate | None = None) -> None:
        if self._keyer is not None:
            self._keyer.close()
        self._keyer = self._open_keyer(plate) if props is None else self._open_keyer(plate, props)
        self._plate, self._takes_props = plate, False
        self.quality_control.start()
        if plate is not None:
            self._backgrounds.take_plate(plate.pixels)
            if self._settings.locks:
                self._camera.lock()
        self._taker = None  # closed together with its frames
        self.stage = SessionStage.KEYING

    def _remember(self, plate: Plate) -> None:
        if self._memory is None:
            return
        try:
            self._memory.keep(self._camera.name, plate)
        except (CleanplateError, OSError) as error:
            reason = str(error) if isinstance(error, CleanplateError) else f"{reason_of(error)}."
            self._say(f"The plate cannot be stored: {reason}")

    def _key(self, frame: Frame) -> Shown:
        if self._keyer is None:
            return self._count_down(frame, float(frame.time_seconds))
        began = time.perf_counter()
        try:
            matte = self._keyer(frame)
        except PlateError as refused:
            self._refuse(refused)
            return self._count_down(frame, float(frame.time_seconds))
        self.keying.add(time.perf_counter() - began)
        self.description = self._keyer.describe()
        result = over(matte.foreground, matte.alpha, self._backgrounds.current()(frame))
        self.quality_control.note(time.perf_counter() - began, float(frame.time_seconds))
        return Shown(frame, result, matte, self.stage, transparent=self._backgrounds.is_transparent)

    def _wait(self, frame: Frame, headline: str) -> Shown:
        return Shown(frame, self._neutral, None, self.stage, headline)

    def _refuse(self, refused: PlateError) -> None:
        self._say(f"The plate was not captured: {refused}")
        self._restart(RETRY_SECONDS)

    def _restart(self, more_seconds: float = 0.0) -> None:
        if not self._takes_props:
            self._camera.unlock()
        self._wait_for_capture(more_seconds)

    def _wait_for_capture(self, more_seconds: float = 0.0) -> None:
        self._taker = None
        self._until = None
        self._more_seconds = more_seconds
        self.stage = SessionStage.COUNTDOWN

    def _tune(self, quality: Quality) -> None:
        if isinstance(self._keyer, Keyer):
            self._keyer.tune(quality.scale, quality.refine)


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
