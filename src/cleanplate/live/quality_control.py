"""Quality of keying in a session: adapted to the camera's rate, or chosen by keys."""

from __future__ import annotations

from collections.abc import Callable

from cleanplate.live.pace import Pace, Quality

REFINES = ("auto", "off", "full")
"""Rules of refinement that a key selects."""

FINER_STEP = 1.25
"""Factor between two scales that keys select. A choice: half as many pixels again."""


class QualityControl:
    """Quality of keying, and the decision to change it.

    Args:
        quality: Initial quality.
        pace: Adapts the quality to the camera's rate; None: the quality stays.
        auto_scale: Numeric value of the scale ``auto``, from which keys change it.
        tune: Applies a quality to the keyer, from its next frame on.
        say: Callback for messages to the user.

    Attributes:
        quality: Current quality.
        adapts: Whether the quality adapts to the frame rate.
    """

    def __init__(
        self,
        quality: Quality,
        pace: Pace | None,
        auto_scale: float,
        *,
        tune: Callable[[Quality], None],
        say: Callable[[str], None],
    ) -> None:
        self._pace, self._auto_scale = pace, auto_scale
        self._apply, self._say = tune, say
        self.quality = quality
        self.adapts = pace is not None

    def change_scale(self, *, finer: bool) -> None:
        """Change the scale by hand; from then on the quality no longer adapts."""
        scale = self.quality.scale if isinstance(self.quality.scale, float) else self._auto_scale
        scale = min(1.0, max(0.125, scale * FINER_STEP if finer else scale / FINER_STEP))
        self._choose(Quality(scale, self.quality.refine))

    def change_refine(self) -> None:
        """Switch refinement: the model's rule, off, or full."""
        refine = self.quality.refine
        after = REFINES.index(refine) + 1 if isinstance(refine, str) and refine in REFINES else 0
        self._choose(Quality(self.quality.scale, REFINES[after % len(REFINES)]))

    def hold_rate(self) -> None:
        """Switch adaptation of the quality on or off."""
        if self._pace is None:
            self._say("Scale and refinement were set by options and stay as they are.")
            return
        self.adapts = not self.adapts
        if self.adapts:
            self._tune(self._pace.quality)
        self._say("The rate is held." if self.adapts else "The quality is held.")

    def start(self) -> None:
        """Apply the quality to another keyer, and ignore the durations of its first frames."""
        self._apply(self.quality)
        if self._pace is not None:
            self._pace.start()

    def note(self, busy_seconds: float, now_seconds: float) -> None:
        """Add the duration of a frame at a time; the quality may change."""
        if not self.adapts or self._pace is None:
            return
        quality = self._pace.note(busy_seconds, now_seconds)
        if quality is not None:
            self._tune(quality)

    def _choose(self, quality: Quality) -> None:
        self.adapts = False
        self._tune(quality)
        scale = quality.scale if isinstance(quality.scale, str) else f"{quality.scale:.2f}"
        self._say(f"Scale {scale}, refine {quality.refine}. A holds the rate again.")

    def _tune(self, quality: Quality) -> None:
        self.quality = quality
        self._apply(quality)
