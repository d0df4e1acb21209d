"""Opens all parts of a session from the user's options, in the order in which they can fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from cleanplate.errors import OptionError
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
from cleanplate.live.controls import Board, Controls
from cleanplate.live.live_backdrops import TRANSPARENT, Backgrounds
from cleanplate.live.live_run import Live
from cleanplate.live.pace import Pace, Quality, find_levels
from cleanplate.live.plate_memory import PlateMemory
from cleanplate.live.session import Session, SessionSettings
from cleanplate.live.session_recorder import SessionRecorder
from cleanplate.media.cameras.camera import Camera
from cleanplate.media.cameras.camera_modes import USUAL_RATE, USUAL_SIZE, RequestedMode
from cleanplate.media.cameras.discovery import open_camera
from cleanplate.media.cameras.preview import Window
from cleanplate.media.cameras.virtual_camera import VirtualCamera, open_virtual_camera
from cleanplate.plate import Plate, load_plate
from cleanplate.runtimes import Runtime, open_runtime
from cleanplate.runtimes.model_choice import find_model_for
from cleanplate.system.temporary_files import make_folder
from cleanplate.vocabulary import DEFAULT_MODEL, KeyerOptions

ACCELERATED_SIZE, ACCELERATED_RATE = (1080, 1920), Fraction(60)
"""Size and rate requested from a camera if a GPU keys."""

LOOK_SECONDS = 0.09
"""Seconds between updates of the plate: every third frame of 30 per second, as plates change slowly; an
update costs 4.1 ms a frame so (docs/log.md, Live)."""

VIRTUAL = "virtual"
"""Name of the virtual camera among the outputs; ``virtual:/dev/video10`` names a device."""


@dataclass(frozen=True)
class LiveOptions:
    """Options of a live session.

    Attributes:
        source: The camera, an argument of :func:`cleanplate.media.cameras.discovery.open_camera`.
        size: ``(height, width)`` to request; None: 720p, or 1080p if a GPU keys.
        rate: Frames per second to request; None: 30, or 60 if a GPU keys.
        loop: Whether a video starts again at its end.
        locks: Whether the camera's automatic settings are locked while a plate is in use.
        plate: A picture of the empty set; None: the stored plate, or a new capture.
        countdown_seconds: Seconds before the capture.
        remembers: Whether plates are stored, and the last one reused.
        to: Outputs: ``virtual``, ``virtual:DEVICE`` and videos to record.
        backgrounds: Arguments of :class:`cleanplate.live.live_backdrops.Backgrounds`.
        window: Whether a window is shown.
        folder: Folder for stills and clips.
        overwrite: Whether recorded videos may replace others.
        keyer: Arguments of :class:`cleanplate.Keyer`. If scale and refine are ``auto``, they adapt to hold
            the frame rate.
    """

    source: str | None = None
    size: tuple[int, int] | None = None
    rate: Fraction | None = None
    loop: bool = False
    locks: bool = True
    plate: Path | None = None
    countdown_seconds: float = 5.0
    remembers: bool = True
    to: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    window: bool = True
    folder: Path = Path()
    overwrite: bool = False
    keyer: Mapping[str, Any] = field(default_factory=dict)


class _KeyerMaker:
    """Makes a keyer for each plate, all with the same loaded network."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        for name in ("input_colour", "plate_colour"):
            space = self._options.pop(name, None)
            if space not in (None, "auto", "srgb"):
                raise OptionError(
                    f"A live session shows a camera's pictures as they are, but the {name} is '{space}'.",
                    "record the camera, and key the recording with cleanplate video",
                )
        given: dict[str, Any] = {"model": self._options.pop("model", None) or DEFAULT_MODEL}
        deciding = ("runtime", "device", "precision")
        given |= {name: self._options[name] for name in deciding if name in self._options}
        self.model = find_model_for(KeyerOptions(**given))
        self._runtime: Runtime[Any] | None = None
        self._recurrent: RecurrentKeyer | None = None
        if self.model.config.needs_plate:
            names = ("runtime", "device", "threads", "precision")
            place = {name: self._options.pop(name) for name in names if name in self._options}
            self._runtime = open_runtime(self.model, **place)
            self._options = {"follow": True, "look_seconds": LOOK_SECONDS, **self._options}
        else:
            for option in ("align", "follow", "refine", "shadow"):
                self._options.pop(option, None)

    @property
    def is_accelerated(self) -> bool:
        """True if a device other than the CPU keys."""
        return self._runtime is not None and self._runtime.device != "cpu"

    def __call__(self, plate: Plate | None, props: Plate | None = None) -> Keyer | RecurrentKeyer:
        if self._runtime is None or plate is None:
            return RecurrentKeyer(model=self.model, **self._options)
        options = self._options if props is None else {**self._options, "props": props}
        return Keyer(plate, model=self.model, runtime=self._runtime, **options)


