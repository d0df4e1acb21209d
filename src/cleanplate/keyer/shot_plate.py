"""The plate through a shot, uploaded for a runtime."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np

from cleanplate.compositing.own_space import AUTO, SourceColours, show_pixels
from cleanplate.frame import Float32Array, Frame, Matte, Pixels, alpha_to_float
from cleanplate.keyer.destination import Destination
from cleanplate.media.colour.camera_spaces import SRGB_WORD, find_space
from cleanplate.media.stills.raw import WhiteBalance
from cleanplate.models.config import ModelConfig
from cleanplate.plate import FittedPlate, Plate
from cleanplate.plate.mixing.mixed_shot import MixedShot
from cleanplate.plate.mixing.plate_set import PlateSet
from cleanplate.plate.moving.moving_plate import MovingPlate
from cleanplate.plate.moving.moving_shot import MovingShot
from cleanplate.plate.tracking.shot import Shot
from cleanplate.router import Shrink
from cleanplate.router.layout import Layout
from cleanplate.runtimes import Runtime
from cleanplate.vocabulary import KeyerOptions

KeyerPlate: TypeAlias = "Plate | FittedPlate | MovingPlate | PlateSet"
"""A plate that a keyer takes: a picture, fitted or not; a clip of a camera move; pictures to mix."""

AnyPlate = TypeVar("AnyPlate", Plate, FittedPlate)

_FirstColours: TypeAlias = "tuple[bytes | None, WhiteBalance | None, str | None, Fraction, bool]"

REST_FRAMES = 3
"""Frames that the plate stays unchanged before it is expected to stay: after a motion, the next frames often
move it again, and a wrong expectation wastes the work of all workers."""


@dataclass(frozen=True)
class UploadedPlate:
    """A fitted plate on the runtime's device, made once for many frames.

    Attributes:
        fitted: The plate.
        layout: Layout of the frames that it was made for.
        picture: Its padded picture.
        small: Input of the coarse network.
    """

    fitted: FittedPlate
    layout: Layout
    picture: Any
    small: Any

    def keys_like(self, other: UploadedPlate) -> bool:
        """Tell whether a frame is keyed alike with both; their fits may differ."""
        return self.picture is other.picture and self.small is other.small and self.layout == other.layout


class ShotPlate:
    """Gives each frame of a shot its plate; another size, type or pixel aspect begins another shot.

    Args:
        plate: The given plate.
        options: The keyer's.
        runtime: The keyer's.
        absorbs: Whether things that rest may become background.
    """

    def __init__(
        self, plate: KeyerPlate, options: KeyerOptions, runtime: Runtime[Any], *, absorbs: bool = True
    ) -> None:
        self._absorbs = absorbs
        self._plate, self._options, self._runtime = plate, options, runtime
        self._shot: Shot | MovingShot | MixedShot | None = None
        # Plates of frames that were expected and are not placed yet, of a plate that depends on no matte.
        self._ahead: deque[tuple[Frame, UploadedPlate]] = deque()
        self._shot_like: tuple[tuple[int, ...], np.dtype[Any], float] | None = None
        self._shot_colours: _FirstColours | None = None
        self._uploaded: UploadedPlate | None = None
        self._frames_at_rest = 0

    @property
    def last(self) -> UploadedPlate | None:
        """The plate of the last frame; None before the first, and after a change of the layout."""
        return self._uploaded

    def lie_on(self, frame: Frame, lay_out: Callable[[], Layout]) -> UploadedPlate:
        """Fit the plate to this frame; it is uploaded again only if it differs from the last one.

        Args:
            frame: The frame.
            lay_out: Makes the layout of the frame.

        Raises:
            PlateError: The plate cannot serve this frame.
        """
        if self._ahead and self._ahead[0][0] is frame:
            self._uploaded = self._ahead.popleft()[1]
            return self._uploaded
        self._ahead.clear()
        fitted = self._fit(frame)
        last = self._uploaded
        if last is not None and last.fitted.pixels is fitted.pixels and last.fitted.valid is fitted.valid:
            self._uploaded = replace(last, fitted=fitted)
            self._frames_at_rest += 1
        else:
            self._uploaded = self._upload(fitted, lay_out())
            self._frames_at_rest = 0
        return self._uploaded

    def _fit(self, frame: Frame) -> FittedPlate:
        kind = _kind(frame)
        if self._shot is None or self._shot_like != kind:
            self._shot = self._begin(frame)
            self._shot_like, self._shot_colours = kind, _colours_of(frame)
        used = self._options.source_alpha == "use"
        return self._shot.plate_for(frame if used else replace(frame, alpha=None))

    def _begin(self, frame: Frame) -> Shot | MovingShot | MixedShot:
        options, plate = self._options, self._plate
        if isinstance(plate, MovingPlate):
            return MovingShot(plate, align=options.align, prepare=self._show)
        shown = self._show_given(plate, frame)
        if isinstance(shown, PlateSet):
            return MixedShot(shown, align=options.align)
        return Shot(
            shown,
            follow=options.follow,
            align=options.align,
            locked=options.locked_off,
            look_seconds=options.look_seconds,
            absorbs=self._absorbs,
        )

    def _show_given(
        self, plate: Plate | FittedPlate | PlateSet, frame: Frame
    ) -> Plate | FittedPlate | PlateSet:
        """Bring the given plate into the colours in which the keyer sees a frame."""
        if isinstance(plate, PlateSet):
            return plate.map(lambda one: self._show(one, frame))
        return self._show(plate, frame) if isinstance(plate, Plate) else self._show_fitted(plate, frame)

    def _show(self, plate: Plate, frame: Frame) -> Plate:
        """Bring a plate into the colours and the shape in which the keyer sees a frame."""
        return show_plate(plate, frame, self._options.plate_colour).with_shape_of(frame)

    def _show_fitted(self, plate: FittedPlate, frame: Frame) -> FittedPlate:
        return show_plate(plate, frame, self._options.plate_colour)

    def expected(self, frame: Frame, lay_out: Callable[[], Layout]) -> UploadedPlate | None:
        """The plate that a later frame probably gets; None while the plate moves or changes.

        A plate that depends on no matte, as one that moves, is fitted to the frame at once.
        """
        if isinstance(self._plate, MovingPlate):
            uploaded = self._upload(self._fit(frame), lay_out())
            self._ahead.append((frame, uploaded))
            return uploaded
        if self._shot is None or self._shot_like != _kind(frame) or self._frames_at_rest < REST_FRAMES:
            return None
        return self._uploaded

    def learn(self, matte: Matte, keep: Float32Array | None, destination: Destination) -> None:
        """Update the shot from a matte.

        Args:
            matte: Matte of the last frame, before regions are applied: the subject may stand in front of an
                ignored one.
            keep: Region that belongs to the subject even if it is still.
            destination: Destination of the matte.
        """
        if self._shot is None or isinstance(self._shot, MovingShot) or not self._shot.learns:
            return
        shown = destination.show_alpha(matte, average=self._shot.follows)
        self._shot.learn(matte.frame, *(self._cover(matte.frame, alpha, keep) for alpha in shown))

    @property
    def notes(self) -> list[str]:
        """Notes for the user about the frames so far."""
        return self._shot.notes if isinstance(self._shot, MovingShot) else []

    def begin_shot(self) -> None:
        """Fit the plate anew to the next frame."""
        self.close()
        self._shot = None

    def close(self) -> None:
        """Close a plate that is a file."""
        if isinstance(self._shot, MovingShot):
            self._shot.close()

    def forget_layout(self) -> None:
        """Upload the plate anew for the next frame; it stays registered."""
        self._uploaded = None

    def snapshot(self) -> tuple[Any, ...]:
        """State of the shot, to be serialised before the next frame; a plate that moves has none.

        The plates are not in it: the given ones are converted again for the colours of the first frame.
        """
        if isinstance(self._shot, MovingShot):
            return None, None, None
        return self._shot, self._shot_like, self._shot_colours

    def restore(self, shot: Any, shot_like: Any, shot_colours: Any) -> None:
        """Continue from a snapshot."""
        self.close()
        if shot is not None and not isinstance(self._plate, MovingPlate):
            shape, dtype, _ = shot_like
            shot.take_plate(self._show_given(self._plate, _stand_in(shape, dtype, shot_colours)))
        self._shot, self._shot_like, self._shot_colours = shot, shot_like, shot_colours
        self._uploaded = None
        self._ahead.clear()

    def _cover(self, frame: Frame, alpha: Float32Array, keep: Float32Array | None) -> Float32Array:
        """Alpha, raised in areas that the plate must not learn: kept regions and transparent parts."""
        if keep is not None:
            alpha = np.maximum(alpha, keep)
        if self._options.source_alpha == "use" and frame.alpha is not None:
            hidden = 1 - alpha_to_float(frame.alpha)
            if hidden.shape != alpha.shape:
                small = cv2.resize(hidden, alpha.shape[::-1], interpolation=cv2.INTER_AREA)
                hidden = np.asarray(small, np.float32)
            alpha = np.maximum(alpha, hidden)
        return alpha

    def _upload(self, fitted: FittedPlate, layout: Layout) -> UploadedPlate:
        """Make the plate's picture, and its input for the coarse network.

        A model with four plate channels gets a mask of the known part, and zeros outside of it. A model with
        three channels gets the filled-in plate.
        """
        router, config = self._runtime.router, self._runtime.model.config
        shrink = shrink_method(config)
        pixels = layout.padding.pad(fitted.pixels)
        if config.plate_channels == 3:
            picture = router.upload(pixels)
            small = router.shrink(picture, layout.coarse_size, shrink)
            return UploadedPlate(fitted, layout, picture, small)
        # A fourth channel at the top of the range, and all four 0 where the plate is unknown.
        both = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
        if fitted.valid is not None:
            valid = np.ascontiguousarray(layout.padding.pad(fitted.valid)).view(np.uint8)
            both = cv2.copyTo(both, valid)
            pixels = cv2.cvtColor(both, cv2.COLOR_RGBA2RGB)
        small = router.shrink(
            router.upload(both), layout.coarse_size, shrink_method(self._runtime.model.config)
        )
        known = small[:, 3:] > 0.999  # a pixel of which a part is unknown has a mixed colour
        return UploadedPlate(fitted, layout, router.upload(pixels), small * known)


def shrink_method(config: ModelConfig) -> Shrink:
    """Method of a model to shrink pictures."""
    return "area" if config.shrink == "area" else "bilinear"


def show_plate(plate: AnyPlate, frame: Frame, asked: str | None) -> AnyPlate:
    """Bring a plate into the colours in which the keyer sees a frame.

    Args:
        plate: The plate, in its own colours.
        frame: The frame, rendered if it is log or ACES.
        asked: The user's space of the plate; None: the one of its file's metadata, else the frame's.
    """
    space = None if asked == AUTO else asked
    if space is None and isinstance(plate, Plate) and frame.coded is not None:
        space = plate.space
    if space is None and frame.coded is not None:
        space = frame.space
    if isinstance(plate, FittedPlate):
        if space is None:
            return plate
        return replace(plate, pixels=show_pixels(plate.pixels, None, None, space, frame))
    if space is None:
        return plate.with_colours_of(frame)
    pixels = show_pixels(plate.pixels, plate.light, plate.icc_profile, space, frame)
    return replace(plate, pixels=pixels, light=None, icc_profile="frame", white_balance=None)


def own_pixels(plate: Plate, asked: str | None, colours: SourceColours) -> Pixels:
    """The plate's pixels in the space of a source's results.

    Args:
        plate: The plate.
        asked: The user's space of the plate, as of :func:`show_plate`.
        colours: The source's.
    """
    view = colours.view
    if view is None:
        return plate.pixels
    space = plate.space if asked == AUTO else asked or plate.space
    if not colours.is_coded:
        return view.render(plate.pixels if plate.light is None else plate.light)
    if space is None or (space != SRGB_WORD and find_space(space) == view.name):
        return plate.pixels
    values = view.convert_from(plate.pixels if plate.light is None else plate.light, space)
    return np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)


def _colours_of(frame: Frame) -> _FirstColours:
    """All that a plate's conversion (:meth:`ShotPlate._show`) reads of a frame beside size and type."""
    return frame.icc_profile, frame.white_balance, frame.space, frame.pixel_aspect, frame.coded is not None


def _stand_in(shape: tuple[int, ...], dtype: np.dtype[Any], colours: _FirstColours) -> Frame:
    """A black frame of this size, type and colours; its pixels take no memory."""
    profile, white_balance, space, aspect, is_rendered = colours
    frame = Frame(
        np.broadcast_to(np.zeros((), dtype), shape),
        icc_profile=profile,
        white_balance=white_balance,
        space=space,
        pixel_aspect=aspect,
    )
    return replace(frame, coded=frame) if is_rendered else frame


def _kind(frame: Frame) -> tuple[tuple[int, ...], np.dtype[Any], float]:
    return frame.pixels.shape, frame.pixels.dtype, frame.stretch
