"""A plate that stays fresh: it takes over the light at once, and slow change where the matte allows it.

Light is a smooth field of factors between plate and frame, measured before the frame is keyed, on pixels
that surely were background a frame ago. Pixels are learned after the frame was keyed, where its matte is
surely empty, and never near the subject. A thing that was put down is absorbed when it has become scenery,
see :mod:`cleanplate.plate.tracking.static_objects`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cleanplate.frame import BoolArray, Float32Array, Pixels
from cleanplate.plate.fit import FittedPlate
from cleanplate.plate.photometry.exposure import gain_stops
from cleanplate.plate.photometry.illumination import measure_light, relight, round_to
from cleanplate.plate.structure import (
    Structure,
    find_structure,
    largest_channel,
    reduce_picture,
    reduced_size,
)
from cleanplate.plate.tracking.static_objects import Scenery
from cleanplate.plate.tracking.subject_extent import BodyLock

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

VIEW_SIDE = 192
"""Longest side of the copies for measuring light and motion."""

SURELY_BACKGROUND = 0.02
"""Alpha up to which a pixel is surely background: five code values of 8 bits."""

LOCK_SHARE = 0.03
"""Width around the subject, as a share of the longer side, within which nothing is learned."""

LEARNING_SECONDS = 4.0
"""Time constant of the scene's slow change. A choice: clouds pass in many seconds, and noise is averaged over
100 frames."""

SWITCH_LOG = 0.04
"""Mean change of the light's logarithm between two frames from which it is a switch, not drift."""

SWITCH_SECONDS = 0.6
"""Time in which pixels adapt after a light switch: shadows of the new light are no smooth field."""

CATCH_UP_SECONDS = 0.15
"""Time constant of learning during that time."""

UNEXPLAINED = 0.12
"""Largest difference under the new light of a pixel that is learned then: larger ones may be the subject."""

MOSTLY = 0.7
"""Least share of the free region that must fit the last light for the rest to be the subject. Chosen, not
measured: a lamp changes more of the region, a fast subject less."""

QUIET_LOG = 0.02
"""Change of the light's logarithm from which it is applied at once; smaller ones are averaged over frames."""

VISIBLE_LOG = 0.002
"""Change of the light's logarithm from which the plate is rendered anew: half of an 8-bit step at white."""

LEARNING_STEP_SECONDS = 0.12
"""Interval of learning: every frame costs more without a visible gain."""

RENEWAL_SECONDS = 0.5
"""Interval of replacing the tracker's plate by the updated one."""

LONGEST_STEP_SECONDS = 1.0
"""Largest gap between frames that counts: nothing was observed in between."""


@dataclass(frozen=True)
class _Lit:
    """A plate in the light of a frame.

    Attributes:
        base: The plate as it was given, in its own light.
        base_view: Its small structure.
        light: Logarithm of the factors from its light to the frame's, small.
        shown: The light in which ``plate`` was rendered: close to ``light``.
        plate: The plate in that light.
    """

    base: FittedPlate
    base_view: Structure
    light: Float32Array
    shown: Float32Array
    plate: FittedPlate


