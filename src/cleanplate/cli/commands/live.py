"""``cleanplate live``: key a camera while it runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.commands.bench import parse_size
from cleanplate.cli.option_arguments import add_flag, add_keyer_options, keyer_keywords, keyer_options
from cleanplate.cli.reporter import Reporter, format_duration
from cleanplate.errors import OptionError
from cleanplate.vocabulary import KeyerOptions

if TYPE_CHECKING:
    from cleanplate.live.controls import Board, Controls
    from cleanplate.live.live_run import Figures, Live
    from cleanplate.live.session_setup import LiveOptions

NAME = "live"
SUMMARY = "key a camera in real time: to a window, or to a virtual camera for video calls"
EXAMPLES = """\
examples:
  cleanplate live                           (step out while the plate is captured; H lists the keys)
  cleanplate live --to virtual --background beach.jpg
  cleanplate live --from clip.mp4 --plate plate.jpg --to out.mov --background transparent
"""

PROGRESS_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    camera = parser.add_argument_group("camera and plate")
    camera.add_argument(
        "--from", dest="source", metavar="CAMERA", help="number, name, URL or video (default: first camera)"
    )
    camera.add_argument(
        "--size", metavar="WxH", help="size of the camera's frames (default: 1280x720, on a GPU 1920x1080)"
    )
    camera.add_argument("--rate", metavar="FPS", help="frame rate (default: 30, on a GPU 60)")
    camera.add_argument("--loop", action="store_true", help="repeat a video from its start")
    camera.add_argument("--no-lock", action="store_true", help="leave exposure and white balance automatic")
    camera.add_argument("--list", action="store_true", help="list the cameras of this machine, and exit")
    camera.add_argument(
        "--plate", type=Path, metavar="PLATE", help="picture of the empty set (default: captured)"
    )
    for name in ("props", "props_mode"):
        add_flag(camera, KeyerOptions, name)
    camera.add_argument(
        "--countdown",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds before the plate is captured (default: 5)",
    )
    camera.add_argument("--no-follow", action="store_true", help="do not update the plate")
    camera.add_argument(
        "--no-remember", action="store_true", help="neither store the plate nor use the stored one"
    )
    result = parser.add_argument_group("result")
    result.add_argument(
        "--to", nargs="+", default=[], metavar="TO", help="outputs: virtual, virtual:DEVICE, or a video file"
    )
    result.add_argument(
        "--background", nargs="+", default=[], metavar="WHAT",
        help="backdrops: colours, pictures, videos, blur, transparent; key G: next",
    )  # fmt: skip
    result.add_argument("--no-window", action="store_true", help="open no window")
    result.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        help="folder for stills and clips (default: the current folder)",
    )
    result.add_argument("--seconds", type=float, metavar="S", help="stop after this time in seconds")
    result.add_argument("--report", type=Path, metavar="JSON", help="write rates and latencies to this file")
    result.add_argument("--overwrite", action="store_true", help="replace results that exist")
    add_keyer_options(parser, scale="auto")


def run(arguments: argparse.Namespace) -> int:
    """Run until the window is closed, the video ends, the time is over, or Ctrl-C."""
    with Reporter() as reporter:
        if arguments.list:
            _list_cameras(reporter)
            return 0
        if arguments.report is not None:
            from cleanplate.media.files import check_writable

            check_writable(arguments.report, overwrite=arguments.overwrite)
        figures = _run(live_options(arguments), arguments.seconds, reporter)
        reporter.done(describe(figures))
        if arguments.report is not None:
            _write_report(arguments.report, figures)
            reporter.result(str(arguments.report))
    return 0


def live_options(arguments: argparse.Namespace) -> LiveOptions:
    """Collect the options of :func:`add_arguments`.

    Raises:
        OptionError: A value is out of range.
    """
    from cleanplate.live.session_setup import LiveOptions

    for name, least in (("countdown", 0.0), ("seconds", 0.1)):
        value = getattr(arguments, name)
        if value is not None and not least <= value < 1e6:
            raise OptionError(f"--{name} is {value:g}; expected {least:g} or more.")
    keyer = keyer_keywords(keyer_options(arguments))
    if arguments.scale == "fine":
        raise OptionError("The scale 'fine' is for files.", "use --scale=auto, or a number")
    return LiveOptions(
        source=arguments.source,
        size=None if arguments.size is None else parse_size(arguments.size),
        rate=None if arguments.rate is None else parse_rate(arguments.rate),
        loop=arguments.loop,
        locks=not arguments.no_lock,
        plate=arguments.plate,
        countdown_seconds=arguments.countdown,
        remembers=not arguments.no_remember,
        to=tuple(arguments.to),
        backgrounds=tuple(arguments.background),
        window=not arguments.no_window,
        folder=arguments.folder,
        overwrite=arguments.overwrite,
        keyer={**keyer, "follow": not arguments.no_follow},
    )


def parse_rate(text: str) -> Fraction:
    """Read ``30``, ``29.97`` or ``30000/1001`` as frames per second.

    Raises:
        OptionError: It is no number from 1 to 1000.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 1000:
        raise OptionError(
            f"--rate is {text!r}; expected 1 to 1000 frames per second, such as 30 or 30000/1001."
        )
    return rate


