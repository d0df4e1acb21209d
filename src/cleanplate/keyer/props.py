"""Props: things that a second plate shows and the empty one does not, kept with the subject or left out.

A frame is keyed twice. What differs from the empty plate is subject or prop; what also differs from the props
plate is the subject. The matte of the props alone, the props plate keyed before the empty one, gives the soft
edge of a prop in front of the subject.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from cleanplate.errors import OptionError
from cleanplate.frame import Float32Array, Matte
from cleanplate.keyer.shot_plate import KeyerPlate, ShotPlate
from cleanplate.plate import load_plate
from cleanplate.plate.moving.moving_plate import MovingPlate
from cleanplate.runtimes import Runtime
from cleanplate.vocabulary import KeyerOptions

ORDER_SHARE = 0.005
"""Sigma of the neighbourhood that decides which is in front, as a share of the longer side. A choice: ten
pixels of HD, wider than a soft edge."""

HIDDEN, IN_SIGHT = 0.3, 0.7
"""Shares of a prop's neighbourhood in sight between which the order changes. A choice, around the middle."""


def open_props(plate: KeyerPlate, options: KeyerOptions, runtime: Runtime[Any]) -> ShotPlate | None:
    """The props plate through a shot; None without one.

    Raises:
        InputError: It cannot be read.
        OptionError: The empty plate moves, or the model computes no colour before two plates.
    """
    if options.props is None:
        return None
    if isinstance(plate, MovingPlate):
        raise OptionError(
            "A plate that moves cannot be combined with a props plate.", "leave out --props or --plate-motion"
        )
    return ShotPlate(load_plate(options.props), options, runtime)


def compose_props(from_empty: Matte, from_props: Matte, props_alpha: Float32Array, mode: str) -> Matte:
    """Compose the mattes of one frame before both plates.

    Args:
        from_empty: The frame keyed before the empty plate: subject and props.
        from_props: The same before the props plate: the subject, and places that a prop has left.
        props_alpha: The props plate keyed before the empty one, ``(height, width)``.
        mode: One of :data:`~cleanplate.vocabulary.PROPS_MODES`. *Keep*: the props' own matte fills what the
            frame's lacks. *Drop*: it cuts the subject where a prop is in front of it.
    """
    subject = np.minimum(from_empty.alpha, from_props.alpha)
    in_front = props_alpha * _find_in_front(props_alpha, from_props.alpha)
    if mode == "drop":
        own = (from_props.alpha <= from_empty.alpha)[..., None]
        colour = np.where(own, from_props.foreground, from_empty.foreground)
        return replace(from_props, alpha=np.asarray(subject * (1 - in_front), np.float32), foreground=colour)
    in_sight = in_front * (1 - from_props.alpha)
    alpha = np.maximum(from_empty.alpha, subject + (1 - subject) * in_sight)
    # As a kept region: what is added has the colour of the frame.
    share = ((alpha - from_empty.alpha) / np.maximum(alpha, np.float32(1e-6)))[..., None]
    source, foreground = from_empty.frame.pixels, from_empty.foreground
    mixed = foreground + (source - foreground.astype(np.float32)) * share
    colour = np.where(share > 0, np.rint(mixed), foreground).astype(source.dtype)
    return replace(from_empty, alpha=np.asarray(alpha, np.float32), foreground=colour)


def _find_in_front(props_alpha: Float32Array, subject_alpha: Float32Array) -> Float32Array:
    """1 where a prop is in front, 0 where the subject hides it or it is gone: decided inside of the prop.

    At a prop's soft edge the frame alone does not tell which of both is in front.
    """
    inside = props_alpha * props_alpha
    sigma = max(1.0, ORDER_SHARE * max(props_alpha.shape))
    seen = cv2.GaussianBlur(inside * (1 - subject_alpha), (0, 0), sigma)
    share = seen / (cv2.GaussianBlur(inside, (0, 0), sigma) + np.float32(1e-4))
    rising = np.clip((share - HIDDEN) / (IN_SIGHT - HIDDEN), 0, 1)
    return np.asarray(rising * rising * (3 - 2 * rising), np.float32)