@contextlib.contextmanager
def open_live(options: LiveOptions, board: Board) -> Iterator[tuple[Live, Controls | None]]:
    """Open all parts of a session, and close them at the end.

    Args:
        options: The user's options.
        board: Receiver of messages for the user.

    Raises:
        CleanplateError: A part is missing, or cannot be opened; nothing stays open. Or, at the end, the
            recorded video could not be written.
    """
    videos, devices = sort_outputs(options.to)
    if len(videos) > 1 or len(devices) > 1:
        raise OptionError(f"Expected at most one virtual camera and one video, got {', '.join(options.to)}.")
    plate = None if options.plate is None else load_plate(options.plate)
    maker = _KeyerMaker(options.keyer)
    with contextlib.ExitStack() as resources:

        def closing(thing: Any) -> Any:
            resources.callback(thing.close)
            return thing

        backgrounds: Backgrounds = closing(
            Backgrounds(options.backgrounds, has_plate=plate is not None or maker.model.config.needs_plate)
        )
        undo = resources.enter_context(contextlib.ExitStack())
        camera = open_camera(
            options.source, _request_mode(options, accelerated=maker.is_accelerated), loop=options.loop
        )
        undo.callback(camera.close)
        height, width = camera.info.height, camera.info.width
        virtual: VirtualCamera | None = None
        if devices:
            rate = camera.info.frame_rate or USUAL_RATE
            virtual = closing(open_virtual_camera(height, width, rate, devices[0]))
            board.say(f"Other programs see the camera '{virtual.name}'.")
            if TRANSPARENT in options.backgrounds:
                board.say("A virtual camera has no transparency: it shows black.")
        window: Window | None = closing(Window("cleanplate", height, width)) if options.window else None
        session: Session = closing(_open_session(options, camera, backgrounds, maker, plate, board))
        make_folder(options.folder)
        recorder: SessionRecorder = closing(SessionRecorder(camera.info, options.folder, board.say))
        if videos:
            recorder.start(videos[0], transparent=backgrounds.is_transparent, overwrite=options.overwrite)
        controls = None if window is None else Controls(window, session, recorder, board)
        show = None if controls is None else controls.show
        live = Live(camera, session, recorder, virtual=virtual, on_show=show)
        if controls is not None:
            controls.attach(live)
        try:
            yield live, controls
            recorder.close()
            if videos and recorder.failure is not None:
                raise recorder.failure
        finally:
            if live.is_stuck:
                undo.pop_all()
                board.say(f"The camera '{camera.name}' did not stop at the end, and was abandoned.")


def sort_outputs(outputs: tuple[str, ...]) -> tuple[list[Path], list[str | None]]:
    """Sort outputs into videos to record and devices of virtual cameras; None for any device."""
    videos: list[Path] = []
    devices: list[str | None] = []
    for output in outputs:
        head, _, device = output.partition(":")
        if head == VIRTUAL:
            devices.append(device or None)
        else:
            videos.append(Path(output))
    return videos, devices


def _request_mode(options: LiveOptions, *, accelerated: bool) -> RequestedMode:
    size, rate = (ACCELERATED_SIZE, ACCELERATED_RATE) if accelerated else (USUAL_SIZE, USUAL_RATE)
    return RequestedMode(options.size or size, options.rate or rate)


def _open_session(
    options: LiveOptions,
    camera: Camera,
    backgrounds: Backgrounds,
    maker: _KeyerMaker,
    plate: Plate | None,
    board: Board,
) -> Session:
    height, width = camera.info.height, camera.info.width
    quality = Quality(options.keyer.get("scale", "auto"), options.keyer.get("refine", "auto"))
    config = maker.model.config
    pace = None
    if config.needs_plate and quality == Quality("auto", "auto"):
        levels = find_levels(config, height, width)
        pace = Pace(levels, float(1 / (camera.info.frame_rate or USUAL_RATE)))
        quality = pace.quality
    return Session(
        camera,
        maker,
        backgrounds,
        SessionSettings(options.countdown_seconds, options.locks, quality),
        needs_plate=config.needs_plate,
        plate=plate,
        memory=PlateMemory() if options.remembers else None,
        pace=pace,
        auto_scale=config.default_scale(height, width),
        say=board.say,
    )
