"""From a frame's own colour space to the display rendering that a keyer sees, and back for mattes.

The networks were trained on pictures for displays. Log and ACES frames are rendered for one; a matte then
gets the frame's own values: where alpha is 1 they are the source's to the bit, elsewhere the colour that
renders to the network's foreground.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cleanplate.compositing.highlights import OPAQUE, mix_own
from cleanplate.errors import MissingExtraError, OptionError
from cleanplate.frame import AnyArray, Frame, Matte, Pixels, to_depth
from cleanplate.media.colour.camera_spaces import SRGB_WORD
from cleanplate.media.colour.display_view import DisplayView, open_view
from cleanplate.media.colour.icc import convert_colours
from cleanplate.media.colour.transfer import SRGB, curve_of, shadow_of_light

AUTO = "auto"


@dataclass(frozen=True)
class SourceColours:
    """Colours of a source, and so of its results.

    Attributes:
        view: The display view of its space; None for pictures that are shown as they are.
        transfer: Transfer function of the results' code values.
        is_coded: Whether the results' code values are those of the view's space; False for a source of
            floats, whose code values are those of the rendering, and light its own.
    """

    view: DisplayView | None
    transfer: str
    is_coded: bool

    @property
    def mixes_light(self) -> bool:
        """True if composites are always mixed in linear light: a mix of log values has no meaning."""
        return self.view is not None and self.is_coded and self.view.transfer is not None

    def check_light(self, path: Path) -> None:
        """Refuse a file of light for a space without a curve for each channel.

        Raises:
            OptionError: There is no way from the space's code values to its light.
        """
        if self.view is not None and self.is_coded and self.view.transfer is None:
            raise OptionError(
                f"{path.name} holds linear light, but '{self.view.name}' has no curve of light.",
                "write a format with its code values, such as .mov or .dpx",
            )

    @property
    def chromaticities(self) -> tuple[float, ...] | None:
        """x and y of the primaries and the white of the space's light."""
        return None if self.view is None else self.view.chromaticities


def describe_colours(asked: str, found: str | None, transfer: str, *, has_light: bool) -> SourceColours:
    """Find the colours of a source.

    Args:
        asked: The user's value, as of :func:`choose_view`.
        found: Space that the file's metadata name.
        transfer: Transfer function of the source's tags.
        has_light: Whether it is a source of floats.

    Raises:
        OptionError, InputError, MissingExtraError: As of :func:`choose_view`.
    """
    view = choose_view(asked, found)
    if view is None or has_light:
        return SourceColours(view, transfer, False)
    return SourceColours(view, view.transfer or transfer, True)


def describe_space(name: str, asked: str, found: str | None, colours: SourceColours) -> str | None:
    """Note on a source whose metadata name a space; None if there is nothing to say.

    Args:
        name: The source's file name.
        asked: The user's value.
        found: Space that the file's metadata name.
        colours: Colours of the source.
    """
    if found is None or asked != AUTO:
        return None
    if colours.view is not None:
        return (
            f"{name} is {colours.view.name}, by its metadata: its display rendering is keyed, and results "
            "keep its values."
        )
    if find_spec("PyOpenColorIO") is None:
        return (
            f"{name} is {found}, by its metadata, and is keyed as it is; a display rendering needs the extra "
            "'vfx': pip install 'cleanplate[vfx]'."
        )
    return f"{name} is {found}, by its metadata, but OpenColorIO's configuration has no such space."


def choose_view(asked: str, found: str | None) -> DisplayView | None:
    """The display view of a source; None for pictures that are shown as they are.

    Args:
        asked: The user's value: a space, ``auto`` or ``srgb``.
        found: Space that the file's metadata name.

    Raises:
        OptionError: The configuration does not have the space that was asked for.
        InputError, MissingExtraError: As of :func:`cleanplate.media.colour.display_view.open_view`.
    """
    if asked == SRGB_WORD or (asked == AUTO and found is None):
        return None
    if asked != AUTO:
        return open_view(asked)
    with contextlib.suppress(MissingExtraError, OptionError):
        return open_view(str(found))
    return None


