"""Live keying of a camera: capture of the plate, keying, preview window and virtual camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.live.controls import Board, Controls
    from cleanplate.live.live_run import Live
    from cleanplate.live.session_setup import LiveOptions, open_live

__all__ = [
    "Board",
    "Controls",
    "Live",
    "LiveOptions",
    "open_live",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Board": "controls",
            "Controls": "controls",
            "Live": "live_run",
            "LiveOptions": "session_setup",
            "open_live": "session_setup",
        },
    )
