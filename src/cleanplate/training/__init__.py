"""Training: data, synthesis of cases, and the loop (``loop.py``, which reads from top to bottom)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.training.loop import train
    from cleanplate.training.presets import Preset, find_preset
    from cleanplate.training.settings import Settings

__all__ = [
    "Preset",
    "Settings",
    "find_preset",
    "train",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "train": "loop",
            "Preset": "presets",
            "find_preset": "presets",
            "Settings": "settings",
        },
    )
