"""Check of a locked-off shot: whether the plate of the first frame still fits the last one."""

from __future__ import annotations

from cleanplate.frame import Frame, Matte
from cleanplate.keyer.keyer import Keyer
from cleanplate.plate.tracking.drift import measure_drift


class EndCheck:
    """Observer of a run: keeps the last frame, and compares it with the plate at the end.

    Args:
        keyer: Keyer of the frames.
        align: Whether the motion of the camera is measured, too.
    """

    def __init__(self, keyer: Keyer, *, align: bool) -> None:
        self._keyer, self._align = keyer, align
        self._last: Frame | None = None

    def add(self, matte: Matte) -> None:
        """Keep the frame of a matte."""
        self._last = matte.frame

    def look_at(self, frame: Frame) -> None:
        """Keep a frame that is not keyed in this run."""
        self._last = frame

    def tell(self) -> str | None:
        """A sentence if the plate no longer fits."""
        fitted = self._keyer.fitted
        if self._last is None or fitted is None:
            return None
        return measure_drift(fitted, self._last, align=self._align).tell()
