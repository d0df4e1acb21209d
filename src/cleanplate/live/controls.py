"""Controls of the window: keys to commands, frames to pictures with text."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from cleanplate.errors import CleanplateError
from cleanplate.live import overlay
from cleanplate.live.live_run import Live
from cleanplate.live.session import Session, Shown
from cleanplate.live.session_recorder import SessionRecorder
from cleanplate.live.views import VIEWS, render_view
from cleanplate.media.cameras.preview import CLOSED, Window

MESSAGE_SECONDS = 5.0
FIGURES_SECONDS = 0.5
"""Seconds between updates of the figures; a user cannot read faster."""

KEYS = (
    ("B", "capture the plate"),
    ("P", "capture a plate with props"),
    ("V, 1 2 3 4", "view: result, source, alpha, split"),
    ("G", "next background"),
    ("S", "save a still"),
    ("R", "record a clip, and stop"),
    ("+ -", "finer, faster"),
    ("F", "refine: auto, off, full"),
    ("A", "hold the frame rate, or the quality"),
    ("M", "mirror the window"),
    ("O", "show or hide the figures"),
    ("H", "this help"),
    ("Q, Esc", "end"),
)


class Board:
    """Messages for the user: added by any thread, read by the window and by the terminal."""

    def __init__(self) -> None:
        self._unread: deque[str] = deque()
        self._last: tuple[str, float] = ("", 0.0)

    def say(self, text: str) -> None:
        """Add a message."""
        self._unread.append(text)
        self._last = (text, time.monotonic() + MESSAGE_SECONDS)

    @property
    def message(self) -> str:
        """The last message, as long as it is recent."""
        text, until = self._last
        return text if time.monotonic() < until else ""

    def read(self) -> list[str]:
        """Return the messages since the last call."""
        unread = []
        while self._unread:
            unread.append(self._unread.popleft())
        return unread


class Controls:
    """Draws frames into a window and executes the commands of its keys; in the window's thread.

    Args:
        window: The window.
        session: The session that the keys control.
        recorder: The recorder that the keys control.
        board: Messages at the bottom of the window.
    """

    def __init__(self, window: Window, session: Session, recorder: SessionRecorder, board: Board) -> None:
        self._window = window
        self._session = session
        self._recorder = recorder
        self._board = board
        self._live: Live | None = None
        self._view = VIEWS[0]
        self._mirrored = False
        self._shows_figures = True
        self._shows_help = False
        self._shown: Shown | None = None
        self._figures: list[str] = []
        self._figures_at = 0.0

    def attach(self, live: Live) -> None:
        """Connect the controls to a run and its figures."""
        self._live = live

    def show(self, shown: Shown) -> None:
        """Draw a frame."""
        self._shown = shown
        picture = render_view(shown, self._view, mirrored=self._mirrored)
        if self._shows_figures:
            overlay.write(picture, self._read_figures(), "top left", 1 / 50)
        if self._shows_help:
            overlay.write(picture, [f"{keys}:  {what}" for keys, what in KEYS], "left")
        elif shown.headline:
            overlay.write(picture, [shown.headline], "middle", 1 / 24)
        if self._board.message:
            overlay.write(picture, overlay.wrap(self._board.message), "bottom")
        self._window.show(picture)

    def hear(self) -> None:
        """Execute the commands of the pressed keys."""
        live = self._live
        if live is None:
            return
        session, recorder = self._session, self._recorder
        quality = session.quality_control
        orders: dict[str, Callable[[], None]] = {
            "b": session.ask_for_plate,
            "p": session.ask_for_props,
            "g": session.change_background,
            "+": lambda: quality.change_scale(finer=True),
            "=": lambda: quality.change_scale(finer=True),
            "-": lambda: quality.change_scale(finer=False),
            "f": quality.change_refine,
            "a": quality.hold_rate,
        }
        for key in self._window.read_keys():
            if key in (CLOSED, "q", "escape"):
                live.stop()
            elif key in orders:
                live.order(orders[key])
            elif key in ("v", "tab"):
                self._view = VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)]
            elif key.isdigit() and 1 <= int(key) <= len(VIEWS):
                self._view = VIEWS[int(key) - 1]
            elif key == "s" and self._shown is not None:
                recorder.still(self._shown)
            elif key == "r":
                self._record()
            elif key == "m":
                self._mirrored = not self._mirrored
            elif key == "o":
                self._shows_figures = not self._shows_figures
            elif key in ("h", "?"):
                self._shows_help = not self._shows_help

    def _record(self) -> None:
        if self._recorder.seconds is not None:
            self._recorder.stop()
            return
        try:
            self._recorder.start(transparent=self._shown is not None and self._shown.transparent)
        except CleanplateError as error:
            self._board.say(str(error))

    def _read_figures(self) -> list[str]:
        now = time.monotonic()
        if self._live is None or now - self._figures_at < FIGURES_SECONDS:
            return self._figures
        figures = self._live.figures
        self._figures_at = now
        lines = [
            f"{figures.ready.recent_rate:.0f} fps, {1000 * figures.latest.recent_seconds:.0f} ms late, "
            f"{figures.missed} of {figures.captured} missed, H for help"
        ]
        if self._session.description:
            lines.append(
                self._session.description + (", rate held" if self._session.quality_control.adapts else "")
            )
        if (seconds := self._recorder.seconds) is not None:
            lines.append(f"recording: {seconds:.0f} s")
        self._figures = lines
        return lines