class Upkeep:
    """Keeps the plate of one shot, of one size, fresh.

    :meth:`relight` is called with each frame before it is keyed, :meth:`learn` after it. It holds one float32
    picture of the frame's size and some small ones.

    Args:
        absorbs: Whether things that rest become background.
    """

    def __init__(self, *, absorbs: bool = True) -> None:
        self._absorbs = absorbs
        self._lit: _Lit | None = None
        self._lock: BoolArray | None = None
        self._learned: Float32Array | None = None
        self._renewed: Float32Array | None = None
        self._total: Float32Array = np.zeros((1, 1, 3), np.float32)
        self._scenery = Scenery()
        self._body = BodyLock()
        self._catching_up = self._since_step = self._since_renewal = 0.0

    def relight(self, frame: Pixels, fitted: FittedPlate) -> FittedPlate:
        """Give the plate the light of this frame.

        Args:
            frame: uint8 or uint16 RGB, ``(height, width, 3)``.
            fitted: The plate registered with the frame, in the light of its fit or last renewal.

        Returns:
            The plate to key the frame with; the same object again while nothing has visibly changed.
        """
        lit = self._take(fitted)
        if self._lock is not None:  # before there is a matte, the light of the fit must do
            view = find_structure(reduce_picture(frame, VIEW_SIDE))
            free = self._find_explained(view, lit, ~self._lock & _known(fitted))
            measured = measure_light(lit.base_view, view, free, lit.light)
            change = np.abs(measured - lit.light)
            if float(change.mean()) > SWITCH_LOG:
                self._catching_up = SWITCH_SECONDS
            light = lit.light + np.clip(change / QUIET_LOG, 0.25, 1.0) * (measured - lit.light)
            lit = self._render(replace(lit, light=light))
        self._lit = lit
        return lit.plate

    def learn(
        self, frame: Pixels, alpha: Float32Array, seconds: float, *, still: bool = True
    ) -> Pixels | None:
        """Learn the changes of the scene.

        Args:
            frame: The frame, keyed with the plate from :meth:`relight`.
            alpha: Its matte, float32 in [0, 1], ``(height, width)`` or smaller.
            seconds: Since the frame before.
            still: Whether the plate has not moved since its last renewal. Of a moving camera only the light
                is followed.

        Returns:
            New pixels of the plate in the present light, to replace the old ones; None if the old ones still
            serve.
        """
        lit = self._lit
        if lit is None:
            return None
        seconds = min(max(seconds, 0.0), LONGEST_STEP_SECONDS)
        catching_up = self._catching_up > 0
        self._catching_up = max(0.0, self._catching_up - seconds)
        height, width = reduced_size(frame.shape[0], frame.shape[1], VIEW_SIDE)
        covered = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        lock = self._lock_subject(frame, covered, lit.plate, catching_up, seconds)
        absorbed = self._scenery.watch(
            reduce_picture(frame, VIEW_SIDE) * np.exp(-self._total - lit.light), covered, seconds
        )
        absorbed = absorbed if self._absorbs else None
        if not still:
            self._learned = None
            return None
        self._since_step += seconds
        self._since_renewal += seconds
        urgent = absorbed is not None or catching_up
        if self._since_step < LEARNING_STEP_SECONDS and not urgent:
            return None
        learned = lit.plate.pixels.astype(np.float32) if self._learned is None else self._learned
        self._step(learned, frame, lock, absorbed, CATCH_UP_SECONDS if catching_up else LEARNING_SECONDS)
        self._learned = learned
        if self._since_renewal < RENEWAL_SECONDS and not urgent:
            return None
        self._since_renewal = 0.0
        # The learned picture is in the present light, which from now on is that of the plate.
        self._total = self._total + lit.shown
        self._renewed = lit.light - lit.shown
        return round_to(learned, frame.dtype)

    def _find_explained(self, view: Structure, lit: _Lit, free: BoolArray) -> BoolArray:
        """Remove pixels from the free region that do not fit the last light: a fast subject may be there.

        If most pixels do not fit, a lamp was switched, and the whole region is returned.
        """
        left = largest_channel(np.abs(view.colour - lit.base_view.colour * np.exp(lit.light)))
        explained = free & (left < UNEXPLAINED)
        return explained if np.count_nonzero(explained) > MOSTLY * np.count_nonzero(free) else free

    def _take(self, fitted: FittedPlate) -> _Lit:
        """Take over a plate that was moved, fitted or renewed since the last frame."""
        lit = self._lit
        if lit is not None and lit.base is fitted:
            return lit
        view = find_structure(reduce_picture(fitted.pixels, VIEW_SIDE))
        dark = np.zeros_like(view.colour)
        if lit is None:
            return _Lit(fitted, view, dark, dark, fitted)
        light = lit.light if self._renewed is None else self._renewed
        self._renewed = None
        return _Lit(fitted, view, light, dark, self._describe(fitted, fitted.pixels, dark))

    def _render(self, lit: _Lit) -> _Lit:
        """Render the plate anew if the light visibly differs."""
        change = lit.light - lit.shown
        if float(np.abs(change).max()) < VISIBLE_LOG:
            return lit
        if self._learned is not None:
            relight(self._learned, change)
        pixels = lit.base.pixels
        pixels = round_to(relight(pixels.astype(np.float32), lit.light), pixels.dtype)
        return replace(lit, shown=lit.light, plate=self._describe(lit.base, pixels, lit.light))

    def _describe(self, base: FittedPlate, pixels: Pixels, light: Float32Array) -> FittedPlate:
        """The plate with other pixels, and the mean of all the light it has been given in its fit."""
        gain = base.fit.gain * np.exp((self._total + light).mean(axis=(0, 1), dtype=np.float64))
        return replace(base, pixels=pixels, fit=replace(base.fit, gain=gain, exposure_stops=gain_stops(gain)))

    def _lock_subject(
        self, frame: Pixels, covered: Float32Array, plate: FittedPlate, catching_up: bool, seconds: float
    ) -> BoolArray:
        """Find the mask in which nothing may be learned: the subject, and parts that its matte may miss."""
        subject = np.asarray(cv2.dilate(covered, np.ones((3, 3), np.uint8)) > SURELY_BACKGROUND)
        lock = _spread(self._body.cover(subject, seconds), LOCK_SHARE * VIEW_SIDE)
        if not catching_up or self._lock is None:
            self._lock = lock
            return lock
        # The first mattes in a new light are not to be trusted: the subject is near where it was.
        left = largest_channel(
            np.abs(reduce_picture(frame, VIEW_SIDE) - reduce_picture(plate.pixels, VIEW_SIDE))
        )
        return np.asarray(_spread(self._lock, LOCK_SHARE * VIEW_SIDE) | (lock & (left > UNEXPLAINED)))

    def _step(
        self,
        learned: Float32Array,
        frame: Pixels,
        lock: BoolArray,
        absorbed: BoolArray | None,
        time_constant: float,
    ) -> None:
        """Move the learned picture towards the frame, in place."""
        size = (frame.shape[1], frame.shape[0])
        rate = 1.0 - float(np.exp(-self._since_step / time_constant))
        free = cv2.resize((~lock).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        cv2.accumulateWeighted(frame, learned, rate, free)
        if absorbed is not None:
            whole = cv2.resize(absorbed.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            learned[whole > 0] = frame[whole > 0]
        self._since_step = 0.0


def _known(fitted: FittedPlate) -> BoolArray:
    """Known pixels of the plate, reduced."""
    height, width = reduced_size(fitted.pixels.shape[0], fitted.pixels.shape[1], VIEW_SIDE)
    if fitted.valid is None:
        return np.ones((height, width), bool)
    small = cv2.resize(fitted.valid.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, dtype=np.bool_)


def _spread(mask: BoolArray, radius: float) -> BoolArray:
    size = 2 * max(1, round(radius)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