def show_frame(frame: Frame, input_colour: str) -> Frame:
    """Render a frame for a display if its space is known; a rendered frame is returned as it is.

    Args:
        frame: A frame in its own space.
        input_colour: The user's value, as of :func:`choose_view`.

    Returns:
        A frame with uint16 pixels and :attr:`Frame.coded`. The coded frame of a source of floats has the
        rendering as its code values, beside its own light.
    """
    if frame.coded is not None:
        return frame
    view = choose_view(input_colour, frame.space)
    if view is None:
        return frame if frame.space is None else replace(frame, space=None)
    light = frame.light
    if light is not None and not view.is_linear and view.transfer is not None:
        # Floats with a log curve: results are light.
        light = np.asarray(curve_of(view.transfer).decode(light), np.float32)
    shown = view.render(frame.pixels if frame.light is None else frame.light)
    alpha = None if frame.alpha is None else to_depth(frame.alpha, np.uint16)
    coded = replace(frame, space=view.name, light=light, sent=None)
    if light is not None:
        coded = replace(coded, pixels=shown, alpha=alpha)
    return replace(
        frame, pixels=shown, alpha=alpha, space=view.name, icc_profile=None, coded=coded, sent=None
    )


def show_pixels(
    pixels: Pixels, light: AnyArray | None, profile: bytes | str | None, space: str, frame: Frame
) -> Pixels:
    """Render a plate as the frame beside it.

    Args:
        pixels: The plate's code values.
        light: Its floats, if it has any.
        profile: ICC profile of a plate for displays.
        space: The plate's space.
        frame: The rendered frame.
    """
    if space == SRGB_WORD:
        own = profile if isinstance(profile, bytes) else None
        return convert_colours(to_depth(pixels, frame.pixels.dtype), own, frame.icc_profile)
    return to_depth(open_view(space).render(pixels if light is None else light), frame.pixels.dtype)


class OwnSpace:
    """Converts mattes of rendered frames to the frames' own space; keeps the plate that it converted last."""

    def __init__(self) -> None:
        self._plate: tuple[Pixels, Pixels] | None = None

    def __call__(self, matte: Matte) -> Matte:
        """Convert a matte; the same matte if its frame is not rendered.

        The shadow becomes a share of light. The code values of a source of floats stay those of the
        rendering; its light is made in the finish.
        """
        frame = matte.frame.coded
        if frame is None or frame.space is None:
            return matte
        if frame.light is not None:
            return replace(matte, frame=frame)
        view = open_view(frame.space)
        plate, shadow = matte.plate, matte.shadow
        return replace(
            matte,
            frame=frame,
            foreground=_own_foreground(matte, frame, view),
            plate=None if plate is None else self._own_plate(plate, view, frame.pixels.dtype),
            shadow=None if shadow is None else shadow_of_light(shadow, SRGB),
        )

    def _own_plate(self, plate: Pixels, view: DisplayView, dtype: np.dtype[Any]) -> Pixels:
        if self._plate is None or self._plate[0] is not plate:
            self._plate = plate, own_codes(plate, view, dtype)
        return self._plate[1]


def own_codes(shown: Pixels, view: DisplayView, dtype: np.dtype[Any]) -> Pixels:
    """The code values of a space that render to a picture."""
    codes = np.rint(np.clip(view.recover(shown), 0, 1) * 65535).astype(np.uint16)
    return to_depth(codes, dtype)


def _own_foreground(matte: Matte, frame: Frame, view: DisplayView) -> Pixels:
    """The foreground in the frame's code values."""
    shown, own = matte.frame.pixels, frame.pixels
    same = cv2.inRange(cv2.absdiff(matte.foreground, shown), (0, 0, 0), (0, 0, 0))
    mixed = np.flatnonzero((np.asarray(same) == 0) & (matte.alpha > 0) & (matte.alpha < OPAQUE[1]))
    result: Pixels = own.copy()
    if mixed.size:
        codes, before, seen = (picture.reshape(-1, 3)[mixed] for picture in (matte.foreground, shown, own))
        top = np.float32(np.iinfo(own.dtype).max)
        values = mix_own(codes, before, seen / top, matte.alpha.reshape(-1)[mixed], view.recover)
        result.reshape(-1, 3)[mixed] = np.rint(np.clip(values, 0, 1) * top).astype(own.dtype)
    return result
