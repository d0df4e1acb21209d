"""The part of every keyer that concerns the source's own colours and alpha."""

from __future__ import annotations

from cleanplate.compositing.own_space import show_frame
from cleanplate.frame import Frame
from cleanplate.vocabulary import KeyerOptions


class SourceHandling:
    """Colours and alpha of the source, as a keyer's options name them; the base of both keyers."""

    _options: KeyerOptions

    def show(self, frame: Frame) -> Frame:
        """Render a log or ACES frame for a display, as the keyer sees it; all others are returned unchanged.

        The keyer does this itself; calling it before, in another thread, saves time.
        """
        return show_frame(frame, self._options.input_colour)

    @property
    def input_colour(self) -> str:
        """Colour space of the frames, as the user has named it."""
        return self._options.input_colour

    @property
    def plate_colour(self) -> str | None:
        """Colour space of the plate, as the user has named it."""
        return self._options.plate_colour

    @property
    def source_alpha(self) -> str:
        """Treatment of a source's own alpha: ``use`` or ``ignore``."""
        return self._options.source_alpha
