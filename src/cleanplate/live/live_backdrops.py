"""The backgrounds of a session; a key selects the next one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cleanplate.compositing.backdrops import open_backdrop
from cleanplate.compositing.still_backdrops import Backdrop, ColourBackdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Pixels

USUAL = ("blur", "#202428", "#00b140")
"""Backgrounds after those that the user named."""

TRANSPARENT = "transparent"
NEUTRAL = (32, 36, 40)
"""Colour of the picture before there is a plate, so that the room is not shown."""


class Backgrounds:
    """List of backdrops with a current one; each is opened when it is first used.

    Args:
        specs: Arguments of :func:`cleanplate.compositing.backdrops.open_backdrop`, or ``transparent``.
        has_plate: Whether there will be a plate, as needed by ``blur``.

    Raises:
        InputError, OptionError: One of them is no backdrop; all but ``blur`` are opened at once.
    """

    def __init__(self, specs: Sequence[str] = (), *, has_plate: bool = True) -> None:
        if "blur" in specs and not has_plate:
            raise OptionError(
                "The background 'blur' needs a plate, and this model uses none.", "give one with --plate"
            )
        usual = [spec for spec in USUAL if has_plate or spec != "blur"]
        self._specs = list(dict.fromkeys((*specs, *usual)))
        self._open: dict[str, Backdrop] = {}
        self._index = 0
        self._plate: Pixels | None = None
        try:
            for spec in specs:
                if spec not in ("blur", TRANSPARENT):
                    self._open[spec] = open_backdrop(spec)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Name of the current background, for the user."""
        spec = self._specs[self._index]
        return spec if spec.startswith("#") else Path(spec).name

    @property
    def is_transparent(self) -> bool:
        """True if the current background is transparent."""
        return self._specs[self._index] == TRANSPARENT

    def next(self) -> None:
        """Select the next background."""
        self._index = (self._index + 1) % len(self._specs)

    def take_plate(self, pixels: Pixels) -> None:
        """Use a new plate for ``blur``."""
        blurred = self._open.pop("blur", None)
        if blurred is not None:
            blurred.close()
        self._plate = pixels

    def current(self) -> Backdrop:
        """The current backdrop; black in place of a transparent one, for outputs without alpha."""
        spec = self._specs[self._index]
        if spec not in self._open:
            opened = ColourBackdrop((0, 0, 0)) if spec == TRANSPARENT else open_backdrop(spec, self._plate)
            self._open[spec] = opened
        return self._open[spec]

    def close(self) -> None:
        """Close the open backdrops."""
        for backdrop in self._open.values():
            backdrop.close()
        self._open.clear()


def paint_neutral(height: int, width: int) -> Pixels:
    """Make a neutral picture, uint8 RGB."""
    picture: Pixels = np.empty((height, width, 3), np.uint8)
    picture[:] = NEUTRAL
    return picture