def describe(figures: Figures) -> str:
    """Summary of a run in one sentence."""
    keyed = figures.keying.count
    said = f"{keyed} frames keyed in {format_duration(figures.seconds)}"
    if not keyed:
        return f"{said}."
    late, spent = (round(1000 * meter.share(0.5)) for meter in (figures.latest, figures.keying))
    missed = f"{figures.missed} of {figures.captured} missed"
    return f"{said}, {missed}; {late} ms from camera to result, of which the keyer takes {spent} (medians)."


def _run(options: LiveOptions, seconds: float | None, reporter: Reporter) -> Figures:
    from cleanplate.live.controls import Board
    from cleanplate.live.session_setup import open_live

    board = Board()
    try:
        with open_live(options, board) as (live, controls), _signals(live):
            return live.run(on_tick=_Ticker(live, controls, board, reporter), seconds=seconds)
    finally:
        for text in board.read():
            reporter.done(text)


class _Ticker:
    """Work between two pictures: read keys, write to the terminal."""

    def __init__(self, live: Live, controls: Controls | None, board: Board, reporter: Reporter) -> None:
        self._live = live
        self._controls = controls
        self._board = board
        self._reporter = reporter
        self._told = 0.0

    def __call__(self) -> None:
        if self._controls is not None:
            self._controls.hear()
        for text in self._board.read():
            self._reporter.done(text)
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            figures = self._live.figures
            self._reporter.progress(
                f"{figures.ready.recent_rate:.1f} fps, {1000 * figures.latest.recent_seconds:.0f} ms late, "
                f"{figures.missed} of {figures.captured} missed. {self._live.headline}"
            )


@contextlib.contextmanager
def _signals(live: Live) -> Iterator[None]:
    """End cleanly on Ctrl-C and SIGTERM, and capture a plate on SIGUSR1, on systems with these signals."""
    actions: dict[str, Callable[[], None]] = {
        "SIGINT": live.stop,
        "SIGTERM": live.stop,
        "SIGUSR1": live.ask_for_plate,
    }
    before: dict[int, Any] = {}
    try:
        for name, action in actions.items():
            number = getattr(signal, name, None)
            if number is not None:
                before[number] = signal.signal(number, lambda *_, action=action: action())
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_report(path: Path, figures: Figures) -> None:
    from cleanplate.media.files import reporting_write_errors

    with reporting_write_errors(path):
        path.write_text(json.dumps(figures.to_json(), indent=2) + "\n", encoding="utf-8")


def _list_cameras(reporter: Reporter) -> None:
    from cleanplate.media.cameras.discovery import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        reporter.result(f"{camera.address}  {camera.name}")
        for mode in camera.modes:
            reporter.result(f"    {mode}")
    if not cameras:
        reporter.done("No camera was found. Use a video instead: cleanplate live --from clip.mp4")
